//! Tests of the header's treatment, in one file of their own.

use std::time::{Duration, UNIX_EPOCH};

use config::{HostFacts, MainCf, Settings};
use tables::Tables;

use super::super::checks::About;
use super::*;

fn rules(main_cf: &str) -> HeaderRules {
    let text = format!(
        "myhostname = mx.example.test\nmydomain = example.test\nmyorigin = example.test\ncompatibility_level = 3.6\n{main_cf}"
    );
    let main = MainCf::parse("main.cf", text.as_bytes()).unwrap();
    let settings = Settings::load(&main, &[], &HostFacts::default()).unwrap();
    let routing = Routing::new(&settings, &Tables::silent(), &HostFacts::default());
    HeaderRules {
        detects_eight_bit: true,
        missing_end: MissingEnd::FixQuietly,
        routing: Arc::new(routing),
        log: Log::new(Arc::new(maillog::Sink::discard()), "postfix", "cleanup"),
        checks: Checks::open(&settings, &Tables::silent()),
        hostname: "mx.example.test".into(),
        mail_name: "Postfix".into(),
        drop: vec!["bcc".into(), "Return-Path".into()],
        size_limit: 100,
        token_limit: 1000,
        hop_limit: 2,
        always_add_missing: false,
        undisclosed: String::new(),
        rewrite_remote: false,
        obsolete_from: false,
        tls_required: true,
        require_tls_header: true,
        full_name_charset: "utf-8".into(),
    }
}

/// Passes a message in pieces of `piece` bytes.
async fn passed(rules: HeaderRules, context: Context, message: &[u8], piece: usize) -> (String, HeaderPass) {
    let mut pass = {
        let overrides = Overrides {
            checks: true,
            mappings: true,
            milters: true,
            content_filter: String::new(),
            detects_utf8: false,
        };
        HeaderPass::new(Arc::new(rules), context, &overrides)
    };
    let id = QueueId::parse("ABCDEF12").unwrap();
    let sender = Address::internal("user@example.test").unwrap();
    let arrival = UNIX_EPOCH + Duration::from_secs(1_795_365_467);
    let missing = Missing { id: &id, sender: &sender, full_name: Some("A. User"), arrival };
    let mut checking =
        Checking::new(About { origin: "local".into(), recipient: None, protocol: None, helo: None }, true);
    let mut out = Vec::new();
    for piece in message.chunks(piece) {
        let mut input = piece.to_vec();
        pass.pass(&mut input, &mut out, &mut checking, &missing).await.unwrap();
        // The body.
        out.append(&mut input);
    }
    pass.finish(&mut out, &mut checking, &missing).await.unwrap();
    (String::from_utf8(out).unwrap(), pass)
}

#[tokio::test]
async fn fields_of_others_stay_as_they_are() {
    let long = format!("X-Long: {}\n", "x".repeat(500));
    let cut = format!("X-Long: {}\n", "x".repeat(92));
    for (message, expected) in [
        ("A: b\n\nbody\n", "A: b\n\nbody\n"),
        ("A: b\n\tc\nBcc: secret\n more\nD: e\n\nBcc: body\n", "A: b\n\tc\nD: e\n\nBcc: body\n"),
        ("no header\nat all\n", "\nno header\nat all\n"),
        ("A: b\nno header\n", "A: b\n\nno header\n"),
        (" begins with a blank\n", "\n begins with a blank\n"),
        ("From x@y Sat Nov 1\nA: b\n\nz\n", "X-Mailbox-Line: From x@y Sat Nov 1\nA: b\n\nz\n"),
        (">From x@y Sat\n\nFrom z\n", "X-Mailbox-Line: >From x@y Sat\n\nFrom z\n"),
        ("A: b\n", "A: b\n"),
        ("A : spaced\nB:\n\n", "A: spaced\nB:\n\n"),
        ("A: b", "A: b\n"),
        ("", ""),
        ("\n", "\n"),
        (&format!("{long}B: c\n\n{long}"), &format!("{cut}B: c\n\n{long}")),
        (&"w".repeat(500), &format!("\n{}", "w".repeat(500))),
        ("From: a b <c>\n\n", "From: a b <c>\n\n"),
    ] {
        for piece in [1, 7, 10_000] {
            let (found, _) = passed(rules(""), Context::Remote, message.as_bytes(), piece).await;
            assert_eq!(found, expected, "in pieces of {piece}");
        }
    }
}

