//! The log line of one recipient's delivery attempt, in the form that pflogsumm and its relatives read.

use std::fmt::Write;
use std::time::Duration;

use crate::envelope::Recipient;
use crate::log_form::LogForm;
use crate::outcome::Outcome;
use crate::queue_id::QueueId;

/// The four parts of `delays=a/b/c/d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delays {
    /// Before the message became active.
    pub before_queue: Duration,
    /// In the active queue.
    pub in_queue: Duration,
    /// Connection set-up: look-ups, connecting, EHLO, TLS.
    pub setup: Duration,
    /// Transmission.
    pub transmission: Duration,
    /// Most digits behind the point: `delay_logging_resolution_limit`, 0 to 6.
    pub decimals: usize,
}

impl Default for Delays {
    fn default() -> Self {
        let none = Duration::ZERO;
        Delays { before_queue: none, in_queue: none, setup: none, transmission: none, decimals: 2 }
    }
}

/// Addresses in the form of the service's log: `ID: to=<r>, orig_to=<o>, relay=R, conn_use=N, delay=D, delays=a/b/c/d, tls=may, dsn=2.0.0, status=sent (TEXT)`.
pub fn delivery_line(
    form: LogForm,
    id: &QueueId,
    recipient: &Recipient,
    outcome: &Outcome,
    delays: &Delays,
    connection_uses: u32,
) -> String {
    // Nearly all lines fit.
    let mut line = String::with_capacity(256 + outcome.relay.len() + outcome.text.len());
    // Writing to a String can not fail.
    let _ = write!(line, "{id}: to=<{}>", form.show(&recipient.address));
    let original = &recipient.original;
    if !original.is_null() && !original.as_str().eq_ignore_ascii_case(recipient.address.as_str()) {
        let _ = write!(line, ", orig_to=<{}>", form.show(&recipient.original));
    }
    let _ = write!(line, ", relay={}", outcome.relay);
    if connection_uses > 1 {
        let _ = write!(line, ", conn_use={connection_uses}");
    }
    let parts = [delays.before_queue, delays.in_queue, delays.setup, delays.transmission];
    line.push_str(", delay=");
    push_seconds(&mut line, parts.iter().sum(), delays.decimals);
    let separators = [", delays=", "/", "/", "/"];
    for (separator, part) in separators.into_iter().zip(parts) {
        line.push_str(separator);
        push_seconds(&mut line, part, delays.decimals);
    }
    if !outcome.tls.is_empty() {
        let _ = write!(line, ", tls={}", outcome.tls);
    }
    let _ = write!(line, ", dsn={}, status={} ({})", outcome.status, outcome.kind, outcome.text);
    line
}

/// Seconds with two significant digits, and at most so many behind the point: `0.01`, `0.25`, `3.4`, `120`.
pub fn seconds(duration: Duration, decimals: usize) -> String {
    let mut out = String::new();
    push_seconds(&mut out, duration, decimals);
    out
}

fn push_seconds(out: &mut String, duration: Duration, decimals: usize) {
    let seconds = duration.as_secs_f64();
    let wanted = match seconds {
        s if s >= 10.0 => 0,
        s if s >= 1.0 => 1,
        // One more for each zero behind the point.
        s => (1..=6).find(|digits| s >= 0.1_f64.powi(*digits)).map_or(6, |digits| digits as usize + 1),
    };
    let begin = out.len();
    let _ = write!(out, "{seconds:.*}", wanted.min(decimals));
    if out[begin..].contains('.') {
        let text = out.trim_end_matches('0').trim_end_matches('.');
        out.truncate(text.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Address;

    #[test]
    fn two_significant_digits() {
        for (millis, expected) in [
            (0, "0"),
            (4, "0"),
            (12, "0.01"),
            (250, "0.25"),
            (500, "0.5"),
            (1040, "1"),
            (3449, "3.4"),
            (12_600, "13"),
        ] {
            assert_eq!(seconds(Duration::from_millis(millis), 2), expected, "{millis}");
        }
        for (micros, decimals, expected) in [
            (12_345, 6, "0.012"),
            (345, 6, "0.00034"),
            (345, 4, "0.0003"),
            (7, 6, "0.000007"),
            (640_000, 0, "1"),
            (3_449_000, 0, "3"),
            (10_000_000, 6, "10"),
        ] {
            assert_eq!(seconds(Duration::from_micros(micros), decimals), expected, "{micros} {decimals}");
        }
    }

    #[test]
    fn the_line() {
        let id = QueueId::parse("EB0AC9B013C").unwrap();
        let mut recipient = Recipient::new(Address::internal("r@x").unwrap());
        let mut outcome = Outcome::sent("mx.x[192.0.2.1]:25", "250 2.0.0 Ok: queued as X");
        outcome.tls = "may".into();
        let delays = Delays { setup: Duration::from_millis(20), ..Delays::default() };
        assert_eq!(
            delivery_line(LogForm::default(), &id, &recipient, &outcome, &delays, 1),
            "EB0AC9B013C: to=<r@x>, relay=mx.x[192.0.2.1]:25, delay=0.02, delays=0/0/0.02/0, tls=may, dsn=2.0.0, \
             status=sent (250 2.0.0 Ok: queued as X)"
        );
        recipient.original = Address::internal("alias@y").unwrap();
        let line = delivery_line(LogForm::default(), &id, &recipient, &outcome, &delays, 2);
        assert!(line.contains("to=<r@x>, orig_to=<alias@y>, relay=mx.x[192.0.2.1]:25, conn_use=2, delay="));
    }
}
