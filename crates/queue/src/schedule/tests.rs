//! The schedule by example, and under a simulated load of many messages.

use super::*;

const LIMITS: TransportLimits = TransportLimits {
    processes: 100,
    window: WindowLimits {
        initial: 2,
        most: 3,
        failed_cohorts: 1,
        positive: Law::WHOLE,
        negative: Law::WHOLE,
    },
    rate_delay: Duration::ZERO,
    transport_rate_delay: Duration::ZERO,
    slots: SlotLimits { cost: 5, loan: 3, discount: 50, minimum: 3 },
};

fn site(next_hop: &str) -> Site {
    Site { transport: "smtp".into(), next_hop: next_hop.into() }
}

fn job(n: usize) -> Job {
    Job { message: QueueId::parse(&format!("AAAA{n:06}")).unwrap(), recipients: vec![0] }
}

fn fill(schedule: &mut Schedule, hop: &str, jobs: std::ops::Range<usize>, now: Instant) {
    for n in jobs {
        schedule.add(&site(hop), job(n), &LIMITS, now).unwrap();
    }
}

fn start_all(schedule: &mut Schedule, limits: TransportLimits, now: Instant) -> Vec<String> {
    std::iter::from_fn(|| schedule.next(now, |_| limits)).map(|(site, ..)| site.next_hop).collect()
}

#[test]
fn messages_go_in_order_of_arrival_within_the_windows_of_their_sites() {
    let now = Instant::now();
    let mut schedule = Schedule::default();
    fill(&mut schedule, "a", 0..5, now);
    fill(&mut schedule, "b", 5..7, now);
    assert_eq!(start_all(&mut schedule, LIMITS, now), ["a", "a", "b", "b"]);
    // One success opens the window by one: two more may begin.
    schedule.finished(&site("a"), Feedback::Alive, &LIMITS, Duration::ZERO, now);
    assert_eq!(start_all(&mut schedule, LIMITS, now), ["a", "a"]);
    // The limit holds whatever the successes.
    schedule.finished(&site("a"), Feedback::Alive, &LIMITS, Duration::ZERO, now);
    assert_eq!(start_all(&mut schedule, LIMITS, now), ["a"]);
}

#[test]
fn the_sites_of_one_message_take_turns() {
    let now = Instant::now();
    let mut schedule = Schedule::default();
    for hop in ["a", "a", "a", "b", "b", "b"] {
        schedule.add(&site(hop), job(0), &LIMITS, now).unwrap();
    }
    assert_eq!(start_all(&mut schedule, LIMITS, now), ["a", "b", "a", "b"]);
}

#[test]
fn the_transport_has_a_limit_of_its_own() {
    let now = Instant::now();
    let mut schedule = Schedule::default();
    fill(&mut schedule, "a", 0..2, now);
    fill(&mut schedule, "b", 2..4, now);
    let one = TransportLimits { processes: 1, ..LIMITS };
    assert_eq!(start_all(&mut schedule, one, now), ["a"]);
    // While there is nobody who could deliver, everything waits in its place.
    let none = TransportLimits { processes: 0, ..LIMITS };
    assert!(start_all(&mut schedule, none, now).is_empty());
    assert_eq!(start_all(&mut schedule, LIMITS, now), ["a", "b", "b"]);
}

#[test]
fn transports_take_turns() {
    let now = Instant::now();
    let mut schedule = Schedule::default();
    for n in 0..4 {
        let transport = if n < 2 { "smtp" } else { "relay" };
        let site = Site { transport: transport.into(), next_hop: "a".into() };
        schedule.add(&site, job(n), &LIMITS, now).unwrap();
    }
    let begun = std::iter::from_fn(|| schedule.next(now, |_| LIMITS)).map(|(site, ..)| site.transport);
    assert_eq!(begun.collect::<Vec<_>>(), ["smtp", "relay", "smtp", "relay"]);
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
    // The window shrank to one, so that the next failure is a whole cohort.
    let returned = schedule.finished(&site("a"), failed(), &LIMITS, pause, now);
    assert_eq!(returned, [job(2), job(3)]);
    let (_, reason) = schedule.add(&site("a"), job(9), &LIMITS, now).unwrap_err();
    assert_eq!(reason, "connect to a: timed out");
    let later = now + pause + Duration::from_secs(1);
    schedule.add(&site("a"), job(9), &LIMITS, later).unwrap();
    assert_eq!(start_all(&mut schedule, LIMITS, later), ["a"]);
}

#[test]
fn a_flush_revives_the_dead() {
    let now = Instant::now();
    let mut schedule = Schedule::default();
    fill(&mut schedule, "a", 0..2, now);
    start_all(&mut schedule, LIMITS, now);
    for _ in 0..2 {
        schedule.finished(&site("a"), Feedback::Failed("x".into()), &LIMITS, Duration::from_secs(300), now);
    }
    assert!(schedule.add(&site("a"), job(2), &LIMITS, now).is_err());
    schedule.revive(|_| LIMITS, now);
    assert!(schedule.add(&site("a"), job(2), &LIMITS, now).is_ok());
}

