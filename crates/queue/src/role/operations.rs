//! What postqueue(1), postsuper(1) and postcat(1) ask of the queue. Looking is for everybody; changing is for root and for the
//! user that the queue belongs to.

use std::collections::HashSet;

use link::message::{Change as Wish, FlushWhat, Listed, QueueName, Shown};
use link::{Call, Incoming, Reply, Request};
use mail::QueueId;
use spool::{Body, Change, Held, RecipientState, StoreError, Stored};

use super::QueueRole;
use crate::active::Afterwards;

/// Messages in a page of a listing.
const PAGE: usize = 500;

impl QueueRole {
    pub(super) fn command(&mut self, uid: u32, Incoming { request, descriptors: _, call }: Incoming) {
        let own_uid = rustix::process::geteuid().as_raw();
        let may_change = uid == 0 || uid == own_uid;
        let (reply, descriptors) = match request {
            Request::List { after } => (self.list(after.as_ref()), Vec::new()),
            Request::Flush(what) => return self.flush(&what, call),
            Request::Change { .. } | Request::Show { .. } if !may_change => {
                (Reply::Failed("only root and the mail system's owner may do this".into()), Vec::new())
            }
            Request::Change { action, ids, queues } => return self.change(action, &ids, &queues, call),
            Request::Show { id } => self.show(&id),
            Request::Ping => (Reply::Done, Vec::new()),
            _ => (Reply::Failed("not a request of a command".into()), Vec::new()),
        };
        call.answer(reply, descriptors);
    }

    fn list(&self, after: Option<&QueueId>) -> Reply {
        let page = tokio::task::block_in_place(|| self.spool.questions().list(after, PAGE));
        match page {
            Ok(page) => {
                let more = page.len() == PAGE;
                Reply::Listing {
                    entries: page.into_iter().map(|stored| self.listed(&stored)).collect(),
                    more,
                }
            }
            Err(error) => Reply::Failed(error.to_string()),
        }
    }

    fn listed(&self, stored: &Stored) -> Listed {
        let queue = match stored {
            _ if self.active.contains_key(&stored.message.id) => QueueName::Active,
            Stored { held: true, .. } => QueueName::Hold,
            Stored { attempts: 0, .. } => QueueName::Incoming,
            _ => QueueName::Deferred,
        };
        Listed {
            id: stored.message.id.clone(),
            queue,
            arrival: stored.message.arrival,
            size: stored.message.size,
            forced_expire: stored.expire,
            sender: stored.message.envelope.sender.clone(),
            recipients: stored
                .recipients()
                .map(|(recipient, _, state)| {
                    let reason = match state {
                        RecipientState::Deferred(progress) | RecipientState::Failed(progress) => {
                            Some(progress.text.clone())
                        }
                        _ => None,
                    };
                    (recipient.clone(), reason)
                })
                .collect(),
        }
    }

    fn show(&self, id: &QueueId) -> (Reply, Vec<std::os::fd::OwnedFd>) {
        let found = tokio::task::block_in_place(|| self.spool.questions().find(id));
        let stored = match found {
            Ok(Some(stored)) => stored,
            Ok(None) => return (Reply::NotFound, Vec::new()),
            Err(error) => return (Reply::Failed(error.to_string()), Vec::new()),
        };
        let listed = self.listed(&stored);
        let body = tokio::task::block_in_place(|| self.spool.body(&stored.message, stored.body.clone()));
        let shown = |body| Reply::Message(Box::new(Shown { listed, message: stored.message.clone(), body }));
        match body {
            Ok(Body::Inline(bytes)) => (shown(Some(bytes)), Vec::new()),
            Ok(Body::File(file)) => (shown(None), vec![file.into()]),
            // An administrator looks at a damaged message to see what is left of it.
            Err(error) => match stored.body.clone() {
                Some(bytes) => (shown(Some(bytes)), Vec::new()),
                None => (Reply::Failed(error.to_string()), Vec::new()),
            },
        }
    }

