//! Talking to the queue role from a command, one call at a time.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

use link::{Reply, Request};

/// An open conversation.
pub struct QueueLink {
    socket: UnixStream,
    number: u64,
}

impl QueueLink {
    /// Connects to `public/queue` or `public/pickup`. `None` when the mail system is down.
    pub fn open(path: &Path) -> Option<QueueLink> {
        Some(QueueLink { socket: UnixStream::connect(path).ok()?, number: 0 })
    }

    /// Asks and waits for the answer.
    pub fn ask(
        &mut self,
        request: Request,
        descriptors: &[std::os::fd::BorrowedFd<'_>],
    ) -> Result<(Reply, Vec<OwnedFd>), String> {
        self.number += 1;
        link::call_blocking(self.socket.as_fd(), self.number, request, descriptors)
            .map_err(|error| error.to_string())
    }
}
