//! A cache of ours in a file below data_directory: the temporary allowlist of postscreen(8) (postscreen_cache_map), what probes
//! found out for verify(8) (address_verify_map). All records are in memory; the file is a journal that the next process reads.
//!
//! A line of the journal is `KEY RECORD`; a later line replaces an earlier one. Losing the last lines costs one more test or
//! probe, so nothing waits for a disk. One process writes: a new one that comes with a reload takes over when the old one
//! gives up its lock, and keeps its own lines until then.

use std::collections::{HashMap, HashSet};
use std::fmt::Display;
use std::fs::{File, OpenOptions};
use std::hash::Hash;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::{FlockOperation, flock};

/// Records kept at most; what comes beyond that is not remembered.
const MAX_RECORDS: usize = 1 << 20;
/// Longest line that is read; a longer one would not be understood.
const MAX_LINE: u64 = 2048;
/// The journal is written anew when it has so many lines more than there are records.
const SPARE_LINES: usize = 4096;

/// What is found in a journal by its key. Its text has no blank and no line end.
pub(crate) trait Key: Clone + Eq + Hash + Display + FromStr {}
impl<K: Clone + Eq + Hash + Display + FromStr> Key for K {}

/// What a journal keeps. Its text has no line end.
pub(crate) trait Record: Clone + PartialEq + Display + FromStr {}
impl<R: Clone + PartialEq + Display + FromStr> Record for R {}

/// One cache and its journal.
pub(crate) struct Journal<K, R> {
    /// `None`: in memory only.
    path: Option<PathBuf>,
    state: Mutex<State<K, R>>,
}

struct State<K, R> {
    records: HashMap<K, R>,
    writer: Writer,
    /// How far the journal has been read, in whole lines.
    read: u64,
    /// Behind them is a line without an end.
    torn: bool,
    lines: usize,
    /// Changed since the journal could be written last.
    unwritten: HashSet<K>,
}

#[derive(Default)]
enum Writer {
    /// Another process holds it, or it could not be opened; tried again with each change.
    #[default]
    Elsewhere,
    Ours(File),
    /// Given up, for the process that follows.
    Closed,
}

impl<K: Key, R: Record> Journal<K, R> {
    /// Where the journal of a table of that name (`btree:/var/lib/postfix/verify_cache`) is kept: in a file of ours in
    /// data_directory, named after the table. `None` for an empty name.
    pub(crate) fn path_of(table: &str, data_directory: &str, default: &str) -> Option<PathBuf> {
        if table.trim().is_empty() {
            return None;
        }
        let file = table.trim().rsplit(':').next().and_then(|path| Path::new(path).file_name());
        let file = file.map_or_else(|| default.into(), |file| file.to_string_lossy());
        Some(Path::new(data_directory).join(format!("{file}.journal")))
    }

