//! A session that waits for a reply, whatever it is about: reading, losing the connection, running out of time.

use std::sync::Arc;

use bytes::BytesMut;
use mail::{Outcome, Status, TlsFacts};
use memchr::memchr;

use super::features::Features;
use super::notice::Notice;
use super::options::Options;
use super::peer::Peer;
use super::reply::{ReplyReader, ServerReply};
use super::stage::Stage;
use super::transaction::{Afterwards, Done, Ready, Sending};
use super::{Next, Step, failure};

/// How much room the input buffer is given for one read.
const READ_SIZE: usize = 4096;

/// What lives as long as the connection.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) options: Arc<Options>,
    pub(super) peer: Peer,
    pub(super) input: BytesMut,
    pub(super) reader: ReplyReader,
    pub(super) tls: Option<TlsFacts>,
    pub(super) features: Features,
    /// AUTH succeeded.
    pub(super) authenticated: bool,
    /// The greeting is the one of a PIX firewall.
    pub(super) pix: bool,
    /// The protocol was broken on this connection: not to be used again.
    pub(super) broken: bool,
    pub(super) notices: Vec<Notice>,
}

impl Core {
    pub(super) fn new(options: Arc<Options>, peer: Peer, tls: Option<TlsFacts>) -> Core {
        let reader = ReplyReader::new(&options);
        Core {
            options,
            peer,
            input: BytesMut::new(),
            reader,
            tls,
            features: Features::default(),
            authenticated: false,
            pix: false,
            broken: false,
            notices: Vec::new(),
        }
    }

    pub(super) fn step(mut self, send: Vec<u8>, next: impl FnOnce(Core) -> Next) -> Step {
        let notices = std::mem::take(&mut self.notices);
        Step { send, notices, next: next(self) }
    }

    /// Sends a command and waits for the reply to it.
    pub(super) fn command(self, line: &str, state: State) -> Step {
        self.step(format!("{line}\r\n").into_bytes(), |core| Next::Read(Conversation { core, state }))
    }

    /// Leaves politely, without waiting for the answer, because of a failure.
    pub(super) fn leave(self, outcome: Outcome) -> Step {
        self.step(b"QUIT\r\n".to_vec(), |core| {
            Next::Closed(Closed { outcome: Some(outcome), stage: Stage::Quit, peer: core.peer })
        })
    }
}

/// What the reply is to.
#[derive(Debug)]
pub(super) enum State {
    Greeting,
    Ehlo,
    Helo,
    Lhlo,
    StartTls,
    Auth,
    Probe,
    /// XFORWARD commands in reverse, the last one under way, and the message.
    Xforward(Vec<String>, Box<Sending>),
    Sending(Box<Sending>),
    Resetting(Vec<Outcome>),
    Quit,
}

/// A session that waits for a reply.
#[derive(Debug)]
pub struct Conversation {
    pub(super) core: Core,
    pub(super) state: State,
}

/// A connection that is over.
#[derive(Debug)]
pub struct Closed {
    /// What it means for all recipients of the message that the connection was made for; `None` when nothing
    /// failed, or when the results were told before.
    pub outcome: Option<Outcome>,
    /// How far it got.
    pub stage: Stage,
    /// Who it was.
    pub peer: Peer,
}

impl Conversation {
    /// What the session waits for: chooses the time limit.
    pub fn stage(&self) -> Stage {
        match &self.state {
            State::Greeting => Stage::Greeting,
            State::Ehlo => Stage::Ehlo,
            State::Helo => Stage::Helo,
            State::Lhlo => Stage::Lhlo,
            State::StartTls => Stage::StartTls,
            State::Auth => Stage::Auth,
            State::Probe => Stage::Probe,
            State::Xforward(..) => Stage::Xforward,
            State::Sending(sending) => sending.stage(),
            State::Resetting(_) => Stage::Reset,
            State::Quit => Stage::Quit,
        }
    }

    /// Who the session talks to.
    pub fn peer(&self) -> &Peer {
        &self.core.peer
    }

