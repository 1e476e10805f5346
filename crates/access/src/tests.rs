//! Whole questions put to whole configurations: what the client hears, and what the log and the message get.

use std::sync::Arc;

use config::{HostFacts, MainCf, Settings};
use dns::Resolver;
use mail::tls_facts::{PeerCertificate, TlsFacts, Trust};
use mail::{Address, ClientFacts};
use route::Routing;
use tables::Tables;

use crate::verify::tests::Scripted;
use crate::{Access, Asked, Decision, Effect, Note, Verifier};

/// What every test's main.cf begins with: mail for example.test, relaying for relay.test, one known user.
const BASE: &str = "compatibility_level = 3.6\nmyhostname = mx.example.test\nmydomain = example.test\n\
    myorigin = example.test\nmydestination = example.test\nlocal_recipient_maps = inline:{user=x}\n\
    relay_domains = relay.test\nmynetworks = 192.0.2.0/24\ninet_interfaces = 127.0.0.1\nalias_maps =\n\
    smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination\n";

pub(crate) fn open(main_cf: &str) -> Result<(Access, Vec<String>), String> {
    // No name server at all: every question has a temporary failure.
    open_with(main_cf, Resolver::with_servers(Vec::new()))
}

pub(crate) fn open_with(main_cf: &str, resolver: Resolver) -> Result<(Access, Vec<String>), String> {
    open_all(main_cf, resolver, Arc::new(Scripted))
}

pub(crate) fn open_verifying(
    main_cf: &str,
    verifier: Arc<dyn Verifier>,
) -> Result<(Access, Vec<String>), String> {
    open_all(main_cf, Resolver::with_servers(Vec::new()), verifier)
}

fn open_all(
    main_cf: &str,
    resolver: Resolver,
    verifier: Arc<dyn Verifier>,
) -> Result<(Access, Vec<String>), String> {
    let main = MainCf::parse("main.cf", format!("{BASE}{main_cf}\n").as_bytes()).unwrap();
    let host = HostFacts::default();
    let settings = Settings::load(&main, &[], &host).unwrap();
    let routing = Arc::new(Routing::new(&settings, &Tables::silent(), &host));
    Access::open(&settings, &Tables::silent(), &host, routing, Arc::new(resolver), verifier)
}

pub(crate) fn stranger() -> ClientFacts {
    let mut client = ClientFacts::new(Some("198.51.100.7".parse().unwrap()), 1025, None);
    client.name = "mail.client.test".into();
    client.reverse_name = client.name.clone();
    client.helo = Some("mail.client.test".into());
    client.esmtp = true;
    client
}

async fn rcpt(main_cf: &str, client: &ClientFacts, sender: &str, recipient: &str) -> Decision {
    let (access, _) = open(main_cf).unwrap();
    let (sender, recipient) = (Address::internal(sender).unwrap(), Address::internal(recipient).unwrap());
    let asked = Asked { sender: Some(&sender), recipient: Some(&recipient), ..Asked::of(client) };
    access.rcpt(&asked).await
}

/// The refusal as text; empty for none.
pub(crate) fn said(decision: &Decision) -> String {
    decision.refusal.as_ref().map(ToString::to_string).unwrap_or_default()
}

#[tokio::test]
async fn relaying() {
    for (main_cf, sender, recipient, expected) in [
        ("", "s@x.test", "user@example.test", ""),
        ("", "s@x.test", "a@relay.test", ""),
        ("", "s@x.test", "a@sub.relay.test", ""),
        ("", "s@x.test", "a@other.test", "554 5.7.1 <a@other.test>: Relay access denied"),
        (
            "",
            "s@x.test",
            "a@other.test@relay.test",
            "554 5.7.1 <a@other.test@relay.test>: Relay access denied",
        ),
        (
            "smtpd_relay_restrictions = defer_unauth_destination",
            "s@x.test",
            "a@other.test",
            "454 4.7.1 <a@other.test>: Relay access denied",
        ),
        ("mynetworks = 198.51.100.7", "s@x.test", "a@other.test", ""),
        (
            "smtpd_relay_restrictions = permit_auth_destination, reject",
            "s@x.test",
            "a@other.test",
            "554 5.7.1 <a@other.test>: Recipient address rejected: Access denied",
        ),
        // A permit in one list does not skip the next.
        (
            "smtpd_client_restrictions = permit",
            "s@x.test",
            "a@other.test",
            "554 5.7.1 <a@other.test>: Relay access denied",
        ),
        // A table that fails is no permit.
        (
            "relay_domains = fail:x",
            "s@x.test",
            "a@other.test",
            "451 4.3.0 <a@other.test>: Temporary lookup failure",
        ),
        (
            "mynetworks = fail:x",
            "s@x.test",
            "a@other.test",
            "451 4.3.0 <a@other.test>: Temporary lookup failure",
        ),
    ] {
        let decision = rcpt(main_cf, &stranger(), sender, recipient).await;
        assert_eq!(said(&decision), expected, "{main_cf}: {recipient}");
    }
}

