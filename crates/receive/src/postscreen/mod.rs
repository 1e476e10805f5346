//! postscreen(8): keeps clients that do not behave like mail servers away from smtpd(8), within the same process.
//!
//! - `settings.rs`, `tls.rs`: one service. `endpoint.rs`: who the client is. `clients.rs`: how many there are.
//! - `access_list.rs`: the permanent list. The temporary one is a `Journal` of `stamps.rs`.
//! - `screening.rs`, `stamps.rs`: what is decided, without sockets and clock.
//! - `early.rs` with `dnsbl.rs`, `dnsbl_score.rs`: the tests before the greeting.
//! - `deep.rs` with `engine.rs`, `commands.rs`: the tests after it, and the engine that takes no mail.
//!
//! This file is the life of one session, from CONNECT to the hand-over or DISCONNECT.

mod access_list;
mod clients;
mod commands;
mod deep;
mod dnsbl;
mod dnsbl_score;
mod early;
pub(crate) mod endpoint;
mod engine;
mod screening;
#[cfg(test)]
mod screening_tests;
mod service;
mod settings;
mod stamps;
mod tls;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mail::{Detail, Reply};
use maillog::Log;
use smtp::proxy_protocol::Ends;
use tokio::net::TcpStream;

use crate::serve::Receive;
use crate::smtpd;
use crate::smtpd::connection::Connection;
use access_list::Listed;
use clients::Place;
use screening::{Next, Screening};
use stamps::UnixTime;

pub(crate) use service::serve;
pub(crate) use settings::{Screen, open_all};

/// How long a client waits for an smtpd before the log says so.
const HAND_OVER_PATIENCE: Duration = Duration::from_secs(100);

/// One client.
struct Session<'a> {
    screen: &'a Arc<Screen>,
    log: Log,
    ends: Ends,
    /// `[ADDRESS]:PORT`.
    name: String,
    place: Place,
    screening: Screening,
    connection: Connection,
    /// The part of the session that runs, and since when, as HANGUP has it.
    phase: (&'static str, Instant),
}

/// How the tests came to an end.
enum End {
    /// All were done: to smtpd, or not.
    Tested,
    /// With a reply to hang up on.
    Closed(Reply),
    /// The client is gone.
    HungUp,
}

const NO_RESOURCES: &[u8] = b"421 4.3.2 No system resources\r\n";

/// Hears one client.
async fn hear(receive: &Receive, screen: &Arc<Screen>, mut stream: TcpStream) {
    let log = screen.log.session();
    let _ = stream.set_nodelay(true);
    let ends = match endpoint::ends(&mut stream, screen.proxy).await {
        Ok(ends) => ends,
        Err(why) => {
            maillog::warning!(log, "{why}");
            // Best effort, as the client may be gone.
            let _ = stream.try_write(NO_RESOURCES);
            return Connection::Plain(stream).close().await;
        }
    };
    let bracketed = |end: std::net::SocketAddr| format!("[{}]:{}", end.ip(), end.port());
    let name = bracketed(ends.client);
    maillog::info!(log, "CONNECT from {name} to {}", bracketed(ends.server));
    let (place, change) = screen.clients.arrive(ends.client.ip());
    if let Some(change) = change {
        maillog::info!(log, "{}", change.text());
    }
    let mut session = Session {
        screen,
        log: log.clone(),
        ends,
        name,
        place,
        screening: Screening::new(),
        connection: Connection::Plain(stream),
        phase: ("CONNECT", Instant::now()),
    };
    let end = session.test().await;
    session.conclude(end, receive).await;
    if let Some(change) = screen.clients.relax() {
        maillog::info!(log, "{}", change.text());
    }
}

