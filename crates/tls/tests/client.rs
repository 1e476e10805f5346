//! What the client demands of a server: TLSA records, fingerprints, trust anchors, names; and what it keeps for the next time.
#![allow(clippy::unwrap_used)] // a test has no other way out

use std::sync::{Arc, Mutex};

use config::{HostFacts, MainCf, Settings};
use mail::TlsFacts;
use mail::tls_facts::Trust;
use openssl::x509::X509;
use testkit::authority::{Authority, Issued, KeyKind, Wish as CertificateWish};
use tls::client::{self, Client, Shortcoming};
use tls::journal::Journal;
use tls::level::ServerLevel;
use tls::log_level::LogLevels;
use tls::policy::{Facts, Mx, Needs, Plan, Tlsa, TlsaRecord, Wish, decide, destination_policy};
use tls::server::Server;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

struct Site {
    dir: tempfile::TempDir,
    root: Authority,
}

/// What one connection brought.
struct Seen {
    facts: TlsFacts,
    admitted: Option<String>,
    explanation: Option<String>,
    shortcoming: Option<Shortcoming>,
    lines: Vec<String>,
}

impl Site {
    fn new() -> Site {
        let site = Site { dir: tempfile::tempdir().unwrap(), root: Authority::new("Root CA") };
        site.write("ca.pem", &site.root.certificate_pem);
        site
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.dir.path().join(name), text).unwrap();
    }

    fn settings(&self, text: &str) -> Settings {
        let text = text.replace("DIR", self.dir.path().to_str().unwrap());
        let main =
            MainCf::parse("main.cf", format!("compatibility_level = 3.12\n{text}").as_bytes()).unwrap();
        Settings::load(&main, &[], &HostFacts { hostname: "mx.test".into(), ..HostFacts::default() }).unwrap()
    }

    /// A server with a certificate, and the authorities above it.
    fn server(&self, issued: &Issued, chain: &[&Authority]) -> Server {
        let above: String = chain.iter().map(|authority| authority.certificate_pem.clone()).collect();
        self.write("server.pem", &format!("{}{}{above}", issued.key_pem, issued.certificate_pem));
        let settings = self.settings("smtpd_tls_chain_files = DIR/server.pem");
        Server::new(&settings, ServerLevel::May, "smtp", &mut Vec::new()).unwrap()
    }

    fn client(&self, text: &str) -> Client {
        Client::new(&self.settings(text), &mut Vec::new()).unwrap()
    }

    /// The plan of a policy for site.test, whose server is mx.test.
    fn plan(&self, policy: &str, tlsa: Tlsa, secure: bool) -> Plan {
        let policy = policy.replace("DIR", self.dir.path().to_str().unwrap());
        let wish: Wish = destination_policy(&self.settings(""), &policy, &mut Vec::new()).unwrap();
        let mx = Mx::Found { secure, name: "site.test".into() };
        let facts = Facts { next_hop: "site.test".into(), host: "mx.test".into(), mx, tlsa, sts: None };
        decide(&wish, &facts, Needs::default()).unwrap()
    }
}

async fn connect(server: &Server, client: &Client, plan: &Plan, address: &str) -> Seen {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let place = client::Server { host: "mx.test".into(), address: address.into(), port: Some(25) };
    let told = Arc::new(Mutex::new(Vec::new()));
    let lines = Arc::clone(&told);
    let write = move |_, line: &str| lines.lock().unwrap().push(line.to_owned());
    let levels = LogLevels::parse("p", "2,dane", &mut Vec::new());
    let journal = Journal::new("P", levels, Arc::new(write));
    let serve = async {
        let (mut stream, _) = server.accept(near, Journal::silent()).await.unwrap();
        // Tickets of TLS 1.3 travel with what is said next.
        stream.write_all(b"x").await.unwrap();
        stream
    };
    let talk = async {
        let mut connection = client.connect(plan, &place, far, journal).await.unwrap();
        connection.stream.read_exact(&mut [0]).await.unwrap();
        connection
    };
    let (_server_side, connection) = tokio::join!(serve, talk);
    let lines = told.lock().unwrap().clone();
    Seen {
        facts: connection.facts,
        admitted: connection.verdict.ok().map(|admitted| admitted.feature().to_owned()),
        explanation: connection.explanation,
        shortcoming: connection.shortcoming,
        lines,
    }
}

fn x509(pem: &str) -> X509 {
    X509::from_pem(pem.as_bytes()).unwrap()
}

/// `usage selector 1 SHA256` of a certificate.
fn record(usage: u8, selector: u8, pem: &str) -> TlsaRecord {
    let certificate = x509(pem);
    let bytes = match selector {
        0 => certificate.to_der().unwrap(),
        _ => certificate.public_key().unwrap().public_key_to_der().unwrap(),
    };
    TlsaRecord { usage, selector, matching_type: 1, data: openssl::sha::sha256(&bytes).to_vec() }
}

