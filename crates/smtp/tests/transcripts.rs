//! Dialogues as text files, run on the pure receiving session. What each line means stands in `transcripts/README.md`.

mod support;

use std::sync::Arc;

use mail::client::SaslFacts;
use mail::{ClientFacts, Reply, TlsFacts};
use smtp::decode::BareNewline;
use smtp::server::{
    Auth, AuthEvent, AuthVerdict, Commit, EhloKeywords, Next, Options, Question, Session, Step, TlsOffer,
    Verdict,
};

use support::{Line, escape, reply, tls_facts, transcripts};

#[test]
fn every_transcript_is_spoken_as_written() {
    let files = transcripts("server");
    assert!(files.len() >= 40, "only {} transcripts", files.len());
    let failures: Vec<_> =
        files.iter().filter_map(|(name, lines)| Server::new(lines).run(name, lines).err()).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Plays the driver: the session, what it said, and what the outside would decide.
struct Server {
    state: Option<State>,
    verdicts: Vec<(String, String, Reply)>,
    heard: Vec<String>,
    content: Vec<u8>,
}

/// Where the driver waits.
enum State {
    Begin(Arc<Options>, bool),
    Read(Session),
    Body(smtp::server::BodyPhase),
    StartTls(smtp::server::Upgrade),
}

impl Server {
    fn new(lines: &[Line]) -> Self {
        let mut options = Options {
            hostname: "mail.test".into(),
            banner: "mail.test ESMTP Postfix".into(),
            ..Options::default()
        };
        let mut wrapper = false;
        let mut verdicts = Vec::new();
        for line in lines {
            match line {
                Line::Option(name, value) if name == "wrapper" => wrapper = value == "yes",
                Line::Option(name, value) => set(&mut options, name, value),
                Line::Verdict(stage, about, text) => {
                    verdicts.push((stage.clone(), about.clone(), reply(text)))
                }
                _ => {}
            }
        }
        let state = Some(State::Begin(Arc::new(options), wrapper));
        Server { state, verdicts, heard: Vec::new(), content: Vec::new() }
    }

    fn run(mut self, name: &str, lines: &[Line]) -> Result<(), String> {
        // Bytes that are there before the greeting belong to the first step.
        let early = match lines.iter().find(|line| line.is_event()) {
            Some(Line::Raw(bytes)) => bytes.clone(),
            _ => Vec::new(),
        };
        self.begin(&early);
        let mut skip_early = !early.is_empty();
        let mut input = Vec::new();
        for line in lines {
            match line {
                Line::Peer(text) => {
                    input.extend_from_slice(text.as_bytes());
                    input.extend_from_slice(b"\r\n");
                }
                Line::Raw(_) if skip_early => skip_early = false,
                Line::Raw(bytes) => input.extend_from_slice(bytes),
                Line::Expect(expected) => {
                    self.feed(&mut input);
                    let heard =
                        if self.heard.is_empty() { "nothing".to_owned() } else { self.heard.remove(0) };
                    let matches = match expected.strip_suffix("...") {
                        Some(start) => heard.starts_with(start),
                        None => heard == *expected,
                    };
                    if !matches {
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
                    self.hang_up(*line == Line::Timeout);
                }
                Line::Option(..) | Line::Verdict(..) | Line::Comment => {}
            }
        }
        self.feed(&mut input);
        if self.heard.is_empty() { Ok(()) } else { Err(format!("{name}: not expected: {:?}", self.heard)) }
    }

    fn begin(&mut self, early: &[u8]) {
        let Some(State::Begin(options, wrapper)) = self.state.take() else { return };
        let mut client = ClientFacts::new(Some([192, 0, 2, 1].into()), 1025, None);
        client.name = "client.test".into();
        client.tls = wrapper.then(tls_facts);
        let mut step = Session::begin(options, client);
        if let Next::Ask(Question::Connect(question)) = &mut step.next {
            question.input().extend_from_slice(early);
        }
        self.carry_on(step);
    }

    fn feed(&mut self, input: &mut Vec<u8>) {
        if input.is_empty() {
            return;
        }
        let bytes = std::mem::take(input);
        match self.state.take() {
            Some(State::Read(mut session)) => {
                session.input().extend_from_slice(&bytes);
                self.carry_on(session.receive(false));
            }
            Some(State::Body(mut body)) => {
                body.input().extend_from_slice(&bytes);
                let step = body.decode(&mut self.content);
                self.carry_on(step);
            }
            // A closed session hears nothing more; neither does one that waits for a handshake.
            state => self.state = state,
        }
    }

    fn hang_up(&mut self, timeout: bool) {
        let end = match self.state.take() {
            Some(State::Read(session)) if timeout => return self.carry_on(session.timed_out()),
            Some(State::Body(body)) if timeout => return self.carry_on(body.timed_out()),
            Some(State::Read(session)) => session.lost(),
            Some(State::Body(body)) => body.lost(),
            Some(State::StartTls(upgrade)) => upgrade.failed(),
            _ => panic!("nothing to hang up"),
        };
        self.note_end(&end);
    }

    fn note_end(&mut self, end: &smtp::server::End) {
        self.heard.extend(end.abnormal().map(|text| format!("end: {text}")));
        self.heard.push(format!("end: {}", end.tally));
    }

    /// Carries out steps until the session needs input.
    fn carry_on(&mut self, step: Step) {
        let mut next = Some(step);
        while let Some(step) = next.take() {
            for notice in &step.notices {
                self.heard.push(format!("log: {}", notice.text("NOQUEUE", "client.test[192.0.2.1]")));
            }
            if step.delay > 0 {
                self.heard.push(format!("wait: {}", step.delay));
            }
            let mut wire = Vec::new();
            step.replies.iter().for_each(|reply| reply.write_to(&mut wire));
            let wire = String::from_utf8(wire).expect("replies are text");
            self.heard.extend(wire.split_terminator("\r\n").map(|line| format!("S: {line}")));
            match step.next {
                Next::Read(session) if session.needs_input() => {
                    if session.transaction().is_none() {
                        self.content.clear();
                    }
                    self.state = Some(State::Read(session));
                }
                Next::Read(session) => next = Some(session.receive(false)),
                Next::Ask(question) => next = Some(self.answer(question)),
                Next::Body(body) if body.needs_input() => self.state = Some(State::Body(body)),
                Next::Body(body) => next = Some(body.decode(&mut self.content)),
                Next::StartTls(upgrade) => self.state = Some(State::StartTls(upgrade)),
                Next::Close(end) => self.note_end(&end),
            }
        }
    }

    fn verdict(&self, stage: &str, about: &str) -> Verdict {
        match self.refusal(stage, about) {
            Some(reply) => Verdict::Refuse(reply),
            None => Verdict::Accept,
        }
    }

    fn refusal(&self, stage: &str, about: &str) -> Option<Reply> {
        let found = self.verdicts.iter().find(|(s, a, _)| s == stage && (a == about || a == "*"));
        found.map(|(.., reply)| reply.clone())
    }

    fn answer(&mut self, question: Question) -> Step {
        match question {
            Question::Connect(q) => q.answer(self.verdict("CONNECT", "")),
            Question::Helo(q) => {
                let verdict = self.verdict("HELO", &q.about.name);
                q.answer(verdict)
            }
            Question::Mail(q) => {
                let verdict = self.verdict("MAIL", q.about.address.as_str());
                q.legal().map_or_else(|step| *step, |q| q.answer(verdict))
            }
            Question::Rcpt(q) => {
                let verdict = self.verdict("RCPT", q.about.address.as_str());
                q.legal().map_or_else(|step| *step, |q| q.answer(verdict))
            }
            Question::Data(q) => q.answer(self.verdict("DATA", "")),
            Question::Vrfy(q) => {
                let verdict = self.verdict("VRFY", q.about.address.as_str());
                q.answer(verdict)
            }
            Question::Etrn(q) => {
                let verdict = self.verdict("ETRN", &q.about.domain);
                q.answer(verdict)
            }
            Question::StartTls(q) => q.answer(self.verdict("STARTTLS", "")),
            Question::Unknown(q) => q.answer(Verdict::Accept),
            Question::EndOfData(q) => {
                let content = std::mem::take(&mut self.content);
                match self.refusal("END-OF-MESSAGE", "") {
                    Some(reply) => q.answer(Commit::Refuse(reply)),
                    None => {
                        self.heard.push(format!("content: {}", escape(&content)));
                        q.answer(Commit::Queued("4Zabc".into()))
                    }
                }
            }
            Question::Auth(q) => {
                let text = match &q.about {
                    AuthEvent::Start { initial_response: None, .. } => {
                        return q.answer(AuthVerdict::Challenge("VXNlcm5hbWU6".into()));
                    }
                    AuthEvent::Start { initial_response: Some(text), .. } | AuthEvent::Response(text) => text,
                };
                let verdict = if text == "Z29vZA==" {
                    AuthVerdict::Accept(SaslFacts {
                        method: q.mechanism().into(),
                        username: "good".into(),
                        sender: None,
                    })
                } else {
                    AuthVerdict::Refuse(reply("535 5.7.8 Error: authentication failed: no such user"))
                };
                q.answer(verdict)
            }
        }
    }
}

/// Options by their main.cf names.
fn set(options: &mut Options, name: &str, value: &str) {
    let yes = value == "yes";
    let number = || value.parse().expect("a number");
    match name {
        "smtpd_authorized_xclient_hosts" => options.xclient = yes,
        "smtpd_authorized_xforward_hosts" => options.xforward = yes,
        "smtpd_helo_required" => options.helo_required = yes,
        "smtpd_tls_security_level" => {
            options.tls = match value {
                "may" => TlsOffer::Offered,
                "encrypt" => TlsOffer::Required,
                _ => TlsOffer::None,
            };
        }
        "certificates" => options.tls_available = yes,
        "smtpd_sasl_auth_enable" => options.auth = yes.then(Auth::default),
        "broken_sasl_auth_clients" => options.auth.as_mut().expect("auth first").broken_clients = yes,
        "smtpd_tls_auth_only" => options.auth.as_mut().expect("auth first").tls_only = yes,
        "smtpd_sasl_response_limit" => {
            options.auth.as_mut().expect("auth first").response_limit = number() as usize;
        }
        "message_size_limit" => options.message_size_limit = number(),
        "line_length_limit" => options.line_length_limit = number() as usize,
        "smtpd_recipient_limit" => options.recipient_limit = number() as usize,
        "smtpd_recipient_overshoot_limit" => options.recipient_overshoot_limit = number() as u32,
        "smtpd_soft_error_limit" => options.soft_error_limit = number() as u32,
        "smtpd_hard_error_limit" => options.hard_error_limit = number() as u32,
        "smtpd_junk_command_limit" => options.junk_command_limit = number() as u32,
        "disable_vrfy_command" => options.disable_vrfy = yes,
        "strict_rfc821_envelopes" => options.strict_rfc821_envelopes = yes,
        "smtputf8_enable" => options.smtputf8 = yes,
        "strict_smtputf8" => options.strict_smtputf8 = yes,
        "requiretls_enable" => options.requiretls = yes,
        "smtpd_discard_ehlo_keywords" => options.discard = EhloKeywords::parse(value),
        "smtpd_forbid_unauth_pipelining" => options.forbid_unauth_pipelining = yes,
        "smtpd_forbid_bare_newline" => {
            options.bare_newline = match value {
                "no" => BareNewline::No,
                "note" => BareNewline::Note,
                "reject" => BareNewline::Reject,
                _ => BareNewline::Normalize,
            };
        }
        "soft_bounce" => options.soft_bounce = yes,
        other => panic!("no such option: {other}"),
    }
}

#[test]
fn the_handshake_facts_are_the_sessions() {
    let facts: TlsFacts = tls_facts();
    let mut client = ClientFacts::new(None, 0, None);
    client.tls = Some(facts.clone());
    let Next::Ask(Question::Connect(question)) = Session::begin(Arc::new(Options::default()), client).next
    else {
        panic!("a session begins with the question whether it may");
    };
    assert_eq!(question.session().client().tls.as_ref(), Some(&facts));
}
