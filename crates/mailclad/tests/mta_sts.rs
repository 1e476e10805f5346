//! MTA-STS: what domains publish, from the record in the DNS to the delivery.
#![allow(clippy::unwrap_used)] // a test has no other way out

mod support;

use support::simple_peer::Peer;
use support::{Client, Site, free_port};
use testkit::authority::{Authority, KeyKind};
use testkit::name_server::NameServer;
use testkit::web_server::{Answer, WebServer};

/// A domain: what its policy says, the name in its server's certificate, and what becomes of its mail.
const DOMAINS: &[(&str, &str, &str, &str)] = &[
    ("good", "enforce mx-good.test", "mx-good.test", "tls=may:secure, dsn=2.0.0, status=sent"),
    ("wild", "enforce *.test", "mx-wild.test", "tls=may:secure, dsn=2.0.0, status=sent"),
    (
        "wrong",
        "enforce mx-wrong.test",
        "other.test",
        "dsn=4.7.5, status=deferred (Server certificate not verified)",
    ),
    (
        "outside",
        "enforce other.test",
        "mx-outside.test",
        "dsn=4.7.5, status=deferred (MX name 'mx-outside.test' does not match STS MX pattern for 'outside.test')",
    ),
    (
        "clear",
        "enforce mx-clear.test",
        "",
        "dsn=4.7.4, status=deferred (TLS is required, but was not offered by host mx-clear.test[",
    ),
    ("testing", "testing mx-testing.test", "other.test", "tls=may, dsn=2.0.0, status=sent"),
    ("away", "testing other.test", "mx-away.test", "tls=may, dsn=2.0.0, status=sent"),
    ("none", "none other.test", "other.test", "tls=may, dsn=2.0.0, status=sent"),
    (
        "xn--nme-qla",
        "enforce other.test",
        "mx-xn--nme-qla.test",
        "dsn=4.7.5, status=deferred (MX name 'mx-xn--nme-qla.test' does not match STS MX pattern for 'xn--nme-qla.test')",
    ),
    ("broken", "", "other.test", "tls=may, dsn=2.0.0, status=sent"),
];

/// The DNS of all domains, with their servers; and the policies of all on one Web server.
fn world(authority: &Authority, port: u16, network: u8) -> (NameServer, WebServer, Vec<Peer>) {
    let (mut script, mut peers) = (String::new(), Vec::new());
    let mut web = Vec::new();
    script += &format!(
        "_submission._tcp.outside.test 300 SRV 10 0 {port} one.by-srv.test\none.by-srv.test 300 A 127.0.{network}.1\n"
    );
    for (number, (name, _, certificate, _)) in (1..).zip(DOMAINS) {
        let address = format!("127.0.{network}.{number}");
        script += &format!(
            "{name}.test 300 MX 10 mx-{name}.test\nmx-{name}.test 300 A {address}\n\
             _mta-sts.{name}.test 300 TXT v=STSv1; id=1;\nmta-sts.{name}.test 300 A 127.0.0.1\n\
             _smtp._tls.{name}.test 300 TXT v=TLSRPTv1; rua=mailto:r@{name}.test\n"
        );
        web.push(format!("mta-sts.{name}.test"));
        let issued = (!certificate.is_empty()).then(|| authority.issue(certificate, KeyKind::EcdsaP256));
        peers.push(Peer::start(&address, port, issued.as_ref(), ""));
    }
    let wish = testkit::authority::Wish { names: web, ..testkit::authority::Wish::named("") };
    let server = WebServer::start(&authority.issue_as("web", KeyKind::EcdsaP256, &wish), |asked| {
        let host = asked.headers["host"].clone();
        let policy = DOMAINS.iter().find(|(name, ..)| host.starts_with(&format!("mta-sts.{name}.test")));
        match policy.and_then(|(_, policy, ..)| policy.split_once(' ')) {
            Some((mode, mx)) => {
                let text = format!("version: STSv1\r\nmode: {mode}\r\nmx: {mx}\r\nmax_age: 86400\r\n");
                Answer::new(200, text).with("Content-Type", "text/plain")
            }
            None => Answer::new(404, ""),
        }
    });
    (NameServer::start(&script), server, peers)
}

