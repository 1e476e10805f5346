//! The decision as a table, and what holds for every input.

use super::*;
use ClientLevel::{Dane, DaneOnly, Encrypt, Fingerprint, HalfDane, May, None as NoTls, Secure, Verify};

const LEVELS: [ClientLevel; 8] = [NoTls, May, Encrypt, Fingerprint, Dane, DaneOnly, Verify, Secure];

fn wish(level: ClientLevel) -> Wish {
    Wish {
        level,
        names: vec!["nexthop".into(), "dot-nexthop".into(), "hostname".into()],
        fingerprints: vec!["AA".into()],
        server_name: None,
        opportunistic: Terms { ciphers: "medium".into(), ..Terms::default() },
        mandatory: Terms { ciphers: "high".into(), ..Terms::default() },
        anchors: vec!["/anchors".into()],
        wrapper: false,
        reuse: false,
        insecure_mx: InsecureMx::Dane,
        digests: Digests::parse("sha512 sha256").unwrap(),
        sts: None,
    }
}

fn record(usage: u8) -> TlsaRecord {
    TlsaRecord { usage, selector: 1, matching_type: 1, data: vec![1; 32] }
}

fn found(usage: u8) -> Tlsa {
    Tlsa::Found { base: "mx.test".into(), records: vec![record(usage)] }
}

fn mx(secure: bool) -> Mx {
    Mx::Found { secure, name: "example.test".into() }
}

fn facts(mx: Mx, tlsa: Tlsa) -> Facts {
    Facts { next_hop: "example.test".into(), host: "mx.test".into(), mx, tlsa, sts: None }
}

#[test]
fn what_the_dns_knows_decides_for_dane() {
    let dane = |why: &str| Err(Unmet::Dane(why.into()));
    let policies = [InsecureMx::May, InsecureMx::Encrypt, InsecureMx::Dane];
    for (mx_is, tlsa, at_dane, at_dane_only) in [
        (mx(true), found(3), [Dane; 3], Ok(DaneOnly)),
        (Mx::None, found(2), [Dane; 3], Ok(DaneOnly)),
        (mx(true), found(1), [Encrypt; 3], dane("TLSA records unusable")),
        (mx(true), Tlsa::Absent, [May; 3], dane("no TLSA records found")),
        (mx(false), Tlsa::Absent, [May; 3], dane("non DNSSEC destination")),
        (mx(false), found(3), [May, Encrypt, HalfDane], dane("non DNSSEC destination")),
        (mx(false), found(0), [May, Encrypt, Encrypt], dane("non DNSSEC destination")),
    ] {
        let facts = facts(mx_is, tlsa);
        for (policy, expected) in policies.into_iter().zip(at_dane) {
            let wish = Wish { insecure_mx: policy, ..wish(Dane) };
            let level = decide(&wish, &facts, Needs::default()).map(|plan| plan.level());
            assert_eq!(level, Ok(expected), "{facts:?} {policy:?}");
        }
        let level = decide(&wish(DaneOnly), &facts, Needs::default()).map(|plan| plan.level());
        assert_eq!(level, at_dane_only, "{facts:?}");
    }
    for level in [Dane, DaneOnly] {
        let failed = facts(mx(true), Tlsa::Failed("mx.test:25".into()));
        let error = decide(&wish(level), &failed, Needs::default()).unwrap_err();
        assert_eq!(
            (error.text("h"), error.status()),
            ("TLSA lookup error for mx.test:25".into(), Status::new(4, 7, 5))
        );
        let impossible = facts(mx(true), Tlsa::Impossible("configured with dnssec lookups disabled".into()));
        let error = decide(&wish(level), &impossible, Needs::default()).unwrap_err();
        assert!(error.warning().unwrap().contains("with dnssec lookups disabled"), "{error:?}");
    }
}

