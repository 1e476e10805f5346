//! Telling senders: who is told what about which recipients (RFC 3461, RFC 5321 section 6.1; bounce(8)).

use std::time::SystemTime;

use link::message::Complaint;
use mail::verp::verp_sender;
use mail::{Address, DataSize, Message, Origin, QueueId, Recipient};
use spool::{Body, Change, Content, StoreError};

use super::{Event, QueueRole, fresh};
use crate::active::Told;
use crate::notice::{self, Kind, Notice};

/// One notice that is to be written.
struct Copy {
    from: Address,
    to: Address,
    about: Vec<Told>,
    postmaster: bool,
    headers_only: bool,
}

/// A message that the queue writes itself.
fn own_message(
    id: QueueId,
    envelope: mail::Envelope,
    body: &[u8],
    arrival: SystemTime,
    line_length_limit: usize,
) -> Message {
    Message {
        id,
        envelope,
        origin: Origin::Internal,
        arrival,
        size: body.len() as u64,
        data_size: DataSize::of(body, line_length_limit),
        checksum: crc32c::crc32c(body),
        filter: None,
    }
}

impl QueueRole {
    /// A notice to the sender, and copies to postmasters where notify_classes asks for them. Nothing for a null sender: what can
    /// not be returned is told to the 2bounce recipient or dropped (RFC 5321 section 6.1).
    pub(super) fn notice(
        &mut self,
        kind: Kind,
        message: &Message,
        recipients: &[Told],
        now: SystemTime,
    ) -> Vec<(Message, Vec<u8>)> {
        if recipients.is_empty() {
            return Vec::new();
        }
        let sender = &message.envelope.sender;
        let is_double_bounce = sender.as_str().eq_ignore_ascii_case(&self.limits.double_bounce);
        if kind == Kind::Failure && is_double_bounce {
            maillog::warning!(self.bounce, "{}: undeliverable postmaster notification discarded", message.id);
            return Vec::new();
        }
        let mut copies: Vec<Copy> = Vec::new();
        let wanted: Vec<_> = recipients
            .iter()
            .filter(|told| match kind {
                Kind::Failure => told.recipient.notify.wants_failure(),
                Kind::Delay => told.recipient.notify.wants_delay(),
                // Those that did not ask are here because a delay is over.
                Kind::Success => true,
                Kind::Trace => true,
            })
            .cloned()
            .collect();
        let headers_only =
            notice::wants_headers_only(kind, message, self.limits.bounce_size, self.limits.redact_dsn);
        let to_sender = |to: Address, about: Vec<Told>| Copy {
            from: Address::null(),
            to,
            about,
            postmaster: false,
            headers_only,
        };
        match &message.envelope.verp {
            _ if sender.is_null() || wanted.is_empty() => {}
            // With a sender for each recipient, each has a notice of its own.
            Some(delimiters) if kind == Kind::Failure && self.limits.verp_bounces => {
                copies.extend(wanted.into_iter().map(|told| {
                    to_sender(verp_sender(sender, &told.recipient.address, delimiters), vec![told])
                }));
            }
            _ => copies.push(to_sender(sender.clone(), wanted)),
        }
        let class = match kind {
            Kind::Failure if sender.is_null() => Some("2bounce"),
            Kind::Failure => Some("bounce"),
            Kind::Delay => Some("delay"),
            Kind::Success | Kind::Trace => None,
        };
        let postmaster = class.and_then(|class| self.limits.notify.get(class));
        if let Some(postmaster) = postmaster.and_then(|text| Address::internal(text.as_str()).ok()) {
            let double_bounce = Address::internal(self.limits.double_bounce.as_str()).unwrap_or_default();
            copies.push(Copy {
                from: double_bounce,
                to: postmaster,
                about: recipients.to_vec(),
                postmaster: true,
                // Postmasters read other people's mail only where nobody else can be told.
                headers_only: class != Some("2bounce"),
            });
        }
        let content = self.returned_content(kind, message);
        let sender_name = match sender.is_null() {
            true => format!("MAILER-DAEMON@{}", self.limits.hostname),
            false => sender.to_string(),
        };
        let limits = &self.limits;
        let relays = |name: &str| limits.transport(name).is_some_and(|transport| transport.program == "pipe");
        copies
            .into_iter()
            .map(|Copy { from, to, about: listed, postmaster, headers_only }| {
                let id = self.ids.next(now);
                let content = if headers_only { notice::header_of(&content) } else { &content };
                let body = Notice {
                    kind,
                    id: &id,
                    to: &to,
                    about: message,
                    recipients: &listed,
                    content,
                    headers_only,
                    sender: &sender_name,
                    relays: &relays,
                    origin: &self.limits.origin,
                    hostname: &self.limits.hostname,
                    mail_name: &self.limits.mail_name,
                    now,
                    retry_until: (kind == Kind::Delay)
                        .then(|| self.limits.backoff.retry_until(message.arrival)),
                    smtputf8_enable: self.limits.smtputf8_enable,
                    postmaster,
                    template: self.limits.templates.of(kind),
                    threaded: self.limits.threaded_bounces,
                }
                .content();
                let what = match (kind, postmaster) {
                    (Kind::Failure, false) => "sender non-delivery notification",
                    (Kind::Failure, true) => "postmaster non-delivery notification",
                    (Kind::Delay, false) => "sender delay notification",
                    (Kind::Delay, true) => "postmaster delay notification",
                    (Kind::Success | Kind::Trace, _) => "sender delivery status notification",
                };
                maillog::info!(self.bounce, "{}: {what}: {id}", message.id);
                let mut recipient = Recipient::new(to);
                // RFC 3461 section 6.1: a notice about a notice is never wanted.
                recipient.notify.never = true;
                let envelope = mail::Envelope {
                    sender: from,
                    recipients: vec![recipient],
                    smtputf8: message.envelope.smtputf8,
                    require_tls: message.envelope.require_tls && !self.limits.redact_dsn,
                    tls_optional: message.envelope.tls_optional,
                    ..mail::Envelope::default()
                };
                (own_message(id, envelope, &body, now, limits.line_length), body)
            })
            .collect()
    }

