//! Between EHLO and mail: STARTTLS (RFC 3207), AUTH (RFC 4954), and the gate that mail has to pass.

use bytes::BytesMut;
use mail::{Outcome, Status, TlsFacts};

use super::clearance::Clearance;
use super::conversation::{Closed, Core, State};
use super::features::Features;
use super::peer::Peer;
use super::reply::{ReplyReader, ServerReply};
use super::stage::Stage;
use super::transaction::Ready;
use super::{Next, Step, failure};

/// A session that knows what the server offers, and must be told how to go on.
#[derive(Debug)]
pub struct Greeted {
    core: Core,
    starttls_refusal: Option<ServerReply>,
    auth_refusal: Option<ServerReply>,
}

/// The clearance was for another connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAdmitted;

impl Greeted {
    pub(super) fn new(core: Core) -> Self {
        Greeted { core, starttls_refusal: None, auth_refusal: None }
    }

    /// What the server offers now.
    pub fn features(&self) -> &Features {
        &self.core.features
    }

    /// What the handshake proved; `None` in plaintext.
    pub fn tls(&self) -> Option<&TlsFacts> {
        self.core.tls.as_ref()
    }

    /// Who the session talks to.
    pub fn peer(&self) -> &Peer {
        &self.core.peer
    }

    /// AUTH succeeded.
    pub fn is_authenticated(&self) -> bool {
        self.core.authenticated
    }

    /// The reply to a STARTTLS that was refused. The connection is still a plaintext one.
    pub fn starttls_refusal(&self) -> Option<&ServerReply> {
        self.starttls_refusal.as_ref()
    }

    /// The reply to an AUTH that was refused.
    pub fn auth_refusal(&self) -> Option<&ServerReply> {
        self.auth_refusal.as_ref()
    }

    /// Asks for a handshake. Inside TLS there is nothing to ask for: the session ends with a failure, because a
    /// caller that wants TLS twice has lost count.
    pub fn start_tls(self) -> Step {
        if self.core.tls.is_some() {
            let text = format!("local data error while talking to {}", self.core.peer);
            let outcome = failure::local(&self.core.peer, Status::new(4, 3, 0), text);
            return self.core.leave(outcome);
        }
        self.core.command("STARTTLS", State::StartTls)
    }

    /// Begins an AUTH exchange; the initial response is in base64.
    pub fn authenticate(self, mechanism: &str, initial_response: Option<&str>) -> Step {
        let line = match initial_response {
            Some(response) => format!("AUTH {mechanism} {response}"),
            None => format!("AUTH {mechanism}"),
        };
        self.core.command(&line, State::Auth)
    }

    /// Opens the way to MAIL FROM: the clearance must have been given for this very connection. Otherwise the session is
    /// gone, since a mistake about security is no reason to try again.
    pub fn proceed(self, clearance: &impl Clearance) -> Result<Ready, NotAdmitted> {
        if clearance.admits(self.core.tls.as_ref()) {
            Ok(Ready { core: self.core })
        } else {
            Err(NotAdmitted)
        }
    }

    /// Leaves because of something decided outside: TLS is required but was not offered, say.
    pub fn refuse(self, outcome: Outcome) -> Step {
        self.core.leave(outcome)
    }
}

impl Core {
    pub(super) fn starttls_reply(mut self, reply: ServerReply) -> Step {
        if reply.is_positive() {
            return self.step(Vec::new(), |core| Next::StartTls(Upgrade { core }));
        }
        self.features.starttls = false;
        self.step(Vec::new(), |core| {
            Next::Greeted(Greeted { starttls_refusal: Some(reply), ..Greeted::new(core) })
        })
    }

    pub(super) fn auth_reply(mut self, reply: ServerReply) -> Step {
        match reply.class() {
            3 => {
                let text = reply.argument().to_owned();
                self.step(Vec::new(), |core| Next::Challenge(Challenge { core, text }))
            }
            2 => {
                self.authenticated = true;
                self.step(Vec::new(), |core| Next::Greeted(Greeted::new(core)))
            }
            _ => self.step(Vec::new(), |core| {
                Next::Greeted(Greeted { auth_refusal: Some(reply), ..Greeted::new(core) })
            }),
        }
    }
}

/// A challenge of an AUTH exchange.
#[derive(Debug)]
pub struct Challenge {
    core: Core,
    /// The challenge, in base64.
    pub text: String,
}

impl Challenge {
    /// Answers, in base64. `*` gives the exchange up.
    pub fn respond(self, response: &str) -> Step {
        self.core.command(response, State::Auth)
    }
}

/// A session between the server's 220 and the end of the handshake.
#[derive(Debug)]
pub struct Upgrade {
    core: Core,
}

impl Upgrade {
    /// Who the session talks to.
    pub fn peer(&self) -> &Peer {
        &self.core.peer
    }

    /// The handshake is complete. What was read or offered in the clear is forgotten (RFC 3207 section 4.2), and
    /// EHLO is said again.
    pub fn secured(self, facts: TlsFacts) -> Step {
        let reader = ReplyReader::new(&self.core.options);
        let core = Core {
            options: self.core.options,
            peer: self.core.peer,
            input: BytesMut::new(),
            reader,
            tls: Some(facts),
            features: Features::default(),
            authenticated: false,
            pix: self.core.pix,
            broken: self.core.broken,
            notices: Vec::new(),
        };
        core.hello_again()
    }

    /// The handshake is complete, and what it proved is not enough: QUIT is all that is said inside TLS.
    pub fn refused(self, outcome: Outcome) -> Step {
        self.core.leave(outcome)
    }

    /// The handshake failed.
    pub fn failed(self) -> Closed {
        let text = "Cannot start TLS: handshake failure".to_owned();
        let outcome = failure::local(&self.core.peer, Status::new(4, 7, 5), text);
        Closed { outcome: Some(outcome), stage: Stage::StartTls, peer: self.core.peer }
    }
}
