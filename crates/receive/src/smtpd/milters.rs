//! What Milters say of a session before its message: asked behind our own restrictions, at each stage.

use access::{Asked, Decision, Effect, Note};
use mail::{Address, ClientFacts, Detail, Reply};
use smtp::server::{MailFrom, RcptTo, Session, Verdict, reply};

use super::Driver;
use crate::milter::{Action, Filtering, closing};

impl Driver<'_> {
    /// Before the greeting.
    pub(super) async fn milters_at_connect(&mut self, client: &ClientFacts) -> Verdict {
        match Filtering::of_client(&self.service.milters, self.address, &self.log).await {
            Ok(milters) => self.milters = milters,
            Err(why) => {
                // Without knowing who is to look at its mail we can not take any.
                maillog::warning!(self.log, "{why}");
                return Verdict::RefuseAndClose(reply::local_data_error(&self.service.hostname));
            }
        }
        let Some(milters) = &mut self.milters else { return Verdict::Accept };
        let action = milters.connect(client).await;
        let hostname = &self.service.hostname;
        match self.refusal_by("CONNECT", &Asked::of(client), action) {
            // What a Milter refuses for good at once is greeted all the same: MAIL is where it hears the reason.
            Some(reply) if reply.code >= 500 => {
                Verdict::AcceptWith(Reply::bare(554, format!("{hostname} ESMTP not accepting connections")))
            }
            Some(reply) if reply.closes() => Verdict::RefuseAndClose(Reply::bare(
                421,
                format!("{hostname} Service unavailable - try again later"),
            )),
            _ => Verdict::Accept,
        }
    }

    /// HELO and EHLO: `client` has the name already.
    pub(super) async fn milters_at_helo(&mut self, client: &ClientFacts, raw: &str, esmtp: bool) -> Verdict {
        let Some(milters) = &mut self.milters else { return Verdict::Accept };
        let action = milters.helo(client, raw).await;
        let told = ClientFacts { esmtp: false, ..client.clone() };
        match self.refusal_by(if esmtp { "EHLO" } else { "HELO" }, &Asked::of(&told), action) {
            Some(reply) if reply.closes() => Verdict::Refuse(reply),
            // Nothing is offered to a client that is refused whatever it says.
            Some(reply) if reply.code >= 500 && esmtp => Verdict::AcceptWith(Reply::bare(
                250,
                format!("{}\nENHANCEDSTATUSCODES", self.service.hostname),
            )),
            _ => Verdict::Accept,
        }
    }

    pub(super) async fn milters_at_mail(&mut self, session: &Session, about: &MailFrom) -> Option<Reply> {
        let milters = self.milters.as_mut()?;
        let client = session.client();
        let sender = &about.transaction.envelope.sender;
        let routing = &self.service.cleanup.routing;
        let author = about.transaction.auth.as_deref();
        let action = milters.mail(client, author, sender, parameters(&about.words), routing).await;
        let asked = Asked { sender: Some(sender), ..Asked::of(client) };
        self.refusal_by("MAIL", &asked, action)
    }

    /// `refusal` is our own; a Milter may want to know of it.
    pub(super) async fn milters_at_rcpt(
        &mut self,
        session: &Session,
        about: &RcptTo,
        refusal: Option<Reply>,
    ) -> Option<Reply> {
        let Some(milters) = &mut self.milters else { return refusal };
        let recipient = &about.recipient.address;
        if let Some(refusal) = refusal {
            milters.refused_rcpt(recipient, parameters(&about.words), &refusal).await;
            return Some(refusal);
        }
        let routing = &self.service.cleanup.routing;
        let asked = Asked { recipient: Some(recipient), ..asked(session) };
        let null = Address::null();
        let sender = asked.sender.unwrap_or(&null);
        let action = milters.rcpt(sender, recipient, parameters(&about.words), routing).await;
        self.refusal_by("RCPT", &asked, action)
    }

    pub(super) async fn milters_at_data(&mut self, session: &Session) -> Option<Reply> {
        let action = self.milters.as_mut()?.data().await;
        self.refusal_by("DATA", &asked(session), action)
    }

    /// A command that is none.
    pub(super) async fn milters_at_unknown(&mut self, session: &Session, line: &str) -> Option<Reply> {
        let action = self.milters.as_mut()?.unknown(line).await;
        self.refusal_by("UNKNOWN", &asked(session), action)
    }

    /// VRFY, ETRN and STARTTLS: whoever was refused at connect or HELO hears it again.
    pub(super) fn milters_standing(&mut self, session: &Session, stage: &str) -> Option<Reply> {
        let standing = self.milters.as_ref()?.standing()?;
        match standing {
            Action::Refuse(_) | Action::Shutdown => self.refusal_by(stage, &asked(session), Some(standing)),
            Action::Hold | Action::Discard => None,
        }
    }

    /// STARTTLS: a temporary refusal has words of its own there.
    pub(super) fn milters_at_starttls(&mut self, session: &Session) -> Option<Reply> {
        let reply = self.milters_standing(session, "STARTTLS")?;
        match reply.code {
            500.. | 421 => Some(reply),
            _ => Some(Reply::new(454, Detail(3, 0), "Try again later")),
        }
    }

    /// The transaction is gone.
    pub(super) async fn milters_abort(&mut self) {
        if let Some(milters) = &mut self.milters {
            milters.abort().await;
        }
    }

    /// Logs what a Milter wants, takes note of what concerns the message, and gives the reply of a refusal.
    fn refusal_by(&mut self, stage: &str, asked: &Asked<'_>, action: Option<Action>) -> Option<Reply> {
        let (word, text, refusal) = match action? {
            Action::Refuse(reply) => ("milter-reject", reply.to_string(), Some(reply)),
            Action::Shutdown => ("milter-reject", closing().to_string(), Some(closing())),
            Action::Hold => {
                if !self.note_effect(Effect::Hold) {
                    return None;
                }
                ("milter-hold", "milter triggers HOLD action".to_owned(), None)
            }
            Action::Discard => {
                self.note_effect(Effect::Discard);
                ("milter-discard", "milter triggers DISCARD action".to_owned(), None)
            }
        };
        let notes = vec![Note::Action { word, text }];
        self.log_decision(stage, asked, &Decision { notes, ..Decision::default() });
        refusal
    }

    /// True when it is new for this message.
    fn note_effect(&mut self, effect: Effect) -> bool {
        let effects = &mut self.mail.get_or_insert_default().effects;
        let is_new = !effects.contains(&effect);
        if is_new {
            effects.push(effect);
        }
        is_new
    }
}

fn asked(session: &Session) -> Asked<'_> {
    let sender = session.transaction().map(|transaction| &transaction.envelope.sender);
    Asked { sender, ..Asked::of(session.client()) }
}

/// What stands behind the address.
fn parameters(words: &[String]) -> &[String] {
    words.get(1..).unwrap_or_default()
}
