//! Whole sessions as decisions only: which tests fail with which action, and what comes of it.

use super::screening::{Action, Conclusion, DnsblResult, Next, Policy, Rule, Screening};
use super::stamps::{Stamps, Test};

const NOW: u64 = 1_700_000_000;

fn policy(enabled: &[Test], action: Action) -> Policy {
    let rule = |n: usize| Rule {
        enabled: enabled.contains(&Test::ALL[n]),
        action,
        ttl: [100, 60, 1000, 1000, 1000][n],
    };
    Policy { rules: std::array::from_fn(rule), denylist: action, dnsbl_threshold: 3, allowlist_threshold: -2 }
}

fn dnsbl(score: i32) -> DnsblResult {
    DnsblResult { score, ttl: 300, list: Some("list.test".into()) }
}

fn client() -> std::net::IpAddr {
    [192, 0, 2, 1].into()
}

/// What a client does before the greeting.
#[derive(Clone, Copy)]
struct Client {
    talks: bool,
    score: i32,
}

/// The early tests, as their driver runs them.
fn early(screening: &mut Screening, policy: &Policy, stamps: &mut Stamps, client_is: Client) -> Next {
    if client_is.talks && screening.is_todo(Test::Pregreet) {
        let next = screening.pregreeted(policy);
        if next != Next::Continue {
            return next;
        }
    }
    let result = dnsbl(client_is.score);
    let asks = screening.is_todo(Test::Dnsbl);
    if asks {
        screening.dnsbl_answered(policy, &result, stamps, NOW);
    }
    screening.greet_wait_is_over(policy, stamps, NOW);
    if asks { screening.judge_dnsbl(policy, client(), &result, stamps, NOW) } else { Next::Continue }
}

fn planned(policy: &Policy, stamps: &Stamps) -> Screening {
    let mut screening = Screening::new();
    screening.plan(policy, stamps, NOW);
    screening
}

const GOOD: Client = Client { talks: false, score: 0 };
const TALKS: Client = Client { talks: true, score: 0 };
const LISTED: Client = Client { talks: false, score: 3 };
const TRUSTED: Client = Client { talks: false, score: -2 };

#[test]
fn early_tests() {
    use Action::*;
    let both = &Test::EARLY[..];
    let new = |forward| Conclusion { blessed: Some(true), remember: true, forward };
    let failed = Conclusion { blessed: None, remember: false, forward: false };
    let forgiven = Conclusion { blessed: None, remember: true, forward: true };
    let (protocol, blocked) =
        ("5.5.1 Protocol error", "5.7.1 Service unavailable; client [192.0.2.1] blocked using list.test");
    for (enabled, action, client, reply, conclusion, record) in [
        (both, Enforce, GOOD, "", new(true), format!("{};{};1;1;1", NOW + 100, NOW + 300)),
        (both, Drop, TALKS, &*format!("521 {protocol}"), failed, "0;0;0;0;0".into()),
        (both, Enforce, TALKS, "", failed, format!("0;{};0;0;0", NOW + 300)),
        (both, Ignore, TALKS, "", forgiven, format!("0;{};1;1;1", NOW + 300)),
        (both, Drop, LISTED, &*format!("521 {blocked}"), failed, format!("{};0;0;0;0", NOW + 100)),
        (both, Enforce, LISTED, "", failed, format!("{};0;0;0;0", NOW + 100)),
        (both, Ignore, LISTED, "", forgiven, format!("{};0;1;1;1", NOW + 100)),
        (&[Test::Pregreet], Drop, LISTED, "", new(true), format!("{};1;1;1;1", NOW + 100)),
        // A good score stands in for all other tests, those that are switched off included.
        (&Test::ALL, Enforce, TRUSTED, "", new(true), format!("{0};{0};{0};{0};{0}", NOW + 300)),
    ] {
        let policy = policy(enabled, action);
        let mut stamps = Stamps::UNKNOWN;
        let mut screening = planned(&policy, &stamps);
        let next = early(&mut screening, &policy, &mut stamps, client);
        let heard = match &next {
            Next::Drop(reply) => reply.to_string(),
            Next::Continue => String::new(),
        };
        let row = format!("{action:?} {} {}", client.talks, client.score);
        assert_eq!(heard, reply, "{row}");
        assert_eq!(screening.conclude(&policy, &mut stamps), conclusion, "{row}");
        assert_eq!(stamps.to_string(), record, "{row}");
    }
}

