//! One policy service: where it is, how long it may take, the connections that are kept, and its answer.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use config::{Settings, params};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

use crate::endpoint::{Endpoint, Wire};

/// Most bytes of an answer.
const MAX_ANSWER: u64 = 64 * 1024;
/// Connections that are kept for one service.
const MAX_KEPT: usize = 20;

/// What `smtpd_policy_service_...` says for every service that says nothing else.
#[derive(Clone, Debug)]
pub(crate) struct Defaults {
    timeout: Duration,
    default_action: String,
    max_idle: Duration,
    max_ttl: Duration,
    request_limit: u64,
    retry_delay: Duration,
    try_limit: u64,
    context: String,
    queue_directory: String,
}

impl Defaults {
    pub(crate) fn read(settings: &Settings) -> Defaults {
        Defaults {
            timeout: settings.get(params::smtpd_policy_service_timeout),
            default_action: settings.get(params::smtpd_policy_service_default_action).to_owned(),
            max_idle: settings.get(params::smtpd_policy_service_max_idle),
            max_ttl: settings.get(params::smtpd_policy_service_max_ttl),
            request_limit: settings.get(params::smtpd_policy_service_request_limit).unsigned_abs(),
            retry_delay: settings.get(params::smtpd_policy_service_retry_delay),
            try_limit: settings.get(params::smtpd_policy_service_try_limit).unsigned_abs().max(1),
            context: settings.get(params::smtpd_policy_service_policy_context).to_owned(),
            queue_directory: settings.get(params::queue_directory).to_owned(),
        }
    }
}

/// A service as it stands in a list.
pub(crate) struct PolicyService {
    endpoint: Endpoint,
    settings: Defaults,
    kept: Mutex<Vec<Kept>>,
}

/// A connection, and when it has served its time.
struct Kept {
    stream: BufReader<Box<dyn Wire>>,
    since: Instant,
    last_used: Instant,
    requests: u64,
}

impl PolicyService {
    /// Reads `endpoint`, or `{ endpoint, name=value, ... }`. The error is for the log.
    pub(crate) fn parse(argument: &str, defaults: &Defaults) -> Result<Arc<PolicyService>, String> {
        let mut settings = defaults.clone();
        let inner = match argument.starts_with('{') {
            true => config::list::braced(argument)
                .ok_or_else(|| format!("policy service syntax error: missing '}}' in '{argument}'"))?,
            false => argument,
        };
        let mut items = config::list::split(inner).into_iter();
        let name = items.next().ok_or_else(|| format!("empty policy service: \"{argument}\""))?;
        for item in items {
            // A value with blanks or commas stands in braces, together with its name.
            let item = match item.starts_with('{') {
                true => config::list::braced(item).unwrap_or(item),
                false => item,
            };
            let (key, value) = item
                .split_once('=')
                .ok_or_else(|| format!("policy service syntax error: missing '=' after \"{item}\""))?;
            settings.set(key.trim(), value.trim())?;
        }
        let endpoint = Endpoint::parse(name, Path::new(&settings.queue_directory)).ok_or_else(|| {
            format!("check_policy_service requires inet:host:port or unix:pathname, not \"{name}\"")
        })?;
        Ok(Arc::new(PolicyService { endpoint, settings, kept: Mutex::default() }))
    }

    pub(crate) fn default_action(&self) -> &str {
        &self.settings.default_action
    }

    pub(super) fn context(&self) -> &str {
        &self.settings.context
    }

    /// Asks until there is an answer, or the tries are used up. The texts are warnings for the log.
    pub(super) async fn ask(&self, request: &[u8]) -> (Option<String>, Vec<String>) {
        let mut troubles = Vec::new();
        for attempt in 0..self.settings.try_limit {
            if attempt > 0 {
                tokio::time::sleep(self.settings.retry_delay).await;
            }
            match self.ask_once(request).await {
                Ok(action) => return (Some(action), troubles),
                Err(why) => troubles.push(format!("problem talking to server {}: {why}", self.endpoint)),
            }
        }
        (None, troubles)
    }

