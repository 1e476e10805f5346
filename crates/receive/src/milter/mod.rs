//! Milters: filters of others that hear a session as it happens and may refuse or change the message (MILTER_README).
//!
//! - `protocol.rs`: packets, what they mean, the negotiation. No socket.
//! - `settings.rs`: which Milters, and how each is talked to. `macros.rs`: what they are told besides.
//! - `filter.rs`: one Milter in one session. `session.rs`: all of them, stage by stage.
//! - `message.rs`: the content, and their changes of it. `draft.rs`: a message that can be changed without being in memory.

mod draft;
mod filter;
mod macros;
mod message;
mod protocol;
mod session;
mod settings;

pub(crate) use filter::Action;
pub(crate) use message::{Finished, Unfinished};
pub(crate) use protocol::closing;
pub(crate) use session::Filtering;
pub(crate) use settings::Milters;