#[tokio::test]
async fn addresses() {
    for (restriction, sender, recipient, expected) in [
        (
            "reject_non_fqdn_sender",
            "s@host",
            "user@example.test",
            "504 5.5.2 <s@host>: Sender address rejected: need fully-qualified address",
        ),
        (
            "reject_non_fqdn_sender",
            "s",
            "user@example.test",
            "504 5.5.2 <s>: Sender address rejected: need fully-qualified address",
        ),
        ("reject_non_fqdn_sender", "", "user@example.test", ""),
        ("reject_non_fqdn_sender", "s@[192.0.2.1]", "user@example.test", ""),
        ("reject_non_fqdn_recipient", "s@x.test", "postmaster", ""),
        (
            "reject_non_fqdn_recipient",
            "s@x.test",
            "user",
            "504 5.5.2 <user>: Recipient address rejected: need fully-qualified address",
        ),
        (
            "reject_unknown_sender_domain",
            "s@x.test",
            "user@example.test",
            "450 4.1.8 <s@x.test>: Sender address rejected: Domain not found",
        ),
        ("reject_unknown_sender_domain", "user@example.test", "user@example.test", ""),
        // A temporary trouble does not hide a certain refusal.
        (
            "reject_unknown_sender_domain, reject",
            "s@x.test",
            "user@example.test",
            "554 5.7.1 <user@example.test>: Recipient address rejected: Access denied",
        ),
        (
            "permit",
            "s@x.test",
            "nobody@example.test",
            "550 5.1.1 <nobody@example.test>: Recipient address rejected: User unknown in local recipient table",
        ),
        (
            "reject_unlisted_sender",
            "nobody@example.test",
            "user@example.test",
            "550 5.1.0 <nobody@example.test>: Sender address rejected: User unknown in local recipient table",
        ),
    ] {
        let main_cf = format!("smtpd_recipient_restrictions = {restriction}");
        let decision = rcpt(&main_cf, &stranger(), sender, recipient).await;
        assert_eq!(said(&decision), expected, "{restriction}: {sender} {recipient}");
    }
}

#[tokio::test]
async fn clients_and_their_names() {
    let unknown = ClientFacts { name: "unknown".into(), reverse_name: "unknown".into(), ..stranger() };
    let helo = |name: &str| ClientFacts { helo: Some(name.into()), ..stranger() };
    for (restriction, client, expected) in [
        (
            "reject_unknown_client_hostname",
            unknown.clone(),
            "450 4.7.25 Client host rejected: cannot find your hostname, [198.51.100.7]",
        ),
        (
            "reject_unknown_reverse_client_hostname",
            unknown.clone(),
            "450 4.7.1 Client host rejected: cannot find your reverse hostname, [198.51.100.7]",
        ),
        ("reject_unknown_client_hostname", stranger(), ""),
        ("permit_mynetworks, reject_unknown_client", unknown.clone(), "450 4.7.25 Client host"),
        ("reject_invalid_helo_hostname", helo("a b"), "501 5.5.2 <a b>: Helo command rejected: Invalid name"),
        (
            "reject_invalid_helo_hostname",
            helo("[x]"),
            "501 5.5.2 <[x]>: Helo command rejected: invalid ip address",
        ),
        ("reject_invalid_helo_hostname", helo("[192.0.2.1]"), ""),
        ("reject_invalid_helo_hostname", helo("192.0.2.1"), ""),
        (
            "reject_non_fqdn_helo_hostname",
            helo("host"),
            "504 5.5.2 <host>: Helo command rejected: need fully-qualified hostname",
        ),
        ("reject_non_fqdn_helo_hostname", helo("192.0.2.1"), "504 5.5.2 "),
        ("reject_non_fqdn_helo_hostname", ClientFacts { helo: None, ..stranger() }, ""),
        (
            "reject_unknown_helo_hostname",
            helo("h.test"),
            "450 4.7.1 <h.test>: Helo command rejected: Host not found",
        ),
        ("reject_plaintext_session", stranger(), "450 4.7.1 Session encryption is required"),
        ("permit_sasl_authenticated, reject", stranger(), "554 5.7.1 "),
        ("permit_inet_interfaces, reject", stranger(), "554 5.7.1 "),
        ("defer", stranger(), "450 4.3.2 <user@example.test>: Recipient address rejected: Try again later"),
    ] {
        let main_cf = format!("smtpd_recipient_restrictions = {restriction}");
        let found = said(&rcpt(&main_cf, &client, "s@x.test", "user@example.test").await);
        assert!(
            found.starts_with(expected) && found.is_empty() == expected.is_empty(),
            "{restriction}: {found}"
        );
    }
}

