//! What a store of messages can do, and the words for it.

use std::time::SystemTime;

use mail::{Address, Message, QueueId, Recipient, Status};
use serde::{Deserialize, Serialize};

/// How many attempts are remembered for each recipient: at the default times, about the last day.
pub const ATTEMPTS_KEPT: usize = 20;

/// What became of each group: the removed messages whose content was a file, or why it did not take effect.
pub type Committed = Vec<Result<Vec<QueueId>, StoreError>>;

/// A durable store. `commit` is called by one thread; the questions may be asked of another instance at the same time.
pub trait Store: Send {
    /// Carries out all groups as one. Each group takes effect whole or not at all; a group that fails by itself
    /// (an id that exists already) does not harm the others. Returns when everything is synced. Gives for each group the removed
    /// messages whose content was a file, which nothing names any more.
    fn commit(&mut self, groups: Vec<Vec<Change>>) -> Committed;

    /// For idle moments: puts what was committed to where it is to stay. True when nothing is left to do; what could not be done now
    /// is as safe as before.
    fn settle(&mut self) -> bool {
        true
    }

    /// Messages that are not on hold and whose time has come, earliest first, at most `limit`, beginning behind `after`.
    fn due(
        &mut self,
        now: SystemTime,
        after: Option<(SystemTime, QueueId)>,
        limit: usize,
    ) -> Result<Vec<Stored>, StoreError>;

    /// When the next message becomes due, if any waits beyond `now`.
    fn next_due(&mut self, now: SystemTime) -> Result<Option<SystemTime>, StoreError>;

    /// A page of those that wait for cleanup ([`Held::Requeued`]), in the order in which they were due, beginning behind `after`.
    fn requeued(
        &mut self,
        after: Option<(SystemTime, QueueId)>,
        limit: usize,
    ) -> Result<Vec<(SystemTime, QueueId)>, StoreError>;

    /// A page of all messages in order of their ids, beginning behind `after`.
    fn list(&mut self, after: Option<&QueueId>, limit: usize) -> Result<Vec<Stored>, StoreError>;

    /// The same page as [`Store::list`], and no more of each message than listings show.
    fn overview(&mut self, after: Option<&QueueId>, limit: usize) -> Result<Vec<Overview>, StoreError>;

    /// One message.
    fn find(&mut self, id: &QueueId) -> Result<Option<Stored>, StoreError>;

    /// The failed attempts at the recipients of one message, as (position, what happened), oldest first; at most
    /// [`ATTEMPTS_KEPT`] for each.
    fn attempts(&mut self, id: &QueueId) -> Result<Vec<(u32, Progress)>, StoreError>;

    /// Ids of the messages whose content is a file; everything else in the body directory is swept.
    fn with_body_file(&mut self) -> Result<Vec<QueueId>, StoreError>;

    /// Is the database whole? Gives what is wrong with it, at most twenty lines. Reads all of it.
    fn check(&mut self) -> Result<Vec<String>, StoreError>;

    /// How many messages are kept.
    fn count(&mut self) -> Result<u64, StoreError>;
}

/// Why the store did not do it. Nothing of the group was kept then.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk is full. New mail is refused with 452 4.3.1 until there is room again.
    #[error("no space left for the queue: {0}")]
    NoSpace(String),
    /// A message of that id is there already.
    #[error("queue id {0} exists already")]
    Exists(QueueId),
    /// The database file is damaged, not a database of ours, or of a newer version.
    #[error("the queue's database {0}")]
    Unusable(String),
    /// Anything else.
    #[error("queue: {0}")]
    Other(String),
}

/// A change to the store.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Change {
    /// Keep a message. It is due at once, or on hold.
    Add {
        /// The message with its recipients.
        message: Box<Message>,
        /// Its content.
        content: Content,
        /// Keep it in the hold queue.
        hold: bool,
    },
    /// What became of one recipient.
    Recipient {
        /// The message.
        id: QueueId,
        /// Which recipient, by its position among those the message came with.
        position: u32,
        /// Its new state.
        state: RecipientState,
    },
    /// An attempt is over and the message stays.
    Defer {
        /// The message.
        id: QueueId,
        /// When to try again.
        next_attempt: SystemTime,
    },
    /// The sender was told of the delay.
    Warned {
        /// The message.
        id: QueueId,
    },
    /// `postsuper -h` and `-H`.
    Hold {
        /// The message.
        id: QueueId,
        /// A released message is due at once.
        held: Held,
    },
    /// `postsuper -e`: treat the message as too old at its next turn.
    Expire {
        /// The message.
        id: QueueId,
    },
    /// Due now, whatever the schedule said (flush), with the attempt count kept.
    Flush {
        /// The message; nothing means every message that is not on hold.
        id: Option<QueueId>,
    },
    /// The message is done with.
    Remove {
        /// The message.
        id: QueueId,
    },
}

