//! Resolution: one recipient to transport, next hop and final recipient (trivial-rewrite(8)).
//!
//! Local domains and old routing (`user%domain@here`) are peeled off first, until the domain is not ours or nothing
//! is left. Then the class gives transport and next hop; transport_maps overrides both; relocated_maps comes last.

use mail::Address;
use mail::status::Status;
use mail::token::{self, MAX_TOKENS, Token};

use crate::class::Class;
use crate::rewrite::{Context, is_standard, tokens_of};
use crate::routing::{Failed, Routing};
use crate::transport::Hop;
use crate::ways::Ways;

/// Where one recipient goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The service of master.cf that delivers; `error` to bounce and `retry` to defer with `next_hop` as reason.
    pub transport: String,
    /// For most transports a host, `[host]` or `host:port`; for others what they make of it.
    pub next_hop: String,
    /// The recipient without the routing that was peeled off.
    pub recipient: Address,
    /// The class of its domain.
    pub class: Class,
    /// The local part holds `@`, `%` or `!`: another server may take it for routing (reject_unauth_destination).
    pub routed: bool,
    /// The address is no valid one: `transport` is `error`, and a client hears 501.
    pub bad_syntax: bool,
}

/// What qmgr(8) says of a recipient that can not be resolved.
const BAD_ADDRESS: &str = "5.1.3 bad address syntax";

/// What is left of an address after peeling, in internal form.
enum Peeled {
    /// The domain is not ours.
    Remote(String),
    /// The domain was ours.
    Local(String),
}

impl Routing {
    /// Resolves a recipient in standard form. The sender matters for sender-dependent transports and relay hosts.
    pub async fn resolve(&self, sender: &Address, recipient: &Address) -> Result<Resolved, Failed> {
        self.resolve_by(&self.ways, sender, recipient).await
    }

    /// As [`Routing::resolve`], for a probe of verify(8), which may go another way (`address_verify_transport_maps` and its kin).
    pub async fn resolve_probe(&self, sender: &Address, recipient: &Address) -> Result<Resolved, Failed> {
        self.resolve_by(&self.probe_ways, sender, recipient).await
    }

    async fn resolve_by(
        &self,
        ways: &Ways,
        sender: &Address,
        recipient: &Address,
    ) -> Result<Resolved, Failed> {
        let (text, mut local) = match self.peel(recipient).await? {
            Peeled::Remote(text) => (text, false),
            Peeled::Local(text) => (text, true),
        };
        let Some((local_part, domain)) = text.rsplit_once('@') else { return Ok(bad(recipient)) };
        let (text, domain) = match () {
            () if domain_is_valid(domain) => (text.clone(), domain.to_owned()),
            // A bare network address as domain: [] is what RFC 5321 asks for.
            () if self.resolve_numeric_domain && domain.parse::<std::net::IpAddr>().is_ok() => {
                local = self.is_local_domain(&format!("[{domain}]")).await?;
                (format!("{local_part}@[{domain}]"), format!("[{domain}]"))
            }
            () => return Ok(bad(recipient)),
        };
        let Ok(resolved) = Address::internal(text) else { return Ok(bad(recipient)) };

        let class = if local { Class::Local } else { self.classify(&domain).await? };
        self.warn_of_two_classes(&domain, class).await;
        let mut hop = self.hop_of_class(ways, class, sender, &domain).await?;
        if hop.transport.is_empty() {
            return Err(Failed { reason: format!("null transport is not allowed: class of {domain}") });
        }
        // An address of a virtual alias domain is known or unknown; no table sends it elsewhere.
        if class != Class::VirtualAlias {
            self.apply_transport_maps(&ways.transport_maps, &resolved, &domain, &mut hop).await?;
        }
        if let Some(found) = self.search(&self.relocated_maps, &resolved).await? {
            hop = Hop { transport: "error".into(), next_hop: self.moved(&found.value) };
        }
        // A command could take such an address for an option.
        if !self.allow_min_user && resolved.as_str().starts_with('-') {
            return Ok(bad(recipient));
        }
        let routed = resolved.local_part().contains(['@', '%', '!']);
        let Hop { transport, next_hop } = hop;
        Ok(Resolved { transport, next_hop, recipient: resolved, class, routed, bad_syntax: false })
    }

