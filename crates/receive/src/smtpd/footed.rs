//! Refusals as the client hears them: smtpd_reject_filter_maps, smtpd_reject_footer.

use mail::{Address, ClientFacts, Reply};
use smtp::server::{Question, Session};
use tables::{Key, Lookup};

use super::Driver;

/// What was known when something was last decided.
#[derive(Default)]
pub(super) struct Shown {
    client: Option<ClientFacts>,
    sender: Option<Address>,
    recipient: Option<Address>,
}

impl Driver<'_> {
    /// Notes what a question is about.
    pub(super) fn remember(&mut self, question: &Question) {
        let Some(shown) = &mut self.shown else { return };
        let (session, sender, recipient) = match question {
            Question::Mail(question) => (question.session(), Some(&question.about.address), None),
            Question::Rcpt(question) => (question.session(), None, Some(&question.about.address)),
            Question::Vrfy(question) => (question.session(), None, Some(&question.about.address)),
            Question::Connect(question) => (question.session(), None, None),
            Question::Helo(question) => (question.session(), None, None),
            Question::Data(question) => (question.session(), None, None),
            Question::EndOfData(question) => (question.session(), None, None),
            Question::Etrn(question) => (question.session(), None, None),
            Question::StartTls(question) => (question.session(), None, None),
            Question::Auth(question) => (question.session(), None, None),
            Question::Unknown(question) => (question.session(), None, None),
        };
        **shown = Shown::of(session, sender, recipient);
    }

    /// The reply as the client hears it.
    pub(super) async fn with_footer(&self, reply: Reply) -> Reply {
        let reply = self.filtered(reply).await;
        let (Some(footer), Some(shown)) = (&self.service.footer, &self.shown) else { return reply };
        let facts = |name: &str| self.fact(shown, name);
        let warn = |text: &str| maillog::warning!(self.log, "{text}");
        footer.add(reply, &facts, &warn).await
    }

    /// smtpd_reject_filter_maps: a refusal in other words.
    async fn filtered(&self, reply: Reply) -> Reply {
        if !reply.is_error() || self.service.reject_filter.is_empty() {
            return reply;
        }
        match self.service.reject_filter.find(&reply.to_string(), Key::Full).await {
            Lookup::Absent => reply,
            Lookup::Found(text) => match Reply::parse(&text).filter(Reply::is_error) {
                Some(other) => other,
                None => {
                    maillog::warning!(
                        self.log,
                        "smtpd_reject_filter_maps: \"{text:.100}\" is no 4XX or 5XX reply; \"{reply}\" stays"
                    );
                    reply
                }
            },
            Lookup::Failed(why) => {
                maillog::warning!(self.log, "smtpd_reject_filter_maps: {why}");
                reply
            }
        }
    }

    fn fact(&self, shown: &Shown, name: &str) -> Option<String> {
        let client = shown.client.as_ref()?;
        let address = |address: &Option<Address>| {
            address.as_ref().map(|address| address.as_str().to_owned()).unwrap_or_default()
        };
        Some(match name {
            "client" => self.name.clone(),
            "client_address" => client.address.map(|address| address.to_string()).unwrap_or_default(),
            "client_name" => client.name.clone(),
            "client_port" => client.port.to_string(),
            "reverse_client_name" => client.reverse_name.clone(),
            "helo_name" => client.helo.clone().unwrap_or_default(),
            "sender" => address(&shown.sender),
            "recipient" => address(&shown.recipient),
            "server_name" => self.service.hostname.clone(),
            "server_address" => client.server.map(|(address, _)| address.to_string()).unwrap_or_default(),
            "server_port" => client.server.map(|(_, port)| port.to_string()).unwrap_or_default(),
            _ => return None,
        })
    }
}

impl Shown {
    /// The transaction's addresses, where the question is not about others.
    fn of(session: &Session, sender: Option<&Address>, recipient: Option<&Address>) -> Shown {
        let envelope = session.transaction().map(|transaction| &transaction.envelope);
        let last = || Some(&envelope?.recipients.last()?.address);
        Shown {
            client: Some(session.client().clone()),
            sender: sender.or(envelope.map(|envelope| &envelope.sender)).cloned(),
            recipient: recipient.or_else(last).cloned(),
        }
    }
}
