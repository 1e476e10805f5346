//! SMTP and LMTP (RFC 5321, RFC 2033) as pure sessions: bytes in, replies and the next thing to do out.
//!
//! [`server`] is the receiving side, [`client`] the sending side, [`decode`] and [`encode`] carry message content
//! across the wire, [`proxy_protocol`] reads what a proxy says before the client does. Nothing here owns a socket, reads a clock or a setting, or writes a log: a driver does, and
//! a session tells it what comes next.
#![forbid(unsafe_code)]

pub mod client;
pub mod decode;
pub mod encode;
pub mod proxy_protocol;
pub mod server;
