//! What was said in a session, for the mail that tells the postmaster of its problems (`notify_classes`, smtpd(8)). Nothing is kept
//! where no class of problems is to be told of.

use std::time::SystemTime;

use config::{Settings, params};
use mail::{Address, Detail, Envelope, Origin, Problem, Problems, Recipient, Reply, Transcript, date};
use route::Context;

use super::Driver;
use crate::cleanup::checks::About;
use crate::cleanup::services::Overrides;
use crate::cleanup::{Beginning, Intake};

/// What the settings of a service say about it.
pub(crate) struct NoticeSettings {
    classes: Problems,
    /// `error_notice_recipient`
    recipient: Address,
    /// `double_bounce_sender`
    sender: Address,
    /// `smtpd_history_flush_threshold`
    threshold: usize,
    overrides: Overrides,
}

impl NoticeSettings {
    /// `None` when nothing is to be told.
    pub(crate) fn read(settings: &Settings) -> Option<NoticeSettings> {
        let classes = Problems::named(&config::list::split(settings.get(params::notify_classes)));
        let recipient = Address::internal(settings.get(params::error_notice_recipient)).ok()?;
        let sender = settings.get(params::double_bounce_sender);
        let sender = match sender.contains('@') {
            true => sender.to_owned(),
            false => format!("{sender}@{}", settings.get(params::myhostname)),
        };
        let filtered = config::list::split(settings.get(params::internal_mail_filter_classes));
        let is_filtered = filtered.iter().any(|class| class.eq_ignore_ascii_case("notify"));
        (!classes.is_empty()).then(|| NoticeSettings {
            classes,
            recipient,
            sender: Address::internal(sender).unwrap_or_default(),
            threshold: usize::try_from(settings.get(params::smtpd_history_flush_threshold))
                .unwrap_or(usize::MAX),
            overrides: Overrides::of_internal(is_filtered, true),
        })
    }
}

/// What a session has said and heard since the last notice.
#[derive(Default)]
pub(super) struct History {
    transcript: Transcript,
    seen: Problems,
}

/// Whose word a reply is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// The session's own, which knows the protocol.
    Session,
    /// An answer about what came before the end of data: of restrictions, limits, Milters.
    Answer,
    /// What became of the message.
    EndOfData,
    /// What a login comes to, which is the log's business.
    Login,
}

