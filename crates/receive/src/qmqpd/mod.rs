//! qmqpd(8): mail of machines that hand over whole messages by QMQP, qmail's protocol for those without a queue. One packet, one answer:
//! `K` for kept, `Z` for later, `D` for no.

mod packet;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use config::{Configuration, Settings, params};
use mail::{Address, ClientFacts, Envelope, LogForm, Origin, Recipient};
use maillog::Log;
use route::Context;
use tables::domain_search::ParentStyle;
use tables::{MatchList, MatchStyle};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::cleanup::checks::About;
use crate::cleanup::received::Received;
use crate::cleanup::services::Overrides;
use crate::cleanup::{Beginning, Cleanup, Intake};
use crate::serve::{ACCEPT_PAUSE, Receive, drained};
use crate::service::{Shared, tables};
use crate::smtpd::peer_name;
use packet::{Broken, Packet};

/// VERP is asked for by this end of a sender (postconf(5), default_verp_delimiters).
const VERP_SUFFIX: &str = "-@[]";

/// One qmqpd service of master.cf.
pub(crate) struct Qmqpd {
    log: Log,
    authorized: MatchList,
    port_logging: bool,
    error_delay: Duration,
    timeout: Duration,
    size_limit: usize,
    verp_delimiters: String,
    cleanup: Arc<Cleanup>,
    received: Received,
    overrides: Overrides,
    sessions: Arc<Semaphore>,
}

impl Qmqpd {
    /// Reads settings and tables. The error is fatal for this service only.
    pub(crate) fn open(shared: &Shared<'_>, service: &config::master_cf::Service) -> Result<Qmqpd, String> {
        let configuration: &Configuration = shared.configuration;
        let settings: Settings = configuration.settings_of(service).map_err(|errors| errors.to_string())?;
        let log = shared.log.service(settings.get(params::syslog_name), "qmqpd");
        let log = log.showing(LogForm::of(settings.get(params::info_log_address_format)));
        let clients = params::qmqpd_authorized_clients;
        let parents = settings.get(params::parent_domain_matches_subdomains);
        let maxproc = service
            .maxproc
            .unwrap_or_else(|| u32::try_from(settings.get(params::default_process_limit)).unwrap_or(100));
        let sessions = if maxproc == 0 { Semaphore::MAX_PERMITS } else { maxproc as usize };
        let tables = tables(&log).within(&settings);
        let style = MatchStyle::HostsAndAddresses(ParentStyle::of(clients.name(), parents));
        let authorized = MatchList::open(&tables, clients.name(), settings.get(clients), style);
        tables.must_be_open()?;
        Ok(Qmqpd {
            authorized,
            port_logging: settings.get(params::qmqpd_client_port_logging),
            error_delay: settings.get(params::qmqpd_error_delay),
            timeout: settings.get(params::qmqpd_timeout),
            size_limit: usize::try_from(settings.get(params::message_size_limit)).unwrap_or(usize::MAX),
            verp_delimiters: settings.get(params::default_verp_delimiters).to_owned(),
            cleanup: shared.cleanups.for_settings(configuration, &settings, shared.log)?,
            received: Received::read(&settings),
            overrides: Overrides::read(&settings, "qmqpd"),
            sessions: Arc::new(Semaphore::new(sessions)),
            log,
        })
    }
}

