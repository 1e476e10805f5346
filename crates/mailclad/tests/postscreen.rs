//! postscreen(8) in front of smtpd(8), with real processes, sockets, certificates and DNS questions.
#![allow(clippy::unwrap_used)] // a test has no other way out

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;

use support::{Client, PATIENCE, Site};
use testkit::authority::Authority;
use testkit::name_server::NameServer;

/// A site whose first port is postscreen's, with these lines of main.cf. Nobody is let through unseen.
fn site(extra: &str) -> Site {
    let common = "postscreen_access_list =\npostscreen_greet_wait = 1s\n";
    let site = Site::new(&Authority::new("Test CA"), &format!("{common}{extra}"));
    site.write("master.cf", &master_cf(&site));
    site
}

fn master_cf(site: &Site) -> String {
    let port = site.port;
    support::master_cf(port, site.wrapper_port).replace(
        &format!("127.0.0.1:{port} inet n - n - - smtpd\n"),
        &format!(
            "127.0.0.1:{port} inet n - y - 1 postscreen\n\
             smtpd pass - - y - - smtpd\n\
             dnsblog unix - - y - 0 dnsblog\n\
             tlsproxy unix - - y - 0 tlsproxy\n"
        ),
    )
}

/// A connection on which nothing has been said.
fn connect(site: &Site) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", site.port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Says something, and hears the rest of the session.
fn dialogue(site: &Site, said: &str) -> String {
    let mut stream = connect(site);
    stream.write_all(said.as_bytes()).unwrap();
    let mut heard = String::new();
    stream.read_to_string(&mut heard).unwrap();
    heard
}

/// How many log lines have that text.
fn count(site: &Site, part: &str) -> usize {
    site.log().lines().filter(|line| line.contains(part)).count()
}

#[test]
fn who_waits_for_the_greeting_gets_to_smtpd_and_is_known_from_then_on() {
    let mut site = site("").start();
    let mut client = Client::connect(site.port);
    client.must("EHLO client.test", "250");
    let reply = client.send("sender@client.test", &["user@site.test"], "Subject: screened\n\nhello\n");
    assert!(reply.starts_with("250 2.0.0 Ok: queued as "), "{reply}");
    client.must("QUIT", "221");
    site.wait_for_mail("user", "Subject: screened");
    let line = site.wait_for_log(&["postfix/postscreen[", "CONNECT from [127.0.0.1]:", " to [127.0.0.1]:"]);
    assert!(line.ends_with(&format!("to [127.0.0.1]:{}", site.port)), "{line}");
    site.wait_for_log(&["postfix/postscreen[", "]: PASS NEW [127.0.0.1]:"]);
    site.wait_for_log(&["postfix/smtpd[", "connect from localhost[127.0.0.1]"]);
    // The second time, and after the end of all processes.
    for _ in 0..2 {
        let mut stream = connect(&site);
        let mut first = [0; 4];
        stream.read_exact(&mut first).unwrap();
        assert_eq!(&first, b"220 ", "no bait, no wait");
        site.wait_for_log(&["]: PASS OLD [127.0.0.1]:"]);
        site.stop();
        site.restart();
    }
    let journal = std::fs::read_to_string(site.dir.path().join("data/postscreen_cache.journal")).unwrap();
    assert!(journal.starts_with("127.0.0.1 1"), "{journal}");
}

#[test]
fn who_talks_too_early_is_refused() {
    let site =
        site("postscreen_greet_action = enforce\npostscreen_reject_footer = \\c. See $server_name").start();
    let heard = dialogue(
        &site,
        "EHLO client.test\r\nMAIL FROM:<a@client.test>\r\nRCPT TO:<user@site.test>\r\nQUIT\r\n",
    );
    let lines: Vec<&str> = heard.lines().collect();
    assert_eq!(lines[0], "220-mx.site.test ESMTP Postfix", "and no greeting behind it");
    assert_eq!(lines[1], "250-mx.site.test");
    assert!(heard.contains("\r\n250-STARTTLS\r\n"), "{heard}");
    assert!(
        heard.ends_with("250 2.1.0 Ok\r\n550 5.5.1 Protocol error. See mx.site.test\r\n221 2.0.0 Bye\r\n"),
        "{heard}"
    );
    site.wait_for_log(&["]: PREGREET 77 after 0", " from [127.0.0.1]:", ": EHLO client.test\\r\\n"]);
    site.wait_for_log(&[
        "NOQUEUE: reject: RCPT from [127.0.0.1]:",
        ": 550 5.5.1 Protocol error; from=<a@client.test>, to=<user@site.test>, proto=ESMTP, helo=<client.test>",
    ]);
    // Tests that are off are on for those who failed.
    site.wait_for_log(&["COMMAND PIPELINING from [127.0.0.1]:", " after EHLO: MAIL FROM:"]);
    site.wait_for_log(&["]: DISCONNECT [127.0.0.1]:"]);
    assert_eq!(count(&site, "PASS NEW"), 0);
}

