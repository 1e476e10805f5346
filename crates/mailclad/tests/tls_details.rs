//! Single points of the guides about TLS of the server that no other test shows.
#![allow(clippy::unwrap_used)] // a test has no other way out

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::symlink;

use openssl::ssl::{SslConnector, SslFiletype, SslMethod, SslStream, SslVerifyMode};
use openssl::x509::X509;
use support::{Client, PATIENCE, Site, free_port};
use testkit::authority::{Authority, KeyKind};
use testkit::steady::Steady;

fn master_with(site: &Site, line: &str) {
    let master = std::fs::read_to_string(site.dir.path().join("master.cf")).unwrap();
    site.write("master.cf", &format!("{master}{line}\n"));
}

#[test]
fn a_self_signed_certificate_is_served() {
    let site =
        Site::new(&Authority::new("Test CA"), "smtpd_tls_chain_files = DIR/own.pem\nsmtpd_tls_loglevel = 1");
    let (certificate, key) = Authority::self_signed("localhost");
    site.write("own.pem", &(key + &certificate));
    site.write("ca.pem", &certificate);
    let site = site.start();
    let mut client = Client::connect(site.port);
    client.must("EHLO client.test", "250");
    let mut client = client.starttls(&site.ca());
    client.must("EHLO client.test", "250");
    assert!(!site.log().contains("warning: TLS"), "{}", site.log());
}

#[test]
fn sendmail_bs_never_offers_starttls() {
    let site = Site::new(&Authority::new("Test CA"), "smtpd_tls_security_level = encrypt").start();
    let said = site
        .run(&["sendmail", "-bs"], "EHLO client.test\r\nSTARTTLS\r\nMAIL FROM:<user@site.test>\r\nQUIT\r\n");
    let said = String::from_utf8(said.stdout).unwrap();
    assert!(said.contains("250 2.1.0 Ok"), "mail is taken without TLS: {said}");
    assert!(!said.contains("STARTTLS\r\n") && said.contains("502 5.5.1 "), "{said}");
}

#[test]
fn names_and_spellings_of_wrapper_mode() {
    for option in ["smtpd_tls_wrappermode=yes", "{ smtpd_tls_wrappermode = yes }"] {
        let site = Site::new(&Authority::new("Test CA"), "");
        let port = free_port();
        master_with(&site, &format!("127.0.0.1:{port} inet n - n - - smtpd\n  -o {option}"));
        let site = site.start();
        let mut client = Client::connect_tls(port, &site.ca());
        client.must("EHLO client.test", "250");
    }
    for name in ["smtps", "submissions"] {
        let port =
            std::net::ToSocketAddrs::to_socket_addrs(&("127.0.0.1", 465)).unwrap().next().unwrap().port();
        let services = std::fs::read_to_string("/etc/services").unwrap_or_default();
        let known = services.lines().any(|line| {
            let mut words = line.split_whitespace();
            let canonical = words.next() == Some(name);
            (canonical || words.any(|word| word == name)) && line.contains(&format!("{port}/tcp"))
        });
        // Systems differ in which of the two names they list.
        if known {
            let site = Site::new(&Authority::new("Test CA"), "");
            master_with(&site, &format!("{name} inet n - n - - smtpd\n  -o smtpd_tls_wrappermode=yes"));
            let checked = site.run(&["check"], "");
            assert!(checked.status.success(), "{name}: {checked:?}");
        }
    }
    let site = Site::new(&Authority::new("Test CA"), "");
    master_with(&site, "2525 inet n - n - - smtpd\n  -o smtpd_tls_wrappermode = yes");
    let checked = site.run(&["check"], "");
    let said = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert!(!checked.status.success() && said.contains("-o"), "blanks around = are told: {said}");
}

#[test]
fn check_says_what_is_wrong_with_a_certificate() {
    for (extra, expected) in [
        ("smtpd_tls_chain_files = /nonexistent/c.pem", "/nonexistent/c.pem"),
        ("smtpd_tls_chain_files =\nsmtpd_tls_cert_file = /nonexistent/d.pem", "/nonexistent/d.pem"),
    ] {
        let site = Site::new(&Authority::new("Test CA"), extra);
        let checked = site.run(&["check"], "");
        let said = String::from_utf8_lossy(&checked.stderr).into_owned();
        let told = said.lines().any(|line| {
            line.contains("master.cf, line 1: service ")
                && line.contains(expected)
                && line.contains("No such file")
        });
        assert!(told, "{extra}: {said}");
    }
    let site = Site::new(&Authority::new("Test CA"), "");
    let said = String::from_utf8_lossy(&site.run(&["check"], "").stderr).into_owned();
    assert!(!said.contains("disabling TLS support"), "{said}");
}

