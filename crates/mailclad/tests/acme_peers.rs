//! `mailclad certificate` against Pebble, the small authority of those who make Let's Encrypt. It refuses a quarter of all nonces, as its users
//! are meant to bear.
#![allow(clippy::unwrap_used)] // a test has no other way out

mod support;

use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use support::{Site, free_port, wait_for};
use testkit::authority::{Authority, KeyKind};
use testkit::name_server::NameServer;

const ZONE: &str = "mx.site.test 300 A 127.0.0.1\n";

/// The authority; it ends with this value.
struct Pebble {
    child: Child,
    port: u16,
    /// Where it looks for files.
    http_port: u16,
    names: Arc<NameServer>,
}

impl Pebble {
    fn start(site: &Site, authority: &Authority) -> Pebble {
        let (port, http_port) = (free_port(), free_port());
        let issued = authority.issue("localhost", KeyKind::EcdsaP256);
        site.write("pebble.crt", &issued.certificate_pem);
        site.write("pebble.key", &issued.key_pem);
        let dir = site.dir.path().display();
        let config = format!(
            "{{\"pebble\": {{\"listenAddress\": \"127.0.0.1:{port}\", \"managementListenAddress\": \"127.0.0.1:{}\",\
             \"certificate\": \"{dir}/pebble.crt\", \"privateKey\": \"{dir}/pebble.key\",\
             \"httpPort\": {http_port}, \"tlsPort\": {}, \"ocspResponderURL\": \"\"}}}}",
            free_port(),
            free_port()
        );
        site.write("pebble.json", &config);
        let names = NameServer::start(ZONE);
        let child = Command::new("pebble")
            .args(["-config", &format!("{dir}/pebble.json"), "-dnsserver", &names.address.to_string()])
            .env("PEBBLE_VA_NOSLEEP", "1")
            .env("PEBBLE_WFE_NONCEREJECT", "25")
            .env("PEBBLE_AUTHZREUSE", "0")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("pebble is not installed");
        assert!(wait_for(|| TcpStream::connect(("127.0.0.1", port)).ok()).is_some());
        Pebble { child, port, http_port, names: Arc::new(names) }
    }

    fn url(&self) -> String {
        format!("https://localhost:{}/dir", self.port)
    }
}

impl Drop for Pebble {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run(site: &Site, pebble: &Pebble, more: &[&str]) -> PathBuf {
    let out = site.dir.path().join("certificates");
    let (url, directory) = (pebble.url(), out.display().to_string());
    let words = ["certificate", "-n", "--agree-tos", "--server", &url, "--directory", &directory];
    let output = site.run(&[&words[..], more].concat(), "");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    let live = out.join("live/mx.site.test");
    let text = Command::new("openssl")
        .args(["x509", "-noout", "-text", "-in"])
        .arg(live.join("fullchain.pem"))
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&text.stdout).contains("DNS:mx.site.test"));
    live
}

#[test]
fn a_certificate_by_a_file_and_one_by_a_record() {
    let authority = Authority::new("Test CA");
    let site = Site::new(&authority, "https_CAfile = DIR/ca.pem\n");
    let pebble = Pebble::start(&site, &authority);
    run(&site, &pebble, &["--http-port", &pebble.http_port.to_string(), "-m", "me@site.test"]);
    // The hook leaves what it is told in a file, from which it comes into the DNS.
    let (hook, record) = (site.dir.path().join("hook"), site.dir.path().join("record"));
    let script = format!(
        "#!/bin/sh\n[ $1 = cleanup ] || {{ echo \"$ACME_TEXT\" > {0}.new; mv {0}.new {0}; }}\n",
        record.display()
    );
    std::fs::write(&hook, script).unwrap();
    std::fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let names = Arc::clone(&pebble.names);
    let published = std::thread::spawn(move || {
        let text = wait_for(|| std::fs::read_to_string(&record).ok()).unwrap();
        names.replace(&format!("{ZONE}_acme-challenge.mx.site.test 1 TXT {text}\n"));
    });
    let live = run(
        &site,
        &pebble,
        &[
            "--force",
            "--key-type",
            "rsa",
            "--dns-hook",
            hook.to_str().unwrap(),
            "--dns-propagation-seconds",
            "2",
        ],
    );
    published.join().unwrap();
    let key = std::fs::read(live.join("privkey.pem")).unwrap();
    assert!(openssl::rsa::Rsa::private_key_from_pem(&key).is_ok());
}
