//! Conformance of the sending side: the same main.cf, messages and servers, once with the Postfix of the distribution and once with
//! us. What a server hears, byte for byte and in the clear or not, and what the log says is compared line by line, after ids and times are
//! named away. Nothing here says what is right: Postfix does, and `differences.txt` lists where we differ and why.
//!
//! case.rs describes the language of the `.cases` files. Each case has a delivery service, a domain with records in the DNS, and
//! servers on addresses of its own. Postfix knows name servers by resolv.conf(5) alone, so it runs behind an own mount of that
//! file, and the servers listen on port 25: the suite needs root. Records of both sides are left in cargo's folder for tests.
#![allow(clippy::unwrap_used)] // a test has no other way out

#[path = "../conformance/blocks.rs"]
mod blocks;
mod case;
#[path = "../conformance/compare.rs"]
mod compare;
mod credentials;
mod normalise;
mod real_peer;
mod subject;
mod suite;
#[path = "../support/mod.rs"]
mod support;
#[path = "../conformance/verdict.rs"]
mod verdict;

/// The SMTP and LMTP clients.
#[test]
fn client() {
    suite::run(470);
}
