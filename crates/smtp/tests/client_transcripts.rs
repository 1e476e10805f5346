//! Dialogues as text files, run on the pure sending session. What each line means stands in `transcripts/README.md`.

mod support;

use std::sync::Arc;

use mail::{Address, BodyType, Envelope, Outcome, Recipient, Status, TlsFacts};
use smtp::client::{
    Afterwards, Clearance, Closed, Conversation, Done, Greeted, LoopDetection, Message, Next, Options, Peer,
    Protocol, Ready, Step, Upgrade, begin,
};
use smtp::server::EhloKeywords;

use support::{Line, tls_facts, transcripts};

#[test]
fn every_transcript_is_spoken_as_written() {
    let files = transcripts("client");
    assert!(files.len() >= 20, "only {} transcripts", files.len());
    let failures: Vec<_> =
        files.iter().filter_map(|(name, lines)| Client::new(lines).run(name, lines).err()).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// What the policy of these tests admits: everything, or nothing but TLS.
struct Policy {
    needs_tls: bool,
}

impl Clearance for Policy {
    fn admits(&self, facts: Option<&TlsFacts>) -> bool {
        facts.is_some() || !self.needs_tls
    }
}

/// Plays the driver.
struct Client {
    options: Options,
    message: Message,
    /// How many times to send the message.
    messages: usize,
    content: Vec<u8>,
    wrapper: bool,
    start_tls: bool,
    needs_tls: bool,
    auth: bool,
    probe: bool,
    /// The connection fails while content is written.
    lost_in_body: bool,
    state: Option<State>,
    heard: Vec<String>,
}

enum State {
    Read(Conversation),
    StartTls(Upgrade),
}

impl Client {
    fn new(lines: &[Line]) -> Self {
        let mut client = Client {
            options: Options { helo_name: "me.test".into(), ..Options::default() },
            message: Message::default(),
            messages: 1,
            content: b"x\n".to_vec(),
            wrapper: false,
            start_tls: false,
            needs_tls: false,
            auth: false,
            probe: false,
            lost_in_body: false,
            state: None,
            heard: Vec::new(),
        };
        client.message.envelope.sender =
            Address::internal("a@me.test").expect("as the transcripts are written");
        for line in lines {
            if let Line::Option(name, value) = line {
                client.set(name, value);
            }
        }
        if client.message.envelope.recipients.is_empty() {
            client.set("to", "b@mx.test");
        }
        client
    }

    fn set(&mut self, name: &str, value: &str) {
        let yes = value == "yes";
        let envelope: &mut Envelope = &mut self.message.envelope;
        match name {
            "to" => {
                envelope.recipients = value
                    .split(' ')
                    .map(|to| Recipient::new(Address::internal(to).expect("as the transcripts are written")))
                    .collect();
            }
            "size" => self.message.size = Some(value.parse().expect("as the transcripts are written")),
            "body" => {
                envelope.body = if value == "8BITMIME" { BodyType::EightBitMime } else { BodyType::SevenBit }
            }
            "needs_smtputf8" => self.message.needs_smtputf8 = yes,
            "messages" => self.messages = value.parse().expect("as the transcripts are written"),
            "content" => self.content = value.replace("\\n", "\n").into_bytes(),
            "wrapper" => self.wrapper = yes,
            "starttls" => self.start_tls = yes,
            "needs_tls" => self.needs_tls = yes,
            "auth" => self.auth = yes,
            "probe" => self.probe = yes,
            "purpose" if value == "probe" => envelope.purpose = mail::Purpose::Probe,
            "lost_in_body" => self.lost_in_body = yes,
            "lmtp" => self.options.protocol = if yes { Protocol::Lmtp } else { Protocol::Smtp },
            "smtp_skip_quit_response" => self.options.skip_quit_response = yes,
            "smtp_skip_5xx_greeting" => self.options.skip_5xx_greeting = yes,
            "smtp_always_send_ehlo" => self.options.always_send_ehlo = yes,
            "smtp_never_send_ehlo" => self.options.never_send_ehlo = yes,
            "smtp_discard_ehlo_keywords" => self.options.discard = EhloKeywords::parse(value),
            "smtp_line_length_limit" => {
                self.options.content_line_limit = value.parse().expect("as the transcripts are written")
            }
            "myhostname" => {
                self.options.loop_detection =
                    Some(LoopDetection { hostname: value.into(), next_hop: "mx.test".into(), best_mx: true });
            }
            other => panic!("no such option: {other}"),
        }
    }

    fn run(mut self, name: &str, lines: &[Line]) -> Result<(), String> {
        let peer = Peer { host: "mx.test".into(), address: "192.0.2.7".into(), port: Some(25) };
        let tls = self.wrapper.then(tls_facts);
        let step = begin(Arc::new(self.options.clone()), peer, tls);
        self.carry_on(step);
        let mut input = Vec::new();
        for line in lines {
            match line {
                Line::Peer(text) => {
                    input.extend_from_slice(text.as_bytes());
                    input.extend_from_slice(b"\r\n");
                }
                Line::Raw(bytes) => input.extend_from_slice(bytes),
                Line::Expect(expected) => {
                    self.feed(&mut input);
                    let heard =
                        if self.heard.is_empty() { "nothing".to_owned() } else { self.heard.remove(0) };
                    if heard != *expected {
                        let rest = &self.heard;
                        return Err(format!("{name}: expected {expected:?}, heard {heard:?}, then {rest:?}"));
                    }
                }
                Line::Tls => {
                    self.feed(&mut input);
                    let Some(State::StartTls(upgrade)) = self.state.take() else {
                        panic!("{name}: no handshake")
                    };
                    self.carry_on(upgrade.secured(tls_facts()));
                }
                Line::Lost | Line::Timeout => {
                    self.feed(&mut input);
                    match self.state.take() {
                        Some(State::Read(waiting)) if *line == Line::Lost => self.carry_on(waiting.lost()),
                        Some(State::Read(waiting)) => self.carry_on(waiting.timed_out()),
                        Some(State::StartTls(upgrade)) => self.closed(&upgrade.failed()),
                        None => panic!("{name}: nothing to lose"),
                    }
                }
                Line::Option(..) | Line::Verdict(..) | Line::Comment => {}
            }
        }
        self.feed(&mut input);
        if self.heard.is_empty() { Ok(()) } else { Err(format!("{name}: not expected: {:?}", self.heard)) }
    }

    fn feed(&mut self, input: &mut Vec<u8>) {
        if input.is_empty() {
            return;
        }
        let bytes = std::mem::take(input);
        if let Some(State::Read(mut waiting)) = self.state.take() {
            waiting.input().extend_from_slice(&bytes);
            self.carry_on(waiting.receive());
        }
    }

    fn wrote(&mut self, wire: &[u8]) {
        let wire = String::from_utf8_lossy(wire);
        self.heard.extend(wire.split_terminator("\r\n").map(|line| format!("C: {line}")));
    }

    fn carry_on(&mut self, step: Step) {
        let mut next = Some(step);
        while let Some(step) = next.take() {
            self.wrote(&step.send);
            let peer = Peer { host: "mx.test".into(), address: "192.0.2.7".into(), port: Some(25) };
            self.heard.extend(step.notices.iter().map(|notice| format!("log: {}", notice.text("ID", &peer))));
            match step.next {
                Next::Read(waiting) if waiting.needs_input() => self.state = Some(State::Read(waiting)),
                Next::Read(waiting) => next = Some(waiting.receive()),
                Next::Greeted(greeted) => next = Some(self.greeted(greeted)),
                Next::StartTls(upgrade) => self.state = Some(State::StartTls(upgrade)),
                Next::Challenge(challenge) => {
                    let response = challenge.text.to_lowercase();
                    next = Some(challenge.respond(&response));
                }
                Next::Ready(ready) => next = Some(self.send(ready)),
                Next::Body(body) if self.lost_in_body => next = Some(body.lost()),
                Next::Body(mut body) => {
                    let mut out = Vec::new();
                    let half = self.content.len() / 2;
                    body.encode(&self.content[..half], &mut out);
                    body.encode(&self.content[half..], &mut out);
                    let mut step = body.finish();
                    out.append(&mut step.send);
                    self.wrote(&out);
                    next = Some(step);
                }
                Next::Done(Done { outcomes, next: then }) => {
                    self.heard.extend(outcomes.iter().map(|outcome| format!("result: {}", told(outcome))));
                    match then {
                        Afterwards::Ready(ready) if self.messages > 0 && self.probe => {
                            next = Some(ready.probe())
                        }
                        Afterwards::Ready(ready) if self.messages > 0 => next = Some(self.send(ready)),
                        Afterwards::Ready(ready) => next = Some(ready.quit()),
                        Afterwards::Quit(parting) => {
                            self.heard.push("not to be used again".into());
                            next = Some(parting.quit());
                        }
                        Afterwards::Lost => self.heard.push("lost".into()),
                    }
                }
                Next::Closed(closed) => self.closed(&closed),
            }
        }
    }

    fn send(&mut self, ready: Ready) -> Step {
        self.messages = self.messages.saturating_sub(1);
        ready.transaction(self.message.clone(), false)
    }

    fn greeted(&mut self, greeted: Greeted) -> Step {
        if let Some(refusal) = greeted.starttls_refusal() {
            self.heard.push(format!("refused: {}", refusal.one_line()));
        } else if self.start_tls && greeted.features().starttls {
            return greeted.start_tls();
        }
        if let Some(refusal) = greeted.auth_refusal() {
            self.heard.push(format!("refused: {}", refusal.one_line()));
        } else if self.auth && !greeted.features().auth.is_empty() && !greeted.is_authenticated() {
            return greeted.authenticate("LOGIN", None);
        }
        match greeted.proceed(&Policy { needs_tls: self.needs_tls }) {
            Ok(ready) => self.send(ready),
            Err(_) => panic!("not admitted"),
        }
    }

    fn closed(&mut self, closed: &Closed) {
        self.heard.push(match &closed.outcome {
            Some(outcome) => format!("closed: {}", told(outcome)),
            None => "closed".into(),
        });
    }
}

fn told(outcome: &Outcome) -> String {
    assert_eq!(outcome.relay, "mx.test[192.0.2.7]:25");
    format!("{} {} {}", outcome.kind, outcome.status, outcome.text)
}

#[test]
fn mail_needs_a_clearance_for_this_very_connection() {
    let peer = || Peer { host: "mx.test".into(), address: "192.0.2.7".into(), port: Some(25) };
    for (tls, needs_tls, admitted) in
        [(None, false, true), (None, true, false), (Some(tls_facts()), true, true)]
    {
        let Next::Read(mut waiting) = begin(Arc::new(Options::default()), peer(), tls).next else {
            panic!("a session begins with the greeting");
        };
        waiting.input().extend_from_slice(b"220 mx.test ESMTP\r\n250 mx.test\r\n");
        let Next::Greeted(greeted) = waiting.receive().next else { panic!("greeted") };
        assert_eq!(greeted.proceed(&Policy { needs_tls }).is_ok(), admitted);
    }
}

#[test]
fn giving_up_inside_content_tells_every_recipient() {
    let peer = Peer { host: "mx.test".into(), address: "192.0.2.7".into(), port: None };
    let Next::Read(mut waiting) = begin(Arc::new(Options::default()), peer, None).next else {
        panic!("a session begins with the greeting");
    };
    waiting.input().extend_from_slice(b"220 mx.test ESMTP\r\n250 mx.test\r\n");
    let Next::Greeted(greeted) = waiting.receive().next else { panic!("greeted") };
    let ready = greeted.proceed(&Policy { needs_tls: false }).expect("plaintext is admitted");
    let recipient = Recipient::new(Address::internal("b@mx.test").expect("as the transcripts are written"));
    let envelope = Envelope { recipients: vec![recipient], ..Envelope::default() };
    let step = ready.transaction(Message { envelope, ..Message::default() }, false);
    let Next::Read(mut waiting) = step.next else { panic!("waits for MAIL's reply") };
    waiting.input().extend_from_slice(b"250 a\r\n250 b\r\n354 c\r\n");
    let Next::Body(body) = waiting.receive().next else { panic!("wants content") };
    let outcome = Outcome::deferred(Status::new(4, 3, 0), "none", "unreadable mail queue entry");
    let Next::Done(done) = body.abandon(outcome.clone()).next else { panic!("done") };
    assert_eq!(done.outcomes, [outcome]);
    assert!(matches!(done.next, Afterwards::Lost));
}
