//! Where a message goes: address rewriting, address classes, aliases, and resolution to a transport and next hop
//! (ADDRESS_REWRITING_README, ADDRESS_CLASS_README, trivial-rewrite(8), cleanup(8)).
//!
//! [`Routing`] holds the settings and open tables of one service; everything else is a question put to it. A table
//! that fails makes the answer [`Failed`], which is always a temporary error, never "not found". Nothing here
//! delivers, queues or knows the queue.
#![forbid(unsafe_code)]

pub mod alias;
mod bcc;
mod canonical;
mod class;
pub mod generic;
mod map_address;
mod masquerade;
mod recipient;
mod resolve;
mod rewrite;
mod routing;
mod transport;
mod virtual_alias;
mod ways;

pub use canonical::Place;
pub use class::Class;
pub use recipient::{Role, Unlisted};
pub use resolve::Resolved;
pub use rewrite::Context;
pub use routing::{Failed, Routing};
pub use virtual_alias::ExpansionError;
