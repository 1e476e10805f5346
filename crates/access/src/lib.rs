//! Restriction lists: who may send what (SMTPD_ACCESS_README, access(5)).
//!
//! [`Access`] holds the lists of one service, opened once; a session asks it at each stage, with what is known then
//! ([`Asked`]), and gets a [`Decision`]: a refusal or none, what is to be done with the message, and lines for the log.
//! Nothing here knows a connection or the queue. `restriction.rs` has the one table of what can stand in a list.
#![forbid(unsafe_code)]

mod action;
mod address;
mod asked;
mod client;
mod evaluation;
mod helo;
mod hostname;
mod list;
mod lists;
mod relay;
mod restriction;
mod search;
#[cfg(test)]
mod tests;

pub use asked::{Asked, Decision, Effect, Note};
pub use hostname::is_hostname;
pub use lists::Access;
