//! TLS of the SMTP client against servers of every kind: what is delivered, how, what the log says, and that nothing of a message leaves
//! in the clear where the level forbids it. Each case has a domain, a server on an address of its own, and its records in the DNS.
#![allow(clippy::unwrap_used)] // a test has no other way out

mod support;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use openssl::ssl::{SslAcceptor, SslMethod};
use openssl::x509::X509;
use support::{Client, Site, free_port};
use testkit::authority::{Authority, Issued, KeyKind};
use testkit::name_server::NameServer;
use testkit::steady::Steady;

/// What a server does.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// STARTTLS is not offered.
    Clear,
    /// Offered and refused.
    Refuses,
    /// Offered; then the connection ends.
    Breaks,
    /// Offered and done.
    Tls,
    /// As `Tls`, with a certificate for another name.
    OtherName,
    /// As `Tls`, with a certificate of nobody that we know.
    Stranger,
}
use Kind::{Breaks, Clear, OtherName, Refuses, Stranger, Tls};

/// What the DNS says of the domain.
#[derive(Clone, Copy, PartialEq)]
enum Dns {
    /// No word is vouched for.
    Insecure,
    /// All is vouched for; no TLSA records.
    Secure,
    /// A TLSA record for the certificate.
    Matching,
    /// A TLSA record for another.
    Mismatch,
    /// A TLSA record that is of no use for SMTP.
    Unusable,
    /// TLSA records can not be asked for, or are bogus.
    Bogus,
    /// A matching record; the MX records are not vouched for.
    InsecureMx,
    /// A matching record, vouched for by nobody.
    InsecureHost,
    /// The server's name is an alias, and the matching record is below what it leads to.
    BehindAlias,
    /// The server's name is an alias, and the matching record is below the alias.
    AtAlias,
}
use Dns::{
    AtAlias, BehindAlias, Bogus, Insecure, InsecureHost, InsecureMx, Matching, Mismatch, Secure, Unusable,
};

struct Case {
    policy: &'static str,
    kind: Kind,
    dns: Dns,
    /// In the delivery line.
    expected: &'static str,
    /// Did the message go in the clear?
    in_the_clear: bool,
}

const fn case(policy: &'static str, kind: Kind, dns: Dns, expected: &'static str) -> Case {
    Case { policy, kind, dns, expected, in_the_clear: false }
}

const fn clear(policy: &'static str, kind: Kind, dns: Dns, expected: &'static str) -> Case {
    Case { policy, kind, dns, expected, in_the_clear: true }
}

const NOT_OFFERED: &str = "dsn=4.7.4, status=deferred (TLS is required, but was not offered by host ";
const REFUSED: &str = "dsn=4.7.0, status=deferred (TLS is required, but host ";
const BROKEN: &str = "dsn=4.7.5, status=deferred (Cannot start TLS: handshake failure)";
const NOT_VERIFIED: &str = "dsn=4.7.5, status=deferred (Server certificate not verified)";
const MISTAKE: &str = "dsn=4.7.5, status=deferred (client TLS configuration problem)";

