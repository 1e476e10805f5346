//! verify(8): finds out whether addresses are deliverable by sending probes through the queue, and remembers what it found
//! (ADDRESS_VERIFICATION_README). A probe is a message without content that goes as far as the recipient's server says yes or no;
//! the queue answers with the outcome, and nobody gets a report.
//!
//! - `record.rs`: one address, what follows from what is known of it. No clock, no queue.
//! - `sender.rs`: the sender address of probes, which may change with time.

mod record;
mod sender;

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use access::Verified;
use config::{Configuration, params};
use link::message::NewMessage;
use link::{Reply, Request};
use mail::{
    Address, DataSize, Envelope, IdGenerator, Message, Origin, Outcome, OutcomeKind, Purpose, QueueId,
    Recipient, date,
};
use maillog::Log;
use route::{Context, ExpansionError, Place};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::cleanup::Cleanup;
use crate::journal::Journal;
use crate::queue_link::QueueLink;
use crate::serve::drained;
use record::{Ages, Record, Status, UnixTime};
use sender::ProbeSender;

/// The service, shared by all sessions.
#[derive(Clone)]
pub(crate) struct Verify(Arc<Shared>);

struct Shared {
    log: Log,
    cleanup: Arc<Cleanup>,
    queue: Arc<QueueLink>,
    ids: Arc<Mutex<IdGenerator>>,
    sender: ProbeSender,
    ages: Ages,
    /// `address_verify_pending_request_limit`.
    limit: usize,
    /// `address_verify_cache_cleanup_interval`; `None` for never.
    cleanup_interval: Option<Duration>,
    /// `address_verify_map`, for the log.
    map: String,
    cache: Journal<Key, Record>,
    under_way: Mutex<HashMap<Key, watch::Receiver<Option<Record>>>>,
}

/// An address as the cache knows it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key(String);

impl Key {
    /// Domains are the same in upper and lower case; whether local parts are is for their server to say.
    fn of(address: &Address) -> Key {
        match address.domain() {
            Some(domain) => Key(format!("{}@{}", address.local_part(), domain.to_lowercase())),
            None => Key(address.as_str().to_owned()),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '%' | ' ' => write!(f, "%{:02X}", u32::from(c))?,
                c => write!(f, "{c}")?,
            }
        }
        Ok(())
    }
}

impl FromStr for Key {
    type Err = ();

    fn from_str(text: &str) -> Result<Key, ()> {
        Ok(Key(text.replace("%20", " ").replace("%25", "%")))
    }
}

impl Verify {
    /// The service of master.cf, or one with the settings of main.cf where master.cf has none. The error is fatal.
    pub(crate) fn open(
        configuration: &Configuration,
        log: &Log,
        cleanups: &crate::cleanup::services::CleanupServices,
        queue: Arc<QueueLink>,
        ids: Arc<Mutex<IdGenerator>>,
    ) -> Result<Verify, String> {
        let settings = match configuration.service_of_program("verify") {
            Some(service) => configuration.settings_of(service),
            None => configuration.settings("verify"),
        };
        let settings = settings.map_err(|errors| errors.to_string())?;
        let service_log = log.service(settings.get(params::syslog_name), "verify");
        let cleanup = cleanups.for_settings(configuration, &settings, log)?;
        let map = settings.get(params::address_verify_map).to_owned();
        let directory = settings.get(params::data_directory);
        let cache = match Journal::<Key, Record>::path_of(&map, directory, "verify_cache") {
            Some(path) => {
                let (cache, read) = Journal::open(&path);
                if let Err(why) = read {
                    maillog::warning!(service_log, "address_verify_map: {why}: addresses are probed again");
                }
                cache
            }
            None => Journal::in_memory(),
        };
        let every = settings.get(params::address_verify_cache_cleanup_interval);
        Ok(Verify(Arc::new(Shared {
            sender: ProbeSender::read(&settings, &cleanup.routing),
            ages: Ages {
                positive_expire: settings.get(params::address_verify_positive_expire_time),
                positive_refresh: settings.get(params::address_verify_positive_refresh_time),
                negative_expire: settings.get(params::address_verify_negative_expire_time),
                negative_refresh: settings.get(params::address_verify_negative_refresh_time),
                negative_cache: settings.get(params::address_verify_negative_cache),
            },
            limit: usize::try_from(settings.get(params::address_verify_pending_request_limit))
                .unwrap_or(usize::MAX),
            cleanup_interval: (every > Duration::ZERO).then_some(every),
            under_way: Mutex::new(HashMap::new()),
            log: service_log,
            cleanup,
            queue,
            ids,
            map,
            cache,
        })))
    }