#[tokio::test]
async fn tlsa_records_must_match() {
    let site = Site::new();
    let middle = site.root.intermediate("Middle CA");
    let named = |name: &str| middle.issue_as(name, KeyKind::EcdsaP256, &CertificateWish::named(name));
    let expired = middle.issue_as(
        "other.test",
        KeyKind::EcdsaP256,
        &CertificateWish { from_days: -9, to_days: -2, ..CertificateWish::named("other.test") },
    );
    let (host, domain, other) = (named("mx.test"), named("site.test"), named("other.test"));
    let stranger = Authority::new("Stranger CA");
    let leaf = |usage, selector| {
        let host = &host.certificate_pem;
        vec![record(usage, selector, host)]
    };
    let anchor = |authority: &Authority| vec![record(2, 0, &authority.certificate_pem)];
    let both = vec![record(3, 1, &other.certificate_pem), record(2, 1, &middle.certificate_pem)];
    for (what, issued, records, fits) in [
        ("end entity, key", &host, leaf(3, 1), true),
        ("end entity, certificate", &host, leaf(3, 0), true),
        // RFC 7672 section 3.1.1: names and dates mean nothing there.
        ("end entity of another name, expired", &expired, vec![record(3, 1, &expired.certificate_pem)], true),
        ("another end entity", &other, leaf(3, 1), false),
        ("trust anchor between", &host, anchor(&middle), true),
        ("trust anchor, domain's name", &domain, anchor(&middle), true),
        ("trust anchor, wrong name", &other, anchor(&middle), false),
        ("trust anchor, expired", &expired, anchor(&middle), false),
        ("another trust anchor", &host, anchor(&stranger), false),
        ("one of two", &host, both, true),
    ] {
        let server = site.server(issued, &[&middle, &site.root]);
        // An authority of the settings must not make up for what the records say.
        let client = site.client("smtp_tls_CAfile = DIR/ca.pem");
        for (level, secure, feature, trust) in [
            ("dane", true, "dane", Trust::Verified),
            ("dane-only", true, "dane-only", Trust::Verified),
            ("dane", false, "dane:halfdane", Trust::Trusted),
        ] {
            let plan =
                site.plan(level, Tlsa::Found { base: "mx.test".into(), records: records.clone() }, secure);
            let seen = connect(&server, &client, &plan, "192.0.2.1").await;
            let expected = fits.then(|| feature.to_owned());
            assert_eq!(seen.admitted, expected, "{what} {level}: {:?}", seen.lines);
            assert_eq!(seen.facts.trust >= Trust::Trusted, fits, "{what} {level}");
            if fits {
                assert_eq!(seen.facts.trust, trust, "{what} {level}");
                assert!(
                    seen.lines.iter().any(|line| line.starts_with("P: Matched DANE ")),
                    "{:?}",
                    seen.lines
                );
            } else {
                assert!(seen.explanation.unwrap().contains("expected by TLSA for mx.test: "), "{what}");
            }
        }
    }
}

#[tokio::test]
async fn fingerprints_of_certificate_and_key() {
    let site = Site::new();
    let issued = site.root.issue("other.test", KeyKind::EcdsaP256);
    let server = site.server(&issued, &[]);
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":");
    let certificate = hex(&record(3, 0, &issued.certificate_pem).data);
    let key = hex(&record(3, 1, &issued.certificate_pem).data);
    let client = site.client("");
    for (wanted, fits) in [
        (certificate.clone(), true),
        (key.clone(), true),
        (format!("AA|{key}"), true),
        ("AA:BB".into(), false),
    ] {
        let plan = site.plan(&format!("fingerprint match={wanted}"), Tlsa::NotAsked, true);
        let seen = connect(&server, &client, &plan, "192.0.2.1").await;
        assert_eq!(seen.admitted.is_some(), fits, "{wanted}");
        assert_eq!(seen.facts.trust == Trust::Verified, fits);
        assert!(fits || seen.explanation.unwrap().to_lowercase().contains(&key), "{wanted}");
    }
}

