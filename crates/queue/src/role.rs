//! The queue role: one task owns the active queue and the schedule, and is fed by events. Nothing in it waits: storing,
//! resolving and delivering happen elsewhere and come back as events.
//!
//! Runs as mail_owner; hears the other roles and the commands; holds the spool.

mod deliveries;
mod due;
mod notices;
mod open_tables;
mod operations;
mod probes;
mod requeues;
mod round;
#[cfg(test)]
mod simulation;

use std::collections::{BTreeSet, HashMap};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use config::{Configuration, Settings, params};
use link::message::NewMessage;
use link::{Call, Incoming, Link, LinkError, Reply, Request, Role};
use mail::delivery_line::delivery_line;
use mail::{IdGenerator, LogForm, Message, Outcome, Purpose, QueueId, Status};
use maillog::Log;
use route::{Failed, Resolved, Routing};
use spool::{Change, Content, Held, RecipientState, Spool, StoreError, Stored};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::active::Active;
use crate::clock::{Clock, SystemClock};
use crate::limits::Limits;
use crate::permission::Current;
use crate::schedule::{Job, Schedule, Site};
use crate::{agents, commands};
use deliveries::Agent;
use due::Due;
pub use open_tables::OpenTables;
use probes::Probes;
use requeues::Requeues;

/// What the program hands to this role.
pub struct Start {
    /// The link to master.
    pub control: UnixStream,
    /// Both files, read by the program.
    pub configuration: Configuration,
    /// The tables that they name.
    pub opened: OpenTables,
    /// Reads them again, for reload.
    pub reread: Box<dyn Fn() -> Result<Configuration, String> + Send>,
    /// Where lines go; the tag's first part is syslog_name.
    pub log: Log,
    /// Tells this process's queue ids from those of the others.
    pub tag: u8,
    /// The open store.
    pub spool: Spool,
    /// The socket of postqueue and postsuper.
    pub commands: std::os::unix::net::UnixListener,
}

/// What happens to the role.
pub(crate) enum Event {
    /// A role asks; `Role::Master` on the control link.
    Incoming(Role, Incoming),
    /// A command asks; with the user id at the other end.
    Command(u32, Incoming),
    /// A link ended.
    Lost(Role),
    /// A message is durable.
    Kept(Box<Stored>),
    /// The recipients of a message have been routed.
    Resolved(QueueId, Vec<(u32, Result<Resolved, Failed>)>),
    /// A delivery agent is done, or gone.
    Attempted(Site, Job, Result<Reply, LinkError>),
    /// What became of recipients in the middle of a round could not be written down.
    Unrecorded(QueueId),
    /// The changes at the end of a round are durable, or not.
    Settled(QueueId, Result<(), StoreError>),
    /// A probe could not be stored.
    NotProbed(QueueId, StoreError),
    /// There is news in the store: look again.
    Rescan,
    /// What a command wanted of these messages is in the store, or will not be.
    Changed(Vec<QueueId>),
    /// A message went through cleanup once more, or did not.
    Requeued(QueueId, Result<Reply, LinkError>),
    /// The body of a message can not be read.
    Unreadable(Site, Job, String),
}

/// Runs until master says drain or goes away. The error is for the log.
pub async fn serve(start: Start) -> Result<(), String> {
    let (events, mut queue) = unbounded_channel();
    let settings = settings_of(&start.configuration)?;
    let (control, calls) = Link::open(start.control, "master").map_err(|error| error.to_string())?;
    forward(calls, Role::Master, events.clone());
    let mut role = QueueRole::new(
        &start.configuration,
        start.opened,
        &settings,
        start.log,
        IdGenerator::new(start.tag, settings.get(config::params::enable_long_queue_ids)),
        start.spool,
        events.clone(),
    );
    commands::listen(start.commands, role.permissions.clone(), events)
        .map_err(|error| format!("command socket: {error}"))?;
    role.reread = start.reread;
    role.control = Some(control);
    role.tell_mistakes();
    role.run(&mut queue).await;
    Ok(())
}

