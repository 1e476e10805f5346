//! For tests, and for the quickstart: a private certificate authority, a name server with a script, a Web server, connections that hold.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used)] // see authority.rs: a test has no other way out

pub mod authority;
pub mod name_server;
pub mod steady;
pub mod web_server;
