//! The content of a message before Milters, and what they change in it, its envelope and its fate.

use access::Effect;
use mail::{Address, Envelope, Notify, QueueId, Recipient};
use maillog::Log;
use tables::Maps;

use super::draft::{self, Draft, DraftError};
use super::filter::{Action, AtEnd, Filter};
use super::protocol::{self, Change, Command};
use super::session::Filtering;
use crate::cleanup::Trouble;
use crate::cleanup::checks::{About, Checking, Subject, Verdict};
use crate::content::Content;
use crate::queue_link::NotKept;

/// Most changes that one Milter may ask for in one message.
const MAX_CHANGES: usize = 10_000;

/// A message at its end.
pub(crate) struct Finished<'a> {
    pub(crate) id: &'a QueueId,
    pub(crate) log: &'a Log,
    pub(crate) content: &'a mut Content,
    /// As the client gave it; changed by Milters.
    pub(crate) envelope: &'a mut Envelope,
    /// For the lines of `milter_header_checks`.
    pub(crate) about: About,
    /// `milter_header_checks`.
    pub(crate) header_checks: &'a Maps,
    /// `message_size_limit`; 0 is none.
    pub(crate) size_limit: u64,
}

/// What Milters want done with a message.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// It is refused, thrown away or kept in the hold queue.
    pub(crate) action: Option<Action>,
    /// The actions of `milter_header_checks`.
    pub(crate) effects: Vec<Effect>,
    /// A REJECT of `milter_header_checks`.
    pub(crate) rejected: Option<Trouble>,
}

/// Why the message can not be kept.
#[derive(Debug)]
pub(crate) enum Unfinished {
    /// The disk's or the queue's trouble.
    NotKept(NotKept),
    /// Too big after a change.
    TooBig,
    /// A table failed; the reason is for the log.
    Table(String),
}

impl From<DraftError> for Unfinished {
    fn from(error: DraftError) -> Self {
        match error {
            DraftError::NotKept(why) => Unfinished::NotKept(why),
            DraftError::TooBig => Unfinished::TooBig,
        }
    }
}

impl Filtering {
    /// Shows the message to each Milter in turn; each sees what those before it changed.
    pub(crate) async fn message(&mut self, finished: Finished<'_>) -> Result<Outcome, Unfinished> {
        let Finished { id, log, content, envelope, about, header_checks, size_limit } = finished;
        let (filters, known) = self.parts();
        let values = known.values();
        let mut edit = Edit {
            draft: Draft::open(content, size_limit).await?,
            sender: envelope.sender.clone(),
            envelope,
            header_checks,
            checking: Checking::new(about, true),
            keeps_space: false,
            changes: 0,
            hold: false,
            unfinished: None,
            id,
            log,
        };
        let mut action = None;
        for filter in filters {
            let wanted = match filter.standing() {
                Some(standing) => Some(standing),
                None if !filter.is_hearing() => None,
                None => edit.show(filter, &values).await?,
            };
            if let Some(why) = edit.unfinished.take() {
                return Err(why);
            }
            match wanted {
                None => {}
                Some(Action::Hold) => edit.hold = true,
                Some(other) => {
                    action = Some(other);
                    break;
                }
            }
        }
        let Edit { draft, checking, hold, .. } = edit;
        draft.close().await?;
        let effects = checking.effects;
        if hold {
            action = action.or(Some(Action::Hold));
        }
        Ok(Outcome { action, effects, rejected: checking.rejected })
    }
}

/// One message being changed.
struct Edit<'a> {
    draft: Draft<'a>,
    envelope: &'a mut Envelope,
    /// For log lines.
    sender: Address,
    header_checks: &'a Maps,
    checking: Checking,
    keeps_space: bool,
    changes: usize,
    hold: bool,
    /// No Milter's fault.
    unfinished: Option<Unfinished>,
    id: &'a QueueId,
    log: &'a Log,
}

