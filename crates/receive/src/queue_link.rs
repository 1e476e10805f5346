//! The way to the queue: the newest link that master has given us, and a little patience while there is none.

use std::os::fd::OwnedFd;
use std::time::Duration;

use link::message::NewMessage;
use link::{Link, LinkError, Reply, Request};
use mail::QueueId;
use tokio::sync::watch;

/// How long a caller waits for master to bring the queue back before its client hears of a temporary error.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where messages are kept.
pub(crate) struct QueueLink {
    current: watch::Sender<Option<Link>>,
    patience: Duration,
}

/// Why a message was not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NotKept {
    /// The disk is full: 452.
    NoSpace,
    /// The queue is not there or can not write: 451. The reason is for the log.
    Failed(String),
}

impl From<LinkError> for NotKept {
    fn from(error: LinkError) -> Self {
        NotKept::Failed(error.to_string())
    }
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
    pub(crate) async fn call(
        &self,
        request: Request,
        descriptors: Vec<OwnedFd>,
    ) -> Result<(Reply, Vec<OwnedFd>), LinkError> {
        let mut current = self.current.subscribe();
        let live = |link: &Option<Link>| link.as_ref().is_some_and(|link| !link.is_closed());
        let link = match tokio::time::timeout(self.patience, current.wait_for(live)).await {
            Ok(Ok(link)) => link.clone(),
            _ => None,
        };
        match link {
            Some(link) => link.call(request, descriptors).await,
            None => Err(LinkError::Lost("queue")),
        }
    }

    /// A file for the body of a message.
    pub(crate) async fn open_body(&self, id: &QueueId) -> Result<std::fs::File, NotKept> {
        let (reply, mut descriptors) = self.call(Request::OpenBody { id: *id }, Vec::new()).await?;
        match (reply, descriptors.pop()) {
            (Reply::BodyFile, Some(descriptor)) => Ok(descriptor.into()),
            (Reply::NoSpace, _) => Err(NotKept::NoSpace),
            (Reply::Failed(why), _) => Err(NotKept::Failed(why)),
            _ => Err(NotKept::Failed("no file for the body came from the queue".into())),
        }
    }

    /// Keeps a message; it is durable when this returns `Ok`.
    pub(crate) async fn append(&self, message: NewMessage) -> Result<(), NotKept> {
        match self.call(Request::Append(Box::new(message)), Vec::new()).await?.0 {
            Reply::Kept => Ok(()),
            Reply::NoSpace => Err(NotKept::NoSpace),
            Reply::Failed(why) => Err(NotKept::Failed(why)),
            _ => Err(NotKept::Failed("the queue's answer makes no sense".into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn without_a_queue_the_call_fails_after_a_while() {
        let queue = QueueLink { patience: Duration::from_millis(1), ..QueueLink::new() };
        assert!(matches!(queue.call(Request::Ping, Vec::new()).await, Err(LinkError::Lost("queue"))));
    }

    #[tokio::test]
    async fn a_lost_link_is_replaced_by_the_next_one() {
        let queue = std::sync::Arc::new(QueueLink::new());
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let (dead, mut calls) = Link::open(ours, "queue").unwrap();
        drop(theirs);
        assert!(calls.recv().await.is_none());
        queue.replace(dead);
        let waiting = tokio::spawn({
            let queue = queue.clone();
            async move { queue.call(Request::Ping, Vec::new()).await }
        });
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let (link, _calls) = Link::open(ours, "queue").unwrap();
        let (_other, mut calls) = Link::open(theirs, "receive").unwrap();
        queue.replace(link);
        calls.recv().await.unwrap().unwrap().call.answer(Reply::Done, Vec::new());
        assert_eq!(waiting.await.unwrap().unwrap().0, Reply::Done);
    }
}
