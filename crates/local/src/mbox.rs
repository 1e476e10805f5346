//! Appending to a file in mbox format, or to any other file that a recipient names (local(8), "MAILBOX DELIVERY" and
//! "EXTERNAL FILE DELIVERY").
//!
//! Runs with the recipient's rights. A delivery that fails leaves the file as long as it was.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use mail::Status;
use serde::{Deserialize, Serialize};

use crate::content::{CopyError, Format, copy};
use crate::failure::{Failure, reason};
use crate::lock::Locking;

/// Where and how to append.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Append {
    /// Absolute path.
    pub(crate) path: String,
    pub(crate) format: Format,
    pub(crate) locking: Locking,
    /// Most bytes that the file may have afterwards; 0 for no limit.
    pub(crate) limit: u64,
    /// Whose file it is.
    pub(crate) kind: FileKind,
}

/// What the rules for a file are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum FileKind {
    /// A mailbox: a plain file; of `owner`, where strict_mailbox_ownership asks for that.
    Mailbox { owner: Option<u32> },
    /// `/file/name` of an alias: anything that can be written to and can not be executed.
    Any,
}

/// Appends `length` bytes of `body`. Gives the place in the file where the message begins; 0 for what is no file.
pub(crate) fn append(job: &Append, body: &mut dyn Read, length: u64) -> Result<u64, Failure> {
    let file = open(&job.path).map_err(|error| Failure::mailbox("cannot open file", &error))?;
    let found = file.metadata().map_err(|error| Failure::mailbox("cannot look at file", &error))?;
    check(job, &found)?;
    if !found.is_file() {
        // A device or a pipe: nothing to lock, nothing to take back.
        return write(job, body, length, &file, None).map(|()| 0).map_err(|trouble| trouble.failure());
    }
    let _lock_file = job.locking.lock_path(&job.path)?;
    job.locking.lock_file(&file)?;
    // Measured under the lock: another delivery may just have ended.
    let before = file.metadata().map_err(|error| Failure::mailbox("cannot look at file", &error))?.len();
    write(job, body, length, &file, Some(before)).map_err(|trouble| {
        if let Err(error) = file.set_len(before).and_then(|()| file.sync_all()) {
            let text = format!("cannot take back a part of a message: {}", reason(&error));
            return Failure::new(Status::new(4, 2, 0), format!("{}; {text}", trouble.failure().text));
        }
        trouble.failure()
    })?;
    Ok(before)
}

/// What went wrong while a message was written.
enum Trouble {
    Read(io::Error),
    Write(io::Error),
}

impl Trouble {
    fn failure(&self) -> Failure {
        match self {
            Trouble::Read(error) => Failure::system(format!("error reading message: {}", reason(error))),
            Trouble::Write(error) => Failure::mailbox("error writing message", error),
        }
    }
}

fn write(
    job: &Append,
    body: &mut dyn Read,
    length: u64,
    file: &File,
    size: Option<u64>,
) -> Result<(), Trouble> {
    let room = match size {
        Some(size) if job.limit > 0 => job.limit.saturating_sub(size),
        _ => u64::MAX,
    };
    let mut out = BufWriter::with_capacity(64 * 1024, Limited { file, room });
    copy(&job.format, body, length, &mut out).map_err(|error| match error {
        CopyError::Read(error) => Trouble::Read(error),
        CopyError::Write(error) => Trouble::Write(error),
    })?;
    out.flush().map_err(Trouble::Write)?;
    match size {
        Some(_) => file.sync_all().map_err(Trouble::Write),
        None => Ok(()),
    }
}

/// A file that refuses to grow over the limit, as RLIMIT_FSIZE would make it.
struct Limited<'a> {
    file: &'a File,
    room: u64,
}

impl Write for Limited<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() as u64 > self.room {
            return Err(rustix::io::Errno::FBIG.into());
        }
        let written = self.file.write(bytes)?;
        self.room -= written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Opens for appending, or creates. Not through a symbolic link, but for one that root made in a directory of root's.
fn open(path: &str) -> io::Result<File> {
    const NO_FOLLOW: i32 = rustix::fs::OFlags::NOFOLLOW.bits() as i32;
    // A named pipe without a reader must not hold us up.
    const NO_WAIT: i32 = rustix::fs::OFlags::NONBLOCK.bits() as i32;
    let mut options = OpenOptions::new();
    options.append(true);
    // Between looking and making, another delivery may have made it.
    for _ in 0..3 {
        match open_or_make(path, &options, NO_FOLLOW, NO_WAIT) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            other => return other,
        }
    }
    open_or_make(path, &options, NO_FOLLOW, NO_WAIT)
}

fn open_or_make(path: &str, options: &OpenOptions, no_follow: i32, no_wait: i32) -> io::Result<File> {
    let existing = match options.clone().custom_flags(no_follow | no_wait).open(path) {
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
            match is_link_of_root(Path::new(path)) {
                true => options.clone().custom_flags(no_wait).open(path),
                false => return Err(io::Error::other("file is a symbolic link")),
            }
        }
        other => other,
    };
    match existing {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            options.clone().create_new(true).mode(0o600).custom_flags(no_follow).open(path)
        }
        other => other,
    }
}

