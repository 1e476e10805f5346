//! The connecting side: one context for a service, and the handshake that a [`Wish`] asks for.

use std::pin::Pin;
use std::time::Duration;

use config::{Settings, params};
use mail::TlsFacts;
use openssl::hash::MessageDigest;
use openssl::ssl::{Ssl, SslContext, SslSessionCacheMode};
use openssl::x509::verify::X509CheckFlags;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_openssl::SslStream;

use crate::facts::{self, Reading};
use crate::identity::{Identity, Pair};
use crate::level::ClientLevel;
use crate::policy::Wish;
use crate::problem::HandshakeFailure;
use crate::protocols::Protocols;
use crate::server::{log_level, new_context, set_options};
use crate::trust::Anchors;
use crate::{Notice, ciphers, ffi, fingerprint, groups, trust};

/// TLS of one client service at one level, ready for handshakes.
pub struct Client {
    context: SslContext,
    digest: MessageDigest,
    timeout: Duration,
    log_level: u8,
}

impl Client {
    /// Builds the context from the settings of a service (smtp or lmtp). The error is for the log; deliveries that need TLS are
    /// deferred then.
    pub fn new(settings: &Settings, level: ClientLevel, notices: &mut Vec<Notice>) -> Result<Client, String> {
        let mandatory = level.is_mandatory();
        let list = match mandatory {
            true => settings.client(params::smtp_tls_mandatory_protocols),
            false => settings.client(params::smtp_tls_protocols),
        };
        let protocols = Protocols::parse(list)
            .map_err(|why| format!("Invalid TLS protocol list \"{list}\": aborting TLS session ({why})"))?;
        let digest = fingerprint::digest(settings.client(params::smtp_tls_fingerprint_digest))?;
        let mut context = new_context().map_err(|error| error.to_string())?;
        context.set_security_level(u32::from(level.must_authenticate()));
        protocols.apply(&mut context).map_err(|error| error.to_string())?;
        set_options(&mut context, settings, notices);
        let grade = match mandatory {
            true => settings.client(params::smtp_tls_mandatory_ciphers),
            false => settings.client(params::smtp_tls_ciphers),
        };
        let mandatory_exclusions = match mandatory {
            true => settings.client(params::smtp_tls_mandatory_exclude_ciphers),
            false => "",
        };
        let implied = match level {
            ClientLevel::None | ClientLevel::May => "",
            ClientLevel::Encrypt => "eNULL",
            _ => "aNULL",
        };
        let exclusions = [settings.client(params::smtp_tls_exclude_ciphers), mandatory_exclusions, implied];
        let list =
            ciphers::grade(settings, grade).and_then(|base| ciphers::with_exclusions(base, exclusions))?;
        context
            .set_cipher_list(&list)
            .map_err(|_| format!("error setting cipher grade: \"{grade}\": \"{list}\" selects no cipher"))?;
        let curves = settings.get(params::tls_eecdh_auto_curves);
        notices.extend(groups::apply(&mut context, curves, settings.get(params::tls_ffdhe_auto_groups)));
        for identity in identities(settings, notices)? {
            let chain = identity.chain_stack().map_err(|error| error.to_string())?;
            ffi::add_identity(&mut context, &identity.certificate, &identity.key, &chain)
                .map_err(|error| format!("cannot use the certificate in \"{}\": {error}", identity.file))?;
        }
        let anchors = Anchors {
            file: settings.client(params::smtp_tls_CAfile).to_owned(),
            path: settings.client(params::smtp_tls_CApath).to_owned(),
            append_default: settings.get(params::tls_append_default_CA),
            depth: settings.client(params::smtp_tls_scert_verifydepth).clamp(0, 100) as u32,
        };
        anchors.load(&mut context)?;
        trust::verify(&mut context);
        context.set_session_cache_mode(SslSessionCacheMode::OFF);
        Ok(Client {
            context: context.build(),
            digest,
            timeout: settings.client(params::smtp_starttls_timeout),
            log_level: log_level(settings.client(params::smtp_tls_loglevel)),
        })
    }

    /// Shakes hands. The facts tell whether chain and names fit; [`crate::policy::admit_tls`] judges them.
    pub async fn connect<S>(
        &self,
        wish: &Wish,
        stream: S,
    ) -> Result<(SslStream<S>, TlsFacts), HandshakeFailure>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let failed = |error: openssl::error::ErrorStack| HandshakeFailure::of_library("-1", &error);
        let mut ssl = Ssl::new(&self.context).map_err(failed)?;
        trust::prepare(&mut ssl);
        if let Some(name) = &wish.server_name {
            ssl.set_hostname(name).map_err(failed)?;
        }
        if matches!(wish.level, ClientLevel::Verify | ClientLevel::Secure) {
            expect(&mut ssl, &wish.names).map_err(failed)?;
        }
        let mut stream = SslStream::new(ssl, stream).map_err(failed)?;
        match tokio::time::timeout(self.timeout, Pin::new(&mut stream).connect()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(HandshakeFailure::new(&error)),
            Err(_elapsed) => return Err(HandshakeFailure::timed_out()),
        }
        let reading =
            Reading { peer_role: "server", digest: self.digest, asked_ccert: false, show_sni: false };
        let facts = facts::read(stream.ssl(), &reading);
        Ok((stream, facts))
    }

    /// smtp_tls_loglevel as a number; 1 and more log a line for each handshake.
    pub fn log_level(&self) -> u8 {
        self.log_level
    }
}

/// Names and address literals that the certificate must carry one of.
fn expect(ssl: &mut openssl::ssl::SslRef, names: &[String]) -> Result<(), openssl::error::ErrorStack> {
    let (addresses, names): (Vec<_>, Vec<_>) =
        names.iter().cloned().partition(|name| name.parse::<std::net::IpAddr>().is_ok());
    ssl.param_mut().set_hostflags(X509CheckFlags::NO_PARTIAL_WILDCARDS);
    ffi::expect_names(ssl, &names)?;
    // The library knows one address; a next hop is one address.
    match addresses.first().and_then(|address| address.parse().ok()) {
        Some(address) if names.is_empty() => ssl.param_mut().set_ip(address),
        _ => Ok(()),
    }
}

/// The client's own certificates, none by default.
fn identities(settings: &Settings, notices: &mut Vec<Notice>) -> Result<Vec<Identity>, String> {
    let chain_files = config::list::split(settings.client(params::smtp_tls_chain_files));
    if !chain_files.is_empty() {
        return Identity::from_chain_files(&chain_files, notices);
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
            found.push(Identity::from_pair(&pair, notices)?);
        }
    }
    Ok(found)
}
