//! The role that delivers on this machine: local(8), virtual(8) and pipe(8).
//!
//! `role.rs` hears the queue; `local/`, `virtual_mailbox.rs` and `pipe/` decide where a recipient's mail goes; `mbox.rs`,
//! `maildir.rs` and `command.rs` put it there, with the recipient's rights (`deliver_as.rs`, `workers.rs`). What is sent to other
//! machines, also by LMTP, is the business of crate `send`.
#![forbid(unsafe_code)]

mod biff;
mod command;
mod content;
pub mod deliver_as;
mod environment;
mod failure;
mod in_hand;
mod job;
mod local;
mod lock;
mod maildir;
mod mbox;
mod pipe;
mod queue_link;
mod resubmit;
mod role;
mod sysexits;
mod user;
mod virtual_mailbox;
mod workers;

pub use role::{Prepared, prepare, serve};
