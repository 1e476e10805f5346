//! Address masquerading (ADDRESS_REWRITING_README): hosts below a domain disappear from addresses.

use mail::Address;
use tables::MatchList;

use crate::canonical::Place;
use crate::routing::{Failed, Routing};

/// masquerade_domains and what goes with it.
pub(crate) struct Masquerade {
    /// In order, lower case; `!domain` stops the search.
    pub(crate) domains: Vec<String>,
    /// User names that are left alone.
    pub(crate) exceptions: MatchList,
    pub(crate) classes: Vec<String>,
}

impl Routing {
    /// Cuts the host off the domain, when a masquerade domain is a parent of it.
    pub(crate) async fn masquerade(&self, place: Place, address: Address) -> Result<Address, Failed> {
        let Masquerade { domains, exceptions, classes } = &self.masquerade;
        let Some(domain) = address.domain().map(str::to_lowercase) else { return Ok(address) };
        if domains.is_empty() || !classes.iter().any(|word| word == place.word()) {
            return Ok(address);
        }
        if exceptions.matches(address.local_part()).await? {
            return Ok(address);
        }
        for entry in domains {
            let masquerade = entry.trim_start_matches('!');
            let keep = (entry.len() - masquerade.len()) % 2 == 1;
            if masquerade.is_empty() {
                continue;
            }
            if domain == masquerade {
                return Ok(address);
            }
            if domain.strip_suffix(masquerade).is_some_and(|host| host.ends_with('.')) {
                let short = format!("{}@{masquerade}", address.local_part());
                return Ok(if keep { address } else { Address::internal(short).unwrap_or(address) });
            }
        }
        Ok(address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::tests::{address, now, routing};

    #[test]
    fn hosts_disappear() {
        let main_cf = "masquerade_domains = a.b.test !keep.b.test b.test\nmasquerade_exceptions = root\n";
        for (place, given, expected) in [
            (Place::HeaderSender, "u@Host.B.test", "u@b.test"),
            (Place::HeaderSender, "u@x.a.b.test", "u@a.b.test"),
            (Place::HeaderSender, "u@a.b.test", "u@a.b.test"),
            (Place::HeaderSender, "u@h.keep.b.test", "u@h.keep.b.test"),
            (Place::HeaderSender, "u@xb.test", "u@xb.test"),
            (Place::HeaderSender, "root@host.b.test", "root@host.b.test"),
            (Place::EnvelopeSender, "u@host.b.test", "u@b.test"),
            (Place::EnvelopeRecipient, "u@host.b.test", "u@host.b.test"),
        ] {
            let found = now(routing(main_cf).canonicalize(place, &address(given))).unwrap();
            assert_eq!(found.as_str(), expected, "{given}");
        }
    }
}
