//! Which delivery begins next (qmgr(8), SCHEDULER_README). Each transport has its messages in order of arrival, with small ones
//! let in front of large ones; each destination has a window of deliveries; the first message that has a delivery for a
//! destination with room begins it, destinations of one message taking turns.
//!
//! No clock, no socket, no message content: times come in, decisions come out. Every operation is logarithmic in what is
//! waiting, except the search for a small message, which stops at the first that can not be beaten.

mod slots;
#[cfg(test)]
mod tests;
mod window;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::{Duration, Instant};

use link::message::Caching;
use mail::QueueId;

use slots::Account;
pub(crate) use slots::SlotLimits;
use window::Window;
pub(crate) use window::{Law, WindowLimits};

/// Deliveries are back to back when the next begins this soon after one has ended.
const BACK_TO_BACK: Duration = Duration::from_secs(1);

/// Sites that are remembered for so long; bounds the search for one.
const MOST_RECENT: usize = 64;

/// A destination: transport and next hop.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Site {
    pub(crate) transport: String,
    pub(crate) next_hop: String,
}

/// Recipients of one message that go to the same site in one delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Job {
    pub(crate) message: QueueId,
    /// Positions of the recipients.
    pub(crate) recipients: Vec<u32>,
}

/// Limits of a transport.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TransportLimits {
    /// Deliveries at a time in all (master.cf's maxproc).
    pub(crate) processes: usize,
    pub(crate) window: WindowLimits,
    /// `_destination_rate_delay`; zero is off, anything else means one delivery at a time with that pause.
    pub(crate) rate_delay: Duration,
    /// `_transport_rate_delay`: the least time between the beginnings of two deliveries.
    pub(crate) transport_rate_delay: Duration,
    pub(crate) slots: SlotLimits,
}

/// What a finished delivery says about its site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Feedback {
    /// The site answered, whatever it said of the recipients.
    Alive,
    /// The site could not be used; with the reason.
    Failed(String),
}

/// The place of a message in its transport: arrival, then how recently it was let in front of one.
type Rank = (u64, i64);

/// All that waits.
#[derive(Default)]
pub(crate) struct Schedule {
    transports: HashMap<String, Transport>,
    /// Transports in the order in which they get their turn.
    turn: VecDeque<String>,
    /// Counts messages, turns, and letting in front.
    serial: u64,
}

#[derive(Default)]
struct Transport {
    in_flight: usize,
    not_before: Option<Instant>,
    sites: HashMap<String, Queue>,
    works: BTreeMap<Rank, Work>,
    ranks: HashMap<QueueId, Rank>,
    /// Sites that may begin a delivery: the rank of their first message, then who had a turn longest ago.
    ready: BTreeSet<(Rank, u64, String)>,
    /// Sites that wait for the end of their rate delay.
    paused: BTreeSet<(Instant, String)>,
    /// Sites that were forgotten a moment ago, oldest first: the end of their last delivery, and what it was told. A stream of
    /// single messages comes back to back too.
    recent: VecDeque<(Instant, String, Caching)>,
    /// There is no message that may be let in front of this one, until something is added or leaves.
    no_candidate: Option<Rank>,
}

/// A message of a transport.
struct Work {
    message: QueueId,
    account: Account,
    /// Next hops that it has deliveries waiting for.
    sites: BTreeSet<String>,
}

/// A destination of a transport.
struct Queue {
    waiting: BTreeMap<Rank, VecDeque<Job>>,
    /// How many jobs that is.
    jobs: usize,
    in_flight: usize,
    window: Window,
    not_before: Option<Instant>,
    last_done: Option<Instant>,
    /// As the delivery before was told.
    caching: Caching,
    /// When it last had a turn.
    turn: u64,
    /// The beginning of its key in `ready`, when it is there.
    ready: Option<(Rank, u64)>,
}

