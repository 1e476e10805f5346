//! Whatever a peer sends, a session neither panics nor grows without bound.

mod support;

use std::sync::Arc;

use mail::{Address, ClientFacts, Envelope, Recipient, TlsFacts};
use proptest::prelude::*;
use smtp::client::{self, Clearance, Message, Peer};
use smtp::server::{Auth, AuthVerdict, Commit, Next, Options, Question, Session, Step, TlsOffer, Verdict};

/// Commands, their parts, and noise.
fn lines() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let words = prop_oneof![
        Just("EHLO x"),
        Just("HELO"),
        Just("MAIL FROM:<a@b>"),
        Just("RCPT TO:<a@b>"),
        Just("DATA"),
        Just("."),
        Just("BDAT 3"),
        Just("BDAT 3 LAST"),
        Just("BDAT 99999999999999999999"),
        Just("RSET"),
        Just("STARTTLS"),
        Just("AUTH PLAIN"),
        Just("*"),
        Just("VRFY <"),
        Just("ETRN [IPv6:"),
        Just("MAIL FROM:<\"a@b>"),
        Just("QUIT"),
        Just("MAIL FROM:<> SIZE=1 RET=FULL ENVID=+2B"),
        Just("RCPT TO:<a@b> NOTIFY=NEVER ORCPT=utf-8;\\x{"),
        Just(":"),
    ];
    let line = prop_oneof![
        4 => words.prop_map(|word| word.as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..60),
        1 => (0usize..6000).prop_map(|length| vec![b'x'; length]),
    ];
    let end = prop_oneof![8 => Just(&b"\r\n"[..]), 1 => Just(&b"\n"[..]), 1 => Just(&b""[..])];
    let line = (line, end).prop_map(|(mut line, end)| {
        line.extend_from_slice(end);
        line
    });
    proptest::collection::vec(line, 0..30)
}

/// Answers every question with yes until the session needs input or ends.
fn accept(mut step: Step) -> Option<Waiting> {
    let mut content = Vec::new();
    loop {
        step = match step.next {
            Next::Read(session) if session.needs_input() => return Some(Waiting::Line(session)),
            Next::Read(session) => session.receive(false),
            Next::Body(body) if body.needs_input() => return Some(Waiting::Body(body)),
            Next::Body(body) => body.decode(&mut content),
            Next::StartTls(upgrade) => upgrade.secured(support::tls_facts()),
            Next::Close(end) => {
                assert!(end.tally.to_string().contains("commands="));
                return None;
            }
            Next::Ask(question) => match question {
                Question::Connect(q) => q.answer(Verdict::Accept),
                Question::Helo(q) => q.answer(Verdict::Accept),
                Question::Mail(q) => q.legal().map_or_else(|step| *step, |q| q.answer(Verdict::Accept)),
                Question::Rcpt(q) => q.legal().map_or_else(|step| *step, |q| q.answer(Verdict::Accept)),
                Question::Data(q) => q.answer(Verdict::Accept),
                Question::Vrfy(q) => q.answer(Verdict::Accept),
                Question::Etrn(q) => q.answer(Verdict::Accept),
                Question::Unknown(q) => q.answer(Verdict::Accept),
                Question::StartTls(q) => q.answer(Verdict::Accept),
                Question::EndOfData(q) => q.answer(Commit::Queued("X".into())),
                Question::Auth(q) => q.answer(AuthVerdict::Challenge(String::new())),
            },
        };
    }
}

enum Waiting {
    Line(Session),
    Body(smtp::server::BodyPhase),
}

/// Replies, and what may stand for one.
const REPLIES: &[&[u8]] = &[
    b"220 x\r\n",
    b"250-x\r\n250-PIPELINING\r\n250 DSN\r\n",
    b"250 ok\r\n",
    b"354 go\r\n",
    b"550 no\r\n",
    b"421 4.3.2 bye\r\n",
    b"\xff\n",
    b"250-",
    b"2\n",
];

struct Yes;

impl Clearance for Yes {
    fn admits(&self, _: Option<&TlsFacts>) -> bool {
        true
    }
}

proptest! {
    #[test]
    fn session_never_panics(lines in lines(), forbid in any::<bool>(), errors in 1u32..40) {
        let options = Options {
            tls: TlsOffer::Offered,
            auth: Some(Auth::default()),
            forbid_unauth_pipelining: forbid,
            hard_error_limit: errors,
            message_size_limit: 100,
            ..Options::default()
        };
        let client = ClientFacts::new(None, 0, None);
        let mut waiting = accept(Session::begin(Arc::new(options), client));
        for line in lines {
            waiting = match waiting.take() {
                None => break,
                Some(Waiting::Line(mut session)) => {
                    session.input().extend_from_slice(&line);
                    accept(session.receive(false))
                }
                Some(Waiting::Body(mut body)) => {
                    body.input().extend_from_slice(&line);
                    accept(body.decode(&mut Vec::new()))
                }
            };
            if let Some(Waiting::Line(session)) = &mut waiting {
                prop_assert!(session.input().len() < 2 * 12_288, "input is bounded by the longest line");
            }
        }
    }

    #[test]
    fn client_never_panics(
        replies in proptest::collection::vec(proptest::sample::select(REPLIES), 0..30),
        lmtp in any::<bool>(),
    ) {
        let protocol = if lmtp { client::Protocol::Lmtp } else { client::Protocol::Smtp };
        let options = client::Options { protocol, ..client::Options::default() };
        let peer = Peer { host: "h".into(), address: "a".into(), port: None };
        let mut step = client::begin(Arc::new(options), peer, None);
        let recipient = Recipient::new(Address::internal("a@b").unwrap());
        let envelope = Envelope { recipients: vec![recipient; 3], ..Envelope::default() };
        let message = Message { envelope, ..Message::default() };
        let mut replies = replies.into_iter();
        loop {
            step = match step.next {
                client::Next::Read(waiting) if !waiting.needs_input() => waiting.receive(),
                client::Next::Read(mut waiting) => match replies.next() {
                    Some(reply) => {
                        waiting.input().extend_from_slice(reply);
                        waiting.receive()
                    }
                    None => waiting.lost(),
                },
                client::Next::Greeted(greeted) => {
                    let ready = greeted.proceed(&Yes).expect("admits everything");
                    ready.transaction(message.clone(), false)
                }
                client::Next::Ready(ready) => ready.quit(),
                client::Next::Body(body) => body.finish(),
                client::Next::Done(done) => {
                    prop_assert_eq!(done.outcomes.len(), 3, "every recipient has a result");
                    match done.next {
                        client::Afterwards::Ready(ready) => ready.transaction(message.clone(), false),
                        client::Afterwards::Quit(parting) => parting.quit(),
                        client::Afterwards::Lost => break,
                    }
                }
                client::Next::StartTls(_) | client::Next::Challenge(_) => unreachable!("not asked for"),
                client::Next::Closed(_) => break,
            };
        }
    }
}
