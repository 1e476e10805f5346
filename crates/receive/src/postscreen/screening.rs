//! What is decided about one client in one session: which tests are due, which were passed or failed, what that means for
//! its mail, and what is remembered.
//!
//! Pure: no socket, no clock, no log. A deep test passes for the time being at RCPT, and can still be failed by a later command.

use mail::{Detail, Reply};

use super::stamps::{Stamps, Test, UnixTime};

/// What happens to a client that fails a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Nothing; the test is repeated next time.
    Ignore,
    /// Its recipients are refused with 550, and sender and recipient are logged.
    Enforce,
    /// It hears 521 at once.
    Drop,
}

impl Action {
    /// The value of a `postscreen_*_action` parameter. `continue` is an old name of `ignore`.
    pub(super) fn parse(text: &str) -> Option<Action> {
        Some(match text.to_ascii_lowercase().as_str() {
            "ignore" | "continue" => Action::Ignore,
            "enforce" => Action::Enforce,
            "drop" => Action::Drop,
            _ => return None,
        })
    }
}

/// One test's settings.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    /// Is it done at all?
    pub(super) enabled: bool,
    pub(super) action: Action,
    /// How long a pass counts, in seconds; that of the DNS lists comes with their answers.
    pub(super) ttl: u64,
}

/// The settings of all tests.
#[derive(Clone, Copy, Debug)]
pub(super) struct Policy {
    pub(super) rules: [Rule; Test::COUNT],
    /// postscreen_denylist_action.
    pub(super) denylist: Action,
    /// postscreen_dnsbl_threshold.
    pub(super) dnsbl_threshold: i32,
    /// postscreen_dnsbl_allowlist_threshold; zero and above is off.
    pub(super) allowlist_threshold: i32,
}

impl Policy {
    fn rule(&self, test: Test) -> &Rule {
        &self.rules[test as usize]
    }

    /// The shortest time that any pass counts: so long a failure that is ignored is not looked at again.
    fn shortest_ttl(&self) -> u64 {
        self.rules.iter().map(|rule| rule.ttl).min().unwrap_or(1)
    }

    /// Is some pass of the record over at this time? One cache retention time later the allowlist forgets the record.
    pub(super) fn is_stale(&self, stamps: &Stamps, now: UnixTime) -> bool {
        Test::ALL.iter().any(|test| self.rule(*test).enabled && stamps.is_due(*test, now))
    }
}

/// What the DNS lists gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DnsblResult {
    pub(super) score: i32,
    /// How long it counts, in seconds.
    pub(super) ttl: u64,
    /// The list that weighs most, as the client may see it.
    pub(super) list: Option<String>,
}

/// How the session goes on after a failed test.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Next {
    /// It goes on.
    Continue,
    /// It ends with this reply.
    Drop(Reply),
}

#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    todo: bool,
    passed: bool,
    failed: bool,
    /// An early test has its result; a deep test has been failed, and is not looked at again in this session.
    done: bool,
}

/// One session's state. It ends in [`Screening::conclude`].
#[derive(Clone, Debug)]
pub(super) struct Screening {
    tests: [Progress; Test::COUNT],
    is_new: bool,
    denylisted: bool,
    vetoed: bool,
    forward: bool,
    /// What RCPT is answered with.
    refusal: Reply,
}

/// What a session comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Conclusion {
    /// All tests that were due are passed: `Some(true)` for a client who never did before.
    pub(super) blessed: Option<bool>,
    /// The record is to be kept.
    pub(super) remember: bool,
    /// To a real SMTP server; else the session ends here.
    pub(super) forward: bool,
}

/// `450`: the client is to come again, and will then find that it has passed.
const COME_AGAIN: Reply = Reply::fixed(450, Some(Detail(3, 2)), "Service currently unavailable");

/// A command of another protocol.
const GOODBYE: Reply = Reply::fixed(521, Some(Detail(7, 0)), "Error: I can break rules, too. Goodbye.");

fn protocol_error(code: u16) -> Reply {
    Reply::fixed(code, Some(Detail(5, 1)), "Protocol error")
}

impl Screening {
    /// A client who is on no list.
    pub(super) fn new() -> Screening {
        Screening {
            tests: [Progress::default(); Test::COUNT],
            is_new: false,
            denylisted: false,
            vetoed: false,
            forward: true,
            refusal: COME_AGAIN,
        }
    }