#[test]
fn names_and_server_names() {
    let at = |wish: &Wish, facts: &Facts| decide(wish, facts, Needs::default()).unwrap();
    let plain = facts(mx(true), Tlsa::NotAsked);
    assert_eq!(at(&wish(Secure), &plain).names(), ["example.test", ".example.test", "mx.test"]);
    let literal =
        Facts { next_hop: "192.0.2.1".into(), host: "192.0.2.1".into(), ..facts(Mx::None, Tlsa::NotAsked) };
    assert_eq!(at(&wish(Secure), &literal).names(), ["192.0.2.1"]);
    let plan = at(&wish(Dane), &facts(Mx::Found { secure: true, name: "cname.test".into() }, found(2)));
    assert_eq!(plan.names(), ["example.test", "cname.test"]);
    assert_eq!(plan.server_name(), Some("mx.test"));
    for (word, level, expected) in [
        ("hostname", May, Ok(Some("mx.test"))),
        ("nexthop", Secure, Ok(Some("example.test"))),
        ("sni.test", Encrypt, Ok(Some("sni.test"))),
        ("sni.test", NoTls, Ok(None)),
        ("a..b", May, Err(())),
        ("192.0.2.1", May, Err(())),
    ] {
        let wish = Wish { server_name: Some(word.into()), ..wish(level) };
        let plan = decide(&wish, &plain, Needs::default());
        assert_eq!(plan.as_ref().map(|plan| plan.server_name()).map_err(|_| ()), expected, "{word}");
    }
    let nexthop = |wish| Wish { server_name: Some("nexthop".into()), ..wish };
    assert_eq!(at(&nexthop(wish(May)), &literal).server_name(), None);
    let beyond = Facts { next_hop: "bücher.test".into(), ..plain };
    let plan = at(&nexthop(wish(Secure)), &beyond);
    assert_eq!(plan.names(), ["xn--bcher-kva.test", ".xn--bcher-kva.test", "mx.test"]);
    assert_eq!(plan.server_name(), Some("xn--bcher-kva.test"));
    let patterns = ["Bücher.test", ".grün.test", "xn--a.test", "\u{200d}"].map(str::to_owned).to_vec();
    let plan = at(&Wish { names: patterns, ..wish(Verify) }, &beyond);
    assert_eq!(plan.names(), ["xn--bcher-kva.test", ".xn--grn-ioa.test", "xn--a.test", "\u{200d}"]);
}

#[test]
fn sts_names_the_exchangers() {
    let sts = |patterns: &[&str], enforced| Sts {
        domain: "example.test".into(),
        mx_host_patterns: patterns.iter().map(|pattern| pattern.to_string()).collect(),
        enforced,
        ..Sts::default()
    };
    for (host, patterns, enforced, expected) in [
        ("mx.test", &["MX.test"][..], true, true),
        ("a.mx.test", &["mx.test", "*.mx.test"], true, true),
        ("b.a.mx.test", &["*.mx.test"], true, false),
        ("mx.test", &["*.mx.test"], true, false),
        ("other.test", &["mx.test"], true, false),
        ("other.test", &["mx.test"], false, true),
        ("other.test", &[], true, true),
    ] {
        let wish = Wish { sts: Some(sts(patterns, enforced)), ..wish(Secure) };
        let facts = Facts { host: host.into(), ..facts(mx(true), Tlsa::NotAsked) };
        assert_eq!(decide(&wish, &facts, Needs::default()).is_ok(), expected, "{host} {patterns:?}");
    }
}

fn published(mode: &str, mx: &str) -> Option<Arc<sts::Policy>> {
    let text = format!("version: STSv1\nmode: {mode}\nmx: {mx}\nmax_age: 1\n");
    Some(Arc::new(sts::Policy::parse(text.as_bytes()).unwrap()))
}