#[tokio::test]
async fn certificates() {
    let certificate = PeerCertificate {
        subject_cn: "c".into(),
        issuer_cn: "i".into(),
        fingerprint: "AA:BB".into(),
        pubkey_fingerprint: "CC:DD".into(),
    };
    let tls = |trust| TlsFacts {
        protocol: "TLSv1.3".into(),
        cipher: "X".into(),
        used_bits: 256,
        algorithm_bits: 256,
        key_exchange: None,
        server_signature: None,
        client_signature: None,
        trust,
        peer: Some(certificate.clone()),
        untrusted_reason: None,
        asked_ccert: true,
        sni: None,
        resumed: false,
    };
    for (restriction, trust, maps, permitted) in [
        ("permit_tls_all_clientcerts", Trust::Trusted, "", true),
        ("permit_tls_all_clientcerts", Trust::Untrusted, "", false),
        ("permit_tls_clientcerts", Trust::Untrusted, "inline:{AA:BB=x}", true),
        ("permit_tls_clientcerts", Trust::Trusted, "inline:{CC:DD=x}", true),
        ("permit_tls_clientcerts", Trust::Trusted, "inline:{EE=x}", false),
        ("permit_tls_clientcerts", Trust::Trusted, "fail:x", false),
        ("permit_tls_all_clientcerts", Trust::Untrusted, "inline:{CC:DD=x}", true),
        ("check_ccert_access inline:{AA:BB=OK}", Trust::Untrusted, "", true),
        ("check_ccert_access inline:{AA:BB=DUNNO,CC:DD=OK}", Trust::Untrusted, "", true),
        ("check_ccert_access inline:{AA:BB=REJECT,CC:DD=OK}", Trust::Trusted, "", false),
        (
            "check_ccert_access { inline:{AA:BB=REJECT,CC:DD=OK}, { search_order = pubkey_fingerprint } }",
            Trust::Untrusted,
            "",
            true,
        ),
        (
            "check_ccert_access { inline:{AA:BB=OK}, { search_order = subject_cn } }",
            Trust::Trusted,
            "",
            false,
        ),
    ] {
        let client = ClientFacts { tls: Some(tls(trust)), ..stranger() };
        let main_cf = format!("smtpd_relay_restrictions = {restriction}, reject\nrelay_clientcerts = {maps}");
        let decision = rcpt(&main_cf, &client, "s@x.test", "user@example.test").await;
        assert_eq!(decision.refusal.is_none(), permitted, "{restriction} {maps} {trust:?}");
    }
}

#[tokio::test]
async fn replies_of_tables_are_about_what_was_looked_up() {
    for (restriction, expected) in [
        ("check_client_access inline:{198.51=REJECT}", "Client host rejected: Access denied"),
        ("check_helo_access inline:{mail.client.test=REJECT}", "Helo command rejected: Access denied"),
        ("check_sender_access inline:{x.test=REJECT}", "<s@x.test>: Sender address rejected: Access denied"),
        (
            "check_reverse_client_hostname_access inline:{client.test=REJECT}",
            "Unverified Client host rejected: Access denied",
        ),
    ] {
        let main_cf = format!("smtpd_recipient_restrictions = {restriction}");
        let said = said(&rcpt(&main_cf, &stranger(), "s@x.test", "user@example.test").await);
        assert!(said.ends_with(expected), "{restriction}: {said}");
    }
}

