//! A message while it is being delivered: a table of its recipients and what is known of each in this round.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use mail::{Message, Outcome, OutcomeKind, Purpose, Recipient};
use spool::{Change, Progress, RecipientState, Stored};

use crate::inquiry::in_order;

/// A message of the active queue.
pub(crate) struct Active {
    /// With the recipients that were not done when it became active.
    pub(crate) message: Arc<Message>,
    /// Its content, when it was small enough to keep.
    pub(crate) body: Option<Vec<u8>>,
    pub(crate) attempts: u32,
    pub(crate) warned: bool,
    /// The sender was told of a delay, and is to be told of its end (confirm_delay_cleared).
    pub(crate) confirms_delivery: bool,
    /// `postsuper -e`: bounce whatever is not delivered now.
    pub(crate) expire: bool,
    pub(crate) activated: SystemTime,
    pub(crate) activated_at: Instant,
    /// The store may have missed what became of some recipients.
    pub(crate) is_unrecorded: bool,
    /// The log knows that it can not be recorded.
    pub(crate) is_told: bool,
    /// Deliveries of this round whose process died.
    pub(crate) lost_deliveries: u32,
    /// In the order of their positions.
    rows: Vec<Row>,
    tried: usize,
    /// For the report of this round, where one was asked for. In memory only: after a crash a probe is made again, and a
    /// traced message is reported as far as it is tried again.
    trace: Vec<Told>,
    /// Where recipients of this round failed, when that was elsewhere: the members of an alias. In memory only, as `trace`.
    failures: Vec<(u32, Vec<Told>)>,
    /// When the store makes it due again, from the end of the round on.
    pub(crate) deferred_until: Option<SystemTime>,
    /// An administrator's wish that takes effect when the round is over.
    pub(crate) afterwards: Afterwards,
}

/// What happens when nothing of the message is under way any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Afterwards {
    /// What the outcomes demand.
    Settle,
    /// It was removed meanwhile.
    Forget,
    /// It was put on hold meanwhile.
    Hold,
    /// It turned out to be damaged.
    SetAside,
    /// It was requeued meanwhile.
    Requeue,
}

struct Row {
    position: u32,
    under_way: bool,
    /// Of this round, in memory only: behind a crash the report says that an alias was expanded.
    to_list: bool,
    state: RecipientState,
}

/// What a notice says of one recipient.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Told {
    pub(crate) recipient: Recipient,
    pub(crate) kind: OutcomeKind,
    pub(crate) progress: Progress,
    /// The recipient is a list with an owner.
    pub(crate) to_list: bool,
}

/// How a round ended.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    /// Refused: the sender is to be told.
    pub(crate) failed: Vec<Told>,
    /// Delivered, and the sender wants to know.
    pub(crate) delivered: Vec<Told>,
    /// To be tried again.
    pub(crate) deferred: Vec<Told>,
}

impl Active {
    /// A message that comes from the store or has just been put there.
    pub(crate) fn new(stored: Stored, now: SystemTime, at: Instant) -> Active {
        Active {
            tried: stored.states.iter().filter(|(_, state)| state.is_unfinished()).count(),
            rows: stored
                .states
                .iter()
                .map(|(position, state)| Row {
                    position: *position,
                    under_way: false,
                    to_list: false,
                    state: state.clone(),
                })
                .collect(),
            message: Arc::new(stored.message),
            body: stored.body,
            attempts: stored.attempts,
            warned: stored.warned,
            confirms_delivery: false,
            expire: stored.expire,
            activated: now,
            is_unrecorded: false,
            is_told: false,
            lost_deliveries: 0,
            trace: Vec::new(),
            failures: Vec::new(),
            activated_at: at,
            deferred_until: None,
            afterwards: Afterwards::Settle,
        }
    }

    /// The recipients that this round has to try, with their positions. Those that failed for good in an earlier round that a
    /// crash cut short are only waiting for their notice.
    pub(crate) fn to_try(&self) -> Vec<(u32, Recipient)> {
        self.pairs()
            .filter(|(row, _)| row.state.is_unfinished())
            .map(|(row, recipient)| (row.position, recipient.clone()))
            .collect()
    }

