//! Sends the reports of past days: by mail through the system's own pickup, so that it is signed and queued like all mail, and by HTTPS
//! (RFC 8460 section 5). What can not be sent is tried again until two days have passed.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use config::{Settings, params};
use dns::{Family, HostLookup, Resolver};
use https::{Client, Limits, Method};
use link::message::Submission;
use link::{Reply, Request};
use mail::{Address, Envelope, Recipient};
use maillog::Log;
use std::sync::Arc;

use super::day::{Day, Days, SECONDS};
use super::record::Place;
use super::report::{Report, Reporter, count};

/// How often it is looked whether something is due.
const LOOK_EVERY: Duration = Duration::from_secs(600);

/// Reports go out over the first four hours of the next day, each domain at its own time (RFC 8460 section 4.1).
const SPREAD: u64 = 4 * 3600;

/// Then what could not be sent is given up.
const GIVE_UP: i64 = 2 * SECONDS;

const LIMITS: Limits = Limits { time: Duration::from_secs(60), body: 64 * 1024 };

/// Sends what is due.
pub(crate) struct Sender {
    days: Days,
    by: Reporter,
    client: Client,
    family: Family,
    resolver: Arc<Resolver>,
    pickup: PathBuf,
    log: Log,
}

impl Sender {
    /// Where `tlsrpt_reports` asks for it. `pickup` is the socket that messages are handed to.
    pub(crate) fn new(
        settings: &Settings,
        family: Family,
        resolver: Arc<Resolver>,
        pickup: PathBuf,
        log: Log,
    ) -> Result<Option<Sender>, String> {
        if !settings.get(params::tlsrpt_reports) {
            return Ok(None);
        }
        let file = settings.get(params::https_CAfile);
        let client = Client::new((!file.is_empty()).then(|| Path::new(file)))
            .map_err(|why| format!("https_CAfile = {file}: {why}"))?;
        let days = Days::new(settings.get(params::data_directory));
        Ok(Some(Sender { days, by: Reporter::new(settings), client, family, resolver, pickup, log }))
    }

    /// Looks again and again, until the role ends.
    pub(crate) async fn run(self) {
        // At start the other roles may not be there yet.
        let mut pause = Duration::from_secs(1);
        loop {
            let sent = self.send_due(SystemTime::now()).await;
            if let Err(error) = &sent {
                maillog::warning!(self.log, "TLSRPT: reports can not be sent: {error}");
            }
            pause = match sent {
                Ok(true) => LOOK_EVERY,
                _ => LOOK_EVERY.min(pause * 2),
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// True when nothing that is due is left.
    async fn send_due(&self, now: SystemTime) -> io::Result<bool> {
        let seconds = now.duration_since(UNIX_EPOCH).map_or(0, |past| past.as_secs() as i64);
        let mut none_failed = true;
        for day in self.days.all()? {
            if day >= Day::of(now) {
                continue;
            }
            let sent = self.days.sent(day);
            let mut all_sent = true;
            for report in count(self.days.events(day)?) {
                for place in report.places() {
                    let what = format!("{} {place}", report.domain);
                    if sent.contains(&what) {
                        continue;
                    }
                    let due = seconds >= day.end() + offset(&report.domain);
                    let done = due && self.send(day, &report, &place).await;
                    if done {
                        self.days.note_sent(day, &what)?;
                    }
                    none_failed &= done || !due;
                    all_sent &= done;
                }
            }
            let over = seconds >= day.end() + GIVE_UP;
            if all_sent || over {
                if !all_sent {
                    maillog::warning!(
                        self.log,
                        "TLSRPT: some reports about {day} could not be sent in two days"
                    );
                }
                self.days.remove(day)?;
            }
        }
        Ok(none_failed)
    }

    /// True when the report is in other hands.
    async fn send(&self, day: Day, report: &Report, place: &Place) -> bool {
        let done = match place {
            Place::Mail(address) => tokio::task::block_in_place(|| self.mail(day, report, address)),
            Place::Web(url) => self.post(day, report, url).await,
        };
        let domain = &report.domain;
        match &done {
            Ok(()) => maillog::info!(self.log, "TLSRPT: report about {domain} for {day} sent to {place}"),
            Err(why) => {
                maillog::warning!(
                    self.log,
                    "TLSRPT: report about {domain} for {day} not sent to {place}: {why}"
                );
            }
        }
        done.is_ok()
    }

    fn mail(&self, day: Day, report: &Report, to: &Address) -> Result<(), String> {
        let text = report.mail(day, &self.by, to).map_err(|error| error.to_string())?;
        let mut content = self.days.nameless().map_err(|error| error.to_string())?;
        content.write_all(text.as_bytes()).map_err(|error| error.to_string())?;
        io::Seek::rewind(&mut content).map_err(|error| error.to_string())?;
        let sender = Address::internal(&self.by.from).map_err(|error| format!("tlsrpt_from: {error:?}"))?;
        let submission = Submission {
            sender: Some(sender),
            full_name: None,
            recipients: vec![Recipient::new(to.clone())],
            envelope: Envelope::default(),
        };
        let named = |error: &dyn std::fmt::Display| format!("{}: {error}", self.pickup.display());
        // The other end is this system, and answers at once or is away.
        let socket = UnixStream::connect(&self.pickup).map_err(|error| named(&error))?;
        socket.set_read_timeout(Some(LIMITS.time)).map_err(|error| named(&error))?;
        let request = Request::Submit(Box::new(submission));
        match link::call_blocking(socket.as_fd(), 1, request, &[content.as_fd()]) {
            Ok((Reply::Submitted(_), _)) => Ok(()),
            Ok((Reply::Failed(why), _)) => Err(why),
            Ok(_) => Err(named(&"not an answer to a message")),
            Err(error) => Err(named(&error)),
        }
    }

    async fn post(&self, day: Day, report: &Report, url: &https::Url) -> Result<(), String> {
        let body = report.compressed(day, &self.by).map_err(|error| error.to_string())?;
        let addresses = self
            .resolver
            .addresses(url.host(), self.family, HostLookup::DnsThenNative, false)
            .await
            .map_err(|failure| failure.sentence(url.host(), "A"))?;
        let method = Method::Post { kind: "application/tlsrpt+gzip", body };
        let answer =
            self.client.ask(url, &addresses.records, method, LIMITS).await.map_err(|why| why.to_string())?;
        match answer.status {
            200..=299 => Ok(()),
            status => Err(format!("the server answers with status {status}")),
        }
    }
}

/// Seconds after midnight, the same for a domain each day.
fn offset(domain: &str) -> i64 {
    // FNV-1a: spread is all that is asked of it.
    let hash = domain.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    (hash % SPREAD) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_spread_over_the_morning() {
        let offsets: Vec<i64> = (0..100).map(|n| offset(&format!("d{n}.test"))).collect();
        assert!(offsets.iter().all(|offset| (0..SPREAD as i64).contains(offset)));
        let early = offsets.iter().filter(|offset| **offset < SPREAD as i64 / 2).count();
        assert!((25..75).contains(&early), "{early}");
    }
}
