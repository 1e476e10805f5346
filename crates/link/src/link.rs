//! One open connection between two processes: calls with answers, in both directions at once.
//!
//! Outgoing messages of all tasks are gathered by one writing task, so that a burst costs one system call. A
//! garbled frame closes the link and is reported; it never ends the process.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::io::Interest;
use tokio::sync::{mpsc, oneshot};

use crate::frame::{Decoder, FrameError, encode, recv_blocking, send_blocking, transmit};
use crate::message::{Reply, Request};

/// Calls of the other end that wait to be taken up; then its socket is left unread.
const UNREAD_CALLS: usize = 1024;

/// Bytes gathered into one system call.
const GATHER: usize = 256 * 1024;

/// Why a call has no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LinkError {
    /// The other end is gone, or the link was never made. The call may or may not have been carried out.
    #[error("the {0} process is not there")]
    Lost(&'static str),
    /// The message can not be sent.
    #[error("message not sent: {0}")]
    NotSent(String),
}

/// What travels.
#[derive(Serialize, Deserialize)]
enum Envelope {
    Call { number: u64, request: Request },
    Answer { number: u64, reply: Reply },
}

/// An answer with its descriptors.
type Answered = (Reply, Vec<OwnedFd>);
type Waiting = Arc<Mutex<Option<HashMap<u64, oneshot::Sender<Answered>>>>>;

/// One encoded frame on its way out.
struct Outgoing {
    bytes: Vec<u8>,
    descriptors: Vec<OwnedFd>,
}

impl Outgoing {
    fn new(envelope: &Envelope, descriptors: Vec<OwnedFd>) -> Result<Outgoing, FrameError> {
        let mut bytes = Vec::new();
        encode(envelope, descriptors.len(), &mut bytes)?;
        Ok(Outgoing { bytes, descriptors })
    }

    /// An answer; one that can not be encoded becomes a failure, so that the caller never waits in vain.
    fn answer(number: u64, reply: Reply, descriptors: Vec<OwnedFd>) -> Outgoing {
        Outgoing::new(&Envelope::Answer { number, reply }, descriptors).unwrap_or_else(|error| {
            let reply = Reply::Failed(format!("answer not sent: {error}"));
            let mut bytes = Vec::new();
            // A short text without descriptors is within every limit of `encode`.
            let _ = encode(&Envelope::Answer { number, reply }, 0, &mut bytes);
            Outgoing { bytes, descriptors: Vec::new() }
        })
    }
}

/// One end of a link. Clones share it.
#[derive(Clone)]
pub struct Link {
    peer: &'static str,
    outgoing: mpsc::UnboundedSender<Outgoing>,
    waiting: Waiting,
    next_number: Arc<std::sync::atomic::AtomicU64>,
}

/// A call as the other end sees it; answering consumes it.
pub struct Call(Caller);

/// Who called.
enum Caller {
    /// The other end of a link.
    Remote { number: u64, outgoing: mpsc::UnboundedSender<Outgoing> },
    /// This process.
    Local(Box<dyn FnOnce(Reply) + Send>),
}

/// A request from the other end.
pub struct Incoming {
    /// What is asked.
    pub request: Request,
    /// The descriptors that came with it.
    pub descriptors: Vec<OwnedFd>,
    /// Where the answer goes.
    pub call: Call,
}

impl Link {
    /// Takes over a connected socket. `peer` names the other process in errors. The receiver gives the other end's calls; it
    /// ends when the link is closed, with the reason as last item when the other end sent nonsense.
    ///
    /// Needs a tokio runtime.
    pub fn open(
        socket: UnixStream,
        peer: &'static str,
    ) -> io::Result<(Link, mpsc::Receiver<Result<Incoming, FrameError>>)> {
        socket.set_nonblocking(true)?;
        let socket = Arc::new(tokio::net::UnixStream::from_std(socket)?);
        // No bound of its own: each caller has one call under way, and there is one answer to each call.
        let (outgoing, to_write) = mpsc::unbounded_channel();
        let (incoming, calls) = mpsc::channel(UNREAD_CALLS);
        let waiting: Waiting = Arc::new(Mutex::new(Some(HashMap::new())));
        tokio::spawn(write_all(Arc::clone(&socket), to_write));
        tokio::spawn(read_all(socket, outgoing.clone(), Arc::clone(&waiting), incoming));
        Ok((Link { peer, outgoing, waiting, next_number: Arc::default() }, calls))
    }