    /// True when there is no whole line yet, so that what was sent has to be flushed and input to be read. A server
    /// may have said something before its time: that is looked at first.
    pub fn needs_input(&self) -> bool {
        memchr(b'\n', &self.core.input).is_none()
    }

    /// Where input goes, with room for one read.
    pub fn input(&mut self) -> &mut BytesMut {
        self.core.input.reserve(READ_SIZE);
        &mut self.core.input
    }

    /// Takes the replies that are there and goes on as far as they reach.
    pub fn receive(mut self) -> Step {
        let mut send = Vec::new();
        let mut notices = Vec::new();
        loop {
            let core = &mut self.core;
            let reply = core.reader.read(&mut core.input, core.features.pipelining, &mut core.notices);
            core.broken |= core.reader.garbled;
            let (mut step, goes_on) = match reply {
                Ok(Some(reply)) => (self.dispatch(reply), true),
                Ok(None) => (
                    self.core.step(Vec::new(), |core| Next::Read(Conversation { core, state: self.state })),
                    false,
                ),
                Err(_) => {
                    let text = format!("Protocol error: endless reply from host {}", self.core.peer);
                    let outcome = failure::local(&self.core.peer, Status::new(4, 5, 0), text);
                    (self.fail(outcome), false)
                }
            };
            send.append(&mut step.send);
            notices.append(&mut step.notices);
            match step.next {
                Next::Read(conversation) if goes_on && !conversation.core.input.is_empty() => {
                    self = conversation
                }
                next => return Step { send, notices, next },
            }
        }
    }

    /// The connection was lost.
    pub fn lost(self) -> Step {
        let outcome = failure::lost(&self.core.peer, self.stage());
        self.fail(outcome)
    }

    /// The reply did not come in time.
    pub fn timed_out(self) -> Step {
        let outcome = failure::timed_out(&self.core.peer, self.stage());
        self.fail(outcome)
    }

    /// Leaves without waiting for the reply that was expected, because of something decided outside.
    pub fn leave(self, outcome: Outcome) -> Step {
        self.core.leave(outcome)
    }

    fn dispatch(self, reply: ServerReply) -> Step {
        match self.state {
            State::Greeting => self.core.greeting(reply),
            State::Ehlo => self.core.ehlo(reply),
            State::Helo => self.core.helo(reply),
            State::Lhlo => self.core.lhlo(reply),
            State::StartTls => self.core.starttls_reply(reply),
            State::Auth => self.core.auth_reply(reply),
            State::Probe => self.core.probe_reply(reply),
            State::Xforward(left, sending) => sending.xforward_reply(self.core, left, &reply),
            State::Sending(sending) => sending.reply(self.core, reply),
            // Whatever the server thinks of RSET: the results stand already.
            State::Resetting(outcomes) => self.core.done(outcomes),
            State::Quit => self.core.step(Vec::new(), |core| {
                Next::Closed(Closed { outcome: None, stage: Stage::Quit, peer: core.peer })
            }),
        }
    }

    /// Ends the session without another word.
    fn fail(self, outcome: Outcome) -> Step {
        let stage = self.stage();
        let closed = |outcome| move |core: Core| Next::Closed(Closed { outcome, stage, peer: core.peer });
        match self.state {
            State::Sending(sending) | State::Xforward(_, sending) => sending.lost(self.core, outcome),
            State::Resetting(outcomes) => {
                self.core.step(Vec::new(), |_| Next::Done(Done { outcomes, next: Afterwards::Lost }))
            }
            State::Probe | State::Quit => self.core.step(Vec::new(), closed(None)),
            _ => self.core.step(Vec::new(), closed(Some(outcome))),
        }
    }
}

impl Core {
    fn probe_reply(self, reply: ServerReply) -> Step {
        let stage = Stage::Probe;
        self.step(Vec::new(), |core| match reply.is_positive() {
            true => Next::Ready(Ready { core }),
            false => Next::Closed(Closed { outcome: None, stage, peer: core.peer }),
        })
    }
}
