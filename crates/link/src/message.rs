//! Everything that the roles and the commands say to each other, in one list.
//!
//! Descriptors (sockets, body files, links) travel beside a message, not in it; each variant says which.
//! Bodies up to [`INLINE_BODY`] bytes travel as bytes, larger ones as a file.

use std::time::{Duration, SystemTime};

use mail::{Envelope, Message, Outcome, QueueId, Recipient};
use serde::{Deserialize, Serialize};

/// Bodies up to this many bytes are carried inside a message and kept in the row of the store; larger ones are
/// files. 64 KiB holds nearly all mail without attachments.
pub const INLINE_BODY: usize = 64 * 1024;

/// The processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Role {
    /// Starts and watches the others; hears no network byte.
    Master,
    /// Hears clients.
    Receive,
    /// Keeps mail.
    Queue,
    /// Talks to remote servers.
    Send,
    /// Delivers on this machine.
    Local,
}

impl Role {
    /// The four that master starts.
    pub const CHILDREN: [Role; 4] = [Role::Queue, Role::Local, Role::Send, Role::Receive];

    /// Lower-case name, as it stands on the command line and in the log.
    pub fn name(self) -> &'static str {
        match self {
            Role::Master => "master",
            Role::Receive => "receive",
            Role::Queue => "queue",
            Role::Send => "send",
            Role::Local => "local",
        }
    }

    /// The role of that name.
    pub fn from_name(name: &str) -> Option<Role> {
        [Role::Master, Role::Receive, Role::Queue, Role::Send, Role::Local]
            .into_iter()
            .find(|role| role.name() == name)
    }
}

/// What one side asks of another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Request {
    /// master to a role: the descriptor is a link to `role`. Replaces an earlier one. Answer: [`Reply::Done`].
    Peer {
        /// Who is at the other end.
        role: Role,
    },
    /// master to receive: the descriptor is a listening socket for the service in line `line` of master.cf.
    Listen {
        /// Line of the service's entry; names it beyond doubt even when two services share a name.
        service_line: u32,
    },
    /// master to a role: no more listeners will come, begin work. Answer when ready to serve.
    Begin,
    /// master to a role: take no new work, finish what is in hand, exit.
    Drain,
    /// master to receive or send, before anything else: which certificate, key and authority files, and which
    /// files of tables that only root may read, shall be watched? Answer:
    /// [`Reply::KeyFiles`].
    KeyFiles,
    /// master to receive or send: a watched file changed. One descriptor, open for reading; none when the file is gone. Answer: Done.
    KeyFile {
        /// The file, as it was named in [`Reply::KeyFiles`].
        path: String,
        /// True when another file of the same change follows: a certificate is not tried before its key is there.
        more: bool,
    },
    /// master to a role: the file of the log was renamed. One descriptor, where lines go from now on. Answer: Done.
    LogFile,
    /// master to queue: the configuration changed; read it again. Answer: Done, or Failed with the reason and the old
    /// configuration still in force.
    Reload,

    /// receive or local to queue: a file for a body that outgrows [`INLINE_BODY`]. Answer: [`Reply::BodyFile`] with one
    /// descriptor, open for reading and writing.
    OpenBody {
        /// The message it is for.
        id: QueueId,
    },
    /// receive or local to queue: keep this message. Answered after the commit: [`Reply::Kept`], or NoSpace, or Failed.
    Append(Box<NewMessage>),
    /// receive to queue: find out whether this message, with [`mail::Purpose::Verify`] and one recipient, could be delivered. Answered
    /// after the one attempt: [`Reply::Probed`]; or NoSpace, or Failed.
    Probe(Box<NewMessage>),
    /// receive or local to queue: the body file of this id is not needed after all.
    DropBody {
        /// The message it was for.
        id: QueueId,
    },

    /// queue to send or local: one attempt for these recipients. With a large body, one descriptor open for reading.
    /// Answer: [`Reply::Attempted`].
    Deliver(Box<Delivery>),

    /// queue to receive: take this message through cleanup once more, as a new one that replaces it (`postsuper -r`). Its recipients
    /// are those that are not done. With a large body, one descriptor open for reading. Answered when the new one is
    /// kept, or when there is to be none: Done; or Failed, and the old one stays.
    Requeue(Box<Requeue>),

    /// A command to queue: a page of the messages that fit. Answer: [`Reply::Listing`]; while it says where to go on, ask again.
    List {
        /// Which messages.
        select: Box<Selection>,
        /// Where the page before ended.
        after: Option<QueueId>,
    },
    /// A command to queue: try deferred mail now. All of it, one message, or a site.
    Flush(FlushWhat),
    /// A command to queue, from root or the queue's owner only: change a page of the messages that fit. Answer:
    /// [`Reply::Changed`]; while it says where to go on, ask again.
    Change {
        /// What to do.
        action: Change,
        /// Which messages.
        select: Box<Selection>,
        /// Where the page before ended.
        after: Option<QueueId>,
    },
    /// A command to queue, from root or the queue's owner only: all that is known of one message and of the attempts at it.
    /// Answer: [`Reply::Explained`].
    Explain {
        /// The message.
        id: QueueId,
    },
    /// A command to queue: envelope and content of one message. Answer: [`Reply::Message`], with a descriptor when the body is a
    /// file.
    Show {
        /// The message.
        id: QueueId,
    },
    /// sendmail to receive's pickup: one message, the content in the descriptor (a file or pipe, LF line ends).
    Submit(Box<Submission>),
    /// postfix status and friends to any role: are you there?
    Ping,
}

