//! Between EHLO and mail: the policy decides about TLS, the handshake proves something or fails, and credentials are shown.

use config::params::smtp_tls_note_starttls_offer;
use mail::{Outcome, Status, TlsFacts};
use smtp::client::{self, Next, Peer, Stage, Step};
use tls::policy::{Offer, Unmet, Way};

use crate::sasl::Exchange;
use crate::session::{Driver, Job, Proof};

impl Driver<'_> {
    /// The server said what it offers: the policy decides.
    pub(crate) fn greeted(&mut self, greeted: client::Greeted) -> Step {
        if let Some(proof) = self.proof.take() {
            return self.proceed(greeted, proof);
        }
        if greeted.tls().is_some() {
            // A handshake whose facts did not satisfy the wish left no proof.
            let outcome = self.unmet(Unmet::NotVerified);
            return greeted.refuse(outcome);
        }
        if let Some(refusal) = greeted.starttls_refusal() {
            return match self.job.plan.admit_plaintext() {
                Ok(admitted) => self.proceed(greeted, Proof(admitted)),
                Err(_) => {
                    let text = format!(
                        "TLS is required, but host {} refused to start TLS: {}",
                        self.job.peer,
                        refusal.text.replace('\n', " ")
                    );
                    self.tls_field = self.job.plan.violated();
                    let outcome = Outcome::deferred(refusal.status, self.job.peer.relay(), text);
                    greeted.refuse(outcome)
                }
            };
        }
        let offer = Offer { starttls: greeted.features().starttls, local_socket: self.job.local_socket };
        match self.job.plan.way(offer) {
            Ok(Way::Tls) => match self.check() {
                Ok(()) => greeted.start_tls(),
                Err(why) => {
                    let outcome = self.unmet(Unmet::Configuration(why));
                    greeted.refuse(outcome)
                }
            },
            Ok(Way::Plaintext) => {
                self.note_offer(offer);
                match self.job.plan.admit_plaintext() {
                    Ok(admitted) => self.proceed(greeted, Proof(admitted)),
                    Err(unmet) => {
                        let outcome = self.unmet(unmet);
                        greeted.refuse(outcome)
                    }
                }
            }
            Err(unmet) => {
                let outcome = self.unmet(unmet);
                greeted.refuse(outcome)
            }
        }
    }

    /// The connection is good enough: authenticate where there are credentials, then send.
    fn proceed(&mut self, greeted: client::Greeted, proof: Proof) -> Step {
        self.tls_field = proof.0.feature().to_owned();
        if let Some(refusal) = greeted.auth_refusal() {
            let text = format!(
                "SASL authentication failed; server {} said: {}",
                self.job.peer,
                refusal.text.replace('\n', " ")
            );
            return greeted.refuse(self.not_authenticated(text));
        }
        if !greeted.is_authenticated()
            && let Some(credentials) = self.job.credentials.clone()
        {
            let chosen =
                Exchange::choose(self.job.service, credentials, &greeted.features().auth, greeted.tls());
            let Some(exchange) = chosen else {
                let text = format!(
                    "SASL authentication failed; cannot authenticate to server {}: no mechanism available",
                    self.job.peer
                );
                return greeted.refuse(self.not_authenticated(text));
            };
            let (mechanism, initial) = exchange.begin();
            self.exchange = Some(exchange);
            self.proof = Some(proof);
            return greeted.authenticate(mechanism, initial.as_deref());
        }
        match greeted.proceed(&proof) {
            Ok(ready) => Step { send: Vec::new(), notices: Vec::new(), next: Next::Ready(ready) },
            // The proof was made for this connection a moment ago; if it does not fit, nothing is sent.
            Err(client::NotAdmitted) => {
                let outcome = self.unmet(Unmet::NotVerified);
                let closed = client::Closed {
                    outcome: Some(outcome),
                    stage: Stage::StartTls,
                    peer: self.job.peer.clone(),
                };
                Step { send: Vec::new(), notices: Vec::new(), next: Next::Closed(closed) }
            }
        }
    }

    /// smtp_sasl_auth_soft_bounce: a wrong password here is no reason to return other people's mail.
    fn not_authenticated(&self, text: String) -> Outcome {
        Outcome::deferred(Status::new(4, 7, 0), self.job.peer.relay(), text)
    }

    /// smtp_tls_note_starttls_offer: at level none only.
    fn note_offer(&self, offer: Offer) {
        let service = self.job.service;
        if offer.starttls
            && self.job.plan.level() == tls::ClientLevel::None
            && service.settings.client(smtp_tls_note_starttls_offer)
        {
            maillog::info!(self.job.log, "Host offered STARTTLS: [{}]", self.job.peer.host);
        }
    }

    /// Is there an engine that can carry out the plan? Otherwise mail waits, at every level but none: a mistake in main.cf is no
    /// reason to go in the clear.
    pub(crate) fn check(&self) -> std::result::Result<(), String> {
        let engine = self.job.service.client.as_ref().map_err(Clone::clone)?;
        engine
            .check(&self.job.plan)
            .map_err(|why| format!("TLS level {}: {why}", self.job.plan.level().name()))
    }

    /// The handshake. Gives the facts as the policy confirms them, and keeps its proof; nothing when it failed.
    pub(crate) async fn shake(&mut self) -> Option<TlsFacts> {
        let Job { service, log, peer, plan, .. } = &self.job;
        let Ok(engine) = &service.client else { return None };
        let plain = std::mem::replace(&mut self.stream, Box::new(tokio::io::empty()));
        let target = log_name(peer);
        let server =
            tls::client::Server { host: peer.host.clone(), address: peer.address.clone(), port: peer.port };
        let journal = service.tls_log.journal(&peer.host, &peer.address, target.clone(), log).await;
        match engine.connect(plan, &server, plain, journal).await {
            Ok(connection) => {
                self.stream = Box::new(connection.stream);
                if let Some(why) = connection.explanation {
                    maillog::warning!(
                        log,
                        "{target} is not who level {} asks for: {why}",
                        plan.level().name()
                    );
                }
                self.proof = connection.verdict.ok().map(Proof);
                self.in_tls = true;
                Some(connection.facts)
            }
            Err(failure) => {
                if !failure.is_told() {
                    maillog::info!(log, "SSL_connect error to {target}: {}", failure.cause);
                }
                for line in &failure.library {
                    maillog::warning!(log, "{line}");
                }
                if let Some(meaning) = failure.meaning {
                    maillog::info!(log, "handshake with {target} failed: {meaning}");
                }
                self.handshake_failed = true;
                self.tls_field = plan.violated();
                None
            }
        }
    }

    pub(crate) fn handshake_failure(&self) -> Outcome {
        let text = "Cannot start TLS: handshake failure";
        Outcome::deferred(Status::new(4, 7, 5), self.job.peer.relay(), text)
    }

    /// Why mail can not go, in Postfix's words.
    pub(crate) fn unmet(&mut self, unmet: Unmet) -> Outcome {
        if let Some(warning) = unmet.warning() {
            maillog::warning!(self.job.log, "{}: {warning}", self.job.peer);
        }
        self.tls_field = self.job.plan.violated();
        Outcome::deferred(unmet.status(), self.job.peer.relay(), unmet.text(&self.job.peer.to_string()))
    }

    /// A line about a connection in TLS that serves another delivery.
    pub(crate) async fn tell_reuse(&mut self, ready: &client::Ready) {
        let Some(facts) = ready.tls() else { return };
        let Job { service, log, peer, .. } = &self.job;
        let journal = service.tls_log.journal(&peer.host, &peer.address, log_name(peer), log).await;
        tls::client::tell_reuse(&journal, facts);
    }
}

/// `HOST[ADDR]:PORT`, as TLS names a server in the log.
fn log_name(peer: &Peer) -> String {
    let name = format!("{}[{}]", peer.host.to_ascii_lowercase(), peer.address);
    match peer.port {
        Some(port) => format!("{name}:{port}"),
        None => name,
    }
}
