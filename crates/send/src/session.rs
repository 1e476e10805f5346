//! One connection: writes what the pure session says, reads what it waits for, shakes hands when the decision is for TLS, and
//! sends the content.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use link::message::Complaint;
use mail::mime::SevenBit;
use mail::{Outcome, OutcomeKind, Status, TlsFacts, secret};
use smtp::client::{self, Afterwards, BodyPhase, Clearance, Message, Next, Peer, Ready, Stage, Step};
use tls::policy::{Admitted, Plan, RequireTls, Unmet};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::changes::{Changer, Failed};
use crate::connections::Idle;
use crate::content::{CHUNK, Content, may_become_seven_bit, must_become_seven_bit};
use crate::history::{History, Shown};
use crate::sasl::{Credentials, Exchange};
use crate::service::Service;
use crate::tlsrpt::Verdict;

/// Content up to this many bytes goes out together with the end of data.
const SMALL: usize = 16 * 1024;

/// A connection, encrypted or not.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// What a delivery begins with.
pub(crate) enum Connection {
    /// Nothing has been said on it.
    New(Box<dyn Stream>),
    /// It served another delivery.
    Kept(Box<Idle>),
}

/// What one connection brought.
pub(crate) struct Result {
    /// One for each recipient of the message.
    pub(crate) outcomes: Vec<Outcome>,
    /// The server took part in a transaction: what it said of the recipients is its word on them.
    pub(crate) spoken: bool,
    /// A handshake failed at a level that may go on in the clear.
    pub(crate) handshake_failed: bool,
    /// The connection ended without a word of the server's, or its reply was not waited for any longer.
    pub(crate) lost: bool,
    /// That happened behind a handshake.
    pub(crate) lost_in_tls: bool,
    /// A kept connection turned out to be dead before any content was sent: a new one may do better.
    pub(crate) stale: bool,
    /// From the beginning of the connection to MAIL FROM.
    pub(crate) setup: Duration,
    /// Deliveries on this connection, with this one.
    pub(crate) uses: u32,
    /// For the next delivery, when the job said so and nothing speaks against it.
    pub(crate) kept: Option<Box<Idle>>,
    /// How TLS ended.
    pub(crate) tls: Verdict,
    /// What the server calls itself.
    pub(crate) helo: Option<String>,
    /// What the postmaster is to be told of it.
    pub(crate) complaint: Option<Complaint>,
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
    /// Keep the connection afterwards.
    pub(crate) keeps: bool,
    /// No other server would be tried: what the sender has forbidden is returned.
    pub(crate) is_final: bool,
}

/// The proof of the TLS room, shown to the session.
pub(crate) struct Proof(pub(crate) Admitted);

impl Clearance for Proof {
    fn admits(&self, facts: Option<&TlsFacts>) -> bool {
        self.0.covers(facts)
    }
}

/// A delivery under way.
pub(crate) struct Driver<'a> {
    pub(crate) job: Job<'a>,
    pub(crate) stream: Box<dyn Stream>,
    /// Given by the policy once the connection satisfies it.
    pub(crate) proof: Option<Proof>,
    /// The server takes ASCII only, and the message is more.
    seven_bit: Option<SevenBit>,
    /// An AUTH exchange under way.
    pub(crate) exchange: Option<Exchange>,
    began: Instant,
    setup: Option<Duration>,
    /// The `tls=` field of the delivery line.
    pub(crate) tls_field: String,
    pub(crate) handshake_failed: bool,
    pub(crate) in_tls: bool,
    pub(crate) lost: bool,
    /// The server took part in a transaction.
    spoken: bool,
    /// It offers DSN.
    knows_dsn: bool,
    /// Content was asked for.
    has_sent: bool,
    /// Since when the connection is open, and deliveries on it before this one.
    since: Instant,
    uses_before: u32,
    kept: Option<Box<Idle>>,
    /// Until when the reply that is waited for must have come, or the content must have gone (smtp_per_request_deadline).
    pub(crate) deadline: Option<Instant>,
    /// Read, and not yet shown to smtp_reply_filter.
    pub(crate) unfiltered: BytesMut,
    /// How TLS ended; nothing for a connection that was kept.
    pub(crate) tls: Verdict,
    pub(crate) helo: Option<String>,
    /// What is said, when the postmaster may have to be told.
    history: Option<Box<History>>,
}

