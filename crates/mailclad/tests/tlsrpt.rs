//! TLSRPT: what happens to TLS with a domain's servers, from the connection to the report.
#![allow(clippy::unwrap_used)] // a test has no other way out

mod support;

use std::os::unix::net::UnixDatagram;

use support::simple_peer::Peer;
use support::{Client, PATIENCE, Site, free_port};
use testkit::authority::{Authority, KeyKind};
use testkit::name_server::NameServer;
use testkit::web_server::{Answer, WebServer};

/// Domain, policy for it, name in its server's certificate, and what the log says of it.
const DOMAINS: &[(&str, &str, &str, &str)] = &[
    (
        "good",
        "encrypt",
        "mx-good.test",
        "TLSRPT: status=success, domain=good.test, receiving_mx=mx-good.test[127.0.4.1]",
    ),
    (
        "clear",
        "may",
        "",
        "TLSRPT: status=failure, domain=clear.test, receiving_mx=mx-clear.test[127.0.4.2], failure_type=starttls_not_supported",
    ),
    (
        "wrong",
        "verify",
        "other.test",
        "TLSRPT: status=failure, domain=wrong.test, receiving_mx=mx-wrong.test[127.0.4.3], failure_type=certificate_host_mismatch",
    ),
    (
        "plugin",
        "secure match=x policy_type=sts policy_domain=plugin.test { policy_string = version: STSv1 } mx_host_pattern=*.test",
        "mx-plugin.test",
        "TLSRPT: status=success, domain=plugin.test, receiving_mx=mx-plugin.test[127.0.4.4]",
    ),
    (
        "fetch",
        "may policy_type=sts policy_domain=fetch.test policy_failure=sts-policy-fetch-error",
        "mx-fetch.test",
        "TLSRPT: status=failure, domain=fetch.test, receiving_mx=mx-fetch.test[127.0.4.5], failure_type=sts_policy_fetch_error",
    ),
    (
        "outside",
        "secure policy_type=sts mx_host_pattern=x.test",
        "mx-outside.test",
        "TLSRPT: status=failure, domain=outside.test, receiving_mx=mx-outside.test[127.0.4.6], failure_type=validation_failure, failure_reason=MX name 'mx-outside.test' does not match STS MX pattern for 'outside.test'",
    ),
    (
        "nodane",
        "dane-only",
        "mx-nodane.test",
        "TLSRPT: status=failure, domain=nodane.test, receiving_mx=mx-nodane.test[127.0.4.7], failure_type=dane_required, failure_reason=non DNSSEC destination",
    ),
    // Nobody wants to know, or nothing was tried.
    ("quiet", "may", "mx-quiet.test", ""),
    ("off", "none", "mx-off.test", ""),
];

fn delivered(extra: &str) -> (Site, UnixDatagram, (NameServer, Vec<Peer>)) {
    let (authority, port) = (Authority::new("Test CA"), free_port());
    let (mut script, mut policies, mut peers) = (String::new(), String::new(), Vec::new());
    for (number, (name, policy, certificate, _)) in (1..).zip(DOMAINS) {
        let address = format!("127.0.4.{number}");
        script += &format!("{name}.test 300 MX 10 mx-{name}.test\nmx-{name}.test 300 A {address}\n");
        if *name != "quiet" {
            script += &format!("_smtp._tls.{name}.test 300 TXT v=TLSRPTv1; rua=mailto:reports@{name}.test\n");
        }
        policies += &format!("{name}.test {policy}\n");
        let issued = (!certificate.is_empty()).then(|| authority.issue(certificate, KeyKind::EcdsaP256));
        peers.push(Peer::start(&address, port, issued.as_ref(), ""));
    }
    let names = NameServer::start(&script);
    let site = Site::new(
        &authority,
        &format!(
            "import_environment = MAILCLAD_RESOLV_CONF=DIR/resolv.conf\n\
             smtp_tcp_port = {port}\n\
             smtp_dns_support_level = dnssec\n\
             smtp_tls_policy_maps = texthash:DIR/policy\n{extra}"
        ),
    );
    site.write("resolv.conf", &names.resolv_conf());
    site.write("policy", &policies);
    let socket = UnixDatagram::bind(site.dir.path().join("collector")).unwrap();
    std::fs::set_permissions(
        site.dir.path().join("collector"),
        std::os::unix::fs::PermissionsExt::from_mode(0o777),
    )
    .unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let site = site.start();
    let mut client = Client::connect(site.port);
    client.must("EHLO client.test", "250");
    for (name, ..) in DOMAINS {
        client.send("sender@site.test", &[&format!("u@{name}.test")], "Subject: x\n\ntext\n");
        site.wait_for_log(&[&format!("to=<u@{name}.test>, relay=")]);
    }
    (site, socket, (names, peers))
}

