//! Attempts at deliveries: what destinations do with them, and what must hold for each.

use std::time::Duration;

use link::message::Delivery;
use link::{LinkError, Reply};
use mail::{Address, Outcome, OutcomeKind, Recipient, Status};

use super::machine::{Character, Handed};
use super::{BACK_OFF, CONCURRENCY, Happening, PROCESSES, RECIPIENTS, Sent, UnderWay, World};
use crate::clock::Clock;

impl World {
    pub(super) fn begin(&mut self, handed: Handed) {
        self.counts.attempts += 1;
        let now = self.clock.passed();
        let delivery = &handed.delivery;
        let domain = delivery.next_hop.clone();
        let recipients = &delivery.message.envelope.recipients;
        assert!(!recipients.is_empty() && recipients.len() <= RECIPIENTS);
        for recipient in recipients {
            assert_eq!(recipient.address.domain(), Some(domain.as_str()), "the wrong place");
            let is_in_hand =
                self.under_way.values().map(|other| &other.handed.delivery.message).any(|other| {
                    other.id == delivery.message.id
                        && other.envelope.recipients.iter().any(|one| one.address == recipient.address)
                });
            assert!(!is_in_hand, "{}: {} is tried twice at a time", delivery.message.id, recipient.address);
        }
        if let Some(n) = self.number_of(delivery) {
            self.check_delivery(n, &handed.delivery, now);
        }
        let character = self.characters[&domain];
        let takes = match character {
            Character::Slow => self.random.millis(20_000, 200_000),
            Character::DeadUntil(time) if now < time => Duration::from_secs(30),
            _ => self.random.millis(20, 400),
        };
        self.serial += 1;
        let number = self.serial;
        self.plan.insert((now + takes, number), Happening::Ended(number));
        self.under_way.insert(number, UnderWay { handed, domain: domain.clone() });
        assert!(self.under_way.len() <= PROCESSES, "maxproc");
        let there = self.under_way.values().filter(|other| other.domain == domain).count();
        assert!(there <= CONCURRENCY, "destination_concurrency_limit of {domain}");
    }

    /// Which of ours is it? Nothing for notices.
    fn number_of(&self, delivery: &Delivery) -> Option<usize> {
        let id = delivery.message.id.as_str();
        let n = id.strip_suffix('A').filter(|text| text.len() == 8)?;
        usize::from_str_radix(n, 16).ok().filter(|n| *n < self.sent.len())
    }

    /// Was this message for these, whole, and not too early?
    fn check_delivery(&mut self, n: usize, delivery: &Delivery, now: Duration) {
        let (disturbed, is_held) = (self.disturbed, self.is_held);
        let character = self.characters[&delivery.next_hop];
        let sent = &mut self.sent[n];
        assert!(!sent.is_deleted, "{}: tried although it was deleted", delivery.message.id);
        assert_eq!(delivery.body.as_ref(), Some(&sent.body), "half a message, or another one");
        assert_eq!(delivery.message.envelope.sender, sent.message.envelope.sender);
        for recipient in &delivery.message.envelope.recipients {
            let position = position_of(sent, recipient);
            if let Some(not_before) = sent.not_before.get(&position)
                && *not_before > disturbed + BACK_OFF.maximal
            {
                assert!(
                    now >= *not_before,
                    "{}: tried at {now:?}, not before {not_before:?}",
                    recipient.address
                );
            }
        }
        // Mail for a place that is well does not wait for places that are not.
        if sent.first_attempt.is_none() && matches!(character, Character::Good) && !is_held {
            sent.first_attempt = Some(now);
            if let Some(acknowledged) = sent.acknowledged.filter(|time| *time > disturbed) {
                let waited = now.saturating_sub(acknowledged);
                assert!(waited < Duration::from_secs(60), "{n} waited for {waited:?}");
            }
        }
    }

