//! One message: MAIL, RCPT, DATA, content, and what became of each recipient. Pipelined where the server
//! offers that (RFC 2920), with an own final reply for each recipient in LMTP (RFC 2033).

use mail::{Outcome, Status, TlsFacts};

use super::conversation::{Closed, Conversation, Core, State};
use super::features::Features;
use super::message::Message;
use super::notice::Notice;
use super::options::Protocol;
use super::peer::Peer;
use super::reply::ServerReply;
use super::stage::Stage;
use super::{Next, Step, failure};
use crate::encode::DotEncoder;

/// Most bytes of commands under way at a time: both sides could wait for each other for ever once the
/// buffers between them are full. As Postfix.
const PIPELINING_BUFFER: usize = 4096;

/// A session that may send mail.
#[derive(Debug)]
pub struct Ready {
    pub(super) core: Core,
}

/// A session that can only leave: the server, or we, broke the protocol.
#[derive(Debug)]
pub struct Parting {
    core: Core,
}

/// What became of a message.
#[derive(Debug)]
pub struct Done {
    /// One for each recipient, in the order of the envelope.
    pub outcomes: Vec<Outcome>,
    /// What the session is good for now.
    pub next: Afterwards,
}

/// See [`Done`].
#[derive(Debug)]
pub enum Afterwards {
    /// Another message, under the same clearance.
    Ready(Ready),
    /// QUIT.
    Quit(Parting),
    /// Nothing; the connection is gone or in no state to be spoken on.
    Lost,
}

impl Ready {
    /// Who the session talks to.
    pub fn peer(&self) -> &Peer {
        &self.core.peer
    }

    /// What the server offers.
    pub fn features(&self) -> &Features {
        &self.core.features
    }

    /// What the handshake proved.
    pub fn tls(&self) -> Option<&TlsFacts> {
        self.core.tls.as_ref()
    }

    /// Has the server said nothing that was not asked for? Otherwise the next replies might be to other commands than they seem to be.
    pub fn is_quiet(&self) -> bool {
        self.core.input.is_empty()
    }

    /// Sends a message. `early_input` says that the connection has input waiting before MAIL FROM was sent; a driver
    /// that can not tell says false.
    pub fn transaction(self, message: Message, early_input: bool) -> Step {
        let core = self.core;
        let count = message.envelope.recipients.len();
        if let Some(outcome) = core.unfit(&message) {
            let outcomes = vec![outcome; count];
            return core.done(outcomes);
        }
        let early = core.options.block_early_mail_reply
            && core.tls.is_some()
            && (early_input || !core.input.is_empty());
        let sending = Sending {
            message,
            results: vec![None; count],
            accepted: Vec::new(),
            next: Command::Mail,
            expect: Command::Mail,
            under_way: 0,
            mail_refused: false,
            probes_data: core.options.probes_data,
            early,
            finals: 0,
            lost_in_body: false,
        };
        let mut commands = sending.message.xforward_commands(&core.features);
        commands.reverse();
        Box::new(sending).xforward(core, commands)
    }

    /// RSET, to see whether a connection that was kept still lives: `Ready` again, or `Closed` without an outcome.
    pub fn probe(self) -> Step {
        self.core.command("RSET", State::Probe)
    }

    /// Leaves.
    pub fn quit(self) -> Step {
        self.core.quit()
    }
}

impl Parting {
    /// Leaves.
    pub fn quit(self) -> Step {
        self.core.quit()
    }
}

impl Core {
    /// Why this server can not have this message, without asking it.
    fn unfit(&self, message: &Message) -> Option<Outcome> {
        if let (Some(limit), Some(size)) = (self.features.size_limit, message.size)
            && size > limit
        {
            let text = format!("message size {size} exceeds size limit {limit} of server {}", self.peer);
            return Some(failure::local(&self.peer, Status::new(5, 3, 4), text));
        }
        if message.needs_smtputf8 && !self.features.smtputf8 {
            let text = format!(
                "message requires SMTPUTF8, but no server was found that supports SMTPUTF8. The last attempted \
                 server was {}",
                self.peer
            );
            return Some(failure::local(&self.peer, Status::new(5, 6, 7), text));
        }
        None
    }

