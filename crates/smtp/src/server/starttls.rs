//! STARTTLS (RFC 3207): how a plaintext session ends and another one begins.

use std::sync::Arc;

use ::mail::{ClientFacts, Reply, TlsFacts};
use bytes::BytesMut;

use super::command::{Verb, Word};
use super::content::Chunking;
use super::options::{EhloKeyword, Options, TlsOffer};
use super::question::{Pending, Question, StartTlsRequest, Verdict};
use super::session::{Effect, Session, State};
use super::tally::{End, Reason, Stage};
use super::{Next, Step, reply};

impl Session {
    pub(super) fn starttls(self, words: &[Word]) -> Step {
        let refusal = if words.len() != 1 {
            reply::SYNTAX_STARTTLS
        } else if self.client.tls.is_some() {
            reply::TLS_ACTIVE
        } else if self.options.tls == TlsOffer::None || self.discards(EhloKeyword::StartTls) {
            reply::NOT_IMPLEMENTED
        } else if !self.options.tls_available {
            reply::TLS_UNAVAILABLE
        } else {
            return self.ask(StartTlsRequest, Question::StartTls);
        };
        self.say(refusal, Effect::Failed)
    }
}

impl Pending<StartTlsRequest> {
    /// Goes on to the handshake, or refuses it: the client opens too many TLS sessions.
    pub fn answer(self, verdict: Verdict) -> Step {
        let mut session = self.session;
        let ready = match verdict {
            Verdict::Accept => reply::READY_FOR_TLS,
            Verdict::AcceptWith(reply) => reply,
            Verdict::Refuse(reply) => return session.say(reply, Effect::Failed),
            Verdict::RefuseAndClose(reply) => return session.say_and_close(reply, None),
        };
        let delay = session.delay();
        let notices = std::mem::take(&mut session.notices);
        let next = Next::StartTls(Upgrade { session: session.forget_plaintext() });
        Step { replies: vec![ready], delay, notices, next }
    }
}

impl Session {
    /// RFC 3207 section 4.2: what was said in the clear is forgotten. Every field is named here, so that a new one
    /// can not slip through: HELO, the transaction, authentication and plaintext read ahead (CVE-2011-0411) go; the
    /// counters stay, and so does ESMTP, because Postfix accepts MAIL without another EHLO.
    fn forget_plaintext(self) -> Session {
        let before = self.into_state();
        Session::of(State {
            client: ClientFacts { helo: None, sasl: None, tls: None, forwarded: None, ..before.client },
            input: BytesMut::new(),
            transaction: None,
            chunking: Chunking::Idle,
            exchange: None,
            notices: Vec::new(),
            content_bytes: 0,
            stage: Stage::Command(Verb::StartTls),
            options: before.options,
            tally: before.tally,
            errors: before.errors,
            junk: before.junk,
            access_denied: before.access_denied,
            pipelining_reported: before.pipelining_reported,
        })
    }
}

/// A session between `220 Ready to start TLS` and the handshake's end. It has no input: nothing but a completed
/// handshake leads on.
#[derive(Debug)]
pub struct Upgrade {
    session: Session,
}

impl Upgrade {
    /// What is known of the client.
    pub fn client(&self) -> &ClientFacts {
        &self.session.client
    }

    /// The settings of the session so far.
    pub fn options(&self) -> &Arc<Options> {
        &self.session.options
    }

    /// The handshake is complete.
    pub fn secured(mut self, facts: TlsFacts) -> Step {
        self.session.client.tls = Some(facts);
        self.session.count(Verb::StartTls, Effect::Done);
        self.session.go_on()
    }

    /// As [`Upgrade::secured`], with other settings from here on: mechanisms that exist inside TLS only, say.
    pub fn secured_with(mut self, facts: TlsFacts, options: Arc<Options>) -> Step {
        self.session.options = options;
        self.secured(facts)
    }

    /// The handshake is complete, but the client opens too many TLS sessions: the reply goes out inside TLS.
    pub fn secured_and_refused(mut self, facts: TlsFacts, reply: Reply) -> Step {
        self.session.client.tls = Some(facts);
        self.session.say_and_close(reply, None)
    }

    /// The handshake failed. Nothing is said: the client is in no state to hear it.
    pub fn failed(self) -> End {
        self.session.end(Some(Reason::LostConnection))
    }
}
