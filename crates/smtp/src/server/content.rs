//! DATA and BDAT (RFC 5321 section 4.1.1.4, RFC 3030): from the last recipient to the reply that takes
//! responsibility.

use ::mail::{Detail, Reply};
use bytes::{Buf, BytesMut};

use super::command::{Verb, Word};
use super::notice::{Notice, printable};
use super::options::EhloKeyword;
use super::question::{Data, Pending, Question, Verdict};
use super::session::{Effect, Session};
use super::tally::{End, Reason, Stage};
use super::{Next, Step, reply};
use crate::decode::{BareNewline, ChunkDecoder, DataDecoder, Progress};

/// How much room the input buffer is given for one read of content, at least and at most.
const READ_SIZES: (usize, usize) = (8 * 1024, 64 * 1024);

/// How far a BDAT message has come.
#[derive(Debug)]
pub(super) enum Chunking {
    /// No BDAT in this transaction.
    Idle,
    /// Between two chunks.
    Open(ChunkDecoder),
    /// A chunk failed; the rest is skipped until LAST or RSET.
    Broken,
}

/// A session inside message content.
#[derive(Debug)]
pub struct BodyPhase {
    session: Session,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Data(DataDecoder),
    Chunk { decoder: ChunkDecoder, size: u64, left: u64, last: bool },
    Skip { left: u64, last: bool, reply: Reply },
}

/// The content is complete: see [`Question::EndOfData`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndOfData {
    /// Content size as Postfix counts it: with two bytes for each line end.
    pub size: u64,
    /// A lone LF ended a line somewhere.
    pub bare_lf: bool,
    bdat: bool,
}

/// What became of a message. Whoever answers `Queued` has it on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Commit {
    /// Stored under this queue id.
    Queued(String),
    /// Taken by someone else, whose reply this is (`smtpd_proxy_filter`); 2xx.
    Said(Reply),
    /// Refused.
    Refuse(Reply),
    /// Refused; hang up.
    RefuseAndClose(Reply),
}

impl Session {
    pub(super) fn data(self, words: &[Word]) -> Step {
        let refusal = if !matches!(self.chunking, Chunking::Idle) {
            reply::DATA_AFTER_BDAT
        } else if let Some(refusal) = self.no_recipients() {
            refusal
        } else if words.len() != 1 {
            reply::SYNTAX_DATA
        } else {
            return self.ask(Data { chunk: None }, Question::Data);
        };
        self.say(refusal, Effect::Failed)
    }

    /// With pipelining a client sends DATA before it knows that all recipients were refused.
    fn no_recipients(&self) -> Option<Reply> {
        match &self.transaction {
            None => Some(reply::NEED_RCPT),
            Some(transaction) if transaction.envelope.recipients.is_empty() => Some(reply::NO_RECIPIENTS),
            Some(_) => None,
        }
    }

    pub(super) fn bdat(mut self, words: &[Word], line: &str) -> Step {
        if self.discards(EhloKeyword::Chunking) {
            return self.say(reply::BDAT_OFF, Effect::Failed);
        }
        let Some((size, last)) = chunk_arguments(words) else {
            self.notices.push(Notice::MalformedBdat(printable(line, 100)));
            return self.say(reply::SYNTAX_BDAT, Effect::Failed);
        };
        if size == 0 && !last {
            self.notices.push(Notice::NullBdat);
            return self.skip(size, last, reply::NULL_BDAT);
        }
        match self.chunking {
            Chunking::Broken => self.skip(size, last, reply::chunk_discarded(size)),
            Chunking::Open(_) => self.chunk(size, last),
            Chunking::Idle => match self.no_recipients() {
                Some(refusal) => self.skip(size, last, refusal),
                None => self.ask(Data { chunk: Some((size, last)) }, Question::Data),
            },
        }
    }

    /// Receives a chunk that was allowed.
    fn chunk(mut self, size: u64, last: bool) -> Step {
        let limit = self.options.message_size_limit;
        if limit > 0 && self.content_bytes.saturating_add(size) > limit {
            self.notices.push(Notice::BdatTooLarge);
            return self.skip(size, last, reply::CHUNK_TOO_LARGE);
        }
        let decoder = match std::mem::replace(&mut self.chunking, Chunking::Broken) {
            Chunking::Open(decoder) => decoder,
            Chunking::Idle | Chunking::Broken => ChunkDecoder::new(self.options.bare_newline, limit),
        };
        self.stage = Stage::BdatContent;
        self.body(Content::Chunk { decoder, size, left: size, last })
    }

