//! One session with a network client (smtpd(8)): the driver around the pure session of the `smtp` crate.
//!
//! It moves bytes, waits, and writes the log; `answers.rs` decides what a session asks, `handshake.rs` turns TLS on.

mod answers;
mod connection;
mod handshake;
mod peer_name;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use access::{Asked, Decision, Effect, Note};
use mail::{Address, ClientFacts, Detail, QueueId, Reply};
use maillog::Log;
use smtp::server::{BodyPhase, End, Next, Notice, Question, Session, Step};
use tokio::net::TcpStream;

use crate::cleanup::Intake;
use crate::serve::{Receive, drained};
use crate::service::Service;
use connection::{Connection, NoInput};

/// Hears one client, from `connect from` to `disconnect from`.
pub(crate) async fn hear(receive: &Receive, service: &Arc<Service>, stream: TcpStream, peer: SocketAddr) {
    // Replies are small and the client waits for each.
    let _ = stream.set_nodelay(true);
    let address = peer.ip().to_canonical();
    let server = stream.local_addr().ok().map(|local| (local.ip().to_canonical(), local.port()));
    let mut client = ClientFacts::new(Some(address), peer.port(), server);
    let log = service.log.session();
    if service.peername_lookup {
        peer_name::look_up(&receive.prepared.resolver, &mut client, &log).await;
    }
    let anvil = &receive.prepared.anvil;
    let counts = anvil.connect(service.line, address, Instant::now());
    maillog::info!(log, "connect from {}", client.name_address());
    let limited = !service.limits.excepts(&client.name, address).await;
    let driver = Driver {
        receive,
        service,
        address,
        counts,
        limited,
        name: client.name_address(),
        log: log.clone(),
        output: Vec::new(),
        mail: None,
    };
    // Sessions wait most of the time: what they need only at work does not belong into each task.
    let (name, tally) = Box::pin(driver.run(stream, client)).await;
    anvil.disconnect(service.line, address, Instant::now());
    maillog::info!(log, "disconnect from {name} {tally}");
}

/// What a session has besides itself.
struct Driver<'a> {
    receive: &'a Receive,
    service: &'a Arc<Service>,
    log: Log,
    address: IpAddr,
    /// `NAME[ADDR]`.
    name: String,
    /// Sessions that the client has now, and connections that it made in this time unit.
    counts: (u32, u32),
    /// Limits per client apply.
    limited: bool,
    /// Replies that have not been sent.
    output: Vec<u8>,
    /// The mail transaction in progress.
    mail: Option<InHand>,
}

/// What the transaction has outside the session.
#[derive(Default)]
struct InHand {
    /// Made with the first recipient.
    id: Option<QueueId>,
    effects: Vec<Effect>,
    intake: Option<Box<Intake>>,
}

