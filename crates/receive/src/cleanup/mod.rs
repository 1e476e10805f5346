//! What is done to a message between the client and the queue (cleanup(8)), the same for the network and for pickup.
//!
//! [`Intake`] takes the content of one message in pieces of any size and keeps the message at the end. After a trouble
//! it goes on taking and throws away, so that a client hears of it where SMTP allows: behind the end of data.

mod body;
mod characters;
pub(crate) mod checks;
pub(crate) mod envelope;
mod full_name;
pub(crate) mod header;
mod milters;
pub(crate) mod received;
pub(crate) mod services;
mod strict;

use std::sync::Arc;
use std::time::SystemTime;

use access::Effect;
use link::message::NewMessage;
use mail::mime::SevenBit;
use mail::{Address, BodyType, Detail, Envelope, Message, Origin, QueueId, Reply, Status};
use maillog::Log;
use route::{Context, Failed, Routing};

use crate::content::Content;
use crate::milter::{Filtering, Milters};
use crate::queue_link::{NotKept, QueueLink};
use body::BodyPass;
use characters::Characters;
use checks::{About, Checking};
use envelope::{EnvelopeError, EnvelopeRules};
use header::{HeaderPass, HeaderRules, Missing};
use services::Overrides;
use strict::{Strict, Strictness};

/// What a line without an end counts more than another ([`mail::DataSize`]): Postfix ends it with a piece of its own.
const EMPTY_RECORD: u64 = 2;

/// The settings and tables of cleanup for one service.
pub(crate) struct Cleanup {
    pub(crate) log: Log,
    pub(crate) routing: Arc<Routing>,
    pub(crate) header: Arc<HeaderRules>,
    pub(crate) envelope: EnvelopeRules,
    /// `message_size_limit` in bytes; 0 is no limit.
    pub(crate) size_limit: u64,
    /// `line_length_limit`
    pub(crate) line_length: usize,
    /// `non_smtpd_milters`.
    pub(crate) milters: Milters,
    pub(crate) characters: Characters,
    /// `None`: content may be what it likes.
    pub(crate) strictness: Option<Strictness>,
    /// `force_mime_input_conversion`
    pub(crate) converts: bool,
}

/// One message on its way in.
pub(crate) struct Intake {
    cleanup: Arc<Cleanup>,
    queue: Arc<QueueLink>,
    id: QueueId,
    arrival: SystemTime,
    sender: Address,
    full_name: Option<String>,
    header: HeaderPass,
    /// When tables look at what comes behind the header.
    body: Option<BodyPass>,
    /// When strictness was asked for.
    strict: Option<Strict>,
    /// When 8-bit content becomes quoted-printable.
    conversion: Option<SevenBit>,
    checking: Checking,
    overrides: Overrides,
    raw: Vec<u8>,
    /// Where in the content's buffer that begins which nothing else is to look at.
    untouched: Option<usize>,
    content: Content,
    /// Lines that the end of the input ended.
    cut_lines: u64,
    trouble: Option<Trouble>,
    /// Nobody gets this message.
    discard: bool,
    /// The message that it is made from, when that goes through cleanup once more.
    replaces: Option<QueueId>,
    /// It is refused, and kept so that its sender can be told.
    is_returned: bool,
}

/// What an intake is begun with.
pub(crate) struct Beginning {
    /// The message's id.
    pub(crate) id: QueueId,
    /// When it came.
    pub(crate) arrival: SystemTime,
    /// The sender as the client gave it.
    pub(crate) sender: Address,
    /// `-F` of sendmail.
    pub(crate) full_name: Option<String>,
    /// Whose headers these are.
    pub(crate) context: Context,
    /// The Received: header, and those of PREPEND actions before it; with line ends.
    pub(crate) first_lines: String,
    /// For the log lines of header and body checks.
    pub(crate) about: About,
    pub(crate) overrides: Overrides,
    /// A DISCARD action was taken: the content is heard and thrown away.
    pub(crate) discard: bool,
}

/// Why a message was not kept. The client hears [`Trouble::reply`]; a reason goes to the log when it happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The disk is full.
    NoSpace,
    /// The queue can not be reached or can not write.
    QueueFile,
    /// A table that the addresses are rewritten with failed.
    Table,
    /// Virtual aliases without end.
    Expansion,
    /// `hopcount_limit` Received: headers.
    TooManyHops,
    /// A REJECT action of header or body checks.
    Rejected {
        /// Class 4 or 5.
        status: Status,
        /// The reason.
        text: String,
    },
    /// A Milter's reply.
    Milter(Reply),
    /// Too big after a Milter's change.
    TooBig,
}

