//! Whether answers are validated at all (postconf(5), dnssec_probe): asked once, when the first answer came without anybody's word
//! for it.

use std::sync::atomic::{AtomicBool, Ordering};

use dns::Resolver;
use maillog::Log;

/// The question of a service.
pub(crate) struct DnssecProbe {
    /// `type:name`; empty for no probe.
    question: String,
    is_settled: AtomicBool,
}

impl DnssecProbe {
    pub(crate) fn new(question: &str) -> DnssecProbe {
        DnssecProbe { question: question.to_owned(), is_settled: AtomicBool::new(question.is_empty()) }
    }

    /// An answer came. One that was vouched for settles the question as well.
    pub(crate) async fn saw(&self, secure: bool, resolver: &Resolver, log: &Log) {
        if self.is_settled.load(Ordering::Relaxed) || self.is_settled.swap(true, Ordering::Relaxed) || secure
        {
            return;
        }
        let reason = match resolver.validates(&self.question).await {
            Ok(true) => return,
            Ok(false) => "received a response that is not DNSSEC validated".to_owned(),
            Err(why) => format!("received no response: {why}"),
        };
        maillog::warning!(log, "DNSSEC validation may be unavailable");
        maillog::warning!(log, "reason: dnssec_probe '{}' {reason}", self.question);
    }
}
