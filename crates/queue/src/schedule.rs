//! Which delivery begins next (qmgr(8), SCHEDULER_README): a queue for each destination of each transport, a window of
//! concurrency that grows with success and shrinks with failure, and a pause for destinations that do not answer.
//!
//! No clock, no socket, no message content: times come in, decisions come out. Preemption by small messages is not here.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use mail::QueueId;

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
    /// `_initial_destination_concurrency`
    pub(crate) initial: usize,
    /// `_destination_concurrency_limit`; 0 is no limit.
    pub(crate) per_site: usize,
    /// `_destination_concurrency_failed_cohort_limit`; 0 never pauses a site.
    pub(crate) failed_cohorts: usize,
    /// `_destination_rate_delay`; zero is off, anything else means one delivery at a time with that pause.
    pub(crate) rate_delay: Duration,
}

/// What a finished delivery says about its site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Feedback {
    /// The site answered, whatever it said of the recipients.
    Alive,
    /// The site could not be used; with the reason.
    Failed(String),
}

struct Queue {
    waiting: VecDeque<Job>,
    in_flight: usize,
    /// Deliveries allowed at a time.
    window: f64,
    /// Failures since the last success, as fractions of the window (cohorts).
    failures: f64,
    /// No delivery before this time, for rate delays.
    not_before: Option<Instant>,
    /// Paused until then, for the reason.
    dead: Option<(Instant, String)>,
}

#[derive(Default)]
struct Transport {
    in_flight: usize,
}

/// All sites with something to do.
#[derive(Default)]
pub(crate) struct Schedule {
    sites: HashMap<Site, Queue>,
    /// Sites that wait for their turn, each at most once.
    turn: VecDeque<Site>,
    transports: HashMap<String, Transport>,
}

impl Schedule {
    /// Adds a job. When the site is paused, gives it back with the reason.
    pub(crate) fn add(
        &mut self,
        site: &Site,
        job: Job,
        limits: &TransportLimits,
        now: Instant,
    ) -> Result<(), (Job, String)> {
        let queue = self.sites.entry(site.clone()).or_insert_with(|| Queue {
            waiting: VecDeque::new(),
            in_flight: 0,
            window: limits.initial.max(1) as f64,
            failures: 0.0,
            not_before: None,
            dead: None,
        });
        match &queue.dead {
            Some((until, reason)) if *until > now => return Err((job, reason.clone())),
            Some(_) => {
                queue.dead = None;
                queue.failures = 0.0;
                queue.window = limits.initial.max(1) as f64;
            }
            None => {}
        }
        if queue.waiting.is_empty() {
            self.turn.push_back(site.clone());
        }
        queue.waiting.push_back(job);
        Ok(())
    }

    /// The next delivery that may begin, sites taking turns. `limits` tells the limits of a transport.
    pub(crate) fn next(
        &mut self,
        now: Instant,
        limits: impl Fn(&str) -> TransportLimits,
    ) -> Option<(Site, Job)> {
        for _ in 0..self.turn.len() {
            let site = self.turn.pop_front()?;
            let limit = limits(&site.transport);
            let transport = self.transports.entry(site.transport.clone()).or_default();
            let Some(queue) = self.sites.get_mut(&site) else { continue };
            let room = transport.in_flight < limit.processes
                && queue.in_flight < allowed(queue, &limit)
                && queue.not_before.is_none_or(|time| time <= now);
            if !room {
                self.turn.push_back(site);
                continue;
            }
            let Some(job) = queue.waiting.pop_front() else { continue };
            queue.in_flight += 1;
            transport.in_flight += 1;
            if !queue.waiting.is_empty() {
                self.turn.push_back(site.clone());
            }
            return Some((site, job));
        }
        None
    }

