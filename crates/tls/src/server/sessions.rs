//! Resumption: which sessions a client may take up again, and for how long (postconf(5), smtpd_tls_session_cache_timeout).

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use config::{Settings, params};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::ssl::{SslContextBuilder, SslOptions, SslRef, SslSession, SslSessionCacheMode, SslVersion};

use super::context::Terms;
use super::tickets::{self, TicketKeys};
use crate::log_level::LogLevels;
use crate::session_cache::SessionCache;
use crate::{Notice, ffi, journal, options};

/// Shortest life of a session: less would only be a full handshake for nearly everybody.
const LEAST_TIMEOUT: Duration = Duration::from_secs(120);

/// RFC 8446 section 4.6.1: a ticket lives seven days at most.
const MOST_LIFETIME: u64 = 7 * 86_400;

/// What one service keeps for resumption; it outlives the contexts.
pub(super) struct Resumption {
    service: Arc<str>,
    /// 0: no session is ever resumed.
    timeout: Duration,
    tickets: Option<Arc<TicketKeys>>,
    pub(super) cache: Option<Arc<SessionCache>>,
    always_issue_ids: bool,
}

impl Resumption {
    /// Reads the settings. Nothing here is ever fatal: without resumption there are full handshakes.
    pub(super) fn read(settings: &Settings, service: &str, notices: &mut Vec<Notice>) -> Resumption {
        let timeout = match settings.get(params::smtpd_tls_session_cache_timeout) {
            Duration::ZERO => Duration::ZERO,
            timeout => timeout.max(LEAST_TIMEOUT),
        };
        let cipher = settings.get(params::tls_session_ticket_cipher);
        let wanted = !timeout.is_zero() && !cipher.is_empty() && !options::forbids_tickets(settings);
        let tickets = match wanted.then(|| TicketKeys::new(cipher, timeout)) {
            Some(Ok(keys)) => Some(Arc::new(keys)),
            Some(Err(why)) => {
                notices.push(Notice(why));
                None
            }
            None => None,
        };
        let configured = !settings.get(params::smtpd_tls_session_cache_database).is_empty();
        let cache = (configured && !timeout.is_zero()).then(|| {
            let directory = settings.get(params::data_directory);
            let cache = SessionCache::of_service(timeout, directory, "smtpd", service);
            if let Err(why) = cache.load(SystemTime::now()) {
                notices.push(Notice(format!(
                    "smtpd_tls_session_cache_database: {why}; clients begin with full handshakes"
                )));
            }
            Arc::new(cache)
        });
        Resumption {
            service: service.into(),
            timeout,
            tickets,
            cache,
            always_issue_ids: settings.get(params::smtpd_tls_always_issue_session_ids),
        }
    }

    /// Prepares a context.
    pub(super) fn install(
        &self,
        context: &mut SslContextBuilder,
        settings: &Settings,
        terms: &Terms,
        authorities: Option<&[u8]>,
    ) -> Result<(), ErrorStack> {
        context.set_session_id_context(&self.binding(settings, terms, authorities)?)?;
        match &self.tickets {
            Some(keys) => tickets::install(context, keys),
            None => _ = context.set_options(SslOptions::NO_TICKET),
        }
        // Without tickets TLS 1.3 keeps its sessions in the cache; with neither there is nothing to give.
        context.set_num_tickets(usize::from(self.tickets.is_some() || self.cache.is_some()))?;
        if self.timeout.is_zero() {
            context.set_session_cache_mode(SslSessionCacheMode::OFF);
            return Ok(());
        }
        ffi::set_session_timeout(context, (self.timeout.as_secs() * 2).min(MOST_LIFETIME) as i64);
        let mode = SslSessionCacheMode::SERVER
            | SslSessionCacheMode::NO_INTERNAL
            | SslSessionCacheMode::NO_AUTO_CLEAR;
        match &self.cache {
            Some(cache) => {
                context.set_session_cache_mode(mode);
                self.use_cache(context, cache);
            }
            // An id that nobody keeps: some old clients fail without one.
            None if self.always_issue_ids => _ = context.set_session_cache_mode(mode),
            None => _ = context.set_session_cache_mode(SslSessionCacheMode::OFF),
        }
        Ok(())
    }

    /// What a session is bound to: the service, and everything that was demanded when it was made. A session from another service,
    /// or from a time with other rules or other authorities, leads to a full handshake.
    fn binding(
        &self,
        settings: &Settings,
        terms: &Terms,
        authorities: Option<&[u8]>,
    ) -> Result<impl std::ops::Deref<Target = [u8]> + use<>, ErrorStack> {
        let authorities = authorities.map(openssl::sha::sha256).unwrap_or_default();
        let text = format!(
            "mailclad smtpd {}\n{:?}\n{:?}\n{} {} {}\n{}\n{authorities:?}",
            self.service,
            terms.protocols,
            terms.ciphers,
            terms.mandatory,
            terms.asks,
            terms.requires,
            settings.get(params::smtpd_tls_CApath),
        );
        openssl::hash::hash(MessageDigest::sha256(), text.as_bytes())
    }

    fn use_cache(&self, context: &mut SslContextBuilder, cache: &Arc<SessionCache>) {
        let has_tickets = self.tickets.is_some();
        let (keeping, service) = (Arc::clone(cache), Arc::clone(&self.service));
        context.set_new_session_callback(move |ssl, session| {
            // The client of a TLS 1.3 session has it in its ticket.
            if has_tickets && ssl.version2() == Some(SslVersion::TLS1_3) {
                return;
            }
            if let Ok(der) = session.to_der() {
                tell(ssl, |peer| {
                    format!("{peer}: save session {} to smtpd cache", shown(session.id(), &service))
                });
                keeping.keep(session.id(), &der, SystemTime::now());
            }
        });
        let (finding, service) = (Arc::clone(cache), Arc::clone(&self.service));
        ffi::find_sessions(context, move |ssl, id| {
            tell(ssl, |peer| format!("{peer}: looking up session {} in smtpd cache", shown(id, &service)));
            let session = SslSession::from_der(&finding.find(id, SystemTime::now())?).ok()?;
            tell(ssl, |peer| format!("{peer}: reloaded session {} from smtpd cache", shown(id, &service)));
            Some(session)
        });
        let forgetting = Arc::clone(cache);
        context.set_remove_session_callback(move |_, session| forgetting.forget(session.id()));
    }
}

fn tell(ssl: &SslRef, line: impl FnOnce(&str) -> String) {
    if let Some(journal) = journal::of(ssl) {
        journal.tell(LogLevels::CACHE, line);
    }
}

/// `5D20...&s=smtp&l=805306688`, as Postfix names a session: id, service, version of the library.
fn shown(id: &[u8], service: &str) -> String {
    let hex: String = id.iter().map(|byte| format!("{byte:02X}")).collect();
    format!("{hex}&s={service}&l={}", openssl::version::number())
}
