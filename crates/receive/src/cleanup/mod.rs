//! What is done to a message between the client and the queue (cleanup(8)), the same for the network and for pickup.
//!
//! [`Intake`] takes the content of one message in pieces of any size and keeps the message at the end. After a trouble
//! it goes on taking and throws away, so that a client hears of it where SMTP allows: behind the end of data.

pub(crate) mod envelope;
pub(crate) mod header;
pub(crate) mod received;

use std::sync::Arc;
use std::time::SystemTime;

use access::Effect;
use link::message::NewMessage;
use mail::{Address, Detail, Envelope, Message, Origin, QueueId, Reply};
use maillog::Log;
use route::{Context, Failed, Routing};

use crate::content::Content;
use crate::queue_link::{NotKept, QueueLink};
use envelope::{EnvelopeError, EnvelopeRules};
use header::{HeaderPass, HeaderRules, Missing};
use received::Received;

/// The settings and tables of cleanup for one service.
pub(crate) struct Cleanup {
    pub(crate) log: Log,
    pub(crate) routing: Arc<Routing>,
    pub(crate) header: Arc<HeaderRules>,
    pub(crate) envelope: EnvelopeRules,
    pub(crate) received: Received,
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
    raw: Vec<u8>,
    content: Content,
    trouble: Option<Trouble>,
    /// Nobody gets this message.
    discard: bool,
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
}

impl Trouble {
    /// smtpd(8)'s reply.
    pub(crate) fn reply(&self) -> Reply {
        let (code, detail, text) = match self {
            Trouble::NoSpace => (452, Detail(3, 1), "Error: insufficient system storage"),
            Trouble::QueueFile => (451, Detail(3, 0), "Error: queue file write error"),
            Trouble::Table => (451, Detail(3, 0), "Error: queue file write error"),
            Trouble::Expansion => (451, Detail(6, 0), "Error: alias expansion error"),
            Trouble::TooManyHops => (554, Detail(4, 0), "Error: too many hops"),
        };
        Reply::new(code, detail, text)
    }
}

impl Cleanup {
    fn table_failed(&self, id: &QueueId, why: &str) -> Trouble {
        maillog::warning!(self.log, "{id}: {why} -- deferring delivery");
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
        let Beginning { id, arrival, sender, full_name, context, first_lines, discard } = beginning;
        let mut trouble = None;
        let sender = match cleanup.envelope.sender(&cleanup.routing, &sender).await {
            Ok(sender) => sender,
            Err(Failed { reason }) => {
                trouble = Some(cleanup.table_failed(&id, &reason));
                sender
            }
        };
        let mut content = Content::new(id.clone(), Arc::clone(&queue));
        content.buffer().extend_from_slice(first_lines.as_bytes());
        let mut header = HeaderPass::new(Arc::clone(&cleanup.header), context);
        header.count_own_received();
        Intake {
            header,
            raw: Vec::new(),
            cleanup,
            queue,
            id,
            arrival,
            sender,
            full_name,
            content,
            trouble,
            discard,
        }
    }

    /// Where content is put before [`Intake::take`].
    pub(crate) fn raw(&mut self) -> &mut Vec<u8> {
        &mut self.raw
    }

    /// Takes what was put into [`Intake::raw`].
    pub(crate) async fn take(&mut self) {
        if self.discard || self.trouble.is_some() {
            self.raw.clear();
            return;
        }
        let was_open = self.header.is_open();
        let missing = Missing {
            id: &self.id,
            sender: &self.sender,
            full_name: self.full_name.as_deref(),
            arrival: self.arrival,
        };
        if let Err(failed) = self.header.pass(&mut self.raw, self.content.buffer(), &missing).await {
            self.trouble = Some(self.cleanup.table_failed(&self.id, &failed.reason));
        }
        if was_open && !self.header.is_open() {
            self.log_message_id();
        }
        self.settle().await;
    }

    async fn settle(&mut self) {
        if self.trouble.is_none()
            && let Err(why) = self.content.settle().await
        {
            self.trouble = Some(self.cleanup.not_kept(&self.id, why));
        }
    }

    fn log_message_id(&self) {
        maillog::info!(self.cleanup.log, "{}: message-id={}", self.id, self.header.message_id());
    }

    /// Ends the content and keeps the message: `Ok` means that it is durable.
    pub(crate) async fn keep(
        mut self,
        envelope: &Envelope,
        origin: Origin,
        effects: &[Effect],
    ) -> Result<(), Trouble> {
        let cleanup = Arc::clone(&self.cleanup);
        if self.discard || effects.contains(&Effect::Discard) {
            return Ok(());
        }
        if self.trouble.is_none() {
            self.finish_header().await;
        }
        if let Some(trouble) = self.trouble {
            return Err(trouble);
        }
        if self.header.too_many_hops() {
            maillog::warning!(cleanup.log, "{}: message rejected: hopcount exceeded", self.id);
            return Err(Trouble::TooManyHops);
        }
        let envelope = match cleanup.envelope.clean(&cleanup.routing, envelope, effects).await {
            Ok(envelope) => envelope,
            Err(EnvelopeError::Table(why)) => return Err(cleanup.table_failed(&self.id, &why)),
            Err(EnvelopeError::Expansion(why)) => {
                maillog::warning!(cleanup.log, "{}: {why}; message not accepted, try again later", self.id);
                return Err(Trouble::Expansion);
            }
        };
        let complete = self.content.complete().await.map_err(|why| cleanup.not_kept(&self.id, why))?;
        let filter = effects.iter().rev().find_map(|effect| match effect {
            Effect::Filter(destination) => Some(destination.clone()),
            _ => None,
        });
        let message = Message {
            id: self.id.clone(),
            envelope,
            origin,
            arrival: self.arrival,
            size: complete.size,
            checksum: complete.checksum,
            filter,
        };
        let new = NewMessage { message, body: complete.inline, hold: effects.contains(&Effect::Hold) };
        match self.queue.append(new).await {
            Ok(()) => {
                self.content.kept();
                Ok(())
            }
            Err(why) => Err(cleanup.not_kept(&self.id, why)),
        }
    }

    async fn finish_header(&mut self) {
        let was_open = self.header.is_open();
        let missing = Missing {
            id: &self.id,
            sender: &self.sender,
            full_name: self.full_name.as_deref(),
            arrival: self.arrival,
        };
        if let Err(failed) = self.header.finish(self.content.buffer(), &missing).await {
            self.trouble = Some(self.cleanup.table_failed(&self.id, &failed.reason));
        } else if was_open {
            self.log_message_id();
        }
        self.settle().await;
    }
}
