//! Users and groups of the system, as its name service has them: getpwnam(3), getgrnam(3). That may be LDAP or anything else, so
//! reading /etc/passwd would not do.

use nix::errno::Errno;
use nix::unistd::{self, Uid};

/// A line of passwd(5), as far as others than `unix:` tables want it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Login name.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
}

impl User {
    /// The user of that name; `None` when there is none. The error says why the name service could not be asked.
    pub fn named(name: &str) -> Result<Option<User>, String> {
        Ok(user(name)?.map(User::from))
    }

    /// The user with that number; `None` when there is none. The error says why the name service could not be asked.
    pub fn numbered(uid: u32) -> Result<Option<User>, String> {
        Ok(found(unistd::User::from_uid(Uid::from_raw(uid)))?.map(User::from))
    }
}

/// What else the name service says of the user with that number: a full name up to the first comma.
pub fn gecos(uid: u32) -> Result<Option<String>, String> {
    let user = found(unistd::User::from_uid(Uid::from_raw(uid)))?;
    Ok(user.map(|user| user.gecos.to_string_lossy().into_owned()))
}

impl From<unistd::User> for User {
    fn from(user: unistd::User) -> User {
        User { name: user.name, uid: user.uid.as_raw(), gid: user.gid.as_raw() }
    }
}

/// `name:passwd:uid:gid:gecos:home:shell`; `None` when there is no such user.
pub(crate) fn passwd_line(name: &str) -> Result<Option<String>, String> {
    Ok(user(name)?.map(|user| {
        format!(
            "{}:{}:{}:{}:{}:{}:{}",
            user.name,
            user.passwd.to_string_lossy(),
            user.uid,
            user.gid,
            user.gecos.to_string_lossy(),
            user.dir.display(),
            user.shell.display()
        )
    }))
}

/// `name:passwd:gid:member,member`; `None` when there is no such group.
pub(crate) fn group_line(name: &str) -> Result<Option<String>, String> {
    if name.contains('\0') {
        return Ok(None);
    }
    let group = found(unistd::Group::from_name(name))?;
    Ok(group.map(|group| {
        format!("{}:{}:{}:{}", group.name, group.passwd.to_string_lossy(), group.gid, group.mem.join(","))
    }))
}

fn user(name: &str) -> Result<Option<unistd::User>, String> {
    // No name has a NUL, and none can be asked for.
    if name.contains('\0') { Ok(None) } else { found(unistd::User::from_name(name)) }
}

/// Systems differ in how they say "no such entry"; these are the ways that getpwnam(3) lists.
fn found<T>(answer: Result<Option<T>, Errno>) -> Result<Option<T>, String> {
    match answer {
        Err(Errno::ENOENT | Errno::ESRCH | Errno::EBADF | Errno::EPERM) => Ok(None),
        answer => answer.map_err(|error| std::io::Error::from(error).to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_has_a_name_and_a_number() {
        let root = User { name: "root".into(), uid: 0, gid: 0 };
        assert_eq!(User::named("root"), Ok(Some(root.clone())));
        assert_eq!(User::numbered(0), Ok(Some(root)));
        assert_eq!(User::named("no such user"), Ok(None));
        assert_eq!(User::named("a\0b"), Ok(None));
        assert_eq!(User::numbered(u32::MAX - 7), Ok(None));
    }
}
