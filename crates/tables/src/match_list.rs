//! Lists of patterns: mynetworks, mydestination, relay_domains, debug_peer_list and their like (postconf(5)).
//!
//! An item is a name, a network, `type:table`, or `/file/name` with more items; `!` before it negates. The first item
//! that matches decides. A table that fails makes the answer a failure.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use crate::domain_search::{self, ParentStyle};
use crate::logical_line;
use crate::lookup::Lookup;
use crate::map::{Flags, Map, Tables};
use crate::network::Network;
use crate::watched::read_text;

/// What the items of a list are compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatchStyle {
    /// Whole strings: mydestination, virtual_mailbox_domains.
    Strings,
    /// Domain names and their parents: relay_domains, fast_flush_domains.
    Domains(ParentStyle),
    /// Host names with their parents, and addresses: mynetworks, debug_peer_list.
    HostsAndAddresses(ParentStyle),
}

/// A compiled list.
pub struct MatchList {
    parameter: String,
    style: MatchStyle,
    items: Vec<Item>,
}

struct Item {
    positive: bool,
    pattern: Pattern,
}

enum Pattern {
    Text(String),
    Network(Network),
    Table(Arc<Map>),
    /// An item that could not be read; asking it fails.
    Broken(String),
}

/// Files may name files; deeper is taken for a loop.
const MAX_FILE_DEPTH: usize = 10;

impl MatchList {
    /// Compiles a parameter's value.
    pub fn open(tables: &Tables, parameter: &str, value: &str, style: MatchStyle) -> Self {
        let mut list = MatchList { parameter: parameter.to_owned(), style, items: Vec::new() };
        list.add(tables, value, true, 0);
        list
    }