struct QueueRole {
    rooms: open_tables::Rooms,
    routing: Arc<Routing>,
    limits: Limits,
    permissions: Current,
    ids: IdGenerator,
    base_log: Log,
    qmgr: Log,
    bounce: Log,
    error: Log,
    reread: Box<dyn Fn() -> Result<Configuration, String> + Send>,
    spool: Arc<Spool>,
    /// Kept open for as long as the role lives.
    control: Option<Link>,
    links: HashMap<Role, Arc<dyn Agent>>,
    clock: Arc<dyn Clock>,
    events: UnboundedSender<Event>,
    active: HashMap<QueueId, Active>,
    /// Recipients of the active messages.
    active_recipients: usize,
    /// Messages that commands have taken out of delivery, while the store does not have it yet: how many commands.
    changing: HashMap<QueueId, usize>,
    /// Messages whose outcomes the store could not take, by the time when it is asked again.
    unsettled: BTreeSet<(Instant, QueueId)>,
    /// Who waits for the outcome of a probe.
    probes: Probes,
    requeues: Requeues,
    schedule: Schedule,
    /// When a destination was last said to fill the active queue.
    clog_warned: Option<Instant>,
    due: Due,
    draining: bool,
    /// Deliveries that agents have in hand.
    under_way: usize,
}

impl QueueRole {
    /// With nothing under way, and no link to anybody.
    fn new(
        configuration: &Configuration,
        tables: OpenTables,
        settings: &Settings,
        log: Log,
        ids: IdGenerator,
        spool: Spool,
        events: UnboundedSender<Event>,
    ) -> QueueRole {
        QueueRole {
            rooms: tables.rooms,
            routing: tables.routing,
            limits: Limits::read(configuration, settings),
            permissions: Current::new(tables.permissions),
            ids,
            qmgr: service_log(&log, settings, "qmgr"),
            bounce: service_log(&log, settings, "bounce"),
            error: service_log(&log, settings, "error"),
            base_log: log,
            reread: Box::new(|| Err("there is no file to read".to_owned())),
            spool: Arc::new(spool),
            control: None,
            links: HashMap::new(),
            clock: Arc::new(SystemClock),
            events,
            active: HashMap::new(),
            active_recipients: 0,
            changing: HashMap::new(),
            unsettled: BTreeSet::new(),
            probes: Probes::default(),
            requeues: Requeues::default(),
            schedule: Schedule::default(),
            clog_warned: None,
            due: Due::default(),
            draining: false,
            under_way: 0,
        }
    }

    async fn run(&mut self, queue: &mut UnboundedReceiver<Event>) {
        loop {
            self.advance();
            if self.draining && self.under_way == 0 && self.active.values().all(Active::is_settled) {
                return;
            }
            // Looking at the clock and the store is for idle moments.
            let event = match queue.try_recv() {
                Ok(event) => Ok(Some(event)),
                Err(_) => tokio::time::timeout(self.wait(), queue.recv()).await,
            };
            match event {
                Ok(Some(Event::Lost(Role::Master))) | Ok(None) => return,
                Ok(Some(event)) => self.take(event),
                Err(_elapsed) => self.rescan(),
            }
        }
    }

    /// Begins what can begin now.
    fn advance(&mut self) {
        self.settle_again();
        self.fill_active();
        self.begin_deliveries();
        self.begin_requeues();
    }

