//! The role that keeps mail: it stores what the others bring, decides what is tried when and where, and tells senders what
//! could not be done. It hears no network byte.
//!
//! - `schedule.rs`, `backoff.rs`: pure decisions about order, concurrency and time.
//! - `active.rs`: a message while it is being delivered, as a table of its recipients.
//! - `notice.rs`: the text of bounces, delay warnings and delivery reports (RFC 3464).
//!   `template.rs`: its words, ours or the administrator's.
//! - `agents.rs`: error, retry and discard.
//! - `clock.rs`: the time, which a simulation may hand in.
//! - `inquiry.rs`, `stopped.rs`: what commands ask, of a running and of a stopped system.
//! - `postfix/`: Postfix's queue files, for the way from there and back.
//! - `limits.rs`: the parameters of qmgr(8), read once.
//! - `permission.rs`: who may look at the queue and flush it.
//! - `role.rs`: the one task that owns all of it, fed by events. `commands.rs`: what postqueue and postsuper ask.
#![forbid(unsafe_code)]

mod active;
mod agents;
mod backoff;
mod clock;
mod commands;
mod inquiry;
mod limits;
mod notice;
mod permission;
pub mod postfix;
mod role;
mod schedule;
mod stopped;
mod template;

pub use role::{OpenTables, Start, serve};
pub use stopped::Stopped;
pub use template::Templates;
