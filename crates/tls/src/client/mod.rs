//! The connecting side: contexts for the plans of a service, and the handshake that a [`Plan`] asks for.

mod context;
mod explain;
mod sessions;
mod shown;

pub use shown::{Digest, ShownCertificate};

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use config::{Settings, params};
use mail::TlsFacts;
use mail::tls_facts::Trust;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::ssl::{Ssl, SslRef};
use openssl::x509::X509;
use openssl::x509::verify::X509CheckFlags;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_openssl::SslStream;

use self::context::{Parts, Ready};
use crate::dump::Shown;
use crate::facts::{self, Reading};
use crate::files::Files;
use crate::identity::{Identity, Pair};
use crate::journal::{self, Journal};
use crate::level::ClientLevel;
use crate::log_level::LogLevels;
use crate::policy::{Admitted, END_ENTITY, Plan, StsPlan, TRUST_ANCHOR, TlsaRecord, Unmet};
use crate::problem::HandshakeFailure;
use crate::session_cache::SessionCache;
use crate::stream::Secured;
use crate::trace::Tracer;
use crate::{Notice, ffi, fingerprint, library, options, trust};

/// Most contexts of one service; beyond that they are made anew.
const MAX_CONTEXTS: usize = 64;

/// Who is connected to. Sessions are bound to it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Server {
    /// Its name.
    pub host: String,
    /// Its address, or the path of a socket.
    pub address: String,
    /// TCP port; `None` for sockets.
    pub port: Option<u16>,
}

/// TLS of one client service, ready for handshakes.
pub struct Client {
    settings: Settings,
    files: Arc<Files>,
    state: Mutex<State>,
    /// Sessions that may be resumed, if they are kept at all; they outlive the contexts.
    sessions: Option<Arc<SessionCache>>,
    digest: MessageDigest,
    timeout: Duration,
    tracer: Tracer,
    /// CAfile or CApath is set.
    has_anchors: bool,
}

/// What was made of the files, until they change.
struct State {
    /// The error is for the log: mail that wants TLS waits.
    parts: Result<Arc<Parts>, String>,
    contexts: HashMap<context::Key, Arc<Ready>>,
}

/// A completed handshake, judged.
pub struct Connection<S> {
    /// What mail goes over.
    pub stream: Secured<S>,
    /// What was proved, with the trust that the plan confirms.
    pub facts: TlsFacts,
    /// The proof that it satisfies the plan.
    pub verdict: Result<Admitted, Unmet>,
    /// Why it does not, for an administrator.
    pub explanation: Option<String>,
    /// What is wrong with the certificate, for a report; also where nothing depends on it but a policy is being tested.
    pub shortcoming: Option<Shortcoming>,
}

/// What verification found wrong, in the kinds that reports tell apart (RFC 8460 section 4.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shortcoming {
    /// It is for another name.
    HostMismatch,
    /// No authority that counts vouches for it.
    NotTrusted,
    /// Its time, or that of an authority, is over.
    Expired,
    /// Something else; says what.
    Other(String),
}

impl Client {
    /// A client for one use, whose sessions end with it; see [`Client::of_service`].
    pub fn new(settings: &Settings, notices: &mut Vec<Notice>) -> Result<Client, String> {
        let sessions = session_lifetime(settings).map(SessionCache::in_memory);
        let client = Client::read(settings, Arc::default(), sessions, notices)?;
        client.trouble().map_or(Ok(client), Err)
    }

    /// Reads keys and authorities of a service (smtp or lmtp), as far as `files` does not have them, and the sessions that it kept; with
    /// the rights of whoever starts it. The error is for the log; deliveries that want TLS are deferred then.
    pub fn of_service(
        service: &str,
        settings: &Settings,
        files: Arc<Files>,
        notices: &mut Vec<Notice>,
    ) -> Result<Client, String> {
        let directory = settings.get(params::data_directory);
        let sessions = session_lifetime(settings)
            .map(|lifetime| SessionCache::of_service(lifetime, directory, "smtp", service));
        if let Some(Err(why)) = sessions.as_ref().map(|sessions| sessions.load(SystemTime::now())) {
            notices.push(Notice(format!(
                "smtp_tls_session_cache_database: {why}; handshakes are full at first"
            )));
        }
        Client::read(settings, files, sessions, notices)
    }

