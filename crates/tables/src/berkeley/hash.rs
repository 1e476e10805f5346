//! Reading the hash access method: a bucket is a chain of pages, items come in pairs of key and value.

use super::Pair;
use super::file::{Database, Meta};
use super::page::{self, Item, Page, damaged, u32_at};

/// The string whose hash the first page holds, its NUL included; it tells which hash function made the file.
const TEST_KEY: &[u8] = b"%$sniglet^&\0";

/// The library's default hash function since version 5 of the format: FNV with the start value zero.
pub(super) fn hash(key: &[u8]) -> u32 {
    key.iter().fold(0, |h: u32, &byte| h.wrapping_mul(16_777_619) ^ u32::from(byte))
}

/// The hash of the test key.
pub(super) fn test_hash() -> u32 {
    hash(TEST_KEY)
}

/// The page of a bucket: each doubling of the table got its pages in one piece, whose place `spares` tells.
pub(super) fn bucket_page(bucket: u32, spares: &[u32; 32]) -> Option<u32> {
    let doublings = u64::from(bucket).next_power_of_two().max(1);
    let doublings = if u64::from(bucket) + 1 > doublings { doublings * 2 } else { doublings };
    bucket.checked_add(*spares.get(doublings.trailing_zeros() as usize)?)
}

pub(super) fn meta(first: &[u8]) -> Result<Meta, String> {
    let field = |at| u32_at(first, at).unwrap_or(0);
    if field(92) != test_hash() {
        return Err("unknown hash function".into());
    }
    let spares = std::array::from_fn(|n| field(96 + 4 * n));
    Ok(Meta::Hash { max_bucket: field(72), high_mask: field(76), low_mask: field(80), spares })
}

/// The pages of a bucket, in order, until `visit` says that it has seen enough.
fn walk(
    database: &Database,
    bucket: u32,
    mut visit: impl FnMut(&Page) -> Result<bool, String>,
) -> Result<(), String> {
    let Meta::Hash { spares, .. } = &database.meta else { return Ok(()) };
    let mut next = bucket_page(bucket, spares).ok_or_else(|| damaged("bucket outside of the file"))?;
    for _ in 0..database.pages() {
        let page = database.page(next)?;
        if !matches!(page.kind(), page::HASH | page::HASH_UNSORTED) {
            return Err(damaged("bucket page of another type"));
        }
        if visit(&page)? || page.next() == 0 {
            return Ok(());
        }
        next = page.next();
    }
    Err(damaged("endless bucket"))
}

/// Item `index`, which reaches to where the one before begins.
fn item(page: &Page, index: usize) -> Result<Item<'_>, String> {
    let from = page.offset(index)?;
    let to = if index == 0 { page.bytes.len() } else { page.offset(index - 1)? };
    let bytes = page.bytes.get(from..to).filter(|b| !b.is_empty()).ok_or_else(|| damaged("bad item"))?;
    match bytes[0] {
        page::HASH_INLINE => Ok(Item::Inline(&bytes[1..])),
        page::HASH_OFFPAGE => match (u32_at(bytes, 4), u32_at(bytes, 8)) {
            (Some(first), Some(length)) => Ok(Item::Overflow { first, length: length as usize }),
            _ => Err(damaged("bad item")),
        },
        _ => Err(damaged("item of an unknown type")),
    }
}

pub(super) fn get(database: &Database, key: &[u8]) -> Result<Option<Vec<u8>>, String> {
    let Meta::Hash { max_bucket, high_mask, low_mask, .. } = &database.meta else { return Ok(None) };
    let mut bucket = hash(key) & high_mask;
    if bucket > *max_bucket {
        bucket &= low_mask;
    }
    let mut found = None;
    walk(database, bucket, |page| {
        for index in (0..page.count() / 2 * 2).step_by(2) {
            if database.item_is(item(page, index)?, key)? {
                found = Some(database.item(item(page, index + 1)?)?);
                return Ok(true);
            }
        }
        Ok(false)
    })?;
    Ok(found)
}

pub(super) fn pairs(database: &Database) -> Result<Vec<Pair>, String> {
    let Meta::Hash { max_bucket, .. } = &database.meta else { return Ok(Vec::new()) };
    let mut pairs = Vec::new();
    if *max_bucket >= database.pages() {
        return Err(damaged("more buckets than pages"));
    }
    for bucket in 0..=*max_bucket {
        walk(database, bucket, |page| {
            for index in (0..page.count() / 2 * 2).step_by(2) {
                let key = database.item(item(page, index)?)?;
                pairs.push((key, database.item(item(page, index + 1)?)?));
            }
            Ok(false)
        })?;
        // Damaged chains may lead from every bucket to one long chain.
        if pairs.len() as u64 > u64::from(database.pages()) * (page::SIZE as u64 * 16) {
            return Err(damaged("endless file"));
        }
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_function_is_the_library_s() {
        assert_eq!(test_hash(), 0x5e68_8dd1); // as seen in a file made by db5.3
    }

    #[test]
    fn buckets_are_placed_by_doublings() {
        let mut spares = [0; 32];
        (spares[0], spares[1], spares[2], spares[3]) = (1, 1, 4, 10);
        for (bucket, page) in [(0, 1), (1, 2), (2, 6), (3, 7), (4, 14), (7, 17)] {
            assert_eq!(bucket_page(bucket, &spares), Some(page), "{bucket}");
        }
        assert_eq!(bucket_page(u32::MAX, &spares), None);
    }
}