impl Schedule {
    /// Adds a job. When the site is dead for now, gives it back with the reason.
    pub(crate) fn add(
        &mut self,
        site: &Site,
        job: Job,
        limits: &TransportLimits,
        now: Instant,
    ) -> Result<(), (Job, String)> {
        if !self.transports.contains_key(&site.transport) {
            self.turn.push_back(site.transport.clone());
        }
        let transport = self.transports.entry(site.transport.clone()).or_default();
        let recent = match transport.sites.contains_key(&site.next_hop) {
            true => None,
            false => transport.recall(&site.next_hop, now),
        };
        let queue =
            transport.sites.entry(site.next_hop.clone()).or_insert_with(|| Queue::new(limits, recent));
        match queue.window.death() {
            Some((until, reason)) if *until > now => return Err((job, reason.clone())),
            Some(_) => queue.window.revive(&limits.window),
            None => {}
        }
        let rank = match transport.ranks.get(&job.message) {
            Some(rank) => *rank,
            None => {
                self.serial += 1;
                let rank = (self.serial, 0);
                transport.ranks.insert(job.message, rank);
                let work = Work { message: job.message, account: Account::new(now), sites: BTreeSet::new() };
                transport.works.insert(rank, work);
                rank
            }
        };
        if let Some(work) = transport.works.get_mut(&rank) {
            work.account.add();
            if !work.sites.contains(&site.next_hop) {
                work.sites.insert(site.next_hop.clone());
            }
        }
        queue.waiting.entry(rank).or_default().push_back(job);
        queue.jobs += 1;
        transport.no_candidate = None;
        transport.refresh(&site.next_hop, limits, now);
        Ok(())
    }

    /// The next delivery that may begin, transports taking turns. `limits` tells the limits of a transport.
    pub(crate) fn next(
        &mut self,
        now: Instant,
        limits: impl Fn(&str) -> TransportLimits,
    ) -> Option<(Site, Job, Caching)> {
        for _ in 0..self.turn.len() {
            let name = self.turn.pop_front()?;
            let found = self.transports.get_mut(&name).and_then(|transport| {
                let limits = limits(&name);
                self.serial += 1;
                transport.next(&limits, self.serial, now)
            });
            self.turn.push_back(name.clone());
            if let Some((next_hop, job, caching)) = found {
                return Some((Site { transport: name, next_hop }, job, caching));
            }
        }
        None
    }

    /// A delivery ended. When its site is dead now, gives the jobs that wait for it, to be deferred with the reason.
    pub(crate) fn finished(
        &mut self,
        site: &Site,
        feedback: Feedback,
        limits: &TransportLimits,
        pause: Duration,
        now: Instant,
    ) -> Vec<Job> {
        let Some(transport) = self.transports.get_mut(&site.transport) else { return Vec::new() };
        transport.in_flight = transport.in_flight.saturating_sub(1);
        let Some(queue) = transport.sites.get_mut(&site.next_hop) else { return Vec::new() };
        queue.last_done = Some(now);
        if !limits.rate_delay.is_zero() {
            queue.not_before = Some(now + limits.rate_delay);
        }
        let mut returned = Vec::new();
        match feedback {
            Feedback::Alive => queue.window.succeeded(&limits.window, queue.in_flight),
            Feedback::Failed(reason) => {
                if queue.window.failed(&limits.window, &reason, now + pause) {
                    let waiting = std::mem::take(&mut queue.waiting);
                    queue.jobs = 0;
                    returned = transport.give_up(&site.next_hop, waiting, limits);
                }
            }
        }
        if let Some(queue) = transport.sites.get_mut(&site.next_hop) {
            queue.in_flight = queue.in_flight.saturating_sub(1);
        }
        transport.refresh(&site.next_hop, limits, now);
        transport.forget_idle(&site.next_hop, now);
        returned
    }

