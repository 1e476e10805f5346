//! What a request for REQUIRETLS (RFC 8689) means at a destination: smtp_requiretls_policy, a list of actions and tables, the first of
//! which that matches counts. Tables of fixed strings are asked for the parents of a domain too, with a leading dot.

use std::net::IpAddr;

use tables::{Flags, Key, Maps, Tables};
use tls::policy::RequireTls;

/// The list.
pub(crate) struct RequireTlsPolicy {
    parameter: &'static str,
    items: Vec<Item>,
}

enum Item {
    Action(String),
    Table(Maps),
}

impl RequireTlsPolicy {
    /// Opens the tables. What is wrong is told when it is met, as in Postfix.
    pub(crate) fn open(tables: &Tables, parameter: &'static str, value: &str) -> RequireTlsPolicy {
        let items = config::list::split(value).into_iter().map(|item| match item.contains(':') {
            true => Item::Table(Maps::open(tables, parameter, item, Flags::default())),
            false => Item::Action(item.to_owned()),
        });
        RequireTlsPolicy { parameter, items: items.collect() }
    }

    /// The action for a next hop, a name or an address without brackets and port. The error keeps the mail waiting.
    pub(crate) async fn find(&self, next_hop: &str) -> Result<RequireTls, String> {
        let name = next_hop.to_ascii_lowercase();
        for item in &self.items {
            match item {
                Item::Action(word) => {
                    return action(word).map_err(|why| format!("{}: {why}", self.parameter));
                }
                Item::Table(table) => {
                    if let Some(word) = ask(table, &name).await? {
                        return action(&word).map_err(|why| format!("{}: {name}: {why}", self.parameter));
                    }
                }
            }
        }
        Ok(RequireTls::Enforce)
    }
}

/// The domain, then its parents with a leading dot; an address alone.
async fn ask(table: &Maps, name: &str) -> Result<Option<String>, String> {
    let is_address = name.parse::<IpAddr>().is_ok();
    let parents = name.match_indices('.').map(|(at, _)| &name[at..]).filter(|_| !is_address);
    for (number, key) in std::iter::once(name).chain(parents).enumerate() {
        let kind = if number == 0 { Key::Full } else { Key::Partial };
        if let Some(word) = table.find(key, kind).await.into_result()? {
            return Ok(Some(word));
        }
    }
    Ok(None)
}

fn action(word: &str) -> Result<RequireTls, String> {
    match word.to_ascii_lowercase().as_str() {
        "enforce" => Ok(RequireTls::Enforce),
        "opportunistic+starttls" => Ok(RequireTls::OpportunisticStartTls),
        "opportunistic" => Ok(RequireTls::Opportunistic),
        "disable" => Ok(RequireTls::No),
        "error" => Err("action error".into()),
        _ => Err(format!(
            "unknown policy action: '{word}': actions are enforce, opportunistic+starttls, opportunistic, disable and error"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_match_counts() {
        use RequireTls::{Enforce, No, Opportunistic, OpportunisticStartTls};
        const DEFAULT: &str = "inline:{{example.com=opportunistic}, {.example.com=opportunistic}, {localhost=opportunistic}}, \
                               cidr:{{0.0.0.0/0 opportunistic}, {::/0 opportunistic}}, enforce";
        for (value, next_hop, expected) in [
            (DEFAULT, "example.com", Ok(Opportunistic)),
            (DEFAULT, "a.B.example.com", Ok(Opportunistic)),
            (DEFAULT, "192.0.2.1", Ok(Opportunistic)),
            (DEFAULT, "2001:db8::1", Ok(Opportunistic)),
            (DEFAULT, "example.org", Ok(Enforce)),
            (DEFAULT, "notexample.com", Ok(Enforce)),
            ("", "x", Ok(Enforce)),
            ("Disable", "x", Ok(No)),
            ("opportunistic+starttls enforce", "x", Ok(OpportunisticStartTls)),
            ("inline:{.b=disable,a.b=enforce} opportunistic", "a.b", Ok(Enforce)),
            ("inline:{.b=disable} opportunistic", "x.a.b", Ok(No)),
            ("inline:{.b=disable} opportunistic", "b", Ok(Opportunistic)),
            ("error", "x", Err(())),
            ("nonsense", "x", Err(())),
            ("inline:{x=nonsense}", "x", Err(())),
            ("fail:x enforce", "x", Err(())),
        ] {
            let policy = RequireTlsPolicy::open(&Tables::silent(), "smtp_requiretls_policy", value);
            assert_eq!(policy.find(next_hop).await.map_err(|_| ()), expected, "{value} {next_hop}");
        }
    }
}
