//! Where the role's times come from: the machine, or a simulation that lets days pass in a moment.

use std::time::{Instant, SystemTime};

/// Two clocks that go alike.
pub(crate) trait Clock: Send + Sync {
    /// For intervals: never goes back.
    fn now(&self) -> Instant;
    /// For what is written down.
    fn wall(&self) -> SystemTime;
}

/// The machine's own.
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }
}