    /// Takes back the jobs of a message that have not begun.
    pub(crate) fn withdraw(
        &mut self,
        message: &QueueId,
        limits: impl Fn(&str) -> TransportLimits,
        now: Instant,
    ) -> Vec<Job> {
        let mut withdrawn = Vec::new();
        for (name, transport) in &mut self.transports {
            let Some(rank) = transport.ranks.get(message).copied() else { continue };
            let limits = limits(name);
            let sites = transport
                .works
                .get_mut(&rank)
                .map(|work| std::mem::take(&mut work.sites))
                .unwrap_or_default();
            for next_hop in sites {
                if let Some(queue) = transport.sites.get_mut(&next_hop) {
                    let jobs = queue.waiting.remove(&rank).unwrap_or_default();
                    queue.jobs -= jobs.len();
                    withdrawn.extend(jobs);
                }
                transport.refresh(&next_hop, &limits, now);
                transport.forget_idle(&next_hop, now);
            }
            transport.remove(rank, &limits);
        }
        withdrawn
    }

    /// Deliveries of a site that wait or are under way.
    pub(crate) fn backlog(&self, site: &Site) -> usize {
        let transport = self.transports.get(&site.transport);
        let queue = transport.and_then(|transport| transport.sites.get(&site.next_hop));
        queue.map_or(0, |queue| queue.in_flight + queue.jobs)
    }

    /// When to look again although nothing happened: the end of the nearest rate delay.
    pub(crate) fn next_time(&self, now: Instant) -> Option<Instant> {
        let of_transport = |transport: &Transport| {
            let paused = transport.paused.first().map(|(time, _)| *time);
            let own = transport.not_before.filter(|_| !transport.ready.is_empty());
            paused.into_iter().chain(own).filter(|time| *time > now).min()
        };
        self.transports.values().filter_map(of_transport).min()
    }

    /// Forgets every pause of dead sites, as `postqueue -f` asks, and looks at all limits anew, as a reload asks.
    pub(crate) fn revive(&mut self, limits: impl Fn(&str) -> TransportLimits, now: Instant) {
        for (name, transport) in &mut self.transports {
            let limits = limits(name);
            let next_hops: Vec<String> = transport.sites.keys().cloned().collect();
            for next_hop in next_hops {
                if let Some(queue) = transport.sites.get_mut(&next_hop) {
                    queue.window.revive(&limits.window);
                }
                transport.refresh(&next_hop, &limits, now);
                transport.forget_idle(&next_hop, now);
            }
        }
    }
}

impl Queue {
    fn new(limits: &TransportLimits, recent: Option<(Instant, Caching)>) -> Queue {
        Queue {
            last_done: recent.map(|(done, _)| done),
            caching: recent.map(|(_, caching)| caching).unwrap_or_default(),
            waiting: BTreeMap::new(),
            jobs: 0,
            in_flight: 0,
            window: Window::new(&limits.window),
            not_before: None,
            turn: 0,
            ready: None,
        }
    }

    /// Whether connections are kept (qmgr(8)): from the time that deliveries come back to back, until there is neither another
    /// at the same time nor one shortly before. What was kept is used as long as the site has something to do.
    fn caching(&self, now: Instant) -> Caching {
        let back_to_back =
            self.last_done.is_some_and(|done| now.saturating_duration_since(done) <= BACK_TO_BACK);
        match self.caching.store {
            true => Caching { store: back_to_back || self.in_flight > 1, ..self.caching },
            false if back_to_back => Caching { load: true, store: true },
            false => self.caching,
        }
    }

    fn has_room(&self, limits: &TransportLimits) -> bool {
        // A rate delay between deliveries makes sense only when they come one after another.
        let most = if limits.rate_delay.is_zero() { self.window.size() } else { 1 };
        self.in_flight < most && self.window.death().is_none()
    }
}

