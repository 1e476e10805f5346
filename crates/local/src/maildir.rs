//! One file for each message in a maildir: written and synced in `tmp`, then linked into `new` (local(8), virtual(8)).
//!
//! Runs with the recipient's rights. A crash at any step leaves either no message in `new` or the whole of it.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::content::{CopyError, Format, copy};
use crate::failure::{Failure, reason};

/// Where and how to deliver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Store {
    /// The maildir, absolute.
    pub(crate) path: String,
    pub(crate) format: Format,
    /// The end of the file's name.
    pub(crate) hostname: String,
    /// Most bytes of one message; 0 for no limit.
    pub(crate) limit: u64,
}

/// Tells deliveries of one process apart.
static COUNT: AtomicU32 = AtomicU32::new(0);

/// Stores `length` bytes of `body` as one message.
pub(crate) fn store(job: &Store, body: &mut dyn Read, length: u64) -> Result<(), Failure> {
    store_on(job, body, length, &mut |_| Ok(()))
        .map_err(|failure| failure.preceded_by("maildir delivery failed: "))
}

/// The steps after which a crash is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Created,
    Written,
    Synced,
    Published,
    DirectorySynced,
}

/// As [`store`]; `after` is told of each step and can end the delivery there.
fn store_on(
    job: &Store,
    body: &mut dyn Read,
    length: u64,
    after: &mut dyn FnMut(Step) -> io::Result<()>,
) -> Result<(), Failure> {
    let directory = Path::new(&job.path);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let (seconds, micros) = (now.as_secs(), now.subsec_micros());
    let name = format!(
        "{seconds}.P{}Q{}.{}",
        std::process::id(),
        COUNT.fetch_add(1, Ordering::Relaxed),
        job.hostname
    );
    let temporary = Temporary(directory.join("tmp").join(name));
    let path = temporary.0.display().to_string();
    let failed = |doing: &str, error: &io::Error| Failure::mailbox(&format!("{doing} {path}"), error);

    let file = create(directory, &temporary.0).map_err(|error| failed("create maildir file", &error))?;
    let stopped = |error: io::Error| Failure::mailbox("stopped", &error);
    after(Step::Created).map_err(stopped)?;

    if job.limit > 0 && length > job.limit {
        return Err(Failure::mailbox("error writing message", &rustix::io::Errno::FBIG.into()));
    }
    let mut out = BufWriter::with_capacity(64 * 1024, &file);
    copy(&job.format, body, length, &mut out).map_err(|error| match error {
        CopyError::Read(error) => Failure::system(format!("error reading message: {}", reason(&error))),
        CopyError::Write(error) => failed("error writing message", &error),
    })?;
    out.flush().map_err(|error| failed("error writing message", &error))?;
    drop(out);
    after(Step::Written).map_err(stopped)?;

    file.sync_data().map_err(|error| failed("sync", &error))?;
    after(Step::Synced).map_err(stopped)?;

    let found = file.metadata().map_err(|error| failed("fstat", &error))?;
    let (device, inode) = (found.dev(), found.ino());
    // Device and inode make the name unique while the file is there; the microsecond tells it from its successors.
    let name = format!("{seconds}.V{device:x}I{inode:x}M{micros}.{}", job.hostname);
    let new = directory.join("new");
    publish(temporary, &new.join(name)).map_err(|error| failed("link", &error))?;
    after(Step::Published).map_err(stopped)?;
    // The name must survive a power cut, not only the bytes.
    File::open(&new)
        .and_then(|directory| directory.sync_all())
        .map_err(|error| failed("sync the directory of", &error))?;
    after(Step::DirectorySynced).map_err(stopped)
}

/// A file in `tmp`; removed when this is dropped.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        // It may never have been created, or have been renamed.
        if !self.0.as_os_str().is_empty() {
            let _ = std::fs::remove_file(&self.0);
        }
    }
}

/// Creates the file, and the maildir when it is not there yet.
fn create(directory: &Path, path: &Path) -> io::Result<File> {
    let open = || OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    match open() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            for part in ["tmp", "new", "cur"] {
                DirBuilder::new().recursive(true).mode(0o700).create(directory.join(part))?;
            }
            open()
        }
        other => other,
    }
}

