//! Is there anybody at an address? What verify(8) found out by probes (ADDRESS_VERIFICATION_README). The probing itself is the
//! caller's: [`Verifier`].

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use config::{Settings, params};
use mail::{Address, Detail, Reply};
use route::Role;

use crate::address::{address_of, rejected};
use crate::evaluation::{Evaluation, Outcome};
use crate::restriction::{Argument, Deciding};

/// Whoever finds out whether addresses are deliverable.
pub trait Verifier: Send + Sync {
    /// What is known of an address. When nothing is, a probe is sent, and its result waited for at most so long.
    fn query<'a>(
        &'a self,
        address: &'a Address,
        patience: Duration,
    ) -> Pin<Box<dyn Future<Output = Verified> + Send + 'a>>;

    /// Is it the sender of probes, now or a moment ago? Mail to it answers a probe of ours, so no restriction applies.
    fn sends_probes_as(&self, address: &Address) -> bool;
}

/// What is known of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verified {
    /// Somebody would take mail for it.
    Deliverable,
    /// Nobody will; why.
    Undeliverable(String),
    /// It is not known, or not now; why.
    Unverified(String),
    /// Nobody could be asked. The reason goes to the log.
    Failed(String),
}

/// The settings of reject_unverified_sender and reject_unverified_recipient.
pub(crate) struct Verification {
    verifier: Arc<dyn Verifier>,
    /// `address_verify_poll_delay` for each of `address_verify_poll_count` but the first.
    patience: Duration,
    sender: Replies,
    recipient: Replies,
}

/// What is said of one kind of address.
struct Replies {
    defer_code: u16,
    reject_code: u16,
    /// Instead of what a remote server said; empty for that.
    reason: String,
    /// The tempfail action is defer_if_permit, not defer.
    waits: bool,
}

impl Verification {
    pub(crate) fn open(settings: &Settings, verifier: Arc<dyn Verifier>) -> Verification {
        let code = |value: i64| u16::try_from(value).unwrap_or(450);
        let polls = u32::try_from(settings.get(params::address_verify_poll_count)).unwrap_or(u32::MAX);
        Verification {
            verifier,
            patience: settings.get(params::address_verify_poll_delay).saturating_mul(polls.saturating_sub(1)),
            sender: Replies {
                defer_code: code(settings.get(params::unverified_sender_defer_code)),
                reject_code: code(settings.get(params::unverified_sender_reject_code)),
                reason: settings.get(params::unverified_sender_reject_reason).to_owned(),
                waits: settings.get(params::unverified_sender_tempfail_action) == "defer_if_permit",
            },
            recipient: Replies {
                defer_code: code(settings.get(params::unverified_recipient_defer_code)),
                reject_code: code(settings.get(params::unverified_recipient_reject_code)),
                reason: settings.get(params::unverified_recipient_reject_reason).to_owned(),
                waits: settings.get(params::unverified_recipient_tempfail_action) == "defer_if_permit",
            },
        }
    }

    /// Is mail to this address the answer to a probe?
    pub(crate) fn sends_probes_as(&self, address: &Address) -> bool {
        self.verifier.sends_probes_as(address)
    }
}

pub(crate) fn reject_unverified_sender<'a>(
    evaluation: &'a mut Evaluation<'_>,
    _: &'a Argument,
) -> Deciding<'a> {
    Box::pin(reject_unverified(evaluation, Role::Sender))
}

pub(crate) fn reject_unverified_recipient<'a>(
    evaluation: &'a mut Evaluation<'_>,
    _: &'a Argument,
) -> Deciding<'a> {
    Box::pin(reject_unverified(evaluation, Role::Recipient))
}

async fn reject_unverified(evaluation: &mut Evaluation<'_>, role: Role) -> Outcome {
    let verification = &evaluation.access.verification;
    let Some(address) = address_of(evaluation, role) else { return Outcome::Dunno };
    // A probe about the sender of a probe would never end.
    if verification.sends_probes_as(&address) {
        return Outcome::Dunno;
    }
    let (replies, detail) = match role {
        Role::Sender => (&verification.sender, Detail(1, 7)),
        Role::Recipient => (&verification.recipient, Detail(1, 1)),
    };
    let (code, why) = match verification.verifier.query(&address, verification.patience).await {
        Verified::Deliverable => return Outcome::Dunno,
        Verified::Undeliverable(why) => (replies.reject_code, why),
        Verified::Unverified(why) => (replies.defer_code, why),
        Verified::Failed(why) => {
            evaluation.warn(why);
            let text = rejected(role, &address, "address verification problem");
            return defer(evaluation, replies.waits, Reply::new(450, detail, text));
        }
    };
    let why = if replies.reason.is_empty() { &why } else { &replies.reason };
    let text = |kind: &str| rejected(role, &address, &format!("{kind} address: {why:.250}"));
    // Not what was found but the code chooses the word, as in Postfix.
    match code {
        500.. => evaluation.refuse(code, detail, text("undeliverable")),
        400.. => defer(evaluation, replies.waits, Reply::new(code, detail, text("unverified"))),
        _ => Outcome::Dunno,
    }
}

