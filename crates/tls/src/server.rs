//! The accepting side: one context for a service, shared by all its sessions, and the handshake.

use std::pin::Pin;
use std::time::Duration;

use config::{Settings, params};
use mail::TlsFacts;
use openssl::hash::MessageDigest;
use openssl::ssl::{Ssl, SslContext, SslContextBuilder, SslMethod, SslMode, SslOptions, SslSessionCacheMode};
use openssl::x509::X509Name;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_openssl::SslStream;

use crate::facts::{self, Reading};
use crate::identity::{Identity, Pair};
use crate::level::ServerLevel;
use crate::problem::HandshakeFailure;
use crate::protocols::Protocols;
use crate::trust::Anchors;
use crate::{Notice, ciphers, ffi, fingerprint, groups, trust};

/// TLS of one service, ready for handshakes.
pub struct Server {
    context: SslContext,
    digest: MessageDigest,
    asked_ccert: bool,
    required_ccert: bool,
    timeout: Duration,
    log_level: u8,
}

/// Why a service can not do TLS. STARTTLS is then answered with 454, and this stands in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unavailable(pub String);

impl Server {
    /// Builds the context from the settings of a service. `service` is its name in master.cf: sessions and tickets of
    /// different services do not mix. Notices are for the log, whatever the outcome.
    pub fn new(
        settings: &Settings,
        level: ServerLevel,
        service: &str,
        notices: &mut Vec<Notice>,
    ) -> Result<Server, Unavailable> {
        let mandatory = level.is_mandatory();
        let (protocols_name, protocols) = match mandatory {
            true => ("smtpd_tls_mandatory_protocols", settings.get(params::smtpd_tls_mandatory_protocols)),
            false => ("smtpd_tls_protocols", settings.get(params::smtpd_tls_protocols)),
        };
        let protocols = Protocols::parse(protocols).map_err(|why| {
            Unavailable(format!(
                "Invalid TLS protocol list \"{protocols}\": disabling TLS support ({protocols_name}: {why})"
            ))
        })?;
        let required_ccert = settings.get(params::smtpd_tls_req_ccert) && mandatory;
        if settings.get(params::smtpd_tls_req_ccert) && !mandatory {
            notices.push(Notice("Can't require client certs unless TLS is required".into()));
        }
        let asks = settings.get(params::smtpd_tls_ask_ccert) || required_ccert;
        let digest =
            fingerprint::digest(settings.get(params::smtpd_tls_fingerprint_digest)).map_err(|why| {
                Unavailable(format!("{why}; disabling TLS support (smtpd_tls_fingerprint_digest)"))
            })?;

        let mut context = new_context().map_err(|error| Unavailable(error.to_string()))?;
        context.set_security_level(u32::from(required_ccert));
        protocols.apply(&mut context).map_err(|error| Unavailable(error.to_string()))?;
        set_options(&mut context, settings, notices);
        set_ciphers(&mut context, settings, mandatory, asks)?;
        let curves = settings.get(params::tls_eecdh_auto_curves);
        notices.extend(groups::apply(&mut context, curves, settings.get(params::tls_ffdhe_auto_groups)));
        set_dh(&mut context, settings.get(params::smtpd_tls_dh1024_param_file), notices);
        add_identities(&mut context, settings, asks, notices)?;
        set_trust(&mut context, settings, asks, notices)?;
        set_sessions(&mut context, settings, service).map_err(|error| Unavailable(error.to_string()))?;
        Ok(Server {
            context: context.build(),
            digest,
            asked_ccert: settings.get(params::smtpd_tls_ask_ccert),
            required_ccert,
            timeout: settings.get(params::smtpd_starttls_timeout),
            log_level: log_level(settings.get(params::smtpd_tls_loglevel)),
        })
    }

