//! One context of the library: everything that the settings and files of a service say, put together. It never changes; a
//! renewed file makes a new one, and handshakes under way keep theirs.

use std::sync::Arc;

use config::{Settings, params};
use openssl::error::ErrorStack;
use openssl::ssl::{SslContext, SslContextBuilder};

use super::own_certificates::OwnCertificates;
use super::sessions::Resumption;
use super::{Unavailable, kept, new_context, sni};
use crate::files::Files;
use crate::protocols::Protocols;
use crate::trust::Anchors;
use crate::{Notice, ciphers, dh, groups, options, trust};

/// What does not come from files.
pub(super) struct Terms {
    pub(super) mandatory: bool,
    pub(super) protocols: Protocols,
    /// The cipher string. An error is logged at each handshake, which is then not attempted, as in Postfix.
    pub(super) ciphers: Result<String, String>,
    /// Clients are asked for a certificate.
    pub(super) asks: bool,
    /// ... and must show a trusted one.
    pub(super) requires: bool,
}

/// A context with what it was made from.
pub(super) struct Ready {
    pub(super) context: SslContext,
    own: OwnCertificates,
    /// The content of smtpd_tls_CAfile.
    authorities: Option<Arc<[u8]>>,
}

impl Terms {
    /// Reads the settings. The error stays until they are changed.
    pub(super) fn read(
        settings: &Settings,
        mandatory: bool,
        notices: &mut Vec<Notice>,
    ) -> Result<Terms, Unavailable> {
        let (name, list) = match mandatory {
            true => ("smtpd_tls_mandatory_protocols", settings.get(params::smtpd_tls_mandatory_protocols)),
            false => ("smtpd_tls_protocols", settings.get(params::smtpd_tls_protocols)),
        };
        let protocols = Protocols::parse(list).map_err(|why| {
            Unavailable(format!(
                "Invalid TLS protocol list \"{list}\": disabling TLS support ({name}: {why})"
            ))
        })?;
        let required = settings.get(params::smtpd_tls_req_ccert);
        if required && !mandatory {
            notices.push(Notice("Can't require client certs unless TLS is required".into()));
        }
        let requires = required && mandatory;
        let asks = settings.get(params::smtpd_tls_ask_ccert) || requires;
        Ok(Terms { mandatory, protocols, ciphers: cipher_string(settings, mandatory, asks), asks, requires })
    }
}

fn cipher_string(settings: &Settings, mandatory: bool, asks: bool) -> Result<String, String> {
    let (grade, more_exclusions) = match mandatory {
        true => (
            settings.get(params::smtpd_tls_mandatory_ciphers),
            settings.get(params::smtpd_tls_mandatory_exclude_ciphers),
        ),
        false => (settings.get(params::smtpd_tls_ciphers), ""),
    };
    let exclusions =
        [settings.get(params::smtpd_tls_exclude_ciphers), more_exclusions, if asks { "aNULL" } else { "" }];
    let list = ciphers::with_exclusions(ciphers::grade(settings, grade)?, exclusions)?;
    let selects = SslContext::builder(openssl::ssl::SslMethod::tls()).and_then(|mut probe| {
        probe.set_security_level(0);
        probe.set_cipher_list(&list)
    });
    match selects {
        Ok(()) => Ok(list),
        Err(_) => Err(format!("error setting cipher grade: \"{grade}\"")),
    }
}

/// What a context is built from.
pub(super) struct Parts<'a> {
    pub(super) settings: &'a Settings,
    pub(super) terms: &'a Terms,
    pub(super) files: &'a Files,
    pub(super) resumption: &'a Resumption,
    pub(super) has_names: bool,
}

impl Ready {
    /// Builds a context. What a renewal spoiled stays as it is in `before`.
    pub(super) fn build(
        parts: &Parts<'_>,
        before: Option<&Ready>,
        notices: &mut Vec<Notice>,
    ) -> Result<Ready, Unavailable> {
        let Parts { settings, terms, files, .. } = *parts;
        let failed = |error: ErrorStack| Unavailable(error.to_string());
        // The security level first: it refuses weak certificates when they are loaded.
        let mut context = new_context().map_err(failed)?;
        context.set_security_level(u32::from(terms.requires));
        terms.protocols.apply(&mut context).map_err(failed)?;
        options::set(&mut context, settings, notices);
        if let Ok(list) = &terms.ciphers {
            context.set_cipher_list(list).map_err(failed)?;
        }
        let curves = settings.get(params::tls_eecdh_auto_curves);
        notices.extend(groups::apply(&mut context, curves, settings.get(params::tls_ffdhe_auto_groups)));
        dh::apply(&mut context, settings.get(params::smtpd_tls_dh1024_param_file), files, notices);
        let (own, failures) = OwnCertificates::load(settings, files, before.map(|ready| &ready.own), notices);
        own.install(&mut context, settings, failures, terms.asks, notices)?;
        let before = before.and_then(|ready| ready.authorities.as_ref());
        let authorities = set_trust(&mut context, parts, before, notices)?;
        parts.resumption.install(&mut context, settings, terms, authorities.as_deref()).map_err(failed)?;
        if parts.has_names {
            sni::install(&mut context);
        }
        Ok(Ready { context: context.build(), own, authorities })
    }

    /// Do both show the same certificates and trust the same authorities?
    pub(super) fn same(&self, other: &Ready) -> bool {
        self.own.same(&other.own) && self.authorities == other.authorities
    }
}

/// smtpd_tls_CAfile, smtpd_tls_CApath, and how client certificates are verified. Gives the content of the file in force.
fn set_trust(
    context: &mut SslContextBuilder,
    parts: &Parts<'_>,
    before: Option<&Arc<[u8]>>,
    notices: &mut Vec<Notice>,
) -> Result<Option<Arc<[u8]>>, Unavailable> {
    let settings = parts.settings;
    let anchors = Anchors {
        file: settings.get(params::smtpd_tls_CAfile).to_owned(),
        path: settings.get(params::smtpd_tls_CApath).to_owned(),
        append_default: settings.get(params::tls_append_default_CA),
        depth: settings.get(params::smtpd_tls_ccert_verifydepth).clamp(0, 100) as u32,
    };
    let mut authorities = None;
    let mut certificates = Vec::new();
    if !anchors.file.is_empty() {
        let newest = parts.files.read(&anchors.file).and_then(|content| {
            crate::identity::certificates(&content.bytes).map(|certificates| (content.bytes, certificates))
        });
        let (bytes, found) = match (newest, before) {
            (Ok(newest), _) => newest,
            (Err(why), Some(bytes)) => {
                notices.push(kept(&anchors.failure(&why)));
                (Arc::clone(bytes), crate::identity::certificates(bytes).map_err(Unavailable)?)
            }
            (Err(why), None) => {
                return Err(Unavailable(format!("{}: disabling TLS support", anchors.failure(&why))));
            }
        };
        (authorities, certificates) = (Some(bytes), found);
    }
    anchors
        .load_from(context, &certificates)
        .map_err(|why| Unavailable(format!("{why}: disabling TLS support")))?;
    if parts.terms.asks {
        trust::verify(context, settings.get(params::tls_trust_server_ccerts));
        // The names help clients to choose; those of a directory are never sent, as in Postfix.
        for certificate in &certificates {
            if let Err(error) = context.add_client_ca(certificate) {
                notices
                    .push(Notice(format!("error loading client CA names from: {}: {error}", anchors.file)));
            }
        }
    }
    Ok(authorities)
}
