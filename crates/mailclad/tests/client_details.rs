//! Smaller things that the SMTP and LMTP clients do: servers by SRV records, who tells a sender of success, how far a probe goes.
#![allow(clippy::unwrap_used)] // a test has no other way out

mod support;

use support::peer::{Script, ScriptedPeer};
use support::{Client, Site, free_port};
use testkit::authority::Authority;
use testkit::name_server::NameServer;

const ADDRESS: &str = "127.0.3.20";

fn peer(port: u16, script: &str) -> ScriptedPeer {
    ScriptedPeer::start(ADDRESS, port, Script::parse(script).unwrap())
}

fn site(extra: &str) -> Site {
    Site::new(&Authority::new("Test CA"), extra).start()
}

fn send(site: &Site, recipient: &str, options: &str) {
    let mut client = Client::connect(site.port);
    client.must("EHLO client.test", "250");
    client.must("MAIL FROM:<user@site.test>", "250");
    client.must(&format!("RCPT TO:<{recipient}>{options}"), "250");
    client.must("DATA", "354");
    client.must("Subject: x\r\n\r\ntext\r\n.", "250");
}

#[test]
fn srv_records_name_host_and_port() {
    let (port, other) = (free_port(), free_port());
    let (first, second) = (peer(port, "on connect 421 4.3.2 busy"), peer(other, ""));
    let names = NameServer::start(&format!(
        "_submission._tcp.far.test 300 SRV 10 0 {port} one.far.test\n\
         _submission._tcp.far.test 300 SRV 20 0 {other} two.far.test\n\
         one.far.test 300 A {ADDRESS}\ntwo.far.test 300 A {ADDRESS}\n"
    ));
    let dir = tempfile::tempdir().unwrap();
    let resolv = dir.path().join("resolv.conf");
    std::fs::write(&resolv, names.resolv_conf()).unwrap();
    std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let site = site(&format!(
        "import_environment = MAILCLAD_RESOLV_CONF={}\nuse_srv_lookup = submission\nrelayhost = far.test:submission\n",
        resolv.display()
    ));
    send(&site, "u@elsewhere.test", "");
    site.wait_for_log(&[&format!("relay=two.far.test[{ADDRESS}]:{other}, "), "status=sent"]);
    assert_eq!((first.sessions(), second.sessions()), (1, 1));
}

#[test]
fn a_server_that_knows_dsn_tells_of_success_itself() {
    let (knows, not) = (free_port(), free_port());
    let _peers = (peer(knows, "offer DSN"), peer(not, "offer 8BITMIME"));
    let site = site(&format!(
        "transport_maps = inline:{{ {{ knows.test = relay:[{ADDRESS}]:{knows} }}, {{ not.test = relay:[{ADDRESS}]:{not} }} }}\n"
    ));
    send(&site, "u@knows.test", " NOTIFY=SUCCESS");
    send(&site, "u@not.test", " NOTIFY=SUCCESS");
    let report = site.wait_for_mail("user", "Action: relayed");
    assert!(report.contains("u@not.test"), "{report}");
    site.wait_for_log(&["to=<u@knows.test>", "status=sent"]);
    let about_it = site.mailbox("user").into_iter().any(|message| message.contains("u@knows.test"));
    assert!(!about_it, "its server has the wish");
}

#[test]
fn an_lmtp_server_without_dsn_may_count_as_final() {
    for (assumes, action) in [("yes", "Action: delivered"), ("no", "Action: relayed")] {
        let port = free_port();
        let _peer = peer(port, "offer 8BITMIME");
        let site = site(&format!(
            "lmtp_assume_final = {assumes}\n\
             transport_maps = inline:{{ {{ box.test = lmtp:inet:{ADDRESS}:{port} }} }}\n"
        ));
        send(&site, "u@box.test", " NOTIFY=SUCCESS");
        let report = site.wait_for_mail("user", action);
        assert!(report.contains("u@box.test"), "{report}");
    }
}

