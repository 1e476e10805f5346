//! Who may take up a session again: by its id, by a ticket, at which service, and for how long.

use std::pin::Pin;
use std::sync::{Arc, Mutex};

use config::{HostFacts, MainCf, Settings};
use mail::TlsFacts;
use openssl::ssl::{
    Ssl, SslContext, SslMethod, SslOptions, SslSession, SslSessionCacheMode, SslVerifyMode, SslVersion,
};
use testkit::authority::{Authority, KeyKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_openssl::SslStream;

use super::Server;
use crate::journal::Journal;
use crate::log_level::LogLevels;
use crate::{ServerLevel, ffi};

struct Site {
    dir: tempfile::TempDir,
}

impl Site {
    fn new() -> Site {
        let dir = tempfile::tempdir().unwrap();
        let issued = Authority::new("Test CA").issue("mx.test", KeyKind::EcdsaP256);
        std::fs::write(dir.path().join("server.pem"), issued.key_pem.clone() + &issued.certificate_pem)
            .unwrap();
        Site { dir }
    }

    fn settings(&self, text: &str) -> Settings {
        let dir = self.dir.path().display();
        let text = format!("data_directory = {dir}\nsmtpd_tls_cert_file = {dir}/server.pem\n{text}\n");
        let main = MainCf::parse("main.cf", text.as_bytes()).unwrap();
        Settings::load(&main, &[], &HostFacts { hostname: "mx.test".into(), ..HostFacts::default() }).unwrap()
    }

    fn server(&self, service: &str, text: &str) -> Server {
        Server::new(&self.settings(text), ServerLevel::May, service, &mut Vec::new()).unwrap()
    }
}

/// A client that keeps what the server gives it.
struct Client {
    context: SslContext,
    given: Arc<Mutex<Vec<SslSession>>>,
}

impl Client {
    fn new(version: SslVersion, tickets: bool) -> Client {
        let given = Arc::new(Mutex::new(Vec::new()));
        let mut context = SslContext::builder(SslMethod::tls_client()).unwrap();
        context.set_verify(SslVerifyMode::NONE);
        context.set_min_proto_version(Some(version)).unwrap();
        context.set_max_proto_version(Some(version)).unwrap();
        if !tickets {
            context.set_options(SslOptions::NO_TICKET);
        }
        context.set_session_cache_mode(SslSessionCacheMode::CLIENT | SslSessionCacheMode::NO_INTERNAL);
        let keep = Arc::clone(&given);
        context.set_new_session_callback(move |_, session| keep.lock().unwrap().push(session));
        Client { context: context.build(), given }
    }

    /// One connection, with the last session that was given. Says what the server saw, and what stood in its journal.
    async fn connect(&self, server: &Server) -> (TlsFacts, Vec<String>) {
        let mut ssl = Ssl::new(&self.context).unwrap();
        if let Some(session) = self.given.lock().unwrap().last() {
            ffi::offer_session(&mut ssl, session).unwrap();
        }
        let (near, far) = tokio::io::duplex(64 * 1024);
        let mut stream = SslStream::new(ssl, far).unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&lines);
        let levels = LogLevels::parse("p", "2", &mut Vec::new());
        let write = move |_, line: &str| sink.lock().unwrap().push(line.to_owned());
        let journal = Journal::new("client.test[192.0.2.1]", levels, Arc::new(write));
        let served = async {
            let (mut stream, facts) = server.accept(near, journal).await.unwrap();
            // Tickets of TLS 1.3 come with the first data.
            stream.write_all(b"220").await.unwrap();
            stream.shutdown().await.unwrap();
            facts
        };
        let connected = async {
            Pin::new(&mut stream).connect().await.unwrap();
            let mut text = Vec::new();
            stream.read_to_end(&mut text).await.unwrap();
            let _ = stream.shutdown().await;
        };
        let (facts, ()) = tokio::join!(served, connected);
        let lines = lines.lock().unwrap().clone();
        (facts, lines)
    }

    async fn resumes(&self, server: &Server) -> bool {
        self.connect(server).await;
        self.connect(server).await.0.resumed
    }
}