    /// Shakes hands over a connection that has spoken only plaintext so far; nothing of it may be left in buffers.
    pub async fn accept<S>(&self, stream: S) -> Result<(SslStream<S>, TlsFacts), HandshakeFailure>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut ssl = Ssl::new(&self.context).map_err(|error| HandshakeFailure::of_library("-1", &error))?;
        trust::prepare(&mut ssl);
        let mut stream =
            SslStream::new(ssl, stream).map_err(|error| HandshakeFailure::of_library("-1", &error))?;
        match tokio::time::timeout(self.timeout, Pin::new(&mut stream).accept()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(HandshakeFailure::new(&error)),
            Err(_elapsed) => return Err(HandshakeFailure::timed_out()),
        }
        let reading = Reading {
            peer_role: "client",
            digest: self.digest,
            asked_ccert: self.asked_ccert,
            show_sni: false,
        };
        let facts = facts::read(stream.ssl(), &reading);
        Ok((stream, facts))
    }

    /// The refusal that a client without an acceptable certificate hears when smtpd_tls_req_ccert is in force.
    pub fn ccert_refusal(&self, facts: &TlsFacts) -> Option<&'static str> {
        use mail::tls_facts::Trust;
        match facts.trust {
            _ if !self.required_ccert => None,
            Trust::Anonymous => Some("No client certificate presented"),
            Trust::Untrusted => Some("Client certificate not trusted"),
            Trust::Trusted | Trust::Verified => None,
        }
    }

    /// smtpd_tls_loglevel as a number; 1 and more log a line for each handshake.
    pub fn log_level(&self) -> u8 {
        self.log_level
    }
}

/// What both sides of TLS share.
pub(crate) fn new_context() -> Result<SslContextBuilder, openssl::error::ErrorStack> {
    let mut context = SslContext::builder(SslMethod::tls())?;
    // An idle session gives its buffers back; a partial write may move, as the stream asks for it.
    context.set_mode(
        SslMode::RELEASE_BUFFERS | SslMode::ACCEPT_MOVING_WRITE_BUFFER | SslMode::ENABLE_PARTIAL_WRITE,
    );
    // SSL_OP_IGNORE_UNEXPECTED_EOF, 1 << 7: many peers hang up without close_notify.
    context.set_options(
        SslOptions::ALL
            | SslOptions::NO_RENEGOTIATION
            | SslOptions::NO_COMPRESSION
            | SslOptions::from_bits_retain(1 << 7),
    );
    Ok(context)
}

/// tls_ssl_options and tls_preempt_cipherlist.
pub(crate) fn set_options(context: &mut SslContextBuilder, settings: &Settings, notices: &mut Vec<Notice>) {
    for word in config::list::split(settings.get(params::tls_ssl_options)) {
        let option = match word.to_ascii_uppercase().as_str() {
            "NO_TICKET" => SslOptions::NO_TICKET,
            "NO_COMPRESSION" => SslOptions::NO_COMPRESSION,
            "NO_RENEGOTIATION" => SslOptions::NO_RENEGOTIATION,
            "NO_SESSION_RESUMPTION_ON_RENEGOTIATION" => SslOptions::NO_SESSION_RESUMPTION_ON_RENEGOTIATION,
            "PRIORITIZE_CHACHA" => SslOptions::PRIORITIZE_CHACHA,
            "ENABLE_MIDDLEBOX_COMPAT" => SslOptions::ENABLE_MIDDLEBOX_COMPAT,
            // SSL_OP_LEGACY_SERVER_CONNECT has no name in the crate.
            "LEGACY_SERVER_CONNECT" => SslOptions::from_bits_retain(1 << 2),
            other => match other.strip_prefix("0X").and_then(|hex| u64::from_str_radix(hex, 16).ok()) {
                Some(bits) => SslOptions::from_bits_retain(bits as _),
                None => {
                    notices.push(Notice(format!(
                        "unknown tls_ssl_options value \"{word}\" in \"tls_ssl_options\""
                    )));
                    continue;
                }
            },
        };
        context.set_options(option);
    }
    if settings.get(params::tls_preempt_cipherlist) {
        context.set_options(SslOptions::CIPHER_SERVER_PREFERENCE);
    }
}

