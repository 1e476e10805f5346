//! The end of a round: every recipient of an active message has been tried, and what follows is decided and made durable in
//! one transaction.

use std::sync::Arc;
use std::time::Duration;

use mail::{Message, OutcomeKind, Purpose, QueueId};
use spool::{Change, Content, RecipientState, StoreError};

use super::{Event, QueueRole, fresh};
use crate::active::{Active, Afterwards, Told};
use crate::notice::Kind;

/// How soon the store is offered again what it could not take.
const SETTLE_AGAIN: Duration = Duration::from_secs(5);

impl QueueRole {
    /// Makes outcomes durable, and ends the round when nothing of the message is under way any more.
    pub(super) fn after_outcomes(&mut self, id: &QueueId, changes: Vec<Change>) {
        let Some(active) = self.active.get(id) else { return };
        if active.is_settled() {
            self.settle(id, changes);
        } else if !changes.is_empty() {
            self.record(id, changes);
        }
    }

    /// Rounds that the store could not take are offered to it again.
    pub(super) fn settle_again(&mut self) {
        let now = self.clock.now();
        while let Some((time, id)) = self.unsettled.first().cloned()
            && time <= now
        {
            self.unsettled.pop_first();
            if self.active.get(&id).is_some_and(Active::is_settled) {
                self.settle(&id, Vec::new());
            }
        }
    }

    /// Ends a round: notices are written in the same transaction that strikes off the recipients they are about, so that a crash
    /// neither loses nor repeats one.
    fn settle(&mut self, id: &QueueId, mut changes: Vec<Change>) {
        let Some(active) = self.active.get_mut(id) else { return };
        let now = self.clock.wall();
        let message = Arc::clone(&active.message);
        let (afterwards, expire, warned) = (active.afterwards, active.expire, active.warned);
        let mut trace = active.trace();
        if active.is_unrecorded {
            changes = active.all_changes();
        }
        let mut settled = active.settled();
        let strike = |active: &Active, wanted: fn(&RecipientState) -> bool| -> Vec<Change> {
            let done = |position| Change::Recipient { id: *id, position, state: RecipientState::Done };
            active.positions(wanted).into_iter().map(done).collect()
        };
        if message.envelope.purpose == Purpose::Verify {
            self.probed(id, std::mem::take(&mut trace));
        }
        let Some(active) = self.active.get_mut(id) else { return };
        if afterwards == Afterwards::Forget {
            changes = vec![Change::Remove { id: *id }];
            return self.finish_round(id, changes, Vec::new(), false);
        }
        if afterwards == Afterwards::SetAside {
            changes.push(Change::Hold { id: *id, held: spool::Held::Corrupt });
            return self.finish_round(id, changes, Vec::new(), false);
        }
        let null_sender = message.envelope.sender.is_null();
        let expired = expire || self.limits.backoff.is_expired(message.arrival, now, null_sender);
        let mut unfinished = active.has_unfinished();
        if expired && !settled.deferred.is_empty() {
            let word = if expire { "force-expired" } else { "expired" };
            maillog::info!(
                self.qmgr,
                "{id}: from=<{}>, status={word}, returned to sender",
                self.qmgr.form().show(&message.envelope.sender)
            );
            changes.extend(strike(active, |state| matches!(state, RecipientState::Deferred(_))));
            // The status stays what it was, as Postfix reports it: it is not the recipient that failed for good.
            let late = settled.deferred.drain(..).map(|told| Told { kind: OutcomeKind::Bounced, ..told });
            settled.failed.extend(late);
            unfinished = false;
        }
        changes.extend(strike(active, |state| {
            matches!(state, RecipientState::Failed(_) | RecipientState::Delivered(_))
        }));
        let mut notices = Vec::new();
        notices.extend(self.notice(Kind::Failure, &message, &settled.failed, now));
        notices.extend(self.notice(Kind::Success, &message, &settled.delivered, now));
        notices.extend(self.notice(Kind::Trace, &message, &trace, now));
        if unfinished {
            if self.limits.backoff.warns(message.arrival, now) && !warned {
                notices.extend(self.notice(Kind::Delay, &message, &settled.deferred, now));
                changes.push(Change::Warned { id: *id });
            }
            let next_attempt = self.limits.backoff.next_attempt(message.arrival, now);
            if let Some(active) = self.active.get_mut(id) {
                active.deferred_until = Some(next_attempt);
            }
            changes.push(Change::Defer { id: *id, next_attempt });
            if afterwards == Afterwards::Hold {
                changes.push(Change::Hold { id: *id, held: spool::Held::Yes });
            }
        } else {
            // What was struck off a moment ago goes with the message.
            changes.retain(|change| !matches!(change, Change::Recipient { .. }));
            changes.push(Change::Remove { id: *id });
        }
        self.finish_round(id, changes, notices, !unfinished);
    }

    /// `done`: the message needs nothing more, and the log says so as soon as the store knows.
    fn finish_round(
        &mut self,
        id: &QueueId,
        mut changes: Vec<Change>,
        notices: Vec<(Message, Vec<u8>)>,
        done: bool,
    ) {
        for (message, body) in &notices {
            let content = Content::Inline(body.clone());
            changes.push(Change::Add { message: Box::new(message.clone()), content, hold: false });
            if self.limits.filters_bounces {
                changes.push(self.is_to_be_filtered(&message.id));
            }
        }
        let is_filtered = self.limits.filters_bounces && !notices.is_empty();
        let (events, id, qmgr) = (self.events.clone(), *id, self.qmgr.clone());
        let recorded = Box::new(move |result: Result<(), StoreError>| {
            if result.is_ok() {
                if done {
                    maillog::info!(qmgr, "{id}: removed");
                }
                if is_filtered {
                    let _ = events.send(Event::Rescan);
                }
                for (message, body) in notices.into_iter().filter(|_| !is_filtered) {
                    let _ = events.send(Event::Kept(Box::new(fresh(message, Some(body)))));
                }
            }
            let _ = events.send(Event::Settled(id, result));
        });
        self.spool.record(changes, recorded);
    }

    pub(super) fn settled(&mut self, id: &QueueId, result: Result<(), StoreError>) {
        if let Err(error) = result {
            // What became of the message is known here only: given up now, it would be delivered a second time.
            let active = self.active.get_mut(id);
            let told = active.is_some_and(|active| {
                active.is_unrecorded = true;
                std::mem::replace(&mut active.is_told, true)
            });
            // It is tried every few seconds.
            if !told {
                maillog::error!(
                    self.qmgr,
                    "{id}: {error}; the outcome of this round is kept in memory, and recorded as soon as that works"
                );
            }
            self.unsettled.insert((self.clock.now() + SETTLE_AGAIN, *id));
            return;
        }
        let Some(active) = self.deactivate(id) else { return };
        if active.afterwards == Afterwards::Requeue {
            self.look_for_requeued();
        } else if let Some(time) = active.deferred_until {
            self.note_due(time);
        }
    }

    /// Changes that nothing waits for. What can not be recorded now is recorded at the end of the round.
    fn record(&self, id: &QueueId, changes: Vec<Change>) {
        let (events, id) = (self.events.clone(), *id);
        let done = Box::new(move |result: Result<(), StoreError>| {
            if result.is_err() {
                let _ = events.send(Event::Unrecorded(id));
            }
        });
        self.spool.record(changes, done);
    }
}