    /// Strips local domains and follows routing in the local part.
    async fn peel(&self, recipient: &Address) -> Result<Peeled, Failed> {
        // Most recipients need none of what follows.
        if is_standard(recipient)
            && let Some((_, domain)) = recipient.as_str().split_once('@')
            && !self.is_local_domain(domain).await?
        {
            return Ok(Peeled::Remote(recipient.as_str().to_owned()));
        }
        let mut tokens = tokens_of(recipient);
        let mut saved: Option<Vec<Token>> = None;
        let at = |tokens: &[Token]| tokens.iter().rposition(|t| *t == Token::Op('@'));
        // Each round takes something off or adds a domain once; the bound is for addresses nobody thought of.
        for _ in 0..tokens.len() + 100 {
            strip_end(&mut tokens, self.resolve_null_domain);
            if let Some(at) = at(&tokens) {
                if at + 1 < tokens.len() && !self.is_local_domain(&token::internal(&tokens[at + 1..])).await?
                {
                    return Ok(Peeled::Remote(token::internal(&tokens)));
                }
                saved = Some(tokens.split_off(at));
            }
            let has = |op| tokens.contains(&Token::Op(op));
            let (bang, percent) = (self.rewriter.swap_bangpath, self.rewriter.allow_percent_hack);
            if has('@') || (bang && has('!')) || (percent && has('%')) {
                self.rewriter.rewrite(Context::Local, &mut tokens);
                continue;
            }
            if self.resolve_dequoted_address
                && let [Token::Quoted(inside)] = tokens.as_slice()
                && (inside.contains('@')
                    || (percent && inside.contains('%'))
                    || (bang && inside.contains('!')))
            {
                // Not what RFC 5322 says, but "user@elsewhere"@here must not be relayed in our name.
                tokens = cracked(inside);
                self.rewriter.rewrite(Context::Local, &mut tokens);
                continue;
            }
            if matches!(tokens.as_slice(), [Token::Quoted(inside)] if inside.is_empty()) {
                tokens.clear();
            }
            if tokens.is_empty() {
                tokens = token::scan(&self.empty_address_recipient, MAX_TOKENS);
                continue;
            }
            if let Some(domain) = saved {
                tokens.extend(domain);
                return Ok(Peeled::Local(token::internal(&tokens)));
            }
            // No domain at all: this machine is meant, and the next round sees whether its name is a local domain.
            tokens.push(Token::Op('@'));
            tokens.extend(token::scan(&self.myhostname, MAX_TOKENS));
        }
        Err(Failed { reason: format!("resolve {recipient}: giving up, too much routing") })
    }

    /// Transport and next hop by class.
    async fn hop_of_class(
        &self,
        ways: &Ways,
        class: Class,
        sender: &Address,
        domain: &str,
    ) -> Result<Hop, Failed> {
        match class {
            Class::Local => Ok(Hop::parse(&ways.local_transport, domain)),
            Class::VirtualMailbox => Ok(Hop::parse(&ways.virtual_transport, domain)),
            Class::VirtualAlias => {
                let table = if self.show_table_name { " in virtual alias table" } else { "" };
                Ok(Hop { transport: "error".into(), next_hop: format!("5.1.1 User unknown{table}") })
            }
            Class::Relay | Class::Default => {
                let transport = match class {
                    Class::Relay => ways.relay_transport.clone(),
                    _ => self.default_transport_for(ways, sender).await?,
                };
                let next_hop = match self.relayhost_for(ways, sender).await? {
                    Some(relayhost) => relayhost,
                    None if !ways.relayhost.is_empty() => ways.relayhost.clone(),
                    None => domain.to_owned(),
                };
                Ok(Hop::parse(&transport, &next_hop))
            }
        }
    }

    async fn default_transport_for(&self, ways: &Ways, sender: &Address) -> Result<String, Failed> {
        let maps = &ways.sender_dependent_default_transport_maps;
        let found = self.search_sender(maps, sender, &self.null_default_transport_key).await?;
        Ok(found.unwrap_or_else(|| ways.default_transport.clone()))
    }

    async fn relayhost_for(&self, ways: &Ways, sender: &Address) -> Result<Option<String>, Failed> {
        self.search_sender(&ways.sender_dependent_relayhost_maps, sender, &self.null_relayhost_key).await
    }

    /// A sender's value; `DUNNO` is none.
    async fn search_sender(
        &self,
        maps: &tables::Maps,
        sender: &Address,
        null_key: &str,
    ) -> Result<Option<String>, Failed> {
        if maps.is_empty() {
            return Ok(None);
        }
        let key = match sender.is_null() {
            true => Address::internal(null_key).unwrap_or_default(),
            false => sender.clone(),
        };
        let found = self.search(maps, &key).await?.map(|found| found.value);
        Ok(found.filter(|value| !value.eq_ignore_ascii_case("DUNNO")))
    }

