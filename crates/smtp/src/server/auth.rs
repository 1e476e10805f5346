//! AUTH (RFC 4954): who may ask for it, and the exchange of challenges and responses. The mechanisms themselves
//! are outside; texts pass through in base64 as they are on the wire.

use ::mail::Reply;
use ::mail::client::SaslFacts;

use super::command::Word;
use super::notice::{Notice, printable};
use super::options::{Auth, EhloKeyword, TlsOffer};
use super::question::{Pending, Question};
use super::session::{Effect, Session};
use super::{Step, reply};

/// What the client did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthEvent {
    /// The AUTH command. Whatever was left of an earlier exchange is void.
    Start {
        /// The mechanism as the client wrote it.
        mechanism: String,
        /// The initial response in base64, `=` for an empty one.
        initial_response: Option<String>,
    },
    /// The answer to a challenge, in base64.
    Response(String),
}

/// What to tell it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthVerdict {
    /// `334` with this text in base64; the client will answer.
    Challenge(String),
    /// `235`: this is the client from now on.
    Accept(SaslFacts),
    /// `535`, `454` or whatever fits.
    Refuse(Reply),
    /// Refuse and hang up.
    RefuseAndClose(Reply),
}

impl Session {
    /// AUTH as it is offered to this session now; `None` when it is off.
    pub(super) fn active_auth(&self) -> Option<&Auth> {
        let auth = self.options.auth.as_ref()?;
        let needs_tls = auth.tls_only || self.options.tls == TlsOffer::Required;
        let in_tls = self.client.tls.is_some();
        let mechanisms = if in_tls { &auth.mechanisms_in_tls } else { &auth.mechanisms };
        // Security options can leave nothing of what the SASL server has.
        (!self.options.stand_alone && (in_tls || !needs_tls) && !mechanisms.is_empty()).then_some(auth)
    }

    /// Is an AUTH exchange going on?
    pub fn is_authenticating(&self) -> bool {
        self.exchange.is_some()
    }

    pub(super) fn auth(mut self, words: &[Word]) -> Step {
        let refusal = if self.options.helo_required && self.client.helo.is_none() {
            reply::SEND_HELO
        } else if self.active_auth().is_none() || self.discards(EhloKeyword::Auth) {
            reply::AUTH_OFF
        } else if self.transaction.is_some() {
            reply::IN_TRANSACTION
        } else if self.client.sasl.is_some() {
            reply::AUTH_DONE
        } else if let [_, mechanism, rest @ ..] = words
            && rest.len() <= 1
        {
            let mechanism = mechanism.text.clone();
            let initial_response = rest.first().map(|word| word.text.clone());
            self.exchange = Some(mechanism.clone());
            return self.ask(AuthEvent::Start { mechanism, initial_response }, Question::Auth);
        } else {
            reply::SYNTAX_AUTH
        };
        self.say(refusal, Effect::Failed)
    }

    /// A line inside the exchange.
    pub(super) fn auth_response(mut self, line: &str) -> Step {
        if line == "*" {
            let mechanism = self.exchange.take().unwrap_or_default();
            self.notices.push(Notice::AuthAborted(printable(&mechanism, 100)));
            return self.say(reply::AUTH_ABORTED, Effect::Failed);
        }
        self.ask(AuthEvent::Response(line.to_owned()), Question::Auth)
    }
}

impl Pending<AuthEvent> {
    /// The mechanism of this exchange, as the client wrote it.
    pub fn mechanism(&self) -> &str {
        self.session.exchange.as_deref().unwrap_or_default()
    }

    /// Goes on with the exchange or ends it.
    pub fn answer(self, verdict: AuthVerdict) -> Step {
        let mut session = self.session;
        match verdict {
            AuthVerdict::Challenge(text) => {
                let delay = session.delay();
                session.step(vec![Reply::bare(334, text)], delay, None)
            }
            AuthVerdict::Accept(facts) => {
                session.exchange = None;
                session.client.sasl = Some(facts);
                session.say(reply::AUTHENTICATED, Effect::Done)
            }
            AuthVerdict::Refuse(reply) => {
                session.exchange = None;
                session.say(reply, Effect::Failed)
            }
            AuthVerdict::RefuseAndClose(reply) => session.say_and_close(reply, None),
        }
    }
}
