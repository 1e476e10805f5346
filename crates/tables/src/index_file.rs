//! The kinds of index that postmap(1) makes, behind one door: which file they are in, how a key is looked up, how a whole index is
//! written.

use std::collections::HashMap;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::Path;

use crate::berkeley::{self, Database, Method};
use crate::handed_over;
use crate::lmdb::Lmdb;
use crate::watched::os_text;

/// The kinds, by the name of their table type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Hash,
    Btree,
    Cdb,
    Lmdb,
}

impl Kind {
    /// The kind behind a table type; `None` for types without an index.
    pub(crate) fn of(type_name: &str) -> Option<Kind> {
        match type_name {
            "hash" => Some(Kind::Hash),
            "btree" => Some(Kind::Btree),
            "cdb" => Some(Kind::Cdb),
            "lmdb" => Some(Kind::Lmdb),
            _ => None,
        }
    }

    /// `path` with the ending of this kind.
    pub(crate) fn file_name(self, path: &str) -> String {
        let ending = match self {
            Kind::Hash | Kind::Btree => "db",
            Kind::Cdb => "cdb",
            Kind::Lmdb => "lmdb",
        };
        format!("{path}.{ending}")
    }

    /// What Postfix calls such an index in a warning.
    pub(crate) fn told_name(self, path: &str) -> String {
        match self {
            Kind::Hash | Kind::Btree => self.file_name(path),
            Kind::Cdb => path.to_owned(),
            Kind::Lmdb => format!("lmdb:{path}"),
        }
    }

    /// Do Postfix's builds end keys and values with NUL?
    pub(crate) fn ends_with_nul(self) -> bool {
        matches!(self, Kind::Hash | Kind::Btree)
    }

    fn method(self) -> Option<Method> {
        match self {
            Kind::Hash => Some(Method::Hash),
            Kind::Btree => Some(Method::Btree),
            Kind::Cdb | Kind::Lmdb => None,
        }
    }

    /// Writes a whole index to a file that does not exist yet.
    pub(crate) fn write(self, index: HashMap<Vec<u8>, Vec<u8>>, path: &Path) -> Result<(), String> {
        let explain = |error: std::io::Error| os_text(&error);
        match self.method() {
            Some(method) => {
                let bytes = berkeley::write(method, index.into_iter().collect())?;
                std::fs::write(path, bytes).map_err(explain)
            }
            None if self == Kind::Cdb => {
                let file = File::create(path).map_err(explain)?;
                let mut maker = cdb2::CDBMake::new(file).map_err(explain)?;
                for (key, value) in &index {
                    maker.add(key, value).map_err(explain)?;
                }
                maker.finish().map_err(explain)
            }
            None => crate::lmdb::write(index, path),
        }
    }
}

/// An open index.
pub(crate) enum IndexFile {
    Berkeley(Database),
    Cdb(cdb2::CDB),
    Lmdb(Lmdb),
}

impl IndexFile {
    /// Opens it. `file` is open at its beginning; kinds that map files open `name` themselves.
    pub(crate) fn open(kind: Kind, file: File, name: &str) -> Result<IndexFile, String> {
        match kind {
            Kind::Hash | Kind::Btree => Database::open(file).map(IndexFile::Berkeley),
            Kind::Cdb => open_cdb(&file, name).map(IndexFile::Cdb).map_err(|error| os_text(&error)),
            Kind::Lmdb => Lmdb::open(name).map(IndexFile::Lmdb),
        }
    }

    /// Is it of the kind that its name promises? A hash and a btree share their ending.
    pub(crate) fn is(&self, kind: Kind) -> bool {
        match self {
            IndexFile::Berkeley(database) => kind.method() == Some(database.method()),
            IndexFile::Cdb(_) => kind == Kind::Cdb,
            IndexFile::Lmdb(_) => kind == Kind::Lmdb,
        }
    }

    /// The value of a key, as bytes in the file.
    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, String> {
        match self {
            IndexFile::Berkeley(database) => database.get(key),
            IndexFile::Cdb(cdb) => cdb.get(key).transpose().map_err(|error| os_text(&error)),
            IndexFile::Lmdb(lmdb) => lmdb.get(key),
        }
    }

    /// Everything in it.
    pub(crate) fn pairs(&self) -> Result<Vec<berkeley::Pair>, String> {
        match self {
            IndexFile::Berkeley(database) => database.pairs(),
            IndexFile::Cdb(cdb) => {
                cdb.iter().collect::<std::io::Result<_>>().map_err(|error| os_text(&error))
            }
            IndexFile::Lmdb(lmdb) => lmdb.pairs(),
        }
    }

    /// The file to lock while reading, for kinds that are rewritten in place.
    pub(crate) fn file(&self) -> Option<&File> {
        match self {
            IndexFile::Berkeley(database) => database.file(),
            IndexFile::Cdb(_) => None,
            IndexFile::Lmdb(lmdb) => Some(lmdb.file()),
        }
    }
}

fn open_cdb(file: &File, name: &str) -> std::io::Result<cdb2::CDB> {
    match cdb2::CDB::open(name) {
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            let copy = handed_over::copy(file)?;
            cdb2::CDB::open(format!("/proc/self/fd/{}", copy.as_raw_fd()))
        }
        opened => opened,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        for kind in [Kind::Hash, Kind::Btree, Kind::Cdb, Kind::Lmdb] {
            let name = kind.file_name(folder.path().join(format!("{kind:?}")).to_str().unwrap());
            let pair = |n: usize| (format!("key{n}").into_bytes(), vec![b'v'; n % 300 + 1]);
            kind.write((0..2000).map(pair).collect(), Path::new(&name)).unwrap();
            let index = IndexFile::open(kind, File::open(&name).unwrap(), &name).unwrap();
            assert!(index.is(kind));
            for n in [0, 7, 1999] {
                assert_eq!(index.get(&pair(n).0).unwrap(), Some(pair(n).1), "{kind:?}");
            }
            assert_eq!(index.get(b"absent").unwrap(), None);
            assert_eq!(index.pairs().unwrap().len(), 2000);
        }
    }

    #[test]
    fn a_file_of_another_kind_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let name = folder.path().join("x").display().to_string();
        std::fs::write(&name, vec![7; 9000]).unwrap();
        for kind in [Kind::Hash, Kind::Lmdb] {
            assert!(IndexFile::open(kind, File::open(&name).unwrap(), &name).is_err(), "{kind:?}");
        }
    }
}
