//! The queue of a stopped system, for commands: the same questions and the same changes as of a running one, straight on
//! the store. Nothing is delivered.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::mpsc::sync_channel;
use std::time::SystemTime;

use config::Settings;
use link::message::{Change as Wish, FlushWhat, Selection};
use link::{Reply, Request};
use mail::QueueId;
use spool::{Change, Held, Spool, StoreError};

use crate::backoff::Backoff;
use crate::inquiry::{Found, Inquiry};

/// What is said to who is neither root nor the queue's owner.
pub(crate) const NOT_ALLOWED: &str = "only root and the mail system's owner may do this";

/// An opened store that no queue role has. The caller holds the lock of the mail system.
pub struct Stopped {
    spool: Spool,
    backoff: Backoff,
}

impl Stopped {
    /// Opens the store below `directory`. Fails when there is none, or it is not ours to open.
    pub fn open(directory: &Path, settings: &Settings) -> Result<Stopped, String> {
        let spool = Spool::open(directory).map_err(|error| error.to_string())?;
        Ok(Stopped { spool, backoff: Backoff::read(settings) })
    }

    /// The store itself, for those who put messages in or take them out.
    pub fn spool(&self) -> &Spool {
        &self.spool
    }

    /// Answers a command as the queue role would. Who may open the store may change it.
    pub fn answer(&self, request: Request) -> (Reply, Vec<OwnedFd>) {
        let inquiry = Inquiry { spool: &self.spool, is_active: &|_| false };
        let now = SystemTime::now();
        let reply = match request {
            Request::List { select, after } => inquiry.listing(&select, after.as_ref(), now),
            Request::Show { id } => return inquiry.show(&id),
            Request::Explain { id } => inquiry.explain(&id, &self.backoff),
            Request::Change { action, select, after } => {
                self.change(&inquiry, action, &select, after.as_ref())
            }
            Request::Flush(FlushWhat::All) => self.record(vec![Change::Flush { id: None }], Reply::Done),
            Request::Flush(FlushWhat::Message(id)) => {
                self.record(vec![Change::Flush { id: Some(id) }], Reply::Done)
            }
            _ => Reply::Failed("the mail system is down: start it first".into()),
        };
        (reply, Vec::new())
    }

    fn change(
        &self,
        inquiry: &Inquiry<'_>,
        action: Wish,
        select: &Selection,
        after: Option<&QueueId>,
    ) -> Reply {
        match inquiry.page(select, after, SystemTime::now()) {
            Ok(page) => {
                let ids = to_change(action, page.found);
                let changes = ids.iter().map(|id| change(action, id)).collect();
                self.record(changes, Reply::Changed { ids, after: page.after })
            }
            Err(error) => Reply::Failed(error.to_string()),
        }
    }

    /// Makes changes durable.
    fn record(&self, changes: Vec<Change>, reply: Reply) -> Reply {
        match self.commit(changes) {
            Ok(()) => reply,
            Err(error) => Reply::Failed(error.to_string()),
        }
    }

    /// Returns when the changes, which take effect together, are durable.
    pub fn commit(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        let (done, result) = sync_channel(1);
        self.spool.record(
            changes,
            Box::new(move |outcome| {
                // Who asked waits below.
                let _ = done.send(outcome);
            }),
        );
        result.recv().unwrap_or_else(|_| Err(StoreError::Other("the writer has stopped".into())))
    }
}

/// May this user change messages and see what is in them?
pub(crate) fn may_change(uid: u32) -> bool {
    uid == 0 || uid == rustix::process::geteuid().as_raw()
}

/// The messages of a page for which the action means something.
pub(crate) fn to_change(action: Wish, page: Vec<Found>) -> Vec<QueueId> {
    page.into_iter()
        .filter(|found| match action {
            Wish::Hold => found.held == Held::No && !found.is_damaged,
            Wish::Release => found.held == Held::Yes,
            Wish::Expire => !found.listed.forced_expire,
            Wish::Delete | Wish::Requeue => true,
        })
        .map(|found| found.listed.id)
        .collect()
}

