//! The session: its state between two commands, the reading of a command line and the checks that come before
//! every command, in Postfix's order. Each command has a file of its own.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use ::mail::{ClientFacts, Reply};
use bytes::{Buf, BytesMut};
use mail::secret;
use memchr::memchr;

use super::command::{Verb, Word, looks_like_header, words};
use super::content::Chunking;
use super::mail::Transaction;
use super::notice::{Notice, escape, printable, without_credentials};
use super::options::{EhloKeyword, Options, TlsOffer};
use super::question::{Connect, Pending, Question, Unknown, Verdict};
use super::tally::{End, Reason, Stage, Tally};
use super::{Next, Step, reply};
use crate::decode::BareNewline;

/// How much room the input buffer is given for one read.
const READ_SIZE: usize = 2 * 1024;

/// One SMTP session between two events. A pointer, since a session is moved with each step, and a driver has room for several.
#[derive(Debug)]
pub struct Session(Box<State>);

/// What a session is made of; nobody else sees into it.
#[derive(Debug)]
pub struct State {
    pub(super) options: Arc<Options>,
    pub(super) client: ClientFacts,
    pub(super) input: BytesMut,
    pub(super) transaction: Option<Transaction>,
    pub(super) chunking: Chunking,
    /// The mechanism of an AUTH exchange in progress.
    pub(super) exchange: Option<String>,
    pub(super) tally: Tally,
    pub(super) stage: Stage,
    pub(super) notices: Vec<Notice>,
    pub(super) errors: u32,
    pub(super) junk: u32,
    /// Content bytes of the message in progress.
    pub(super) content_bytes: u64,
    /// Refused at connect time: only QUIT is left.
    pub(super) access_denied: bool,
    /// Improper pipelining is reported once.
    pub(super) pipelining_reported: bool,
}

impl Deref for Session {
    type Target = State;

    fn deref(&self) -> &State {
        &self.0
    }
}

impl DerefMut for Session {
    fn deref_mut(&mut self) -> &mut State {
        &mut self.0
    }
}

/// What a reply means for the session's counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// The command was carried out.
    Done,
    /// The command failed.
    Failed,
}

impl Session {
    /// Begins a session. `client.tls` is set when the connection began with a handshake (`smtpd_tls_wrappermode`).
    pub fn begin(options: Arc<Options>, client: ClientFacts) -> Step {
        let session = Session::of(State {
            options,
            client,
            input: BytesMut::new(),
            transaction: None,
            chunking: Chunking::Idle,
            exchange: None,
            tally: Tally::default(),
            stage: Stage::Connect,
            notices: Vec::new(),
            errors: 0,
            junk: 0,
            content_bytes: 0,
            access_denied: false,
            pipelining_reported: false,
        });
        session.ask(Connect { again: false }, Question::Connect)
    }

    pub(super) fn of(state: State) -> Session {
        Session(Box::new(state))
    }

    pub(super) fn into_state(self) -> State {
        *self.0
    }

    /// What is known of the client, HELO, TLS and authentication included.
    pub fn client(&self) -> &ClientFacts {
        &self.client
    }

    /// The settings of the service.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The mail transaction in progress. When this is `None` after a step, whatever was collected for a message
    /// that was not committed is to be dropped.
    pub fn transaction(&self) -> Option<&Transaction> {
        self.transaction.as_ref()
    }

    /// The last thing recognised.
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// Did the client send commands before it was allowed to?
    pub fn has_pipelined(&self) -> bool {
        self.pipelining_reported
    }

    /// Where input goes, with room for one read. Read only when [`Session::needs_input`] says so: that bounds it.
    pub fn input(&mut self) -> &mut BytesMut {
        self.input.reserve(READ_SIZE);
        &mut self.input
    }

    /// True when there is no whole command line yet, so that replies have to be flushed and input to be read.
    pub fn needs_input(&self) -> bool {
        self.input.len() < 2 * self.line_limit() && memchr(b'\n', &self.input).is_none()
    }

    /// The command line that [`Session::receive`] takes next, if it is there, as it came.
    pub fn waiting_line(&self) -> Option<&[u8]> {
        memchr(b'\n', &self.input).map(|end| &self.input[..end])
    }

