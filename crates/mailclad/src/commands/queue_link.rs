//! Talking to the queue from a command: to the queue role of a running system, or straight to the store of a stopped one.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

use config::{Settings, params};
use link::{Reply, Request};
use queue::Stopped;

use crate::master::Lock;
use crate::paths::Paths;

/// An open conversation.
pub enum QueueLink {
    /// With a role.
    Running {
        /// The link.
        socket: UnixStream,
        /// Of the last call.
        number: u64,
    },
    /// With nobody: the store is ours until we are done, and nobody can start the system meanwhile.
    Stopped {
        /// The store.
        queue: Box<Stopped>,
        /// To what was asked and not yet read.
        answer: Option<(Reply, Vec<OwnedFd>)>,
        /// One mail system for one queue.
        _lock: Lock,
    },
}

impl QueueLink {
    /// Connects to `public/queue` or `public/pickup`. `None` when the mail system is down.
    pub fn open(path: &Path) -> Option<QueueLink> {
        Some(QueueLink::Running { socket: UnixStream::connect(path).ok()?, number: 0 })
    }

    /// The queue, whether or not the system runs. The error tells why it can not be had: a stopped system's store is for root
    /// and its owner.
    pub fn open_any(settings: &Settings) -> Result<QueueLink, String> {
        let paths = Paths::new(settings.get(params::queue_directory));
        if let Some(link) = QueueLink::open(&paths.queue_socket()) {
            return Ok(link);
        }
        QueueLink::open_stopped(settings)
    }

    /// The store of a stopped system.
    pub fn open_stopped(settings: &Settings) -> Result<QueueLink, String> {
        let paths = Paths::new(settings.get(params::queue_directory));
        if std::fs::read_dir(paths.spool()).is_err() {
            return Err("mail system is down".into());
        }
        let lock = Lock::take(&paths.pid_file())?;
        let queue = Box::new(Stopped::open(&paths.spool(), settings)?);
        Ok(QueueLink::Stopped { queue, answer: None, _lock: lock })
    }

    /// Asks and waits for the answer.
    pub fn ask(
        &mut self,
        request: Request,
        descriptors: &[std::os::fd::BorrowedFd<'_>],
    ) -> Result<(Reply, Vec<OwnedFd>), String> {
        self.begin(request, descriptors)?;
        self.finish()
    }

    /// Asks. Whoever has something to do meanwhile does it before [`QueueLink::finish`].
    pub fn begin(
        &mut self,
        request: Request,
        descriptors: &[std::os::fd::BorrowedFd<'_>],
    ) -> Result<(), String> {
        match self {
            QueueLink::Running { socket, number } => {
                *number += 1;
                link::send_call_blocking(socket.as_fd(), *number, request, descriptors)
                    .map_err(|error| error.to_string())
            }
            QueueLink::Stopped { queue, answer, .. } => {
                *answer = Some(queue.answer(request));
                Ok(())
            }
        }
    }

    /// Waits for the answer to what was asked last.
    pub fn finish(&mut self) -> Result<(Reply, Vec<OwnedFd>), String> {
        match self {
            QueueLink::Running { socket, number } => {
                link::receive_answer_blocking(socket.as_fd(), *number).map_err(|error| error.to_string())
            }
            QueueLink::Stopped { answer, .. } => answer.take().ok_or_else(|| "nothing was asked".into()),
        }
    }
}
