//! Dialogues with the engine, fed byte by byte or at once.

use super::super::screening::{Action, Rule};
use super::*;

const NOW: UnixTime = 1_700_000_000;

fn options() -> Options {
    Options {
        hostname: "mx.test".into(),
        banner: "mx.test ESMTP".into(),
        message_size_limit: 1000,
        hide_vrfy: false,
        disable_vrfy: false,
        helo_required: false,
        tls: TlsOffer::Offered,
        has_certificates: true,
        smtputf8: true,
        forbidden: CommandList::names(["CONNECT", "GET", "POST"]),
        line_length_limit: 100,
        command_count_limit: 20,
        soft_bounce: false,
        log_form: mail::LogForm::default(),
    }
}

/// A session with all deep tests and one action.
struct Dialogue {
    engine: Engine,
    policy: Policy,
    screening: Screening,
    stamps: Stamps,
    log: Vec<String>,
    closed: bool,
}

impl Dialogue {
    fn new(options: Options, action: Action) -> Dialogue {
        let policy = Policy {
            rules: [Rule { enabled: true, action, ttl: 100 }; Test::COUNT],
            denylist: action,
            dnsbl_threshold: 1,
            allowlist_threshold: 0,
        };
        let mut screening = Screening::new();
        screening.plan(&policy, &Stamps::UNKNOWN, NOW);
        Dialogue {
            engine: Engine::new(Arc::new(options), "[192.0.2.1]:4711".into(), EhloKeywords::default(), true),
            policy,
            screening,
            stamps: Stamps::UNKNOWN,
            log: Vec::new(),
            closed: false,
        }
    }

    /// Everything that is said to this input, which comes in one piece.
    fn hear(&mut self, input: &[u8]) -> String {
        self.engine.input().extend_from_slice(input);
        let mut out = Vec::new();
        loop {
            let mut judge = Judge {
                policy: &self.policy,
                screening: &mut self.screening,
                stamps: &mut self.stamps,
                now: NOW,
            };
            let mut step = match self.engine.next_line(&mut judge) {
                Step { mut log, next: Next::Line(line), .. } => {
                    self.log.append(&mut log);
                    self.engine.execute(&line, &mut judge)
                }
                step => step,
            };
            self.log.append(&mut step.log);
            if let Some(reply) = step.reply {
                reply.write_to(&mut out);
            }
            match step.next {
                Next::Read => break,
                Next::Close(reply) => {
                    reply.write_to(&mut out);
                    self.closed = true;
                    break;
                }
                Next::StartTls => {
                    self.engine.secured();
                    break;
                }
                Next::GoOn | Next::Line(_) => {}
            }
        }
        String::from_utf8(out).unwrap()
    }
}

#[test]
fn a_client_that_keeps_the_rules() {
    let mut dialogue = Dialogue::new(options(), Action::Drop);
    for (said, heard) in [
        ("NOOP x", "250 2.0.0 Ok\r\n"),
        ("mail from:<a@client.test>", "250 2.1.0 Ok\r\n"),
        ("MAIL FROM:<b@client.test>", "503 5.5.1 Error: nested MAIL command\r\n"),
        (
            "EHLO client.test extra",
            "250-mx.test\r\n250-SIZE 1000\r\n250-VRFY\r\n250-ETRN\r\n250-STARTTLS\r\n250-ENHANCEDSTATUSCODES\r\n\
             250-8BITMIME\r\n250-DSN\r\n250-SMTPUTF8\r\n250 CHUNKING\r\n",
        ),
        ("HELO client.test", "250 mx.test\r\n"),
        ("EHLO", "501 Syntax: EHLO hostname\r\n"),
        ("HELO ", "501 Syntax: HELO hostname\r\n"),
        ("RCPT TO:<r@mx.test>", "503 5.5.1 Error: need MAIL command\r\n"),
        ("MAIL", "501 5.5.4 Syntax: MAIL FROM:<address>\r\n"),
        ("MAIL FROM:<@route.test:a@client.test> BODY=8BITMIME", "250 2.1.0 Ok\r\n"),
        ("RCPT r@mx.test", "501 5.5.4 Syntax: RCPT TO:<address>\r\n"),
        ("RCPT TO:<\"r r\"@mx.test>", "450 4.3.2 Service currently unavailable\r\n"),
        ("VRFY", "501 5.5.4 Syntax: VRFY address\r\n"),
        ("VRFY r", "450 4.3.2 Service currently unavailable\r\n"),
        ("ETRN", "500 Syntax: ETRN domain\r\n"),
        ("ETRN x.test", "458 Unable to queue messages\r\n"),
        ("AUTH PLAIN", "502 5.5.2 Error: command not recognized\r\n"),
        ("FROBNICATE", "502 5.5.2 Error: command not recognized\r\n"),
        ("RSET", "250 2.0.0 Ok\r\n"),
        ("QUIT", "221 2.0.0 Bye\r\n"),
    ] {
        assert_eq!(dialogue.hear(format!("{said}\r\n").as_bytes()), heard, "{said}");
    }
    assert!(dialogue.closed);
    assert_eq!(
        dialogue.log,
        ["NOQUEUE: reject: RCPT from [192.0.2.1]:4711: 450 4.3.2 Service currently unavailable; \
          from=<a@client.test>, to=<\"r r\"@mx.test>, proto=ESMTP, helo=<client.test>"]
    );
    let passed = NOW + 100;
    assert_eq!(dialogue.stamps.to_string(), format!("0;0;{passed};{passed};{passed}"));
}

