//! Conformance: the same configuration and the same dialogues, once with the Postfix of the distribution and once with us. What
//! a client hears, what a handshake shows and what the log says is compared line by line, after ids and times are named away.
//! Nothing here says what is right: Postfix does, and `differences/` lists where we differ and why.
//!
//! A suite is a folder of `.cases` files; case.rs describes their language. Each case has a service of its own in master.cf, so
//! that one start serves hundreds of settings. Records of both sides are left in the folder `conformance` of cargo's folder for
//! tests (`target/tmp`).
#![allow(clippy::unwrap_used)] // a test has no other way out

mod blocks;
mod case;
mod client;
mod compare;
mod credentials;
mod handshake;
mod normalise;
mod probe;
mod subject;
mod suite;
#[path = "../support/mod.rs"]
mod support;
mod verdict;

/// TLS of the SMTP server.
#[test]
fn server_tls() {
    suite::run("server_tls", 150);
}

/// Who may send what, and what becomes of addresses and headers.
#[test]
fn access() {
    suite::run("access", 250);
}
