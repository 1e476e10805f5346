//! Messages from network clients into the queue, over real sockets.

use crate::common::{PLAIN, Queue, Running};

#[test]
fn a_message_is_kept_before_its_client_hears_250() {
    let role = Running::start("", PLAIN, Queue::Keeps, &[]);
    let mut client = role.client();
    client.up_to_data();
    client.send("Subject: x\r\nBcc: hidden\r\n\r\n..dot\r\nbody\r\n.\r\n");
    let reply = client.reply();
    assert!(reply.starts_with("250 2.0.0 Ok: queued as "), "{reply}");
    let id = reply.rsplit(' ').next().unwrap().to_owned();
    let kept = role.next_kept();
    assert_eq!(kept.new.message.id.to_string(), id);
    assert_eq!(kept.new.message.envelope.sender.as_str(), "s@remote.test");
    let received = format!(
        "Received: from client.test (unknown [127.0.0.1])\n\tby mx.example.test (Postfix) with ESMTP id {id}\n\
         \tfor <user@example.test>; "
    );
    assert!(kept.content.starts_with(&received), "{}", kept.content);
    assert!(kept.content.ends_with(")\nSubject: x\n\n.dot\nbody\n"), "{}", kept.content);
    assert_eq!(client.say("QUIT"), "221 2.0.0 Bye");
    let log =
        role.log_with("disconnect from unknown[127.0.0.1] ehlo=1 mail=1 rcpt=1 data=1 quit=1 commands=5");
    for line in [
        "]: connect from unknown[127.0.0.1]".to_owned(),
        format!("]: {id}: client=unknown[127.0.0.1]"),
        "postfix/cleanup[".to_owned(),
        format!("]: {id}: message-id="),
    ] {
        assert!(log.contains(&line), "{line}\n{log}");
    }
}

#[test]
fn pipelined_commands_are_answered_together_and_chunks_are_taken() {
    let role = Running::start("", PLAIN, Queue::Keeps, &[]);
    let mut client = role.client();
    client.reply();
    client.say("EHLO client.test");
    client.send(
        "MAIL FROM:<> BODY=8BITMIME\r\nRCPT TO:<user@example.test>\r\nRCPT TO:<other@example.test> NOTIFY=NEVER\r\n\
         RCPT TO:<user@example.test>\r\nBDAT 6\r\nA: b\r\nBDAT 8 LAST\r\n\r\nbody\r\n",
    );
    for expected in [
        "250 2.1.0",
        "250 2.1.5",
        "250 2.1.5",
        "250 2.1.5",
        "250 2.0.0 Ok: 6 bytes",
        "250 2.0.0 Ok: 14 bytes queued as",
    ] {
        let reply = client.reply();
        assert!(reply.starts_with(expected), "{reply}, not {expected}");
    }
    let kept = role.next_kept();
    let envelope = &kept.new.message.envelope;
    assert!(envelope.sender.is_null());
    let recipients: Vec<_> = envelope.recipients.iter().map(|recipient| recipient.address.as_str()).collect();
    assert_eq!(recipients, ["user@example.test", "other@example.test"], "no recipient twice");
    assert!(envelope.recipients[1].notify.never);
    assert!(kept.content.ends_with("A: b\n\nbody\n"), "{}", kept.content);
    assert!(!kept.content.contains("for <"), "several recipients are nobody's business");
}

#[test]
fn a_large_body_goes_to_a_file() {
    let role = Running::start("", PLAIN, Queue::Keeps, &[]);
    let mut client = role.client();
    client.up_to_data();
    let line = "0123456789abcdef".repeat(60);
    client.send("Subject: large\r\n\r\n");
    for _ in 0..1000 {
        client.send(format!("{line}\r\n"));
    }
    client.send(".\r\n");
    assert!(client.reply().starts_with("250 2.0.0 Ok: queued as "));
    let kept = role.next_kept();
    assert!(kept.new.body.is_none());
    let body = kept.content.split_once("Subject: large\n\n").unwrap().1;
    assert!(body == format!("{line}\n").repeat(1000));
}

