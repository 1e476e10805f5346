//! What was promised and stands in no row yet: one file of fixed size, written from its beginning again and again.
//!
//! Most messages are delivered within seconds. Such a message is written once, here, and its removal is a few bytes more; the
//! database never hears of it. What stays longer is moved to the database, many messages in one transaction (`sqlite.rs`), and then
//! the file is written from its beginning again.
//!
//! A record is what was committed together:
//!
//! | bytes | |
//! | --- | --- |
//! | 4 | length of the content |
//! | 4 | CRC-32C of number and content |
//! | 8 | number: one more than that of the record before it |
//! | … | for each group the number of its changes (4 bytes), and for each change two lengths (4 bytes each), the change as JSON, the bytes of a message |
//!
//! Numbers are little-endian and go on for ever. The database knows the number of the last record that stands in it. The next one is
//! looked for at the beginning of the file, and as many as follow it in unbroken order were committed; what is behind them is older,
//! or was never answered.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use mail::QueueId;

use crate::disk::{Disk, store_error};
use crate::store::{Change, Content, StoreError};

/// Bytes of the file. Bounds what waits in memory, and how long a start after a crash takes.
pub(crate) const SIZE: u64 = 8 * 1024 * 1024;

const HEADER: usize = 16;

/// The file.
pub(crate) struct Journal {
    file: File,
    disk: Arc<dyn Disk>,
    /// Where the next record goes.
    end: u64,
    /// Its number.
    next: u64,
    buffer: Vec<u8>,
}

/// Why a record is not in the file.
#[derive(Debug)]
pub(crate) enum NotWritten {
    /// There is no room behind the last one.
    NoRoom,
    /// The disk said no. It is unknown what the file holds behind the last record.
    Io(io::Error),
    /// Room could not be made.
    Store(StoreError),
}

impl Journal {
    /// Opens or makes the file at `path`, and gives what it holds behind the record `applied`.
    pub(crate) fn open(
        path: &Path,
        disk: Arc<dyn Disk>,
        applied: u64,
    ) -> Result<(Journal, Vec<Vec<Change>>), StoreError> {
        let unusable =
            |error: io::Error| StoreError::Unusable(format!("has a journal, {}: {error}", path.display()));
        let file = disk.reserve(path, SIZE).map_err(|error| match store_error(error) {
            StoreError::Other(error) => unusable(io::Error::other(error)),
            no_space => no_space,
        })?;
        let (mut groups, mut content, mut end, mut next) = (Vec::new(), Vec::new(), 0, applied + 1);
        while read_record(&file, end, next, &mut content).map_err(unusable)? {
            decode(&content, &mut groups).map_err(|why| {
                StoreError::Unusable(format!(
                    "has a journal, {}, whose record {next} can not be read: {why}; the program that wrote it can read it",
                    path.display()
                ))
            })?;
            next += 1;
            end += (HEADER + content.len()) as u64;
        }
        Ok((Journal { file, disk, end, next, buffer: Vec::new() }, groups))
    }

    /// Writes groups as one record. On the disk when it returns.
    pub(crate) fn append<'a>(
        &mut self,
        groups: impl Iterator<Item = &'a Vec<Change>>,
    ) -> Result<(), NotWritten> {
        let buffer = &mut self.buffer;
        buffer.clear();
        buffer.resize(HEADER, 0);
        for group in groups {
            encode(group, buffer).map_err(|error| NotWritten::Io(error.into()))?;
        }
        let length = buffer.len() as u64;
        if self.end + length > SIZE {
            return Err(NotWritten::NoRoom);
        }
        let content = (length as usize - HEADER) as u32;
        buffer[..4].copy_from_slice(&content.to_le_bytes());
        buffer[8..HEADER].copy_from_slice(&self.next.to_le_bytes());
        let checksum = crc32c::crc32c(&buffer[8..]);
        buffer[4..8].copy_from_slice(&checksum.to_le_bytes());
        let written = self.disk.write_at(&self.file, buffer, self.end);
        written.and_then(|()| self.disk.sync_data(&self.file)).map_err(NotWritten::Io)?;
        self.end += length;
        self.next += 1;
        // One large group must not be paid for by memory ever after.
        buffer.shrink_to(256 * 1024);
        Ok(())
    }

    /// Number of the last record.
    pub(crate) fn last(&self) -> u64 {
        self.next - 1
    }

    /// Is the file worth beginning anew? Its second half is for what comes meanwhile.
    pub(crate) fn is_worn(&self) -> bool {
        self.end > SIZE / 2
    }

    /// A record of the next number may be there, and counts as one that stands in the database.
    pub(crate) fn skip(&mut self) {
        self.next += 1;
    }

    /// Everything in it stands in the database.
    pub(crate) fn restart(&mut self) {
        self.end = 0;
    }
}

