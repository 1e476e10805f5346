//! `cidr:file` (cidr_table(5)): networks and addresses; the first rule in file order wins. Keys that are no
//! addresses are never found.

use std::net::IpAddr;

use crate::logical_line::is_blank;
use crate::lookup::Lookup;
use crate::map::{Entries, Opened, Opening, Table};
use crate::network::Network;
use crate::pattern::{Rules, Source, Step, block_word, negation};

struct Cidr(Source<Rules<Rule, Condition>>);

/// A network that must, or must not, hold the address. Either way the families must be equal.
struct Condition {
    network: Network,
    positive: bool,
}

impl Condition {
    fn holds(&self, address: IpAddr) -> bool {
        self.network.is_ipv4() == address.is_ipv4() && self.network.contains(address) == self.positive
    }
}

struct Rule {
    condition: Condition,
    result: String,
}

pub(crate) fn open(opening: &Opening<'_>) -> Result<Opened, String> {
    let source = Source::open(opening, |text, name, warn| {
        Rules::parse("cidr", name, text, warn, |line, number, depth, warn| match compile(line, depth) {
            Ok(step) => Some(step),
            Err(why) => {
                warn(&format!("cidr map {name}, line {number}: {why}: skipping this rule"));
                None
            }
        })
    })?;
    Ok(Opened::Local(Box::new(Cidr(source))))
}

fn compile(line: &str, depth: usize) -> Result<Step<Rule, Condition>, String> {
    match block_word(line) {
        Some((true, rest)) => {
            let (positive, pattern) = negation(rest);
            if pattern.is_empty() {
                return Err("no address pattern".into());
            }
            Ok(Step::If(Condition { network: Network::parse(pattern)?, positive }))
        }
        Some((false, rest)) if !rest.trim_matches(is_blank).is_empty() => Err("garbage after ENDIF".into()),
        Some((false, _)) if depth == 0 => Err("ENDIF without IF".into()),
        Some((false, _)) => Ok(Step::Endif),
        None => {
            let (positive, rule) = negation(line);
            let (pattern, result) = rule.split_at(rule.find(is_blank).unwrap_or(rule.len()));
            if pattern.is_empty() {
                return Err("no address pattern".into());
            }
            let network = Network::parse(pattern)?;
            match result.trim_matches(is_blank) {
                "" => Err("no lookup result".into()),
                result => {
                    let condition = Condition { network, positive };
                    Ok(Step::Match(Rule { condition, result: result.to_owned() }))
                }
            }
        }
    }
}

impl Table for Cidr {
    fn lookup(&self, key: &str) -> Lookup {
        let content = self.0.content();
        let rules = match &*content {
            Ok(rules) => rules,
            Err(reason) => return Lookup::Failed(reason.clone()),
        };
        let Ok(address) = key.parse::<IpAddr>() else { return Lookup::Absent };
        rules
            .first(
                |condition| Ok(condition.holds(address)),
                |rule| Ok(rule.condition.holds(address).then(|| rule.result.clone())),
            )
            .into()
    }

    fn entries(&self) -> Option<Result<Entries, String>> {
        None
    }

    fn is_pattern(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::map::Flags;
    use crate::map::tests::{listening, now};

    #[test]
    fn the_first_rule_wins() {
        let (tables, heard) = listening();
        let rules = "{10.1.0.0/16 one}, {10.0.0.0/8 two}, {if 192.0.2.0/24}, {192.0.2.1 in}, \
                     {!192.0.2.128/25 low}, {endif}, {192.0.2.0/24 rest}, {[2001:db8::]/32 six}";
        let map = tables.map(&format!("cidr:{{{rules}}}"), Flags::default());
        for (key, expected) in [
            ("10.1.2.3", Some("one")),
            ("10.2.2.3", Some("two")),
            ("192.0.2.1", Some("in")),
            ("192.0.2.2", Some("low")),
            ("192.0.2.200", Some("rest")),
            ("2001:DB8::1", Some("six")),
            ("198.51.100.1", None),
            ("host.example.com", None),
        ] {
            assert_eq!(now(map.lookup(key)), Lookup::from(expected.map(str::to_owned)), "{key}");
        }
        assert!(heard.lock().unwrap().is_empty());
    }

    #[test]
    fn faulty_rules_are_skipped_with_the_line() {
        for (rule, warning) in [
            (
                "10.0.0.1/8 x",
                "non-null host address bits in \"10.0.0.1/8\", perhaps you should use \"10.0.0.0/8\" instead: skipping this rule",
            ),
            ("10.0.0.0/8", "no lookup result: skipping this rule"),
            ("endif", "ENDIF without IF: skipping this rule"),
            ("if", "no address pattern: skipping this rule"),
            ("if 10.0.0.0/8", "IF has no matching ENDIF"),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("cidr");
            std::fs::write(&path, rule).unwrap();
            let path = path.to_str().unwrap();
            let (tables, heard) = listening();
            let map = tables.map(&format!("cidr:{path}"), Flags::default());
            assert_eq!(now(map.lookup("10.0.0.1")), Lookup::Absent);
            assert_eq!(*heard.lock().unwrap(), [format!("cidr map {path}, line 1: {warning}")]);
        }
    }
}
