//! Restrictions that ask others: login maps, DNS lists, hosts behind names, policy services.

use std::sync::Arc;

use dns::Resolver;
use mail::client::SaslFacts;
use mail::{Address, ClientFacts};
use testkit::name_server::NameServer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::tests::{open_with, said, stranger};
use crate::{Asked, Decision};

const ZONES: &str = "\
7.100.51.198.bl.test 300 A 127.0.0.4
7.100.51.198.bl.test 300 TXT see $http://bl.test
7.100.51.198.broken.test SERVFAIL
7.100.51.198.wl.test 300 A 127.0.0.1
mail.client.test.names.test 300 A 127.0.0.1
x.test.names.test 300 A 127.0.0.1
x.test 300 MX 10 mx.x.test
mx.x.test 300 A 192.0.2.77
alone.test 300 A 192.0.2.78
ours.test 300 MX 10 mx.ours.test
ours.test 300 MX 20 mx.example.test
mx.ours.test 300 A 192.0.2.79
mx.example.test 300 A 127.0.0.1
slow.test SERVFAIL
";

async fn rcpt(names: &NameServer, main_cf: &str, client: &ClientFacts, sender: &str) -> Decision {
    rcpt_to(names, main_cf, client, sender, "user@example.test").await
}

async fn rcpt_to(
    names: &NameServer,
    main_cf: &str,
    client: &ClientFacts,
    sender: &str,
    recipient: &str,
) -> Decision {
    let (access, warnings) = open_with(main_cf, Resolver::with_servers(vec![names.address])).unwrap();
    assert_eq!(warnings, [""; 0], "{main_cf}");
    let (sender, recipient) = (Address::internal(sender).unwrap(), Address::internal(recipient).unwrap());
    let asked =
        Asked { sender: Some(&sender), recipient: Some(&recipient), stage: "RCPT", ..Asked::of(client) };
    access.rcpt(&asked).await
}

#[tokio::test]
async fn dns_lists() {
    let names = NameServer::start(ZONES);
    let blocked = "554 5.7.1 Service unavailable; Client host [198.51.100.7] blocked using bl.test; see $http://bl.test";
    for (restrictions, expected) in [
        ("reject_rbl_client bl.test", blocked),
        ("reject_rbl_client bl.test=127.0.0.[2..4]", blocked),
        ("reject_rbl_client bl.test=127.0.0.[5..9]", ""),
        ("reject_maps_rbl\nmaps_rbl_domains = other.test, bl.test", blocked),
        ("reject_maps_rbl", ""),
        ("reject_rbl_client other.test", ""),
        ("reject_rbl_client broken.test", ""),
        ("permit_dnswl_client wl.test, reject_rbl_client bl.test", ""),
        (
            "permit_dnswl_client broken.test, reject_rbl_client bl.test",
            "450 4.7.1 <mail.client.test[198.51.100.7]>: Client host rejected: Host or domain name not found. Name service error for \
             name=7.100.51.198.broken.test type=A: Host not found, try again",
        ),
        (
            "reject_rhsbl_client names.test",
            "554 5.7.1 Service unavailable; Client host [mail.client.test] blocked using names.test",
        ),
        (
            "reject_rhsbl_sender names.test",
            "554 5.7.1 Service unavailable; Sender address [s@x.test] blocked using names.test",
        ),
        ("reject_rhsbl_recipient names.test", ""),
        ("permit_rhswl_client names.test, reject", ""),
        ("reject_rbl_client bl.test\nrbl_reply_maps = inline:{ {bl.test = 521 4.7.1 No} }", "521 5.7.1 No"),
        ("reject_rbl_client bl.test\ndefault_rbl_reply = hello", "451 4.3.5 Server configuration error"),
    ] {
        let main_cf = format!("smtpd_client_restrictions = {restrictions}");
        let decision = rcpt(&names, &main_cf, &stranger(), "s@x.test").await;
        assert_eq!(said(&decision), expected, "{restrictions}");
    }
}