impl Edit<'_> {
    async fn show(
        &mut self,
        filter: &mut Filter,
        values: &super::macros::Values<'_>,
    ) -> Result<Option<Action>, Unfinished> {
        self.draft.next_milter();
        self.keeps_space = filter.keeps_leading_space();
        self.changes = 0;
        for (name, value) in self.draft.fields(self.keeps_space) {
            if !filter.is_hearing() {
                break;
            }
            let told = filter.tell(Command::Header, &protocol::texts(&[name, value]), values).await;
            if told.is_some() {
                return Ok(told);
            }
        }
        if filter.is_hearing()
            && let Some(action) = filter.tell(Command::EndOfHeader, &[], values).await
        {
            return Ok(Some(action));
        }
        let mut at = 0;
        while filter.wants(Command::Body)
            && let Some((piece, next)) = self.draft.body_from(at).await?
        {
            if let Some(action) = filter.tell(Command::Body, &piece, values).await {
                return Ok(Some(action));
            }
            at = next;
        }
        if !filter.is_hearing() {
            return Ok(filter.standing());
        }
        let mut said = filter.end_of_body(values).await;
        loop {
            match said {
                AtEnd::Over(action) => return Ok(action),
                AtEnd::Change(change) => {
                    if let Err(why) = self.change(change).await {
                        return Ok(filter.blame(&why));
                    }
                }
            }
            said = filter.next_at_end().await;
        }
    }

    /// The error is the Milter's.
    async fn change(&mut self, change: Change) -> Result<(), String> {
        self.changes += 1;
        if self.changes > MAX_CHANGES && !matches!(change, Change::Body(_)) {
            return Err("more changes than a message can need".into());
        }
        match change {
            Change::AddHeader { name, value } => {
                if let Some(field) = self.checked(&name, &value).await {
                    self.draft.add_header(field);
                }
            }
            Change::InsertHeader { index, name, value } => {
                if let Some(field) = self.checked(&name, &value).await {
                    self.draft.insert_header(index, field);
                }
            }
            Change::SetHeader { index, name, value } if value.is_empty() => {
                self.draft.delete_header(index, &name);
            }
            Change::SetHeader { index, name, value } => match self.checked(&name, &value).await {
                Some(field) => self.draft.change_header(index, &name, field),
                None => self.draft.delete_header(index, &name),
            },
            Change::Body(piece) => {
                if let Err(error) = self.draft.replace_body(&piece).await {
                    self.unfinished.get_or_insert(error.into());
                }
            }
            Change::Sender(words) => {
                let (text, parameters) = words.split_first().ok_or("a sender without address")?;
                self.envelope.sender = address(text)?;
                if !parameters.is_empty() {
                    maillog::warning!(
                        self.log,
                        "{}: ignored from Milter: ESMTP arguments of sender {text}: {}",
                        self.id,
                        parameters.join(" ")
                    );
                }
            }
            Change::AddRecipient(words) => self.add_recipient(&words)?,
            Change::DeleteRecipient(text) => {
                let address = address(&text)?;
                let is_it = |recipient: &Recipient| {
                    recipient.address.as_str() == address.as_str()
                        || recipient.original.as_str() == address.as_str()
                };
                self.envelope.recipients.retain(|recipient| !is_it(recipient));
            }
            // The reason is for people; Postfix does not log it either.
            Change::Quarantine(_) => self.hold = true,
        }
        Ok(())
    }

    fn add_recipient(&mut self, words: &[String]) -> Result<(), String> {
        let (text, parameters) = words.split_first().ok_or("a recipient without address")?;
        let mut recipient = Recipient::new(address(text)?);
        if recipient.address.is_null() {
            return Err("an empty recipient".into());
        }
        for parameter in parameters.iter().flat_map(|text| text.split_ascii_whitespace()) {
            match parameter.split_once('=') {
                Some((name, value)) if name.eq_ignore_ascii_case("NOTIFY") => {
                    recipient.notify =
                        notify(value).ok_or_else(|| format!("a bad parameter {parameter} of a recipient"))?;
                }
                _ => maillog::warning!(
                    self.log,
                    "{}: ignored from Milter: ESMTP argument of recipient {text}: {parameter}",
                    self.id
                ),
            }
        }
        self.envelope.recipients.push(recipient);
        Ok(())
    }

    /// The field of a Milter, after `milter_header_checks`; `None` when these drop it.
    async fn checked(&mut self, name: &str, value: &str) -> Option<Vec<u8>> {
        let field = draft::field(name, value, !self.keeps_space);
        let text = field.strip_suffix(b"\n").unwrap_or(&field);
        let message = (self.log, self.id, &self.sender);
        match self.checking.look(self.header_checks, Subject::MilterHeader, text, message).await {
            Ok(Verdict::Keep) => Some(field),
            Ok(Verdict::Drop) => None,
            Ok(Verdict::Replace(text)) => Some(format!("{text}\n").into_bytes()),
            Ok(Verdict::Prepend(_)) => {
                maillog::warning!(self.log, "{}: PREPEND is not available in milter_header_checks", self.id);
                Some(field)
            }
            Err(failed) => {
                self.unfinished.get_or_insert(Unfinished::Table(failed.reason));
                Some(field)
            }
        }
    }
}

/// An address of a Milter, with or without `<>`.
fn address(text: &str) -> Result<Address, String> {
    let inside = text.trim();
    let inside = inside.strip_prefix('<').and_then(|inside| inside.strip_suffix('>')).unwrap_or(inside);
    match inside.is_empty() {
        true => Ok(Address::null()),
        false => Address::external(inside).map_err(|_bad| format!("a bad address: {text:?}")),
    }
}

/// RFC 3461 section 4.1.
fn notify(text: &str) -> Option<Notify> {
    let mut notify = Notify::default();
    for word in text.split(',') {
        match word.to_ascii_uppercase().as_str() {
            "NEVER" if text.contains(',') => return None,
            "NEVER" => notify.never = true,
            "SUCCESS" => notify.success = true,
            "FAILURE" => notify.failure = true,
            "DELAY" => notify.delay = true,
            _ => return None,
        }
    }
    Some(notify)
}
