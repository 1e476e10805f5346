//! The power fails after each single step of a message's life: received, delivered, deferred, exchanged for its bounce, removed, swept.
//! A step is an operation on a body file or a directory, or one commit. What was not synced by then is there, or not, or in part:
//! files that were made or removed a moment ago, the bytes in them, the sectors of the journal, the tail of the write-ahead log.
//!
//! Whatever is left, the store opens; each message that somebody was told of is there, whole and in its last known state; what nobody
//! was told of is there whole or not at all; and no file is left that no message has.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mail::{Address, Envelope, Message, Origin, QueueId, Recipient, Status};
use spool::{
    Bodies, Body, Change, Committed, Content, Disk, Overview, Progress, RealDisk, RecipientState, Spool,
    SqliteStore, Store, StoreError, Stored, Writer,
};

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

/// A folder in memory where there is one: what counts is what was asked of the disk, not how long it takes.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

// ---- a machine whose power fails

/// What is on the disk for good, and what is not.
#[derive(Default)]
struct Machine {
    /// Steps that are still made.
    left: u64,
    made: u64,
    /// Body files whose bytes were not synced.
    unsynced: BTreeSet<PathBuf>,
    /// Names that were made since their directory was synced.
    made_names: BTreeSet<PathBuf>,
    /// Names that were removed since then, with the bytes behind them.
    removed_names: BTreeMap<PathBuf, Vec<u8>>,
    /// How long the write-ahead log was when the database was last written.
    log: usize,
    /// The journal as it was last synced.
    journal: Vec<u8>,
    directory: PathBuf,
    /// What the power cut left of the database, its log and the journal.
    left_files: Option<[Vec<u8>; 3]>,
}

const FILES: [&str; 3] = ["queue.db", "queue.db-wal", "queue.journal"];

/// As much of the journal as the test uses. The rest are zeros.
const JOURNAL: usize = 256 * 1024;

fn contents_of(directory: &Path) -> [Vec<u8>; 3] {
    FILES.map(|name| {
        let mut bytes = Vec::new();
        if let Ok(file) = File::open(directory.join(name)) {
            file.take(if name == FILES[2] { JOURNAL as u64 } else { u64::MAX })
                .read_to_end(&mut bytes)
                .unwrap();
        }
        bytes
    })
}

impl Machine {
    fn step(&mut self) -> io::Result<()> {
        if self.left == 0 {
            // What the program does from here on reaches no disk.
            self.left_files.get_or_insert_with(|| contents_of(&self.directory));
            return Err(io::Error::other("power cut"));
        }
        self.left -= 1;
        self.made += 1;
        Ok(())
    }
}

#[derive(Clone)]
struct FailingDisk(Arc<Mutex<Machine>>);

impl Disk for FailingDisk {
    fn create(&self, path: &Path) -> io::Result<File> {
        let mut machine = self.0.lock().unwrap();
        machine.step()?;
        machine.unsynced.insert(path.to_owned());
        machine.made_names.insert(path.to_owned());
        RealDisk.create(path)
    }

    fn open(&self, path: &Path) -> io::Result<File> {
        RealDisk.open(path)
    }

    fn sync_file(&self, path: &Path) -> io::Result<()> {
        let mut machine = self.0.lock().unwrap();
        machine.step()?;
        machine.unsynced.remove(path);
        Ok(())
    }

    fn sync_directory(&self, _: &Path) -> io::Result<()> {
        let mut machine = self.0.lock().unwrap();
        machine.step()?;
        machine.made_names.clear();
        machine.removed_names.clear();
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut machine = self.0.lock().unwrap();
        machine.step()?;
        let bytes = fs::read(path)?;
        if !machine.made_names.remove(path) {
            machine.removed_names.insert(path.to_owned(), bytes);
        }
        RealDisk.remove(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        RealDisk.list(path)
    }

    fn reserve(&self, path: &Path, size: u64) -> io::Result<File> {
        RealDisk.reserve(path, size)
    }

    fn write_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut machine = self.0.lock().unwrap();
        machine.step()?;
        RealDisk.write_at(file, bytes, offset)?;
        // The cut may come before the sync, and leaves any part of it.
        drop(machine);
        self.0.lock().unwrap().step()
    }

