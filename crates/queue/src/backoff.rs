//! When a deferred message is tried again, and when it is too old (qmgr(8), minimal_backoff_time and its relatives).

use std::time::{Duration, SystemTime};

use config::{Settings, params};

/// The times of postconf(5).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff {
    /// minimal_backoff_time
    pub(crate) minimal: Duration,
    /// maximal_backoff_time
    pub(crate) maximal: Duration,
    /// maximal_queue_lifetime
    pub(crate) lifetime: Duration,
    /// bounce_queue_lifetime, for messages with the null sender
    pub(crate) bounce_lifetime: Duration,
    /// delay_warning_time; zero is off.
    pub(crate) delay_warning: Duration,
}

impl Backoff {
    /// Reads the parameters.
    pub(crate) fn read(settings: &Settings) -> Backoff {
        Backoff {
            minimal: settings.get(params::minimal_backoff_time),
            maximal: settings.get(params::maximal_backoff_time),
            lifetime: settings.get(params::maximal_queue_lifetime),
            bounce_lifetime: settings.get(params::bounce_queue_lifetime),
            delay_warning: settings.get(params::delay_warning_time),
        }
    }

    /// As long again as the message has been waiting, within the bounds.
    pub(crate) fn next_attempt(&self, arrival: SystemTime, now: SystemTime) -> SystemTime {
        let age = now.duration_since(arrival).unwrap_or_default();
        now + age.max(self.minimal).min(self.maximal.max(self.minimal))
    }

    /// Is a message that was just deferred past its time?
    pub(crate) fn is_expired(&self, arrival: SystemTime, now: SystemTime, null_sender: bool) -> bool {
        self.expires(arrival, null_sender) <= now
    }

    /// When a message is too old to be tried again.
    pub(crate) fn expires(&self, arrival: SystemTime, null_sender: bool) -> SystemTime {
        arrival + if null_sender { self.bounce_lifetime } else { self.lifetime }
    }

    /// Shall its sender hear of the delay now?
    pub(crate) fn warns(&self, arrival: SystemTime, now: SystemTime) -> bool {
        !self.delay_warning.is_zero() && now.duration_since(arrival).unwrap_or_default() >= self.delay_warning
    }

    /// Until when it will be tried, for notices.
    pub(crate) fn retry_until(&self, arrival: SystemTime) -> SystemTime {
        arrival + self.lifetime
    }
}

#[cfg(test)]
impl Backoff {
    /// Times for tests.
    pub(crate) const DEFAULTS: Backoff = Backoff {
        minimal: Duration::from_secs(300),
        maximal: Duration::from_secs(4000),
        lifetime: Duration::from_secs(5 * 86_400),
        bounce_lifetime: Duration::from_secs(86_400),
        delay_warning: Duration::from_secs(3600),
    };
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn the_wait_doubles_the_age_within_bounds() {
        for (age, wait) in [(0, 300), (299, 300), (1000, 1000), (4000, 4000), (90_000, 4000)] {
            let now = UNIX_EPOCH + Duration::from_secs(1_000_000);
            let arrival = now - Duration::from_secs(age);
            assert_eq!(
                Backoff::DEFAULTS.next_attempt(arrival, now),
                now + Duration::from_secs(wait),
                "{age}"
            );
        }
    }

    #[test]
    fn bounces_live_by_their_own_time() {
        let now = UNIX_EPOCH + Duration::from_secs(10_000_000);
        let two_days_ago = now - Duration::from_secs(2 * 86_400);
        assert!(!Backoff::DEFAULTS.is_expired(two_days_ago, now, false));
        assert!(Backoff::DEFAULTS.is_expired(two_days_ago, now, true));
        assert!(Backoff::DEFAULTS.warns(two_days_ago, now) && !Backoff::DEFAULTS.warns(now, now));
        let never = Backoff { delay_warning: Duration::ZERO, ..Backoff::DEFAULTS };
        assert!(!never.warns(two_days_ago, now));
        // A clock that went back does not expire anything.
        assert!(!Backoff::DEFAULTS.is_expired(now + Duration::from_secs(60), now, true));
    }
}
