//! Words of the field: addresses, envelopes, reply and status codes, client and TLS facts, delivery outcomes,
//! headers and queue ids.
//!
//! Every room speaks these words and no room owns them. Nothing here performs input or output, reads a clock, a
//! setting or a table.
#![forbid(unsafe_code)]

pub mod address;
pub mod client;
pub mod data_size;
pub mod date;
pub mod delivery_line;
pub mod envelope;
pub mod header;
pub mod header_address;
pub mod log_form;
pub mod message;
pub mod mime;
pub mod outcome;
pub mod queue_id;
pub mod reply;
pub mod secret;
pub mod status;
pub mod tls_facts;
pub mod token;
pub mod transcript;
pub mod verp;
pub mod xtext;

pub use address::Address;
pub use client::ClientFacts;
pub use data_size::DataSize;
pub use envelope::{BodyType, Envelope, Notify, Purpose, Recipient, Return};
pub use log_form::LogForm;
pub use message::{Message, Origin};
pub use outcome::{ALIAS_EXPANDED, Outcome, OutcomeKind};
pub use queue_id::{IdGenerator, QueueId};
pub use reply::Reply;
pub use status::{Detail, Status};
pub use tls_facts::TlsFacts;
pub use transcript::{Problem, Problems, Transcript};
