//! Transcripts of handshakes in files (postconf(5), smtpd_tls_loglevel `trace`, smtpd_tls_trace_size_limit, tls_trace_rate_limit): each
//! message with its bytes, as both sides understand it. Nothing that is said after the handshake is in it.

use std::fmt::Write as _;
use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use openssl::ex_data::Index;
use openssl::ssl::{Ssl, SslRef};

use crate::ffi;
use crate::journal::Journal;
use crate::log_level::LogLevels;

/// Where the transcripts of a service go, and how many.
pub(crate) struct Tracer {
    directory: PathBuf,
    /// In bytes.
    size_limit: usize,
    /// In each time unit; 0 is no limit.
    rate_limit: u32,
    unit: Duration,
    written: Mutex<Option<(Instant, u32)>>,
}

impl Tracer {
    pub(crate) fn new(directory: PathBuf, size_limit: i64, rate_limit: i64, unit: Duration) -> Tracer {
        Tracer {
            directory,
            size_limit: usize::try_from(size_limit).unwrap_or(0),
            rate_limit: u32::try_from(rate_limit).unwrap_or(0),
            unit,
            written: Mutex::default(),
        }
    }

    /// Begins a transcript, if the journal wants one.
    pub(crate) fn begin(&self, ssl: &mut SslRef, journal: &Journal) -> Option<Transcript> {
        if !journal.levels.contains(LogLevels::TRACE) {
            return None;
        }
        if !self.may_write(Instant::now()) {
            journal.info(&format!("skipping TLS trace output - rate limit ({}) exceeded", self.rate_limit));
            return None;
        }
        let transcript =
            Transcript(Arc::new(Mutex::new(Text { limit: self.size_limit, text: String::new() })));
        ssl.set_ex_data(index()?, Transcript(Arc::clone(&transcript.0)));
        ffi::tell_messages(ssl);
        Some(transcript)
    }

    /// Ends a transcript: `TLS protocol trace for PEER saved to PATH`.
    pub(crate) fn end(&self, transcript: &Transcript, journal: &Journal) {
        let text = std::mem::take(&mut transcript.lock().text);
        match self.save(&text, &journal.peer) {
            Ok(path) => {
                let line = format!("TLS protocol trace for {} saved to {}", journal.peer, path.display());
                journal.info(&line);
            }
            Err(error) => journal
                .warning(&format!("cannot write a TLS trace below {}: {error}", self.directory.display())),
        }
    }

    fn may_write(&self, now: Instant) -> bool {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, count) = match *written {
            Some((since, count)) if now.duration_since(since) < self.unit => (since, count),
            _ => (now, 0),
        };
        let may = self.rate_limit == 0 || count < self.rate_limit;
        *written = Some((since, count.saturating_add(u32::from(may))));
        may
    }

    fn save(&self, text: &str, peer: &str) -> io::Result<PathBuf> {
        match DirBuilder::new().mode(0o700).create(&self.directory) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let peer: String = peer
            .chars()
            .take(100)
            .map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '_' })
            .collect();
        let mut random = [0; 3];
        openssl::rand::rand_bytes(&mut random)?;
        let [a, b, c] = random;
        let name = format!("smtpd-{}.{:06}-{peer}-{a:02X}{b:02X}{c:02X}", now.as_secs(), now.subsec_micros());
        let path = self.directory.join(name);
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?
            .write_all(text.as_bytes())?;
        Ok(path)
    }
}

/// One handshake's messages so far.
pub(crate) struct Transcript(Arc<Mutex<Text>>);

struct Text {
    limit: usize,
    text: String,
}

impl Transcript {
    fn lock(&self) -> std::sync::MutexGuard<'_, Text> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Called inside the library: no panic, no wait.
    pub(crate) fn add(&self, sent: bool, version: i32, kind: i32, bytes: &[u8]) {
        let mut guard = self.lock();
        let Text { limit, text } = &mut *guard;
        if text.len() >= *limit {
            return;
        }
        let way = if sent { "Sent" } else { "Received" };
        // Writing to a String can not fail.
        let _ = writeln!(text, "{way} {}: version 0x{version:04X}, {} bytes", name(kind, bytes), bytes.len());
        for line in crate::dump::lines(bytes) {
            let _ = writeln!(text, "    {line}");
        }
        if text.len() > *limit {
            let mut end = *limit;
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            text.truncate(end);
        }
    }
}

fn index() -> Option<Index<Ssl, Transcript>> {
    static INDEX: OnceLock<Option<Index<Ssl, Transcript>>> = OnceLock::new();
    *INDEX.get_or_init(|| Ssl::new_ex_index().ok())
}

/// The transcript of a handshake, for the library's callback.
pub(crate) fn of(ssl: &SslRef) -> Option<&Transcript> {
    index().and_then(|index| ssl.ex_data(index))
}

/// RFC 8446 sections 5.1 and 4; 256 and 257 are the library's own, for the header of a record and for its inner type.
fn name(kind: i32, bytes: &[u8]) -> &'static str {
    match (kind, bytes.first()) {
        (20, _) => "change_cipher_spec",
        (21, _) => "alert",
        (22, Some(1)) => "client_hello",
        (22, Some(2)) => "server_hello",
        (22, Some(4)) => "new_session_ticket",
        (22, Some(8)) => "encrypted_extensions",
        (22, Some(11)) => "certificate",
        (22, Some(12)) => "server_key_exchange",
        (22, Some(13)) => "certificate_request",
        (22, Some(14)) => "server_hello_done",
        (22, Some(15)) => "certificate_verify",
        (22, Some(16)) => "client_key_exchange",
        (22, Some(20)) => "finished",
        (22, _) => "handshake message",
        (23, _) => "application_data",
        (256, _) => "record header",
        (257, _) => "inner content type",
        _ => "message",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tracer(dir: &tempfile::TempDir, size_limit: i64, rate_limit: i64) -> Tracer {
        Tracer::new(dir.path().join("tlstrace"), size_limit, rate_limit, Duration::from_secs(60))
    }

    #[test]
    fn so_many_in_each_time_unit() {
        let dir = tempfile::tempdir().unwrap();
        let start = Instant::now();
        let limited = tracer(&dir, 1, 2);
        let may = |seconds| limited.may_write(start + Duration::from_secs(seconds));
        assert_eq!(
            [may(0), may(1), may(59), may(60), may(61), may(62)],
            [true, true, false, true, true, false]
        );
        let free = tracer(&dir, 1, 0);
        assert!((0..10).all(|_| free.may_write(start)));
    }

    #[test]
    fn a_transcript_has_a_bound_and_a_safe_name() {
        let dir = tempfile::tempdir().unwrap();
        let transcript = Transcript(Arc::new(Mutex::new(Text { limit: 100, text: String::new() })));
        transcript.add(false, 0x303, 22, &[1, 0, 0, 2, 3, 3]);
        assert!(
            transcript
                .lock()
                .text
                .starts_with("Received client_hello: version 0x0303, 6 bytes\n    0000 01 00")
        );
        transcript.add(true, 0x304, 22, &[0; 1000]);
        assert_eq!(transcript.lock().text.len(), 100);
        let path = tracer(&dir, 100, 1).save("text", "../../x[::1]").unwrap();
        assert_eq!(path.parent().unwrap(), dir.path().join("tlstrace"));
        assert_eq!(std::fs::read_to_string(path).unwrap(), "text");
    }
}
