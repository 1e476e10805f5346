//! Certificates are renewed while the system serves: no reload, no session dropped, and a damaged renewal changes nothing.
#![allow(clippy::unwrap_used)] // a test has no other way out

mod support;

use std::net::TcpStream;
use std::path::Path;

use openssl::ssl::{SslConnector, SslMethod, SslVerifyMode};
use support::{Client, PATIENCE, Site, wait_for};
use testkit::authority::{Authority, Issued, KeyKind};
use testkit::steady::Steady;

/// The serial number of the certificate that the wrapper-mode port shows.
fn serial_shown(site: &Site) -> Option<String> {
    let stream = TcpStream::connect(("127.0.0.1", site.wrapper_port)).ok()?;
    let stream = Steady::new(stream, PATIENCE).ok()?;
    let mut builder = SslConnector::builder(SslMethod::tls()).ok()?;
    builder.set_verify(SslVerifyMode::NONE);
    let stream = builder.build().connect("localhost", stream).ok()?;
    Some(serial(&stream.ssl().peer_certificate()?))
}

fn serial(certificate: &openssl::x509::X509) -> String {
    certificate.serial_number().to_bn().unwrap().to_hex_str().unwrap().to_string()
}

fn serial_of(issued: &Issued) -> String {
    serial(&openssl::x509::X509::from_pem(issued.certificate_pem.as_bytes()).unwrap())
}

fn pem(issued: &Issued) -> String {
    issued.key_pem.clone() + &issued.certificate_pem
}

fn shows(site: &Site, issued: &Issued) {
    let expected = serial_of(issued);
    let shown = wait_for(|| serial_shown(site).filter(|serial| *serial == expected));
    assert!(shown.is_some(), "the new certificate is not shown:\n{}", site.log());
}

fn rename_over(site: &Site, name: &str, text: &str) {
    site.write("next.pem", text);
    let dir = site.dir.path();
    // Keys are for root only, or for whoever runs the tests.
    std::fs::set_permissions(dir.join("next.pem"), std::os::unix::fs::PermissionsExt::from_mode(0o600))
        .unwrap();
    std::fs::rename(dir.join("next.pem"), dir.join(name)).unwrap();
}

#[test]
fn a_renewed_certificate_is_shown_within_seconds() {
    let authority = Authority::new("Test CA");
    let site = Site::new(&authority, "").start();
    let mut old_session = Client::connect(site.port);
    old_session.must("EHLO client.test", "250");
    let mut old_session = old_session.starttls(&site.ca());

    let second = authority.issue("localhost", KeyKind::EcdsaP256);
    rename_over(&site, "server.pem", &pem(&second));
    shows(&site, &second);
    site.wait_for_log(&["TLS files renewed: ", "server.pem; in use from now on by service"]);

    // Half a file, as a full disk leaves it: the old one stays, and the log says so once.
    let whole = pem(&authority.issue("localhost", KeyKind::EcdsaP256));
    rename_over(&site, "server.pem", &whole[..whole.len() - 100]);
    site.wait_for_log(&["warning: error loading chain from ", "server.pem", "the old one stays in use"]);
    assert_eq!(serial_shown(&site), Some(serial_of(&second)));
    std::fs::remove_file(site.dir.path().join("server.pem")).unwrap();
    site.wait_for_log(&[
        "warning: error loading chain from ",
        "No such file or directory: the old one stays in use",
    ]);
    assert_eq!(serial_shown(&site), Some(serial_of(&second)));

    let third = authority.issue("localhost", KeyKind::Rsa2048);
    rename_over(&site, "server.pem", &pem(&third));
    shows(&site, &third);
    let warnings = site.log().matches("the old one stays in use").count();
    assert_eq!(warnings, 2, "one line for each change that was no good:\n{}", site.log());

    let reply = old_session.say("EHLO client.test");
    assert!(reply.starts_with("250"), "the session from before goes on: {reply}");
}

#[test]
fn a_link_to_another_directory_is_followed() {
    let authority = Authority::new("Test CA");
    let extra = "smtpd_tls_chain_files = $config_directory/live/all.pem\nsmtpd_tls_cert_file =\n";
    let site = Site::new(&authority, extra);
    let issue = |name: &str| {
        let issued = authority.issue("localhost", KeyKind::EcdsaP256);
        std::fs::create_dir(site.dir.path().join(name)).unwrap();
        rename_over(&site, &format!("{name}/all.pem"), &pem(&issued));
        issued
    };
    let first = issue("archive1");
    let link = |target: &str, name: &str| {
        std::os::unix::fs::symlink(Path::new(target), site.dir.path().join(name)).unwrap();
    };
    link("archive1", "live");
    let second = issue("archive2");
    let site = site.start();
    shows(&site, &first);
    std::os::unix::fs::symlink("archive2", site.dir.path().join("next")).unwrap();
    std::fs::rename(site.dir.path().join("next"), site.dir.path().join("live")).unwrap();
    shows(&site, &second);
}

#[test]
fn a_certificate_that_comes_late_switches_tls_on() {
    let authority = Authority::new("Test CA");
    let site = Site::new(&authority, "");
    let issued = std::fs::read_to_string(site.dir.path().join("server.pem")).unwrap();
    std::fs::remove_file(site.dir.path().join("server.pem")).unwrap();
    let site = site.start();
    let mut client = Client::connect(site.port);
    client.must("EHLO client.test", "250");
    client.must("STARTTLS", "454 4.7.0 TLS not available due to local problem");
    rename_over(&site, "server.pem", &issued);
    site.wait_for_log(&["TLS files renewed: "]);
    let mut client = Client::connect(site.port);
    client.must("EHLO client.test", "250");
    client.starttls(&site.ca()).must("EHLO client.test", "250");
}
