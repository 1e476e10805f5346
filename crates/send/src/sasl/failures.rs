//! Refused logins, so that a wrong password is not shown to a server with every message (postconf(5), smtp_sasl_auth_cache_name).

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use smtp::client::ServerReply;

use super::Credentials;

/// Most refusals that are remembered; beyond that all are forgotten.
const MAX_FAILURES: usize = 1000;

/// The refusals of one service, in memory: who asked whom, the answer, and until when it stands.
pub(crate) struct Failures {
    lifetime: Duration,
    refused: Mutex<HashMap<(String, Credentials), (ServerReply, Instant)>>,
}

impl Failures {
    /// `lifetime` is smtp_sasl_auth_cache_time.
    pub(crate) fn new(lifetime: Duration) -> Failures {
        Failures { lifetime, refused: Mutex::default() }
    }

    /// What the server said to these credentials.
    pub(crate) fn find(&self, host: &str, credentials: &Credentials, now: Instant) -> Option<ServerReply> {
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let (reply, until) = refused.get(&(host.to_ascii_lowercase(), credentials.clone()))?;
        (*until > now).then(|| reply.clone())
    }

    /// A login was refused for good.
    pub(crate) fn remember(&self, host: &str, credentials: Credentials, reply: ServerReply, now: Instant) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if refused.len() >= MAX_FAILURES {
            refused.clear();
        }
        refused.insert((host.to_ascii_lowercase(), credentials), (reply, now + self.lifetime));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_stands_for_its_credentials_and_its_time() {
        let failures = Failures::new(Duration::from_secs(60));
        let now = Instant::now();
        let reply =
            ServerReply { code: 535, status: mail::Status::new(5, 7, 8), text: "535 5.7.8 no".into() };
        failures.remember("MX.test", Credentials::new("u", "p"), reply.clone(), now);
        let find = |host, password, seconds| {
            failures.find(host, &Credentials::new("u", password), now + Duration::from_secs(seconds))
        };
        assert_eq!(find("mx.test", "p", 59), Some(reply));
        assert_eq!(find("mx.test", "p", 61), None);
        assert_eq!(find("mx.test", "changed", 1), None);
        assert_eq!(find("mx2.test", "p", 1), None);
        for number in 0..=MAX_FAILURES {
            let reply = ServerReply { code: 535, status: mail::Status::new(5, 7, 8), text: "535 no".into() };
            failures.remember(&format!("mx{number}.test"), Credentials::new("u", "p"), reply, now);
        }
        assert!(failures.refused.lock().unwrap().len() <= MAX_FAILURES);
    }
}
