//! MTA-STS by a plugin: Debian's postfix-mta-sts-resolver answers smtp_tls_policy_maps over a socketmap, as it does for Postfix. Its cache
//! is filled before, so that it needs neither the DNS nor the Web.
#![allow(clippy::unwrap_used)] // a test has no other way out

mod support;

use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use support::simple_peer::Peer;
use support::{Client, Site, free_port, wait_for};
use testkit::authority::{Authority, KeyKind};
use testkit::name_server::NameServer;

/// The daemon, with policies for two domains; it ends with this value.
struct Daemon(Child);

impl Daemon {
    fn start(folder: &std::path::Path, port: u16) -> Daemon {
        let cache = folder.join("cache.db").display().to_string();
        let config = format!(
            "host: 127.0.0.1\nport: {port}\nreuse_port: true\ncache_grace: 3600\n\
             cache:\n  type: sqlite\n  options:\n    filename: \"{cache}\"\n\
             default_zone:\n  strict_testing: false\n  timeout: 4\n"
        );
        std::fs::write(folder.join("daemon.yml"), config).unwrap();
        let fill = "import json, sqlite3, sys, time\n\
            db = sqlite3.connect(sys.argv[1])\n\
            db.execute('create table sts_policy_cache (domain text, ts integer, pol_id text, pol_body text)')\n\
            for name in 'good', 'wrong':\n    \
                policy = {'version': 'STSv1', 'mode': 'enforce', 'mx': ['mx-' + name + '.test'], 'max_age': 86400}\n    \
                db.execute('insert into sts_policy_cache values (?, ?, ?, ?)', (name + '.test', int(time.time()), '1', json.dumps(policy)))\n\
            db.commit()\n";
        assert!(Command::new("/usr/bin/python3").args(["-c", fill, &cache]).status().unwrap().success());
        let child = Command::new("mta-sts-daemon")
            .args(["-c", folder.join("daemon.yml").to_str().unwrap()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("postfix-mta-sts-resolver is not installed");
        assert!(wait_for(|| TcpStream::connect(("127.0.0.1", port)).ok()).is_some());
        Daemon(child)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_plugin_says_what_a_domain_asks_for() {
    let (authority, port, socketmap) = (Authority::new("Test CA"), free_port(), free_port());
    let folder = tempfile::tempdir().unwrap();
    let _daemon = Daemon::start(folder.path(), socketmap);
    let certificates = [("good", "mx-good.test"), ("wrong", "other.test")];
    let (mut script, mut peers) = (String::new(), Vec::new());
    for (number, (name, certificate)) in (1..).zip(certificates) {
        script += &format!("{name}.test 300 MX 10 mx-{name}.test\nmx-{name}.test 300 A 127.0.8.{number}\n");
        let issued = authority.issue(certificate, KeyKind::EcdsaP256);
        peers.push(Peer::start(&format!("127.0.8.{number}"), port, Some(&issued), ""));
    }
    let names = NameServer::start(&script);
    let site = Site::new(
        &authority,
        &format!(
            "import_environment = MAILCLAD_RESOLV_CONF=DIR/resolv.conf\n\
             smtp_tcp_port = {port}\n\
             smtp_tls_policy_maps = socketmap:inet:127.0.0.1:{socketmap}:postfix\n\
             smtp_tls_mta_sts = yes\n"
        ),
    );
    site.write("resolv.conf", &names.resolv_conf());
    let site = site.start();
    let mut client = Client::connect(site.port);
    client.must("EHLO client.test", "250");
    for (name, expected) in [
        ("good", "tls=secure, dsn=2.0.0, status=sent"),
        ("wrong", "tls=!secure, dsn=4.7.5, status=deferred (Server certificate not verified)"),
    ] {
        client.send("sender@site.test", &[&format!("u@{name}.test")], "Subject: x\n\nsecret\n");
        let line = site.wait_for_log(&[&format!("to=<u@{name}.test>, relay=")]);
        assert!(line.contains(expected), "{line}");
    }
    assert!(peers.iter().all(|peer| !peer.heard_in_the_clear("secret")));
    // What the plugin has said is not asked for again.
    assert!(!names.asked().iter().any(|question| question.starts_with("_mta-sts.")));
}