    /// Forgets what is over, now and then, until Drain; then leaves the cache to the process that follows.
    pub(crate) async fn keep_clean(self, mut draining: watch::Receiver<bool>) {
        let clean = async {
            let Some(every) = self.0.cleanup_interval else { return std::future::pending().await };
            let mut ticks = interval(every);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                // The first time comes at once: a process may live shorter than the interval.
                ticks.tick().await;
                self.0.clean();
            }
        };
        tokio::select! {
            () = clean => {}
            () = drained(&mut draining) => {}
        }
        self.0.cache.close();
    }
}

impl access::Verifier for Verify {
    fn query<'a>(
        &'a self,
        address: &'a Address,
        patience: Duration,
    ) -> Pin<Box<dyn Future<Output = Verified> + Send + 'a>> {
        Box::pin(async move {
            let address = self.0.cleanup.routing.rewrite(Context::Local, address);
            let key = Key::of(&address);
            let (record, is_due) = self.0.ages.judge(self.0.cache.find(&key), now());
            let mut probe = self.0.under_way().get(&key).cloned();
            if is_due && probe.is_none() {
                probe = match self.0.begin(&key, &record) {
                    Some(began) => {
                        let (shared, key) = (Arc::clone(&self.0), key.clone());
                        let (done, result) = began;
                        tokio::spawn(async move { shared.probe(key, address, done).await });
                        Some(result)
                    }
                    None if record.status == Status::Pending => {
                        return Verified::Unverified("too many address verification requests".into());
                    }
                    None => None,
                };
            }
            if record.status != Status::Pending {
                return verified(record);
            }
            let found = match probe {
                Some(mut probe) => timeout(patience, async move {
                    // An error: the probe ended without a result.
                    probe.wait_for(Option::is_some).await.ok().and_then(|found| found.clone())
                })
                .await
                .ok()
                .flatten(),
                None => None,
            };
            verified(found.unwrap_or(record))
        })
    }

    fn sends_probes_as(&self, address: &Address) -> bool {
        self.0.sender.was(&self.0.cleanup.routing.rewrite(Context::Local, address), now())
    }
}

type Begun = (watch::Sender<Option<Record>>, watch::Receiver<Option<Record>>);

impl Shared {
    fn under_way(&self) -> MutexGuard<'_, HashMap<Key, watch::Receiver<Option<Record>>>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a probe begins; `None` when there are too many.
    fn begin(&self, key: &Key, record: &Record) -> Option<Begun> {
        let mut under_way = self.under_way();
        if under_way.len() >= self.limit {
            maillog::warning!(self.log, "address_verify_pending_request_limit reached: {}", self.limit);
            return None;
        }
        let (done, result) = watch::channel(None);
        under_way.insert(key.clone(), result.clone());
        drop(under_way);
        if let Some(probing) = self.ages.probing(record, now()) {
            self.keep(key.clone(), probing);
        }
        Some((done, result))
    }

    async fn probe(self: Arc<Self>, key: Key, address: Address, done: watch::Sender<Option<Record>>) {
        let found = self.ask(&address).await;
        match found {
            Ok((status, text)) => {
                let record = Record::found(status, now(), &text);
                if self.ages.replaces(self.cache.find(&key).as_ref(), &record) {
                    self.keep(key.clone(), record.clone());
                }
                done.send_replace(Some(record));
            }
            // The next question after a while sends another probe.
            Err(why) => maillog::warning!(self.log, "probe for <{}>: {why}", address.to_external()),
        }
        self.under_way().remove(&key);
    }

    /// Sends one probe, and waits for its outcome. The error says why there is none.
    async fn ask(&self, address: &Address) -> Result<(Status, String), String> {
        let routing = &self.cleanup.routing;
        let canonical = routing.canonicalize(Place::EnvelopeRecipient, address).await;
        let canonical = canonical.map_err(|failed| failed.reason)?;
        let recipients = match routing.expand_virtual(&canonical).await {
            Ok(recipients) => recipients,
            Err(ExpansionError::Failed(failed)) => return Err(failed.reason),
            Err(ExpansionError::Unreasonable(why)) => return Ok((Status::Deferred, why)),
        };
        let [recipient] = &recipients[..] else {
            return Ok((Status::Deliverable, "aliased to multiple recipients".into()));
        };
        let arrival = SystemTime::now();
        let id = self.ids.lock().unwrap_or_else(PoisonError::into_inner).next(arrival);
        let message = self.message(id, arrival, recipient, address);
        let (reply, _) = self
            .queue
            .call(Request::Probe(Box::new(message)), Vec::new())
            .await
            .map_err(|error| error.to_string())?;
        match reply {
            Reply::Probed(outcome) => Ok(judged(&outcome)),
            Reply::NoSpace => Err("no space left for the queue".into()),
            Reply::Failed(why) => Err(why),
            _ => Err("the queue's answer makes no sense".into()),
        }
    }

