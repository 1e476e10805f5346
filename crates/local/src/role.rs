//! The role's life: takes deliveries from the queue, gives each to the agent that its transport names, and answers with
//! what became of the recipients.
//!
//! Runs as root, or as the invoking user; hears master and the queue, no network byte. What is done for a recipient
//! is done with the recipient's rights (`deliver_as.rs`); root's own are used to look at who owns alias databases, `:include:`
//! files and spool directories.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use config::master_cf::{Service, ServiceKind};
use config::{Configuration, Settings, params};
use link::message::Delivery;
use link::{Incoming, Link, Reply, Request, Role};
use mail::delivery_line::{Delays, delivery_line};
use mail::{IdGenerator, LogForm, Outcome, OutcomeKind, Purpose, Status};
use maillog::Log;
use route::Routing;
use tables::{StatusFilter, Tables};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

use crate::biff::Biff;
use crate::content::Body;
use crate::deliver_as::Deliverer;
use crate::in_hand::{InHand, Report};
use crate::local::{LocalAgent, LocalSettings};
use crate::pipe::PipeAgent;
use crate::queue_link::QueueLink;
use crate::resubmit::Resubmitter;
use crate::user::Users;
use crate::virtual_mailbox::VirtualAgent;

/// Everything that was read and opened before the role serves.
pub struct Prepared {
    log: Log,
    queue: Arc<QueueLink>,
    services: HashMap<String, Arc<DeliveryService>>,
}

/// A service of master.cf that delivers.
struct DeliveryService {
    log: Log,
    /// With the service's delivery status filter.
    agent: Result<(Agent, StatusFilter), String>,
    /// delay_logging_resolution_limit
    delay_decimals: usize,
}

enum Agent {
    Local(Box<LocalAgent>),
    Virtual(Box<VirtualAgent>),
    Pipe(Box<PipeAgent>),
}

/// Reads the configuration of all services that deliver on this machine and opens their tables. A service that can not be
/// used is logged, and its mail waits; the others work. `tag` tells this process's queue ids from those of the others.
pub fn prepare(configuration: Configuration, log: Log, tag: u8) -> Result<Prepared, String> {
    prepare_with(configuration, log, tag, Deliverer::new(), Users::SYSTEM)
}

fn prepare_with(
    configuration: Configuration,
    log: Log,
    tag: u8,
    deliverer: Deliverer,
    users: &str,
) -> Result<Prepared, String> {
    let settings = configuration.settings("local").map_err(|errors| errors.to_string())?;
    let queue = Arc::new(QueueLink::new());
    let long = settings.get(params::enable_long_queue_ids);
    let resubmitter = Arc::new(Resubmitter {
        queue: Arc::clone(&queue),
        ids: Mutex::new(IdGenerator::new(tag, long)),
        line_length: usize::try_from(settings.get(params::line_length_limit)).unwrap_or(usize::MAX),
    });
    let mut services = HashMap::new();
    for service in configuration.services() {
        let is_ours = matches!(service.program.as_str(), "local" | "virtual" | "pipe");
        if !is_ours || service.kind != ServiceKind::Unix {
            continue;
        }
        let made = configuration.settings_of(service).map_err(|errors| errors.to_string());
        let (service_log, agent) = match made {
            Err(why) => (log.service(settings.get(params::syslog_name), &service.program), Err(why)),
            Ok(own) => {
                let service_log = log.service(own.get(params::syslog_name), &service.program);
                let service_log = service_log.showing(LogForm::of(own.get(params::info_log_address_format)));
                let opening = Opening {
                    configuration: &configuration,
                    service,
                    settings: &own,
                    log: &service_log,
                    deliverer: &deliverer,
                    resubmitter: &resubmitter,
                    users,
                };
                let agent = opening.agent();
                (service_log, agent)
            }
        };
        // A service that can not work says so when it is used, as Postfix's do: stock files name services that nobody needs.
        let delivers = DeliveryService {
            log: service_log,
            agent,
            delay_decimals: usize::try_from(settings.get(params::delay_logging_resolution_limit))
                .unwrap_or(2),
        };
        services.insert(service.name.clone(), Arc::new(delivers));
    }
    Ok(Prepared { log, queue, services })
}

