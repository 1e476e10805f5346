//! What a hostile client can try around the beginning of TLS. docs/known-holes.md names these tests.
#![allow(clippy::unwrap_used)] // a test has no other way out

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};

use openssl::pkey::PKey;
use openssl::ssl::{HandshakeError, SslConnector, SslMethod, SslStream, SslVerifyMode};
use openssl::x509::X509;
use support::{Client, PATIENCE, Site, wait_for};
use testkit::authority::{Authority, KeyKind};
use testkit::steady::Steady;

fn site(extra: &str) -> Site {
    Site::new(&Authority::new("Test CA"), extra).start()
}

/// A connection in the clear, as far as the reply to STARTTLS. `behind` is sent in the same packet as STARTTLS.
fn begin(site: &Site, before: &str, behind: &str) -> Steady {
    let stream = TcpStream::connect(("127.0.0.1", site.port)).unwrap();
    let mut stream = Steady::new(stream, PATIENCE).unwrap();
    let mut input = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    input.read_line(&mut line).unwrap();
    for command in before.lines() {
        stream.write_all(format!("{command}\r\n").as_bytes()).unwrap();
        loop {
            line.clear();
            assert!(input.read_line(&mut line).unwrap() > 3, "{command}: closed");
            if line.as_bytes()[3] != b'-' {
                break;
            }
        }
    }
    stream.write_all(format!("STARTTLS\r\n{behind}").as_bytes()).unwrap();
    line.clear();
    input.read_line(&mut line).unwrap();
    assert_eq!(line, "220 2.0.0 Ready to start TLS\r\n");
    assert!(input.buffer().is_empty(), "something stands behind the reply: {:?}", input.buffer());
    stream
}

fn handshake(stream: Steady) -> Result<SslStream<Steady>, HandshakeError<Steady>> {
    let mut builder = SslConnector::builder(SslMethod::tls()).unwrap();
    builder.set_verify(SslVerifyMode::NONE);
    builder.build().configure().unwrap().verify_hostname(false).connect("localhost", stream)
}

/// A command inside TLS, and its reply of one line.
fn ask(stream: &mut (impl Read + Write), command: &str) -> String {
    stream.write_all(format!("{command}\r\n").as_bytes()).unwrap();
    let mut line = Vec::new();
    let mut byte = [0];
    while !line.ends_with(b"\r\n") && stream.read(&mut byte).unwrap() == 1 {
        line.push(byte[0]);
    }
    String::from_utf8_lossy(&line).into_owned()
}

/// Everything that the server says until it hangs up.
fn rest(stream: &mut impl Read) -> String {
    let mut text = Vec::new();
    let _ = stream.read_to_end(&mut text);
    String::from_utf8_lossy(&text).into_owned()
}

/// CVE-2011-0411: commands that stand in the clear behind STARTTLS must not be carried out inside TLS.
#[test]
fn plaintext_behind_starttls_is_thrown_away() {
    let site = site("");
    let evil = "MAIL FROM:<evil@client.test>\r\nRCPT TO:<user@site.test>\r\nDATA\r\nevil\r\n.\r\nQUIT\r\n";
    let mut stream = handshake(begin(&site, "EHLO client.test", evil)).unwrap();
    assert_eq!(ask(&mut stream, "NOOP"), "250 2.0.0 Ok\r\n", "only what was said inside is answered");
    assert_eq!(ask(&mut stream, "QUIT"), "221 2.0.0 Bye\r\n");
    assert_eq!(rest(&mut stream), "");
    site.wait_for_log(&["disconnect from ", "ehlo=1 starttls=1 noop=1 quit=1 commands=4"]);
    assert!(site.mailbox("user").is_empty());
}

/// RFC 3207 section 4.2: what was said in the clear, by whoever stood in between, is forgotten.
#[test]
fn the_plaintext_session_ends_with_starttls() {
    let site = site("smtpd_helo_required = yes\n");
    let before = "EHLO evil.test\nMAIL FROM:<evil@client.test>\nRCPT TO:<user@site.test>";
    let mut stream = handshake(begin(&site, before, "")).unwrap();
    for (command, expected) in [
        ("DATA", "503 5.5.1 Error: "),
        ("RCPT TO:<user@site.test>", "503 5.5.1 Error: "),
        ("MAIL FROM:<a@client.test>", "503 5.5.1 Error: send HELO/EHLO first"),
    ] {
        let said = ask(&mut stream, command);
        assert!(said.starts_with(expected), "{command}: {said}");
    }
}

/// A keyword taken out of the EHLO reply does not help where TLS is required: nothing of value is said in the clear.
#[test]
fn a_stripped_keyword_does_not_downgrade() {
    let site = site("smtpd_tls_security_level = encrypt\n");
    let mut client = Client::connect(site.port);
    assert!(!client.must("EHLO client.test", "250").contains("AUTH"));
    for command in ["MAIL FROM:<a@client.test>", "AUTH PLAIN AGEAYg==", "VRFY user", "RSET"] {
        client.must(command, "530 5.7.0 Must issue a STARTTLS command first");
    }
}