impl Transport {
    fn next(
        &mut self,
        limits: &TransportLimits,
        serial: u64,
        now: Instant,
    ) -> Option<(String, Job, Caching)> {
        if self.in_flight >= limits.processes || self.not_before.is_some_and(|time| time > now) {
            return None;
        }
        while let Some((time, next_hop)) = self.paused.first().cloned() {
            if time > now {
                break;
            }
            self.paused.pop_first();
            self.refresh(&next_hop, limits, now);
        }
        let (current, ..) = *self.ready.first()?;
        self.let_a_small_one_in_front(current, limits, serial, now);
        let (rank, _, next_hop) = self.ready.first()?.clone();
        let queue = self.sites.get_mut(&next_hop)?;
        let jobs = queue.waiting.get_mut(&rank)?;
        let job = jobs.pop_front()?;
        let was_last = jobs.is_empty();
        if was_last {
            queue.waiting.remove(&rank);
        }
        queue.jobs -= 1;
        queue.in_flight += 1;
        queue.turn = serial;
        queue.caching = queue.caching(now);
        let caching = queue.caching;
        self.in_flight += 1;
        if !limits.transport_rate_delay.is_zero() {
            self.not_before = Some(now + limits.transport_rate_delay);
        }
        if let Some(work) = self.works.get_mut(&rank) {
            work.account.begin();
            if was_last {
                work.sites.remove(&next_hop);
            }
            if work.sites.is_empty() {
                self.remove(rank, limits);
            }
        }
        self.refresh(&next_hop, limits, now);
        Some((next_hop, job, caching))
    }

    /// Puts a site where it belongs: among those that may begin, those that pause, or neither.
    fn refresh(&mut self, next_hop: &str, limits: &TransportLimits, now: Instant) {
        let Some(queue) = self.sites.get_mut(next_hop) else { return };
        let first = queue.waiting.keys().next().copied().filter(|_| queue.has_room(limits));
        let pause = queue.not_before.filter(|time| *time > now);
        let was_ready = queue.ready.take();
        if let Some((rank, turn)) = was_ready {
            self.ready.remove(&(rank, turn, next_hop.to_owned()));
        }
        match (first, pause) {
            (Some(_), Some(time)) => {
                self.paused.insert((time, next_hop.to_owned()));
            }
            (Some(rank), None) => {
                queue.ready = Some((rank, queue.turn));
                self.ready.insert((rank, queue.turn, next_hop.to_owned()));
                if was_ready.is_none() {
                    self.no_candidate = None;
                }
            }
            (None, _) => {}
        }
    }

    /// A site with nothing to do and nothing to remember is forgotten.
    fn forget_idle(&mut self, next_hop: &str, now: Instant) {
        let idle = self.sites.get(next_hop).is_some_and(|queue| {
            queue.waiting.is_empty()
                && queue.in_flight == 0
                && queue.window.death().is_none()
                && queue.not_before.is_none_or(|time| time <= now)
        });
        if idle
            && let Some(queue) = self.sites.remove(next_hop)
            && let Some(done) = queue.last_done
        {
            self.recent.push_back((done, next_hop.to_owned(), queue.caching));
            if self.recent.len() > MOST_RECENT {
                self.recent.pop_front();
            }
        }
    }

    /// What is still remembered of a site that has something to do again.
    fn recall(&mut self, next_hop: &str, now: Instant) -> Option<(Instant, Caching)> {
        while let Some((done, ..)) = self.recent.front()
            && now.saturating_duration_since(*done) > BACK_TO_BACK
        {
            self.recent.pop_front();
        }
        let found = self.recent.iter().rev().find(|(_, name, _)| name == next_hop);
        found.map(|(done, _, caching)| (*done, *caching))
    }

    /// What waits for a site that is dead.
    fn give_up(
        &mut self,
        next_hop: &str,
        waiting: BTreeMap<Rank, VecDeque<Job>>,
        limits: &TransportLimits,
    ) -> Vec<Job> {
        let mut returned = Vec::new();
        for (rank, jobs) in waiting {
            if let Some(work) = self.works.get_mut(&rank) {
                work.account.withdraw(jobs.len());
                work.sites.remove(next_hop);
                if work.sites.is_empty() {
                    self.remove(rank, limits);
                }
            }
            returned.extend(jobs);
        }
        returned
    }

