//! The one trait through which files beside the database are touched, so that a test can stop a disk after every step.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use crate::store::StoreError;

/// The operations on body files and the journal whose order matters for durability.
pub trait Disk: Send + Sync {
    /// Makes a file that must not exist yet, readable and writable by its owner only.
    fn create(&self, path: &Path) -> io::Result<File>;
    /// Opens for reading.
    fn open(&self, path: &Path) -> io::Result<File>;
    /// Returns when the file's bytes are on the disk.
    fn sync_file(&self, path: &Path) -> io::Result<()>;
    /// Returns when the directory's names are on the disk.
    fn sync_directory(&self, path: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// The names in a directory.
    fn list(&self, path: &Path) -> io::Result<Vec<String>>;
    /// Opens a file for reading and writing in place. One that is missing or shorter than `size` bytes is made of zeros, on the disk
    /// with its name when this returns.
    fn reserve(&self, path: &Path, size: u64) -> io::Result<File>;
    /// Writes over what the file has there.
    fn write_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Returns when the bytes of an open file are on the disk.
    fn sync_data(&self, file: &File) -> io::Result<()>;
}

/// What the disk's word means for the store.
pub(crate) fn store_error(error: io::Error) -> StoreError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::NoSpace(error.to_string()),
        _ => StoreError::Other(error.to_string()),
    }
}

/// The machine's own.
pub struct RealDisk;

impl Disk for RealDisk {
    fn create(&self, path: &Path) -> io::Result<File> {
        // Read as well: Milters may have content changed before it is kept.
        OpenOptions::new().create_new(true).read(true).write(true).mode(0o600).open(path)
    }

    fn open(&self, path: &Path) -> io::Result<File> {
        File::open(path)
    }

    fn sync_file(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_data()
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        fs::read_dir(path)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }

    fn reserve(&self, path: &Path, size: u64) -> io::Result<File> {
        let mut file =
            OpenOptions::new().create(true).truncate(false).read(true).write(true).mode(0o600).open(path)?;
        let length = file.seek(SeekFrom::End(0))?;
        if length < size {
            // Zeros that were written, not only reserved: later writes change no block map, and need no more room.
            let zeros = io::repeat(0).take(size - length);
            if let Err(error) = io::copy(&mut io::BufReader::with_capacity(64 * 1024, zeros), &mut file) {
                // What little room there is, others need.
                file.set_len(length)?;
                return Err(error);
            }
            file.sync_all()?;
            if let Some(directory) = path.parent() {
                self.sync_directory(directory)?;
            }
        }
        Ok(file)
    }

    fn write_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        file.write_all_at(bytes, offset)
    }

    fn sync_data(&self, file: &File) -> io::Result<()> {
        file.sync_data()
    }
}