/// Carries out one delivery over an open connection.
pub(crate) async fn run(job: Job<'_>, connection: Connection, began: Instant) -> Result {
    let count = job.message.envelope.recipients.len();
    let tls_field = match job.plan.require_tls() {
        RequireTls::No => job.plan.undecided(),
        _ => format!("{}/requiretls?", job.plan.undecided()),
    };
    let mut driver = Driver {
        stream: Box::new(tokio::io::empty()),
        proof: None,
        seven_bit: None,
        exchange: None,
        began,
        setup: None,
        tls_field,
        handshake_failed: false,
        in_tls: false,
        lost: false,
        spoken: false,
        knows_dsn: false,
        has_sent: false,
        since: Instant::now(),
        uses_before: 0,
        kept: None,
        deadline: None,
        unfiltered: BytesMut::new(),
        tls: Verdict::None,
        helo: None,
        history: (!job.service.problems.is_empty()).then(Box::default),
        job,
    };
    let first = match connection {
        Connection::New(stream) => {
            driver.stream = stream;
            driver.begin().await
        }
        Connection::Kept(idle) => Ok(driver.begin_again(idle)),
    };
    let mut outcomes = match first {
        Ok(step) => driver.drive(step).await,
        Err(outcome) => vec![*outcome; count],
    };
    let complaint = driver.history.take().and_then(|history| history.complaint(&driver.job, &outcomes));
    for outcome in &mut outcomes {
        if driver.job.service.tells_tls {
            outcome.tls.clone_from(&driver.tls_field);
        }
        outcome.dsn_passed_on = driver.knows_dsn;
        if driver.job.service.assumes_final && !driver.knows_dsn && outcome.kind == OutcomeKind::Sent {
            outcome.remote = None;
        }
    }
    Result {
        spoken: driver.spoken,
        handshake_failed: driver.handshake_failed,
        lost: driver.lost,
        lost_in_tls: driver.lost && driver.in_tls,
        stale: driver.uses_before > 0
            && !driver.has_sent
            && (driver.lost || outcomes.iter().any(is_farewell)),
        setup: driver.setup.unwrap_or_else(|| began.elapsed()),
        uses: driver.uses_before + 1,
        kept: driver.kept,
        tls: driver.tls,
        helo: driver.helo,
        complaint,
        outcomes,
    }
}