fn set_ciphers(
    context: &mut SslContextBuilder,
    settings: &Settings,
    mandatory: bool,
    asks: bool,
) -> Result<(), Unavailable> {
    let grade = match mandatory {
        true => settings.get(params::smtpd_tls_mandatory_ciphers),
        false => settings.get(params::smtpd_tls_ciphers),
    };
    let mandatory_exclusions = match mandatory {
        true => settings.get(params::smtpd_tls_mandatory_exclude_ciphers),
        false => "",
    };
    let exclusions = [
        settings.get(params::smtpd_tls_exclude_ciphers),
        mandatory_exclusions,
        if asks { "aNULL" } else { "" },
    ];
    let list = ciphers::grade(settings, grade)
        .and_then(|base| ciphers::with_exclusions(base, exclusions))
        .map_err(|why| Unavailable(format!("{why}; disabling TLS support")))?;
    context.set_cipher_list(&list).map_err(|_| {
        Unavailable(format!("error setting cipher grade: \"{grade}\": \"{list}\" selects no cipher"))
    })
}

/// smtpd_tls_dh1024_param_file. Trouble with it never switches TLS off.
fn set_dh(context: &mut SslContextBuilder, file: &str, notices: &mut Vec<Notice>) {
    if !file.is_empty() && !file.eq_ignore_ascii_case("auto") {
        match crate::identity::read(file) {
            Err(why) => notices
                .push(Notice(format!("error opening DH parameter file \"{file}\": {why} -- using compiled-in defaults"))),
            Ok(bytes) => match openssl::dh::Dh::params_from_pem(&bytes) {
                Err(_) => notices.push(Notice(format!(
                    "error decoding DH parameters from file \"{file}\" -- using compiled-in defaults"
                ))),
                Ok(dh) if dh.prime_p().num_bits() < 2048 => notices.push(Notice(format!(
                    "smtpd_tls_dh1024_param_file: \"{file}\" has only {} bits, which clients refuse: not used; \
                     remove the parameter",
                    dh.prime_p().num_bits()
                ))),
                Ok(dh) => match context.set_tmp_dh(&dh) {
                    Ok(()) => return,
                    Err(error) => notices.push(Notice(format!(
                        "error configuring explicit DH parameters from \"{file}\": {error} -- using compiled-in defaults"
                    ))),
                },
            },
        }
    }
    ffi::set_dh_auto(context);
}

fn add_identities(
    context: &mut SslContextBuilder,
    settings: &Settings,
    asks: bool,
    notices: &mut Vec<Notice>,
) -> Result<(), Unavailable> {
    let chain_files = config::list::split(settings.get(params::smtpd_tls_chain_files));
    let pairs = pairs(settings);
    let rsa_none = settings.get(params::smtpd_tls_cert_file).eq_ignore_ascii_case("none");
    let mut identities = Vec::new();
    let mut failures = Vec::new();
    if !chain_files.is_empty() {
        if !pairs.is_empty() {
            notices.push(Notice(
                "Both smtpd_tls_chain_files and one or more of the legacy  smtpd_tls_cert_file, smtpd_tls_eccert_file or \
                 smtpd_tls_dcert_file are non-empty; the legacy parameters will be ignored"
                    .into(),
            ));
        }
        match Identity::from_chain_files(&chain_files, notices) {
            Ok(found) => identities = found,
            Err(why) => failures.push(why),
        }
    } else {
        for pair in &pairs {
            match Identity::from_pair(pair, notices) {
                Ok(identity) => identities.push(identity),
                Err(why) => failures.push(why),
            }
        }
    }
    let mut usable = 0;
    for identity in &identities {
        let chain = identity.chain_stack().map_err(|error| Unavailable(error.to_string()))?;
        match ffi::add_identity(context, &identity.certificate, &identity.key, &chain) {
            Ok(()) => usable += 1,
            Err(error) => {
                failures.push(format!("cannot use the certificate in \"{}\": {error}", identity.file))
            }
        }
    }
    if usable == 0 && rsa_none && failures.is_empty() {
        if asks {
            return Err(Unavailable("Need a server cert to request client certs".into()));
        }
        return Ok(());
    }
    if usable == 0 {
        let why = match failures.is_empty() {
            true => "No server certs available. TLS won't be enabled".to_owned(),
            false => format!("{}: disabling TLS support", failures.join("; ")),
        };
        return Err(Unavailable(why));
    }
    // docs/deviations.md: one bad certificate does not take the others along.
    notices.extend(
        failures
            .into_iter()
            .map(|why| Notice(format!("{why}: this certificate is not used, the others are"))),
    );
    Ok(())
}

