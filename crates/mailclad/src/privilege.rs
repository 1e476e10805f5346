//! Giving up root. The C library's calls change all threads of the process at once, as POSIX demands; those of `rustix`
//! change the calling thread alone.
//!
//! After [`become_user`] the process can not regain what it gave up.

use std::ffi::CString;
use std::io;

use tables::users::User;

/// What executing a set-user-id file may bring afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewPrivileges {
    /// Nothing: for roles, which execute nothing.
    Forbidden,
    /// What the file says: for a user's own commands, some of which are set-user-id.
    Allowed,
}

/// Becomes that user for good. Call it before any other thread has work to do. Without root it succeeds only
/// when there is nothing to change.
pub fn become_user(user: &User, new_privileges: NewPrivileges) -> io::Result<()> {
    if user.uid == 0 || user.gid == 0 {
        return Err(io::Error::other(format!(
            "user \"{}\" has user or group id 0: refusing to run as root",
            user.name
        )));
    }
    if !is_root() {
        return match rustix::process::geteuid().as_raw() == user.uid {
            true => apply(new_privileges),
            false => Err(io::Error::other(format!("only root can become user \"{}\"", user.name))),
        };
    }
    let name = CString::new(user.name.as_str()).map_err(|_| io::Error::other("user name with a NUL"))?;
    // SAFETY: `name` ends in NUL and lives through the call; the other calls take numbers only. Groups first, user last:
    // after setuid there would be no right to change groups.
    unsafe {
        check(libc::initgroups(name.as_ptr(), user.gid))?;
        check(libc::setgid(user.gid))?;
        check(libc::setuid(user.uid))?;
        // A second way back to root would be a kernel's or our mistake: make sure.
        if libc::setuid(0) == 0 {
            return Err(io::Error::other("root was given up and could be taken back"));
        }
    }
    apply(new_privileges)
}

/// Does this process have root's rights?
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn apply(new_privileges: NewPrivileges) -> io::Result<()> {
    match new_privileges {
        NewPrivileges::Forbidden => Ok(rustix::thread::set_no_new_privs(true)?),
        NewPrivileges::Allowed => Ok(()),
    }
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_becomes_root() {
        let root = User { name: "root".into(), uid: 0, gid: 0 };
        assert!(become_user(&root, NewPrivileges::Forbidden).is_err());
    }
}
