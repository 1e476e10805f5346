//! virtual(5): recursive expansion of envelope recipients by virtual_alias_maps.

use std::collections::HashSet;

use mail::Address;

use crate::routing::{Failed, Routing};

/// Why recipients can not be expanded. Either way the message is not accepted now: `4.6.0 Alias expansion error`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExpansionError {
    /// A table failed.
    Failed(Failed),
    /// The tables go in circles, or give too much; the text is for the log.
    Unreasonable(String),
}

impl From<Failed> for ExpansionError {
    fn from(failed: Failed) -> Self {
        ExpansionError::Failed(failed)
    }
}

impl Routing {
    /// All recipients that one stands for; itself when no table knows it. Order is kept, duplicates are the caller's
    /// matter (duplicate_filter_limit).
    pub async fn expand_virtual(&self, recipient: &Address) -> Result<Vec<Address>, ExpansionError> {
        let maps = &self.virtual_alias_maps;
        let mut results = vec![recipient.clone()];
        if maps.is_empty() {
            return Ok(results);
        }
        let limits = self.virtual_limits;
        let propagate = self.propagates("virtual");
        let unreasonable =
            |what: &str| ExpansionError::Unreasonable(format!("unreasonable {} {what}", maps.parameter()));
        // Addresses that expanded into themselves: "user: user, copy" is how a copy is kept.
        let mut fixed: HashSet<String> = HashSet::new();
        let mut at = 0;
        while at < results.len() {
            if results.len() > limits.expansion {
                return Err(unreasonable(&format!("map expansion size for {recipient}")));
            }
            for depth in 0.. {
                let current = results[at].clone();
                if fixed.contains(&current.as_str().to_lowercase()) {
                    break;
                }
                if depth >= limits.recursion {
                    return Err(unreasonable(&format!("map nesting for {recipient}")));
                }
                let Some(found) = self.map_address(maps, &current, propagate).await? else { break };
                if let Some(long) = found.iter().find(|a| a.as_str().len() > limits.address_length) {
                    return Err(unreasonable(&format!("result {:.300}...", long.as_str())));
                }
                for (index, address) in found.into_iter().enumerate() {
                    if address.as_str().eq_ignore_ascii_case(current.as_str()) {
                        fixed.insert(current.as_str().to_lowercase());
                    }
                    match index {
                        0 => results[at] = address,
                        _ => results.push(address),
                    }
                }
            }
            at += 1;
        }
        Ok(results)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::tests::{address, now, routing};

    fn expanded(main_cf: &str, recipient: &str) -> Result<String, ExpansionError> {
        let found = now(routing(&format!("{main_cf}\n")).expand_virtual(&address(recipient)))?;
        Ok(found.iter().map(Address::as_str).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn expansion() {
        for (main_cf, recipient, expected) in [
            ("", "a@v.test", "a@v.test"),
            ("virtual_alias_maps = inline:{a@v.test=b@w.test}", "a@v.test", "b@w.test"),
            ("virtual_alias_maps = inline:{a@v.test=b@v.test,b@v.test=c}", "a@v.test", "c@example.test"),
            (
                "virtual_alias_maps = inline:{ {a@v.test = b, c@w.test}, {c@w.test = d} }",
                "a@v.test",
                "b@example.test d@example.test",
            ),
            (
                "virtual_alias_maps = inline:{ {a@v.test = a@v.test, b} }",
                "a@v.test",
                "a@v.test b@example.test",
            ),
            ("virtual_alias_maps = inline:{@v.test=@w.test}", "a+e@v.test", "a+e@w.test"),
            ("virtual_alias_maps = inline:{a@v.test=b@w.test}", "a+e@v.test", "b+e@w.test"),
        ] {
            assert_eq!(expanded(main_cf, recipient), Ok(expected.to_owned()), "{main_cf}");
        }
    }

    #[test]
    fn circles_floods_and_failures() {
        for (main_cf, reason) in [
            ("virtual_alias_maps = inline:{a@v.test=b@v.test,b@v.test=a@v.test}", "map nesting for a@v.test"),
            (
                "virtual_alias_maps = inline:{ {a@v.test = b, c, d} }\nvirtual_alias_expansion_limit = 2",
                "map expansion size for a@v.test",
            ),
            (
                "virtual_alias_maps = inline:{a@v.test=bcdefghij}\nvirtual_alias_address_length_limit = 10",
                "result bcdefghij@example.test...",
            ),
        ] {
            let expected = ExpansionError::Unreasonable(format!("unreasonable virtual_alias_maps {reason}"));
            assert_eq!(expanded(main_cf, "a@v.test"), Err(expected), "{main_cf}");
        }
        assert!(matches!(
            expanded("virtual_alias_maps = fail:x", "a@v.test"),
            Err(ExpansionError::Failed(_))
        ));
    }
}
