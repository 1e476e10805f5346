//! How many sessions and commands each client has at a time and per time unit (anvil(8)): counters in memory, shared by
//! all services of this process, by service and client address.
//!
//! A client's entry lives as long as one of its sessions or its time unit does.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Entries beyond which those that hold nothing any more are swept out.
const SWEEP_AT: usize = 4096;

/// The counters.
pub(crate) struct Anvil {
    unit: Duration,
    clients: Mutex<HashMap<(u32, IpAddr), Client>>,
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
    /// `unit` is `anvil_rate_time_unit`.
    pub(crate) fn new(unit: Duration) -> Anvil {
        Anvil { unit, clients: Mutex::default() }
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
        (client.sessions, self.count_in(client, Event::Connection, now))
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
        match self.lock().get_mut(&(service, address)) {
            Some(client) => self.count_in(client, event, now),
            None => 0,
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_count_at_a_time_and_events_per_time_unit() {
        let anvil = Anvil::new(Duration::from_secs(60));
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
    }
}