/// What an agent is made from.
struct Opening<'a> {
    configuration: &'a Configuration,
    service: &'a Service,
    settings: &'a Settings,
    log: &'a Log,
    deliverer: &'a Deliverer,
    resubmitter: &'a Arc<Resubmitter>,
    users: &'a str,
}

impl Opening<'_> {
    fn agent(&self) -> Result<(Agent, StatusFilter), String> {
        let warnings = self.log.clone();
        let tables =
            Tables::new(Arc::new(move |text: &str| warnings.table_trouble(text))).within(self.settings);
        let (settings, log, deliverer) = (self.settings, self.log.clone(), self.deliverer.clone());
        let name = &self.service.name;
        let filter = match self.service.program.as_str() {
            "virtual" => {
                ("virtual_delivery_status_filter", settings.get(params::virtual_delivery_status_filter))
            }
            "pipe" => ("pipe_delivery_status_filter", settings.get(params::pipe_delivery_status_filter)),
            _ => ("local_delivery_status_filter", settings.get(params::local_delivery_status_filter)),
        };
        let filter = StatusFilter::open(&tables, filter.0, filter.1);
        let agent = match self.service.program.as_str() {
            "virtual" => {
                Agent::Virtual(Box::new(VirtualAgent::new(settings, &tables, deliverer, log, name)?))
            }
            "pipe" => Agent::Pipe(Box::new(PipeAgent::new(self.service, settings, &tables, deliverer, log)?)),
            _ => Agent::Local(Box::new(LocalAgent {
                settings: LocalSettings::read(settings, &tables),
                routing: Arc::new(Routing::new(settings, &tables, self.configuration.host())),
                users: Users::open(&tables, self.users),
                deliverer,
                resubmitter: Arc::clone(self.resubmitter),
                biff: settings.get(params::biff).then(Biff::open).flatten(),
                log,
                transport: name.clone(),
            })),
        };
        tables.must_be_open()?;
        Ok((agent, filter))
    }
}

/// What the role is told, and by whom; `None` when that link has ended.
type Event = (Role, Option<Incoming>);

/// Serves until master says drain, and the work in hand is finished; or until master is gone.
pub async fn serve(prepared: Prepared, control: UnixStream) -> Result<(), String> {
    let Prepared { log, queue, services } = prepared;
    let (events, mut heard) = unbounded_channel();
    let (_control, calls) = Link::open(control, "master").map_err(|error| error.to_string())?;
    forward(calls, Role::Master, log.clone(), events.clone());
    let mut deliveries = JoinSet::new();
    let mut draining = false;
    while !(draining && deliveries.is_empty()) {
        let event = tokio::select! {
            event = heard.recv() => event,
            // A delivery that panicked has dropped its call; the queue gives up on that when this role's link ends.
            Some(_) = deliveries.join_next() => continue,
        };
        match event {
            None | Some((Role::Master, None)) => return Ok(()),
            Some((_, None)) => {}
            Some((Role::Master, Some(Incoming { request, mut descriptors, call }))) => {
                let reply = match request {
                    Request::Peer { role } => match descriptors.pop() {
                        Some(descriptor) => match Link::open(UnixStream::from(descriptor), role.name()) {
                            Ok((link, calls)) => {
                                forward(calls, role, log.clone(), events.clone());
                                if role == Role::Queue {
                                    queue.replace(link);
                                }
                                Reply::Done
                            }
                            Err(error) => Reply::Failed(error.to_string()),
                        },
                        None => Reply::Failed("no descriptor".into()),
                    },
                    Request::Begin | Request::Ping => Reply::Done,
                    Request::LogFile => {
                        if let Some(descriptor) = descriptors.pop() {
                            log.go_on_in(descriptor.into());
                        }
                        Reply::Done
                    }
                    Request::Drain => {
                        draining = true;
                        Reply::Done
                    }
                    _ => Reply::Failed("not a request of master".into()),
                };
                call.answer(reply, Vec::new());
            }
            Some((_, Some(Incoming { request, mut descriptors, call }))) => match request {
                Request::Deliver(_) if draining => {
                    call.answer(Reply::Failed("the mail system is stopping".into()), Vec::new());
                }
                Request::Deliver(delivery) => {
                    let service = services.get(&delivery.transport).cloned();
                    let file = descriptors.pop().map(File::from);
                    deliveries.spawn(async move {
                        let reply = match service {
                            Some(service) => service.attempt(*delivery, file).await,
                            None => {
                                let name = &delivery.transport;
                                Reply::Failed(format!("no service \"{name}\" delivers on this machine"))
                            }
                        };
                        call.answer(reply, Vec::new());
                    });
                }
                Request::Ping => call.answer(Reply::Done, Vec::new()),
                _ => call.answer(Reply::Failed("not a request to local".into()), Vec::new()),
            },
        }
    }
    Ok(())
}