    fn quit(self) -> Step {
        if !self.options.skip_quit_response {
            return self.command("QUIT", State::Quit);
        }
        self.step(b"QUIT\r\n".to_vec(), |core| {
            Next::Closed(Closed { outcome: None, stage: Stage::Quit, peer: core.peer })
        })
    }

    pub(super) fn done(self, outcomes: Vec<Outcome>) -> Step {
        self.step(Vec::new(), |core| {
            let next = match core.broken {
                true => Afterwards::Quit(Parting { core }),
                false => Afterwards::Ready(Ready { core }),
            };
            Next::Done(Done { outcomes, next })
        })
    }
}

/// The commands of a transaction, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Command {
    Mail,
    Rcpt(usize),
    Data,
    /// In the place of DATA, when the envelope alone was the question.
    Rset,
    Dot,
}

/// A transaction under way. Sending runs ahead of receiving where the server offers PIPELINING.
#[derive(Debug)]
pub(super) struct Sending {
    message: Message,
    /// One for each recipient, once it is known.
    results: Vec<Option<Outcome>>,
    /// Indexes of the recipients that were accepted.
    accepted: Vec<usize>,
    /// What is sent next.
    next: Command,
    /// What the next reply belongs to.
    expect: Command,
    /// Bytes of commands without a reply.
    under_way: usize,
    mail_refused: bool,
    /// A probe asks as far as DATA.
    probes_data: bool,
    /// A reply to MAIL was there before the command.
    early: bool,
    /// Final replies that came (LMTP has several).
    finals: usize,
    /// Writing the content failed; a refusal that came before its time would tell why.
    lost_in_body: bool,
}

impl Sending {
    pub(super) fn stage(&self) -> Stage {
        match self.expect {
            Command::Mail => Stage::MailFrom,
            Command::Rcpt(_) => Stage::RcptTo,
            Command::Data | Command::Rset => Stage::Data,
            Command::Dot if self.lost_in_body => Stage::Body,
            Command::Dot => Stage::EndOfData,
        }
    }

    /// Tells who the client was, before the message.
    fn xforward(self: Box<Self>, core: Core, left: Vec<String>) -> Step {
        match left.last().cloned() {
            Some(line) => core.command(&line, State::Xforward(left, self)),
            None => self.go_on(core),
        }
    }

    /// A server that does not want to hear it hears the message all the same.
    pub(super) fn xforward_reply(
        self: Box<Self>,
        mut core: Core,
        mut left: Vec<String>,
        reply: &ServerReply,
    ) -> Step {
        let sent = left.pop().unwrap_or_default();
        if !reply.is_positive() {
            let about_name = [" NAME=", " ADDR=", " PORT="].iter().any(|word| sent.contains(word));
            core.notices.push(Notice::XforwardRefused { about_name, reply: reply.one_line() });
        }
        self.xforward(core, left)
    }

    /// Sends as many commands as may be under way, and waits for replies.
    fn go_on(mut self: Box<Self>, core: Core) -> Step {
        let mut send = Vec::new();
        while self.next != Command::Dot {
            let is_ahead = self.next != self.expect;
            if !is_ahead {
                self.under_way = 0;
                let is_void = match self.next {
                    Command::Rcpt(_) => self.mail_refused,
                    Command::Data => self.accepted.is_empty(),
                    Command::Mail | Command::Rset | Command::Dot => false,
                };
                if is_void {
                    return self.abort(core);
                }
            }
            let line = self.command_line(&core);
            if is_ahead && (!core.features.pipelining || self.under_way + line.len() + 2 > PIPELINING_BUFFER)
            {
                break;
            }
            self.under_way += line.len() + 2;
            send.extend_from_slice(line.as_bytes());
            send.extend_from_slice(b"\r\n");
            self.next = self.following(self.next);
        }
        core.step(send, |core| Next::Read(Conversation { core, state: State::Sending(self) }))
    }