#[test]
fn clients_that_break_rules() {
    for (input, action, line, last) in [
        (
            &b"EHLO x\r\nMAIL FROM:<a@b.test>\r\n"[..],
            Action::Drop,
            "COMMAND PIPELINING from [192.0.2.1]:4711 after EHLO: MAIL FROM:<a@b.test>\\r\\n",
            "521 5.5.1 Protocol error\r\n",
        ),
        (
            b"EHLO x\n",
            Action::Drop,
            "BARE NEWLINE from [192.0.2.1]:4711 after EHLO x",
            "521 5.5.1 Protocol error\r\n",
        ),
        (
            b"GET / HTTP/1.0\r\n",
            Action::Drop,
            "NON-SMTP COMMAND from [192.0.2.1]:4711 after CONNECT: GET / HTTP/1.0",
            "521 5.7.0 Error: I can break rules, too. Goodbye.\r\n",
        ),
        (
            b"Subject: x\r\n",
            Action::Drop,
            "NON-SMTP COMMAND from [192.0.2.1]:4711 after CONNECT: Subject: x",
            "521 5.7.0 Error: I can break rules, too. Goodbye.\r\n",
        ),
        (
            b"\xff\xfe x\r\n",
            Action::Drop,
            "NON-SMTP COMMAND from [192.0.2.1]:4711 after CONNECT: ?? x",
            "521 5.7.0 Error: I can break rules, too. Goodbye.\r\n",
        ),
        (b"EHLO x\n", Action::Ignore, "BARE NEWLINE from [192.0.2.1]:4711 after EHLO x", "250 CHUNKING\r\n"),
        (
            b"GET x\r\n",
            Action::Enforce,
            "NON-SMTP COMMAND from [192.0.2.1]:4711 after CONNECT: GET x",
            "502 5.5.2 Error: command not recognized\r\n",
        ),
        (
            b"DATA\r\n",
            Action::Enforce,
            "DATA without valid RCPT from [192.0.2.1]:4711",
            "503 5.5.1 Error: need RCPT command\r\n",
        ),
        (
            b"DATA x\r\n",
            Action::Enforce,
            "DATA without valid RCPT from [192.0.2.1]:4711",
            "501 5.5.4 Syntax: DATA\r\n",
        ),
        (
            b"BDAT 5 LAST\r\nhello",
            Action::Drop,
            "BDAT without valid RCPT from [192.0.2.1]:4711",
            "554 5.5.1 Error: need MAIL command\r\n",
        ),
        (
            b"BDAT\r\n",
            Action::Drop,
            "BDAT without valid RCPT from [192.0.2.1]:4711",
            "501 5.5.4 Syntax: BDAT count [LAST]\r\n",
        ),
        (
            &[b'x'; 101],
            Action::Ignore,
            "COMMAND LENGTH LIMIT from [192.0.2.1]:4711 after CONNECT",
            "421 mx.test Service unavailable - try again later\r\n",
        ),
    ] {
        let mut dialogue = Dialogue::new(options(), action);
        let heard = dialogue.hear(input);
        assert_eq!(dialogue.log, [line]);
        assert!(heard.ends_with(last), "{line}: {heard}");
    }
}

