//! The envelope on its way into the queue (cleanup(8), ADDRESS_REWRITING_README): standard form, canonical maps, copies
//! for the administrator, virtual aliases, and no recipient twice.

use std::collections::HashSet;

use access::Effect;
use mail::{Address, Envelope, Notify, Recipient};
use route::{Context, ExpansionError, Failed, Place, Routing};

/// The settings of the envelope's treatment.
pub(crate) struct EnvelopeRules {
    /// `duplicate_filter_limit`.
    pub(crate) duplicate_limit: usize,
    /// `enable_original_recipient`.
    pub(crate) original_recipient: bool,
}

/// Why a message can not be taken now; both are temporary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum EnvelopeError {
    /// A table failed: 451 4.3.0. The reason is for the log.
    Table(String),
    /// Aliases without end: 451 4.6.0. The reason is for the log.
    Expansion(String),
}

impl From<Failed> for EnvelopeError {
    fn from(failed: Failed) -> Self {
        EnvelopeError::Table(failed.reason)
    }
}

impl From<ExpansionError> for EnvelopeError {
    fn from(error: ExpansionError) -> Self {
        match error {
            ExpansionError::Failed(failed) => failed.into(),
            ExpansionError::Unreasonable(why) => EnvelopeError::Expansion(why),
        }
    }
}

impl EnvelopeRules {
    /// The sender as others shall see it.
    pub(crate) async fn sender(
        &self,
        routing: &Routing,
        sender: &Address,
        mappings: bool,
    ) -> Result<Address, Failed> {
        let standard = routing.rewrite(Context::Local, sender);
        match mappings {
            true => routing.canonicalize(Place::EnvelopeSender, &standard).await,
            false => Ok(standard),
        }
    }

    /// The whole envelope as the queue gets it.
    pub(crate) async fn clean(
        &self,
        routing: &Routing,
        envelope: &Envelope,
        effects: &[Effect],
        mappings: bool,
    ) -> Result<Envelope, EnvelopeError> {
        let sender = self.sender(routing, &envelope.sender, mappings).await?;
        let mut collected =
            Collected { rules: self, mappings, routing, seen: HashSet::new(), recipients: Vec::new() };
        let redirect = effects.iter().rev().find_map(|effect| match effect {
            Effect::Redirect(address) => Some(address),
            _ => None,
        });
        let given = match redirect {
            // access(5): one recipient takes the place of all.
            Some(address) => {
                // Whom it was for stays known, as far as one name can say.
                let original = envelope.recipients.last().map(|last| last.original.clone());
                let original = original.unwrap_or_else(|| address.clone());
                &[Recipient { notify: never(), original, ..Recipient::new(address.clone()) }][..]
            }
            None => &envelope.recipients,
        };
        for recipient in given {
            let orcpt = recipient.orcpt.clone().or_else(|| Some(original_recipient(&recipient.original)));
            collected.add(&Recipient { orcpt, ..recipient.clone() }).await?;
        }
        if redirect.is_none() {
            let copies = effects.iter().filter_map(|effect| match effect {
                Effect::Bcc(address) => Some(address.clone()),
                _ => None,
            });
            let mut copies: Vec<Address> = copies.collect();
            if mappings {
                copies.extend(routing.always_bcc().await?);
                copies.extend(routing.sender_bcc(&sender).await?);
            }
            for copy in copies {
                collected.add(&Recipient { notify: never(), ..Recipient::new(copy) }).await?;
            }
        }
        Ok(Envelope { sender, ..envelope.for_recipients(collected.recipients) })
    }
}

/// RFC 3461 section 5.2.1: who takes a message notes for whom it was, when the client did not.
fn original_recipient(address: &Address) -> String {
    let kind = if address.needs_smtputf8() { "utf-8" } else { "rfc822" };
    format!("{kind};{address}")
}

/// Copies are nobody's promise.
fn never() -> Notify {
    Notify { never: true, ..Notify::default() }
}

struct Collected<'a> {
    rules: &'a EnvelopeRules,
    mappings: bool,
    routing: &'a Routing,
    seen: HashSet<String>,
    recipients: Vec<Recipient>,
}

impl Collected<'_> {
    async fn add(&mut self, recipient: &Recipient) -> Result<(), EnvelopeError> {
        let standard = self.routing.rewrite(Context::Local, &recipient.address);
        if !self.mappings {
            return self.take(recipient, standard);
        }
        let canonical = self.routing.canonicalize(Place::EnvelopeRecipient, &standard).await?;
        // recipient_bcc_maps see the recipient as it is before virtual aliases.
        let copy = self.routing.recipient_bcc(&canonical).await?;
        self.expand(recipient, &canonical).await?;
        if let Some(copy) = copy {
            self.expand(&Recipient { notify: never(), ..Recipient::new(copy.clone()) }, &copy).await?;
        }
        Ok(())
    }

    async fn expand(&mut self, recipient: &Recipient, canonical: &Address) -> Result<(), EnvelopeError> {
        for address in self.routing.expand_virtual(canonical).await? {
            self.take(recipient, address)?;
        }
        Ok(())
    }

    fn take(&mut self, recipient: &Recipient, address: Address) -> Result<(), EnvelopeError> {
        let original = match self.rules.original_recipient {
            true => recipient.original.clone(),
            false => address.clone(),
        };
        let found = Recipient { address, original, ..recipient.clone() };
        if self.is_new(&found) {
            self.recipients.push(found);
        }
        Ok(())
    }

    /// Two recipients are one only when their senders' wishes are the same too.
    fn is_new(&mut self, recipient: &Recipient) -> bool {
        let limit = self.rules.duplicate_limit;
        if limit > 0 && self.seen.len() >= limit {
            return true;
        }
        let Recipient { address, original, orcpt, notify } = recipient;
        let key = format!("{}\n{notify:?}\n{original}\n{address}", orcpt.as_deref().unwrap_or_default());
        self.seen.insert(key.to_lowercase())
    }
}
