//! Milters with a script: each action at each stage, changes of the message, and faults. Replies and log lines are those of
//! Postfix with the same Milters.

use std::os::unix::net::UnixStream;

use crate::common::{Kept, PLAIN, Queue, Running, content_file};
use crate::scripted_milter::{Say, ScriptedMilter, letter};
use link::message::Submission;
use link::{Link, Reply, Request};
use mail::{Address, Envelope, Recipient};

fn role_with(milters: &[&ScriptedMilter], more: &str) -> Running {
    let list: Vec<String> = milters.iter().map(|milter| format!("inet:127.0.0.1:{}", milter.port)).collect();
    let list = list.join(", ");
    Running::start(
        &format!("smtpd_milters = {list}\nnon_smtpd_milters = {list}\n{more}"),
        PLAIN,
        Queue::Keeps,
        &[],
    )
}

fn quiet() -> ScriptedMilter {
    ScriptedMilter::start(|_, _| letter(b'c'))
}

/// A dialogue: each command with the beginning of its reply.
fn talk(role: &Running, lines: &[(&str, &str)]) {
    let mut client = role.client();
    for (line, expected) in lines {
        let reply = match line.is_empty() {
            true => client.reply(),
            false => client.say(line),
        };
        assert!(reply.starts_with(expected), "{line}: {reply:?}, not {expected:?}");
    }
}

const UP_TO_DATA: [(&str, &str); 5] = [
    ("", "220 "),
    ("EHLO client.test", "250"),
    ("MAIL FROM:<s@remote.test> BODY=8BITMIME", "250 2.1.0"),
    ("RCPT TO:<user@example.test>", "250 2.1.5"),
    ("DATA", "354 "),
];

fn dialogue<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [&UP_TO_DATA[..], more].concat()
}

fn header_of(kept: &Kept) -> &str {
    kept.content.split("\n\n").next().unwrap()
}

#[test]
fn what_a_milter_hears() {
    let milter = quiet();
    let role =
        role_with(&[&milter], "milter_helo_macros = {tls_version} {mood}\nmilter_macro_defaults = mood=fair");
    talk(
        &role,
        &dialogue(&[
            ("Subject: x\r\nX-Two:  a\r\n b\r\n\r\nhello\r\n.", "250 2.0.0"),
            ("FROB", "500 5.5.2"),
            ("MAIL FROM:<>", "250"),
            ("RSET", "250"),
            ("QUIT", "221"),
        ]),
    );
    let id = role.next_kept().new.message.id;
    role.log_with("disconnect from");
    milter.must_hear("CHMRTNBEUMAQ");
    assert_eq!(milter.data_of(b'M'), ["<s@remote.test>|BODY=8BITMIME|", "<>|"]);
    assert_eq!(milter.data_of(b'R'), ["<user@example.test>|"]);
    let headers = milter.data_of(b'L');
    assert_eq!(headers[..2], ["Subject|x|", "X-Two| a\n b|"]);
    assert!(headers.iter().all(|header| !header.starts_with("Received|")), "{headers:?}");
    assert_eq!(milter.data_of(b'B'), ["hello\r\n"]);
    let macros = milter.data_of(b'D');
    assert!(
        macros[0].starts_with("Cj|mx.example.test|{daemon_name}|mx.example.test|{daemon_addr}|127.0.0.1|v|")
    );
    assert!(macros[0].ends_with("_|unknown [127.0.0.1]|"), "{macros:?}");
    assert_eq!(macros[1], "H{mood}|fair|");
    assert_eq!(macros[2], "M{mail_addr}|s@remote.test|{mail_host}|remote.test|{mail_mailer}|smtp|");
    assert!(macros[3].starts_with("R{rcpt_addr}|user@example.test|{rcpt_host}|"), "{macros:?}");
    assert_eq!(macros[4], format!("Ti|{id}|"));
    assert!(macros.contains(&format!("Ei|{id}|")), "{macros:?}");
}

