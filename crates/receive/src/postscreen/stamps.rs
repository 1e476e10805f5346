//! The tests that a client is put to, and until when each pass of them counts: one record of the temporary allowlist.
//!
//! The record's text is Postfix's own (postscreen(8), postscreen_cache_map): five numbers, `1700000000;1700003600;1;0;1`.

use std::fmt;

/// Seconds since 1970.
pub(super) type UnixTime = u64;

/// One test, in the order of the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Test {
    /// Does the client talk before its turn?
    Pregreet,
    /// What do DNS lists say?
    Dnsbl,
    /// Does it send commands without waiting for replies?
    Pipelining,
    /// Does it send commands of other protocols?
    NonSmtp,
    /// Does it end lines without carriage return?
    BareNewline,
}

impl Test {
    pub(super) const COUNT: usize = 5;
    /// All of them.
    pub(super) const ALL: [Test; Test::COUNT] =
        [Test::Pregreet, Test::Dnsbl, Test::Pipelining, Test::NonSmtp, Test::BareNewline];
    /// Before the greeting.
    pub(super) const EARLY: [Test; 2] = [Test::Pregreet, Test::Dnsbl];
    /// In our own SMTP engine.
    pub(super) const DEEP: [Test; 3] = [Test::Pipelining, Test::NonSmtp, Test::BareNewline];
}

/// When the pass of each test expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamps([UnixTime; Test::COUNT]);

/// The test was never passed.
const NEW: UnixTime = 0;
/// The test was never passed, and was switched off when the record was written: switching it on does not make the client new.
const DISABLED: UnixTime = 1;

impl Stamps {
    /// A client of whom nothing is known.
    pub(super) const UNKNOWN: Stamps = Stamps([NEW; Test::COUNT]);

    /// Reads a record. Numbers that are missing or no numbers stand for tests that were switched off, so that the record
    /// of a version with fewer tests can be read.
    pub(super) fn parse(text: &str) -> Stamps {
        let mut fields = text.split(';').map(|field| field.parse().unwrap_or(DISABLED));
        Stamps(std::array::from_fn(|_| fields.next().unwrap_or(DISABLED)))
    }

    /// Must the test be done at this time?
    pub(super) fn is_due(&self, test: Test, now: UnixTime) -> bool {
        now > self.0[test as usize]
    }

    /// Was some test never passed?
    pub(super) fn has_new(&self) -> bool {
        self.0.contains(&NEW)
    }

    /// The test is passed until then.
    pub(super) fn pass_until(&mut self, test: Test, until: UnixTime) {
        self.0[test as usize] = until;
    }

    /// The test is passed until then at least.
    pub(super) fn extend_until(&mut self, test: Test, until: UnixTime) {
        self.0[test as usize] = self.0[test as usize].max(until);
    }

    /// The test was failed: what was known is void.
    pub(super) fn withdraw(&mut self, test: Test) {
        self.0[test as usize] = DISABLED;
    }

    /// For tests that are switched off: never passed, and not new either.
    pub(super) fn settle_disabled(&mut self, test: Test) {
        if self.0[test as usize] == NEW {
            self.withdraw(test);
        }
    }
}

impl std::str::FromStr for Stamps {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Stamps, Self::Err> {
        Ok(Stamps::parse(text))
    }
}

impl fmt::Display for Stamps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [pregreet, dnsbl, pipelining, non_smtp, bare_newline] = self.0;
        write!(f, "{pregreet};{dnsbl};{pipelining};{non_smtp};{bare_newline}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records() {
        for (text, read) in [
            ("1700000000;5;1;0;1", "1700000000;5;1;0;1"),
            ("7;8", "7;8;1;1;1"),
            ("7;x;9;;-1", "7;1;9;1;1"),
            ("", "1;1;1;1;1"),
            ("1;2;3;4;5;6", "1;2;3;4;5"),
            ("99999999999999999999999;2;3;4;5", "1;2;3;4;5"),
        ] {
            assert_eq!(Stamps::parse(text).to_string(), read, "{text}");
        }
    }

    #[test]
    fn a_pass_counts_up_to_and_including_its_time() {
        let mut stamps = Stamps::UNKNOWN;
        assert!(stamps.has_new() && stamps.is_due(Test::Dnsbl, 1));
        stamps.pass_until(Test::Dnsbl, 100);
        assert!(!stamps.is_due(Test::Dnsbl, 100));
        assert!(stamps.is_due(Test::Dnsbl, 101));
        stamps.extend_until(Test::Dnsbl, 50);
        assert!(!stamps.is_due(Test::Dnsbl, 100), "never shortened");
        stamps.settle_disabled(Test::Dnsbl);
        assert!(!stamps.is_due(Test::Dnsbl, 100), "a pass stays");
    }
}
