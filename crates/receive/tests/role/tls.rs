//! STARTTLS and wrapper mode with certificates made on the spot.

use std::net::TcpStream;

use crate::common::{Client, PLAIN, Queue, Running};
use openssl::ssl::{SslConnector, SslMethod, SslStream, SslVerifyMode};
use testkit::authority::{Authority, KeyKind};

/// Settings with a certificate in the role's folder.
const WITH_CERTIFICATE: &str = "smtpd_tls_cert_file = $dir/cert.pem\nsmtpd_tls_key_file = $dir/key.pem\n\
    smtpd_tls_CAfile = $dir/ca.pem\nsmtpd_tls_security_level = may\nsmtpd_tls_loglevel = 1\n\
    smtpd_tls_received_header = yes\n";

fn start(main_cf: &str, master_cf: &str) -> (Running, Authority) {
    let authority = Authority::new("Test CA");
    let server = authority.issue("mx.example.test", KeyKind::EcdsaP256);
    let files = [
        ("cert.pem", server.certificate_pem.as_str()),
        ("key.pem", server.key_pem.as_str()),
        ("ca.pem", authority.certificate_pem.as_str()),
    ];
    (Running::start(&format!("{WITH_CERTIFICATE}{main_cf}"), master_cf, Queue::Keeps, &files), authority)
}

fn shake_hands(stream: TcpStream) -> SslStream<TcpStream> {
    let mut connector = SslConnector::builder(SslMethod::tls()).unwrap();
    connector.set_verify(SslVerifyMode::NONE);
    connector.build().connect("mx.example.test", stream).unwrap()
}

#[test]
fn starttls_begins_a_new_session_and_drops_what_was_read_ahead() {
    let (role, _) = start("", PLAIN);
    let mut client = role.client();
    client.reply();
    assert!(client.say("EHLO client.test").contains("|250-STARTTLS|"));
    client.send("STARTTLS\r\nMAIL FROM:<injected@evil.test>\r\n");
    assert_eq!(client.reply(), "220 2.0.0 Ready to start TLS");
    let mut client = Client::new(shake_hands(client.into_inner()));
    let offers = client.say("EHLO client.test");
    assert!(offers.starts_with("250-mx.example.test") && !offers.contains("STARTTLS"), "{offers}");
    client.dialogue(&[
        ("STARTTLS", "554 5.5.1 Error: TLS already active"),
        ("MAIL FROM:<s@remote.test>", "250"),
        ("RCPT TO:<user@example.test>", "250"),
        ("DATA", "354"),
        ("A: b\r\n\r\nbody\r\n.", "250 2.0.0"),
    ]);
    let content = role.next_kept().content;
    assert!(content.contains("\n\t(using TLSv1.3 with cipher TLS_"), "{content}");
    assert!(content.contains("\n\t(No client certificate requested)\n"), "{content}");
    assert!(content.contains(" with ESMTPS id "), "{content}");
    role.log_with("Anonymous TLS connection established from unknown[127.0.0.1]: TLSv1.3 with cipher TLS_");
}

#[test]
fn wrapper_mode_shakes_hands_before_the_greeting() {
    let (role, _) = start("", "smtps inet n - n - - smtpd -o smtpd_tls_wrappermode=yes\n");
    let mut client = Client::new(shake_hands(role.connect(0)));
    assert!(client.reply().starts_with("220 mx.example.test ESMTP"));
    assert!(client.say("EHLO client.test").starts_with("250-mx.example.test"));
    client.say("QUIT");
    role.log_with("disconnect from unknown[127.0.0.1] ehlo=1 quit=1 commands=2");
}

#[test]
fn a_required_client_certificate_is_missed_inside_tls() {
    let main_cf = "smtpd_tls_security_level = encrypt\nsmtpd_tls_req_ccert = yes\n";
    let (role, _) = start(main_cf, PLAIN);
    let mut client = role.client();
    client.reply();
    client.dialogue(&[
        ("EHLO client.test", "250-"),
        ("MAIL FROM:<s@remote.test>", "530 5.7.0 Must issue a STARTTLS command first"),
        ("STARTTLS", "220"),
    ]);
    let mut client = Client::new(shake_hands(client.into_inner()));
    assert_eq!(client.reply(), "421 4.7.1 mx.example.test Error: No client certificate presented");
    role.log_with("NOQUEUE: abort: TLS from unknown[127.0.0.1]: No client certificate presented");
}

#[test]
fn a_failed_handshake_is_explained() {
    let (role, _) = start("", PLAIN);
    let mut client = role.client();
    client.reply();
    client.dialogue(&[("EHLO client.test", "250-"), ("STARTTLS", "220")]);
    client.send("GET / HTTP/1.0\r\n\r\n");
    let log = role.log_with("disconnect from unknown[127.0.0.1] ehlo=1 starttls=0/1 commands=1/2");
    for line in [
        "SSL_accept error from unknown[127.0.0.1]: -1",
        "warning: TLS library problem: error:",
        "TLS handshake with unknown[127.0.0.1] failed: the client speaks HTTP, not TLS",
        "NOQUEUE: lost connection after STARTTLS from unknown[127.0.0.1]",
    ] {
        assert!(log.contains(line), "{line}\n{log}");
    }
}

#[test]
fn without_a_certificate_starttls_is_offered_and_refused() {
    let role = Running::start("smtpd_tls_security_level = may\n", PLAIN, Queue::Keeps, &[]);
    let mut client = role.client();
    client.reply();
    assert!(client.say("EHLO client.test").contains("STARTTLS"));
    assert_eq!(client.say("STARTTLS"), "454 4.7.0 TLS not available due to local problem");
    role.log_with("No server certs available. TLS won't be enabled");
}
