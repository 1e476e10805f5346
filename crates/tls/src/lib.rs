//! TLS: one decision (`policy`), one way to read the settings, certificates, trust, one handshake, one set of facts.
//!
//! - `level.rs`, `policy.rs`: what was asked for, and the one function that decides what is done.
//! - `protocols.rs`, `ciphers.rs`, `groups.rs`: Postfix's lists, read into what the library wants.
//! - `identity.rs`: our own certificates and keys. `trust.rs`: the anchors, and why a peer is not trusted.
//! - `server.rs`, `client.rs`: a context for each, and the handshake. `facts.rs`: what it proved.
//! - `problem.rs`: the library's errors, in its words and in an administrator's.
//! - `ffi.rs`: the library's functions that the safe crate lacks; the only unsafe code here.

pub mod ciphers;
pub mod client;
mod facts;
#[allow(unsafe_code)]
mod ffi;
pub mod fingerprint;
mod groups;
pub mod identity;
pub mod level;
pub mod policy;
pub mod problem;
pub mod protocols;
pub mod server;
mod trust;

pub use level::{ClientLevel, ServerLevel};

/// A line for the log that belongs to the start of a service, not to a session. All are warnings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice(pub String);
