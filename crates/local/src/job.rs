//! What is done with somebody's rights, as a value that can be handed to the process that has these rights.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};

use serde::{Deserialize, Serialize};

use crate::command::{self, Run};
use crate::failure::{Failure, reason};
use crate::maildir::{self, Store};
use crate::mbox::{self, Append};
use crate::user::Rights;

/// One job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Job {
    /// With whose rights.
    pub(crate) rights: Rights,
    /// The root directory of a command, entered before the rights change: pipe(8) `chroot=`.
    pub(crate) chroot: Option<String>,
    pub(crate) work: Work,
    /// Bytes of the message that comes with the job; 0 for work without one.
    pub(crate) length: u64,
}

/// The kinds of work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Work {
    /// Append to a file.
    Append(Append),
    /// Store in a maildir.
    Store(Store),
    /// Run a command.
    Run(Run),
    /// Read a list of destinations.
    Read(ReadList),
}

/// A `.forward` or `:include:` file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReadList {
    /// Absolute paths; the first file that is there counts.
    pub(crate) paths: Vec<String>,
    /// Whose file it must be, if not root's: the user's own `.forward`.
    pub(crate) owner: Option<u32>,
}

/// What came of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Done {
    /// Delivered; with what a command said, or where in a file the message begins.
    Delivered(String),
    /// A list of destinations.
    List {
        /// Which of the paths it was.
        path: String,
        /// The file's text; bytes that are not UTF-8 are replaced.
        text: String,
    },
    /// None of the paths leads to a file.
    NoList,
    /// There is a list that must not be followed; the reason is for the log.
    UnsafeList(String),
    /// It was not done.
    Failed(Failure),
}

/// Longest list that is read, in bytes: a hundred thousand addresses.
const LONGEST_LIST: u64 = 4 * 1024 * 1024;

/// Does the work, with the rights that this process has.
pub(crate) fn perform(work: &Work, body: &mut dyn Read, length: u64) -> Done {
    let done = match work {
        Work::Append(job) => mbox::append(job, body, length).map(|begins| begins.to_string()),
        Work::Store(job) => maildir::store(job, body, length).map(|()| String::new()),
        Work::Run(job) => command::run(job, body, length),
        Work::Read(list) => return read(list),
    };
    match done {
        Ok(said) => Done::Delivered(said),
        Err(failure) => Done::Failed(failure),
    }
}

fn read(list: &ReadList) -> Done {
    const NO_WAIT: i32 = rustix::fs::OFlags::NONBLOCK.bits() as i32;
    for path in &list.paths {
        let mut file = match OpenOptions::new().read(true).custom_flags(NO_WAIT).open(path) {
            Ok(file) => file,
            // It is there, as everybody can see, and is not for the user to read.
            Err(error)
                if error.kind() == io::ErrorKind::PermissionDenied
                    && std::fs::symlink_metadata(path).is_ok() =>
            {
                return Done::UnsafeList(format!("cannot open file {path}: {}", reason(&error)));
            }
            Err(error) if is_absence(&error) => continue,
            Err(error) => {
                let text = format!("cannot open file {path}: {}", reason(&error));
                return Done::Failed(Failure::system(text));
            }
        };
        let failed = |error: io::Error| {
            Done::Failed(Failure::system(format!("error reading forwarding file: {}", reason(&error))))
        };
        let found = match file.metadata() {
            Ok(found) => found,
            Err(error) => return failed(error),
        };
        if !found.is_file() {
            return Done::UnsafeList(format!("file {path} is not a regular file"));
        }
        if list.owner.is_some_and(|owner| found.uid() != owner && found.uid() != 0) {
            return Done::UnsafeList(format!("file {path} has bad owner uid {}", found.uid()));
        }
        if found.permissions().mode() & 0o002 != 0 {
            return Done::UnsafeList(format!("file {path} is world writable"));
        }
        if found.len() > LONGEST_LIST {
            return Done::Failed(Failure::system(format!("file {path} is too large")));
        }
        let mut bytes = Vec::new();
        return match (&mut file).take(LONGEST_LIST).read_to_end(&mut bytes) {
            Ok(_) => Done::List { path: path.clone(), text: String::from_utf8_lossy(&bytes).into_owned() },
            Err(error) => failed(error),
        };
    }
    Done::NoList
}

/// A home that can not be entered has no `.forward`, as for Postfix.
fn is_absence(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::PermissionDenied
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_that_are_followed_and_lists_that_are_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name).display().to_string();
        for (name, mode) in [("good", 0o644), ("open", 0o666)] {
            std::fs::write(path(name), "a, b\n").unwrap();
            std::fs::set_permissions(path(name), PermissionsExt::from_mode(mode)).unwrap();
        }
        let uid = std::fs::metadata(path("good")).unwrap().uid();
        let list = |names: &[&str], owner: u32| {
            let paths = names.iter().map(|name| path(name)).collect();
            read(&ReadList { paths, owner: Some(owner) })
        };
        let good = Done::List { path: path("good"), text: "a, b\n".into() };
        assert_eq!(list(&["good+x", "good/y", "good"], uid), good);
        assert_eq!(list(&["none"], uid), Done::NoList);
        assert_eq!(
            list(&["open"], uid),
            Done::UnsafeList(format!("file {} is world writable", path("open")))
        );
        let directory = Done::UnsafeList(format!("file {} is not a regular file", path("")));
        assert_eq!(list(&[""], uid), directory);
        // Somebody else's file is not followed; root's is.
        let other = list(&["good"], uid + 1);
        match uid {
            0 => assert_eq!(other, good),
            _ => assert!(matches!(other, Done::UnsafeList(text) if text.contains("has bad owner uid"))),
        }
    }
}
