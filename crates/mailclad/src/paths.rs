//! Files and directories below queue_directory, in one place.
//!
//! | name | mode | what |
//! | --- | --- | --- |
//! | `pid/master.pid` | 0644 | locked by a running master, ours or Postfix's: one mail system for one queue |
//! | `mailclad/public/pickup` | 0666 | socket: sendmail brings messages |
//! | `mailclad/public/queue` | 0666 | socket: postqueue and postsuper; who may do what is decided by user id |
//! | `mailclad/maildrop/` | 1733 | messages left by sendmail while the system was down |
//! | `mailclad/tlstrace/` | 0700 | transcripts of TLS handshakes, where `smtpd_tls_loglevel` asks for them |
//! | `mailclad/store/` | 0700 | `queue.db`, `body/` |
//!
//! Postfix's own directories beside them are left as they are, so that the way back stays open.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use tables::users::User;

use crate::privilege::is_root;

/// Where things are.
#[derive(Clone, Debug)]
pub struct Paths {
    queue_directory: PathBuf,
}

impl Paths {
    /// Below queue_directory.
    pub fn new(queue_directory: &str) -> Paths {
        Paths { queue_directory: queue_directory.into() }
    }

    /// The master's lock.
    pub fn pid_file(&self) -> PathBuf {
        self.queue_directory.join("pid/master.pid")
    }

    /// sendmail's door.
    pub fn pickup_socket(&self) -> PathBuf {
        self.queue_directory.join("mailclad/public/pickup")
    }

    /// The commands' door.
    pub fn queue_socket(&self) -> PathBuf {
        self.queue_directory.join("mailclad/public/queue")
    }

    /// sendmail's back door.
    pub fn maildrop(&self) -> PathBuf {
        self.queue_directory.join("mailclad/maildrop")
    }

    /// Transcripts of TLS handshakes.
    pub fn tls_trace(&self) -> PathBuf {
        self.queue_directory.join("mailclad/tlstrace")
    }

    /// The store.
    pub fn spool(&self) -> PathBuf {
        self.queue_directory.join("mailclad/store")
    }

    /// Makes data_directory if it is missing, for `owner` alone, as post-install(1) does.
    pub fn create_data_directory(path: &str, owner: &User) -> io::Result<()> {
        let named =
            |error: io::Error| io::Error::new(error.kind(), format!("data_directory: {path}: {error}"));
        match fs::DirBuilder::new().mode(0o700).create(path) {
            Ok(()) if is_root() => chown(path, Some(owner.uid), Some(owner.gid)).map_err(named),
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(named(error)),
            _ => Ok(()),
        }
    }

    /// Makes what is missing, owned by `owner` when we are root. The error names the directory.
    pub fn create(&self, owner: &User) -> io::Result<()> {
        let named = |path: &Path, error: io::Error| {
            io::Error::new(error.kind(), format!("queue_directory: {}: {error}", path.display()))
        };
        for (name, mode, owned) in [
            ("", 0o755, false),
            ("pid", 0o755, false),
            ("mailclad", 0o755, false),
            ("mailclad/public", 0o755, true),
            ("mailclad/maildrop", 0o1733, true),
            ("mailclad/tlstrace", 0o700, true),
            ("mailclad/store", 0o700, true),
        ] {
            let path = self.queue_directory.join(name);
            match fs::DirBuilder::new().recursive(name.is_empty()).mode(mode).create(&path) {
                Ok(()) => {
                    // The mode is not subject to the caller's umask.
                    fs::set_permissions(&path, Permissions::from_mode(mode))
                        .map_err(|error| named(&path, error))?;
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
                Err(error) => return Err(named(&path, error)),
            }
            if owned && is_root() {
                chown(&path, Some(owner.uid), Some(owner.gid)).map_err(|error| named(&path, error))?;
            }
        }
        Ok(())
    }
}
