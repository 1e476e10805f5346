//! How many deliveries may go to one destination at a time: a window that grows with success and shrinks with failure, and a
//! destination that fails often enough is dead for a while (SCHEDULER_README, postconf(5)
//! `default_destination_concurrency_positive_feedback` and its relatives).

use std::time::Instant;

/// How much one delivery moves the window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Law {
    base: f64,
    divisor: Divisor,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Divisor {
    One,
    Window,
    RootOfWindow,
}

impl Law {
    /// One step for each delivery.
    pub(crate) const WHOLE: Law = Law { base: 1.0, divisor: Divisor::One };

    /// Reads `1`, `0.5`, `1/8`, `1/concurrency` or `1/sqrt_concurrency`; the result is within 0 and 1.
    pub(crate) fn parse(text: &str) -> Option<Law> {
        let (number, divisor) = match text.split_once('/') {
            None => (text, None),
            Some((number, divisor)) => (number, Some(divisor.trim())),
        };
        let number: f64 = number.trim().parse().ok()?;
        let (base, divisor) = match divisor {
            None => (number, Divisor::One),
            Some("concurrency") => (number, Divisor::Window),
            Some("sqrt_concurrency") => (number, Divisor::RootOfWindow),
            Some(digits) => {
                let digits: f64 = digits.parse().ok().filter(|digits| *digits > 0.0)?;
                (number / digits, Divisor::One)
            }
        };
        (0.0..=1.0).contains(&base).then_some(Law { base, divisor })
    }

    fn at(self, window: f64) -> f64 {
        match self.divisor {
            Divisor::One => self.base,
            Divisor::Window => self.base / window,
            Divisor::RootOfWindow => self.base / window.sqrt(),
        }
    }
}

/// The parameters of a transport that the windows of its destinations go by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WindowLimits {
    /// `initial_destination_concurrency`
    pub(crate) initial: usize,
    /// `_destination_concurrency_limit`; 0 is no limit.
    pub(crate) most: usize,
    /// `_destination_concurrency_failed_cohort_limit`; 0 never declares a destination dead.
    pub(crate) failed_cohorts: usize,
    /// `_destination_concurrency_positive_feedback`
    pub(crate) positive: Law,
    /// `_destination_concurrency_negative_feedback`
    pub(crate) negative: Law,
}

/// The window of one destination.
#[derive(Debug)]
pub(crate) struct Window {
    size: f64,
    success: f64,
    failure: f64,
    /// Failures since the last success, as parts of the window: one for each pseudo-cohort.
    failed_cohorts: f64,
    /// Dead until then, for the reason.
    dead: Option<(Instant, String)>,
}

impl Window {
    pub(crate) fn new(limits: &WindowLimits) -> Window {
        Window { size: initial(limits), success: 0.0, failure: 0.0, failed_cohorts: 0.0, dead: None }
    }

    /// Deliveries that may go on at a time.
    pub(crate) fn size(&self) -> usize {
        self.size as usize
    }

    /// Why and until when the destination is left alone.
    pub(crate) fn death(&self) -> Option<&(Instant, String)> {
        self.dead.as_ref()
    }

    /// The time of being dead is over: it begins anew.
    pub(crate) fn revive(&mut self, limits: &WindowLimits) {
        if self.dead.is_some() {
            *self = Window::new(limits);
        }
    }

    /// A delivery ended and the destination answered, whatever it said. `busy` are the deliveries under way, with this one.
    pub(crate) fn succeeded(&mut self, limits: &WindowLimits, busy: usize) {
        self.failed_cohorts = 0.0;
        if self.dead.take().is_some() {
            // Back among the living; what it can bear is anybody's guess.
            *self = Window::new(limits);
            self.size = self.size.max(busy as f64);
            return;
        }
        let most = if limits.most == 0 { f64::MAX } else { limits.most as f64 };
        // A window far beyond what is really under way would make negative feedback useless.
        if self.size >= most || self.size >= busy as f64 + initial(limits) {
            return;
        }
        let step = limits.positive.at(self.size);
        self.success += step;
        // Half a step of tolerance: sums of fractions miss 1 by a hair.
        while step > 0.0 && self.success + step / 2.0 >= 1.0 {
            self.size += 1.0;
            self.success -= 1.0;
            self.failure = 0.0;
        }
        self.size = self.size.min(most);
    }