#[test]
fn a_broken_rule_is_noted_once() {
    let mut dialogue = Dialogue::new(options(), Action::Enforce);
    dialogue.hear(b"EHLO x\nNOOP\nNOOP\nMAIL FROM:<a@b.test>\nRCPT TO:<c@d.test>\n");
    let notes: Vec<_> = dialogue.log.iter().map(|line| line.split(" from ").next().unwrap()).collect();
    assert_eq!(notes, ["BARE NEWLINE", "COMMAND PIPELINING", "NOQUEUE: reject: RCPT"]);
    assert!(dialogue.log[2].contains(": 550 5.5.1 Protocol error; from=<a@b.test>, to=<c@d.test>"));
}

#[test]
fn limits() {
    let mut options = options();
    options.command_count_limit = 2;
    let mut dialogue = Dialogue::new(options, Action::Ignore);
    // Exactly as long as allowed.
    let longest = format!("NOOP {}\r\n", "x".repeat(93));
    assert_eq!(dialogue.hear(longest.as_bytes()), "250 2.0.0 Ok\r\n");
    assert_eq!(dialogue.hear(b"NO"), "");
    assert_eq!(dialogue.hear(b"OP\0 secret\r\n"), "250 2.0.0 Ok\r\n", "a line ends at its first null");
    assert_eq!(dialogue.hear(b"NOOP\r\n"), "421 mx.test Service unavailable - try again later\r\n");
    assert_eq!(dialogue.log, ["COMMAND COUNT LIMIT from [192.0.2.1]:4711 after NOOP"]);
    let step = dialogue.engine.timed_out();
    assert_eq!(step.log, ["COMMAND TIME LIMIT from [192.0.2.1]:4711 after NOOP"]);
    let Next::Close(reply) = step.next else { panic!("{step:?}") };
    assert_eq!(reply.to_string(), "421 4.4.2 mx.test Error: timeout exceeded");
}

#[test]
fn starttls_forgets_what_was_said() {
    let mut options = options();
    (options.tls, options.helo_required) = (TlsOffer::Required, true);
    let mut dialogue = Dialogue::new(options, Action::Ignore);
    for (said, heard) in [
        ("MAIL FROM:<a@b.test>\r\n", "530 5.7.0 Must issue a STARTTLS command first\r\n"),
        ("RSET\r\n", "530 5.7.0 Must issue a STARTTLS command first\r\n"),
        ("NOOP\r\n", "250 2.0.0 Ok\r\n"),
        ("STARTTLS now\r\n", "501 5.5.4 Syntax: STARTTLS\r\n"),
        ("HELO x\r\n", "250 mx.test\r\n"),
        ("STARTTLS\r\nMAIL FROM:<evil@b.test>\r\n", "220 2.0.0 Ready to start TLS\r\n"),
        ("RCPT TO:<c@d.test>\r\n", "503 5.5.1 Error: need MAIL command\r\n"),
        ("MAIL FROM:<a@b.test>\r\n", "503 5.5.1 Error: send HELO/EHLO first\r\n"),
        ("STARTTLS\r\n", "554 5.5.1 Error: TLS already active\r\n"),
    ] {
        assert_eq!(dialogue.hear(said.as_bytes()), heard, "{said}");
    }
    assert!(!dialogue.hear(b"EHLO x\r\n").contains("STARTTLS"));
}

#[test]
fn starttls_that_is_not_there() {
    for (tls, has_certificates, tls_available, heard, offered) in [
        (TlsOffer::None, true, true, "502 5.5.1 Error: command not implemented\r\n", false),
        (TlsOffer::Offered, false, false, "502 5.5.1 Error: command not implemented\r\n", false),
        (TlsOffer::Offered, true, false, "454 4.7.0 TLS not available due to local problem\r\n", true),
    ] {
        let mut dialogue = Dialogue::new(Options { tls, has_certificates, ..options() }, Action::Ignore);
        dialogue.engine.tls_available = tls_available;
        assert_eq!(dialogue.hear(b"STARTTLS\r\n"), heard);
        assert_eq!(dialogue.hear(b"EHLO x\r\n").contains("STARTTLS"), offered, "{heard}");
    }
}