    /// Takes one command line. `more_waiting` says that the connection has input beyond what is in the buffer; a driver that
    /// can not tell says false.
    pub fn receive(mut self, more_waiting: bool) -> Step {
        let limit = self.line_limit();
        let Some(end) = memchr(b'\n', &self.input) else {
            if self.needs_input() {
                return self.go_on();
            }
            // So much without a line end: not heard any more, as Postfix shuts its side down.
            self.note_long_request(limit);
            self.notices.push(Notice::Flood);
            let reply = reply::command_too_long(&self.options.hostname);
            return self.say_and_close(reply, Some(Reason::LostConnection));
        };
        // A CR LF that straddles the limit still belongs to the line.
        let length = if end == limit && self.input[end - 1] == b'\r' { end } else { end + 1 };
        if length > limit {
            self.note_long_request(limit);
            self.input.advance(end + 1);
            if self.exchange.take().is_some() {
                return self.say(reply::AUTH_TOO_LONG, Effect::Failed);
            }
            // Postfix counts this neither as a command nor as an error.
            let (delay, reply) = (self.delay(), reply::command_too_long(&self.options.hostname));
            return self.step(vec![reply], delay, None);
        }
        let line = self.input.split_to(end + 1);
        let line = match self.strip_line_end(&line) {
            Ok(line) => line,
            Err(reply) => return self.say_and_close(reply, None),
        };
        // Postfix's lines are C strings.
        let line = &line[..memchr(0, line).unwrap_or(line.len())];
        if self.options.tells_commands {
            let shown = String::from_utf8_lossy(line);
            let shown = match self.exchange {
                Some(_) if line != b"*" => secret::HIDDEN.to_owned(),
                _ => secret::without_secret(&shown).into_owned(),
            };
            self.notices.push(Notice::Heard(shown));
        }
        if self.exchange.is_some() {
            return self.auth_response(&String::from_utf8_lossy(line));
        }
        let line = match std::str::from_utf8(line) {
            Ok(line) => line.to_owned(),
            Err(_) if self.options.smtputf8 => return self.refuse_uncounted(reply::BAD_UTF8),
            Err(_) => String::from_utf8_lossy(line).into_owned(),
        };
        match self.options.command_filter.replace(line.trim_start_matches([' ', '\t'])) {
            Ok(None) => self.command(&line, more_waiting),
            Ok(Some(other)) => {
                let shown = |line: &str| {
                    let line = without_credentials(line.as_bytes());
                    printable(&String::from_utf8_lossy(line), usize::MAX)
                };
                self.notices.push(Notice::CommandReplaced { by: shown(&other), line: shown(&line) });
                self.command(&other, more_waiting)
            }
            Err(why) => {
                self.notices.push(Notice::CommandFilterFailed(why));
                let reply = reply::local_data_error(&self.options.hostname);
                let stage = self.stage.name();
                self.notices.push(Notice::Refused { stage, text: reply.to_string() });
                self.say_and_close(reply, None)
            }
        }
    }

    /// Nothing came within `smtpd_timeout`.
    pub fn timed_out(self) -> Step {
        let reply = reply::timeout(&self.options.hostname);
        self.say_and_close(reply, Some(Reason::Timeout))
    }

    /// The connection was lost.
    pub fn lost(self) -> End {
        self.end(Some(Reason::LostConnection))
    }

    /// Hangs up with this reply: the process stops, say.
    pub fn give_up(self, reply: Reply) -> Step {
        self.say_and_close(reply, None)
    }

    fn line_limit(&self) -> usize {
        match (&self.exchange, &self.options.auth) {
            (Some(_), Some(auth)) => auth.response_limit,
            _ => self.options.line_length_limit,
        }
    }

    fn note_long_request(&mut self, limit: usize) {
        // A response of AUTH can hold a password, of which not even the beginning belongs into a log.
        let shown = if self.exchange.is_some() { 0 } else { self.input.len().min(limit) };
        let start = String::from_utf8_lossy(&self.input[..shown]).into_owned();
        self.notices.push(Notice::LongRequest { limit, text: printable(&start, 30) });
    }

