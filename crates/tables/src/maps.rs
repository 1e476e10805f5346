//! The list of tables that a parameter names (`virtual_alias_maps = hash:a, regexp:b`), searched in order.

use std::sync::Arc;

use crate::lookup::Lookup;
use crate::map::{Flags, Map, Tables};

/// Tables in the order of the parameter's value.
#[derive(Clone)]
pub struct Maps {
    parameter: String,
    maps: Vec<Arc<Map>>,
}

/// Which tables a key may be shown to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// The whole of what is looked up: every table.
    Full,
    /// A part of it, such as `@domain`: tables of fixed strings only, since a pattern has seen the whole already.
    Partial,
}

impl Maps {
    /// Opens the tables of a parameter's value. Parts that are no `type:name` fail on lookup.
    pub fn open(tables: &Tables, parameter: &str, value: &str, flags: Flags) -> Self {
        Maps::open_each(tables, parameter, value, |_| flags)
    }

    /// As [`Maps::open`], with flags for each `type:name`.
    pub fn open_each(tables: &Tables, parameter: &str, value: &str, flags: impl Fn(&str) -> Flags) -> Self {
        let maps = config::list::split(value).into_iter().map(|spec| tables.map(spec, flags(spec))).collect();
        Maps { parameter: parameter.to_owned(), maps }
    }

    /// The parameter, for log lines.
    pub fn parameter(&self) -> &str {
        &self.parameter
    }

    /// True when the parameter is empty.
    pub fn is_empty(&self) -> bool {
        self.maps.is_empty()
    }

    /// The tables.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Map>> {
        self.maps.iter()
    }

    /// The first value that a table has. A table that fails ends the search: a later one must not answer in
    /// its place. So does an empty value, which is an error of the table.
    pub async fn find(&self, key: &str, kind: Key) -> Lookup {
        for map in &self.maps {
            if kind == Key::Partial && map.is_pattern() {
                continue;
            }
            match map.lookup(key).await {
                Lookup::Absent => {}
                Lookup::Found(value) if value.is_empty() => {
                    return Lookup::Failed(format!(
                        "{} lookup of {key} returns an empty string result; {} should return NO RESULT in \
                         case of NOT FOUND",
                        self.parameter,
                        map.spec()
                    ));
                }
                Lookup::Failed(reason) => {
                    return Lookup::Failed(format!(
                        "{} lookup error for \"{key:.100}\": {reason}",
                        map.spec()
                    ));
                }
                found => return found,
            }
        }
        Lookup::Absent
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::map::tests::now;

    #[test]
    fn the_first_answer_counts_and_failures_stop_the_search() {
        for (value, key, kind, expected) in [
            ("inline:{a=1}, inline:{a=2,b=3}", "a", Key::Full, Ok(Some("1"))),
            ("inline:{a=1}, inline:{a=2,b=3}", "b", Key::Full, Ok(Some("3"))),
            ("inline:{a=1}, inline:{a=2,b=3}", "c", Key::Full, Ok(None)),
            ("", "a", Key::Full, Ok(None)),
            (
                "inline:{b=1} fail:x inline:{a=1}",
                "a",
                Key::Full,
                Err("fail:x lookup error for \"a\": fail:x: lookup error"),
            ),
            ("regexp:{{/a/ 1}} inline:{a=2}", "a", Key::Full, Ok(Some("1"))),
            ("regexp:{{/a/ 1}} inline:{a=2}", "a", Key::Partial, Ok(Some("2"))),
            (
                "static:{}",
                "a",
                Key::Full,
                Err(
                    "p lookup of a returns an empty string result; static:{} should return NO RESULT in case \
                     of NOT FOUND",
                ),
            ),
        ] {
            let maps = Maps::open(&Tables::silent(), "p", value, Flags::default());
            let found = now(maps.find(key, kind)).into_result();
            assert_eq!(found.as_ref().map(Option::as_deref).map_err(String::as_str), expected, "{value}");
        }
    }
}
