//! The accepting side: what a service needs for TLS, shared by all its sessions, and the handshake.
//!
//! - `context.rs`: one context of the library, made of settings and files. `own_certificates.rs`: what it shows.
//! - `sessions.rs`, `tickets.rs`: resumption. They outlive the contexts.
//! - `sni.rs`: certificates by the name that the client asks for.

mod context;
mod own_certificates;
#[cfg(test)]
mod resumption_tests;
mod sessions;
mod sni;
pub(crate) mod tickets;

use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use config::{Settings, params};
use mail::TlsFacts;
use openssl::hash::MessageDigest;
use openssl::ssl::{ErrorCode, Ssl, SslContext, SslContextBuilder, SslMethod};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_openssl::SslStream;

use crate::dump::Shown;
use crate::facts::{self, Reading};
use crate::files::Files;
use crate::journal::{self, Journal};
use crate::level::ServerLevel;
use crate::log_level::LogLevels;
use crate::problem::HandshakeFailure;
use crate::stream::Secured;
use crate::trace::Tracer;
use crate::{Notice, ciphers, ffi, fingerprint, library, options, trust};
use context::{Parts, Ready, Terms};
use sessions::Resumption;
use sni::{Asking, Sni};

pub use sni::{Looking, Names, files_of};

/// TLS of one service.
pub struct Server {
    settings: Settings,
    terms: Terms,
    files: Arc<Files>,
    resumption: Resumption,
    sni: Option<Sni>,
    digest: MessageDigest,
    tracer: Tracer,
    /// `None` while no certificate can be used.
    ready: RwLock<Option<Arc<Ready>>>,
}

/// Why a service can not do TLS. STARTTLS is then answered with 454, and this stands in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unavailable(pub String);

/// What [`Server::open`] needs.
pub struct Opening<'a> {
    /// The settings of the service.
    pub settings: &'a Settings,
    /// Its level.
    pub level: ServerLevel,
    /// Its name in master.cf: sessions and tickets of different services do not mix.
    pub service: &'a str,
    /// The files of the process.
    pub files: &'a Arc<Files>,
    /// The tables of tls_server_sni_maps; nothing when there are none, and then names are ignored.
    pub names: Option<Box<dyn Names>>,
}

