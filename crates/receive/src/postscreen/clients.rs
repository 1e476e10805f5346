//! Who is here: sessions of each client, what they know of it, and how full postscreen(8) is.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::stamps::Stamps;

/// All clients of one service.
pub(super) struct Clients {
    /// postscreen_pre_queue_limit; 0 is none.
    pre_queue_limit: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    clients: HashMap<IpAddr, Entry>,
    /// Sessions from CONNECT until smtpd has them, or they end.
    checked: usize,
    /// Of these, sessions that wait for an smtpd.
    waiting: usize,
    stress: bool,
}

struct Entry {
    sessions: usize,
    shared: Arc<Mutex<Shared>>,
}

/// What sessions of one client share.
pub(super) struct Shared {
    pub(super) stamps: Stamps,
    /// How often `PASS NEW` was logged.
    pub(super) blessings: usize,
}

/// One session's place; given back when it is dropped.
pub(super) struct Place {
    clients: Arc<Clients>,
    address: IpAddr,
    shared: Arc<Mutex<Shared>>,
    waiting: bool,
    /// Sessions of this client at the time of its arrival, this one included.
    pub(super) concurrency: usize,
}

/// The load went over or under a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StressChange {
    pub(super) entered: bool,
    /// Sessions at that time.
    pub(super) sessions: usize,
}

impl StressChange {
    /// Postfix's line.
    pub(super) fn text(self) -> String {
        let verb = if self.entered { "entering" } else { "leaving" };
        format!("{verb} STRESS mode with {} connections", self.sessions)
    }
}

impl Clients {
    /// `pre_queue_limit` also sets the marks of stress: nine tenths on the way up, seven on the way down.
    pub(super) fn new(pre_queue_limit: usize) -> Arc<Clients> {
        Arc::new(Clients { pre_queue_limit, state: Mutex::default() })
    }

    /// A client connects.
    pub(super) fn arrive(self: &Arc<Clients>, address: IpAddr) -> (Place, Option<StressChange>) {
        let mut state = self.lock();
        state.checked += 1;
        let mut change = None;
        if !state.stress && self.pre_queue_limit > 0 && state.checked >= self.pre_queue_limit * 9 / 10 {
            state.stress = true;
            change = Some(StressChange { entered: true, sessions: state.checked });
        }
        let unknown = Shared { stamps: Stamps::UNKNOWN, blessings: 0 };
        let entry = state
            .clients
            .entry(address)
            .or_insert_with(|| Entry { sessions: 0, shared: Arc::new(Mutex::new(unknown)) });
        entry.sessions += 1;
        let place = Place {
            clients: Arc::clone(self),
            address,
            shared: Arc::clone(&entry.shared),
            waiting: false,
            concurrency: entry.sessions,
        };
        (place, change)
    }

    /// How many sessions wait for an smtpd.
    pub(super) fn waiting(&self) -> usize {
        self.lock().waiting
    }

    /// Are there as many sessions under test as postscreen_pre_queue_limit allows?
    pub(super) fn is_full(&self) -> bool {
        let state = self.lock();
        self.pre_queue_limit > 0 && state.checked - state.waiting >= self.pre_queue_limit
    }

    /// Are time limits shortened?
    pub(super) fn is_stressed(&self) -> bool {
        self.lock().stress
    }

    /// Has the load fallen? To be asked after a place was given back.
    pub(super) fn relax(&self) -> Option<StressChange> {
        let mut state = self.lock();
        if !state.stress || state.checked > self.pre_queue_limit * 7 / 10 {
            return None;
        }
        state.stress = false;
        Some(StressChange { entered: false, sessions: state.checked })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// What the client's sessions share.
    pub(super) fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The session waits for an smtpd from now on.
    pub(super) fn wait_for_smtpd(&mut self) {
        if !self.waiting {
            self.waiting = true;
            self.clients.lock().waiting += 1;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.clients.lock();
        state.checked -= 1;
        state.waiting -= usize::from(self.waiting);
        if let Some(entry) = state.clients.get_mut(&self.address) {
            entry.sessions -= 1;
            if entry.sessions == 0 {
                state.clients.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::stamps::Test;
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn sessions_of_one_client_share_what_they_know() {
        let clients = Clients::new(100);
        let (first, _) = clients.arrive(address(1));
        let (second, _) = clients.arrive(address(1));
        let (other, _) = clients.arrive(address(2));
        assert_eq!((first.concurrency, second.concurrency, other.concurrency), (1, 2, 1));
        first.shared().stamps.pass_until(Test::Dnsbl, 9);
        assert!(!second.shared().stamps.is_due(Test::Dnsbl, 9));
        drop((first, second));
        let (again, _) = clients.arrive(address(1));
        assert_eq!(again.concurrency, 1);
        assert!(again.shared().stamps.is_due(Test::Dnsbl, 9), "forgotten with the last session");
    }

    #[test]
    fn limits_and_stress() {
        let clients = Clients::new(10);
        let mut places: Vec<Place> = Vec::new();
        for n in 1..=10 {
            assert!(!clients.is_full(), "{n}");
            let (place, change) = clients.arrive(address(n));
            let entered = (n == 9).then_some(StressChange { entered: true, sessions: 9 });
            assert_eq!(change, entered, "{n}");
            places.push(place);
        }
        assert!(clients.is_full() && clients.is_stressed());
        places[0].wait_for_smtpd();
        places[0].wait_for_smtpd();
        assert_eq!(clients.waiting(), 1);
        assert!(!clients.is_full(), "who waits for an smtpd is not under test");
        places.truncate(8);
        assert_eq!(clients.relax(), None);
        places.truncate(7);
        let left = StressChange { entered: false, sessions: 7 };
        assert_eq!(clients.relax(), Some(left));
        assert_eq!(left.text(), "leaving STRESS mode with 7 connections");
        assert_eq!(clients.relax(), None);
        drop(places);
        assert_eq!(clients.waiting(), 0);
    }
}
