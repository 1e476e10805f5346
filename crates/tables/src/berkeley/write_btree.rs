//! Writing the btree access method, version 9, from sorted keys: leaves first, then each level above them, the
//! root last and moved to page 1, where the library expects it.

use super::Pair;
use super::page::{self, HEADER, SIZE};
use super::write_pages::{Pages, first_page, put_u16, put_u32};

/// Longer items get overflow pages: two keys with their values must fit into a page.
const LONGEST_INLINE: usize = 1000;
const _: () = assert!(HEADER + 4 * (2 + 3 + LONGEST_INLINE + 3) <= SIZE);

/// Alignment of items.
const ALIGN: usize = 4;

pub(super) fn write(mut pairs: Vec<Pair>) -> Result<Vec<u8>, String> {
    pairs.sort();
    let mut first = first_page(page::BTREE_MAGIC, page::BTREE_META);
    put_u32(&mut first, 76, 2);
    put_u32(&mut first, 84, u32::from(b' '));
    put_u32(&mut first, 88, 1);
    let mut pages = Pages::new(first);
    // Kept for the root.
    let root = pages.add(page::BTREE_LEAF, 1)?;

    let mut level = leaves(&mut pages, root, &pairs)?;
    let mut height = 1;
    while level.len() > 1 {
        height += 1;
        level = parents(&mut pages, root, &level, height)?;
    }
    pages.finish()
}

/// A page and the least key that belongs into it, shortened as far as it still tells it from its left neighbour.
struct Child {
    page: u32,
    separator: Vec<u8>,
}

fn leaves(pages: &mut Pages, root: u32, pairs: &[Pair]) -> Result<Vec<Child>, String> {
    let one_page = {
        let sizes =
            pairs.iter().map(|(key, value)| 4 + padded(leaf_length(key)) + padded(leaf_length(value)));
        HEADER + sizes.sum::<usize>() <= SIZE
    };
    let mut current = if one_page { root } else { pages.add(page::BTREE_LEAF, 1)? };
    let mut level = vec![Child { page: current, separator: Vec::new() }];
    for (index, (key, value)) in pairs.iter().enumerate() {
        let items = [leaf_item(pages, key)?, leaf_item(pages, value)?];
        if !pages.fits(current, padded(items[0].len()) + padded(items[1].len()), 2) {
            let next = pages.add(page::BTREE_LEAF, 1)?;
            pages.link(current, next);
            current = next;
            level.push(Child { page: current, separator: separator(&pairs[index - 1].0, key)? });
        }
        for item in items {
            pages.push(current, &item, ALIGN);
        }
    }
    Ok(level)
}

/// The level above: fills internal pages; the only one of its level is the root.
fn parents(pages: &mut Pages, root: u32, children: &[Child], height: u8) -> Result<Vec<Child>, String> {
    let sizes = children.iter().map(|child| 2 + padded(12 + child.separator.len()));
    let one_page = HEADER + sizes.sum::<usize>() <= SIZE;
    let mut current = if one_page { pages.reset(root, page::BTREE_INTERNAL, height) } else { 0 };
    let mut level = Vec::new();
    if one_page {
        level.push(Child { page: root, separator: Vec::new() });
    }
    for child in children {
        let mut item = vec![0; 12];
        put_u16(&mut item, 0, child.separator.len() as u16);
        item[2] = page::BTREE_INLINE;
        put_u32(&mut item, 4, child.page);
        item.extend_from_slice(&child.separator);
        if current == 0 || !pages.fits(current, padded(item.len()), 1) {
            current = pages.add(page::BTREE_INTERNAL, height)?;
            level.push(Child { page: current, separator: child.separator.clone() });
        }
        pages.push(current, &item, ALIGN);
    }
    Ok(level)
}

/// The shortest text that is greater than `left` and not greater than `right`.
fn separator(left: &[u8], right: &[u8]) -> Result<Vec<u8>, String> {
    let common = left.iter().zip(right).take_while(|(a, b)| a == b).count();
    match right.get(..common + 1) {
        Some(separator) if separator.len() <= LONGEST_INLINE => Ok(separator.to_vec()),
        Some(_) => Err(format!("keys that agree in more than {LONGEST_INLINE} bytes")),
        None => Err("duplicate key".into()),
    }
}

fn padded(length: usize) -> usize {
    length.next_multiple_of(ALIGN)
}

fn leaf_length(bytes: &[u8]) -> usize {
    if bytes.len() > LONGEST_INLINE { 12 } else { 3 + bytes.len() }
}

/// The item as it stands in a leaf; a long one has been put on its own pages.
fn leaf_item(pages: &mut Pages, bytes: &[u8]) -> Result<Vec<u8>, String> {
    let mut item;
    if bytes.len() > LONGEST_INLINE {
        item = vec![0; 12];
        item[2] = page::BTREE_OVERFLOW;
        put_u32(&mut item, 4, pages.overflow(bytes)?);
        put_u32(&mut item, 8, bytes.len() as u32);
    } else {
        item = vec![0; 3];
        put_u16(&mut item, 0, bytes.len() as u16);
        item[2] = page::BTREE_INLINE;
        item.extend_from_slice(bytes);
    }
    Ok(item)
}
