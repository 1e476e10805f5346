//! Restriction lists: who may send what (SMTPD_ACCESS_README, access(5)).
//!
//! [`Access`] holds the lists of one service, opened once; a session asks it at each stage, with what is known then
//! ([`Asked`]), and gets a [`Decision`]: a refusal or none, what is to be done with the message, and lines for the log.
//! Nothing here knows a client's connection or the queue ([`Verifier`] is the way to it); the only sockets are those to policy services (`policy/`). `restriction.rs` has the one table of what can stand in a list.
#![forbid(unsafe_code)]

mod action;
mod address;
mod asked;
mod certificate;
mod client;
mod configured;
mod detail;
mod dns_list;
mod endpoint;
mod evaluation;
mod helo;
mod hostname;
mod ip_match;
mod list;
mod lists;
mod login;
mod mx_backup;
mod policy;
mod relay;
#[cfg(test)]
mod relay_tests;
mod restriction;
mod search;
mod server_access;
#[cfg(test)]
mod service_tests;
#[cfg(test)]
mod tests;
mod verify;

pub use asked::{Asked, Decision, Deferrals, Effect, Note};
pub use configured::inspect;
pub use endpoint::{Endpoint, Wire};
pub use hostname::is_hostname;
pub use ip_match::IpMatch;
pub use lists::Access;
pub use verify::{Verified, Verifier};