    /// A delivery ended. When its site must be paused, gives the jobs that wait for it, to be deferred with the reason.
    pub(crate) fn finished(
        &mut self,
        site: &Site,
        feedback: Feedback,
        limits: &TransportLimits,
        pause: Duration,
        now: Instant,
    ) -> Vec<Job> {
        if let Some(transport) = self.transports.get_mut(&site.transport) {
            transport.in_flight = transport.in_flight.saturating_sub(1);
        }
        let Some(queue) = self.sites.get_mut(site) else { return Vec::new() };
        queue.in_flight = queue.in_flight.saturating_sub(1);
        if !limits.rate_delay.is_zero() {
            queue.not_before = Some(now + limits.rate_delay);
        }
        let mut returned = Vec::new();
        match feedback {
            Feedback::Alive => {
                queue.failures = 0.0;
                // Growth by one for each delivery that found the window full enough (positive feedback 1).
                let limit = if limits.per_site == 0 { f64::MAX } else { limits.per_site as f64 };
                if queue.window < limit && queue.in_flight as f64 + 1.0 >= queue.window {
                    queue.window += 1.0;
                }
            }
            Feedback::Failed(reason) => {
                queue.failures += 1.0 / queue.window.max(1.0);
                queue.window = (queue.window - 1.0).max(1.0);
                let cohorts = limits.failed_cohorts;
                // One whole window of failures is a cohort; floating sums of thirds may miss 1 by a hair.
                if cohorts > 0 && queue.failures + 1e-9 >= cohorts as f64 {
                    queue.dead = Some((now + pause, reason));
                    returned = queue.waiting.drain(..).collect();
                    self.turn.retain(|other| other != site);
                }
            }
        }
        let idle = queue.waiting.is_empty() && queue.in_flight == 0;
        if idle && queue.dead.is_none() && queue.not_before.is_none_or(|time| time <= now) {
            self.sites.remove(site);
        }
        returned
    }

    /// Takes back the jobs of a message that have not begun.
    pub(crate) fn withdraw(&mut self, message: &QueueId) -> Vec<Job> {
        let mut withdrawn = Vec::new();
        for (site, queue) in &mut self.sites {
            if queue.waiting.iter().any(|job| job.message == *message) {
                let (gone, left): (Vec<Job>, Vec<Job>) =
                    queue.waiting.drain(..).partition(|job| job.message == *message);
                queue.waiting = left.into();
                withdrawn.extend(gone);
                if queue.waiting.is_empty() {
                    self.turn.retain(|other| other != site);
                }
            }
        }
        withdrawn
    }

    /// When to look again although nothing happened: the end of the nearest rate delay.
    pub(crate) fn next_time(&self, now: Instant) -> Option<Instant> {
        self.turn.iter().filter_map(|site| self.sites.get(site)?.not_before).filter(|time| *time > now).min()
    }

    /// Forgets every pause, as `postqueue -f` asks, and everything about sites with nothing to do.
    pub(crate) fn revive(&mut self) {
        self.sites.retain(|_, queue| {
            queue.dead = None;
            queue.failures = 0.0;
            queue.in_flight > 0 || !queue.waiting.is_empty()
        });
    }
}

