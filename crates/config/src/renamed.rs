//! Parameters whose days are numbered, or over: what postconf(1) tells the administrator to write instead
//! (Postfix's DEPRECATION_README). The wording is Postfix's, as of 3.12.

/// What is known of a parameter that should no longer be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deprecated {
    /// The name.
    pub name: &'static str,
    /// What to do, as a clause after "instead, ".
    pub instead: &'static str,
}

/// The advice for a parameter; `None` when there is nothing wrong with it.
pub fn deprecated(name: &str) -> Option<&'static Deprecated> {
    DEPRECATED.iter().find(|deprecated| deprecated.name == name)
}

/// Parameters that older versions had and 3.12 has not: setting them has no effect. With the last version that
/// had them unknown to most, the second text says what does the work now.
pub static REMOVED: &[(&str, &str)] = &[
    ("smtp_tls_cipherlist", "use smtp_tls_mandatory_ciphers, smtp_tls_ciphers and smtp_tls_exclude_ciphers"),
    (
        "smtpd_tls_cipherlist",
        "use smtpd_tls_mandatory_ciphers, smtpd_tls_ciphers and smtpd_tls_exclude_ciphers",
    ),
    ("tlsproxy_client_loglevel_parameter", "there is nothing to set"),
];

macro_rules! deprecated {
    ($($name:literal: $instead:literal,)*) => {
        &[$(Deprecated { name: $name, instead: $instead }),*]
    };
}

static DEPRECATED: &[Deprecated] = deprecated! {
    "authorized_verp_clients": "specify \"smtpd_authorized_verp_clients\"",
    "disable_dns_lookups": "specify \"smtp_dns_support_level\"",
    "fallback_relay": "specify \"smtp_fallback_relay\"",
    "lmtp_cname_overrides_servername": "do not specify",
    // Postfix leaves the word and the quotes out here.
    "lmtp_enforce_tls": "lmtp_tls_security_level",
    "lmtp_per_record_deadline": "specify \"lmtp_per_request_deadline\"",
    "lmtp_tls_enforce_peername": "specify \"lmtp_tls_security_level\"",
    "lmtp_tls_per_site": "specify \"lmtp_tls_policy_maps\"",
    "lmtp_use_tls": "specify \"lmtp_tls_security_level\"",
    "postscreen_blacklist_action": "specify \"postscreen_denylist_action\"",
    "postscreen_dnsbl_ttl": "specify \"postscreen_dnsbl_max_ttl\"",
    "postscreen_dnsbl_whitelist_threshold": "specify \"postscreen_dnsbl_allowlist_threshold\"",
    "postscreen_enforce_tls": "specify \"postscreen_tls_security_level\"",
    "postscreen_use_tls": "specify \"postscreen_tls_security_level\"",
    "postscreen_whitelist_interfaces": "specify \"postscreen_allowlist_interfaces\"",
    "smtp_cname_overrides_servername": "do not specify",
    "smtp_enforce_tls": "specify \"smtp_tls_security_level\"",
    "smtp_per_record_deadline": "specify \"smtp_per_request_deadline\"",
    "smtp_tls_enforce_peername": "specify \"smtp_tls_security_level\"",
    "smtp_tls_per_site": "specify \"smtp_tls_policy_maps\"",
    "smtp_use_tls": "specify \"smtp_tls_security_level\"",
    "smtpd_client_connection_limit_exceptions": "specify \"smtpd_client_event_limit_exceptions\"",
    "smtpd_enforce_tls": "specify \"smtpd_tls_security_level\"",
    "smtpd_per_record_deadline": "specify \"smtpd_per_request_deadline\"",
    "smtpd_tls_dh1024_param_file": "do not specify (leave at default)",
    "smtpd_tls_eecdh_grade": "do not specify (leave at default)",
    "smtpd_use_tls": "specify \"smtpd_tls_security_level\"",
    "tlsproxy_client_enforce_tls": "specify \"tlsproxy_client_security_level\"",
    "tlsproxy_client_level": "specify \"tlsproxy_client_security_level\"",
    "tlsproxy_client_loglevel_parameter": "do not specify",
    "tlsproxy_client_per_site": "specify \"tlsproxy_client_policy_maps\"",
    "tlsproxy_client_policy": "specify \"tlsproxy_client_policy_maps\"",
    "tlsproxy_client_use_tls": "specify \"tlsproxy_client_security_level\"",
    "tlsproxy_enforce_tls": "specify \"tlsproxy_tls_security_level\"",
    "tlsproxy_use_tls": "specify \"tlsproxy_tls_security_level\"",
    "virtual_maps": "specify \"virtual_alias_maps\"",
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params;

    #[test]
    fn sorted_and_known() {
        assert!(DEPRECATED.is_sorted_by_key(|deprecated| deprecated.name));
        for Deprecated { name, .. } in DEPRECATED {
            let removed = REMOVED.iter().any(|(removed, _)| removed == name);
            assert!(params::find(name).is_some() != removed, "{name}");
        }
    }

    #[test]
    fn advice_names_parameters_that_exist() {
        for Deprecated { instead, .. } in DEPRECATED {
            if let Some(name) = instead.split('"').nth(1) {
                assert!(params::find(name).is_some(), "{name}");
            }
        }
    }
}