#[tokio::test]
async fn actions_of_tables() {
    let sender = "<s@x.test>: Sender address rejected: ";
    for (value, expected) in [
        ("OK", String::new()),
        ("ok", String::new()),
        ("12345", String::new()),
        ("DUNNO", String::new()),
        ("REJECT", format!("554 5.7.1 {sender}Access denied")),
        ("REJECT go away", format!("554 5.7.1 {sender}go away")),
        ("reject 5.1.0 go away", format!("554 5.1.0 {sender}go away")),
        ("DEFER", format!("450 4.7.1 {sender}Access denied")),
        ("DEFER_IF_PERMIT later", format!("450 4.7.1 {sender}later")),
        ("DEFER_IF_REJECT later", String::new()),
        ("521 5.3.2 busy", format!("521 5.3.2 {sender}busy")),
        ("450 5.1.0", format!("450 4.1.0 {sender}Access denied")),
        ("450", String::new()),
        ("299 text", "451 4.3.5 Server configuration error".into()),
        ("FILTER nowhere", String::new()),
        ("REDIRECT nobody", String::new()),
        ("PREPEND nothing", String::new()),
        ("reject_non_fqdn_sender, reject", format!("554 5.7.1 {sender}Access denied")),
        ("greylist", "450 4.3.2 <s@x.test>: Sender address rejected: Try again later".into()),
        ("check_sender_access inline:{a=b}", "451 4.3.5 Server configuration error".into()),
        ("nonsense", "451 4.3.5 Server configuration error".into()),
    ] {
        let main_cf = format!(
            "smtpd_restriction_classes = greylist\ngreylist = defer\n\
             smtpd_sender_restrictions = check_sender_access inline:{{ {{s@x.test = {value}}} }}"
        );
        let decision = rcpt(&main_cf, &stranger(), "s@x.test", "user@example.test").await;
        assert_eq!(said(&decision), expected, "{value}");
    }
}

#[tokio::test]
async fn keys_of_tables() {
    for (restriction, sender, found) in [
        ("check_client_access inline:{mail.client.test=REJECT}", "s@x.test", true),
        ("check_client_access inline:{client.test=REJECT}", "s@x.test", true),
        ("check_client_access inline:{198.51=REJECT}", "s@x.test", true),
        ("check_client_access inline:{198.5=REJECT}", "s@x.test", false),
        ("check_client_access inline:{client.test=DUNNO,198.51=REJECT}", "s@x.test", false),
        ("check_helo_access inline:{mail.client.test=REJECT}", "s@x.test", true),
        ("check_reverse_client_hostname_access inline:{client.test=REJECT}", "s@x.test", true),
        ("check_sender_access inline:{x.test=REJECT}", "s@sub.x.test", true),
        ("check_sender_access inline:{s@=REJECT}", "s@x.test", true),
        ("check_sender_access inline:{<>=REJECT}", "", true),
        ("check_sender_access regexp:{{/^s@/ REJECT}}", "s@x.test", true),
        ("check_recipient_access inline:{user@example.test=REJECT}", "s@x.test", true),
        // A bare table is the recipient's in this list.
        ("inline:{user@example.test=REJECT}", "s@x.test", true),
        ("inline:{s@x.test=REJECT}", "s@x.test", false),
        ("check_sender_access fail:x", "s@x.test", true),
    ] {
        let main_cf = format!("smtpd_recipient_restrictions = {restriction}");
        let decision = rcpt(&main_cf, &stranger(), sender, "user@example.test").await;
        assert_eq!(decision.refusal.is_some(), found, "{restriction}");
    }
}

#[tokio::test]
async fn effects_and_lines_of_the_log() {
    let main_cf = "smtpd_sender_restrictions = check_sender_access inline:{ {s@x.test = PREPEND X-A: b} }, \
        check_client_access inline:{client.test=HOLD}, warn_if_reject reject\n\
        smtpd_recipient_restrictions = check_recipient_access inline:{ {user@example.test = BCC c@x.test} }";
    let decision = rcpt(main_cf, &stranger(), "s@x.test", "user@example.test").await;
    assert_eq!(decision.refusal, None);
    let copy = Address::internal("c@x.test").unwrap();
    assert_eq!(decision.effects, [Effect::Prepend("X-A: b".into()), Effect::Hold, Effect::Bcc(copy)]);
    let words: Vec<_> = decision
        .notes
        .iter()
        .map(|note| match note {
            Note::Action { word, text } => format!("{word}: {text}"),
            Note::Warning(text) | Note::Info(text) => text.clone(),
        })
        .collect();
    assert_eq!(
        words,
        [
            "hold: <mail.client.test[198.51.100.7]>: Client host triggers HOLD action",
            "reject_warning: 554 5.7.1 <s@x.test>: Sender address rejected: Access denied",
            "bcc: <user@example.test>: Recipient address triggers BCC c@x.test",
        ]
    );
    let refused = rcpt(
        &format!("{main_cf}\nsmtpd_end_of_data_restrictions = reject"),
        &stranger(),
        "s@x.test",
        "a@other.test",
    )
    .await;
    assert!(refused.effects.is_empty(), "what is refused has no effects");
}