const CASES: &[Case] = &[
    clear("none", Tls, Insecure, "tls=none, dsn=2.0.0, status=sent"),
    clear("may", Clear, Insecure, "tls=may:none, dsn=2.0.0, status=sent"),
    clear("may", Refuses, Insecure, "tls=may:none, dsn=2.0.0, status=sent"),
    // The message is too young to go in the clear after that.
    case("may", Breaks, Insecure, BROKEN),
    case("may", Tls, Insecure, "tls=may, dsn=2.0.0, status=sent"),
    case("may", Stranger, Insecure, "tls=may, dsn=2.0.0, status=sent"),
    case("encrypt", Clear, Insecure, NOT_OFFERED),
    case("encrypt", Refuses, Insecure, REFUSED),
    case("encrypt", Breaks, Insecure, BROKEN),
    case("encrypt", Stranger, Insecure, "tls=encrypt, dsn=2.0.0, status=sent"),
    case("encrypt protocols=TLSv1.2", Tls, Insecure, "tls=encrypt, dsn=2.0.0, status=sent"),
    case("encrypt cipher=high", Tls, Insecure, MISTAKE),
    case("encrypt protocols=TLSv1.2,TLSv1.3", Tls, Insecure, MISTAKE),
    case("encrypt servername=sni.test", Tls, Insecure, "tls=encrypt, dsn=2.0.0, status=sent"),
    case("verify", Clear, Insecure, NOT_OFFERED),
    case("verify", Refuses, Insecure, REFUSED),
    case("verify", Breaks, Insecure, BROKEN),
    case("verify", Tls, Insecure, "tls=verify, dsn=2.0.0, status=sent"),
    case("verify", OtherName, Insecure, NOT_VERIFIED),
    case("verify", Stranger, Insecure, NOT_VERIFIED),
    case("verify match=other.test", OtherName, Insecure, "tls=verify, dsn=2.0.0, status=sent"),
    case("verify tafile=DIR/ca.pem", Tls, Insecure, "tls=verify, dsn=2.0.0, status=sent"),
    case("verify tafile=DIR/stranger.pem", Tls, Insecure, NOT_VERIFIED),
    case("verify tafile=DIR/stranger.pem", Stranger, Insecure, "tls=verify, dsn=2.0.0, status=sent"),
    case("verify tafile=DIR/missing.pem", Tls, Insecure, MISTAKE),
    case("secure", Clear, Insecure, NOT_OFFERED),
    case("secure", Refuses, Insecure, REFUSED),
    case("secure", Tls, Insecure, NOT_VERIFIED),
    case("secure match=hostname", Tls, Insecure, "tls=secure, dsn=2.0.0, status=sent"),
    case(
        "secure policy_type=sts mx_host_pattern=*.test",
        Tls,
        Insecure,
        "tls=secure, dsn=2.0.0, status=sent",
    ),
    case("secure policy_type=sts mx_host_pattern=x.test", Tls, Insecure, "does not match STS MX pattern for"),
    case("fingerprint match=AA:BB", Clear, Insecure, NOT_OFFERED),
    case("fingerprint match=AA:BB", Refuses, Insecure, REFUSED),
    case("fingerprint match=AA:BB", Tls, Insecure, NOT_VERIFIED),
    case("fingerprint match=AA:BB|PRINT", Stranger, Insecure, "tls=fingerprint, dsn=2.0.0, status=sent"),
    case("fingerprint", Tls, Insecure, MISTAKE),
    clear("dane", Clear, Insecure, "tls=dane:none, dsn=2.0.0, status=sent"),
    clear("dane", Clear, Secure, "tls=dane:none, dsn=2.0.0, status=sent"),
    case("dane", Stranger, Secure, "tls=dane:may, dsn=2.0.0, status=sent"),
    case("dane", Stranger, Matching, "tls=dane, dsn=2.0.0, status=sent"),
    case("dane", Clear, Matching, NOT_OFFERED),
    case("dane", Refuses, Matching, REFUSED),
    case("dane", Breaks, Matching, BROKEN),
    case("dane", Tls, Mismatch, NOT_VERIFIED),
    case("dane", Tls, Unusable, "tls=dane:encrypt, dsn=2.0.0, status=sent"),
    case("dane", Clear, Unusable, NOT_OFFERED),
    case("dane", Tls, Bogus, "dsn=4.7.5, status=deferred (TLSA lookup error for mx"),
    case("dane", Clear, Bogus, "dsn=4.7.5, status=deferred (TLSA lookup error for mx"),
    case("dane", Stranger, InsecureMx, "tls=dane:halfdane, dsn=2.0.0, status=sent"),
    case("dane", Stranger, BehindAlias, "tls=dane, dsn=2.0.0, status=sent"),
    case("dane", Stranger, AtAlias, "tls=dane, dsn=2.0.0, status=sent"),
    case("dane", Tls, InsecureHost, "tls=dane:may, dsn=2.0.0, status=sent"),
    case("dane-only", Clear, Insecure, "dsn=4.7.5, status=deferred (non DNSSEC destination)"),
    case("dane-only", Clear, Secure, "dsn=4.7.5, status=deferred (no TLSA records found)"),
    case("dane-only", Stranger, Matching, "tls=dane-only, dsn=2.0.0, status=sent"),
    case("dane-only", Clear, Matching, NOT_OFFERED),
    case("dane-only", Tls, Mismatch, NOT_VERIFIED),
    case("dane-only", Tls, Unusable, "dsn=4.7.5, status=deferred (TLSA records unusable)"),
    case("dane-only", Tls, Bogus, "dsn=4.7.5, status=deferred (TLSA lookup error for mx"),
    case("dane-only", Tls, InsecureMx, "dsn=4.7.5, status=deferred (non DNSSEC destination)"),
];