/// Answers of a Milter to one command: the client's dialogue from there on, and what the log says.
#[test]
fn actions_at_each_stage() {
    let code = Say::Packets(vec![(b'y', b"550-5.7.9 my 100%% words\r\n550 5.7.9 two\0".to_vec())]);
    let bad_code = Say::Packets(vec![(b'y', b"250 fine\0".to_vec())]);
    let mail = ("MAIL FROM:<s@remote.test>", "250");
    let rcpt = ("RCPT TO:<user@example.test>", "250");
    let (hello, ehlo) = (("", "220 "), ("EHLO c.test", "250"));
    let content = |reply| vec![hello, ehlo, mail, rcpt, ("DATA", "354"), ("A: b\r\n\r\nbody\r\n.", reply)];
    let closed = "421 4.7.0 Server closing connection";
    let (rejected, later) = ("550 5.7.1 Command rejected", "451 4.7.1 Service unavailable - try again later");
    type Case<'a> = (u8, Say, Vec<(&'a str, &'a str)>, &'a str);
    let cases: Vec<Case<'_>> = vec![
        (
            b'C',
            letter(b'r'),
            vec![
                ("", "554 mx.example.test ESMTP not accepting connections"),
                ("EHLO c.test", "250-mx.example.test|250 ENHANCEDSTATUSCODES"),
                ("VRFY user", rejected),
                ("MAIL FROM:<s@remote.test>", rejected),
            ],
            "NOQUEUE: milter-reject: CONNECT from unknown[127.0.0.1]: 550 5.7.1 Command rejected; proto=SMTP",
        ),
        (
            b'C',
            letter(b't'),
            vec![hello, ehlo, ("MAIL FROM:<s@remote.test>", later)],
            "milter-reject: MAIL from unknown[127.0.0.1]: 451 4.7.1 Service unavailable - try again later; \
             from=<s@remote.test> proto=ESMTP helo=<c.test>",
        ),
        (
            b'C',
            letter(b'4'),
            vec![("", "421 mx.example.test Service unavailable - try again later")],
            "milter-reject: CONNECT",
        ),
        (b'C', letter(b'a'), content("250 2.0.0"), "disconnect from"),
        (
            b'H',
            letter(b'r'),
            vec![hello, ("EHLO c.test", "250-mx.example.test|250 ENHANCED"), ("MAIL FROM:<>", rejected)],
            "milter-reject: EHLO from unknown[127.0.0.1]: 550 5.7.1 Command rejected; proto=SMTP helo=<c.test>",
        ),
        (b'M', letter(b't'), vec![hello, ehlo, ("MAIL FROM:<>", later)], "milter-reject: MAIL"),
        (
            b'R',
            code,
            vec![hello, ehlo, mail, ("RCPT TO:<user@example.test>", "550-5.7.9 my 100% words|550 5.7.9 two")],
            "NOQUEUE: milter-reject: RCPT from unknown[127.0.0.1]: 550 5.7.9 my 100% words two; \
             from=<s@remote.test> to=<user@example.test> proto=ESMTP helo=<c.test>",
        ),
        (
            b'R',
            bad_code,
            vec![hello, ehlo, mail, ("RCPT TO:<user@example.test>", closed)],
            ": SMFIC_RCPT reply: a bad reply code",
        ),
        (b'R', letter(b'd'), content("250 2.0.0"), "milter-discard: RCPT from"),
        (b'T', letter(b'4'), vec![hello, ehlo, mail, rcpt, ("DATA", closed)], "milter-reject: DATA"),
        (b'U', letter(b'r'), vec![hello, ehlo, ("FROB", rejected)], "milter-reject: UNKNOWN"),
        (
            b'L',
            letter(b'r'),
            content(rejected),
            "milter-reject: END-OF-MESSAGE from unknown[127.0.0.1]: 5.7.1",
        ),
        (
            b'N',
            letter(b't'),
            content(later),
            ": 4.7.1 Service unavailable - try again later; from=<s@remote.test>",
        ),
        (b'B', letter(b's'), content("250 2.0.0"), "disconnect from"),
        (
            b'B',
            letter(b'd'),
            content("250 2.0.0"),
            "milter-discard: END-OF-MESSAGE from unknown[127.0.0.1]: milter triggers DISCARD action",
        ),
        (b'E', letter(b'r'), content(rejected), "milter-reject: END-OF-MESSAGE"),
        (b'E', letter(b'4'), content(closed), "milter-reject: END-OF-MESSAGE"),
        (
            b'E',
            Say::Packets(vec![(b'p', vec![]), (b'q', b"odd\0".to_vec()), (b'c', vec![])]),
            content("250 2.0.0"),
            "milter-hold: END-OF-MESSAGE from unknown[127.0.0.1]: milter triggers HOLD action",
        ),
    ];
    for (at, say, mut lines, line) in cases {
        let name = format!("{} {line}", char::from(at));
        let milter =
            ScriptedMilter::start(move |command, _| if command == at { say.clone() } else { letter(b'c') });
        let role = role_with(&[&milter], "");
        let refused_at_once = lines[0].1.starts_with("421") || lines.last().unwrap().1.starts_with("421");
        if !refused_at_once {
            lines.push(("QUIT", "221"));
        }
        talk(&role, &lines);
        let log = role.log_with("disconnect from");
        assert!(log.contains(line), "{name}:\n{log}");
        let kept = role.kept.try_recv().ok();
        let is_kept = line.contains("milter-hold") || line.contains("disconnect");
        assert_eq!(kept.is_some(), is_kept, "{name}");
        if let Some(kept) = kept {
            assert_eq!(kept.new.hold, line.contains("milter-hold"), "{name}");
        }
    }
}

