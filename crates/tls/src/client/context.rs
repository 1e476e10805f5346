//! One context of the library for each set of terms that plans ask for. It never changes.

use std::sync::Arc;

use config::{Settings, params};
use openssl::ssl::{SslContext, SslContextBuilder, SslSessionCacheMode};
use openssl::x509::X509;

use super::sessions::Sessions;
use crate::files::Files;
use crate::identity::{self, Identity};
use crate::level::ClientLevel;
use crate::policy::{Digests, Plan, Terms};
use crate::protocols::Protocols;
use crate::server::new_context;
use crate::session_cache::SessionCache;
use crate::trust::Anchors;
use crate::{Notice, ciphers, ffi, groups, options, trust};

/// What a context depends on beyond the settings.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    terms: Terms,
    /// Excluded because of the level.
    implied: &'static str,
    authenticates: bool,
    /// The authorities of the settings decide.
    by_authority: bool,
    /// Those of the Web do.
    by_web: bool,
}

impl Key {
    pub(super) fn of(plan: &Plan) -> Key {
        let mut terms = plan.terms().clone();
        if plan.tlsa().is_some() {
            // RFC 7672 section 8.1 asks for TLS at least; SSL is no TLS.
            terms.protocols.push_str(" !SSLv2 !SSLv3");
        }
        Key {
            terms,
            implied: match plan.level() {
                ClientLevel::None | ClientLevel::May => "",
                ClientLevel::Encrypt => "eNULL",
                _ => "aNULL",
            },
            authenticates: plan.level().must_authenticate(),
            by_authority: matches!(plan.level(), ClientLevel::Verify | ClientLevel::Secure)
                && plan.anchors().is_empty(),
            by_web: plan.sts().is_some(),
        }
    }
}

/// What all contexts of a service share.
pub(super) struct Parts {
    pub(super) settings: Settings,
    pub(super) identities: Vec<Identity>,
    pub(super) anchors: Anchors,
    /// smtp_tls_CAfile; what is wrong with it matters only to plans that go by it.
    pub(super) authorities: Result<Vec<X509>, String>,
    /// https_CAfile, or nothing for the system's; mail servers under MTA-STS are judged by them.
    pub(super) web_authorities: Result<Option<Vec<X509>>, String>,
    pub(super) digests: Digests,
    /// Digest of everything read here: a session lives no longer than what it was judged by.
    binding: [u8; 32],
}

/// A context with its sessions.
pub(super) struct Ready {
    pub(super) context: SslContext,
    pub(super) sessions: Option<Sessions>,
    /// The cipher string, for the log.
    pub(super) ciphers: String,
}

impl Parts {
    /// Reads the files. The error is for the log: no handshake is possible without the client's own certificates.
    pub(super) fn read(
        settings: &Settings,
        files: &Files,
        notices: &mut Vec<Notice>,
    ) -> Result<Parts, String> {
        let identities = super::identities(settings, files, notices)?;
        let anchors = Anchors {
            file: settings.client(params::smtp_tls_CAfile).to_owned(),
            path: settings.client(params::smtp_tls_CApath).to_owned(),
            append_default: settings.get(params::tls_append_default_CA),
            depth: settings.client(params::smtp_tls_scert_verifydepth).clamp(0, 100) as u32,
        };
        let authorities = match anchors.file.is_empty() {
            true => Ok(Vec::new()),
            false => files
                .read(&anchors.file)
                .and_then(|content| identity::certificates(&content.bytes))
                .map_err(|why| anchors.failure(&why)),
        };
        if let Err(why) = &authorities {
            notices.push(Notice(format!(
                "{why}: nobody is trusted, and mail at levels verify and secure waits"
            )));
        }
        let web = settings.get(params::https_CAfile);
        let web_authorities = match web.is_empty() {
            true => Ok(None),
            false => files
                .read(web)
                .and_then(|content| identity::certificates(&content.bytes))
                .map(Some)
                .map_err(|why| format!("https_CAfile = {web}: {why}")),
        };
        let binding = binding(&identities, &anchors, &authorities, &web_authorities);
        Ok(Parts {
            settings: settings.clone(),
            binding,
            identities,
            anchors,
            authorities,
            web_authorities,
            digests: Digests::parse(settings.get(params::tls_dane_digests))?,
        })
    }