/// The answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Reply {
    /// It is done.
    Done,
    /// It could not be done; the text says why, for the log and for whoever asked.
    Failed(String),
    /// Files to watch.
    KeyFiles(Vec<String>),
    /// The file for a body; one descriptor.
    BodyFile,
    /// Durable: committed and synced.
    Kept,
    /// The disk has no room (`queue_minfree`, or the write failed for lack of space). Nothing was kept.
    NoSpace,
    /// The attempt is over.
    Attempted {
        /// One outcome for each recipient of the [`Delivery`], in its order.
        outcomes: Vec<Outcome>,
        /// Set when the destination as a whole could not be used, with the reason: it is left alone for a while then.
        site_failure: Option<String>,
        /// Where the recipients of these indexes led, when one led to several places or to another than itself: all of them when a
        /// report was asked for, else those that failed for good.
        places: Vec<(usize, Recipient, Outcome)>,
        /// Sessions that the postmaster is told of (`notify_classes`).
        complaints: Vec<Complaint>,
    },
    /// A probe has ended.
    Probed(Outcome),
    /// This machine is the best mail exchanger of the destination, and its transport (best_mx_transport) shall have the delivery:
    /// `transport` or `transport:next_hop`. Nothing was tried.
    Elsewhere(String),
    /// A page of the queue.
    Listing {
        /// Messages in order of their ids.
        entries: Vec<Listed>,
        /// Where the next page begins, if there may be one. A page may be empty and not be the last.
        after: Option<QueueId>,
    },
    /// Messages that were changed.
    Changed {
        /// Their ids, in order.
        ids: Vec<QueueId>,
        /// Where the next page begins, if there may be one.
        after: Option<QueueId>,
    },
    /// All that is known of one message.
    Explained(Box<Explained>),
    /// One message.
    Message(Box<Shown>),
    /// No message of that id.
    NotFound,
    /// sendmail's message is queued under this id.
    Submitted(QueueId),
}

/// A message to be kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NewMessage {
    /// All but its content.
    pub message: Message,
    /// Content, when at most [`INLINE_BODY`] bytes; otherwise it is in the file of [`Request::OpenBody`].
    #[serde(with = "crate::octets")]
    pub body: Option<Vec<u8>>,
    /// Set by a HOLD action: keep it in the hold queue.
    pub hold: bool,
    /// The message that it was made from, for [`Request::Requeue`]: goes in the moment in which this one is kept.
    pub replaces: Option<QueueId>,
}

/// A session with a server that went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Complaint {
    /// `NAME[ADDRESS]:PORT`
    pub peer: String,
    /// What was said, as the mail shows it.
    pub transcript: String,
    /// `error_notice_recipient`
    pub recipient: mail::Address,
}

/// A message that goes through cleanup once more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Requeue {
    /// All but its content.
    pub message: Message,
    /// Content, or nothing when it comes as a descriptor.
    #[serde(with = "crate::octets")]
    pub body: Option<Vec<u8>>,
    /// It is the queue's own and new (`internal_mail_filter_classes`): it keeps its id, and filters look at it.
    pub is_internal: bool,
}

/// One attempt: a message and the recipients that share transport and next hop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Delivery {
    /// The message; the recipients of its envelope are those of this attempt only.
    pub message: Message,
    /// The master.cf service that delivers (`smtp`, `relay`, `local`...), by name.
    pub transport: String,
    /// Next hop as resolved: domain, `[host]:port`, a socket path, or empty.
    pub next_hop: String,
    /// How long it waited before it became active, and then until this attempt began: the first two `delays=`.
    pub waited: (Duration, Duration),
    /// Content, or nothing when it comes as a descriptor.
    #[serde(with = "crate::octets")]
    pub body: Option<Vec<u8>>,
    /// Attempts made before this one.
    pub attempts: u32,
    /// What the queue knows of the mail that comes next for this destination.
    #[serde(default)]
    pub caching: Caching,
}

