//! The whole role with a clock, destinations and a disk that are simulated from a seed: days pass in seconds, the power fails, the
//! disk fills up, destinations are slow or dead or change their mind. What fails is played again with
//! `MAILCLAD_SEED=N cargo test -p queue simulation`.
//!
//! The store is the real one; what a power cut leaves inside its files is the business of `spool/tests/power_cut.rs`. Here a cut comes
//! before a commit or right behind it, when nobody has heard of it yet.
//!
//! What holds at the end: no acknowledged recipient is without a delivery, a notice or the sender's own wish to hear nothing; nobody
//! got what was not for him; nobody got anything twice unless a process that had delivered it died before it was written
//! down. No attempt begins at a message that was deleted. And at every moment: back-off as configured, limits kept, no destination held up by another.

mod attempts;
mod machine;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use link::message::{Change as Wish, FlushWhat, Selection};
use mail::{Address, Envelope, Notify, Origin, Recipient};
use spool::{Bodies, RealDisk, SqliteStore, Writer};

use super::*;
use crate::backoff::Backoff;
use machine::{Character, Disk, Handed, Random, SimulatedAgent, SimulatedClock, SimulatedStore};

/// Messages of one run from one seed.
const MESSAGES: usize = 2_500;

/// Every so many turns it is looked whether the role oversleeps anything, and whether it takes what it has found for news.
const LOOKS: u64 = 20;

/// Runs that `cargo test` makes; with MAILCLAD_SEEDS another number. 44 of them are more than 100,000 messages that were taken.
const SEEDS: u64 = 1;

#[test]
fn nothing_is_lost_whatever_happens() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match number("MAILCLAD_SEED") {
        Some(seed) => seed..=seed,
        None => 1..=number("MAILCLAD_SEEDS").unwrap_or(SEEDS),
    };
    let seeds = Mutex::new(seeds);
    let one_after_the_other = || {
        let mut total = Counts::default();
        loop {
            let Some(seed) = seeds.lock().unwrap().next() else { return total };
            match std::panic::catch_unwind(|| simulate(seed)) {
                Ok(counts) => total.add(&counts),
                Err(why) => {
                    eprintln!("this was seed {seed}: MAILCLAD_SEED={seed} plays it again");
                    std::panic::resume_unwind(why);
                }
            }
        }
    };
    let mut total = Counts::default();
    std::thread::scope(|scope| {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let runs: Vec<_> = (0..cores).map(|_| scope.spawn(one_after_the_other)).collect();
        for run in runs {
            match run.join() {
                Ok(counts) => total.add(&counts),
                Err(why) => std::panic::resume_unwind(why),
            }
        }
    });
    println!("{total:?}");
    // A run in which nothing goes wrong shows nothing.
    assert!(total.deferrals > 0 && total.crashes > 0 && total.refused_for_space > 0 && total.twice > 0);
    assert!(total.deleted > 0 && total.notices > 0 && total.site_failures > 0 && total.lost_agents > 0);
}

/// What happened, for people.
#[derive(Debug, Default)]
struct Counts {
    acknowledged: u64,
    refused_for_space: u64,
    unanswered: u64,
    attempts: u64,
    deferrals: u64,
    site_failures: u64,
    lost_agents: u64,
    notices: u64,
    crashes: u64,
    twice: u64,
    deleted: u64,
}

impl Counts {
    fn add(&mut self, other: &Counts) {
        self.acknowledged += other.acknowledged;
        self.refused_for_space += other.refused_for_space;
        self.unanswered += other.unanswered;
        self.attempts += other.attempts;
        self.deferrals += other.deferrals;
        self.site_failures += other.site_failures;
        self.deleted += other.deleted;
        self.lost_agents += other.lost_agents;
        self.notices += other.notices;
        self.crashes += other.crashes;
        self.twice += other.twice;
    }
}

fn simulate(seed: u64) -> Counts {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let mut world = World::new(seed);
        world.plan_everything();
        world.run().await;
        world.judge()
    })
}

// ---- the world