    /// Reads a chunk away, then says why it was not wanted. Content far over the limit is not even read.
    fn skip(mut self, size: u64, last: bool, reply: Reply) -> Step {
        let limit = self.options.message_size_limit;
        self.content_bytes = self.content_bytes.saturating_add(size);
        if limit > 0 && self.content_bytes / 3 * 2 > limit {
            self.notices.push(Notice::TooMuchBdat);
            return self.say_and_close(reply, Some(Reason::LostConnection));
        }
        self.body(Content::Skip { left: size, last, reply })
    }

    fn body(mut self, content: Content) -> Step {
        let notices = std::mem::take(&mut self.notices);
        Step {
            replies: Vec::new(),
            delay: 0,
            notices,
            next: Next::Body(BodyPhase { session: self, content }),
        }
    }

    /// Content refused by the session itself.
    fn refuse_content(mut self, verb: Verb, too_big: bool) -> Step {
        let reply = if too_big {
            self.notices.push(Notice::SizeLimitExceeded);
            reply::TOO_BIG
        } else {
            let stage = self.stage.name();
            self.notices.push(Notice::BareLfRejected(stage));
            reply::bare_lf(self.options.bare_newline_reject_code, &self.options.hostname)
        };
        self.reset_transaction();
        self.conclude(verb, Effect::Failed, reply)
    }

    fn conclude(mut self, verb: Verb, effect: Effect, reply: Reply) -> Step {
        let delay = self.delay();
        self.count(verb, effect);
        self.step(vec![reply], delay, None)
    }
}

/// `BDAT SIZE [LAST]`.
fn chunk_arguments(words: &[Word]) -> Option<(u64, bool)> {
    let last = match words {
        [_, _] => false,
        [_, _, last] if last.text.eq_ignore_ascii_case("LAST") => true,
        _ => return None,
    };
    let size = &words[1].text;
    if !size.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    size.parse().ok().filter(|&size| i64::try_from(size).is_ok()).map(|size| (size, last))
}

impl Pending<Data> {
    /// Lets the content come, or refuses it. A refused chunk is read away first.
    pub fn answer(self, verdict: Verdict) -> Step {
        let Pending { mut session, about: Data { chunk } } = self;
        let (refusal, close) = match verdict {
            Verdict::Accept | Verdict::AcceptWith(_) => (None, false),
            Verdict::Refuse(reply) => (Some(reply), false),
            Verdict::RefuseAndClose(reply) => (Some(reply), true),
        };
        match (refusal, chunk) {
            (Some(reply), _) if close => session.say_and_close(reply, None),
            (Some(reply), Some((size, last))) => session.skip(size, last, reply),
            (Some(reply), None) => session.say(reply, Effect::Failed),
            (None, Some((size, last))) => session.chunk(size, last),
            (None, None) => {
                let decoder =
                    DataDecoder::new(session.options.bare_newline, session.options.message_size_limit);
                session.stage = Stage::DataContent;
                let delay = session.delay();
                let Step { notices, next, .. } = session.body(Content::Data(decoder));
                Step { replies: vec![reply::START_DATA], delay, notices, next }
            }
        }
    }
}

impl BodyPhase {
    /// The session, whose transaction the content belongs to.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// True when all content read so far was decoded.
    pub fn needs_input(&self) -> bool {
        let complete = match &self.content {
            Content::Data(_) => false,
            Content::Chunk { left, .. } | Content::Skip { left, .. } => *left == 0,
        };
        self.session.input.is_empty() && !complete
    }

    /// Where input goes, with room for one read. Read only when [`BodyPhase::needs_input`] says so.
    pub fn input(&mut self) -> &mut BytesMut {
        // As much as has come so far: most messages are small, and large ones are read in few pieces.
        let so_far = usize::try_from(self.session.content_bytes).unwrap_or(usize::MAX);
        self.session.input.reserve(so_far.clamp(READ_SIZES.0, READ_SIZES.1));
        &mut self.session.input
    }

    /// Bytes that were read and are not decoded yet.
    pub fn unread(&self) -> usize {
        self.session.input.len()
    }

