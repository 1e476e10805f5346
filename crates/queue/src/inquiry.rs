//! What commands ask of the queue without changing it: which messages there are, which of them fit a selection, what one of
//! them is. The same for a running and for a stopped system.

use std::os::fd::OwnedFd;
use std::time::SystemTime;

use link::Reply;
use link::message::{Attempt, Explained, Listed, ListedRecipient, QueueName, Selection, Shown};
use mail::{Address, QueueId, Recipient};
use spool::{Body, Held, Overview, Spool, StoreError, Waiting};

use crate::backoff::Backoff;

/// Messages looked at for one page. Bounds how long one question keeps the others waiting.
const PAGE: usize = 500;

/// The store, with what only a running system knows.
pub(crate) struct Inquiry<'a> {
    pub(crate) spool: &'a Spool,
    /// Is this message in the active queue?
    pub(crate) is_active: &'a dyn Fn(&QueueId) -> bool,
}

/// Part of an answer.
pub(crate) struct Page {
    /// Messages that fit, in order of their ids.
    pub(crate) found: Vec<Found>,
    /// Where to go on; `None` at the end.
    pub(crate) after: Option<QueueId>,
}

/// A message that fits.
pub(crate) struct Found {
    pub(crate) listed: Listed,
    pub(crate) held: Held,
    pub(crate) is_damaged: bool,
}

impl Inquiry<'_> {
    /// The next messages that fit.
    pub(crate) fn page(
        &self,
        select: &Selection,
        after: Option<&QueueId>,
        now: SystemTime,
    ) -> Result<Page, StoreError> {
        let (looked_at, after) = match select.ids.is_empty() {
            true => {
                let page = self.spool.questions().overview(after, PAGE)?;
                let after = page.last().filter(|_| page.len() == PAGE).map(|last| last.id);
                (page, after)
            }
            false => self.named(&select.ids, after)?,
        };
        let found = looked_at.into_iter().map(|overview| Found {
            held: overview.held,
            is_damaged: overview.is_damaged,
            listed: self.listed(overview),
        });
        Ok(Page { found: found.filter(|found| fits(select, &found.listed, now)).collect(), after })
    }

    /// Messages named one by one; those that are not there are passed over.
    fn named(
        &self,
        ids: &[QueueId],
        after: Option<&QueueId>,
    ) -> Result<(Vec<Overview>, Option<QueueId>), StoreError> {
        let mut ids: Vec<_> = ids.iter().filter(|id| after.is_none_or(|after| *id > after)).collect();
        ids.sort();
        ids.dedup();
        let next = (ids.len() > PAGE).then(|| *ids[PAGE - 1]);
        ids.truncate(PAGE);
        let mut found = Vec::new();
        for id in ids {
            found.extend(self.spool.questions().find(id)?.as_ref().map(Overview::from));
        }
        Ok((found, next))
    }

    /// A page for `postqueue -p` and its relatives.
    pub(crate) fn listing(&self, select: &Selection, after: Option<&QueueId>, now: SystemTime) -> Reply {
        match self.page(select, after, now) {
            Ok(Page { found, after }) => {
                Reply::Listing { entries: found.into_iter().map(|found| found.listed).collect(), after }
            }
            Err(error) => Reply::Failed(error.to_string()),
        }
    }

    /// The entry of one message.
    pub(crate) fn listed(&self, overview: Overview) -> Listed {
        let Overview { id, arrival, data_size, sender, held, is_damaged, attempts, expire, mut recipients } =
            overview;
        let queue = match held {
            _ if (self.is_active)(&id) => QueueName::Active,
            Held::Corrupt => QueueName::Corrupt,
            _ if is_damaged => QueueName::Corrupt,
            Held::Yes => QueueName::Hold,
            Held::No | Held::Requeued if attempts == 0 => QueueName::Incoming,
            Held::No | Held::Requeued => QueueName::Deferred,
        };
        // Those that were tried, in the order in which they are; the rest behind them, as they came.
        recipients.sort_by_cached_key(|recipient| match &recipient.reason {
            Some(_) => (false, in_order(&recipient.address)),
            None => (true, (String::new(), String::new())),
        });
        let recipient = |Waiting { address, original, mut reason }| {
            if let Some(reason) = &mut reason {
                reason.truncate(reason.trim_end().len());
            }
            ListedRecipient {
                original: Some(original).filter(|original| *original != address),
                address,
                reason,
            }
        };
        Listed {
            queue,
            arrival,
            size: data_size,
            forced_expire: expire,
            sender,
            recipients: recipients.into_iter().map(recipient).collect(),
            id,
        }
    }

    /// `postcat`: envelope and content, with a descriptor when the content is a file.
    pub(crate) fn show(&self, id: &QueueId) -> (Reply, Vec<OwnedFd>) {
        let found = self.spool.questions().find(id);
        let stored = match found {
            Ok(Some(stored)) => stored,
            Ok(None) => return (Reply::NotFound, Vec::new()),
            Err(error) => return (Reply::Failed(error.to_string()), Vec::new()),
        };
        let listed = self.listed(Overview::from(&stored));
        let body = self.spool.body(&stored.message, stored.body.clone());
        let shown = |body| Reply::Message(Box::new(Shown { listed, message: stored.message.clone(), body }));
        match body {
            Ok(Body::Inline(bytes)) => (shown(Some(bytes)), Vec::new()),
            Ok(Body::File(file)) => (shown(None), vec![file.into()]),
            // An administrator looks at a damaged message to see what is left of it.
            Err(error) => match stored.body.clone() {
                Some(bytes) => (shown(Some(bytes)), Vec::new()),
                None => match self.spool.bodies().open_as_is(id) {
                    Ok(file) => (shown(None), vec![file.into()]),
                    Err(_) => (Reply::Failed(error.to_string()), Vec::new()),
                },
            },
        }
    }

    /// `mailclad why`: one message and the attempts at it.
    pub(crate) fn explain(&self, id: &QueueId, backoff: &Backoff) -> Reply {
        let (stored, attempts) = {
            let mut store = self.spool.questions();
            match store.find(id).and_then(|found| Ok((found, store.attempts(id)?))) {
                Ok((Some(stored), attempts)) => (stored, attempts),
                Ok((None, _)) => return Reply::NotFound,
                Err(error) => return Reply::Failed(error.to_string()),
            }
        };
        let recipient_at = |position: u32| -> Option<Recipient> {
            stored.recipients().find(|(_, at, _)| *at == position).map(|(recipient, ..)| recipient.clone())
        };
        // Attempts at recipients that are done by now tell nothing about the rest.
        let attempts = attempts
            .into_iter()
            .filter_map(|(position, progress)| {
                Some(Attempt {
                    recipient: recipient_at(position)?,
                    at: progress.at,
                    status: progress.status,
                    text: progress.text,
                    relay: progress.relay,
                    remote: progress.remote.filter(|(mta, _)| !mta.is_empty()),
                    tls: progress.tls,
                })
            })
            .collect();
        Reply::Explained(Box::new(Explained {
            listed: self.listed(Overview::from(&stored)),
            rounds: stored.attempts,
            next_attempt: stored.next_attempt,
            expires: backoff.expires(stored.message.arrival, stored.message.envelope.sender.is_null()),
            attempts,
        }))
    }
}