/// RFC 8461 section 2: what a domain publishes adds to opportunistic levels, and never takes from DANE or from the administrator.
#[test]
fn a_published_policy_adds_what_it_may() {
    let enforced = Some(StsPlan::Enforced);
    let testing = |allowed| Some(StsPlan::Testing { host: "mx.test".into(), allowed });
    for (level, mx_is, tlsa, mode, pattern, expected) in [
        (May, mx(false), Tlsa::NotAsked, "enforce", "mx.test", Ok((Secure, enforced.clone()))),
        (Encrypt, mx(false), Tlsa::NotAsked, "enforce", "*.test", Ok((Secure, enforced.clone()))),
        (May, mx(false), Tlsa::NotAsked, "enforce", "other.test", Err(())),
        (May, mx(false), Tlsa::NotAsked, "testing", "mx.test", Ok((May, testing(true)))),
        (May, mx(false), Tlsa::NotAsked, "testing", "other.test", Ok((May, testing(false)))),
        (Encrypt, mx(false), Tlsa::NotAsked, "testing", "mx.test", Ok((Encrypt, testing(true)))),
        (May, mx(false), Tlsa::NotAsked, "none", "mx.test", Ok((May, None))),
        (Dane, mx(true), found(3), "enforce", "other.test", Ok((Dane, None))),
        (Dane, mx(true), Tlsa::Absent, "enforce", "mx.test", Ok((Secure, enforced.clone()))),
        (Dane, mx(true), found(0), "enforce", "mx.test", Ok((Secure, enforced.clone()))),
        (Dane, mx(false), found(3), "enforce", "mx.test", Ok((Secure, enforced.clone()))),
        (Dane, mx(false), found(3), "testing", "mx.test", Ok((HalfDane, None))),
        (Dane, mx(true), Tlsa::Failed("x".into()), "enforce", "mx.test", Err(())),
        (DaneOnly, mx(true), found(3), "enforce", "other.test", Ok((DaneOnly, None))),
        (NoTls, mx(false), Tlsa::NotAsked, "enforce", "mx.test", Ok((NoTls, None))),
        (Fingerprint, mx(false), Tlsa::NotAsked, "enforce", "other.test", Ok((Fingerprint, None))),
        (Verify, mx(false), Tlsa::NotAsked, "enforce", "other.test", Ok((Verify, None))),
        (Secure, mx(false), Tlsa::NotAsked, "testing", "other.test", Ok((Secure, None))),
    ] {
        let facts = Facts { sts: published(mode, pattern), ..facts(mx_is, tlsa) };
        let plan = decide(&wish(level), &facts, Needs::default());
        let context = format!("{level:?} {facts:?} {plan:?}");
        let found = plan.as_ref().map(|plan| (plan.level(), plan.sts().cloned())).map_err(|_| ());
        assert_eq!(found, expected, "{context}");
        if let Some(plan) = plan.as_ref().ok().filter(|plan| plan.sts() == Some(&StsPlan::Enforced)) {
            assert_eq!((plan.names(), plan.server_name()), (&["mx.test".to_owned()][..], Some("mx.test")));
            assert!(plan.anchors().is_empty() && plan.tlsa().is_none(), "{context}");
        }
        let relaxed = decide(&wish(level), &facts, Needs { tls_optional: true, ..Needs::default() }).unwrap();
        assert_eq!((relaxed.level(), relaxed.sts()), (level.min(May), None), "{context}");
    }
    let plugin = Wish { sts: Some(Sts::default()), ..wish(May) };
    let facts = Facts { sts: published("enforce", "other.test"), ..facts(mx(false), Tlsa::NotAsked) };
    assert_eq!(decide(&plugin, &facts, Needs::default()).unwrap().sts(), None);
}

#[test]
fn a_level_without_anything_to_match_is_a_mistake() {
    let plain = facts(mx(true), Tlsa::NotAsked);
    for level in [Fingerprint, Verify, Secure] {
        let wish = Wish { names: Vec::new(), fingerprints: Vec::new(), ..wish(level) };
        assert!(matches!(decide(&wish, &plain, Needs::default()), Err(Unmet::Configuration(_))), "{level:?}");
    }
}