impl Trouble {
    /// smtpd(8)'s reply.
    pub(crate) fn reply(&self) -> Reply {
        let (code, detail, text) = match self {
            Trouble::NoSpace => (452, Detail(3, 1), "Error: insufficient system storage"),
            Trouble::QueueFile => (451, Detail(3, 0), "Error: queue file write error"),
            Trouble::Table => (451, Detail(3, 0), "Error: queue file write error"),
            Trouble::Expansion => (451, Detail(6, 0), "Alias expansion error"),
            Trouble::TooManyHops => (554, Detail(4, 0), "Error: too many hops"),
            Trouble::TooBig => (552, Detail(3, 4), "Error: message file too big"),
            Trouble::Milter(reply) => return reply.clone(),
            Trouble::Rejected { status, text } => {
                let code = if status.class == 4 { 451 } else { 550 };
                return Reply::new(code, status.detail, text.clone());
            }
        };
        Reply::new(code, detail, text)
    }
}

impl Cleanup {
    fn table_failed(&self, id: &QueueId, why: &str) -> Trouble {
        maillog::warning!(self.log, "{id}: {why} -- message not accepted, try again later");
        Trouble::Table
    }

    fn not_kept(&self, id: &QueueId, why: NotKept) -> Trouble {
        match why {
            NotKept::NoSpace => {
                maillog::warning!(self.log, "{id}: write queue file: no space left on device");
                Trouble::NoSpace
            }
            NotKept::Failed(why) => {
                maillog::warning!(self.log, "{id}: write queue file: {why}");
                Trouble::QueueFile
            }
        }
    }
}

impl Intake {
    /// Begins a message.
    pub(crate) async fn begin(cleanup: Arc<Cleanup>, queue: Arc<QueueLink>, beginning: Beginning) -> Intake {
        let Beginning { id, arrival, sender, full_name, context, first_lines, .. } = beginning;
        let Beginning { about, discard, overrides, .. } = beginning;
        let mut trouble = None;
        let sender = match cleanup.envelope.sender(&cleanup.routing, &sender, overrides.mappings).await {
            Ok(sender) => sender,
            Err(Failed { reason }) => {
                trouble = Some(cleanup.table_failed(&id, &reason));
                sender
            }
        };
        let content = Content::new(id, Arc::clone(&queue), cleanup.line_length);
        let header = HeaderPass::new(Arc::clone(&cleanup.header), context, &overrides);
        let mut intake = Intake {
            header,
            body: None,
            strict: cleanup.strictness.filter(|_| overrides.checks).map(Strict::new),
            conversion: cleanup.converts.then(|| SevenBit::new(cleanup.header.checks.mime_limits)),
            checking: Checking::new(about, overrides.checks),
            overrides,
            raw: Vec::new(),
            untouched: None,
            cleanup,
            queue,
            id,
            arrival,
            sender,
            full_name,
            content,
            cut_lines: 0,
            trouble,
            discard,
            replaces: None,
            is_returned: false,
        };
        intake.take_first(first_lines).await;
        intake
    }

    async fn take_first(&mut self, lines: String) {
        if self.discard || self.trouble.is_some() {
            return;
        }
        let missing = Missing {
            id: &self.id,
            sender: &self.sender,
            full_name: self.full_name.as_deref(),
            arrival: self.arrival,
        };
        let out = self.content.buffer();
        let passed = self.header.pass_before(lines.into_bytes(), out, &mut self.checking, &missing).await;
        if let Err(failed) = passed {
            self.trouble = Some(self.cleanup.table_failed(&self.id, &failed.reason));
        }
        self.take_verdicts();
    }

    /// The message takes the place of another in the queue.
    pub(crate) fn replace(&mut self, old: QueueId, is_returned: bool) {
        self.replaces = Some(old);
        self.is_returned = is_returned;
    }

    /// Where content is put before [`Intake::take`].
    pub(crate) fn raw(&mut self) -> &mut Vec<u8> {
        if self.is_looked_at() {
            return &mut self.raw;
        }
        // It stays where it is put.
        let content = self.content.buffer();
        self.untouched.get_or_insert(content.len());
        content
    }

