//! One connection: writes what the pure session says, reads what it waits for, shakes hands when the decision is for TLS, and
//! sends the content.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mail::mime::{self, SevenBit};
use mail::{BodyType, Outcome, Purpose, Status, TlsFacts};
use smtp::client::{self, Afterwards, BodyPhase, Clearance, Message, Next, Peer, Stage, Step};
use tls::policy::{Admitted, Offer, Plan, Unmet, Way};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::sasl::{Credentials, Exchange};
use crate::service::Service;

/// A connection, encrypted or not.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// The content of a message, with LF line ends.
#[derive(Clone)]
pub(crate) enum Content {
    /// In memory.
    Bytes(Arc<[u8]>),
    /// An open file, read by position.
    File(Arc<std::fs::File>),
}

/// Bytes of content read from a file at a time.
const CHUNK: usize = 256 * 1024;

/// What one connection brought.
pub(crate) struct Result {
    /// One for each recipient of the message.
    pub(crate) outcomes: Vec<Outcome>,
    /// The server took part in a transaction: what it said of the recipients is its word on them.
    pub(crate) spoken: bool,
    /// A handshake failed at a level that may go on in the clear.
    pub(crate) handshake_failed: bool,
    /// From the beginning of the connection to MAIL FROM.
    pub(crate) setup: Duration,
}

/// What a connection is for.
pub(crate) struct Job<'a> {
    pub(crate) service: &'a Service,
    /// The service's options, with what is special to this server.
    pub(crate) options: Arc<client::Options>,
    /// Log of this delivery.
    pub(crate) log: &'a maillog::Log,
    /// Queue id, for notices.
    pub(crate) id: &'a str,
    pub(crate) peer: Peer,
    pub(crate) plan: Plan,
    /// For AUTH, when there are any for this server.
    pub(crate) credentials: Option<Credentials>,
    /// The connection is a UNIX-domain socket.
    pub(crate) local_socket: bool,
    pub(crate) message: Message,
    pub(crate) content: Content,
}

/// The proof of the TLS room, shown to the session.
struct Proof(Admitted);

impl Clearance for Proof {
    fn admits(&self, facts: Option<&TlsFacts>) -> bool {
        self.0.covers(facts)
    }
}

struct Driver<'a> {
    job: Job<'a>,
    stream: Box<dyn Stream>,
    /// Given by the policy once the connection satisfies it.
    proof: Option<Proof>,
    /// The server takes ASCII only, and the message is more.
    seven_bit: Option<SevenBit>,
    /// An AUTH exchange under way.
    exchange: Option<Exchange>,
    began: Instant,
    setup: Option<Duration>,
    tls_field: String,
    handshake_failed: bool,
}

/// Carries out one delivery over an open connection.
pub(crate) async fn run(job: Job<'_>, stream: Box<dyn Stream>, began: Instant) -> Result {
    let count = job.message.envelope.recipients.len();
    let tls_field = job.plan.undecided();
    let mut driver = Driver {
        job,
        stream,
        proof: None,
        seven_bit: None,
        exchange: None,
        began,
        setup: None,
        tls_field,
        handshake_failed: false,
    };
    let first = driver.begin().await;
    let (mut outcomes, spoken) = match first {
        Ok(step) => driver.drive(step).await,
        Err(outcome) => (vec![*outcome; count], false),
    };
    for outcome in &mut outcomes {
        if driver.job.service.tells_tls {
            outcome.tls.clone_from(&driver.tls_field);
        }
    }
    let setup = driver.setup.unwrap_or_else(|| began.elapsed());
    Result { outcomes, spoken, handshake_failed: driver.handshake_failed, setup }
}

