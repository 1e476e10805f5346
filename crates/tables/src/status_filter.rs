//! default_delivery_status_filter and its relatives (postconf(5)): a table that sees `4.2.1 text`, and says otherwise.

use mail::{Outcome, OutcomeKind, Status};

use crate::lookup::Lookup;
use crate::map::{Flags, Tables};
use crate::maps::{Key, Maps};

/// The table of a delivery service.
pub struct StatusFilter {
    maps: Maps,
}

impl StatusFilter {
    /// Opens `value`, the text of `parameter`.
    pub fn open(tables: &Tables, parameter: &str, value: &str) -> StatusFilter {
        StatusFilter { maps: Maps::open(tables, parameter, value, Flags::default()) }
    }

    /// The outcome as the table has it. What makes no sense, or can not be asked, changes nothing, and `warn` hears why.
    pub async fn apply(&self, outcome: Outcome, warn: impl Fn(&str)) -> Outcome {
        if self.maps.is_empty() {
            return outcome;
        }
        let key = format!("{} {}", outcome.status, outcome.text);
        match self.maps.find(&key, Key::Full).await {
            Lookup::Absent => outcome,
            Lookup::Found(text) => changed(&outcome, &text).unwrap_or_else(|why| {
                warn(&format!("{}: {why}", self.maps.parameter()));
                outcome
            }),
            Lookup::Failed(why) => {
                warn(&why);
                outcome
            }
        }
    }
}

/// A failure may become another one, temporary or not; a success stays one.
fn changed(outcome: &Outcome, text: &str) -> Result<Outcome, String> {
    let bad = || format!("bad status code: {text}");
    let (status, rest) = Status::split_from(text).ok_or_else(bad)?;
    let kind = match (outcome.status.class, status.class) {
        (2, 2) => outcome.kind,
        (4 | 5, 4) => OutcomeKind::Deferred,
        (4 | 5, 5) => OutcomeKind::Bounced,
        _ => return Err(bad()),
    };
    let kind = if outcome.kind == OutcomeKind::Undeliverable { outcome.kind } else { kind };
    Ok(Outcome { kind, status, text: rest.to_owned(), ..outcome.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_stays_a_failure() {
        let deferred = Outcome::deferred(Status::new(4, 2, 1), "mx", "later");
        for (text, expected) in [
            ("5.2.1 never", Some((OutcomeKind::Bounced, "5.2.1", "never"))),
            ("4.9.9", Some((OutcomeKind::Deferred, "4.9.9", ""))),
            ("2.0.0 fine", None),
            ("nonsense", None),
        ] {
            let found = changed(&deferred, text).ok();
            let found =
                found.as_ref().map(|found| (found.kind, found.status.to_string(), found.text.as_str()));
            let expected = expected.map(|(kind, status, text)| (kind, status.to_owned(), text));
            assert_eq!(found, expected, "{text}");
        }
        let sent = Outcome::sent("mx", "250 Ok");
        assert!(changed(&sent, "5.0.0 no").is_err());
        assert_eq!(changed(&sent, "2.1.5 taken").unwrap().kind, OutcomeKind::Sent);
    }
}
