//! Between EHLO and mail: the policy decides about TLS, the handshake proves something or fails, and credentials are shown.

use config::params::smtp_tls_note_starttls_offer;
use std::time::Instant;

use mail::{Outcome, Status, TlsFacts};
use smtp::client::{self, Next, Peer, ServerReply, Stage, Step};
use tls::client::Shortcoming;
use tls::policy::{Offer, RequireTls, Unmet, Way};

use crate::sasl::{self, Credentials, NoMechanism, Sasl};
use crate::session::{Driver, Job, Proof};
use crate::tlsrpt::Verdict;

impl Driver<'_> {
    /// The server said what it offers: the policy decides.
    pub(crate) async fn greeted(&mut self, greeted: client::Greeted) -> Step {
        self.helo = Some(greeted.features().hostname.clone());
        if let Some(proof) = self.proof.take() {
            return self.proceed(greeted, proof).await;
        }
        if greeted.tls().is_some() {
            // A handshake whose facts did not satisfy the wish leaves no proof.
            let outcome = self.not_verified();
            return greeted.refuse(outcome);
        }
        if let Some(refusal) = greeted.starttls_refusal() {
            self.tls = Verdict::Refused(refusal.text.replace('\n', " "));
            return match self.job.plan.admit_plaintext() {
                Ok(admitted) => self.proceed(greeted, Proof(admitted)).await,
                Err(_) if self.job.plan.require_tls() >= RequireTls::OpportunisticStartTls => {
                    let said = refusal.text.replace('\n', " ");
                    let text = format!("but host {} refused to start TLS: {said}", self.job.peer);
                    let field = format!("{}/!requiretls:nostarttls", self.job.plan.violated());
                    let outcome = self.forbidden(10, &text, field);
                    greeted.refuse(outcome)
                }
                Err(_) => {
                    let text = format!(
                        "TLS is required, but host {} refused to start TLS: {}",
                        self.job.peer,
                        refusal.text.replace('\n', " ")
                    );
                    self.tls_field = self.job.plan.violated();
                    let relay = self.job.peer.relay();
                    let outcome = match refusal.status.class {
                        5 => Outcome::bounced(refusal.status, relay, text),
                        _ => Outcome::deferred(refusal.status, relay, text),
                    };
                    greeted.refuse(outcome)
                }
            };
        }
        let offer = Offer { starttls: greeted.features().starttls, local_socket: self.job.local_socket };
        if !offer.starttls {
            self.tls = Verdict::NotOffered;
        }
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
                    Ok(admitted) => self.proceed(greeted, Proof(admitted)).await,
                    Err(unmet) => {
                        let outcome = self.unmet(unmet);
                        greeted.refuse(outcome)
                    }
                }
            }
            Err(Unmet::NotOffered) if self.job.plan.require_tls() >= RequireTls::OpportunisticStartTls => {
                let text = format!("but TLS service was not offered by host {}", self.job.peer);
                let field = format!("{}/!requiretls:nostarttls", self.job.plan.violated());
                let outcome = self.forbidden(30, &text, field);
                greeted.refuse(outcome)
            }
            Err(unmet) => {
                let outcome = self.unmet(unmet);
                greeted.refuse(outcome)
            }
        }
    }

    /// The connection is good enough: authenticate where there are credentials and the server wants some, then send.
    async fn proceed(&mut self, greeted: client::Greeted, proof: Proof) -> Step {
        self.tls_field = proof.0.feature().to_owned();
        match (self.job.plan.require_tls(), greeted.features().require_tls) {
            (RequireTls::No, _) => {}
            (RequireTls::Enforce, false) => {
                let text = format!(
                    "but no server was found that supports REQUIRETLS. The last attempted server was {}",
                    self.job.peer
                );
                let field = format!("{}/!requiretls:none", self.tls_field);
                let outcome = self.forbidden(30, &text, field);
                return greeted.refuse(outcome);
            }
            (_, false) => self.tls_field.push_str("/requiretls:none"),
            (_, true) if self.job.plan.level().must_authenticate() => self.tls_field.push_str("/requiretls"),
            (_, true) => self.tls_field.push_str("/requiretls:nocertmatch"),
        }
        if let Some(reply) = greeted.auth_refusal().cloned() {
            return greeted.refuse(self.login_refused(&reply));
        }
        if greeted.is_authenticated() {
            if self.exchange.as_ref().is_some_and(|exchange| !exchange.is_proved()) {
                let text = format!(
                    "SASL authentication failed; server {} did not prove that it knows the password",
                    self.job.peer
                );
                return greeted.refuse(self.not_authenticated(text));
            }
        } else if let Some(credentials) = self.job.credentials.clone()
            && !greeted.features().auth.is_empty()
        {
            return self.log_in(greeted, proof, credentials).await;
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

    /// Begins an AUTH exchange, unless the same one was refused before.
    async fn log_in(&mut self, greeted: client::Greeted, proof: Proof, credentials: Credentials) -> Step {
        let Job { service, log, peer, .. } = &self.job;
        let failures = service.sasl.as_ref().and_then(|sasl| sasl.failures.as_ref());
        if let Some(reply) =
            failures.and_then(|failures| failures.find(&peer.host, &credentials, Instant::now()))
        {
            let text =
                format!("SASL [CACHED] authentication failed; server {peer} said: {}", reply.one_line());
            return greeted.refuse(self.refused(&reply, text));
        }
        let offered = greeted.features().auth.clone();
        match sasl::choose(service, credentials, &offered, greeted.tls()).await {
            Ok(mut exchange) => {
                let (mechanism, initial) = exchange.first();
                self.exchange = Some(exchange);
                self.proof = Some(proof);
                greeted.authenticate(mechanism, initial.as_deref())
            }
            Err(NoMechanism::Filtered) => {
                let list = offered.join(" ");
                maillog::warning!(log, "{} offered no supported AUTH mechanisms: '{list}'", peer.relay());
                let text = format!(
                    "SASL authentication failed: server {peer} offered no compatible authentication mechanisms \
                     for this type of connection security"
                );
                greeted.refuse(self.not_authenticated(text))
            }
            Err(NoMechanism::Unworthy) => {
                maillog::warning!(log, "SASL authentication failure: No worthy mechs found");
                let text = format!(
                    "SASL authentication failed; cannot authenticate to server {peer}: no mechanism available"
                );
                greeted.refuse(self.not_authenticated(text))
            }
        }
    }

    /// The server does not take the credentials.
    fn login_refused(&mut self, reply: &ServerReply) -> Outcome {
        let Job { service, peer, .. } = &self.job;
        if let (Some(Sasl { failures: Some(failures), .. }), Some(exchange), 535) =
            (&service.sasl, &self.exchange, reply.code)
        {
            failures.remember(&peer.host, exchange.credentials.clone(), reply.clone(), Instant::now());
        }
        let text = format!("SASL authentication failed; server {peer} said: {}", reply.one_line());
        self.refused(reply, text)
    }

    /// smtp_sasl_auth_soft_bounce: a wrong password here is no reason to return other people's mail.
    fn refused(&self, reply: &ServerReply, text: String) -> Outcome {
        let relay = self.job.peer.relay();
        let soft = self.job.service.sasl.as_ref().is_none_or(|sasl| sasl.soft);
        match reply.class() {
            5 if !soft => Outcome::bounced(reply.status, relay, text),
            _ => Outcome::deferred(reply.status, relay, text),
        }
    }

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
                let resumed = connection.facts.resumed;
                self.tls = match (&connection.verdict, connection.shortcoming) {
                    (Err(_), Some(shortcoming)) => Verdict::NotVerified(shortcoming),
                    (_, shortcoming) => Verdict::Secured { resumed, shortcoming },
                };
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
                self.tls = Verdict::Failed(failure.to_string());
                self.tls_field = match plan.require_tls() {
                    RequireTls::No => plan.violated(),
                    _ => format!("{}/!requiretls:noencryption", plan.violated()),
                };
                None
            }
        }
    }

    pub(crate) fn handshake_failure(&self) -> Outcome {
        let text = "Cannot start TLS: handshake failure";
        Outcome::deferred(Status::new(4, 7, 5), self.job.peer.relay(), text)
    }

    /// What the sender has forbidden, in Postfix's words; for good after the last server (RFC 8689 section 4.2.1).
    fn forbidden(&mut self, detail: u16, why: &str, field: String) -> Outcome {
        self.tls_field = field;
        let text = format!("Sender requested REQUIRETLS, {why}");
        match self.job.is_final {
            true => Outcome::bounced(Status::new(5, 7, detail), self.job.peer.relay(), text),
            false => Outcome::deferred(Status::new(4, 7, detail), self.job.peer.relay(), text),
        }
    }

    /// The server is not who the plan asks for.
    pub(crate) fn not_verified(&mut self) -> Outcome {
        if self.job.plan.require_tls() != RequireTls::Enforce {
            return self.unmet(Unmet::NotVerified);
        }
        let kind = match self.tls {
            Verdict::NotVerified(Shortcoming::NotTrusted) => "trusted",
            _ => "matching",
        };
        let text = format!(
            "but no {kind} server certificate was found. The last attempted server was {}",
            self.job.peer
        );
        let field = format!("{}/requiretls?", self.job.plan.violated());
        self.forbidden(10, &text, field)
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
