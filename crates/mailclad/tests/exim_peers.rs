//! Exim as the server that mail goes to: another TLS library (GnuTLS), another dialogue. What it logs of a session is its own word.
//!
//! Exim's package can not stand beside Postfix's, so continuous integration unpacks it into a folder and names the program in
//! `MAILCLAD_EXIM`; without that it is looked for in its usual place.
#![allow(clippy::unwrap_used)]

mod support;

use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};

use support::{Client, Site, free_port, wait_for};
use testkit::authority::{Authority, KeyKind};

/// A running Exim that takes every message and delivers none.
struct Exim {
    dir: tempfile::TempDir,
    port: u16,
    process: Child,
}

impl Exim {
    fn start(authority: &Authority) -> Exim {
        let program = std::env::var("MAILCLAD_EXIM").unwrap_or_else(|_| "/usr/sbin/exim4".into());
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let root = dir.path().display();
        let port = free_port();
        let issued = authority.issue("localhost", KeyKind::Rsa2048);
        std::fs::write(dir.path().join("cert.pem"), &issued.certificate_pem).unwrap();
        std::fs::write(dir.path().join("key.pem"), &issued.key_pem).unwrap();
        for name in ["spool", "log"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        let config = format!(
            "primary_hostname = exim.test\nspool_directory = {root}/spool\nlog_file_path = {root}/log/%slog\n\
             pid_file_path = {root}/exim.pid\ntls_advertise_hosts = *\ntls_certificate = {root}/cert.pem\n\
             tls_privatekey = {root}/key.pem\ndaemon_smtp_ports = {port}\nlocal_interfaces = 127.0.0.1\nqueue_only\n\
             acl_smtp_rcpt = take\nacl_smtp_data = take\nbegin acl\ntake:\n  accept\nbegin routers\nnone:\n  driver = redirect\n  data = :blackhole:\n"
        );
        std::fs::write(dir.path().join("exim.conf"), config).unwrap();
        // Its user is compiled in; the configuration must be root's.
        for name in ["spool", "log", "key.pem"] {
            let owned = Command::new("chown").arg("Debian-exim").arg(dir.path().join(name)).status().unwrap();
            assert!(owned.success(), "there is no user Debian-exim");
        }
        let process = Command::new(&program)
            .arg("-C")
            .arg(dir.path().join("exim.conf"))
            .arg("-bdf")
            .stdin(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{program}: {error}; .ci/run installs it"));
        let exim = Exim { dir, port, process };
        wait_for(|| std::net::TcpStream::connect(("127.0.0.1", port)).ok()).expect("Exim listens");
        exim
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log/mainlog")).unwrap_or_default()
    }
}

impl Drop for Exim {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn relay(authority: &Authority, exim: &Exim, extra: &str) -> Site {
    let routing = format!(
        "relay_domains = exim.test\nsmtpd_reject_unlisted_recipient = no\nsmtp_host_lookup = native\n\
         transport_maps = inline:{{ {{exim.test = smtp:[localhost]:{}}} }}\n{extra}",
        exim.port
    );
    Site::new(authority, &routing).start()
}

fn send(site: &Site, subject: &str) {
    let mut client = Client::connect(site.port);
    client.must("EHLO client.test", "250");
    client.send("a@client.test", &["b@exim.test"], &format!("Subject: {subject}\n\nbody\n"));
}

#[test]
fn exim_takes_mail_over_verified_tls() {
    let authority = Authority::new("Test CA");
    let exim = Exim::start(&authority);
    let site = relay(&authority, &exim, "smtp_tls_security_level = verify");
    send(&site, "verified");
    site.wait_for_log(&["Verified TLS connection established to localhost[127.0.0.1]:", "TLSv1.3"]);
    site.wait_for_log(&["to=<b@exim.test>", "dsn=2.0.0, status=sent (250 OK id="]);
    let told =
        wait_for(|| exim.log().lines().find(|line| line.contains(" <= a@client.test")).map(str::to_owned));
    let told = told.unwrap_or_else(|| panic!("{}", exim.log()));
    assert!(told.contains(" P=esmtps X=TLS1.3:"), "{told}");
}

#[test]
fn exim_gets_nothing_when_its_certificate_does_not_fit() {
    let exim = Exim::start(&Authority::new("Other CA"));
    let site = relay(&Authority::new("Test CA"), &exim, "smtp_tls_security_level = secure");
    send(&site, "refused");
    site.wait_for_log(&["to=<b@exim.test>", "dsn=4.7.5, status=deferred (Server certificate not verified)"]);
    assert!(!exim.log().contains(" <= "), "{}", exim.log());
}

#[test]
fn exim_at_may_and_by_fingerprint() {
    let authority = Authority::new("Other CA");
    let exim = Exim::start(&authority);
    let site = relay(&Authority::new("Test CA"), &exim, "smtp_tls_security_level = may");
    send(&site, "whoever it is");
    site.wait_for_log(&["Untrusted TLS connection established to localhost[127.0.0.1]:"]);
    site.wait_for_log(&["to=<b@exim.test>", "status=sent"]);
    let certificate = std::fs::read(exim.dir.path().join("cert.pem")).unwrap();
    let digest = openssl::x509::X509::from_pem(&certificate).unwrap();
    let digest = digest.digest(openssl::hash::MessageDigest::sha256()).unwrap();
    let fingerprint: Vec<String> = digest.iter().map(|byte| format!("{byte:02X}")).collect();
    let site = relay(
        &Authority::new("Test CA"),
        &exim,
        &format!(
            "smtp_tls_security_level = fingerprint\nsmtp_tls_fingerprint_cert_match = {}",
            fingerprint.join(":")
        ),
    );
    send(&site, "by its certificate");
    site.wait_for_log(&["Verified TLS connection established to localhost[127.0.0.1]:"]);
    site.wait_for_log(&["to=<b@exim.test>", "status=sent"]);
}