#[test]
fn a_rate_delay_is_one_delivery_at_a_time_with_a_pause() {
    let now = Instant::now();
    let slow = TransportLimits { rate_delay: Duration::from_secs(10), ..LIMITS };
    let mut schedule = Schedule::default();
    for n in 0..3 {
        schedule.add(&site("a"), job(n), &slow, now).unwrap();
    }
    assert_eq!(start_all(&mut schedule, slow, now), ["a"]);
    schedule.finished(&site("a"), Feedback::Alive, &slow, Duration::ZERO, now);
    assert!(start_all(&mut schedule, slow, now).is_empty());
    let later = schedule.next_time(now).unwrap();
    assert_eq!(later, now + Duration::from_secs(10));
    assert_eq!(start_all(&mut schedule, slow, later), ["a"]);
}

#[test]
fn a_transport_rate_delay_spaces_the_beginnings() {
    let now = Instant::now();
    let slow = TransportLimits { transport_rate_delay: Duration::from_secs(2), ..LIMITS };
    let mut schedule = Schedule::default();
    fill(&mut schedule, "a", 0..1, now);
    fill(&mut schedule, "b", 1..2, now);
    assert_eq!(start_all(&mut schedule, slow, now), ["a"]);
    let later = schedule.next_time(now).unwrap();
    assert_eq!(later, now + Duration::from_secs(2));
    assert_eq!(start_all(&mut schedule, slow, later), ["b"]);
}

#[test]
fn connections_are_kept_while_deliveries_follow_each_other() {
    let mut now = Instant::now();
    let mut schedule = Schedule::default();
    fill(&mut schedule, "a", 0..9, now);
    let next = |schedule: &mut Schedule, now| schedule.next(now, |_| LIMITS).unwrap().2;
    let kept = Caching { load: true, store: true };
    // A burst within the first window needs no connection twice.
    assert_eq!(next(&mut schedule, now), Caching::default());
    assert_eq!(next(&mut schedule, now), Caching::default());
    schedule.finished(&site("a"), Feedback::Alive, &LIMITS, Duration::ZERO, now);
    assert_eq!(next(&mut schedule, now), kept);
    now += Duration::from_secs(9);
    assert_eq!(next(&mut schedule, now), kept, "others are under way");
    for _ in 0..3 {
        schedule.finished(&site("a"), Feedback::Alive, &LIMITS, Duration::ZERO, now);
    }
    now += Duration::from_secs(9);
    assert_eq!(next(&mut schedule, now), Caching { load: true, store: false }, "it has become quiet");
}

#[test]
fn a_stream_of_single_messages_is_back_to_back() {
    let mut now = Instant::now();
    let mut schedule = Schedule::default();
    let mut told = Vec::new();
    for (n, pause) in [0, 100, 100, 2000].into_iter().enumerate() {
        now += Duration::from_millis(pause);
        fill(&mut schedule, "a", n..n + 1, now);
        told.push(schedule.next(now, |_| LIMITS).unwrap().2.store);
        schedule.finished(&site("a"), Feedback::Alive, &LIMITS, Duration::ZERO, now);
    }
    assert_eq!(told, [false, true, true, false]);
}

#[test]
fn withdrawn_jobs_do_not_begin() {
    let now = Instant::now();
    let mut schedule = Schedule::default();
    fill(&mut schedule, "a", 0..1, now);
    fill(&mut schedule, "b", 0..1, now);
    assert_eq!(schedule.withdraw(&job(0).message, |_| LIMITS, now).len(), 2);
    assert!(start_all(&mut schedule, LIMITS, now).is_empty());
}

/// A message to `count` destinations, then `small` ones to one each. Gives the order in which messages begin when one delivery
/// goes on at a time: `L` for the large one, `s` for a small one.
fn order(count: usize, small: usize, slots: SlotLimits) -> String {
    let now = Instant::now();
    let limits = TransportLimits { processes: 1, slots, ..LIMITS };
    let mut schedule = Schedule::default();
    for n in 0..count {
        schedule.add(&site(&format!("large{n}")), job(0), &limits, now).unwrap();
    }
    for n in 0..small {
        schedule.add(&site(&format!("small{n}")), job(n + 1), &limits, now).unwrap();
    }
    let mut order = String::new();
    while let Some((site, job, _)) = schedule.next(now, |_| limits) {
        order.push(if job.message == self::job(0).message { 'L' } else { 's' });
        schedule.finished(&site, Feedback::Alive, &limits, Duration::ZERO, now);
    }
    order
}

