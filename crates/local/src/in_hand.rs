//! A delivery as the agents see it, and their report.

use std::io::Read;

use link::message::Delivery;
use mail::{Address, Message, Origin, Outcome, OutcomeKind, Recipient, header};

use crate::content::Body;

/// One attempt.
pub(crate) struct InHand {
    /// With the recipients of this attempt.
    pub(crate) message: Message,
    pub(crate) next_hop: String,
    pub(crate) body: Body,
    /// What Delivered-To: fields say, in lower case.
    delivered_to: Vec<String>,
}

/// Most bytes of a message that are searched for Delivered-To: fields; header_size_limit keeps headers below it.
const HEADER: u64 = 1024 * 1024;

impl InHand {
    /// Takes a delivery of the queue apart.
    pub(crate) fn new(delivery: Delivery, body: Body) -> std::io::Result<InHand> {
        let room = usize::try_from(body.length.min(HEADER)).unwrap_or_default() + 1;
        let mut beginning = Vec::with_capacity(room);
        body.reader().take(HEADER).read_to_end(&mut beginning)?;
        let delivered_to = header::split(&beginning)
            .0
            .iter()
            .filter(|field| field.is("Delivered-To"))
            .map(|field| String::from_utf8_lossy(field.value()).to_lowercase())
            .collect();
        let Delivery { message, next_hop, .. } = delivery;
        Ok(InHand { message, next_hop, body, delivered_to })
    }

    /// Is it only asked whether it could be delivered?
    pub(crate) fn is_probe(&self) -> bool {
        self.message.envelope.purpose.is_probe()
    }

    /// Was the message delivered to this recipient before? Then it goes in circles.
    pub(crate) fn was_delivered_to(&self, recipient: &Address) -> bool {
        let recipient = recipient.to_external().to_lowercase();
        self.delivered_to.contains(&recipient)
    }

    /// The sender in external form; of bounces, `null`.
    pub(crate) fn sender_or(&self, null: &str) -> String {
        let sender = &self.message.envelope.sender;
        if sender.is_null() { null.to_owned() } else { sender.to_external() }
    }

    /// What is known of the client, by the names that pipe(8) uses and, in capitals, local(8). The values of a message of this
    /// machine are empty.
    pub(crate) fn client(&self, name: &str) -> Option<String> {
        let facts = match &self.message.origin {
            Origin::Client(facts) => Some(facts),
            Origin::User { .. } | Origin::Internal => None,
        };
        let sasl = facts.and_then(|facts| facts.sasl.as_ref());
        let value = match name {
            "client_address" => facts.and_then(|facts| facts.address).map(|address| address.to_string()),
            "client_helo" => facts.and_then(|facts| facts.helo.clone()),
            "client_hostname" => facts.map(|facts| facts.name.clone()),
            "client_port" => facts.map(|facts| facts.port.to_string()),
            "client_protocol" => facts.map(|facts| facts.protocol(self.message.envelope.smtputf8)),
            "sasl_method" => sasl.map(|sasl| sasl.method.clone()),
            "sasl_username" => sasl.map(|sasl| sasl.username.clone()),
            "sasl_sender" => sasl.and_then(|sasl| sasl.sender.clone()),
            _ => return None,
        };
        Some(value.unwrap_or_default())
    }
}

/// What became of one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Report {
    /// A line of the log for each place where the message went, or did not go.
    pub(crate) lines: Vec<(Recipient, Outcome)>,
    /// What the queue is told.
    pub(crate) outcome: Outcome,
}

impl Report {
    /// The usual case: one recipient, one place.
    pub(crate) fn of(recipient: &Recipient, outcome: Outcome) -> Report {
        Report { lines: vec![(recipient.clone(), outcome.clone())], outcome }
    }

    /// Several places: a delay anywhere is a delay of all, since the queue knows one recipient only; then a failure counts
    /// more than success. `nothing` is said of a message that went nowhere.
    pub(crate) fn together(lines: Vec<(Recipient, Outcome)>, nothing: Outcome) -> Report {
        let outcome = [OutcomeKind::Deferred, OutcomeKind::Bounced, OutcomeKind::Sent]
            .iter()
            .find_map(|kind| lines.iter().find(|(_, outcome)| outcome.kind == *kind))
            .map_or(nothing, |(_, outcome)| outcome.clone());
        Report { lines, outcome }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::{Duration, SystemTime};

    use mail::{Envelope, QueueId, Status};

    use super::*;

    /// A delivery to `recipient` of a message with this content.
    pub(crate) fn in_hand(recipient: &str, content: &str) -> InHand {
        let address = Address::internal(recipient).unwrap();
        let delivery = Delivery {
            message: Message {
                id: QueueId::parse("EB0AC9B013C").unwrap(),
                envelope: Envelope {
                    sender: Address::internal("sender@client.test").unwrap(),
                    recipients: vec![Recipient::new(address)],
                    ..Envelope::default()
                },
                origin: Origin::Internal,
                arrival: SystemTime::now(),
                size: content.len() as u64,
                data_size: content.len() as u64,
                checksum: 0,
                filter: None,
            },
            transport: "local".into(),
            next_hop: "example.test".into(),
            waited: (Duration::ZERO, Duration::ZERO),
            body: None,
            attempts: 0,
            caching: link::message::Caching::default(),
        };
        InHand::new(delivery, Body::inline(content.as_bytes().to_vec())).unwrap()
    }

    #[test]
    fn loops_are_seen_whatever_the_case() {
        let message = in_hand("joe@x.test", "A: b\nDelivered-To: Joe@X.test\n\nDelivered-To: ann@x.test\n");
        let seen = |address: &str| message.was_delivered_to(&Address::internal(address).unwrap());
        assert!(seen("joe@x.test") && seen("JOE@x.test"));
        assert!(!seen("ann@x.test"), "that is in the body");
    }

    #[test]
    fn the_worst_outcome_counts() {
        let recipient = Recipient::default();
        let sent = Outcome::sent("local", "1");
        let bounced = Outcome::bounced(Status::new(5, 0, 0), "local", "2");
        let deferred = Outcome::deferred(Status::new(4, 0, 0), "local", "3");
        for (outcomes, expected) in [
            (vec![&sent, &bounced, &deferred], "3"),
            (vec![&sent, &bounced, &sent], "2"),
            (vec![&sent], "1"),
            (vec![], "nothing"),
        ] {
            let lines = outcomes.into_iter().map(|outcome| (recipient.clone(), outcome.clone())).collect();
            let report = Report::together(lines, Outcome::sent("local", "nothing"));
            assert_eq!(report.outcome.text, expected);
        }
    }
}