#[test]
fn changes_reach_the_queue_and_the_next_milter() {
    let number = |index: u32, rest: &[u8]| [&index.to_be_bytes()[..], rest].concat();
    let packets = vec![
        (b'h', b"X-Add\0v\n two\0".to_vec()),
        (b'i', number(0, b"X-Ins0\0v\0")),
        (b'i', number(1, b"X-Ins1\0v\0")),
        (b'm', number(1, b"Subject\0changed\0")),
        (b'm', number(1, b"X-Gone\0\0")),
        // Our own Received: header is none that could be changed: this one becomes another.
        (b'm', number(1, b"Received\0changed\0")),
        (b'+', b"<other@example.test>\0".to_vec()),
        (b'2', b"<user2@example.test>\0NOTIFY=NEVER\0".to_vec()),
        (b'-', b"<user@example.test>\0".to_vec()),
        (b'e', b"<new@sender.test>\0".to_vec()),
        (b'b', b"new\r".to_vec()),
        (b'b', b"\nbody\r\n".to_vec()),
        (b'c', Vec::new()),
    ];
    let first = ScriptedMilter::start(move |command, _| match command {
        b'E' => Say::Packets(packets.clone()),
        _ => letter(b'c'),
    });
    let second = quiet();
    let role = role_with(&[&first, &second], "");
    talk(
        &role,
        &dialogue(&[("Subject: x\r\nX-Gone: 1\r\nX-Two: a\r\n\r\nhello\r\n.", "250"), ("QUIT", "221")]),
    );
    let kept = role.next_kept();
    let header = header_of(&kept);
    assert!(header.starts_with("X-Ins0: v\nX-Ins1: v\nReceived: from client.test"), "{header}");
    assert!(header.ends_with("\nSubject: changed\nX-Two: a\nX-Add: v\n two\nReceived: changed"), "{header}");
    assert!(kept.content.ends_with("\n\nnew\nbody\n"), "{}", kept.content);
    let envelope = &kept.new.message.envelope;
    assert_eq!(envelope.sender.as_str(), "new@sender.test");
    let recipients: Vec<_> = envelope.recipients.iter().map(|recipient| recipient.address.as_str()).collect();
    assert_eq!(recipients, ["other@example.test", "user2@example.test"]);
    assert!(envelope.recipients[1].notify.never);
    role.log_with("disconnect from");
    assert_eq!(second.data_of(b'B'), ["new\r\nbody\r\n"]);
    let seen = second.data_of(b'L');
    assert!(seen.contains(&"Subject|changed|".to_owned()), "{seen:?}");
}

