//! A message in the queue without its content: what the store keeps, what listings show, what an attempt is given.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::client::ClientFacts;
use crate::envelope::{Envelope, Recipient};
use crate::queue_id::QueueId;

/// One message. Its content is kept beside it: header and body, complete, with LF line ends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Its id, made by whoever received it.
    pub id: QueueId,
    /// Sender, recipients and promises.
    pub envelope: Envelope,
    /// Where it came from.
    pub origin: Origin,
    /// When it arrived.
    pub arrival: SystemTime,
    /// Bytes of the content.
    pub size: u64,
    /// The size that Postfix would name: see [`crate::DataSize`].
    #[serde(default)]
    pub data_size: u64,
    /// CRC-32C of the content, computed by whoever received it and checked by whoever reads it from the disk.
    pub checksum: u32,
    /// `content_filter` or a FILTER action: `transport:next_hop` for all recipients.
    pub filter: Option<String>,
}

impl Message {
    /// The same for other recipients, as [`Envelope::for_recipients`].
    pub fn for_recipients(&self, recipients: Vec<Recipient>) -> Message {
        // Every field is named here, so that a new one can not be forgotten.
        Message {
            id: self.id,
            envelope: self.envelope.for_recipients(recipients),
            origin: self.origin.clone(),
            arrival: self.arrival,
            size: self.size,
            data_size: self.data_size,
            checksum: self.checksum,
            filter: self.filter.clone(),
        }
    }
}

/// Who brought a message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Origin {
    /// A network client.
    Client(Box<ClientFacts>),
    /// The sendmail command, run by this user.
    User {
        /// Numeric user id.
        uid: u32,
    },
    /// This system: bounces, forwarded mail, probes.
    Internal,
}