    /// Builds a context. The error is for the log.
    pub(super) fn build(&self, key: &Key, cache: Option<&Arc<SessionCache>>) -> Result<Ready, String> {
        let Parts { settings, .. } = self;
        let failed = |error: openssl::error::ErrorStack| error.to_string();
        let Terms { protocols: list, ciphers: grade, exclude } = &key.terms;
        let protocols = Protocols::parse(list)
            .map_err(|why| format!("Invalid TLS protocol list \"{list}\": aborting TLS session ({why})"))?;
        let exclusions = exclude.iter().map(String::as_str).chain([key.implied]);
        let ciphers = ciphers::grade(settings, grade)
            .and_then(|base| ciphers::with_exclusions(base, exclusions))
            .map_err(|why| format!("{why}: {}", ciphers::GRADES))?;
        let mut context = new_context().map_err(failed)?;
        // The security level first: it refuses weak certificates when they are loaded.
        context.set_security_level(u32::from(key.authenticates));
        protocols.apply(&mut context).map_err(failed)?;
        options::set(&mut context, settings, &mut Vec::new());
        context.set_cipher_list(&ciphers).map_err(|_| {
            format!("error setting cipher grade: \"{grade}\": \"{ciphers}\" selects no cipher")
        })?;
        let curves = settings.get(params::tls_eecdh_auto_curves);
        groups::apply(&mut context, curves, settings.get(params::tls_ffdhe_auto_groups));
        for identity in &self.identities {
            let chain = identity.chain_stack().map_err(failed)?;
            ffi::add_identity(&mut context, &identity.certificate, &identity.key, &chain)
                .map_err(|error| format!("cannot use the certificate in \"{}\": {error}", identity.file))?;
        }
        match &self.authorities {
            _ if key.by_web => self.load_web_authorities(&mut context)?,
            Ok(authorities) => self.anchors.load_from(&mut context, authorities)?,
            Err(why) if key.by_authority => return Err(why.clone()),
            Err(_) => {}
        }
        ffi::prepare_dane(&mut context, self.digests.iter()).map_err(failed)?;
        trust::verify(&mut context, false);
        let sessions = match cache {
            Some(cache) => Some(Sessions::install(&mut context, cache, self.binding)),
            None => {
                context.set_session_cache_mode(SslSessionCacheMode::OFF);
                None
            }
        };
        Ok(Ready { context: context.build(), sessions, ciphers })
    }

    fn load_web_authorities(&self, context: &mut SslContextBuilder) -> Result<(), String> {
        let failed = |error: openssl::error::ErrorStack| format!("authorities of the Web: {error}");
        context.set_verify_depth(self.anchors.depth + 1);
        match self.web_authorities.as_ref().map_err(Clone::clone)? {
            None => context.set_default_verify_paths().map_err(failed),
            Some(authorities) => authorities
                .iter()
                .try_for_each(|authority| context.cert_store_mut().add_cert(authority.clone()))
                .map_err(failed),
        }
    }
}

/// A digest of the client's certificates and of the authorities that it trusts.
fn binding(
    identities: &[Identity],
    anchors: &Anchors,
    authorities: &Result<Vec<X509>, String>,
    web_authorities: &Result<Option<Vec<X509>>, String>,
) -> [u8; 32] {
    let mut digest = openssl::sha::Sha256::new();
    digest.update(format!("{anchors:?}\n").as_bytes());
    let own = identities.iter().map(|identity| &identity.certificate);
    let trusted = authorities.iter().flatten().chain(web_authorities.iter().flatten().flatten());
    for certificate in own.chain(trusted) {
        digest.update(&certificate.to_der().unwrap_or_default());
    }
    digest.finish()
}