    fn sync_data(&self, _: &File) -> io::Result<()> {
        let mut machine = self.0.lock().unwrap();
        machine.step()?;
        let directory = machine.directory.clone();
        machine.journal = std::mem::take(&mut contents_of(&directory)[2]);
        Ok(())
    }
}

/// The real store; the power may fail before a commit, or when it is made and nobody has heard of it.
struct FailingStore {
    real: SqliteStore,
    machine: Arc<Mutex<Machine>>,
    log: PathBuf,
}

impl FailingStore {
    /// The power may fail when it is done, and nobody has heard of it.
    fn is_over(&self) -> bool {
        let mut machine = self.machine.lock().unwrap();
        if machine.step().is_err() {
            return false;
        }
        machine.log = fs::metadata(&self.log).map_or(0, |found| found.len() as usize);
        true
    }
}

impl Store for FailingStore {
    fn commit(&mut self, groups: Vec<Vec<Change>>) -> Committed {
        let count = groups.len();
        let cut = || (0..count).map(|_| Err(StoreError::Other("power cut".into()))).collect();
        if self.machine.lock().unwrap().step().is_err() {
            return cut();
        }
        let results = self.real.commit(groups);
        match self.is_over() {
            true => results,
            false => cut(),
        }
    }

    fn settle(&mut self) -> bool {
        self.machine.lock().unwrap().step().is_ok() && self.real.settle() && self.is_over()
    }

    fn due(
        &mut self,
        now: SystemTime,
        after: Option<(SystemTime, QueueId)>,
        limit: usize,
    ) -> Result<Vec<Stored>, StoreError> {
        self.real.due(now, after, limit)
    }

    fn next_due(&mut self, now: SystemTime) -> Result<Option<SystemTime>, StoreError> {
        self.real.next_due(now)
    }

    fn requeued(
        &mut self,
        after: Option<(SystemTime, QueueId)>,
        limit: usize,
    ) -> Result<Vec<(SystemTime, QueueId)>, StoreError> {
        self.real.requeued(after, limit)
    }

    fn list(&mut self, after: Option<&QueueId>, limit: usize) -> Result<Vec<Stored>, StoreError> {
        self.real.list(after, limit)
    }

    fn overview(&mut self, after: Option<&QueueId>, limit: usize) -> Result<Vec<Overview>, StoreError> {
        self.real.overview(after, limit)
    }

    fn find(&mut self, id: &QueueId) -> Result<Option<Stored>, StoreError> {
        self.real.find(id)
    }

    fn attempts(&mut self, id: &QueueId) -> Result<Vec<(u32, Progress)>, StoreError> {
        self.real.attempts(id)
    }

    fn with_body_file(&mut self) -> Result<Vec<QueueId>, StoreError> {
        self.real.with_body_file()
    }

    fn check(&mut self) -> Result<Vec<String>, StoreError> {
        self.real.check()
    }

    fn count(&mut self) -> Result<u64, StoreError> {
        self.real.count()
    }
}

// ---- a queue at work