/// On hold or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Held {
    /// No attempt is made.
    Yes,
    /// Attempts are made.
    No,
    /// No attempt is made, because the message is damaged: Postfix's `corrupt` queue. Its bytes are kept as they are.
    Corrupt,
    /// No attempt is made before it has been through cleanup once more (`postsuper -r`): Postfix's `maildrop` queue.
    Requeued,
}

/// Where a content is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Content {
    /// In the row. The journal has it behind the words.
    Inline(#[serde(skip)] Vec<u8>),
    /// In the file of the message's id, already complete there; the writer syncs it before it commits.
    File,
}

/// How far one recipient has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RecipientState {
    /// Not tried yet, or to be tried again from the start.
    Pending,
    /// Tried in vain.
    Deferred(Progress),
    /// Refused; the sender has not been told yet.
    Failed(Progress),
    /// Delivered; a success notice is wanted and not sent yet.
    Delivered(Progress),
    /// Nothing more to do.
    Done,
}

impl Change {
    /// The message that it is about; nothing when it is about all.
    pub fn id(&self) -> Option<&QueueId> {
        match self {
            Change::Add { message, .. } => Some(&message.id),
            Change::Recipient { id, .. }
            | Change::Defer { id, .. }
            | Change::Warned { id }
            | Change::Hold { id, .. }
            | Change::Expire { id }
            | Change::Remove { id } => Some(id),
            Change::Flush { id } => id.as_ref(),
        }
    }
}

impl RecipientState {
    /// Is it to be tried, for the first time or again?
    pub fn is_unfinished(&self) -> bool {
        matches!(self, RecipientState::Pending | RecipientState::Deferred(_))
    }
}

/// The last word on a recipient.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Enhanced status.
    pub status: Status,
    /// The text of the log line, which is also what the listing and the notice show.
    pub text: String,
    /// `relay=`.
    pub relay: String,
    /// The remote server's name and reply, when it said something.
    pub remote: Option<(String, String)>,
    /// The `tls=` field.
    pub tls: String,
    /// When it was spoken.
    pub at: SystemTime,
}

/// A message as the store has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// The message. Its recipients are those that came with it and are not done, in order.
    pub message: Message,
    /// For each of those: its position, and its state, which is never [`RecipientState::Done`].
    pub states: Vec<(u32, RecipientState)>,
    /// The content when it is in the row and was asked for; `None` when it is a file.
    pub body: Option<Vec<u8>>,
    /// On hold, and for which reason?
    pub held: Held,
    /// What of it can not be read, if anything: it is to be set aside. The rest is what could be read.
    pub damage: Option<String>,
    /// When it is due.
    pub next_attempt: SystemTime,
    /// Attempts made.
    pub attempts: u32,
    /// The sender was told of the delay.
    pub warned: bool,
    /// `postsuper -e` was called on it.
    pub expire: bool,
}

/// What listings show of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overview {
    /// The message.
    pub id: QueueId,
    /// When it arrived.
    pub arrival: SystemTime,
    /// Its size, as [`mail::DataSize`] has it.
    pub data_size: u64,
    /// The sender.
    pub sender: Address,
    /// On hold, and for which reason?
    pub held: Held,
    /// Something of it can not be read; what is here is what could be.
    pub is_damaged: bool,
    /// Attempts made.
    pub attempts: u32,
    /// `postsuper -e` was called on it.
    pub expire: bool,
    /// Recipients that are not done, in order.
    pub recipients: Vec<Waiting>,
}

/// A recipient in an [`Overview`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The recipient.
    pub address: Address,
    /// The address as it arrived.
    pub original: Address,
    /// Why it was not delivered at the last attempt, if there was one.
    pub reason: Option<String>,
}

impl From<&Stored> for Overview {
    fn from(stored: &Stored) -> Overview {
        let recipients = stored.recipients().map(|(recipient, _, state)| Waiting {
            address: recipient.address.clone(),
            original: recipient.original.clone(),
            reason: match state {
                RecipientState::Deferred(progress) | RecipientState::Failed(progress) => {
                    Some(progress.text.clone())
                }
                RecipientState::Pending | RecipientState::Delivered(_) | RecipientState::Done => None,
            },
        });
        Overview {
            id: stored.message.id,
            arrival: stored.message.arrival,
            data_size: stored.message.data_size,
            sender: stored.message.envelope.sender.clone(),
            held: stored.held,
            is_damaged: stored.damage.is_some(),
            attempts: stored.attempts,
            expire: stored.expire,
            recipients: recipients.collect(),
        }
    }
}

impl Stored {
    /// The recipients with their positions and states.
    pub fn recipients(&self) -> impl Iterator<Item = (&Recipient, u32, &RecipientState)> {
        let states = self.states.iter().map(|(position, state)| (*position, state));
        self.message.envelope.recipients.iter().zip(states).map(|(r, (p, s))| (r, p, s))
    }
}