fn pairs(settings: &Settings) -> Vec<Pair> {
    let pair = |label, certificate: &str, key: &str| Pair {
        label,
        certificate: certificate.into(),
        key: if key.is_empty() { certificate.into() } else { key.into() },
    };
    [
        pair("RSA", settings.get(params::smtpd_tls_cert_file), settings.get(params::smtpd_tls_key_file)),
        pair(
            "ECDSA",
            settings.get(params::smtpd_tls_eccert_file),
            settings.get(params::smtpd_tls_eckey_file),
        ),
        pair("DSA", settings.get(params::smtpd_tls_dcert_file), settings.get(params::smtpd_tls_dkey_file)),
    ]
    .into_iter()
    .filter(|pair| !pair.certificate.is_empty() && !pair.certificate.eq_ignore_ascii_case("none"))
    .collect()
}

fn set_trust(
    context: &mut SslContextBuilder,
    settings: &Settings,
    asks: bool,
    notices: &mut Vec<Notice>,
) -> Result<(), Unavailable> {
    let anchors = Anchors {
        file: settings.get(params::smtpd_tls_CAfile).to_owned(),
        path: settings.get(params::smtpd_tls_CApath).to_owned(),
        append_default: settings.get(params::tls_append_default_CA),
        depth: settings.get(params::smtpd_tls_ccert_verifydepth).clamp(0, 100) as u32,
    };
    anchors.load(context).map_err(|why| Unavailable(format!("{why}: disabling TLS support")))?;
    if asks {
        trust::verify(context);
        if !anchors.file.is_empty() {
            match X509Name::load_client_ca_file(&anchors.file) {
                Ok(names) => context.set_client_ca_list(names),
                Err(error) => notices
                    .push(Notice(format!("error loading client CA names from: {}: {error}", anchors.file))),
            }
        }
    }
    Ok(())
}

fn set_sessions(
    context: &mut SslContextBuilder,
    settings: &Settings,
    service: &str,
) -> Result<(), openssl::error::ErrorStack> {
    // A session of one service must not be resumed at another, which may demand more.
    let id = openssl::hash::hash(MessageDigest::sha256(), format!("mailclad smtpd {service}").as_bytes())?;
    context.set_session_id_context(&id)?;
    let timeout = settings.get(params::smtpd_tls_session_cache_timeout).as_secs();
    if timeout == 0 {
        context.set_options(SslOptions::NO_TICKET);
        context.set_session_cache_mode(SslSessionCacheMode::OFF);
        return context.set_num_tickets(0);
    }
    // Postfix lets the library keep sessions for twice the time, and never for less than two minutes; RFC 8446 section
    // 4.6.1 allows a ticket seven days.
    let seconds = (timeout.max(120) * 2).min(7 * 86_400);
    ffi::set_session_timeout(context, seconds as i64);
    let cached = !settings.get(params::smtpd_tls_session_cache_database).is_empty();
    context.set_session_cache_mode(if cached {
        SslSessionCacheMode::SERVER
    } else {
        SslSessionCacheMode::OFF
    });
    if settings.get(params::tls_session_ticket_cipher).is_empty() {
        context.set_options(SslOptions::NO_TICKET);
        return context.set_num_tickets(0);
    }
    context.set_num_tickets(1)
}

/// The number in a `*_tls_loglevel` text, where words stand for numbers; the highest of several.
pub(crate) fn log_level(text: &str) -> u8 {
    config::list::split(text)
        .iter()
        .map(|word| match word.to_ascii_lowercase().as_str() {
            "none" => 0,
            "routine" | "summary" => 1,
            "debug" => 2,
            "ssl-expert" => 3,
            "ssl-developer" => 4,
            number => number.parse().unwrap_or(0),
        })
        .max()
        .unwrap_or(0)
}
