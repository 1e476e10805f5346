//! Berkeley DB files, the `.db` behind `hash:` and `btree:`, read and written without the library.
//!
//! Supported is what Postfix makes: one database per file, hash version 7 to 9 and btree version 8 to 10, in the
//! byte order of this machine, without encryption, checksums, duplicates or record numbers. Everything else is
//! refused by name. DB_CONFIG, environments and logs are ignored (CVE-2017-10140 came from reading DB_CONFIG).
//!
//! A file is written as a whole ([`write`]): postmap's rebuild, and also its incremental changes.

mod btree;
mod file;
mod hash;
mod page;
mod write_btree;
mod write_hash;
mod write_pages;

pub(crate) use file::Database;

/// The two access methods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Hash,
    Btree,
}

/// A key and its value, as bytes in the file.
pub(crate) type Pair = (Vec<u8>, Vec<u8>);

/// A whole database file. Keys must be unique; their order does not matter.
pub(crate) fn write(method: Method, pairs: Vec<Pair>) -> Result<Vec<u8>, String> {
    match method {
        Method::Hash => write_hash::write(pairs),
        Method::Btree => write_btree::write(pairs),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(count: usize) -> Vec<Pair> {
        let value = |n: usize| vec![b'v'; if n.is_multiple_of(97) { 3 * page::SIZE + n } else { n % 200 }];
        (0..count).map(|n| (format!("user{n}@example.com\0").into_bytes(), value(n))).collect()
    }

    fn reopened(bytes: &[u8]) -> Result<Database, String> {
        let mut file = tempfile::tempfile().unwrap();
        std::io::Write::write_all(&mut file, bytes).unwrap();
        Database::open(file)
    }

    #[test]
    fn what_is_written_is_found_again() {
        for method in [Method::Hash, Method::Btree] {
            // Nothing, one page, two levels of a tree, three levels.
            for count in [0, 1, 3, 100, 3_000, 40_000] {
                let mut written = pairs(count);
                let bytes = write(method, written.clone()).unwrap();
                assert_eq!(bytes.len() % page::SIZE, 0);
                let database = reopened(&bytes).unwrap();
                for (key, value) in written.iter().step_by(count / 50 + 1) {
                    assert_eq!(database.get(key).unwrap().as_ref(), Some(value));
                }
                assert_eq!(database.get(b"absent\0").unwrap(), None);
                let mut read = database.pairs().unwrap();
                written.sort();
                read.sort();
                assert!(read == written, "{method:?} {count}");
            }
        }
    }

    #[test]
    fn long_keys_are_kept() {
        let long: Vec<Pair> = (0_u8..20).map(|n| (vec![n + b'a'; 5000], vec![n; 3])).collect();
        for method in [Method::Hash, Method::Btree] {
            let database = reopened(&write(method, long.clone()).unwrap()).unwrap();
            for (key, value) in &long {
                assert_eq!(database.get(key).unwrap().as_ref(), Some(value));
            }
        }
    }

    #[test]
    fn other_formats_are_refused() {
        let good = write(Method::Hash, pairs(3)).unwrap();
        //   offset  byte  reason
        for (offset, byte, reason) in [
            (12, 0, "not a Berkeley DB hash or btree file"),
            (16, 3, "Berkeley DB hash version 3 is not supported"),
            (20, 1, "bad page size 4097"),
            (24, 1, "encrypted file"),
            (26, 1, "file with checksums"),
            (48, 1, "file with duplicate keys or other special features"),
            (92, 0, "unknown hash function"),
        ] {
            let mut bad = good.clone();
            bad[offset] = byte;
            assert_eq!(reopened(&bad).err().as_deref(), Some(reason));
        }
        assert_eq!(reopened(b"short").err().as_deref(), Some("file too short"));
        assert!(reopened(&good[..page::SIZE]).unwrap().get(b"x").is_err(), "a missing page");
    }

    /// Every byte of small files, damaged in two ways: an answer or an error, never a panic or an endless walk.
    #[test]
    fn damaged_files_never_panic() {
        for method in [Method::Hash, Method::Btree] {
            let good = write(method, pairs(150)).unwrap();
            let interesting = (0..good.len()).filter(|at| at % page::SIZE < 64 || at % 251 == 0);
            for at in interesting {
                for damage in [0xff, good[at] ^ 1] {
                    let mut bad = good.clone();
                    bad[at] = damage;
                    if let Ok(database) = reopened_in_memory(bad) {
                        let _ = database.get(b"user97@example.com\0");
                        let _ = database.pairs();
                    }
                }
            }
        }
    }

    fn reopened_in_memory(bytes: Vec<u8>) -> Result<Database, String> {
        Database::from_bytes(bytes)
    }
}
