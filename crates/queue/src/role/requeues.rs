//! Messages that go through cleanup once more (postsuper(1) `-r`): it is receive's, and gives the queue a new message for each old one.
//!
//! Those that wait for it are on hold under a name of their own, so that neither a crash nor a cleanup that can not work now (a table
//! that does not answer) loses one. The old message goes in the transaction that brings the new one.

use std::collections::{HashSet, VecDeque};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use link::message::Requeue;
use link::{Link, LinkError, Reply, Request};
use mail::QueueId;
use spool::{Body, Change, Held, RecipientState, Spool, StoreError, Stored};

use super::{Event, QueueRole};

/// Messages that cleanup has in hand at the same time.
const AT_ONCE: usize = 20;
/// Ids read from the store at a time.
const PAGE: usize = 200;
/// What could not be done is tried again after this time, as often as pickup(8) looks for mail.
const AGAIN: Duration = Duration::from_secs(60);

/// Where this work stands.
#[derive(Default)]
pub(super) struct Requeues {
    /// The way to cleanup.
    link: Option<Link>,
    under_way: HashSet<QueueId>,
    /// Notices of our own. In memory only: behind a crash they go the way of what postsuper requeues, under a new id.
    internal: HashSet<QueueId>,
    pending: VecDeque<QueueId>,
    scan: Scan,
    again: Option<Instant>,
}

/// Where the reading from the store stands.
#[derive(Default)]
enum Scan {
    Idle,
    /// There may be more behind this point.
    #[default]
    Start,
    Behind((SystemTime, QueueId)),
}

impl Requeues {
    /// Is a new message wanted in the place of this one?
    pub(super) fn is_under_way(&self, id: &QueueId) -> bool {
        self.under_way.contains(id)
    }

    /// When something is tried again.
    pub(super) fn again(&self) -> Option<Instant> {
        self.again
    }

    /// Something else was done with this message.
    pub(super) fn forget(&mut self, id: &QueueId) {
        self.under_way.remove(id);
        self.pending.retain(|pending| pending != id);
    }

    /// A link ended.
    pub(super) fn forget_closed(&mut self) {
        self.link.take_if(|link| link.is_closed());
    }

    fn later(&mut self, now: Instant) {
        let time = now + AGAIN;
        self.again = Some(self.again.map_or(time, |again| again.min(time)));
    }
}

impl QueueRole {
    /// There may be messages that wait for cleanup.
    pub(super) fn look_for_requeued(&mut self) {
        self.requeues.pending.clear();
        self.requeues.scan = Scan::Start;
    }

    /// A notice of our own, which cleanup is to see first.
    pub(super) fn is_to_be_filtered(&mut self, id: &QueueId) -> Change {
        self.requeues.internal.insert(*id);
        Change::Hold { id: *id, held: Held::Requeued }
    }

    /// Cleanup is here, perhaps again.
    pub(super) fn look_for_requeued_at(&mut self, link: Link) {
        self.requeues.link = Some(link);
        self.look_for_requeued();
    }

    /// Hands messages to cleanup, as many as it may have at once.
    pub(super) fn begin_requeues(&mut self) {
        let now = self.clock.now();
        if self.requeues.again.is_some_and(|time| time <= now) {
            self.requeues.again = None;
            self.look_for_requeued();
        }
        while !self.draining && self.requeues.under_way.len() < AT_ONCE {
            let Some(link) = self.requeues.link.clone().filter(|link| !link.is_closed()) else { return };
            let Some(id) = self.next_requeued() else { return };
            if self.active.contains_key(&id) {
                // An attempt is not over yet; its end looks again.
                self.requeues.later(now);
            } else if self.requeues.under_way.insert(id) {
                let (spool, events) = (Arc::clone(&self.spool), self.events.clone());
                let is_internal = self.requeues.internal.contains(&id);
                tokio::spawn(async move {
                    let result = hand_over(&link, spool, id, is_internal).await;
                    let _ = events.send(Event::Requeued(id, result));
                });
            }
        }
    }

    fn next_requeued(&mut self) -> Option<QueueId> {
        if self.requeues.pending.is_empty() {
            let after = match std::mem::replace(&mut self.requeues.scan, Scan::Idle) {
                Scan::Idle => return None,
                Scan::Start => None,
                Scan::Behind(after) => Some(after),
            };
            match super::off_the_way(|| self.spool.questions().requeued(after, PAGE)) {
                Ok(page) => {
                    if let Some(last) = page.last().filter(|_| page.len() == PAGE) {
                        self.requeues.scan = Scan::Behind(*last);
                    }
                    self.requeues.pending.extend(page.into_iter().map(|(_, id)| id));
                }
                Err(error) => {
                    maillog::warning!(self.qmgr, "{error}");
                    self.requeues.later(self.clock.now());
                }
            }
        }
        self.requeues.pending.pop_front()
    }

    /// Cleanup is done with a message.
    pub(super) fn requeued(&mut self, id: &QueueId, result: Result<Reply, LinkError>) {
        if !self.requeues.under_way.remove(id) {
            return;
        }
        if matches!(result, Ok(Reply::Done | Reply::NotFound)) && self.requeues.internal.remove(id) {
            // What takes its place has its id: there is nothing to remove.
            return;
        }
        let why = match result {
            // It may be that nothing came of it, as a DISCARD action says.
            Ok(Reply::Done) => {
                let (log, id) = (self.qmgr.clone(), *id);
                let done = Box::new(move |result: Result<(), StoreError>| {
                    if let Err(error) = result {
                        maillog::warning!(log, "{id}: {error}");
                    }
                });
                return self.spool.record(vec![Change::Remove { id }], done);
            }
            Ok(Reply::NotFound) => return,
            Ok(Reply::Failed(why)) => why,
            Ok(_) => "the answer makes no sense".to_owned(),
            Err(error) => error.to_string(),
        };
        maillog::warning!(self.qmgr, "{id}: not requeued yet: {why}; it is tried again in a minute");
        self.requeues.later(self.clock.now());
    }
}

async fn hand_over(
    link: &Link,
    spool: Arc<Spool>,
    id: QueueId,
    is_internal: bool,
) -> Result<Reply, LinkError> {
    let read = tokio::task::spawn_blocking(move || read(&spool, &id, is_internal)).await;
    let (requeue, descriptors) = match read {
        Ok(Ok(Some(read))) => read,
        Ok(Ok(None)) => return Ok(Reply::NotFound),
        Ok(Err(why)) => return Ok(Reply::Failed(why)),
        Err(error) => return Ok(Reply::Failed(error.to_string())),
    };
    link.call(Request::Requeue(Box::new(requeue)), descriptors).await.map(|(reply, _)| reply)
}

/// The message with those who have not got it; nothing when it does not wait any more.
fn read(spool: &Spool, id: &QueueId, is_internal: bool) -> Result<Option<(Requeue, Vec<OwnedFd>)>, String> {
    let found = spool.questions().find(id).map_err(|error| error.to_string())?;
    let Some(Stored { mut message, states, body, held: Held::Requeued, damage: None, .. }) = found else {
        return Ok(None);
    };
    let mut states = states.iter().map(|(_, state)| !matches!(state, RecipientState::Delivered(_)));
    message.envelope.recipients.retain(|_| states.next().unwrap_or(true));
    match spool.body(&message, body).map_err(|error| error.to_string())? {
        Body::Inline(bytes) => Ok(Some((Requeue { message, body: Some(bytes), is_internal }, Vec::new()))),
        Body::File(file) => Ok(Some((Requeue { message, body: None, is_internal }, vec![file.into()]))),
    }
}
