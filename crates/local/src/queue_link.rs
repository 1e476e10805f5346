//! The way back to the queue: the newest link that master has given us, and a little patience while there is none.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::time::Duration;

use link::message::NewMessage;
use link::{Link, LinkError, Reply, Request};
use mail::QueueId;
use tokio::sync::watch;

use crate::failure::Failure;

/// How long a delivery waits for master to bring the queue back before it is put off.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where messages are kept.
pub(crate) struct QueueLink {
    current: watch::Sender<Option<Link>>,
    patience: Duration,
}

impl QueueLink {
    /// No link yet.
    pub(crate) fn new() -> QueueLink {
        QueueLink { current: watch::Sender::new(None), patience: PATIENCE }
    }

    /// Takes a link in the place of an earlier one.
    pub(crate) fn replace(&self, link: Link) {
        self.current.send_replace(Some(link));
    }

    /// Asks the queue. A link that breaks under the question is not tried again: the question may have been carried out.
    async fn call(&self, request: Request) -> Result<(Reply, Vec<OwnedFd>), LinkError> {
        let mut current = self.current.subscribe();
        let live = |link: &Option<Link>| link.as_ref().is_some_and(|link| !link.is_closed());
        let link = match tokio::time::timeout(self.patience, current.wait_for(live)).await {
            Ok(Ok(link)) => link.clone(),
            _ => None,
        };
        match link {
            Some(link) => link.call(request, Vec::new()).await,
            None => Err(LinkError::Lost("queue")),
        }
    }

    /// A file for the body of a message.
    pub(crate) async fn open_body(&self, id: &QueueId) -> Result<File, Failure> {
        let answer = self.call(Request::OpenBody { id: *id }).await.map_err(lost)?;
        match answer {
            (Reply::BodyFile, mut descriptors) => descriptors
                .pop()
                .map(File::from)
                .ok_or_else(|| Failure::system("mail forwarding failed: no file for the message came")),
            (reply, _) => Err(refused(reply)),
        }
    }

    /// The body file of this id is not needed after all.
    pub(crate) async fn drop_body(&self, id: &QueueId) {
        // The queue sweeps files without a message when it starts.
        let _ = self.call(Request::DropBody { id: *id }).await;
    }

    /// Keeps a message; it is durable when this returns `Ok`.
    pub(crate) async fn append(&self, message: NewMessage) -> Result<(), Failure> {
        match self.call(Request::Append(Box::new(message))).await.map_err(lost)?.0 {
            Reply::Kept => Ok(()),
            reply => Err(refused(reply)),
        }
    }
}

fn lost(error: LinkError) -> Failure {
    Failure::system(format!("mail forwarding failed: {error}"))
}

fn refused(reply: Reply) -> Failure {
    Failure::system(match reply {
        Reply::NoSpace => "mail forwarding failed: insufficient system storage".into(),
        Reply::Failed(why) => format!("mail forwarding failed: {why}"),
        _ => "mail forwarding failed: the queue's answer makes no sense".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn without_a_queue_the_call_fails_after_a_while() {
        let queue = QueueLink { patience: Duration::from_millis(1), ..QueueLink::new() };
        let id = QueueId::parse("ABCDEF").unwrap();
        let failure = queue.open_body(&id).await.unwrap_err();
        assert_eq!(failure, Failure::system("mail forwarding failed: the queue process is not there"));
    }
}
