//! The client's certificate and authorities are renewed while the system runs, and a damaged renewal changes nothing.
#![allow(clippy::unwrap_used)] // a test has no other way out

mod support;

use std::os::unix::fs::PermissionsExt;

use support::peer::{Script, ScriptedPeer};
use support::{Client, Site, free_port};
use testkit::authority::{Authority, Issued, KeyKind};

const ADDRESS: &str = "127.0.3.9";

/// As certbot and its relatives do it; keys are for root only, or for whoever runs the tests.
fn rename_over(site: &Site, name: &str, text: &str) {
    site.write("next.pem", text);
    let dir = site.dir.path();
    std::fs::set_permissions(dir.join("next.pem"), PermissionsExt::from_mode(0o600)).unwrap();
    std::fs::rename(dir.join("next.pem"), dir.join(name)).unwrap();
}

fn pem(issued: &Issued) -> String {
    issued.key_pem.clone() + &issued.certificate_pem
}

struct World {
    site: Site,
    peer: ScriptedPeer,
}

impl World {
    fn new(authority: &Authority, server: &Issued, extra: &str) -> World {
        let port = free_port();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("peer.pem");
        std::fs::write(&path, pem(server)).unwrap();
        let script = Script::parse(&format!("tls {}", path.display())).unwrap();
        let peer = ScriptedPeer::start(ADDRESS, port, script);
        let site = Site::new(authority, &format!("relayhost = [{ADDRESS}]:{port}\n{extra}"));
        World { site, peer }
    }

    fn send(&self, recipient: &str) -> String {
        let mut client = Client::connect(self.site.port);
        client.must("EHLO client.test", "250");
        client.send("sender@site.test", &[recipient], "Subject: x\n\ntext\n");
        self.site.wait_for_log(&[&format!("to=<{recipient}>, "), "status="])
    }

    /// Whom the server was shown last.
    fn shown(&self) -> String {
        let heard = self.peer.heard();
        heard.iter().rfind(|line| line.starts_with("-- TLS")).cloned().unwrap_or_default()
    }
}

#[test]
fn a_renewed_client_certificate_is_shown_within_seconds() {
    let authority = Authority::new("Test CA");
    let server = authority.issue("peer.test", KeyKind::EcdsaP256);
    let mut world = World::new(
        &authority,
        &server,
        "smtp_tls_security_level = encrypt\nsmtp_tls_chain_files = DIR/client.pem\n",
    );
    let first = authority.issue("first client", KeyKind::EcdsaP256);
    rename_over(&world.site, "client.pem", &pem(&first));
    world.site = world.site.start();
    world.send("one@far.test");
    assert_eq!(world.shown(), "-- TLSv1.3, client first client --");

    // A key and a certificate that do not belong together.
    let second = authority.issue("second client", KeyKind::EcdsaP256);
    rename_over(&world.site, "client.pem", &(first.key_pem.clone() + &second.certificate_pem));
    world.site.wait_for_log(&["client.pem", "what was read before stays in force"]);
    world.send("two@far.test");
    assert_eq!(world.shown(), "-- TLSv1.3, client first client --");

    rename_over(&world.site, "client.pem", &pem(&second));
    world.site.wait_for_log(&["TLS files renewed: ", "client.pem; in use from now on by service "]);
    world.send("three@far.test");
    assert_eq!(world.shown(), "-- TLSv1.3, client second client --");
}

#[test]
fn renewed_authorities_are_trusted_within_seconds() {
    let (authority, other) = (Authority::new("Test CA"), Authority::new("Next CA"));
    let server = other.issue_as("peer.test", KeyKind::EcdsaP256, &testkit::authority::Wish::named(ADDRESS));
    let mut world = World::new(&authority, &server, "smtp_tls_security_level = verify\n");
    world.site = world.site.start();
    let line = world.send("one@far.test");
    assert!(line.contains("Server certificate not verified"), "{line}");
    rename_over(&world.site, "ca.pem", &format!("{}{}", authority.certificate_pem, other.certificate_pem));
    world.site.wait_for_log(&["TLS files renewed: ", "ca.pem; in use from now on by service "]);
    let line = world.send("two@far.test");
    assert!(line.contains("tls=verify, dsn=2.0.0, status=sent"), "{line}");
}
