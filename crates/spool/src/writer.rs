//! The group commit: one thread owns the writing connection, takes all work that waits, commits it as one transaction, and
//! answers each piece of it. While one commit is being synced, the next group gathers by itself.
//!
//! New messages are committed at once, because somebody waits for the answer. Outcomes of deliveries wait a moment for company: a
//! sync of their own would only keep new messages waiting. What a crash can take meanwhile is the knowledge that something was
//! delivered, which it can take in the moment behind each delivery anyhow.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mail::{Message, QueueId};

use crate::body::{Bodies, Body, BodyError};
use crate::disk::{Disk, RealDisk, store_error};
use crate::sqlite::SqliteStore;
use crate::store::{Change, Content, Store, StoreError};

/// Most pieces of work in one transaction: bounds the delay of the first of them.
const GROUP: usize = 1000;

/// Longest time that outcomes wait for other work.
const COMPANY: Duration = Duration::from_millis(10);

/// After so long without work the store settles.
const REST: Duration = Duration::from_secs(1);

/// Called on the writer's thread once the work is durable, or has failed. Must not block.
pub type Done = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

struct Work {
    changes: Vec<Change>,
    done: Done,
}

impl Work {
    /// Is it only about what became of messages that are kept already?
    fn is_outcome(&self) -> bool {
        self.changes.iter().all(|change| matches!(change, Change::Recipient { .. } | Change::Remove { .. }))
    }
}

/// The open store: the writer's thread, a connection for questions, and the body files.
pub struct Spool {
    work: Option<Sender<Work>>,
    writer: Option<JoinHandle<()>>,
    reader: Mutex<Box<dyn Store>>,
    bodies: Bodies,
}

impl Spool {
    /// Opens the store below `directory`, making what is missing: `queue.db` and `body/`. Sweeps body files that no row names.
    pub fn open(directory: &Path) -> Result<Spool, StoreError> {
        Spool::open_on(directory, Arc::new(RealDisk))
    }

    /// The same, on a disk of the caller's choice.
    pub fn open_on(directory: &Path, disk: Arc<dyn Disk>) -> Result<Spool, StoreError> {
        let body_directory = directory.join("body");
        for path in [directory, &body_directory] {
            make_directory(path)?;
        }
        let database: PathBuf = directory.join("queue.db");
        let (writer_store, mut reader) = SqliteStore::pair(&database, &disk)?;
        let bodies = Bodies::new(body_directory, disk);
        let named: HashSet<QueueId> = reader.with_body_file()?.into_iter().collect();
        bodies.sweep(&named).map_err(|error| {
            StoreError::Unusable(format!("has a directory body/ that can not be swept: {error}"))
        })?;
        Ok(Spool::start(Box::new(writer_store), Box::new(reader), bodies))
    }

    fn start(writer_store: Box<dyn Store>, reader: Box<dyn Store>, bodies: Bodies) -> Spool {
        let (mut spool, writer) = Spool::by_hand(writer_store, reader, bodies);
        let thread = std::thread::Builder::new().name("spool".into());
        match thread.spawn(move || writer.run()) {
            Ok(thread) => spool.writer = Some(thread),
            // Without a thread there is no work channel, and every piece of work is answered with an error.
            Err(_) => spool.work = None,
        }
        spool
    }

    /// A store without a thread: what is recorded waits until the writer has a turn, when the caller thinks fit.
    pub fn by_hand(store: Box<dyn Store>, reader: Box<dyn Store>, bodies: Bodies) -> (Spool, Writer) {
        let (work, waiting) = channel();
        let writer = Writer { store, bodies: bodies.clone(), waiting };
        (Spool { work: Some(work), writer: None, reader: Mutex::new(reader), bodies }, writer)
    }

    /// Queues changes that take effect together; `done` hears when they are durable.
    pub fn record(&self, changes: Vec<Change>, done: Done) {
        let work = Work { changes, done };
        let refused = match &self.work {
            Some(sender) => sender.send(work).err().map(|refused| refused.0),
            None => Some(work),
        };
        if let Some(work) = refused {
            (work.done)(Err(StoreError::Other("the writer has stopped".into())));
        }
    }

    /// Looks whether the database is whole, beside all other work; `done` hears what is wrong.
    pub fn check(directory: &Path, done: impl FnOnce(Result<Vec<String>, StoreError>) + Send + 'static) {
        let database = directory.join("queue.db");
        let check = move || done(SqliteStore::open(&database).and_then(|mut store| store.check()));
        // Without a thread nothing is looked at; the store reports what it stumbles over.
        let _ = std::thread::Builder::new().name("check".into()).spawn(check);
    }

    /// The connection for questions. Held only for the time of one question.
    pub fn questions(&self) -> MutexGuard<'_, Box<dyn Store>> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The body files.
    pub fn bodies(&self) -> &Bodies {
        &self.bodies
    }