#[tokio::test]
async fn trust_anchor_files_replace_the_authorities() {
    let site = Site::new();
    let middle = site.root.intermediate("Middle CA");
    let issued = middle.issue("mx.test", KeyKind::EcdsaP256);
    let server = site.server(&issued, &[&middle]);
    site.write("root.pem", &site.root.certificate_pem);
    site.write("middle.pem", &middle.certificate_pem);
    site.write("leaf.pem", &issued.certificate_pem);
    site.write("stranger.pem", &Authority::new("Stranger CA").certificate_pem);
    site.write("nothing.pem", "nothing\n");
    let key = x509(&middle.certificate_pem).public_key().unwrap().public_key_to_pem().unwrap();
    site.write("key.pem", &String::from_utf8(key).unwrap());
    let client = site.client("smtp_tls_CAfile = DIR/ca.pem");
    for (policy, fits) in [
        ("verify", true),
        ("verify tafile=DIR/root.pem", true),
        ("verify tafile=DIR/middle.pem", true),
        ("verify tafile=DIR/key.pem", true),
        ("verify tafile=DIR/leaf.pem", true),
        ("verify tafile=DIR/stranger.pem", false),
        ("verify tafile=DIR/stranger.pem tafile=DIR/middle.pem", true),
        ("verify match=other.test tafile=DIR/middle.pem", false),
        ("verify match=other.test tafile=DIR/leaf.pem", false),
    ] {
        let plan = site.plan(policy, Tlsa::NotAsked, true);
        let seen = connect(&server, &client, &plan, "192.0.2.1").await;
        assert_eq!(seen.admitted.is_some(), fits, "{policy}: {:?}", seen.lines);
    }
    for (file, part) in
        [("missing", "error opening trust anchor file"), ("nothing.pem", "holds no certificate")]
    {
        let plan = site.plan(&format!("secure match=x tafile=DIR/{file}"), Tlsa::NotAsked, true);
        assert!(client.check(&plan).unwrap_err().contains(part), "{file}");
    }
}

#[tokio::test]
async fn names_are_compared_as_rfc_6125_says() {
    let site = Site::new();
    let client = site.client("smtp_tls_CAfile = DIR/ca.pem");
    for (certificate, wanted, fits) in [
        ("mx.test", "mx.test", true),
        ("mx.test", "MX.TEST", true),
        ("*.site.test", "mx.site.test", true),
        ("*.site.test", "a.mx.site.test", false),
        ("*.site.test", "site.test", false),
        ("m*.site.test", "mx.site.test", false),
        ("mx.site.test", ".site.test", true),
        ("a.mx.site.test", ".site.test", true),
        ("site.test", ".site.test", false),
        ("192.0.2.1", "192.0.2.1", true),
        ("192.0.2.2", "192.0.2.1", false),
        ("mx.test", "other.test:mx.test", true),
    ] {
        let server = site.server(&site.root.issue(certificate, KeyKind::EcdsaP256), &[]);
        let plan = site.plan(&format!("secure match={wanted}"), Tlsa::NotAsked, true);
        let seen = connect(&server, &client, &plan, "192.0.2.1").await;
        assert_eq!(seen.admitted.is_some(), fits, "{certificate} {wanted}");
    }
}

#[tokio::test]
async fn settings_that_can_not_be_carried_out_are_named() {
    let site = Site::new();
    for (text, policy, part) in [
        ("smtp_tls_protocols = TLSv9", "may", Some("Invalid TLS protocol list \"TLSv9\"")),
        ("smtp_tls_protocols = TLSv9", "encrypt", None),
        ("smtp_tls_CAfile = DIR/missing", "may", None),
        ("smtp_tls_CAfile = DIR/missing", "secure", Some("cannot load Certification Authority data")),
        ("smtp_tls_CAfile = DIR/missing", "secure tafile=DIR/ca.pem", None),
        (
            "tls_high_cipherlist = NOSUCH\nsmtp_tls_mandatory_ciphers = high",
            "encrypt",
            Some("selects no cipher"),
        ),
    ] {
        let settings = site.settings(text);
        let client = Client::new(&settings, &mut Vec::new()).unwrap();
        let policy = policy.replace("DIR", site.dir.path().to_str().unwrap());
        let wish = destination_policy(&settings, &policy, &mut Vec::new()).unwrap();
        let facts = Facts {
            next_hop: "site.test".into(),
            host: "mx.test".into(),
            mx: Mx::None,
            tlsa: Tlsa::NotAsked,
            sts: None,
        };
        let checked = client.check(&decide(&wish, &facts, Needs::default()).unwrap());
        match part {
            Some(part) => assert!(checked.unwrap_err().contains(part), "{text}"),
            None => assert_eq!(checked, Ok(()), "{text}"),
        }
    }
}