const CONFIGURATION: &str = "myhostname = mx.test
mydestination =
relay_domains =
default_transport = smtp
relayhost =
alias_maps =
maximal_queue_lifetime = 1d
bounce_queue_lifetime = 12h
minimal_backoff_time = 300s
maximal_backoff_time = 4000s
delay_warning_time = 4h
default_destination_concurrency_limit = 20
qmgr_message_active_limit = 400
";
const SERVICES: &str = "qmgr unix n - n 300 1 qmgr
smtp unix - - n - 100 smtp
error unix - - n - - error
retry unix - - n - - error
";
const PROCESSES: usize = 100;
const CONCURRENCY: usize = 20;
const RECIPIENTS: usize = 50;
const BACK_OFF: Backoff = Backoff {
    minimal: Duration::from_secs(300),
    maximal: Duration::from_secs(4000),
    lifetime: Duration::from_secs(86_400),
    bounce_lifetime: Duration::from_secs(43_200),
    delay_warning: Duration::from_secs(4 * 3600),
};

/// Something that will happen.
enum Happening {
    Submit(usize),
    /// The attempt of this number ends.
    Ended(u64),
    /// The power fails: before a commit, or behind one.
    Crash {
        behind: bool,
    },
    DiskFull(bool),
    Flush,
    /// An administrator holds everything for a while, from this domain.
    Hold(Wish),
    /// An administrator deletes one message.
    Delete(usize),
}

/// What is known of one submitted message.
struct Sent {
    message: Message,
    body: Vec<u8>,
    notify: Notify,
    acknowledged: Option<Duration>,
    answered: bool,
    /// Somebody wants it deleted. What becomes of it then is settled when that is answered.
    is_to_go: bool,
    is_deleted: bool,
    /// Crashes, lost agents and the like that may have doubled a delivery.
    excuses: u64,
    /// For each recipient.
    delivered: Vec<u64>,
    /// Failures of which the sender was told.
    told: HashSet<usize>,
    refused: HashSet<usize>,
    first_attempt: Option<Duration>,
    /// Not before: by recipient, the least time of the next attempt.
    not_before: HashMap<usize, Duration>,
}

/// An attempt under way.
struct UnderWay {
    handed: Handed,
    domain: String,
}

struct World {
    random: Random,
    clock: Arc<SimulatedClock>,
    disk: Arc<Disk>,
    directory: PathBuf,
    _folder: tempfile::TempDir,
    configuration: Configuration,
    role: Option<QueueRole>,
    events: UnboundedReceiver<Event>,
    writer: Option<Writer>,
    handed: Arc<Mutex<Vec<Handed>>>,
    plan: BTreeMap<(Duration, u64), Happening>,
    serial: u64,
    characters: BTreeMap<String, Character>,
    under_way: BTreeMap<u64, UnderWay>,
    sent: Vec<Sent>,
    answers: Arc<Mutex<Vec<(usize, Reply)>>>,
    deleted: Arc<Mutex<Vec<usize>>>,
    /// No time limit holds for what was due before this: a crash, a full disk or a flush came between.
    disturbed: Duration,
    is_held: bool,
    counts: Counts,
}

fn domain(n: usize) -> String {
    format!("d{n:02}.test")
}

