//! Why a delivery was not made: the enhanced status and the words that end up in the log and in the notice.

use std::io;

use mail::outcome::RemoteReply;
use mail::{Outcome, Status};
use serde::{Deserialize, Serialize};

/// A delivery that was not made. The class of `status` says whether it is tried again (4) or returned (5).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failure {
    pub(crate) status: Status,
    pub(crate) text: String,
    /// What a command said, or its exit status in words: `Diagnostic-Code: x-unix;` of notices.
    #[serde(default)]
    pub(crate) said: Option<String>,
}

impl Failure {
    pub(crate) fn new(status: Status, text: impl Into<String>) -> Failure {
        Failure { status, text: text.into(), said: None }
    }

    /// A mailbox that can not be written: full ones return mail, all others defer it.
    pub(crate) fn mailbox(doing: &str, error: &io::Error) -> Failure {
        let status = match error.kind() {
            io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => Status::new(5, 2, 2),
            _ => Status::new(4, 2, 0),
        };
        Failure::new(status, format!("{doing}: {}", reason(error)))
    }

    /// Trouble of this system that has nothing to do with the recipient.
    pub(crate) fn system(text: impl Into<String>) -> Failure {
        Failure::new(Status::new(4, 3, 0), text)
    }

    /// The same failure, its text continued to the left.
    pub(crate) fn preceded_by(mut self, text: &str) -> Failure {
        self.text.insert_str(0, text);
        self
    }

    /// The outcome for a recipient.
    pub(crate) fn outcome(self, relay: &str) -> Outcome {
        let outcome = match self.status.class {
            5 => Outcome::bounced(self.status, relay, self.text),
            _ => Outcome::deferred(self.status, relay, self.text),
        };
        let remote = self.said.map(|text| RemoteReply { mta: String::new(), text });
        Outcome { remote, ..outcome }
    }
}

/// An error in the words of strerror(3), without Rust's `(os error 2)`.
pub(crate) fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_mailbox_returns_mail_and_a_broken_one_defers_it() {
        for (number, status, text) in [
            (rustix::io::Errno::FBIG, Status::new(5, 2, 2), "write: File too large"),
            (rustix::io::Errno::DQUOT, Status::new(5, 2, 2), "write: Disk quota exceeded"),
            (rustix::io::Errno::NOSPC, Status::new(4, 2, 0), "write: No space left on device"),
            (rustix::io::Errno::ACCESS, Status::new(4, 2, 0), "write: Permission denied"),
        ] {
            let failure = Failure::mailbox("write", &io::Error::from(number));
            assert_eq!(failure, Failure::new(status, text));
        }
    }
}
