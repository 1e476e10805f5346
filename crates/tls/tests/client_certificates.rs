//! What a server makes of its clients' certificates.

#![allow(clippy::unwrap_used)] // a test has no other way out

use std::pin::Pin;
use std::sync::{Arc, Mutex};

use config::{HostFacts, MainCf, Settings};
use mail::TlsFacts;
use mail::tls_facts::Trust;
use openssl::ssl::{Ssl, SslContext, SslFiletype, SslMethod};
use testkit::authority::{Authority, KeyKind, Wish};
use tls::files::Files;
use tls::journal::Journal;
use tls::level::ServerLevel;
use tls::log_level::LogLevels;
use tls::server::{Opening, Server};
use tokio_openssl::SslStream;

struct Site {
    dir: tempfile::TempDir,
    files: Arc<Files>,
}

impl Site {
    fn new() -> Site {
        let site = Site { dir: tempfile::tempdir().unwrap(), files: Arc::default() };
        let issued = Authority::new("Server CA").issue("mx.test", KeyKind::EcdsaP256);
        site.write("server.pem", &[&issued.key_pem, &issued.certificate_pem]);
        site
    }

    fn write(&self, name: &str, parts: &[&str]) {
        std::fs::write(self.dir.path().join(name), parts.concat()).unwrap();
    }

    fn settings(&self, text: &str) -> Settings {
        let text = text.replace("DIR", self.dir.path().to_str().unwrap());
        let main = MainCf::parse("main.cf", text.as_bytes()).unwrap();
        Settings::load(&main, &[], &HostFacts { hostname: "mx.test".into(), ..HostFacts::default() }).unwrap()
    }

    fn server(&self, text: &str) -> Server {
        let text = format!("smtpd_tls_cert_file = DIR/server.pem\nsmtpd_tls_ask_ccert = yes\n{text}");
        let settings = &self.settings(&text);
        let level = ServerLevel::Encrypt;
        let opening = Opening { settings, level, service: "smtp", files: &self.files, names: None };
        let mut notices = Vec::new();
        let server = Server::open(opening, &mut notices).unwrap();
        assert!(server.is_available(), "{notices:?}");
        server
    }

    /// Shakes hands with the certificate in a file; gives what the server saw and said at `level`.
    async fn connect(&self, server: &Server, file: &str, level: &str) -> (TlsFacts, Vec<String>) {
        let mut context = SslContext::builder(SslMethod::tls_client()).unwrap();
        if !file.is_empty() {
            let path = self.dir.path().join(file);
            context.set_certificate_chain_file(&path).unwrap();
            context.set_private_key_file(&path, SslFiletype::PEM).unwrap();
        }
        let ssl = Ssl::new(&context.build()).unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&lines);
        let write = move |_, line: &str| sink.lock().unwrap().push(line.to_owned());
        let levels = LogLevels::parse("p", level, &mut Vec::new());
        let journal = Journal::new("client.test[192.0.2.1]", levels, Arc::new(write));
        let (near, far) = tokio::io::duplex(64 * 1024);
        let mut stream = SslStream::new(ssl, far).unwrap();
        let connect = Pin::new(&mut stream).connect();
        let (accepted, connected) = tokio::join!(server.accept(near, journal), connect);
        connected.unwrap();
        let lines = lines.lock().unwrap().clone();
        (accepted.unwrap().1, lines)
    }
}