/// Gives the file its name in `new`, never in the place of another: by a rename that refuses to replace, or by a hard link where
/// the file system does not know such a rename.
fn publish(mut from: Temporary, to: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    use rustix::io::Errno;
    match renameat_with(CWD, &from.0, CWD, to, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => std::fs::hard_link(&from.0, to),
        renamed => {
            renamed?;
            // It is not there any more.
            from.0 = PathBuf::new();
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use mail::Status;

    use super::*;

    fn job(path: &Path) -> Store {
        Store {
            path: format!("{}/", path.display()),
            format: Format::plain("Return-Path: <a@b>\n".into()),
            hostname: "mx.test".into(),
            limit: 0,
        }
    }

    fn messages(path: &Path, part: &str) -> Vec<String> {
        let Ok(found) = std::fs::read_dir(path.join(part)) else { return Vec::new() };
        found.map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap()).collect()
    }

    #[test]
    fn a_message_and_the_directories_it_needs() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/Maildir");
        store(&job(&path), &mut &b"A: b\n\nFrom x\n"[..], 13).unwrap();
        assert_eq!(messages(&path, "new"), ["Return-Path: <a@b>\nA: b\n\nFrom x\n"]);
        assert_eq!(messages(&path, "tmp").len(), 0);
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path.join("new")), mode(&path.join("cur"))), (0o700, 0o700));
        let name = std::fs::read_dir(path.join("new")).unwrap().next().unwrap().unwrap();
        let name = name.file_name().into_string().unwrap();
        assert!(name.contains(".V") && name.contains('I') && name.ends_with(".mx.test"), "{name}");
    }

    #[test]
    fn a_crash_after_any_step_leaves_nothing_or_everything() {
        for last in [Step::Created, Step::Written, Step::Synced, Step::Published, Step::DirectorySynced] {
            let directory = tempfile::tempdir().unwrap();
            let mut seen = Vec::new();
            let mut after = |step| {
                seen.push((step, messages(directory.path(), "new")));
                if step == last { Err(io::Error::other("power cut")) } else { Ok(()) }
            };
            assert!(store_on(&job(directory.path()), &mut &b"A: b\n"[..], 5, &mut after).is_err());
            for (step, new) in seen {
                // Visible only once it was synced, and then whole.
                let expected = if step < Step::Published { 0 } else { 1 };
                assert_eq!(new.len(), expected, "{step:?}");
                assert!(new.iter().all(|text| text == "Return-Path: <a@b>\nA: b\n"));
            }
        }
    }

    #[test]
    fn what_fails_leaves_no_file() {
        let directory = tempfile::tempdir().unwrap();
        let limited = Store { limit: 3, ..job(directory.path()) };
        let failure = store(&limited, &mut &b"A: b\n"[..], 5).unwrap_err();
        assert_eq!(failure.status, Status::new(5, 2, 2));
        assert_eq!(failure.text, "maildir delivery failed: error writing message: File too large");
        // Half a message.
        assert!(store(&job(directory.path()), &mut &b"A: b\n"[..], 500).is_err());
        assert_eq!(messages(directory.path(), "tmp").len() + messages(directory.path(), "new").len(), 0);
        let file = directory.path().join("file");
        std::fs::write(&file, "").unwrap();
        let failure = store(&job(&file), &mut &b"A: b\n"[..], 5).unwrap_err();
        assert_eq!(failure.status, Status::new(4, 2, 0));
        assert!(
            failure.text.starts_with("maildir delivery failed: create maildir file "),
            "{}",
            failure.text
        );
        assert!(failure.text.ends_with(": Not a directory"), "{}", failure.text);
    }

    #[test]
    fn many_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("Maildir");
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..25 {
                        store(&job(&path), &mut &b"A: b\n"[..], 5).unwrap();
                    }
                });
            }
        });
        assert_eq!(messages(&path, "new").len(), 200);
        assert_eq!(messages(&path, "tmp").len(), 0);
    }
}
