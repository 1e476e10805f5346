//! TLS at the server: STARTTLS and wrapper mode, what the log says of each, and what is demanded of client certificates.

use std::sync::Arc;
use std::time::Instant;

use mail::{Detail, Reply, TlsFacts};
use maillog::Log;
use smtp::server::{Auth, End, Next, Options, Step, Upgrade};
use tls::journal::{Gravity, Journal};
use tls::log_level::LogLevels;
use tls::server::Server;
use tokio::net::TcpStream;

use super::Driver;
use super::connection::{Connection, Secured};
use super::sasl::PLUS;
use crate::anvil::Event;

impl Driver<'_> {
    /// After `220 2.0.0 Ready to start TLS`.
    pub(super) async fn starttls(
        &mut self,
        upgrade: Upgrade,
        connection: &mut Connection,
    ) -> Result<Step, End> {
        self.mail = None;
        if connection.write(&mut self.output, self.service.timeout).await.is_err() {
            return Err(upgrade.failed());
        }
        let secured = match std::mem::replace(connection, Connection::Gone) {
            Connection::Plain(stream) => self.shake_hands(stream, &upgrade.client().name).await,
            Connection::Secured(_) | Connection::Gone => None,
        };
        let Some((stream, facts)) = secured else { return Err(upgrade.failed()) };
        *connection = Connection::Secured(stream);
        if let Some(reply) = self.ccert_refusal(&facts) {
            // STARTTLS itself went well; what the certificate lacks is another matter.
            return Ok(match upgrade.secured(facts) {
                Step { next: Next::Read(session), .. } => session.give_up(reply),
                step => step,
            });
        }
        Ok(match self.rate_refusal(&facts) {
            Some(reply) => upgrade.secured_and_refused(facts, reply),
            None => {
                let options = without_plus(upgrade.options(), connection);
                upgrade.secured_with(facts, options)
            }
        })
    }

    /// The handshake that comes before everything else. `None` ends the connection without a word.
    pub(super) async fn wrapper(
        &mut self,
        stream: TcpStream,
        client: &str,
    ) -> Option<(Box<dyn Secured>, TlsFacts)> {
        if !self.service.tls.as_ref().is_some_and(|server| server.is_available()) {
            maillog::warning!(
                self.log,
                "Wrapper-mode request dropped from {} for service {}. TLS context initialization failed. For details \
                 see earlier warnings in your logs.",
                self.name,
                self.service.name
            );
            return None;
        }
        if !self.may_begin_tls("TLS service") {
            return None;
        }
        let secured = self.shake_hands(stream, client).await;
        if secured.is_none() {
            maillog::info!(self.log, "NOQUEUE: lost connection after CONNECT from {}", self.name);
        }
        secured
    }

    async fn shake_hands(&mut self, stream: TcpStream, client: &str) -> Option<(Box<dyn Secured>, TlsFacts)> {
        let server = self.service.tls.as_ref()?;
        let levels = self.service.tls_log.level_for(client, self.address, &self.log).await;
        shake_hands(server, levels, stream, &self.name, &self.log).await
    }

    /// Before the handshake: a client that began too many TLS sessions already gets no other. True when it may go on.
    pub(super) fn may_begin_tls(&self, refusing: &str) -> bool {
        let limit = self.service.limits.new_tls_rate;
        if !self.limited || limit == 0 {
            return true;
        }
        let anvil = &self.receive.prepared.anvil;
        let may = anvil.so_far(self.service.line, self.counted, Event::NewTls, Instant::now()) <= limit;
        if !may {
            maillog::warning!(
                self.log,
                "Refusing {refusing} request from {} for service {}",
                self.name,
                self.service.name
            );
        }
        may
    }

    /// What a client hears inside TLS in place of anything else; `None` when nothing is wrong.
    pub(super) fn refusal_of(&mut self, facts: &TlsFacts) -> Option<Reply> {
        self.ccert_refusal(facts).or_else(|| self.rate_refusal(facts))
    }

    /// smtpd_tls_req_ccert.
    fn ccert_refusal(&mut self, facts: &TlsFacts) -> Option<Reply> {
        let service = self.service;
        let why = service.tls.as_ref()?.ccert_refusal(facts)?;
        maillog::info!(self.log, "NOQUEUE: abort: TLS from {}: {why}", self.name);
        Some(Reply::new(421, Detail(7, 1), format!("{} Error: {why}", service.hostname)))
    }

    /// smtpd_client_new_tls_session_rate_limit.
    fn rate_refusal(&mut self, facts: &TlsFacts) -> Option<Reply> {
        let service = self.service;
        let limit = service.limits.new_tls_rate;
        if facts.resumed || !self.limited || limit == 0 {
            return None;
        }
        let count =
            self.receive.prepared.anvil.count(service.line, self.counted, Event::NewTls, Instant::now());
        if count <= limit {
            return None;
        }
        maillog::warning!(
            self.log,
            "New TLS session rate limit exceeded: {count} from {} for service {}",
            self.name,
            service.name
        );
        let text = format!("{} Error: too many new TLS sessions from {}", service.hostname, self.name);
        Some(Reply::new(421, Detail(7, 0), text))
    }
}

/// A connection that nothing can be tied to (a resumed session of TLS 1.2) has no mechanism for that.
pub(super) fn without_plus(options: &Arc<Options>, connection: &Connection) -> Arc<Options> {
    let offered = |auth: &Auth| auth.mechanisms_in_tls.split(' ').any(|name| name == PLUS);
    match &options.auth {
        Some(auth) if offered(auth) && connection.bindings().is_some_and(|bindings| bindings.is_empty()) => {
            let rest: Vec<&str> = auth.mechanisms_in_tls.split(' ').filter(|name| *name != PLUS).collect();
            let auth = Auth { mechanisms_in_tls: rest.join(" "), ..auth.clone() };
            Arc::new(Options { auth: Some(auth), ..(**options).clone() })
        }
        _ => Arc::clone(options),
    }
}

/// The server's part of a handshake; what there is to say of it goes to the log.
pub(crate) async fn shake_hands(
    server: &Server,
    levels: LogLevels,
    stream: TcpStream,
    name: &str,
    log: &Log,
) -> Option<(Box<dyn Secured>, TlsFacts)> {
    let sink = log.clone();
    let write = move |gravity, line: &str| match gravity {
        Gravity::Info => maillog::info!(sink, "{line}"),
        Gravity::Warning => maillog::warning!(sink, "{line}"),
    };
    match server.accept(stream, Journal::new(name.to_owned(), levels, Arc::new(write))).await {
        Ok((stream, facts)) => Some((Box::new(stream), facts)),
        Err(failure) if failure.is_told() => None,
        Err(failure) => {
            maillog::info!(log, "SSL_accept error from {}: {}", name, failure.cause);
            for line in &failure.library {
                maillog::warning!(log, "{line}");
            }
            // The library's words help few; this line says what they mean.
            if let Some(meaning) = failure.meaning {
                maillog::info!(log, "TLS handshake with {} failed: {meaning}", name);
            }
            None
        }
    }
}