impl Driver<'_> {
    /// The whole session; gives `NAME[ADDR]` and the command counts.
    async fn run(mut self, stream: TcpStream, mut client: ClientFacts) -> (String, String) {
        let options = self.service.options_for(&client.name, self.address).await;
        let mut refusal = None;
        let mut connection = match self.service.wrapper {
            false => Connection::Plain(stream),
            true => match self.wrapper(stream).await {
                Some((secured, facts)) => {
                    refusal = self.refusal_of(&facts);
                    client.tls = Some(facts);
                    Connection::Secured(secured)
                }
                None => return (self.name, "commands=0/0".into()),
            },
        };
        let mut step = Session::begin(options, client);
        // Before the greeting there is nothing else to come.
        step = match (refusal, step) {
            (Some(reply), Step { next: Next::Ask(Question::Connect(pending)), .. }) => pending.give_up(reply),
            (_, step) => step,
        };
        let end = self.converse(step, &mut connection).await;
        let _ = connection.write(&mut self.output, self.service.timeout).await;
        connection.close().await;
        if let Some(what) = end.abnormal() {
            maillog::info!(self.log, "{}: {what} from {}", self.id(), self.name);
        }
        (self.name, end.tally.to_string())
    }

    async fn converse(&mut self, mut step: Step, connection: &mut Connection) -> End {
        loop {
            let Step { replies, delay, notices, next } = step;
            self.log_notices(&notices);
            if delay > 0 {
                // What was said before is not held back with it.
                let _ = connection.write(&mut self.output, self.service.timeout).await;
                tokio::time::sleep(self.service.error_sleep * delay).await;
            }
            for reply in replies {
                reply.write_to(&mut self.output);
            }
            step = match next {
                Next::Read(session) => match self.next_command(session, connection).await {
                    Ok(step) => step,
                    Err(end) => return end,
                },
                Next::Body(phase) => match self.next_content(phase, connection).await {
                    Ok(step) => step,
                    Err(end) => return end,
                },
                Next::Ask(question) => self.answer(question, connection).await,
                Next::StartTls(upgrade) => match self.starttls(upgrade, connection).await {
                    Ok(step) => step,
                    Err(end) => return end,
                },
                Next::Close(end) => return end,
            };
        }
    }

    async fn next_command(&mut self, mut session: Session, connection: &mut Connection) -> Result<Step, End> {
        if session.transaction().is_none() {
            self.mail = None;
        }
        if session.needs_input() {
            if connection.write(&mut self.output, self.service.timeout).await.is_err() {
                return Err(session.lost());
            }
            let idle = session.transaction().is_none();
            let mut draining = self.receive.draining.subscribe();
            let timeout = self.service.timeout;
            let read = tokio::select! {
                read = connection.read(session.input(), timeout) => Some(read),
                () = drained(&mut draining), if idle => None,
            };
            match read {
                Some(Ok(())) => {}
                Some(Err(NoInput::Timeout)) => return Ok(session.timed_out()),
                Some(Err(NoInput::Lost)) => return Err(session.lost()),
                // RFC 5321 section 3.8: between two messages nothing is lost.
                None => {
                    let text = format!("{} Service shutting down", self.service.hostname);
                    return Ok(session.give_up(Reply::new(421, Detail(3, 2), text)));
                }
            }
        }
        Ok(session.receive(false))
    }

    async fn next_content(&mut self, mut phase: BodyPhase, connection: &mut Connection) -> Result<Step, End> {
        if phase.needs_input() {
            if connection.write(&mut self.output, self.service.timeout).await.is_err() {
                return Err(phase.lost());
            }
            match connection.read(phase.input(), self.service.timeout).await {
                Ok(()) => {}
                Err(NoInput::Timeout) => return Ok(phase.timed_out()),
                Err(NoInput::Lost) => return Err(phase.lost()),
            }
        }
        let Some(intake) = self.mail.as_mut().and_then(|mail| mail.intake.as_mut()) else {
            // Content that was refused beforehand.
            return Ok(phase.decode(&mut Vec::new()));
        };
        let step = phase.decode(intake.raw());
        intake.take().await;
        Ok(step)
    }

    // ---- the log

    /// The queue id, or NOQUEUE while there is none.
    fn id(&self) -> String {
        match self.mail.as_ref().and_then(|mail| mail.id.as_ref()) {
            Some(id) => id.to_string(),
            None => "NOQUEUE".into(),
        }
    }

    fn log_notices(&self, notices: &[Notice]) {
        for notice in notices {
            let text = notice.text(&self.id(), &self.name);
            match notice.is_warning() {
                true => maillog::warning!(self.log, "{text}"),
                false => maillog::info!(self.log, "{text}"),
            }
        }
    }

    /// The notes of a decision at one stage.
    fn log_decision(&self, stage: &str, asked: &Asked<'_>, decision: &Decision) {
        for note in &decision.notes {
            match note {
                Note::Warning(text) => maillog::warning!(self.log, "{text}"),
                Note::Action { word, text } => {
                    let facts = facts_of(asked);
                    maillog::info!(
                        self.log,
                        "{}: {word}: {stage} from {}: {text};{facts}",
                        self.id(),
                        self.name
                    );
                }
            }
        }
    }
}

/// ` from=<s> to=<r> proto=ESMTP helo=<h>`, as far as it is known.
fn facts_of(asked: &Asked<'_>) -> String {
    let mut out = String::new();
    let mut add = |name: &str, address: Option<&Address>| {
        if let Some(address) = address {
            out.push_str(&format!(" {name}=<{}>", address.to_external()));
        }
    };
    add("from", asked.sender);
    add("to", asked.recipient);
    out.push_str(if asked.client.esmtp { " proto=ESMTP" } else { " proto=SMTP" });
    if let Some(helo) = &asked.client.helo {
        out.push_str(&format!(" helo=<{helo}>"));
    }
    if let Some(sasl) = &asked.client.sasl {
        out.push_str(&format!(" sasl_username=<{}>", sasl.username));
    }
    out
}
