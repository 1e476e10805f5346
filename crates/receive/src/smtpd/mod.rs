//! One session with a network client (smtpd(8)): the driver around the pure session of the `smtp` crate.
//!
//! It moves bytes, waits, and writes the log; `answers.rs` decides what a session asks, `handshake.rs` turns TLS on.

mod answers;
pub(crate) mod connection;
mod deadline;
mod footed;
pub(crate) mod handshake;
pub(crate) mod history;
mod milters;
pub(crate) mod peer_name;
mod proxied;
pub(crate) mod proxy_filter;
pub(crate) mod sasl;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use access::{Asked, Decision, Deferrals, Effect, Note};
use mail::{Address, ClientFacts, Detail, LogForm, QueueId, Reply};
use maillog::Log;
use smtp::server::{BodyPhase, End, Next, Notice, Options, Question, Session, Step, reply};
use tokio::net::TcpStream;

use crate::cleanup::Intake;
use crate::milter::Filtering;
use crate::postscreen::endpoint;
use crate::serve::{Receive, drained};
use crate::service::{Service, Trusted};
use connection::{Connection, NoInput};
use deadline::Deadline;
use footed::Shown;
use history::{History, Word};
use proxy_filter::ProxyFilter;

/// Hears a client that was just accepted, or that a proxy before us speaks for (smtpd_upstream_proxy_protocol).
pub(crate) async fn hear_accepted(
    receive: &Receive,
    service: &Arc<Service>,
    mut stream: TcpStream,
    peer: SocketAddr,
) {
    if service.proxy.is_none() {
        let server = stream.local_addr().ok();
        return hear(receive, service, stream, peer, server).await;
    }
    match endpoint::ends(&mut stream, service.proxy).await {
        Ok(ends) => hear(receive, service, stream, ends.client, Some(ends.server)).await,
        Err(why) => {
            maillog::warning!(service.log.session(), "{why}");
            let text = format!("{} Server local error", service.hostname);
            let mut output = Vec::new();
            Reply::new(421, Detail(3, 0), text).write_to(&mut output);
            let mut connection = Connection::Plain(stream);
            // The proxy may be gone.
            let _ = connection.write(&mut output, service.timeout).await;
            connection.close().await;
        }
    }
}

/// Hears one client, from `connect from` to `disconnect from`. `server` is the address that it connected to.
pub(crate) async fn hear(
    receive: &Receive,
    service: &Arc<Service>,
    stream: TcpStream,
    peer: SocketAddr,
    server: Option<SocketAddr>,
) {
    // Replies are small and the client waits for each.
    let _ = stream.set_nodelay(true);
    let address = peer.ip().to_canonical();
    let server = server.map(|local| (local.ip().to_canonical(), local.port()));
    let mut client = ClientFacts::new(Some(address), peer.port(), server);
    client.port_logging = service.port_logging;
    let log = service.log.session();
    if service.peername_lookup {
        peer_name::look_up(&receive.prepared.resolver, &mut client, &log).await;
    }
    let anvil = &receive.prepared.anvil;
    let counted = service.counted(address);
    let counts = anvil.connect(service.line, counted, Instant::now());
    maillog::info!(log, "connect from {}", client.name_address());
    // Who speaks for others can not be told from them.
    let is_spokesman = service.trusted(&client.name, address).await.is_some_and(|trusted| trusted.xclient);
    let limited = !is_spokesman && !service.limits.excepts(&client.name, address).await;
    let shows_dialogue = service.shows_dialogue(&client.name, address).await;
    let driver = Driver {
        receive,
        service,
        address,
        counted,
        counts,
        limited,
        name: client.name_address(),
        log: log.clone(),
        output: Vec::new(),
        mail: None,
        milters: None,
        exchange: None,
        instance: String::new(),
        deferrals: Deferrals::default(),
        deadline: Deadline::new(service.timeout, service.deadline_rate),
        shows_dialogue,
        shown: service.footer.is_some().then(Box::default),
        history: service.notices.is_some().then(Box::default),
    };
    // Sessions wait most of the time: what they need only at work does not belong into each task.
    let (name, tally) = Box::pin(driver.run(stream, client)).await;
    anvil.disconnect(service.line, counted, Instant::now());
    maillog::info!(log, "disconnect from {name} {tally}");
}