#[test]
fn an_envelope_is_mapped_expanded_and_copied() {
    let main_cf = "virtual_alias_maps = inline:{ {list@example.test = a@x.test, b@x.test} }\nalways_bcc = archive@y.test\n\
        sender_canonical_maps = inline:{s@remote.test=t@remote.test}\nrecipient_bcc_maps = inline:{list@example.test=c@x.test}";
    let role = Running::start(main_cf, PLAIN, Queue::Keeps, &[]);
    let mut client = role.client();
    client.reply();
    client.dialogue(&[
        ("HELO client.test", "250 mx.example.test"),
        ("MAIL FROM:<s@remote.test>", "250"),
        ("RCPT TO:<list@example.test>", "250"),
        ("DATA", "354"),
        ("\r\nbody\r\n.", "250 2.0.0"),
    ]);
    let envelope = role.next_kept().new.message.envelope;
    assert_eq!(envelope.sender.as_str(), "t@remote.test");
    let recipients: Vec<_> = envelope
        .recipients
        .iter()
        .map(|recipient| (recipient.address.as_str(), recipient.original.as_str(), recipient.notify.never))
        .collect();
    assert_eq!(
        recipients,
        [
            ("a@x.test", "list@example.test", false),
            ("b@x.test", "list@example.test", false),
            ("c@x.test", "c@x.test", true),
            ("archive@y.test", "archive@y.test", true),
        ]
    );
}

#[test]
fn a_second_message_begins_anew() {
    let role = Running::start("", PLAIN, Queue::Keeps, &[]);
    let mut client = role.client();
    client.up_to_data();
    assert!(client.say("A: one\r\n\r\none\r\n.").starts_with("250 2.0.0"));
    client.dialogue(&[
        ("MAIL FROM:<s@remote.test>", "250"),
        ("RCPT TO:<other@example.test>", "250"),
        ("RSET", "250 2.0.0 Ok"),
        ("MAIL FROM:<z@remote.test>", "250"),
        ("RCPT TO:<other@example.test>", "250"),
        ("DATA", "354"),
        ("A: two\r\n\r\ntwo\r\n.", "250 2.0.0"),
    ]);
    let (one, two) = (role.next_kept(), role.next_kept());
    assert_ne!(one.new.message.id, two.new.message.id);
    assert!(one.content.ends_with("A: one\n\none\n") && two.content.ends_with("A: two\n\ntwo\n"));
    assert_eq!(two.new.message.envelope.sender.as_str(), "z@remote.test");
    assert_eq!(two.new.message.envelope.recipients.len(), 1);
}

#[test]
fn drain_ends_idle_sessions_and_waits_for_the_others() {
    let mut role = Running::start("", PLAIN, Queue::Keeps, &[]);
    let (mut busy, mut idle) = (role.client(), role.client());
    busy.up_to_data();
    idle.reply();
    let kept = std::thread::scope(|scope| {
        let address = role.addresses[0];
        let end = scope.spawn(|| {
            let result = role.drain();
            (result, role.next_kept())
        });
        assert_eq!(idle.reply(), "421 4.3.2 mx.example.test Service shutting down");
        assert!(busy.say("A: b\r\n\r\nbody\r\n.").starts_with("250 2.0.0"));
        assert_eq!(busy.reply(), "421 4.3.2 mx.example.test Service shutting down");
        let (result, kept) = end.join().unwrap();
        assert_eq!(result, Ok(()));
        assert!(std::net::TcpStream::connect(address).is_err(), "nobody listens any more");
        kept
    });
    assert!(kept.content.ends_with("\nA: b\n\nbody\n"));
}

#[test]
fn characters_are_refused_stripped_and_replaced() {
    let settings = "message_reject_characters = \\001\nmessage_strip_characters = \\002";
    let role = Running::start(settings, PLAIN, Queue::Keeps, &[]);
    for (content, expected) in [
        ("Subject: x\u{1}y\r\n\r\nbody\r\n.\r\n", "550 5.7.1 disallowed character"),
        ("Subject: x\r\n\r\na\u{1}b\r\n.\r\n", "550 5.7.1 disallowed character"),
        ("Subject: x\u{2}y\r\n\r\na\rb\u{2}c\r\n.\r\n", "250 2.0.0"),
    ] {
        let mut client = role.client();
        client.up_to_data();
        client.send(content);
        let reply = client.reply();
        assert!(reply.starts_with(expected), "{content:?}: {reply}");
    }
    let kept = role.next_kept();
    assert!(kept.content.ends_with("\nSubject: xy\n\na bc\n"), "{:?}", kept.content);
    role.log_with(
        "reject: content a?b from unknown[127.0.0.1]; from=<s@remote.test> to=<user@example.test> proto=ESMTP \
         helo=<client.test>: 5.7.1 disallowed character",
    );
}
