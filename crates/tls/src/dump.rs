//! What passes on the wire, for smtpd_tls_loglevel 3 and 4: bytes below TLS, so that no password is among them.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::journal::Journal;
use crate::log_level::LogLevels;

/// Most bytes of one connection that are shown; the log is for people.
const MAX_SHOWN: usize = 64 * 1024;

/// A connection that shows its bytes while somebody wants to see them.
pub struct Shown<S> {
    stream: S,
    journal: Option<Journal>,
    left: usize,
}

impl<S> Shown<S> {
    /// Shows the handshake's bytes if the journal wants them.
    pub(crate) fn new(stream: S, journal: &Journal) -> Shown<S> {
        let wanted = journal.levels.contains(LogLevels::HANDSHAKE_BYTES | LogLevels::SESSION_BYTES);
        Shown { stream, journal: wanted.then(|| journal.clone()), left: MAX_SHOWN }
    }

    /// The handshake is over: only who wants the whole session sees more.
    pub(crate) fn handshake_is_over(&mut self) {
        self.journal.take_if(|journal| !journal.levels.contains(LogLevels::SESSION_BYTES));
    }

    /// The connection below TLS.
    pub fn get_ref(&self) -> &S {
        &self.stream
    }

    fn show(&mut self, what: &str, bytes: &[u8]) {
        let Some(journal) = &self.journal else { return };
        let count = bytes.len();
        journal.info(&format!("{what} {} ({count} bytes => {count} (0x{count:X}))", journal.peer));
        for line in lines(&bytes[..count.min(self.left)]) {
            journal.info(&line);
        }
        self.left = self.left.saturating_sub(count);
        if self.left == 0 {
            journal.info(&format!("{}: {MAX_SHOWN} bytes were shown, the rest is not", journal.peer));
            self.journal = None;
        }
    }
}

/// `0000 16 03 01 01 24 ...  ....$`, sixteen bytes to a line.
pub(crate) fn lines(bytes: &[u8]) -> impl Iterator<Item = String> {
    bytes.chunks(16).enumerate().map(|(at, chunk)| {
        let mut line = format!("{:04x} ", at * 16);
        for column in 0..16 {
            match chunk.get(column) {
                Some(byte) => line.push_str(&format!("{byte:02x}")),
                None => line.push_str("  "),
            }
            line.push(if column == 7 && chunk.len() > 8 { '|' } else { ' ' });
        }
        line.push(' ');
        line.extend(chunk.iter().map(|&b| if b.is_ascii_graphic() { b as char } else { '.' }));
        line
    })
}

impl<S: AsyncRead + Unpin> AsyncRead for Shown<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
        if this.journal.is_some() && buf.filled().len() > before {
            this.show("read from", &buf.filled()[before..]);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Shown<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.stream).poll_write(cx, bytes))?;
        if this.journal.is_some() {
            this.show("write to", &bytes[..written.min(bytes.len())]);
        }
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tokio::io::AsyncWriteExt;

    use super::*;
    use crate::journal::Journal;

    #[test]
    fn lines_have_sixteen_bytes() {
        let shown: Vec<_> = lines(b"\x16\x03\x01\x01$").collect();
        assert_eq!(shown, ["0000 16 03 01 01 24                                   ....$"]);
        let shown: Vec<_> = lines(b"0123456789abcdefg").collect();
        assert_eq!(shown[0], "0000 30 31 32 33 34 35 36 37|38 39 61 62 63 64 65 66  0123456789abcdef");
        assert!(shown[1].starts_with("0010 67 "));
    }

    #[tokio::test]
    async fn what_is_shown_has_a_bound() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let lines = Arc::clone(&told);
        let levels = LogLevels::parse("p", "4", &mut Vec::new());
        let write = move |_, line: &str| lines.lock().unwrap().push(line.to_owned());
        let journal = Journal::new("peer", levels, Arc::new(write));
        let mut stream = Shown::new(tokio::io::sink(), &journal);
        stream.write_all(&[0; MAX_SHOWN + 1]).await.unwrap();
        stream.write_all(b"more").await.unwrap();
        let told = told.lock().unwrap();
        assert_eq!(told.len(), 1 + MAX_SHOWN / 16 + 1);
        assert_eq!(told[0], "write to peer (65537 bytes => 65537 (0x10001))");
        assert!(told.last().unwrap().contains("the rest is not"));
    }
}