    fn following(&self, command: Command) -> Command {
        let next = match command {
            Command::Mail => 0,
            Command::Rcpt(at) => at + 1,
            Command::Data | Command::Rset | Command::Dot => return Command::Dot,
        };
        match next < self.results.len() {
            true => Command::Rcpt(next),
            false if self.message.is_probe() && !self.probes_data => Command::Rset,
            false => Command::Data,
        }
    }

    fn command_line(&self, core: &Core) -> String {
        match self.next {
            Command::Mail => self.message.mail_command(&core.features, &core.options, core.authenticated),
            Command::Rcpt(at) => self.message.rcpt_command(at, &core.features, &core.options),
            Command::Data => "DATA".into(),
            Command::Rset => "RSET".into(),
            Command::Dot => ".".into(),
        }
    }

    /// Deals with one reply.
    pub(super) fn reply(mut self: Box<Self>, mut core: Core, reply: ServerReply) -> Step {
        let command = self.expect;
        match command {
            Command::Mail => {
                if !reply.is_positive() {
                    self.refuse_all(&mut core, &reply, Stage::MailFrom);
                    self.mail_refused = true;
                }
                if self.early {
                    core.notices.push(Notice::EarlyMailReply);
                    core.broken = true;
                    let text = "unexpected server message".to_owned();
                    self.fail_rest(&failure::local(&core.peer, Status::new(4, 7, 0), text));
                    self.mail_refused = true;
                }
            }
            Command::Rcpt(_) if self.mail_refused => {}
            Command::Rcpt(at) if reply.is_positive() => {
                self.accepted.push(at);
                if self.message.is_probe() && !self.probes_data {
                    self.results[at] = Some(failure::sent(&core.peer, &reply));
                }
            }
            Command::Rcpt(at) => {
                core.broken |= reply.is_protocol_trouble();
                self.results[at] = Some(failure::said(&core.peer, &reply, Stage::RcptTo));
            }
            // Nobody's fate hangs on this reply any more.
            Command::Rset => {
                core.broken |= !reply.is_positive();
                return self.finish(core);
            }
            Command::Data => {
                self.expect = Command::Dot;
                if reply.class() != 3 {
                    if !self.accepted.is_empty() {
                        self.refuse_all(&mut core, &reply, Stage::Data);
                    }
                    return self.abort(core);
                }
                if self.accepted.is_empty() {
                    // RFC 2920 section 3.1: DATA was under way when the last recipient was refused.
                    return core.step(b".\r\n".to_vec(), |core| {
                        Next::Read(Conversation { core, state: State::Sending(self) })
                    });
                }
                if self.message.is_probe() {
                    // There is no way to take DATA back but to hang up.
                    let outcome = failure::sent(&core.peer, &reply);
                    return self.lost(core, outcome);
                }
                let encoder = DotEncoder::new(core.options.content_line_limit);
                return core.step(Vec::new(), |core| Next::Body(BodyPhase { core, sending: self, encoder }));
            }
            Command::Dot => return self.final_reply(core, reply),
        }
        self.expect = self.following(self.expect);
        // Replies come in groups: the next command is sent only when all of them were looked at.
        if self.next != self.expect && !core.input.is_empty() {
            return self.wait(core);
        }
        self.go_on(core)
    }

    fn wait(self: Box<Self>, core: Core) -> Step {
        core.step(Vec::new(), |core| Next::Read(Conversation { core, state: State::Sending(self) }))
    }

