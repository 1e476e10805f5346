//! Probes of verify(8): messages that are here to find something out for somebody who waits.

use std::collections::HashMap;

use link::message::NewMessage;
use link::{Call, Reply};
use mail::{Outcome, Purpose, QueueId};
use spool::{Change, Content, StoreError};

use super::{Event, QueueRole, fresh};
use crate::active::Told;

/// Who waits for which probe. Whoever is gone is found out when the answer can not be sent.
#[derive(Default)]
pub(super) struct Probes(HashMap<QueueId, Call>);

impl QueueRole {
    /// Takes a probe like any message; the call is answered when its round is over.
    pub(super) fn probe(&mut self, new: NewMessage, call: Call) {
        let NewMessage { message, body, .. } = new;
        if message.envelope.purpose != Purpose::Verify || message.envelope.recipients.len() != 1 {
            return call.answer(Reply::Failed("not a probe".into()), Vec::new());
        }
        let content = Content::Inline(body.clone().unwrap_or_default());
        let add = Change::Add { message: Box::new(message.clone()), content, hold: false };
        let events = self.events.clone();
        self.probes.0.insert(message.id, call);
        let id = message.id;
        let done = Box::new(move |result: Result<(), StoreError>| {
            let _ = events.send(match result {
                Ok(()) => Event::Kept(Box::new(fresh(message, body))),
                Err(error) => Event::NotProbed(id, error),
            });
        });
        self.spool.record(vec![add], done);
    }

    /// The probe is not in the store.
    pub(super) fn not_probed(&mut self, id: &QueueId, error: &StoreError) {
        let Some(call) = self.probes.0.remove(id) else { return };
        call.answer(
            match error {
                StoreError::NoSpace(_) => Reply::NoSpace,
                error => Reply::Failed(error.to_string()),
            },
            Vec::new(),
        );
    }

    /// The round is over: tells who asked, if anybody does.
    pub(super) fn probed(&mut self, id: &QueueId, told: Vec<Told>) {
        let Some(call) = self.probes.0.remove(id) else { return };
        // With several places behind one address the first that fails is what matters.
        let failed = told.iter().position(|told| told.kind != mail::OutcomeKind::Deliverable);
        let reply = match told.into_iter().nth(failed.unwrap_or(0)) {
            Some(Told { kind, progress, .. }) => Reply::Probed(Outcome {
                kind,
                status: progress.status,
                text: progress.text,
                relay: progress.relay,
                remote: None,
                tls: progress.tls,
                to_list: false,
                dsn_passed_on: false,
            }),
            None => Reply::Failed("the probe was removed from the queue".into()),
        };
        call.answer(reply, Vec::new());
    }
}
