//! Clients that log in: SASL through a scripted Dovecot authentication server, what it opens, and what the log says. A policy service and
//! a proxy in front of a service, too.
#![allow(clippy::unwrap_used)] // a test has no other way out

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use support::{Client, PATIENCE, Site, wait_for};
use testkit::authority::Authority;

/// An authentication server that knows `me` with the password `secret` by PLAIN and LOGIN. It ends after `connections` connections with
/// one exchange each when that is given, as if it had been restarted after each.
struct Dovecot {
    port: u16,
    requests: Arc<Mutex<Vec<String>>>,
    connections: Arc<AtomicUsize>,
}

impl Dovecot {
    fn start(exchanges_per_connection: usize) -> Dovecot {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::new(AtomicUsize::new(0));
        let (seen, count) = (Arc::clone(&requests), Arc::clone(&connections));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                count.fetch_add(1, Ordering::SeqCst);
                let seen = Arc::clone(&seen);
                std::thread::spawn(move || serve(stream, &seen, exchanges_per_connection));
            }
        });
        Dovecot { port, requests, connections }
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

fn serve(stream: TcpStream, seen: &Mutex<Vec<String>>, exchanges: usize) {
    let mut answers = stream.try_clone().unwrap();
    let hello = "VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nMECH\tLOGIN\tplaintext\nMECH\tANONYMOUS\tanonymous\n\
                 SPID\t1\nCUID\t1\nCOOKIE\t00\nDONE\n";
    answers.write_all(hello.as_bytes()).unwrap();
    let mut done = 0;
    for line in BufReader::new(stream).lines() {
        let Ok(line) = line else { return };
        let words: Vec<&str> = line.split('\t').collect();
        let answer = match words.as_slice() {
            ["AUTH", id, "LOGIN", ..] => format!("CONT\t{id}\tVXNlcm5hbWU6\n"),
            ["AUTH", id, "PLAIN", .., "resp=AG1lAHNlY3JldA=="] => format!("OK\t{id}\tuser=me\n"),
            ["AUTH", id, "PLAIN", .., "resp=dGVtcA=="] => {
                format!("FAIL\t{id}\tuser=me\ttemp\treason=later\n")
            }
            ["AUTH", id, ..] => format!("FAIL\t{id}\tuser=me\n"),
            ["CONT", id, "bWU="] => format!("CONT\t{id}\tUGFzc3dvcmQ6\n"),
            ["CONT", id, "c2VjcmV0"] => format!("OK\t{id}\tuser=me\n"),
            ["CONT", id, ..] => format!("FAIL\t{id}\tuser=me\treason=no\n"),
            _ => continue,
        };
        seen.lock().unwrap().push(line.clone());
        answers.write_all(answer.as_bytes()).unwrap();
        done += usize::from(!answer.starts_with("CONT"));
        if done == exchanges {
            // As after a restart of the server.
            let _ = answers.shutdown(std::net::Shutdown::Both);
            return;
        }
    }
}

fn settings(dovecot: &Dovecot, extra: &str) -> String {
    format!(
        "mynetworks = 192.0.2.0/24\nsmtpd_peername_lookup = no\nsmtpd_sasl_auth_enable = yes\nsmtpd_sasl_type = dovecot\n\
         smtpd_sasl_path = inet:127.0.0.1:{}\nsmtpd_sasl_authenticated_header = yes\nsmtpd_error_sleep_time = 0\n{extra}",
        dovecot.port
    )
}