impl Driver<'_> {
    /// A command line, before it is carried out.
    pub(super) async fn note_command(&mut self, line: &[u8], is_secret: bool) {
        let (Some(history), Some(settings)) = (&mut self.history, &self.service.notices) else { return };
        if is_secret {
            return history.transcript.heard_secret();
        }
        history.transcript.heard_command(line);
        let verb = line.trim_ascii_start().get(..4).unwrap_or_default();
        let is_beginning = [b"EHLO", b"HELO", b"RSET"].iter().any(|name| verb.eq_ignore_ascii_case(*name));
        if is_beginning && history.transcript.lines() > settings.threshold {
            self.tell_postmaster().await;
        }
    }

    /// A reply as the client gets it, `written` as well.
    pub(super) async fn note_reply(&mut self, reply: &Reply, written: usize, word: Word) {
        let (Some(history), Some(settings)) = (&mut self.history, &self.service.notices) else { return };
        history.transcript.said(self.output.get(written..).unwrap_or_default());
        if let Some(problem) = problem(reply, word) {
            history.seen.add(problem);
        }
        if word != Word::EndOfData {
            return;
        }
        if reply.code < 400 {
            history.seen = Problems::default();
        }
        if history.transcript.lines() > settings.threshold {
            self.tell_postmaster().await;
        }
    }

    /// Tells of what there is to tell, and begins anew.
    pub(super) async fn tell_postmaster(&mut self) {
        let (Some(history), Some(settings)) = (&mut self.history, &self.service.notices) else { return };
        if !history.seen.meets(settings.classes) || history.transcript.lines() == 0 {
            history.transcript.clear();
            history.seen = Problems::default();
            return;
        }
        let lines = std::mem::take(&mut **history).transcript.to_mail();
        let id = self.receive.next_id();
        let now = SystemTime::now();
        let NoticeSettings { recipient, sender, overrides, .. } = settings;
        let content = format!(
            "Date: {}\nFrom: Mail Delivery System <MAILER-DAEMON@{}>\nTo: Postmaster <{}>\n\
             Subject: {} SMTP server: errors from {}\n\n\
             Transcript of session follows.\n\n{lines}\n\nFor other details, see the local mail logfile\n",
            date::rfc5322(now),
            self.service.hostname,
            recipient.to_external(),
            self.service.received.mail_name,
            self.name,
        );
        let recipients = vec![Recipient::new(recipient.clone())];
        let beginning = Beginning {
            id,
            arrival: now,
            sender: sender.clone(),
            full_name: None,
            context: Context::Local,
            first_lines: self.service.received.of_internal(&id, now),
            overrides: overrides.clone(),
            about: About::of_user(&recipients),
            discard: false,
        };
        let envelope = Envelope { sender: sender.clone(), recipients, ..Envelope::default() };
        let (cleanup, queue) = (self.service.cleanup.clone(), self.receive.queue.clone());
        let mut intake = Box::new(Intake::begin(cleanup, queue, beginning).await);
        intake.raw().extend_from_slice(content.as_bytes());
        intake.take().await;
        // Trouble has its line from cleanup, and the session is over as well without this mail.
        if let Ok((mut milters, effects)) = intake.pretend_session(&envelope).await {
            let _ = intake.keep(&envelope, Origin::Internal, &effects, milters.as_deref_mut()).await;
            if let Some(milters) = milters {
                milters.quit().await;
            }
        }
    }
}

/// The class of a refusal, as Postfix has it.
fn problem(reply: &Reply, word: Word) -> Option<Problem> {
    let text = &*reply.text;
    let detail = reply.detail.unwrap_or(Detail(0, 0));
    if reply.code < 400 || word == Word::Login {
        return None;
    }
    match (word, reply.code, detail) {
        // Said to those who were told of before, to those who are too slow, or at the end of what was wrong before.
        (Word::Session, 421 | 530, _) => None,
        (_, 552, Detail(3, 4)) if word != Word::EndOfData => Some(Problem::Policy),
        (_, 452 | 451, Detail(3, 0 | 1)) => Some(Problem::Resource),
        (_, 454, Detail(7, 0)) if text.starts_with("TLS ") => Some(Problem::Resource),
        (_, 421 | 451, Detail(3, 0 | 5))
            if text.ends_with("erver configuration error") && !text.starts_with('<') =>
        {
            Some(Problem::Software)
        }
        (Word::EndOfData, 552 | 554, Detail(3, 4) | Detail(4, 0)) => Some(Problem::Bounce),
        (Word::EndOfData, 451, Detail(6, 0)) => Some(Problem::Resource),
        (Word::EndOfData, ..) => Some(Problem::Policy),
        // What no command is, whoever was asked.
        (_, 500, Detail(5, 2)) if text.ends_with("command not recognized") => Some(Problem::Protocol),
        (Word::Answer, 550 | 450, Detail(1, 0 | 1 | 6)) if is_about_nobody(text) => Some(Problem::Bounce),
        (Word::Answer, 501, Detail(1, 3 | 7)) => Some(Problem::Protocol),
        (Word::Answer, ..) => Some(Problem::Policy),
        (Word::Session, 500, Detail(5, 2)) if text.ends_with("command too long") => None,
        (Word::Session, 503, Detail(7, 0)) | (Word::Session, 452, Detail(5, 3)) => None,
        (Word::Session, 554, Detail(5, 1)) => None,
        (Word::Session, 535 | 454, _) | (Word::Session, 501, Detail(7, 0)) => None,
        (Word::Session, 550, Detail(7, 0)) | (Word::Session, 551, Detail(7, 1)) => Some(Problem::Policy),
        (Word::Session, 502, Detail(5, 1)) if text.starts_with("VRFY") => Some(Problem::Policy),
        (Word::Session | Word::Login, ..) => Some(Problem::Protocol),
    }
}

