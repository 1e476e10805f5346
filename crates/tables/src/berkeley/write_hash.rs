//! Writing the hash access method, version 9, all at once: a power of two of buckets in one piece behind the first
//! page, then the pages that did not fit into their bucket and those of long items.

use super::Pair;
use super::hash::{hash, test_hash};
use super::page::{self, HEADER, SIZE};
use super::write_pages::{Pages, first_page, put_u32};

/// Longer items get overflow pages, as in the library.
const LONGEST_INLINE: usize = SIZE / 4;

pub(super) fn write(pairs: Vec<Pair>) -> Result<Vec<u8>, String> {
    let bytes: usize = pairs.iter().map(|(key, value)| footprint(key) + footprint(value)).sum();
    // Two thirds full on average: longer chains cost every lookup, emptier pages cost space.
    let buckets = (bytes / (SIZE * 2 / 3)).next_power_of_two().max(2);
    let count = u32::try_from(buckets).map_err(|_| "table too large".to_owned())?;
    let nelem = u32::try_from(pairs.len()).map_err(|_| "table too large".to_owned())?;
    let mut sorted: Vec<Vec<Pair>> = vec![Vec::new(); buckets];
    for pair in pairs {
        sorted[hash(&pair.0) as usize & (buckets - 1)].push(pair);
    }

    let mut first = first_page(page::HASH_MAGIC, page::HASH_META);
    put_u32(&mut first, 72, count - 1);
    put_u32(&mut first, 76, count - 1);
    put_u32(&mut first, 80, count / 2 - 1);
    put_u32(&mut first, 88, nelem);
    put_u32(&mut first, 92, test_hash());
    for doubling in 0..=count.trailing_zeros() as usize {
        put_u32(&mut first, 96 + 4 * doubling, 1);
    }
    let mut pages = Pages::new(first);
    for _ in 0..buckets {
        pages.add(page::HASH, 0)?;
    }
    for (bucket, mut pairs) in sorted.into_iter().enumerate() {
        // The library searches a page by halves: keys stand in byte order.
        pairs.sort();
        let mut current = bucket as u32 + 1;
        for (key, value) in &pairs {
            let (key, value) = (item(&mut pages, key)?, item(&mut pages, value)?);
            if !pages.fits(current, key.len() + value.len(), 2) {
                let next = pages.add(page::HASH, 0)?;
                pages.link(current, next);
                current = next;
            }
            pages.push(current, &key, 1);
            pages.push(current, &value, 1);
        }
    }
    pages.finish()
}

fn footprint(bytes: &[u8]) -> usize {
    2 + if bytes.len() > LONGEST_INLINE { 12 } else { 1 + bytes.len() }
}

/// The item as it stands in a page; a long one has been put on its own pages.
fn item(pages: &mut Pages, bytes: &[u8]) -> Result<Vec<u8>, String> {
    const _: () = assert!(HEADER + 2 * (2 + 1 + LONGEST_INLINE) <= SIZE, "a pair fits into a page");
    if bytes.len() <= LONGEST_INLINE {
        return Ok([&[page::HASH_INLINE], bytes].concat());
    }
    let mut item = vec![0; 12];
    item[0] = page::HASH_OFFPAGE;
    put_u32(&mut item, 4, pages.overflow(bytes)?);
    put_u32(&mut item, 8, bytes.len() as u32);
    Ok(item)
}