/// Half a handshake costs its sender a connection and us little; others are served meanwhile.
#[test]
fn half_open_handshakes_are_cut_and_hinder_nobody() {
    // Thousands, where a process may have so many files open.
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX);
    let count = if files >= 8_000 { 3_000 } else { 300 };
    let site = site(&format!(
        "smtpd_starttls_timeout = 4s\ndefault_process_limit = {}\nsmtpd_peername_lookup = no\n\
         smtpd_client_connection_count_limit = 0\n",
        count + 100
    ));
    let half: Vec<Steady> = (0..count)
        .map(|number| {
            let mut stream = begin(&site, "EHLO client.test", "");
            // Some stop in the middle of a ClientHello.
            if number % 2 == 0 {
                stream.write_all(&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]).unwrap();
            }
            stream
        })
        .collect();
    let mut client = Client::connect(site.port);
    client.must("EHLO client.test", "250");
    let mut client = client.starttls(&site.ca());
    client.must("EHLO client.test", "250");
    for mut stream in half {
        assert_eq!(rest(&mut stream), "", "cut without a word");
    }
    let all = wait_for(|| {
        let cut =
            site.log().matches("SSL_accept error from unknown[127.0.0.1]: Connection timed out").count();
        (cut == count).then_some(())
    });
    assert!(all.is_some());
    client.must("NOOP", "250");
}

/// Bytes that are no ClientHello, or nearly one.
#[test]
fn a_garbled_client_hello_ends_that_connection_only() {
    let site = site("");
    let long = [&[0x16, 3, 1, 0x40, 1][..], &[1; 0x4001]].concat();
    let hello_of_nothing: &[u8] = &[0x16, 3, 1, 0, 4, 1, 0, 0, 0];
    for garbage in [
        b"EHLO client.test\r\n" as &[u8],
        b"GET / HTTP/1.1\r\n\r\n",
        &[0; 64],
        &[0xff; 64],
        &[0x80, 0x2e, 1, 0, 2, 0, 0x15, 0, 0, 0, 0x10, 1, 0, 0x80],
        &[0x15, 3, 1, 0, 2, 2, 40],
        &[0x17, 3, 3, 0, 5, 1, 2, 3, 4, 5],
        &[0x16, 3, 1, 0, 0],
        hello_of_nothing,
        &long,
        // A hello that says that it is 16 MB long.
        &[0x16, 3, 1, 0, 6, 1, 0xff, 0xff, 0xff, 3, 3],
        &[],
    ] {
        let mut stream = begin(&site, "EHLO client.test", "");
        // The server may hang up before it has read everything.
        let _ = stream.write_all(garbage);
        let _ = stream.socket().shutdown(Shutdown::Write);
        let said = rest(&mut stream);
        assert!(!said.contains("250") && !said.contains("220"), "{garbage:?}: {said}");
    }
    let mut client = Client::connect(site.port);
    client.must("EHLO client.test", "250");
    client.starttls(&site.ca()).must("EHLO client.test", "250");
    assert!(!site.log().contains("panic"), "{}", site.log());
}

/// A chain of certificates that would never end.
#[test]
fn a_huge_client_chain_is_refused() {
    let authority = Authority::new("Test CA");
    let site = Site::new(&authority, "smtpd_tls_ask_ccert = yes\n").start();
    let client = authority.issue("client.test", KeyKind::Rsa2048);
    let connect = |count: usize| {
        let stream = begin(&site, "EHLO client.test", "");
        let mut builder = SslConnector::builder(SslMethod::tls()).unwrap();
        builder.set_verify(SslVerifyMode::NONE);
        let leaf = X509::from_pem(client.certificate_pem.as_bytes()).unwrap();
        builder.set_certificate(&leaf).unwrap();
        builder.set_private_key(&PKey::private_key_from_pem(client.key_pem.as_bytes()).unwrap()).unwrap();
        for _ in 0..count {
            builder.add_extra_chain_cert(leaf.clone()).unwrap();
        }
        let configuration = builder.build().configure().unwrap().verify_hostname(false);
        // With TLS 1.3 the client is done before the server has judged.
        let mut stream = match configuration.connect("localhost", stream) {
            Ok(stream) => stream,
            Err(_) => return String::new(),
        };
        let _ = stream.write_all(b"QUIT\r\n");
        rest(&mut stream)
    };
    assert_eq!(connect(1), "221 2.0.0 Bye\r\n");
    assert_eq!(connect(1000), "");
    site.wait_for_log(&["warning: TLS library problem: ", "excessive message size"]);
    assert_eq!(connect(0), "221 2.0.0 Bye\r\n");
}