#[test]
fn drop_hangs_up_and_hangups_are_noted() {
    let site = site("postscreen_greet_action = drop").start();
    let heard = dialogue(&site, "QUIT\r\n");
    assert_eq!(heard, "220-mx.site.test ESMTP Postfix\r\n521 5.5.1 Protocol error\r\n");
    drop(connect(&site));
    site.wait_for_log(&["]: HANGUP after 0", " from [127.0.0.1]:", " in tests before SMTP handshake"]);
}

#[test]
fn lists_in_the_dns_count() {
    let names = NameServer::start(
        "1.0.0.127.key.bad.test 300 A 127.0.0.4\n\
         1.0.0.127.good.test 300 A 127.0.0.1\n\
         bad.test 60 SOA\n",
    );
    let site = site(
        "import_environment = MAILCLAD_RESOLV_CONF=DIR/resolv.conf\n\
         postscreen_dnsbl_sites = key.bad.test=127.0.0.[2..11]*3, other.bad.test, good.test*-1\n\
         postscreen_dnsbl_threshold = 2\n\
         postscreen_dnsbl_action = enforce\n\
         postscreen_dnsbl_reply_map = inline:{ key.bad.test=bad.test }\n\
         postscreen_greet_banner =\n",
    );
    site.write("resolv.conf", &names.resolv_conf());
    let site = site.start();
    let mut client = Client::connect(site.port);
    client.must("HELO client.test", "250 mx.site.test");
    client.must("MAIL FROM:<a@client.test>", "250");
    client.must(
        "RCPT TO:<user@site.test>",
        "550 5.7.1 Service unavailable; client [127.0.0.1] blocked using bad.test\r\n",
    );
    client.must("QUIT", "221");
    site.wait_for_log(&["postfix/dnsblog[", "]: addr 127.0.0.1 listed by domain key.bad.test as 127.0.0.4"]);
    site.wait_for_log(&["postfix/postscreen[", "]: DNSBL rank 2 for [127.0.0.1]:"]);
    let questions = names.asked().iter().filter(|question| question.contains("key.bad.test")).count();
    assert_eq!(questions, 1, "connections share the answers while these are good");
}

#[test]
fn a_good_name_in_the_dns_saves_all_other_tests() {
    let names = NameServer::start("1.0.0.127.good.test 300 A 127.0.0.1\n");
    let site = site(
        "import_environment = MAILCLAD_RESOLV_CONF=DIR/resolv.conf\n\
         postscreen_dnsbl_sites = good.test*-2\n\
         postscreen_dnsbl_allowlist_threshold = -2\n\
         postscreen_greet_wait = 1h\n\
         postscreen_pipelining_enable = yes\n\
         postscreen_bare_newline_enable = yes\n",
    );
    site.write("resolv.conf", &names.resolv_conf());
    let site = site.start();
    let mut client = Client::connect(site.port);
    client.must("EHLO client.test", "250");
    let reply = client.send("sender@client.test", &["user@site.test"], "Subject: trusted\n\nhello\n");
    assert!(reply.starts_with("250 2.0.0 Ok: queued as "), "{reply}");
    site.wait_for_log(&["PASS NEW [127.0.0.1]:"]);
}

#[test]
fn deep_tests_inside_tls_are_passed_by_coming_again() {
    let site = site(
        "postscreen_tls_security_level = encrypt\n\
         postscreen_pipelining_enable = yes\n\
         postscreen_non_smtp_command_enable = yes\n\
         postscreen_bare_newline_enable = yes\n\
         smtpd_tls_security_level = may\n",
    )
    .start();
    let mut client = Client::connect(site.port);
    let offer = client.must("EHLO client.test", "250");
    assert!(offer.contains("250-STARTTLS\r\n") && !offer.contains("PIPELINING"), "{offer}");
    client.must("MAIL FROM:<a@client.test>", "530 5.7.0 Must issue a STARTTLS command first");
    let mut client = client.starttls(&site.ca());
    let offer = client.must("EHLO client.test", "250");
    assert!(!offer.contains("STARTTLS"), "{offer}");
    client.must("MAIL FROM:<a@client.test>", "250 2.1.0 Ok");
    client.must("RCPT TO:<user@site.test>", "450 4.3.2 Service currently unavailable");
    client.must("QUIT", "221 2.0.0 Bye");
    site.wait_for_log(&["postfix/tlsproxy[", "CONNECT from [127.0.0.1]:"]);
    site.wait_for_log(&["postfix/tlsproxy[", "TLS connection established from [127.0.0.1]:", "TLSv1.3"]);
    site.wait_for_log(&["PASS NEW [127.0.0.1]:"]);
    site.wait_for_log(&["]: DISCONNECT [127.0.0.1]:"]);
    let mut client = Client::connect(site.port);
    client.must("EHLO client.test", "250");
    client.send("sender@client.test", &["user@site.test"], "Subject: came again\n\nhello\n");
    site.wait_for_mail("user", "Subject: came again");
    site.wait_for_log(&["PASS OLD [127.0.0.1]:"]);
}

