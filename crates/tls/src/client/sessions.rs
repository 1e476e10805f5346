//! Sessions that a client may take up again. A session is bound to the whole plan under which it was made, and to the server: it can not
//! bring its trust along to another.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use openssl::ex_data::Index;
use openssl::ssl::{Ssl, SslContextBuilder, SslRef, SslSession, SslSessionCacheMode};
use openssl::x509::X509VerifyResult;

use super::Server;
use crate::log_level::LogLevels;
use crate::policy::Plan;
use crate::{ffi, journal};

/// Most sessions that one context keeps; beyond that the oldest goes.
const MAX_SESSIONS: usize = 2000;

/// What a session is bound to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) plan: Plan,
    pub(super) server: Server,
}

impl Key {
    /// A short name for the log.
    fn shown(&self) -> String {
        let digest = openssl::sha::sha256(format!("{self:?}").as_bytes());
        let hex: String = digest.iter().take(16).map(|byte| format!("{byte:02X}")).collect();
        format!("{}[{}]&{hex}", self.server.host, self.server.address)
    }
}

/// The sessions of one context, in memory.
pub(super) struct Sessions {
    lifetime: Duration,
    /// In DER form: the library spoils a session of TLS 1.3 once it was offered, and any whose connection ends without a farewell.
    kept: Mutex<HashMap<Key, (Vec<u8>, Instant)>>,
}

fn index() -> Option<Index<Ssl, Key>> {
    static INDEX: OnceLock<Option<Index<Ssl, Key>>> = OnceLock::new();
    *INDEX.get_or_init(|| Ssl::new_ex_index().ok())
}

impl Sessions {
    /// Keeps what the handshakes of a context give.
    pub(super) fn install(context: &mut SslContextBuilder, lifetime: Duration) -> Arc<Sessions> {
        let sessions = Arc::new(Sessions { lifetime, kept: Mutex::default() });
        context.set_session_cache_mode(SslSessionCacheMode::CLIENT | SslSessionCacheMode::NO_INTERNAL);
        let keeping = Arc::clone(&sessions);
        context.set_new_session_callback(move |ssl, session| {
            let Some(key) = index().and_then(|index| ssl.ex_data(index)) else { return };
            // What failed is not worth repeating, and must not look better the second time.
            let verified = ssl.verify_result() == X509VerifyResult::OK;
            let verifies = key.plan.level().must_authenticate() && key.plan.fingerprints().is_empty();
            if (verified || !verifies)
                && let Ok(der) = session.to_der()
            {
                tell(ssl, |_| format!("save session {} to client cache", key.shown()));
                keeping.keep(key.clone(), der, Instant::now());
            }
        });
        sessions
    }

    /// Offers the session that fits, if there is one. As in Postfix it stays for the next time, a ticket of TLS 1.3 too: Postfix's
    /// servers give none with a resumed handshake, and RFC 8446 appendix C.4 fears for the privacy of clients that mail servers do not
    /// have.
    pub(super) fn offer(&self, ssl: &mut SslRef, key: Key) {
        tell(ssl, |_| format!("looking for session {} in client cache", key.shown()));
        let found = self.find(&key, Instant::now());
        if let Some(session) = found {
            tell(ssl, |_| format!("reloaded session {} from client cache", key.shown()));
            // Without it there is a full handshake.
            let _ = ffi::offer_session(ssl, &session);
        }
        if let Some(index) = index() {
            ssl.set_ex_data(index, key);
        }
    }

    fn keep(&self, key: Key, session: Vec<u8>, now: Instant) {
        let mut kept = self.lock();
        if kept.len() >= MAX_SESSIONS && !kept.contains_key(&key) {
            kept.retain(|_, (_, until)| *until > now);
            let oldest = kept.iter().min_by_key(|(_, (_, until))| *until).map(|(key, _)| key.clone());
            if let Some(oldest) = oldest.filter(|_| kept.len() >= MAX_SESSIONS) {
                kept.remove(&oldest);
            }
        }
        kept.insert(key, (session, now + self.lifetime));
    }

    fn find(&self, key: &Key, now: Instant) -> Option<SslSession> {
        let kept = self.lock();
        let (session, until) = kept.get(key)?;
        if *until <= now {
            return None;
        }
        SslSession::from_der(session).ok()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Key, (Vec<u8>, Instant)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn tell(ssl: &SslRef, line: impl FnOnce(&str) -> String) {
    if let Some(journal) = journal::of(ssl) {
        journal.tell(LogLevels::CACHE, line);
    }
}
