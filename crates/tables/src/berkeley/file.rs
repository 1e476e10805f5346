//! One open database file: its first page checked, its pages read on demand.

use std::fs::File;
use std::os::unix::fs::FileExt;

use super::page::{self, Item, Page, damaged, u32_at};
use super::{Method, Pair, btree, hash};

/// Where the pages are.
enum Store {
    File(File),
    #[cfg(test)]
    Memory(Vec<u8>),
}

/// An open database.
pub(crate) struct Database {
    store: Store,
    page_size: usize,
    /// Number of pages that the file has room for.
    pages: u32,
    pub(super) meta: Meta,
}

/// What the first page says, by method.
pub(super) enum Meta {
    Hash { max_bucket: u32, high_mask: u32, low_mask: u32, spares: [u32; 32] },
    Btree { root: u32 },
}

/// Largest value or key put together from overflow pages.
const MAX_ITEM: usize = 64 << 20;

impl Database {
    /// Checks the first page.
    pub(crate) fn open(file: File) -> Result<Self, String> {
        let length = file.metadata().map_err(|e| e.to_string())?.len();
        Self::from_store(Store::File(file), length)
    }

    #[cfg(test)]
    pub(super) fn from_bytes(bytes: Vec<u8>) -> Result<Self, String> {
        let length = bytes.len() as u64;
        Self::from_store(Store::Memory(bytes), length)
    }

    fn from_store(store: Store, length: u64) -> Result<Self, String> {
        let mut first = [0_u8; 512];
        store.read(&mut first, 0).map_err(|_| "file too short".to_owned())?;
        let field = |at| u32_at(&first, at).unwrap_or(0);
        let (magic, version, page_size) = (field(12), field(16), field(20) as usize);
        let (name, versions, kind) = match magic {
            page::HASH_MAGIC => ("hash", 7..=9, page::HASH_META),
            page::BTREE_MAGIC => ("btree", 8..=10, page::BTREE_META),
            _ if [page::HASH_MAGIC, page::BTREE_MAGIC].contains(&magic.swap_bytes()) => {
                return Err("file made on a machine with another byte order".into());
            }
            _ => return Err("not a Berkeley DB hash or btree file".into()),
        };
        if !versions.contains(&version) {
            return Err(format!("Berkeley DB {name} version {version} is not supported"));
        }
        if !page_size.is_power_of_two() || !(512..=65536).contains(&page_size) {
            return Err(format!("bad page size {page_size}"));
        }
        if first[24] != 0 {
            return Err("encrypted file".into());
        }
        if first[26] & 1 != 0 {
            return Err("file with checksums".into());
        }
        if first[25] != kind || field(36) != 0 {
            return Err(damaged("bad first page"));
        }
        if field(48) != 0 {
            return Err("file with duplicate keys or other special features".into());
        }
        let meta = match magic {
            page::HASH_MAGIC => hash::meta(&first)?,
            _ => Meta::Btree { root: field(88) },
        };
        let pages = u32::try_from(length / page_size as u64).unwrap_or(u32::MAX);
        Ok(Database { store, page_size, pages, meta })
    }

    /// The access method.
    pub(crate) fn method(&self) -> Method {
        match self.meta {
            Meta::Hash { .. } => Method::Hash,
            Meta::Btree { .. } => Method::Btree,
        }
    }

    /// The file, for locking.
    pub(crate) fn file(&self) -> Option<&File> {
        match &self.store {
            Store::File(file) => Some(file),
            #[cfg(test)]
            Store::Memory(_) => None,
        }
    }

    /// The value of a key.
    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, String> {
        match &self.meta {
            Meta::Hash { .. } => hash::get(self, key),
            Meta::Btree { root } => btree::get(self, *root, key),
        }
    }

    /// Every key and value, in the order of the file.
    pub(crate) fn pairs(&self) -> Result<Vec<Pair>, String> {
        match &self.meta {
            Meta::Hash { .. } => hash::pairs(self),
            Meta::Btree { root } => btree::pairs(self, *root),
        }
    }

    /// Number of pages: the bound of every walk.
    pub(super) fn pages(&self) -> u32 {
        self.pages
    }

    /// Reads one page; page 0 is never asked for.
    pub(super) fn page(&self, number: u32) -> Result<Page, String> {
        if number == 0 || number >= self.pages {
            return Err(damaged("page outside of the file"));
        }
        let mut bytes = vec![0; self.page_size];
        self.store.read(&mut bytes, u64::from(number) * self.page_size as u64)?;
        if u32_at(&bytes, 8) != Some(number) {
            return Err(damaged("page with a wrong number"));
        }
        Ok(Page { bytes })
    }

    /// The bytes of an item.
    pub(super) fn item(&self, item: Item<'_>) -> Result<Vec<u8>, String> {
        let (mut next, length) = match item {
            Item::Inline(bytes) => return Ok(bytes.to_vec()),
            Item::Overflow { first, length } => (first, length),
        };
        if length > MAX_ITEM {
            return Err(damaged("item too long"));
        }
        let mut bytes = Vec::new();
        // Every page of the chain must bring something, so that a loop ends.
        while bytes.len() < length {
            let page = self.page(next)?;
            let part = page.overflow()?;
            if part.is_empty() {
                return Err(damaged("empty overflow page"));
            }
            bytes.extend_from_slice(part);
            next = page.next();
        }
        if bytes.len() != length {
            return Err(damaged("item with a wrong length"));
        }
        Ok(bytes)
    }

    /// Is the item equal to `key`? Long items are fetched only when the length fits.
    pub(super) fn item_is(&self, item: Item<'_>, key: &[u8]) -> Result<bool, String> {
        match item {
            Item::Inline(bytes) => Ok(bytes == key),
            Item::Overflow { length, .. } if length != key.len() => Ok(false),
            overflow => Ok(self.item(overflow)? == key),
        }
    }
}

impl Store {
    fn read(&self, into: &mut [u8], offset: u64) -> Result<(), String> {
        match self {
            Store::File(file) => file.read_exact_at(into, offset).map_err(|e| e.to_string()),
            #[cfg(test)]
            Store::Memory(bytes) => {
                let from = offset as usize;
                let part = bytes.get(from..from + into.len()).ok_or("short")?;
                into.copy_from_slice(part);
                Ok(())
            }
        }
    }
}