    /// Does anything but [`Characters::replace_stray`] see what comes next?
    fn is_looked_at(&self) -> bool {
        self.discard
            || self.trouble.is_some()
            || self.header.is_open()
            || self.body.is_some()
            || self.strict.is_some()
            || self.conversion.is_some()
            || !self.cleanup.characters.only_replaces(self.overrides.checks)
    }

    /// Ends a line of mail that is a file, when that ends in the middle of it.
    pub(crate) async fn take_line_end(&mut self) {
        self.raw().push(b'\n');
        self.cut_lines += 1;
        self.take().await;
    }

    /// Takes what was put into [`Intake::raw`].
    pub(crate) async fn take(&mut self) {
        if let Some(from) = self.untouched.take() {
            self.cleanup.characters.replace_stray(&mut self.content.buffer()[from..]);
            return self.settle().await;
        }
        if self.discard || self.trouble.is_some() {
            self.raw.clear();
            return;
        }
        if let Some(line) = self.cleanup.characters.treat(&mut self.raw, self.overrides.checks) {
            let message = (&self.cleanup.log, &self.id, &self.sender);
            self.checking.refuse_character(&line, message);
            self.trouble = self.checking.rejected.take();
            self.raw.clear();
            return;
        }
        self.look_strictly();
        if let Some(conversion) = &mut self.conversion {
            let mut converted = Vec::with_capacity(self.raw.len());
            conversion.convert(&self.raw, &mut converted);
            self.raw = converted;
        }
        self.pass().await;
        self.take_verdicts();
        self.settle().await;
    }

    fn look_strictly(&mut self) {
        if let Some(strict) = &mut self.strict {
            let message = (&self.cleanup.log, &self.id, &self.sender);
            strict.look(&self.raw, &mut |why, text| self.checking.tell_structure(why, text, message));
        }
    }

    /// Header and body, as far as they are there.
    async fn pass(&mut self) {
        let was_open = self.header.is_open();
        let missing = Missing {
            id: &self.id,
            sender: &self.sender,
            full_name: self.full_name.as_deref(),
            arrival: self.arrival,
        };
        let out = self.content.buffer();
        let passed = self.header.pass(&mut self.raw, out, &mut self.checking, &missing).await;
        if let Err(failed) = passed {
            self.trouble = Some(self.cleanup.table_failed(&self.id, &failed.reason));
        }
        if was_open && !self.header.is_open() {
            self.log_message_id();
            if self.overrides.checks && self.cleanup.header.checks.looks_behind_the_header() {
                self.body = Some(BodyPass::new(self.header.take_structure()));
            }
        }
        if !self.header.is_open() {
            self.pass_body().await;
        }
    }

    /// What comes behind the header: through the tables that want to see it, or else untouched.
    async fn pass_body(&mut self) {
        let out = self.content.buffer();
        let Some(body) = &mut self.body else {
            match out.is_empty() {
                true => std::mem::swap(&mut self.raw, out),
                false => out.extend_from_slice(&self.raw),
            }
            self.raw.clear();
            return;
        };
        let message = (&self.cleanup.log, &self.id, &self.sender);
        let checks = &self.cleanup.header.checks;
        if let Err(failed) = body.pass(&mut self.raw, out, checks, &mut self.checking, message).await {
            self.trouble = Some(self.cleanup.table_failed(&self.id, &failed.reason));
        }
    }

    /// What header and body checks said of the message as a whole takes effect at once: the rest of it is not kept.
    fn take_verdicts(&mut self) {
        if let Some(trouble) = self.checking.rejected.take() {
            self.trouble.get_or_insert(trouble);
        }
        self.discard |= self.checking.effects.contains(&Effect::Discard);
    }

    async fn settle(&mut self) {
        if self.trouble.is_none()
            && let Err(why) = self.content.settle().await
        {
            self.trouble = Some(self.cleanup.not_kept(&self.id, why));
        }
    }

    fn log_message_id(&self) {
        let [id, resent] = self.header.message_ids();
        if let Some(resent) = resent {
            maillog::info!(self.cleanup.log, "{}: resent-message-id={resent}", self.id);
        }
        maillog::info!(self.cleanup.log, "{}: message-id={}", self.id, id.unwrap_or("<>"));
    }

