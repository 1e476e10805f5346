//! TLS: one decision (`policy`), one way to read the settings, certificates, trust, one handshake, one set of facts.
//!
//! - `level.rs`, `policy/`: what was asked for, and the one function that decides what is done.
//! - `sts.rs`: what a domain publishes for MTA-STS.
//! - `protocols.rs`, `ciphers.rs`, `groups.rs`: Postfix's lists, read into what the library wants.
//! - `options.rs`, `dh.rs`, `library.rs`: the knobs of the library, its Diffie-Hellman groups, its own configuration file.
//! - `files.rs`: the files of a process, read while it may. `identity.rs`: our own certificates and keys. `trust.rs`: the anchors, and
//!   why a peer is not trusted.
//! - `server/`, `client/`: a context for each, and the handshake. `facts.rs`: what it proved.
//! - `channel_binding.rs`: what ties a login to the connection.
//! - `log_level.rs`, `journal.rs`, `dump.rs`, `trace.rs`: what the log hears of it. `problem.rs`: the library's errors, in its words and in an
//!   administrator's.
//! - `inspect.rs`: certificates and cipher lists in words, for commands.
//! - `ffi.rs`: the library's functions that the safe crate lacks; the only unsafe code here.

pub mod channel_binding;
pub mod ciphers;
pub mod client;
mod dh;
pub mod dump;
mod facts;
#[allow(unsafe_code)]
mod ffi;
pub mod files;
pub mod fingerprint;
mod groups;
pub mod identity;
pub mod inspect;
pub mod journal;
mod kept_session;
pub mod level;
mod library;
pub mod log_level;
mod options;
pub mod policy;
pub mod problem;
pub mod protocols;
pub mod server;
pub mod session_cache;
pub mod stream;
pub mod sts;
mod trace;
mod trust;

pub use kept_session::KeptSession;
pub use level::{ClientLevel, ServerLevel};

/// A line for the log that belongs to the start of a service, not to a session. All are warnings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice(pub String);
