//! Handing deliveries to the roles that make them, and taking in what came of them.

use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use link::message::{Caching, Delivery};
use link::{Link, LinkError, Reply, Request};
use mail::delivery_line::delivery_line;
use mail::verp::verp_sender;
use mail::{Outcome, Recipient, Status};
use spool::Body;

use super::{Event, QueueRole, suspended};
use crate::active::Afterwards;
use crate::agents;
use crate::schedule::{Feedback, Job, Site, TransportLimits};

/// Who makes deliveries: a role at the other end of a link.
pub(super) trait Agent: Send + Sync {
    /// Is it gone?
    fn is_closed(&self) -> bool;
    /// One attempt. The error says that the agent was lost, or never heard of it.
    fn deliver(&self, delivery: Delivery, descriptors: Vec<OwnedFd>) -> Attempt<'_>;
}

/// What comes of an attempt.
pub(super) type Attempt<'a> = Pin<Box<dyn Future<Output = Result<Reply, LinkError>> + Send + 'a>>;

impl Agent for Link {
    fn is_closed(&self) -> bool {
        Link::is_closed(self)
    }

    fn deliver(&self, delivery: Delivery, descriptors: Vec<OwnedFd>) -> Attempt<'_> {
        Box::pin(async move {
            self.call(Request::Deliver(Box::new(delivery)), descriptors).await.map(|(reply, _)| reply)
        })
    }
}

impl QueueRole {
    pub(super) fn begin_deliveries(&mut self) {
        while !self.draining {
            let (limits, links) = (&self.limits, &self.links);
            let room = |transport: &str| {
                let there = links.get(&limits.role_of(transport)).is_some_and(|agent| !agent.is_closed());
                // While a role is being restarted its deliveries wait here, in order.
                let own = limits.of(transport);
                TransportLimits { processes: if there { own.processes } else { 0 }, ..own }
            };
            let Some((site, job, caching)) = self.schedule.next(self.clock.now(), room) else { return };
            self.deliver(site, job, caching);
        }
    }

    fn deliver(&mut self, site: Site, job: Job, caching: Caching) {
        self.under_way += 1;
        let events = self.events.clone();
        let Some(active) = self.active.get(&job.message) else {
            let _ = events.send(Event::Attempted(site, job, Err(LinkError::Lost("queue"))));
            return;
        };
        let role = self.limits.role_of(&site.transport);
        let Some(agent) = self.links.get(&role).cloned() else {
            let _ = events.send(Event::Attempted(site, job, Err(LinkError::Lost(role.name()))));
            return;
        };
        let recipients = job.recipients.iter().filter_map(|position| active.recipient(*position).cloned());
        let mut message = active.message.for_recipients(recipients.collect());
        if let Some(delimiters) = &message.envelope.verp
            && let [recipient] = message.envelope.recipients.as_slice()
        {
            message.envelope.sender = verp_sender(&message.envelope.sender, &recipient.address, delimiters);
        }
        let delivery = Delivery {
            transport: site.transport.clone(),
            next_hop: site.next_hop.clone(),
            waited: {
                let delays = self.limits.delays_so_far(active, self.clock.now());
                (delays.before_queue, delays.in_queue)
            },
            attempts: active.attempts,
            caching,
            body: None,
            message,
        };
        let (inline, spool) = (active.body.clone(), Arc::clone(&self.spool));
        tokio::spawn(async move {
            let body = match inline {
                Some(bytes) => Ok(Body::Inline(bytes)),
                None => {
                    // A large body is read once to compare it with its checksum before anybody gets it.
                    let whole = delivery.message.clone();
                    tokio::task::spawn_blocking(move || spool.body(&whole, None))
                        .await
                        .unwrap_or_else(|_| Err(spool::BodyError::Damaged(job.message)))
                }
            };
            let (delivery, descriptors): (Delivery, Vec<OwnedFd>) = match body {
                Ok(Body::Inline(bytes)) => (Delivery { body: Some(bytes), ..delivery }, Vec::new()),
                Ok(Body::File(file)) => (delivery, vec![file.into()]),
                Err(error) => {
                    let _ = events.send(Event::Unreadable(site, job, error.to_string()));
                    return;
                }
            };
            let result = agent.deliver(delivery, descriptors).await;
            let _ = events.send(Event::Attempted(site, job, result));
        });
    }

    pub(super) fn attempted(&mut self, site: &Site, job: &Job, result: Result<Reply, LinkError>) {
        self.under_way -= 1;
        let came_to_nothing = matches!(result, Err(LinkError::Lost(_)) | Ok(Reply::Elsewhere(_)));
        if came_to_nothing && self.ends_withdrawn(site, job) {
            return;
        }
        if let Err(LinkError::Lost(_)) = result
            && self.try_again(site, job)
        {
            return;
        }
        if let Ok(Reply::Elsewhere(way)) = &result
            && self.goes_elsewhere(site, job, way)
        {
            return;
        }
        let mut places = Vec::new();
        let (outcomes, feedback, pause) = match result {
            Ok(Reply::Attempted { outcomes, site_failure, places: found, complaints })
                if outcomes.len() == job.recipients.len() =>
            {
                self.complain(&job.message, complaints);
                let feedback = site_failure.map_or(Feedback::Alive, Feedback::Failed);
                places = found;
                (outcomes, feedback, self.limits.site_pause)
            }
            other => {
                let why = match other {
                    Ok(Reply::Failed(why)) => format!("mail transport unavailable: {why}"),
                    Ok(_) => "mail transport unavailable: unexpected answer".to_owned(),
                    Err(error) => format!("mail transport unavailable: {error}"),
                };
                let outcome = self.own(job, Outcome::deferred(Status::new(4, 3, 0), "none", why.clone()));
                self.log_outcomes(job, &outcome);
                let outcomes = vec![outcome; job.recipients.len()];
                (outcomes, Feedback::Failed(why), self.limits.transport_retry)
            }
        };
        let outcomes = Outcomes { of_recipients: outcomes, places };
        self.take_outcomes(site, job, outcomes, feedback, pause);
    }

