//! How many sessions and commands each client has at a time and per time unit (anvil(8)): counters in memory, shared by
//! all services of this process, by service and client address.
//!
//! A client's entry lives as long as one of its sessions or its time unit does.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// Entries beyond which those that hold nothing any more are swept out.
const SWEEP_AT: usize = 4096;

/// The counters.
pub(crate) struct Anvil {
    unit: Duration,
    /// Names of the services, by their lines in master.cf.
    services: HashMap<u32, String>,
    clients: Mutex<HashMap<(u32, IpAddr), Client>>,
    peaks: Mutex<Peaks>,
}

/// The largest counts since the last look.
#[derive(Default)]
struct Peaks {
    sessions: Option<Peak>,
    events: [Option<Peak>; 5],
    entries: Option<(usize, SystemTime)>,
}

struct Peak {
    count: u32,
    service: u32,
    address: IpAddr,
    at: SystemTime,
}

struct Client {
    sessions: u32,
    since: Instant,
    events: [u32; 5],
}

/// What is counted per time unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A connection.
    Connection,
    /// MAIL.
    Message,
    /// RCPT.
    Recipient,
    /// A TLS handshake that was not resumed.
    NewTls,
    /// AUTH.
    Auth,
}

impl Anvil {
    /// `unit` is `anvil_rate_time_unit`; the services are named in statistics.
    pub(crate) fn new(unit: Duration, services: HashMap<u32, String>) -> Anvil {
        Anvil { unit, services, clients: Mutex::default(), peaks: Mutex::default() }
    }

    /// Counts a connection of a client to a service: how many it has now, and how many it made in this time unit. Pair it
    /// with [`Anvil::disconnect`].
    pub(crate) fn connect(&self, service: u32, address: IpAddr, now: Instant) -> (u32, u32) {
        let mut clients = self.lock();
        if clients.len() >= SWEEP_AT {
            clients.retain(|_, client| client.sessions > 0 || now.duration_since(client.since) < self.unit);
        }
        let client =
            clients.entry((service, address)).or_insert(Client { sessions: 0, since: now, events: [0; 5] });
        client.sessions += 1;
        let counts = (client.sessions, self.count_in(client, Event::Connection, now));
        let entries = clients.len();
        drop(clients);
        let mut peaks = self.peaks();
        peaks.note_sessions(counts.0, service, address);
        peaks.note(Event::Connection, counts.1, service, address);
        if peaks.entries.is_none_or(|(most, _)| entries > most) {
            peaks.entries = Some((entries, SystemTime::now()));
        }
        counts
    }

    /// A session is over.
    pub(crate) fn disconnect(&self, service: u32, address: IpAddr, now: Instant) {
        let mut clients = self.lock();
        if let Some(client) = clients.get_mut(&(service, address)) {
            client.sessions = client.sessions.saturating_sub(1);
            if client.sessions == 0 && now.duration_since(client.since) >= self.unit {
                clients.remove(&(service, address));
            }
        }
    }

    /// Counts an event inside a session: how many there were in this time unit.
    pub(crate) fn count(&self, service: u32, address: IpAddr, event: Event, now: Instant) -> u32 {
        let count = match self.lock().get_mut(&(service, address)) {
            Some(client) => self.count_in(client, event, now),
            None => return 0,
        };
        self.peaks().note(event, count, service, address);
        count
    }