#[test]
fn the_way_on_follows_the_offer() {
    let plain = facts(mx(true), Tlsa::NotAsked);
    for level in [NoTls, May, Encrypt, Fingerprint, Verify, Secure] {
        let plan = decide(&wish(level), &plain, Needs::default()).unwrap();
        for (starttls, local_socket) in [(false, false), (false, true), (true, false), (true, true)] {
            let expected = match level {
                NoTls => Ok(Way::Plaintext),
                May if starttls && !local_socket => Ok(Way::Tls),
                May => Ok(Way::Plaintext),
                _ if starttls => Ok(Way::Tls),
                _ => Err(Unmet::NotOffered),
            };
            assert_eq!(plan.way(Offer { starttls, local_socket }), expected, "{level:?}");
        }
        let admitted = plan.admit_plaintext();
        let feature = admitted.as_ref().map(|admitted| admitted.feature());
        match level {
            NoTls => assert_eq!(feature, Ok("none")),
            May => assert_eq!(feature, Ok("may:none")),
            _ => assert_eq!(feature, Err(&Unmet::NotOffered)),
        }
        assert_eq!(plan.in_the_clear().is_some(), level == May);
    }
}

/// RFC 8689 sections 4.2.1 and 5.
#[test]
fn what_a_message_asks_for() {
    use RequireTls::{Enforce, No, Opportunistic, OpportunisticStartTls};
    for (level, mx_is, tlsa, require_tls, tls_optional, expected) in [
        (May, mx(false), Tlsa::NotAsked, Opportunistic, false, Ok(May)),
        (May, mx(false), Tlsa::NotAsked, OpportunisticStartTls, false, Ok(Encrypt)),
        (May, mx(false), Tlsa::NotAsked, Enforce, false, Err(Unmet::RequireTls(May))),
        (Encrypt, mx(false), Tlsa::NotAsked, Enforce, true, Err(Unmet::RequireTls(Encrypt))),
        (NoTls, mx(false), Tlsa::NotAsked, Enforce, false, Err(Unmet::RequireTls(NoTls))),
        (NoTls, mx(false), Tlsa::NotAsked, OpportunisticStartTls, false, Ok(Encrypt)),
        (Secure, mx(false), Tlsa::NotAsked, Enforce, false, Ok(Secure)),
        (Secure, mx(false), Tlsa::NotAsked, Enforce, true, Ok(Secure)),
        (Secure, mx(false), Tlsa::NotAsked, No, true, Ok(May)),
        (NoTls, mx(false), Tlsa::NotAsked, No, true, Ok(NoTls)),
        (Dane, mx(true), found(3), Enforce, false, Ok(Dane)),
        (Dane, mx(true), Tlsa::Absent, Enforce, false, Err(Unmet::RequireTls(May))),
        (Dane, mx(false), found(3), Enforce, false, Err(Unmet::RequireTls(HalfDane))),
    ] {
        let facts = facts(mx_is, tlsa);
        let level_of = |facts: &Facts| {
            decide(&wish(level), facts, Needs { require_tls, tls_optional }).map(|plan| plan.level())
        };
        assert_eq!(level_of(&facts), expected, "{level:?} {require_tls:?} {tls_optional} {facts:?}");
        // A domain that enforces MTA-STS has servers that can be authenticated.
        let published = Facts { sts: published("enforce", "mx.test"), ..facts };
        if let (Err(Unmet::RequireTls(level)), true) = (&expected, level >= May) {
            assert_eq!(level_of(&published), Ok(Secure), "{level:?}");
        }
    }
}

