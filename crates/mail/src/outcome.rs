//! What became of one recipient in one delivery attempt.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::envelope::Purpose;
use crate::status::Status;

/// The result for one recipient.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// What happened.
    pub kind: OutcomeKind,
    /// Enhanced status; its class fits the kind.
    pub status: Status,
    /// The words in parentheses at the end of the log line.
    pub text: String,
    /// `relay=`: `HOST[ADDR]:PORT`, `local`, `virtual`, `none`...
    pub relay: String,
    /// The remote server's reply, when the text quotes one; becomes `Diagnostic-Code: smtp;` in notices.
    pub remote: Option<RemoteReply>,
    /// The `tls=` field of the delivery line; empty for agents that do not speak TLS.
    pub tls: String,
    /// The server knows DSN and has the recipient's wish: a success is its to tell (RFC 3461 section 5.2.2).
    #[serde(default)]
    pub dsn_passed_on: bool,
    /// It led to a list with an owner, and so it was delivered, however many are behind it (RFC 3461 section 7.2.7.2).
    #[serde(default)]
    pub to_list: bool,
}

/// The text of a success that was the expansion of an alias: `Action: expanded` in notices (RFC 3464 section 2.3.3).
pub const ALIAS_EXPANDED: &str = "alias expanded";

/// What a remote server said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteReply {
    /// Its name; `Remote-MTA: dns; NAME`. Empty for a command of this machine, whose words become `Diagnostic-Code: x-unix;`.
    pub mta: String,
    /// Its reply, code first.
    pub text: String,
}

/// The kinds of result, named as the log names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OutcomeKind {
    /// Responsibility was passed on.
    Sent,
    /// Tried in vain for now.
    Deferred,
    /// Refused for good.
    Bounced,
    /// A probe: it would have been delivered.
    Deliverable,
    /// A probe: it would not have been delivered now; the status says whether that is for good.
    Undeliverable,
}

impl Outcome {
    /// Delivered.
    pub fn sent(relay: impl Into<String>, text: impl Into<String>) -> Self {
        Self::new(OutcomeKind::Sent, Status::new(2, 0, 0), relay, text)
    }

    /// Try again later.
    pub fn deferred(status: Status, relay: impl Into<String>, text: impl Into<String>) -> Self {
        Self::new(OutcomeKind::Deferred, status.with_class(4), relay, text)
    }

    /// Return to sender.
    pub fn bounced(status: Status, relay: impl Into<String>, text: impl Into<String>) -> Self {
        Self::new(OutcomeKind::Bounced, status.with_class(5), relay, text)
    }

    /// The same in the words for a message of this purpose: nothing that concerns a probe is sent or bounced.
    #[must_use]
    pub fn for_purpose(mut self, purpose: Purpose) -> Self {
        self.kind = match self.kind {
            OutcomeKind::Sent if purpose.is_probe() => OutcomeKind::Deliverable,
            OutcomeKind::Deferred | OutcomeKind::Bounced if purpose.is_probe() => OutcomeKind::Undeliverable,
            kind => kind,
        };
        self
    }

    fn new(kind: OutcomeKind, status: Status, relay: impl Into<String>, text: impl Into<String>) -> Self {
        Outcome {
            kind,
            status,
            text: text.into(),
            relay: relay.into(),
            remote: None,
            tls: String::new(),
            dsn_passed_on: false,
            to_list: false,
        }
    }
}

impl fmt::Display for OutcomeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            OutcomeKind::Sent => "sent",
            OutcomeKind::Deferred => "deferred",
            OutcomeKind::Bounced => "bounced",
            OutcomeKind::Deliverable => "deliverable",
            OutcomeKind::Undeliverable => "undeliverable",
        })
    }
}
