//! Dates as mail writes them (RFC 5322 section 3.3), in this machine's time zone, with the zone's short name as
//! a comment like Postfix's.

use std::cell::RefCell;
use std::time::{SystemTime, UNIX_EPOCH};

use jiff::{Timestamp, Zoned, tz::TimeZone};

/// `Sun, 22 Nov 2026 16:37:47 +0000 (UTC)`.
pub fn rfc5322(time: SystemTime) -> String {
    thread_local! { static LAST: RefCell<Last> = RefCell::default() }
    LAST.with_borrow_mut(|last| last.of(time, "%a, %-d %b %Y %H:%M:%S %z (%Z)").to_owned())
}

/// `Nov 22 16:37:47`, the time stamp of syslog files (RFC 3164): the day padded with a blank.
pub fn syslog(time: SystemTime) -> String {
    let mut out = String::new();
    push_syslog(&mut out, time);
    out
}

/// Appends what [`syslog`] gives.
pub fn push_syslog(out: &mut String, time: SystemTime) {
    thread_local! { static LAST: RefCell<Last> = RefCell::default() }
    LAST.with_borrow_mut(|last| out.push_str(last.of(time, "%b %e %H:%M:%S")));
}

/// `Sun Nov 22 16:37:47`, as postqueue shows arrival times and as mbox separators begin.
pub fn asctime(time: SystemTime) -> String {
    local(time).strftime("%a %b %e %H:%M:%S").to_string()
}

/// `Sun Nov 22 16:37:47 2026`, the end of an mbox `From ` line.
pub fn asctime_with_year(time: SystemTime) -> String {
    local(time).strftime("%a %b %e %H:%M:%S %Y").to_string()
}

/// `20261122163747` in UTC, the beginning of generated Message-Ids.
pub fn compact_utc(time: SystemTime) -> String {
    zoned(time, TimeZone::UTC).strftime("%Y%m%d%H%M%S").to_string()
}

/// The second that was written last, and how: a busy server writes each many times.
#[derive(Default)]
struct Last {
    second: Option<u64>,
    text: String,
}

impl Last {
    fn of(&mut self, time: SystemTime, format: &str) -> &str {
        let second = time.duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs());
        if second.is_none() || second != self.second {
            *self = Last { second, text: local(time).strftime(format).to_string() };
        }
        &self.text
    }
}

fn local(time: SystemTime) -> Zoned {
    zoned(time, TimeZone::system())
}

/// A time beyond what a calendar can show, which no clock of ours gives, becomes the epoch.
fn zoned(time: SystemTime, zone: TimeZone) -> Zoned {
    Timestamp::try_from(time).unwrap_or(Timestamp::UNIX_EPOCH).to_zoned(zone)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn formats() {
        let time = UNIX_EPOCH + Duration::from_secs(1_795_365_467);
        let utc = zoned(time, TimeZone::UTC);
        assert_eq!(
            utc.strftime("%a, %-d %b %Y %H:%M:%S %z (%Z)").to_string(),
            "Sun, 22 Nov 2026 16:37:47 +0000 (UTC)"
        );
        assert_eq!(compact_utc(time), "20261122163747");
        assert_eq!(utc.strftime("%b %e %H:%M:%S").to_string(), "Nov 22 16:37:47");
        for seconds in [0, 0, 1, 0] {
            let time = time + Duration::from_secs(seconds);
            assert_eq!(syslog(time), local(time).strftime("%b %e %H:%M:%S").to_string(), "{seconds}");
        }
    }
}