/// Every input there is: nothing makes a plan weaker than its wish but what RFC 7672 says of level dane, and `TLS-Required: no`.
#[test]
fn no_input_weakens_a_wish() {
    let answers = [
        Tlsa::NotAsked,
        Tlsa::Impossible("x".into()),
        Tlsa::Failed("x".into()),
        Tlsa::Absent,
        found(0),
        found(2),
        found(3),
    ];
    let mut seen = 0;
    for level in LEVELS {
        for insecure_mx in [InsecureMx::May, InsecureMx::Encrypt, InsecureMx::Dane] {
            for (mx_is, tlsa) in
                [Mx::None, mx(true), mx(false)].iter().flat_map(|mx| answers.iter().map(move |a| (mx, a)))
            {
                for bits in 0..16_usize {
                    use RequireTls::{Enforce, No, Opportunistic, OpportunisticStartTls};
                    let require_tls =
                        [No, Opportunistic, OpportunisticStartTls, Enforce][(bits & 1) | (bits >> 2) & 2];
                    let needs = Needs { require_tls, tls_optional: bits & 2 != 0 };
                    let wish = Wish { insecure_mx, wrapper: bits & 4 != 0, ..wish(level) };
                    let policies = [
                        published("enforce", "mx.test"),
                        published("testing", "x.test"),
                        published("none", "x"),
                    ];
                    let plain = facts(mx_is.clone(), tlsa.clone());
                    // What a domain publishes makes a level higher, or leaves it.
                    for sts in policies {
                        let with = decide(&wish, &Facts { sts, ..plain.clone() }, needs);
                        if let (Ok(with), Ok(without)) = (&with, decide(&wish, &plain, needs)) {
                            assert!(with.level() >= without.level(), "{wish:?} {plain:?} {needs:?} {with:?}");
                            let dane = |plan: &Plan| matches!(plan.level(), Dane | DaneOnly);
                            assert_eq!(dane(&without), dane(with), "DANE goes first");
                            let opportunistic = matches!(without.level(), May | Encrypt | HalfDane);
                            assert!(opportunistic || *with == without, "{with:?}");
                        }
                    }
                    let facts = plain;
                    let Ok(plan) = decide(&wish, &facts, needs) else { continue };
                    seen += 1;
                    let relaxed = needs.tls_optional && require_tls == No;
                    let usable = matches!(tlsa, Tlsa::Found { records, .. } if records[0].usage >= 2);
                    let least = match level {
                        level if relaxed => level.min(May),
                        Dane if usable && *mx_is != mx(false) => Dane,
                        Dane if *mx_is == mx(false) && usable && insecure_mx == InsecureMx::Dane => HalfDane,
                        Dane if matches!(tlsa, Tlsa::Found { .. })
                            && (*mx_is != mx(false) || insecure_mx != InsecureMx::May) =>
                        {
                            Encrypt
                        }
                        Dane => May,
                        level => level,
                    };
                    let context = format!("{wish:?} {facts:?} {needs:?} {plan:?}");
                    assert!(plan.level() >= least, "{context}");
                    assert!(require_tls < OpportunisticStartTls || plan.level() >= Encrypt, "{context}");
                    let sure = plan.level() >= Fingerprint && plan.level() != HalfDane;
                    assert!(require_tls < Enforce || sure, "{context}");
                    assert_eq!(plan.require_tls(), require_tls);
                    assert!(!wish.wrapper || plan.level() >= Encrypt, "{context}");
                    assert_eq!(plan.admit_plaintext().is_err(), plan.level() >= Encrypt, "{context}");
                    assert_eq!(
                        plan.tlsa().is_some(),
                        matches!(plan.level(), HalfDane | Dane | DaneOnly),
                        "{context}"
                    );
                    let strict = plan.terms().ciphers == "high";
                    assert_eq!(strict, plan.level() >= Encrypt, "{context}");
                    let anchors = matches!(plan.level(), Verify | Secure);
                    assert_eq!(!plan.anchors().is_empty(), anchors, "{context}");
                }
            }
        }
    }
    assert!(seen > 500, "{seen}");
}
