//! TLS of the SMTP server as a whole system shows it: names that select certificates, limits, log levels, resumption.
#![allow(clippy::unwrap_used)] // a test has no other way out

mod support;

use std::net::TcpStream;

use openssl::ssl::{SslConnector, SslMethod, SslStream, SslVerifyMode, SslVersion};
use support::{Client, PATIENCE, Site};
use testkit::authority::{Authority, KeyKind};
use testkit::steady::Steady;

/// A connection to the wrapper-mode port. `name` is sent as SNI.
fn connect(site: &Site, name: Option<&str>, version: Option<SslVersion>) -> Option<SslStream<Steady>> {
    let stream = TcpStream::connect(("127.0.0.1", site.wrapper_port)).unwrap();
    let stream = Steady::new(stream, PATIENCE).unwrap();
    let mut builder = SslConnector::builder(SslMethod::tls()).unwrap();
    builder.set_verify(SslVerifyMode::NONE);
    builder.set_max_proto_version(version).unwrap();
    let configuration = builder.build().configure().unwrap().verify_hostname(false);
    let mut ssl = configuration.use_server_name_indication(false).into_ssl("localhost").unwrap();
    if let Some(name) = name {
        ssl.set_hostname(name).unwrap();
    }
    ssl.connect(stream).ok()
}

fn subject(stream: &SslStream<Steady>) -> String {
    let certificate = stream.ssl().peer_certificate().unwrap();
    let entry = certificate.subject_name().entries().next().unwrap();
    entry.data().to_string().unwrap()
}

#[test]
fn a_name_selects_its_certificate() {
    let authority = Authority::new("Test CA");
    let maps = "tls_server_sni_maps = texthash:$config_directory/sni\nsmtpd_tls_loglevel = 1\n";
    let site = Site::new(&authority, maps);
    let dir = site.dir.path().display().to_string();
    for name in ["one.test", "par.test"] {
        let issued = authority.issue(name, KeyKind::EcdsaP256);
        site.write(&format!("{name}.pem"), &(issued.key_pem.clone() + &issued.certificate_pem));
    }
    site.write(
        "sni",
        &format!("one.test {dir}/one.test.pem\n.par.test {dir}/par.test.pem\nbad.test {dir}/none\n"),
    );
    let site = site.start();
    for (name, version, expected) in [
        (Some("one.test"), None, Some("one.test")),
        (Some("ONE.test"), Some(SslVersion::TLS1_2), Some("one.test")),
        (Some("a.b.par.test"), None, Some("par.test")),
        (Some("par.test"), None, Some("localhost")),
        (Some("other.test"), None, Some("localhost")),
        (Some("bad name"), None, Some("localhost")),
        (Some("127.0.0.1"), None, Some("localhost")),
        (None, None, Some("localhost")),
        (Some("bad.test"), None, None),
    ] {
        let shown = connect(&site, name, version).map(|stream| subject(&stream));
        assert_eq!(shown.as_deref(), expected, "{name:?}");
    }
    for parts in [
        &["Anonymous TLS connection established from ", "[127.0.0.1] to one.test: TLSv1.3 with cipher "][..],
        &["[127.0.0.1] to a.b.par.test: TLSv1.3"],
        &["TLS SNI other.test from ", "[127.0.0.1] not matched, using default chain"],
        &["warning: TLS SNI from ", "[127.0.0.1] is invalid: bad name"],
        &["warning: TLS SNI from ", " is invalid: 127.0.0.1"],
        &["warning: tls_server_sni_maps: bad.test: error loading chain from ", "No such file"],
    ] {
        site.wait_for_log(parts);
    }
    // Renewed like any other certificate.
    let issued = authority.issue("renewed.test", KeyKind::EcdsaP256);
    site.write("one.test.pem", &(issued.key_pem.clone() + &issued.certificate_pem));
    site.wait_for_log(&["TLS files renewed: ", "one.test.pem"]);
    assert_eq!(subject(&connect(&site, Some("one.test"), None).unwrap()), "renewed.test");
}