/// A server. What it hears in the clear is kept.
struct Peer {
    heard: Arc<Mutex<Vec<String>>>,
}

impl Peer {
    fn start(address: &str, port: u16, kind: Kind, issued: &Issued) -> Peer {
        let listener = TcpListener::bind((address, port)).unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls()).unwrap();
        acceptor.set_certificate(&X509::from_pem(issued.certificate_pem.as_bytes()).unwrap()).unwrap();
        let key = openssl::pkey::PKey::private_key_from_pem(issued.key_pem.as_bytes()).unwrap();
        acceptor.set_private_key(&key).unwrap();
        let (acceptor, kept) = (acceptor.build(), Arc::clone(&heard));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                // A client that leaves early ends its own session only.
                let Ok(stream) = Steady::new(stream, support::PATIENCE) else { continue };
                let _ = serve(stream, kind, &acceptor, &kept);
            }
        });
        Peer { heard }
    }
}

/// One session, the part in the clear.
fn serve(
    stream: Steady,
    kind: Kind,
    acceptor: &SslAcceptor,
    heard: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let offer = if kind == Clear { "" } else { "250-STARTTLS\r\n" };
    let mut note = |line: &str| heard.lock().unwrap().push(line.to_owned());
    if talk(BufReader::new(&stream), &stream, true, offer, kind != Refuses, &mut note)? && kind != Breaks {
        let Ok(secured) = acceptor.accept(stream) else { return Ok(()) };
        let secured = std::cell::RefCell::new(secured);
        talk(BufReader::new(Shared(&secured)), Shared(&secured), false, "", false, &mut |_| {})?;
    }
    Ok(())
}

/// Reads and writes the same stream.
struct Shared<'a, S>(&'a std::cell::RefCell<S>);

impl<S: std::io::Read> std::io::Read for Shared<'_, S> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0.borrow_mut().read(buffer)
    }
}

impl<S: Write> Write for Shared<'_, S> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.borrow_mut().flush()
    }
}

/// Answers until the client leaves. True: it asked for TLS and got a yes.
fn talk(
    mut input: impl BufRead,
    mut output: impl Write,
    greets: bool,
    offer: &str,
    takes_tls: bool,
    note: &mut dyn FnMut(&str),
) -> std::io::Result<bool> {
    if greets {
        output.write_all(b"220 peer.test ESMTP\r\n")?;
    }
    let mut in_data = false;
    let mut line = String::new();
    while {
        line.clear();
        input.read_line(&mut line)? > 0
    } {
        note(&line);
        let verb = line.split_ascii_whitespace().next().unwrap_or_default().to_ascii_uppercase();
        let reply = match verb.as_str() {
            "." if in_data => {
                in_data = false;
                "250 2.0.0 Ok: queued as PEER\r\n".to_owned()
            }
            _ if in_data => continue,
            "EHLO" => format!("250-peer.test\r\n{offer}250 8BITMIME\r\n"),
            "STARTTLS" if takes_tls => {
                output.write_all(b"220 2.0.0 Ready\r\n")?;
                return Ok(true);
            }
            "STARTTLS" => "454 4.7.0 not today\r\n".into(),
            "DATA" => {
                in_data = true;
                "354 go on\r\n".into()
            }
            "QUIT" => {
                output.write_all(b"221 2.0.0 Bye\r\n")?;
                return Ok(false);
            }
            _ => "250 2.0.0 Ok\r\n".into(),
        };
        output.write_all(reply.as_bytes())?;
    }
    Ok(false)
}

fn digest(bytes: &[u8], separator: &str) -> String {
    let digest = openssl::sha::sha256(bytes);
    digest.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(separator)
}

fn key_of(issued: &Issued) -> Vec<u8> {
    X509::from_pem(issued.certificate_pem.as_bytes())
        .unwrap()
        .public_key()
        .unwrap()
        .public_key_to_der()
        .unwrap()
}