    fn read(
        settings: &Settings,
        files: Arc<Files>,
        sessions: Option<SessionCache>,
        notices: &mut Vec<Notice>,
    ) -> Result<Client, String> {
        library::configure(settings)?;
        let digest = fingerprint::digest(settings.client(params::smtp_tls_fingerprint_digest))?;
        let parts = Parts::read(settings, &files, notices).map(Arc::new);
        // What the options say wrong is told once, here.
        options::set(
            &mut crate::server::new_context().map_err(|error| error.to_string())?,
            settings,
            notices,
        );
        let anchors = [params::smtp_tls_CAfile, params::smtp_tls_CApath];
        Ok(Client {
            has_anchors: anchors.iter().any(|param| !settings.client(*param).is_empty()),
            digest,
            timeout: settings.client(params::smtp_starttls_timeout),
            tracer: Tracer::new(
                format!("{}/mailclad/tlstrace", settings.get(params::queue_directory)).into(),
                settings.client(params::smtp_tls_trace_size_limit),
                settings.get(params::tls_trace_rate_limit),
                settings.get(params::anvil_rate_time_unit),
            ),
            state: Mutex::new(State { parts, contexts: HashMap::new() }),
            sessions: sessions.map(Arc::new),
            settings: settings.clone(),
            files,
        })
    }

    /// Writes the sessions that may be resumed to their file, so that they survive a restart. The error is for the log.
    pub fn save_sessions(&self) -> Result<(), String> {
        let Some(sessions) = &self.sessions else { return Ok(()) };
        sessions.save(SystemTime::now()).map_err(|why| format!("smtp_tls_session_cache_database: {why}"))
    }

    /// The digest of fingerprints.
    pub fn digest(&self) -> Digest {
        Digest(self.digest)
    }

    /// Why no handshake is possible, for the log.
    pub fn trouble(&self) -> Option<String> {
        self.state().parts.as_ref().err().cloned()
    }

    /// After files changed: true when the client goes by other certificates or authorities now. Damaged files leave the old ones in
    /// force, and a notice says so. Connections go on with what they began with.
    pub fn renew(&self, changed: &BTreeSet<String>, notices: &mut Vec<Notice>) -> bool {
        if !self.own_files().iter().any(|path| changed.contains(path)) {
            return false;
        }
        let mut about_settings = Vec::new();
        let parts = Parts::read(&self.settings, &self.files, &mut about_settings);
        let damage = match &parts {
            Err(why) => Some(why),
            Ok(parts) => parts.authorities.as_ref().err(),
        };
        let mut state = self.state();
        match (damage, &state.parts) {
            (Some(why), Ok(_)) => {
                notices.push(Notice(format!("{why}; what was read before stays in force")));
                false
            }
            _ => {
                *state = State { parts: parts.map(Arc::new), contexts: HashMap::new() };
                state.parts.is_ok()
            }
        }
    }

