//! The client against a Web server of every kind.
#![allow(clippy::unwrap_used)] // a test has no other way out

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use https::{Client, Failure, Limits, Method, Response, Url};
use testkit::authority::{Authority, Issued, KeyKind, Wish};
use testkit::web_server::{Answer, WebServer};

const LIMITS: Limits = Limits { time: Duration::from_secs(20), body: 1000 };

struct World {
    _folder: tempfile::TempDir,
    client: Client,
    authority: Authority,
}

impl World {
    fn new() -> World {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new("Test CA");
        let file = folder.path().join("ca.pem");
        std::fs::write(&file, &authority.certificate_pem).unwrap();
        World { client: Client::new(Some(&file)).unwrap(), _folder: folder, authority }
    }

    fn certificate(&self, name: &str) -> Issued {
        self.authority.issue(name, KeyKind::EcdsaP256)
    }

    async fn ask(
        &self,
        server: &WebServer,
        path: &str,
        method: Method,
        limits: Limits,
    ) -> Result<Response, Failure> {
        let url = Url::parse(&format!("https://web.test:{}{path}", server.address.port())).unwrap();
        // The first has nobody listening: 127.0.0.1 is tried next.
        let addresses = [Ipv4Addr::new(127, 255, 255, 254), Ipv4Addr::LOCALHOST].map(IpAddr::V4);
        self.client.ask(&url, &addresses, method, limits).await
    }
}

#[tokio::test]
async fn what_is_asked_and_answered() {
    let world = World::new();
    let server = WebServer::start(&world.certificate("web.test"), |asked| match asked.target.as_str() {
        "/moved" => Answer::new(301, "").with("Location", "https://elsewhere.test/"),
        "/large" => Answer::new(200, vec![b'x'; 1001]),
        "/just" => Answer::new(200, vec![b'x'; 1000]),
        _ => Answer::new(200, asked.body.clone()).with("Link", "<a>").with("Link", "<b>"),
    });
    let port = server.address.port();
    let answer = world.ask(&server, "/x?y", Method::Get, LIMITS).await.unwrap();
    assert_eq!((answer.status, answer.body.len()), (200, 0));
    assert_eq!(answer.headers("link").collect::<Vec<_>>(), ["<a>", "<b>"]);
    let post = Method::Post { kind: "text/plain", body: b"said".to_vec() };
    let answer = world.ask(&server, "/p", post, LIMITS).await.unwrap();
    assert_eq!(answer.body, b"said");
    // Nobody goes where a redirect leads.
    let answer = world.ask(&server, "/moved", Method::Get, LIMITS).await.unwrap();
    assert_eq!((answer.status, answer.header("location")), (301, Some("https://elsewhere.test/")));
    assert_eq!(world.ask(&server, "/just", Method::Get, LIMITS).await.unwrap().body.len(), 1000);
    let failure = world.ask(&server, "/large", Method::Get, LIMITS).await.unwrap_err();
    assert_eq!(failure, Failure::TooLarge);
    assert_eq!(world.ask(&server, "/large", Method::Head, LIMITS).await.unwrap().status, 200);
    let asked = server.asked();
    assert_eq!((asked[0].method.as_str(), asked[0].target.as_str()), ("GET", "/x?y"));
    assert_eq!(asked[0].headers["host"], format!("web.test:{port}"));
    assert_eq!((asked[1].method.as_str(), asked[1].headers["content-type"].as_str()), ("POST", "text/plain"));
}

#[tokio::test]
async fn certificates_are_verified() {
    let world = World::new();
    let expired = Wish { from_days: -9, to_days: -1, ..Wish::named("web.test") };
    let stranger = Authority::new("Another CA");
    for (issued, part) in [
        (world.certificate("other.test"), "hostname mismatch"),
        (world.authority.issue_as("web.test", KeyKind::EcdsaP256, &expired), "expired"),
        (stranger.issue("web.test", KeyKind::EcdsaP256), "local issuer"),
    ] {
        let server = WebServer::start(&issued, |_| Answer::new(200, "never seen"));
        match world.ask(&server, "/", Method::Get, LIMITS).await {
            Err(Failure::Certificate(why)) => assert!(why.to_lowercase().contains(part), "{why}"),
            other => panic!("{part}: {other:?}"),
        }
        assert!(server.asked().is_empty());
    }
}

#[tokio::test]
async fn a_server_that_is_away_or_slow() {
    let world = World::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = Url::parse(&format!("https://web.test:{}/", listener.local_addr().unwrap().port())).unwrap();
    let localhost = [IpAddr::V4(Ipv4Addr::LOCALHOST)];
    let limits = Limits { time: Duration::from_millis(50), ..LIMITS };
    let failure = world.client.ask(&url, &localhost, Method::Get, limits).await.unwrap_err();
    assert_eq!(failure, Failure::TimedOut);
    drop(listener);
    let failure = world.client.ask(&url, &localhost, Method::Get, LIMITS).await.unwrap_err();
    assert!(matches!(failure, Failure::Connection(_)), "{failure}");
    let failure = world.client.ask(&url, &[], Method::Get, LIMITS).await.unwrap_err();
    assert_eq!(failure, Failure::Connection("web.test has no address".into()));
}

#[test]
fn authorities_that_can_not_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    let error = |file: &std::path::Path| Client::new(Some(file)).err().unwrap();
    assert!(error(&file).starts_with("No such file or directory"));
    std::fs::write(&file, "nothing").unwrap();
    assert_eq!(error(&file), "no certificate in PEM format");
    assert!(Client::new(None).is_ok());
}