#[test]
fn a_client_logs_in() {
    let dovecot = Dovecot::start(2);
    let extra = "broken_sasl_auth_clients = yes\nsmtpd_sender_login_maps = inline:{{boss@site.test = boss}}\n\
                 smtpd_sender_restrictions = reject_known_sender_login_mismatch";
    let site = Site::new(&Authority::new("Logins"), &settings(&dovecot, extra)).start();
    let mut client = Client::connect(site.port);
    let offers = client.say("EHLO client.test");
    assert!(offers.contains("250-AUTH PLAIN LOGIN\r\n250-AUTH=PLAIN LOGIN\r\n"), "{offers}");
    for (command, expected) in [
        ("AUTH ANONYMOUS", "535 5.7.8 Error: authentication failed: Invalid authentication mechanism"),
        ("AUTH PLAIN AAAA", "535 5.7.8 Error: authentication failed: (reason unavailable)"),
        ("AUTH PLAIN dGVtcA==", "454 4.7.0 Temporary authentication failure: later"),
        // A tab in quotes is part of a word, and would be another parameter for the server.
        ("AUTH PLAIN \"x\tnologin\"", "535 5.7.8 Error: authentication failed: (reason unavailable)"),
        ("AUTH LOGIN", "334 VXNlcm5hbWU6"),
        ("*", "501 5.7.0 Authentication aborted"),
        ("AUTH LOGIN", "334 VXNlcm5hbWU6"),
        ("bWU=", "334 UGFzc3dvcmQ6"),
        ("d3Jvbmc=", "535 5.7.8 Error: authentication failed: no"),
        ("AUTH LOGIN", "334 VXNlcm5hbWU6"),
        ("bWU=", "334 UGFzc3dvcmQ6"),
        ("c2VjcmV0", "235 2.7.0 Authentication successful"),
        ("AUTH PLAIN AG1lAHNlY3JldA==", "503 5.5.1 Error: already authenticated"),
        ("MAIL FROM:<boss@site.test>", "250 2.1.0 Ok"),
        (
            "RCPT TO:<user@site.test>",
            "553 5.7.1 <boss@site.test>: Sender address rejected: not owned by user me",
        ),
        ("RSET", "250 2.0.0 Ok"),
        ("MAIL FROM:<me@client.test> AUTH=me", "250 2.1.0 Ok"),
        ("RCPT TO:<user@site.test>", "250 2.1.5 Ok"),
        ("DATA", "354 End data with <CR><LF>.<CR><LF>"),
    ] {
        assert_eq!(client.say(command).trim_end(), expected, "{command}");
    }
    assert!(client.say("Subject: logged in\r\n\r\n.").starts_with("250 2.0.0 Ok: queued as"));
    let mail = site.wait_for_mail("user", "Subject: logged in");
    assert!(
        mail.contains("\t(Authenticated sender: me)\n\tby mx.site.test (Postfix) with ESMTPA id"),
        "{mail}"
    );
    site.wait_for_log(&["client=unknown[127.0.0.1], sasl_method=LOGIN, sasl_username=me, sasl_sender=me"]);
    site.wait_for_log(&[
        "warning: unknown[127.0.0.1]: SASL LOGIN authentication failed: no, sasl_username=me",
    ]);
    site.wait_for_log(&["warning: unknown[127.0.0.1]: SASL LOGIN authentication aborted"]);
    let log = site.log();
    for secret in ["c2VjcmV0", "AG1lAHNlY3JldA", "d3Jvbmc"] {
        assert!(!log.contains(secret), "{secret} in\n{log}");
    }
    let requests = dovecot.requests();
    let first = &requests[0];
    assert!(first.starts_with("AUTH\t1\tPLAIN\tservice=smtp\tnologin\tlip=127.0.0.1\tlport="), "{first}");
    assert!(first.ends_with("\tresp=AAAA") && !first.contains("secured"), "{first}");
    assert!(requests.iter().all(|request| !request.contains("\tnologin\"")), "{requests:?}");
    assert!(dovecot.connections.load(Ordering::SeqCst) > 1, "made again after the server closed it");
}

#[test]
fn plaintext_sessions_do_not_hear_of_logins_where_they_may_not() {
    let dovecot = Dovecot::start(100);
    let site = Site::new(&Authority::new("Logins"), &settings(&dovecot, "smtpd_tls_auth_only = yes")).start();
    let mut client = Client::connect(site.port);
    assert!(!client.say("EHLO client.test").contains("AUTH"));
    client.must("AUTH PLAIN AG1lAHNlY3JldA==", "503 5.5.1 Error: authentication not enabled\r\n");
    // Inside TLS they do.
    let mut client = client.starttls(&site.ca());
    assert!(client.say("EHLO client.test").contains("250-AUTH PLAIN LOGIN\r\n"));
    client.must("AUTH PLAIN AG1lAHNlY3JldA==", "235");
    assert!(dovecot.requests()[0].contains("\tsecured\t"));
    drop(site);
    // Where TLS is demanded AUTH waits for it in any case; in wrapper mode it is there at once.
    let demanding = "smtpd_tls_security_level = encrypt\nsmtpd_sasl_mechanism_filter = login";
    let site = Site::new(&Authority::new("Logins"), &settings(&dovecot, demanding)).start();
    let mut client = Client::connect(site.port);
    assert!(!client.say("EHLO client.test").contains("AUTH"));
    client.must("AUTH LOGIN", "530 5.7.0 Must issue a STARTTLS command first");
    for mut client in [client.starttls(&site.ca()), Client::connect_tls(site.wrapper_port, &site.ca())] {
        assert!(client.say("EHLO client.test").contains("250-AUTH LOGIN\r\n"));
    }
    drop(site);
    let extra =
        "smtpd_sasl_security_options = noanonymous, noplaintext\nsmtpd_sasl_exceptions_networks = 127.0.0.1";
    let site = Site::new(&Authority::new("Logins"), &settings(&dovecot, extra)).start();
    let mut client = Client::connect(site.port);
    assert!(!client.say("EHLO client.test").contains("AUTH"));
    client.must("AUTH PLAIN AG1lAHNlY3JldA==", "503 5.5.1 Error: authentication not enabled\r\n");
    assert_eq!(dovecot.requests().len(), 1, "only the one inside TLS");
}

