//! Mail that goes on from here, as a new message in the queue: forwarded by aliases and `.forward` files, or handed
//! to another transport (mailbox_transport, fallback_transport).

use std::fs::File;
use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use link::message::{INLINE_BODY, NewMessage};
use mail::{Address, DataSize, IdGenerator, Message, Origin, QueueId, Recipient};
use route::{Place, Routing};

use crate::content::Body;
use crate::failure::{Failure, reason};
use crate::queue_link::QueueLink;

/// A message to be made.
pub(crate) struct Resubmission<'a> {
    /// The message that it is made from.
    pub(crate) of: &'a Message,
    pub(crate) sender: Address,
    /// In standard form.
    pub(crate) recipients: Vec<Recipient>,
    /// Complete header lines before those of the message; `Received:` needs the new id.
    pub(crate) head: &'a (dyn Fn(&QueueId) -> String + Sync),
    /// `transport:next_hop` for all recipients.
    pub(crate) transport: Option<String>,
}

/// Where new messages come from.
pub(crate) struct Resubmitter {
    pub(crate) queue: Arc<QueueLink>,
    pub(crate) ids: Mutex<IdGenerator>,
    /// line_length_limit
    pub(crate) line_length: usize,
}

impl Resubmitter {
    /// Keeps a new message with the content of `body`; durable when the id is returned.
    pub(crate) async fn submit(&self, new: Resubmission<'_>, body: &Body) -> Result<QueueId, Failure> {
        let now = SystemTime::now();
        let id = self.ids.lock().unwrap_or_else(PoisonError::into_inner).next(now);
        let head = (new.head)(&id).into_bytes();
        let size = head.len() as u64 + body.length;
        let mut data_size = DataSize::new(self.line_length);
        let (checksum, inline) = if size <= INLINE_BODY as u64 {
            let mut content = head;
            let read = body.reader().read_to_end(&mut content);
            read.map_err(|error| unreadable(&error))?;
            data_size.add(&content);
            (crc32c::crc32c(&content), Some(content))
        } else {
            let file = self.queue.open_body(&id).await?;
            let body = body.clone();
            let copied = tokio::task::spawn_blocking(move || copy(&head, &body, file, data_size)).await;
            match copied.unwrap_or_else(|error| Err(io::Error::other(error))) {
                Ok((checksum, counted)) => {
                    data_size = counted;
                    (checksum, None)
                }
                Err(error) => {
                    self.queue.drop_body(&id).await;
                    return Err(unreadable(&error));
                }
            }
        };
        let message = Message {
            id,
            envelope: mail::Envelope {
                sender: new.sender,
                recipients: new.recipients,
                ..new.of.envelope.clone()
            },
            origin: match new.transport {
                // The same message on its way to another agent: that may want to know its client.
                Some(_) => new.of.origin.clone(),
                None => Origin::Internal,
            },
            arrival: now,
            size,
            data_size: data_size.total(),
            checksum,
            filter: new.transport,
        };
        let in_file = inline.is_none();
        let kept = self.queue.append(NewMessage { message, body: inline, hold: false, replaces: None }).await;
        if kept.is_err() && in_file {
            self.queue.drop_body(&id).await;
        }
        kept.map(|()| id)
    }
}

fn unreadable(error: &io::Error) -> Failure {
    Failure::system(format!("mail forwarding failed: cannot copy message: {}", reason(error)))
}

/// Writes the content to the queue's file. Gives its checksum and size; the queue syncs the file before it names it.
fn copy(head: &[u8], body: &Body, mut file: File, mut data_size: DataSize) -> io::Result<(u32, DataSize)> {
    let mut checksum = crc32c::crc32c(head);
    data_size.add(head);
    file.write_all(head)?;
    let (mut reader, mut left) = (body.reader(), body.length);
    let mut buffer = vec![0; 256 * 1024];
    while left > 0 {
        let read = reader.read(&mut buffer)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        checksum = crc32c::crc32c_append(checksum, &buffer[..read]);
        data_size.add(&buffer[..read]);
        file.write_all(&buffer[..read])?;
        left = left.saturating_sub(read as u64);
    }
    Ok((checksum, data_size))
}

/// What cleanup(8) does to the recipients of forwarded mail: canonical mapping, then virtual aliases.
pub(crate) async fn clean_up(routing: &Routing, address: &Address) -> Result<Vec<Address>, Failure> {
    let failed = |why: String| Failure::system(format!("mail forwarding failed: {why}"));
    let address = routing
        .canonicalize(Place::EnvelopeRecipient, address)
        .await
        .map_err(|why| failed(why.to_string()))?;
    routing.expand_virtual(&address).await.map_err(|why| match why {
        route::ExpansionError::Failed(why) => failed(why.to_string()),
        route::ExpansionError::Unreasonable(why) => failed(why),
    })
}
