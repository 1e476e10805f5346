//! canonical(5): addresses of envelope and headers mapped to the names that others shall see, by
//! sender_canonical_maps, recipient_canonical_maps and canonical_maps; then masquerading.

use mail::Address;
use tables::Maps;

use crate::routing::{Failed, Routing};

/// Where an address stands; the words of canonical_classes and masquerade_classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// MAIL FROM.
    EnvelopeSender,
    /// RCPT TO.
    EnvelopeRecipient,
    /// From:, Sender:, Reply-To: and the like.
    HeaderSender,
    /// To:, Cc:, Bcc: and the like.
    HeaderRecipient,
}

impl Place {
    /// The word in parameter values.
    pub fn word(self) -> &'static str {
        match self {
            Place::EnvelopeSender => "envelope_sender",
            Place::EnvelopeRecipient => "envelope_recipient",
            Place::HeaderSender => "header_sender",
            Place::HeaderRecipient => "header_recipient",
        }
    }

    /// Whose addresses a header field holds, if it holds any.
    pub fn of_header(name: &str) -> Option<Place> {
        const SENDER: [&str; 10] = [
            "From",
            "Sender",
            "Reply-To",
            "Errors-To",
            "Return-Receipt-To",
            "Disposition-Notification-To",
            "Mail-Followup-To",
            "Resent-From",
            "Resent-Sender",
            "Resent-Reply-To",
        ];
        const RECIPIENT: [&str; 7] =
            ["To", "Cc", "Bcc", "Resent-To", "Resent-Cc", "Resent-Bcc", "Apparently-To"];
        let among = |names: &[&str]| names.iter().any(|other| name.eq_ignore_ascii_case(other));
        if among(&SENDER) {
            Some(Place::HeaderSender)
        } else if among(&RECIPIENT) {
            Some(Place::HeaderRecipient)
        } else {
            None
        }
    }

    fn is_sender(self) -> bool {
        matches!(self, Place::EnvelopeSender | Place::HeaderSender)
    }
}

/// The three parameters and their classes.
pub(crate) struct Canonical {
    pub(crate) sender_maps: Maps,
    pub(crate) sender_classes: Vec<String>,
    pub(crate) recipient_maps: Maps,
    pub(crate) recipient_classes: Vec<String>,
    pub(crate) maps: Maps,
    pub(crate) classes: Vec<String>,
}

/// A map may lead to an address that is mapped again; Postfix gives up here.
const MAX_STEPS: usize = 1000;

impl Routing {
    /// Canonical mapping and masquerading of an address in standard form. The null address stays.
    pub async fn canonicalize(&self, place: Place, address: &Address) -> Result<Address, Failed> {
        if address.is_null() {
            return Ok(Address::null());
        }
        let canonical = &self.canonical;
        let propagate = self.propagates("canonical");
        let (own, own_classes) = match place.is_sender() {
            true => (&canonical.sender_maps, &canonical.sender_classes),
            false => (&canonical.recipient_maps, &canonical.recipient_classes),
        };
        let mut address = address.clone();
        for (maps, classes) in [(own, own_classes), (&canonical.maps, &canonical.classes)] {
            if !maps.is_empty() && classes.iter().any(|word| word == place.word()) {
                address = self.map_one(maps, address, propagate).await?;
            }
        }
        self.masquerade(place, address).await
    }

    /// Maps an address again and again until it does not change.
    pub(crate) async fn map_one(
        &self,
        maps: &Maps,
        mut address: Address,
        propagate: bool,
    ) -> Result<Address, Failed> {
        for _ in 0..MAX_STEPS {
            let Some(results) = self.map_address(maps, &address, propagate).await? else {
                return Ok(address);
            };
            if results.len() > 1 {
                self.warn(&format!("multi-valued {} entry for {address}", maps.parameter()));
            }
            let Some(result) = results.into_iter().next() else { return Ok(address) };
            let same = result.as_str().eq_ignore_ascii_case(address.as_str());
            address = result;
            if same {
                return Ok(address);
            }
        }
        self.warn(&format!("unreasonable {} map nesting for {address}", maps.parameter()));
        Ok(address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::tests::{address, listening, now, routing};

    #[test]
    fn maps_by_place() {
        for (main_cf, place, given, expected) in [
            (
                "canonical_maps = inline:{a=b.c@x.test}",
                Place::EnvelopeRecipient,
                "a@example.test",
                "b.c@x.test",
            ),
            ("canonical_maps = inline:{a=b}", Place::HeaderSender, "a+e@example.test", "b+e@example.test"),
            (
                "canonical_maps = inline:{a=b}\ncanonical_classes = header_sender",
                Place::EnvelopeSender,
                "a@example.test",
                "a@example.test",
            ),
            (
                "sender_canonical_maps = inline:{a=b}",
                Place::EnvelopeRecipient,
                "a@example.test",
                "a@example.test",
            ),
            (
                "sender_canonical_maps = inline:{a=b}\ncanonical_maps = inline:{b=c}",
                Place::EnvelopeSender,
                "a@example.test",
                "c@example.test",
            ),
            (
                "recipient_canonical_maps = inline:{a=b}",
                Place::HeaderRecipient,
                "a@example.test",
                "b@example.test",
            ),
            ("canonical_maps = inline:{a=b,b=c}", Place::HeaderSender, "a@example.test", "c@example.test"),
            ("canonical_maps = inline:{a=a}", Place::HeaderSender, "a@example.test", "a@example.test"),
            (
                "propagate_unmatched_extensions =\ncanonical_maps = inline:{a=b}",
                Place::HeaderSender,
                "a+e@example.test",
                "b@example.test",
            ),
            ("canonical_maps = static:x", Place::EnvelopeSender, "", ""),
        ] {
            let found = now(routing(&format!("{main_cf}\n")).canonicalize(place, &address(given))).unwrap();
            assert_eq!(found.as_str(), expected, "{main_cf}");
        }
    }

    #[test]
    fn a_circle_ends_and_a_failure_is_one() {
        let (routing, heard) = listening("canonical_maps = inline:{a=b,b=a}\n");
        assert!(now(routing.canonicalize(Place::HeaderSender, &address("a@example.test"))).is_ok());
        assert!(heard.lock().unwrap()[0].starts_with("unreasonable canonical_maps map nesting for "));
        let (routing, _) = listening("canonical_maps = fail:x\n");
        assert!(now(routing.canonicalize(Place::HeaderSender, &address("a@example.test"))).is_err());
    }
}