/// Reads the content of the record at `at`. False when it is not the one with that number, or not whole.
fn read_record(file: &File, at: u64, number: u64, content: &mut Vec<u8>) -> io::Result<bool> {
    let mut header = [0; HEADER];
    if at + HEADER as u64 > SIZE {
        return Ok(false);
    }
    file.read_exact_at(&mut header, at)?;
    let (length, rest) = header.split_at(4);
    let (checksum, checked) = rest.split_at(4);
    let length = number_at(length, 0).unwrap_or(u32::MAX);
    if checked != number.to_le_bytes() || at + HEADER as u64 + u64::from(length) > SIZE {
        return Ok(false);
    }
    content.resize(length as usize, 0);
    file.read_exact_at(content, at + HEADER as u64)?;
    let found = crc32c::crc32c_append(crc32c::crc32c(checked), content);
    Ok(number_at(checksum, 0) == Some(found))
}

fn number_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn encode(group: &[Change], buffer: &mut Vec<u8>) -> Result<(), serde_json::Error> {
    buffer.extend((group.len() as u32).to_le_bytes());
    for change in group {
        let lengths = buffer.len();
        buffer.extend([0; 8]);
        serde_json::to_writer(&mut *buffer, change)?;
        let words = (buffer.len() - lengths - 8) as u32;
        let body = match change {
            Change::Add { content: Content::Inline(bytes), .. } => bytes.as_slice(),
            _ => &[],
        };
        buffer.extend_from_slice(body);
        buffer[lengths..lengths + 4].copy_from_slice(&words.to_le_bytes());
        buffer[lengths + 4..lengths + 8].copy_from_slice(&(body.len() as u32).to_le_bytes());
    }
    Ok(())
}

fn decode(content: &[u8], groups: &mut Vec<Vec<Change>>) -> Result<(), String> {
    let mut rest = content;
    let number = |rest: &mut &[u8]| -> Result<usize, String> {
        Ok(u32::from_le_bytes(take(rest, 4)?.try_into().map_err(|_| SHORT)?) as usize)
    };
    while !rest.is_empty() {
        let mut group = Vec::new();
        for _ in 0..number(&mut rest)? {
            let (words, length) = (number(&mut rest)?, number(&mut rest)?);
            let mut change: Change =
                serde_json::from_slice(take(&mut rest, words)?).map_err(|error| error.to_string())?;
            let bytes = take(&mut rest, length)?;
            if let Change::Add { content: Content::Inline(body), .. } = &mut change {
                *body = bytes.to_vec();
            }
            group.push(change);
        }
        groups.push(group);
    }
    Ok(())
}

const SHORT: &str = "it ends too early";

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8], String> {
    let (taken, left) = rest.split_at_checked(length).ok_or(SHORT)?;
    *rest = left;
    Ok(taken)
}

/// What stands in the journal and not in the database. What was added and removed again is in neither.
#[derive(Default)]
pub(crate) struct Pending {
    /// For each message, in their order.
    of_one: HashMap<QueueId, Vec<Change>>,
    /// About all messages: as if they came last. What they are committed with could as well have come before them.
    of_all: Vec<Change>,
}

impl Pending {
    pub(crate) fn is_empty(&self) -> bool {
        self.of_one.is_empty() && self.of_all.is_empty()
    }

    /// Is there a message of that id? `None` when the database has to be asked.
    pub(crate) fn knows(&self, id: &QueueId) -> Option<bool> {
        let changes = self.of_one.get(id)?;
        changes.iter().rev().find_map(|change| match change {
            Change::Add { .. } => Some(true),
            Change::Remove { .. } => Some(false),
            _ => None,
        })
    }

    /// Takes a change in. For the removal of a message that the database never had: was its content a file?
    pub(crate) fn take(&mut self, change: Change) -> Option<bool> {
        let Some(id) = change.id().cloned() else {
            self.of_all.push(change);
            return None;
        };
        let changes = self.of_one.entry(id).or_default();
        if !matches!(change, Change::Remove { .. }) {
            changes.push(change);
            return None;
        }
        let added = changes.iter().position(|change| matches!(change, Change::Add { .. }));
        let Some(added) = added else {
            *changes = vec![change];
            return None;
        };
        let was_file = matches!(changes[added], Change::Add { content: Content::File, .. });
        changes.truncate(added);
        if changes.is_empty() {
            self.of_one.remove(&id);
        }
        Some(was_file)
    }

    /// All changes, those to one message in their order.
    pub(crate) fn changes(&self) -> impl Iterator<Item = &Change> {
        self.of_one.values().flatten().chain(&self.of_all)
    }

