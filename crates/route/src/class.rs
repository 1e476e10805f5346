//! Address classes (ADDRESS_CLASS_README): by its domain an address is local, virtual alias, virtual mailbox, relay, or
//! none of these.

use std::net::IpAddr;

use crate::routing::{Failed, Routing};

/// The classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// $mydestination, or an address of this machine: `user@[192.0.2.1]`.
    Local,
    /// $virtual_alias_domains: every address is an alias of another.
    VirtualAlias,
    /// $virtual_mailbox_domains.
    VirtualMailbox,
    /// $relay_domains.
    Relay,
    /// Everything else.
    Default,
}

impl Routing {
    /// The class of a domain.
    pub async fn classify(&self, domain: &str) -> Result<Class, Failed> {
        if self.is_local_domain(domain).await? {
            return Ok(Class::Local);
        }
        for (list, class) in [
            (&self.virtual_alias_domains, Class::VirtualAlias),
            (&self.virtual_mailbox_domains, Class::VirtualMailbox),
            (&self.relay_domains, Class::Relay),
        ] {
            if list.matches(domain).await? {
                return Ok(class);
            }
        }
        Ok(Class::Default)
    }

    /// Does this machine take mail for the domain as its own?
    pub async fn is_local_domain(&self, domain: &str) -> Result<bool, Failed> {
        let domain = match domain.strip_suffix('.') {
            Some(stripped) if !stripped.ends_with('.') => stripped,
            _ => domain,
        };
        if self.mydestination.matches(domain).await? {
            return Ok(true);
        }
        let Some(inside) = domain.strip_prefix('[').and_then(|d| d.strip_suffix(']')) else {
            return Ok(false);
        };
        let text = match inside.get(..5) {
            Some(tag) if tag.eq_ignore_ascii_case("ipv6:") => &inside[5..],
            _ => inside,
        };
        Ok(text.parse::<IpAddr>().is_ok_and(|address| self.own_addresses.contains(&address.to_canonical())))
    }

    /// Warns of a domain in two lists: the first counts, which is rarely what was meant.
    pub(crate) async fn warn_of_two_classes(&self, domain: &str, class: Class) {
        if !self.helpful_warnings {
            return;
        }
        let first = match class {
            Class::Local => "mydestination",
            Class::VirtualAlias => "virtual_alias_domains",
            Class::VirtualMailbox => "virtual_mailbox_domains",
            Class::Relay | Class::Default => return,
        };
        // Postfix does not compare mydestination with relay_domains: that is usual for backup servers.
        let others = [
            (Class::VirtualAlias, "virtual_alias_domains", &self.virtual_alias_domains),
            (Class::VirtualMailbox, "virtual_mailbox_domains", &self.virtual_mailbox_domains),
            (Class::Relay, "relay_domains", &self.relay_domains),
        ];
        for (other, name, list) in others {
            let compared = match class {
                Class::Local => other != Class::Relay,
                Class::VirtualAlias => other != Class::VirtualAlias,
                _ => other == Class::Relay,
            };
            if compared && list.matches(domain).await == Ok(true) {
                self.warn(&format!("do not list domain {domain} in BOTH {first} and {name}"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::tests::{listening, now, routing};

    #[test]
    fn classes_by_domain() {
        let routing = routing(
            "virtual_alias_domains = alias.test\nvirtual_mailbox_domains = inline:{mailbox.test=x}\n\
             relay_domains = relay.test\nproxy_interfaces = 192.0.2.9\n",
        );
        for (domain, expected) in [
            ("example.test", Class::Local),
            ("EXAMPLE.test.", Class::Local),
            ("[192.0.2.1]", Class::Local),
            ("[IPv6:2001:db8::1]", Class::Local),
            ("[192.0.2.9]", Class::Local),
            ("[192.0.2.2]", Class::Default),
            ("sub.example.test", Class::Default),
            ("alias.test", Class::VirtualAlias),
            ("sub.alias.test", Class::Default),
            ("mailbox.test", Class::VirtualMailbox),
            ("relay.test", Class::Relay),
            ("sub.relay.test", Class::Relay),
            ("other.test", Class::Default),
        ] {
            assert_eq!(now(routing.classify(domain)), Ok(expected), "{domain}");
        }
    }

    #[test]
    fn a_failing_list_is_a_failure() {
        let routing = routing("virtual_mailbox_domains = fail:x\nrelay_domains = other.test\n");
        assert_eq!(now(routing.classify("example.test")), Ok(Class::Local));
        assert!(now(routing.classify("other.test")).is_err());
    }

    #[test]
    fn a_domain_in_two_lists_is_reported() {
        for (main_cf, expected) in [
            (
                "virtual_alias_domains = example.test\n",
                &["do not list domain example.test in BOTH mydestination and virtual_alias_domains"][..],
            ),
            ("relay_domains = example.test\n", &[]),
        ] {
            let (routing, heard) = listening(main_cf);
            now(routing.warn_of_two_classes("example.test", Class::Local));
            assert_eq!(*heard.lock().unwrap(), expected);
        }
    }
}