    /// relocated(5): where the user went, or the administrator's own status and text.
    fn moved(&self, value: &str) -> String {
        if self.relocated_prefix {
            return format!("5.1.6 User has moved to {value}");
        }
        match Status::split_from(value) {
            Some((status, text)) if !text.is_empty() => format!("{status} {text}"),
            _ => {
                self.warn(&format!(
                    "relocated_maps result must contain RFC 3463 status and text: '{value:.100}'"
                ));
                "5.2.0 Mailbox is unavailable".into()
            }
        }
    }
}

fn bad(recipient: &Address) -> Resolved {
    Resolved {
        transport: "error".into(),
        next_hop: BAD_ADDRESS.into(),
        recipient: recipient.clone(),
        class: Class::Default,
        routed: false,
        bad_syntax: true,
    }
}

/// Takes a dot off the end of the domain, and with resolve_null_domain a lone `@`.
fn strip_end(tokens: &mut Vec<Token>, null_domain: bool) {
    if let [.., before, Token::Op('.')] = tokens.as_slice()
        && !matches!(before, Token::Op('.' | '@'))
        && tokens.contains(&Token::Op('@'))
    {
        tokens.pop();
    }
    if null_domain && tokens.last() == Some(&Token::Op('@')) {
        tokens.pop();
    }
}

/// The tokens of a quoted local part that holds routing; the last `%` counts as `@` when there is no `@`.
fn cracked(inside: &str) -> Vec<Token> {
    let mut text = inside.to_owned();
    if !text.contains('@')
        && let Some(percent) = text.rfind('%')
    {
        text.replace_range(percent..=percent, "@");
    }
    let external = match text.contains('@') {
        true => Address::internal(text.as_str()).map_or(text, |address| address.to_external()),
        false => text,
    };
    token::scan(&external, MAX_TOKENS)
}

