//! `mailclad probe`: one line about the TLS of a server.
#![allow(clippy::unwrap_used)] // a test has no other way out

mod support;

use support::Site;
use testkit::authority::Authority;

fn probe(site: &Site, arguments: &[&str]) -> (String, bool) {
    let output = site.run(&[&["probe"], arguments].concat(), "");
    (String::from_utf8(output.stdout).unwrap(), output.status.success())
}

#[test]
fn a_probe_says_what_tls_is_worth() {
    let site = Site::new(&Authority::new("Test CA"), "").start();
    let (plain, wrapped) = (format!("localhost:{}", site.port), format!("localhost:{}", site.wrapper_port));
    let (text, sound) = probe(&site, &[&plain]);
    assert!(sound, "{text}");
    assert!(text.starts_with(&format!("{plain}: STARTTLS, TLSv1.3 with cipher ")), "{text}");
    assert!(text.ends_with("; certificate verified for localhost\n"), "{text}");
    let (text, _) = probe(&site, &["-w", &wrapped]);
    assert!(text.starts_with(&format!("{wrapped}: TLS from the first byte, TLSv1.3")), "{text}");
    // The name in the certificate is another, and it is said which.
    let address = format!("127.0.0.1:{}", site.port);
    let (text, sound) = probe(&site, &[&address]);
    assert!(sound && text.contains("certificate NOT verified for 127.0.0.1: "), "{text}");
    assert!(text.contains("localhost"), "{text}");
}

#[test]
fn a_probe_of_a_server_without_tls() {
    let site = Site::new(&Authority::new("Test CA"), "smtpd_tls_security_level = none").start();
    let target = format!("localhost:{}", site.port);
    let (text, sound) = probe(&site, &[&target]);
    assert!(!sound);
    assert_eq!(text, format!("{target}: no STARTTLS: mail goes in the clear\n"));
    let closed = format!("localhost:{}", support::free_port());
    let (text, sound) = probe(&site, &[&closed]);
    assert!(!sound && text.contains("refused"), "{text}");
}