    fn final_reply(mut self: Box<Self>, mut core: Core, reply: ServerReply) -> Step {
        // With no recipient accepted, the reply is about an empty message that no one waits for.
        if self.accepted.is_empty() {
            return self.finish(core);
        }
        core.broken |= self.lost_in_body;
        if core.options.protocol == Protocol::Smtp {
            if reply.is_positive() {
                let outcome = failure::sent(&core.peer, &reply);
                self.fail_rest(&outcome);
            } else {
                self.refuse_all(&mut core, &reply, Stage::EndOfData);
            }
            return self.finish(core);
        }
        let outcome = if reply.is_positive() {
            failure::sent(&core.peer, &reply)
        } else {
            core.broken |= reply.is_protocol_trouble();
            failure::said(&core.peer, &reply, Stage::EndOfData)
        };
        if let Some(&at) = self.accepted.get(self.finals) {
            self.results[at] = Some(outcome);
        }
        self.finals += 1;
        if self.finals < self.accepted.len() {
            return self.wait(core);
        }
        self.finish(core)
    }

    fn refuse_all(&mut self, core: &mut Core, reply: &ServerReply, stage: Stage) {
        core.broken |= reply.is_protocol_trouble();
        self.fail_rest(&failure::said(&core.peer, reply, stage));
    }

    /// The same outcome for every recipient that has none yet.
    fn fail_rest(&mut self, outcome: &Outcome) {
        for result in &mut self.results {
            result.get_or_insert_with(|| outcome.clone());
        }
    }

    /// The transaction failed as a whole, and every reply is in.
    fn abort(self: Box<Self>, core: Core) -> Step {
        let outcomes = self.outcomes(&core.peer);
        core.command("RSET", State::Resetting(outcomes))
    }

    fn finish(self: Box<Self>, core: Core) -> Step {
        let outcomes = self.outcomes(&core.peer);
        core.done(outcomes)
    }

    /// The connection failed.
    pub(super) fn lost(mut self: Box<Self>, core: Core, outcome: Outcome) -> Step {
        self.fail_rest(&outcome);
        let outcomes = self.outcomes(&core.peer);
        core.step(Vec::new(), |_| Next::Done(Done { outcomes, next: Afterwards::Lost }))
    }

    /// Every recipient has a result by now; one that has none would be tried again.
    fn outcomes(self, peer: &Peer) -> Vec<Outcome> {
        let stage = self.stage();
        self.results.into_iter().map(|result| result.unwrap_or_else(|| failure::lost(peer, stage))).collect()
    }
}

/// A session that waits for message content: the server said 354.
#[derive(Debug)]
pub struct BodyPhase {
    core: Core,
    sending: Box<Sending>,
    encoder: DotEncoder,
}

impl BodyPhase {
    /// Who the session talks to.
    pub fn peer(&self) -> &Peer {
        &self.core.peer
    }

    /// Encodes a piece of the message, whose lines end in LF, for writing.
    pub fn encode(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        self.encoder.encode(chunk, out);
    }

    /// A line had to be broken: [`DotEncoder::folded`].
    pub fn folded(&self) -> bool {
        self.encoder.folded()
    }

    /// The end of data is to be written by itself, after a pause (a workaround for PIX firewalls).
    pub fn pauses_before_the_end(&self) -> bool {
        self.core.pix && self.core.options.pix.delay_dot
    }

    /// All content was encoded and written: `send` completes it.
    pub fn finish(self) -> Step {
        let BodyPhase { mut core, sending, encoder } = self;
        if encoder.folded() {
            core.notices.push(Notice::BreakingLine(core.options.content_line_limit));
        }
        let mut send = Vec::new();
        encoder.finish(&mut send);
        core.step(send, |core| Next::Read(Conversation { core, state: State::Sending(sending) }))
    }

    /// Writing failed because the connection was lost. The server may have said why before it left, so one reply is
    /// still read.
    pub fn lost(mut self) -> Step {
        self.sending.lost_in_body = true;
        self.core
            .step(Vec::new(), |core| Next::Read(Conversation { core, state: State::Sending(self.sending) }))
    }

    /// Writing took too long.
    pub fn timed_out(self) -> Step {
        let outcome = failure::timed_out(&self.core.peer, Stage::Body);
        self.sending.lost(self.core, outcome)
    }

    /// The content can not be had or not be converted. There is no way to cancel DATA but to hang up.
    pub fn abandon(self, outcome: Outcome) -> Step {
        self.sending.lost(self.core, outcome)
    }
}