    /// How long nothing can happen by itself.
    fn wait(&mut self) -> Duration {
        const LONGEST: Duration = Duration::from_secs(300);
        let now = self.clock.now();
        let rate = self.schedule.next_time(now).map(|time| time.saturating_duration_since(now));
        let again = self.unsettled.first().map(|(time, _)| time.saturating_duration_since(now));
        let cleanup = self.requeues.again().map(|time| time.saturating_duration_since(now));
        let others = [rate, again, cleanup].into_iter().flatten();
        others.fold(self.next_due_in().unwrap_or(LONGEST).min(LONGEST), Duration::min)
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Incoming(Role::Master, incoming) => self.control(incoming),
            Event::Incoming(_, incoming) => self.request(incoming),
            Event::Command(uid, incoming) => self.command(uid, incoming),
            // A link that was replaced ends later than its successor begins.
            Event::Lost(role) => {
                if role == Role::Receive {
                    self.requeues.forget_closed();
                } else if self.links.get(&role).is_some_and(|agent| agent.is_closed()) {
                    self.links.remove(&role);
                }
            }
            Event::Kept(stored) if self.has_room() && !self.draining => {
                self.activate(*stored);
            }
            Event::Kept(stored) => self.note_due(stored.next_attempt),
            Event::Resolved(id, resolutions) => self.resolved(&id, resolutions),
            Event::Attempted(site, job, result) => self.attempted(&site, &job, result),
            Event::NotProbed(id, error) => self.not_probed(&id, &error),
            Event::Rescan => {
                self.rescan();
                self.look_for_requeued();
            }
            Event::Changed(ids) => {
                self.changed(&ids);
                self.rescan();
                self.look_for_requeued();
            }
            Event::Requeued(id, result) => self.requeued(&id, result),
            Event::Unreadable(site, job, why) => self.unreadable(&site, &job, &why),
            Event::Unrecorded(id) => {
                if let Some(active) = self.active.get_mut(&id) {
                    active.is_unrecorded = true;
                }
            }
            Event::Settled(id, result) => self.settled(&id, result),
        }
    }

    // ---- what master says

    fn control(&mut self, Incoming { request, mut descriptors, call }: Incoming) {
        match request {
            Request::Peer { role } => {
                let opened = match descriptors.pop() {
                    Some(descriptor) => Link::open(UnixStream::from(descriptor), role.name()),
                    None => Err(std::io::Error::other("no descriptor")),
                };
                match opened {
                    Ok((link, calls)) => {
                        forward(calls, role, self.events.clone());
                        match role {
                            Role::Receive => self.look_for_requeued_at(link),
                            _ => _ = self.links.insert(role, Arc::new(link)),
                        }
                        call.answer(Reply::Done, Vec::new());
                    }
                    Err(error) => call.answer(Reply::Failed(error.to_string()), Vec::new()),
                }
            }
            Request::Begin | Request::Ping => call.answer(Reply::Done, Vec::new()),
            Request::Drain => {
                self.draining = true;
                call.answer(Reply::Done, Vec::new());
            }
            Request::KeyFiles => {
                let closed = tables::handed_over::closed().into_iter().collect();
                call.answer(Reply::KeyFiles(closed), Vec::new());
            }
            Request::KeyFile { path, .. } => {
                let file = descriptors.pop().map(std::fs::File::from);
                tables::handed_over::take(&path, file.as_ref());
                call.answer(Reply::Done, Vec::new());
            }
            Request::LogFile => {
                if let Some(descriptor) = descriptors.pop() {
                    self.qmgr.go_on_in(descriptor.into());
                }
                call.answer(Reply::Done, Vec::new());
            }
            Request::Reload => call.answer(
                match self.reload() {
                    Ok(()) => Reply::Done,
                    Err(why) => Reply::Failed(why),
                },
                Vec::new(),
            ),
            _ => call.answer(Reply::Failed("not a request of master".into()), Vec::new()),
        }
    }

    fn reload(&mut self) -> Result<(), String> {
        let configuration = (self.reread)()?;
        let settings = settings_of(&configuration)?;
        let tables = OpenTables::again(&configuration, &self.base_log, Some(&self.rooms))?;
        self.limits = Limits::read(&configuration, &settings);
        let OpenTables { rooms, routing, permissions } = tables;
        self.permissions.replace(permissions);
        (self.rooms, self.routing) = (rooms, routing);
        self.tell_mistakes();
        {
            let limits = &self.limits;
            self.schedule.revive(|name| limits.of(name), self.clock.now());
        }
        Ok(())
    }

    fn tell_mistakes(&self) {
        for mistake in &self.limits.mistakes {
            maillog::warning!(self.qmgr, "{mistake}");
        }
    }

    // ---- what the other roles bring

    fn request(&mut self, Incoming { request, descriptors: _, call }: Incoming) {
        match request {
            Request::Append(new) => self.append(*new, call),
            Request::Probe(new) => self.probe(*new, call),
            Request::OpenBody { id } => match self.spool.bodies().create(&id) {
                Ok(file) => call.answer(Reply::BodyFile, vec![file.into()]),
                Err(error) if is_full(&error) => call.answer(Reply::NoSpace, Vec::new()),
                Err(error) => call.answer(Reply::Failed(error.to_string()), Vec::new()),
            },
            Request::DropBody { id } => {
                // A body that a row names belongs to a message: only unnamed ones are dropped.
                let named = off_the_way(|| self.spool.questions().find(&id));
                if matches!(named, Ok(None)) {
                    let _ = self.spool.bodies().remove(&id);
                }
                call.answer(Reply::Done, Vec::new());
            }
            Request::Flush(what) => self.flush(&what, call),
            Request::Ping => call.answer(Reply::Done, Vec::new()),
            _ => call.answer(Reply::Failed("not a request to the queue".into()), Vec::new()),
        }
    }

    fn append(&mut self, new: NewMessage, call: Call) {
        let NewMessage { message, body, hold, replaces } = new;
        if let Some(old) = &replaces
            && !self.requeues.is_under_way(old)
        {
            return call.answer(Reply::Failed(format!("{old} is gone")), Vec::new());
        }
        let content = match &body {
            Some(bytes) => Content::Inline(bytes.clone()),
            None => Content::File,
        };
        let add = Change::Add { message: Box::new(message.clone()), content, hold };
        let (events, log) = (self.events.clone(), self.qmgr.clone());
        let done = Box::new(move |result: Result<(), StoreError>| match result {
            Ok(()) => {
                call.answer(Reply::Kept, Vec::new());
                if !hold {
                    let _ = events.send(Event::Kept(Box::new(fresh(message, body))));
                }
            }
            Err(StoreError::NoSpace(why)) => {
                maillog::warning!(log, "{}: no space left for the queue: {why}", message.id);
                call.answer(Reply::NoSpace, Vec::new());
            }
            Err(error) => call.answer(Reply::Failed(error.to_string()), Vec::new()),
        });
        // A notice that was filtered keeps its id.
        let mut changes: Vec<_> = replaces.map(|id| Change::Remove { id }).into_iter().collect();
        changes.push(add);
        self.spool.record(changes, done);
    }

    // ---- the active queue

    /// May one more message become active? One with very many recipients may exceed their limit, so that it can go at all.
    fn has_room(&self) -> bool {
        self.active.len() < self.limits.active && self.active_recipients < self.limits.recipients
    }

    /// A message leaves the active queue.
    fn deactivate(&mut self, id: &QueueId) -> Option<Active> {
        let active = self.active.remove(id)?;
        self.active_recipients = self.active_recipients.saturating_sub(active.tried());
        Some(active)
    }

    /// Begins a round, unless one is under way: a message that was just kept is found in the store as well, before the word of it comes or
    /// behind it. What a command is about to take out of delivery is left alone: the store is looked at when it has been done.
    fn activate(&mut self, stored: Stored) {
        let id = &stored.message.id;
        if self.active.contains_key(id) || self.changing.contains_key(id) {
            return;
        }
        let mut active = Active::new(stored, self.clock.wall(), self.clock.now());
        active.confirms_delivery = active.warned && self.limits.confirms_delay_cleared;
        let message = &active.message;
        let id = message.id;
        maillog::info!(
            self.qmgr,
            "{id}: from=<{}>, size={}, nrcpt={} (queue active)",
            self.qmgr.form().show(&message.envelope.sender),
            message.data_size,
            message.envelope.recipients.len()
        );
        let to_try = active.to_try();
        let (sender, filter) = (message.envelope.sender.clone(), message.filter.clone());
        self.active_recipients += to_try.len();
        let is_probe = message.envelope.purpose == Purpose::Verify;
        self.active.insert(id, active);
        let filter_next_hop = self.limits.filter_next_hop.clone();
        let routing = Arc::clone(&self.routing);
        let mut resolving = Box::pin(async move {
            let mut resolutions = Vec::with_capacity(to_try.len());
            for (position, recipient) in to_try {
                let mut resolution = match is_probe {
                    true => routing.resolve_probe(&sender, &recipient.address).await,
                    false => routing.resolve(&sender, &recipient.address).await,
                };
                if let (Ok(resolved), Some(filter)) = (&mut resolution, &filter) {
                    agents::redirect(resolved, filter, &filter_next_hop, &recipient.address);
                }
                resolutions.push((position, resolution));
            }
            resolutions
        });
        // Most tables answer at once; only for those that do not it is worth a task.
        match resolving.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(resolutions) => self.resolved(&id, resolutions),
            Poll::Pending => {
                let events = self.events.clone();
                tokio::spawn(async move {
                    let _ = events.send(Event::Resolved(id, resolving.await));
                });
            }
        }
    }

    /// Every recipient has a destination now: those of one destination travel together.
    fn resolved(&mut self, id: &QueueId, resolutions: Vec<(u32, Result<Resolved, Failed>)>) {
        let Some(active) = self.active.get_mut(id) else { return };
        let resolutions = active.in_order(resolutions);
        let mut sites: Vec<(Site, Vec<u32>)> = Vec::new();
        let mut at_once: Vec<(Site, u32, Outcome)> = Vec::new();
        for (position, resolution) in resolutions {
            active.begin(position);
            match resolution {
                Ok(Resolved { transport, next_hop, .. }) => {
                    let site = Site { transport, next_hop };
                    match agents::own_outcome(&self.limits, &site) {
                        Some(outcome) => at_once.push((site, position, outcome)),
                        None => match sites.iter_mut().find(|(other, _)| *other == site) {
                            Some((_, positions)) => positions.push(position),
                            None => sites.push((site, vec![position])),
                        },
                    }
                }
                Err(failed) => {
                    maillog::warning!(self.qmgr, "{id}: {failed}");
                    let site = Site { transport: "retry".into(), next_hop: String::new() };
                    let text = "address resolver failure: a lookup table can not be asked";
                    at_once.push((site, position, Outcome::deferred(Status::new(4, 3, 0), "none", text)));
                }
            }
        }
        let has_verp = active.message.envelope.verp.is_some();
        for (site, positions) in sites {
            let limit = self.limits.transport(&site.transport).map_or(1, |transport| transport.recipients);
            // A sender for each recipient makes each a delivery of its own.
            let limit = match limit {
                _ if has_verp => 1,
                0 => positions.len(),
                limit => limit,
            };
            for part in positions.chunks(limit) {
                let job = Job { message: *id, recipients: part.to_vec() };
                let limits = self.limits.of(&site.transport);
                if let Err((job, reason)) = self.schedule.add(&site, job, &limits, self.clock.now()) {
                    at_once.extend(suspended(&site, &job, &reason));
                }
            }
            self.warn_of_clog(&site);
        }
        self.finish_at_once(id, at_once);
    }

    /// Says so when a destination takes up so much of the active queue that other mail has to wait.
    fn warn_of_clog(&mut self, site: &Site) {
        let (pause, most) = (self.limits.clog_warning, self.limits.active / 5);
        let (entries, now) = (self.schedule.backlog(site), self.clock.now());
        if pause.is_zero()
            || entries <= most
            || self.clog_warned.is_some_and(|time| now.saturating_duration_since(time) < pause)
        {
            return;
        }
        self.clog_warned = Some(now);
        maillog::warning!(
            self.qmgr,
            "mail for {} is using up {entries} of {} active queue entries; when it does not answer, shorter connect and helo \
             timeouts of {} and longer backoff times leave more room for other mail. qmgr_clog_warn_time = 0 ends this warning",
            site.next_hop,
            self.limits.active,
            site.transport
        );
    }

    /// Outcomes that need no delivery agent: error, retry, discard, suspended sites.
    fn finish_at_once(&mut self, id: &QueueId, outcomes: Vec<(Site, u32, Outcome)>) {
        let Some(active) = self.active.get_mut(id) else { return };
        let mut changes = Vec::new();
        for (site, position, outcome) in outcomes {
            let outcome = outcome.for_purpose(active.message.envelope.purpose);
            if let Some(recipient) = active.recipient(position) {
                let delays = self.limits.delays_so_far(active, self.clock.now());
                let line = delivery_line(self.error.form(), id, recipient, &outcome, &delays, 0);
                let log = if site.transport == "error"
                    || site.transport == "retry"
                    || site.transport == "discard"
                {
                    self.error.service(&self.limits.syslog_name, &site.transport)
                } else {
                    self.error.clone()
                };
                maillog::info!(log, "{line}");
            }
            changes.extend(active.finish(position, &outcome, self.clock.wall()));
        }
        self.after_outcomes(id, changes);
    }
}

