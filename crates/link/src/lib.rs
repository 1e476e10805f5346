//! The messages between the roles and the commands, their framing, and the descriptors that travel with them.
//!
//! `message.rs` is the one list of what may be said. `frame.rs` puts it on a stream socket. `link.rs` is one
//! open connection: calls with answers, in both directions at once.
#![forbid(unsafe_code)]

mod frame;
mod link;
pub mod message;
mod octets;

pub use frame::{FrameError, MAX_DESCRIPTORS, MAX_FRAME};
pub use link::{Call, Incoming, Link, LinkError, call_blocking, receive_answer_blocking, send_call_blocking};
pub use message::{Reply, Request, Role};