    /// Decodes what was read and appends it to `out`. When the next step is neither `Body`, nor [`Question::EndOfData`],
    /// nor leaves a transaction open, what was collected is to be dropped.
    pub fn decode(mut self, out: &mut Vec<u8>) -> Step {
        match &mut self.content {
            Content::Data(decoder) => {
                let (consumed, progress) = decoder.decode(&self.session.input, out);
                self.session.input.advance(consumed);
                self.session.content_bytes = decoder.size();
                match progress {
                    Progress::More => self.session.body(self.content),
                    Progress::Complete => {
                        let (too_big, bare_lf) = (decoder.too_big(), decoder.bare_lf());
                        self.session.end_of_content(Verb::Data, too_big, bare_lf)
                    }
                }
            }
            Content::Chunk { decoder, left, .. } => {
                let now = take(&self.session.input, left);
                decoder.decode(&self.session.input[..now], out);
                self.session.input.advance(now);
                self.session.content_bytes = decoder.size();
                if *left > 0 { self.session.body(self.content) } else { self.end_of_chunk(out) }
            }
            Content::Skip { left, .. } => {
                let now = take(&self.session.input, left);
                self.session.input.advance(now);
                if *left > 0 { self.session.body(self.content) } else { self.end_of_chunk(out) }
            }
        }
    }

    fn end_of_chunk(mut self, out: &mut Vec<u8>) -> Step {
        match self.content {
            Content::Chunk { mut decoder, size, last, .. } => {
                if last {
                    decoder.finish(out);
                    self.session.content_bytes = decoder.size();
                }
                let (too_big, bare_lf) = (decoder.too_big(), decoder.bare_lf());
                if last {
                    return self.session.end_of_content(Verb::Bdat, too_big, bare_lf);
                }
                let rejects = self.session.options.bare_newline == BareNewline::Reject;
                if too_big || (bare_lf && rejects) {
                    let mut step = self.session.refuse_content(Verb::Bdat, !(bare_lf && rejects));
                    if let Next::Read(session) = &mut step.next {
                        session.chunking = Chunking::Broken;
                    }
                    return step;
                }
                self.session.chunking = Chunking::Open(decoder);
                let reply = Reply::new(250, Detail(0, 0), format!("Ok: {size} bytes"));
                self.session.conclude(Verb::Bdat, Effect::Done, reply)
            }
            Content::Skip { last, reply, .. } => {
                if last {
                    self.session.reset_transaction();
                } else {
                    self.session.chunking = Chunking::Broken;
                }
                self.session.conclude(Verb::Bdat, Effect::Failed, reply)
            }
            Content::Data(_) => self.session.go_on(),
        }
    }

    /// Nothing came within `smtpd_timeout`.
    pub fn timed_out(self) -> Step {
        self.session.timed_out()
    }

    /// The connection was lost.
    pub fn lost(self) -> End {
        self.session.lost()
    }

    /// Hangs up with this reply: the message can not be stored, and waiting for its end makes no sense.
    pub fn give_up(self, reply: Reply) -> Step {
        self.session.give_up(reply)
    }
}

/// How much of the input belongs to a chunk; counts it off.
fn take(input: &BytesMut, left: &mut u64) -> usize {
    let now = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
    *left -= now as u64;
    now
}

impl Session {
    fn end_of_content(mut self, verb: Verb, too_big: bool, bare_lf: bool) -> Step {
        self.stage = Stage::EndOfMessage;
        if bare_lf && self.options.bare_newline == BareNewline::Note {
            self.tally.note_bare_lf();
        }
        // The most severe error is told: a lone LF comes before size, in Postfix's list.
        if bare_lf && self.options.bare_newline == BareNewline::Reject {
            return self.refuse_content(verb, false);
        }
        if too_big {
            return self.refuse_content(verb, true);
        }
        let about = EndOfData { size: self.content_bytes, bare_lf, bdat: verb == Verb::Bdat };
        self.ask(about, Question::EndOfData)
    }
}

impl Pending<EndOfData> {
    /// Tells the client what became of its message. Either way the transaction is over.
    pub fn answer(self, verdict: Commit) -> Step {
        let Pending { mut session, about: EndOfData { size, bdat, .. } } = self;
        session.reset_transaction();
        let verb = if bdat { Verb::Bdat } else { Verb::Data };
        let reply = match verdict {
            Commit::Queued(id) if bdat => {
                Reply::new(250, Detail(0, 0), format!("Ok: {size} bytes queued as {id}"))
            }
            Commit::Queued(id) => Reply::new(250, Detail(0, 0), format!("Ok: queued as {id}")),
            Commit::Said(reply) => reply,
            Commit::Refuse(reply) => return session.conclude(verb, Effect::Failed, reply),
            Commit::RefuseAndClose(reply) => return session.say_and_close(reply, None),
        };
        // A message that came in makes up for earlier errors.
        session.errors = 0;
        session.junk = 0;
        session.conclude(verb, Effect::Done, reply)
    }
}