    /// postscreen_access_list refuses the client.
    pub(super) fn denylisted(&mut self, policy: &Policy) -> Next {
        let reply = |code| Reply::fixed(code, Some(Detail(3, 2)), "Service currently unavailable");
        match policy.denylist {
            Action::Drop => {
                self.denylisted = true;
                return self.drop_with(reply(521));
            }
            Action::Enforce => {
                self.denylisted = true;
                self.enforce(reply(550));
            }
            Action::Ignore => {}
        }
        Next::Continue
    }

    /// Finds out which tests are due.
    pub(super) fn plan(&mut self, policy: &Policy, stamps: &Stamps, now: UnixTime) {
        self.is_new = stamps.has_new();
        for test in Test::ALL {
            self.tests[test as usize].todo = policy.rule(test).enabled && stamps.is_due(test, now);
        }
    }

    /// The client connected to an address where nobody earns a place on the allowlist (postscreen_allowlist_interfaces).
    pub(super) fn veto(&mut self) {
        self.vetoed = true;
        self.forward = false;
    }

    /// Nothing is due, and nothing is held against the client.
    pub(super) fn is_known_good(&self) -> bool {
        !self.has_failed() && !self.tests.iter().any(|test| test.todo)
    }

    /// Is the test due?
    pub(super) fn is_todo(&self, test: Test) -> bool {
        self.tests[test as usize].todo
    }

    /// Are there tests before the greeting?
    pub(super) fn has_early_tests(&self) -> bool {
        Test::EARLY.iter().any(|test| self.is_todo(*test))
    }

    /// Must the client talk to our own engine: because of a test, or because it must not get further?
    pub(super) fn has_deep_tests(&self) -> bool {
        let open = |test: &Test| {
            let Progress { todo, passed, .. } = self.tests[*test as usize];
            todo != passed
        };
        !self.forward || Test::DEEP.iter().any(open)
    }

    /// Do all early tests have their results, so that nobody needs to wait longer?
    pub(super) fn early_tests_are_done(&self) -> bool {
        Test::EARLY.iter().all(|test| {
            let Progress { todo, done, .. } = self.tests[*test as usize];
            todo == done
        })
    }

    /// Did the client talk before its turn? It is not greeted any more.
    pub(super) fn talked_early(&self) -> bool {
        self.tests[Test::Pregreet as usize].failed
    }

    /// What RCPT and VRFY are answered with.
    pub(super) fn refusal(&self) -> &Reply {
        &self.refusal
    }

    /// The client talked before its turn.
    pub(super) fn pregreeted(&mut self, policy: &Policy) -> Next {
        let test = &mut self.tests[Test::Pregreet as usize];
        (test.failed, test.done) = (true, true);
        match policy.rule(Test::Pregreet).action {
            Action::Drop => return self.drop_with(protocol_error(521)),
            Action::Enforce => self.enforce(protocol_error(550)),
            // Forgiven when the wait is over.
            Action::Ignore => {}
        }
        Next::Continue
    }

    /// The time for talking early is over.
    pub(super) fn greet_wait_is_over(&mut self, policy: &Policy, stamps: &mut Stamps, now: UnixTime) {
        let rule = policy.rule(Test::Pregreet);
        let test = &mut self.tests[Test::Pregreet as usize];
        if test.todo && !test.failed && !test.done {
            test.passed = true;
            stamps.pass_until(Test::Pregreet, now + rule.ttl);
        }
        if test.failed && rule.action == Action::Ignore {
            test.failed = false;
        }
    }

    /// All DNS lists have answered, or their time is over. A score that is good enough makes the other tests unnecessary:
    /// those that are due, and, for as long as the score counts, those that will be or are switched off now.
    pub(super) fn dnsbl_answered(
        &mut self,
        policy: &Policy,
        result: &DnsblResult,
        stamps: &mut Stamps,
        now: UnixTime,
    ) {
        self.tests[Test::Dnsbl as usize].done = true;
        let allows = policy.allowlist_threshold < 0
            && result.score <= policy.allowlist_threshold
            && result.score < policy.dnsbl_threshold;
        if !allows || self.has_failed() {
            return;
        }
        for test in Test::ALL.into_iter().filter(|test| *test != Test::Dnsbl) {
            let progress = &mut self.tests[test as usize];
            if progress.todo && !progress.passed {
                (progress.passed, progress.done) = (true, true);
            }
            stamps.extend_until(test, now + result.ttl);
        }
    }

