//! Connections that serve more than one delivery: how many there are, what they are shared for, and what becomes of one that died.
#![allow(clippy::unwrap_used)] // a test has no other way out

mod support;

use support::peer::{Script, ScriptedPeer};
use support::{Client, Site, free_port, wait_for};
use testkit::authority::{Authority, KeyKind};

/// A site that sends to a server on an address of this test's own.
struct World {
    site: Site,
    peer: ScriptedPeer,
    port: u16,
}

const ADDRESS: &str = "127.0.3.1";

impl World {
    /// `script` of the server, `extra` of main.cf.
    fn new(script: &str, extra: &str) -> World {
        let authority = Authority::new("Test CA");
        let port = free_port();
        let issued = authority.issue("mx.peer.test", KeyKind::EcdsaP256);
        let folder = tempfile::tempdir().unwrap();
        let pem = folder.path().join("peer.pem");
        std::fs::write(&pem, issued.key_pem + &issued.certificate_pem).unwrap();
        let script = Script::parse(&script.replace("PEM", pem.to_str().unwrap())).unwrap();
        let peer = ScriptedPeer::start(ADDRESS, port, script);
        let extra = extra.replace("PORT", &port.to_string());
        let site = Site::new(
            &authority,
            &format!("relayhost = [{ADDRESS}]:{port}\nsmtp_tls_security_level = may\n{extra}"),
        );
        World { site: site.start(), peer, port }
    }

    fn send(&self, recipient: &str) {
        let mut client = Client::connect(self.site.port);
        client.must("EHLO client.test", "250");
        let reply = client.send("sender@site.test", &[recipient], "Subject: x\n\ntext\n");
        assert!(reply.starts_with("250"), "{reply}");
    }

    /// Sends so many messages, each once the one before has arrived.
    fn send_one_by_one(&self, count: usize) {
        for number in 0..count {
            let recipient = format!("u{number}@far.test");
            self.send(&recipient);
            self.site.wait_for_log(&[&format!("to=<{recipient}>, "), "status="]);
        }
    }

    /// The handshakes that the server saw.
    fn handshakes(&self) -> Vec<String> {
        self.peer.heard().into_iter().filter(|line| line.starts_with("-- TLS")).collect()
    }

    fn count(&self, part: &str) -> usize {
        self.site.log().lines().filter(|line| line.contains(part)).count()
    }
}

/// The file is in data_directory, whatever is named here.
const CACHE: &str = "smtp_tls_session_cache_database = btree:DIR/scache\n";

const ALWAYS: &str = "smtp_connection_cache_destinations = 127.0.3.1\n";

#[test]
fn one_connection_in_tls_serves_many_deliveries() {
    let world = World::new("tls PEM", &format!("{ALWAYS}smtp_tls_connection_reuse = yes\n"));
    world.send_one_by_one(5);
    assert_eq!((world.peer.sessions(), world.count("status=sent")), (1, 5));
    let peer = format!("127.0.3.1[127.0.3.1]:{}", world.port);
    assert_eq!(world.count(&format!("TLS connection established to {peer}: TLSv1.3")), 1);
    assert_eq!(world.count(&format!("TLS connection reused to {peer}: TLSv1.3 with cipher ")), 4);
    assert_eq!(world.count("conn_use=2, "), 1);
    assert_eq!(world.count("conn_use=5, "), 1);
    // Two seconds without mail end it, with a farewell.
    let left = wait_for(|| world.peer.heard().iter().any(|line| line == "QUIT").then_some(()));
    assert!(left.is_some(), "{:?}", world.peer.heard());
    let heard = world.peer.heard();
    assert_eq!(heard.iter().filter(|line| *line == "RSET").count(), 4, "{heard:?}");
}

#[test]
fn without_the_setting_a_connection_in_tls_serves_one_delivery() {
    let world = World::new("tls PEM", ALWAYS);
    world.send_one_by_one(3);
    assert_eq!((world.peer.sessions(), world.count("conn_use=")), (3, 0));
}

#[test]
fn in_the_clear_connections_are_kept_on_demand() {
    let world = World::new("", "");
    world.send_one_by_one(2);
    assert_eq!(world.peer.sessions(), 2, "nothing follows closely enough to be worth it");
    let mut client = Client::connect(world.site.port);
    client.must("EHLO client.test", "250");
    for number in 0..60 {
        client.send("sender@site.test", &[&format!("burst{number}@far.test")], "Subject: x\n\ntext\n");
    }
    let all = wait_for(|| (world.count("to=<burst") == 60).then_some(()));
    assert!(all.is_some(), "{}", world.site.log());
    assert_eq!(world.count("status=sent"), 62);
    assert!(world.count("conn_use=") > 0, "{}", world.site.log());
    assert!(world.peer.sessions() < 62);
}

