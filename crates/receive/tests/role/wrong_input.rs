//! Clients that do what they should not, and a queue that can not do what it should.

use crate::common::{PLAIN, Queue, Running};

#[test]
fn a_queue_that_is_full_or_gone_gives_a_temporary_error() {
    for (queue, expected) in [
        (Queue::IsFull, "452 4.3.1 Error: insufficient system storage"),
        (Queue::IsGone, "451 4.3.0 Error: queue file write error"),
    ] {
        let role = Running::start("", PLAIN, queue, &[]);
        let mut client = role.client();
        client.up_to_data();
        assert_eq!(client.say("A: b\r\n\r\nbody\r\n."), expected);
        // The session goes on.
        assert_eq!(client.say("NOOP"), "250 2.0.0 Ok");
        role.log_with("write queue file: ");
    }
}

#[test]
fn too_much_is_refused_and_leaves_nothing_behind() {
    let role = Running::start("message_size_limit = 200000\n", PLAIN, Queue::Keeps, &[]);
    let mut client = role.client();
    client.reply();
    client.dialogue(&[
        ("EHLO client.test", "250-"),
        ("MAIL FROM:<s@remote.test> SIZE=200001", "552 5.3.4 Message size exceeds fixed limit"),
        ("MAIL FROM:<s@remote.test>", "250"),
        ("RCPT TO:<user@example.test>", "250"),
        ("DATA", "354"),
    ]);
    client.send("x: y\r\n\r\n");
    client.send("0123456789\r\n".repeat(20_000));
    assert_eq!(client.say("."), "552 5.3.4 Error: message file too big");
    // What was collected of the first is not in the second.
    client.dialogue(&[
        ("MAIL FROM:<s@remote.test>", "250"),
        ("RCPT TO:<user@example.test>", "250"),
        ("DATA", "354"),
        ("A: b\r\n\r\nsmall\r\n.", "250 2.0.0"),
    ]);
    assert!(role.next_kept().content.ends_with("A: b\n\nsmall\n"));
}

#[test]
fn a_message_that_breaks_off_is_dropped() {
    let role = Running::start("", PLAIN, Queue::Keeps, &[]);
    let mut client = role.client();
    client.up_to_data();
    client.send("A: b\r\n\r\n");
    client.send("0123456789\r\n".repeat(50_000));
    drop(client);
    let log = role.log_with("disconnect from unknown[127.0.0.1]");
    assert!(log.contains(": lost connection after DATA ("), "{log}");
    assert!(role.kept.try_recv().is_err());
    // The file of the body was given back.
    let end = std::time::Instant::now() + crate::common::PATIENCE;
    while role.dropped().is_empty() {
        assert!(std::time::Instant::now() < end);
        std::thread::yield_now();
    }
}

#[test]
fn a_silent_client_is_told_and_left() {
    let role = Running::start("smtpd_timeout = 1\n", PLAIN, Queue::Keeps, &[]);
    let mut client = role.client();
    client.reply();
    assert_eq!(client.reply(), "421 4.4.2 mx.example.test Error: timeout exceeded");
    assert_eq!(client.reply(), "");
    role.log_with("NOQUEUE: timeout after CONNECT from unknown[127.0.0.1]");
}

#[test]
fn floods_nul_bytes_and_early_talkers_do_no_harm() {
    let role = Running::start("", PLAIN, Queue::Keeps, &[]);
    for (input, expected) in [
        (vec![b'x'; 64 * 1024], "500 5.5.2 mx.example.test Error: command too long"),
        (b"EHLO x\0y\r\n".to_vec(), "250-mx.example.test"),
        (b"\xff\xfe\r\n".to_vec(), "500 5.5.2 Error: bad UTF-8 syntax"),
        (b"GET / HTTP/1.0\r\n".to_vec(), "221 2.7.0 Error: I can break rules, too. Goodbye."),
    ] {
        let mut client = role.client();
        client.reply();
        client.send(&input);
        let reply = client.reply();
        assert!(reply.starts_with(expected), "{reply}, not {expected}");
    }
    let mut client = role.client();
    client.up_to_data();
    assert!(client.say("A: b\r\n\r\nnul \0 byte\r\n.").starts_with("250"));
    assert!(role.next_kept().content.ends_with("\nnul \0 byte\n"));
}

#[test]
fn a_message_in_circles_is_refused() {
    let role = Running::start("hopcount_limit = 3\n", PLAIN, Queue::Keeps, &[]);
    let mut client = role.client();
    client.up_to_data();
    client.send("Received: x\r\n".repeat(2));
    assert_eq!(client.say("\r\nbody\r\n."), "554 5.4.0 Error: too many hops");
    role.log_with("message rejected: hopcount exceeded");
}

#[test]
fn errors_end_the_session() {
    let role = Running::start("smtpd_hard_error_limit = 3\n", PLAIN, Queue::Keeps, &[]);
    let mut client = role.client();
    client.reply();
    client.dialogue(&[("X1", "500 5.5.2"), ("X2", "500 5.5.2"), ("X3", "500 5.5.2")]);
    assert_eq!(client.reply(), "421 4.7.0 mx.example.test Error: too many errors");
    role.log_with("NOQUEUE: too many errors after UNKNOWN from unknown[127.0.0.1]");
}

#[test]
fn too_many_recipients_and_connections_are_limited() {
    let main_cf = "smtpd_recipient_limit = 2\nsmtpd_client_connection_count_limit = 1\n";
    let role = Running::start(main_cf, PLAIN, Queue::Keeps, &[]);
    let mut client = role.client();
    client.reply();
    client.dialogue(&[
        ("EHLO client.test", "250-"),
        ("MAIL FROM:<s@remote.test>", "250"),
        ("RCPT TO:<user@example.test>", "250"),
        ("RCPT TO:<other@example.test>", "250"),
        ("RCPT TO:<user@example.test>", "452 4.5.3 Error: too many recipients"),
    ]);
    let mut second = role.client();
    assert_eq!(second.reply(), "421 4.7.0 mx.example.test Error: too many connections from 127.0.0.1");
    role.log_with(
        "warning: Connection concurrency limit exceeded: 2 from unknown[127.0.0.1] for service smtp",
    );
}