    /// Things about recipients in the order in which these are delivered to.
    pub(crate) fn in_order<T>(&self, mut things: Vec<(u32, T)>) -> Vec<(u32, T)> {
        if things.len() > 1 {
            let keys: HashMap<u32, _> =
                self.pairs().map(|(row, recipient)| (row.position, in_order(&recipient.address))).collect();
            things.sort_by(|(a, _), (b, _)| keys.get(a).cmp(&keys.get(b)));
        }
        things
    }

    /// The recipient at a position.
    pub(crate) fn recipient(&self, position: u32) -> Option<&Recipient> {
        self.message.envelope.recipients.get(self.place(position)?)
    }

    /// Marks a recipient as handed to a delivery agent, or waiting for one.
    pub(crate) fn begin(&mut self, position: u32) {
        if let Some(row) = self.row(position) {
            row.under_way = true;
        }
    }

    /// Takes an outcome in. Gives the change that makes it durable.
    pub(crate) fn finish(&mut self, position: u32, outcome: &Outcome, now: SystemTime) -> Option<Change> {
        let recipient = self.recipient(position)?.clone();
        let notify = recipient.notify;
        let confirms = self.confirms_delivery && !notify.never;
        let progress = progress(outcome, now);
        let purpose = self.message.envelope.purpose;
        if purpose != Purpose::Delivery {
            self.trace.push(Told {
                recipient,
                kind: outcome.kind,
                progress: progress.clone(),
                to_list: outcome.to_list,
            });
        }
        let state = match outcome.kind {
            OutcomeKind::Sent if (notify.success && !outcome.dsn_passed_on) || confirms => {
                RecipientState::Delivered(progress)
            }
            OutcomeKind::Sent | OutcomeKind::Deliverable | OutcomeKind::Undeliverable => RecipientState::Done,
            OutcomeKind::Deferred => RecipientState::Deferred(progress),
            OutcomeKind::Bounced => RecipientState::Failed(progress),
        };
        let id = self.message.id;
        let row = self.row(position)?;
        row.under_way = false;
        row.to_list = outcome.to_list;
        row.state = state.clone();
        (!purpose.is_probe()).then_some(Change::Recipient { id, position, state })
    }

    /// For reports and notices: a recipient led to these places. They take its own place there.
    pub(crate) fn tell_places(&mut self, position: u32, places: Vec<(Recipient, Outcome)>, now: SystemTime) {
        let Some(recipient) = self.recipient(position).filter(|_| !places.is_empty()).cloned() else {
            return;
        };
        let told = places.into_iter().map(|(recipient, outcome)| Told {
            recipient,
            kind: outcome.kind,
            progress: progress(&outcome, now),
            to_list: outcome.to_list,
        });
        if self.message.envelope.purpose == Purpose::Delivery {
            self.failures.push((position, told.collect()));
        } else {
            self.trace.retain(|told| told.recipient != recipient);
            self.trace.extend(told);
        }
    }

    /// What the sender asked to be told of this round; nothing after the first attempt.
    pub(crate) fn trace(&self) -> Vec<Told> {
        if self.attempts == 0 { self.trace.clone() } else { Vec::new() }
    }

    /// All that is known of the recipients, for a store that may have missed some of it.
    pub(crate) fn all_changes(&self) -> Vec<Change> {
        let id = &self.message.id;
        let known = self.rows.iter().filter(|row| row.state != RecipientState::Pending);
        known
            .map(|row| Change::Recipient { id: *id, position: row.position, state: row.state.clone() })
            .collect()
    }

    /// Gives a recipient back to the queue without an outcome: its job was withdrawn.
    pub(crate) fn give_back(&mut self, position: u32) {
        if let Some(row) = self.row(position) {
            row.under_way = false;
        }
    }

    /// How many recipients this round had to try.
    pub(crate) fn tried(&self) -> usize {
        self.tried
    }

    /// Is nothing under way?
    pub(crate) fn is_settled(&self) -> bool {
        self.rows.iter().all(|row| !row.under_way)
    }

