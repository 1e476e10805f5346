//! The folder of the quickstart, and the user who owns what is in it.
//!
//! Started by root the server gives root up, so its files belong to a user without privileges, who must be able to reach
//! them; otherwise everything belongs to whoever started it.

use std::fs::{self, DirBuilder, File};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use nix::unistd::User;

/// First line of a main.cf that is ours to replace.
pub(crate) const MARK: &str = "# Made by the quickstart.";

const USUAL: &str = "quickstart";

/// The users to run as instead of root, the best first.
const OWNERS: [&str; 2] = ["postfix", "nobody"];

/// Who owns the mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    /// Login name.
    pub(crate) name: String,
    /// User id, not root's.
    pub(crate) uid: u32,
    /// Primary group.
    pub(crate) gid: u32,
}

/// The folder.
#[derive(Debug)]
pub(crate) struct Folder {
    /// Absolute.
    pub(crate) path: PathBuf,
    /// Who owns the mail.
    pub(crate) owner: Owner,
    as_root: bool,
}

impl Folder {
    /// Makes the folder where it does not exist, and makes sure that nothing of the visitor's is overwritten.
    pub(crate) fn make(wish: Option<&Path>) -> Result<Folder, String> {
        let as_root = rustix::process::geteuid().is_root();
        let owner = owner(as_root)?;
        let path =
            std::path::absolute(wish.unwrap_or(Path::new(USUAL))).map_err(|error| error.to_string())?;
        let path = match closed_parent(&path).filter(|_| as_root) {
            None => path,
            Some(closed) if wish.is_some() => {
                return Err(format!(
                    "{}: user {}, as whom the server runs, may not enter {}; choose another folder, or start without root",
                    path.display(),
                    owner.name,
                    closed.display()
                ));
            }
            // The usual folder, in a checkout below a closed home directory: a place that all can reach serves as well.
            Some(_) => std::env::temp_dir().join("mailclad-quickstart"),
        };
        let folder = Folder { path, owner, as_root };
        if !may_be_used(&folder.path)? {
            return Err(format!(
                "{} is in use for something else; choose another folder",
                folder.path.display()
            ));
        }
        folder.directory("", 0o755)?;
        Ok(folder)
    }

    /// A directory in it, with exactly that mode, of root or whoever started us.
    pub(crate) fn directory(&self, name: &str, mode: u32) -> Result<PathBuf, String> {
        let path = self.path.join(name);
        DirBuilder::new()
            .recursive(true)
            .create(&path)
            .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(mode)))
            .map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(path)
    }

    /// A directory that belongs to the owner of the mail.
    pub(crate) fn owned_directory(&self, name: &str) -> Result<PathBuf, String> {
        let path = self.directory(name, 0o700)?;
        if self.as_root {
            chown(&path, Some(self.owner.uid), Some(self.owner.gid))
                .map_err(|error| format!("{}: {error}", path.display()))?;
        }
        Ok(path)
    }

    /// Writes a file in it, with exactly that mode from its first byte.
    pub(crate) fn file(&self, name: &str, mode: u32, text: &str) -> Result<(), String> {
        let path = self.path.join(name);
        let write = || -> std::io::Result<()> {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut file = File::options().write(true).create_new(true).mode(mode).open(&path)?;
            file.set_permissions(fs::Permissions::from_mode(mode))?;
            file.write_all(text.as_bytes())
        };
        write().map_err(|error| format!("{}: {error}", path.display()))
    }
}

/// The first directory on the way to `path` that others may not enter.
fn closed_parent(path: &Path) -> Option<PathBuf> {
    let is_closed = |path: &&Path| fs::metadata(path).is_ok_and(|found| found.mode() & 0o001 == 0);
    path.ancestors().skip(1).filter(is_closed).last().map(Path::to_owned)
}

/// Absent; or ours, and empty or made by an earlier quickstart. A folder of another user may hold links, and what we write
/// and give away would be somewhere else.
fn may_be_used(path: &Path) -> Result<bool, String> {
    let named = |error: std::io::Error| format!("{}: {error}", path.display());
    let found = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(named(error)),
        Ok(found) => found,
    };
    if !found.is_dir() || found.uid() != rustix::process::geteuid().as_raw() {
        return Ok(false);
    }
    let is_empty = fs::read_dir(path).map_err(named)?.next().is_none();
    Ok(is_empty || fs::read_to_string(path.join("main.cf")).is_ok_and(|text| text.starts_with(MARK)))
}

fn owner(as_root: bool) -> Result<Owner, String> {
    let asked = |error: nix::errno::Errno| format!("the name service can not be asked: {error}");
    if as_root {
        for name in OWNERS {
            let user = User::from_name(name).map_err(asked)?;
            // root under another name is no answer.
            if let Some(user) = user.filter(|user| !user.uid.is_root() && user.gid.as_raw() != 0) {
                return Ok(Owner { name: user.name, uid: user.uid.as_raw(), gid: user.gid.as_raw() });
            }
        }
        return Err(format!("started by root, and there is none of the users {}", OWNERS.join(", ")));
    }
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    // The name is for reading only: without root nobody becomes anybody.
    let user = User::from_uid(uid.into()).map_err(asked)?;
    Ok(Owner { name: user.map_or(uid.to_string(), |user| user.name), uid, gid })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_somebody_else_is_left_alone() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("folder");
        assert_eq!(may_be_used(&folder), Ok(true), "absent");
        fs::create_dir(&folder).unwrap();
        assert_eq!(may_be_used(&folder), Ok(true), "empty");
        fs::write(folder.join("main.cf"), "myhostname = mail.example\n").unwrap();
        assert_eq!(may_be_used(&folder), Ok(false), "a configuration of somebody else");
        fs::write(folder.join("main.cf"), format!("{MARK}\n")).unwrap();
        assert_eq!(may_be_used(&folder), Ok(true), "an earlier quickstart");
        let link = root.path().join("link");
        std::os::unix::fs::symlink(&folder, &link).unwrap();
        assert_eq!(may_be_used(&link), Ok(false), "a link that somebody may turn");
    }

    #[test]
    fn the_outermost_closed_directory_is_named() {
        let root = tempfile::tempdir().unwrap();
        let inner = root.path().join("open");
        fs::create_dir(&inner).unwrap();
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(closed_parent(&inner.join("folder")).as_deref(), Some(root.path()));
    }

    #[test]
    fn a_secret_is_secret_even_where_a_public_file_was() {
        let root = tempfile::tempdir().unwrap();
        let owner = Owner { name: "x".into(), uid: 1, gid: 1 };
        let folder = Folder { path: root.path().to_owned(), owner, as_root: false };
        folder.file("key", 0o644, "old").unwrap();
        folder.file("key", 0o600, "new").unwrap();
        let found = fs::metadata(root.path().join("key")).unwrap();
        assert_eq!((found.mode() & 0o777, found.len()), (0o600, 3));
    }
}