#[tokio::test]
async fn who_is_trusted_and_why_not() {
    let site = Site::new();
    let authority = Authority::new("Client CA");
    let middle = authority.intermediate("Middle CA");
    let low = middle.intermediate("Low CA");
    site.write("ca.pem", &[&authority.certificate_pem]);
    let day = |from_days, to_days, client| Wish { from_days, to_days, client, ..Wish::named("c.test") };
    for (name, signer, contents) in [
        ("good", &authority, Wish::named("c.test")),
        ("expired", &authority, day(-10, -1, true)),
        ("early", &authority, day(1, 10, true)),
        ("server-only", &authority, day(-1, 10, false)),
        ("one-between", &middle, Wish::named("c.test")),
        ("two-between", &low, Wish::named("c.test")),
        ("stranger", &Authority::new("Other CA"), Wish::named("c.test")),
    ] {
        let issued = signer.issue_as("c.test", KeyKind::EcdsaP256, &contents);
        let chain = match name {
            "one-between" => middle.certificate_pem.clone(),
            "two-between" => low.certificate_pem.clone() + &middle.certificate_pem,
            _ => String::new(),
        };
        site.write(name, &[&issued.key_pem, &issued.certificate_pem, &chain]);
    }
    let ca = "smtpd_tls_CAfile = DIR/ca.pem\n";
    let shallow = format!("{ca}smtpd_tls_ccert_verifydepth = 0");
    let lenient = format!("{ca}tls_trust_server_ccerts = yes");
    for (settings, file, reason) in [
        (ca, "good", None),
        (ca, "one-between", None),
        (ca, "two-between", None),
        // The library counts certificates between the client's and the anchor, and gets one more than was asked for.
        (&shallow, "one-between", None),
        ("", "good", Some("certificate verification failed for PEER: untrusted issuer /CN=Client CA")),
        (ca, "stranger", Some("certificate verification failed for PEER: untrusted issuer /CN=Other CA")),
        (ca, "expired", Some("client certificate verification failed for PEER: certificate has expired")),
        (ca, "early", Some("client certificate verification failed for PEER: certificate not yet valid")),
        (
            ca,
            "server-only",
            Some("certificate verification failed for PEER: not designated for use as a client certificate"),
        ),
        (&lenient, "server-only", None),
        (&lenient, "good", None),
        (
            &lenient,
            "stranger",
            Some("certificate verification failed for PEER: untrusted issuer /CN=Other CA"),
        ),
        (
            &shallow,
            "two-between",
            Some("certificate verification failed for PEER: certificate chain longer than limit(0)"),
        ),
    ] {
        let (facts, _) = site.connect(&site.server(settings), file, "0").await;
        let trust = if reason.is_none() { Trust::Trusted } else { Trust::Untrusted };
        assert_eq!((facts.trust, facts.untrusted_reason.as_deref()), (trust, reason), "{settings} {file}");
        assert!(facts.peer.is_some());
    }
    let (facts, _) = site.connect(&site.server(ca), "", "0").await;
    assert_eq!((facts.trust, facts.untrusted_reason, facts.peer), (Trust::Anonymous, None, None));
}

#[tokio::test]
async fn the_journal_tells_of_certificates() {
    let site = Site::new();
    let authority = Authority::new("Client CA");
    let issued = authority.issue("c.test", KeyKind::EcdsaP256);
    site.write("client", &[&issued.key_pem, &issued.certificate_pem]);
    let untrusted =
        "certificate verification failed for client.test[192.0.2.1]: untrusted issuer /CN=Client CA";
    for (settings, level, line, told) in [
        ("", "1", "Untrusted TLS connection established from client.test[192.0.2.1]: TLSv1.3 with", true),
        ("", "1", untrusted, false),
        ("", "1,untrusted", untrusted, true),
        ("smtpd_tls_req_ccert = yes", "1", untrusted, true),
        ("", "2", "client.test[192.0.2.1]: depth=0 verify=0 subject=/CN=c.test", true),
        (
            "",
            "peercert",
            "client.test[192.0.2.1]: subject_CN=c.test, issuer=Client CA, cert fingerprint=",
            true,
        ),
    ] {
        let (_, lines) = site.connect(&site.server(settings), "client", level).await;
        assert_eq!(lines.iter().any(|found| found.starts_with(line)), told, "{level}: {line}: {lines:#?}");
    }
}

#[tokio::test]
async fn renewed_authorities_count_from_the_next_handshake() {
    let site = Site::new();
    let (old, new) = (Authority::new("Old CA"), Authority::new("New CA"));
    let issued = new.issue("c.test", KeyKind::EcdsaP256);
    site.write("client", &[&issued.key_pem, &issued.certificate_pem]);
    site.write("ca.pem", &[&old.certificate_pem]);
    let server = site.server("smtpd_tls_CAfile = DIR/ca.pem");
    let path = site.dir.path().join("ca.pem");
    let renew = |text: &str| {
        std::fs::write(&path, text).unwrap();
        site.files.replace(path.to_str().unwrap(), Some(&std::fs::File::open(&path).unwrap()));
        let mut notices = Vec::new();
        (server.renew(&mut notices), notices)
    };
    assert_eq!(site.connect(&server, "client", "0").await.0.trust, Trust::Untrusted);
    assert_eq!(renew(&(old.certificate_pem.clone() + &new.certificate_pem)), (true, Vec::new()));
    assert_eq!(site.connect(&server, "client", "0").await.0.trust, Trust::Trusted);
    let (changed, notices) = renew("nothing");
    assert!(
        !changed && notices[0].0.starts_with("cannot load Certification Authority data, CAfile=\""),
        "{notices:?}"
    );
    assert!(notices[0].0.ends_with(": the old one stays in use"), "{notices:?}");
    assert_eq!(site.connect(&server, "client", "0").await.0.trust, Trust::Trusted);
}