    /// Mail to the postmaster about sessions with servers that do not speak SMTP.
    pub(super) fn complain(&mut self, about: &QueueId, complaints: Vec<Complaint>) {
        let Some(sender) = self.active.get(about).map(|active| active.message.envelope.sender.clone()) else {
            return;
        };
        // Mail about mail that nobody can be told of would have no end.
        if sender.is_null() || sender.as_str().eq_ignore_ascii_case(&self.limits.double_bounce) {
            return;
        }
        let is_filtered = self.limits.filters_complaints;
        for complaint in complaints {
            let now = self.clock.wall();
            let id = self.ids.next(now);
            let body = notice::complaint(&complaint, &id, &self.limits.hostname, &self.limits.mail_name, now);
            let envelope = mail::Envelope {
                sender: Address::internal(self.limits.double_bounce.as_str()).unwrap_or_default(),
                recipients: vec![Recipient::new(complaint.recipient)],
                ..mail::Envelope::default()
            };
            let message = own_message(id, envelope, &body, now, self.limits.line_length);
            let content = Content::Inline(body.clone());
            let add = Change::Add { message: Box::new(message.clone()), content, hold: false };
            let mut changes = vec![add];
            if is_filtered {
                changes.push(self.is_to_be_filtered(&message.id));
            }
            let (events, log) = (self.events.clone(), self.qmgr.clone());
            let done = Box::new(move |result: Result<(), StoreError>| match result {
                Ok(()) if is_filtered => _ = events.send(Event::Rescan),
                Ok(()) => _ = events.send(Event::Kept(Box::new(fresh(message, Some(body))))),
                Err(error) => maillog::warning!(log, "the postmaster is not told of a session: {error}"),
            });
            self.spool.record(changes, done);
        }
    }

    /// What of the message a notice returns. A body that can not be read is not returned; the notice goes all the same.
    fn returned_content(&self, kind: Kind, about: &Message) -> Vec<u8> {
        let inline = self.active.get(&about.id).and_then(|active| active.body.clone());
        let headers_only =
            notice::wants_headers_only(kind, about, self.limits.bounce_size, self.limits.redact_dsn);
        let body = super::off_the_way(|| self.spool.body(about, inline));
        let content = match body {
            Ok(Body::Inline(bytes)) => bytes,
            Ok(Body::File(file)) => {
                // The header of any sane message is within this; the whole is within bounce_size_limit.
                let most = if headers_only { 256 * 1024 } else { self.limits.bounce_size };
                let mut bytes = Vec::new();
                let _ = std::io::Read::read_to_end(&mut std::io::Read::take(file, most), &mut bytes);
                bytes
            }
            Err(_) => Vec::new(),
        };
        let content = if headers_only { notice::header_of(&content) } else { &content };
        // The envelope's sender, as final delivery would have recorded it.
        let sender = match about.envelope.sender.is_null() {
            true => format!("MAILER-DAEMON@{}", self.limits.hostname),
            false => about.envelope.sender.to_external(),
        };
        let mut returned = format!("Return-Path: <{sender}>\n").into_bytes();
        returned.extend_from_slice(content);
        returned
    }
}