/// Accepts until Drain, then waits for the sessions that have begun.
pub(crate) async fn serve(receive: Arc<Receive>, service: Arc<Qmqpd>, listener: TcpListener) {
    let mut draining = receive.draining.subscribe();
    let mut sessions = JoinSet::new();
    loop {
        while sessions.try_join_next().is_some() {}
        let next = async {
            // The semaphore is never closed; if it were, nobody would be heard any more.
            let permit = Arc::clone(&service.sessions).acquire_owned().await.ok()?;
            Some((listener.accept().await, permit))
        };
        tokio::select! {
            () = drained(&mut draining) => break,
            accepted = next => match accepted {
                Some((Ok((stream, peer)), permit)) => {
                    let (receive, service) = (Arc::clone(&receive), Arc::clone(&service));
                    sessions.spawn(async move {
                        hear(&receive, &service, stream, peer).await;
                        drop(permit);
                    });
                }
                Some((Err(error), _)) => {
                    maillog::warning!(service.log, "accept connection: {error}");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
                None => break,
            },
        }
    }
    drop(listener);
    while sessions.join_next().await.is_some() {}
}

/// Hears one client.
async fn hear(receive: &Receive, service: &Qmqpd, mut stream: TcpStream, peer: SocketAddr) {
    let log = service.log.session();
    let address = peer.ip().to_canonical();
    let server = stream.local_addr().ok().map(|local| (local.ip().to_canonical(), local.port()));
    let mut client = ClientFacts::new(Some(address), peer.port(), server);
    client.port_logging = service.port_logging;
    peer_name::look_up(&receive.prepared.resolver, &mut client, &log).await;
    let name = client.name_address();
    maillog::info!(log, "connect from {name}");
    // Who can not be looked up is not let in.
    let authorized = match service.authorized.matches_host(&client.name, Some(address)).await {
        Ok(authorized) => authorized,
        Err(why) => {
            maillog::warning!(log, "{why}");
            false
        }
    };
    let answer = match authorized {
        true => answer(receive, service, &mut stream, client, &log).await,
        false => Some(('D', format!("Error: {name} is not authorized to use this service"))),
    };
    if let Some((status, text)) = answer {
        if status != 'K' {
            tokio::time::sleep(service.error_delay).await;
        }
        let reply = format!("{}:{status}{text},", text.len() + 1);
        let said = async {
            stream.write_all(reply.as_bytes()).await?;
            stream.shutdown().await
        };
        // A client that does not wait for its answer asks again.
        let _ = tokio::time::timeout(service.timeout, said).await;
    }
    maillog::info!(log, "disconnect from {name}");
}

/// The message of an authorized client, and what it is told; nothing where it has gone.
async fn answer(
    receive: &Receive,
    service: &Qmqpd,
    stream: &mut TcpStream,
    client: ClientFacts,
    log: &Log,
) -> Option<(char, String)> {
    let (id, arrival) = (receive.next_id(), SystemTime::now());
    let name = client.name_address();
    maillog::info!(log, "{id}: client={name}");
    let packet = match packet::read(stream, service.size_limit, service.timeout).await {
        Ok(packet) => packet,
        Err((broken, place)) => {
            let text = format!("{} while {place}", broken.words());
            maillog::info!(log, "{id}: {name}: {text}");
            return matches!(broken, Broken::Format | Broken::Size).then_some(('D', text));
        }
    };
    let Packet { message, sender, recipients } = packet;
    let refused = |text: &str| {
        maillog::warning!(log, "{id}: {name}: {text}");
        Some(('D', text.to_owned()))
    };
    if recipients.is_empty() {
        return refused("Error: no recipients specified");
    }
    let Some(envelope) = envelope(&sender, &recipients, &service.verp_delimiters) else {
        return refused("Error: bad address syntax");
    };
    let beginning = Beginning {
        id,
        arrival,
        sender: envelope.sender.clone(),
        full_name: None,
        context: Context::Local,
        first_lines: service.received.of_qmqp(&client, &envelope, &id, arrival),
        overrides: service.overrides.clone(),
        about: About {
            origin: name,
            recipient: envelope.recipients.last().map(|recipient| recipient.address.clone()),
            protocol: Some("QMQP".into()),
            helo: None,
        },
        discard: false,
    };
    let queue = Arc::clone(&receive.queue);
    let mut intake = Intake::begin(Arc::clone(&service.cleanup), queue, beginning).await;
    intake.raw().extend_from_slice(&message);
    if !message.ends_with(b"\n") {
        intake.raw().push(b'\n');
    }
    intake.take().await;
    let kept = match intake.pretend_session(&envelope).await {
        Ok((mut milters, effects)) => {
            let origin = Origin::Client(Box::new(client));
            let kept = intake.keep(&envelope, origin, &effects, milters.as_deref_mut()).await;
            if let Some(milters) = milters {
                milters.quit().await;
            }
            kept
        }
        Err(trouble) => Err(trouble),
    };
    Some(match kept {
        Ok(()) => ('K', format!("Ok: queued as {id}")),
        Err(trouble) => {
            let reply = trouble.reply();
            (if reply.code < 500 { 'Z' } else { 'D' }, reply.text.into_owned())
        }
    })
}

/// Addresses as programs of the machine have them, without quotes.
fn envelope(sender: &[u8], recipients: &[Vec<u8>], verp_delimiters: &str) -> Option<Envelope> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
    let sender = text(sender)?;
    let (sender, verp) = match sender.strip_suffix(VERP_SUFFIX) {
        Some(origin) => (origin.to_owned(), Some(verp_delimiters.to_owned())),
        None => (sender, None),
    };
    let sender = if sender.is_empty() { Address::null() } else { Address::internal(sender).ok()? };
    let recipients = recipients
        .iter()
        .map(|recipient| Some(Recipient::new(Address::internal(text(recipient)?).ok()?)))
        .collect::<Option<Vec<_>>>()?;
    Some(Envelope { sender, recipients, verp, ..Envelope::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn envelopes() {
        let recipients = [b"a b@x.test".to_vec(), b"c@x.test".to_vec()];
        let plain = envelope(b"s@y.test", &recipients, "+=").unwrap();
        assert_eq!((plain.sender.to_string().as_str(), plain.verp), ("s@y.test", None));
        assert_eq!(plain.recipients[0].address.to_external(), "\"a b\"@x.test");
        let verp = envelope(b"list@y.test-@[]", &recipients, "+=").unwrap();
        assert_eq!((verp.sender.to_string().as_str(), verp.verp.as_deref()), ("list@y.test", Some("+=")));
        assert!(envelope(b"", &recipients, "+=").unwrap().sender.is_null());
        assert!(envelope(b"\xff", &recipients, "+=").is_none());
    }
}
