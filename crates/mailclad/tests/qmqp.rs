//! The QMQP server in a whole system. The answers are those that Postfix's qmqpd was seen to give to the same packets.
#![allow(clippy::unwrap_used)] // a test has no other way out

mod support;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use support::{PATIENCE, Site, free_port};
use testkit::authority::Authority;

fn netstring(content: &[u8]) -> Vec<u8> {
    [format!("{}:", content.len()).as_bytes(), content, b","].concat()
}

fn packet(parts: &[&str]) -> Vec<u8> {
    let parts: Vec<Vec<u8>> = parts.iter().map(|part| netstring(part.as_bytes())).collect();
    netstring(&parts.concat())
}

fn site(extra: &str) -> (Site, u16) {
    let site = Site::new(&Authority::new("Test CA"), &format!("smtpd_peername_lookup = no\n{extra}"));
    let port = free_port();
    let master = std::fs::read_to_string(site.dir.path().join("master.cf")).unwrap();
    site.write("master.cf", &format!("{master}127.0.0.1:{port} inet n - n - - qmqpd\n"));
    (site.start(), port)
}

fn talk(port: u16, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(bytes).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    // A server that hangs up on what it did not read is no failure of the test.
    let _ = stream.read_to_string(&mut answer);
    answer
}

const MESSAGE: &str = "Subject: by qmqp\nFrom: a@site.test\n\nbody\nlast line without end";

#[test]
fn messages_and_mistakes() {
    let (site, port) =
        site("qmqpd_authorized_clients = 127.0.0.1\nqmqpd_error_delay = 0\nmessage_size_limit = 2000");
    let kept = talk(port, &packet(&[MESSAGE, "a@site.test", "user@site.test"]));
    assert!(kept.contains(":KOk: queued as ") && kept.ends_with(','), "{kept}");
    let mail = site.wait_for_mail("user", "Subject: by qmqp");
    assert!(mail.contains("Return-Path: <a@site.test>\n"), "{mail}");
    assert!(mail.contains("by mx.site.test (Postfix) with QMQP id "), "{mail}");
    assert!(mail.contains("\tfor <user@site.test>; "), "{mail}");
    assert!(mail.contains("\nMessage-Id: <") && mail.contains("\nbody\nlast line without end\n"), "{mail}");
    let kept = talk(port, &packet(&["Subject: for two\n\nx\n", "", "user@site.test", "other@site.test"]));
    assert!(kept.contains(":KOk: queued as "), "{kept}");
    let mail = site.wait_for_mail("other", "Subject: for two");
    assert!(mail.contains("Return-Path: <>\n") && mail.contains(" with QMQP\n\tid "), "{mail}");
    for (bytes, expected) in [
        (packet(&[MESSAGE, "a@site.test"]), "31:DError: no recipients specified,"),
        (b"hello world\r\n".to_vec(), "58:Dnetstring format error while receiving QMQP packet header,"),
        (netstring(b"3:abcX"), "55:Dnetstring format error while receiving message content,"),
        (
            packet(&[&"x".repeat(3000), "a@site.test", "user@site.test"]),
            "71:Dnetstring length exceeds storage limit while receiving message content,",
        ),
        (b"60:50:cut".to_vec(), ""),
    ] {
        assert_eq!(talk(port, &bytes), expected);
    }
    site.wait_for_log(&["postfix/qmqpd[", ": connect from localhost[127.0.0.1]"]);
    site.wait_for_log(&["postfix/qmqpd[", ": client=localhost[127.0.0.1]"]);
    site.wait_for_log(&[
        "postfix/qmqpd[",
        ": localhost[127.0.0.1]: lost connection while receiving message content",
    ]);
    site.wait_for_log(&[
        "postfix/qmqpd[",
        ": warning: ",
        ": localhost[127.0.0.1]: Error: no recipients specified",
    ]);
    assert_eq!(site.mailbox("user").len(), 2, "nothing of the broken ones");
}

#[test]
fn strangers_and_silent_clients() {
    let (site, port) =
        site("qmqpd_authorized_clients = !127.0.0.1, static:all\nqmqpd_client_port_logging = yes");
    let began = std::time::Instant::now();
    let answer = talk(port, &packet(&[MESSAGE, "a@site.test", "user@site.test"]));
    assert!(
        answer.contains(":DError: localhost[127.0.0.1]:")
            && answer.ends_with(" is not authorized to use this service,"),
        "{answer}"
    );
    assert!(began.elapsed().as_secs_f32() >= 1.0, "qmqpd_error_delay");
    assert!(site.mailbox("user").is_empty());
    drop(site);
    let (site, port) = self::site("qmqpd_authorized_clients = 127.0.0.1\nqmqpd_timeout = 1");
    let mut silent = TcpStream::connect(("127.0.0.1", port)).unwrap();
    silent.set_read_timeout(Some(PATIENCE)).unwrap();
    silent.write_all(b"100:").unwrap();
    assert_eq!(silent.read(&mut [0; 10]).unwrap(), 0, "hung up on");
    site.wait_for_log(&["timeout while receiving message content"]);
}
