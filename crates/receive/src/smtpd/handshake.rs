//! TLS at the server: STARTTLS and wrapper mode, what the log says of each, and what is demanded of client certificates.

use std::time::Instant;

use mail::{Detail, Reply, TlsFacts};
use smtp::server::{End, Step, Upgrade};
use tokio::net::TcpStream;

use super::Driver;
use super::connection::{Connection, Secured};
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
            Connection::Plain(stream) => self.shake_hands(stream).await,
            Connection::Secured(_) | Connection::Gone => None,
        };
        let Some((stream, facts)) = secured else { return Err(upgrade.failed()) };
        *connection = Connection::Secured(stream);
        Ok(match self.refusal_of(&facts) {
            Some(reply) => upgrade.secured_and_refused(facts, reply),
            None => upgrade.secured(facts),
        })
    }

    /// The handshake that comes before everything else. `None` ends the connection without a word.
    pub(super) async fn wrapper(&mut self, stream: TcpStream) -> Option<(Box<dyn Secured>, TlsFacts)> {
        if self.service.tls.is_none() {
            maillog::warning!(
                self.log,
                "Wrapper-mode request dropped from {} for service {}. TLS context initialization failed. For details \
                 see earlier warnings in your logs.",
                self.name,
                self.service.name
            );
            return None;
        }
        let secured = self.shake_hands(stream).await;
        if secured.is_none() {
            maillog::info!(self.log, "NOQUEUE: lost connection after CONNECT from {}", self.name);
        }
        secured
    }

    async fn shake_hands(&mut self, stream: TcpStream) -> Option<(Box<dyn Secured>, TlsFacts)> {
        let server = self.service.tls.as_ref()?;
        match server.accept(stream).await {
            Ok((stream, facts)) => {
                if server.log_level() >= 2
                    && let Some(reason) = &facts.untrusted_reason
                {
                    maillog::info!(self.log, "certificate verification failed for {}: {reason}", self.name);
                }
                if server.log_level() >= 1 {
                    let (trust, summary) = (facts.trust, facts.summary());
                    maillog::info!(
                        self.log,
                        "{trust} TLS connection established from {}: {summary}",
                        self.name
                    );
                }
                Some((Box::new(stream), facts))
            }
            Err(failure) => {
                maillog::info!(self.log, "SSL_accept error from {}: {}", self.name, failure.cause);
                for line in &failure.library {
                    maillog::warning!(self.log, "{line}");
                }
                // The library's words help few; this line says what they mean.
                if let Some(meaning) = failure.meaning {
                    maillog::info!(self.log, "TLS handshake with {} failed: {meaning}", self.name);
                }
                None
            }
        }
    }

    /// smtpd_tls_req_ccert and the limit of new TLS sessions: what a client hears inside TLS in place of anything else.
    pub(super) fn refusal_of(&mut self, facts: &TlsFacts) -> Option<Reply> {
        let service = self.service;
        if let Some(why) = service.tls.as_ref().and_then(|server| server.ccert_refusal(facts)) {
            maillog::info!(self.log, "NOQUEUE: abort: TLS from {}: {why}", self.name);
            return Some(Reply::new(421, Detail(7, 1), format!("{} Error: {why}", service.hostname)));
        }
        let limit = service.limits.new_tls_rate;
        if facts.resumed || !self.limited || limit == 0 {
            return None;
        }
        let count =
            self.receive.prepared.anvil.count(service.line, self.address, Event::NewTls, Instant::now());
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
