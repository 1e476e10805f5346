//! From what happened to what is reported.

use std::sync::Arc;

use config::{HostFacts, MainCf};
use tls::policy::{Facts, Mx, Needs, Tlsa, TlsaRecord, Wish, decide};
use tls::sts;

use super::*;

struct World {
    folder: tempfile::TempDir,
    settings: Settings,
}

impl World {
    fn new() -> World {
        let main = MainCf::parse("main.cf", b"compatibility_level = 3.12\n").unwrap();
        let settings = Settings::load(&main, &[], &HostFacts::default()).unwrap();
        World { folder: tempfile::tempdir().unwrap(), settings }
    }

    fn reporting(&self, skips_resumed: bool, sts: mta_sts::Finding) -> Reporting {
        let days = Days::new(self.folder.path().to_str().unwrap());
        Reporting {
            results: Arc::new(Results { socket: None, days: Some(days), skips_resumed }),
            domain: "d.test".into(),
            record: "v=TLSRPTv1; rua=mailto:r@d.test".into(),
            sts,
            plugin: None,
            log: Log::new(Arc::new(maillog::Sink::discard()), "postfix", "smtp"),
        }
    }

    fn plan(&self, level: ClientLevel, tlsa: Tlsa, sts: Option<Arc<sts::Policy>>) -> Plan {
        let wish = Wish::of(&self.settings, level).unwrap();
        let mx = Mx::Found { secure: true, name: "d.test".into() };
        let facts = Facts { next_hop: "d.test".into(), host: "mx.test".into(), mx, tlsa, sts };
        decide(&wish, &facts, Needs::default()).unwrap()
    }

    /// The last result, as policy and failure; they are forgotten then.
    fn last(&self) -> Option<(&'static str, Option<&'static str>)> {
        let days = Days::new(self.folder.path().to_str().unwrap());
        let day = days.all().unwrap().pop()?;
        let event = days.events(day).unwrap().last()?;
        days.remove(day).unwrap();
        let outcome = &event.policies[0];
        Some((outcome.policy.kind.name(), outcome.failures.first().map(|failure| failure.kind.name())))
    }
}

fn published(mode: &str, mx: &str) -> Option<Arc<sts::Policy>> {
    let text = format!("version: STSv1\nmode: {mode}\nmx: {mx}\nmax_age: 1\n");
    Some(Arc::new(sts::Policy::parse(text.as_bytes()).unwrap()))
}

fn records() -> Tlsa {
    let record = TlsaRecord { usage: 3, selector: 1, matching_type: 1, data: vec![1; 32] };
    Tlsa::Found { base: "mx.test".into(), records: vec![record] }
}

const SECURED: Verdict = Verdict::Secured { resumed: false, shortcoming: None };

#[test]
fn each_connection_has_one_result() {
    use ClientLevel::{Dane, Encrypt, May, None as NoTls};
    let world = World::new();
    let refused = || Verdict::Refused("454 no".into());
    let expired = || Verdict::NotVerified(Shortcoming::Expired);
    let tried = |shortcoming| Verdict::Secured { resumed: false, shortcoming: Some(shortcoming) };
    for (level, tlsa, sts, verdict, expected) in [
        (May, Tlsa::NotAsked, None, SECURED, Some(("no-policy-found", None))),
        (
            May,
            Tlsa::NotAsked,
            None,
            Verdict::NotOffered,
            Some(("no-policy-found", Some("starttls-not-supported"))),
        ),
        (Encrypt, Tlsa::NotAsked, None, refused(), Some(("no-policy-found", Some("starttls-not-supported")))),
        (
            May,
            Tlsa::NotAsked,
            None,
            Verdict::Failed("x".into()),
            Some(("no-policy-found", Some("validation-failure"))),
        ),
        (May, Tlsa::NotAsked, None, Verdict::None, None),
        (NoTls, Tlsa::NotAsked, None, Verdict::NotOffered, None),
        (Dane, records(), None, SECURED, Some(("tlsa", None))),
        (
            Dane,
            records(),
            published("enforce", "other.test"),
            expired(),
            Some(("tlsa", Some("certificate-expired"))),
        ),
        (May, Tlsa::NotAsked, published("enforce", "mx.test"), SECURED, Some(("sts", None))),
        (
            May,
            Tlsa::NotAsked,
            published("enforce", "mx.test"),
            expired(),
            Some(("sts", Some("certificate-expired"))),
        ),
        (
            May,
            Tlsa::NotAsked,
            published("enforce", "mx.test"),
            Verdict::NotOffered,
            Some(("sts", Some("starttls-not-supported"))),
        ),
        (May, Tlsa::NotAsked, published("testing", "mx.test"), SECURED, Some(("sts", None))),
        (
            May,
            Tlsa::NotAsked,
            published("testing", "mx.test"),
            tried(Shortcoming::HostMismatch),
            Some(("sts", Some("certificate-host-mismatch"))),
        ),
        (
            May,
            Tlsa::NotAsked,
            published("testing", "mx.test"),
            tried(Shortcoming::NotTrusted),
            Some(("sts", Some("certificate-not-trusted"))),
        ),
        (
            May,
            Tlsa::NotAsked,
            published("testing", "other.test"),
            SECURED,
            Some(("sts", Some("validation-failure"))),
        ),
    ] {
        let finding = mta_sts::Finding { policy: sts.clone(), failure: None };
        let plan = world.plan(level, tlsa.clone(), sts.clone());
        let peer = Peer { host: "mx.test".into(), address: "192.0.2.1".into(), port: Some(25) };
        let place = Place { peer: &peer, helo: None, own: None };
        world.reporting(false, finding).session(&place, &plan, &verdict);
        assert_eq!(world.last(), expected, "{level:?} {tlsa:?} {sts:?} {verdict:?}");
    }
}

#[test]
fn what_has_no_session_is_reported_too() {
    let world = World::new();
    let peer = Peer { host: "mx.test".into(), address: "192.0.2.1".into(), port: Some(25) };
    let place = Place { peer: &peer, helo: None, own: None };
    for (unmet, expected) in [
        (Unmet::Dane("TLSA lookup error for mx.test:25".into()), Some(("tlsa", Some("dnssec-invalid")))),
        (Unmet::Dane("TLSA records unusable".into()), Some(("tlsa", Some("tlsa-invalid")))),
        (Unmet::Dane("no TLSA records found".into()), Some(("tlsa", Some("dane-required")))),
        (Unmet::Sts("x".into()), Some(("sts", Some("validation-failure")))),
        // A mistake of our own is nobody's business.
        (Unmet::Configuration("x".into()), None),
    ] {
        world.reporting(false, mta_sts::Finding::default()).unmet(&place, &unmet);
        assert_eq!(world.last(), expected, "{unmet:?}");
    }
    let failure = Some(mta_sts::Failure::WebPki("x".into()));
    let plan = world.plan(ClientLevel::May, Tlsa::NotAsked, None);
    let finding = mta_sts::Finding { policy: None, failure };
    world.reporting(false, finding).session(&place, &plan, &SECURED);
    assert_eq!(world.last(), Some(("sts", Some("sts-webpki-invalid"))));
    // smtp_tlsrpt_skip_reused_handshakes
    for (skips, expected) in [(true, None), (false, Some(("no-policy-found", None)))] {
        let resumed = Verdict::Secured { resumed: true, shortcoming: None };
        world.reporting(skips, mta_sts::Finding::default()).session(&place, &plan, &resumed);
        assert_eq!(world.last(), expected);
    }
}