#[test]
fn small_messages_are_let_in_front_of_a_large_one() {
    // Nothing earned, nothing let in: the loan only counts once the account is above zero.
    let order_of = |slots| order(40, 4, slots);
    let begun = order_of(LIMITS.slots);
    assert_eq!(begun.len(), 44);
    // The loan lets the first in after one delivery; the next comes when what was used has been earned: five deliveries each.
    assert!(begun.starts_with("LsLLLLLsLLLLLs"), "{begun}");
    let without_loan = SlotLimits { loan: 0, discount: 0, ..LIMITS.slots };
    assert!(order_of(without_loan).starts_with("LLLLLsLLLLLs"), "{}", order_of(without_loan));
    // Switched off, first come is first served.
    for cost in [0, 1] {
        let off = SlotLimits { cost, ..LIMITS.slots };
        assert_eq!(order_of(off), "L".repeat(40) + "ssss");
    }
    // A message of fewer deliveries than minimum times cost is not made to wait.
    assert_eq!(order(14, 2, LIMITS.slots), "L".repeat(14) + "ss");
}

#[test]
fn a_large_message_is_not_delayed_by_more_than_its_share() {
    let begun = order(1000, 5000, LIMITS.slots);
    let last = begun.rfind('L').unwrap();
    // Of 1000 deliveries one slot for each five: 200, and the loan.
    assert!((1150..=1210).contains(&last), "{last}");
}

/// A small generator, so that a failing seed can be played again.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// Messages of all sizes to destinations that are quick, slow or dead, with a simulated clock: nothing is lost or begun twice,
/// no limit is ever exceeded, and nobody starves.
fn simulate(seed: u64, messages: usize) {
    let mut random = Random(seed | 1);
    let mut now = Instant::now();
    let limits = TransportLimits { processes: 30, ..LIMITS };
    let mut schedule = Schedule::default();
    let mut open: HashMap<QueueId, usize> = HashMap::new();
    let mut in_flight: BTreeMap<(Instant, u64), (Site, Job)> = BTreeMap::new();
    let mut busy: HashMap<Site, usize> = HashMap::new();
    let (mut added, mut delivered, mut given_back, mut serial) = (0usize, 0usize, 0usize, 0u64);
    let mut longest = Duration::ZERO;
    let mut arrived: HashMap<QueueId, Instant> = HashMap::new();
    let mut brought = 0;
    while brought < messages || !in_flight.is_empty() {
        if brought < messages {
            let id = job(brought);
            // Mostly single recipients, now and then a list.
            let count = if random.below(50) == 0 { 200 } else { 1 + random.below(3) as usize };
            for _ in 0..count {
                let site = site(&format!("site{}", random.below(40)));
                added += 1;
                match schedule.add(&site, id.clone(), &limits, now) {
                    Ok(()) => *open.entry(id.message).or_default() += 1,
                    Err(_) => given_back += 1,
                }
            }
            arrived.insert(id.message, now);
            brought += 1;
        }
        while let Some((site, job, _)) = schedule.next(now, |_| limits) {
            let left =
                open.get_mut(&job.message).unwrap_or_else(|| panic!("seed {seed}: {job:?} begun twice"));
            *left -= 1;
            if *left == 0 {
                open.remove(&job.message);
            }
            longest = longest.max(now - arrived[&job.message]);
            let busy = busy.entry(site.clone()).or_default();
            *busy += 1;
            assert!(*busy <= limits.window.most, "seed {seed}: {} deliveries to {site:?}", *busy);
            serial += 1;
            // Some sites answer quickly, some need ten times as long.
            let slow = if site.next_hop.ends_with('7') { 500 } else { 50 };
            let end = now + Duration::from_millis(1 + random.below(slow));
            in_flight.insert((end, serial), (site, job));
            assert!(in_flight.len() <= limits.processes, "seed {seed}");
        }
        now += Duration::from_millis(random.below(60));
        if brought == messages {
            // Nothing new will come: on to the next end of a delivery.
            now = in_flight.keys().next().map_or(now, |(end, _)| now.max(*end));
        }
        while let Some(entry) = in_flight.first_entry() {
            if entry.key().0 > now {
                break;
            }
            let (site, _) = entry.remove();
            *busy.get_mut(&site).unwrap() -= 1;
            delivered += 1;
            // One site is dead all the time.
            let feedback = match site.next_hop.as_str() {
                "site13" => Feedback::Failed("timed out".into()),
                _ => Feedback::Alive,
            };
            for job in schedule.finished(&site, feedback, &limits, Duration::from_secs(300), now) {
                given_back += 1;
                let left = open.get_mut(&job.message).unwrap();
                *left -= 1;
                if *left == 0 {
                    open.remove(&job.message);
                }
            }
        }
    }
    assert_eq!(delivered + given_back, added, "seed {seed}: every job is delivered or given back, once");
    assert!(open.is_empty(), "seed {seed}: {} messages still have jobs", open.len());
    assert!(schedule.transports.values().all(|transport| transport.works.is_empty()), "seed {seed}");
    assert!(longest < Duration::from_secs(600), "seed {seed}: somebody waited for {longest:?}");
}

#[test]
fn a_simulated_load_loses_nothing_and_keeps_every_limit() {
    for seed in 1..=20 {
        simulate(seed * 7919, 1000);
    }
}