/// Postfix's own interface: lines in the log, and libtlsrpt's datagrams for a collector.
#[test]
fn results_go_to_the_log_and_to_a_collector() {
    let (site, socket, _world) =
        delivered("smtp_tlsrpt_enable = yes\nsmtp_tlsrpt_socket_name = ../collector\n");
    let mut heard = Vec::new();
    for (name, _, _, expected) in DOMAINS {
        if expected.is_empty() {
            assert!(!site.log().contains(&format!("domain={name}.test")), "{name}");
            continue;
        }
        site.wait_for_log(&[expected]);
        let mut buffer = vec![0; 65_536];
        let length = socket.recv(&mut buffer).unwrap();
        heard.push(String::from_utf8(buffer[..length].to_vec()).unwrap());
    }
    assert!(heard.iter().all(|datagram| datagram.starts_with("{\"dpv\":\"1\",\"d\":\"")));
    let plugin = heard.iter().find(|datagram| datagram.contains("\"d\":\"plugin.test\"")).unwrap();
    assert!(
        plugin.contains(
            "\"policies\":[{\"policy-type\":2,\"policy-domain\":\"plugin.test\",\"policy-string\":[\"version: STSv1\"],\
             \"mx-host\":[\"*.test\"],\"t\":0,\"f\":0}]"
        ),
        "{plugin}"
    );
    let wrong = heard.iter().find(|datagram| datagram.contains("\"d\":\"wrong.test\"")).unwrap();
    assert!(
        wrong.contains("\"failure-details\":[{\"c\":202,\"s\":\"127.0.0.1\",\"n\":\"mx-wrong.test\",\"h\":\"peer.test\",\"r\":\"127.0.4.3\"}],\"t\":1,\"f\":1"),
        "{wrong}"
    );
}

/// Without a collector: counted here, shown by a command, sent after the day.
#[test]
fn results_are_counted_and_shown() {
    let (site, _socket, _world) = delivered("tlsrpt_reports = yes\n");
    let output = site.run(&["tlsrpt"], "");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains(
            "clear.test: 0 sessions good, 1 failed (starttls-not-supported); to mailto:reports@clear.test\n"
        ),
        "{text}"
    );
    assert!(text.contains(" good.test: 1 sessions good, 0 failed; to mailto:reports@good.test\n"), "{text}");
    assert_eq!(text.lines().count(), DOMAINS.len() - 2, "{text}");
    let output = site.run(&["tlsrpt", "-j"], "");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("\"organization-name\": \"site.test\""), "{text}");
    assert!(site.run(&["tlsrpt", "yesterday"], "").status.code() == Some(64));
}

/// The report about a day that is over leaves by mail and over HTTPS, once.
#[test]
fn reports_of_past_days_are_sent() {
    let authority = Authority::new("Test CA");
    let web =
        WebServer::start(&authority.issue("reports.test", KeyKind::EcdsaP256), |_| Answer::new(201, ""));
    let names = NameServer::start("reports.test 300 A 127.0.0.1\n");
    let site = Site::new(
        &authority,
        "import_environment = MAILCLAD_RESOLV_CONF=DIR/resolv.conf\n\
         tlsrpt_reports = yes\ntlsrpt_organization_name = The Site\nhttps_CAfile = DIR/ca.pem\n",
    );
    site.write("resolv.conf", &names.resolv_conf());
    let folder = site.dir.path().join("data/tlsrpt");
    std::fs::create_dir_all(&folder).unwrap();
    let result = format!(
        "{{\"dpv\":\"1\",\"d\":\"d.test\",\"pr\":\"v=TLSRPTv1; rua=mailto:user@site.test,https://reports.test:{}/in\",\
         \"policies\":[{{\"policy-type\":9,\"t\":0,\"f\":0}}]}}\n",
        web.address.port()
    );
    // Yesterday's may not be due before four o'clock; those of the day before are, and are not given up yet in the first hours of a day.
    let day = std::process::Command::new("date").args(["-u", "-d", "36 hours ago", "+%F"]).output().unwrap();
    let day = String::from_utf8(day.stdout).unwrap().trim().to_owned();
    std::fs::write(folder.join(&day), result).unwrap();
    std::process::Command::new("chmod")
        .args(["-R", "a+rwX"])
        .arg(site.dir.path().join("data"))
        .status()
        .unwrap();
    let site = site.start();
    let mail = site.wait_for_mail("user", "TLS-Report-Domain: d.test");
    assert!(
        mail.contains(&format!(
            "Subject: Report Domain: d.test Submitter: mx.site.test Report-ID: <{day}.d.test@mx.site.test>"
        )),
        "{mail}"
    );
    assert!(mail.contains("Content-Type: application/tlsrpt+gzip"), "{mail}");
    assert!(mail.contains("From: postmaster@site.test"), "{mail}");
    site.wait_for_log(&["TLSRPT: report about d.test for", "sent to https://reports.test:"]);
    let asked = web.asked();
    assert_eq!((asked.len(), asked[0].target.as_str()), (1, "/in"));
    assert_eq!(asked[0].headers["content-type"], "application/tlsrpt+gzip");
    assert_eq!(asked[0].body[..2], [0x1f, 0x8b]);
    let gone = support::wait_for(|| (!folder.join(&day).exists()).then_some(()));
    assert!(gone.is_some(), "what is sent is not kept");
}