    /// The files that this client goes by.
    fn own_files(&self) -> Vec<String> {
        let settings = &self.settings;
        let mut paths: Vec<String> = config::list::split(settings.client(params::smtp_tls_chain_files))
            .into_iter()
            .map(str::to_owned)
            .collect();
        let others = [
            params::smtp_tls_CAfile,
            params::https_CAfile,
            params::smtp_tls_cert_file,
            params::smtp_tls_key_file,
            params::smtp_tls_eccert_file,
            params::smtp_tls_eckey_file,
            params::smtp_tls_dcert_file,
            params::smtp_tls_dkey_file,
        ];
        paths.extend(others.iter().map(|param| settings.client(*param).to_owned()));
        paths
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Can this plan be carried out? The error says which setting is wrong; nothing has been said to the server then.
    pub fn check(&self, plan: &Plan) -> Result<(), String> {
        self.ready(plan)?;
        anchors(plan).map(|_| ())
    }

    /// Can the trust anchors of this plan be read? That can be known before a server is connected to.
    pub fn check_anchors(&self, plan: &Plan) -> Result<(), String> {
        anchors(plan).map(|_| ())
    }

    /// Shakes hands, and judges what was proved.
    pub async fn connect<S>(
        &self,
        plan: &Plan,
        server: &Server,
        stream: S,
        mut journal: Journal,
    ) -> Result<Connection<S>, HandshakeFailure>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let failed = |error: openssl::error::ErrorStack| HandshakeFailure::of_library("-1", &error);
        let not_attempted = |journal: &Journal, why: &str| {
            journal.warning(&format!("{}: {why}", journal.peer));
            HandshakeFailure::not_attempted()
        };
        let ready = self.ready(plan).map_err(|why| not_attempted(&journal, &why))?;
        let anchors = anchors(plan).map_err(|why| not_attempted(&journal, &why))?;
        if plan.level().must_authenticate() {
            journal.levels = journal.levels | LogLevels::UNTRUSTED;
        }
        journal.tell(LogLevels::VERBOSE, |peer| format!("setting up TLS connection to {peer}"));
        journal.tell(LogLevels::VERBOSE, |peer| format!("{peer}: TLS cipher list \"{}\"", ready.ciphers));
        let mut ssl = Ssl::new(&ready.context).map_err(failed)?;
        trust::prepare(&mut ssl);
        journal::attach(&mut ssl, journal.clone());
        if journal.levels.contains(LogLevels::STATES) {
            ffi::tell_states(&mut ssl);
        }
        let transcript = self.tracer.begin(&mut ssl, &journal);
        if !expect(&mut ssl, plan, &anchors).map_err(failed)? {
            return Err(not_attempted(
                &journal,
                "the library can use none of the TLSA records or trust anchors",
            ));
        }
        if let Some(name) = plan.server_name() {
            ssl.set_hostname(name).map_err(failed)?;
        }
        if let Some(sessions) = &ready.sessions {
            sessions.offer(&mut ssl, sessions::Key { plan: plan.clone(), server: server.clone() });
        }
        let mut stream = SslStream::new(ssl, Shown::new(stream, &journal)).map_err(failed)?;
        let shaken = tokio::time::timeout(self.timeout, Pin::new(&mut stream).connect()).await;
        if let Some(transcript) = &transcript {
            self.tracer.end(transcript, &journal);
        }
        match shaken {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(HandshakeFailure::new(&error)),
            Err(_elapsed) => return Err(HandshakeFailure::timed_out()),
        }
        stream.get_mut().handshake_is_over();
        let reading =
            Reading { peer_role: "server", digest: self.digest, asked_ccert: false, show_sni: false };
        let mut facts = facts::read(stream.ssl(), &reading);
        let by_records = plan.tlsa().is_some() || !anchors.is_empty();
        // Whatever else the library may have found good: a record must have matched, in this handshake or in the one before.
        if by_records && !facts.resumed && ffi::matched_record(stream.ssl()).is_none() {
            facts.trust = facts.trust.min(Trust::Untrusted);
        }
        let (facts, verdict) = plan.admit(facts);
        let explanation = verdict
            .is_err()
            .then(|| explain::explain(stream.ssl(), plan, &facts, self.has_anchors || !anchors.is_empty()));
        let tried = matches!(plan.sts(), Some(StsPlan::Testing { .. })) && facts.trust < Trust::Trusted;
        let shortcoming = (verdict.is_err() || tried).then(|| trust::shortcoming(stream.ssl()));
        tell(&journal, stream.ssl(), plan, &facts);
        Ok(Connection { stream: Secured::new(stream), facts, verdict, explanation, shortcoming })
    }