/// What the store holds of each message: the states of its recipients.
type Contents = BTreeMap<String, Vec<(u32, &'static str)>>;

/// What must be found: everything up to here, and perhaps the next change as well.
struct Expected {
    certain: Contents,
    perhaps: Option<Contents>,
}

struct Queue {
    spool: Spool,
    writer: Writer,
    expected: Expected,
    is_cut: bool,
}

fn body_of(id: &str) -> Vec<u8> {
    format!("Subject: {id}\n\n{}\n", "a line of it\n".repeat(700)).into_bytes()
}

fn message(id: &str, recipients: u32) -> Message {
    let body = body_of(id);
    let recipients =
        (0..recipients).map(|n| Recipient::new(Address::internal(format!("{id}.{n}@x.test")).unwrap()));
    Message {
        id: QueueId::parse(id).unwrap(),
        envelope: Envelope { recipients: recipients.collect(), ..Envelope::default() },
        origin: Origin::Internal,
        arrival: UNIX_EPOCH + Duration::from_secs(1_000_000),
        size: body.len() as u64,
        data_size: body.len() as u64,
        checksum: crc32c::crc32c(&body),
        filter: None,
    }
}

impl Queue {
    fn open(directory: &Path, machine: &Arc<Mutex<Machine>>) -> Queue {
        machine.lock().unwrap().directory = directory.to_owned();
        let disk: Arc<dyn Disk> = Arc::new(FailingDisk(Arc::clone(machine)));
        let (real, questions) = SqliteStore::pair(&directory.join("queue.db"), &disk).unwrap();
        {
            // Opening is no step of a message's life.
            let mut machine = machine.lock().unwrap();
            machine.log =
                fs::metadata(directory.join("queue.db-wal")).map_or(0, |found| found.len() as usize);
            machine.journal = std::mem::take(&mut contents_of(directory)[2]);
        }
        let store = FailingStore { real, machine: Arc::clone(machine), log: directory.join("queue.db-wal") };
        let bodies = Bodies::new(directory.join("body"), disk);
        let (spool, writer) = Spool::by_hand(Box::new(store), Box::new(questions), bodies);
        let expected = Expected { certain: Contents::new(), perhaps: None };
        Queue { spool, writer, expected, is_cut: false }
    }

    /// Records changes, which lead from what is certain to `then`.
    fn record(&mut self, changes: Vec<Change>, then: impl FnOnce(&mut Contents)) {
        if self.is_cut {
            return;
        }
        let mut next = self.expected.certain.clone();
        then(&mut next);
        let (done, result) = mpsc::channel();
        self.spool.record(changes, Box::new(move |outcome| done.send(outcome).unwrap()));
        self.writer.turn();
        match result.recv().unwrap() {
            Ok(()) => self.expected.certain = next,
            Err(_) => {
                self.expected.perhaps = Some(next);
                self.is_cut = true;
            }
        }
    }

    /// A moment without work.
    fn rest(&mut self) {
        self.is_cut = self.is_cut || !self.writer.rest();
    }

    fn receive(&mut self, id: &str, recipients: u32, in_file: bool) {
        if self.is_cut {
            return;
        }
        let message = Box::new(message(id, recipients));
        let content = match in_file {
            true => {
                let made = self.spool.bodies().create(&message.id);
                let written = made.and_then(|mut file| file.write_all(&body_of(id)));
                if written.is_err() {
                    self.is_cut = true;
                    return;
                }
                Content::File
            }
            false => Content::Inline(body_of(id)),
        };
        self.record(vec![Change::Add { message, content, hold: false }], |contents| {
            contents.insert(id.to_owned(), (0..recipients).map(|n| (n, "pending")).collect());
        });
    }

    fn deliver_one(&mut self, id: &str, position: u32) {
        let change =
            Change::Recipient { id: QueueId::parse(id).unwrap(), position, state: RecipientState::Done };
        self.record(vec![change], |contents| {
            contents.get_mut(id).unwrap().retain(|(other, _)| *other != position);
        });
    }

    fn defer(&mut self, id: &str, position: u32) {
        let own = QueueId::parse(id).unwrap();
        let progress = Progress {
            status: Status::new(4, 4, 1),
            text: "connect to x: timed out".into(),
            relay: "none".into(),
            remote: None,
            tls: String::new(),
            at: UNIX_EPOCH,
        };
        let state = RecipientState::Deferred(progress);
        let changes = vec![
            Change::Recipient { id: own, position, state },
            Change::Defer { id: own, next_attempt: UNIX_EPOCH + Duration::from_secs(2_000_000) },
        ];
        self.record(changes, |contents| {
            for (other, state) in contents.get_mut(id).unwrap() {
                if *other == position {
                    *state = "deferred";
                }
            }
        });
    }

    /// In one transaction: whenever the power fails, there is the one or the other.
    fn exchange_for_bounce(&mut self, id: &str, bounce: &str) {
        let changes = vec![
            Change::Remove { id: QueueId::parse(id).unwrap() },
            Change::Add {
                message: Box::new(message(bounce, 1)),
                content: Content::Inline(body_of(bounce)),
                hold: false,
            },
        ];
        self.record(changes, |contents| {
            contents.remove(id);
            contents.insert(bounce.to_owned(), vec![(0, "pending")]);
        });
    }

    fn remove(&mut self, id: &str) {
        self.record(vec![Change::Remove { id: QueueId::parse(id).unwrap() }], |contents| {
            contents.remove(id);
        });
    }

    /// A client went away in the middle of a large message.
    fn give_up(&mut self, id: &str) {
        let id = QueueId::parse(id).unwrap();
        if !self.is_cut {
            let made = self.spool.bodies().create(&id).and_then(|mut file| file.write_all(b"half"));
            self.is_cut = made.and_then(|()| self.spool.bodies().remove(&id)).is_err();
        }
    }
}

/// The life of some messages.
fn work(queue: &mut Queue) {
    queue.receive("AAAAAA", 1, false);
    queue.receive("BBBBBB", 3, true);
    queue.receive("CCCCCC", 1, true);
    queue.deliver_one("BBBBBB", 1);
    queue.defer("BBBBBB", 0);
    queue.remove("AAAAAA");
    queue.rest();
    queue.give_up("EEEEEE");
    queue.exchange_for_bounce("CCCCCC", "DDDDDD");
    queue.receive("FFFFFF", 2, true);
    queue.rest();
    queue.receive("HHHHHH", 2, false);
    queue.remove("HHHHHH");
    queue.deliver_one("BBBBBB", 2);
    queue.remove("BBBBBB");
    queue.deliver_one("FFFFFF", 0);
    queue.receive("GGGGGG", 1, true);
    queue.remove("DDDDDD");
    queue.rest();
    queue.defer("GGGGGG", 0);
}

// ---- what a power cut leaves

/// Copies what is there after the cut to `to`, with everything that was not synced as chance has it.
fn what_is_left(from: &Path, to: &Path, machine: &Machine, random: &mut Random) {
    let _ = fs::remove_dir_all(to);
    fs::create_dir_all(to.join("body")).unwrap();
    let [database, mut log, mut journal] = machine.left_files.clone().unwrap_or_else(|| contents_of(from));
    fs::write(to.join("queue.db"), database).unwrap();
    // Of what was written to the journal and not synced, each sector is there or not.
    for (now, synced) in journal.chunks_mut(512).zip(machine.journal.chunks(512)) {
        if now != synced && random.below(2) == 0 {
            now.copy_from_slice(synced);
        }
    }
    let mut file = File::create(to.join("queue.journal")).unwrap();
    file.write_all(&journal).unwrap();
    file.set_len(fs::metadata(from.join("queue.journal")).unwrap().len()).unwrap();
    let tail = log.len() - machine.log.min(log.len());
    if tail > 0 {
        match random.below(4) {
            0 => log.truncate(machine.log),
            1 => log.truncate(machine.log + random.below(tail as u64) as usize),
            2 => {
                let begin = machine.log + random.below(tail as u64) as usize;
                log[begin..].fill(0);
            }
            _ => {}
        }
    }
    fs::write(to.join("queue.db-wal"), log).unwrap();
    for entry in fs::read_dir(from.join("body")).unwrap().flatten() {
        let path = entry.path();
        if machine.made_names.contains(&path) && random.below(2) == 0 {
            continue;
        }
        let mut bytes = fs::read(&path).unwrap();
        if machine.unsynced.contains(&path) {
            match random.below(3) {
                0 => bytes.truncate(random.below(bytes.len() as u64 + 1) as usize),
                1 => bytes.fill(0),
                _ => {}
            }
        }
        fs::write(to.join("body").join(entry.file_name()), bytes).unwrap();
    }
    for (path, bytes) in &machine.removed_names {
        if random.below(2) == 0 {
            fs::write(to.join("body").join(path.file_name().unwrap()), bytes).unwrap();
        }
    }
}

/// Opens what is left and looks at all of it.
fn look(directory: &Path) -> Contents {
    let spool = Spool::open(directory).unwrap();
    let mut contents = Contents::new();
    let mut files = BTreeSet::new();
    let listed = spool.questions().list(None, 1000).unwrap();
    for stored in listed {
        let id = stored.message.id;
        let whole = spool.questions().find(&id).unwrap().unwrap();
        let body = match spool.body(&whole.message, whole.body).unwrap() {
            Body::Inline(bytes) => bytes,
            Body::File(file) => {
                files.insert(id.to_string());
                io::read_to_string(file).unwrap().into_bytes()
            }
        };
        assert_eq!(body, body_of(id.as_str()), "{id}: half a message, or another one");
        for (recipient, position, _) in stored.recipients() {
            assert_eq!(recipient.address.as_str(), format!("{id}.{position}@x.test"), "somebody else's");
        }
        let states = stored.states.iter().map(|(position, state)| match state {
            RecipientState::Pending => (*position, "pending"),
            RecipientState::Deferred(_) => (*position, "deferred"),
            other => panic!("{id}: {other:?}"),
        });
        contents.insert(id.to_string(), states.collect());
    }
    let names = fs::read_dir(directory.join("body")).unwrap().flatten();
    let found: BTreeSet<String> = names.map(|entry| entry.file_name().into_string().unwrap()).collect();
    assert_eq!(found, files, "files that no message has are swept");
    contents
}

/// How often chance is asked what is left of one cut.
const TIMES: usize = 6;

#[test]
fn whatever_step_the_power_fails_at_nothing_is_lost_and_nothing_is_half_there() {
    let mut random = Random(0x5EED_0003);
    let copy = folder();
    let left = copy.path().join("left");
    for steps in 0.. {
        let live = folder();
        fs::create_dir(live.path().join("body")).unwrap();
        // The schema is in the database file before the log begins.
        drop(SqliteStore::open(&live.path().join("queue.db")).unwrap());
        let machine = Arc::new(Mutex::new(Machine { left: steps, ..Machine::default() }));
        let mut queue = Queue::open(live.path(), &machine);
        work(&mut queue);
        let machine = machine.lock().unwrap();
        for _ in 0..TIMES {
            what_is_left(live.path(), &left, &machine, &mut random);
            let found = look(&left);
            let Expected { certain, perhaps } = &queue.expected;
            assert!(
                found == *certain || perhaps.as_ref() == Some(&found),
                "cut after step {steps}: found {found:?}, certain {certain:?}, perhaps {perhaps:?}"
            );
        }
        if machine.left > 0 {
            assert!(machine.made > 40, "every step has been the last one once");
            assert!(queue.expected.certain.len() > 1);
            break;
        }
    }
}

#[test]
fn a_sweep_that_is_cut_off_is_made_at_the_next_start() {
    for steps in 0.. {
        let live = folder();
        {
            let machine = Arc::new(Mutex::new(Machine { left: u64::MAX, ..Machine::default() }));
            fs::create_dir(live.path().join("body")).unwrap();
            let mut queue = Queue::open(live.path(), &machine);
            queue.receive("FFFFFF", 2, true);
        }
        for orphan in ["HHHHHH", "IIIIII", "JJJJJJ", "not.an.id"] {
            fs::write(live.path().join("body").join(orphan), "left by a cut").unwrap();
        }
        let machine = Arc::new(Mutex::new(Machine { left: steps, ..Machine::default() }));
        let swept = Spool::open_on(live.path(), Arc::new(FailingDisk(Arc::clone(&machine)))).is_ok();
        let found = look(live.path());
        assert_eq!(found.keys().collect::<Vec<_>>(), ["FFFFFF"], "cut after step {steps}");
        if swept {
            break;
        }
    }
}