    pub(super) fn end(&mut self, number: u64) {
        let UnderWay { handed, domain } = self.under_way.remove(&number).unwrap();
        let now = self.clock.passed();
        let Handed { delivery, answer } = handed;
        let recipients = delivery.message.envelope.recipients.clone();
        let all = |outcome: Outcome| vec![outcome; recipients.len()];
        let sent = || Outcome::sent("mx[192.0.2.1]:25", "250 2.0.0 Ok");
        let later = || Outcome::deferred(Status::new(4, 2, 0), "mx[192.0.2.1]:25", "450 4.2.0 later");
        let refused = || Outcome::bounced(Status::new(5, 1, 1), "mx[192.0.2.1]:25", "550 5.1.1 nobody");
        let mut site_failure = None;
        let age = (self.clock.began_wall + now).duration_since(delivery.message.arrival).unwrap_or_default();
        let outcomes = match self.characters[&domain] {
            Character::DeadUntil(time) if now < time => {
                site_failure = Some("connect to mx: Connection timed out".to_owned());
                self.counts.site_failures += 1;
                all(Outcome::deferred(Status::new(4, 4, 1), "none", "connect to mx: Connection timed out"))
            }
            Character::Greylisting if age < Duration::from_secs(600) => all(later()),
            Character::Rejecting => all(refused()),
            Character::Senders => all(sent()),
            Character::Deadly if self.random.percent(10) => {
                self.counts.lost_agents += 1;
                // It may have delivered before it died.
                if self.random.percent(50) {
                    self.note_deliveries(&delivery, |_| true);
                }
                if let Some(n) = self.number_of(&delivery) {
                    self.sent[n].excuses += 1;
                }
                let _ = answer.send(Err(LinkError::Lost("send")));
                return;
            }
            _ => recipients
                .iter()
                .map(|_| match self.random.below(100) {
                    0 => later(),
                    1 => refused(),
                    _ => sent(),
                })
                .collect(),
        };
        self.counts.deferrals +=
            outcomes.iter().filter(|outcome| outcome.kind == OutcomeKind::Deferred).count() as u64;
        self.note_deliveries(&delivery, |at| outcomes[at].kind == OutcomeKind::Sent);
        if let Some(n) = self.number_of(&delivery) {
            let arrival = self.sent[n].message.arrival;
            for (recipient, outcome) in recipients.iter().zip(&outcomes) {
                let position = position_of(&self.sent[n], recipient);
                match outcome.kind {
                    OutcomeKind::Bounced => {
                        self.sent[n].refused.insert(position);
                    }
                    OutcomeKind::Deferred => {
                        let age = self.clock.wall().duration_since(arrival).unwrap_or_default();
                        let wait = age.clamp(BACK_OFF.minimal, BACK_OFF.maximal);
                        self.sent[n].not_before.insert(position, now + wait);
                    }
                    _ => {}
                }
            }
        }
        let _ = answer.send(Ok(Reply::Attempted {
            outcomes,
            site_failure,
            places: Vec::new(),
            complaints: Vec::new(),
        }));
    }

    pub(super) fn note_deliveries(&mut self, delivery: &Delivery, arrived: impl Fn(usize) -> bool) {
        let recipients = &delivery.message.envelope.recipients;
        match self.number_of(delivery) {
            Some(n) => {
                for (at, recipient) in recipients.iter().enumerate().filter(|(at, _)| arrived(*at)) {
                    let _ = at;
                    let position = position_of(&self.sent[n], recipient);
                    self.sent[n].delivered[position] += 1;
                }
            }
            None if arrived(0) => self.read_notice(delivery),
            None => {}
        }
    }

    /// A notice reached a sender: whom is it about?
    fn read_notice(&mut self, delivery: &Delivery) {
        let text = String::from_utf8_lossy(delivery.body.as_deref().unwrap_or_default()).into_owned();
        if !text.contains("Subject: Undelivered Mail") {
            return;
        }
        self.counts.notices += 1;
        let to = delivery.message.envelope.recipients[0].address.local_part().to_owned();
        let n: usize = to.strip_prefix('m').unwrap().parse().unwrap();
        for line in text.lines() {
            let Some(address) = line.strip_prefix("Final-Recipient: rfc822; ") else { continue };
            let recipient = Recipient::new(Address::internal(address).unwrap());
            let position = position_of(&self.sent[n], &recipient);
            self.sent[n].told.insert(position);
        }
    }
}

fn position_of(sent: &Sent, recipient: &Recipient) -> usize {
    let recipients = &sent.message.envelope.recipients;
    let found = recipients.iter().position(|own| own.address == recipient.address);
    found.unwrap_or_else(|| panic!("{} is no recipient of it", recipient.address))
}
