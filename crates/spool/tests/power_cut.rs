//! Power cuts inside SQLite. A cut leaves the files as they were at the last sync, with any part of what was written since: cut
//! off, torn in the middle of a page, zeroed, or overtaken by a later write. Whatever is left, the store opens, everything that was
//! acknowledged is there, and nothing is half there.
//!
//! What is relied on is what `synchronous = FULL` promises: a commit is answered after its frames in the write-ahead log are
//! synced, and the database file is only changed by checkpoints, which sync it before the log is used anew.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mail::{Address, Envelope, Message, Origin, QueueId, Recipient, Status};
use spool::{Change, Content, Progress, RecipientState, SqliteStore, Store};

/// A small generator with a seed, so that what fails can be played again.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// What the store holds, in a form that is easily compared: for each message its recipients with their states.
type Contents = BTreeMap<String, Vec<(u32, String)>>;

fn contents(store: &mut SqliteStore) -> Contents {
    let mut contents = Contents::new();
    for stored in store.list(None, 10_000).unwrap() {
        let whole = store.find(&stored.message.id).unwrap().unwrap();
        let body = whole.body.as_ref().unwrap();
        assert_eq!(crc32c::crc32c(body), whole.message.checksum, "{}: half a body", whole.message.id);
        let states = whole.states.iter().map(|(position, state)| {
            let word = match state {
                RecipientState::Pending => "pending",
                RecipientState::Deferred(_) => "deferred",
                RecipientState::Failed(_) => "failed",
                RecipientState::Delivered(_) => "delivered",
                RecipientState::Done => unreachable!("has no row"),
            };
            (*position, word.to_owned())
        });
        contents.insert(stored.message.id.to_string(), states.collect());
    }
    contents
}

fn add(n: u64, random: &mut Random) -> Change {
    let body = vec![b'a' + (n % 26) as u8; 1 + random.below(9_000) as usize];
    let recipients = (0..=random.below(3))
        .map(|r| Recipient::new(Address::internal(format!("r{r}@x.test")).unwrap()))
        .collect();
    Change::Add {
        message: Box::new(Message {
            id: QueueId::parse(&format!("{n:08X}")).unwrap(),
            envelope: Envelope { recipients, ..Envelope::default() },
            origin: Origin::Internal,
            arrival: UNIX_EPOCH + Duration::from_secs(n),
            size: body.len() as u64,
            data_size: body.len() as u64,
            checksum: crc32c::crc32c(&body),
            filter: None,
        }),
        content: Content::Inline(body),
        hold: false,
    }
}

fn progress() -> Progress {
    Progress {
        status: Status::new(4, 4, 1),
        text: "connect to mx.x.test: Connection refused".into(),
        relay: "none".into(),
        remote: None,
        tls: String::new(),
        at: SystemTime::UNIX_EPOCH,
    }
}

/// The changes of a queue at work: a message arrives, is deferred, is delivered, or is exchanged for its bounce.
fn step(n: u64, contents: &Contents, random: &mut Random) -> Vec<Change> {
    let known: Vec<&String> = contents.keys().collect();
    let choice = if known.len() < 3 { 0 } else { random.below(5) };
    if choice < 2 {
        return (0..=random.below(2)).map(|more| add(n * 10 + more, random)).collect();
    }
    let id = QueueId::parse(known[random.below(known.len() as u64) as usize]).unwrap();
    let position = contents[id.as_str()].first().map_or(0, |(position, _)| *position);
    let state = |state| Change::Recipient { id, position, state };
    match choice {
        2 => vec![
            state(RecipientState::Deferred(progress())),
            Change::Defer { id, next_attempt: UNIX_EPOCH + Duration::from_secs(n + 300) },
        ],
        3 => vec![state(RecipientState::Done), Change::Remove { id }],
        // The bounce and its cause change places in one transaction.
        _ => vec![Change::Remove { id }, add(n * 10 + 9, random)],
    }
}

/// One commit: where the log ended, and what the store held.
struct Mark {
    log: usize,
    contents: Contents,
}

fn restore(directory: &Path, database: &[u8], log: &[u8]) -> SqliteStore {
    let path = directory.join("queue.db");
    std::fs::write(&path, database).unwrap();
    std::fs::write(directory.join("queue.db-wal"), log).unwrap();
    // The index of the log is memory shared by processes; after a power cut there is none.
    let _ = std::fs::remove_file(directory.join("queue.db-shm"));
    SqliteStore::open(&path).unwrap()
}