    fn ready(&self, plan: &Plan) -> Result<Arc<Ready>, String> {
        let key = context::Key::of(plan);
        let mut state = self.state();
        if let Some(ready) = state.contexts.get(&key) {
            return Ok(Arc::clone(ready));
        }
        let ready =
            Arc::new(state.parts.as_ref().map_err(Clone::clone)?.build(&key, self.sessions.as_ref())?);
        if state.contexts.len() >= MAX_CONTEXTS {
            state.contexts.clear();
        }
        state.contexts.insert(key, Arc::clone(&ready));
        Ok(ready)
    }
}

/// How long sessions are kept; `None` when they are not.
fn session_lifetime(settings: &Settings) -> Option<Duration> {
    let lifetime = settings.client(params::smtp_tls_session_cache_timeout);
    let kept = !settings.client(params::smtp_tls_session_cache_database).is_empty() && !lifetime.is_zero();
    // As in Postfix, less than two minutes is no use.
    kept.then(|| lifetime.max(Duration::from_secs(120)))
}

/// What the server must show. False: the library can use none of the records.
fn expect(ssl: &mut SslRef, plan: &Plan, anchors: &[TlsaRecord]) -> Result<bool, openssl::error::ErrorStack> {
    ssl.param_mut().set_hostflags(X509CheckFlags::NO_PARTIAL_WILDCARDS);
    if let Some(tlsa) = plan.tlsa() {
        let usable = ffi::expect_records(ssl, Some(&tlsa.base), &tlsa.records, false)?;
        ffi::expect_names(ssl, plan.names(), true)?;
        return Ok(usable);
    }
    let usable = anchors.is_empty() || ffi::expect_records(ssl, None, anchors, true)?;
    if let Some(StsPlan::Testing { host, .. }) = plan.sts() {
        ffi::expect_names(ssl, std::slice::from_ref(host), false)?;
    }
    if matches!(plan.level(), ClientLevel::Verify | ClientLevel::Secure) {
        let (addresses, names): (Vec<_>, Vec<_>) =
            plan.names().iter().cloned().partition(|name| name.parse::<IpAddr>().is_ok());
        ffi::expect_names(ssl, &names, false)?;
        // The library knows one address, and wants it beside a name, not in its place; a next hop is one address.
        if let (true, Some(address)) =
            (names.is_empty(), addresses.first().and_then(|text| text.parse().ok()))
        {
            ssl.param_mut().set_ip(address)?;
        }
    }
    Ok(usable)
}

/// The trust anchors of a plan as records that the library matches whole: as an authority, or as the server's own.
fn anchors(plan: &Plan) -> Result<Vec<TlsaRecord>, String> {
    let mut records = Vec::new();
    for file in plan.anchors() {
        let pem = Files::default()
            .read(file)
            .map_err(|why| format!("error opening trust anchor file: {file}: {why}"))?;
        let before = records.len();
        let mut add = |selector, data: Vec<u8>| {
            for usage in [TRUST_ANCHOR, END_ENTITY] {
                records.push(TlsaRecord { usage, selector, matching_type: 0, data: data.clone() });
            }
        };
        let wrong =
            |error: openssl::error::ErrorStack| format!("error reading trust anchor file: {file}: {error}");
        for block in crate::identity::pem_blocks(&pem.bytes) {
            match block.label().as_str() {
                "CERTIFICATE" | "X509 CERTIFICATE" => {
                    add(
                        0,
                        X509::from_pem(block.0)
                            .and_then(|certificate| certificate.to_der())
                            .map_err(wrong)?,
                    );
                }
                "PUBLIC KEY" => {
                    add(
                        1,
                        PKey::public_key_from_pem(block.0)
                            .and_then(|key| key.public_key_to_der())
                            .map_err(wrong)?,
                    );
                }
                _ => {}
            }
        }
        if records.len() == before {
            return Err(format!("trust anchor file {file} holds no certificate and no public key"));
        }
    }
    Ok(records)
}

