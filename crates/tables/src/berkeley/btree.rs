//! Reading the btree access method: from the root down to a leaf, or along all leaves.

use std::cmp::Ordering;

use super::Pair;
use super::file::Database;
use super::page::{self, Item, Page, damaged, u16_at, u32_at};

/// Deeper than any tree that fits into 2^32 pages.
const MAX_DEPTH: usize = 32;

/// Item `index` of a leaf; `None` when it was deleted.
fn leaf_item(page: &Page, index: usize) -> Result<Option<Item<'_>>, String> {
    let at = page.offset(index)?;
    let kind = *page.bytes.get(at + 2).ok_or_else(|| damaged("bad item"))?;
    if kind & page::BTREE_DELETED != 0 {
        return Ok(None);
    }
    item(page, at, kind, 3).map(Some)
}

/// The item at `at`, whose bytes, when inline, begin `head` bytes further.
fn item(page: &Page, at: usize, kind: u8, head: usize) -> Result<Item<'_>, String> {
    let item = match kind {
        page::BTREE_INLINE => {
            let length = u16_at(&page.bytes, at).map(usize::from);
            length.and_then(|length| page.bytes.get(at + head..at + head + length)).map(Item::Inline)
        }
        // The reference to the overflow pages lies where the bytes would, in an internal page; in a leaf it begins
        // with the item itself.
        page::BTREE_OVERFLOW => {
            let at = if head == 3 { at } else { at + head };
            u32_at(&page.bytes, at + 4)
                .zip(u32_at(&page.bytes, at + 8))
                .map(|(first, length)| Item::Overflow { first, length: length as usize })
        }
        _ => return Err(damaged("item of an unknown type")),
    };
    item.ok_or_else(|| damaged("bad item"))
}

/// The child for a key: the last whose separator is not greater. The first separator is never looked at.
fn child(database: &Database, page: &Page, key: Option<&[u8]>) -> Result<u32, String> {
    let separator = |index| {
        let at = page.offset(index)?;
        let kind = *page.bytes.get(at + 2).ok_or_else(|| damaged("bad item"))?;
        item(page, at, kind & !page::BTREE_DELETED, 12)
    };
    let (mut low, mut high) = (0, page.count());
    if high == 0 {
        return Err(damaged("empty internal page"));
    }
    if let Some(key) = key {
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            match compare(database, separator(middle)?, key)? {
                Ordering::Greater => high = middle,
                Ordering::Less | Ordering::Equal => low = middle,
            }
        }
    }
    u32_at(&page.bytes, page.offset(low)? + 4).ok_or_else(|| damaged("bad item"))
}

fn compare(database: &Database, item: Item<'_>, key: &[u8]) -> Result<Ordering, String> {
    match item {
        Item::Inline(bytes) => Ok(bytes.cmp(key)),
        overflow => Ok(database.item(overflow)?.as_slice().cmp(key)),
    }
}

/// The leaf for a key, or the first leaf.
fn leaf(database: &Database, root: u32, key: Option<&[u8]>) -> Result<Page, String> {
    let mut next = root;
    for _ in 0..MAX_DEPTH {
        let page = database.page(next)?;
        match page.kind() {
            page::BTREE_LEAF => return Ok(page),
            page::BTREE_INTERNAL => next = child(database, &page, key)?,
            _ => return Err(damaged("tree page of another type")),
        }
    }
    Err(damaged("tree too deep"))
}

pub(super) fn get(database: &Database, root: u32, key: &[u8]) -> Result<Option<Vec<u8>>, String> {
    let page = leaf(database, root, Some(key))?;
    for index in (0..page.count() / 2 * 2).step_by(2) {
        let Some(candidate) = leaf_item(&page, index)? else { continue };
        if database.item_is(candidate, key)?
            && let Some(value) = leaf_item(&page, index + 1)?
        {
            return database.item(value).map(Some);
        }
    }
    Ok(None)
}

pub(super) fn pairs(database: &Database, root: u32) -> Result<Vec<Pair>, String> {
    let mut page = leaf(database, root, None)?;
    let mut pairs = Vec::new();
    for _ in 0..database.pages() {
        for index in (0..page.count() / 2 * 2).step_by(2) {
            if let (Some(key), Some(value)) = (leaf_item(&page, index)?, leaf_item(&page, index + 1)?) {
                pairs.push((database.item(key)?, database.item(value)?));
            }
        }
        match page.next() {
            0 => return Ok(pairs),
            next => page = database.page(next)?,
        }
        if page.kind() != page::BTREE_LEAF {
            return Err(damaged("leaf of another type"));
        }
    }
    Err(damaged("endless leaves"))
}
