//! The role that talks to remote servers: smtp(8) and lmtp(8).
//!
//! - `role.rs`: what master and queue say. `service.rs`: a delivery service of master.cf, its settings read once.
//! - `renewal.rs`: certificates that changed.
//! - `next_hop.rs`: what a next hop means. `servers.rs`: the addresses to try, in order (RFC 5321 section 5).
//! - `attempt.rs`: one delivery over as many of them as it takes. `visit.rs`: one server. `connections.rs`: those kept for the next delivery.
//! - `session.rs`: one connection. `wire.rs`: its bytes. `greeted.rs`: TLS and AUTH on it. `content.rs`: the message itself.
//! - `changes.rs`: addresses, fields and lines that are changed on the way out.
//! - `connect.rs`: sockets.
//! - `xforward.rs`: what a filter is told of the client.
//! - `pix.rs`: firewalls that break SMTP.
//! - `wish.rs`: what is asked of TLS for a destination; `mta_sts/`: what it publishes itself; `require_tls.rs`: what REQUIRETLS means there.
//!   `tls_log.rs`: how much of it is logged. `sasl.rs`: credentials.
//! - `finger/`: the same for commands that only look.
//! - `tlsrpt/`: what reports say of the results.
//!
//! Runs as mail_owner; hears remote servers and the DNS; holds the messages in hand and the client's keys.
#![forbid(unsafe_code)]

mod attempt;
mod changes;
mod connect;
mod connections;
mod content;
mod dnssec_probe;
pub mod finger;
mod greeted;
mod history;
mod mta_sts;
mod next_hop;
mod pix;
mod renewal;
mod require_tls;
mod role;
mod sasl;
mod servers;
mod service;
mod session;
mod tls_log;
pub mod tlsrpt;
mod visit;
mod wire;
mod wish;
mod xforward;

pub use role::{Prepared, prepare, serve};
