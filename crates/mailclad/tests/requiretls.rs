//! REQUIRETLS and `TLS-Required: no` (RFC 8689), in and out.
#![allow(clippy::unwrap_used)] // a test has no other way out

mod support;

use support::simple_peer::Peer;
use support::{Client, Site, free_port};
use testkit::authority::{Authority, KeyKind};
use testkit::name_server::NameServer;

const KEYWORD: &str = "REQUIRETLS";

/// Domain, its TLS policy, what REQUIRETLS means there, name in the server's certificate, whether the server knows REQUIRETLS; and what the
/// delivery line says.
const DOMAINS: &[(&str, &str, &str, &str, bool, &str)] = &[
    (
        "good",
        "secure match=hostname",
        "enforce",
        "mx-good.test",
        true,
        "tls=secure/requiretls, dsn=2.0.0, status=sent",
    ),
    (
        "unknown",
        "secure match=hostname",
        "enforce",
        "mx-unknown.test",
        false,
        "tls=secure/!requiretls:none, dsn=5.7.30, status=bounced (Sender requested REQUIRETLS, but no server was found that supports REQUIRETLS. The last attempted server was mx-unknown.test[",
    ),
    (
        "level",
        "may",
        "enforce",
        "mx-level.test",
        true,
        "dsn=5.7.10, status=bounced (Sender requested REQUIRETLS, but my configured TLS security level 'may' ",
    ),
    (
        "clear",
        "secure match=hostname",
        "enforce",
        "",
        true,
        "tls=!secure/!requiretls:nostarttls, dsn=5.7.30, status=bounced (Sender requested REQUIRETLS, but TLS service was not offered by host mx-clear.test[",
    ),
    (
        "wrong",
        "secure match=hostname",
        "enforce",
        "other.test",
        true,
        "dsn=5.7.10, status=bounced (Sender requested REQUIRETLS, but no matching server certificate was found. The last attempted server was mx-wrong.test[",
    ),
    (
        "try",
        "may",
        "opportunistic",
        "other.test",
        true,
        "tls=may/requiretls:nocertmatch, dsn=2.0.0, status=sent",
    ),
    ("tried", "may", "opportunistic", "other.test", false, "tls=may/requiretls:none, dsn=2.0.0, status=sent"),
    ("open", "may", "opportunistic", "", false, "tls=may:none/requiretls:none, dsn=2.0.0, status=sent"),
    (
        "closed",
        "may",
        "opportunistic+starttls",
        "",
        false,
        "dsn=5.7.30, status=bounced (Sender requested REQUIRETLS, but TLS service was not offered by host mx-closed.test[",
    ),
    (
        "starttls",
        "may",
        "opportunistic+starttls",
        "other.test",
        false,
        "tls=may:encrypt/requiretls:none, dsn=2.0.0, status=sent",
    ),
    ("off", "may", "disable", "other.test", true, "tls=may, dsn=2.0.0, status=sent"),
    (
        "error",
        "may",
        "nonsense",
        "other.test",
        true,
        "dsn=4.7.10, status=deferred (Sender requested REQUIRETLS, but my REQUIRETLS policy has an error)",
    ),
];

fn world(network: u8, extra: &str) -> (Site, Vec<Peer>, NameServer) {
    let (authority, port) = (Authority::new("Test CA"), free_port());
    let (mut script, mut policies, mut actions, mut peers) =
        (String::new(), String::new(), String::new(), Vec::new());
    for (number, (name, policy, action, certificate, knows, _)) in (1..).zip(DOMAINS) {
        let address = format!("127.0.{network}.{number}");
        script += &format!("{name}.test 300 MX 10 mx-{name}.test\nmx-{name}.test 300 A {address}\n");
        policies += &format!("{name}.test {policy}\n");
        actions += &format!("{name}.test {action}\n");
        let issued = (!certificate.is_empty()).then(|| authority.issue(certificate, KeyKind::EcdsaP256));
        peers.push(Peer::start(&address, port, issued.as_ref(), if *knows { KEYWORD } else { "" }));
    }
    let names = NameServer::start(&script);
    let site = Site::new(
        &authority,
        &format!(
            "import_environment = MAILCLAD_RESOLV_CONF=DIR/resolv.conf\n\
             smtp_tcp_port = {port}\n\
             smtp_tls_policy_maps = texthash:DIR/policy\n\
             smtp_requiretls_policy = texthash:DIR/actions, enforce\n{extra}"
        ),
    );
    site.write("resolv.conf", &names.resolv_conf());
    site.write("policy", &policies);
    site.write("actions", &actions);
    (site.start(), peers, names)
}

