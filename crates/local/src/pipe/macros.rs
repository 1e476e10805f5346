//! `${recipient}`, `${sender}`... in the arguments of a pipe(8) command. An argument that speaks of a recipient is repeated
//! for each.

use std::cell::{Cell, RefCell};

use config::expand::{Scope, expand};
use mail::{Address, Recipient};
use tables::address_search::split_extension;

use super::attributes::Attributes;
use crate::in_hand::InHand;

/// The facts that the macros stand for.
pub(crate) struct Macros<'a> {
    pub(crate) attributes: &'a Attributes,
    pub(crate) in_hand: &'a InHand,
    /// recipient_delimiter
    pub(crate) delimiters: &'a str,
}

impl Macros<'_> {
    /// The command for these recipients. The error names the macro that is not known.
    pub(crate) fn arguments(&self, recipients: &[Recipient]) -> Result<Vec<String>, String> {
        let mut arguments = Vec::new();
        for text in &self.attributes.argv {
            for recipient in recipients {
                let scope = OneRecipient {
                    macros: self,
                    recipient,
                    speaks_of_it: Cell::new(false),
                    unknown: RefCell::default(),
                };
                let expanded = expand(text, &scope).map_err(|error| error.to_string())?;
                if let Some(name) = scope.unknown.into_inner() {
                    return Err(format!("unknown macro name: \"{name}\""));
                }
                arguments.push(expanded);
                if !scope.speaks_of_it.get() {
                    break;
                }
            }
        }
        Ok(arguments)
    }

    fn has(&self, flag: char) -> bool {
        self.attributes.has(flag)
    }

    /// The `u` flag.
    fn local(&self, text: &str) -> String {
        if self.has('u') { text.to_lowercase() } else { text.to_owned() }
    }

    /// The `h` flag.
    fn host(&self, text: &str) -> String {
        if self.has('h') { text.to_lowercase() } else { text.to_owned() }
    }

    /// The `h`, `q` and `u` flags.
    fn address(&self, address: &Address) -> String {
        let local = address.with_local_part(&self.local(address.local_part()));
        let folded = match local.domain() {
            Some(domain) => format!("{}@{}", local.local_part(), self.host(domain)),
            None => local.as_str().to_owned(),
        };
        match Address::internal(folded.clone()) {
            Ok(address) if self.has('q') => address.to_external(),
            _ => folded,
        }
    }

    fn sender(&self) -> String {
        let sender = &self.in_hand.message.envelope.sender;
        match (sender.is_null(), self.has('q')) {
            (true, _) => self.attributes.null_sender.clone(),
            (false, true) => sender.to_external(),
            (false, false) => sender.as_str().to_owned(),
        }
    }
}

struct OneRecipient<'a> {
    macros: &'a Macros<'a>,
    recipient: &'a Recipient,
    speaks_of_it: Cell<bool>,
    unknown: RefCell<Option<String>>,
}

impl Scope for OneRecipient<'_> {
    fn raw(&self, name: &str) -> Option<std::borrow::Cow<'_, str>> {
        let macros = self.macros;
        let of_recipient = |value: String| {
            self.speaks_of_it.set(true);
            value
        };
        let address = &self.recipient.address;
        let local = address.local_part();
        let split = split_extension(local, macros.delimiters);
        let value = match name {
            "recipient" => of_recipient(macros.address(address)),
            "original_recipient" => of_recipient(macros.address(&self.recipient.original)),
            "mailbox" => of_recipient(macros.local(local)),
            "user" => of_recipient(macros.local(split.map_or(local, |(user, _)| user))),
            // Without its delimiter, which is one character.
            "extension" => {
                let mut letters = split.map_or("", |(_, extension)| extension).chars();
                letters.next();
                of_recipient(macros.local(letters.as_str()))
            }
            "domain" => of_recipient(macros.host(address.domain().unwrap_or_default())),
            "nexthop" => macros.host(&macros.in_hand.next_hop),
            "sender" => macros.sender(),
            "size" => macros.in_hand.message.data_size.to_string(),
            "queue_id" => macros.in_hand.message.id.to_string(),
            "envid" => macros.in_hand.message.envelope.envid.clone().unwrap_or_default(),
            other => match macros.in_hand.client(other) {
                Some(value) => value,
                None => {
                    self.unknown.replace(Some(other.to_owned()));
                    return None;
                }
            },
        };
        Some(value.into())
    }

    // An address may hold `$name`: that is no macro of the administrator's.
    fn recurses(&self, _name: &str) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::in_hand::tests::in_hand;

    fn arguments(flags: &str, argv: &str, recipients: &[&str]) -> Result<String, String> {
        let args = format!("{flags} user=x argv={argv}");
        let args: Vec<String> = args.split(' ').map(str::to_owned).collect();
        let attributes = Attributes::parse(&args, &mut |_| {}).unwrap();
        let in_hand = in_hand("joe@x.test", "A: b\n");
        let macros = Macros { attributes: &attributes, in_hand: &in_hand, delimiters: "+" };
        let recipients: Vec<Recipient> =
            recipients.iter().map(|text| Recipient::new(Address::internal(*text).unwrap())).collect();
        macros.arguments(&recipients).map(|arguments| arguments.join("|"))
    }

    #[test]
    fn expansion() {
        for (flags, argv, recipients, expected) in [
            ("flags=", "x -f $sender", &["a@b.test"][..], Ok("x|-f|sender@client.test")),
            ("flags=", "x -- ${recipient} y", &["a@b.test", "c@d.test"], Ok("x|--|a@b.test|c@d.test|y")),
            ("flags=", "x $user/$extension/$mailbox", &["A+B@C.Test"], Ok("x|A/B/A+B")),
            ("flags=u", "x $user/$extension $recipient", &["A+B@C.Test"], Ok("x|a/b|a+b@C.Test")),
            ("flags=h", "x $domain $recipient", &["A+B@C.Test"], Ok("x|c.test|A+B@c.test")),
            ("flags=q", "x $recipient $user", &["a b@c.test"], Ok("x|\"a b\"@c.test|a b")),
            ("flags=", "x $recipient", &["a b@c.test"], Ok("x|a b@c.test")),
            ("flags=", "x $recipient", &["$sender@c.test"], Ok("x|$sender@c.test")),
            ("flags=", "x $size $queue_id $nexthop", &["a@b.test"], Ok("x|5|EB0AC9B013C|example.test")),
            ("flags=", "x ($client_address)", &["a@b.test"], Ok("x|()")),
            ("flags=", "x ${colour}", &["a@b.test"], Err("unknown macro name: \"colour\"")),
        ] {
            let expected = expected.map(str::to_owned).map_err(str::to_owned);
            assert_eq!(arguments(flags, argv, recipients), expected, "{argv}");
        }
    }
}
