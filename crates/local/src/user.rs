//! The users of this machine, and with whose rights a delivery is made (local(8), "DELIVERY RIGHTS").
//!
//! Who exists is the name service's knowledge: the table `unix:passwd.byname` is asked. Rights are numbers only: like
//! Postfix, no delivery has the secondary groups of its user.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tables::{Flags, Lookup, Map, Tables};

/// One line of passwd(5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User {
    /// Login name.
    pub(crate) name: String,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Home directory; may be empty.
    pub(crate) home: String,
    /// Login shell; may be empty.
    pub(crate) shell: String,
}

impl User {
    /// Reads a line of passwd(5); `None` for a broken one.
    pub(crate) fn parse(line: &str) -> Option<User> {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _password, uid, gid, _full_name, home, shell] = fields[..] else { return None };
        Some(User {
            name: name.to_owned(),
            uid: uid.parse().ok()?,
            gid: gid.parse().ok()?,
            home: home.to_owned(),
            shell: shell.to_owned(),
        })
    }

    /// The rights of this user.
    pub(crate) fn rights(&self) -> Rights {
        Rights { uid: self.uid, gid: self.gid }
    }
}

/// What a delivery may do: that of a user id and one group id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Rights {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl Rights {
    /// These rights, or `other` when these are root's: nothing is delivered as root.
    pub(crate) fn or_if_root(self, other: Rights) -> Rights {
        if self.uid == 0 { other } else { self }
    }
}

/// The table of users.
#[derive(Clone)]
pub(crate) struct Users(Arc<Map>);

impl Users {
    /// Opens `spec`, [`Users::SYSTEM`] but in tests.
    pub(crate) fn open(tables: &Tables, spec: &str) -> Users {
        // A login name is looked up as it was folded by local(8) already.
        Users(tables.map(spec, Flags { fold: false, ..Flags::default() }))
    }

    /// The users of this machine.
    pub(crate) const SYSTEM: &str = "unix:passwd.byname";

    /// The user of that name. The error is the reason why the name service could not be asked.
    pub(crate) async fn find(&self, name: &str) -> Result<Option<User>, String> {
        match self.0.lookup(name).await {
            Lookup::Found(line) => Ok(User::parse(&line)),
            Lookup::Absent => Ok(None),
            Lookup::Failed(why) => Err(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_passwd() {
        let joe = User {
            name: "joe".into(),
            uid: 1000,
            gid: 100,
            home: "/home/joe".into(),
            shell: "/bin/sh".into(),
        };
        for (line, expected) in [
            ("joe:x:1000:100:Joe,,,:/home/joe:/bin/sh", Some(joe)),
            ("joe:x:many:100::/home/joe:/bin/sh", None),
            ("joe:x:1000:100", None),
            ("", None),
        ] {
            assert_eq!(User::parse(line), expected, "{line}");
        }
    }

    #[tokio::test]
    async fn root_is_a_user_whose_rights_are_never_taken() {
        let users = Users::open(&Tables::silent(), Users::SYSTEM);
        let root = users.find("root").await.unwrap().unwrap();
        let nobody = Rights { uid: 65534, gid: 65534 };
        assert_eq!(root.rights().or_if_root(nobody), nobody);
        assert_eq!(Rights { uid: 5, gid: 0 }.or_if_root(nobody).uid, 5);
        assert_eq!(users.find("no such user").await, Ok(None));
    }
}