    /// How the round ended.
    pub(crate) fn settled(&self) -> Settled {
        let mut settled = Settled::default();
        let mut pairs: Vec<_> = self.pairs().collect();
        pairs.sort_by_cached_key(|(_, recipient)| in_order(&recipient.address));
        for (row, recipient) in pairs {
            let (list, kind, progress) = match &row.state {
                RecipientState::Failed(progress) => {
                    let places = self.failures.iter().find(|(position, _)| *position == row.position);
                    if let Some((_, places)) = places {
                        settled.failed.extend(places.iter().cloned());
                        continue;
                    }
                    (&mut settled.failed, OutcomeKind::Bounced, progress)
                }
                RecipientState::Delivered(progress) => (&mut settled.delivered, OutcomeKind::Sent, progress),
                RecipientState::Deferred(progress) => {
                    (&mut settled.deferred, OutcomeKind::Deferred, progress)
                }
                RecipientState::Pending | RecipientState::Done => continue,
            };
            list.push(Told {
                recipient: recipient.clone(),
                kind,
                progress: progress.clone(),
                to_list: row.to_list,
            });
        }
        settled
    }

    /// Positions of the recipients in these states, to be struck off once their notice is written.
    pub(crate) fn positions(&self, wanted: impl Fn(&RecipientState) -> bool) -> Vec<u32> {
        self.rows.iter().filter(|row| wanted(&row.state)).map(|row| row.position).collect()
    }

    /// Is there anybody left who was not tried to the end?
    pub(crate) fn has_unfinished(&self) -> bool {
        self.rows.iter().any(|row| row.state.is_unfinished())
    }

    fn pairs(&self) -> impl Iterator<Item = (&Row, &Recipient)> {
        self.rows.iter().zip(&self.message.envelope.recipients)
    }

    fn row(&mut self, position: u32) -> Option<&mut Row> {
        let place = self.place(position)?;
        self.rows.get_mut(place)
    }

    /// Where a recipient is, among many: they stand in the order of their positions.
    fn place(&self, position: u32) -> Option<usize> {
        self.rows.binary_search_by_key(&position, |row| row.position).ok()
    }
}

fn progress(outcome: &Outcome, now: SystemTime) -> Progress {
    Progress {
        status: outcome.status,
        text: outcome.text.clone(),
        relay: outcome.relay.clone(),
        remote: outcome.remote.as_ref().map(|remote| (remote.mta.clone(), remote.text.clone())),
        tls: outcome.tls.clone(),
        at: now,
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use mail::{Address, Envelope, Notify, Origin, QueueId, Status};

    use super::*;

    fn active(recipients: &[&str]) -> Active {
        let mut envelope = Envelope::default();
        for text in recipients {
            let mut recipient = Recipient::new(Address::internal(*text).unwrap());
            recipient.notify = Notify { success: text.starts_with("told"), ..Notify::default() };
            envelope.recipients.push(recipient);
        }
        let states = (0..recipients.len() as u32).map(|n| (n, RecipientState::Pending)).collect();
        let message = Message {
            id: QueueId::parse("ABCDEF1234").unwrap(),
            envelope,
            origin: Origin::Internal,
            arrival: UNIX_EPOCH,
            size: 0,
            data_size: 0,
            checksum: 0,
            filter: None,
        };
        let stored = Stored {
            message,
            states,
            body: None,
            held: spool::Held::No,
            damage: None,
            next_attempt: UNIX_EPOCH,
            attempts: 0,
            warned: false,
            expire: false,
        };
        Active::new(stored, UNIX_EPOCH, Instant::now())
    }

    #[test]
    fn a_round_ends_when_nothing_is_under_way() {
        let mut active = active(&["a@x", "told@x", "b@x", "c@x"]);
        for (position, _) in active.to_try() {
            active.begin(position);
        }
        for (position, outcome) in [
            (0, Outcome::sent("local", "delivered")),
            (1, Outcome::sent("local", "delivered")),
            (2, Outcome::deferred(Status::new(4, 4, 1), "none", "later")),
        ] {
            assert!(active.finish(position, &outcome, UNIX_EPOCH).is_some());
            assert!(!active.is_settled());
        }
        active.finish(3, &Outcome::bounced(Status::new(5, 1, 1), "local", "unknown"), UNIX_EPOCH);
        assert!(active.is_settled());
        let settled = active.settled();
        let names = |list: &[Told]| -> Vec<String> {
            list.iter().map(|told| told.recipient.address.to_string()).collect()
        };
        assert_eq!(names(&settled.failed), ["c@x"]);
        assert_eq!(names(&settled.delivered), ["told@x"]);
        assert_eq!(names(&settled.deferred), ["b@x"]);
        assert_eq!(active.to_try().len(), 1, "only the deferred one is tried again");
        assert!(active.finish(9, &Outcome::sent("local", "nobody"), UNIX_EPOCH).is_none());
    }
}