    /// Asks and waits for the answer.
    pub async fn call(&self, request: Request, descriptors: Vec<OwnedFd>) -> Result<Answered, LinkError> {
        let number = self.next_number.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let outgoing = Outgoing::new(&Envelope::Call { number, request }, descriptors)
            .map_err(|error| LinkError::NotSent(error.to_string()))?;
        let (answer, answered) = oneshot::channel();
        match self.waiting.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            Some(waiting) => waiting.insert(number, answer),
            None => return Err(LinkError::Lost(self.peer)),
        };
        if self.outgoing.send(outgoing).is_err() {
            return Err(LinkError::Lost(self.peer));
        }
        answered.await.map_err(|_| LinkError::Lost(self.peer))
    }

    /// True once the other end is gone.
    pub fn is_closed(&self) -> bool {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }
}

impl Call {
    /// A call of this process's own: `answered` hears the reply.
    pub fn local(answered: impl FnOnce(Reply) + Send + 'static) -> Call {
        Call(Caller::Local(Box::new(answered)))
    }

    /// Answers; never waits, so that any thread may call it. A caller that is gone meanwhile is no error: nobody is left
    /// to be told.
    pub fn answer(self, reply: Reply, descriptors: Vec<OwnedFd>) {
        match self.0 {
            Caller::Remote { number, outgoing } => {
                let _ = outgoing.send(Outgoing::answer(number, reply, descriptors));
            }
            Caller::Local(answered) => answered(reply),
        }
    }
}

