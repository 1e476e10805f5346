//! What was said in a session with a server, for the mail that tells the postmaster that one of the two does not speak SMTP
//! (`notify_classes`, smtp(8)).

use link::message::Complaint;
use mail::{Outcome, OutcomeKind, Problem, Problems, Transcript};
use memchr::memchr;

use crate::session::Job;

/// Bytes kept of a line that is not whole yet.
const LINE: usize = 2048;

/// The lines so far.
#[derive(Default)]
pub(crate) struct History {
    transcript: Transcript,
    /// The beginning of a reply line.
    piece: Vec<u8>,
    is_garbled: bool,
}

/// What may be shown of something that is sent, in the log and to the postmaster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// Commands: all but credentials.
    All,
    /// A response of AUTH: that there is one.
    Response,
    /// The content of a message: where it ends.
    Nothing,
}

impl History {
    /// Commands that are sent, each with its line end.
    pub(crate) fn said(&mut self, commands: &[u8], shown: Shown) {
        match shown {
            _ if commands.is_empty() => {}
            Shown::Nothing => self.transcript.said(b"."),
            Shown::Response => self.transcript.said_secret(),
            Shown::All => {
                for line in commands.strip_suffix(b"\n").unwrap_or(commands).split(|byte| *byte == b'\n') {
                    self.transcript.said_command(line);
                }
            }
        }
    }

    /// Input as it comes.
    pub(crate) fn heard(&mut self, mut input: &[u8]) {
        while let Some(end) = memchr(b'\n', input) {
            let line = match self.piece.is_empty() {
                true => &input[..end],
                false => {
                    self.keep(&input[..end]);
                    &self.piece
                }
            };
            self.is_garbled |= !is_reply(line);
            self.transcript.heard(line);
            self.piece.clear();
            input = &input[end + 1..];
        }
        self.keep(input);
    }

    fn keep(&mut self, piece: &[u8]) {
        let room = LINE.saturating_sub(self.piece.len());
        self.piece.extend_from_slice(&piece[..piece.len().min(room)]);
    }

    /// What the postmaster is told, if anything that is asked for has happened.
    pub(crate) fn complaint(&self, job: &Job<'_>, outcomes: &[Outcome]) -> Option<Complaint> {
        let mut seen = Problems::default();
        if self.is_garbled || outcomes.iter().any(is_nonsense) {
            seen.add(Problem::Protocol);
        }
        seen.meets(job.service.problems).then(|| Complaint {
            peer: job.peer.relay(),
            transcript: self.transcript.to_mail(),
            recipient: job.service.error_recipient.clone(),
        })
    }
}

/// Three digits, and a separator or nothing.
fn is_reply(line: &[u8]) -> bool {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    line.len() >= 3
        && line[..3].iter().all(u8::is_ascii_digit)
        && matches!(line.get(3), None | Some(b' ' | b'-'))
}

/// A reply that says that a command was wrong, or that no such command has: one of the two does not know the protocol.
fn is_nonsense(outcome: &Outcome) -> bool {
    let code = outcome.remote.as_ref().and_then(|remote| remote.text.get(..3)?.parse::<u16>().ok());
    outcome.kind != OutcomeKind::Sent
        && code.is_some_and(|code| matches!(code, ..400 | 500..510 | 555 | 600..))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_and_secrets_are_left_out() {
        let mut history = History::default();
        history.heard(b"220 mx");
        history.heard(b".test\r\n");
        history.said(b"EHLO x\r\n", Shown::All);
        history.heard(b"250-mx\r\n250 AUTH PLAIN\r\n");
        history.said(b"AUTH PLAIN c2VjcmV0\r\n", Shown::All);
        history.heard(b"334 \r\n");
        history.said(b"c2VjcmV0\r\n", Shown::Response);
        history.heard(b"235 ok\r\n");
        history.said(b"MAIL FROM:<a@b>\r\nDATA\r\n", Shown::All);
        history.said(b"Subject: secret\r\n\r\n.\r\n", Shown::Nothing);
        assert!(!history.is_garbled);
        assert_eq!(
            history.transcript.to_mail(),
            " In:  220 mx.test\n Out: EHLO x\n In:  250-mx\n In:  250 AUTH PLAIN\n Out: AUTH PLAIN ***\n In:  334 \n \
             Out: ***\n In:  235 ok\n Out: MAIL FROM:<a@b>\n Out: DATA\n Out: .\n"
        );
        history.heard(b"what?\r\n");
        assert!(history.is_garbled);
    }

    #[test]
    fn replies_that_are_none() {
        for (line, expected) in [
            (&b"250 ok\r"[..], true),
            (b"250", true),
            (b"250-ok", true),
            (b"250ok", false),
            (b"ok", false),
            (b"", false),
            (b"25", false),
        ] {
            assert_eq!(is_reply(line), expected, "{line:?}");
        }
    }
}