    /// Takes CR LF, or LF where that is allowed, off a line.
    fn strip_line_end<'a>(&mut self, line: &'a [u8]) -> Result<&'a [u8], Reply> {
        let mode = self.options.bare_newline;
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        if !mode.detects() {
            let end = line.iter().rposition(|&b| b != b'\r').map_or(0, |at| at + 1);
            return Ok(&line[..end]);
        }
        match line.strip_suffix(b"\r") {
            Some(line) => Ok(line),
            None if mode == BareNewline::Reject => {
                let stage = self.stage.name();
                self.notices.push(Notice::BareLfRejected(stage));
                Err(reply::bare_lf(self.options.bare_newline_reject_code, &self.options.hostname))
            }
            None => {
                if mode == BareNewline::Note {
                    self.tally.note_bare_lf();
                }
                Ok(line)
            }
        }
    }

    /// The checks that come before every command.
    fn command(mut self, line: &str, more_waiting: bool) -> Step {
        let words = words(line);
        let Some(first) = words.first() else { return self.refuse_uncounted(reply::BAD_SYNTAX) };
        let name = first.text.as_str();
        if self.options.noop_commands.contains(name) {
            let delay = self.delay();
            self.count_junk();
            return self.step(vec![reply::OK], delay, None);
        }
        let verb = Verb::find(name);
        self.tally.attempt(verb);
        let Some(verb) = verb else {
            self.stage = Stage::Unknown;
            if looks_like_header(name) || self.options.forbidden_commands.contains(name) {
                self.notices.push(Notice::NonSmtpCommand(escape(line.as_bytes(), 100)));
                return self.say_and_close(reply::GOODBYE, None);
            }
            if self.access_denied {
                let reply = self.denial();
                return self.refuse_uncounted(reply);
            }
            return self.ask(Unknown { line: line.to_owned() }, Question::Unknown);
        };
        if self.access_denied && verb != Verb::Quit {
            let reply = self.denial();
            return self.refuse_uncounted(reply);
        }
        if self.options.tls == TlsOffer::Required
            && self.client.tls.is_none()
            && !verb.is_allowed_before_tls()
        {
            return self.refuse_uncounted(reply::MUST_STARTTLS);
        }
        self.stage = Stage::Command(verb);
        // Without EHLO the client was never told that it may pipeline at all.
        if (!self.client.esmtp || verb.is_last_in_group()) && self.is_ahead(verb.name(), more_waiting) {
            return self.say_and_close(reply::SYNCHRONIZATION, None);
        }
        self.execute(verb, &words, line)
    }

    fn execute(self, verb: Verb, words: &[Word], line: &str) -> Step {
        match verb {
            Verb::Helo => self.helo(words, false),
            Verb::Ehlo => self.helo(words, true),
            Verb::Xclient => self.xclient(words),
            Verb::Xforward => self.xforward(words),
            Verb::StartTls => self.starttls(words),
            Verb::Auth => self.auth(words),
            Verb::Mail => self.mail(words),
            Verb::Rcpt => self.rcpt(words),
            Verb::Data => self.data(words),
            Verb::Bdat => self.bdat(words, line),
            Verb::Rset => self.rset(words),
            Verb::Noop => self.say(reply::OK, Effect::Done),
            Verb::Vrfy => self.vrfy(words),
            Verb::Etrn => self.etrn(words),
            Verb::Quit => self.quit(),
            Verb::Help => self.help(),
        }
    }

    /// Did the client send more than it may? Reported once; true when the session is to end for it.
    fn is_ahead(&mut self, after: &'static str, more_waiting: bool) -> bool {
        if self.options.stand_alone || self.pipelining_reported || (self.input.is_empty() && !more_waiting) {
            return false;
        }
        self.pipelining_reported = true;
        let text = escape(without_credentials(&self.input), 100);
        self.notices.push(Notice::ImproperPipelining { after, text });
        self.options.forbid_unauth_pipelining
    }

    fn denial(&self) -> Reply {
        reply::access_denied(&self.client.name_address())
    }

    pub(super) fn discards(&self, keyword: EhloKeyword) -> bool {
        self.options.discard.contains(keyword)
    }

    /// The transaction and the content that belongs to it go, whatever state they were in.
    pub(super) fn reset_transaction(&mut self) {
        self.transaction = None;
        self.client.forwarded = None;
        self.chunking = Chunking::Idle;
        self.content_bytes = 0;
    }

    /// An error before the command was looked at: no junk is counted. A line that is no command at all does not even count as an unknown one.
    fn refuse_uncounted(mut self, reply: Reply) -> Step {
        let delay = self.delay();
        self.errors += 1;
        self.step(vec![reply], delay, None)
    }

    /// Ends a command with a reply.
    pub(super) fn say(mut self, reply: Reply, effect: Effect) -> Step {
        let delay = self.delay();
        if let Stage::Command(verb) = self.stage {
            self.count(verb, effect);
        } else if effect == Effect::Failed {
            self.errors += 1;
        }
        self.step(vec![reply], delay, None)
    }

    /// Counts the end of a command.
    pub(super) fn count(&mut self, verb: Verb, effect: Effect) {
        match effect {
            Effect::Done => self.tally.success(verb),
            Effect::Failed => self.errors += 1,
        }
        if verb.is_junk() {
            self.count_junk();
        }
    }

    fn count_junk(&mut self) {
        if self.junk > self.options.junk_command_limit {
            self.errors += 1;
        }
        self.junk = self.junk.saturating_add(1);
    }

    /// One reply's delay: Postfix waits before every reply once the soft limit is reached.
    pub(super) fn delay(&self) -> u32 {
        u32::from(self.errors >= self.options.soft_error_limit)
    }

    /// Says something last.
    pub(super) fn say_and_close(mut self, reply: Reply, reason: Option<Reason>) -> Step {
        let delay = self.delay();
        let reply = self.soften(reply);
        let notices = std::mem::take(&mut self.notices);
        Step { replies: vec![reply], delay, notices, next: Next::Close(self.end(reason)) }
    }

    fn soften(&self, reply: Reply) -> Reply {
        if self.options.soft_bounce { reply.softened() } else { reply }
    }

    /// Sends replies and goes on, unless a reply hangs up or the error limit is reached.
    pub(super) fn step(
        mut self,
        mut replies: Vec<Reply>,
        mut delay: u32,
        next: Option<fn(Session) -> Next>,
    ) -> Step {
        if self.options.soft_bounce {
            replies = replies.into_iter().map(Reply::softened).collect();
        }
        let notices = std::mem::take(&mut self.notices);
        let next = if replies.iter().any(Reply::closes) {
            Next::Close(self.end(None))
        } else if self.errors >= self.options.hard_error_limit {
            delay += self.delay();
            replies.push(reply::too_many_errors(&self.options.hostname));
            Next::Close(self.end(Some(Reason::TooManyErrors)))
        } else {
            next.unwrap_or(Next::Read)(self)
        };
        Step { replies, delay, notices, next }
    }

    /// Nothing to say.
    pub(super) fn go_on(self) -> Step {
        self.step(Vec::new(), 0, None)
    }

    pub(super) fn ask<A>(mut self, about: A, question: fn(Pending<A>) -> Question) -> Step {
        let notices = std::mem::take(&mut self.notices);
        let next = Next::Ask(question(Pending { session: self, about }));
        Step { replies: Vec::new(), delay: 0, notices, next }
    }

    pub(super) fn end(self, reason: Option<Reason>) -> End {
        let State { stage, content_bytes, input, tally, .. } = self.into_state();
        End { reason, stage, bytes: content_bytes + input.len() as u64, tally }
    }
}