#[test]
fn what_recipients_hear() {
    for (client, expected) in [
        (GOOD, "450 4.3.2 Service currently unavailable"),
        (TALKS, "550 5.5.1 Protocol error"),
        (LISTED, "550 5.7.1 Service unavailable; client [192.0.2.1] blocked using list.test"),
        (
            Client { talks: true, score: 9 },
            "550 5.7.1 Service unavailable; client [192.0.2.1] blocked using list.test",
        ),
    ] {
        let policy = policy(&Test::ALL, Action::Enforce);
        let mut stamps = Stamps::UNKNOWN;
        let mut screening = planned(&policy, &stamps);
        assert_eq!(early(&mut screening, &policy, &mut stamps, client), Next::Continue);
        assert!(screening.has_deep_tests());
        assert_eq!(screening.refusal().to_string(), expected);
        assert_eq!(screening.talked_early(), client.talks);
    }
}

#[test]
fn deep_tests_pass_for_the_time_being() {
    let policy = policy(&Test::DEEP, Action::Enforce);
    let mut stamps = Stamps::UNKNOWN;
    let mut screening = planned(&policy, &stamps);
    screening.keep_here();
    screening.enter_deep_tests();
    screening.reached_rcpt(&policy, &mut stamps, NOW);
    assert_eq!(
        screening.clone().conclude(&policy, &mut stamps.clone()),
        Conclusion { blessed: Some(true), remember: true, forward: false }
    );
    // Later it breaks a rule after all.
    assert!(screening.watches(Test::Pipelining));
    assert_eq!(screening.fail_deep(&policy, Test::Pipelining, &mut stamps, NOW), Next::Continue);
    assert!(!screening.watches(Test::Pipelining), "once is enough");
    assert_eq!(screening.refusal().to_string(), "550 5.5.1 Protocol error");
    screening.reached_rcpt(&policy, &mut stamps, NOW);
    let conclusion = screening.conclude(&policy, &mut stamps);
    assert_eq!(conclusion, Conclusion { blessed: None, remember: false, forward: false });
    assert!(stamps.is_due(Test::Pipelining, NOW));
}

#[test]
fn deep_failures_by_action() {
    for (test, action, reply, until) in [
        (Test::Pipelining, Action::Drop, "521 5.5.1 Protocol error", 1),
        (Test::NonSmtp, Action::Drop, "521 5.7.0 Error: I can break rules, too. Goodbye.", 1),
        (Test::BareNewline, Action::Drop, "521 5.5.1 Protocol error", 1),
        (Test::NonSmtp, Action::Enforce, "", 1),
        // Not looked at again as long as the shortest of all passes counts.
        (Test::BareNewline, Action::Ignore, "", NOW + 60),
    ] {
        let policy = policy(&[test], action);
        let mut stamps = Stamps::UNKNOWN;
        let mut screening = planned(&policy, &stamps);
        let heard = match screening.fail_deep(&policy, test, &mut stamps, NOW) {
            Next::Drop(reply) => reply.to_string(),
            Next::Continue => String::new(),
        };
        assert_eq!(heard, reply, "{test:?} {action:?}");
        assert!(stamps.is_due(test, until + 1) && !stamps.is_due(test, until), "{test:?} {action:?}");
        let ignored = action == Action::Ignore;
        let conclusion = screening.conclude(&policy, &mut stamps);
        assert_eq!((conclusion.remember, conclusion.forward), (ignored, action != Action::Drop && ignored));
    }
}