impl Server {
    /// Reads settings and files. Notices are for the log, whatever the outcome. The error means that the settings make no sense;
    /// when only the files are at fault, the server waits for better ones ([`Server::is_available`]).
    pub fn open(opening: Opening<'_>, notices: &mut Vec<Notice>) -> Result<Server, Unavailable> {
        let Opening { settings, level, service, files, names } = opening;
        library::configure(settings).map_err(Unavailable)?;
        let terms = Terms::read(settings, level.is_mandatory(), notices)?;
        let digest =
            fingerprint::digest(settings.get(params::smtpd_tls_fingerprint_digest)).map_err(|why| {
                Unavailable(format!("{why}; disabling TLS support (smtpd_tls_fingerprint_digest)"))
            })?;
        if let Err(why) = &terms.ciphers {
            notices.push(Notice(format!(
                "{why}: every TLS handshake of this service will fail; {}, and exclusions are words without operators",
                ciphers::GRADES
            )));
        }
        let server = Server {
            terms,
            digest,
            files: Arc::clone(files),
            tracer: Tracer::new(
                format!("{}/mailclad/tlstrace", settings.get(params::queue_directory)).into(),
                settings.get(params::smtpd_tls_trace_size_limit),
                settings.get(params::tls_trace_rate_limit),
                settings.get(params::anvil_rate_time_unit),
            ),
            resumption: Resumption::read(settings, service, notices),
            sni: names.map(|names| Sni::new(names, Arc::clone(files))),
            settings: settings.clone(),
            ready: RwLock::default(),
        };
        match Ready::build(&server.parts(), None, notices) {
            Ok(ready) => {
                *server.ready.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(ready))
            }
            Err(Unavailable(why)) => notices.push(Notice(why)),
        }
        Ok(server)
    }

    /// A server with files of its own, for those who have one service only. Without usable certificates it is an error.
    pub fn new(
        settings: &Settings,
        level: ServerLevel,
        service: &str,
        notices: &mut Vec<Notice>,
    ) -> Result<Server, Unavailable> {
        let files = Arc::default();
        let server = Server::open(Opening { settings, level, service, files: &files, names: None }, notices)?;
        match (server.is_available(), notices.last()) {
            (false, Some(Notice(why))) => Err(Unavailable(why.clone())),
            _ => Ok(server),
        }
    }

    /// Is there a certificate to show? If not, STARTTLS is answered with 454.
    pub fn is_available(&self) -> bool {
        self.current().is_some()
    }

    /// After files changed: true when other certificates or authorities are in force now. A damaged file leaves the old ones in
    /// force, and a notice says so. Handshakes under way, and sessions, go on with what they began with.
    pub fn renew(&self, notices: &mut Vec<Notice>) -> bool {
        let before = self.current();
        // What concerns the settings was said at the start.
        let mut all = Vec::new();
        let built = Ready::build(&self.parts(), before.as_deref(), &mut all);
        notices.extend(all.into_iter().filter(is_about_renewal));
        let changed = match built {
            Ok(ready) => {
                let changed = before.is_none_or(|before| !before.same(&ready));
                *self.ready.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(ready));
                changed
            }
            Err(Unavailable(why)) => {
                notices.push(match before {
                    Some(_) => kept(&why),
                    None => Notice(why),
                });
                false
            }
        };
        self.sni.as_ref().is_some_and(|sni| sni.renew(notices)) | changed
    }

    /// Writes the sessions that clients may resume to their file, so that they survive a restart. The error is for the log.
    pub fn save_sessions(&self) -> Result<(), String> {
        let Some(cache) = &self.resumption.cache else { return Ok(()) };
        cache.save(SystemTime::now()).map_err(|why| format!("smtpd_tls_session_cache_database: {why}"))
    }

    /// Shakes hands over a connection that has spoken only plaintext so far; nothing of it may be left in buffers.
    pub async fn accept<S>(
        &self,
        stream: S,
        mut journal: Journal,
    ) -> Result<(Secured<S>, TlsFacts), HandshakeFailure>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let Some(ready) = self.current() else { return Err(HandshakeFailure::plain("TLS is not available")) };
        let ciphers = match &self.terms.ciphers {
            Ok(ciphers) => ciphers,
            Err(why) => {
                journal.warning(&format!("{}: {why}", journal.peer));
                return Err(HandshakeFailure::not_attempted());
            }
        };
        if self.terms.requires {
            journal.levels = journal.levels | LogLevels::UNTRUSTED;
        }
        journal.tell(LogLevels::VERBOSE, |peer| format!("setting up TLS connection from {peer}"));
        journal.tell(LogLevels::VERBOSE, |peer| format!("{peer}: TLS cipher list \"{ciphers}\""));
        let failed = |error: openssl::error::ErrorStack| HandshakeFailure::of_library("-1", &error);
        let mut ssl = Ssl::new(&ready.context).map_err(failed)?;
        trust::prepare(&mut ssl);
        journal::attach(&mut ssl, journal.clone());
        if journal.levels.contains(LogLevels::STATES) {
            ffi::tell_states(&mut ssl);
        }
        let transcript = self.tracer.begin(&mut ssl, &journal);
        let asking = self.sni.as_ref().map(|sni| (sni, Asking::prepare(&mut ssl)));
        let mut stream = SslStream::new(ssl, Shown::new(stream, &journal)).map_err(failed)?;
        let shaking = shake(&mut stream, asking, &journal);
        let shaken = match tokio::time::timeout(self.timeout(), shaking).await {
            Ok(shaken) => shaken,
            Err(_elapsed) => Err(HandshakeFailure::timed_out()),
        };
        if let Some(transcript) = &transcript {
            self.tracer.end(transcript, &journal);
        }
        let sni = shaken?;
        stream.get_mut().handshake_is_over();
        let reading = Reading {
            peer_role: "client",
            digest: self.digest,
            asked_ccert: self.settings.get(params::smtpd_tls_ask_ccert),
            show_sni: false,
        };
        let facts = TlsFacts { sni, ..facts::read(stream.ssl(), &reading) };
        if let Some(certificate) = stream.ssl().peer_certificate() {
            let (subject, issuer) = (certificate.subject_name(), certificate.issuer_name());
            journal.tell(LogLevels::VERBOSE, |_| format!("subject={}", trust::one_line(subject)));
            journal.tell(LogLevels::VERBOSE, |_| format!("issuer={}", trust::one_line(issuer)));
        }
        tell(&journal, &facts);
        Ok((Secured::new(stream), facts))
    }

    /// The refusal that a client without an acceptable certificate hears when smtpd_tls_req_ccert is in force.
    pub fn ccert_refusal(&self, facts: &TlsFacts) -> Option<&'static str> {
        use mail::tls_facts::Trust;
        match facts.trust {
            _ if !self.terms.requires => None,
            Trust::Anonymous => Some("No client certificate presented"),
            Trust::Untrusted => Some("Client certificate not trusted"),
            Trust::Trusted | Trust::Verified => None,
        }
    }

    /// smtpd_starttls_timeout: how long a handshake, and a farewell, may take.
    pub fn timeout(&self) -> Duration {
        self.settings.get(params::smtpd_starttls_timeout)
    }

    fn current(&self) -> Option<Arc<Ready>> {
        self.ready.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn parts(&self) -> Parts<'_> {
        Parts {
            settings: &self.settings,
            terms: &self.terms,
            files: &self.files,
            resumption: &self.resumption,
            has_names: self.sni.is_some(),
        }
    }
}