fn defer(evaluation: &mut Evaluation<'_>, waits: bool, reply: Reply) -> Outcome {
    match waits {
        true => evaluation.defer_if_permitted(reply),
        false => evaluation.refuse_as(reply),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::tests::{open_verifying, said, stranger};
    use crate::{Asked, Decision};

    /// Knows addresses by their local part.
    pub(crate) struct Scripted;

    impl Verifier for Scripted {
        fn query<'a>(
            &'a self,
            address: &'a Address,
            patience: Duration,
        ) -> Pin<Box<dyn Future<Output = Verified> + Send + 'a>> {
            Box::pin(async move {
                match address.local_part() {
                    "good" | "user" => Verified::Deliverable,
                    "bad" => Verified::Undeliverable("host mx[192.0.2.1] said: 550 no".into()),
                    "slow" => Verified::Unverified(format!("{} s over", patience.as_secs())),
                    "broken" => Verified::Failed("no queue".into()),
                    other => Verified::Undeliverable(other.to_owned()),
                }
            })
        }

        fn sends_probes_as(&self, address: &Address) -> bool {
            address.as_str() == "probe@example.test"
        }
    }

    async fn rcpt(main_cf: &str, sender: &str, recipient: &str) -> Decision {
        let (access, warnings) = open_verifying(main_cf, Arc::new(Scripted)).unwrap();
        assert_eq!(warnings, [""; 0]);
        let (sender, recipient) = (Address::internal(sender).unwrap(), Address::internal(recipient).unwrap());
        let client = stranger();
        let asked = Asked { sender: Some(&sender), recipient: Some(&recipient), ..Asked::of(&client) };
        access.rcpt(&asked).await
    }

    #[tokio::test]
    async fn recipients() {
        let list = "smtpd_recipient_restrictions = reject_unverified_recipient";
        let unverified = "<bad@relay.test>: Recipient address rejected: unverified address: \
                          host mx[192.0.2.1] said: 550 no";
        for (settings, recipient, expected) in [
            ("", "good@relay.test", String::new()),
            ("", "bad@relay.test", format!("450 4.1.1 {unverified}")),
            (
                "unverified_recipient_reject_code = 550",
                "bad@relay.test",
                format!("550 5.1.1 {}", unverified.replace("unverified", "undeliverable")),
            ),
            ("unverified_recipient_reject_code = 250", "bad@relay.test", String::new()),
            (
                "unverified_recipient_reject_reason = gone",
                "bad@relay.test",
                "450 4.1.1 <bad@relay.test>: Recipient address rejected: unverified address: gone".into(),
            ),
            (
                "address_verify_poll_count = 3\naddress_verify_poll_delay = 2s",
                "slow@relay.test",
                "450 4.1.1 <slow@relay.test>: Recipient address rejected: unverified address: 4 s over"
                    .into(),
            ),
            (
                "unverified_recipient_defer_code = 451\naddress_verify_poll_count = 1",
                "slow@relay.test",
                "451 4.1.1 <slow@relay.test>: Recipient address rejected: unverified address: 0 s over"
                    .into(),
            ),
            (
                "",
                "broken@relay.test",
                "450 4.1.1 <broken@relay.test>: Recipient address rejected: address verification problem"
                    .into(),
            ),
            ("", "probe@example.test", String::new()),
        ] {
            let decision = rcpt(&format!("{list}\n{settings}"), "s@x.test", recipient).await;
            assert_eq!(said(&decision), expected, "{settings} {recipient}");
        }
        // A long answer of a remote server is cut.
        let long = format!("{}@relay.test", "é".repeat(300));
        assert!(said(&rcpt(list, "s@x.test", &long).await).ends_with(&format!(": {}", "é".repeat(250))));
    }

    #[tokio::test]
    async fn senders() {
        let list = "smtpd_sender_restrictions = reject_unverified_sender";
        let reply = "450 4.1.7 <bad@x.test>: Sender address rejected: unverified address: host mx[192.0.2.1] said: 550 no";
        for (settings, sender, recipient, expected) in [
            ("", "bad@x.test", "user@example.test", reply),
            ("", "good@x.test", "user@example.test", ""),
            ("", "", "user@example.test", ""),
            ("", "probe@example.test", "user@example.test", ""),
            // A refusal for good comes before one that only waits for a permit.
            ("", "bad@x.test", "a@other.test", "554 5.7.1 <a@other.test>: Relay access denied"),
            ("unverified_sender_tempfail_action = defer", "bad@x.test", "a@other.test", reply),
            // Answers to our own probes get through whatever the lists say.
            ("smtpd_client_restrictions = reject", "s@x.test", "probe@example.test", ""),
        ] {
            let decision = rcpt(&format!("{list}\n{settings}"), sender, recipient).await;
            assert_eq!(said(&decision), expected, "{settings} {sender} {recipient}");
        }
    }
}
