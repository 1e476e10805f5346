//! `lmdb:file`: the index `file.lmdb` (lmdb_table(5)), through the LMDB library.
//!
//! Postfix opens such a file without LMDB's own lock file and locks the index itself; so do we, to read what it writes.
#![allow(unsafe_code)] // opening an environment maps a file that others may write; see below

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;

use heed::types::Bytes;
use heed::{Database, Env, EnvFlags, EnvOpenOptions};

use crate::berkeley::Pair;
use crate::watched::os_text;

/// An open index, for reading.
pub(crate) struct Lmdb {
    env: Env,
    database: Database<Bytes, Bytes>,
    file: File,
}

/// LMDB's longest key.
const LONGEST_KEY: usize = 511;

impl Lmdb {
    pub(crate) fn open(name: &str) -> Result<Lmdb, String> {
        let file = File::open(name).map_err(|error| os_text(&error))?;
        let size = file.metadata().map_err(|error| os_text(&error))?.len();
        let env = environment(name, size as usize, EnvFlags::READ_ONLY)?;
        let transaction = env.read_txn().map_err(explained)?;
        let database = env
            .open_database(&transaction, None)
            .map_err(explained)?
            .ok_or_else(|| "no database in the file".to_owned())?;
        drop(transaction);
        Ok(Lmdb { env, database, file })
    }

    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, String> {
        if key.is_empty() || key.len() > LONGEST_KEY {
            return Ok(None);
        }
        let transaction = self.env.read_txn().map_err(explained)?;
        let found = self.database.get(&transaction, key).map_err(explained)?;
        Ok(found.map(<[u8]>::to_vec))
    }

    pub(crate) fn pairs(&self) -> Result<Vec<Pair>, String> {
        let transaction = self.env.read_txn().map_err(explained)?;
        let pairs = self.database.iter(&transaction).map_err(explained)?;
        pairs.map(|pair| pair.map(|(key, value)| (key.to_vec(), value.to_vec())).map_err(explained)).collect()
    }

    /// To be locked, shared, while reading.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }
}

/// Writes a whole index to a new file.
pub(crate) fn write(index: HashMap<Vec<u8>, Vec<u8>>, path: &Path) -> Result<(), String> {
    let bytes: usize = index.iter().map(|(key, value)| key.len() + value.len() + 64).sum();
    // Pages are filled by halves at worst; the file ends where the data ends.
    let size = (bytes * 3).max(1 << 20).next_multiple_of(1 << 16);
    let env = environment(&path.display().to_string(), size, EnvFlags::empty())?;
    let mut transaction = env.write_txn().map_err(explained)?;
    let database: Database<Bytes, Bytes> = env.create_database(&mut transaction, None).map_err(explained)?;
    for (key, value) in &index {
        if key.is_empty() || key.len() > LONGEST_KEY {
            let key = String::from_utf8_lossy(key);
            return Err(format!("key \"{key}\": LMDB keys have 1 to {LONGEST_KEY} bytes"));
        }
        database.put(&mut transaction, key, value).map_err(explained)?;
    }
    transaction.commit().map_err(explained)?;
    env.prepare_for_closing().wait();
    Ok(())
}

fn environment(name: &str, size: usize, flags: EnvFlags) -> Result<Env, String> {
    let mut options = EnvOpenOptions::new();
    options.map_size(size.max(1 << 16).next_multiple_of(1 << 16));
    // SAFETY: NO_LOCK asks that readers and writers keep apart by themselves: readers hold a shared lock on the file (indexed.rs),
    // writers, ours and Postfix's, an exclusive one, and ours write to a new file that nobody reads yet.
    unsafe { options.flags(EnvFlags::NO_SUB_DIR | EnvFlags::NO_LOCK | flags) };
    // SAFETY: the file is mapped, and is a file of the administrator's that is replaced or written by postmap only, under the
    // lock; nothing truncates it.
    unsafe { options.open(name) }.map_err(explained)
}

fn explained(error: heed::Error) -> String {
    match error {
        heed::Error::Io(error) => os_text(&error),
        other => other.to_string(),
    }
}