#[test]
fn without_the_authentication_server_clients_are_asked_to_come_again() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let nobody = Dovecot { port, requests: Arc::default(), connections: Arc::default() };
    let site = Site::new(&Authority::new("Logins"), &settings(&nobody, "")).start_unheard();
    let mut stream = TcpStream::connect(("127.0.0.1", site.port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut all = String::new();
    stream.read_to_string(&mut all).unwrap();
    assert_eq!(all, "421 4.3.0 mx.site.test Server local data error\r\n");
    site.wait_for_log(&[
        "warning: SASL: Connect to Dovecot auth socket 'inet:127.0.0.1:",
        "Connection refused",
    ]);
}

#[test]
fn a_proxy_says_who_the_client_is_and_a_policy_service_hears_it() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let policy = listener.local_addr().unwrap().port();
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        for action in ["451 4.7.1 Greylisted", "DUNNO"] {
            let mut request = String::new();
            let mut lines = BufReader::new(stream.try_clone().unwrap());
            while !request.ends_with("\n\n") && lines.read_line(&mut request).unwrap() > 0 {}
            tell.send(request).unwrap();
            stream.write_all(format!("action={action}\n\n").as_bytes()).unwrap();
        }
    });
    let extra = format!(
        "smtpd_peername_lookup = no\nsmtpd_upstream_proxy_protocol = haproxy\n\
         smtpd_discard_ehlo_keyword_address_maps = inline:{{ {{198.51.100.10 = 8bitmime, silent-discard}} }}\n\
         smtpd_recipient_restrictions = check_policy_service inet:127.0.0.1:{policy}"
    );
    let site = Site::new(&Authority::new("Logins"), &extra).start_unheard();
    let mut client = Client::through(site.port, "PROXY TCP4 198.51.100.10 203.0.113.1 4711 25\r\n");
    assert!(!client.must("EHLO client.test", "250").contains("8BITMIME"), "a client of its own");
    let mut client = Client::through(site.port, "PROXY TCP4 198.51.100.9 203.0.113.1 4711 25\r\n");
    client.must("EHLO client.test", "250");
    client.must("MAIL FROM:<s@client.test> SIZE=77", "250");
    client.must(
        "RCPT TO:<user@site.test>",
        "451 4.7.1 <user@site.test>: Recipient address rejected: Greylisted",
    );
    client.must("RCPT TO:<user@site.test>", "250 2.1.5 Ok");
    let first = told.recv_timeout(Duration::from_secs(30)).unwrap();
    let second = told.recv_timeout(Duration::from_secs(30)).unwrap();
    for line in [
        "client_address=198.51.100.9",
        "client_port=4711",
        "server_address=203.0.113.1",
        "server_port=25",
        "size=77",
        "helo_name=client.test",
        "protocol_state=RCPT",
    ] {
        assert!(first.lines().any(|one| one == line), "{line}: {first}");
    }
    let instance =
        |request: &str| request.lines().find(|line| line.starts_with("instance=")).unwrap().to_owned();
    assert_eq!(instance(&first), instance(&second), "one message");
    site.wait_for_log(&["NOQUEUE: reject: RCPT from unknown[198.51.100.9]: 451 4.7.1", "Greylisted"]);
}

