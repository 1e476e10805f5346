//! Messages whose time has come: read from the store while there is room for them, none passed by, and the store not asked more often than it
//! has news.

use std::time::{Duration, SystemTime};

use mail::QueueId;
use spool::{Change, Held, StoreError};

use super::{QueueRole, off_the_way};

/// How soon a store is asked again that could not answer.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Messages read from the store at a time.
const PAGE: usize = 200;

/// Where the reading stands.
pub(super) struct Due {
    scan: Scan,
    /// What was due then was looked for: the time of the last look at the store.
    looked: SystemTime,
    /// Something became due that this reading may have passed by: it is made once more.
    scan_again: bool,
    /// When the next message behind the last look will be due, if that is known.
    next: Option<Option<SystemTime>>,
}

#[derive(Clone, PartialEq, Eq)]
enum Scan {
    /// Nothing is due now.
    Idle,
    /// There may be more behind this point.
    Due(Option<(SystemTime, QueueId)>),
}

impl Default for Due {
    /// Nothing was looked for yet.
    fn default() -> Due {
        Due { scan: Scan::Due(None), looked: SystemTime::UNIX_EPOCH, scan_again: false, next: None }
    }
}

impl QueueRole {
    /// How long until the next message is due; nothing when that depends on others.
    pub(super) fn next_due_in(&mut self) -> Option<Duration> {
        // There is no room for what is due already; somebody has to leave first.
        if self.due.scan != Scan::Idle {
            return None;
        }
        let now = self.clock.wall();
        // The store is asked once, and again when something has changed behind our back: this is where the role is whenever it
        // has nothing to do. It is asked about all time since the last look.
        let next = match self.due.next {
            Some(known) => known,
            None => {
                let looked = self.due.looked.min(now);
                match off_the_way(|| self.spool.questions().next_due(looked)) {
                    Ok(next) => *self.due.next.insert(next),
                    Err(error) => {
                        maillog::warning!(self.qmgr, "{error}");
                        Some(now + LOOK_AGAIN)
                    }
                }
            }
        };
        Some(next?.duration_since(now).unwrap_or_default() + Duration::from_millis(1))
    }

    /// Looks for what is due now, and anew for what will be.
    pub(super) fn rescan(&mut self) {
        self.due.scan = Scan::Due(None);
        self.due.next = None;
    }

    /// A message that is not in the active queue is due then. Until now a reading passed it by.
    pub(super) fn note_due(&mut self, time: SystemTime) {
        if time <= self.due.looked {
            match self.due.scan {
                Scan::Idle => self.due.scan = Scan::Due(None),
                Scan::Due(_) => self.due.scan_again = true,
            }
        } else if let Some(next) = &mut self.due.next {
            *next = Some(next.map_or(time, |known| known.min(time)));
        }
    }

    /// Reads due messages from the store while there is room.
    pub(super) fn fill_active(&mut self) {
        while !self.draining && self.has_room() {
            let Scan::Due(after) = self.due.scan.clone() else { return };
            let room = (self.limits.active - self.active.len()).min(PAGE);
            let now = self.clock.wall();
            let found = off_the_way(|| self.spool.questions().due(now, after, room));
            match found {
                Ok(page) => {
                    let last = page.last().map(|last| (last.next_attempt, last.message.id));
                    self.due.looked = now;
                    self.due.next = None;
                    self.due.scan = match page.len() < room {
                        false => Scan::Due(last),
                        true if std::mem::take(&mut self.due.scan_again) => Scan::Due(None),
                        true => Scan::Idle,
                    };
                    for stored in page {
                        if let Some(damage) = &stored.damage {
                            self.set_aside(&stored.message.id, damage);
                        } else {
                            self.activate(stored);
                        }
                    }
                }
                Err(error) => {
                    maillog::warning!(self.qmgr, "{error}");
                    self.due.scan = Scan::Idle;
                    self.due.next = Some(Some(now + LOOK_AGAIN));
                }
            }
        }
    }

    /// A damaged message must not be delivered, nor be in the way of the others, nor be lost.
    pub(super) fn set_aside(&self, id: &QueueId, damage: &str) {
        maillog::error!(
            self.qmgr,
            "{id}: {damage}; the message is set aside in the corrupt queue, look at it with postcat -q"
        );
        let (log, id) = (self.qmgr.clone(), *id);
        let change = Change::Hold { id, held: Held::Corrupt };
        let done = Box::new(move |result: Result<(), StoreError>| {
            if let Err(error) = result {
                maillog::error!(log, "{id}: {error}; it is not set aside");
            }
        });
        self.spool.record(vec![change], done);
    }
}
