//! Pages under construction.

use super::page::{self, HEADER, SIZE};

/// Most bytes that a file may have: page numbers are 32 bits, and all of it is in memory.
const MAX_PAGES: usize = 1 << 20;

pub(super) fn put_u16(bytes: &mut [u8], at: usize, value: u16) {
    bytes[at..at + 2].copy_from_slice(&value.to_ne_bytes());
}

pub(super) fn put_u32(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_ne_bytes());
}

/// The first page of a file, with the fields that both access methods have.
pub(super) fn first_page(magic: u32, kind: u8) -> Vec<u8> {
    let mut page = vec![0; SIZE];
    // "Not logged": no transaction has touched the page.
    put_u32(&mut page, 4, 1);
    put_u32(&mut page, 12, magic);
    put_u32(&mut page, 16, 9);
    put_u32(&mut page, 20, SIZE as u32);
    page[25] = kind;
    // The library tells files in its cache apart by these twenty bytes.
    use std::hash::{BuildHasher, RandomState};
    for (n, chunk) in page[52..72].chunks_mut(4).enumerate() {
        let random = RandomState::new().hash_one(n) as u32;
        chunk.copy_from_slice(&random.to_ne_bytes());
    }
    page
}

/// The file so far.
pub(super) struct Pages {
    bytes: Vec<u8>,
}

impl Pages {
    pub(super) fn new(first: Vec<u8>) -> Self {
        Pages { bytes: first }
    }

    /// Adds an empty page and gives its number.
    pub(super) fn add(&mut self, kind: u8, level: u8) -> Result<u32, String> {
        let number = self.bytes.len() / SIZE;
        if number >= MAX_PAGES {
            return Err("table too large".into());
        }
        self.bytes.resize(self.bytes.len() + SIZE, 0);
        let number = number as u32;
        let page = self.page(number);
        put_u32(page, 4, 1);
        put_u32(page, 8, number);
        put_u16(page, 22, SIZE as u16);
        page[24] = level;
        page[25] = kind;
        Ok(number)
    }

    /// Makes an empty page one of another type.
    pub(super) fn reset(&mut self, number: u32, kind: u8, level: u8) -> u32 {
        let page = self.page(number);
        page[24] = level;
        page[25] = kind;
        number
    }

    fn page(&mut self, number: u32) -> &mut [u8] {
        &mut self.bytes[number as usize * SIZE..][..SIZE]
    }

    /// Chains two pages.
    pub(super) fn link(&mut self, before: u32, after: u32) {
        put_u32(self.page(before), 16, after);
        put_u32(self.page(after), 12, before);
    }

    fn used(&self, number: u32) -> (usize, usize) {
        let page = &self.bytes[number as usize * SIZE..][..SIZE];
        let count = page::u16_at(page, 20).unwrap_or(0);
        let lowest = page::u16_at(page, 22).unwrap_or(0);
        (usize::from(count), usize::from(lowest))
    }

    /// Do `items` more items of together `bytes` bytes fit?
    pub(super) fn fits(&self, number: u32, bytes: usize, items: usize) -> bool {
        let (count, lowest) = self.used(number);
        HEADER + 2 * (count + items) + bytes <= lowest
    }

    /// Adds an item, its place rounded down to a multiple of `align`; it must fit.
    pub(super) fn push(&mut self, number: u32, item: &[u8], align: usize) {
        let (count, lowest) = self.used(number);
        let at = (lowest - item.len()) / align * align;
        let page = self.page(number);
        page[at..at + item.len()].copy_from_slice(item);
        put_u16(page, HEADER + 2 * count, at as u16);
        put_u16(page, 20, count as u16 + 1);
        put_u16(page, 22, at as u16);
    }

    /// Puts a long item on pages of its own and gives the first.
    pub(super) fn overflow(&mut self, bytes: &[u8]) -> Result<u32, String> {
        let mut first = None;
        let mut before = None;
        for part in bytes.chunks(SIZE - HEADER) {
            let number = self.add(page::OVERFLOW, 0)?;
            let page = self.page(number);
            page[HEADER..HEADER + part.len()].copy_from_slice(part);
            // Here the fields mean: number of references, and length.
            put_u16(page, 20, 1);
            put_u16(page, 22, part.len() as u16);
            if let Some(before) = before.replace(number) {
                self.link(before, number);
            }
            first.get_or_insert(number);
        }
        first.ok_or_else(|| "empty item".into())
    }

    /// The whole file.
    pub(super) fn finish(mut self) -> Result<Vec<u8>, String> {
        let last = (self.bytes.len() / SIZE - 1) as u32;
        put_u32(&mut self.bytes, 32, last);
        Ok(self.bytes)
    }
}