#[test]
fn certificates_may_stand_in_the_table() {
    let authority = Authority::new("Test CA");
    let site = Site::new(&authority, "tls_server_sni_maps = hash:$config_directory/sni\n");
    let issued = authority.issue("one.test", KeyKind::EcdsaP256);
    site.write("one.pem", &(issued.key_pem.clone() + &issued.certificate_pem));
    site.write("sni", &format!("one.test {}/one.pem\n", site.dir.path().display()));
    let table = format!("hash:{}/sni", site.dir.path().display());
    assert!(site.run(&["postmap", "-F", &table], "").status.success());
    // What was stored is what counts.
    std::fs::remove_file(site.dir.path().join("one.pem")).unwrap();
    std::fs::remove_file(site.dir.path().join("sni")).unwrap();
    let site = site.start();
    assert_eq!(subject(&connect(&site, Some("one.test"), None).unwrap()), "one.test");
}

#[test]
fn new_tls_sessions_are_limited() {
    let authority = Authority::new("Test CA");
    let limit = "smtpd_client_new_tls_session_rate_limit = 2\nsmtpd_client_event_limit_exceptions =\n";
    let site = Site::new(&authority, limit).start();
    let begin = || {
        let mut client = Client::connect(site.port);
        client.must("EHLO client.test", "250");
        client
    };
    for _ in 0..2 {
        begin().starttls(&site.ca()).must("EHLO client.test", "250");
    }
    let refused = begin().starttls(&site.ca()).reply();
    assert!(refused.starts_with("421 4.7.0 "), "{refused}");
    assert!(refused.contains(" Error: too many new TLS sessions from "), "{refused}");
    let mut refused = begin();
    refused.must("STARTTLS", "454 4.7.0 Error: too many new TLS sessions from ");
    refused.must("NOOP", "250");
    let service = format!("for service 127.0.0.1:{}", site.port);
    site.wait_for_log(&["warning: New TLS session rate limit exceeded: 3 from ", &service]);
    site.wait_for_log(&["warning: Refusing STARTTLS request from ", &service]);
    // The other service counts for itself.
    for _ in 0..3 {
        assert!(connect(&site, None, None).is_some());
    }
    // A handshake counts when it is over at the server, too.
    let service = format!("for service 127.0.0.1:{}", site.wrapper_port);
    site.wait_for_log(&["warning: New TLS session rate limit exceeded: 3 from ", &service]);
    assert!(connect(&site, None, None).is_none());
    site.wait_for_log(&["warning: Refusing TLS service request from ", "for service 127.0.0.1:"]);
}

#[test]
fn log_levels_for_all_and_for_some() {
    let authority = Authority::new("Test CA");
    for (settings, lines, shown) in [
        ("smtpd_tls_loglevel = 0", &["TLS connection established"][..], false),
        ("smtpd_tls_loglevel = 1", &["Anonymous TLS connection established from "], true),
        ("smtpd_tls_loglevel = 1", &["TLS cipher list"], false),
        (
            "smtpd_tls_loglevel = 2",
            &[
                "initializing the server-side TLS engine",
                "setting up TLS connection from ",
                ": TLS cipher list \"aNULL:-aNULL:HIGH:MEDIUM:",
                "SSL_accept:SSLv3/TLS read client hello",
                ": Issuing session ticket, key expiration: ",
            ],
            true,
        ),
        ("smtpd_tls_loglevel = 2", &[" bytes => "], false),
        ("smtpd_tls_loglevel = 3", &["read from ", "0000 16 03 01 "], true),
        ("smtpd_tls_loglevel = 2\nsmtpd_tls_loglevel_maps = inline:{127.0.0=0}", &["setting up TLS"], false),
        ("smtpd_tls_loglevel_maps = inline:{127.0.0=2}", &["setting up TLS connection from "], true),
        ("smtpd_tls_loglevel = 1,nosuch", &["warning: unknown smtpd_tls_loglevel value \"nosuch\""], true),
    ] {
        let site = Site::new(&authority, settings).start();
        let mut client = Client::connect_tls(site.wrapper_port, &site.ca());
        client.must("EHLO client.test", "250");
        client.must("QUIT", "221");
        site.wait_for_log(&["disconnect from ", "ehlo=1 quit=1 commands=2"]);
        for line in lines {
            assert_eq!(site.log().contains(line), shown, "{settings}: {line}\n{}", site.log());
        }
    }
}