#[test]
fn lists_of_the_configuration_come_first() {
    let list = "postscreen_access_list = cidr:DIR/access\npostscreen_greet_wait = 1h\n";
    for (action, rule, expected) in [
        ("drop", "reject", "521 5.3.2 Service currently unavailable\r\n"),
        ("drop", "permit", "220 mx.site.test ESMTP Postfix\r\n"),
        ("ignore", "reject", "220-mx.site.test ESMTP Postfix\r\n"),
    ] {
        let site = site(&format!("{list}postscreen_denylist_action = {action}"));
        site.write("access", &format!("192.0.2.0/24 permit\n127.0.0.0/8 {rule}\n"));
        // Not started through `start`, which expects a greeting.
        let site = site.start_unheard();
        let mut stream = connect(&site);
        let mut heard = vec![0; expected.len()];
        stream.read_exact(&mut heard).unwrap();
        assert_eq!(String::from_utf8_lossy(&heard), expected, "{action} {rule}");
        let word =
            if rule == "permit" { "]: ALLOWLISTED [127.0.0.1]:" } else { "]: DENYLISTED [127.0.0.1]:" };
        site.wait_for_log(&["postfix/postscreen[", word]);
    }
}

#[test]
fn a_proxy_says_who_the_client_is() {
    let site = site(
        "postscreen_upstream_proxy_protocol = haproxy\npostscreen_access_list = permit_mynetworks\n\
         mynetworks = 192.0.2.0/24\nsmtpd_peername_lookup = no\n",
    )
    .start_unheard();
    let mut stream = connect(&site);
    stream.write_all(b"PROXY TCP4 192.0.2.7 198.51.100.25 4711 25\r\n").unwrap();
    let mut greeting = [0; 4];
    stream.read_exact(&mut greeting).unwrap();
    assert_eq!(&greeting, b"220 ");
    site.wait_for_log(&["]: CONNECT from [192.0.2.7]:4711 to [198.51.100.25]:25"]);
    site.wait_for_log(&["postfix/smtpd[", "]: connect from unknown[192.0.2.7]"]);
    assert_eq!(dialogue(&site, "EHLO client.test\r\n"), "421 4.3.2 No system resources\r\n");
    site.wait_for_log(&["warning: haproxy read: unrecognized protocol header: EHLO client.test\\r\\n"]);
}

#[test]
fn a_client_has_a_limit_of_connections() {
    let site =
        site("postscreen_client_connection_count_limit = 1\npostscreen_greet_wait = 1h").start_unheard();
    // The connection that looked whether we are there.
    site.wait_for_log(&["]: DISCONNECT [127.0.0.1]:"]);
    let mut first = connect(&site);
    let mut bait = [0; 4];
    first.read_exact(&mut bait).unwrap();
    assert_eq!(&bait, b"220-");
    assert_eq!(dialogue(&site, ""), "421 4.7.0 Error: too many connections\r\n");
    site.wait_for_log(&["NOQUEUE: reject: CONNECT from [127.0.0.1]:", ": too many connections"]);
}

#[test]
fn tables_change_what_is_said_and_heard() {
    let site = site(
        "postscreen_pipelining_enable = yes\n\
         postscreen_command_filter = inline:{ {FOO bar = NOOP} }\n\
         postscreen_discard_ehlo_keyword_address_maps = cidr:{{127.0.0.0/8 vrfy, chunking}}\n\
         postscreen_reject_footer_maps = regexp:{{/^450 / Come again}}\n",
    )
    .start();
    let mut client = Client::connect(site.port);
    let offer = client.must("EHLO client.test", "250");
    assert!(
        offer.contains("250-ETRN") && !offer.contains("VRFY") && offer.ends_with("250 SMTPUTF8\r\n"),
        "{offer}"
    );
    client.must("FOO bar", "250 2.0.0 Ok");
    client.must("MAIL FROM:<a@client.test>", "250");
    let refusal = client.must("RCPT TO:<user@site.test>", "450");
    assert_eq!(refusal, "450-4.3.2 Service currently unavailable\r\n450 4.3.2 Come again\r\n");
    site.wait_for_log(&["[127.0.0.1]:", ": discarding EHLO keywords: VRFY CHUNKING"]);
    site.wait_for_log(&["[127.0.0.1]:", ": replacing command \"FOO bar\" with \"NOOP\""]);
}

#[test]
fn without_an_smtpd_to_hand_clients_to_there_is_no_start() {
    let site = site("");
    site.write("master.cf", &master_cf(&site).replace("smtpd pass - - y - - smtpd\n", ""));
    let started = site.run(&["postfix", "start-fg"], "");
    assert!(!started.status.success());
    site.wait_for_log(&["postfix/postscreen[", "fatal: ", "add \"smtpd pass - - y - - smtpd\" to master.cf"]);
}