    async fn ask_once(&self, request: &[u8]) -> Result<String, String> {
        // One that was kept may have been closed since, which is no trouble of the service.
        while let Some(mut kept) = self.take() {
            if let Ok(action) = self.exchange(&mut kept, request).await {
                self.keep(kept);
                return Ok(action);
            }
        }
        let connecting = tokio::time::timeout(self.settings.timeout, self.endpoint.connect()).await;
        let stream =
            connecting.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).map_err(|e| text(&e))?;
        let now = Instant::now();
        let mut kept = Kept { stream: BufReader::new(stream), since: now, last_used: now, requests: 0 };
        let action = self.exchange(&mut kept, request).await.map_err(|error| text(&error))?;
        self.keep(kept);
        Ok(action)
    }

    fn take(&self) -> Option<Kept> {
        let mut all = self.lock();
        let now = Instant::now();
        all.retain(|kept| {
            now.duration_since(kept.last_used) < self.settings.max_idle
                && now.duration_since(kept.since) < self.settings.max_ttl
        });
        all.pop()
    }

    fn keep(&self, mut kept: Kept) {
        kept.requests += 1;
        kept.last_used = Instant::now();
        let limit = self.settings.request_limit;
        let mut all = self.lock();
        if all.len() < MAX_KEPT && (limit == 0 || kept.requests < limit) {
            all.push(kept);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `action=...` and an empty line; other attributes are allowed, and nobody looks at them.
    async fn exchange(&self, kept: &mut Kept, request: &[u8]) -> io::Result<String> {
        let asking = async {
            kept.stream.write_all(request).await?;
            kept.stream.flush().await?;
            let mut action = None;
            let mut answer = (&mut kept.stream).take(MAX_ANSWER);
            loop {
                let mut line = Vec::new();
                answer.read_until(b'\n', &mut line).await?;
                if line.pop() != Some(b'\n') {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                if line.is_empty() {
                    return action.ok_or_else(|| io::Error::other("missing attribute action in the answer"));
                }
                let line =
                    String::from_utf8(line).map_err(|_| io::Error::other("malformed UTF-8 in the answer"))?;
                let (name, value) = line
                    .split_once('=')
                    .ok_or_else(|| io::Error::other("malformed attribute in the answer"))?;
                if name == "action" {
                    action = Some(value.to_owned());
                }
            }
        };
        tokio::time::timeout(self.settings.timeout, asking)
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl Defaults {
    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let bad = || format!("policy service syntax error: bad {name} value \"{value}\"");
        let time = |text: &str| seconds(text).filter(|time| !time.is_zero()).ok_or_else(bad);
        let number = |text: &str| text.parse::<u64>().map_err(|_| bad());
        match name {
            "timeout" => self.timeout = time(value)?,
            "max_idle" => self.max_idle = time(value)?,
            "max_ttl" => self.max_ttl = time(value)?,
            "retry_delay" => self.retry_delay = time(value)?,
            "request_limit" => self.request_limit = number(value)?,
            "try_limit" => self.try_limit = number(value)?.max(1),
            "default_action" => self.default_action = value.to_owned(),
            "policy_context" => self.context = value.to_owned(),
            _ => return Err(format!("policy service syntax error: unexpected attribute name \"{name}\"")),
        }
        Ok(())
    }
}

/// `10`, `10s`, `2m`, `1h`, `1d`, `1w`.
fn seconds(text: &str) -> Option<Duration> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let unit = match &text[end..] {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        "w" => 604_800,
        _ => return None,
    };
    text[..end].parse::<u64>().ok()?.checked_mul(unit).map(Duration::from_secs)
}

fn text(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::TimedOut => "Connection timed out".into(),
        io::ErrorKind::UnexpectedEof => "lost connection".into(),
        _ => error.to_string().split(" (os error").next().unwrap_or_default().to_owned(),
    }
}

impl fmt::Display for PolicyService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.endpoint.fmt(f)
    }
}
