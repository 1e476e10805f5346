//! Both sides of a handshake over a pipe in memory: what is proved, and what each failure says.

#![allow(clippy::unwrap_used)] // a test has no other way out

use std::os::unix::fs::PermissionsExt;

use config::{HostFacts, MainCf, Settings};
use mail::TlsFacts;
use mail::tls_facts::Trust;
use testkit::authority::{Authority, Issued, KeyKind};
use tls::client::{self, Client};
use tls::journal::Journal;
use tls::level::{ClientLevel, ServerLevel};
use tls::policy::{Facts, Mx, Needs, Plan, Tlsa, Unmet, Wish, decide};
use tls::problem::HandshakeFailure;
use tls::server::{Server, Unavailable};

struct Site {
    dir: tempfile::TempDir,
    authority: Authority,
}

impl Site {
    fn new() -> Site {
        let site = Site { dir: tempfile::tempdir().unwrap(), authority: Authority::new("Test CA") };
        site.write("ca.pem", &site.authority.certificate_pem);
        site
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn write_pair(&self, name: &str, issued: &Issued) {
        self.write(name, &(issued.key_pem.clone() + &issued.certificate_pem));
    }

    /// `DIR` in the text stands for the site's directory.
    fn settings(&self, text: &str) -> Settings {
        let text = text.replace("DIR", self.dir.path().to_str().unwrap());
        let main =
            MainCf::parse("main.cf", format!("compatibility_level = 3.12\n{text}").as_bytes()).unwrap();
        let host = HostFacts { hostname: "mx.test".into(), ..HostFacts::default() };
        Settings::load(&main, &[], &host).unwrap()
    }

    fn server(&self, text: &str) -> Result<Server, Unavailable> {
        Server::new(&self.settings(text), ServerLevel::May, "smtp", &mut Vec::new())
    }

    fn client(&self, text: &str) -> Client {
        Client::new(&self.settings(text), &mut Vec::new()).unwrap()
    }

    fn plan(&self, level: ClientLevel, names: &[&str], text: &str) -> Plan {
        let mut wish = Wish::of(&self.settings(text), level).unwrap();
        wish.names = names.iter().map(|name| name.to_string()).collect();
        let facts = Facts {
            next_hop: "site.test".into(),
            host: "mx.test".into(),
            mx: Mx::None,
            tlsa: Tlsa::NotAsked,
            sts: None,
        };
        decide(&wish, &facts, Needs::default()).unwrap()
    }
}

type Side = Result<TlsFacts, HandshakeFailure>;

async fn shake(server: &Server, client: &Client, plan: &Plan) -> (Side, Result<Judged, HandshakeFailure>) {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let place = client::Server { host: "mx.test".into(), address: "192.0.2.1".into(), port: Some(25) };
    let (accepted, connected) = tokio::join!(
        server.accept(near, Journal::silent()),
        client.connect(plan, &place, far, Journal::silent())
    );
    let judged = connected
        .map(|connection| (connection.facts, connection.verdict.map(|_| ()), connection.explanation));
    (accepted.map(|(_, facts)| facts), judged)
}

/// Facts, verdict, explanation.
type Judged = (TlsFacts, Result<(), Unmet>, Option<String>);

#[tokio::test]
async fn a_handshake_proves_the_chain_and_the_name() {
    let site = Site::new();
    site.write_pair("server.pem", &site.authority.issue("mx.test", KeyKind::Rsa2048));
    let server = site.server("smtpd_tls_cert_file = DIR/server.pem").unwrap();
    for (level, names, config, trust, admitted) in [
        (ClientLevel::May, &[][..], "", Trust::Untrusted, true),
        (ClientLevel::Encrypt, &[], "smtp_tls_CAfile = DIR/ca.pem", Trust::Trusted, true),
        (ClientLevel::Verify, &["mx.test"], "smtp_tls_CAfile = DIR/ca.pem", Trust::Verified, true),
        (
            ClientLevel::Secure,
            &["other.test", ".test"],
            "smtp_tls_CAfile = DIR/ca.pem",
            Trust::Verified,
            true,
        ),
        (ClientLevel::Verify, &["other.test"], "smtp_tls_CAfile = DIR/ca.pem", Trust::Untrusted, false),
        (ClientLevel::Verify, &["mx.test"], "", Trust::Untrusted, false),
    ] {
        let plan = site.plan(level, names, config);
        let (accepted, connected) = shake(&server, &site.client(config), &plan).await;
        let accepted = accepted.unwrap();
        assert_eq!((accepted.protocol.as_str(), accepted.trust), ("TLSv1.3", Trust::Anonymous));
        let summary = accepted.summary();
        assert!(summary.contains(" server-signature RSA-PSS (2048 bits) server-digest SHA256"), "{summary}");
        let (facts, proof, explanation) = connected.unwrap();
        assert_eq!(facts.summary(), summary, "both sides see the same");
        assert_eq!((facts.trust, proof.is_ok()), (trust, admitted), "{level:?} {names:?} {config}");
        if !admitted {
            assert_eq!(proof, Err(Unmet::NotVerified));
            let explanation = explanation.unwrap();
            assert!(explanation.contains("issued by /CN=Test CA, valid from "), "{explanation}");
            assert!(explanation.contains(", for mx.test; expected one of the names "), "{explanation}");
            assert_eq!(explanation.contains("set smtp_tls_CAfile"), config.is_empty(), "{explanation}");
        }
    }
}

#[tokio::test]
async fn a_client_certificate_is_asked_for_and_judged() {
    let site = Site::new();
    site.write_pair("server.pem", &site.authority.issue("mx.test", KeyKind::EcdsaP256));
    site.write_pair("client.pem", &site.authority.issue("client.test", KeyKind::Rsa2048));
    site.write_pair("stranger.pem", &Authority::new("Other CA").issue("stranger.test", KeyKind::Rsa2048));
    let server = site
        .server(
            "smtpd_tls_cert_file = DIR/server.pem\nsmtpd_tls_CAfile = DIR/ca.pem\nsmtpd_tls_ask_ccert = yes",
        )
        .unwrap();
    for (config, trust, name) in [
        ("", Trust::Anonymous, None),
        ("smtp_tls_cert_file = DIR/client.pem", Trust::Trusted, Some("client.test")),
        ("smtp_tls_cert_file = DIR/stranger.pem", Trust::Untrusted, Some("stranger.test")),
    ] {
        let client = site.client(config);
        let (accepted, _) = shake(&server, &client, &site.plan(ClientLevel::May, &[], config)).await;
        let facts = accepted.unwrap();
        assert_eq!(facts.trust, trust, "{config}");
        assert_eq!(facts.peer.as_ref().map(|peer| peer.subject_cn.as_str()), name);
        let summary = facts.summary();
        assert!(summary.contains("server-signature ECDSA (prime256v1) server-digest SHA256"), "{summary}");
        if trust == Trust::Untrusted {
            let reason = facts.untrusted_reason.unwrap();
            assert!(reason.contains("untrusted issuer /CN=Other CA"), "{reason}");
        }
    }
}

#[tokio::test]
async fn protocol_lists_and_ciphers_are_obeyed() {
    let site = Site::new();
    site.write_pair("server.pem", &site.authority.issue("mx.test", KeyKind::Rsa2048));
    let cert = "smtpd_tls_cert_file = DIR/server.pem\n";
    for (server, config, expected) in [
        ("smtpd_tls_protocols = TLSv1.2, !TLSv1.1", "", Ok("TLSv1.2")),
        ("", "smtp_tls_protocols = <=TLSv1.2", Ok("TLSv1.2")),
        ("smtpd_tls_protocols = >=TLSv1.3", "smtp_tls_protocols = <=TLSv1.2", Err("SSL routines")),
        (
            "tls_medium_cipherlist = ECDHE-RSA-AES128-GCM-SHA256",
            "smtp_tls_protocols = <=TLSv1.2",
            Ok("TLSv1.2"),
        ),
    ] {
        let server = site.server(&format!("{cert}{server}")).unwrap();
        let client = site.client(config);
        let (accepted, _) = shake(&server, &client, &site.plan(ClientLevel::May, &[], config)).await;
        match (accepted, expected) {
            (Ok(facts), Ok(protocol)) => assert_eq!(facts.protocol, protocol),
            (Err(failure), Err(part)) => {
                assert!(failure.library.concat().contains(part), "{failure:?}");
                assert!(failure.meaning.is_some(), "{failure:?}");
            }
            (result, _) => panic!("{result:?}"),
        }
    }
}

#[tokio::test]
async fn plain_text_on_a_tls_port_is_explained() {
    use tokio::io::AsyncWriteExt;
    let site = Site::new();
    site.write_pair("server.pem", &site.authority.issue("mx.test", KeyKind::Rsa2048));
    let server = site.server("smtpd_tls_cert_file = DIR/server.pem").unwrap();
    for (text, part) in [("GET / HTTP/1.0\r\n\r\n", "HTTP"), ("EHLO client.test\r\n", "plain text")] {
        let (near, mut far) = tokio::io::duplex(1024);
        let send = async {
            far.write_all(text.as_bytes()).await.unwrap();
        };
        let (accepted, ()) = tokio::join!(server.accept(near, Journal::silent()), send);
        let failure = accepted.map(|_| ()).unwrap_err();
        assert!(failure.meaning.unwrap().contains(part), "{failure:?}");
        assert!(failure.library[0].starts_with("TLS library problem: error:"));
    }
}

#[test]
fn what_makes_a_service_unable_is_said() {
    let site = Site::new();
    site.write_pair("server.pem", &site.authority.issue("mx.test", KeyKind::Rsa2048));
    for (text, part) in [
        ("", "No server certs available"),
        ("smtpd_tls_cert_file = DIR/missing.pem", "cannot get RSA certificate from file"),
        (
            "smtpd_tls_cert_file = DIR/server.pem\nsmtpd_tls_protocols = !SSLv2 # x",
            "Invalid TLS protocol list",
        ),
        (
            "smtpd_tls_cert_file = DIR/server.pem\nsmtpd_tls_fingerprint_digest = x",
            "Digest algorithm \"x\" not found",
        ),
        (
            "smtpd_tls_cert_file = none\nsmtpd_tls_ask_ccert = yes",
            "Need a server cert to request client certs",
        ),
        (
            "smtpd_tls_cert_file = DIR/server.pem\nsmtpd_tls_CAfile = DIR/none",
            "cannot load Certification Authority",
        ),
    ] {
        let error = site.server(text).err().map(|Unavailable(why)| why).unwrap_or_default();
        assert!(error.contains(part), "{text}: {error:?}");
    }
}

#[tokio::test]
async fn a_bad_certificate_does_not_take_the_good_one_along() {
    let site = Site::new();
    site.write_pair("server.pem", &site.authority.issue("mx.test", KeyKind::Rsa2048));
    let settings =
        site.settings("smtpd_tls_cert_file = DIR/server.pem\nsmtpd_tls_eccert_file = DIR/missing.pem");
    let mut notices = Vec::new();
    let server = Server::new(&settings, ServerLevel::Encrypt, "smtp", &mut notices).unwrap();
    assert!(notices.iter().any(|notice| notice.0.contains("cannot get ECDSA certificate")), "{notices:?}");
    let client = site.client("");
    let (accepted, _) = shake(&server, &client, &site.plan(ClientLevel::May, &[], "")).await;
    assert!(accepted.is_ok());
}
