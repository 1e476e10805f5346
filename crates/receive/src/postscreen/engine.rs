//! The SMTP engine of the deep tests: it looks like a server, logs who sends what to whom, and takes no mail.
//!
//! Pure: bytes in, replies and log lines out. It differs from smtpd(8) as postscreen(8) does: every recipient is refused,
//! arguments that are not needed are ignored, DATA and BDAT end the session, and neither PIPELINING nor AUTH exists. What the
//! commands answer is in `commands.rs`.

use std::sync::Arc;

use bytes::{Buf, BytesMut};
use config::escape::{escape, printable};
use mail::{Detail, LogForm, Reply};
use smtp::server::{CommandList, EhloKeywords, TlsOffer};

use super::screening::{self, Policy, Screening};
use super::stamps::{Stamps, Test, UnixTime};

pub(super) use super::commands::Command;

/// Bytes of a client's text that are logged.
const SHOWN: usize = 100;

/// What the engine's sessions share.
pub(super) struct Options {
    /// `myhostname`.
    pub(super) hostname: String,
    /// `smtpd_banner`.
    pub(super) banner: String,
    /// `message_size_limit`; 0 is none.
    pub(super) message_size_limit: u64,
    /// `disable_vrfy_command`: VRFY is not announced.
    pub(super) hide_vrfy: bool,
    /// `postscreen_disable_vrfy_command`: it is not answered either.
    pub(super) disable_vrfy: bool,
    /// `postscreen_helo_required`.
    pub(super) helo_required: bool,
    /// `postscreen_tls_security_level`.
    pub(super) tls: TlsOffer,
    /// There are certificates, usable or not. Without any, STARTTLS is not implemented.
    pub(super) has_certificates: bool,
    /// `smtputf8_enable`.
    pub(super) smtputf8: bool,
    /// `postscreen_forbidden_commands`.
    pub(super) forbidden: CommandList,
    /// `line_length_limit`, in bytes.
    pub(super) line_length_limit: usize,
    /// `postscreen_command_count_limit`.
    pub(super) command_count_limit: u32,
    /// `soft_bounce`.
    pub(super) soft_bounce: bool,
    /// `info_log_address_format`
    pub(super) log_form: LogForm,
}

/// One session.
pub(super) struct Engine {
    pub(super) options: Arc<Options>,
    /// `[ADDRESS]:PORT`.
    pub(super) name: String,
    /// `postscreen_discard_ehlo_keywords`, or what the address map has for this client.
    pub(super) discard: EhloKeywords,
    /// The certificates are usable.
    pub(super) tls_available: bool,
    input: BytesMut,
    pub(super) in_tls: bool,
    pub(super) helo: Option<String>,
    pub(super) esmtp: bool,
    pub(super) sender: Option<String>,
    commands: u32,
    /// The last command's name, as log lines about what came after it have it.
    at: &'static str,
}

/// What is needed to judge a client.
pub(super) struct Judge<'a> {
    pub(super) policy: &'a Policy,
    pub(super) screening: &'a mut Screening,
    pub(super) stamps: &'a mut Stamps,
    pub(super) now: UnixTime,
}

/// What a session does after one event.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Step {
    /// Lines for the log.
    pub(super) log: Vec<String>,
    /// To be sent.
    pub(super) reply: Option<Reply>,
    pub(super) next: Next,
}

/// What has to happen now.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Next {
    /// Call [`Engine::next_line`].
    #[default]
    GoOn,
    /// There is no whole line: read.
    Read,
    /// A command line, which postscreen_command_filter may replace: [`Engine::execute`].
    Line(Vec<u8>),
    /// Shake hands after the reply: [`Engine::secured`].
    StartTls,
    /// Hang up with this reply.
    Close(Reply),
}

impl Step {
    pub(super) fn say(reply: Reply) -> Step {
        Step { reply: Some(reply), ..Step::default() }
    }

    pub(super) fn close(reply: Reply) -> Step {
        Step { next: Next::Close(reply), ..Step::default() }
    }

    fn read() -> Step {
        Step { next: Next::Read, ..Step::default() }
    }
}

impl Engine {
    /// A session that begins.
    pub(super) fn new(
        options: Arc<Options>,
        name: String,
        discard: EhloKeywords,
        tls_available: bool,
    ) -> Engine {
        Engine {
            options,
            name,
            discard,
            tls_available,
            input: BytesMut::new(),
            in_tls: false,
            helo: None,
            esmtp: false,
            sender: None,
            commands: 0,
            at: "CONNECT",
        }
    }

    /// `220 BANNER`.
    pub(super) fn greeting(&self) -> Reply {
        Reply::bare(220, self.options.banner.clone())
    }

    /// Where input goes. Filled only after [`Next::Read`], which bounds it.
    pub(super) fn input(&mut self) -> &mut BytesMut {
        self.input.reserve(4096);
        &mut self.input
    }

