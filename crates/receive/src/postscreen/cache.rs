//! The temporary allowlist (postscreen_cache_map): the record of each client that passed tests, in memory, and in a journal
//! that the next process reads.
//!
//! A line of the journal is `ADDRESS RECORD`; a later line replaces an earlier one. Losing the last lines costs a client one
//! more test, so nothing waits for a disk. One process writes: a new one that comes with a reload takes over when the old one
//! gives up its lock, and keeps its own lines until then.

use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::{FlockOperation, flock};

use super::stamps::Stamps;

/// Records kept at most; a client beyond that is not remembered.
const MAX_RECORDS: usize = 1 << 20;
/// Longest line that is read.
const MAX_LINE: u64 = 256;
/// The journal is written anew when it has so many lines more than there are records.
const SPARE_LINES: usize = 4096;

/// The allowlist of one postscreen_cache_map.
pub(super) struct Cache {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    records: HashMap<IpAddr, Stamps>,
    journal: Journal,
    /// How far the journal has been read, in whole lines.
    read: u64,
    /// Behind them is a line without an end.
    torn: bool,
    lines: usize,
    /// Changed since the journal could be written last.
    unwritten: HashSet<IpAddr>,
}

#[derive(Default)]
enum Journal {
    /// Another process holds it, or it could not be opened; tried again with each change.
    #[default]
    Elsewhere,
    Ours(File),
    /// Given up, for the process that follows.
    Closed,
}