#[test]
fn large_messages_are_changed_on_disk() {
    let line = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde\r\n";
    let body = line.repeat(8 * 1024);
    let content = format!("Subject: x\r\n\r\n{body}.");
    let stored = body.replace("\r\n", "\n");
    let long_header = [&b"X-Long\0"[..], &b"word ".repeat(20_000), b"\0"].concat();
    // A header that grows, one that shrinks, and another body of the same size.
    let grows = vec![(b'h', long_header), (b'c', Vec::new())];
    let shrinks = vec![(b'm', [&[0, 0, 0, 1][..], b"Subject\0\0"].concat()), (b'c', Vec::new())];
    let mut replaces: Vec<(u8, Vec<u8>)> =
        body.to_uppercase().as_bytes().chunks(60_000).map(|piece| (b'b', piece.to_vec())).collect();
    replaces.push((b'c', Vec::new()));
    for (packets, expected, part) in [
        (grows, stored.clone(), "X-Long: word"),
        (shrinks, stored.clone(), "Received:"),
        (replaces, stored.to_uppercase(), "Subject: x"),
    ] {
        let milter = ScriptedMilter::start(move |command, _| match command {
            b'E' => Say::Packets(packets.clone()),
            _ => letter(b'c'),
        });
        let role = role_with(&[&milter], "");
        talk(&role, &dialogue(&[(&content, "250"), ("QUIT", "221")]));
        let kept = role.next_kept();
        let (header, rest) = kept.content.split_once("\n\n").unwrap();
        assert!(header.contains(part), "{part}");
        assert!(rest == expected, "{part}: {} bytes, not {}", rest.len(), expected.len());
        assert_eq!(milter.data_of(b'B').concat().len(), body.len());
    }
}

#[test]
fn small_bodies_may_become_large_and_large_ones_small() {
    for (sent, given) in [(10_usize, 300_000_usize), (300_000, 10)] {
        let body = |letter: &str, size: usize| format!("{letter}\r\n").repeat(size / 3);
        let mut packets: Vec<(u8, Vec<u8>)> =
            body("b", given).as_bytes().chunks(60_001).map(|piece| (b'b', piece.to_vec())).collect();
        packets.push((b'c', Vec::new()));
        let milter = ScriptedMilter::start(move |command, _| match command {
            b'E' => Say::Packets(packets.clone()),
            _ => letter(b'c'),
        });
        let role = role_with(&[&milter], "");
        let content = format!("Subject: x\r\n\r\n{}.", body("a", sent));
        talk(&role, &dialogue(&[(&content, "250"), ("QUIT", "221")]));
        let kept = role.next_kept();
        let (_, rest) = kept.content.split_once("\n\n").unwrap();
        assert!(rest == body("b", given).replace("\r\n", "\n"), "{sent} to {given}: {}", rest.len());
    }
}

#[test]
fn header_checks_see_what_milters_add() {
    let added = |name: &'static str| {
        ScriptedMilter::start(move |command, _| match command {
            b'E' => Say::Packets(vec![(b'h', [name.as_bytes(), b"\0yes\0"].concat()), (b'c', Vec::new())]),
            _ => letter(b'c'),
        })
    };
    let checks = "milter_header_checks = inline:{{X-Bad: yes = REJECT no, {X-Drop: yes = IGNORE}, {X-Hold: yes = HOLD}}";
    let checks = checks.replace("{{X-Bad: yes = REJECT no,", "{{X-Bad: yes = REJECT no},");
    for (name, reply, line) in [
        ("X-Bad", "550 5.7.1 no", Some("milter-header-reject: header X-Bad: yes from unknown[127.0.0.1];")),
        ("X-Drop", "250", None),
        ("X-Hold", "250", Some("milter-header-hold: header X-Hold: yes")),
        ("X-Fine", "250", None),
    ] {
        let milter = added(name);
        let role = role_with(&[&milter], &checks);
        talk(&role, &dialogue(&[("Subject: x\r\n\r\nhello\r\n.", reply), ("QUIT", "221")]));
        let log = role.log_with("disconnect");
        assert!(line.is_none_or(|line| log.contains(line)), "{name}:\n{log}");
        if reply == "250" {
            let kept = role.next_kept();
            assert_eq!(kept.content.contains(name), name != "X-Drop", "{name}");
            assert_eq!(kept.new.hold, name == "X-Hold", "{name}");
        }
    }
}

