//! Pages: where the fields lie, and bounded access to the items of a page.

/// Page size of files that are written here.
pub(crate) const SIZE: usize = 4096;
/// Length of the header of every page but the first.
pub(super) const HEADER: usize = 26;

/// Page types.
pub(super) const HASH_UNSORTED: u8 = 2;
pub(super) const BTREE_INTERNAL: u8 = 3;
pub(super) const BTREE_LEAF: u8 = 5;
pub(super) const OVERFLOW: u8 = 7;
pub(super) const HASH_META: u8 = 8;
pub(super) const BTREE_META: u8 = 9;
pub(super) const HASH: u8 = 13;

/// Item types.
pub(super) const HASH_INLINE: u8 = 1;
pub(super) const HASH_OFFPAGE: u8 = 3;
pub(super) const BTREE_INLINE: u8 = 1;
pub(super) const BTREE_OVERFLOW: u8 = 3;
/// Bit in the type of a btree item that was deleted and not yet removed.
pub(super) const BTREE_DELETED: u8 = 0x80;

/// Magic numbers of the two access methods.
pub(super) const HASH_MAGIC: u32 = 0x0006_1561;
pub(super) const BTREE_MAGIC: u32 = 0x0005_3162;

/// The words for a file whose parts contradict each other.
pub(super) fn damaged(what: &str) -> String {
    format!("damaged file: {what}")
}

/// Two bytes of a page.
pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

/// Four bytes of a page.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// One page read from the file.
pub(super) struct Page {
    pub(super) bytes: Vec<u8>,
}

impl Page {
    pub(super) fn kind(&self) -> u8 {
        self.bytes.get(25).copied().unwrap_or(0)
    }

    pub(super) fn next(&self) -> u32 {
        u32_at(&self.bytes, 16).unwrap_or(0)
    }

    /// Number of items, no more than the page has room for.
    pub(super) fn count(&self) -> usize {
        let room = self.bytes.len().saturating_sub(HEADER) / 2;
        usize::from(u16_at(&self.bytes, 20).unwrap_or(0)).min(room)
    }

    /// Where item `index` begins.
    pub(super) fn offset(&self, index: usize) -> Result<usize, String> {
        let offset = (index < self.count()).then(|| u16_at(&self.bytes, HEADER + 2 * index)).flatten();
        match offset.map(usize::from) {
            Some(offset) if offset >= HEADER && offset < self.bytes.len() => Ok(offset),
            _ => Err(damaged("item outside of its page")),
        }
    }

    /// The bytes on an overflow page.
    pub(super) fn overflow(&self) -> Result<&[u8], String> {
        let length = usize::from(u16_at(&self.bytes, 22).unwrap_or(0));
        match self.bytes.get(HEADER..HEADER + length) {
            Some(bytes) if self.kind() == OVERFLOW => Ok(bytes),
            _ => Err(damaged("bad overflow page")),
        }
    }
}

/// An item: in the page, or on overflow pages of its own.
pub(super) enum Item<'a> {
    Inline(&'a [u8]),
    Overflow { first: u32, length: usize },
}