/// What the log says of a completed handshake.
fn tell(journal: &Journal, ssl: &SslRef, plan: &Plan, facts: &TlsFacts) {
    if facts.resumed {
        journal.tell(LogLevels::CACHE, |peer| format!("{peer}: Reusing old session"));
    }
    match (plan.tlsa(), ffi::matched_record(ssl)) {
        (Some(_), Some((depth, record))) => journal.tell(LogLevels::MATCHES | LogLevels::DANE, |peer| {
            let kind = if record.usage == END_ENTITY { "EE" } else { "TA" };
            format!("{peer}: Matched DANE {kind} certificate at depth {depth}: {record}")
        }),
        (None, Some((depth, _))) => {
            journal.tell(LogLevels::MATCHES, |peer| format!("{peer}: Matched trust anchor at depth {depth}"));
        }
        (_, None) => {}
    }
    if facts.trust >= Trust::Trusted
        && let Some(name) = ffi::matched_name(ssl)
    {
        journal.tell(LogLevels::MATCHES | LogLevels::PEERCERT, |peer| {
            format!("{peer}: matched peername: {name}")
        });
    }
    if let (Some(peer), true) = (&facts.peer, facts.trust == Trust::Verified) {
        for wanted in plan.fingerprints() {
            if [&peer.fingerprint, &peer.pubkey_fingerprint]
                .iter()
                .any(|shown| fingerprint::equal(wanted, shown))
            {
                journal.tell(LogLevels::MATCHES, |name| format!("{name}: Matched fingerprint: {wanted}"));
            }
        }
    }
    if let Some(reason) = &facts.untrusted_reason {
        journal.tell(LogLevels::UNTRUSTED, |peer| reason.replacen("PEER", peer, 1));
    }
    if let Some(peer) = &facts.peer {
        journal.tell(LogLevels::MATCHES | LogLevels::PEERCERT, |name| {
            format!(
                "{name}: subject_CN={}, issuer={}, cert fingerprint={}, pkey fingerprint={}",
                peer.subject_cn, peer.issuer_cn, peer.fingerprint, peer.pubkey_fingerprint
            )
        });
    }
    journal.tell(LogLevels::SUMMARY, |peer| {
        format!("{} TLS connection established to {peer}: {}", facts.trust, facts.summary())
    });
}

/// The line about a connection that serves another delivery.
pub fn tell_reuse(journal: &Journal, facts: &TlsFacts) {
    journal.tell(LogLevels::SUMMARY, |peer| {
        format!("{} TLS connection reused to {peer}: {}", facts.trust, facts.summary())
    });
}

/// The client's own certificates, none by default.
fn identities(
    settings: &Settings,
    files: &Files,
    notices: &mut Vec<Notice>,
) -> Result<Vec<Identity>, String> {
    let chain_files = config::list::split(settings.client(params::smtp_tls_chain_files));
    if !chain_files.is_empty() {
        return Identity::from_chain_files(&chain_files, files, notices);
    }
    let pairs = [
        ("RSA", settings.client(params::smtp_tls_cert_file), settings.client(params::smtp_tls_key_file)),
        (
            "ECDSA",
            settings.client(params::smtp_tls_eccert_file),
            settings.client(params::smtp_tls_eckey_file),
        ),
        ("DSA", settings.client(params::smtp_tls_dcert_file), settings.client(params::smtp_tls_dkey_file)),
    ];
    let mut found = Vec::new();
    for (label, certificate, key) in pairs {
        if !certificate.is_empty() {
            let key = if key.is_empty() { certificate } else { key };
            let pair = Pair { label, certificate: certificate.into(), key: key.into() };
            found.push(Identity::from_pair(&pair, files, notices)?);
        }
    }
    Ok(found)
}