fn allowed(queue: &Queue, limits: &TransportLimits) -> usize {
    if !limits.rate_delay.is_zero() {
        return 1;
    }
    let window = queue.window as usize;
    if limits.per_site == 0 { window } else { window.min(limits.per_site) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: TransportLimits = TransportLimits {
        processes: 100,
        initial: 2,
        per_site: 3,
        failed_cohorts: 1,
        rate_delay: Duration::ZERO,
    };

    fn site(next_hop: &str) -> Site {
        Site { transport: "smtp".into(), next_hop: next_hop.into() }
    }

    fn job(n: usize) -> Job {
        Job { message: QueueId::parse(&format!("AAAA{n:04}")).unwrap(), recipients: vec![0] }
    }

    fn fill(schedule: &mut Schedule, hop: &str, jobs: std::ops::Range<usize>, now: Instant) {
        for n in jobs {
            schedule.add(&site(hop), job(n), &LIMITS, now).unwrap();
        }
    }

    fn start_all(schedule: &mut Schedule, limits: TransportLimits, now: Instant) -> Vec<String> {
        std::iter::from_fn(|| schedule.next(now, |_| limits)).map(|(site, _)| site.next_hop).collect()
    }

    #[test]
    fn sites_take_turns_within_their_windows() {
        let now = Instant::now();
        let mut schedule = Schedule::default();
        fill(&mut schedule, "a", 0..5, now);
        fill(&mut schedule, "b", 5..7, now);
        assert_eq!(start_all(&mut schedule, LIMITS, now), ["a", "b", "a", "b"]);
        // One success opens the window by one: two more may begin.
        schedule.finished(&site("a"), Feedback::Alive, &LIMITS, Duration::ZERO, now);
        assert_eq!(start_all(&mut schedule, LIMITS, now), ["a", "a"]);
        // The limit holds whatever the successes.
        schedule.finished(&site("a"), Feedback::Alive, &LIMITS, Duration::ZERO, now);
        assert_eq!(start_all(&mut schedule, LIMITS, now), ["a"]);
    }

    #[test]
    fn the_transport_has_a_limit_of_its_own() {
        let now = Instant::now();
        let mut schedule = Schedule::default();
        fill(&mut schedule, "a", 0..2, now);
        fill(&mut schedule, "b", 2..4, now);
        let one = TransportLimits { processes: 1, ..LIMITS };
        assert_eq!(start_all(&mut schedule, one, now), ["a"]);
    }

    #[test]
    fn a_dead_site_gives_its_jobs_back_and_comes_back_later() {
        let now = Instant::now();
        let pause = Duration::from_secs(300);
        let mut schedule = Schedule::default();
        fill(&mut schedule, "a", 0..4, now);
        assert_eq!(start_all(&mut schedule, LIMITS, now).len(), 2);
        let failed = || Feedback::Failed("connect to a: timed out".into());
        assert_eq!(schedule.finished(&site("a"), failed(), &LIMITS, pause, now), []);
        let returned = schedule.finished(&site("a"), failed(), &LIMITS, pause, now);
        assert_eq!(returned, [job(2), job(3)]);
        let (_, reason) = schedule.add(&site("a"), job(9), &LIMITS, now).unwrap_err();
        assert_eq!(reason, "connect to a: timed out");
        let later = now + pause + Duration::from_secs(1);
        schedule.add(&site("a"), job(9), &LIMITS, later).unwrap();
        assert_eq!(start_all(&mut schedule, LIMITS, later), ["a"]);
    }

    #[test]
    fn a_success_makes_up_for_failures() {
        let now = Instant::now();
        let mut schedule = Schedule::default();
        fill(&mut schedule, "a", 0..8, now);
        for feedback in [Feedback::Failed("x".into()), Feedback::Alive, Feedback::Failed("x".into())] {
            assert!(schedule.next(now, |_| LIMITS).is_some());
            assert_eq!(schedule.finished(&site("a"), feedback, &LIMITS, Duration::ZERO, now).len(), 0);
            fill(&mut schedule, "a", 10..11, now);
            assert!(schedule.next(now, |_| LIMITS).is_some());
            schedule.finished(&site("a"), Feedback::Alive, &LIMITS, Duration::ZERO, now);
        }
    }

    #[test]
    fn a_rate_delay_is_one_delivery_at_a_time_with_a_pause() {
        let now = Instant::now();
        let slow = TransportLimits { rate_delay: Duration::from_secs(10), ..LIMITS };
        let mut schedule = Schedule::default();
        fill(&mut schedule, "a", 0..3, now);
        assert_eq!(start_all(&mut schedule, slow, now), ["a"]);
        schedule.finished(&site("a"), Feedback::Alive, &slow, Duration::ZERO, now);
        assert!(start_all(&mut schedule, slow, now).is_empty());
        let later = schedule.next_time(now).unwrap();
        assert_eq!(later, now + Duration::from_secs(10));
        assert_eq!(start_all(&mut schedule, slow, later), ["a"]);
    }

    #[test]
    fn withdrawn_jobs_do_not_begin() {
        let now = Instant::now();
        let mut schedule = Schedule::default();
        fill(&mut schedule, "a", 0..1, now);
        fill(&mut schedule, "b", 0..1, now);
        assert_eq!(schedule.withdraw(&job(0).message).len(), 2);
        assert!(start_all(&mut schedule, LIMITS, now).is_empty());
    }
}