/// What a session has besides itself.
struct Driver<'a> {
    receive: &'a Receive,
    service: &'a Arc<Service>,
    log: Log,
    /// Of the client, or of whom XCLIENT speaks.
    address: IpAddr,
    /// What limits are counted for.
    counted: IpAddr,
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
    /// `None`: this client has none.
    milters: Option<Box<Filtering>>,
    /// The AUTH exchange in progress.
    exchange: Option<sasl::Exchange>,
    /// What policy services know the message by.
    instance: String,
    /// What restrictions before RCPT TO have put off until then.
    deferrals: Deferrals,
    /// With smtpd_reject_footer: what it may speak of.
    shown: Option<Box<Shown>>,
    /// When the postmaster may have to be told what was said.
    history: Option<Box<History>>,
    deadline: Deadline,
    /// Commands and replies are logged.
    shows_dialogue: bool,
}

/// What the transaction has outside the session.
#[derive(Default)]
struct InHand {
    /// Made with the first recipient.
    id: Option<QueueId>,
    effects: Vec<Effect>,
    intake: Option<Box<Intake>>,
    /// The MAIL command, for a filter before the queue.
    mail_line: String,
    /// The filter's part of the transaction.
    proxy: Option<Box<ProxyFilter>>,
    /// The log names the client.
    is_told: bool,
    /// Its headers are rewritten as those of our own users.
    is_local: bool,
}

