//! The life of the role: what master says, the listeners, and an orderly end.

use std::fs::File;
use std::net::TcpListener as StdListener;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, SystemTime};

use link::{FrameError, Incoming, Link, Reply, Request, Role};
use mail::QueueId;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::prepare::Prepared;
use crate::queue_link::QueueLink;
use crate::service::Service;
use crate::{pickup, postscreen, qmqpd, requeue, smtpd};

/// How long to wait after an accept that failed for lack of something (descriptors, memory).
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// What all sessions share.
pub(crate) struct Receive {
    pub(crate) prepared: Prepared,
    pub(crate) queue: Arc<QueueLink>,
    /// True once master has said Drain.
    pub(crate) draining: watch::Sender<bool>,
}

impl Receive {
    /// A new queue id.
    pub(crate) fn next_id(&self) -> QueueId {
        self.prepared.ids.lock().unwrap_or_else(PoisonError::into_inner).next(SystemTime::now())
    }
}

/// Waits for master's Drain.
pub(crate) async fn drained(draining: &mut watch::Receiver<bool>) {
    // The sender lives as long as the role.
    let _ = draining.wait_for(|draining| *draining).await;
}

/// Serves until master says Drain and all sessions are over, or until the link to master ends. `pickup` is where sendmail
/// connects.
pub async fn serve(prepared: Prepared, control: UnixStream, pickup: UnixListener) -> Result<(), String> {
    let (_master, mut calls) = Link::open(control, "master").map_err(|error| error.to_string())?;
    let receive = Arc::new(Receive {
        queue: Arc::clone(&prepared.queue),
        prepared,
        draining: watch::Sender::new(false),
    });
    let mut tasks = JoinSet::new();
    tasks.spawn(pickup::serve(Arc::clone(&receive), pickup));
    let mut draining = receive.draining.subscribe();
    tasks.spawn(receive.prepared.verify.clone().keep_clean(draining.clone()));
    tasks.spawn(tell_statistics(Arc::clone(&receive), draining.clone()));
    let (keeper, until) = (Arc::clone(&receive), draining.clone());
    tasks.spawn(async move { keeper.prepared.tls.keep_sessions(until, keeper.prepared.log.clone()).await });
    loop {
        tokio::select! {
            call = calls.recv() => match call {
                Some(Ok(incoming)) => control_call(&receive, &mut tasks, incoming),
                // Without master nobody would end us.
                Some(Err(error)) => return Err(format!("link to master: {error}")),
                None => return Ok(()),
            },
            // Only after Drain can all tasks have ended.
            Some(_) = tasks.join_next() => {}
            else => return Ok(()),
        }
        if *draining.borrow_and_update() && tasks.is_empty() {
            return Ok(());
        }
    }
}

/// What clients did most, now and then and at the end.
async fn tell_statistics(receive: Arc<Receive>, mut draining: watch::Receiver<bool>) {
    let Prepared { anvil, anvil_log, anvil_interval, .. } = &receive.prepared;
    loop {
        let ends = tokio::time::timeout(*anvil_interval, drained(&mut draining)).await.is_ok();
        for line in anvil.statistics() {
            maillog::info!(anvil_log, "{line}");
        }
        if ends {
            return;
        }
    }
}

fn control_call(receive: &Arc<Receive>, tasks: &mut JoinSet<()>, incoming: Incoming) {
    let Incoming { request, mut descriptors, call } = incoming;
    let done = match request {
        Request::Begin | Request::Ping => Ok(()),
        Request::Drain => {
            receive.draining.send_replace(true);
            Ok(())
        }
        Request::Peer { role: Role::Queue } => match descriptors.pop() {
            Some(descriptor) => take_queue(receive, UnixStream::from(descriptor)),
            None => Err("no descriptor".to_owned()),
        },
        Request::KeyFiles => {
            let mut paths = receive.prepared.tls.files.paths();
            paths.extend(tables::handed_over::closed());
            return call.answer(Reply::KeyFiles(paths), Vec::new());
        }
        Request::KeyFile { path, more } => {
            let file = descriptors.pop().map(File::from);
            let Prepared { tls, log, .. } = &receive.prepared;
            tables::handed_over::take(&path, file.as_ref());
            tls.take(path, file.as_ref(), more, log);
            Ok(())
        }
        Request::LogFile => {
            if let Some(descriptor) = descriptors.pop() {
                receive.prepared.log.go_on_in(File::from(descriptor));
            }
            Ok(())
        }
        // Nobody else has anything to say to this role; the link is closed by dropping it.
        Request::Peer { .. } => Ok(()),
        Request::Listen { service_line } => match descriptors.pop() {
            Some(descriptor) => listen(receive, tasks, service_line, StdListener::from(descriptor)),
            None => Err("no descriptor".to_owned()),
        },
        _ => Err("not a request of master".to_owned()),
    };
    call.answer(done.map_or_else(Reply::Failed, |()| Reply::Done), Vec::new());
}

fn take_queue(receive: &Arc<Receive>, socket: UnixStream) -> Result<(), String> {
    let (link, calls) = Link::open(socket, "queue").map_err(|error| error.to_string())?;
    receive.queue.replace(link);
    tokio::spawn(hear_queue(Arc::clone(receive), calls));
    Ok(())
}

/// The queue has messages that go through cleanup once more; how many at once is its decision.
async fn hear_queue(receive: Arc<Receive>, mut calls: mpsc::Receiver<Result<Incoming, FrameError>>) {
    while let Some(call) = calls.recv().await {
        match call {
            Ok(Incoming { request: Request::Requeue(requeue), mut descriptors, call }) => {
                let receive = Arc::clone(&receive);
                tokio::spawn(async move {
                    let file = descriptors.pop().map(File::from);
                    let reply = match requeue::requeue(&receive, *requeue, file).await {
                        Ok(()) => Reply::Done,
                        Err(why) => Reply::Failed(why),
                    };
                    call.answer(reply, Vec::new());
                });
            }
            Ok(Incoming { request: Request::Ping, call, .. }) => call.answer(Reply::Done, Vec::new()),
            Ok(Incoming { call, .. }) => {
                call.answer(Reply::Failed("not a request to this role".into()), Vec::new());
            }
            Err(error) => maillog::warning!(receive.prepared.log, "link to the queue: {error}"),
        }
    }
}

fn listen(
    receive: &Arc<Receive>,
    tasks: &mut JoinSet<()>,
    line: u32,
    listener: StdListener,
) -> Result<(), String> {
    listener.set_nonblocking(true).map_err(|error| error.to_string())?;
    let listener = TcpListener::from_std(listener).map_err(|error| error.to_string())?;
    if let Some(service) = receive.prepared.services.get(&line) {
        tasks.spawn(accept(Arc::clone(receive), Arc::clone(service), listener));
    } else if let Some(screen) = receive.prepared.screens.get(&line) {
        tasks.spawn(postscreen::serve(Arc::clone(receive), Arc::clone(screen), listener));
    } else if let Some(service) = receive.prepared.qmqpd.get(&line) {
        tasks.spawn(qmqpd::serve(Arc::clone(receive), Arc::clone(service), listener));
    } else {
        return Err(format!("master.cf, line {line}: the service was not started; the log says why"));
    }
    Ok(())
}

/// Accepts until Drain, then waits for the sessions that have begun. Sessions beyond `maxproc` wait in the backlog.
async fn accept(receive: Arc<Receive>, service: Arc<Service>, listener: TcpListener) {
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
                        smtpd::hear_accepted(&receive, &service, stream, peer).await;
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
