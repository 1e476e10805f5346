//! Certificate, key and authority files, watched for the process that hears clients: it has given up the right to open them
//! again. Master opens what changed and hands over the descriptor; it reads no byte of a key.
//!
//! Files are looked at by path, so that a renewal by renaming or by another symbolic link is seen like one in place. Looking is a
//! stat(2) for each file and second, which needs no watch on directories that may be replaced as well.

use std::collections::BTreeMap;
use std::fs::{File, Metadata, OpenOptions};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::time::Duration;

/// How often files are looked at.
pub(super) const POLL: Duration = Duration::from_secs(1);

/// Most files that a process may have watched; the rest needs a reload.
const MAX_FILES: usize = 4096;

/// Tells one version of a file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl From<Metadata> for Stamp {
    fn from(metadata: Metadata) -> Stamp {
        Stamp {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// One file: what was seen last, and which version was handed over; `None` for a file that is not there.
#[derive(Default)]
struct Watched {
    seen: Option<Option<Stamp>>,
    handed_over: Option<Option<Stamp>>,
}

/// The files of one process.
#[derive(Default)]
pub(super) struct KeyFiles {
    files: BTreeMap<String, Watched>,
}

impl KeyFiles {
    /// Watches these. Each is handed over once at the beginning: it may have changed since the process read it.
    pub(super) fn new(paths: Vec<String>) -> KeyFiles {
        let files = paths.into_iter().take(MAX_FILES).map(|path| (path, Watched::default())).collect();
        KeyFiles { files }
    }

    /// The files that changed, open; nothing for one that is gone. A change is reported when no file has changed since the poll
    /// before: certificate and key of one renewal come together, and a file is not taken while it is written.
    pub(super) fn poll(&mut self) -> Vec<(String, Option<File>)> {
        let mut settled = true;
        for (path, watched) in &mut self.files {
            let now = std::fs::metadata(path).ok().map(Stamp::from);
            settled &= watched.seen == Some(now);
            watched.seen = Some(now);
        }
        if !settled {
            return Vec::new();
        }
        let mut changed = Vec::new();
        for (path, watched) in
            self.files.iter_mut().filter(|(_, watched)| watched.seen != watched.handed_over)
        {
            watched.handed_over = watched.seen;
            changed.push((path.clone(), open(path)));
        }
        changed
    }
}

/// Opens a regular file; never waits for the other end of a pipe.
fn open(path: &str) -> Option<File> {
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits() as i32;
    let file = OpenOptions::new().read(true).custom_flags(nonblocking).open(path).ok()?;
    file.metadata().is_ok_and(|metadata| metadata.is_file()).then_some(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_told_once_and_when_it_is_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
        let (cert, key) = (path("cert"), path("key"));
        std::fs::write(&cert, "1").unwrap();
        std::fs::write(&key, "1").unwrap();
        let mut files = KeyFiles::new(vec![cert.clone(), key.clone(), path("later")]);
        let names = |changed: Vec<(String, Option<File>)>| -> Vec<(String, bool)> {
            changed.into_iter().map(|(path, file)| (path, file.is_some())).collect()
        };
        assert_eq!(names(files.poll()), []);
        let first = names(files.poll());
        assert_eq!(first, [(cert.clone(), true), (key.clone(), true), (path("later"), false)]);
        assert_eq!(names(files.poll()), []);
        // A certificate, and its key a moment later: one change.
        std::fs::write(path("new"), "22").unwrap();
        std::fs::rename(path("new"), &cert).unwrap();
        assert_eq!(names(files.poll()), []);
        std::fs::write(&key, "22").unwrap();
        assert_eq!(names(files.poll()), []);
        assert_eq!(names(files.poll()), [(cert.clone(), true), (key.clone(), true)]);
        std::fs::remove_file(&key).unwrap();
        assert_eq!(names(files.poll()), []);
        assert_eq!(names(files.poll()), [(key.clone(), false)]);
    }

    #[test]
    fn the_target_of_a_link_is_what_counts() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["one", "two"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
            std::fs::write(dir.path().join(name).join("cert"), name).unwrap();
        }
        let live = dir.path().join("live");
        std::os::unix::fs::symlink("one", &live).unwrap();
        let cert = live.join("cert").to_str().unwrap().to_owned();
        let mut files = KeyFiles::new(vec![cert.clone()]);
        files.poll();
        assert_eq!(files.poll().len(), 1);
        std::os::unix::fs::symlink("two", dir.path().join("next")).unwrap();
        std::fs::rename(dir.path().join("next"), &live).unwrap();
        files.poll();
        let changed = files.poll();
        let text = std::io::read_to_string(changed[0].1.as_ref().unwrap()).unwrap();
        assert_eq!((changed[0].0.as_str(), text.as_str()), (cert.as_str(), "two"));
    }
}