/// RFC 5321 section 3.8: 421 may be the answer to any command, also because a connection was idle or used too often.
fn is_farewell(outcome: &Outcome) -> bool {
    outcome.remote.as_ref().is_some_and(|reply| reply.text.starts_with("421"))
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
            Some(facts) if self.proof.is_some() => Ok(client::begin(options, peer, Some(facts))),
            Some(facts) => {
                let outcome = self.not_verified();
                match client::begin(options, peer, Some(facts)).next {
                    Next::Read(conversation) => Ok(conversation.leave(outcome)),
                    _ => Err(Box::new(outcome)),
                }
            }
            None => Err(Box::new(self.handshake_failure())),
        }
    }

    /// A session that goes on. RSET asks whether the server is still there, as in Postfix.
    fn begin_again(&mut self, idle: Box<Idle>) -> Step {
        self.stream = idle.stream;
        self.tls_field = idle.tls_field;
        self.since = idle.since;
        self.uses_before = idle.uses;
        self.in_tls = idle.ready.tls().is_some();
        idle.ready.probe()
    }

    async fn drive(&mut self, mut step: Step) -> Vec<Outcome> {
        let count = self.job.message.envelope.recipients.len();
        let mut outcomes: Option<Vec<Outcome>> = None;
        // What the step in hand sends, as far as the log may have it (debug_peer_list).
        let mut shown = Shown::All;
        loop {
            for notice in &step.notices {
                let text = notice.text(self.job.id, &self.job.peer);
                match notice.is_warning() {
                    true => maillog::warning!(self.job.log, "{text}"),
                    false => maillog::info!(self.job.log, "{text}"),
                }
            }
            // A new request has a new deadline.
            if !step.send.is_empty() {
                self.deadline = None;
            }
            let what = std::mem::replace(&mut shown, Shown::All);
            self.show(&step.send, what);
            if let Some(history) = &mut self.history {
                history.said(&step.send, what);
            }
            let sent = self.send(&step.send, Stage::MailFrom).await;
            step = match step.next {
                Next::Read(conversation) if sent.is_err() && outcomes.is_some() => conversation.lost(),
                Next::Read(mut conversation) => {
                    if conversation.needs_input() {
                        let limit = self.job.service.time_limit(conversation.stage());
                        let until = match self.job.service.deadlines {
                            Some(_) => *self.deadline.get_or_insert_with(|| Instant::now() + limit),
                            None => Instant::now() + limit,
                        };
                        let before = conversation.input().len();
                        let read = self.read(conversation.input());
                        let read = tokio::time::timeout_at(until.into(), read).await;
                        if let Some(history) = &mut self.history {
                            history.heard(&conversation.input()[before..]);
                        }
                        self.lost |= !matches!(read, Ok(Ok(n)) if n > 0);
                        match read {
                            Ok(Ok(n)) if n > 0 => conversation.receive(),
                            Ok(_) => conversation.lost(),
                            Err(_elapsed) => conversation.timed_out(),
                        }
                    } else {
                        conversation.receive()
                    }
                }
                Next::Greeted(greeted) => self.greeted(greeted).await,
                Next::StartTls(upgrade) => match self.shake().await {
                    Some(facts) if self.proof.is_some() => upgrade.secured(facts),
                    Some(_) => upgrade.refused(self.not_verified()),
                    None => {
                        let closed = upgrade.failed();
                        Step { send: Vec::new(), notices: Vec::new(), next: Next::Closed(closed) }
                    }
                },
                Next::Challenge(challenge) => {
                    let respond = |exchange: &mut Exchange| exchange.respond(&challenge.text);
                    let response = self.exchange.as_mut().map_or_else(|| "*".into(), respond);
                    shown = Shown::Response;
                    challenge.respond(&response)
                }
                Next::Ready(ready) => match outcomes {
                    Some(_) => ready.quit(),
                    None => {
                        self.setup = Some(self.began.elapsed());
                        self.spoken = true;
                        self.knows_dsn = ready.features().dsn;
                        if self.uses_before > 0 {
                            self.tell_reuse(&ready).await;
                        }
                        let mut message = self.job.message.clone();
                        let Job { service, content, .. } = &self.job;
                        if !ready.features().eight_bit_mime {
                            message.may_change = may_become_seven_bit(service, &message);
                            if must_become_seven_bit(service, &message, content).await {
                                self.seven_bit = Some(SevenBit::new(self.job.service.mime));
                            }
                        }
                        ready.transaction(message, false)
                    }
                },
                Next::Body(body) => {
                    self.has_sent = true;
                    self.deadline = None;
                    shown = Shown::Nothing;
                    self.content(body).await
                }
                Next::Done(done) => match done.next {
                    // Who said 421 is about to leave.
                    Afterwards::Ready(ready)
                        if self.keeps(&ready) && !done.outcomes.iter().any(is_farewell) =>
                    {
                        self.keep(ready);
                        return done.outcomes;
                    }
                    Afterwards::Ready(ready) => {
                        outcomes = Some(done.outcomes);
                        ready.quit()
                    }
                    Afterwards::Quit(parting) => {
                        outcomes = Some(done.outcomes);
                        parting.quit()
                    }
                    Afterwards::Lost => {
                        self.lost = true;
                        return done.outcomes;
                    }
                },
                Next::Closed(closed) => {
                    self.hang_up().await;
                    return match (outcomes, closed.outcome) {
                        (Some(outcomes), _) => outcomes,
                        (None, Some(outcome)) => vec![outcome; count],
                        (None, None) => {
                            self.lost = true;
                            let text = format!("connection with {} ended without a result", self.job.peer);
                            let relay = self.job.peer.relay();
                            vec![Outcome::deferred(Status::new(4, 4, 2), relay, text); count]
                        }
                    };
                }
            };
        }
    }

    /// Commands on their way to a server of debug_peer_list. The content of messages is not shown, nor what could be a password.
    fn show(&self, bytes: &[u8], shown: Shown) {
        if !self.job.options.tells_replies || bytes.is_empty() {
            return;
        }
        let (log, relay) = (self.job.log, self.job.peer.relay());
        match shown {
            Shown::Nothing => maillog::info!(log, "> {relay}: ."),
            Shown::Response => maillog::info!(log, "> {relay}: {}", secret::HIDDEN),
            Shown::All => {
                for line in String::from_utf8_lossy(bytes).lines() {
                    maillog::info!(log, "> {relay}: {}", secret::without_secret(line));
                }
            }
        }
    }

    /// A connection in TLS is kept only where that was asked for (smtp_tls_connection_reuse).
    fn keeps(&self, ready: &Ready) -> bool {
        self.job.keeps && ready.is_quiet() && (ready.tls().is_none() || self.job.plan.allows_reuse())
    }

    fn keep(&mut self, ready: Ready) {
        self.kept = Some(Box::new(Idle {
            ready,
            stream: std::mem::replace(&mut self.stream, Box::new(tokio::io::empty())),
            tls_field: self.tls_field.clone(),
            since: self.since,
            uses: self.uses_before + 1,
        }));
    }

    /// Sends the content in large pieces, the last one with the end of data when it is small.
    async fn content(&mut self, mut body: BodyPhase) -> Step {
        let content = self.job.content.clone();
        let mut wire = Vec::with_capacity(content.first_piece() + 1024);
        let mut position = 0;
        let mut seven_bit = self.seven_bit.take();
        let mut converted = Vec::new();
        let Job { service, log, id, .. } = self.job;
        let mut changer = (!service.changes.is_empty()).then(|| Changer::new(&service.changes, log, id));
        let mut changed = Vec::new();
        loop {
            let piece = match content.piece(position).await {
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
            let ends = piece.len() < CHUNK;
            position += piece.len() as u64;
            let piece = match &mut changer {
                None => piece,
                Some(pass) => {
                    let mut result = pass.pass(&piece, &mut changed).await;
                    if let (Ok(()), true, Some(pass)) = (&result, ends, changer.take()) {
                        result = pass.finish(&mut changed).await;
                    }
                    if let Err(Failed(why)) = result {
                        maillog::warning!(log, "{id}: {why}");
                        let text = format!("local data error while talking to {}", self.job.peer);
                        let relay = self.job.peer.relay();
                        return body.abandon(Outcome::deferred(Status::new(4, 3, 0), relay, text));
                    }
                    std::mem::take(&mut changed)
                }
            };
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
            if ends && body.pauses_before_the_end() {
                if self.send(&wire, Stage::Body).await.is_err() {
                    self.lost = true;
                    return body.lost();
                }
                tokio::time::sleep(self.job.service.pix.pause).await;
                return body.finish();
            }
            if ends && wire.len() <= SMALL {
                let mut step = body.finish();
                wire.append(&mut step.send);
                step.send = wire;
                return step;
            }
            match self.send(&wire, Stage::Body).await {
                Ok(()) => wire.clear(),
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                    self.lost = true;
                    return body.timed_out();
                }
                Err(_) => {
                    self.lost = true;
                    return body.lost();
                }
            }
            if ends {
                return body.finish();
            }
        }
    }
}