/// A Milter that dies or stalls or talks nonsense at one command, and each default action for it.
#[test]
fn faults() {
    let short = "milter_command_timeout = 1s\nmilter_content_timeout = 1s\n";
    let later = "451 4.7.1 Service unavailable - try again later";
    for (at, say, action, expected) in [
        (b'M', Say::HangUp, "tempfail", ("MAIL", later)),
        (b'R', Say::Stall, "reject", ("RCPT", "550 5.5.0 Service unavailable")),
        (b'T', Say::Bytes(vec![0, 0, 0, 0]), "shutdown", ("DATA", "421 4.7.0 Server closing connection")),
        (b'L', Say::Bytes(vec![255, 255, 255, 255]), "tempfail", ("body", later)),
        (b'N', letter(b'Z'), "accept", ("body", "250 2.0.0")),
        (b'B', Say::Stall, "quarantine", ("body", "250 2.0.0")),
        (b'E', Say::HangUp, "tempfail", ("body", later)),
        (b'E', Say::Packets(vec![(b'h', b"no end".to_vec())]), "tempfail", ("body", later)),
        (b'C', Say::HangUp, "accept", ("body", "250 2.0.0")),
    ] {
        let name = format!("{} {action}", char::from(at));
        let milter =
            ScriptedMilter::start(move |command, _| if command == at { say.clone() } else { letter(b'c') });
        let role = role_with(&[&milter], &format!("{short}milter_default_action = {action}"));
        let mut client = role.client();
        client.reply();
        client.say("EHLO c.test");
        for (stage, line) in [
            ("MAIL", "MAIL FROM:<s@remote.test>"),
            ("RCPT", "RCPT TO:<user@example.test>"),
            ("DATA", "DATA"),
            ("body", "A: b\r\n\r\nbody\r\n."),
        ] {
            let reply = client.say(line);
            if stage == expected.0 {
                assert!(reply.starts_with(expected.1), "{name}: {reply}");
                break;
            }
            assert!(reply.starts_with('2') || reply.starts_with('3'), "{name}: {line}: {reply}");
        }
        role.log_with(&format!("warning: milter inet:127.0.0.1:{}: ", milter.port));
        if expected.1.starts_with("250") {
            assert_eq!(role.next_kept().new.hold, action == "quarantine", "{name}");
        }
    }
}

/// A Milter that dies in the middle of a large body for one message is asked again for the next, and nothing is lost between.
#[test]
fn a_milter_that_comes_again() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    let pieces = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&pieces);
    let milter = ScriptedMilter::start(move |command, _| match command {
        // The body comes in several pieces; at the third one it dies, once.
        b'B' if count.fetch_add(1, Ordering::SeqCst) == 2 => Say::HangUp,
        _ => letter(b'c'),
    });
    let role = role_with(&[&milter], "milter_default_action = tempfail");
    let large = format!("A: b\r\n\r\n{}.", "A line that is neither long nor short.\r\n".repeat(10_000));
    talk(&role, &dialogue(&[(&large, "451 4.7.1 Service unavailable - try again later")]));
    role.log_with(&format!("warning: milter inet:127.0.0.1:{}: ", milter.port));
    talk(&role, &dialogue(&[(&large, "250 2.0.0 Ok: queued as"), ("QUIT", "221")]));
    assert!(role.next_kept().new.message.size > 300_000);
    assert!(pieces.load(Ordering::SeqCst) > 6);
}

#[test]
fn nobody_listens() {
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let start = |more: &str| {
        let main = format!("smtpd_milters = {{ inet:127.0.0.1:{port}, {more} }}");
        Running::start(&main, PLAIN, Queue::Keeps, &[])
    };
    let role = start("default_action=accept");
    talk(&role, &dialogue(&[("A: b\r\n\r\nbody\r\n.", "250"), ("QUIT", "221")]));
    let role = start("default_action=tempfail");
    talk(&role, &[("", "220"), ("EHLO x.test", "250"), ("MAIL FROM:<>", "451 4.7.1")]);
    let role = start("connect_timeout=5s");
    talk(&role, &[("", "421 mx.example.test Service unavailable")]);
    role.log_with(": connect: Connection refused");
}

