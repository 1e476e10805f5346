//! Files of tables that this process could open when it started and can not open again, since it has given up root: master opens a newer
//! version and hands it over, as it does with private keys.
//!
//! One list for the process: a table's file is the same whoever asks for it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::watched::Stamp;

/// Most files that are remembered; what is beyond that needs a reload.
const MAX_FILES: usize = 4096;
/// Master needs two seconds, and the disk may be slow. For so long what was read before holds.
const PATIENCE: Duration = Duration::from_secs(10);

static FILES: Mutex<Files> =
    Mutex::new(Files { opened: BTreeSet::new(), closed: None, handed: BTreeMap::new() });

struct Files {
    /// Opened while the rights of the start were there, perhaps.
    opened: BTreeSet<String>,
    /// Those that can not be opened any more, and when that was found out.
    closed: Option<(BTreeSet<String>, Instant)>,
    handed: BTreeMap<String, File>,
}

/// Opens a file for reading; where that is not allowed any more, the version that was handed over, if it is the present one. Read it
/// by position: others may have the same descriptor.
pub(crate) fn open(path: &str) -> io::Result<File> {
    let opened = File::open(path);
    match &opened {
        Ok(_) => {
            let mut files = lock();
            if files.closed.is_none() && files.opened.len() < MAX_FILES {
                files.opened.insert(path.to_owned());
            }
        }
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            let files = lock();
            let Some(file) = files.handed.get(path) else { return opened };
            let present = std::fs::metadata(path).map(|found| Stamp::from(&found));
            let ours = Stamp::from(&file.metadata()?);
            // Where not even a look is allowed, master's is the last word.
            if present.is_ok_and(|present| present != ours) {
                return opened;
            }
            return file.try_clone();
        }
        Err(_) => {}
    }
    opened
}

/// A copy in memory, for readers who want a name to open.
pub(crate) fn copy(file: &File) -> io::Result<File> {
    let mut copy = File::from(rustix::fs::memfd_create("mailclad-table", rustix::fs::MemfdFlags::CLOEXEC)?);
    io::copy(&mut AtStart { file, at: 0 }, &mut copy)?;
    Ok(copy)
}

/// Reads a file from its start, wherever others stand in it.
pub(crate) struct AtStart<'a> {
    pub(crate) file: &'a File,
    pub(crate) at: u64,
}

impl io::Read for AtStart<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

/// The stamp of a file as it is now; `None` when it is gone.
pub(crate) fn stamp(path: &str) -> Option<Stamp> {
    match std::fs::metadata(path) {
        Ok(found) => Some(Stamp::from(&found)),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            lock().handed.get(path).and_then(|file| file.metadata().ok()).map(|found| Stamp::from(&found))
        }
        Err(_) => None,
    }
}

/// Has the file changed a moment ago, so that it is still to be handed over?
pub(crate) fn is_awaited(path: &str) -> bool {
    let files = lock();
    let Some((closed, since)) = &files.closed else { return false };
    if !closed.contains(path) {
        return false;
    }
    match std::fs::metadata(path) {
        Ok(found) => {
            let changed = UNIX_EPOCH + Duration::from_secs(found.ctime().unsigned_abs());
            SystemTime::now().duration_since(changed).is_ok_and(|age| age < PATIENCE)
        }
        // Not even a look is allowed: master's first version may be under way.
        Err(error) => error.kind() == ErrorKind::PermissionDenied && since.elapsed() < PATIENCE,
    }
}

/// The files that were opened so far and can not be opened now. Ask once, when the rights of the start have been given up.
pub fn closed() -> Vec<String> {
    let mut files = lock();
    let is_closed = |path: &&String| {
        File::open(path.as_str()).is_err_and(|error| error.kind() == ErrorKind::PermissionDenied)
    };
    let closed: BTreeSet<String> = files.opened.iter().filter(is_closed).cloned().collect();
    files.closed = Some((closed.clone(), Instant::now()));
    closed.into_iter().collect()
}

/// Takes the present version of a file that [`closed`] named: an open descriptor, or nothing when the file is gone.
pub fn take(path: &str, file: Option<&File>) {
    let mut files = lock();
    if !files.closed.as_ref().is_some_and(|(closed, _)| closed.contains(path)) {
        return;
    }
    match file.and_then(|file| file.try_clone().ok()) {
        Some(file) => _ = files.handed.insert(path.to_owned(), file),
        None => _ = files.handed.remove(path),
    }
}

fn lock() -> MutexGuard<'static, Files> {
    FILES.lock().unwrap_or_else(PoisonError::into_inner)
}