#[test]
fn a_probe_goes_as_far_as_it_is_told() {
    for (target, reply, expected, words) in [
        ("rcpt", "250 2.1.5 fine", "status=deliverable", &["RCPT TO:<u@far.test>", "RSET"][..]),
        ("data", "250 2.1.5 fine", "status=deliverable", &["RCPT TO:<u@far.test>", "DATA"]),
        ("data", "550 5.1.1 nobody", "status=undeliverable", &["RCPT TO:<u@far.test>"]),
    ] {
        let port = free_port();
        let peer = peer(port, &format!("on RCPT {reply}"));
        let site = site(&format!("smtp_address_verify_target = {target}\nrelayhost = [{ADDRESS}]:{port}\n"));
        let output = site.run(&["sendmail", "-bv", "u@far.test"], "");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        site.wait_for_log(&["to=<u@far.test>, ", expected]);
        // The report to the user may go the same way, in another session.
        let heard = peer.heard();
        let heard: Vec<&String> = heard.iter().take_while(|line| *line != "-- session 2 --").collect();
        for word in words {
            assert!(heard.iter().any(|line| *line == word), "{target}: no {word} in {heard:?}");
        }
        assert!(!heard.iter().any(|line| *line == "."), "no content is sent: {heard:?}");
    }
}

#[test]
fn mail_that_would_come_back_goes_to_its_transport() {
    let names = NameServer::start("own.test 300 MX 10 mx.site.test\nmx.site.test 300 A 127.0.0.1\n");
    let dir = tempfile::tempdir().unwrap();
    let resolv = dir.path().join("resolv.conf");
    std::fs::write(&resolv, names.resolv_conf()).unwrap();
    std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let common = format!(
        "import_environment = MAILCLAD_RESOLV_CONF={}\ninet_interfaces = 127.0.0.1\n\
         virtual_mailbox_maps = static:user/\n",
        resolv.display()
    );
    let with = site(&format!("{common}best_mx_transport = virtual\n"));
    send(&with, "u@own.test", "");
    with.wait_for_log(&["to=<u@own.test>, relay=virtual, ", "status=sent"]);
    let without = site(&common);
    send(&without, "u@own.test", "");
    without.wait_for_log(&["to=<u@own.test>, ", "status=bounced (mail for own.test loops back to myself)"]);
}

#[test]
fn servers_that_a_filter_drops_are_not_asked() {
    let port = free_port();
    let peer = peer(port, "");
    let names = NameServer::start(&format!(
        "far.test 300 MX 10 one.far.test\nfar.test 300 MX 20 two.far.test\n\
         one.far.test 300 A 127.0.3.21\ntwo.far.test 300 A {ADDRESS}\n"
    ));
    let dir = tempfile::tempdir().unwrap();
    let resolv = dir.path().join("resolv.conf");
    std::fs::write(&resolv, names.resolv_conf()).unwrap();
    std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let common =
        format!("import_environment = MAILCLAD_RESOLV_CONF={}\nsmtp_tcp_port = {port}\n", resolv.display());
    let one =
        site(&format!("{common}smtp_dns_reply_filter = regexp:{{{{/^far.test. 300 IN MX 10 / IGNORE}}}}\n"));
    send(&one, "u@far.test", "");
    one.wait_for_log(&["ignoring DNS RR: far.test. 300 IN MX 10 one.far.test."]);
    one.wait_for_log(&[&format!("relay=two.far.test[{ADDRESS}]:{port}, "), "status=sent"]);
    assert_eq!(peer.sessions(), 1);
    let none = site(&format!("{common}smtp_dns_reply_filter = static:IGNORE\n"));
    send(&none, "u@far.test", "");
    none.wait_for_log(&[
        "dsn=4.7.0, status=deferred (Error looking up name=far.test type=MX: DNS reply filter drops all results)",
    ]);
    let unclear = site(&format!("{common}smtp_dns_reply_filter = static:DROP\n"));
    send(&unclear, "u@far.test", "");
    unclear.wait_for_log(&["warning: smtp_dns_reply_filter: unknown DNS filter action: \"DROP\""]);
    unclear.wait_for_log(&[
        "dsn=4.4.3, status=deferred (Error looking up name=far.test type=MX: Invalid DNS reply filter syntax)",
    ]);
}
