//! Notices that a file was replaced or rewritten.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

use crate::handed_over::{self, AtStart};

/// Identity and age of a file's content. Another stamp means: read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    seconds: i64,
    nanoseconds: i64,
}

impl From<&Metadata> for Stamp {
    fn from(meta: &Metadata) -> Self {
        Stamp {
            device: meta.dev(),
            inode: meta.ino(),
            size: meta.size(),
            seconds: meta.mtime(),
            nanoseconds: meta.mtime_nsec(),
        }
    }
}

/// Something read from a text file, read again when the file has changed. One `stat` per lookup: that is what lets
/// an administrator edit a table without a reload, as with Postfix.
pub(crate) struct Watched<T> {
    path: String,
    read: Box<dyn Fn(&str) -> T + Send + Sync>,
    state: std::sync::RwLock<State<T>>,
}

struct State<T> {
    stamp: Option<Stamp>,
    /// The content, or why there is none.
    content: std::sync::Arc<Result<T, String>>,
}

/// Largest text file read as a table.
pub(crate) const MAX_SOURCE: u64 = 256 << 20;

impl<T> Watched<T> {
    /// Reads the file now; `read` makes the content from the text, with its own warnings.
    pub(crate) fn open(path: &str, read: Box<dyn Fn(&str) -> T + Send + Sync>) -> Result<Self, String> {
        let state = load(path, &read);
        if let Err(reason) = &*state.content {
            return Err(reason.clone());
        }
        Ok(Watched { path: path.to_owned(), read, state: std::sync::RwLock::new(state) })
    }

    /// The present content. After the file vanished or became unreadable, the reason: what was read before must
    /// not be used any more, since nobody can know whether it still holds.
    pub(crate) fn content(&self) -> std::sync::Arc<Result<T, String>> {
        use std::sync::{Arc, PoisonError};
        let seen = handed_over::stamp(&self.path);
        {
            let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
            if state.stamp == seen && seen.is_some() {
                return Arc::clone(&state.content);
            }
        }
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        // Another session may have read it while this one waited.
        if state.stamp != seen || seen.is_none() {
            let now = load(&self.path, &self.read);
            if now.content.is_ok() || state.content.is_err() || !handed_over::is_awaited(&self.path) {
                *state = now;
            }
        }
        Arc::clone(&state.content)
    }
}

fn load<T>(path: &str, read: &dyn Fn(&str) -> T) -> State<T> {
    match read_text(path) {
        Ok((stamp, text)) => State { stamp: Some(stamp), content: std::sync::Arc::new(Ok(read(&text))) },
        Err(reason) => State { stamp: None, content: std::sync::Arc::new(Err(reason)) },
    }
}

/// Reads a bounded text file. Bytes that are not UTF-8 become U+FFFD; the source reader refuses lines with it.
pub(crate) fn read_text(path: &str) -> Result<(Stamp, String), String> {
    use std::io::Read;
    let explain = |e: std::io::Error| format!("open {path}: {}", os_text(&e));
    let file = handed_over::open(path).map_err(explain)?;
    let meta = file.metadata().map_err(explain)?;
    if meta.is_dir() {
        return Err(format!("open {path}: Is a directory"));
    }
    let mut bytes = Vec::with_capacity(meta.len().min(MAX_SOURCE) as usize);
    AtStart { file: &file, at: 0 }.take(MAX_SOURCE + 1).read_to_end(&mut bytes).map_err(explain)?;
    if bytes.len() as u64 > MAX_SOURCE {
        return Err(format!("open {path}: larger than {MAX_SOURCE} bytes"));
    }
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(e) => String::from_utf8_lossy(e.as_bytes()).into_owned(),
    };
    Ok((Stamp::from(&meta), text))
}

/// The system's words for an error, without Rust's `(os error 2)`.
pub(crate) fn os_text(error: &std::io::Error) -> String {
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
    fn a_changed_file_is_read_again_and_a_vanished_one_fails() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        std::fs::write(&path, "one").unwrap();
        let path = path.to_str().unwrap();
        let watched = Watched::open(path, Box::new(|text| text.to_owned())).unwrap();
        assert_eq!(*watched.content(), Ok("one".to_owned()));
        std::fs::write(path, "three").unwrap();
        assert_eq!(*watched.content(), Ok("three".to_owned()));
        std::fs::remove_file(path).unwrap();
        assert_eq!(*watched.content(), Err(format!("open {path}: No such file or directory")));
        std::fs::write(path, "back").unwrap();
        assert_eq!(*watched.content(), Ok("back".to_owned()));
    }
}
