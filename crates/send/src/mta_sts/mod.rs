//! MTA-STS (RFC 8461): finds out which policy a domain publishes. What it means for a server is decided in `tls::policy`.
//!
//! A policy that was fetched once holds for its time, whatever becomes of the DNS record or of the Web server (section 5.1), and over
//! restarts (`cache.rs`). A domain that has never had one is as one without: what can not be found out adds nothing to the level, and
//! takes nothing from it.

mod cache;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use config::{Settings, params};
use dns::{Family, HostLookup, Resolver};
use https::{Client, Limits, Method, Url};
use maillog::Log;
use tls::sts::{Mode, Policy, Record};

use self::cache::{Cache, Entry};

/// One minute and 64 kilobytes (RFC 8461 section 3.3). One byte more tells that there was more.
const LIMITS: Limits = Limits { time: Duration::from_secs(60), body: tls::sts::MOST_BYTES + 1 };

/// After a failure the Web server is left alone (RFC 8461 section 3.3: five minutes or longer).
const PAUSE: Duration = Duration::from_secs(300);

/// A policy is fetched again after a day, so that a domain that is written to often never runs out of it.
const FRESH: Duration = Duration::from_secs(24 * 3600);

/// Domains whose failures are remembered at a time.
const MOST_FAILURES: usize = 10_000;

/// What is known of a domain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Finding {
    /// The policy that holds; `None` without one, or when it asks for nothing.
    pub(crate) policy: Option<Arc<Policy>>,
    /// A policy is announced, and could not be had.
    pub(crate) failure: Option<Failure>,
}

/// Why an announced policy could not be had, in the kinds of RFC 8460 section 4.3.2.1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// There was no answer, or not a good one.
    Fetch(String),
    /// It can not be read.
    Invalid(String),
    /// The Web server's certificate does not verify.
    WebPki(String),
}

impl Failure {
    fn text(&self) -> &str {
        let (Failure::Fetch(why) | Failure::Invalid(why) | Failure::WebPki(why)) = self;
        why
    }
}

/// Finds policies. One for each service.
pub(crate) struct MtaSts {
    client: Client,
    port: u16,
    family: Family,
    cache: Cache,
    /// What could not be fetched lately, by domain and id.
    failures: Mutex<HashMap<(String, String), (Instant, Failure)>>,
    /// One fetch at a time for a domain: the others wait for it, and find its policy in the cache.
    fetching: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

impl MtaSts {
    /// For a service whose settings ask for it; reads the authorities.
    pub(crate) fn new(settings: &Settings, family: Family, log: &Log) -> Result<MtaSts, String> {
        let file = settings.get(params::https_CAfile);
        let client = Client::new((!file.is_empty()).then(|| Path::new(file)))
            .map_err(|why| format!("https_CAfile = {file}: {why}"))?;
        let directory = PathBuf::from(settings.get(params::data_directory)).join("mta-sts");
        Ok(MtaSts {
            client,
            port: u16::try_from(settings.get(params::smtp_tls_mta_sts_port)).unwrap_or(443),
            family,
            cache: Cache::new(directory, log.clone()),
            failures: Mutex::default(),
            fetching: Mutex::default(),
        })
    }

    /// What holds for a domain now; its name as the DNS spells it.
    pub(crate) async fn find(&self, resolver: &Resolver, domain: &str, log: &Log) -> Finding {
        let known = self.cache.find(domain, SystemTime::now());
        // Without a record, or without an answer, a policy that was fetched goes on for its time (section 5.1).
        let record = match resolver.txt(&format!("_mta-sts.{domain}")).await {
            Ok(answer) => Record::find(&answer.records),
            Err(_) => None,
        };
        let Some(record) = record else { return Finding { policy: in_force(known), failure: None } };
        if let Some(entry) = known.as_ref().filter(|entry| is_current(entry, &record)) {
            return Finding { policy: in_force(Some(entry.clone())), failure: None };
        }
        let turn = self.turn(domain);
        let _turn = turn.lock().await;
        // Somebody else may have fetched it meanwhile.
        let known = self.cache.find(domain, SystemTime::now());
        if let Some(entry) = known.as_ref().filter(|entry| is_current(entry, &record)) {
            return Finding { policy: in_force(Some(entry.clone())), failure: None };
        }
        let failure = match self.fetch(resolver, domain, &record, log).await {
            Ok(policy) => {
                let entry = Entry { id: record.id, fetched: SystemTime::now(), policy: Arc::new(policy) };
                self.cache.keep(domain, entry.clone());
                return Finding { policy: in_force(Some(entry)), failure: None };
            }
            Err(failure) => failure,
        };
        // The old one holds until its time is over. That it could not be fetched once more is no news while the domain announces no other.
        let is_news = known.as_ref().is_none_or(|entry| entry.id != record.id);
        Finding { policy: in_force(known), failure: is_news.then_some(failure) }
    }