impl World {
    fn new(seed: u64) -> World {
        let folder = match tempfile::tempdir_in("/dev/shm") {
            Ok(folder) => folder,
            Err(_) => tempfile::tempdir().unwrap(),
        };
        let directory = folder.path().to_owned();
        std::fs::write(directory.join("main.cf"), CONFIGURATION).unwrap();
        std::fs::write(directory.join("master.cf"), SERVICES).unwrap();
        std::fs::create_dir(directory.join("body")).unwrap();
        let configuration = Configuration::read(&directory, config::HostFacts::default()).unwrap();
        let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        let mut characters = BTreeMap::new();
        for n in 0..24 {
            let character = match n {
                0..14 => Character::Good,
                14..16 => Character::Slow,
                16..19 => Character::DeadUntil(random.millis(1_800_000, 180_000_000)),
                19..22 => Character::Greylisting,
                22 => Character::Rejecting,
                _ => Character::Deadly,
            };
            characters.insert(domain(n), character);
        }
        characters.insert("back.test".into(), Character::Senders);
        let clock = SimulatedClock {
            began: Instant::now(),
            began_wall: SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000),
            passed: AtomicU64::new(0),
        };
        let mut world = World {
            random,
            clock: Arc::new(clock),
            disk: Arc::default(),
            directory,
            _folder: folder,
            configuration,
            role: None,
            events: unbounded_channel().1,
            writer: None,
            handed: Arc::default(),
            plan: BTreeMap::new(),
            serial: 0,
            characters,
            under_way: BTreeMap::new(),
            sent: Vec::new(),
            answers: Arc::default(),
            deleted: Arc::default(),
            disturbed: Duration::ZERO,
            is_held: false,
            counts: Counts::default(),
        };
        world.start();
        world
    }

    /// The role as it starts on what is on the disk.
    fn start(&mut self) {
        let real: Arc<dyn spool::Disk> = Arc::new(RealDisk);
        let (commits, questions) = SqliteStore::pair(&self.directory.join("queue.db"), &real).unwrap();
        let store = |real| Box::new(SimulatedStore { real, disk: Arc::clone(&self.disk) });
        let bodies = Bodies::new(self.directory.join("body"), real);
        let (spool, writer) = Spool::by_hand(store(commits), store(questions), bodies);
        let (events, queue) = unbounded_channel();
        let settings = settings_of(&self.configuration).unwrap();
        let log = Log::new(Arc::new(maillog::Sink::discard()), "postfix", "qmgr");
        let ids = IdGenerator::new(7, true);
        let tables = OpenTables::open(&self.configuration, &log).unwrap();
        let mut role = QueueRole::new(&self.configuration, tables, &settings, log, ids, spool, events);
        role.clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        self.handed = Arc::default();
        role.links.insert(Role::Send, Arc::new(SimulatedAgent(Arc::clone(&self.handed))));
        (self.role, self.events, self.writer) = (Some(role), queue, Some(writer));
    }

    fn role(&mut self) -> &mut QueueRole {
        self.role.as_mut().unwrap()
    }

    fn plan(&mut self, time: Duration, happening: Happening) {
        self.serial += 1;
        self.plan.insert((time, self.serial), happening);
    }

    fn plan_everything(&mut self) {
        for n in 0..MESSAGES {
            // Two hours, with bursts.
            let time = match self.random.percent(70) {
                true => self.random.millis(0, 7_200_000),
                false => Duration::from_secs(self.random.below(6) * 1200) + self.random.millis(0, 5_000),
            };
            self.compose(n, time);
            self.plan(time, Happening::Submit(n));
            if self.random.percent(4) {
                let later = match self.random.percent(50) {
                    true => self.random.millis(1, 1_000),
                    false => self.random.millis(1_000, 4_000_000),
                };
                self.plan(time + later, Happening::Delete(n));
            }
        }
        for _ in 0..6 {
            let behind = self.random.percent(50);
            let time = self.random.millis(60_000, 7_200_000);
            self.plan(time, Happening::Crash { behind });
        }
        for _ in 0..3 {
            let begin = self.random.millis(60_000, 9_000_000);
            let end = begin + self.random.millis(1_000, 400_000);
            self.plan(begin, Happening::DiskFull(true));
            self.plan(end, Happening::DiskFull(false));
        }
        for _ in 0..3 {
            let time = self.random.millis(600_000, 20_000_000);
            self.plan(time, Happening::Flush);
        }
        let begin = self.random.millis(600_000, 10_000_000);
        self.plan(begin, Happening::Hold(Wish::Hold));
        self.plan(begin + Duration::from_secs(1800), Happening::Hold(Wish::Release));
    }

    fn compose(&mut self, n: usize, arrival: Duration) {
        let count = match self.random.below(100) {
            0 => 120,
            1..60 => 1,
            _ => 2 + self.random.below(4) as usize,
        };
        let notify = match self.random.below(20) {
            0 => Notify { never: true, ..Notify::default() },
            1 => Notify { success: true, failure: true, ..Notify::default() },
            _ => Notify::default(),
        };
        let own = domain(self.random.below(24) as usize);
        let recipients = (0..count)
            .map(|r| {
                // Many recipients are a list at one place.
                let domain = if count > 10 { own.clone() } else { domain(self.random.below(24) as usize) };
                let address = Address::internal(format!("m{n}.r{r}@{domain}")).unwrap();
                Recipient { notify, ..Recipient::new(address) }
            })
            .collect();
        let sender = match self.random.percent(8) {
            true => Address::null(),
            false => Address::internal(format!("m{n}@back.test")).unwrap(),
        };
        let body = format!("Subject: number {n}\n\nthe text of {n}\n").into_bytes();
        let message = Message {
            id: QueueId::parse(&format!("{n:08X}A")).unwrap(),
            envelope: Envelope { sender, recipients, ..Envelope::default() },
            origin: Origin::Internal,
            arrival: self.clock.began_wall + arrival,
            size: body.len() as u64,
            data_size: body.len() as u64,
            checksum: crc32c::crc32c(&body),
            filter: None,
        };
        self.sent.push(Sent {
            message,
            body,
            notify,
            acknowledged: None,
            answered: false,
            is_to_go: false,
            is_deleted: false,
            excuses: 0,
            delivered: vec![0; count],
            told: HashSet::new(),
            refused: HashSet::new(),
            first_attempt: None,
            not_before: HashMap::new(),
        });
    }

    async fn run(&mut self) {
        // Notices about the last messages live for half a day behind these.
        let end = Duration::from_secs(3 * 86_400);
        let (mut turns, mut commits) = (0_u64, 0);
        loop {
            self.settle().await;
            let now = self.clock.passed();
            // The disk takes its time.
            let committed = now + self.random.millis(1, 20);
            let planned = self.plan.first_key_value().map(|((time, _), _)| *time);
            if planned.is_none_or(|time| time > committed) {
                self.clock.set(committed);
                if self.writer.as_mut().unwrap().turn() {
                    commits += 1_u64;
                    if commits.is_multiple_of(LOOKS) {
                        // A look at the store comes before the word of what was kept there.
                        self.role().rescan();
                    }
                    let kept = self.answers.lock().unwrap().first().map(|(n, _)| *n);
                    if let Some(n) = kept.filter(|_| self.random.percent(3)) {
                        // The store has it, and the role has not heard of it.
                        self.delete(n);
                    }
                    continue;
                }
            }
            let now = self.clock.passed();
            let waits = self.role().wait();
            turns += 1;
            if turns.is_multiple_of(LOOKS) && waits > Duration::from_millis(20) {
                self.nobody_is_overslept(now + waits);
            }
            let next = planned.map_or(now + waits, |time| time.min(now + waits)).max(now);
            if next > end {
                return;
            }
            self.clock.set(next);
            match planned {
                Some(time) if time <= next => {
                    let (_, happening) = self.plan.pop_first().unwrap();
                    self.happen(happening).await;
                }
                _ => {
                    self.role().rescan();
                    let stored = self.role().spool.questions().count().unwrap();
                    if stored == 0 && self.plan.is_empty() && self.under_way.is_empty() {
                        return;
                    }
                }
            }
        }
    }

    /// The role sleeps until then, if nothing happens. What is due before has to be in its hands, or to wait for room there.
    fn nobody_is_overslept(&mut self, until: Duration) {
        let until = self.clock.began_wall + until;
        let role = self.role();
        if !role.has_room() {
            return;
        }
        let due =
            role.spool.questions().due(until - Duration::from_millis(1), None, usize::MAX >> 1).unwrap();
        for stored in due {
            let id = &stored.message.id;
            // The store is about to have what a command wants of it, and is looked at then.
            assert!(
                role.active.contains_key(id) || role.changing.contains_key(id),
                "{id} was due at {:?}, and nobody looks before {until:?}",
                stored.next_attempt
            );
        }
    }

    /// Until nothing more happens at this moment.
    async fn settle(&mut self) {
        loop {
            self.role().advance();
            // Tasks that resolve addresses, hand deliveries over and take answers back.
            for _ in 0..3 {
                tokio::task::yield_now().await;
            }
            let mut anything = false;
            while let Ok(event) = self.events.try_recv() {
                self.role().take(event);
                anything = true;
            }
            for n in std::mem::take(&mut *self.deleted.lock().unwrap()) {
                self.sent[n].is_deleted = true;
                self.counts.deleted += 1;
            }
            let handed = std::mem::take(&mut *self.handed.lock().unwrap());
            for handed in handed {
                self.begin(handed);
                anything = true;
            }
            let answers = std::mem::take(&mut *self.answers.lock().unwrap());
            for (n, reply) in answers {
                self.answered(n, &reply);
            }
            if !anything {
                break;
            }
        }
        assert!(self.role().active.len() <= 400, "qmgr_message_active_limit");
    }

    fn answered(&mut self, n: usize, reply: &Reply) {
        self.sent[n].answered = true;
        match reply {
            Reply::Kept => {
                self.sent[n].acknowledged = Some(self.clock.passed());
                self.counts.acknowledged += 1;
            }
            Reply::NoSpace => self.counts.refused_for_space += 1,
            _ => self.counts.unanswered += 1,
        }
    }

    async fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Submit(n) => {
                let answers = Arc::clone(&self.answers);
                let call = Call::local(move |reply| answers.lock().unwrap().push((n, reply)));
                let (message, body) = (self.sent[n].message.clone(), Some(self.sent[n].body.clone()));
                self.role().append(NewMessage { message, body, hold: false, replaces: None }, call);
            }
            Happening::Ended(number) => self.end(number),
            Happening::Crash { behind } => self.crash(behind),
            Happening::DiskFull(full) => {
                self.disk.is_full.store(full, Ordering::Relaxed);
                self.disturbed = self.clock.passed();
            }
            Happening::Flush => {
                self.disturbed = self.clock.passed();
                self.role().flush(&FlushWhat::All, Call::local(|_| {}));
            }
            Happening::Hold(action) => {
                self.is_held = action == Wish::Hold;
                self.disturbed = self.clock.passed();
                // Everything is released: who made a message match may have got it meanwhile, and it would stay on hold.
                let select = match self.is_held {
                    true => Selection { recipient: Some("@d03.test".into()), ..Selection::default() },
                    false => Selection::default(),
                };
                let request = Request::Change { action, select: Box::new(select), after: None };
                let call = Call::local(|_| {});
                self.role().command(0, Incoming { request, descriptors: Vec::new(), call });
            }
            Happening::Delete(n) => self.delete(n),
        }
    }

    fn delete(&mut self, n: usize) {
        self.sent[n].is_to_go = true;
        let select = Selection { ids: vec![self.sent[n].message.id], ..Selection::default() };
        let request = Request::Change { action: Wish::Delete, select: Box::new(select), after: None };
        let deleted = Arc::clone(&self.deleted);
        let call = Call::local(move |reply| {
            if matches!(reply, Reply::Changed { ids, .. } if !ids.is_empty()) {
                deleted.lock().unwrap().push(n);
            }
        });
        self.role().command(0, Incoming { request, descriptors: Vec::new(), call });
    }

    /// Everything in memory is gone; so is what the disk was not told to keep.
    fn crash(&mut self, behind: bool) {
        self.counts.crashes += 1;
        if behind {
            self.disk.cut.store(true, Ordering::Relaxed);
            self.writer.as_mut().unwrap().turn();
            self.disk.cut.store(false, Ordering::Relaxed);
        }
        self.role = None;
        self.writer = None;
        let under_way = std::mem::take(&mut self.under_way);
        let planned = std::mem::take(&mut self.plan);
        self.plan = planned.into_iter().filter(|(_, what)| !matches!(what, Happening::Ended(_))).collect();
        // Some of them were delivered all the same.
        for under_way in under_way.into_values() {
            if self.random.percent(50) {
                self.note_deliveries(&under_way.handed.delivery, |_| true);
            }
        }
        for sent in &mut self.sent {
            sent.excuses += 1;
        }
        // Answers that were under way reach nobody.
        self.answers.lock().unwrap().clear();
        self.deleted.lock().unwrap().clear();
        self.disturbed = self.clock.passed();
        self.start();
    }

    // ---- the end

    fn judge(mut self) -> Counts {
        let left = self.role().spool.questions().list(None, 10).unwrap();
        assert!(left.is_empty(), "messages that nothing becomes of, at {:?}: {left:?}", self.clock.wall());
        for (n, sent) in self.sent.iter().enumerate() {
            assert!(sent.answered || self.counts.crashes > 0, "{n}: no answer");
            let null_sender = sent.message.envelope.sender.is_null();
            let mut begun = 0;
            for (position, delivered) in sent.delivered.iter().enumerate() {
                let told = sent.told.contains(&position);
                let quiet = null_sender || sent.notify.never || sent.is_to_go;
                begun += usize::from(*delivered > 0 || told);
                if sent.acknowledged.is_some() {
                    assert!(*delivered > 0 || told || quiet, "{n}, recipient {position}: lost");
                }
                // A refusal after a delivery that nobody wrote down is no contradiction.
                if *delivered > 0 && told && sent.excuses == 0 {
                    panic!("{n}, recipient {position}: delivered and returned");
                }
                if *delivered > 1 {
                    self.counts.twice += 1;
                    assert!(*delivered <= 1 + sent.excuses, "{n}, recipient {position}: {delivered} times");
                }
            }
            // What was not acknowledged may be there, whole, or not at all.
            if sent.acknowledged.is_none()
                && begun > 0
                && !null_sender
                && !sent.notify.never
                && !sent.is_to_go
            {
                assert_eq!(begun, sent.delivered.len(), "{n}: half of a message that nobody acknowledged");
            }
        }
        self.counts
    }
}