    /// A delivery that came to nothing, of a message that a command has taken out of delivery meanwhile: it is over. False when no
    /// command did.
    fn ends_withdrawn(&mut self, site: &Site, job: &Job) -> bool {
        let Some(active) = self.active.get_mut(&job.message) else { return false };
        if active.afterwards == Afterwards::Settle {
            return false;
        }
        job.recipients.iter().for_each(|position| active.give_back(*position));
        let limits = self.limits.of(&site.transport);
        self.schedule.finished(site, Feedback::Alive, &limits, Duration::ZERO, self.clock.now());
        self.after_outcomes(&job.message, Vec::new());
        true
    }

    /// A delivery for another transport (best_mx_transport). False when that leads nowhere.
    fn goes_elsewhere(&mut self, site: &Site, job: &Job, way: &str) -> bool {
        let (transport, next_hop) = way.split_once(':').unwrap_or((way, ""));
        let next_hop = if next_hop.is_empty() { &site.next_hop } else { next_hop };
        let other = Site { transport: transport.to_owned(), next_hop: next_hop.to_owned() };
        if other.transport == site.transport || agents::own_outcome(&self.limits, &other).is_some() {
            return false;
        }
        let now = self.clock.now();
        let limits = self.limits.of(&site.transport);
        self.schedule.finished(site, Feedback::Alive, &limits, Duration::ZERO, now);
        let limits = self.limits.of(&other.transport);
        self.schedule.add(&other, job.clone(), &limits, now).is_ok()
    }

    /// A delivery whose process died: the next one gets it, once. A message that ends a process twice waits its turn like any
    /// that can not be delivered.
    fn try_again(&mut self, site: &Site, job: &Job) -> bool {
        let Some(active) = self.active.get_mut(&job.message) else { return false };
        active.lost_deliveries += 1;
        if active.lost_deliveries > 1 {
            return false;
        }
        let limits = self.limits.of(&site.transport);
        let now = self.clock.now();
        self.schedule.finished(site, Feedback::Alive, &limits, Duration::ZERO, now);
        self.schedule.add(site, job.clone(), &limits, now).is_ok()
    }

    pub(super) fn unreadable(&mut self, site: &Site, job: &Job, why: &str) {
        self.under_way -= 1;
        maillog::error!(
            self.qmgr,
            "{}: {why}; the message is set aside in the corrupt queue, look at it with postcat -q",
            job.message
        );
        let outcome = Outcome::deferred(Status::new(4, 3, 0), "none", format!("queue file trouble: {why}"));
        let outcome = self.own(job, outcome);
        self.log_outcomes(job, &outcome);
        if let Some(active) = self.active.get_mut(&job.message) {
            active.afterwards = Afterwards::SetAside;
        }
        let outcomes = Outcomes { of_recipients: vec![outcome; job.recipients.len()], places: Vec::new() };
        self.take_outcomes(site, job, outcomes, Feedback::Alive, Duration::ZERO);
    }

    /// An outcome that no agent has worded, in the words for this message.
    fn own(&self, job: &Job, outcome: Outcome) -> Outcome {
        match self.active.get(&job.message) {
            Some(active) => outcome.for_purpose(active.message.envelope.purpose),
            None => outcome,
        }
    }

    /// Outcomes that no agent has logged.
    fn log_outcomes(&self, job: &Job, outcome: &Outcome) {
        let Some(active) = self.active.get(&job.message) else { return };
        let delays = self.limits.delays_so_far(active, self.clock.now());
        for recipient in job.recipients.iter().filter_map(|position| active.recipient(*position)) {
            let line = delivery_line(self.error.form(), &job.message, recipient, outcome, &delays, 0);
            maillog::info!(self.error, "{line}");
        }
    }

    fn take_outcomes(
        &mut self,
        site: &Site,
        job: &Job,
        outcomes: Outcomes,
        feedback: Feedback,
        pause: Duration,
    ) {
        let reason = match &feedback {
            Feedback::Failed(reason) => reason.clone(),
            Feedback::Alive => String::new(),
        };
        let limits = self.limits.of(&site.transport);
        let returned = self.schedule.finished(site, feedback, &limits, pause, self.clock.now());
        let now = self.clock.wall();
        if let Some(active) = self.active.get_mut(&job.message) {
            let changes = job
                .recipients
                .iter()
                .zip(&outcomes.of_recipients)
                .filter_map(|(position, outcome)| active.finish(*position, outcome, now));
            let changes = changes.collect();
            for (index, position) in job.recipients.iter().enumerate() {
                let of_this = outcomes.places.iter().filter(|(at, ..)| *at == index);
                let places = of_this.map(|(_, place, outcome)| (place.clone(), outcome.clone())).collect();
                active.tell_places(*position, places, now);
            }
            self.after_outcomes(&job.message, changes);
        }
        for job in returned {
            self.finish_at_once(&job.message, suspended(site, &job, &reason));
        }
    }
}

/// What an attempt brought.
struct Outcomes {
    /// One for each recipient of the job.
    of_recipients: Vec<Outcome>,
    /// As in [`Reply::Attempted`].
    places: Vec<(usize, Recipient, Outcome)>,
}
