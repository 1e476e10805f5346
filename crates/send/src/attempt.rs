//! One delivery: server after server, until every recipient has its final word or there is nobody left to ask (smtp(8)).

use std::sync::Arc;
use std::time::{Duration, Instant};

use link::message::Delivery;
use mail::delivery_line::{Delays, delivery_line};
use mail::{Outcome, OutcomeKind, Status};
use smtp::client::{LoopDetection, Message, Peer};
use tls::policy::{Needs, Plan, Unmet};
use tokio::net::{TcpStream, UnixStream};

use crate::next_hop::NextHop;
use crate::sasl;
use crate::servers::{self, Server};
use crate::service::Service;
use crate::session::{self, Content, Job, Stream};
use crate::wish::Policy;

/// What is told to the queue.
pub(crate) struct Attempted {
    /// One for each recipient.
    pub(crate) outcomes: Vec<Outcome>,
    /// The destination as a whole could not be used.
    pub(crate) site_failure: Option<String>,
}

/// Recipients whose last word may still change, by index.
struct Open {
    outcomes: Vec<Option<Outcome>>,
    delays: Vec<Delays>,
    spoken: bool,
}

/// Delivers, and logs a line for each recipient.
pub(crate) async fn deliver(service: &Service, delivery: &Delivery, content: Content) -> Attempted {
    let log = service.log.session();
    let count = delivery.message.envelope.recipients.len();
    let began = Instant::now();
    let mut open = Open {
        outcomes: vec![None; count],
        delays: vec![
            Delays {
                before_queue: delivery.waited.0,
                in_queue: delivery.waited.1,
                decimals: service.delay_decimals,
                ..Delays::default()
            };
            count
        ],
        spoken: false,
    };
    let failure = try_servers(service, delivery, &content, &log, began, &mut open).await;
    let last = failure.unwrap_or_else(|| {
        Outcome::deferred(Status::new(4, 4, 0), "none", "no server could be tried for this destination")
    });
    let setup = began.elapsed();
    let all_deferred = open.outcomes.iter().flatten().all(|outcome| outcome.kind == OutcomeKind::Deferred)
        && last.kind == OutcomeKind::Deferred;
    let mut outcomes = Vec::with_capacity(count);
    for (index, outcome) in open.outcomes.into_iter().enumerate() {
        let outcome = outcome.unwrap_or_else(|| {
            open.delays[index].setup = setup;
            last.clone()
        });
        let outcome = outcome.for_purpose(delivery.message.envelope.purpose);
        let recipient = &delivery.message.envelope.recipients[index];
        let line = delivery_line(&delivery.message.id, recipient, &outcome, &open.delays[index], 1);
        maillog::info!(log, "{line}");
        outcomes.push(outcome);
    }
    let site_failure = (!open.spoken && all_deferred)
        .then(|| outcomes.first().map(|outcome| outcome.text.clone()))
        .flatten();
    Attempted { outcomes, site_failure }
}

