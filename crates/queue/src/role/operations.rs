//! What postqueue(1), postsuper(1), postcat(1) and `mailclad queue` ask of a running queue. Looking is for everybody, as far as
//! the listing goes; contents and changes are for root and for the user that the queue belongs to.

use link::message::{Change as Wish, FlushWhat, Selection};
use link::{Call, Incoming, Reply, Request};
use mail::QueueId;
use spool::{Change, StoreError};

use super::QueueRole;
use crate::active::Afterwards;
use crate::inquiry::Inquiry;
use crate::stopped;

impl QueueRole {
    pub(super) fn command(&mut self, uid: u32, Incoming { request, descriptors: _, call }: Incoming) {
        let may_change = stopped::may_change(uid);
        let inquiry = Inquiry { spool: &self.spool, is_active: &|id| self.active.contains_key(id) };
        let (reply, descriptors) = match request {
            Request::List { select, after } => {
                let page = || inquiry.listing(&select, after.as_ref(), self.clock.wall());
                (super::off_the_way(page), Vec::new())
            }
            Request::Flush(what) => return self.flush(&what, call),
            Request::Change { .. } | Request::Show { .. } | Request::Explain { .. } if !may_change => {
                (Reply::Failed(stopped::NOT_ALLOWED.into()), Vec::new())
            }
            Request::Change { action, select, after } => {
                return self.change(action, &select, after.as_ref(), call);
            }
            Request::Show { id } => super::off_the_way(|| inquiry.show(&id)),
            Request::Explain { id } => {
                (super::off_the_way(|| inquiry.explain(&id, &self.limits.backoff)), Vec::new())
            }
            Request::Ping => (Reply::Done, Vec::new()),
            _ => (Reply::Failed("not a request of a command".into()), Vec::new()),
        };
        call.answer(reply, descriptors);
    }

    /// Answered when the store has the new times, so that whoever looks next sees them.
    pub(super) fn flush(&mut self, what: &FlushWhat, call: Call) {
        let limits = &self.limits;
        self.schedule.revive(|name| limits.of(name), self.clock.now());
        let changes = match what {
            FlushWhat::All => vec![Change::Flush { id: None }],
            FlushWhat::Message(id) => vec![Change::Flush { id: Some(*id) }],
            FlushWhat::Site(domain) => {
                let select = Selection { recipient: Some(format!("@{domain}")), ..Selection::default() };
                let ids = self.matching(&select);
                ids.into_iter().map(|id| Change::Flush { id: Some(id) }).collect()
            }
        };
        let events = self.events.clone();
        self.carry_out(changes, call, Reply::Done, move || _ = events.send(super::Event::Rescan));
    }

    fn change(&mut self, action: Wish, select: &Selection, after: Option<&QueueId>, call: Call) {
        let inquiry = Inquiry { spool: &self.spool, is_active: &|id| self.active.contains_key(id) };
        let page = super::off_the_way(|| {
            let page = inquiry.page(select, after, self.clock.wall())?;
            Ok((stopped::to_change(action, page.found), page.after))
        });
        let (ids, after) = match page {
            Ok(page) => page,
            Err(error) => {
                let error: StoreError = error;
                return call.answer(Reply::Failed(error.to_string()), Vec::new());
            }
        };
        let changes = ids.iter().map(|id| stopped::change(action, id)).collect();
        for id in &ids {
            self.withdraw(action, id);
            *self.changing.entry(*id).or_default() += 1;
            // What cleanup brings of it now is not wanted any more.
            self.requeues.forget(id);
        }
        let events = self.events.clone();
        let changed = ids.clone();
        self.carry_out(changes, call, Reply::Changed { ids, after }, move || {
            // A role that is gone delivers nothing.
            let _ = events.send(super::Event::Changed(changed));
        });
    }

    /// The store has what a command wanted, and word of what was kept before has come.
    pub(super) fn changed(&mut self, ids: &[QueueId]) {
        for id in ids {
            if let Some(commands) = self.changing.get_mut(id) {
                *commands -= 1;
                if *commands == 0 {
                    self.changing.remove(id);
                }
            }
        }
    }

    /// A message that is to be changed leaves the active queue; what is in an agent's hands is finished there first.
    fn withdraw(&mut self, action: Wish, id: &QueueId) {
        let withdrawn = match action {
            Wish::Expire => Vec::new(),
            _ => {
                let limits = &self.limits;
                self.schedule.withdraw(id, |name| limits.of(name), self.clock.now())
            }
        };
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
        if active.is_settled() {
            self.deactivate(id);
        }
    }

    /// Ids of all messages that fit, page by page.
    fn matching(&self, select: &Selection) -> Vec<QueueId> {
        let inquiry = Inquiry { spool: &self.spool, is_active: &|id| self.active.contains_key(id) };
        let mut ids = Vec::new();
        let mut after: Option<QueueId> = None;
        loop {
            let page = super::off_the_way(|| inquiry.page(select, after.as_ref(), self.clock.wall()));
            let Ok(page) = page else { return ids };
            ids.extend(page.found.into_iter().map(|found| found.listed.id));
            match page.after {
                Some(next) => after = Some(next),
                None => return ids,
            }
        }
    }

    /// Makes changes durable, answers, and goes on.
    fn carry_out(
        &self,
        changes: Vec<Change>,
        call: Call,
        reply: Reply,
        then: impl FnOnce() + Send + 'static,
    ) {
        let done = Box::new(move |result: Result<(), StoreError>| {
            match result {
                Ok(()) => call.answer(reply, Vec::new()),
                Err(error) => call.answer(Reply::Failed(error.to_string()), Vec::new()),
            }
            then();
        });
        self.spool.record(changes, done);
    }
}