#[tokio::test]
async fn a_list_of_good_clients_does_not_open_the_relay() {
    let names = NameServer::start(ZONES);
    let main_cf = "smtpd_relay_restrictions = permit_dnswl_client wl.test, reject_unauth_destination";
    let decision = rcpt_to(&names, main_cf, &stranger(), "s@x.test", "a@other.test").await;
    assert_eq!(said(&decision), "554 5.7.1 <a@other.test>: Relay access denied");
}

#[tokio::test]
async fn backup_servers() {
    let names = NameServer::start(ZONES);
    let denied = |address: &str| format!("554 5.7.1 <{address}>: Relay access denied");
    for (networks, recipient, expected) in [
        ("", "a@ours.test", String::new()),
        ("192.0.2.0/24", "a@ours.test", String::new()),
        ("198.51.100.0/24", "a@ours.test", denied("a@ours.test")),
        ("", "a@x.test", denied("a@x.test")),
        ("", "a@alone.test", denied("a@alone.test")),
        ("", "user@example.test", String::new()),
        ("", "a@[192.0.2.79]", denied("a@[192.0.2.79]")),
        ("", "a@x.test@ours.test", denied("a@x.test@ours.test")),
        (
            "",
            "a@slow.test",
            "450 4.4.4 <a@slow.test>: Recipient address rejected: Unable to look up mail exchanger information: Host not found, try again".into(),
        ),
    ] {
        let main_cf = format!(
            "smtpd_relay_restrictions = permit_mx_backup, reject_unauth_destination\npermit_mx_backup_networks = {networks}"
        );
        let decision = rcpt_to(&names, &main_cf, &stranger(), "s@x.test", recipient).await;
        assert_eq!(said(&decision), expected, "{networks} {recipient}");
    }
}

#[tokio::test]
async fn hosts_behind_names() {
    let names = NameServer::start(ZONES);
    for (restriction, table, sender, expected) in [
        (
            "check_sender_mx_access",
            "{192.0.2 = REJECT bad exchanger}",
            "s@x.test",
            "554 5.7.1 <s@x.test>: Sender address rejected: bad exchanger",
        ),
        (
            "check_sender_mx_access",
            "{mx.x.test = 550 5.7.9 no}",
            "s@x.test",
            "550 5.7.9 <s@x.test>: Sender address rejected: no",
        ),
        // Without a mail exchanger the domain is its own.
        (
            "check_sender_mx_access",
            "{192.0.2.78 = REJECT}",
            "s@alone.test",
            "554 5.7.1 <s@alone.test>: Sender address rejected: Access denied",
        ),
        ("check_sender_mx_access", "{192.0.2.77 = OK}", "s@x.test", "451 4.3.5 Server configuration error"),
        ("check_sender_mx_access", "{192.0.2.77 = DUNNO}", "s@x.test", ""),
        (
            "check_sender_a_access",
            "{192.0.2.78 = REJECT}",
            "s@alone.test",
            "554 5.7.1 <s@alone.test>: Sender address rejected: Access denied",
        ),
        ("check_sender_a_access", "{192.0.2.77 = REJECT}", "s@x.test", ""),
        (
            "check_sender_mx_access",
            "{10.1.1.1 = REJECT}",
            "s@[10.1.1.1]",
            "554 5.7.1 <s@[10.1.1.1]>: Sender address rejected: Access denied",
        ),
    ] {
        let main_cf = format!("smtpd_sender_restrictions = {restriction} inline:{{{table}}}");
        let decision = rcpt(&names, &main_cf, &stranger(), sender).await;
        assert_eq!(said(&decision), expected, "{main_cf}");
    }
}

