//! The certificate, key and authority files of a process: read once while it may still read them, kept in memory, and
//! replaced when master hands over a newer version.
//!
//! A process that has given up root can not open a key of mode 0600 again. Whoever needs a file asks here; the first to ask
//! reads it from the disk.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Largest certificate, key or authority file that is read, in bytes.
pub const MAX_FILE: u64 = 4 * 1024 * 1024;

/// Most files that one process keeps; each further one is read from the disk whenever it is needed.
pub const MAX_FILES: usize = 4096;

/// A file's bytes, and who may read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) bytes: Arc<[u8]>,
    /// Permission bits of stat(2).
    pub(crate) mode: u32,
}

/// The files by their paths, as the configuration writes them. An error is kept as well: it is told again until the file is
/// replaced.
#[derive(Default)]
pub struct Files {
    kept: Mutex<BTreeMap<String, Result<Content, String>>>,
}

impl Files {
    /// A file's content. The error is the system's words.
    pub(crate) fn read(&self, path: &str) -> Result<Content, String> {
        if let Some(kept) = self.lock().get(path) {
            return kept.clone();
        }
        let read = File::open(path).and_then(|file| content(&file)).map_err(|error| words(&error));
        let mut kept = self.lock();
        if kept.len() < MAX_FILES {
            kept.insert(path.to_owned(), read.clone());
        }
        read
    }

    /// Reads a file now, for those who need it when it can not be read any more. What is wrong with it is told to them.
    pub fn remember(&self, path: &str) {
        let _ = self.read(path);
    }

    /// Every path that was asked for so far. These are the files worth watching.
    pub fn paths(&self) -> Vec<String> {
        self.lock().keys().cloned().collect()
    }

    /// Takes the newer version of a file that is known here: an open descriptor, or nothing when the file is gone. True when its
    /// content is another than before.
    pub fn replace(&self, path: &str, file: Option<&File>) -> bool {
        let read = match file {
            Some(file) => content(file).map_err(|error| words(&error)),
            None => Err("No such file or directory".to_owned()),
        };
        match self.lock().get_mut(path) {
            Some(kept) if bytes_of(kept) != bytes_of(&read) => {
                *kept = read;
                true
            }
            _ => false,
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Result<Content, String>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn bytes_of(read: &Result<Content, String>) -> Result<&[u8], &str> {
    read.as_ref().map(|content| &*content.bytes).map_err(String::as_str)
}

fn content(file: &File) -> io::Result<Content> {
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut bytes = Vec::new();
    // One more than allowed, since the file may grow while it is read.
    file.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(io::Error::other(format!("more than {MAX_FILE} bytes are no certificate or key")));
    }
    Ok(Content { bytes: bytes.into(), mode: metadata.permissions().mode() & 0o777 })
}

/// The system's words, without Rust's `(os error 2)`.
fn words(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_once_and_replaced_on_order() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key.pem");
        let name = path.to_str().unwrap();
        std::fs::write(&path, "one").unwrap();
        let files = Files::default();
        let text = |files: &Files| {
            files.read(name).map(|content| String::from_utf8_lossy(&content.bytes).into_owned())
        };
        assert_eq!(text(&files).as_deref(), Ok("one"));
        std::fs::write(&path, "two").unwrap();
        assert_eq!(text(&files).as_deref(), Ok("one"), "kept");
        let newer = File::open(&path).unwrap();
        assert!(files.replace(name, Some(&newer)));
        assert!(!files.replace(name, Some(&File::open(&path).unwrap())), "nothing new");
        assert_eq!(text(&files).as_deref(), Ok("two"));
        assert!(files.replace(name, None));
        assert_eq!(text(&files).unwrap_err(), "No such file or directory");
        assert!(!files.replace("/never/asked/for", Some(&newer)));
        assert_eq!(files.paths(), [name]);
    }

    #[test]
    fn what_is_no_small_regular_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("large");
        File::create(&path).unwrap().set_len(MAX_FILE + 1).unwrap();
        let files = Files::default();
        assert!(files.read(path.to_str().unwrap()).unwrap_err().contains("no certificate or key"));
        assert!(files.read(dir.path().to_str().unwrap()).is_err());
    }
}