/// MTA-STS goes by the authorities of the Web, and by the server's own name; a policy that is tested changes nothing but the report.
#[tokio::test]
async fn published_policies_are_enforced_or_tested() {
    let site = Site::new();
    let issue = |name: &str, days: i64| {
        let wish = CertificateWish { from_days: -9, to_days: days, ..CertificateWish::named(name) };
        site.root.issue_as(name, KeyKind::EcdsaP256, &wish)
    };
    let stranger = Authority::new("Stranger CA").issue("mx.test", KeyKind::EcdsaP256);
    let settings = site.settings("https_CAfile = DIR/ca.pem");
    let plan = |mode: &str| {
        let policy = format!("version: STSv1\nmode: {mode}\nmx: mx.test\nmax_age: 9\n");
        let facts = Facts {
            next_hop: "site.test".into(),
            host: "mx.test".into(),
            mx: Mx::Found { secure: false, name: "site.test".into() },
            tlsa: Tlsa::NotAsked,
            sts: Some(Arc::new(tls::sts::Policy::parse(policy.as_bytes()).unwrap())),
        };
        let wish = Wish::of(&settings, tls::ClientLevel::May).unwrap();
        decide(&wish, &facts, Needs::default()).unwrap()
    };
    // The authorities of smtp_tls_CAfile do not count: there are none here.
    let client = Client::new(&settings, &mut Vec::new()).unwrap();
    for (issued, shortcoming) in [
        (issue("mx.test", 9), None),
        (issue("other.test", 9), Some(Shortcoming::HostMismatch)),
        (issue("mx.test", -1), Some(Shortcoming::Expired)),
        (stranger, Some(Shortcoming::NotTrusted)),
    ] {
        let server = site.server(&issued, &[]);
        let enforced = connect(&server, &client, &plan("enforce"), "192.0.2.1").await;
        let expected = shortcoming.is_none().then_some("may:secure");
        assert_eq!(enforced.admitted.as_deref(), expected, "{shortcoming:?}");
        assert_eq!(enforced.shortcoming, shortcoming);
        let tested = connect(&server, &client, &plan("testing"), "192.0.2.1").await;
        assert_eq!(tested.admitted.as_deref(), Some("may"), "{shortcoming:?}");
        assert_eq!(tested.shortcoming, shortcoming);
        let trust = if shortcoming.is_none() { Trust::Trusted } else { Trust::Untrusted };
        assert_eq!(tested.facts.trust, trust);
    }
    let missing = Client::new(&site.settings("https_CAfile = DIR/missing.pem"), &mut Vec::new()).unwrap();
    assert!(missing.check(&plan("enforce")).unwrap_err().contains("https_CAfile"));
}

/// A session brings its trust along, so it is for the same plan and the same server only.
#[tokio::test]
async fn sessions_are_for_equal_plans_and_servers() {
    let site = Site::new();
    let issued = site.root.issue("mx.test", KeyKind::EcdsaP256);
    let server = site.server(&issued, &[]);
    const CACHE: &str =
        "smtp_tls_CAfile = DIR/ca.pem\nsmtp_tls_session_cache_database = btree:/x/smtp_scache\n";
    let verify = site.plan("verify", Tlsa::NotAsked, true);
    for protocol in ["TLSv1.2", "TLSv1.3"] {
        let client = site.client(CACHE);
        let plan = site.plan(&format!("verify protocols={protocol}"), Tlsa::NotAsked, true);
        assert!(!connect(&server, &client, &plan, "192.0.2.1").await.facts.resumed);
        let again = connect(&server, &client, &plan, "192.0.2.1").await;
        assert_eq!(
            (again.facts.resumed, again.admitted.as_deref()),
            (true, Some("verify")),
            "{:?}",
            again.lines
        );
        assert_eq!(again.facts.trust, Trust::Verified);
        assert!(connect(&server, &client, &plan, "192.0.2.1").await.facts.resumed, "and once more");
        assert!(!connect(&server, &client, &plan, "192.0.2.2").await.facts.resumed, "another server");
        let other =
            site.plan(&format!("verify match=mx.test:x.test protocols={protocol}"), Tlsa::NotAsked, true);
        assert!(!connect(&server, &client, &other, "192.0.2.1").await.facts.resumed, "another plan");
    }
    let client = site.client("smtp_tls_CAfile = DIR/ca.pem");
    connect(&server, &client, &verify, "192.0.2.1").await;
    assert!(!connect(&server, &client, &verify, "192.0.2.1").await.facts.resumed, "no cache is configured");
    // What was refused is not kept.
    let client = site.client(CACHE);
    let wrong = site.plan("verify match=other.test", Tlsa::NotAsked, true);
    for _ in 0..2 {
        let seen = connect(&server, &client, &wrong, "192.0.2.1").await;
        assert_eq!((seen.facts.resumed, seen.admitted), (false, None));
    }
    // DANE: the records matched in the first handshake, and are part of the plan.
    let records = vec![record(3, 1, &issued.certificate_pem)];
    let dane = site.plan("dane", Tlsa::Found { base: "mx.test".into(), records }, true);
    assert_eq!(connect(&server, &client, &dane, "192.0.2.1").await.admitted.as_deref(), Some("dane"));
    let again = connect(&server, &client, &dane, "192.0.2.1").await;
    assert_eq!((again.facts.resumed, again.facts.trust), (true, Trust::Verified));
}