    /// A message has nothing left to begin: the one it stood in front of gets back what it did not use.
    fn remove(&mut self, rank: Rank, limits: &TransportLimits) {
        self.no_candidate = None;
        let Some(mut work) = self.works.remove(&rank) else { return };
        self.ranks.remove(&work.message);
        self.step_down(&work.message, &mut work.account, limits);
    }

    /// Ends that a message stands in front of another. Those in front of it stand in front of that one then.
    fn step_down(&mut self, message: &QueueId, account: &mut Account, limits: &TransportLimits) {
        let settlement = account.settlement();
        let parent = account.step_down();
        for child in &settlement.children {
            if let Some(child) = self.account(child) {
                child.adopt(parent);
            }
        }
        if let Some(parent) = parent
            && let Some(parent) = self.account(&parent)
        {
            parent.settle(message, &settlement, &limits.slots);
        }
    }

    fn account(&mut self, message: &QueueId) -> Option<&mut Account> {
        let rank = self.ranks.get(message)?;
        self.works.get_mut(rank).map(|work| &mut work.account)
    }

    /// The message at `current` would be next. When it has earned it, a small one goes first.
    fn let_a_small_one_in_front(
        &mut self,
        current: Rank,
        limits: &TransportLimits,
        serial: u64,
        now: Instant,
    ) {
        if self.no_candidate == Some(current) {
            return;
        }
        let Some(large) = self.works.get(&current) else { return };
        if !large.account.may_wait(&limits.slots) {
            return;
        }
        let Some(found) = self.candidate(current, large, limits, now) else {
            self.no_candidate = Some(current);
            return;
        };
        if !self
            .works
            .get(&found)
            .is_some_and(|small| large.account.can_afford(&small.account, &limits.slots))
        {
            return;
        }
        let Some(mut small) = self.works.remove(&found) else { return };
        if small.account.is_raised() {
            self.step_down(&small.message, &mut small.account, limits);
        }
        if let Some(large) = self.works.get_mut(&current) {
            let own = large.message;
            large.account.let_in_front(&own, &mut small.account, &small.message, &limits.slots);
        }
        // In front of the current one, and of all that were let in there before.
        let rank = (current.0, -(serial as i64));
        self.ranks.insert(small.message, rank);
        let sites = small.sites.clone();
        self.works.insert(rank, small);
        for next_hop in sites {
            if let Some(queue) = self.sites.get_mut(&next_hop)
                && let Some(jobs) = queue.waiting.remove(&found)
            {
                queue.waiting.insert(rank, jobs);
            }
            self.refresh(&next_hop, limits, now);
        }
        self.no_candidate = None;
    }

    /// The message behind `current` that has waited longest for its size and fits into the slots.
    fn candidate(&self, current: Rank, large: &Work, limits: &TransportLimits, now: Instant) -> Option<Rank> {
        use std::ops::Bound::{Excluded, Unbounded};
        let mut best: Option<(f64, Rank)> = None;
        for (rank, small) in self.works.range((Excluded(current), Unbounded)) {
            let can_begin = || {
                small.sites.iter().any(|site| self.sites.get(site).is_some_and(|site| site.ready.is_some()))
            };
            // One that others were let in front of waits for them.
            if small.account.children.is_empty()
                && let Some(score) = large.account.score(&small.account, &limits.slots, now)
                && best.is_none_or(|(most, _)| score > most)
                && can_begin()
            {
                best = Some((score, *rank));
            }
            // Those behind have waited less: none of them can do better.
            let enough = best.is_some_and(|(most, _)| small.account.delay(now) <= most);
            if enough && !small.account.is_raised() {
                break;
            }
        }
        best.map(|(_, rank)| rank)
    }
}
