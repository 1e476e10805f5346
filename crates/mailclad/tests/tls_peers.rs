//! TLS of the SMTP server with openssl s_client at the other end, for what a client in the test's own process can not do: keep a
//! session over a restart, and ask for renegotiation.
#![allow(clippy::unwrap_used)] // a test has no other way out

mod support;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use support::Site;
use testkit::authority::Authority;

/// Connects to the wrapper-mode port, says `lines` after the greeting, and gives what s_client shows until it ends.
fn s_client(site: &Site, options: &[&str], lines: &str) -> String {
    let mut child = Command::new("openssl")
        .args(["s_client", "-connect", &format!("127.0.0.1:{}", site.wrapper_port), "-tls1_2"])
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut text = String::new();
    while !text.contains("\n220 ") {
        assert!(output.read_line(&mut text).unwrap() > 0, "no greeting: {text}\n{}", site.log());
    }
    let mut input = child.stdin.take().unwrap();
    for line in lines.lines() {
        // In one piece: some letters are commands of s_client, which may leave behind the first.
        input.write_all(format!("{line}\n").as_bytes()).unwrap();
    }
    while output.read_line(&mut text).unwrap() > 0 {}
    let end = child.wait_with_output().unwrap();
    text + &String::from_utf8_lossy(&end.stderr)
}

#[test]
fn resumable_sessions_survive_a_restart() {
    let extra =
        "smtpd_tls_session_cache_database = btree:/etc/postfix/smtpd_scache\nsmtpd_tls_loglevel = 1,cache\n";
    let mut site = Site::new(&Authority::new("Test CA"), extra).start();
    let file = site.dir.path().join("client-session");
    let session = |file: &Path| file.display().to_string();
    let text = s_client(&site, &["-no_ticket", "-sess_out", &session(&file)], "QUIT");
    assert!(text.contains("\nNew, TLSv1.2"), "{text}");
    site.stop();
    site.restart();
    let text = s_client(&site, &["-no_ticket", "-sess_in", &session(&file)], "QUIT");
    assert!(text.contains("\nReused, TLSv1.2"), "{text}\n{}", site.log());
    site.wait_for_log(&[": Reusing old session"]);
}

/// RFC 7457 section 2.10: who can start the handshake anew can make us calculate, or worse.
#[test]
fn renegotiation_is_refused() {
    let site = Site::new(&Authority::new("Test CA"), "").start();
    // s_client takes a line with the letter R for the wish to renegotiate.
    let text = s_client(&site, &[], "R");
    assert!(text.contains("RENEGOTIATING") && text.contains("no renegotiation"), "{text}");
}
