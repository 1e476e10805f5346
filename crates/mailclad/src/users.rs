//! The system's users by name: mail_owner and the recipients. Asks getent(1) for users that /etc/passwd does not have, so
//! that directories behind NSS work without code of theirs in our address space.

use std::process::Command;

use crate::privilege::User;

/// The user of that name; `None` when there is none.
pub fn find(name: &str) -> Option<User> {
    let listed = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    listed.lines().find_map(|line| parse(line, name)).or_else(|| {
        // A name that getent would take for an option or a number is no login name.
        let plain = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        let output = plain.then(|| Command::new("getent").args(["passwd", name]).output().ok()).flatten()?;
        parse(String::from_utf8_lossy(&output.stdout).lines().next()?, name)
    })
}

/// The name of the user with that number; `None` when there is none.
pub fn name_of(uid: u32) -> Option<String> {
    let output = Command::new("getent").args(["passwd", &uid.to_string()]).output().ok()?;
    let line = String::from_utf8_lossy(&output.stdout);
    line.split(':').next().filter(|name| !name.is_empty()).map(str::to_owned)
}

/// A line of passwd(5), when it is about `name`.
fn parse(line: &str, name: &str) -> Option<User> {
    let mut fields = line.split(':');
    if fields.next() != Some(name) {
        return None;
    }
    let (uid, gid) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(User { name: name.to_owned(), uid, gid })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_passwd() {
        let line = "postfix:x:106:113:Mail:/var/spool/postfix:/usr/sbin/nologin";
        assert_eq!(parse(line, "postfix"), Some(User { name: "postfix".into(), uid: 106, gid: 113 }));
        assert_eq!(parse(line, "post"), None);
        assert_eq!(parse("broken:x:abc", "broken"), None);
        assert!(find("root").is_some_and(|user| user.uid == 0));
        assert_eq!(find("-s"), None);
    }
}