impl Pending<Unknown> {
    /// Says that there is no such command, or what a filter says of it.
    pub fn answer(self, verdict: Verdict) -> Step {
        match verdict {
            Verdict::Accept | Verdict::AcceptWith(_) => self.session.refuse_uncounted(reply::NOT_RECOGNIZED),
            Verdict::Refuse(reply) => self.session.refuse_uncounted(reply),
            Verdict::RefuseAndClose(reply) => self.session.say_and_close(reply, None),
        }
    }
}

impl Pending<Connect> {
    /// Greets, or refuses. After a refusal that does not hang up every command but QUIT is answered 503.
    pub fn answer(self, verdict: Verdict) -> Step {
        let mut session = self.session;
        // Behind a handshake nothing can have come too early.
        if session.client.tls.is_none() && session.is_ahead("CONNECT", false) {
            return session.say_and_close(reply::SYNCHRONIZATION, None);
        }
        let greeting = match verdict {
            Verdict::Accept => reply::greeting(&session.options.banner),
            Verdict::AcceptWith(reply) => reply,
            Verdict::Refuse(reply) => {
                let delay = session.delay();
                session.access_denied = true;
                session.errors += 1;
                return session.step(vec![reply], delay, None);
            }
            Verdict::RefuseAndClose(reply) => return session.say_and_close(reply, None),
        };
        session.step(vec![greeting], 0, None)
    }
}
