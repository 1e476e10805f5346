//! The site of scripts/virtual-hosting: PostgreSQL, Dovecot and OpenDKIM around a configuration that any Postfix could have, checked by
//! the script itself with swaks and curl.
#![allow(clippy::unwrap_used)] // a test has no other way out

use std::process::Command;

#[test]
fn a_site_of_several_domains() {
    let output = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/virtual-hosting"))
        .arg("--once")
        .env("MAILCLAD", env!("CARGO_BIN_EXE_mailclad"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    for what in [
        "587: a login is accepted",
        "delivered into Dovecot's mailbox",
        "signed with DKIM",
        "587: refused without a login",
        "465: refused with the sender of somebody else",
        "587: refused without TLS",
        "the alias goes to its second user",
        "25: an unknown user is refused",
        "its signature is verified",
    ] {
        assert!(said.lines().any(|line| line == format!("ok  {what}")), "{what}: {said}");
    }
}