    fn message(&self, id: QueueId, arrival: SystemTime, recipient: &Address, asked: &Address) -> NewMessage {
        let sender = self.sender.at(unix(arrival));
        let rules = &self.cleanup.header;
        let message_id = format!("<{}.{id}@{}>", date::compact_utc(arrival), rules.hostname);
        maillog::info!(self.cleanup.log, "{id}: message-id={message_id}");
        let date = date::rfc5322(arrival);
        let body = format!(
            "Received: by {host} ({name})\n\tid {id}; {date}\nMessage-Id: {message_id}\nDate: {date}\nFrom: {}\n",
            sender.to_external(),
            host = rules.hostname,
            name = rules.mail_name,
        )
        .into_bytes();
        let recipient = Recipient { original: asked.clone(), ..Recipient::new(recipient.clone()) };
        let envelope = Envelope {
            sender,
            smtputf8: recipient.address.needs_smtputf8(),
            recipients: vec![recipient],
            purpose: Purpose::Verify,
            ..Envelope::default()
        };
        let message = Message {
            id,
            envelope,
            origin: Origin::Internal,
            arrival,
            size: body.len() as u64,
            data_size: DataSize::of(&body, self.cleanup.line_length),
            checksum: crc32c::crc32c(&body),
            filter: None,
        };
        NewMessage { message, body: Some(body), hold: false, replaces: None }
    }

    fn keep(&self, key: Key, record: Record) {
        if let Err(why) = self.cache.keep(key, record) {
            maillog::warning!(self.log, "address_verify_map: {why}");
        }
    }

    fn clean(&self) {
        let now = now();
        match self.cache.clean(|record| self.ages.is_over(record, now)) {
            Ok((0, 0)) => {}
            Ok((retained, dropped)) => maillog::info!(
                self.log,
                "cache {} full cleanup: retained={retained} dropped={dropped} entries",
                self.map
            ),
            Err(why) => maillog::warning!(self.log, "address_verify_map: {why}"),
        }
    }
}

fn verified(record: Record) -> Verified {
    match record.status {
        Status::Deliverable => Verified::Deliverable,
        Status::Undeliverable => Verified::Undeliverable(record.text),
        Status::Deferred | Status::Pending => Verified::Unverified(record.text),
    }
}

/// What the outcome of a probe says of the address.
fn judged(outcome: &Outcome) -> (Status, String) {
    let status = match outcome.kind {
        OutcomeKind::Sent | OutcomeKind::Deliverable => Status::Deliverable,
        OutcomeKind::Bounced | OutcomeKind::Undeliverable if outcome.status.class == 5 => {
            Status::Undeliverable
        }
        OutcomeKind::Bounced | OutcomeKind::Undeliverable | OutcomeKind::Deferred => Status::Deferred,
    };
    (status, outcome.text.clone())
}

fn now() -> UnixTime {
    unix(SystemTime::now())
}

fn unix(time: SystemTime) -> UnixTime {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys() {
        for (address, text) in [
            ("User@Example.TEST", "User@example.test"),
            ("a b%20@x.test", "a%20b%2520@x.test"),
            ("local", "local"),
        ] {
            let key = Key::of(&Address::internal(address).unwrap());
            assert_eq!(key.to_string(), text);
            assert_eq!(text.parse(), Ok(key));
        }
    }

    #[test]
    fn outcomes() {
        let status = |class| mail::Status::new(class, 1, 1);
        for (outcome, expected) in [
            (Outcome::sent("x", "would"), Status::Deliverable),
            (Outcome::bounced(status(5), "x", "no"), Status::Undeliverable),
            (Outcome::deferred(status(4), "x", "later"), Status::Deferred),
        ] {
            assert_eq!(judged(&outcome.for_purpose(Purpose::Verify)).0, expected);
        }
    }
}