/// A session in wrapper mode, with a client certificate and its key from one file.
fn certified(site: &Site, name: &str) -> SslStream<Steady> {
    let stream = TcpStream::connect(("127.0.0.1", site.wrapper_port)).unwrap();
    let stream = Steady::new(stream, PATIENCE).unwrap();
    let mut builder = SslConnector::builder(SslMethod::tls()).unwrap();
    builder.set_verify(SslVerifyMode::NONE);
    builder.set_certificate_chain_file(site.dir.path().join(name)).unwrap();
    builder.set_private_key_file(site.dir.path().join(name), SslFiletype::PEM).unwrap();
    builder.build().configure().unwrap().verify_hostname(false).connect("localhost", stream).unwrap()
}

/// Shows a client certificate; the verdict is in the log.
fn present(site: &Site, name: &str) {
    let mut stream = certified(site, name);
    stream.write_all(b"QUIT\r\n").unwrap();
    let mut said = String::new();
    let _ = stream.read_to_string(&mut said);
    assert!(said.contains("221 "), "{said}");
}

#[test]
fn an_authority_is_added_while_the_server_runs() {
    let site = Site::new(
        &Authority::new("Test CA"),
        "smtpd_tls_ask_ccert = yes\nsmtpd_tls_CApath = DIR/authorities\nsmtpd_tls_loglevel = 1",
    );
    let clients = Authority::new("Client CA");
    let issued = clients.issue("client.test", KeyKind::EcdsaP256);
    site.write("client.pem", &(issued.key_pem + &issued.certificate_pem));
    let folder = site.dir.path().join("authorities");
    std::fs::create_dir(&folder).unwrap();
    let site = site.start();
    present(&site, "client.pem");
    site.wait_for_log(&["Untrusted TLS connection established from "]);
    // As c_rehash does it.
    std::fs::write(folder.join("clients.pem"), &clients.certificate_pem).unwrap();
    let certificate = X509::from_pem(clients.certificate_pem.as_bytes()).unwrap();
    symlink("clients.pem", folder.join(format!("{:08x}.0", certificate.subject_name_hash()))).unwrap();
    present(&site, "client.pem");
    site.wait_for_log(&["Trusted TLS connection established from "]);
}

#[test]
fn a_fingerprint_table_without_its_index_is_read_as_text() {
    let site = Site::new(
        &Authority::new("Test CA"),
        "smtpd_tls_ask_ccert = yes\nrelay_clientcerts = hash:DIR/relay\nsmtpd_tls_fingerprint_digest = sha256\n\
         mynetworks =\nsmtpd_relay_restrictions = permit_tls_clientcerts, reject_unauth_destination",
    );
    let issued = Authority::new("Client CA").issue("client.test", KeyKind::EcdsaP256);
    site.write("client.pem", &(issued.key_pem.clone() + &issued.certificate_pem));
    let digest = X509::from_pem(issued.certificate_pem.as_bytes())
        .unwrap()
        .digest(openssl::hash::MessageDigest::sha256())
        .unwrap();
    let fingerprint: Vec<String> = digest.iter().map(|byte| format!("{byte:02X}")).collect();
    let line = format!("{} client.test\n", fingerprint.join(":"));
    site.write("relay", &line);
    let site = site.start();
    // What RCPT is answered, for a recipient elsewhere.
    let relay = |site: &Site| {
        let mut session = BufReader::new(certified(site, "client.pem"));
        let mut reply = String::new();
        for command in ["", "HELO client.test", "MAIL FROM:<a@client.test>", "RCPT TO:<b@elsewhere.test>"] {
            if !command.is_empty() {
                session.get_mut().write_all(format!("{command}\r\n").as_bytes()).unwrap();
            }
            reply.clear();
            session.read_line(&mut reply).unwrap();
        }
        reply
    };
    let said = relay(&site);
    assert!(said.starts_with("250 2.1.5 Ok"), "{said}\n{}", site.log());
    site.wait_for_log(&["reading ", "relay instead, please run \"postmap hash:"]);
    // Revoked: the line is taken out, the table built, and nothing restarted.
    site.write("relay", "# nobody\n");
    let table = format!("hash:{}/relay", site.dir.path().display());
    assert!(site.run(&["postmap", &table], "").status.success());
    let said = relay(&site);
    assert!(said.starts_with("554 5.7.1 "), "{said}");
}
