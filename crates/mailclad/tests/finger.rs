//! posttls-finger: options, lines, and what it tells programs.
#![allow(clippy::unwrap_used)] // a test has no other way out

mod support;

use support::simple_peer::Peer;
use support::{Site, free_port};
use testkit::authority::{Authority, KeyKind};
use testkit::name_server::NameServer;
use testkit::web_server::{Answer, WebServer};

fn finger(site: &Site, arguments: &[&str]) -> (String, String) {
    let output = site.run(&[&["posttls-finger"], arguments].concat(), "");
    (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
}

/// The shapes of lines; the numbers in them are the library's business.
fn shapes(text: &str) -> Vec<String> {
    text.lines()
        .map(|line| {
            let line = line.strip_prefix("posttls-finger: ").unwrap_or(line);
            let end = line.find(" TLSv1").or(line.find(", cert fingerprint="));
            line[..end.unwrap_or(line.len())].to_owned()
        })
        .collect()
}

#[test]
fn the_lines_are_postfixs() {
    let (authority, port) = (Authority::new("Test CA"), free_port());
    let issued = authority.issue("mx.test", KeyKind::EcdsaP256);
    let _peer = Peer::start("127.0.9.1", port, Some(&issued), "");
    let site = Site::new(&authority, "");
    let ca = site.ca().display().to_string();
    let target = format!("[127.0.9.1]:{port}");
    let name = format!("127.0.9.1[127.0.9.1]:{port}");
    let certificate = format!("{name}: subject_CN=mx.test, issuer=Test CA");
    let dialogue = |middle: &[String]| {
        let mut lines = vec![
            format!("Connected to {name}"),
            "< 220 peer.test ESMTP".into(),
            "> EHLO mx.site.test".into(),
            "< 250-peer.test".into(),
            "< 250-STARTTLS".into(),
            "< 250-DSN".into(),
            "< 250 8BITMIME".into(),
            "> STARTTLS".into(),
            "< 220 2.0.0 Ready to start TLS".into(),
        ];
        lines.extend_from_slice(middle);
        lines.extend(
            [
                "> EHLO mx.site.test",
                "< 250-peer.test",
                "< 250-DSN",
                "< 250 8BITMIME",
                "> QUIT",
                "< 221 2.0.0 Bye",
            ]
            .map(String::from),
        );
        lines
    };
    let (_, text) = finger(&site, &["-l", "secure", "-F", &ca, &target, "mx.test"]);
    let verified = [
        format!("{name}: matched peername: mx.test"),
        certificate.clone(),
        format!("Verified TLS connection established to {name}:"),
    ];
    assert_eq!(shapes(&text), dialogue(&verified), "{text}");
    let (_, text) = finger(&site, &["-c", "-l", "verify", "-F", &ca, &target, "other.test"]);
    assert_eq!(
        shapes(&text),
        [
            format!("server certificate verification failed for {name}: num=62:hostname mismatch"),
            certificate.clone(),
            format!("Untrusted TLS connection established to {name}:"),
        ]
    );
    // Without records level dane becomes secure; nobody is trusted without -F.
    let (_, text) = finger(&site, &["-c", &target]);
    assert_eq!(
        shapes(&text),
        [
            format!("certificate verification failed for {name}: untrusted issuer /CN=Test CA"),
            certificate,
            format!("Untrusted TLS connection established to {name}:"),
        ]
    );
    let (chain, text) = finger(&site, &["-cC", "-L", "none", "-l", "encrypt", &target]);
    assert_eq!(text, "");
    assert!(
        chain.starts_with(
            "\n---\nCertificate chain\n 0 subject: /CN=mx.test\n    issuer: /CN=Test CA\n   cert digest="
        ),
        "{chain}"
    );
    assert!(chain.ends_with("-----END CERTIFICATE-----\n"), "{chain}");
    let (_, text) = finger(&site, &["-c", "-r", "1", "-l", "encrypt", "-p", "TLSv1.2", &target]);
    let lines = shapes(&text);
    assert!(lines.contains(&"Reconnecting after 1 seconds".to_owned()), "{text}");
    assert!(lines.contains(&format!("{name}: Reusing old session")), "{text}");
    assert_eq!(lines.last().unwrap(), "Found a previously used server.  Done reconnecting.");
    let closed = format!("[127.0.9.1]:{}", free_port());
    let (_, text) = finger(&site, &["-l", "secure", &closed]);
    assert!(
        text.contains(&format!(
            "Failed to establish session to {closed} via 127.0.9.1: connect to 127.0.9.1[127.0.9.1]:"
        )),
        "{text}"
    );
    assert!(text.trim_end().ends_with(": Connection refused"), "{text}");
    let (_, text) = finger(&site, &["-l", "bogus", &target]);
    assert!(text.starts_with("posttls-finger: fatal: Invalid TLS level \"bogus\""), "{text}");
    let (_, text) = finger(&site, &[]);
    assert!(text.contains("usage: posttls-finger"), "{text}");
}

#[test]
fn programs_are_told_what_a_delivery_would_do() {
    let (authority, port) = (Authority::new("Test CA"), free_port());
    let issued = authority.issue("mx.sts.test", KeyKind::EcdsaP256);
    let _peer = Peer::start("127.0.9.2", port, Some(&issued), "");
    let web = WebServer::start(&authority.issue("mta-sts.sts.test", KeyKind::EcdsaP256), |_| {
        let policy = "version: STSv1\nmode: enforce\nmx: mx.sts.test\nmax_age: 86400\n";
        Answer::new(200, policy).with("Content-Type", "text/plain")
    });
    let names = NameServer::start(
        "sts.test 300 MX 10 mx.sts.test\nmx.sts.test 300 A 127.0.9.2\n\
         _mta-sts.sts.test 300 TXT v=STSv1; id=1;\nmta-sts.sts.test 300 A 127.0.0.1\n\
         table.test 300 MX 10 mx.sts.test\n",
    );
    let site = Site::new(
        &authority,
        &format!(
            "smtp_tcp_port = {port}\nhttps_CAfile = DIR/ca.pem\nsmtp_tls_mta_sts = yes\n\
             smtp_tls_mta_sts_port = {}\nsmtp_tls_policy_maps = inline:{{ {{ table.test = secure match=other.test }} }}\n",
            web.address.port()
        ),
    );
    site.write("resolv.conf", &names.resolv_conf());
    let json = |domain: &str| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_mailclad"))
            .args(["posttls-finger", "--json", domain])
            .env("MAIL_CONFIG", site.dir.path())
            .env("MAILCLAD_RESOLV_CONF", site.dir.path().join("resolv.conf"))
            .output()
            .unwrap();
        assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let text = json("sts.test");
    for part in [
        "\"source\": \"main.cf and MTA-STS\"",
        "\"level\": \"secure\"",
        "\"applies\": \"enforced\"",
        "\"mode\": \"enforce\"",
        "\"protocol\": \"TLSv1.3\"",
        "\"subject\": \"/CN=mx.sts.test\"",
        "\"verified\": true",
        "\"result\": \"sent\"",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let text = json("table.test");
    for part in [
        "\"source\": \"smtp_tls_policy_maps\"",
        "\"verified\": false",
        "\"result\": \"deferred\"",
        "expected one of the names other.test",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}
