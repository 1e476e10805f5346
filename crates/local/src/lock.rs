//! Locks on mbox files, by mailbox_delivery_lock: fcntl(2), flock(2), and a file `PATH.lock` beside the mailbox.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::time::Duration;

use mail::Status;
use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};

use crate::failure::{Failure, reason};

/// How mailboxes are locked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Locking {
    pub(crate) fcntl: bool,
    pub(crate) flock: bool,
    pub(crate) dotlock: bool,
    /// Go on where a lock file can not be made at all, as beside files in a directory of root. One that exists is
    /// respected all the same.
    pub(crate) dotlock_may_fail: bool,
    /// deliver_lock_attempts
    pub(crate) attempts: u32,
    /// deliver_lock_delay
    pub(crate) delay: Duration,
    /// stale_lock_time
    pub(crate) stale: Duration,
}

impl Locking {
    /// The words of mailbox_delivery_lock; the times of main.cf.
    pub(crate) fn new(words: &str, settings: &config::Settings) -> Locking {
        let words = config::list::split(words);
        Locking {
            fcntl: words.contains(&"fcntl"),
            flock: words.contains(&"flock"),
            dotlock: words.contains(&"dotlock"),
            dotlock_may_fail: false,
            attempts: u32::try_from(settings.get(config::params::deliver_lock_attempts)).unwrap_or(u32::MAX),
            delay: settings.get(config::params::deliver_lock_delay),
            stale: settings.get(config::params::stale_lock_time),
        }
    }

    /// Takes the kernel's locks on an open file. They go when it is closed.
    pub(crate) fn lock_file(&self, file: &File) -> Result<(), Failure> {
        let failed = |error: io::Error| {
            Failure::new(
                Status::new(4, 2, 0),
                format!("unable to lock for exclusive access: {}", reason(&error)),
            )
        };
        if self.fcntl {
            self.again(|| Ok(rustix::fs::fcntl_lock(file, FlockOperation::NonBlockingLockExclusive)?))
                .map_err(failed)?;
        }
        if self.flock {
            self.again(|| Ok(rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive)?))
                .map_err(failed)?;
        }
        Ok(())
    }

    /// Makes the lock file of a mailbox; it goes with the value.
    pub(crate) fn lock_path(&self, mailbox: &str) -> Result<Option<LockFile>, Failure> {
        if !self.dotlock {
            return Ok(None);
        }
        let path = PathBuf::from(format!("{mailbox}.lock"));
        let made =
            self.again(|| match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    self.remove_stale(&path);
                    Err(error)
                }
                other => other,
            });
        match made {
            Ok(_) => Ok(Some(LockFile(path))),
            Err(error) if self.dotlock_may_fail && error.kind() != io::ErrorKind::AlreadyExists => Ok(None),
            Err(error) => {
                Err(Failure::mailbox(&format!("unable to create lock file {}", path.display()), &error))
            }
        }
    }

    fn remove_stale(&self, path: &PathBuf) {
        let age =
            std::fs::symlink_metadata(path).and_then(|found| found.modified()).map(|time| time.elapsed());
        if matches!(age, Ok(Ok(age)) if age > self.stale) {
            // Whoever loses this race finds a fresh lock at its next attempt.
            let _ = std::fs::remove_file(path);
        }
    }

    /// Tries as often as deliver_lock_attempts says; only a lock that somebody else holds is worth waiting for (Linux says
    /// EAGAIN for that).
    fn again<T>(&self, attempt: impl Fn() -> io::Result<T>) -> io::Result<T> {
        for _ in 1..self.attempts {
            match attempt() {
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::AlreadyExists | io::ErrorKind::WouldBlock) =>
                {
                    std::thread::sleep(self.delay);
                }
                other => return other,
            }
        }
        attempt()
    }
}

/// A lock file; removed when this is dropped.
#[derive(Debug)]
pub(crate) struct LockFile(PathBuf);

impl Drop for LockFile {
    fn drop(&mut self) {
        // One that stays becomes stale after a while.
        let _ = std::fs::remove_file(&self.0);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// One attempt, no waiting.
    pub(crate) fn locking() -> Locking {
        Locking {
            fcntl: true,
            flock: true,
            dotlock: true,
            dotlock_may_fail: false,
            attempts: 1,
            delay: Duration::ZERO,
            stale: Duration::from_secs(500),
        }
    }

    #[test]
    fn a_lock_file_excludes_until_it_is_dropped() {
        let directory = tempfile::tempdir().unwrap();
        let mailbox = directory.path().join("joe").display().to_string();
        let held = locking().lock_path(&mailbox).unwrap().unwrap();
        let failure = locking().lock_path(&mailbox).unwrap_err();
        assert_eq!(failure.text, format!("unable to create lock file {mailbox}.lock: File exists"));
        assert_eq!(failure.status, Status::new(4, 2, 0));
        // Nothing changes that for one who could do without the file.
        assert!(Locking { dotlock_may_fail: true, ..locking() }.lock_path(&mailbox).is_err());
        drop(held);
        assert!(locking().lock_path(&mailbox).unwrap().is_some());
    }

    #[test]
    fn a_stale_lock_file_is_removed() {
        let directory = tempfile::tempdir().unwrap();
        let mailbox = directory.path().join("joe").display().to_string();
        File::create(format!("{mailbox}.lock")).unwrap();
        let impatient = Locking { stale: Duration::ZERO, attempts: 2, ..locking() };
        assert!(impatient.lock_path(&mailbox).unwrap().is_some());
    }

    #[test]
    fn a_lock_file_that_can_not_be_made_may_be_done_without() {
        let directory = tempfile::tempdir().unwrap();
        let mailbox = directory.path().join("no-such-directory/joe").display().to_string();
        assert!(locking().lock_path(&mailbox).is_err());
        assert!(Locking { dotlock_may_fail: true, ..locking() }.lock_path(&mailbox).unwrap().is_none());
    }

    #[test]
    fn flock_excludes_another_opening_of_the_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        locking().lock_file(file.as_file()).unwrap();
        let other = file.reopen().unwrap();
        let failure = locking().lock_file(&other).unwrap_err();
        assert!(failure.text.starts_with("unable to lock for exclusive access: "), "{}", failure.text);
    }
}