#[tokio::test]
async fn missing_fields_are_added_to_our_own_mail() {
    let (found, pass) = passed(rules(""), Context::Local, b"Subject: x\n\nbody\n", 5).await;
    let date = date::rfc5322(UNIX_EPOCH + Duration::from_secs(1_795_365_467));
    let expected = format!(
        "Subject: x\nMessage-Id: <20261122163747.ABCDEF12@mx.example.test>\nDate: {date}\n\
         From: \"A. User\" <user@example.test>\n\nbody\n"
    );
    assert_eq!(found, expected);
    assert_eq!(pass.message_ids(), [Some("<20261122163747.ABCDEF12@mx.example.test>"), None]);
    let complete = "Message-ID: <a@b>\nDate: x\nFrom: c@d.test\nTo: e@f.test\n\n";
    let (found, pass) = passed(rules(""), Context::Local, complete.as_bytes(), 100).await;
    assert_eq!((found.as_str(), pass.message_ids()), (complete, [Some("<a@b>"), None]));
}

#[tokio::test]
async fn addresses_of_our_own_mail_are_completed_and_mapped() {
    let rules = rules("canonical_maps = inline:{user=first.last@example.test}\n");
    let message = b"From: A User <user>\nTo: other@x.test, friend\nMessage-Id: <1@a>\nDate: d\n\n";
    let (found, _) = passed(rules, Context::Local, message, 9).await;
    assert_eq!(
        found,
        "From: A User <first.last@example.test>\nTo: other@x.test, friend@example.test\nMessage-Id: <1@a>\nDate: d\n\n"
    );
}

#[tokio::test]
async fn hops_are_counted_in_the_header_only() {
    for (message, circles) in
        [("Received: a\n\nReceived: b\n", false), ("Received: a\nX: y\nreceived: b\n\n", true)]
    {
        let (_, pass) = passed(rules(""), Context::Remote, message.as_bytes(), 4).await;
        assert_eq!(pass.too_many_hops(), circles, "{message}");
    }
}

#[tokio::test]
async fn what_the_header_says_about_tls() {
    for (main_cf, message, expected) in [
        ("", "TLS-Required: no\n\n", (false, true)),
        ("", "tls-required:  NO \n\n", (false, true)),
        ("", "TLS-Required: yes\n\n", (false, false)),
        ("", "Subject: x\n\nTLS-Required: no\n", (false, false)),
        ("", "Require-TLS-ESMTP: yes\n\n", (true, false)),
        ("", "Require-TLS-ESMTP: no\n\n", (false, false)),
        ("off", "TLS-Required: no\nRequire-TLS-ESMTP: yes\n\n", (false, false)),
    ] {
        let on = main_cf.is_empty();
        let rules = HeaderRules { tls_required: on, require_tls_header: on, ..rules("") };
        let (text, pass) = passed(rules, Context::Remote, message.as_bytes(), 7).await;
        assert_eq!(pass.tls_wishes(), expected, "{message}");
        assert!(text.contains(message.trim_end()), "{text}");
    }
    let message = "Require-TLS-ESMTP: yes\nSubject: x\nRequire-TLS-ESMTP: yes\n\n";
    let (text, _) = passed(rules(""), Context::Remote, message.as_bytes(), 7).await;
    assert_eq!(text.matches("Require-TLS-ESMTP").count(), 1, "{text}");
}