#[tokio::test]
async fn who_owns_a_sender_address() {
    let names = NameServer::start("");
    let maps = "smtpd_sender_login_maps = inline:{ {boss@example.test = boss, Deputy} {@ours.test = me} }";
    let not_owned = "553 5.7.1 <boss@example.test>: Sender address rejected: not owned by user me";
    let not_logged_in = "553 5.7.1 <boss@example.test>: Sender address rejected: not logged in";
    for (restriction, user, sender, expected) in [
        ("reject_sender_login_mismatch", Some("me"), "boss@example.test", not_owned),
        ("reject_sender_login_mismatch", Some("deputy"), "boss@example.test", ""),
        ("reject_sender_login_mismatch", None, "boss@example.test", not_logged_in),
        ("reject_sender_login_mismatch", None, "s@x.test", ""),
        ("reject_sender_login_mismatch", Some("me"), "", ""),
        ("reject_sender_login_mismatch", Some("me"), "any+thing@ours.test", ""),
        (
            "reject_sender_login_mismatch",
            Some("me"),
            "s@x.test",
            "553 5.7.1 <s@x.test>: Sender address rejected: not owned by user me",
        ),
        ("reject_known_sender_login_mismatch", Some("me"), "s@x.test", ""),
        ("reject_known_sender_login_mismatch", Some("me"), "boss@example.test", not_owned),
        ("reject_known_sender_login_mismatch", None, "boss@example.test", not_logged_in),
        ("reject_authenticated_sender_login_mismatch", None, "boss@example.test", ""),
        ("reject_authenticated_sender_login_mismatch", Some("me"), "boss@example.test", not_owned),
        ("reject_unauthenticated_sender_login_mismatch", Some("me"), "boss@example.test", ""),
        ("reject_unauthenticated_sender_login_mismatch", None, "boss@example.test", not_logged_in),
    ] {
        let sasl = user.map(|user| SaslFacts { method: "PLAIN".into(), username: user.into(), sender: None });
        let client = ClientFacts { sasl, ..stranger() };
        let main_cf = format!("{maps}\nsmtpd_sender_restrictions = {restriction}");
        let decision = rcpt(&names, &main_cf, &client, sender).await;
        assert_eq!(said(&decision), expected, "{restriction} {user:?} {sender}");
    }
    let broken = "smtpd_sender_login_maps = fail:x\nsmtpd_sender_restrictions = reject_sender_login_mismatch";
    let decision = rcpt(&names, broken, &stranger(), "s@x.test").await;
    assert_eq!(said(&decision), "451 4.3.0 <s@x.test>: Temporary lookup failure");
}

#[tokio::test]
async fn what_the_session_knows() {
    let (access, _) = open_with(
        "smtpd_data_restrictions = reject_multi_recipient_bounce, reject_unauth_pipelining, sleep 0",
        Resolver::with_servers(Vec::new()),
    )
    .unwrap();
    let client = stranger();
    let (null, sender) = (Address::null(), Address::internal("s@x.test").unwrap());
    for (sender, recipient_count, pipelined, expected) in [
        (&null, 2, false, "550 5.5.3 <DATA>: Data command rejected: Multi-recipient bounce"),
        (&null, 1, false, ""),
        (&sender, 2, false, ""),
        (
            &sender,
            1,
            true,
            "503 5.5.0 <DATA>: Data command rejected: Improper use of SMTP command pipelining",
        ),
    ] {
        let asked =
            Asked { sender: Some(sender), recipient_count, pipelined, stage: "DATA", ..Asked::of(&client) };
        assert_eq!(said(&access.data(&asked).await), expected);
    }
}