/// The records of a case.
fn zone(number: usize, dns: Dns, port: u16, key: &str) -> String {
    let (domain, host) = (format!("d{number}.test"), format!("mx{number}.test"));
    let address = format!("300 A 127.0.1.{number}\n");
    let mut script = format!("{domain} 300 MX 10 {host}\n");
    script += &match dns {
        BehindAlias | AtAlias => {
            format!("{host} 300 CNAME real{number}.test\nreal{number}.test AD\nreal{number}.test {address}")
        }
        _ => format!("{host} {address}"),
    };
    if !matches!(dns, Insecure | InsecureMx) {
        script += &format!("{domain} AD\n");
    }
    if !matches!(dns, Insecure | InsecureHost) {
        script += &format!("{host} AD\n");
    }
    let name = match dns {
        BehindAlias => format!("_{port}._tcp.real{number}.test"),
        _ => format!("_{port}._tcp.{host}"),
    };
    script += &match dns {
        Insecure | Secure => String::new(),
        Matching | InsecureMx | InsecureHost | BehindAlias | AtAlias => {
            format!("{name} 300 TLSA 3 1 1 {key}\n")
        }
        Mismatch => format!("{name} 300 TLSA 3 1 1 {}\n", "00".repeat(32)),
        Unusable => format!("{name} 300 TLSA 1 1 1 {key}\n"),
        Bogus => format!("{name} SERVFAIL\n"),
    };
    script
}

#[test]
fn no_message_leaves_in_the_clear_where_its_level_forbids_it() {
    let (authority, stranger) = (Authority::new("Test CA"), Authority::new("Stranger CA"));
    let port = free_port();
    let mut script = String::new();
    let mut policies = String::new();
    let mut peers = Vec::new();
    for (number, case) in (1..).zip(CASES) {
        let host = format!("mx{number}.test");
        let issued = match case.kind {
            Stranger => stranger.issue(&host, KeyKind::EcdsaP256),
            OtherName => authority.issue("other.test", KeyKind::EcdsaP256),
            _ => authority.issue(&host, KeyKind::EcdsaP256),
        };
        script += &zone(number, case.dns, port, &digest(&key_of(&issued), ""));
        let policy = case.policy.replace("PRINT", &digest(&key_of(&issued), ":"));
        policies += &format!("d{number}.test {policy}\n");
        peers.push(Peer::start(&format!("127.0.1.{number}"), port, case.kind, &issued));
    }
    let names = NameServer::start(&script);
    let site = Site::new(
        &authority,
        &format!(
            "import_environment = MAILCLAD_RESOLV_CONF=DIR/resolv.conf\n\
             smtp_tcp_port = {port}\n\
             smtp_dns_support_level = dnssec\n\
             smtp_tls_policy_maps = texthash:DIR/policy\n"
        ),
    );
    site.write("resolv.conf", &names.resolv_conf());
    site.write("stranger.pem", &stranger.certificate_pem);
    site.write("policy", &policies.replace("DIR", site.dir.path().to_str().unwrap()));
    let site = site.start();
    let mut client = Client::connect(site.port);
    client.must("EHLO client.test", "250");
    for number in 1..=CASES.len() {
        let reply =
            client.send("sender@site.test", &[&format!("u@d{number}.test")], "Subject: x\n\nsecret\n");
        assert!(reply.starts_with("250"), "{reply}");
    }
    for ((number, case), peer) in (1..).zip(CASES).zip(&peers) {
        let log = site.wait_for_log(&[&format!("to=<u@d{number}.test>, relay=")]);
        let line = log.lines().find(|line| line.contains(&format!("to=<u@d{number}.test>, relay="))).unwrap();
        let context = format!("d{number}.test, {}: {line}", case.policy);
        assert!(line.contains(case.expected), "{context}: expected {}", case.expected);
        let heard = peer.heard.lock().unwrap();
        let leaked = heard.iter().any(|line| {
            let verb = line.to_ascii_uppercase();
            ["MAIL", "RCPT", "DATA", "AUTH"].iter().any(|word| verb.starts_with(word))
                || line.contains("secret")
        });
        assert_eq!(leaked, case.in_the_clear, "{context}: {heard:?}");
    }
}