    pub(crate) fn clear(&mut self) {
        // With the memory: it was a burst that needed it.
        *self = Pending::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::RealDisk;

    fn open(path: &Path, applied: u64) -> Result<(Journal, Vec<Vec<Change>>), StoreError> {
        Journal::open(path, Arc::new(RealDisk), applied)
    }

    fn remove(id: &str) -> Vec<Change> {
        vec![Change::Remove { id: QueueId::parse(id).unwrap() }]
    }

    fn ids(groups: &[Vec<Change>]) -> Vec<&str> {
        groups.iter().flatten().filter_map(|change| change.id()).map(QueueId::as_str).collect()
    }

    #[test]
    fn records_are_found_in_unbroken_order_behind_the_one_that_was_applied() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("queue.journal");
        let (mut journal, none) = open(&path, 0).unwrap();
        assert!(none.is_empty());
        for id in ["AAAAAA", "BBBBBB", "CCCCCC"] {
            journal.append([remove(id)].iter()).unwrap();
        }
        assert_eq!(ids(&open(&path, 0).unwrap().1), ["AAAAAA", "BBBBBB", "CCCCCC"]);
        // All of it stands in the database, and the next record is written over the first.
        assert!(open(&path, 3).unwrap().1.is_empty());
        journal.restart();
        journal.append([remove("DDDDDD")].iter()).unwrap();
        assert_eq!(ids(&open(&path, 3).unwrap().1), ["DDDDDD"]);
        // A byte that the disk made of it ends the order.
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[HEADER + 10] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        assert!(open(&path, 3).unwrap().1.is_empty());
    }

    #[test]
    fn what_is_found_is_gone_on_from() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("queue.journal");
        open(&path, 0).unwrap().0.append([remove("AAAAAA")].iter()).unwrap();
        open(&path, 0).unwrap().0.append([remove("BBBBBB"), remove("CCCCCC")].iter()).unwrap();
        assert_eq!(ids(&open(&path, 0).unwrap().1), ["AAAAAA", "BBBBBB", "CCCCCC"]);
    }

    #[test]
    fn what_another_program_wrote_is_not_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("queue.journal");
        let (mut journal, _) = open(&path, 0).unwrap();
        journal.append([remove("AAAAAA")].iter()).unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        let at = bytes.windows(6).position(|word| word == b"Remove").unwrap();
        bytes[at..at + 6].copy_from_slice(b"Unmake");
        let length = u32::from_le_bytes(bytes[..4].try_into().unwrap()) as usize;
        let checksum = crc32c::crc32c(&bytes[8..HEADER + length]);
        bytes[4..8].copy_from_slice(&checksum.to_le_bytes());
        std::fs::write(&path, bytes).unwrap();
        let why = open(&path, 0).err().unwrap().to_string();
        assert!(why.contains("whose record 1 can not be read: unknown variant `Unmake`"), "{why}");
    }

    /// As a former version of this program wrote it: what is added to a message later has a default.
    #[test]
    fn a_record_of_the_first_version_can_be_read() {
        let change = r#"{"Add":{"message":{"id":"AAAAAA","envelope":{"sender":"a@x","recipients":[{"address":"r@x","original":"r@x","orcpt":null,"notify":{"never":false,"success":false,"failure":false,"delay":false}}],"body":"Unspecified","smtputf8":false,"ret":null,"envid":null,"require_tls":false,"verp":null,"tls_optional":false,"purpose":"Delivery"},"origin":"Internal","arrival":{"secs_since_epoch":5,"nanos_since_epoch":0},"size":5,"checksum":7,"filter":null},"content":"Inline","hold":false}}"#;
        let mut record = 1_u32.to_le_bytes().to_vec();
        record.extend((change.len() as u32).to_le_bytes());
        record.extend(5_u32.to_le_bytes());
        record.extend(change.as_bytes());
        record.extend(b"body\n");
        let mut groups = Vec::new();
        decode(&record, &mut groups).unwrap();
        let Change::Add { message, content, .. } = &groups[0][0] else { panic!("{groups:?}") };
        assert_eq!(message.envelope.recipients[0].address.as_str(), "r@x");
        assert_eq!(content, &Content::Inline(b"body\n".to_vec()));
        for length in 0..record.len() {
            assert!(length == 0 || decode(&record[..length], &mut Vec::new()).is_err(), "cut at {length}");
        }
    }

    #[test]
    fn what_came_and_went_is_nowhere() {
        let mut pending = Pending::default();
        let id = QueueId::parse("AAAAAA").unwrap();
        pending.take(Change::Warned { id });
        assert_eq!(pending.knows(&id), None);
        assert_eq!(pending.take(Change::Remove { id }), None, "the database has it");
        assert_eq!(pending.knows(&id), Some(false));
        assert_eq!(ids(&[pending.changes().cloned().collect()]), ["AAAAAA"]);
        pending.clear();
        assert!(pending.is_empty());
    }
}