/// Tries servers in order. Gives the failure that stands for the recipients that nobody spoke of.
async fn try_servers(
    service: &Service,
    delivery: &Delivery,
    content: &Content,
    log: &maillog::Log,
    began: Instant,
    open: &mut Open,
) -> Option<Outcome> {
    let next_hop = match NextHop::parse(&delivery.next_hop) {
        Ok(next_hop) => next_hop,
        Err(why) => return Some(Outcome::deferred(Status::new(4, 3, 5), "none", why)),
    };
    let policy = Policy::find(service, &delivery.next_hop).await;
    // The header TLS-Required (RFC 8689 section 5) is not read: nothing is relaxed.
    let needs = Needs { require_tls: delivery.message.envelope.require_tls, tls_optional: false };
    if let NextHop::Socket(path) = &next_hop {
        let plan = match policy.plan(service, &next_hop, None, needs).await {
            Ok(plan) => plan,
            Err(unmet) => return Some(no_plan(log, &delivery.next_hop, &service.hostname, &unmet)),
        };
        return over_socket(service, delivery, content, log, began, open, plan, path).await;
    }
    let servers = match servers::find(service, &next_hop).await {
        Ok(servers) => servers,
        Err(outcome) => return Some(outcome),
    };
    let mut last = None;
    let mut sessions = 0;
    for server in &servers {
        if sessions >= service.session_limit || !open.has_open() {
            break;
        }
        let plan = match policy.plan(service, &next_hop, Some(server), needs).await {
            Ok(plan) => plan,
            Err(unmet) => {
                last = Some(no_plan(log, &delivery.next_hop, &server.host, &unmet));
                continue;
            }
        };
        let stream = match connect(service, server).await {
            Ok(stream) => stream,
            Err(outcome) => {
                maillog::info!(log, "{}", outcome.text);
                last = Some(outcome);
                continue;
            }
        };
        sessions += 1;
        let peer = Peer {
            host: server.host.trim_end_matches('.').to_owned(),
            address: server.address.ip().to_string(),
            port: Some(server.address.port()),
        };
        let visit = Visit { service, delivery, content, log, began };
        // On another port than SMTP's our own name is no loop: content filters and test servers live there.
        let loops = (server.address.port() == 25).then(|| LoopDetection {
            hostname: service.hostname.clone(),
            next_hop: delivery.next_hop.clone(),
            best_mx: server.best,
        });
        let failed = visit.run(open, peer.clone(), plan.clone(), loops.clone(), stream).await;
        // A message that has waited is sent in the clear rather than not at all, when the level allows that.
        let is_question = delivery.message.envelope.purpose != mail::Purpose::Delivery;
        let clear = plan.in_the_clear().filter(|_| {
            failed.handshake
                && !failed.has_credentials
                && (delivery.waited.0 >= service.plaintext_age || is_question)
        });
        if let Some(clear) = clear
            && let Ok(stream) = connect(service, server).await
        {
            maillog::info!(log, "{}: Cannot start TLS: handshake failure", delivery.message.id);
            maillog::warning!(
                log,
                "{}: sending to {} WITHOUT TLS after a failed handshake, as level may allows; set level encrypt to wait instead",
                delivery.message.id,
                peer.relay()
            );
            visit.run(open, peer, clear, loops, stream).await;
        }
    }
    last
}

#[expect(clippy::too_many_arguments, reason = "the same facts as for TCP, once")]
async fn over_socket(
    service: &Service,
    delivery: &Delivery,
    content: &Content,
    log: &maillog::Log,
    began: Instant,
    open: &mut Open,
    plan: Plan,
    path: &str,
) -> Option<Outcome> {
    // Relative to the queue directory, as for Postfix's chrooted clients.
    let full = match path.starts_with('/') {
        true => path.to_owned(),
        false => format!("{}/{path}", service.queue_directory),
    };
    let connecting = tokio::time::timeout(service.connect_timeout, UnixStream::connect(&full)).await;
    let error = match connecting {
        Ok(Ok(stream)) => {
            let peer = Peer { host: service.hostname.clone(), address: path.to_owned(), port: None };
            let visit = Visit { service, delivery, content, log, began };
            visit.run(open, peer, plan, None, Box::new(stream)).await;
            return None;
        }
        Ok(Err(error)) => reason(&error),
        Err(_elapsed) => "Connection timed out".to_owned(),
    };
    let text = format!("connect to {}[{path}]: {error}", service.hostname);
    Some(Outcome::deferred(Status::new(4, 4, 1), "none", text))
}

/// There is nothing that may be done with a server: the log says why, and the mail waits.
fn no_plan(log: &maillog::Log, next_hop: &str, host: &str, unmet: &Unmet) -> Outcome {
    if let Some(warning) = unmet.warning() {
        maillog::warning!(log, "{warning}");
    }
    let text = unmet.text(host);
    maillog::warning!(log, "TLS policy lookup for {next_hop}/{host}: {text}");
    Outcome::deferred(unmet.status(), "none", text)
}