/// The action in the store's words.
pub(crate) fn change(action: Wish, id: &QueueId) -> Change {
    let id = *id;
    match action {
        Wish::Delete => Change::Remove { id },
        Wish::Hold => Change::Hold { id, held: Held::Yes },
        Wish::Release => Change::Hold { id, held: Held::No },
        Wish::Requeue => Change::Hold { id, held: Held::Requeued },
        Wish::Expire => Change::Expire { id },
    }
}

#[cfg(test)]
mod tests {
    use mail::{Address, Envelope, Message, Origin, Recipient};
    use spool::Content;

    use super::*;

    fn stopped(count: usize) -> (tempfile::TempDir, Stopped) {
        let dir = tempfile::tempdir().unwrap();
        let backoff = Backoff::DEFAULTS;
        let stopped = Stopped { spool: Spool::open(dir.path()).unwrap(), backoff };
        let adds = (0..count).map(|n| {
            let sender = if n % 2 == 0 { "even@x" } else { "odd@x" };
            let recipients = vec![Recipient::new(Address::internal("r@y").unwrap())];
            let sender = Address::internal(sender).unwrap();
            Change::Add {
                message: Box::new(Message {
                    id: QueueId::parse(&format!("AAAA{n:06}")).unwrap(),
                    envelope: Envelope { sender, recipients, ..Envelope::default() },
                    origin: Origin::Internal,
                    arrival: SystemTime::now(),
                    size: 1,
                    data_size: 1,
                    checksum: crc32c::crc32c(b"x"),
                    filter: None,
                }),
                content: Content::Inline(b"x".to_vec()),
                hold: false,
            }
        });
        stopped.commit(adds.collect()).unwrap();
        (dir, stopped)
    }

    fn all(stopped: &Stopped, request: impl Fn(Option<QueueId>) -> Request) -> usize {
        let (mut after, mut count) = (None, 0);
        loop {
            let next = match stopped.answer(request(after)).0 {
                Reply::Listing { entries, after } => {
                    count += entries.len();
                    after
                }
                Reply::Changed { ids, after } => {
                    count += ids.len();
                    after
                }
                other => panic!("{other:?}"),
            };
            match next {
                Some(next) => after = Some(next),
                None => return count,
            }
        }
    }

    #[test]
    fn pages_reach_every_message_and_changes_only_those_that_fit() {
        let (_dir, stopped) = stopped(1203);
        let odd = Selection { sender: Some("odd@x".into()), ..Selection::default() };
        let list = |select: Selection| move |after| Request::List { select: Box::new(select.clone()), after };
        assert_eq!(all(&stopped, list(Selection::default())), 1203);
        assert_eq!(all(&stopped, list(odd.clone())), 601);
        let delete = |after| Request::Change { action: Wish::Delete, select: Box::new(odd.clone()), after };
        assert_eq!(all(&stopped, delete), 601);
        assert_eq!(all(&stopped, list(Selection::default())), 602);
        let hold = |after| Request::Change { action: Wish::Hold, select: Box::default(), after };
        assert_eq!(all(&stopped, hold), 602);
        assert_eq!(all(&stopped, hold), 0, "held already");
    }

    #[test]
    fn named_messages_are_found_without_looking_at_the_rest() {
        let (_dir, stopped) = stopped(3);
        let ids = ["AAAA000002", "AAAA000000", "ZZZZ000000"].map(|id| QueueId::parse(id).unwrap());
        let select = Selection { ids: ids.to_vec(), ..Selection::default() };
        let (reply, _) = stopped.answer(Request::List { select: Box::new(select), after: None });
        let Reply::Listing { entries, after: None } = reply else { panic!("{reply:?}") };
        let found: Vec<_> = entries.iter().map(|entry| entry.id.as_str()).collect();
        assert_eq!(found, ["AAAA000000", "AAAA000002"]);
    }
}
