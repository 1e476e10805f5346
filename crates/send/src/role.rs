//! The send role: takes deliveries from the queue, one task each.

use std::collections::HashMap;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;

use config::{Configuration, params};
use dns::Resolver;
use link::message::Delivery;
use link::{Call, Incoming, Link, Reply, Request};
use maillog::Log;
use tls::files::Files;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::content::Content;
use crate::renewal::Renewal;
use crate::service::{self, Service};
use crate::{attempt, tlsrpt};

/// The services of this role, with what they needed the starting user's rights for.
pub struct Prepared {
    services: HashMap<String, Result<Arc<Service>, String>>,
    /// Certificates, keys and authorities, read while that was possible.
    files: Arc<Files>,
    log: Log,
    reports: Option<tlsrpt::Sender>,
}

/// Reads every smtp and lmtp service of master.cf. A service with a mistake in its settings is reported and defers its mail;
/// the others work.
///
/// `pickup` is the socket that reports are handed to.
pub fn prepare(
    configuration: Configuration,
    log: Log,
    _tag: u8,
    pickup: PathBuf,
) -> Result<Prepared, String> {
    let resolver = Arc::new(Resolver::from_system());
    let settings = configuration.settings("smtp").map_err(|errors| errors.to_string())?;
    let (mut services, files) = (HashMap::new(), Arc::new(Files::default()));
    for entry in configuration.services() {
        if !matches!(entry.program.as_str(), "smtp" | "lmtp") {
            continue;
        }
        let service = Service::new(&configuration, entry, &log, Arc::clone(&resolver), &files);
        if let Err(why) = &service {
            maillog::fatal!(log, "{}, line {}: service {}: {why}", entry.file, entry.line, entry.name);
        }
        services.insert(entry.name.clone(), service.map(Arc::new));
    }
    let family =
        service::family(settings.get(params::inet_protocols), settings.get(params::smtp_address_preference));
    let reports = tlsrpt::Sender::new(&settings, family, resolver, pickup, log.clone())?;
    Ok(Prepared { services, files, log, reports })
}

enum Event {
    Master(Incoming),
    Queue(Incoming),
    MasterGone,
    Delivered,
}

/// Serves until master says drain, and what is in hand is done.
pub async fn serve(prepared: Prepared, control: UnixStream) -> Result<(), String> {
    let (events, mut queue): (UnboundedSender<Event>, UnboundedReceiver<Event>) = unbounded_channel();
    let (_control, calls) = Link::open(control, "master").map_err(|error| error.to_string())?;
    forward(calls, events.clone(), Event::Master, Some(Event::MasterGone));
    let services = Arc::new(prepared.services);
    let (drained, saving) = keep_sessions(&services, prepared.log.clone());
    let log = prepared.log.clone();
    let mut renewal = Renewal::new(prepared.files, prepared.log);
    if let Some(reports) = prepared.reports {
        tokio::spawn(reports.run());
    }
    let (mut in_hand, mut draining) = (0usize, false);
    let mut farewells = None;
    // Kept so that the links stay open; a new one takes over, and the old one ends when its peer does.
    let mut _links = Vec::new();
    while !(draining && in_hand == 0) {
        match queue.recv().await {
            None | Some(Event::MasterGone) => return Ok(()),
            Some(Event::Delivered) => in_hand -= 1,
            Some(Event::Master(Incoming { request, mut descriptors, call })) => match request {
                Request::Peer { role } => {
                    let opened =
                        descriptors.pop().ok_or_else(|| "no descriptor".to_owned()).and_then(|socket| {
                            Link::open(UnixStream::from(socket), role.name())
                                .map_err(|error| error.to_string())
                        });
                    match opened {
                        Ok((link, calls)) => {
                            _links.retain(|link: &Link| !link.is_closed());
                            _links.push(link);
                            forward(calls, events.clone(), Event::Queue, None);
                            call.answer(Reply::Done, Vec::new());
                        }
                        Err(why) => call.answer(Reply::Failed(why), Vec::new()),
                    }
                }
                Request::KeyFiles => {
                    let mut paths = renewal.paths();
                    paths.extend(tables::handed_over::closed());
                    call.answer(Reply::KeyFiles(paths), Vec::new());
                }
                Request::KeyFile { path, more } => {
                    let file = descriptors.pop().map(std::fs::File::from);
                    tables::handed_over::take(&path, file.as_ref());
                    renewal.take(path, file.as_ref(), more, &services);
                    call.answer(Reply::Done, Vec::new());
                }
                Request::LogFile => {
                    if let Some(descriptor) = descriptors.pop() {
                        log.go_on_in(descriptor.into());
                    }
                    call.answer(Reply::Done, Vec::new());
                }
                Request::Drain => {
                    draining = true;
                    farewells = Some(tokio::spawn(close_connections(Arc::clone(&services))));
                    call.answer(Reply::Done, Vec::new());
                }
                Request::Begin | Request::Ping => call.answer(Reply::Done, Vec::new()),
                _ => call.answer(Reply::Failed("not a request of master".into()), Vec::new()),
            },
            Some(Event::Queue(Incoming { request, mut descriptors, call })) => match request {
                Request::Deliver(delivery) => {
                    in_hand += 1;
                    let (services, events) = (Arc::clone(&services), events.clone());
                    tokio::spawn(async move {
                        let body = descriptors.pop();
                        deliver(&services, *delivery, body, call).await;
                        let _ = events.send(Event::Delivered);
                    });
                }
                Request::Ping => call.answer(Reply::Done, Vec::new()),
                _ => call.answer(Reply::Failed("not a request to this role".into()), Vec::new()),
            },
        }
    }
    if let Some(farewells) = farewells {
        let _ = farewells.await;
    }
    drop(drained);
    let _ = saving.await;
    Ok(())
}