#[test]
fn logins_without_another_server() {
    let site = Site::new(
        &Authority::new("Test CA"),
        "smtpd_sasl_auth_enable = yes\nsmtpd_sasl_type = mailclad\nsmtpd_sasl_path = texthash:DIR/users\n\
         smtpd_sasl_security_options = noanonymous, noplaintext\nsmtpd_sasl_tls_security_options = noanonymous\n\
         mynetworks =\nsmtpd_relay_restrictions = permit_sasl_authenticated, reject_unauth_destination\n\
         default_transport = discard:",
    );
    let made = site.run(&["passwd", "me"], "secret\n");
    site.write("users", &String::from_utf8(made.stdout).unwrap());
    let site = site.start();
    let mut client = Client::connect(site.port);
    let offer = client.say("EHLO client.test");
    assert!(offer.contains("AUTH SCRAM-SHA-256\r\n"), "no plaintext in the clear: {offer}");
    assert!(client.say("AUTH PLAIN AG1lAHNlY3JldA==").starts_with("535 "));
    let mut client = client.starttls(&site.ca());
    let offer = client.say("EHLO client.test");
    assert!(offer.contains("AUTH SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN\r\n"), "{offer}");
    assert!(client.say("MAIL FROM:<me@site.test>").starts_with("250"));
    assert!(client.say("RCPT TO:<a@elsewhere.test>").starts_with("554 5.7.1 "));
    client.must("RSET", "250");
    let began = std::time::Instant::now();
    assert_eq!(
        client.say("AUTH PLAIN AG1lAHdyb25n").trim_end(),
        "535 5.7.8 Error: authentication failed: authentication failure"
    );
    assert!(began.elapsed() >= Duration::from_secs(2), "who guesses waits");
    client.must("AUTH PLAIN AG1lAHNlY3JldA==", "235 2.7.0 Authentication successful");
    client.must("MAIL FROM:<me@site.test>", "250");
    client.must("RCPT TO:<a@elsewhere.test>", "250");
    site.wait_for_log(&["SASL PLAIN authentication failed: authentication failure, sasl_username=me"]);
    site.wait_for_log(&["client=", "sasl_method=PLAIN, sasl_username=me"]);
    let log = site.log();
    assert!(!log.contains("secret") && !log.contains("AG1lA"), "{log}");
}

/// Started by root, the process that hears clients can not open such a table again: master does.
#[test]
fn a_table_that_only_root_may_read_is_followed() {
    for kind in ["texthash", "hash", "cdb"] {
        let site = Site::new(
            &Authority::new("Test CA"),
            &format!(
                "smtpd_sasl_auth_enable = yes\nsmtpd_sasl_type = mailclad\nsmtpd_sasl_path = {kind}:DIR/users\n\
                 smtpd_tls_auth_only = no\nsmtpd_sasl_security_options = noanonymous"
            ),
        );
        let folder = site.dir.path().to_owned();
        let close = |name: &str| {
            std::fs::set_permissions(folder.join(name), std::os::unix::fs::PermissionsExt::from_mode(0o600))
                .unwrap();
        };
        let write = |site: &Site, password: &str| {
            let entry = site.run(&["passwd", "me"], &format!("{password}\n"));
            site.write("new", &String::from_utf8(entry.stdout).unwrap());
            close("new");
            std::fs::rename(folder.join("new"), folder.join("users")).unwrap();
            if kind != "texthash" {
                let table = format!("{kind}:{}/users", folder.display());
                let built = site.run(&["postmap", &table], "");
                assert!(built.status.success(), "{built:?}");
            }
        };
        write(&site, "first");
        let site = site.start();
        let login = |password: &str| {
            let mut client = Client::connect(site.port);
            client.must("EHLO client.test", "250");
            let word = openssl::base64::encode_block(format!("\0me\0{password}").as_bytes());
            client.say(&format!("AUTH PLAIN {word}"))
        };
        assert!(login("first").starts_with("235"), "{kind}: {}", site.log());
        write(&site, "second");
        let followed = wait_for(|| {
            let reply = login("second");
            // Until then the old entry holds: nobody is told of a trouble.
            assert!(!reply.starts_with('4'), "{kind}: {reply}\n{}", site.log());
            reply.starts_with("235").then_some(())
        });
        assert!(followed.is_some(), "{kind}: {}", site.log());
        assert!(login("first").starts_with("535"), "{kind}");
        std::fs::remove_file(folder.join("users")).unwrap();
        if kind == "texthash" {
            assert!(login("second").starts_with("454"), "a table that is gone is a trouble");
        }
    }
}
