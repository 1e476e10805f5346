//! The role that hears clients: smtpd(8) for every inet service of master.cf, pickup(8) for this machine's users, and
//! cleanup(8) for what both bring.
//!
//! Runs as mail_owner after [`prepare`] has read keys and tables; hears the Internet; holds no mail: a message goes to the
//! queue's process before its client hears 250.
//!
//! - `prepare.rs`, `service.rs`: master.cf's services, each with its settings, TLS, lists and tables.
//! - `tls_engines.rs`: certificates of all services, renewed while they serve. `sni_maps.rs`: those that clients ask for by name.
//!   `tls_log.rs`: how much is logged of whom.
//! - `serve.rs`: the link to master, listeners, the end. `queue_link.rs`: the way to the queue.
//! - `postscreen/`: who gets as far as smtpd at all.
//! - `smtpd/`: one session, its questions answered. `anvil.rs`: what each client does too often.
//! - `footer.rs`: what is added to refusals.
//! - `verify/`: whether an address is deliverable, by probes. `journal.rs`: a cache that outlives its process.
//! - `cleanup/`, `content.rs`: header, envelope and content on their way in.
//! - `milter/`: filters of others that hear and change what comes.
//! - `qmqpd/`: whole messages by QMQP.
//! - `pickup.rs`, `maildrop.rs`, `submitter.rs`: messages of the sendmail command, and whose they may be.
#![forbid(unsafe_code)]

mod anvil;
mod cleanup;
mod content;
mod footer;
mod journal;
pub mod maildrop;
mod milter;
mod pickup;
mod postscreen;
mod prepare;
mod qmqpd;
mod queue_link;
mod requeue;
mod serve;
mod service;
mod smtpd;
mod sni_maps;
mod submitter;
mod tls_engines;
mod tls_log;
mod verify;

pub use prepare::{Prepared, prepare};
pub use serve::serve;
pub use smtpd::sasl::own::secret::Secret as SaslSecret;
