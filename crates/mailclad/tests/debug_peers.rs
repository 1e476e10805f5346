//! debug_peer_list and `-v` in master.cf: the dialogue with some peers is in the log, content and passwords are not.
#![allow(clippy::unwrap_used)] // a test has no other way out

mod support;

use support::peer::{Script, ScriptedPeer};
use support::{Client, Site, free_port, master_cf};
use testkit::authority::Authority;

const ADDRESS: &str = "127.0.3.40";

/// The lines of the log that show a dialogue, without what stands before the arrow.
fn dialogue(site: &Site, peer: &str) -> Vec<String> {
    let log = site.log();
    let of_peer = |line: &str| {
        let (_, text) = line.split_once("]: ")?;
        let (arrow, text) = text.split_at_checked(2).filter(|(arrow, _)| matches!(*arrow, "< " | "> "))?;
        let text = text.strip_prefix(peer)?.strip_prefix(": ")?;
        Some(format!("{arrow}{text}"))
    };
    log.lines().filter_map(of_peer).collect()
}

/// The lines stand in this order, with others between them.
fn assert_in_order(lines: &[String], wanted: &[&str]) {
    let mut left = lines.iter();
    for part in wanted {
        assert!(left.any(|line| line.starts_with(part)), "no {part:?} at its place in {lines:#?}");
    }
}

fn send(site: &Site) {
    let mut client = Client::connect(site.port);
    client.must("EHLO client.test", "250");
    client.must("AUTH PLAIN AG1lAHdyb25n", "535");
    client.must("AUTH LOGIN", "334");
    client.must("bWU=", "334");
    client.must("d3Jvbmc=", "535");
    client.must("MAIL FROM:<user@site.test>", "250");
    client.must("RCPT TO:<u@far.test>", "250");
    client.must("DATA", "354");
    client.must("Subject: x\r\n\r\nMAIL a secret line\r\n.", "250");
    client.must("QUIT", "221");
}

fn settings(port: u16, extra: &str) -> String {
    format!(
        "relayhost = [{ADDRESS}]:{port}\nsmtpd_sasl_auth_enable = yes\nsmtpd_sasl_type = mailclad\n\
         smtpd_sasl_path = inline:{{ {{other=x}} }}\nsmtpd_peername_lookup = no\nsmtpd_tls_security_level = none\n\
         smtp_sasl_auth_enable = yes\nsmtp_sasl_password_maps = static:me:secret\nsmtp_sasl_security_options =\n\
         smtp_sasl_mechanism_filter = plain\n{extra}"
    )
}

const SERVER_SIDE: &[&str] = &[
    "> 220 mx.site.test",
    "< EHLO client.test",
    "> 250-mx.site.test",
    "< AUTH PLAIN ***",
    "> 535",
    "< AUTH LOGIN",
    "> 334",
    "< ***",
    "> 334",
    "< ***",
    "> 535",
    "< MAIL FROM:<user@site.test>",
    "> 250 2.1.0 Ok",
    "< RCPT TO:<u@far.test>",
    "> 250 2.1.5 Ok",
    "< DATA",
    "> 354",
    "> 250 2.0.0 Ok: queued as",
    "< QUIT",
    "> 221 2.0.0 Bye",
];

const CLIENT_SIDE: &[&str] = &[
    "< 220",
    "> EHLO mx.site.test",
    "< 250",
    "> AUTH PLAIN ***",
    "< 235",
    "> MAIL FROM:<user@site.test>",
    "< 250",
    "> RCPT TO:<u@far.test>",
    "< 250",
    "> DATA",
    "< 354",
    "> .",
    "< 250",
    "> QUIT",
];

fn site(extra: &str, master: impl Fn(String) -> String) -> (Site, ScriptedPeer, u16) {
    let port = free_port();
    let peer = ScriptedPeer::start(ADDRESS, port, Script::parse("offer AUTH PLAIN").unwrap());
    let site = Site::new(&Authority::new("Test CA"), &settings(port, extra));
    site.write("master.cf", &master(master_cf(site.port, site.wrapper_port)));
    (site.start(), peer, port)
}

#[test]
fn the_dialogue_with_listed_peers_is_logged() {
    let (site, _peer, port) = site(&format!("debug_peer_list = 127.0.0.0/30, {ADDRESS}\n"), |text| text);
    send(&site);
    site.wait_for_log(&[&format!("> {ADDRESS}[{ADDRESS}]:{port}: QUIT")]);
    site.wait_for_log(&["disconnect from unknown[127.0.0.1] ehlo=1 auth=0/2 mail=1"]);
    assert_in_order(&dialogue(&site, "unknown[127.0.0.1]"), SERVER_SIDE);
    assert_in_order(&dialogue(&site, &format!("{ADDRESS}[{ADDRESS}]:{port}")), CLIENT_SIDE);
    let log = site.log();
    for secret in ["AG1lA", "bWU=", "d3Jvbmc", "a secret line", "AG1lAHNlY3JldA"] {
        assert!(!log.contains(secret), "{secret} in\n{log}");
    }
}

#[test]
fn nothing_is_shown_of_others() {
    let (site, _peer, _) = site("debug_peer_list = 192.0.2.1, other.test\n", |text| text);
    send(&site);
    site.wait_for_log(&["status=sent"]);
    assert!(!site.log().contains(": EHLO "), "{}", site.log());
}

#[test]
fn a_verbose_service_shows_every_peer() {
    let verbose = |text: String| text.replace(" smtp\n", " smtp -v\n").replace(" smtpd\n", " smtpd -v\n");
    let (site, _peer, port) = site("", verbose);
    send(&site);
    site.wait_for_log(&[&format!("> {ADDRESS}[{ADDRESS}]:{port}: QUIT")]);
    assert_in_order(&dialogue(&site, "unknown[127.0.0.1]"), SERVER_SIDE);
    assert_in_order(&dialogue(&site, &format!("{ADDRESS}[{ADDRESS}]:{port}")), CLIENT_SIDE);
}