    /// A delivery ended because the destination could not be used. True when it is dead now, until `until`.
    pub(crate) fn failed(&mut self, limits: &WindowLimits, reason: &str, until: Instant) -> bool {
        if self.dead.is_some() {
            return true;
        }
        self.failed_cohorts += 1.0 / self.size;
        // The tolerance is for thirds and the like.
        if limits.failed_cohorts > 0 && self.failed_cohorts + 1e-9 >= limits.failed_cohorts as f64 {
            self.dead = Some((until, reason.to_owned()));
            return true;
        }
        let step = limits.negative.at(self.size);
        self.failure -= step;
        while step > 0.0 && self.failure - step / 2.0 < 0.0 {
            self.size -= 1.0;
            self.success = 0.0;
            self.failure += 1.0;
        }
        self.size = self.size.max(1.0);
        false
    }
}

fn initial(limits: &WindowLimits) -> f64 {
    let initial = limits.initial.max(1);
    (if limits.most == 0 { initial } else { initial.min(limits.most) }) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: WindowLimits =
        WindowLimits { initial: 5, most: 20, failed_cohorts: 1, positive: Law::WHOLE, negative: Law::WHOLE };

    #[test]
    fn laws() {
        for (text, window, expected) in [
            ("1", 5.0, Some(1.0)),
            ("0.25", 5.0, Some(0.25)),
            ("1/8", 5.0, Some(0.125)),
            ("1/concurrency", 4.0, Some(0.25)),
            ("1 / sqrt_concurrency", 4.0, Some(0.5)),
            ("0", 5.0, Some(0.0)),
            ("2", 5.0, None),
            ("-1", 5.0, None),
            ("1/0", 5.0, None),
            ("1/window", 5.0, None),
            ("", 5.0, None),
        ] {
            assert_eq!(Law::parse(text).map(|law| law.at(window)), expected, "{text}");
        }
    }

    #[test]
    fn success_opens_the_window_up_to_the_limit_and_not_far_beyond_what_is_busy() {
        let mut window = Window::new(&LIMITS);
        window.succeeded(&LIMITS, 5);
        assert_eq!(window.size(), 6);
        // With one delivery at a time there is no reason to open it further than that and the initial margin.
        for _ in 0..10 {
            window.succeeded(&LIMITS, 1);
        }
        assert_eq!(window.size(), 6);
        for busy in 6..40 {
            window.succeeded(&LIMITS, busy);
        }
        assert_eq!(window.size(), 20);
    }

    #[test]
    fn fractions_move_it_once_in_a_cycle() {
        let limits =
            WindowLimits { positive: Law::parse("1/concurrency").unwrap(), failed_cohorts: 0, ..LIMITS };
        let mut window = Window::new(&limits);
        let mut sizes = Vec::new();
        for _ in 0..11 {
            window.succeeded(&limits, 10);
            sizes.push(window.size());
        }
        assert_eq!(sizes, [5, 5, 5, 5, 6, 6, 6, 6, 6, 6, 7]);
        let limits = WindowLimits { negative: Law::parse("1/4").unwrap(), ..limits };
        // Negative feedback counts at the beginning of its cycle.
        let sizes: Vec<_> = (0..6)
            .map(|_| {
                window.failed(&limits, "x", Instant::now());
                window.size()
            })
            .collect();
        assert_eq!(sizes, [6, 6, 6, 5, 5, 5]);
    }

    #[test]
    fn a_window_of_failures_is_a_cohort() {
        let limits = WindowLimits { negative: Law::parse("0").unwrap(), ..LIMITS };
        let mut window = Window::new(&limits);
        let until = Instant::now();
        let deaths: Vec<_> = (0..5).map(|_| window.failed(&limits, "timed out", until)).collect();
        assert_eq!(deaths, [false, false, false, false, true]);
        assert_eq!(window.death(), Some(&(until, "timed out".to_owned())));
        window.revive(&limits);
        assert_eq!((window.death(), window.size()), (None, 5));
        let never = WindowLimits { failed_cohorts: 0, ..LIMITS };
        let mut window = Window::new(&never);
        assert!((0..100).all(|_| !window.failed(&never, "x", until)));
        assert_eq!(window.size(), 1);
    }

    #[test]
    fn success_makes_up_for_failures() {
        let mut window = Window::new(&LIMITS);
        for _ in 0..50 {
            assert!(!window.failed(&LIMITS, "x", Instant::now()));
            window.succeeded(&LIMITS, 5);
        }
    }
}