    fn turn(&self, domain: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut fetching = self.fetching.lock().unwrap_or_else(PoisonError::into_inner);
        fetching.retain(|_, turn| Arc::strong_count(turn) > 1);
        Arc::clone(fetching.entry(domain.to_owned()).or_default())
    }

    async fn fetch(
        &self,
        resolver: &Resolver,
        domain: &str,
        record: &Record,
        log: &Log,
    ) -> Result<Policy, Failure> {
        let key = (domain.to_owned(), record.id.clone());
        let lock = || self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((when, failure)) = lock().get(&key)
            && when.elapsed() < PAUSE
        {
            return Err(failure.clone());
        }
        let fetched = self.ask(resolver, domain).await;
        let mut failures = lock();
        match &fetched {
            Ok(policy) => {
                failures.remove(&key);
                let mode = match policy.mode {
                    Mode::Enforce => "enforce",
                    Mode::Testing => "testing",
                    Mode::None => "none",
                };
                maillog::info!(log, "MTA-STS policy of {domain}: id={}, mode={mode}", record.id);
            }
            Err(failure) => {
                maillog::warning!(log, "MTA-STS policy of {domain} can not be used: {}", failure.text());
                failures.retain(|_, (when, _)| when.elapsed() < PAUSE);
                if failures.len() < MOST_FAILURES {
                    failures.insert(key, (Instant::now(), failure.clone()));
                }
            }
        }
        fetched
    }

    async fn ask(&self, resolver: &Resolver, domain: &str) -> Result<Policy, Failure> {
        let host = format!("mta-sts.{domain}");
        let url = Url::parse(&format!("https://{host}/.well-known/mta-sts.txt")).map_err(Failure::Fetch)?;
        let addresses = resolver
            .addresses(&host, self.family, HostLookup::Dns, false)
            .await
            .map_err(|failure| Failure::Fetch(failure.sentence(&host, "A")))?;
        let url = url.at_port(self.port);
        let answer = match self.client.ask(&url, &addresses.records, Method::Get, LIMITS).await {
            Ok(answer) => answer,
            Err(https::Failure::TooLarge) => {
                return Err(Failure::Invalid(https::Failure::TooLarge.to_string()));
            }
            Err(failure @ https::Failure::Certificate(_)) => {
                return Err(Failure::WebPki(failure.to_string()));
            }
            Err(failure) => return Err(Failure::Fetch(failure.to_string())),
        };
        // Redirects are not followed (RFC 8461 section 3.3).
        if answer.status != 200 {
            return Err(Failure::Fetch(format!("{host} answers with status {}", answer.status)));
        }
        let kind = answer.header("content-type").unwrap_or_default();
        if !kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("text/plain") {
            return Err(Failure::Invalid(format!(
                "{host} calls the policy \"{}\", not text/plain",
                clean(kind)
            )));
        }
        Policy::parse(&answer.body).map_err(Failure::Invalid)
    }
}

/// The domain announces this very policy, and it was looked at lately.
fn is_current(entry: &Entry, record: &Record) -> bool {
    let age = SystemTime::now().duration_since(entry.fetched).unwrap_or_default();
    entry.id == record.id && age < FRESH.min(entry.policy.max_age.max(PAUSE))
}

/// A policy that asks for nothing is none (RFC 8461 section 5).
fn in_force(entry: Option<Entry>) -> Option<Arc<Policy>> {
    entry.map(|entry| entry.policy).filter(|policy| policy.mode != Mode::None)
}

fn clean(text: &str) -> String {
    text.chars().take(100).map(|c| if c.is_control() { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests;
