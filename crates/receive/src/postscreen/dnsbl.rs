//! Asking DNS lists, all at the same time (dnsblog(8) is part of this process). Connections of one client that come at the
//! same time share the answers.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use dns::{Listing, Resolver};
use maillog::Log;
use tables::{Lookup, Map};
use tokio::sync::watch;

use super::dnsbl_score::{Score, Site};
use super::screening::DnsblResult;

/// Clients beyond which those that nobody waits for any more are swept out.
const SWEEP_AT: usize = 1024;

/// What a service says of its lists.
pub(super) struct DnsblSettings {
    pub(super) sites: Arc<[Site]>,
    /// postscreen_dnsbl_timeout.
    pub(super) timeout: Duration,
    /// postscreen_dnsbl_min_ttl.
    pub(super) least_ttl: Duration,
    /// postscreen_dnsbl_max_ttl.
    pub(super) most_ttl: Duration,
    /// dnsblog_reply_delay.
    pub(super) reply_delay: Duration,
    /// postscreen_dnsbl_reply_map: names that clients may see.
    pub(super) reply_map: Option<Arc<Map>>,
}

/// The lists of one service, and who is being asked about.
pub(super) struct Dnsbl {
    settings: DnsblSettings,
    resolver: Arc<Resolver>,
    /// Lines of dnsblog.
    log: Log,
    inquiries: Mutex<HashMap<IpAddr, Weak<Inquiry>>>,
}

/// Questions about one client.
pub(super) struct Inquiry {
    score: Mutex<Score>,
    /// How many lists have not answered.
    pending: watch::Sender<usize>,
}

impl Dnsbl {
    pub(super) fn new(settings: DnsblSettings, resolver: Arc<Resolver>, log: Log) -> Dnsbl {
        Dnsbl { settings, resolver, log, inquiries: Mutex::default() }
    }

    /// Asks all lists about a client, unless they are being asked. Timeouts are told to `log`, postscreen's own.
    pub(super) fn ask(&self, client: IpAddr, log: &Log) -> Arc<Inquiry> {
        let mut inquiries = self.inquiries.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(inquiry) = inquiries.get(&client).and_then(Weak::upgrade) {
            return inquiry;
        }
        if inquiries.len() >= SWEEP_AT {
            inquiries.retain(|_, inquiry| inquiry.strong_count() > 0);
        }
        let inquiry = Arc::new(Inquiry {
            score: Mutex::default(),
            pending: watch::Sender::new(self.settings.sites.len()),
        });
        inquiries.insert(client, Arc::downgrade(&inquiry));
        for site in 0..self.settings.sites.len() {
            let question = Question {
                sites: Arc::clone(&self.settings.sites),
                site,
                client,
                resolver: Arc::clone(&self.resolver),
                timeout: self.settings.timeout,
                delay: self.settings.reply_delay,
                dnsblog: self.log.session(),
                postscreen: log.clone(),
            };
            tokio::spawn(question.ask(Arc::downgrade(&inquiry)));
        }
        inquiry
    }

    /// What an inquiry came to, complete or not.
    pub(super) async fn result(&self, inquiry: &Inquiry) -> DnsblResult {
        let score = inquiry.score().clone();
        let list = match score.heaviest {
            Some((ref domain, _)) => Some(self.public_name(domain).await),
            None => None,
        };
        let ttl = score.ttl(self.settings.least_ttl, self.settings.most_ttl).as_secs();
        DnsblResult { score: score.total, ttl, list }
    }

    /// The name of a list as clients may see it: names can hold passwords.
    async fn public_name(&self, domain: &str) -> String {
        let Some(map) = &self.settings.reply_map else { return domain.to_owned() };
        match map.lookup(domain).await {
            Lookup::Found(name) => name,
            Lookup::Absent => domain.to_owned(),
            // What was to be hidden stays hidden.
            Lookup::Failed(why) => {
                maillog::warning!(self.log, "postscreen_dnsbl_reply_map: {}: {why}", map.spec());
                "a DNS list".to_owned()
            }
        }
    }
}

impl Inquiry {
    /// Waits until every list has answered, or had its time.
    pub(super) async fn answered(&self) {
        // The sender is ours, so there is no error.
        let _ = self.pending.subscribe().wait_for(|pending| *pending == 0).await;
    }

    fn score(&self) -> MutexGuard<'_, Score> {
        self.score.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One list and one client.
struct Question {
    sites: Arc<[Site]>,
    site: usize,
    client: IpAddr,
    resolver: Arc<Resolver>,
    timeout: Duration,
    delay: Duration,
    dnsblog: Log,
    postscreen: Log,
}

impl Question {
    /// Asks, unless nobody waits any more when the answer comes.
    async fn ask(self, inquiry: Weak<Inquiry>) {
        let site = &self.sites[self.site];
        let asked = async {
            let answer = self.resolver.listing(self.client, &site.domain).await;
            self.note(&site.domain, &answer);
            tokio::time::sleep(self.delay).await;
            answer
        };
        let answer = match tokio::time::timeout(self.timeout, asked).await {
            Ok(answer) => answer,
            Err(_elapsed) => {
                let seconds = self.timeout.as_secs();
                maillog::warning!(self.postscreen, "dnsblog reply timeout {seconds}s for {}", site.domain);
                Listing::Unknown(dns::Failure::TryAgain)
            }
        };
        if let Some(inquiry) = inquiry.upgrade() {
            inquiry.score().add(site, &answer);
            inquiry.pending.send_modify(|pending| *pending -= 1);
        }
    }

    fn note(&self, domain: &str, answer: &Listing) {
        match answer {
            Listing::Listed { addresses, .. } => {
                for address in addresses {
                    maillog::info!(
                        self.dnsblog,
                        "addr {} listed by domain {domain} as {address}",
                        self.client
                    );
                }
            }
            Listing::NotListed { .. } => {}
            Listing::Unknown(why) => {
                maillog::warning!(
                    self.dnsblog,
                    "dnsblog_query: lookup error for DNS query of {} in {domain}: {why}",
                    self.client
                );
            }
        }
    }
}