impl Cache {
    /// Reads the journal, if there is one. The error is for the log: the allowlist then begins empty.
    pub(super) fn open(path: &Path) -> (Cache, Result<(), String>) {
        let mut state = State::default();
        let read = match File::open(path) {
            Ok(file) => state.read_from(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        };
        let read = read.map_err(|error| format!("{}: {error}", path.display()));
        (Cache { path: path.to_owned(), state: Mutex::new(state) }, read)
    }

    /// What is known of a client.
    pub(super) fn find(&self, client: IpAddr) -> Option<Stamps> {
        let state = self.lock();
        match state.journal {
            // Other processes know better by now.
            Journal::Closed => None,
            _ => state.records.get(&client).copied(),
        }
    }

    /// Remembers a record. The error is for the log; the record is kept in memory all the same.
    pub(super) fn keep(&self, client: IpAddr, stamps: Stamps) -> Result<(), String> {
        let mut state = self.lock();
        if matches!(state.journal, Journal::Closed)
            || (state.records.len() >= MAX_RECORDS && !state.records.contains_key(&client))
        {
            return Ok(());
        }
        if state.records.insert(client, stamps) == Some(stamps) {
            return Ok(());
        }
        state.unwritten.insert(client);
        state.write(&self.path).map_err(|error| format!("{}: {error}", self.path.display()))
    }

    /// Forgets what `is_stale` says is over; tells how many records stayed and went.
    pub(super) fn clean(&self, is_stale: impl Fn(&Stamps) -> bool) -> Result<(usize, usize), String> {
        let mut state = self.lock();
        let before = state.records.len();
        state.records.retain(|_, stamps| !is_stale(stamps));
        let (retained, dropped) = (state.records.len(), before - state.records.len());
        if dropped > 0 || state.lines > retained + SPARE_LINES {
            state.rewrite(&self.path).map_err(|error| format!("{}: {error}", self.path.display()))?;
        }
        Ok((retained, dropped))
    }

    /// Leaves the journal to the process that follows. Nothing is found and kept any more.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        *state = State { journal: Journal::Closed, ..State::default() };
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
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
            let Some((address, record)) = text.trim_end_matches('\n').split_once(' ') else { continue };
            if let Ok(address) = address.parse()
                && !self.unwritten.contains(&address)
                && self.records.len() < MAX_RECORDS
            {
                self.records.insert(address, Stamps::parse(record));
            }
        }
    }

    /// Brings the journal up to date, if it is ours or can be.
    fn write(&mut self, path: &Path) -> io::Result<()> {
        if !self.take_over(path)? {
            return Ok(());
        }
        let Journal::Ours(file) = &mut self.journal else { return Ok(()) };
        let mut lines = String::new();
        for client in &self.unwritten {
            if let Some(stamps) = self.records.get(client) {
                lines.push_str(&format!("{client} {stamps}\n"));
            }
        }
        file.write_all(lines.as_bytes())?;
        self.lines += self.unwritten.len();
        self.unwritten.clear();
        if self.lines > 2 * self.records.len() + SPARE_LINES { self.rewrite(path) } else { Ok(()) }
    }

    /// Takes the lock of the journal. True when it is ours.
    fn take_over(&mut self, path: &Path) -> io::Result<bool> {
        match self.journal {
            Journal::Ours(_) => return Ok(true),
            Journal::Closed => return Ok(false),
            Journal::Elsewhere => {}
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
        self.journal = Journal::Ours(file);
        Ok(true)
    }

    /// Writes the journal anew, with one line for each record. The file stays the same, because the lock is on it.
    fn rewrite(&mut self, path: &Path) -> io::Result<()> {
        if !self.take_over(path)? {
            return Ok(());
        }
        let Journal::Ours(file) = &mut self.journal else { return Ok(()) };
        let mut lines = String::new();
        for (client, stamps) in &self.records {
            lines.push_str(&format!("{client} {stamps}\n"));
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

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    fn open(path: &Path) -> Cache {
        let (cache, read) = Cache::open(path);
        assert_eq!(read, Ok(()));
        cache
    }

    #[test]
    fn records_survive_the_process() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("postscreen_cache.journal");
        let first = open(&path);
        assert_eq!(first.find(address(1)), None);
        for (client, record) in [(1, "5;6;7;8;9"), (2, "1;1;1;1;1"), (1, "6;6;6;6;6")] {
            first.keep(address(client), Stamps::parse(record)).unwrap();
        }
        assert_eq!(first.find(address(1)), Some(Stamps::parse("6;6;6;6;6")));
        first.keep(address(1), Stamps::parse("6;6;6;6;6")).unwrap();
        drop(first);
        assert_eq!(
            std::fs::read_to_string(&path).unwrap().lines().count(),
            3,
            "what is known is not written again"
        );
        // A power cut in the middle of a line.
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"garbage\n\xff\xfe 1;1\n192.0.2.2 1700000").unwrap();
        let second = open(&path);
        assert_eq!(second.find(address(1)), Some(Stamps::parse("6;6;6;6;6")));
        assert_eq!(second.find(address(2)), Some(Stamps::parse("1;1;1;1;1")));
        second.keep(address(3), Stamps::parse("3;3;3;3;3")).unwrap();
        drop(second);
        let third = open(&path);
        assert_eq!(third.find(address(3)), Some(Stamps::parse("3;3;3;3;3")), "behind the torn line");
        assert_ne!(third.find(address(2)), Some(Stamps::parse("3;3;3;3;3")));
    }

    #[test]
    fn one_process_writes_and_the_next_takes_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cache");
        let old = open(&path);
        old.keep(address(1), Stamps::parse("1;2;3;4;5")).unwrap();
        let new = open(&path);
        new.keep(address(2), Stamps::parse("2;2;2;2;2")).unwrap();
        old.keep(address(3), Stamps::parse("3;3;3;3;3")).unwrap();
        old.close();
        assert_eq!(old.find(address(1)), None, "closed");
        old.keep(address(9), Stamps::UNKNOWN).unwrap();
        new.keep(address(4), Stamps::parse("4;4;4;4;4")).unwrap();
        assert_eq!(
            new.find(address(3)),
            Some(Stamps::parse("3;3;3;3;3")),
            "what the old one wrote meanwhile"
        );
        let third = open(&path);
        let found: Vec<_> = (1..10).filter(|last| third.find(address(*last)).is_some()).collect();
        assert_eq!(found, [1, 2, 3, 4]);
    }

    #[test]
    fn what_is_over_goes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cache");
        let cache = open(&path);
        for last in 1..=10 {
            cache.keep(address(last), Stamps::parse(&format!("{last};1;1;1;1"))).unwrap();
        }
        let over = |stamps: &Stamps| stamps.is_due(super::super::stamps::Test::Pregreet, 7);
        assert_eq!(cache.clean(over), Ok((4, 6)));
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 4);
        drop(cache);
        assert!(open(&path).find(address(6)).is_none() && open(&path).find(address(7)).is_some());
    }
}