/// The order in which qmgr(8) takes the recipients of a message, and in which listings and notices have them: by domain, then by address,
/// without regard to case.
pub(crate) fn in_order(address: &Address) -> (String, String) {
    (address.domain().unwrap_or_default().to_lowercase(), address.as_str().to_lowercase())
}

/// Does a message fit? Every restriction that is there must.
pub(crate) fn fits(select: &Selection, listed: &Listed, now: SystemTime) -> bool {
    let Selection { ids, queues, sender, recipient, reason, older, newer } = select;
    let age = now.duration_since(listed.arrival).unwrap_or_default();
    let has_reason = |text: &String| {
        let text = text.to_lowercase();
        let reasons = listed.recipients.iter().filter_map(|recipient| recipient.reason.as_ref());
        reasons.map(|reason| reason.to_lowercase()).any(|reason| reason.contains(&text))
    };
    let has_recipient =
        |pattern: &String| listed.recipients.iter().any(|recipient| is_address(pattern, &recipient.address));
    (ids.is_empty() || ids.contains(&listed.id))
        && (queues.is_empty() || queues.contains(&listed.queue))
        && sender.as_ref().is_none_or(|pattern| is_address(pattern, &listed.sender))
        && recipient.as_ref().is_none_or(has_recipient)
        && reason.as_ref().is_none_or(has_reason)
        && older.is_none_or(|older| age >= older)
        && newer.is_none_or(|newer| age <= newer)
}

/// `user@domain`, `@domain`, or `<>` for the null address.
fn is_address(pattern: &str, address: &Address) -> bool {
    match pattern.strip_prefix('@') {
        Some(domain) => address.domain().is_some_and(|own| own.eq_ignore_ascii_case(domain)),
        None if pattern == "<>" => address.is_null(),
        None => address.as_str().eq_ignore_ascii_case(pattern),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn selections() {
        let now = UNIX_EPOCH + Duration::from_secs(1_000_000);
        let address = |text: &str| Address::internal(text).unwrap();
        let recipient = |text, reason: Option<&str>| ListedRecipient {
            address: address(text),
            original: None,
            reason: reason.map(str::to_owned),
        };
        let listed = Listed {
            id: QueueId::parse("ABCDEF1234").unwrap(),
            queue: QueueName::Deferred,
            arrival: now - Duration::from_secs(3600),
            size: 1,
            forced_expire: false,
            sender: address("News@List.test"),
            recipients: vec![
                recipient("a@one.test", Some("connect to one.test: Timed out")),
                recipient("b@two.test", None),
            ],
        };
        let text = |text: &str| Some(text.to_owned());
        let hours = |n: u64| Some(Duration::from_secs(n * 3600));
        let any = Selection::default;
        let id = |text| vec![QueueId::parse(text).unwrap()];
        for (select, expected) in [
            (any(), true),
            (Selection { ids: id("ABCDEF1234"), ..any() }, true),
            (Selection { ids: id("ABCDEF1235"), ..any() }, false),
            (Selection { queues: vec![QueueName::Hold], ..any() }, false),
            (Selection { queues: vec![QueueName::Hold, QueueName::Deferred], ..any() }, true),
            (Selection { sender: text("news@list.test"), ..any() }, true),
            (Selection { sender: text("@list.test"), ..any() }, true),
            (Selection { sender: text("@test"), ..any() }, false),
            (Selection { sender: text("<>"), ..any() }, false),
            (Selection { recipient: text("B@two.test"), ..any() }, true),
            (Selection { recipient: text("@three.test"), ..any() }, false),
            (Selection { reason: text("timed OUT"), ..any() }, true),
            (Selection { reason: text("refused"), ..any() }, false),
            (Selection { older: hours(1), ..any() }, true),
            (Selection { older: hours(2), ..any() }, false),
            (Selection { newer: hours(2), ..any() }, true),
            (Selection { newer: Some(Duration::from_secs(60)), ..any() }, false),
            // All that is asked must hold.
            (Selection { reason: text("timed"), sender: text("<>"), ..any() }, false),
        ] {
            assert_eq!(fits(&select, &listed, now), expected, "{select:?}");
        }
    }
}