    /// Takes a command line from the input, and looks at how it ends.
    pub(super) fn next_line(&mut self, judge: &mut Judge<'_>) -> Step {
        let limit = self.options.line_length_limit;
        let end = memchr::memchr(b'\n', &self.input);
        if end.map_or(self.input.len() > limit, |end| end >= limit) {
            let log = format!("COMMAND LENGTH LIMIT from {} after {}", self.name, self.at);
            return Step { log: vec![log], ..Step::close(self.try_again_later()) };
        }
        let Some(end) = end else { return Step::read() };
        let line = self.input.split_to(end);
        self.input.advance(1);
        let mut step = Step::default();
        let text = match line.strip_suffix(b"\r") {
            Some(text) => text,
            None => {
                if judge.screening.watches(Test::BareNewline) {
                    let shown = escape(&line[..line.len().min(SHOWN)]);
                    step.log.push(format!("BARE NEWLINE from {} after {shown}", self.name));
                    if let Some(reply) = judge.fail(Test::BareNewline) {
                        step.next = Next::Close(reply);
                        return step;
                    }
                }
                &line
            }
        };
        // As in Postfix, whose lines are C strings.
        let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
        step.next = Next::Line(text.to_vec());
        step
    }

    /// Looks at a command, and answers it.
    pub(super) fn execute(&mut self, line: &[u8], judge: &mut Judge<'_>) -> Step {
        let (word, arguments) = next_word(line);
        let command = Command::find(word);
        let before = std::mem::replace(&mut self.at, command.map_or("UNIMPLEMENTED", Command::name));
        let mut log = Vec::new();

        if command.is_none() && judge.screening.watches(Test::NonSmtp) && self.is_foreign(word) {
            let (word, rest) = (printable(word), escape(&arguments[..arguments.len().min(SHOWN)]));
            log.push(format!("NON-SMTP COMMAND from {} after {before}: {word:.SHOWN$} {rest}", self.name));
            if let Some(reply) = judge.fail(Test::NonSmtp) {
                return Step { log, ..Step::close(reply) };
            }
        }
        let has_payload = command == Some(Command::Bdat);
        if !has_payload && judge.screening.watches(Test::Pipelining) && !self.input.is_empty() {
            let (word, ahead) = (printable(word), escape(&self.input[..self.input.len().min(SHOWN)]));
            log.push(format!("COMMAND PIPELINING from {} after {word:.SHOWN$}: {ahead}", self.name));
            if let Some(reply) = judge.fail(Test::Pipelining) {
                return Step { log, ..Step::close(reply) };
            }
        }
        if command == Some(Command::Rcpt) {
            judge.screening.reached_rcpt(judge.policy, judge.stamps, judge.now);
        }
        self.commands += 1;
        if self.commands > self.options.command_count_limit && command != Some(Command::Quit) {
            log.push(format!("COMMAND COUNT LIMIT from {} after {before}", self.name));
            return Step { log, ..Step::close(self.try_again_later()) };
        }
        let mut step = self.answer(command, arguments, judge.screening.refusal());
        log.append(&mut step.log);
        Step { log, ..step }
    }

    /// The handshake is over. What was said in the clear is forgotten (RFC 3207 section 4.2), and what was sent ahead of it
    /// never heard.
    pub(super) fn secured(&mut self) {
        self.in_tls = true;
        self.helo = None;
        self.sender = None;
        self.input.clear();
    }

    /// The client was silent for too long.
    pub(super) fn timed_out(&self) -> Step {
        let text = format!("{} Error: timeout exceeded", self.options.hostname);
        let log = format!("COMMAND TIME LIMIT from {} after {}", self.name, self.at);
        Step { log: vec![log], ..Step::close(Reply::new(421, Detail(4, 2), text)) }
    }

    fn try_again_later(&self) -> Reply {
        Reply::bare(421, format!("{} Service unavailable - try again later", self.options.hostname))
    }

    /// Is it a message header, no UTF-8, or one of `postscreen_forbidden_commands`?
    fn is_foreign(&self, word: &[u8]) -> bool {
        let header = word
            .iter()
            .position(|byte| *byte == b':')
            .is_some_and(|colon| colon > 0 && word[..colon].iter().all(u8::is_ascii_graphic));
        match std::str::from_utf8(word) {
            Ok(text) => header || self.options.forbidden.contains(text),
            Err(_) => header || self.options.smtputf8,
        }
    }
}

impl Judge<'_> {
    /// A deep test was failed; a reply ends the session.
    fn fail(&mut self, test: Test) -> Option<Reply> {
        match self.screening.fail_deep(self.policy, test, self.stamps, self.now) {
            screening::Next::Continue => None,
            screening::Next::Drop(reply) => Some(reply),
        }
    }
}

/// The first word, and what is behind the blanks after it.
pub(super) fn next_word(line: &[u8]) -> (&[u8], &[u8]) {
    let line = without_blanks(line);
    let end = line.iter().position(|byte| *byte == b' ').unwrap_or(line.len());
    (&line[..end], without_blanks(&line[end..]))
}

fn without_blanks(line: &[u8]) -> &[u8] {
    let begin = line.iter().position(|byte| *byte != b' ').unwrap_or(line.len());
    &line[begin..]
}

#[cfg(test)]
#[path = "engine_tests.rs"]
mod tests;