#[test]
fn a_kept_connection_that_died_costs_nothing() {
    // The server leaves behind each message: idle servers do, and some have a limit.
    for (what, script) in [
        ("hangs up", "on . hangup 250 2.0.0 Ok: queued as PEER"),
        ("refuses", "on RSET 421 4.4.2 idle for too long"),
        ("refuses later", "on MAIL#2 421 4.7.0 too many messages"),
        ("refuses the first of a session", "on s1:MAIL#2 close"),
        ("says too much", "on . raw 250 2.0.0 Ok\\r\\n250 2.0.0 and again\\r\\n"),
    ] {
        let world = World::new(script, ALWAYS);
        world.send_one_by_one(3);
        assert_eq!(world.count("status=sent"), 3, "{what}: {}", world.site.log());
        assert_eq!(world.count("status=deferred"), 0, "{what}");
        assert!(world.peer.sessions() > 1, "{what}");
    }
}

#[test]
fn limits_of_use() {
    let limits = "smtp_connection_reuse_count_limit = 1\n";
    let world = World::new("", &format!("{ALWAYS}{limits}"));
    world.send_one_by_one(4);
    assert_eq!((world.peer.sessions(), world.count("conn_use=2, ")), (2, 2));
    let world = World::new("", "smtp_connection_cache_on_demand = no\n");
    world.send_one_by_one(3);
    assert_eq!(world.peer.sessions(), 3);
}

#[test]
fn a_refused_recipient_leaves_the_connection_usable() {
    let world = World::new("on RCPT#1 550 5.1.1 nobody", ALWAYS);
    world.send_one_by_one(2);
    assert_eq!(world.peer.sessions(), 1, "{:?}", world.peer.heard());
    world.site.wait_for_log(&["to=<u0@far.test>", "status=bounced"]);
    world.site.wait_for_log(&["to=<u1@far.test>", "conn_use=2", "status=sent"]);
}

#[test]
fn a_stop_and_a_reload_say_farewell() {
    let world = World::new(
        "",
        &format!("{ALWAYS}smtp_connection_cache_time_limit = 100s\nconnection_cache_ttl_limit = 100s\n"),
    );
    let farewells = || world.peer.heard().iter().filter(|line| *line == "QUIT").count();
    world.send_one_by_one(1);
    assert_eq!(farewells(), 0);
    world.site.run(&["postfix", "reload"], "");
    assert!(wait_for(|| (farewells() == 1).then_some(())).is_some(), "{}", world.site.log());
    world.send("again@far.test");
    world.site.wait_for_log(&["to=<again@far.test>, ", "status=sent"]);
    let World { mut site, peer, .. } = world;
    site.stop();
    let farewells = || peer.heard().iter().filter(|line| *line == "QUIT").count();
    assert!(wait_for(|| (farewells() == 2).then_some(())).is_some(), "{}", site.log());
}

#[test]
fn the_second_connection_resumes() {
    let world = World::new("tls PEM", CACHE);
    world.send_one_by_one(2);
    assert_eq!(world.handshakes(), ["-- TLSv1.3 --", "-- TLSv1.3, resumed --"]);
}

#[test]
fn sessions_survive_a_restart_where_the_settings_keep_them() {
    for (settings, second) in [(CACHE, "-- TLSv1.3, resumed --"), ("", "-- TLSv1.3 --")] {
        let mut world = World::new("tls PEM", settings);
        world.send_one_by_one(1);
        world.site.stop();
        world.site.restart();
        world.send("again@far.test");
        world.site.wait_for_log(&["to=<again@far.test>, ", "status=sent"]);
        assert_eq!(world.handshakes(), ["-- TLSv1.3 --", second], "{settings}");
    }
}

#[test]
fn a_session_ends_with_the_authorities_that_it_was_judged_by() {
    let mut world = World::new("tls PEM", CACHE);
    world.send_one_by_one(1);
    world.site.stop();
    world.site.write("other.pem", &Authority::new("Other CA").certificate_pem);
    let main_cf = std::fs::read_to_string(world.site.dir.path().join("main.cf")).unwrap();
    let other = world.site.dir.path().join("other.pem");
    world.site.write("main.cf", &format!("{main_cf}smtp_tls_CAfile = {}\n", other.display()));
    world.site.restart();
    world.send("again@far.test");
    world.site.wait_for_log(&["to=<again@far.test>, ", "status=sent"]);
    assert_eq!(world.handshakes(), ["-- TLSv1.3 --", "-- TLSv1.3 --"]);
}

#[test]
fn a_message_from_the_shell_goes_over_tls() {
    let world = World::new("tls PEM", "");
    // What mail(1) does: the recipient as an argument, the header on standard input.
    let output = world.site.run(&["sendmail", "-oi", "far@far.test"], "Subject: shell\n\ntext\n");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    world.site.wait_for_log(&["to=<far@far.test>, ", "tls=may, ", "status=sent"]);
    let heard = world.peer.heard();
    let at = |text: &str| heard.iter().position(|line| line.starts_with(text));
    assert!(at("-- TLSv1.3").is_some() && at("-- TLSv1.3") < at("MAIL FROM"), "{heard:?}");
    assert!(heard.iter().any(|line| line == "Subject: shell"), "{heard:?}");
}