impl DeliveryService {
    /// One attempt: its outcomes in the order of the recipients, and its log lines.
    async fn attempt(&self, mut delivery: Delivery, file: Option<File>) -> Reply {
        let (agent, filter) = match &self.agent {
            Ok(agent) => agent,
            Err(why) => return Reply::Failed(why.clone()),
        };
        let log = self.log.session();
        let (id, waited, began) = (delivery.message.id, delivery.waited, Instant::now());
        let recipients = delivery.message.envelope.recipients.clone();
        let transport = delivery.transport.clone();
        let purpose = delivery.message.envelope.purpose;
        let body = match (delivery.body.take(), file) {
            (Some(bytes), _) => Ok(Body::inline(bytes)),
            (None, Some(file)) => Body::file(file),
            (None, None) => Err(std::io::Error::other("it came without content")),
        };
        let reports = match body.and_then(|body| InHand::new(delivery, body)) {
            Ok(in_hand) => agent.deliver(&in_hand).await,
            Err(error) => {
                let text = format!("cannot read the message: {error}");
                let outcome = Outcome::deferred(Status::new(4, 3, 0), transport, text);
                recipients.iter().map(|recipient| Report::of(recipient, outcome.clone())).collect()
            }
        };
        let delays = Delays {
            before_queue: waited.0,
            in_queue: waited.1,
            transmission: began.elapsed(),
            decimals: self.delay_decimals,
            ..Delays::default()
        };
        let mut outcomes = Vec::new();
        let mut places = Vec::new();
        for (report, asked) in reports.into_iter().zip(&recipients) {
            let alone = report.lines.len() == 1;
            for (recipient, outcome) in report.lines {
                let outcome = filter.apply(outcome, |why| maillog::warning!(log, "{why}")).await;
                let outcome = outcome.for_purpose(purpose);
                maillog::info!(log, "{}", delivery_line(log.form(), &id, &recipient, &outcome, &delays, 0));
                let is_told = purpose != Purpose::Delivery
                    || (outcome.kind == OutcomeKind::Bounced && report.outcome.kind == OutcomeKind::Bounced);
                if is_told && !(alone && recipient == *asked) {
                    places.push((outcomes.len(), recipient, outcome));
                }
            }
            // Each line was told of; the word on all of them is one of those.
            let outcome = filter.apply(report.outcome, |_| {}).await;
            outcomes.push(outcome.for_purpose(purpose));
        }
        Reply::Attempted { outcomes, site_failure: None, places, complaints: Vec::new() }
    }
}

impl Agent {
    async fn deliver(&self, in_hand: &InHand) -> Vec<Report> {
        match self {
            Agent::Local(agent) => agent.deliver(in_hand).await,
            Agent::Virtual(agent) => agent.deliver(in_hand).await,
            Agent::Pipe(agent) => agent.deliver(in_hand).await,
        }
    }
}

/// Turns a link's calls into events; the last one says that it ended.
fn forward(
    mut calls: tokio::sync::mpsc::Receiver<Result<Incoming, link::FrameError>>,
    role: Role,
    log: Log,
    events: UnboundedSender<Event>,
) {
    tokio::spawn(async move {
        while let Some(call) = calls.recv().await {
            match call {
                Ok(incoming) => {
                    if events.send((role, Some(incoming))).is_err() {
                        return;
                    }
                }
                Err(error) => maillog::warning!(log, "link to {}: {error}", role.name()),
            }
        }
        let _ = events.send((role, None));
    });
}

#[cfg(test)]
mod tests;