async fn connect(service: &Service, server: &Server) -> Result<Box<dyn Stream>, Outcome> {
    let connecting = tokio::time::timeout(service.connect_timeout, TcpStream::connect(server.address)).await;
    let why = match connecting {
        Ok(Ok(stream)) => {
            // A command and its answer cross at once: waiting to fill packets would only add delay.
            let _ = stream.set_nodelay(true);
            return Ok(Box::new(stream));
        }
        Ok(Err(error)) => reason(&error),
        Err(_elapsed) => "Connection timed out".to_owned(),
    };
    let text = format!(
        "connect to {}[{}]:{}: {why}",
        server.host.trim_end_matches('.'),
        server.address.ip(),
        server.address.port()
    );
    Err(Outcome::deferred(Status::new(4, 4, 1), "none", text))
}

/// The system's words without the number that Rust adds.
fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}

struct Visit<'a> {
    service: &'a Service,
    delivery: &'a Delivery,
    content: &'a Content,
    log: &'a maillog::Log,
    began: Instant,
}

struct Failed {
    handshake: bool,
    /// There are credentials for the server: they are not shown in the clear.
    has_credentials: bool,
}

impl Visit<'_> {
    /// One connection, for the recipients that are still open.
    async fn run(
        &self,
        open: &mut Open,
        peer: Peer,
        plan: Plan,
        loops: Option<LoopDetection>,
        stream: Box<dyn Stream>,
    ) -> Failed {
        let indexes = open.indexes();
        let mut envelope = self.delivery.message.envelope.clone();
        envelope.recipients = indexes.iter().map(|index| envelope.recipients[*index].clone()).collect();
        let needs_smtputf8 = envelope.smtputf8
            && (envelope.sender.needs_smtputf8()
                || envelope.recipients.iter().any(|recipient| recipient.address.needs_smtputf8()));
        let sender = envelope.sender.as_str();
        let credentials = match sasl::find(self.service, sender, &self.delivery.next_hop, &peer.host).await {
            Ok(credentials) => credentials,
            Err(outcome) => {
                for index in indexes {
                    open.take(index, outcome.clone(), self.began.elapsed(), Duration::ZERO);
                }
                return Failed { handshake: false, has_credentials: false };
            }
        };
        let options = smtp::client::Options { loop_detection: loops, ..(*self.service.options).clone() };
        let job = Job {
            service: self.service,
            options: Arc::new(options),
            log: self.log,
            id: self.delivery.message.id.as_str(),
            local_socket: peer.port.is_none(),
            peer,
            plan,
            credentials,
            message: Message { envelope, size: Some(self.delivery.message.size), needs_smtputf8 },
            content: self.content.clone(),
        };
        let has_credentials = job.credentials.is_some();
        let result = session::run(job, stream, self.began).await;
        open.spoken |= result.spoken;
        let transmission = self.began.elapsed().saturating_sub(result.setup);
        for (index, outcome) in indexes.into_iter().zip(result.outcomes) {
            open.take(index, outcome, result.setup, transmission);
        }
        Failed { handshake: result.handshake_failed, has_credentials }
    }
}

impl Open {
    /// Recipients without a final word: not tried, or deferred.
    fn indexes(&self) -> Vec<usize> {
        let is_open = |outcome: &Option<Outcome>| {
            outcome.as_ref().is_none_or(|outcome| outcome.kind == OutcomeKind::Deferred)
        };
        self.outcomes
            .iter()
            .enumerate()
            .filter(|(_, outcome)| is_open(outcome))
            .map(|(index, _)| index)
            .collect()
    }

    fn has_open(&self) -> bool {
        !self.indexes().is_empty()
    }

    fn take(&mut self, index: usize, outcome: Outcome, setup: Duration, transmission: Duration) {
        if let (Some(slot), Some(delays)) = (self.outcomes.get_mut(index), self.delays.get_mut(index)) {
            *slot = Some(outcome);
            delays.setup = setup;
            delays.transmission = transmission;
        }
    }
}
