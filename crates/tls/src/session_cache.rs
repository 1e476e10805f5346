//! TLS sessions that can be resumed, kept for one service: those that its clients may take up again by their id (RFC 5246 section
//! 7.3), or those that it may itself take up again with a server.
//!
//! A session holds keys, as tickets do; so they are kept for the time of the settings and no longer. They survive a restart in a
//! file that only the process's user can read (postconf(5), smtpd_tls_session_cache_database, smtp_tls_session_cache_database).

use std::collections::{HashMap, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Most bytes that the sessions of one service take; the oldest go first.
const MAX_BYTES: usize = 32 * 1024 * 1024;

/// A session with a larger encoding is not kept: a peer with a huge certificate gets full handshakes.
const MAX_SESSION: usize = 16 * 1024;

/// Longest id, in bytes; digests are as long.
const MAX_ID: usize = 32;

/// How often resumable sessions are written to their files. What a crash loses costs full handshakes.
const SAVE_EVERY: Duration = Duration::from_secs(60);

/// What a file of sessions begins with.
const MAGIC: &[u8] = b"mailclad tls sessions 1\n";

/// The sessions.
pub(crate) struct SessionCache {
    life: Duration,
    /// `None`: they end with the process.
    file: Option<PathBuf>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    sessions: HashMap<Box<[u8]>, Session>,
    /// Ids by age, the oldest first; some may be gone from the map.
    order: VecDeque<Box<[u8]>>,
    bytes: usize,
    changed: bool,
}

struct Session {
    expires: SystemTime,
    der: Box<[u8]>,
}

/// Saves sessions now and then, and once more when `end` comes. A failure is told once, not every minute.
pub async fn keep_saved(
    end: impl Future<Output = ()>,
    save: impl Fn() -> Result<(), String>,
    tell: impl Fn(&str),
) {
    let mut end = std::pin::pin!(end);
    let mut told = None;
    loop {
        let ended = tokio::time::timeout(SAVE_EVERY, &mut end).await.is_ok();
        let trouble = save().err();
        if let Some(why) = trouble.as_ref().filter(|why| told.as_ref() != Some(*why)) {
            tell(why);
        }
        told = trouble;
        if ended {
            return;
        }
    }
}

impl SessionCache {
    /// Sessions that live for `life` and end with the process.
    pub(crate) fn in_memory(life: Duration) -> SessionCache {
        SessionCache { life, file: None, kept: Mutex::default() }
    }

    /// Sessions that live for `life` and survive in the file of a service: `kind` is smtpd or smtp.
    pub(crate) fn of_service(
        life: Duration,
        data_directory: &str,
        kind: &str,
        service: &str,
    ) -> SessionCache {
        let name: String = service.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        SessionCache::in_file(life, format!("{data_directory}/mailclad_{kind}_scache_{name}").into())
    }

    fn in_file(life: Duration, file: PathBuf) -> SessionCache {
        SessionCache { file: Some(file), ..SessionCache::in_memory(life) }
    }

    /// Keeps a session.
    pub(crate) fn keep(&self, id: &[u8], der: &[u8], now: SystemTime) {
        self.lock().insert(id, Session { expires: now + self.life, der: der.into() });
    }

    /// A session that has not expired.
    pub(crate) fn find(&self, id: &[u8], now: SystemTime) -> Option<Box<[u8]>> {
        let kept = self.lock();
        kept.sessions.get(id).filter(|session| now < session.expires).map(|session| session.der.clone())
    }

    /// Forgets a session.
    pub(crate) fn forget(&self, id: &[u8]) {
        self.lock().remove(id);
    }

    /// Takes over what an earlier process left. A file that is not there is no error, and one that is no such file is ignored.
    /// The error names the file.
    pub(crate) fn load(&self, now: SystemTime) -> Result<(), String> {
        let Some(file) = &self.file else { return Ok(()) };
        let bytes = read(file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
        let mut kept = self.lock();
        for (id, session) in decode(&bytes) {
            // A clock that was wrong when the file was written must not make sessions live for ever.
            if now < session.expires && session.expires <= now + self.life {
                kept.insert(id, session);
            }
        }
        kept.changed = false;
        Ok(())
    }

    /// Writes the file anew, if there is anything new. The error names the file.
    pub(crate) fn save(&self, now: SystemTime) -> Result<(), String> {
        let Some(file) = &self.file else { return Ok(()) };
        let bytes = {
            let mut kept = self.lock();
            if !std::mem::take(&mut kept.changed) {
                return Ok(());
            }
            kept.sweep(now);
            kept.encode()
        };
        replace(file, &bytes).map_err(|error| format!("cannot write {}: {error}", file.display()))
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn insert(&mut self, id: &[u8], session: Session) {
        if id.is_empty() || id.len() > MAX_ID || session.der.len() > MAX_SESSION {
            return;
        }
        self.remove(id);
        self.bytes += id.len() + session.der.len();
        self.sessions.insert(id.into(), session);
        self.order.push_back(id.into());
        self.changed = true;
        while self.bytes > MAX_BYTES {
            let Some(oldest) = self.order.pop_front() else { break };
            self.remove(&oldest);
        }
        // Ids that are gone leave their place in the order; now and then they are cleared away.
        if self.order.len() > 2 * self.sessions.len() + 64 {
            let sessions = &self.sessions;
            self.order.retain(|id| sessions.contains_key(id));
        }
    }

    fn remove(&mut self, id: &[u8]) {
        if let Some(session) = self.sessions.remove(id) {
            self.bytes -= id.len() + session.der.len();
            self.changed = true;
        }
    }

    fn sweep(&mut self, now: SystemTime) {
        let expired: Vec<_> = self
            .sessions
            .iter()
            .filter(|(_, session)| session.expires <= now)
            .map(|(id, _)| id.clone())
            .collect();
        for id in expired {
            self.remove(&id);
        }
        self.changed = false;
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        for id in &self.order {
            let Some(session) = self.sessions.get(id) else { continue };
            let expires = session.expires.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
            out.extend_from_slice(&expires.to_le_bytes());
            for part in [id, &session.der] {
                out.extend_from_slice(&(part.len() as u32).to_le_bytes());
                out.extend_from_slice(part);
            }
        }
        out
    }
}

/// The sessions of a file, up to the first that makes no sense.
fn decode(bytes: &[u8]) -> Vec<(&[u8], Session)> {
    let mut sessions = Vec::new();
    let mut rest = bytes.strip_prefix(MAGIC).unwrap_or_default();
    while let Some((id, session, behind)) = decode_one(rest) {
        sessions.push((id, session));
        rest = behind;
    }
    sessions
}

fn decode_one(bytes: &[u8]) -> Option<(&[u8], Session, &[u8])> {
    let (seconds, rest) = bytes.split_first_chunk::<8>()?;
    let (id, rest) = decode_part(rest)?;
    let (der, rest) = decode_part(rest)?;
    let expires = UNIX_EPOCH.checked_add(Duration::from_secs(u64::from_le_bytes(*seconds)))?;
    Some((id, Session { expires, der: der.into() }, rest))
}

fn decode_part(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(u32::from_le_bytes(*length) as usize)
}

/// The bytes of a file of sessions; none when there is no file.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    // Read with the rights of the start, from a directory of a lesser user: no link, no pipe that never ends.
    match std::fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_file() => {}
        Ok(_) => return Err(io::Error::other("not a regular file")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(2 * MAX_BYTES as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Puts a new file in the place of the old one; whoever reads meanwhile sees one or the other.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}", std::process::id()));
    let temporary = PathBuf::from(name);
    // Left behind by a process of the same number that was stopped at this point.
    let _ = std::fs::remove_file(&temporary);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    let written = file.write_all(bytes).and_then(|()| std::fs::rename(&temporary, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    written
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn start() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_000_000)
    }

    #[test]
    fn sessions_expire_and_are_forgotten() {
        let cache = SessionCache::in_memory(HOUR);
        cache.keep(b"one", b"1", start());
        assert_eq!(cache.find(b"one", start()).as_deref(), Some(&b"1"[..]));
        assert_eq!(cache.find(b"one", start() + HOUR), None);
        cache.keep(b"one", b"2", start());
        assert_eq!(cache.find(b"one", start()).as_deref(), Some(&b"2"[..]));
        cache.forget(b"one");
        assert_eq!(cache.find(b"one", start()), None);
        assert_eq!(cache.lock().bytes, 0);
    }

    #[test]
    fn what_is_kept_has_a_bound() {
        let cache = SessionCache::in_memory(HOUR);
        cache.keep(b"large", &vec![0; MAX_SESSION + 1], start());
        cache.keep(&[0; MAX_ID + 1], b"x", start());
        cache.keep(b"", b"x", start());
        assert_eq!(cache.lock().bytes, 0);
        let session = vec![0; MAX_SESSION];
        for number in 0..(MAX_BYTES / MAX_SESSION + 10) as u32 {
            cache.keep(&number.to_le_bytes(), &session, start());
        }
        assert!(cache.lock().bytes <= MAX_BYTES);
        assert_eq!(cache.find(&0u32.to_le_bytes(), start()), None, "the oldest went first");
        for _ in 0..1000 {
            cache.keep(b"same", b"x", start());
        }
        let kept = cache.lock();
        assert!(kept.order.len() <= 2 * kept.sessions.len() + 65);
    }

    #[test]
    fn sessions_survive_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("scache");
        let cache = SessionCache::in_file(HOUR, path.clone());
        cache.load(start()).unwrap();
        cache.save(start()).unwrap();
        assert!(!path.exists(), "nothing to keep, nothing written");
        cache.keep(b"old", b"0", start() - HOUR);
        cache.keep(b"one", b"1", start());
        cache.save(start()).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        let next = SessionCache::in_file(HOUR, path.clone());
        next.load(start()).unwrap();
        assert_eq!(next.find(b"one", start()).as_deref(), Some(&b"1"[..]));
        assert_eq!(next.lock().sessions.len(), 1);
        std::os::unix::fs::symlink(&path, dir.path().join("link")).unwrap();
        assert!(SessionCache::in_file(HOUR, dir.path().join("link")).load(start()).is_err());
        // Shorter settings do not inherit longer lives.
        let shorter = SessionCache::in_file(HOUR / 2, path);
        shorter.load(start()).unwrap();
        assert_eq!(shorter.lock().sessions.len(), 0);
    }

    #[test]
    fn a_damaged_file_is_read_as_far_as_it_makes_sense() {
        let cache = SessionCache::in_memory(HOUR);
        cache.keep(b"one", b"11", start());
        cache.keep(b"two", b"22", start());
        let whole = cache.lock().encode();
        assert_eq!(decode(&whole).len(), 2);
        for cut in 0..whole.len() {
            assert!(decode(&whole[..cut]).len() < 2, "{cut}");
        }
        assert_eq!(decode(b"something else").len(), 0);
        let mut endless = whole.clone();
        let at = MAGIC.len() + 8;
        endless[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(decode(&endless).len(), 0);
    }
}
