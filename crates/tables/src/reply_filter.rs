//! smtpd_dns_reply_filter and its relatives (postconf(5)): a table that sees `mx.test. 300 IN MX 10 a.test.`, and says IGNORE.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::lookup::Lookup;
use crate::map::{Flags, Tables, Warn};
use crate::maps::{Key, Maps};

/// Asked with the text of a record: does it count? `None`: the table can not say.
pub type RecordFilter =
    Arc<dyn Fn(String) -> Pin<Box<dyn Future<Output = Option<bool>> + Send>> + Send + Sync>;

/// Opens `value`, the text of `parameter`; nothing when it is empty. `tell` hears of each record that does not count, the tables' warnings of
/// what makes no sense.
pub fn open(tables: &Tables, parameter: &str, value: &str, tell: Warn) -> Option<RecordFilter> {
    let maps = Maps::open(tables, parameter, value, Flags::default());
    if maps.is_empty() {
        return None;
    }
    let (maps, warn) = (Arc::new(maps), tables.warning_sink());
    Some(Arc::new(move |record| {
        let (maps, tell, warn) = (Arc::clone(&maps), Arc::clone(&tell), Arc::clone(&warn));
        Box::pin(async move { counts(&maps, &record, &tell, &warn).await })
    }))
}

async fn counts(maps: &Maps, record: &str, tell: &Warn, warn: &Warn) -> Option<bool> {
    match maps.find(record, Key::Full).await {
        Lookup::Absent => Some(true),
        Lookup::Found(action) => match action.split_whitespace().next() {
            Some(word) if word.eq_ignore_ascii_case("IGNORE") => {
                tell(&format!("ignoring DNS RR: {record}"));
                Some(false)
            }
            _ => {
                warn(&format!("{}: unknown DNS filter action: \"{action}\"", maps.parameter()));
                None
            }
        },
        Lookup::Failed(why) => {
            warn(&why);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::map::tests::{listening, now};

    #[test]
    fn what_the_table_says_of_a_record() {
        const RECORD: &str = "mx.test. 300 IN MX 10 a.test.";
        for (value, expected, said) in [
            ("regexp:{{/ MX 20 / IGNORE}}", Some(true), ""),
            (
                "regexp:{{/ MX 10 / ignore its weight}}",
                Some(false),
                "ignoring DNS RR: mx.test. 300 IN MX 10 a.test.",
            ),
            ("static:KEEP", None, "parameter: unknown DNS filter action: \"KEEP\""),
            (
                "fail:x",
                None,
                "fail:x lookup error for \"mx.test. 300 IN MX 10 a.test.\": fail:x: lookup error",
            ),
        ] {
            let (tables, heard) = listening();
            let filter = open(&tables, "parameter", value, tables.warning_sink()).unwrap();
            assert_eq!(now(filter(RECORD.to_owned())), expected, "{value}");
            assert_eq!(heard.lock().unwrap().join("\n"), said, "{value}");
        }
        assert!(open(&Tables::silent(), "parameter", "", Arc::new(|_| {})).is_none());
    }
}