/// The handshake; where it rests for a name, the table is asked. Gives the name that selected certificates.
async fn shake<S>(
    stream: &mut SslStream<Shown<S>>,
    asking: Option<(&Sni, Asking)>,
    journal: &Journal,
) -> Result<Option<String>, HandshakeFailure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut selected = None;
    loop {
        match (Pin::new(&mut *stream).accept().await, &asking) {
            (Ok(()), _) => return Ok(selected),
            (Err(error), Some((sni, asking))) if error.code() == ErrorCode::WANT_CLIENT_HELLO_CB => {
                selected = asking.answer(sni, journal).await.map_err(|why| {
                    journal.warning(&why);
                    HandshakeFailure::not_attempted()
                })?;
            }
            (Err(error), _) => return Err(HandshakeFailure::new(&error)),
        }
    }
}

/// What the log says of a completed handshake.
fn tell(journal: &Journal, facts: &TlsFacts) {
    if let Some(reason) = &facts.untrusted_reason {
        journal.tell(LogLevels::UNTRUSTED, |peer| reason.replacen("PEER", peer, 1));
    }
    if let Some(peer) = &facts.peer {
        journal.tell(LogLevels::PEERCERT | LogLevels::VERBOSE, |name| {
            format!(
                "{name}: subject_CN={}, issuer={}, cert fingerprint={}, pkey fingerprint={}",
                peer.subject_cn, peer.issuer_cn, peer.fingerprint, peer.pubkey_fingerprint
            )
        });
    }
    if facts.resumed {
        let how = if journal.used_ticket() { " (RFC 5077 session ticket)" } else { "" };
        journal.tell(LogLevels::CACHE, |peer| format!("{peer}: Reusing old session{how}"));
    }
    journal.tell(LogLevels::SUMMARY, |peer| {
        let to = facts.sni.as_ref().map(|name| format!(" to {name}")).unwrap_or_default();
        format!("{} TLS connection established from {peer}{to}: {}", facts.trust, facts.summary())
    });
}

/// What both sides of TLS share.
pub(crate) fn new_context() -> Result<SslContextBuilder, openssl::error::ErrorStack> {
    let mut context = SslContext::builder(SslMethod::tls())?;
    options::set_always(&mut context);
    Ok(context)
}

const KEPT: &str = ": the old one stays in use";

/// A renewal that went wrong.
fn kept(why: &str) -> Notice {
    Notice(format!("{why}{KEPT}"))
}

fn is_about_renewal(notice: &Notice) -> bool {
    notice.0.ends_with(KEPT)
}