#[test]
fn a_milter_hears_only_what_it_asked_for() {
    // No connect, helo, header and body; no answer to MAIL.
    let steps = 0x1 | 0x2 | 0x20 | 0x10 | 0x4000;
    let milter = ScriptedMilter::start_with([6, 0, steps], |command, _| match command {
        b'M' => Say::Stall,
        _ => letter(b'c'),
    });
    let role = role_with(&[&milter], "");
    talk(&role, &dialogue(&[("A: b\r\n\r\nbody\r\n.", "250"), ("QUIT", "221")]));
    role.log_with("disconnect from");
    milter.must_hear("MRTNEQ");
    // One that wants what was not offered is not used.
    let milter = ScriptedMilter::start_with([6, 0x8000, 0], |_, _| letter(b'c'));
    let role = role_with(&[&milter], "");
    talk(&role, &[("", "421 ")]);
    role.log_with("asks for actions 0x8000");
}

#[test]
fn refused_recipients_are_told_to_who_asks() {
    let milter = ScriptedMilter::start_with([6, 0, 0x800], |_, _| letter(b'c'));
    let role = role_with(&[&milter], "");
    let mut lines = UP_TO_DATA[..3].to_vec();
    lines.extend([("RCPT TO:<nobody@example.test>", "550 5.1.1"), ("QUIT", "221")]);
    talk(&role, &lines);
    role.log_with("disconnect from");
    assert_eq!(milter.data_of(b'R'), ["<nobody@example.test>|"]);
    let macros = milter.data_of(b'D');
    assert!(macros.iter().any(|text| text.contains("{rcpt_mailer}|error|")), "{macros:?}");
}

#[test]
fn milters_by_client_and_left_out() {
    let milter = ScriptedMilter::start(|_, _| letter(b'r'));
    for (more, greeting) in [
        ("smtpd_milter_maps = inline:{127.0.0.1=DISABLE}", "220 "),
        ("receive_override_options = no_milters", "220 "),
        ("smtpd_milter_maps = inline:{192.0.2.1=DISABLE}", "554 "),
        ("smtpd_milter_maps = static:{nonsense}", "421 4.3.0"),
    ] {
        let role = role_with(&[&milter], more);
        talk(&role, &[("", greeting)]);
    }
}

#[test]
fn mail_of_this_machine() {
    for (at, answer, expected) in [
        (b'x', b'c', None),
        (
            b'M',
            b'r',
            Some(
                "milter-reject: MAIL from localhost[127.0.0.1]: 5.7.1 Command rejected; from=<s@example.test>",
            ),
        ),
        (b'E', b't', Some("milter-reject: END-OF-MESSAGE from localhost[127.0.0.1]: 4.7.1 Service")),
    ] {
        let milter =
            ScriptedMilter::start(move |command, _| letter(if command == at { answer } else { b'c' }));
        let role = role_with(&[&milter], "");
        let submission = Submission {
            sender: Some(Address::internal("s@example.test").unwrap()),
            full_name: None,
            recipients: vec![Recipient::new(Address::internal("user@example.test").unwrap())],
            envelope: Envelope::default(),
        };
        let socket = UnixStream::connect(&role.pickup).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let content = "Subject: x\n\nbody\n";
        let reply = runtime.block_on(async {
            let (link, _calls) = Link::open(socket, "receive").unwrap();
            link.call(Request::Submit(Box::new(submission)), vec![content_file(content).into()])
                .await
                .unwrap()
                .0
        });
        match expected {
            None => {
                assert!(matches!(reply, Reply::Submitted(_)), "{reply:?}");
                role.next_kept();
                milter.must_hear("CHMRTNBEQ");
                assert_eq!(milter.data_of(b'H'), ["localhost|"]);
            }
            Some(line) => {
                assert!(matches!(reply, Reply::Failed(_)), "{reply:?}");
                role.log_with(line);
            }
        }
    }
}