/// Saves the sessions of all services now and then, and once more when the sender is dropped.
fn keep_sessions(
    services: &Arc<HashMap<String, Result<Arc<Service>, String>>>,
    log: Log,
) -> (oneshot::Sender<()>, JoinHandle<()>) {
    let (end, ended) = oneshot::channel();
    let services = Arc::clone(services);
    let saving = tokio::spawn(async move {
        let clients = || services.values().flatten().filter_map(|service| service.client.as_ref().ok());
        let save = || clients().try_for_each(tls::client::Client::save_sessions);
        let warn = |why: &str| maillog::warning!(log, "{why}");
        tls::session_cache::keep_saved(async { _ = ended.await }, save, warn).await;
    });
    (end, saving)
}

/// Kept connections end with a farewell; those still in use will not be kept.
async fn close_connections(services: Arc<HashMap<String, Result<Arc<Service>, String>>>) {
    for service in services.values().flatten() {
        service.connections.close().await;
    }
}

async fn deliver(
    services: &HashMap<String, Result<Arc<Service>, String>>,
    mut delivery: Delivery,
    body: Option<std::os::fd::OwnedFd>,
    call: Call,
) {
    let content = match (delivery.body.take(), body) {
        (Some(bytes), _) => Content::Bytes(bytes.into()),
        (None, Some(file)) => Content::File(Arc::new(file.into())),
        (None, None) => return call.answer(Reply::Failed("a delivery without content".into()), Vec::new()),
    };
    let service = match services.get(&delivery.transport) {
        Some(Ok(service)) => service,
        Some(Err(why)) => return call.answer(Reply::Failed(why.clone()), Vec::new()),
        None => {
            let why = format!(
                "master.cf has no smtp or lmtp service \"{}\"; reload after a change",
                delivery.transport
            );
            return call.answer(Reply::Failed(why), Vec::new());
        }
    };
    let attempted = attempt::deliver(service, &delivery, content).await;
    if let Some(way) = attempted.elsewhere {
        return call.answer(Reply::Elsewhere(way), Vec::new());
    }
    let reply = Reply::Attempted {
        outcomes: attempted.outcomes,
        site_failure: attempted.site_failure,
        places: Vec::new(),
        complaints: attempted.complaints,
    };
    call.answer(reply, Vec::new());
}

fn forward(
    mut calls: tokio::sync::mpsc::Receiver<Result<Incoming, link::FrameError>>,
    events: UnboundedSender<Event>,
    event: fn(Incoming) -> Event,
    last: Option<Event>,
) {
    tokio::spawn(async move {
        while let Some(Ok(incoming)) = calls.recv().await {
            if events.send(event(incoming)).is_err() {
                return;
            }
        }
        if let Some(last) = last {
            let _ = events.send(last);
        }
    });
}
