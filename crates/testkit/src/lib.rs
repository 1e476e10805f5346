//! For tests, and for the quickstart: a private certificate authority, and a name server with a script.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used)] // see authority.rs: a test has no other way out

pub mod authority;
pub mod name_server;
