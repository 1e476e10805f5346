//! The machine that is simulated: chance, time, a disk, and the other end of deliveries.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use link::message::Delivery;
use link::{LinkError, Reply};
use mail::QueueId;
use spool::{Change, Committed, Overview, Progress, SqliteStore, Store, StoreError, Stored};
use tokio::sync::oneshot;

use super::super::deliveries::{Agent, Attempt};
use crate::clock::Clock;

pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    pub(super) fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }

    pub(super) fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to - from))
    }
}

/// Microseconds since the beginning. Goes on when it is told to, and by [`TICK`] whenever somebody reads what is written down: two
/// looks at it never see the same time.
pub(super) struct SimulatedClock {
    pub(super) began: Instant,
    pub(super) began_wall: SystemTime,
    pub(super) passed: AtomicU64,
}

/// A slow machine: microseconds between two looks at the clock.
const TICK: u64 = 5_000;

impl SimulatedClock {
    pub(super) fn passed(&self) -> Duration {
        Duration::from_micros(self.passed.load(Ordering::Relaxed))
    }

    pub(super) fn set(&self, time: Duration) {
        self.passed.fetch_max(time.as_micros() as u64, Ordering::Relaxed);
    }
}

impl Clock for SimulatedClock {
    fn now(&self) -> Instant {
        self.began + self.passed()
    }

    fn wall(&self) -> SystemTime {
        self.passed.fetch_add(TICK, Ordering::Relaxed);
        self.began_wall + self.passed()
    }
}

/// What the disk will do.
#[derive(Default)]
pub(super) struct Disk {
    pub(super) is_full: AtomicBool,
    /// The power fails right behind the next commit.
    pub(super) cut: AtomicBool,
}

/// The real store on a disk that can be full.
pub(super) struct SimulatedStore {
    pub(super) real: SqliteStore,
    pub(super) disk: Arc<Disk>,
}

impl Store for SimulatedStore {
    fn commit(&mut self, groups: Vec<Vec<Change>>) -> Committed {
        if self.disk.is_full.load(Ordering::Relaxed) {
            return groups.iter().map(|_| Err(StoreError::NoSpace("no space left".into()))).collect();
        }
        let count = groups.len();
        let results = self.real.commit(groups);
        match self.disk.cut.load(Ordering::Relaxed) {
            // On the disk, and nobody will hear of it.
            true => (0..count).map(|_| Err(StoreError::Other("power cut".into()))).collect(),
            false => results,
        }
    }

    fn settle(&mut self) -> bool {
        self.real.settle()
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

/// How a destination behaves.
#[derive(Clone, Copy, Debug)]
pub(super) enum Character {
    Good,
    /// Takes everything: notices are to arrive.
    Senders,
    Slow,
    /// Not there before this time.
    DeadUntil(Duration),
    /// Takes a message when it has waited for ten minutes.
    Greylisting,
    Rejecting,
    /// Its deliveries end their process now and then.
    Deadly,
}

/// A delivery that the role has handed over.
pub(super) struct Handed {
    pub(super) delivery: Delivery,
    pub(super) answer: oneshot::Sender<Result<Reply, LinkError>>,
}

/// The other end of the role's deliveries.
pub(super) struct SimulatedAgent(pub(super) Arc<Mutex<Vec<Handed>>>);

impl Agent for SimulatedAgent {
    fn is_closed(&self) -> bool {
        false
    }

    fn deliver(&self, delivery: Delivery, _: Vec<std::os::fd::OwnedFd>) -> Attempt<'_> {
        let (answer, answered) = oneshot::channel();
        self.0.lock().unwrap().push(Handed { delivery, answer });
        Box::pin(async { answered.await.unwrap_or(Err(LinkError::Lost("send"))) })
    }
}
