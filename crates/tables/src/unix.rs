//! `unix:passwd.byname` and `unix:group.byname`: users and groups as the system's name service has them, each as its
//! line in passwd(5) or group(5). The default of local_recipient_maps asks the first.

use crate::lookup::Lookup;
use crate::map::{Opened, Opening, Table};
use crate::users;

enum Unix {
    Passwd,
    Group,
}

pub(crate) fn open(opening: &Opening<'_>) -> Result<Opened, String> {
    let table = match opening.name {
        "passwd.byname" => Unix::Passwd,
        "group.byname" => Unix::Group,
        name => return Err(format!("unknown table: unix:{name}")),
    };
    Ok(Opened::Local(Box::new(table)))
}

impl Table for Unix {
    fn lookup(&self, key: &str) -> Lookup {
        let line = match self {
            Unix::Passwd => users::passwd_line(key),
            Unix::Group => users::group_line(key),
        };
        line.map_err(|why| format!("unix: {key}: {why}")).into()
    }
}

#[cfg(test)]
mod tests {
    use crate::lookup::Lookup;
    use crate::map::Flags;
    use crate::map::tests::{listening, now};

    #[test]
    fn root_is_known_and_nonsense_is_not() {
        let (tables, _) = listening();
        let users = tables.map("unix:passwd.byname", Flags::default());
        let Lookup::Found(line) = now(users.lookup("root")) else { panic!("no root") };
        assert!(line.starts_with("root:") && line.split(':').nth(2) == Some("0"), "{line}");
        assert_eq!(line.split(':').count(), 7);
        for key in ["no such user", "", "a\0b"] {
            assert_eq!(now(users.lookup(key)), Lookup::Absent, "{key:?}");
        }
        let groups = tables.map("unix:group.byname", Flags::default());
        assert!(matches!(now(groups.lookup("root")), Lookup::Found(line) if line.starts_with("root:")));
        let odd = tables.map("unix:services.byname", Flags::default());
        assert_eq!(now(odd.lookup("x")), Lookup::Failed("unknown table: unix:services.byname".into()));
    }
}
