//! `mailclad certificate` against an authority with a script, which checks what it is shown.
#![allow(clippy::unwrap_used)] // a test has no other way out

mod support;

use std::collections::HashSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::{Arc, Mutex};

use support::Site;
use testkit::authority::{Authority, KeyKind};
use testkit::web_server::{Answer, Asked, WebServer};

const TOKEN: &str = "abc-DEF_123";

/// An authority that believes what stands in the hook's folder.
#[derive(Default)]
struct State {
    nonces: HashSet<String>,
    issued_nonces: usize,
    /// The thumbprint of the account's key.
    thumbprint: String,
    contacts: Vec<serde_json::Value>,
    names: Vec<String>,
    validated: bool,
    certificate: Option<String>,
    /// The first nonce is refused.
    refused: bool,
}

struct Acme {
    server: WebServer,
    state: Arc<Mutex<State>>,
}

impl Acme {
    /// `records`: where the hook writes them.
    fn start(authority: Authority, records: PathBuf) -> Acme {
        let state = Arc::new(Mutex::new(State::default()));
        let issued = authority.issue("localhost", KeyKind::EcdsaP256);
        let shared = Arc::clone(&state);
        let server = WebServer::start(&issued, move |asked| {
            let mut state = shared.lock().unwrap();
            let answer = state.answer(asked, &authority, &records);
            state.issued_nonces += 1;
            let nonce = format!("nonce{}", state.issued_nonces);
            state.nonces.insert(nonce.clone());
            answer.with("Replay-Nonce", &nonce)
        });
        Acme { server, state }
    }

    fn url(&self) -> String {
        format!("https://localhost:{}/directory", self.server.address.port())
    }
}

impl State {
    fn answer(&mut self, asked: &Asked, authority: &Authority, records: &Path) -> Answer {
        let base = format!("https://{}", asked.headers["host"]);
        let path = asked.target.as_str();
        match path {
            "/directory" => {
                let text = format!(
                    "{{\"newNonce\":\"{base}/nonce\",\"newAccount\":\"{base}/account\",\"newOrder\":\"{base}/order\",\
                     \"meta\":{{\"termsOfService\":\"{base}/terms\"}}}}"
                );
                return Answer::new(200, text);
            }
            "/nonce" => return Answer::new(200, ""),
            _ => {}
        }
        assert_eq!(asked.headers["content-type"], "application/jose+json");
        let request: serde_json::Value = serde_json::from_slice(&asked.body).unwrap();
        let header: serde_json::Value = serde_json::from_slice(&decoded(&request["protected"])).unwrap();
        assert_eq!(header["url"], format!("{base}{path}"));
        let known = self.nonces.remove(header["nonce"].as_str().unwrap());
        if !known || !std::mem::replace(&mut self.refused, true) {
            return Answer::new(
                400,
                "{\"type\":\"urn:ietf:params:acme:error:badNonce\",\"detail\":\"again\"}",
            );
        }
        let payload = decoded(&request["payload"]);
        let payload: serde_json::Value = serde_json::from_slice(&payload).unwrap_or_default();
        match path {
            "/account" => {
                assert_eq!(payload["termsOfServiceAgreed"], true);
                self.contacts.push(payload["contact"].clone());
                let text = header["jwk"].to_string();
                self.thumbprint = encoded(&openssl::sha::sha256(text.as_bytes()));
                Answer::new(201, "{}").with("Location", &format!("{base}/account/1"))
            }
            "/order" => {
                let names = payload["identifiers"].as_array().unwrap().iter();
                self.names = names.map(|name| name["value"].as_str().unwrap().to_owned()).collect();
                (self.validated, self.certificate) = (false, None);
                Answer::new(201, self.order(&base)).with("Location", &format!("{base}/order/1"))
            }
            "/authorization" => Answer::new(
                200,
                format!(
                    "{{\"status\":\"{}\",\"identifier\":{{\"type\":\"dns\",\"value\":\"{}\"}},\"challenges\":[\
                 {{\"type\":\"http-01\",\"url\":\"{base}/http\",\"token\":\"{TOKEN}\"}},\
                 {{\"type\":\"dns-01\",\"url\":\"{base}/dns\",\"token\":\"{TOKEN}\"}}]}}",
                    if self.validated { "valid" } else { "pending" },
                    self.names[0]
                ),
            ),
            "/dns" => {
                let expected =
                    encoded(&openssl::sha::sha256(format!("{TOKEN}.{}", self.thumbprint).as_bytes()));
                let record =
                    std::fs::read_to_string(records.join(format!("_acme-challenge.{}", self.names[0])));
                self.validated = record.is_ok_and(|text| text.trim() == expected);
                Answer::new(200, "{}")
            }
            "/finalize" => {
                assert!(self.validated, "an order is finalized when its names are shown");
                self.certificate = Some(authority.sign_request(&decoded(&payload["csr"]), &self.names));
                Answer::new(200, self.order(&base))
            }
            "/order/1" => Answer::new(200, self.order(&base)),
            "/certificate" => {
                let chain = self.certificate.clone().unwrap() + &authority.certificate_pem;
                Answer::new(200, chain)
            }
            _ => Answer::new(404, "{}"),
        }
    }

    fn order(&self, base: &str) -> String {
        let status = if self.certificate.is_some() { "valid" } else { "pending" };
        format!(
            "{{\"status\":\"{status}\",\"authorizations\":[\"{base}/authorization\"],\
             \"finalize\":\"{base}/finalize\",\"certificate\":\"{base}/certificate\"}}"
        )
    }
}