/// Is it the mailbox that is not there, rather than a rule?
fn is_about_nobody(text: &str) -> bool {
    text.contains("rejected: User unknown") || text.contains("rejected: User has moved to")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the real one told of in which class.
    #[test]
    fn classes_of_refusals() {
        use Problem::{Bounce, Policy, Protocol, Resource, Software};
        for (word, reply, expected) in [
            (Word::Session, "250 2.1.0 Ok", None),
            (
                Word::Answer,
                "554 5.7.1 <no@site.test>: Recipient address rejected: Access denied",
                Some(Policy),
            ),
            (
                Word::Answer,
                "450 4.7.1 <d@site.test>: Recipient address rejected: Access denied",
                Some(Policy),
            ),
            (
                Word::Answer,
                "550 5.1.1 <n@u.test>: Recipient address rejected: User unknown in virtual alias table",
                Some(Bounce),
            ),
            (
                Word::Answer,
                "451 4.3.5 <b@s.test>: Recipient address rejected: Server configuration error",
                Some(Policy),
            ),
            (Word::Answer, "451 4.3.5 Server configuration error", Some(Software)),
            (Word::Answer, "452 4.3.1 Insufficient system storage", Some(Resource)),
            (Word::Answer, "500 5.5.2 Error: command not recognized", Some(Protocol)),
            (Word::Answer, "501 5.1.7 Bad sender address syntax", Some(Protocol)),
            (Word::Answer, "421 4.7.0 mx.test Error: too many connections from 192.0.2.1", Some(Policy)),
            (Word::Session, "501 5.5.4 Syntax: MAIL FROM:<address>", Some(Protocol)),
            (Word::Session, "503 5.5.1 Error: nested MAIL command", Some(Protocol)),
            (Word::Session, "554 5.5.1 Error: no valid recipients", None),
            (Word::Session, "555 5.5.4 Unsupported option: FOO=1", Some(Protocol)),
            (Word::Session, "552 5.3.4 Message size exceeds fixed limit", Some(Policy)),
            (Word::Session, "500 5.5.2 mx.test Error: command too long", None),
            (Word::Session, "550 5.7.0 Error: insufficient authorization", Some(Policy)),
            (Word::Session, "500 Syntax: ETRN domain", Some(Protocol)),
            (Word::Session, "521 5.5.4 Syntax: BDAT count [LAST]", Some(Protocol)),
            (Word::Session, "421 4.7.0 mx.test Error: too many errors", None),
            (Word::Session, "454 4.7.0 TLS not available due to local problem", Some(Resource)),
            (Word::Session, "452 4.5.3 Error: too many recipients", None),
            (Word::Login, "535 5.7.8 Error: authentication failed", None),
            (Word::Session, "501 5.7.0 Authentication aborted", None),
            (Word::EndOfData, "250 2.0.0 Ok: queued as ABCDEF1234", None),
            (Word::EndOfData, "550 5.7.1 message content rejected", Some(Policy)),
            (Word::EndOfData, "554 5.4.0 Error: too many hops", Some(Bounce)),
            (Word::EndOfData, "552 5.3.4 Error: message file too big", Some(Bounce)),
            (Word::EndOfData, "451 4.3.0 Error: queue file write error", Some(Resource)),
        ] {
            let parsed = Reply::parse(reply).unwrap_or_else(|| Reply::bare(250, reply.to_owned()));
            assert_eq!(problem(&parsed, word), expected, "{reply}");
        }
    }
}