/// Is it a host name, or a network address in brackets?
fn domain_is_valid(domain: &str) -> bool {
    if let Some(inside) = domain.strip_prefix('[') {
        let Some(inside) = inside.strip_suffix(']') else { return false };
        return match inside.get(..5) {
            Some(tag) if tag.eq_ignore_ascii_case("ipv6:") => {
                inside[5..].parse::<std::net::Ipv6Addr>().is_ok()
            }
            _ => inside.parse::<std::net::Ipv4Addr>().is_ok(),
        };
    }
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_' || !c.is_ascii())
    };
    let numeric = domain.chars().all(|c| c.is_ascii_digit() || c == '.');
    !numeric && domain.len() <= 255 && domain.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::tests::{address, now, routing};

    fn resolved(main_cf: &str, sender: &str, recipient: &str) -> Result<Resolved, Failed> {
        now(routing(main_cf).resolve(&address(sender), &address(recipient)))
    }

    #[test]
    fn transports_by_class() {
        let main_cf = "virtual_alias_domains = alias.test\nvirtual_mailbox_domains = mailbox.test\n\
                       relay_domains = relay.test\n";
        for (recipient, transport, next_hop, class) in [
            ("user@example.test", "local", "host.example.test", Class::Local),
            ("user@mailbox.test", "virtual", "mailbox.test", Class::VirtualMailbox),
            ("user@alias.test", "error", "5.1.1 User unknown in virtual alias table", Class::VirtualAlias),
            ("user@sub.relay.test", "relay", "sub.relay.test", Class::Relay),
            ("user@other.test", "smtp", "other.test", Class::Default),
            ("user@[192.0.2.7]", "smtp", "[192.0.2.7]", Class::Default),
        ] {
            let found = resolved(main_cf, "s@s.test", recipient).unwrap();
            assert_eq!(
                (found.transport.as_str(), found.next_hop.as_str(), found.class),
                (transport, next_hop, class),
                "{recipient}"
            );
            assert_eq!(found.recipient.as_str(), recipient);
        }
    }

    #[test]
    fn local_domains_and_routing_are_peeled_off() {
        for (recipient, expected, routed) in [
            ("user%other.test@example.test", "user@other.test", false),
            ("other.test!user@example.test", "user@other.test", false),
            ("user@other.test@example.test", "user@other.test", false),
            ("user%a.test@other.test", "user%a.test@other.test", true),
            ("user@a.test@other.test", "user@a.test@other.test", true),
            ("@example.test", "MAILER-DAEMON@example.test", false),
            ("user", "user@host.example.test", false),
            ("user@other.test.", "user@other.test", false),
            ("user%example.test@localhost", "user@example.test", false),
        ] {
            let found = resolved("", "", recipient).unwrap();
            assert_eq!((found.recipient.as_str(), found.routed), (expected, routed), "{recipient}");
        }
    }

    #[test]
    fn bad_addresses_bounce() {
        for recipient in [
            "user@",
            "@",
            "%",
            "user@a b",
            "user@a..test",
            "user@-a.test",
            "user@192.0.2.1",
            "user@[x]",
            "-user@other.test",
        ] {
            let found = resolved("", "", recipient).unwrap();
            assert!(found.bad_syntax && found.transport == "error", "{recipient}: {found:?}");
        }
        let numeric = resolved("resolve_numeric_domain = yes\n", "", "user@192.0.2.1").unwrap();
        assert_eq!((numeric.recipient.as_str(), numeric.class), ("user@[192.0.2.1]", Class::Local));
        assert!(!resolved("allow_min_user = yes\n", "", "-user@other.test").unwrap().bad_syntax);
    }

    #[test]
    fn what_overrides_the_next_hop() {
        //   main.cf                                     sender      transport and next hop of user@other.test
        for (main_cf, sender, transport, next_hop) in [
            ("relayhost = [relay.test]:587", "s@s.test", "smtp", "[relay.test]:587"),
            ("default_transport = smtp:[x.test]\nrelayhost = r.test", "s@s.test", "smtp", "[x.test]"),
            (
                "sender_dependent_relayhost_maps = inline:{s@s.test=[own.test]}\nrelayhost = r.test",
                "s@s.test",
                "smtp",
                "[own.test]",
            ),
            (
                "sender_dependent_relayhost_maps = inline:{@s.test=DUNNO}\nrelayhost = r.test",
                "s@s.test",
                "smtp",
                "r.test",
            ),
            ("sender_dependent_relayhost_maps = inline:{<>=null.test}", "", "smtp", "null.test"),
            (
                "sender_dependent_default_transport_maps = inline:{s@s.test=slow:}",
                "s@s.test",
                "slow",
                "other.test",
            ),
            (
                "transport_maps = inline:{other.test=lmtp:unix:/run/x}\nrelayhost = r.test",
                "",
                "lmtp",
                "unix:/run/x",
            ),
            ("transport_maps = inline:{other.test=slow}\nrelayhost = r.test", "", "slow", "other.test"),
            ("transport_maps = inline:{.test=slow:h}", "", "slow", "h"),
            ("transport_maps = inline:{test=slow:h}", "", "smtp", "other.test"),
            ("transport_maps = inline:{*=slow:h}", "", "slow", "h"),
            ("transport_maps = inline:{ {user@other.test=error:5.7.1 no} }", "", "error", "5.7.1 no"),
            (
                "relocated_maps = inline:{user@other.test=new@place.test}",
                "",
                "error",
                "5.1.6 User has moved to new@place.test",
            ),
            (
                "relocated_maps = inline:{ {user@other.test=5.2.1 gone} }\nrelocated_prefix_enable = no",
                "",
                "error",
                "5.2.1 gone",
            ),
        ] {
            let found = resolved(&format!("{main_cf}\n"), sender, "user@other.test").unwrap();
            assert_eq!(
                (found.transport.as_str(), found.next_hop.as_str()),
                (transport, next_hop),
                "{main_cf}"
            );
        }
    }

    #[test]
    fn probes_may_go_another_way() {
        for (main_cf, transport, next_hop) in [
            ("relayhost = r.test", "smtp", "r.test"),
            ("relayhost = r.test\naddress_verify_relayhost =", "smtp", "other.test"),
            ("address_verify_default_transport = direct:[x.test]", "direct", "[x.test]"),
            (
                "transport_maps = inline:{other.test=slow}\naddress_verify_transport_maps =",
                "smtp",
                "other.test",
            ),
            ("address_verify_transport_maps = inline:{other.test=quick:h}", "quick", "h"),
            ("relay_domains = other.test\naddress_verify_relay_transport = r:", "r", "other.test"),
            (
                "address_verify_sender_dependent_relayhost_maps = inline:{s@s.test=own.test}",
                "smtp",
                "own.test",
            ),
        ] {
            let routing = routing(&format!("{main_cf}\n"));
            let found =
                now(routing.resolve_probe(&address("s@s.test"), &address("user@other.test"))).unwrap();
            assert_eq!(
                (found.transport.as_str(), found.next_hop.as_str()),
                (transport, next_hop),
                "{main_cf}"
            );
        }
    }

    #[test]
    fn table_failures_are_failures() {
        for main_cf in [
            "transport_maps = fail:x",
            "relocated_maps = fail:x",
            "sender_dependent_relayhost_maps = fail:x",
            "sender_dependent_default_transport_maps = fail:x",
            "relay_domains = fail:x",
            "mydestination = fail:x",
        ] {
            assert!(resolved(&format!("{main_cf}\n"), "s@s.test", "user@other.test").is_err(), "{main_cf}");
        }
    }
}