    /// Ends the content and keeps the message: `Ok` means that it is durable.
    pub(crate) async fn keep(
        mut self,
        envelope: &Envelope,
        origin: Origin,
        effects: &[Effect],
        milters: Option<&mut Filtering>,
    ) -> Result<(), Trouble> {
        let cleanup = Arc::clone(&self.cleanup);
        if self.discard || effects.contains(&Effect::Discard) {
            return Ok(());
        }
        if self.trouble.is_none() {
            self.finish_content().await;
        }
        if let Some(trouble) = self.trouble {
            return Err(trouble);
        }
        if self.discard {
            return Ok(());
        }
        let mut effects = [effects, &self.checking.effects].concat();
        if self.header.too_many_hops() && !self.is_returned {
            maillog::warning!(cleanup.log, "{}: message rejected: hopcount exceeded", self.id);
            return Err(Trouble::TooManyHops);
        }
        let mut envelope = envelope.clone();
        let (require_tls, tls_optional) = self.header.tls_wishes();
        envelope.require_tls |= require_tls;
        envelope.tls_optional |= tls_optional;
        if self.header.is_eight_bit() {
            envelope.body = BodyType::EightBitMime;
        }
        envelope.smtputf8 |= self.overrides.detects_utf8
            && (self.header.has_utf8()
                || envelope.sender.needs_smtputf8()
                || envelope.recipients.iter().any(|recipient| recipient.address.needs_smtputf8()));
        if let Some(milters) = milters {
            effects.extend(self.show_to(milters, &mut envelope).await?);
        }
        if effects.contains(&Effect::Discard) {
            return Ok(());
        }
        let envelope = match cleanup
            .envelope
            .clean(&cleanup.routing, &envelope, &effects, self.overrides.mappings)
            .await
        {
            Ok(envelope) => envelope,
            Err(EnvelopeError::Table(why)) => return Err(cleanup.table_failed(&self.id, &why)),
            Err(EnvelopeError::Expansion(why)) => {
                maillog::warning!(cleanup.log, "{}: {why} -- message not accepted, try again later", self.id);
                return Err(Trouble::Expansion);
            }
        };
        let complete = self.content.complete().await.map_err(|why| cleanup.not_kept(&self.id, why))?;
        let filter = effects.iter().rev().find_map(|effect| match effect {
            Effect::Filter(destination) => Some(destination.clone()),
            _ => None,
        });
        let filter =
            filter.or_else(|| Some(self.overrides.content_filter.clone()).filter(|text| !text.is_empty()));
        let message = Message {
            id: self.id,
            envelope,
            origin,
            arrival: self.arrival,
            size: complete.size,
            data_size: complete.data_size + self.cut_lines * EMPTY_RECORD,
            checksum: complete.checksum,
            filter,
        };
        let hold = effects.contains(&Effect::Hold);
        let new = NewMessage { message, body: complete.inline, hold, replaces: self.replaces.take() };
        match self.queue.append(new).await {
            Ok(()) => {
                self.content.kept();
                Ok(())
            }
            Err(why) => Err(cleanup.not_kept(&self.id, why)),
        }
    }

    async fn finish_content(&mut self) {
        if let Some(conversion) = self.conversion.take() {
            conversion.finish(&mut self.raw);
            self.pass().await;
        }
        let was_open = self.header.is_open();
        let missing = Missing {
            id: &self.id,
            sender: &self.sender,
            full_name: self.full_name.as_deref(),
            arrival: self.arrival,
        };
        let out = self.content.buffer();
        let mut finished = self.header.finish(out, &mut self.checking, &missing).await;
        if let (Ok(()), Some(body)) = (&finished, &mut self.body) {
            let message = (&self.cleanup.log, &self.id, &self.sender);
            let checks = &self.cleanup.header.checks;
            finished = body.finish(out, checks, &mut self.checking, message).await;
        }
        match finished {
            Err(failed) => self.trouble = Some(self.cleanup.table_failed(&self.id, &failed.reason)),
            Ok(()) if was_open => self.log_message_id(),
            Ok(()) => {}
        }
        self.take_verdicts();
        if let Some(strict) = self.strict.take() {
            let message = (&self.cleanup.log, &self.id, &self.sender);
            let found = strict.finish(&mut |why, text| self.checking.tell_structure(why, text, message));
            self.trouble = self.trouble.take().or(found);
        }
        self.settle().await;
    }
}
