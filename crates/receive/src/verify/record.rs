//! What is known of one address, and what follows from it: an answer, and whether a probe is due (verify(8)).
//!
//! The record's text is Postfix's own, `STATUS:PROBED:UPDATED:TEXT`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Seconds since 1970.
pub(super) type UnixTime = u64;

/// A probe that has brought nothing after this time is made again.
const PROBE_TTL: u64 = 1000;

/// Longest text that is kept, in characters; a line of the journal has room for it.
const MAX_TEXT: usize = 400;

/// What the last probe found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Deliverable,
    /// It could not be found out, or not be delivered now.
    Deferred,
    Undeliverable,
    /// No probe has ended yet.
    Pending,
}

/// Their numbers in the text.
const STATUSES: [Status; 4] = [Status::Deliverable, Status::Deferred, Status::Undeliverable, Status::Pending];

/// One address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) status: Status,
    /// When a probe was sent whose result is not there; 0 for none.
    pub(super) probed: UnixTime,
    /// When the status was found; 0 while none was.
    pub(super) updated: UnixTime,
    /// Why.
    pub(super) text: String,
}

/// How long results count (`address_verify_positive_expire_time` and its kin), and whether failures are kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ages {
    pub(super) positive_expire: Duration,
    pub(super) positive_refresh: Duration,
    pub(super) negative_expire: Duration,
    pub(super) negative_refresh: Duration,
    pub(super) negative_cache: bool,
}

impl Record {
    /// An address of which nothing is known.
    pub(super) fn unknown() -> Record {
        let text = "Address verification in progress".to_owned();
        Record { status: Status::Pending, probed: 0, updated: 0, text }
    }

    /// A result.
    pub(super) fn found(status: Status, now: UnixTime, text: &str) -> Record {
        let text: String = text.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
        Record { status, probed: 0, updated: now, text: format!("{text:.MAX_TEXT$}") }
    }
}

impl Ages {
    /// Does the record count no longer?
    pub(super) fn is_over(&self, record: &Record, now: UnixTime) -> bool {
        let expire = match record.status {
            Status::Deliverable => self.positive_expire,
            Status::Deferred | Status::Undeliverable => self.negative_expire,
            // Kept only to know that a probe is under way.
            Status::Pending => return record.probed + PROBE_TTL < now,
        };
        record.updated + expire.as_secs() < now
    }

    /// What is known now, and whether a probe is to be sent.
    pub(super) fn judge(&self, record: Option<Record>, now: UnixTime) -> (Record, bool) {
        let record = match record {
            Some(record) if !self.is_over(&record, now) => record,
            _ => return (Record::unknown(), true),
        };
        let refresh = match record.status {
            Status::Deliverable => self.positive_refresh,
            Status::Deferred | Status::Undeliverable => self.negative_refresh,
            Status::Pending => Duration::ZERO,
        };
        let is_due = record.updated + refresh.as_secs() < now && record.probed + PROBE_TTL < now;
        (record, is_due)
    }

    /// The record after a probe was sent: `None` when there is nothing to be kept yet.
    pub(super) fn probing(&self, record: &Record, now: UnixTime) -> Option<Record> {
        (record.updated != 0 || self.negative_cache).then(|| Record { probed: now, ..record.clone() })
    }

    /// Shall a result take the place of what is known? One failure does not undo a success that still counts.
    pub(super) fn replaces(&self, known: Option<&Record>, found: &Record) -> bool {
        found.status == Status::Deliverable
            || (self.negative_cache
                && known.is_none_or(|known| {
                    known.status != Status::Deliverable || self.is_over(known, found.updated)
                }))
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Record { status, probed, updated, text } = self;
        let status = STATUSES.iter().position(|one| one == status).unwrap_or_default();
        write!(f, "{status}:{probed}:{updated}:{text}")
    }
}

impl FromStr for Record {
    type Err = ();

    fn from_str(text: &str) -> Result<Record, ()> {
        let mut fields = text.splitn(4, ':');
        let mut number = || fields.next().and_then(|field| field.parse::<u64>().ok()).ok_or(());
        let (status, probed, updated) = (number()?, number()?, number()?);
        let status = usize::try_from(status).ok().and_then(|at| STATUSES.get(at)).ok_or(())?;
        let text = fields.next().ok_or(())?.to_owned();
        Ok(Record { status: *status, probed, updated, text })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGES: Ages = Ages {
        positive_expire: Duration::from_secs(31_000),
        positive_refresh: Duration::from_secs(7_000),
        negative_expire: Duration::from_secs(3_000),
        negative_refresh: Duration::from_secs(1_500),
        negative_cache: true,
    };

    #[test]
    fn answers_and_probes() {
        use Status::{Deferred, Deliverable, Pending, Undeliverable};
        let now = 1_000_000;
        //   record                          answer            probe
        for (record, answer, probe) in [
            ("", Pending, true),
            ("nonsense", Pending, true),
            ("0:0:999000:ok", Deliverable, false),
            ("0:0:992000:old", Deliverable, true),
            ("0:999500:992000:old, and a probe is under way", Deliverable, false),
            ("0:998000:992000:old, and a probe was lost", Deliverable, true),
            ("0:0:968000:too old", Pending, true),
            ("2:0:999000:no", Undeliverable, false),
            ("2:0:998400:no, some time ago", Undeliverable, true),
            ("1:0:998400:not now", Deferred, true),
            ("1:0:996000:not then", Pending, true),
            ("3:999500:0:being probed", Pending, false),
            ("3:998000:0:was probed", Pending, true),
        ] {
            let (found, due) = AGES.judge(record.parse().ok(), now);
            assert_eq!((found.status, due), (answer, probe), "{record}");
        }
    }

    #[test]
    fn what_is_kept() {
        let known = |text: &str| text.parse::<Record>().unwrap();
        let failure = Record::found(Status::Undeliverable, 1_000_000, "no\nmore");
        assert_eq!(failure.to_string(), "2:0:1000000:no?more");
        let forgetful = Ages { negative_cache: false, ..AGES };
        for (ages, before, expected) in [
            (AGES, None, true),
            (AGES, Some("2:0:999000:x"), true),
            (AGES, Some("0:0:999000:x"), false),
            (AGES, Some("0:0:900000:x"), true),
            (forgetful, None, false),
            (forgetful, Some("2:0:999000:x"), false),
        ] {
            let before = before.map(known);
            assert_eq!(ages.replaces(before.as_ref(), &failure), expected, "{before:?}");
        }
        assert!(forgetful.replaces(None, &Record::found(Status::Deliverable, 1, "")));
        assert_eq!(forgetful.probing(&Record::unknown(), 5), None);
        assert_eq!(AGES.probing(&Record::unknown(), 5).unwrap().probed, 5);
        assert_eq!(forgetful.probing(&known("0:0:7:x"), 5).unwrap().to_string(), "0:5:7:x");
        assert_eq!(Record::found(Status::Deferred, 1, &"é".repeat(2000)).text.len(), 800);
        for bad in ["", "0", "0:1", "0:1:2", "9:1:2:x", "-1:1:2:x"] {
            assert!(bad.parse::<Record>().is_err(), "{bad}");
        }
    }
}
