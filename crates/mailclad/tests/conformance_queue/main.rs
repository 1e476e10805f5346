//! Conformance of what happens to mail behind the queue: local deliveries, notices to senders, and the commands that look at the queue
//! and change it. The same configuration, messages and commands, once with the Postfix of the distribution and once with us; what
//! arrives, what commands say and what the log says is compared line by line, after ids and times are named away. Nothing here says
//! what is right: Postfix does, and `differences.txt` lists where we differ and why.
//!
//! case.rs describes the language of the `.cases` files. Users of the cases are in a passwd(5) file of each subject, behind an own
//! mount of /etc/passwd: the suite needs root. Records of both sides are left in cargo's folder for tests.
#![allow(clippy::unwrap_used)] // a test has no other way out

#[path = "../conformance/blocks.rs"]
mod blocks;
mod case;
#[path = "../conformance/compare.rs"]
mod compare;
mod normalise;
mod steps;
mod subject;
mod suite;
#[path = "../support/mod.rs"]
mod support;
#[path = "../conformance/verdict.rs"]
mod verdict;

/// Local delivery, notices, commands.
#[test]
fn queue() {
    suite::run(100);
}