/// A question to the store: other tasks need not wait for it, where there is another thread for them.
fn off_the_way<T>(question: impl FnOnce() -> T) -> T {
    use tokio::runtime::{Handle, RuntimeFlavor};
    match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(question),
        _ => question(),
    }
}

/// The state of a message that has just been stored.
fn fresh(message: Message, body: Option<Vec<u8>>) -> Stored {
    let states =
        (0..message.envelope.recipients.len() as u32).map(|n| (n, RecipientState::Pending)).collect();
    Stored {
        states,
        body,
        held: Held::No,
        damage: None,
        next_attempt: message.arrival,
        attempts: 0,
        warned: false,
        expire: false,
        message,
    }
}

fn suspended(site: &Site, job: &Job, reason: &str) -> Vec<(Site, u32, Outcome)> {
    let text = format!("delivery temporarily suspended: {reason}");
    let outcome = Outcome::deferred(Status::new(4, 4, 1), "none", text);
    job.recipients.iter().map(|position| (site.clone(), *position, outcome.clone())).collect()
}

fn is_full(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
}

fn settings_of(configuration: &Configuration) -> Result<Settings, String> {
    let settings = match configuration.service_of_program("qmgr") {
        Some(service) => configuration.settings_of(service),
        None => configuration.settings("qmgr"),
    };
    settings.map_err(|errors| errors.to_string())
}

fn service_log(base: &Log, settings: &Settings, program: &str) -> Log {
    let log = base.service(settings.get(params::syslog_name), program);
    log.showing(LogForm::of(settings.get(params::info_log_address_format)))
}

/// Turns a link's calls into events; the last one says that it ended.
fn forward(
    mut calls: tokio::sync::mpsc::Receiver<Result<Incoming, link::FrameError>>,
    role: Role,
    events: UnboundedSender<Event>,
) {
    tokio::spawn(async move {
        while let Some(Ok(incoming)) = calls.recv().await {
            if events.send(Event::Incoming(role, incoming)).is_err() {
                return;
            }
        }
        let _ = events.send(Event::Lost(role));
    });
}