impl Driver<'_> {
    /// The whole session; gives `NAME[ADDR]` and the command counts.
    async fn run(mut self, stream: TcpStream, mut client: ClientFacts) -> (String, String) {
        let (options, mut refusal) = self.options_of(&client).await;
        let mut connection = match self.service.wrapper {
            false => Connection::Plain(stream),
            true => match self.wrapper(stream, &client.name).await {
                Some((secured, facts)) => {
                    refusal = refusal.or(self.refusal_of(&facts));
                    client.tls = Some(facts);
                    Connection::Secured(secured)
                }
                None => return (self.name, "commands=0/0".into()),
            },
        };
        let options = handshake::without_plus(&options, &connection);
        let mut step = Session::begin(options, client);
        // Before the greeting there is nothing else to come.
        step = match (refusal, step) {
            (Some(reply), Step { next: Next::Ask(Question::Connect(pending)), .. }) => pending.give_up(reply),
            (_, step) => step,
        };
        let end = self.converse(step, &mut connection).await;
        if let Some(milters) = self.milters.take() {
            milters.quit().await;
        }
        let _ = connection.write(&mut self.output, self.service.timeout).await;
        connection.close_within(self.service.slow_shutdown).await;
        if self.history.is_some() {
            Box::pin(self.tell_postmaster()).await;
        }
        if let Some(what) = end.abnormal() {
            maillog::info!(self.log, "{}: {what} from {}", self.id(), self.name);
        }
        (self.name, end.tally.to_string())
    }

    /// The settings for a client, and a refusal where they can not be known.
    async fn options_of(&self, client: &ClientFacts) -> (Arc<Options>, Option<Reply>) {
        let mut options = self.service.options_for(&client.name, self.address).await;
        let mut refusal = None;
        match self.service.discards_for(self.address).await {
            Ok(None) => {}
            Ok(Some(discard)) => options = Arc::new(Options { discard, ..(*options).clone() }),
            Err(why) => {
                maillog::warning!(self.log, "{why}");
                refusal = Some(reply::local_data_error(&self.service.hostname));
            }
        }
        if let Some(sasl) = &self.service.sasl {
            match sasl.offer(&client.name, self.address).await {
                Ok(auth) => options = Arc::new(Options { auth: Some(auth), ..(*options).clone() }),
                Err(why) => {
                    // Who came to log in would take a session without AUTH for a refusal for good.
                    maillog::warning!(self.log, "{why}");
                    maillog::warning!(self.log, "no SASL authentication mechanisms");
                    refusal = Some(reply::local_data_error(&self.service.hostname));
                }
            }
        }
        if self.shows_dialogue {
            options = Arc::new(Options { tells_commands: true, ..(*options).clone() });
        }
        let trusted = self.service.trusted(&client.name, self.address).await;
        if let Some(Trusted { xclient, xforward, verp }) = trusted {
            options = Arc::new(Options { xclient, xforward, verp, ..(*options).clone() });
        }
        (options, refusal)
    }

    async fn converse(&mut self, mut step: Step, connection: &mut Connection) -> End {
        let mut word = Word::Answer;
        loop {
            let Step { replies, delay, notices, next } = step;
            self.log_notices(&notices);
            if delay > 0 {
                // What was said before is not held back with it.
                let _ = connection.write(&mut self.output, self.service.timeout).await;
                tokio::time::sleep(self.service.error_sleep * delay).await;
            }
            for reply in replies {
                let reply = self.with_footer(reply).await;
                let begin = self.output.len();
                reply.write_to(&mut self.output);
                if self.shows_dialogue {
                    self.show_reply(&self.output[begin..]);
                }
                if self.history.is_some() {
                    Box::pin(self.note_reply(&reply, begin, word)).await;
                }
            }
            word = match &next {
                Next::Ask(Question::EndOfData(_)) => Word::EndOfData,
                Next::Ask(Question::Auth(_)) => Word::Login,
                Next::Ask(_) => Word::Answer,
                _ => Word::Session,
            };
            step = match next {
                Next::Read(session) => match self.next_command(session, connection).await {
                    Ok(step) => step,
                    Err(end) => return end,
                },
                Next::Body(phase) => match self.next_content(phase, connection).await {
                    Ok(step) => step,
                    Err(end) => return end,
                },
                Next::Ask(question) => {
                    self.remember(&question);
                    self.answer(question, connection).await
                }
                // Once in a session, and larger than all that waits for a command.
                Next::StartTls(upgrade) => match Box::pin(self.starttls(upgrade, connection)).await {
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
            self.milters_abort().await;
        }
        if !session.is_authenticating() {
            self.exchange = None;
        }
        if session.needs_input() {
            if connection.write(&mut self.output, self.service.timeout).await.is_err() {
                return Err(session.lost());
            }
            let idle = session.transaction().is_none();
            let mut draining = self.receive.draining.subscribe();
            let (timeout, began) = (self.deadline.left(), Instant::now());
            let read = tokio::select! {
                read = connection.read(session.input(), timeout) => Some(read),
                () = drained(&mut draining), if idle => None,
            };
            match read {
                Some(Ok(())) => self.deadline.spend(began.elapsed(), 0),
                Some(Err(NoInput::Timeout)) => return Ok(session.timed_out()),
                Some(Err(NoInput::Lost)) => return Err(session.lost()),
                // RFC 5321 section 3.8: between two messages nothing is lost.
                None => {
                    let text = format!("{} Service shutting down", self.service.hostname);
                    return Ok(session.give_up(Reply::new(421, Detail(3, 2), text)));
                }
            }
        }
        if !session.needs_input() {
            self.deadline.begin();
        }
        if self.history.is_some()
            && let Some(line) = session.waiting_line()
        {
            Box::pin(self.note_command(line, session.is_authenticating())).await;
        }
        Ok(session.receive(false))
    }

    async fn next_content(&mut self, mut phase: BodyPhase, connection: &mut Connection) -> Result<Step, End> {
        if phase.needs_input() {
            if connection.write(&mut self.output, self.service.timeout).await.is_err() {
                return Err(phase.lost());
            }
            let began = Instant::now();
            match connection.read(phase.input(), self.deadline.left()).await {
                Ok(()) => self.deadline.spend(began.elapsed(), phase.unread()),
                Err(NoInput::Timeout) => return Ok(phase.timed_out()),
                Err(NoInput::Lost) => return Err(phase.lost()),
            }
        }
        if let Some(proxy) = self.mail.as_mut().and_then(|mail| mail.proxy.as_mut()) {
            let mut piece = Vec::new();
            let step = phase.decode(&mut piece);
            proxy.content(&piece).await;
            return Ok(step);
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

    /// The lines of a reply, for debug_peer_list.
    fn show_reply(&self, reply: &[u8]) {
        for line in String::from_utf8_lossy(reply).lines() {
            maillog::info!(self.log, "> {}: {line}", self.name);
        }
    }

    /// The notes of a decision at one stage.
    fn log_decision(&self, stage: &str, asked: &Asked<'_>, decision: &Decision) {
        for note in &decision.notes {
            match note {
                Note::Info(text) => maillog::info!(self.log, "{text}"),
                Note::Warning(text) => maillog::warning!(self.log, "{text}"),
                Note::Action { word, text } => {
                    let facts = facts_of(asked, self.log.form());
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
fn facts_of(asked: &Asked<'_>, form: LogForm) -> String {
    let mut out = String::new();
    let mut add = |name: &str, address: Option<&Address>| {
        if let Some(address) = address {
            out.push_str(&format!(" {name}=<{}>", form.show(address)));
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