/// Connections of more than one delivery (`_connection_cache_on_demand`): worth their while when deliveries to a destination follow
/// each other closely, which only the queue can tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caching {
    /// There may be a connection that was kept.
    pub load: bool,
    /// More mail is about to come: keep this one.
    pub store: bool,
}

/// A message from the sendmail command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Submission {
    /// `-f`, or nothing: the submitting user.
    pub sender: Option<mail::Address>,
    /// Full name for From:, `-F`.
    pub full_name: Option<String>,
    /// Recipients of the command line; with `-t` those found in the header are here as well.
    pub recipients: Vec<Recipient>,
    /// `-B`, `-V`, `-R`... as far as they concern the envelope.
    pub envelope: Envelope,
}

/// What to flush.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum FlushWhat {
    /// Everything that is deferred.
    All,
    /// One message.
    Message(QueueId),
    /// Mail for a domain (ETRN, `postqueue -s`).
    Site(String),
}

/// What `postsuper` can do to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// `-d`
    Delete,
    /// `-h`
    Hold,
    /// `-H`
    Release,
    /// `-r`
    Requeue,
    /// `-e`: return it at its next attempt, instead of deferring it.
    Expire,
}

/// The queues of Postfix, by which listings and `postsuper` name where a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum QueueName {
    /// Just arrived.
    Incoming,
    /// Being delivered.
    Active,
    /// Waiting for the next try.
    Deferred,
    /// Held by an administrator.
    Hold,
    /// Set aside because its bytes are damaged.
    Corrupt,
}

impl QueueName {
    /// The directory's name in Postfix.
    pub fn name(self) -> &'static str {
        match self {
            QueueName::Incoming => "incoming",
            QueueName::Active => "active",
            QueueName::Deferred => "deferred",
            QueueName::Hold => "hold",
            QueueName::Corrupt => "corrupt",
        }
    }

    /// The queue of that name.
    pub fn from_name(name: &str) -> Option<QueueName> {
        [QueueName::Incoming, QueueName::Active, QueueName::Deferred, QueueName::Hold, QueueName::Corrupt]
            .into_iter()
            .find(|queue| queue.name() == name)
    }
}

/// Which messages of the queue a command means. What is empty or absent does not restrict; the default is all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selection {
    /// These messages.
    pub ids: Vec<QueueId>,
    /// In these queues.
    pub queues: Vec<QueueName>,
    /// From this sender: an address, `@domain`, or `<>` for bounces. Case does not matter.
    pub sender: Option<String>,
    /// With a recipient that is not done: an address or `@domain`.
    pub recipient: Option<String>,
    /// With a recipient whose last delay or failure has this text in it. Case does not matter.
    pub reason: Option<String>,
    /// That arrived at least so long ago.
    pub older: Option<Duration>,
    /// That arrived at most so long ago.
    pub newer: Option<Duration>,
}

/// One attempt at one recipient that did not deliver.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// Which of the recipients.
    pub recipient: Recipient,
    /// When it ended.
    pub at: SystemTime,
    /// Enhanced status.
    pub status: mail::Status,
    /// The words of the log line.
    pub text: String,
    /// `relay=`.
    pub relay: String,
    /// Name and reply of the remote server, when it said something.
    pub remote: Option<(String, String)>,
    /// `tls=`.
    pub tls: String,
}

/// What `mailclad why` tells.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Explained {
    /// The listing entry.
    pub listed: Listed,
    /// Rounds of attempts that are over.
    pub rounds: u32,
    /// When the next one begins; for a message that is held, when it would.
    pub next_attempt: SystemTime,
    /// When it is given up and returned.
    pub expires: SystemTime,
    /// Attempts, oldest first, as far as they are remembered.
    pub attempts: Vec<Attempt>,
}

/// A line of `postqueue -p`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Listed {
    /// The message.
    pub id: QueueId,
    /// Where it is.
    pub queue: QueueName,
    /// When it arrived.
    pub arrival: SystemTime,
    /// Its size, as [`mail::DataSize`] has it.
    pub size: u64,
    /// True after `postsuper -f`.
    pub forced_expire: bool,
    /// Sender.
    pub sender: mail::Address,
    /// Recipients not yet done.
    pub recipients: Vec<ListedRecipient>,
}

/// A recipient in a listing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ListedRecipient {
    /// The recipient.
    pub address: mail::Address,
    /// The address as it arrived, when it was another.
    pub original: Option<mail::Address>,
    /// Why it was not delivered at the last attempt, if there was one.
    pub reason: Option<String>,
}

/// `postcat`: a message with what is known about it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shown {
    /// The listing entry.
    pub listed: Listed,
    /// The message with all recipients still to be done.
    pub message: Message,
    /// Content, or nothing when it comes as a descriptor.
    #[serde(with = "crate::octets")]
    pub body: Option<Vec<u8>>,
}
