//! Changing main.cf and master.cf and keeping the administrator's layout, as postconf(1) does with -e, -X and -#:
//! comments, empty lines and entries that nobody asked to change stay byte for byte.

mod main_cf;
mod master_cf;

pub use main_cf::MainEdit;
pub use master_cf::{MasterEdit, Part};

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What to do with the named entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Give a value (`-e`).
    Set,
    /// Delete (`-X`).
    Remove,
    /// Put `#` before each line (`-#`).
    CommentOut,
}

/// Replaces a file by what `edit` makes of its contents, in one step: a reader sees all of the old or all of the
/// new text. Others who edit at the same time wait. Mode and owner are kept. The error is what a command prints.
pub fn replace_file(
    path: &Path,
    edit: impl FnOnce(Vec<u8>) -> Result<Vec<u8>, String>,
) -> Result<(), String> {
    let temporary = temporary(path);
    let failed = |what: &str, path: &Path, error: io::Error| {
        let text = error.to_string();
        let text = text.split(" (os error").next().unwrap_or_default().to_owned();
        format!("{what} {}{text}", path.display())
    };
    let mut file = lock(&temporary).map_err(|error| failed("open", &with_colon(&temporary), error))?;
    let replaced = crate::main_cf::contents(path)
        .map_err(|error| error.to_string().replacen(": ", " for reading: ", 1))
        .and_then(edit)
        .and_then(|text| {
            write(&mut file, path, &text)
                .and_then(|()| fs::rename(&temporary, path))
                .map_err(|error| failed("close", &with_colon(&temporary), error))
        });
    if replaced.is_err() {
        // Ours, because we hold its lock; left behind it would do no harm.
        let _ = fs::remove_file(&temporary);
    }
    replaced
}

fn with_colon(path: &Path) -> PathBuf {
    let mut text = path.as_os_str().to_owned();
    text.push(": ");
    text.into()
}

/// `main.cf.tmp`: the same name each time, so that a crash leaves one file behind, not many.
fn temporary(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    name.into()
}

/// Opens the temporary file, and waits until nobody else has it.
fn lock(path: &Path) -> io::Result<File> {
    // Who had the lock before renames the file away: then it is to be made again. The bound is for a
    // file system on which that never settles.
    for _ in 0..1000 {
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
        file.lock()?;
        let (ours, theirs) = (file.metadata()?, fs::symlink_metadata(path));
        if theirs.is_ok_and(|theirs| (theirs.dev(), theirs.ino()) == (ours.dev(), ours.ino())) {
            file.set_len(0)?;
            return Ok(file);
        }
    }
    Err(io::Error::other("the file is replaced again and again"))
}

fn write(file: &mut File, original: &Path, text: &[u8]) -> io::Result<()> {
    let metadata = fs::metadata(original)?;
    file.set_permissions(metadata.permissions())?;
    let ours = file.metadata()?;
    if (metadata.uid(), metadata.gid()) != (ours.uid(), ours.gid()) {
        // Only root can give a file away; who may write in the directory may edit all the same.
        let _ = std::os::unix::fs::fchown(&*file, Some(metadata.uid()), Some(metadata.gid()));
    }
    file.write_all(text)?;
    file.sync_all()
}

/// A physical line with its end; the last one gets an end when it has none.
fn physical_lines(text: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    text.split_inclusive(|&byte| byte == b'\n').map(|line| {
        let mut line = line.to_vec();
        if !line.ends_with(b"\n") {
            line.push(b'\n');
        }
        line
    })
}

/// Whether a line is a comment, or blank.
fn is_layout(line: &[u8]) -> bool {
    line.iter().find(|byte| !byte.is_ascii_whitespace() && **byte != 0x0b).is_none_or(|&byte| byte == b'#')
}

/// Whether a line continues the one before it.
fn continues(line: &[u8]) -> bool {
    line.first().is_some_and(|byte| byte.is_ascii_whitespace() || *byte == 0x0b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_file_is_replaced_and_keeps_its_mode() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path().join("main.cf");
        fs::write(&path, "a = 1\n").expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("mode");
        replace_file(&path, |text| Ok([text, b"b = 2\n".to_vec()].concat())).expect("replaced");
        assert_eq!(fs::read_to_string(&path).expect("read"), "a = 1\nb = 2\n");
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o640);
        assert_eq!(fs::read_dir(directory.path()).expect("listed").count(), 1);
    }

    #[test]
    fn a_failed_edit_changes_nothing() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path().join("main.cf");
        fs::write(&path, "a = 1\n").expect("written");
        assert_eq!(replace_file(&path, |_| Err("no".to_owned())), Err("no".to_owned()));
        assert_eq!(fs::read_to_string(&path).expect("read"), "a = 1\n");
        assert_eq!(fs::read_dir(directory.path()).expect("listed").count(), 1);
        let missing = replace_file(&directory.path().join("none.cf"), Ok).expect_err("no such file");
        assert!(missing.ends_with("/none.cf for reading: No such file or directory"), "{missing}");
    }

    #[test]
    fn editors_at_the_same_time_lose_nothing() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path().join("main.cf");
        fs::write(&path, "").expect("written");
        std::thread::scope(|scope| {
            for number in 0..8 {
                let path = &path;
                scope.spawn(move || {
                    replace_file(path, |text| Ok([text, format!("p{number} = x\n").into_bytes()].concat()))
                });
            }
        });
        assert_eq!(fs::read_to_string(&path).expect("read").lines().count(), 8);
    }
}
