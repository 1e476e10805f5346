//! Against a name server and a Web server with scripts.

use std::sync::atomic::{AtomicUsize, Ordering};

use config::{HostFacts, MainCf};
use testkit::authority::{Authority, KeyKind};
use testkit::name_server::NameServer;
use testkit::web_server::{Answer, WebServer};

use super::*;

const POLICY: &str = "version: STSv1\nmode: enforce\nmx: mx.test\nmax_age: 86400\n";

struct World {
    folder: tempfile::TempDir,
    authority: Authority,
    names: NameServer,
    resolver: Resolver,
    log: Log,
}

impl World {
    fn new() -> World {
        let names = NameServer::start(&zone("1"));
        let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new("Test CA"));
        std::fs::write(folder.path().join("ca.pem"), &authority.certificate_pem).unwrap();
        World {
            resolver: Resolver::with_servers(vec![names.address]),
            log: Log::new(Arc::new(maillog::Sink::discard()), "postfix", "smtp"),
            folder,
            authority,
            names,
        }
    }

    fn serve(&self, name: &str, answer: impl Fn(usize) -> Answer + Send + Sync + 'static) -> WebServer {
        let count = AtomicUsize::new(0);
        let issued = self.authority.issue(name, KeyKind::EcdsaP256);
        WebServer::start(&issued, move |_| answer(count.fetch_add(1, Ordering::SeqCst)))
    }

    /// A process of its own, as after a restart.
    fn finder(&self, port: u16) -> MtaSts {
        let folder = self.folder.path().display();
        let main = format!(
            "data_directory = {folder}\nhttps_CAfile = {folder}/ca.pem\nsmtp_tls_mta_sts_port = {port}\n"
        );
        let main = MainCf::parse("main.cf", main.as_bytes()).unwrap();
        let host = HostFacts { hostname: "mx.test".into(), ..HostFacts::default() };
        let settings = Settings::load(&main, &[], &host).unwrap();
        MtaSts::new(&settings, Family::V4, &self.log).unwrap()
    }

    async fn ask(&self, finder: &MtaSts) -> Finding {
        finder.find(&self.resolver, "d.test", &self.log).await
    }

    /// Other records from now on.
    fn change(&mut self, script: &str) {
        self.names.replace(script);
        self.resolver = Resolver::with_servers(vec![self.names.address]);
    }
}

fn zone(id: &str) -> String {
    format!("_mta-sts.d.test 300 TXT v=STSv1; id={id};\nmta-sts.d.test 300 A 127.0.0.1\n")
}

fn plain(text: impl Into<Vec<u8>>) -> Answer {
    Answer::new(200, text).with("Content-Type", "text/plain; charset=utf-8")
}

#[tokio::test]
async fn a_policy_is_fetched_once_and_outlives_its_sources() {
    let mut world = World::new();
    let server = world.serve("mta-sts.d.test", |_| plain(POLICY));
    let finder = world.finder(server.address.port());
    let (first, second) = tokio::join!(world.ask(&finder), world.ask(&finder));
    assert_eq!(first.policy.as_ref().unwrap().mx, ["mx.test"]);
    assert_eq!((first.failure.as_ref(), &first), (None, &second));
    assert_eq!(server.asked().len(), 1);
    assert_eq!(server.asked()[0].target, "/.well-known/mta-sts.txt");
    // After a restart it is in the file.
    let finder = world.finder(server.address.port());
    assert_eq!(world.ask(&finder).await, first);
    assert_eq!(server.asked().len(), 1);
    // The record changes and the Web server is gone: the old policy holds, and the failure is told.
    let port = server.address.port();
    drop(server);
    world.change(&zone("2"));
    let found = world.ask(&world.finder(port)).await;
    assert_eq!(found.policy, first.policy);
    assert!(matches!(found.failure, Some(Failure::Fetch(_))), "{found:?}");
    // The record is gone, or can not be asked for: it goes on to hold (RFC 8461 section 5.1).
    for script in ["d.test 300 A 127.0.0.1\n", "_mta-sts.d.test SERVFAIL\n"] {
        world.change(script);
        assert_eq!(world.ask(&world.finder(port)).await, first, "{script}");
    }
}

#[tokio::test]
async fn a_new_id_brings_a_new_policy() {
    let mut world = World::new();
    let server = world.serve("mta-sts.d.test", |count| {
        plain(
            [
                "version: STSv1\nmode: testing\nmx: mx.test\nmax_age: 9999\n",
                POLICY,
                "version: STSv1\nmode: none\nmax_age: 99\n",
            ][count],
        )
    });
    let finder = world.finder(server.address.port());
    assert_eq!(world.ask(&finder).await.policy.unwrap().mode, Mode::Testing);
    world.change(&zone("2"));
    assert_eq!(world.ask(&finder).await.policy.unwrap().mode, Mode::Enforce);
    world.change(&zone("3"));
    assert_eq!(world.ask(&finder).await, Finding::default());
    assert_eq!(world.ask(&finder).await, Finding::default());
    assert_eq!(server.asked().len(), 3);
}

#[tokio::test]
async fn what_is_no_policy_is_told_and_adds_nothing() {
    let html = || Answer::new(200, POLICY).with("Content-Type", "text/html");
    let moved = || Answer::new(301, POLICY).with("Location", "https://mta-sts.d.test/other");
    let large = || plain(format!("{POLICY}{}", "x".repeat(tls::sts::MOST_BYTES)));
    for (name, answer, kind) in [
        ("mta-sts.d.test", Box::new(moved) as Box<dyn Fn() -> Answer + Send + Sync>, "Fetch"),
        ("mta-sts.d.test", Box::new(|| Answer::new(404, "")), "Fetch"),
        ("mta-sts.d.test", Box::new(html), "Invalid"),
        ("mta-sts.d.test", Box::new(large), "Invalid"),
        ("mta-sts.d.test", Box::new(|| plain("version: STSv1\n")), "Invalid"),
        ("d.test", Box::new(|| plain(POLICY)), "WebPki"),
    ] {
        let world = World::new();
        let server = world.serve(name, move |_| answer());
        let finder = world.finder(server.address.port());
        let found = world.ask(&finder).await;
        assert_eq!(found.policy, None);
        let failure = found.failure.clone().unwrap();
        assert!(format!("{failure:?}").starts_with(kind), "{failure:?}");
        // It is not asked again at once.
        assert_eq!(world.ask(&finder).await, found);
        assert!(server.asked().len() <= 1);
    }
}

#[tokio::test]
async fn a_domain_without_a_record_has_no_policy() {
    let mut world = World::new();
    world.change("_mta-sts.d.test 300 TXT v=STSv1; id=;\nmta-sts.d.test 300 A 127.0.0.1\n");
    let server = world.serve("mta-sts.d.test", |_| plain(POLICY));
    assert_eq!(world.ask(&world.finder(server.address.port())).await, Finding::default());
    assert!(server.asked().is_empty());
}