impl Driver<'_> {
    /// The beginning of a session; in wrapper mode behind a handshake.
    async fn begin(&mut self) -> std::result::Result<Step, Box<Outcome>> {
        let options = Arc::clone(&self.job.options);
        let peer = self.job.peer.clone();
        if !self.job.plan.is_wrapper() {
            if peer.port == Some(465) {
                maillog::info!(
                    self.job.log,
                    "SMTPS wrappermode (TCP port 465) requires setting \"smtp_tls_wrappermode = yes\", and \
                     \"smtp_tls_security_level = encrypt\" (or stronger)"
                );
            }
            return Ok(client::begin(options, peer, None));
        }
        if let Err(why) = self.check() {
            return Err(Box::new(self.unmet(Unmet::Configuration(why))));
        }
        match self.shake().await {
            Some(facts) => Ok(client::begin(options, peer, Some(facts))),
            None => Err(Box::new(self.handshake_failure())),
        }
    }

    async fn drive(&mut self, mut step: Step) -> (Vec<Outcome>, bool) {
        let count = self.job.message.envelope.recipients.len();
        let mut outcomes: Option<Vec<Outcome>> = None;
        loop {
            for notice in &step.notices {
                let text = notice.text(self.job.id, &self.job.peer);
                match notice.is_warning() {
                    true => maillog::warning!(self.job.log, "{text}"),
                    false => maillog::info!(self.job.log, "{text}"),
                }
            }
            let sent = self.send(&step.send, Stage::MailFrom).await;
            step = match step.next {
                Next::Read(conversation) if sent.is_err() && outcomes.is_some() => conversation.lost(),
                Next::Read(mut conversation) => {
                    if conversation.needs_input() {
                        let limit = self.job.service.time_limit(conversation.stage());
                        match tokio::time::timeout(limit, self.stream.read_buf(conversation.input())).await {
                            Ok(Ok(n)) if n > 0 => conversation.receive(),
                            Ok(_) => conversation.lost(),
                            Err(_elapsed) => conversation.timed_out(),
                        }
                    } else {
                        conversation.receive()
                    }
                }
                Next::Greeted(greeted) => self.greeted(greeted),
                Next::StartTls(upgrade) => match self.shake().await {
                    Some(facts) => upgrade.secured(facts),
                    None => {
                        let closed = upgrade.failed();
                        Step { send: Vec::new(), notices: Vec::new(), next: Next::Closed(closed) }
                    }
                },
                Next::Challenge(challenge) => {
                    let response = self.exchange.as_mut().map_or_else(|| "*".into(), Exchange::respond);
                    challenge.respond(&response)
                }
                Next::Ready(ready) => match outcomes {
                    Some(_) => ready.quit(),
                    None => {
                        self.setup = Some(self.began.elapsed());
                        let mut message = self.job.message.clone();
                        let Job { service, content, .. } = &self.job;
                        if !ready.features().eight_bit_mime
                            && must_become_seven_bit(service, &message, content).await
                        {
                            self.seven_bit = Some(SevenBit::new(self.job.service.mime));
                            message.size = None;
                        }
                        ready.transaction(message, false)
                    }
                },
                Next::Body(body) => self.content(body).await,
                Next::Done(done) => {
                    outcomes = Some(done.outcomes);
                    match done.next {
                        Afterwards::Ready(ready) => ready.quit(),
                        Afterwards::Quit(parting) => parting.quit(),
                        Afterwards::Lost => return (outcomes.unwrap_or_default(), true),
                    }
                }
                Next::Closed(closed) => {
                    // close_notify, so that the session can be resumed; the peer's is not waited for.
                    let _ = tokio::time::timeout(Duration::from_secs(1), self.stream.shutdown()).await;
                    return match (outcomes, closed.outcome) {
                        (Some(outcomes), _) => (outcomes, true),
                        (None, Some(outcome)) => (vec![outcome; count], false),
                        (None, None) => {
                            let text = format!("connection with {} ended without a result", self.job.peer);
                            let relay = self.job.peer.relay();
                            (vec![Outcome::deferred(Status::new(4, 4, 2), relay, text); count], false)
                        }
                    };
                }
            };
        }
    }

    /// The server said what it offers: the policy decides.
    fn greeted(&mut self, greeted: client::Greeted) -> Step {
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
        use config::params::smtp_tls_note_starttls_offer;
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
    fn check(&self) -> std::result::Result<(), String> {
        let engine = self.job.service.client.as_ref().map_err(Clone::clone)?;
        engine
            .check(&self.job.plan)
            .map_err(|why| format!("TLS level {}: {why}", self.job.plan.level().name()))
    }

    /// The handshake. Gives the facts as the policy confirms them, and keeps its proof; nothing when it failed.
    async fn shake(&mut self) -> Option<TlsFacts> {
        let Job { service, log, peer, plan, .. } = &self.job;
        let Ok(engine) = &service.client else { return None };
        let plain = std::mem::replace(&mut self.stream, Box::new(tokio::io::empty()));
        let target = format!("{}[{}]", peer.host.to_ascii_lowercase(), peer.address);
        let target = match peer.port {
            Some(port) => format!("{target}:{port}"),
            None => target,
        };
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

    fn handshake_failure(&self) -> Outcome {
        let text = "Cannot start TLS: handshake failure";
        Outcome::deferred(Status::new(4, 7, 5), self.job.peer.relay(), text)
    }

    /// Why mail can not go, in Postfix's words.
    fn unmet(&mut self, unmet: Unmet) -> Outcome {
        if let Some(warning) = unmet.warning() {
            maillog::warning!(self.job.log, "{}: {warning}", self.job.peer);
        }
        self.tls_field = self.job.plan.violated();
        Outcome::deferred(unmet.status(), self.job.peer.relay(), unmet.text(&self.job.peer.to_string()))
    }

    async fn send(&mut self, bytes: &[u8], stage: Stage) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let limit = self.job.service.time_limit(stage);
        let write = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        tokio::time::timeout(limit, write).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    /// Sends the content in large pieces.
    async fn content(&mut self, mut body: BodyPhase) -> Step {
        let mut wire = Vec::with_capacity(CHUNK + CHUNK / 8);
        let content = self.job.content.clone();
        let mut position = 0;
        let mut seven_bit = self.seven_bit.take();
        let mut converted = Vec::new();
        loop {
            let piece = match read_piece(&content, position).await {
                Ok(piece) => piece,
                Err(error) => {
                    let text = format!("message content can not be read: {error}");
                    return body.abandon(Outcome::deferred(
                        Status::new(4, 3, 0),
                        self.job.peer.relay(),
                        text,
                    ));
                }
            };
            let ends = piece.is_empty();
            position += piece.len() as u64;
            wire.clear();
            match &mut seven_bit {
                Some(converter) => {
                    converter.convert(&piece, &mut converted);
                    if ends && let Some(converter) = seven_bit.take() {
                        converter.finish(&mut converted);
                    }
                    body.encode(&converted, &mut wire);
                    converted.clear();
                }
                None => body.encode(&piece, &mut wire),
            }
            if ends && wire.is_empty() {
                return body.finish();
            }
            match self.send(&wire, Stage::Body).await {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::TimedOut => return body.timed_out(),
                Err(_) => return body.lost(),
            }
        }
    }
}

/// Is this an 8-bit message that we may convert? What was declared counts, or else what its header says.
async fn must_become_seven_bit(service: &Service, message: &Message, content: &Content) -> bool {
    if !service.converts || message.envelope.purpose == Purpose::Probe {
        return false;
    }
    if message.envelope.body == BodyType::EightBitMime {
        return true;
    }
    // Headers are far smaller than a piece.
    let Ok(beginning) = read_piece(content, 0).await else { return false };
    let mut structure = mime::Structure::new(service.mime);
    let mut eight_bit = false;
    structure.feed(&beginning, &mut |event| {
        if let mime::Event::HeaderEnd(mime::Class::Primary, entity) = event {
            eight_bit = entity.encoding.is_eight_bit();
        }
    });
    eight_bit
}

async fn read_piece(content: &Content, position: u64) -> io::Result<Vec<u8>> {
    match content {
        Content::Bytes(bytes) => {
            let start = usize::try_from(position).unwrap_or(usize::MAX).min(bytes.len());
            let end = start.saturating_add(CHUNK).min(bytes.len());
            Ok(bytes[start..end].to_vec())
        }
        Content::File(file) => {
            let file = Arc::clone(file);
            let read = tokio::task::spawn_blocking(move || {
                use std::os::unix::fs::FileExt;
                let mut piece = vec![0; CHUNK];
                let n = file.read_at(&mut piece, position)?;
                piece.truncate(n);
                Ok(piece)
            });
            read.await.unwrap_or_else(|_| Err(io::Error::other("reading was cut short")))
        }
    }
}