    /// The content of a message whose row gave `inline`.
    pub fn body(&self, message: &Message, inline: Option<Vec<u8>>) -> Result<Body, BodyError> {
        match inline {
            Some(bytes) if crc32c::crc32c(&bytes) == message.checksum => Ok(Body::Inline(bytes)),
            Some(_) => Err(BodyError::Damaged(message.id)),
            None => self.bodies.open(&message.id, message.size, message.checksum).map(Body::File),
        }
    }
}

impl Drop for Spool {
    /// Finishes what was handed over, then stops.
    fn drop(&mut self) {
        self.work = None;
        if let Some(writer) = self.writer.take() {
            // A panic of the writer was reported when it happened.
            let _ = writer.join();
        }
    }
}

/// Commits what waits, in groups.
pub struct Writer {
    store: Box<dyn Store>,
    bodies: Bodies,
    waiting: Receiver<Work>,
}

impl Writer {
    /// For as long as anything can come.
    fn run(mut self) {
        let mut is_settled = false;
        loop {
            let first = match is_settled {
                true => self.waiting.recv().map_err(RecvTimeoutError::from),
                false => self.waiting.recv_timeout(REST),
            };
            match first {
                Ok(first) => {
                    self.commit(first, COMPANY);
                    is_settled = false;
                }
                Err(RecvTimeoutError::Timeout) => is_settled = self.rest(),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.rest();
    }

    /// Commits a group of what waits now. False when nothing does.
    pub fn turn(&mut self) -> bool {
        let Ok(first) = self.waiting.try_recv() else { return false };
        self.commit(first, Duration::ZERO);
        true
    }

    /// Puts what was committed to where it is to stay: what it does by itself when nothing waits for a while.
    pub fn rest(&mut self) -> bool {
        self.store.settle()
    }

    fn commit(&mut self, first: Work, patience: Duration) {
        let (groups, dones) = self.gather(first, patience);
        let results = match sync_bodies(&self.bodies, &groups) {
            Ok(()) => self.store.commit(groups),
            Err(error) => groups.iter().map(|_| Err(error.clone())).collect(),
        };
        for (done, result) in dones.into_iter().zip(results) {
            done(result.map(|unnamed| remove_bodies(&self.bodies, &unnamed)));
        }
    }

    /// All work that waits, up to [`GROUP`] pieces; outcomes wait so long for company.
    fn gather(&self, first: Work, patience: Duration) -> (Vec<Vec<Change>>, Vec<Done>) {
        let until = Instant::now() + patience;
        let mut only_outcomes = first.is_outcome() && !patience.is_zero();
        let (mut groups, mut dones) = (vec![first.changes], vec![first.done]);
        while groups.len() < GROUP {
            let next = match only_outcomes {
                true => self.waiting.recv_timeout(until.saturating_duration_since(Instant::now())).ok(),
                false => self.waiting.try_recv().ok(),
            };
            let Some(work) = next else { break };
            only_outcomes &= work.is_outcome();
            groups.push(work.changes);
            dones.push(work.done);
        }
        (groups, dones)
    }
}

/// Files first, then the directory, then (by the caller) the rows: no row ever names a file that a power cut could take.
fn sync_bodies(bodies: &Bodies, groups: &[Vec<Change>]) -> Result<(), StoreError> {
    let mut any = false;
    for change in groups.iter().flatten() {
        if let Change::Add { message, content: Content::File, .. } = change {
            bodies.sync(&message.id).map_err(store_error)?;
            any = true;
        }
    }
    if any {
        bodies.sync_names().map_err(store_error)?;
    }
    Ok(())
}

/// After the rows are gone. What can not be removed now is swept at the next start.
fn remove_bodies(bodies: &Bodies, unnamed: &[QueueId]) {
    for id in unnamed {
        let _ = bodies.remove(id);
    }
}

fn make_directory(path: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::DirBuilderExt;
    match std::fs::DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(StoreError::Unusable(format!("needs the directory {}: {error}", path.display())))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::mpsc;
    use std::time::SystemTime;

    use mail::{Address, Envelope, IdGenerator, Origin, Recipient};

    use super::*;

    fn message(id: &QueueId, body: &[u8]) -> Box<Message> {
        let recipients = vec![Recipient::new(Address::internal("r@x").unwrap())];
        Box::new(Message {
            id: *id,
            envelope: Envelope { recipients, ..Envelope::default() },
            origin: Origin::Internal,
            arrival: SystemTime::now(),
            size: body.len() as u64,
            data_size: body.len() as u64,
            checksum: crc32c::crc32c(body),
            filter: None,
        })
    }

    fn record(spool: &Spool, changes: Vec<Change>) -> Result<(), StoreError> {
        let (done, result) = mpsc::channel();
        spool.record(changes, Box::new(move |r| done.send(r).unwrap()));
        result.recv().unwrap()
    }

    fn add(id: &QueueId, content: Content, body: &[u8]) -> Vec<Change> {
        vec![Change::Add { message: message(id, body), content, hold: false }]
    }

    #[test]
    fn what_was_acknowledged_is_there_after_reopening() {
        let dir = tempfile::tempdir().unwrap();
        let mut ids = IdGenerator::new(1, false);
        let (small, large, orphan) =
            (ids.next(SystemTime::now()), ids.next(SystemTime::now()), ids.next(SystemTime::now()));
        {
            let spool = Spool::open(dir.path()).unwrap();
            record(&spool, add(&small, Content::Inline(b"small\n".to_vec()), b"small\n")).unwrap();
            spool.bodies().create(&large).unwrap().write_all(b"large\n").unwrap();
            record(&spool, add(&large, Content::File, b"large\n")).unwrap();
            spool.bodies().create(&orphan).unwrap().write_all(b"never named").unwrap();
        }
        let spool = Spool::open(dir.path()).unwrap();
        for (id, expected) in [(&small, "small\n"), (&large, "large\n")] {
            let stored = spool.questions().find(id).unwrap().unwrap();
            let text = match spool.body(&stored.message, stored.body).unwrap() {
                Body::Inline(bytes) => String::from_utf8(bytes).unwrap(),
                Body::File(file) => io::read_to_string(file).unwrap(),
            };
            assert_eq!(text, expected);
        }
        assert!(!dir.path().join("body").join(orphan.as_str()).exists(), "orphans are swept");
        record(&spool, vec![Change::Remove { id: large }]).unwrap();
        assert!(!dir.path().join("body").join(large.as_str()).exists());
    }

    #[test]
    fn a_damaged_body_is_not_delivered() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::open(dir.path()).unwrap();
        let id = IdGenerator::new(1, false).next(SystemTime::now());
        spool.bodies().create(&id).unwrap().write_all(b"whole\n").unwrap();
        record(&spool, add(&id, Content::File, b"whole\n")).unwrap();
        std::fs::write(dir.path().join("body").join(id.as_str()), b"whale\n").unwrap();
        let stored = spool.questions().find(&id).unwrap().unwrap();
        assert!(matches!(spool.body(&stored.message, stored.body), Err(BodyError::Damaged(_))));
    }

    /// A disk that fails at its n-th operation and ever after, as one that lost its power.
    struct StoppingDisk(std::sync::atomic::AtomicI64);

    impl StoppingDisk {
        fn step(&self) -> io::Result<()> {
            match self.0.fetch_sub(1, std::sync::atomic::Ordering::SeqCst) {
                left if left > 0 => Ok(()),
                _ => Err(io::Error::other("power cut")),
            }
        }
    }

    impl Disk for StoppingDisk {
        fn create(&self, path: &Path) -> io::Result<std::fs::File> {
            self.step()?;
            RealDisk.create(path)
        }
        fn open(&self, path: &Path) -> io::Result<std::fs::File> {
            self.step()?;
            RealDisk.open(path)
        }
        fn sync_file(&self, _: &Path) -> io::Result<()> {
            self.step()
        }
        fn sync_directory(&self, _: &Path) -> io::Result<()> {
            self.step()
        }
        fn remove(&self, path: &Path) -> io::Result<()> {
            self.step()?;
            RealDisk.remove(path)
        }
        fn list(&self, path: &Path) -> io::Result<Vec<String>> {
            self.step()?;
            RealDisk.list(path)
        }
        fn reserve(&self, path: &Path, size: u64) -> io::Result<std::fs::File> {
            RealDisk.reserve(path, size)
        }
        fn write_at(&self, file: &std::fs::File, bytes: &[u8], offset: u64) -> io::Result<()> {
            self.step()?;
            RealDisk.write_at(file, bytes, offset)
        }
        fn sync_data(&self, _: &std::fs::File) -> io::Result<()> {
            self.step()
        }
    }

    #[test]
    fn whatever_step_the_disk_stops_at_nothing_acknowledged_is_missing() {
        for steps in 1.. {
            let dir = tempfile::tempdir().unwrap();
            let id = IdGenerator::new(1, false).next(SystemTime::now());
            let acknowledged = {
                let disk = Arc::new(StoppingDisk(std::sync::atomic::AtomicI64::new(steps)));
                let spool = Spool::open_on(dir.path(), disk).unwrap();
                let filled = spool.bodies().create(&id).and_then(|mut file| file.write_all(b"body\n"));
                filled.is_ok() && record(&spool, add(&id, Content::File, b"body\n")).is_ok()
            };
            let spool = Spool::open(dir.path()).unwrap();
            let found = spool.questions().find(&id).unwrap();
            assert!(found.is_some() || !acknowledged, "lost after step {steps}");
            if let Some(stored) = found {
                assert!(spool.body(&stored.message, stored.body).is_ok(), "half there after step {steps}");
            }
            if acknowledged {
                break;
            }
        }
    }
}
