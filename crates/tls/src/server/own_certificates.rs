//! Which certificates a service shows: smtpd_tls_chain_files, or the pairs of smtpd_tls_cert_file and its relatives.

use config::{Settings, params};
use openssl::ssl::SslContextBuilder;

use super::{Unavailable, kept};
use crate::files::Files;
use crate::identity::{Identity, Pair};
use crate::{Notice, ffi};

/// The certificates in force, by where they came from, so that a renewal that went wrong leaves the old ones in place.
#[derive(Clone, Default)]
pub(super) struct OwnCertificates {
    slots: Vec<Slot>,
}

#[derive(Clone)]
struct Slot {
    source: Source,
    identities: Vec<Identity>,
}

#[derive(Clone, PartialEq, Eq)]
enum Source {
    ChainFiles(Vec<String>),
    Pair(Pair),
}

impl Source {
    fn load(&self, files: &Files, notices: &mut Vec<Notice>) -> Result<Vec<Identity>, String> {
        match self {
            Source::Pair(pair) => Identity::from_pair(pair, files, notices).map(|identity| vec![identity]),
            Source::ChainFiles(names) => {
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                match Identity::from_chain_files(&names, files, notices) {
                    Ok(none) if none.is_empty() => {
                        Err(format!("error loading chain from {}: no key and certificate", names.join(", ")))
                    }
                    result => result,
                }
            }
        }
    }
}

impl OwnCertificates {
    /// Reads what the settings name. What can not be used stays as it was in `before`; the texts say what is wrong.
    pub(super) fn load(
        settings: &Settings,
        files: &Files,
        before: Option<&OwnCertificates>,
        notices: &mut Vec<Notice>,
    ) -> (OwnCertificates, Vec<String>) {
        let mut own = OwnCertificates::default();
        let mut failures = Vec::new();
        for source in sources(settings, notices) {
            let known = before.and_then(|before| before.slots.iter().find(|slot| slot.source == source));
            match source.load(files, notices) {
                Ok(identities) => own.slots.push(Slot { source, identities }),
                Err(why) => match known {
                    Some(slot) => {
                        notices.push(kept(&why));
                        own.slots.push(slot.clone());
                    }
                    None => failures.push(why),
                },
            }
        }
        (own, failures)
    }

    /// Gives them to a context. One bad certificate does not take the others along (docs/deviations.md); none at all is allowed
    /// only where the administrator wrote `none`.
    pub(super) fn install(
        &self,
        context: &mut SslContextBuilder,
        settings: &Settings,
        mut failures: Vec<String>,
        asks: bool,
        notices: &mut Vec<Notice>,
    ) -> Result<(), Unavailable> {
        let mut usable = 0;
        for identity in self.slots.iter().flat_map(|slot| &slot.identities) {
            let chain = identity.chain_stack().map_err(|error| Unavailable(error.to_string()))?;
            match ffi::add_identity(context, &identity.certificate, &identity.key, &chain) {
                Ok(()) => usable += 1,
                Err(error) => {
                    failures.push(format!("cannot use the certificate in \"{}\": {error}", identity.file));
                }
            }
        }
        if usable > 0 {
            let left_out = |why| Notice(format!("{why}: this certificate is not used, the others are"));
            notices.extend(failures.into_iter().map(left_out));
            return Ok(());
        }
        if !failures.is_empty() {
            return Err(Unavailable(format!("{}: disabling TLS support", failures.join("; "))));
        }
        if !settings.get(params::smtpd_tls_cert_file).eq_ignore_ascii_case("none") {
            return Err(Unavailable("No server certs available. TLS won't be enabled".into()));
        }
        match asks {
            true => Err(Unavailable("Need a server cert to request client certs".into())),
            false => Ok(()),
        }
    }

    /// Do both show the same?
    pub(super) fn same(&self, other: &OwnCertificates) -> bool {
        let leaves = |own: &OwnCertificates| -> Vec<Identity> {
            own.slots.iter().flat_map(|slot| slot.identities.clone()).collect()
        };
        let (a, b) = (leaves(self), leaves(other));
        a.len() == b.len()
            && a.iter().zip(&b).all(|(a, b)| a.certificate == b.certificate && a.chain == b.chain)
    }
}

fn sources(settings: &Settings, notices: &mut Vec<Notice>) -> Vec<Source> {
    let chain_files = config::list::split(settings.get(params::smtpd_tls_chain_files));
    let pairs = pairs(settings);
    if chain_files.is_empty() {
        return pairs.into_iter().map(Source::Pair).collect();
    }
    if !pairs.is_empty() {
        notices.push(Notice(
            "Both smtpd_tls_chain_files and one or more of the legacy  smtpd_tls_cert_file, smtpd_tls_eccert_file or \
             smtpd_tls_dcert_file are non-empty; the legacy  parameters will be ignored"
                .into(),
        ));
    }
    vec![Source::ChainFiles(chain_files.into_iter().map(str::to_owned).collect())]
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
