//! One mail system for one queue: `pid/master.pid`, locked for as long as master lives.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

/// The lock; dropped, it is free.
#[derive(Debug)]
pub struct Lock(#[allow(dead_code)] File);

impl Lock {
    /// Takes the lock and writes our process id beside it.
    pub fn take(path: &Path) -> Result<Lock, String> {
        let named = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(path)
            .map_err(|error| named(&error))?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            return Err("the Postfix mail system is already running".into());
        }
        file.set_len(0)
            .and_then(|()| writeln!(file, "{:>10}", std::process::id()))
            .map_err(|error| named(&error))?;
        Ok(Lock(file))
    }
}

/// The process id of the master that holds the lock; `None` when nobody does.
pub fn running_pid(path: &Path) -> Option<i32> {
    let mut file = OpenOptions::new().read(true).open(path).ok()?;
    if flock(&file, FlockOperation::NonBlockingLockShared).is_ok() {
        return None;
    }
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    text.trim().parse().ok().filter(|pid| *pid > 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_master_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("master.pid");
        assert_eq!(running_pid(&path), None);
        let lock = Lock::take(&path).unwrap();
        assert_eq!(running_pid(&path), Some(std::process::id() as i32));
        assert!(Lock::take(&path).unwrap_err().contains("already running"));
        drop(lock);
        assert_eq!(running_pid(&path), None);
    }
}
