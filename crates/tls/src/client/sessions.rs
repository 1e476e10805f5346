//! Sessions that a client may take up again. A session is bound to the whole plan under which it was made, to the server, and to the
//! authorities and certificates of the client at that time: it can not bring its trust along to another.

use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use openssl::ex_data::Index;
use openssl::ssl::{Ssl, SslContextBuilder, SslRef, SslSession, SslSessionCacheMode};
use openssl::x509::X509VerifyResult;

use super::Server;
use crate::log_level::LogLevels;
use crate::policy::Plan;
use crate::session_cache::SessionCache;
use crate::{ffi, journal};

/// What a session is bound to beside [`Sessions::binding`].
pub(super) struct Key {
    pub(super) plan: Plan,
    pub(super) server: Server,
}

/// A key and its digest in the cache.
struct Entry {
    key: Key,
    id: [u8; 32],
}

impl Entry {
    /// A short name for the log.
    fn shown(&self) -> String {
        let hex: String = self.id.iter().take(16).map(|byte| format!("{byte:02X}")).collect();
        format!("{}[{}]&{hex}", self.key.server.host, self.key.server.address)
    }
}

/// The sessions of one context, in the cache of its service.
pub(super) struct Sessions {
    /// In DER form: the library spoils a session of TLS 1.3 once it was offered, and any whose connection ends without a farewell.
    cache: Arc<SessionCache>,
    /// Digest of what the service went by when its files were read.
    binding: [u8; 32],
}

fn index() -> Option<Index<Ssl, Entry>> {
    static INDEX: OnceLock<Option<Index<Ssl, Entry>>> = OnceLock::new();
    *INDEX.get_or_init(|| Ssl::new_ex_index().ok())
}

impl Sessions {
    /// Keeps what the handshakes of a context give.
    pub(super) fn install(
        context: &mut SslContextBuilder,
        cache: &Arc<SessionCache>,
        binding: [u8; 32],
    ) -> Sessions {
        context.set_session_cache_mode(SslSessionCacheMode::CLIENT | SslSessionCacheMode::NO_INTERNAL);
        let keeping = Arc::clone(cache);
        context.set_new_session_callback(move |ssl, session| {
            let Some(entry) = index().and_then(|index| ssl.ex_data(index)) else { return };
            let key = &entry.key;
            // What failed is not worth repeating, and must not look better the second time.
            let verified = ssl.verify_result() == X509VerifyResult::OK;
            let verifies = key.plan.level().must_authenticate() && key.plan.fingerprints().is_empty();
            if (verified || !verifies)
                && let Ok(der) = session.to_der()
            {
                tell(ssl, |_| format!("save session {} to client cache", entry.shown()));
                keeping.keep(&entry.id, &der, SystemTime::now());
            }
        });
        Sessions { cache: Arc::clone(cache), binding }
    }

    /// Offers the session that fits, if there is one. As in Postfix it stays for the next time, a ticket of TLS 1.3 too: Postfix's
    /// servers give none with a resumed handshake, and RFC 8446 appendix C.4 fears for the privacy of clients that mail servers do not
    /// have.
    pub(super) fn offer(&self, ssl: &mut SslRef, key: Key) {
        let entry = Entry { id: self.id(&key), key };
        tell(ssl, |_| format!("looking for session {} in client cache", entry.shown()));
        let found = self.cache.find(&entry.id, SystemTime::now());
        if let Some(session) = found.and_then(|der| SslSession::from_der(&der).ok()) {
            tell(ssl, |_| format!("reloaded session {} from client cache", entry.shown()));
            // Without it there is a full handshake.
            let _ = ffi::offer_session(ssl, &session);
        }
        if let Some(index) = index() {
            ssl.set_ex_data(index, entry);
        }
    }

    /// The same in the next process, so that what was kept is found again.
    fn id(&self, key: &Key) -> [u8; 32] {
        openssl::sha::sha256(format!("{:?}\n{:?}\n{:?}", self.binding, key.plan, key.server).as_bytes())
    }
}

fn tell(ssl: &SslRef, line: impl FnOnce(&str) -> String) {
    if let Some(journal) = journal::of(ssl) {
        journal.tell(LogLevels::CACHE, line);
    }
}
