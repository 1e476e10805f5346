//! Messages that sendmail(1) leaves in the maildrop directory while nobody listens, until pickup(8) takes them.
//!
//! A file is a line that names the format and the length of the envelope, the envelope ([`Submission`] in postcard form),
//! and the content with LF line ends. It is written under a name that begins with a dot and renamed when it is complete
//! and synced; the owner of the file is the submitter. Readers trust nothing else in the directory.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use link::message::Submission;

/// The first line, before the length.
const MAGIC: &str = "mailclad-maildrop-1";

/// Longest envelope that is read, in bytes: some ten thousand recipients.
const MAX_ENVELOPE: usize = 4 * 1024 * 1024;

/// Files that are taken at one look.
const MAX_LISTED: usize = 1000;

/// A message that was left.
pub struct Dropped {
    /// Who left it: the owner of the file.
    pub uid: u32,
    /// Its envelope.
    pub submission: Submission,
    /// Open at the beginning of the content.
    pub content: File,
    /// When it was left.
    pub arrival: SystemTime,
}

/// Leaves a message in the directory; durable when it returns. `name` must be one that nobody can guess: the file is readable
/// for the mail system's user and therefore for others, and only the directory, which they can not list, keeps it private.
pub fn write(
    directory: &Path,
    name: &str,
    submission: &Submission,
    content: &mut impl Read,
) -> io::Result<PathBuf> {
    let unfinished = directory.join(format!(".{name}"));
    let finished = directory.join(name);
    let written = write_file(&unfinished, submission, content)
        .and_then(|()| fs::rename(&unfinished, &finished))
        .and_then(|()| sync_name(directory));
    match written {
        Ok(()) => Ok(finished),
        Err(error) => {
            // The first error is the one to tell.
            let _ = fs::remove_file(&unfinished);
            Err(error)
        }
    }
}

/// The name becomes durable. Who may put files into the directory may not always read it; then the file system's own order has to
/// do.
fn sync_name(directory: &Path) -> io::Result<()> {
    match File::open(directory) {
        Ok(directory) => directory.sync_all(),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        Err(error) => Err(error),
    }
}

fn write_file(path: &Path, submission: &Submission, content: &mut impl Read) -> io::Result<()> {
    let envelope = postcard::to_stdvec(submission).map_err(io::Error::other)?;
    if envelope.len() > MAX_ENVELOPE {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "too many recipients"));
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(path)?;
    file.write_all(format!("{MAGIC} {}\n", envelope.len()).as_bytes())?;
    file.write_all(&envelope)?;
    io::copy(content, &mut file)?;
    file.sync_all()
}

/// The complete files of the directory, oldest name first; at most a thousand at a time.
pub fn list(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        if !hidden && entry.file_type()?.is_file() {
            paths.push(entry.path());
        }
        if paths.len() >= MAX_LISTED {
            break;
        }
    }
    paths.sort();
    Ok(paths)
}

/// Opens a file that was left. Links, pipes and files of another format are errors.
pub fn read(path: &Path) -> io::Result<Dropped> {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits() as i32).open(path)?;
    let metadata = file.metadata()?;
    // A second name could make somebody else's file look like this user's mail.
    if !metadata.is_file() || metadata.nlink() != 1 {
        return Err(wrong("not a regular file with one name"));
    }
    let mut reader = BufReader::new(file);
    let mut first = Vec::new();
    reader.by_ref().take(64).read_until(b'\n', &mut first)?;
    let length: usize = std::str::from_utf8(&first)
        .ok()
        .and_then(|line| line.trim_end().strip_prefix(MAGIC)?.trim_start().parse().ok())
        .filter(|length| *length <= MAX_ENVELOPE)
        .ok_or_else(|| wrong("not a message that sendmail left"))?;
    let mut envelope = vec![0; length];
    reader.read_exact(&mut envelope)?;
    let submission = postcard::from_bytes(&envelope).map_err(|_| wrong("the envelope makes no sense"))?;
    let mut content = reader.into_inner();
    content.seek(SeekFrom::Start((first.len() + length) as u64))?;
    let arrival = metadata.modified()?;
    Ok(Dropped { uid: metadata.uid(), submission, content, arrival })
}

fn wrong(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

#[cfg(test)]
mod tests {
    use mail::{Address, Envelope, Recipient};

    use super::*;

    fn submission() -> Submission {
        Submission {
            sender: None,
            full_name: Some("A User".into()),
            recipients: vec![Recipient::new(Address::internal("b@x.test").unwrap())],
            envelope: Envelope::default(),
        }
    }

    #[test]
    fn what_was_written_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = write(directory.path(), "1", &submission(), &mut &b"Subject: x\n\nbody\n"[..]).unwrap();
        fs::write(directory.path().join(".2"), "not complete").unwrap();
        assert_eq!(list(directory.path()).unwrap(), std::slice::from_ref(&path));
        let mut dropped = read(&path).unwrap();
        assert_eq!((dropped.uid, &dropped.submission), (rustix::process::geteuid().as_raw(), &submission()));
        let mut content = String::new();
        dropped.content.read_to_string(&mut content).unwrap();
        assert_eq!(content, "Subject: x\n\nbody\n");
    }

    #[test]
    fn nothing_else_in_the_directory_is_believed() {
        let directory = tempfile::tempdir().unwrap();
        let good = write(directory.path(), "good", &submission(), &mut &b""[..]).unwrap();
        let place = |name: &str| directory.path().join(name);
        for (name, bytes) in [
            ("empty", &b""[..]),
            ("text", b"hello\n"),
            ("long", b"mailclad-maildrop-1 99999999999\n"),
            ("short", b"mailclad-maildrop-1 100\nabc"),
            ("garbage", b"mailclad-maildrop-1 3\n\xff\xff\xff"),
        ] {
            fs::write(place(name), bytes).unwrap();
            assert!(read(&place(name)).is_err(), "{name}");
        }
        std::os::unix::fs::symlink(&good, place("link")).unwrap();
        assert!(read(&place("link")).is_err(), "a symbolic link");
        fs::hard_link(&good, place("second-name")).unwrap();
        assert!(read(&good).is_err(), "a file with two names");
    }
}