fn deliver_all(extra: &str, port: u16, names: &NameServer, web: &WebServer, authority: &Authority) -> Site {
    let site = Site::new(
        authority,
        &format!(
            "import_environment = MAILCLAD_RESOLV_CONF=DIR/resolv.conf\n\
             smtp_tcp_port = {port}\n\
             use_srv_lookup = submission\n\
             transport_maps = inline:{{ {{ by-srv.test = smtp:outside.test:submission }}, {{ by-name.test = smtp:näme.test }} }}\n\
             https_CAfile = DIR/ca.pem\n\
             smtp_tls_mta_sts_port = {}\n{extra}",
            web.address.port()
        ),
    );
    site.write("resolv.conf", &names.resolv_conf());
    let site = site.start();
    let mut client = Client::connect(site.port);
    client.must("EHLO client.test", "250");
    for name in DOMAINS.iter().map(|domain| domain.0).chain(["by-srv", "by-name"]) {
        let reply = client.send("sender@site.test", &[&format!("u@{name}.test")], "Subject: x\n\nsecret\n");
        assert!(reply.starts_with("250"), "{reply}");
    }
    site
}

#[test]
fn what_a_domain_publishes_is_enforced() {
    let (authority, port) = (Authority::new("Test CA"), free_port());
    let (names, web, peers) = world(&authority, port, 2);
    let mut site =
        deliver_all("smtp_tls_mta_sts = yes\ntlsrpt_reports = yes\n", port, &names, &web, &authority);
    for ((name, _, _, expected), peer) in DOMAINS.iter().zip(&peers) {
        let line = site.wait_for_log(&[&format!("to=<u@{name}.test>, relay=")]);
        assert!(line.contains(expected), "{line}: expected {expected}");
        assert!(!peer.heard_in_the_clear("MAIL"), "{name}");
    }
    site.wait_for_log(&["MTA-STS policy of good.test: id=1, mode=enforce"]);
    site.wait_for_log(&[
        "warning: MTA-STS policy of broken.test can not be used: mta-sts.broken.test answers with status 404",
    ]);
    site.wait_for_log(&["warning: mx-wrong.test[", "is not who level secure asks for"]);
    // Who publishes a policy hears what came of it, enforced or not.
    for (name, result) in [
        ("good", "success"),
        ("wrong", "failure_type=certificate_host_mismatch"),
        (
            "outside",
            "failure_type=validation_failure, failure_reason=MX name 'mx-outside.test' does not match STS MX pattern",
        ),
        ("clear", "failure_type=starttls_not_supported"),
        ("testing", "failure_type=certificate_host_mismatch"),
        (
            "away",
            "failure_type=validation_failure, failure_reason=MX name 'mx-away.test' does not match STS MX pattern",
        ),
        ("broken", "failure_type=sts_policy_fetch_error"),
    ] {
        site.wait_for_log(&["TLSRPT: status=", &format!("domain={name}.test"), result]);
    }
    // The policy is about mail exchangers, not about what SRV records name.
    let line = site.wait_for_log(&["to=<u@by-srv.test>, relay=one.by-srv.test["]);
    assert!(line.contains("tls=may, dsn=2.0.0, status=sent"), "{line}");
    // A name in other letters is the same domain.
    let line = site.wait_for_log(&["to=<u@by-name.test>, relay="]);
    assert!(line.contains("does not match STS MX pattern for 'xn--nme-qla.test'"), "{line}");
    // It is remembered, whatever becomes of the Web server and of the record.
    site.stop();
    drop(web);
    names.replace("wrong.test 300 MX 10 mx-wrong.test\nmx-wrong.test 300 A 127.0.2.3\n");
    site.restart();
    let mut client = Client::connect(site.port);
    client.must("EHLO client.test", "250");
    client.send("sender@site.test", &["again@wrong.test"], "Subject: x\n\nsecret\n");
    let line = site.wait_for_log(&["to=<again@wrong.test>, relay="]);
    assert!(line.contains("Server certificate not verified"), "{line}");
}

/// An unchanged configuration acts as Postfix does: nobody asks.
#[test]
fn policies_are_not_asked_for_by_default() {
    let (authority, port) = (Authority::new("Test CA"), free_port());
    let (names, web, _peers) = world(&authority, port, 3);
    let site = deliver_all("", port, &names, &web, &authority);
    for (name, _, certificate, _) in DOMAINS {
        let line = site.wait_for_log(&[&format!("to=<u@{name}.test>, relay=")]);
        let field = if certificate.is_empty() { "tls=may:none" } else { "tls=may" };
        assert!(line.contains(&format!("{field}, dsn=2.0.0, status=sent")), "{line}");
    }
    assert!(web.asked().is_empty());
    assert!(!names.asked().iter().any(|question| question.starts_with("_mta-sts.")));
}
