//! Contents that are files of their own, named after the queue id.
//!
//! Order of events: created here, filled by whoever receives the message, synced together with the directory, and only then
//! named by a row. A file that no row names is what a crash left, and is swept at start.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mail::QueueId;

use crate::disk::Disk;

/// The directory of body files.
#[derive(Clone)]
pub struct Bodies {
    directory: PathBuf,
    disk: Arc<dyn Disk>,
}

/// A content, wherever it is.
#[derive(Debug)]
pub enum Body {
    /// In memory.
    Inline(Vec<u8>),
    /// An open file, at its beginning.
    File(File),
}

/// Why a content can not be had.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The disk said no.
    #[error("body file of {id}: {error}")]
    Io {
        /// The message.
        id: QueueId,
        /// The reason.
        error: io::Error,
    },
    /// Size or checksum differ from what was received.
    #[error("body of {0} is damaged: its size or checksum differ from what was received")]
    Damaged(QueueId),
}

impl Bodies {
    /// Contents below `directory`, which exists.
    pub fn new(directory: PathBuf, disk: Arc<dyn Disk>) -> Bodies {
        Bodies { directory, disk }
    }

    /// An empty file for the content of `id`, open for writing.
    pub fn create(&self, id: &QueueId) -> io::Result<File> {
        self.disk.create(&self.path(id))
    }

    /// Opens the content of `id` and compares it with what was received.
    pub fn open(&self, id: &QueueId, size: u64, checksum: u32) -> Result<File, BodyError> {
        let io_error = |error| BodyError::Io { id: *id, error };
        let path = self.path(id);
        let (actual_size, actual_checksum) = self.disk.open(&path).and_then(measure).map_err(io_error)?;
        if (actual_size, actual_checksum) != (size, checksum) {
            return Err(BodyError::Damaged(*id));
        }
        self.disk.open(&path).map_err(io_error)
    }

    /// Opens the content of `id`, whatever is left of it: for people who look at a damaged message.
    pub fn open_as_is(&self, id: &QueueId) -> io::Result<File> {
        self.disk.open(&self.path(id))
    }

    /// Removes the content of `id`; it is no error when there is none.
    pub fn remove(&self, id: &QueueId) -> io::Result<()> {
        match self.disk.remove(&self.path(id)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    /// Makes these contents durable: each file, then once the directory that holds their names.
    pub(crate) fn sync(&self, id: &QueueId) -> io::Result<()> {
        self.disk.sync_file(&self.path(id))
    }

    pub(crate) fn sync_names(&self) -> io::Result<()> {
        self.disk.sync_directory(&self.directory)
    }

    /// Removes every file that is not in `named`. Gives how many went.
    pub(crate) fn sweep(&self, named: &HashSet<QueueId>) -> io::Result<usize> {
        let mut swept = 0;
        for name in self.disk.list(&self.directory)? {
            let keep = QueueId::parse(&name).is_some_and(|id| named.contains(&id));
            if !keep {
                self.disk.remove(&self.directory.join(&name))?;
                swept += 1;
            }
        }
        Ok(swept)
    }

    fn path(&self, id: &QueueId) -> PathBuf {
        // An id holds letters and digits only, so it can not lead out of the directory.
        self.directory.join(Path::new(id.as_str()))
    }
}

/// Size and CRC-32C of a file.
fn measure(mut file: File) -> io::Result<(u64, u32)> {
    let mut buffer = vec![0; 64 * 1024];
    let (mut size, mut checksum) = (0, 0);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok((size, checksum)),
            n => {
                size += n as u64;
                checksum = crc32c::crc32c_append(checksum, &buffer[..n]);
            }
        }
    }
}
