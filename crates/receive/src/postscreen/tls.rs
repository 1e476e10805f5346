//! TLS of the deep tests: smtpd's engine, with postscreen's parameters in the place of smtpd's.

use std::sync::Arc;

use config::{Settings, params};
use maillog::Log;
use smtp::server::TlsOffer;
use tables::Tables;
use tls::ServerLevel;
use tls::log_level::LogLevels;
use tls::server::Server;

use crate::service::{Shared, open_tls};

/// Each stands for the `smtpd_` parameter of the same name, which is also its default.
fn mirrored() -> [&'static str; 27] {
    [
        params::postscreen_enforce_tls.name(),
        params::postscreen_starttls_timeout.name(),
        params::postscreen_tls_CAfile.name(),
        params::postscreen_tls_CApath.name(),
        params::postscreen_tls_always_issue_session_ids.name(),
        params::postscreen_tls_ask_ccert.name(),
        params::postscreen_tls_ccert_verifydepth.name(),
        params::postscreen_tls_cert_file.name(),
        params::postscreen_tls_chain_files.name(),
        params::postscreen_tls_ciphers.name(),
        params::postscreen_tls_dcert_file.name(),
        params::postscreen_tls_dh1024_param_file.name(),
        params::postscreen_tls_dkey_file.name(),
        params::postscreen_tls_eccert_file.name(),
        params::postscreen_tls_eckey_file.name(),
        params::postscreen_tls_exclude_ciphers.name(),
        params::postscreen_tls_fingerprint_digest.name(),
        params::postscreen_tls_key_file.name(),
        params::postscreen_tls_loglevel.name(),
        params::postscreen_tls_mandatory_ciphers.name(),
        params::postscreen_tls_mandatory_exclude_ciphers.name(),
        params::postscreen_tls_mandatory_protocols.name(),
        params::postscreen_tls_protocols.name(),
        params::postscreen_tls_req_ccert.name(),
        params::postscreen_tls_security_level.name(),
        params::postscreen_tls_trace_size_limit.name(),
        params::postscreen_use_tls.name(),
    ]
}

/// What a service's sessions need to know of TLS.
pub(super) struct Tls {
    pub(super) offer: TlsOffer,
    /// There are certificates, usable or not.
    pub(super) has_certificates: bool,
    /// `None`: TLS is off, or can not be used; the reason was logged.
    pub(super) server: Option<Arc<Server>>,
    /// `postscreen_tls_loglevel`.
    pub(super) levels: LogLevels,
}

impl Tls {
    /// Reads level and files. The error is fatal for the service.
    pub(super) fn open(
        shared: &Shared<'_>,
        service: &config::master_cf::Service,
        settings: &Settings,
        tables: &Tables,
        log: &Log,
    ) -> Result<Tls, String> {
        let mut as_smtpd = service.clone();
        for name in mirrored() {
            let value = settings.text_of(name).unwrap_or_default().replace('$', "$$");
            as_smtpd.overrides.push((name.replacen("postscreen_", "smtpd_", 1), value));
        }
        // The handshake never comes first here.
        as_smtpd.overrides.push(("smtpd_tls_wrappermode".into(), "no".into()));
        let settings = shared.configuration.settings_of(&as_smtpd).map_err(|errors| errors.to_string())?;
        let (level, notices) = ServerLevel::of(&settings)?;
        let certificates = [
            params::smtpd_tls_chain_files,
            params::smtpd_tls_cert_file,
            params::smtpd_tls_eccert_file,
            params::smtpd_tls_dcert_file,
        ];
        let has_certificates = certificates.iter().any(|parameter| !settings.get(*parameter).is_empty());
        for tls::Notice(text) in notices {
            maillog::warning!(log, "{text}");
        }
        let (server, levels) = open_tls(shared, &settings, tables, level, &service.name, log);
        let offer = match level {
            ServerLevel::None => TlsOffer::None,
            ServerLevel::May => TlsOffer::Offered,
            ServerLevel::Encrypt | ServerLevel::Wrapper => TlsOffer::Required,
        };
        Ok(Tls { offer, has_certificates, server, levels })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_a_counterpart() {
        for name in mirrored() {
            assert!(params::find(&name.replacen("postscreen_", "smtpd_", 1)).is_some(), "{name}");
        }
    }
}
