//! smtpd_per_request_deadline: a client has `smtpd_timeout` for a whole command, not for each read. Content gains time with each
//! byte (`smtpd_min_data_rate`), so that a large message may take long, but not one byte a minute.

use std::time::Duration;

/// How much time is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Deadline {
    limit: Duration,
    left: Duration,
    /// Bytes per second, at least 1; `None`: each read has the whole time, as without deadlines.
    rate: Option<u64>,
}

impl Deadline {
    pub(super) fn new(limit: Duration, rate: Option<u64>) -> Deadline {
        Deadline { limit, left: limit, rate }
    }

    /// How long the next read may take.
    pub(super) fn left(&self) -> Duration {
        self.left
    }

    /// A command is complete: the next one has the whole time.
    pub(super) fn begin(&mut self) {
        self.left = self.limit;
    }

    /// A read took so long, and brought so many bytes of content.
    pub(super) fn spend(&mut self, elapsed: Duration, content: usize) {
        let Some(rate) = self.rate else { return };
        let gained = Duration::from_secs_f64(content as f64 / rate as f64);
        self.left = self.left.saturating_sub(elapsed).saturating_add(gained).min(self.limit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn slow_commands_and_fast_content() {
        let mut deadline = Deadline::new(10 * SECOND, Some(500));
        deadline.spend(4 * SECOND, 0);
        deadline.spend(4 * SECOND, 0);
        assert_eq!(deadline.left(), 2 * SECOND, "one byte every four seconds");
        deadline.begin();
        assert_eq!(deadline.left(), 10 * SECOND);
        deadline.spend(2 * SECOND, 500);
        assert_eq!(deadline.left(), 9 * SECOND, "a second gained");
        deadline.spend(SECOND, 1_000_000);
        assert_eq!(deadline.left(), 10 * SECOND, "never more than the limit");
        deadline.spend(20 * SECOND, 0);
        assert_eq!(deadline.left(), Duration::ZERO);
        let mut each = Deadline::new(10 * SECOND, None);
        each.spend(9 * SECOND, 0);
        assert_eq!(each.left(), 10 * SECOND);
    }
}