#[test]
fn a_power_cut_after_any_commit_loses_nothing_and_leaves_nothing_half() {
    let mut random = Random(0x5EED_0001);
    let live = tempfile::tempdir().unwrap();
    let path = live.path().join("queue.db");
    // The schema is in the database file before the log begins.
    drop(SqliteStore::open(&path).unwrap());
    let database = std::fs::read(&path).unwrap();
    let log_path = live.path().join("queue.db-wal");
    let mut store = SqliteStore::open(&path).unwrap();
    let mut marks: Vec<Mark> = vec![Mark { log: 0, contents: Contents::new() }];
    for n in 1..=60 {
        let changes = step(n, &marks.last().unwrap().contents, &mut random);
        assert!(store.commit(vec![changes]).iter().all(Result::is_ok));
        let log = std::fs::metadata(&log_path).unwrap().len() as usize;
        marks.push(Mark { log, contents: contents(&mut store) });
    }
    let whole = std::fs::read(&log_path).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), database, "no checkpoint has been made yet");
    drop(store);

    let cut = tempfile::tempdir().unwrap();
    for (n, mark) in marks.iter().enumerate() {
        let next = marks.get(n + 1);
        let written = next.map_or(mark.log, |next| next.log);
        for kind in 0..4 {
            // Up to the mark everything is synced. What was written behind it may be there in any part.
            let mut log = whole[..written].to_vec();
            let tail = written - mark.log;
            match kind {
                0 => log.truncate(mark.log),
                1 if tail > 0 => log.truncate(mark.log + random.below(tail as u64) as usize),
                // The file is as long as it was to be, and a part of it never reached the disk.
                2 if tail > 0 => {
                    let begin = mark.log + random.below(tail as u64) as usize;
                    let end = begin + random.below((written - begin) as u64 + 1) as usize;
                    log[begin..end].fill(0);
                }
                // Sectors in the middle hold something else.
                3 if tail > 0 => {
                    let at = mark.log + random.below(tail as u64) as usize;
                    log[at] ^= 0x40;
                }
                _ => continue,
            }
            let mut store = restore(cut.path(), &database, &log);
            let found = contents(&mut store);
            let is_next = next.is_some_and(|next| found == next.contents);
            assert!(found == mark.contents || is_next, "commit {n}, kind {kind}: {found:?}");
            // And it goes on from there.
            assert!(store.commit(vec![vec![add(9_999_999, &mut random)]]).iter().all(Result::is_ok));
        }
    }
}

#[test]
fn a_power_cut_during_a_checkpoint_loses_nothing() {
    let mut random = Random(0x5EED_0002);
    let live = tempfile::tempdir().unwrap();
    let path = live.path().join("queue.db");
    let mut store = SqliteStore::open(&path).unwrap();
    let mut expected = Contents::new();
    for n in 1..=80 {
        let changes = step(n, &expected, &mut random);
        assert!(store.commit(vec![changes]).iter().all(Result::is_ok));
        expected = contents(&mut store);
    }
    let before = std::fs::read(&path).unwrap();
    let log = std::fs::read(live.path().join("queue.db-wal")).unwrap();
    // The last connection to close makes the checkpoint.
    drop(store);
    let after = std::fs::read(&path).unwrap();
    assert_ne!(before, after);

    // Until the checkpoint has synced the database the log is whole, and each page of the database may be old, new or torn.
    const PAGE: usize = 4096;
    let cut = tempfile::tempdir().unwrap();
    for _ in 0..60 {
        let mut database = before.clone();
        database.resize(after.len().max(before.len()), 0);
        for page in 0..after.len() / PAGE {
            let (begin, end) = (page * PAGE, (page + 1) * PAGE);
            match random.below(4) {
                0 => {}
                1 => database[begin + PAGE / 2..end].copy_from_slice(&after[begin + PAGE / 2..end]),
                _ => database[begin..end].copy_from_slice(&after[begin..end]),
            }
        }
        let mut store = restore(cut.path(), &database, &log);
        assert_eq!(contents(&mut store), expected);
    }
}