#[test]
fn old_clients_are_tested_for_what_is_due_only() {
    let policy = policy(&Test::ALL, Action::Enforce);
    let record = |pregreet, dnsbl| Stamps::parse(&format!("{pregreet};{dnsbl};{0};{0};{0}", NOW + 9));
    for (stamps, good, due) in [
        (record(NOW + 9, NOW + 9), true, &[][..]),
        (record(NOW, NOW + 9), true, &[]),
        (record(NOW - 1, NOW + 9), false, &[Test::Pregreet]),
        (record(NOW + 9, 1), false, &[Test::Dnsbl]),
    ] {
        let mut stamps = stamps;
        let mut screening = planned(&policy, &stamps);
        assert_eq!(screening.is_known_good(), good, "{stamps}");
        let todo: Vec<_> = Test::ALL.into_iter().filter(|test| screening.is_todo(*test)).collect();
        assert_eq!(todo, due, "{stamps}");
        assert_eq!(early(&mut screening, &policy, &mut stamps, GOOD), Next::Continue);
        let conclusion = screening.conclude(&policy, &mut stamps);
        assert_eq!(conclusion.blessed, (!good).then_some(false), "PASS OLD");
    }
    assert!(policy.is_stale(&record(NOW - 1, NOW + 9), NOW));
    assert!(!policy.is_stale(&record(NOW, NOW), NOW));
}

#[test]
fn lists_come_before_tests() {
    for (action, reply, forward, refusal) in [
        (Action::Drop, "521 5.3.2 Service currently unavailable", false, "450 4.3.2 "),
        (Action::Enforce, "", false, "550 5.3.2 Service currently unavailable"),
        (Action::Ignore, "", true, "450 4.3.2 "),
    ] {
        let policy = policy(&[Test::Pregreet], action);
        let mut stamps = Stamps::UNKNOWN;
        let mut screening = Screening::new();
        let heard = match screening.denylisted(&policy) {
            Next::Drop(reply) => reply.to_string(),
            Next::Continue => String::new(),
        };
        assert_eq!(heard, reply);
        screening.plan(&policy, &stamps, NOW);
        assert!(!screening.is_known_good());
        assert_eq!(early(&mut screening, &policy, &mut stamps, GOOD), Next::Continue);
        assert!(screening.refusal().to_string().starts_with(refusal), "{action:?}");
        let conclusion = screening.conclude(&policy, &mut stamps);
        assert_eq!((conclusion.remember, conclusion.forward), (forward, forward), "{action:?}");
    }
}

#[test]
fn nobody_earns_a_pass_at_a_vetoed_address() {
    let policy = policy(&[Test::Pregreet], Action::Enforce);
    let mut stamps = Stamps::UNKNOWN;
    let mut screening = planned(&policy, &stamps);
    screening.veto();
    assert_eq!(early(&mut screening, &policy, &mut stamps, GOOD), Next::Continue);
    assert!(screening.has_deep_tests());
    screening.enter_deep_tests();
    assert!(Test::DEEP.iter().all(|test| screening.watches(*test)), "all tests, for the log");
    screening.reached_rcpt(&policy, &mut stamps, NOW);
    let conclusion = screening.conclude(&policy, &mut stamps);
    assert_eq!(conclusion, Conclusion { blessed: None, remember: false, forward: false });
    assert_eq!(screening.refusal().code, 450);
}

#[test]
fn a_list_with_a_good_score_ends_the_wait() {
    let policy = policy(&Test::EARLY, Action::Enforce);
    for (score, done) in [(-2, true), (-1, false), (9, false)] {
        let mut stamps = Stamps::UNKNOWN;
        let mut screening = planned(&policy, &stamps);
        screening.dnsbl_answered(&policy, &dnsbl(score), &mut stamps, NOW);
        assert_eq!(screening.early_tests_are_done(), done, "{score}");
    }
    let mut stamps = Stamps::UNKNOWN;
    let mut talked = planned(&policy, &stamps);
    assert_eq!(talked.pregreeted(&policy), Next::Continue);
    assert!(!talked.early_tests_are_done());
    talked.dnsbl_answered(&policy, &dnsbl(-2), &mut stamps, NOW);
    assert!(talked.early_tests_are_done());
    assert_eq!(stamps, Stamps::UNKNOWN, "a failure is not undone by a score");
}