#[test]
fn the_library_goes_by_the_file_that_is_named() {
    let authority = Authority::new("Test CA");
    let site =
        Site::new(&authority, "tls_config_file = $config_directory/openssl.cnf\ntls_config_name = mail\n");
    site.write(
        "openssl.cnf",
        "mail = init\n[init]\nssl_conf = ssl\n[ssl]\nsystem_default = default\n[default]\n\
         Ciphersuites = TLS_AES_128_GCM_SHA256\n",
    );
    let site = site.start();
    let stream = connect(&site, None, None).unwrap();
    assert_eq!(stream.ssl().current_cipher().unwrap().name(), "TLS_AES_128_GCM_SHA256");
    for file in ["/nowhere/openssl.cnf", "openssl.cnf"] {
        let site = Site::new(&authority, &format!("tls_config_file = {file}\n")).start();
        let mut client = Client::connect(site.port);
        client.must("EHLO client.test", "250");
        client.must("STARTTLS", "454 4.7.0 TLS not available due to local problem");
        site.wait_for_log(&["smtpd[", "warning: ", "openssl.cnf", "disabling TLS support"]);
    }
}

#[test]
fn a_handshake_leaves_a_transcript_where_one_is_wished() {
    let site = Site::new(&Authority::new("Test CA"), "smtpd_tls_loglevel = 1, trace\n").start();
    for _ in 0..2 {
        connect(&site, None, None).unwrap();
    }
    let line = site.wait_for_log(&["TLS protocol trace for ", "[127.0.0.1] saved to "]);
    let path = line.rsplit(' ').next().unwrap();
    let text = std::fs::read_to_string(path).unwrap();
    for part in ["Received client_hello: ", "Sent certificate: ", "Sent finished: ", "Received finished: "] {
        assert!(text.contains(part), "{part}: {text}");
    }
    site.wait_for_log(&["skipping TLS trace output - rate limit (1) exceeded"]);
}

/// Level 4 is for the wire, not for what people say inside.
#[test]
fn no_password_is_ever_logged() {
    let authority = Authority::new("Test CA");
    let site = Site::new(&authority, "smtpd_tls_loglevel = 4").start();
    let mut client = Client::connect_tls(site.wrapper_port, &site.ca());
    client.must("EHLO client.test", "250");
    client.say("AUTH PLAIN AGpvZQBzZWNyZXQtd29yZA==");
    client.must("QUIT", "221");
    site.wait_for_log(&["disconnect from ", "quit=1"]);
    let log = site.log();
    assert!(log.contains(" bytes => ") && !log.contains("AGpvZQBz") && !log.contains("secret-word"), "{log}");
}

#[test]
fn a_cipher_setting_that_makes_no_sense_fails_the_handshake() {
    let authority = Authority::new("Test CA");
    for (settings, why) in [
        ("smtpd_tls_exclude_ciphers = !aNULL", "invalid unary '!+-@' in cipher exclusion: !aNULL"),
        ("tls_medium_cipherlist = NOSUCH", "error setting cipher grade: \"medium\""),
    ] {
        let site = Site::new(&authority, settings).start();
        let mut client = Client::connect(site.port);
        client.must("EHLO client.test", "250");
        client.must("STARTTLS", "220 2.0.0 Ready to start TLS");
        assert_eq!(client.reply(), "", "the connection ends");
        site.wait_for_log(&["smtpd[", "warning: ", "[127.0.0.1]: ", why]);
        site.wait_for_log(&["lost connection after STARTTLS from "]);
        site.wait_for_log(&["every TLS handshake of this service will fail"]);
    }
}