    /// Answered when the store has the new times, so that whoever looks next sees them.
    pub(super) fn flush(&mut self, what: &FlushWhat, call: Call) {
        self.schedule.revive();
        let changes = match what {
            FlushWhat::All => vec![Change::Flush { id: None }],
            FlushWhat::Message(id) => vec![Change::Flush { id: Some(id.clone()) }],
            FlushWhat::Site(domain) => {
                let ids = self.matching(|stored| {
                    stored.recipients().any(|(recipient, _, _)| {
                        recipient.address.domain().is_some_and(|own| own.eq_ignore_ascii_case(domain))
                    })
                });
                ids.into_iter().map(|id| Change::Flush { id: Some(id) }).collect()
            }
        };
        self.carry_out(changes, call, Reply::Done);
    }

    fn change(&mut self, action: Wish, ids: &[QueueId], queues: &[QueueName], call: Call) {
        let wanted: HashSet<&QueueId> = ids.iter().collect();
        let all = self.matching(|stored| {
            (wanted.is_empty() || wanted.contains(&stored.message.id))
                && (queues.is_empty() || queues.contains(&self.listed(stored).queue))
                && match action {
                    Wish::Hold => !stored.held,
                    Wish::Release => stored.held,
                    Wish::Delete | Wish::Requeue | Wish::Expire => true,
                }
        });
        let mut changes = Vec::new();
        for id in &all {
            self.change_one(action, id, &mut changes);
        }
        self.carry_out(changes, call, Reply::Changed(all));
    }

    fn change_one(&mut self, action: Wish, id: &QueueId, changes: &mut Vec<Change>) {
        let withdrawn = match action {
            Wish::Expire => Vec::new(),
            _ => self.schedule.withdraw(id),
        };
        let own = |id: &QueueId| id.clone();
        match action {
            Wish::Delete => changes.push(Change::Remove { id: own(id) }),
            Wish::Hold => changes.push(Change::Hold { id: own(id), held: Held::Yes }),
            Wish::Release => changes.push(Change::Hold { id: own(id), held: Held::No }),
            Wish::Requeue => changes.push(Change::Flush { id: Some(own(id)) }),
            Wish::Expire => changes.push(Change::Expire { id: own(id) }),
        }
        let Some(active) = self.active.get_mut(id) else { return };
        active.afterwards = match action {
            Wish::Delete => Afterwards::Forget,
            Wish::Hold => Afterwards::Hold,
            Wish::Requeue => Afterwards::Requeue,
            Wish::Release => active.afterwards,
            Wish::Expire => {
                active.expire = true;
                active.afterwards
            }
        };
        for job in withdrawn {
            for position in job.recipients {
                active.give_back(position);
            }
        }
        // What is in an agent's hands is finished there; the rest leaves the active queue now.
        if active.is_settled() {
            self.active.remove(id);
        }
    }

    /// Ids of all messages that fit, page by page.
    fn matching(&self, fits: impl Fn(&Stored) -> bool) -> Vec<QueueId> {
        let mut ids = Vec::new();
        let mut after: Option<QueueId> = None;
        loop {
            let page = tokio::task::block_in_place(|| self.spool.questions().list(after.as_ref(), PAGE));
            let Ok(page) = page else { return ids };
            ids.extend(page.iter().filter(|stored| fits(stored)).map(|stored| stored.message.id.clone()));
            match page.last() {
                Some(last) if page.len() == PAGE => after = Some(last.message.id.clone()),
                _ => return ids,
            }
        }
    }

    /// Makes changes durable, answers, and looks for what is due now.
    fn carry_out(&self, changes: Vec<Change>, call: Call, reply: Reply) {
        let events = self.events.clone();
        let done = Box::new(move |result: Result<(), StoreError>| {
            match result {
                Ok(()) => call.answer(reply, Vec::new()),
                Err(error) => call.answer(Reply::Failed(error.to_string()), Vec::new()),
            }
            // A role that is gone has nothing to look for.
            let _ = events.send(super::Event::Rescan);
        });
        self.spool.record(changes, done);
    }
}