const CACHE: &str = "smtpd_tls_session_cache_database = btree:/nowhere/smtpd_scache";

#[tokio::test]
async fn settings_decide_who_may_resume() {
    use SslVersion as V;
    let site = Site::new();
    for (text, by_id, by_ticket, tls13) in [
        ("", false, true, true),
        (CACHE, true, true, true),
        ("smtpd_tls_session_cache_timeout = 0", false, false, false),
        (&format!("{CACHE}\nsmtpd_tls_session_cache_timeout = 0"), false, false, false),
        ("tls_session_ticket_cipher =", false, false, false),
        ("tls_session_ticket_cipher = aes-256-gcm", false, false, false),
        // Without tickets TLS 1.3 goes through the cache as well.
        (&format!("{CACHE}\ntls_ssl_options = NO_TICKET"), true, true, true),
        ("tls_ssl_options = NO_TICKET", false, false, false),
        ("smtpd_tls_always_issue_session_ids = no", false, true, true),
    ] {
        let server = site.server("smtp", text);
        assert_eq!(Client::new(V::TLS1_2, false).resumes(&server).await, by_id, "id: {text}");
        assert_eq!(Client::new(V::TLS1_2, true).resumes(&server).await, by_ticket, "ticket: {text}");
        assert_eq!(Client::new(V::TLS1_3, true).resumes(&server).await, tls13, "TLS 1.3: {text}");
    }
}

#[tokio::test]
async fn ids_are_issued_as_wished() {
    let site = Site::new();
    for (text, expected) in [
        ("tls_session_ticket_cipher =", 32),
        ("tls_session_ticket_cipher =\nsmtpd_tls_always_issue_session_ids = no", 0),
        (CACHE, 32),
    ] {
        let client = Client::new(SslVersion::TLS1_2, false);
        client.connect(&site.server("smtp", text)).await;
        let given = client.given.lock().unwrap();
        assert_eq!(given.last().map_or(0, |session| session.id().len()), expected, "{text}");
    }
}

#[tokio::test]
async fn tickets_say_how_long_they_live() {
    let site = Site::new();
    for (timeout, expected) in [("3600s", 7200), ("1s", 240), ("100d", 7 * 86_400)] {
        for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
            let client = Client::new(version, true);
            let text = format!("smtpd_tls_session_cache_timeout = {timeout}");
            client.connect(&site.server("smtp", &text)).await;
            let given = client.given.lock().unwrap();
            assert_eq!(given.len(), 1, "one ticket for each full handshake");
            assert!(given[0].to_text_contains_hint(expected), "{timeout}");
        }
    }
}

/// The lifetime hint has no accessor in the safe library; it stands in the printed session.
trait Hint {
    fn to_text_contains_hint(&self, seconds: u64) -> bool;
}

impl Hint for SslSession {
    fn to_text_contains_hint(&self, seconds: u64) -> bool {
        // SSL_SESSION_ASN1: the hint is [9] EXPLICIT INTEGER.
        let der = self.to_der().unwrap();
        let digits: Vec<u8> = seconds.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
        let digits = if digits[0] >= 0x80 { [&[0], &digits[..]].concat() } else { digits };
        let length = digits.len() as u8;
        let wanted = [&[0xa9, length + 2, 0x02, length], &digits[..]].concat();
        der.windows(wanted.len()).any(|window| window == wanted)
    }
}