    /// True when nothing can match.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    fn add(&mut self, tables: &Tables, value: &str, positive: bool, depth: usize) {
        for item in config::list::split(value) {
            let text = item.trim_start_matches('!');
            let positive = positive ^ ((item.len() - text.len()) % 2 == 1);
            if text.starts_with('/') {
                self.add_file(tables, text, positive, depth);
                continue;
            }
            let pattern = if text.is_empty() {
                Pattern::Broken(format!("{}: no pattern after '!'", self.parameter))
            } else if !text.starts_with('[') && text.contains(':') {
                Pattern::Table(tables.map(text, Flags { fold: false, ..Flags::default() }))
            } else {
                self.text_or_network(text)
            };
            self.items.push(Item { positive, pattern });
        }
    }

    fn add_file(&mut self, tables: &Tables, path: &str, positive: bool, depth: usize) {
        let text = match read_text(path) {
            _ if depth >= MAX_FILE_DEPTH => Err(format!("open {path}: files nested too deeply")),
            Ok((_, text)) => Ok(text),
            Err(reason) => Err(reason.replacen("open ", "open file ", 1)),
        };
        match text {
            Ok(text) => {
                for line in logical_line::split(&text, path, &mut |text| tables.warn(text)) {
                    self.add(tables, &line.text, positive, depth + 1);
                }
            }
            Err(reason) => {
                // A missing part fails whatever it would have said, so it is never negated.
                tables.warn(&format!("{}: {reason}", self.parameter));
                self.items.push(Item { positive: true, pattern: Pattern::Broken(reason) });
            }
        }
    }

    /// A pattern with a slash or brackets is meant as a network where addresses are compared; junk that Postfix
    /// silently never matches stays text.
    fn text_or_network(&self, text: &str) -> Pattern {
        let address_like = text.chars().all(|c| c.is_ascii_hexdigit() || ".:[]/".contains(c));
        let network_like =
            text.contains([':', '/']) || text.parse::<IpAddr>().is_ok() || text.starts_with('[');
        if matches!(self.style, MatchStyle::HostsAndAddresses(_)) && address_like && network_like {
            return match Network::parse(text) {
                Ok(network) => Pattern::Network(network),
                Err(why) => Pattern::Broken(format!("{}: {why}", self.parameter)),
            };
        }
        Pattern::Text(text.to_lowercase())
    }

    /// Does the list match a string or a domain name?
    pub async fn matches(&self, name: &str) -> Result<bool, String> {
        self.matches_host(name, None).await
    }

    /// Does the list match a host? Every item is tried on the name and then on the address, as in Postfix's
    /// namadr_list(3).
    pub async fn matches_host(&self, name: &str, address: Option<IpAddr>) -> Result<bool, String> {
        if self.items.is_empty() {
            return Ok(false);
        }
        let name = match name.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase()) {
            true => Cow::Borrowed(name),
            false => Cow::Owned(name.to_lowercase()),
        };
        // IPv4 that came in through an IPv6 socket is IPv4.
        let address = address.map(|address| address.to_canonical());
        for item in &self.items {
            if self.item_matches(&item.pattern, &name, address).await? {
                return Ok(item.positive);
            }
        }
        Ok(false)
    }

    async fn item_matches(
        &self,
        pattern: &Pattern,
        name: &str,
        address: Option<IpAddr>,
    ) -> Result<bool, String> {
        match pattern {
            Pattern::Text(text) => Ok(match self.style {
                MatchStyle::Strings => name == text,
                MatchStyle::Domains(style) | MatchStyle::HostsAndAddresses(style) => {
                    domain_search::keys(name, style).any(|key| key == text)
                }
            }),
            Pattern::Network(network) => Ok(address.is_some_and(|address| network.contains(address))),
            Pattern::Broken(reason) => Err(reason.clone()),
            Pattern::Table(map) => self.table_matches(map, name, address).await,
        }
    }

    async fn table_matches(&self, map: &Map, name: &str, address: Option<IpAddr>) -> Result<bool, String> {
        let style = match self.style {
            MatchStyle::Strings => None,
            MatchStyle::Domains(style) | MatchStyle::HostsAndAddresses(style) => Some(style),
        };
        let keys: Vec<&str> = match style {
            // Patterns see the whole name only.
            Some(style) if !map.is_pattern() => domain_search::keys(name, style).collect(),
            _ => vec![name],
        };
        let address = address.map(|address| address.to_string());
        for key in keys.into_iter().chain(address.as_deref()) {
            match map.lookup(key).await {
                Lookup::Found(_) => return Ok(true),
                Lookup::Absent => {}
                Lookup::Failed(reason) => {
                    return Err(format!(
                        "{}: {}: table lookup problem: {reason}",
                        self.parameter,
                        map.spec()
                    ));
                }
            }
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::map::tests::{listening, now};

    const PARENT: ParentStyle = ParentStyle::MatchParent;
    const DOT: ParentStyle = ParentStyle::DotParent;

    #[test]
    fn names() {
        for (style, list, name, expected) in [
            (MatchStyle::Strings, "a.test b.test", "B.Test", Ok(true)),
            (MatchStyle::Strings, "a.test", "x.a.test", Ok(false)),
            (MatchStyle::Strings, "!a.test, inline:{a.test=x}", "a.test", Ok(false)),
            (MatchStyle::Strings, "inline:{a.test=x}", "a.test", Ok(true)),
            (MatchStyle::Strings, "inline:{a.test=x}", "x.a.test", Ok(false)),
            (MatchStyle::Strings, "fail:x a.test", "a.test", Err(())),
            (MatchStyle::Strings, "a.test fail:x", "a.test", Ok(true)),
            (MatchStyle::Domains(PARENT), "a.test", "x.a.test", Ok(true)),
            (MatchStyle::Domains(PARENT), "a.test", "xa.test", Ok(false)),
            (MatchStyle::Domains(PARENT), "inline:{a.test=x}", "x.a.test", Ok(true)),
            (MatchStyle::Domains(DOT), "a.test", "x.a.test", Ok(false)),
            (MatchStyle::Domains(DOT), ".a.test", "x.a.test", Ok(true)),
            (MatchStyle::Domains(DOT), ".a.test", "a.test", Ok(false)),
            (MatchStyle::Domains(PARENT), "regexp:{{/^a.test$/ x}}", "x.a.test", Ok(false)),
            (MatchStyle::Strings, "!", "a", Err(())),
            (MatchStyle::Strings, "static:all", "a", Ok(true)),
        ] {
            let list_open = MatchList::open(&Tables::silent(), "p", list, style);
            assert_eq!(now(list_open.matches(name)).map_err(|_| ()), expected, "{list} {name}");
        }
    }

    #[test]
    fn hosts_and_addresses() {
        for (list, name, address, expected) in [
            ("127.0.0.0/8 [::1]/128", "unknown", "127.0.0.1", Ok(true)),
            ("127.0.0.0/8 [::1]/128", "unknown", "::1", Ok(true)),
            ("127.0.0.0/8 [::1]/128", "unknown", "192.0.2.1", Ok(false)),
            ("127.0.0.0/8", "unknown", "::ffff:127.0.0.1", Ok(true)),
            ("192.0.2.1", "unknown", "192.0.2.1", Ok(true)),
            ("!192.0.2.1 192.0.2.0/24", "unknown", "192.0.2.1", Ok(false)),
            ("!192.0.2.1 192.0.2.0/24", "unknown", "192.0.2.2", Ok(true)),
            ("example.test", "mx.example.test", "192.0.2.2", Ok(true)),
            ("cidr:{{192.0.2.0/24 x}}", "mx.example.test", "192.0.2.2", Ok(true)),
            ("192.0.2.1/24", "unknown", "192.0.2.1", Err(())),
            ("[2001:db8::]/32", "unknown", "2001:db8::5", Ok(true)),
            ("junk/name", "unknown", "192.0.2.1", Ok(false)),
        ] {
            let style = MatchStyle::HostsAndAddresses(PARENT);
            let list_open = MatchList::open(&Tables::silent(), "p", list, style);
            let found = now(list_open.matches_host(name, Some(address.parse().unwrap())));
            assert_eq!(found.map_err(|_| ()), expected, "{list} {address}");
        }
    }

    #[test]
    fn files_hold_more_items_and_missing_ones_fail() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("list");
        std::fs::write(&path, "# comment\na.test,\n  b.test\n!c.test\n").unwrap();
        let path = path.to_str().unwrap();
        let (tables, heard) = listening();
        let list = MatchList::open(&tables, "p", &format!("!{path} static:x"), MatchStyle::Strings);
        for (name, expected) in [("a.test", false), ("b.test", false), ("c.test", true), ("d.test", true)] {
            assert_eq!(now(list.matches(name)), Ok(expected), "{name}");
        }
        assert!(heard.lock().unwrap().is_empty());
        let list = MatchList::open(&tables, "p", "!/nonexistent/x static:x", MatchStyle::Strings);
        assert!(now(list.matches("a")).is_err());
    }
}