fn is_link_of_root(path: &Path) -> bool {
    let of_root = |found: &Metadata| found.uid() == 0;
    let link = std::fs::symlink_metadata(path);
    let parent = path.parent().map(std::fs::metadata);
    matches!((link, parent), (Ok(link), Some(Ok(parent)))
        if of_root(&link) && of_root(&parent) && parent.permissions().mode() & 0o022 == 0)
}

fn check(job: &Append, found: &Metadata) -> Result<(), Failure> {
    if found.is_file() && found.nlink() != 1 {
        let text = format!("file has {} hard links", found.nlink());
        return Err(Failure::new(Status::new(4, 2, 0), text));
    }
    match job.kind {
        FileKind::Mailbox { .. } if !found.is_file() => {
            Err(Failure::new(Status::new(5, 2, 0), format!("destination {} is not a regular file", job.path)))
        }
        FileKind::Mailbox { owner: Some(owner) } if found.uid() != owner => Err(Failure::new(
            Status::new(4, 2, 0),
            format!("destination {} is not owned by recipient", job.path),
        )),
        FileKind::Any if found.is_file() && found.permissions().mode() & 0o111 != 0 => {
            Err(Failure::new(Status::new(5, 7, 1), "file is executable"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::tests::locking;

    fn job(path: &Path) -> Append {
        Append {
            path: path.display().to_string(),
            format: Format::mbox("From a@b  date\nReturn-Path: <a@b>\n".into()),
            locking: locking(),
            limit: 0,
            kind: FileKind::Mailbox { owner: None },
        }
    }

    fn deliver(job: &Append, text: &str) -> Result<(), Failure> {
        append(job, &mut text.as_bytes(), text.len() as u64).map(drop)
    }

    #[test]
    fn messages_follow_each_other() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("joe");
        deliver(&job(&path), "A: b\n\nFrom x\n").unwrap();
        deliver(&job(&path), "A: c\n\ntext").unwrap();
        let first = "From a@b  date\nReturn-Path: <a@b>\nA: b\n\n>From x\n\n";
        let second = "From a@b  date\nReturn-Path: <a@b>\nA: c\n\ntext\n\n";
        assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{first}{second}"));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1, "the lock file is gone");
    }

    #[test]
    fn a_delivery_that_fails_leaves_the_file_as_it_was() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("joe");
        deliver(&job(&path), "A: b\n\n").unwrap();
        let before = std::fs::read(&path).unwrap();
        let large = "x".repeat(200_000);
        let limited = Append { limit: 100_000, ..job(&path) };
        let failure = deliver(&limited, &large).unwrap_err();
        assert_eq!(failure, Failure::new(Status::new(5, 2, 2), "error writing message: File too large"));
        // The message breaks off after its first half.
        let failure = append(&job(&path), &mut large.as_bytes(), 400_000).unwrap_err();
        assert_eq!(failure.status, Status::new(4, 3, 0));
        assert_eq!(std::fs::read(&path).unwrap(), before);
        deliver(&limited, "A: c\n\n").unwrap();
    }

    #[test]
    fn files_that_are_no_mailboxes() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        std::fs::write(path("target"), "").unwrap();
        std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o777)).unwrap();
        std::os::unix::fs::symlink(path("target"), path("symlink")).unwrap();
        std::fs::write(path("linked"), "").unwrap();
        std::fs::hard_link(path("linked"), path("link")).unwrap();
        std::fs::write(path("script"), "").unwrap();
        std::fs::set_permissions(path("script"), PermissionsExt::from_mode(0o755)).unwrap();
        let uid = std::fs::metadata(path("target")).unwrap().uid();
        let mailbox = FileKind::Mailbox { owner: Some(uid) };
        let not_owned = format!("destination {} is not owned by recipient", path("target").display());
        let device = Path::new("/dev/null");
        for (file, kind, status, text) in [
            (path("symlink"), mailbox, Status::new(4, 2, 0), "cannot open file: file is a symbolic link"),
            (path("link"), mailbox, Status::new(4, 2, 0), "file has 2 hard links"),
            (path("target"), FileKind::Mailbox { owner: Some(uid + 1) }, Status::new(4, 2, 0), &not_owned),
            (path("script"), FileKind::Any, Status::new(5, 7, 1), "file is executable"),
            (device.into(), mailbox, Status::new(5, 2, 0), "destination /dev/null is not a regular file"),
        ] {
            let failure = deliver(&Append { kind, ..job(&file) }, "A: b\n").unwrap_err();
            assert_eq!(failure, Failure::new(status, text));
        }
        assert_eq!(std::fs::read(path("target")).unwrap(), b"");
        deliver(&Append { kind: FileKind::Any, ..job(device) }, "A: b\n").unwrap();
        deliver(&Append { kind: mailbox, ..job(&path("target")) }, "A: b\n").unwrap();
    }

    #[test]
    fn many_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("joe");
        let patient = Append {
            locking: Locking { attempts: 10_000, delay: std::time::Duration::from_millis(1), ..locking() },
            ..job(&path)
        };
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| deliver(&patient, &format!("A: b\n\n{}\n", "x".repeat(100_000))).unwrap());
            }
        });
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.matches("From a@b").count(), 8);
        assert!(text.split("\n\nFrom a@b").all(|message| message.matches("x").count() == 100_000));
    }
}