fn now() -> UnixTime {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

impl Session<'_> {
    /// All tests, in Postfix's order.
    async fn test(&mut self) -> End {
        if let Some(reply) = self.limits() {
            return End::Closed(reply);
        }
        let warn = |text: &str| maillog::warning!(self.log, "{text}");
        match self.screen.access_list.find(self.ends.client.ip(), &warn).await {
            Listed::Allow => {
                maillog::info!(self.log, "{}LISTED {}", self.word("ALLOW", "WHITE"), self.name);
                return End::Tested;
            }
            Listed::Deny => {
                maillog::info!(self.log, "{}LISTED {}", self.word("DENY", "BLACK"), self.name);
                if let Next::Drop(reply) = self.screening.denylisted(&self.screen.policy) {
                    return End::Closed(reply);
                }
            }
            Listed::No => {}
        }
        if self.recall() {
            maillog::info!(self.log, "PASS OLD {}", self.name);
            return End::Tested;
        }
        if !self.may_be_allowlisted().await {
            maillog::info!(self.log, "{}LIST VETO {}", self.word("ALLOW", "WHITE"), self.name);
            self.screening.veto();
        }
        if self.screen.clients.is_full() {
            maillog::info!(self.log, "reject: connect from {}: all screening ports busy", self.name);
            return End::Closed(Reply::new(421, Detail(3, 2), "All screening ports are busy"));
        }
        if self.screening.has_early_tests()
            && let Some(end) = self.early_tests().await
        {
            return end;
        }
        if self.screening.has_deep_tests() {
            return self.deep_tests().await;
        }
        End::Tested
    }

    /// postscreen_client_connection_count_limit and postscreen_post_queue_limit.
    fn limits(&self) -> Option<Reply> {
        let screen = self.screen;
        if screen.connection_limit > 0 && self.place.concurrency > screen.connection_limit {
            maillog::info!(self.log, "NOQUEUE: reject: CONNECT from {}: too many connections", self.name);
            return Some(Reply::new(421, Detail(7, 0), "Error: too many connections"));
        }
        if screen.post_queue_limit > 0 && screen.clients.waiting() >= screen.post_queue_limit {
            maillog::info!(self.log, "NOQUEUE: reject: CONNECT from {}: all server ports busy", self.name);
            return Some(Reply::new(421, Detail(3, 2), "All server ports are busy"));
        }
        None
    }

    /// Asks the temporary allowlist, and plans the tests that are due. True for a client with nothing due.
    fn recall(&mut self) -> bool {
        let mut shared = self.place.shared();
        let is_first = self.place.concurrency == 1;
        if is_first {
            let cache = self.screen.cache.as_ref();
            let known = cache.and_then(|cache| cache.find(&self.ends.client.ip()));
            if let Some(stamps) = known {
                shared.stamps = stamps;
                self.screening.plan(&self.screen.policy, &stamps, now());
                return self.screening.is_known_good();
            }
        }
        self.screening.plan(&self.screen.policy, &shared.stamps, now());
        false
    }

    /// postscreen_allowlist_interfaces: may one be allowlisted at the address that the client connected to?
    async fn may_be_allowlisted(&self) -> bool {
        match self.screen.allowlist_interfaces.matches_host("", Some(self.ends.server.ip())).await {
            Ok(found) => found,
            Err(why) => {
                maillog::warning!(self.log, "{why}");
                false
            }
        }
    }

    /// `respectful_logging`.
    fn word(&self, respectful: &'static str, old: &'static str) -> &'static str {
        if self.screen.respectful { respectful } else { old }
    }

    fn begin_phase(&mut self, name: &'static str) {
        self.phase = (name, Instant::now());
    }

    /// Since when the phase runs, as log lines have it.
    fn elapsed(&self) -> String {
        mail::delivery_line::seconds(self.phase.1.elapsed(), self.screen.decimals)
    }

    /// Sends a reply with its footer. False: the client does not listen.
    async fn say(&mut self, reply: Reply) -> bool {
        let warn = |text: &str| maillog::warning!(self.log, "{text}");
        // Of the configuration only `$server_name` is shown to strangers.
        let facts = |name: &str| match name {
            "server_name" => Some(self.screen.hostname.clone()),
            "client_address" => Some(self.ends.client.ip().to_string()),
            "client_port" => Some(self.ends.client.port().to_string()),
            _ => None,
        };
        let reply = self.screen.footer.add(reply, &facts, &warn).await;
        let reply = if self.screen.engine.soft_bounce { reply.softened() } else { reply };
        let mut output = Vec::new();
        reply.write_to(&mut output);
        let limit = self.command_time_limit();
        self.connection.write(&mut output, limit).await.is_ok()
    }

    fn command_time_limit(&self) -> Duration {
        self.screen.command_time_limit.under(self.screen.clients.is_stressed())
    }

    /// Remembers what there is to remember, and hands the client over, or says good-bye.
    async fn conclude(mut self, end: End, receive: &Receive) {
        if let End::HungUp = end {
            maillog::info!(
                self.log,
                "HANGUP after {} from {} in {}",
                self.elapsed(),
                self.name,
                self.phase.0
            );
        }
        if !matches!(end, End::Tested) {
            self.screening.keep_here();
        }
        let forward = self.remember();
        if forward {
            return self.hand_over(receive).await;
        }
        if let End::Closed(reply) = end {
            self.say(reply).await;
        }
        maillog::info!(self.log, "DISCONNECT {}", self.name);
        // What the client says after the good-bye does not take a place.
        drop(self.place);
        self.connection.close().await;
    }

    /// Judges all results, and keeps the record. True: to smtpd.
    fn remember(&mut self) -> bool {
        let (conclusion, stamps, is_first_time) = {
            let mut shared = self.place.shared();
            let conclusion = self.screening.conclude(&self.screen.policy, &mut shared.stamps);
            let is_first_time = conclusion.blessed == Some(true) && shared.blessings == 0;
            shared.blessings += usize::from(conclusion.blessed == Some(true));
            (conclusion, shared.stamps, is_first_time)
        };
        if conclusion.blessed.is_some() {
            let word = if is_first_time { "NEW" } else { "OLD" };
            maillog::info!(self.log, "PASS {word} {}", self.name);
        }
        if conclusion.remember
            && let Some(cache) = &self.screen.cache
            && let Err(why) = cache.keep(self.ends.client.ip(), stamps)
        {
            maillog::warning!(self.log, "postscreen_cache_map: {why}");
        }
        conclusion.forward
    }

    /// Gives the connection to an smtpd, as soon as one is free.
    async fn hand_over(self, receive: &Receive) {
        let Session { screen, log, ends, mut place, connection, .. } = self;
        let Connection::Plain(stream) = connection else { return };
        place.wait_for_smtpd();
        let service = &screen.smtpd;
        let mut free = std::pin::pin!(Arc::clone(&service.sessions).acquire_owned());
        let permit = match tokio::time::timeout(HAND_OVER_PATIENCE, &mut free).await {
            Ok(permit) => permit,
            Err(_elapsed) => {
                maillog::warning!(log, "timeout sending connection to service {}", service.name);
                free.await
            }
        };
        drop(place);
        // The semaphore is never closed.
        if let Ok(_permit) = permit {
            smtpd::hear(receive, service, stream, ends.client, Some(ends.server)).await;
        }
    }
}
