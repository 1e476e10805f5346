//! Where the lines about one handshake go. The library's callbacks write here while it runs, so that lines stand in the log in the
//! order in which things happened.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use openssl::ex_data::Index;
use openssl::ssl::{Ssl, SslRef};

use crate::log_level::LogLevels;

/// How grave a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gravity {
    /// Plain information.
    Info,
    /// Somebody should look.
    Warning,
}

/// Writes one line to the log; called inside the library's callbacks, so it must neither panic nor wait for a peer.
pub type Write = Arc<dyn Fn(Gravity, &str) + Send + Sync>;

/// One peer's lines.
#[derive(Clone)]
pub struct Journal {
    /// `NAME[ADDR]`.
    pub peer: String,
    /// Which lines are wanted.
    pub levels: LogLevels,
    write: Write,
    /// A ticket of ours came with the ClientHello.
    ticket: Arc<AtomicBool>,
}

impl Journal {
    /// Lines about a peer.
    pub fn new(peer: impl Into<String>, levels: LogLevels, write: Write) -> Journal {
        Journal { peer: peer.into(), levels, write, ticket: Arc::default() }
    }

    /// For those who want to hear nothing.
    pub fn silent() -> Journal {
        Journal::new("", LogLevels::default(), Arc::new(|_, _| {}))
    }

    /// A line, if lines of this kind are wanted.
    pub(crate) fn tell(&self, kind: LogLevels, line: impl FnOnce(&str) -> String) {
        if self.levels.contains(kind) {
            (self.write)(Gravity::Info, &line(&self.peer));
        }
    }

    /// The library decrypted a ticket.
    pub(crate) fn ticket_came(&self) {
        self.ticket.store(true, Ordering::Relaxed);
    }

    /// Did it?
    pub(crate) fn used_ticket(&self) -> bool {
        self.ticket.load(Ordering::Relaxed)
    }

    /// A line at every level.
    pub(crate) fn info(&self, line: &str) {
        (self.write)(Gravity::Info, line);
    }

    /// A warning at every level.
    pub(crate) fn warning(&self, line: &str) {
        (self.write)(Gravity::Warning, line);
    }
}

fn index() -> Option<Index<Ssl, Journal>> {
    static INDEX: OnceLock<Option<Index<Ssl, Journal>>> = OnceLock::new();
    *INDEX.get_or_init(|| Ssl::new_ex_index().ok())
}

/// Gives a handshake its journal.
pub(crate) fn attach(ssl: &mut SslRef, journal: Journal) {
    if let Some(index) = index() {
        ssl.set_ex_data(index, journal);
    }
}

/// The journal of a handshake.
pub(crate) fn of(ssl: &SslRef) -> Option<&Journal> {
    index().and_then(|index| ssl.ex_data(index))
}