/// One call over a blocking socket that carries nothing else at the time, for the commands. `number` differs from call to
/// call.
pub fn call_blocking(
    socket: std::os::fd::BorrowedFd<'_>,
    number: u64,
    request: Request,
    descriptors: &[std::os::fd::BorrowedFd<'_>],
) -> Result<Answered, FrameError> {
    send_call_blocking(socket, number, request, descriptors)?;
    receive_answer_blocking(socket, number)
}

/// The first half of [`call_blocking`], for those who have something to do until the answer is there.
pub fn send_call_blocking(
    socket: std::os::fd::BorrowedFd<'_>,
    number: u64,
    request: Request,
    descriptors: &[std::os::fd::BorrowedFd<'_>],
) -> Result<(), FrameError> {
    send_blocking(socket, &Envelope::Call { number, request }, descriptors)
}

/// The second half of [`call_blocking`]. Answers to other calls are passed over.
pub fn receive_answer_blocking(
    socket: std::os::fd::BorrowedFd<'_>,
    number: u64,
) -> Result<Answered, FrameError> {
    loop {
        if let (Envelope::Answer { number: answered, reply }, descriptors) = recv_blocking(socket)?
            && answered == number
        {
            return Ok((reply, descriptors));
        }
    }
}

async fn write_all(socket: Arc<tokio::net::UnixStream>, mut to_write: mpsc::UnboundedReceiver<Outgoing>) {
    while let Some(Outgoing { mut bytes, descriptors }) = to_write.recv().await {
        // Frames behind the first are gathered; one that brings descriptors must begin a system call of its own, because
        // they go with its first byte.
        let mut with_descriptors = None;
        while bytes.len() < GATHER {
            match to_write.try_recv() {
                Ok(next) if next.descriptors.is_empty() => bytes.extend_from_slice(&next.bytes),
                Ok(next) => {
                    with_descriptors = Some(next);
                    break;
                }
                Err(_) => break,
            }
        }
        let mut sent = send_bytes(&socket, &bytes, &descriptors).await;
        if let (Ok(()), Some(next)) = (&sent, with_descriptors) {
            sent = send_bytes(&socket, &next.bytes, &next.descriptors).await;
        }
        if sent.is_err() {
            return;
        }
    }
    let _ = rustix::net::shutdown(&socket, rustix::net::Shutdown::Write);
}

async fn send_bytes(
    socket: &tokio::net::UnixStream,
    mut bytes: &[u8],
    descriptors: &[OwnedFd],
) -> Result<(), FrameError> {
    let mut borrowed: Vec<_> = descriptors.iter().map(AsFd::as_fd).collect();
    while !bytes.is_empty() {
        socket.writable().await?;
        match socket.try_io(Interest::WRITABLE, || Ok(transmit(socket.as_fd(), bytes, &borrowed)?)) {
            Ok(sent) => {
                bytes = &bytes[sent..];
                borrowed.clear();
            }
            Err(error) if is_transient(&error) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

async fn read_all(
    socket: Arc<tokio::net::UnixStream>,
    outgoing: mpsc::UnboundedSender<Outgoing>,
    waiting: Waiting,
    incoming: mpsc::Sender<Result<Incoming, FrameError>>,
) {
    let reason = read_until_end(&socket, &outgoing, &waiting, &incoming).await;
    // Dropping the senders wakes every waiting caller with `Lost`; later calls find `None`.
    drop(waiting.lock().unwrap_or_else(PoisonError::into_inner).take());
    let _ = rustix::net::shutdown(&socket, rustix::net::Shutdown::Both);
    if let Err(error) = reason {
        let _ = incoming.send(Err(error)).await;
    }
}

async fn read_until_end(
    socket: &tokio::net::UnixStream,
    outgoing: &mpsc::UnboundedSender<Outgoing>,
    waiting: &Waiting,
    incoming: &mpsc::Sender<Result<Incoming, FrameError>>,
) -> Result<(), FrameError> {
    let mut decoder = Decoder::default();
    loop {
        while let Some((envelope, descriptors)) = decoder.next()? {
            match envelope {
                Envelope::Call { number, request } => {
                    let call = Call(Caller::Remote { number, outgoing: outgoing.clone() });
                    if incoming.send(Ok(Incoming { request, descriptors, call })).await.is_err() {
                        return Ok(());
                    }
                }
                Envelope::Answer { number, reply } => {
                    let caller = waiting
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .as_mut()
                        .and_then(|waiting| waiting.remove(&number));
                    if let Some(caller) = caller {
                        // A caller that stopped waiting is no error.
                        let _ = caller.send((reply, descriptors));
                    }
                }
            }
        }
        socket.readable().await?;
        match socket.try_io(Interest::READABLE, || Ok(decoder.receive(socket.as_fd())?)) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) if is_transient(&error) => {}
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

fn is_transient(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[tokio::test]
    async fn calls_cross_in_both_directions() {
        let (a, b) = UnixStream::pair().unwrap();
        let (a, mut a_calls) = Link::open(a, "b").unwrap();
        let (b, mut b_calls) = Link::open(b, "a").unwrap();
        let echo = |mut calls: mpsc::Receiver<Result<Incoming, FrameError>>, text: &'static str| async move {
            let incoming = calls.recv().await.unwrap().unwrap();
            assert_eq!(incoming.request, Request::Ping);
            incoming.call.answer(Reply::Failed(text.into()), incoming.descriptors);
            calls
        };
        let file = tempfile::tempfile().unwrap();
        let (from_b, from_a, calls_b, calls_a) = tokio::join!(
            a.call(Request::Ping, vec![file.into()]),
            b.call(Request::Ping, vec![]),
            echo(b_calls, "b"),
            echo(a_calls, "a")
        );
        (b_calls, a_calls) = (calls_b, calls_a);
        let (reply, descriptors) = from_b.unwrap();
        assert_eq!((reply, descriptors.len()), (Reply::Failed("b".into()), 1));
        assert_eq!(from_a.unwrap().0, Reply::Failed("a".into()));
        drop((b, b_calls));
        // a's reader still runs; b's end goes when its tasks see the closed channel.
        drop(a_calls);
    }

    #[tokio::test]
    async fn a_peer_that_goes_away_wakes_its_callers() {
        let (a, b) = UnixStream::pair().unwrap();
        let (link, _calls) = Link::open(a, "queue").unwrap();
        let waiting = tokio::spawn({
            let link = link.clone();
            async move { link.call(Request::Ping, vec![]).await }
        });
        drop(b);
        assert!(matches!(waiting.await.unwrap(), Err(LinkError::Lost("queue"))));
        assert!(matches!(link.call(Request::Ping, vec![]).await, Err(LinkError::Lost("queue"))));
    }

    #[tokio::test]
    async fn garbage_closes_the_link_and_is_told() {
        let (a, mut b) = UnixStream::pair().unwrap();
        let (_link, mut calls) = Link::open(a, "queue").unwrap();
        b.write_all(&[0xff; 64]).unwrap();
        assert!(calls.recv().await.unwrap().is_err());
        assert!(calls.recv().await.is_none());
    }
}