fn decoded(value: &serde_json::Value) -> Vec<u8> {
    let mut text = value.as_str().unwrap().replace('-', "+").replace('_', "/");
    while !text.len().is_multiple_of(4) {
        text.push('=');
    }
    openssl::base64::decode_block(&text).unwrap()
}

fn encoded(bytes: &[u8]) -> String {
    openssl::base64::encode_block(bytes).replace('+', "-").replace('/', "_").replace('=', "")
}

struct World {
    site: Site,
    acme: Acme,
    records: PathBuf,
}

impl World {
    fn new() -> World {
        let authority = Authority::new("Test CA");
        let site = Site::new(&authority, "https_CAfile = DIR/ca.pem\n");
        let records = site.dir.path().join("records");
        std::fs::create_dir(&records).unwrap();
        let hook = site.dir.path().join("hook");
        let script = format!(
            "#!/bin/sh\necho \"$1 $2 ${{ACME_CREDENTIALS:-none}}\" >> {0}/calls\n\
             case $1 in\npresent) echo \"$ACME_TEXT\" > \"{0}/$ACME_RECORD\";;\ncleanup) rm \"{0}/$ACME_RECORD\";;\nesac\n",
            records.display()
        );
        std::fs::write(&hook, script).unwrap();
        std::fs::set_permissions(&hook, PermissionsExt::from_mode(0o755)).unwrap();
        let acme = Acme::start(authority, records.clone());
        World { site, acme, records }
    }

    fn run(&self, more: &[&str]) -> Output {
        let (url, out) = (self.acme.url(), self.out().display().to_string());
        let hook = self.site.dir.path().join("hook").display().to_string();
        let words = ["certificate", "-n", "--server", &url, "--directory", &out, "--dns-hook", &hook];
        let words = [&words[..], &["--dns-propagation-seconds", "0"], more].concat();
        self.site.run(&words, "")
    }

    fn out(&self) -> PathBuf {
        self.site.dir.path().join("certificates")
    }

    fn calls(&self) -> String {
        std::fs::read_to_string(self.records.join("calls")).unwrap_or_default()
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn a_certificate_by_a_record_in_the_dns() {
    let world = World::new();
    let output = world.run(&["--agree-tos"]);
    assert!(output.status.success(), "{}", said(&output));
    let live = world.out().join("live/mx.site.test");
    assert!(said(&output).contains(&format!("{} has a new certificate for mx.site.test", live.display())));
    assert_eq!(world.calls(), "present mx.site.test none\ncleanup mx.site.test none\n");
    let state = world.acme.state.lock().unwrap();
    assert_eq!(
        (state.names.as_slice(), &state.contacts[0]),
        (&["mx.site.test".to_owned()][..], &serde_json::Value::Null)
    );
    let chain = std::fs::read_to_string(live.join("fullchain.pem")).unwrap();
    assert_eq!(chain.matches("BEGIN CERTIFICATE").count(), 2);
    // Key and certificate belong together: a server takes them.
    let key = std::fs::read(live.join("privkey.pem")).unwrap();
    let key = openssl::pkey::PKey::private_key_from_pem(&key).unwrap();
    let certificate = openssl::x509::X509::from_pem(chain.as_bytes()).unwrap();
    assert!(certificate.public_key().unwrap().public_eq(&key));
}

#[test]
fn renewal_is_for_those_who_need_it() {
    let world = World::new();
    assert!(world.run(&["--agree-tos", "-m", "me@site.test"]).status.success());
    assert_eq!(world.acme.state.lock().unwrap().contacts[0], serde_json::json!(["mailto:me@site.test"]));
    let first = std::fs::read_link(world.out().join("live/mx.site.test")).unwrap();
    let asked = world.acme.server.asked().len();
    let output = world.run(&["--agree-tos"]);
    assert!(output.status.success() && said(&output).contains("nothing to do"), "{}", said(&output));
    assert_eq!(world.acme.server.asked().len(), asked, "nobody was asked");
    // Another name, another certificate.
    let output = world.run(&["--agree-tos", "-d", "mx.site.test,mail.site.test"]);
    assert!(output.status.success(), "{}", said(&output));
    assert_ne!(std::fs::read_link(world.out().join("live/mx.site.test")).unwrap(), first);
}

#[test]
fn nothing_is_agreed_to_by_itself() {
    let world = World::new();
    let output = world.run(&[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("--agree-tos"), "{}", said(&output));
    assert!(world.acme.server.asked().is_empty() && !world.out().exists());
}

#[test]
fn credentials_that_others_can_read_are_refused() {
    let world = World::new();
    let file = world.site.dir.path().join("credentials");
    let name = file.display().to_string();
    std::fs::write(&file, "secret").unwrap();
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o640)).unwrap();
    let output = world.run(&["--agree-tos", "--dns-credentials", &name]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("others can read it (mode 0640); chmod 600"), "{}", said(&output));
    assert_eq!(world.calls(), "");
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
    let output = world.run(&["--agree-tos", "--dns-credentials", &name]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(world.calls().starts_with(&format!("present mx.site.test {name}\n")), "{}", world.calls());
}

#[test]
fn a_name_that_is_not_shown_gets_nothing() {
    let world = World::new();
    let hook = world.site.dir.path().join("hook");
    std::fs::write(&hook, "#!/bin/sh\nexit 3\n").unwrap();
    let output = world.run(&["--agree-tos"]);
    assert!(said(&output).contains("present: exit status: 3"), "{}", said(&output));
    std::fs::write(&hook, "#!/bin/sh\n").unwrap();
    std::fs::set_permissions(&hook, PermissionsExt::from_mode(0o644)).unwrap();
    assert!(said(&world.run(&["--agree-tos"])).contains("Permission denied"));
    assert!(!world.out().join("live").exists());
}