#[tokio::test]
async fn a_session_stays_with_its_service_and_its_rules() {
    let site = Site::new();
    let smtp = site.server("smtp", CACHE);
    let submission = site.server("submission", CACHE);
    for (version, tickets) in
        [(SslVersion::TLS1_2, false), (SslVersion::TLS1_2, true), (SslVersion::TLS1_3, true)]
    {
        let client = Client::new(version, tickets);
        client.connect(&smtp).await;
        assert!(!client.connect(&submission).await.0.resumed, "{version:?} {tickets}");
    }
    // The same service after a restart: sessions by id survive, unless the rules are others.
    let client = Client::new(SslVersion::TLS1_2, false);
    client.connect(&smtp).await;
    smtp.save_sessions().unwrap();
    assert!(client.connect(&site.server("smtp", CACHE)).await.0.resumed);
    client.connect(&smtp).await;
    smtp.save_sessions().unwrap();
    let stricter = site.server("smtp", &format!("{CACHE}\nsmtpd_tls_ask_ccert = yes"));
    assert!(!client.connect(&stricter).await.0.resumed);
}

#[tokio::test]
async fn a_renewed_certificate_does_not_end_sessions() {
    let site = Site::new();
    let server = site.server("smtp", CACHE);
    for (version, tickets) in [(SslVersion::TLS1_2, false), (SslVersion::TLS1_3, true)] {
        let client = Client::new(version, tickets);
        client.connect(&server).await;
        server.renew(&mut Vec::new());
        assert!(client.connect(&server).await.0.resumed, "{version:?}");
    }
}

#[tokio::test]
async fn the_journal_tells_of_sessions() {
    let site = Site::new();
    let server = site.server("smtp", CACHE);
    for (version, tickets, first, second) in [
        (SslVersion::TLS1_2, false, "client.test[192.0.2.1]: save session ", "reloaded session "),
        (
            SslVersion::TLS1_3,
            true,
            "client.test[192.0.2.1]: Issuing session ticket, key expiration: ",
            "Decrypting session ticket, key expiration: ",
        ),
    ] {
        let client = Client::new(version, tickets);
        let has = |lines: &[String], part: &str| lines.iter().any(|line| line.contains(part));
        let (_, lines) = client.connect(&server).await;
        assert!(has(&lines, first), "{lines:#?}");
        assert!(has(&lines, "SSL_accept:SSLv3/TLS read client hello"), "{lines:#?}");
        assert_eq!(lines[0], "setting up TLS connection from client.test[192.0.2.1]");
        assert!(lines[1].starts_with("client.test[192.0.2.1]: TLS cipher list \"aNULL:-aNULL:HIGH:MEDIUM:"));
        let (facts, lines) = client.connect(&server).await;
        assert!(has(&lines, second), "{lines:#?}");
        let how =
            if tickets { "Reusing old session (RFC 5077 session ticket)" } else { "Reusing old session" };
        assert!(lines.iter().any(|line| line.ends_with(how)), "{lines:#?}");
        assert!(facts.server_signature.is_none(), "nothing was signed");
        assert!(has(&lines, "Anonymous TLS connection established from client.test[192.0.2.1]: TLSv1."));
    }
}

#[tokio::test]
async fn a_hundred_clients_resume_at_once() {
    let site = Site::new();
    let server = Arc::new(site.server("smtp", CACHE));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let server = Arc::clone(&server);
        tasks.spawn(async move { Client::new(SslVersion::TLS1_2, false).resumes(&server).await });
    }
    assert!(tasks.join_all().await.into_iter().all(|resumed| resumed));
}

#[tokio::test]
async fn silence_is_the_default() {
    let site = Site::new();
    let (near, far) = tokio::io::duplex(1024);
    drop(far);
    let failure = site.server("smtp", "").accept(near, Journal::silent()).await.err().unwrap();
    assert_eq!(failure.cause, "lost connection");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hundred_resumptions_at_the_same_time() {
    let site = Site::new();
    let server = Arc::new(site.server("smtp", CACHE));
    let client = Arc::new(Client::new(SslVersion::TLS1_2, false));
    client.connect(&server).await;
    let sessions: Vec<_> = (0..100)
        .map(|_| {
            let (server, client) = (Arc::clone(&server), Arc::clone(&client));
            tokio::spawn(async move { client.connect(&server).await.0.resumed })
        })
        .collect();
    for session in sessions {
        assert!(session.await.unwrap());
    }
}