#[tokio::test]
async fn the_other_stages() {
    let main_cf = "smtpd_delay_reject = no\nsmtpd_client_restrictions = check_client_access inline:{198=REJECT}\n\
        smtpd_helo_restrictions = reject_non_fqdn_helo_hostname\nsmtpd_sender_restrictions = reject_non_fqdn_sender\n\
        smtpd_data_restrictions = reject\nsmtpd_end_of_data_restrictions = defer\n\
        smtpd_etrn_restrictions = check_etrn_access inline:{a.test=REJECT}\n\
        local_header_rewrite_clients = permit_mynetworks, inline:{198.51.100.7=x}";
    let (access, _) = open(main_cf).unwrap();
    let client = ClientFacts { helo: Some("host".into()), ..stranger() };
    let sender = Address::internal("s").unwrap();
    let asked = Asked { sender: Some(&sender), etrn_domain: Some("a.test"), ..Asked::of(&client) };
    for (decision, expected) in [
        (
            access.connect(&asked).await,
            "554 5.7.1 <mail.client.test[198.51.100.7]>: Client host rejected: Access denied",
        ),
        (access.helo(&asked).await, "504 5.5.2 <host>: Helo command rejected: need fully-qualified hostname"),
        (access.mail(&asked).await, "504 5.5.2 <s>: Sender address rejected: need fully-qualified address"),
        (access.data(&asked).await, "554 5.7.1 <DATA>: Data command rejected: Access denied"),
        (
            access.end_of_data(&asked).await,
            "450 4.3.2 <END-OF-MESSAGE>: End-of-data rejected: Try again later",
        ),
        (access.etrn(&asked).await, "554 5.7.1 <a.test>: Etrn command rejected: Access denied"),
    ] {
        assert_eq!(said(&decision), expected);
    }
    assert!(access.rewrites_headers_of(&asked).await.0);
    let (access, _) = open("").unwrap();
    assert!(!access.rewrites_headers_of(&asked).await.0);
    assert_eq!(access.connect(&asked).await, Decision::default(), "delayed to RCPT TO");
}

#[test]
fn what_can_be_seen_at_start() {
    for (main_cf, expected) in [
        ("smtpd_recipient_restrictions = permit, reject", "restriction `reject' after `permit' is ignored"),
        ("smtpd_client_restrictions = reject_rbl_client -x", "bad DNS list domain"),
        ("smtpd_client_restrictions = nonsense", "unknown smtpd restriction: \"nonsense\""),
        (
            "smtpd_client_restrictions = check_client_access",
            "restriction check_client_access: bad argument \"check_client_access\": need maptype:mapname",
        ),
        ("smtpd_client_restrictions = check_client_access x", "bad argument \"x\": need maptype:mapname"),
        ("smtpd_client_restrictions = warn_if_reject", "nothing follows warn_if_reject"),
    ] {
        let warnings = open(main_cf).unwrap().1;
        assert!(warnings.iter().any(|text| text.contains(expected)), "{main_cf}: {warnings:?}");
    }
    assert_eq!(open("").unwrap().1, [""; 0]);
}

#[test]
fn an_open_relay_does_not_start() {
    for (main_cf, starts) in [
        ("smtpd_relay_restrictions = permit_mynetworks", false),
        ("smtpd_relay_restrictions =", false),
        ("smtpd_relay_restrictions = warn_if_reject reject_unauth_destination", false),
        ("smtpd_relay_restrictions =\nsmtpd_recipient_restrictions = reject_unauth_destination", true),
        (
            "smtpd_relay_restrictions = ours\nsmtpd_restriction_classes = ours\nours = defer_unauth_destination",
            true,
        ),
        ("smtpd_relay_restrictions = DEFER", true),
    ] {
        let opened = open(main_cf);
        assert_eq!(opened.is_ok(), starts, "{main_cf}");
        if let Err(why) = opened {
            assert!(why.ends_with("reject, defer, defer_if_permit or check_relay_domains"), "{why}");
        }
    }
    let undefined = open("smtpd_restriction_classes = ours").err().unwrap();
    assert!(undefined.contains("`ours' needs a definition"), "{undefined}");
}
