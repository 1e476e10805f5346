//! Is a recipient known? What smtpd(8) asks before it takes mail for one (reject_unlisted_recipient,
//! reject_unlisted_sender; ADDRESS_CLASS_README).

use mail::Address;
use mail::status::Status;
use tables::Maps;

use crate::class::Class;
use crate::resolve::Resolved;
use crate::routing::{Failed, Routing};

/// As what the address is looked up; it chooses maps and enhanced status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// RCPT TO.
    Recipient,
    /// MAIL FROM: could it be answered?
    Sender,
}

/// What the client hears of an address that is not known: `CODE STATUS <address>: Recipient address rejected: TEXT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unlisted {
    /// Reply code.
    pub code: u16,
    /// Enhanced status, of the class of the code.
    pub status: Status,
    /// The last part of the text.
    pub text: String,
}

impl Routing {
    /// Looks an address up in the tables of its class. `None`: it is known, or nobody can know.
    pub async fn unlisted(
        &self,
        role: Role,
        other_end: &Address,
        address: &Address,
    ) -> Result<Option<Unlisted>, Failed> {
        let resolved = self.resolve(other_end, address).await?;
        let recipient = &resolved.recipient;
        // An address that a map knows may be known by its new name; that is for later.
        let canonical = &self.canonical;
        let mut rewriting = vec![&canonical.recipient_maps];
        if role == Role::Sender {
            rewriting.push(&canonical.sender_maps);
        }
        rewriting.extend([&canonical.maps, &self.virtual_alias_maps]);
        for maps in rewriting {
            if self.search(maps, recipient).await?.is_some() {
                return Ok(None);
            }
        }
        if let Some(unlisted) = self.undeliverable(role, &resolved) {
            return Ok(Some(unlisted));
        }
        let (maps, code, table): (&Maps, u16, &str) = match resolved.class {
            Class::Local if self.is_special(recipient.local_part()) => return Ok(None),
            Class::Local => (&self.local_recipient_maps, self.reject_codes.local, "local recipient table"),
            Class::VirtualMailbox => {
                (&self.virtual_mailbox_maps, self.reject_codes.virtual_mailbox, "virtual mailbox table")
            }
            Class::Relay => (&self.relay_recipient_maps, self.reject_codes.relay, "relay recipient table"),
            Class::VirtualAlias | Class::Default => return Ok(None),
        };
        if maps.is_empty() || self.search(maps, recipient).await?.is_some() {
            return Ok(None);
        }
        let table = if self.show_table_name { format!(" in {table}") } else { String::new() };
        let status = unknown(role).with_class(class_of(code));
        Ok(Some(Unlisted { code, status, text: format!("User unknown{table}") }))
    }

    /// An address that goes to the error or retry transport.
    fn undeliverable(&self, role: Role, resolved: &Resolved) -> Option<Unlisted> {
        let code = match resolved.transport.as_str() {
            "error" if resolved.class == Class::VirtualAlias => self.reject_codes.virtual_alias,
            "error" => 550,
            "retry" => 450,
            _ => return None,
        };
        let (status, text) =
            Status::split_from(&resolved.next_hop).unwrap_or((unknown(role), &resolved.next_hop));
        Some(Unlisted { code, status: status.with_class(class_of(code)), text: text.to_owned() })
    }

    /// Names that every machine has: the queue manager and bounce(8) make and absorb them.
    fn is_special(&self, local_part: &str) -> bool {
        [self.double_bounce_sender.as_str(), "postmaster", "mailer-daemon"]
            .iter()
            .any(|name| local_part.eq_ignore_ascii_case(name))
    }
}

fn unknown(role: Role) -> Status {
    match role {
        Role::Recipient => Status::new(5, 1, 1),
        Role::Sender => Status::new(5, 1, 0),
    }
}

fn class_of(code: u16) -> u8 {
    if code / 100 == 4 { 4 } else { 5 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::tests::{address, now, routing};

    const MAIN_CF: &str = "local_recipient_maps = inline:{known=x}\n\
        virtual_alias_domains = alias.test\nvirtual_alias_maps = inline:{a@alias.test=known}\n\
        virtual_mailbox_domains = mailbox.test\nvirtual_mailbox_maps = inline:{m@mailbox.test=x}\n\
        relay_domains = relay.test\nrelay_recipient_maps = inline:{r@relay.test=x}\n\
        canonical_maps = inline:{c@relay.test=x}\ntransport_maps = inline:{ {gone.test=error:5.1.2 moved}, {slow.test=retry:4.4.1 wait} }\n";

    fn unlisted(main_cf: &str, role: Role, text: &str) -> Result<Option<String>, Failed> {
        let found = now(routing(main_cf).unlisted(role, &address("s@s.test"), &address(text)))?;
        Ok(found.map(|u| format!("{} {} {}", u.code, u.status, u.text)))
    }

    #[test]
    fn texts_by_class() {
        for (text, expected) in [
            ("known@example.test", None),
            ("Known+x@example.test", None),
            ("other@example.test", Some("550 5.1.1 User unknown in local recipient table")),
            ("postmaster@example.test", None),
            ("Double-Bounce@example.test", None),
            ("a@alias.test", None),
            ("b@alias.test", Some("550 5.1.1 User unknown in virtual alias table")),
            ("m@mailbox.test", None),
            ("n@mailbox.test", Some("550 5.1.1 User unknown in virtual mailbox table")),
            ("r@relay.test", None),
            ("c@relay.test", None),
            ("s@relay.test", Some("550 5.1.1 User unknown in relay recipient table")),
            ("any@other.test", None),
            ("u@gone.test", Some("550 5.1.2 moved")),
            ("u@slow.test", Some("450 4.4.1 wait")),
        ] {
            assert_eq!(unlisted(MAIN_CF, Role::Recipient, text), Ok(expected.map(str::to_owned)), "{text}");
        }
    }

    #[test]
    fn senders_codes_and_failures() {
        let quiet = format!(
            "{MAIN_CF}show_user_unknown_table_name = no\nunknown_local_recipient_reject_code = 450\n"
        );
        for (main_cf, role, text, expected) in [
            (MAIN_CF, Role::Sender, "other@example.test", "550 5.1.0 User unknown in local recipient table"),
            (MAIN_CF, Role::Sender, "b@alias.test", "550 5.1.1 User unknown in virtual alias table"),
            (&quiet, Role::Recipient, "other@example.test", "450 4.1.1 User unknown"),
        ] {
            assert_eq!(unlisted(main_cf, role, text), Ok(Some(expected.to_owned())), "{text}");
        }
        for main_cf in ["local_recipient_maps = fail:x\n", "canonical_maps = fail:x\n"] {
            assert!(unlisted(main_cf, Role::Recipient, "u@example.test").is_err());
        }
        assert_eq!(unlisted("", Role::Recipient, "u@example.test"), Ok(None), "empty maps know everyone");
    }
}