    /// Reads the journal, if there is one. The error is for the log: the cache then begins empty.
    pub(crate) fn open(path: &Path) -> (Self, Result<(), String>) {
        let mut state = State::new(Writer::Elsewhere);
        let read = match File::open(path) {
            Ok(file) => state.read_from(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        };
        let read = read.map_err(|error| format!("{}: {error}", path.display()));
        (Journal { path: Some(path.to_owned()), state: Mutex::new(state) }, read)
    }

    /// A cache that ends with its process.
    pub(crate) fn in_memory() -> Self {
        Journal { path: None, state: Mutex::new(State::new(Writer::Elsewhere)) }
    }

    /// What is known of a key.
    pub(crate) fn find(&self, key: &K) -> Option<R> {
        let state = self.lock();
        match state.writer {
            // Other processes know better by now.
            Writer::Closed => None,
            _ => state.records.get(key).cloned(),
        }
    }

    /// Remembers a record. The error is for the log; the record is kept in memory all the same.
    pub(crate) fn keep(&self, key: K, record: R) -> Result<(), String> {
        let mut state = self.lock();
        if matches!(state.writer, Writer::Closed)
            || (state.records.len() >= MAX_RECORDS && !state.records.contains_key(&key))
        {
            return Ok(());
        }
        if state.records.insert(key.clone(), record.clone()) == Some(record) {
            return Ok(());
        }
        let Some(path) = &self.path else { return Ok(()) };
        state.unwritten.insert(key);
        state.write(path).map_err(|error| format!("{}: {error}", path.display()))
    }

    /// Forgets what `is_stale` says is over; tells how many records stayed and went.
    pub(crate) fn clean(&self, is_stale: impl Fn(&R) -> bool) -> Result<(usize, usize), String> {
        let mut state = self.lock();
        let before = state.records.len();
        state.records.retain(|_, record| !is_stale(record));
        let (retained, dropped) = (state.records.len(), before - state.records.len());
        if let Some(path) = &self.path
            && (dropped > 0 || state.lines > retained + SPARE_LINES)
        {
            state.rewrite(path).map_err(|error| format!("{}: {error}", path.display()))?;
        }
        Ok((retained, dropped))
    }

    /// Leaves the journal to the process that follows. Nothing is found and kept any more.
    pub(crate) fn close(&self) {
        *self.lock() = State::new(Writer::Closed);
    }

    fn lock(&self) -> MutexGuard<'_, State<K, R>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Key, R: Record> State<K, R> {
    fn new(writer: Writer) -> Self {
        State { records: HashMap::new(), writer, read: 0, torn: false, lines: 0, unwritten: HashSet::new() }
    }

    /// Reads on from where reading ended before. Lines that make no sense, such as one that a power cut tore, are skipped.
    fn read_from(&mut self, mut file: File) -> io::Result<()> {
        file.seek(SeekFrom::Start(self.read))?;
        let mut reader = BufReader::new(file);
        let mut line = Vec::new();
        loop {
            line.clear();
            let length = (&mut reader).take(MAX_LINE).read_until(b'\n', &mut line)?;
            // It may lack digits.
            self.torn = length > 0 && (length as u64) < MAX_LINE && !line.ends_with(b"\n");
            if length == 0 || self.torn {
                return Ok(());
            }
            self.read += length as u64;
            self.lines += 1;
            let text = String::from_utf8_lossy(&line);
            let Some((key, record)) = text.trim_end_matches('\n').split_once(' ') else { continue };
            if let (Ok(key), Ok(record)) = (key.parse(), record.parse())
                && !self.unwritten.contains(&key)
                && self.records.len() < MAX_RECORDS
            {
                self.records.insert(key, record);
            }
        }
    }

    /// Brings the journal up to date, if it is ours or can be.
    fn write(&mut self, path: &Path) -> io::Result<()> {
        if !self.take_over(path)? {
            return Ok(());
        }
        let Writer::Ours(file) = &mut self.writer else { return Ok(()) };
        let mut lines = String::new();
        for key in &self.unwritten {
            if let Some(record) = self.records.get(key) {
                lines.push_str(&format!("{key} {record}\n"));
            }
        }
        file.write_all(lines.as_bytes())?;
        self.lines += self.unwritten.len();
        self.unwritten.clear();
        if self.lines > 2 * self.records.len() + SPARE_LINES { self.rewrite(path) } else { Ok(()) }
    }

    /// Takes the lock of the journal. True when it is ours.
    fn take_over(&mut self, path: &Path) -> io::Result<bool> {
        match self.writer {
            Writer::Ours(_) => return Ok(true),
            Writer::Closed => return Ok(false),
            Writer::Elsewhere => {}
        }
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        // Written anew by the old process since it was read: from its beginning then.
        if file.metadata()?.len() < self.read {
            self.read = 0;
        }
        self.read_from(file.try_clone()?)?;
        if self.torn {
            file.write_all(b"\n")?;
        }
        self.writer = Writer::Ours(file);
        Ok(true)
    }

    /// Writes the journal anew, with one line for each record. The file stays the same, because the lock is on it.
    fn rewrite(&mut self, path: &Path) -> io::Result<()> {
        if !self.take_over(path)? {
            return Ok(());
        }
        let Writer::Ours(file) = &mut self.writer else { return Ok(()) };
        let mut lines = String::new();
        for (key, record) in &self.records {
            lines.push_str(&format!("{key} {record}\n"));
        }
        file.set_len(0)?;
        file.write_all(lines.as_bytes())?;
        self.lines = self.records.len();
        self.unwritten.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Numbers = Journal<u8, u64>;

    fn open(path: &Path) -> Numbers {
        let (journal, read) = Journal::open(path);
        assert_eq!(read, Ok(()));
        journal
    }

    #[test]
    fn records_survive_the_process() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cache.journal");
        let first = open(&path);
        assert_eq!(first.find(&1), None);
        for (key, record) in [(1, 5), (2, 1), (1, 6)] {
            first.keep(key, record).unwrap();
        }
        assert_eq!(first.find(&1), Some(6));
        first.keep(1, 6).unwrap();
        drop(first);
        assert_eq!(
            std::fs::read_to_string(&path).unwrap().lines().count(),
            3,
            "what is known is not written again"
        );
        // A power cut in the middle of a line.
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"garbage\n\xff\xfe 1\n2 1700000").unwrap();
        let second = open(&path);
        assert_eq!((second.find(&1), second.find(&2)), (Some(6), Some(1)));
        second.keep(3, 3).unwrap();
        drop(second);
        let third = open(&path);
        assert_eq!(third.find(&3), Some(3), "behind the torn line");
    }

    #[test]
    fn one_process_writes_and_the_next_takes_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cache");
        let old = open(&path);
        old.keep(1, 1).unwrap();
        let new = open(&path);
        new.keep(2, 2).unwrap();
        old.keep(3, 3).unwrap();
        old.close();
        assert_eq!(old.find(&1), None, "closed");
        old.keep(9, 0).unwrap();
        new.keep(4, 4).unwrap();
        assert_eq!(new.find(&3), Some(3), "what the old one wrote meanwhile");
        let third = open(&path);
        let found: Vec<_> = (1..10).filter(|key| third.find(key).is_some()).collect();
        assert_eq!(found, [1, 2, 3, 4]);
    }

    #[test]
    fn what_is_over_goes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cache");
        let journal = open(&path);
        for key in 1..=10 {
            journal.keep(key, u64::from(key)).unwrap();
        }
        assert_eq!(journal.clean(|record| *record < 7), Ok((4, 6)));
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 4);
        drop(journal);
        assert!(open(&path).find(&6).is_none() && open(&path).find(&7).is_some());
    }

    #[test]
    fn places_and_memory() {
        for (table, expected) in [
            ("btree:/var/lib/postfix/verify_cache", Some("/data/verify_cache.journal")),
            ("proxy:btree:$x/v", Some("/data/v.journal")),
            ("lmdb:", Some("/data/default.journal")),
            (" ", None),
        ] {
            let path = Numbers::path_of(table, "/data", "default");
            assert_eq!(path.as_deref(), expected.map(Path::new), "{table}");
        }
        let journal = Numbers::in_memory();
        journal.keep(1, 1).unwrap();
        assert_eq!(journal.clean(|_| false), Ok((1, 0)));
        assert_eq!(journal.find(&1), Some(1));
    }
}