/// A policy service that gives each connection one of the answers and closes it where that is empty; it tells what it was asked.
async fn policy_service(answers: &'static [&'static str]) -> (String, Arc<std::sync::Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("inet:{}", listener.local_addr().unwrap());
    let requests = Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = Arc::clone(&requests);
    tokio::spawn(async move {
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\n\n") {
                if stream.read_buf(&mut request).await.unwrap() == 0 {
                    break;
                }
            }
            seen.lock().unwrap().push(String::from_utf8(request).unwrap());
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (endpoint, requests)
}

#[tokio::test]
async fn policy_services() {
    let names = NameServer::start("");
    let problem = "451 4.3.5 <user@example.test>: Recipient address rejected: Server configuration problem";
    for (answers, settings, expected, asked) in [
        (&["action=dunno\n\n"][..], "", "", 1),
        (
            &["action=450 4.7.1 Greylisted\n\n"],
            "",
            "450 4.7.1 <user@example.test>: Recipient address rejected: Greylisted",
            1,
        ),
        (
            &["x=y\naction=REJECT\n\n"],
            "",
            "554 5.7.1 <user@example.test>: Recipient address rejected: Access denied",
            1,
        ),
        // Once more on a new connection.
        (&["", "action=OK\n\n"], "", "", 2),
        (&["garbage\n\n", "action=REJECT"], "", problem, 2),
        (&["\n\n"], ", try_limit=1", problem, 1),
        (&["x=y\n\n"], ", try_limit=1, default_action=DUNNO", "", 1),
    ] {
        let (endpoint, requests) = policy_service(answers).await;
        let main_cf = format!(
            "smtpd_policy_service_retry_delay = 1\nsmtpd_recipient_restrictions = check_policy_service {{ {endpoint}, \
             policy_context=here{settings} }}"
        );
        let decision = rcpt(&names, &main_cf, &stranger(), "s@x.test").await;
        assert_eq!(said(&decision), expected, "{answers:?}");
        let requests = requests.lock().unwrap();
        assert_eq!(requests.len(), asked, "{answers:?}");
        for line in [
            "request=smtpd_access_policy",
            "protocol_state=RCPT",
            "client_address=198.51.100.7",
            "sender=s@x.test",
            "recipient_count=0",
            "sasl_username=",
            "encryption_keysize=0",
            "policy_context=here",
        ] {
            assert!(requests[0].lines().any(|one| one == line), "{line}: {}", requests[0]);
        }
    }
}

#[tokio::test]
async fn what_a_filter_leaves_nothing_of_decides_nothing() {
    let names = NameServer::start(ZONES);
    let resolver = Resolver::with_servers(vec![names.address]);
    let of = |answer: Option<bool>| resolver.filtered(Arc::new(move |_| Box::pin(async move { answer })));
    let not_found = "450 4.1.8 <s@x.test>: Sender address rejected: Domain not found";
    for (restriction, dropped, undecided) in [
        ("reject_unknown_sender_domain", "", not_found),
        ("reject_unknown_helo_hostname", "", "450 4.7.1 <x.test>: Helo command rejected: Host not found"),
        ("check_sender_mx_access inline:{mx.x.test=REJECT}", "", ""),
        // Addresses are looked up as the system would.
        (
            "check_sender_a_access inline:{192.0.2.78=REJECT}",
            "554 5.7.1 <s@alone.test>: Sender address rejected: Access denied",
            "554 5.7.1 <s@alone.test>: Sender address rejected: Access denied",
        ),
        ("reject_rbl_client bl.test", "", ""),
        (
            "permit_mx_backup",
            "450 4.4.4 <a@ours.test>: Recipient address rejected: Unable to look up mail exchanger information: DNS reply filter policy",
            "450 4.4.4 <a@ours.test>: Recipient address rejected: Unable to look up mail exchanger information: Invalid DNS reply filter syntax",
        ),
    ] {
        for (answer, expected) in [(Some(false), dropped), (None, undecided)] {
            let sender = if restriction.contains("_a_access") { "s@alone.test" } else { "s@x.test" };
            let recipient =
                if restriction == "permit_mx_backup" { "a@ours.test" } else { "user@example.test" };
            let main_cf = format!("smtpd_relay_restrictions = {restriction}, reject_unauth_destination");
            let (access, _) = open_with(&main_cf, of(answer)).unwrap();
            let (sender, recipient) =
                (Address::internal(sender).unwrap(), Address::internal(recipient).unwrap());
            let client = ClientFacts { helo: Some("x.test".into()), ..stranger() };
            let asked = Asked {
                sender: Some(&sender),
                recipient: Some(&recipient),
                stage: "RCPT",
                ..Asked::of(&client)
            };
            assert_eq!(said(&access.rcpt(&asked).await), expected, "{restriction} {answer:?}");
        }
    }
}