#[test]
fn a_request_is_kept_or_the_message_returned() {
    let (site, peers, _names) = world(5, "");
    let mut client = Client::connect(site.port);
    assert!(!client.must("EHLO client.test", "250").contains("REQUIRETLS"), "not in the clear");
    client.must("MAIL FROM:<user@site.test> REQUIRETLS", "5");
    let mut client = client.starttls(&site.ca());
    assert!(client.must("EHLO client.test", "250").contains("REQUIRETLS\r\n"), "inside TLS");
    for (name, ..) in DOMAINS {
        client.must("MAIL FROM:<user@site.test> REQUIRETLS", "250");
        client.must(&format!("RCPT TO:<u@{name}.test>"), "250");
        client.must("DATA", "354");
        client.must(&format!("Subject: to {name}\r\n\r\nsecret\r\n."), "250");
    }
    for ((name, _, action, _, knows, expected), peer) in DOMAINS.iter().zip(&peers) {
        let line = site.wait_for_log(&[&format!("to=<u@{name}.test>, relay=")]);
        assert!(line.contains(expected), "{line}: expected {expected}");
        if *name != "open" {
            assert!(!peer.heard_in_the_clear("MAIL"), "{name}");
        }
        if line.contains("status=sent") && *name != "open" {
            let mail = peer.line("MAIL").unwrap();
            let asked = *knows && *action != "disable";
            assert_eq!(mail.contains(" REQUIRETLS"), asked, "{name}: {mail}");
            // Content does not come back over a server that made no promise.
            assert_eq!(mail.contains(" RET=HDRS"), !*knows && *action != "disable", "{name}: {mail}");
        }
        let header = peer.line("Require-TLS-ESMTP: yes").is_some();
        assert_eq!(header, line.contains("status=sent") && *name != "open", "{name}: {:?}", peer.heard());
    }
    // Notices travel without REQUIRETLS, and therefore without the content (requiretls_redact_dsn).
    let notice = site.wait_for_mail("user", "Subject: to unknown");
    assert!(notice.contains("Undelivered Mail") && !notice.contains("secret"), "{notice}");
}

#[test]
fn requests_are_off_with_requiretls_enable() {
    let (site, peers, _names) = world(6, "requiretls_enable = no\n");
    let mut client = Client::connect(site.port);
    client.must("EHLO client.test", "250");
    let mut client = client.starttls(&site.ca());
    assert!(!client.must("EHLO client.test", "250").contains("REQUIRETLS"));
    client.must("MAIL FROM:<user@site.test> REQUIRETLS", "5");
    // The command's request does not count either.
    let output = site.run(
        &["sendmail", "-O", "requiretls=yes", "-f", "user@site.test", "u@good.test"],
        "Subject: x\n\nx\n",
    );
    assert!(output.status.success());
    let line = site.wait_for_log(&["to=<u@good.test>, relay="]);
    assert!(line.contains("tls=secure, dsn=2.0.0, status=sent"), "{line}");
    assert!(!peers[0].line("MAIL").unwrap().contains("REQUIRETLS"));
}

#[test]
fn a_header_says_that_tls_need_not_be() {
    let (site, peers, _names) = world(7, "");
    let mut client = Client::connect(site.port);
    client.must("EHLO client.test", "250");
    client.send("user@site.test", &["u@wrong.test"], "TLS-Required: No\nSubject: x\n\nhello\n");
    let line = site.wait_for_log(&["to=<u@wrong.test>, relay="]);
    assert!(line.contains("tls=may, dsn=2.0.0, status=sent"), "{line}");
    assert!(peers[4].line("TLS-Required: No").is_some(), "it goes on with the message");
    // Of the two the stronger word counts; the command can ask for it as well.
    let output = site.run(
        &["sendmail", "-O", "requiretls=yes", "-f", "user@site.test", "again@wrong.test"],
        "TLS-Required: No\nSubject: x\n\nhello\n",
    );
    assert!(output.status.success());
    let line = site.wait_for_log(&["to=<again@wrong.test>, relay="]);
    assert!(line.contains("dsn=5.7.10, status=bounced (Sender requested REQUIRETLS"), "{line}");
}