    /// Judges the score.
    pub(super) fn judge_dnsbl(
        &mut self,
        policy: &Policy,
        client: std::net::IpAddr,
        result: &DnsblResult,
        stamps: &mut Stamps,
        now: UnixTime,
    ) -> Next {
        let test = &mut self.tests[Test::Dnsbl as usize];
        if result.score < policy.dnsbl_threshold {
            test.passed = true;
            stamps.pass_until(Test::Dnsbl, now + result.ttl);
            return Next::Continue;
        }
        let reply = |code| {
            let list = result.list.as_deref().unwrap_or("");
            let text = format!("Service unavailable; client [{client}] blocked using {list}");
            Reply::new(code, Detail(7, 1), text)
        };
        match policy.rule(Test::Dnsbl).action {
            Action::Drop => {
                test.failed = true;
                return self.drop_with(reply(521));
            }
            Action::Enforce => {
                test.failed = true;
                self.enforce(reply(550));
            }
            Action::Ignore => {}
        }
        Next::Continue
    }

    /// The session enters our own engine. For a client who failed already all tests there are switched on, because that makes
    /// the log more useful.
    pub(super) fn enter_deep_tests(&mut self) {
        if self.has_failed() {
            for test in Test::DEEP {
                self.tests[test as usize].todo = true;
            }
        }
    }

    /// Is the deep test looked at?
    pub(super) fn watches(&self, test: Test) -> bool {
        let Progress { todo, done, .. } = self.tests[test as usize];
        todo && !done
    }

    /// A deep test was failed.
    pub(super) fn fail_deep(
        &mut self,
        policy: &Policy,
        test: Test,
        stamps: &mut Stamps,
        now: UnixTime,
    ) -> Next {
        let progress = &mut self.tests[test as usize];
        *progress = Progress { todo: progress.todo, passed: false, failed: true, done: true };
        stamps.withdraw(test);
        match policy.rule(test).action {
            Action::Drop => {
                let reply = match test {
                    Test::NonSmtp => GOODBYE,
                    _ => protocol_error(521),
                };
                return self.drop_with(reply);
            }
            Action::Enforce => self.enforce(protocol_error(550)),
            Action::Ignore => {
                (progress.passed, progress.failed) = (true, false);
                stamps.pass_until(test, now + policy.shortest_ttl());
            }
        }
        Next::Continue
    }

    /// The client got as far as RCPT: deep tests that it did not fail are passed.
    pub(super) fn reached_rcpt(&mut self, policy: &Policy, stamps: &mut Stamps, now: UnixTime) {
        for test in Test::DEEP {
            let progress = &mut self.tests[test as usize];
            if progress.todo && !progress.passed && !progress.failed {
                progress.passed = true;
                stamps.pass_until(test, now + policy.rule(test).ttl);
            }
        }
    }

    /// The client gets no further than this session.
    pub(super) fn keep_here(&mut self) {
        self.forward = false;
    }

    /// The end. Passes of a client who failed anything do not count. `stamps` are made ready to be kept.
    pub(super) fn conclude(&mut self, policy: &Policy, stamps: &mut Stamps) -> Conclusion {
        if self.has_failed() {
            for test in &mut self.tests {
                test.passed = false;
            }
        }
        let any = self.tests.iter().any(|test| test.passed);
        let all = self.tests.iter().all(|test| test.todo == test.passed);
        if any {
            for test in Test::ALL.into_iter().filter(|test| !policy.rule(*test).enabled) {
                stamps.settle_disabled(test);
            }
        }
        Conclusion { blessed: (any && all).then_some(self.is_new), remember: any, forward: self.forward }
    }

    fn has_failed(&self) -> bool {
        self.denylisted || self.vetoed || self.tests.iter().any(|test| test.failed)
    }

    fn enforce(&mut self, refusal: Reply) {
        self.refusal = refusal;
        self.forward = false;
    }

    fn drop_with(&mut self, reply: Reply) -> Next {
        self.forward = false;
        Next::Drop(reply)
    }
}