    /// Lines for the log about the largest counts since the last call (anvil(8)), which begin anew.
    pub(crate) fn statistics(&self) -> Vec<String> {
        let peaks = std::mem::take(&mut *self.peaks());
        let unit = self.unit.as_secs();
        let at = |time: SystemTime| mail::date::syslog(time);
        let whose = |peak: &Peak| {
            let service = self.services.get(&peak.service).map_or("unknown", String::as_str);
            format!("({service}:{}) at {}", peak.address, at(peak.at))
        };
        let mut lines = Vec::new();
        let rate = |name: &str, event: Event| {
            let peak = peaks.events[event as usize].as_ref()?;
            Some(format!("statistics: max {name} rate {}/{unit}s for {}", peak.count, whose(peak)))
        };
        lines.extend(rate("connection", Event::Connection));
        lines.extend(
            peaks
                .sessions
                .as_ref()
                .map(|peak| format!("statistics: max connection count {} for {}", peak.count, whose(peak))),
        );
        lines.extend(rate("message", Event::Message));
        lines.extend(rate("recipient", Event::Recipient));
        lines.extend(rate("newtls", Event::NewTls));
        lines.extend(rate("auth", Event::Auth));
        lines.extend(
            peaks.entries.map(|(most, time)| format!("statistics: max cache size {most} at {}", at(time))),
        );
        lines
    }

    fn peaks(&self) -> MutexGuard<'_, Peaks> {
        self.peaks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many events there were in this time unit, without another.
    pub(crate) fn so_far(&self, service: u32, address: IpAddr, event: Event, now: Instant) -> u32 {
        match self.lock().get(&(service, address)) {
            Some(client) if now.duration_since(client.since) < self.unit => client.events[event as usize],
            _ => 0,
        }
    }

    fn count_in(&self, client: &mut Client, event: Event, now: Instant) -> u32 {
        if now.duration_since(client.since) >= self.unit {
            client.since = now;
            client.events = [0; 5];
        }
        let counter = &mut client.events[event as usize];
        *counter = counter.saturating_add(1);
        *counter
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(u32, IpAddr), Client>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Peaks {
    fn note(&mut self, event: Event, count: u32, service: u32, address: IpAddr) {
        raise(&mut self.events[event as usize], count, service, address);
    }

    fn note_sessions(&mut self, count: u32, service: u32, address: IpAddr) {
        raise(&mut self.sessions, count, service, address);
    }
}

fn raise(peak: &mut Option<Peak>, count: u32, service: u32, address: IpAddr) {
    if peak.as_ref().is_none_or(|peak| count > peak.count) {
        *peak = Some(Peak { count, service, address, at: SystemTime::now() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_count_at_a_time_and_events_per_time_unit() {
        let anvil = Anvil::new(Duration::from_secs(60), HashMap::from([(1, "smtp".into())]));
        let address: IpAddr = "192.0.2.1".parse().unwrap();
        let start = Instant::now();
        let later = start + Duration::from_secs(61);
        assert_eq!(anvil.connect(1, address, start), (1, 1));
        assert_eq!(anvil.connect(1, address, start), (2, 2));
        assert_eq!(anvil.connect(2, address, start), (1, 1), "each service counts for itself");
        anvil.disconnect(1, address, start);
        assert_eq!(anvil.connect(1, address, start), (2, 3));
        assert_eq!(anvil.count(1, address, Event::Message, start), 1);
        assert_eq!(anvil.so_far(1, address, Event::Message, start), 1);
        assert_eq!(anvil.so_far(1, address, Event::Message, later), 0);
        assert_eq!(anvil.count(1, address, Event::Message, later), 1, "a new time unit");
        assert_eq!(anvil.connect(1, address, later), (3, 1));
        anvil.disconnect(2, address, later);
        assert_eq!(anvil.count(2, address, Event::Message, later), 0, "forgotten");
        let statistics = anvil.statistics();
        for (line, start) in statistics.iter().zip([
            "statistics: max connection rate 3/60s for (smtp:192.0.2.1) at ",
            "statistics: max connection count 3 for (smtp:192.0.2.1) at ",
            "statistics: max message rate 1/60s for (smtp:192.0.2.1) at ",
            "statistics: max cache size 2 at ",
        ]) {
            assert!(line.starts_with(start), "{line}");
        }
        assert_eq!((statistics.len(), anvil.statistics().len()), (4, 0));
    }
}
