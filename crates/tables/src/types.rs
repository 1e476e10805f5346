//! The registry of table types: one line for each name that may stand before the colon.
//!
//! A new type is one file and one line. Names that Postfix knows and this build does not open stand here too, so
//! that an administrator hears "not built in yet" and not "unknown".

use crate::map::{Opened, Opening};
use crate::{
    cidr, client, debug, environ, fail, indexed, inline, pcre, pipemap, randmap, regexp, remote,
    static_value, texthash, unionmap, unix,
};

/// One table type.
pub struct TableType {
    /// The word before the colon.
    pub name: &'static str,
    /// What it is, in one line.
    pub about: &'static str,
    /// Opens one; `None` for types that are known and not built in.
    pub(crate) open: Option<Open>,
}

pub(crate) type Open = fn(&Opening<'_>) -> Result<Opened, String>;

impl TableType {
    /// Can tables of this type be opened?
    pub fn is_built_in(&self) -> bool {
        self.open.is_some()
    }
}

const fn built_in(name: &'static str, open: Open, about: &'static str) -> TableType {
    TableType { name, about, open: Some(open) }
}

const fn known(name: &'static str, about: &'static str) -> TableType {
    TableType { name, about, open: None }
}

/// Every type, by name; `postconf -m` prints the ones that are built in.
pub static TYPES: &[TableType] = &[
    built_in("btree", indexed::open, "sorted index FILE.db made by postmap, Berkeley DB format"),
    built_in("cdb", indexed::open, "constant index FILE.cdb made by postmap"),
    built_in("cidr", cidr::open, "networks and addresses, first match in file order"),
    known("dbm", "index FILE.dir, FILE.pag"),
    built_in("debug", debug::open, "another table, with its lookups logged"),
    built_in("environ", environ::open, "the process environment"),
    built_in("fail", fail::open, "fails every lookup; for tests"),
    built_in("hash", indexed::open, "hashed index FILE.db made by postmap, Berkeley DB format"),
    built_in("inline", inline::open, "keys and values in the configuration itself"),
    built_in("ldap", client::ldap::open, "LDAP directory"),
    built_in("lmdb", indexed::open, "sorted index FILE.lmdb made by postmap"),
    built_in("memcache", remote::memcache::open, "memcached server"),
    known("mongodb", "MongoDB server"),
    built_in("mysql", client::mysql::open, "MySQL or MariaDB server"),
    known("nis", "NIS map"),
    known("nisplus", "NIS+ map"),
    built_in("pcre", pcre::open, "Perl-compatible regular expressions, first match in file order"),
    built_in("pgsql", client::pgsql::open, "PostgreSQL server"),
    built_in("pipemap", pipemap::open, "tables in a row, each asked with the result of the one before"),
    built_in("proxy", proxy, "another table; tables are shared here, so it is opened in place"),
    built_in("randmap", randmap::open, "one of the given values, at random"),
    built_in("regexp", regexp::open, "POSIX regular expressions, first match in file order"),
    known("sdbm", "index FILE.dir, FILE.pag"),
    built_in("socketmap", remote::socketmap::open, "Sendmail socketmap server"),
    built_in("sqlite", client::sqlite::open, "SQLite file"),
    built_in("static", static_value::open, "one value for every key"),
    built_in("tcp", remote::tcp::open, "tcp_table(5) server"),
    built_in("texthash", texthash::open, "text in postmap's source format, read into memory"),
    built_in("unionmap", unionmap::open, "all results of several tables, joined by commas"),
    built_in("unix", unix::open, "users and groups of this machine: passwd.byname, group.byname"),
];

/// The type of that name.
pub fn find(name: &str) -> Option<&'static TableType> {
    TYPES.iter().find(|kind| kind.name == name)
}

/// `proxy:type:name`. proxymap(8) exists to share tables between processes and to reach out of a chroot; here
/// the tables of a process are shared anyway, so the prefix changes nothing.
fn proxy(opening: &Opening<'_>) -> Result<Opened, String> {
    opening.tables.try_open(opening.name, opening.flags)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_registry_is_sorted_and_names_are_unique() {
        assert!(TYPES.windows(2).all(|pair| pair[0].name < pair[1].name));
    }
}
