//! tlsproxy(8): what main.cf can say (postconf(5)).

use crate::param::params;

params! { tlsproxy, "tlsproxy(8)";
    /// See postconf(5), `tlsproxy_client_CAfile`.
    tlsproxy_client_CAfile: Text(form: File) = "$smtp_tls_CAfile", Planned("not built yet");

    /// See postconf(5), `tlsproxy_client_CApath`.
    tlsproxy_client_CApath: Text(form: Directory) = "$smtp_tls_CApath", Planned("not built yet");

    /// See postconf(5), `tlsproxy_client_cert_file`.
    tlsproxy_client_cert_file: Text(form: File) = "$smtp_tls_cert_file", Planned("not built yet");

    /// See postconf(5), `tlsproxy_client_chain_files`.
    tlsproxy_client_chain_files: Text(form: Files) = "$smtp_tls_chain_files", Planned("not built yet");

    /// See postconf(5), `tlsproxy_client_dcert_file`.
    tlsproxy_client_dcert_file: Text(form: File) = "$smtp_tls_dcert_file", Planned("not built yet");

    /// See postconf(5), `tlsproxy_client_dkey_file`.
    tlsproxy_client_dkey_file: Text(form: File) = "$smtp_tls_dkey_file", Planned("not built yet");

    /// See postconf(5), `tlsproxy_client_eccert_file`.
    tlsproxy_client_eccert_file: Text(form: File) = "$smtp_tls_eccert_file", Planned("not built yet");

    /// See postconf(5), `tlsproxy_client_eckey_file`.
    tlsproxy_client_eckey_file: Text(form: File) = "$smtp_tls_eckey_file", Planned("not built yet");

    /// See postconf(5), `tlsproxy_client_enforce_tls`.
    tlsproxy_client_enforce_tls: NBool = "$smtp_enforce_tls", Planned("not built yet");

    /// See postconf(5), `tlsproxy_client_fingerprint_digest`.
    tlsproxy_client_fingerprint_digest: Text(min: 1, form: Digest) = "$smtp_tls_fingerprint_digest", Planned("not built yet");

    /// See postconf(5), `tlsproxy_client_key_file`.
    tlsproxy_client_key_file: Text(form: File) = "$smtp_tls_key_file", Planned("not built yet");

    /// See postconf(5), `tlsproxy_client_loglevel`.
    tlsproxy_client_loglevel: Text(form: LogLevels) = "$smtp_tls_loglevel", Planned("not built yet");

    /// See postconf(5), `tlsproxy_client_per_site`.
    tlsproxy_client_per_site: Text = "$smtp_tls_per_site", Planned("not built yet");

    /// See postconf(5), `tlsproxy_client_policy_maps`.
    tlsproxy_client_policy_maps: Text(form: Tables) = "${tlsproxy_client_policy?{$tlsproxy_client_policy}:{$smtp_tls_policy_maps}}", Planned("not built yet");

    /// See postconf(5), `tlsproxy_client_scert_verifydepth`.
    tlsproxy_client_scert_verifydepth: NInt = "$smtp_tls_scert_verifydepth", Planned("not built yet");

    /// See postconf(5), `tlsproxy_client_security_level`.
    tlsproxy_client_security_level: Text(form: OneOf(&["", "none", "may", "encrypt", "fingerprint", "dane", "dane-only", "verify", "secure"])) = "${tlsproxy_client_level?{$tlsproxy_client_level}:{$smtp_tls_security_level}}", Planned("not built yet");

    /// See postconf(5), `tlsproxy_client_use_tls`.
    tlsproxy_client_use_tls: NBool = "$smtp_use_tls", Planned("not built yet");

    /// See postconf(5), `tlsproxy_enforce_tls`.
    tlsproxy_enforce_tls: NBool = "$smtpd_enforce_tls", Planned("not built yet");

    /// See postconf(5), `tlsproxy_service_name`.
    tlsproxy_service_name: Text(min: 1, form: Service) = "tlsproxy", Planned("not built yet");

    /// See postconf(5), `tlsproxy_tls_CAfile`.
    tlsproxy_tls_CAfile: Text(form: File) = "$smtpd_tls_CAfile", Planned("not built yet");

    /// See postconf(5), `tlsproxy_tls_CApath`.
    tlsproxy_tls_CApath: Text(form: Directory) = "$smtpd_tls_CApath", Planned("not built yet");

    /// See postconf(5), `tlsproxy_tls_always_issue_session_ids`.
    tlsproxy_tls_always_issue_session_ids: NBool = "$smtpd_tls_always_issue_session_ids", Planned("not built yet");

    /// See postconf(5), `tlsproxy_tls_ask_ccert`.
    tlsproxy_tls_ask_ccert: NBool = "$smtpd_tls_ask_ccert", Planned("not built yet");

    /// See postconf(5), `tlsproxy_tls_ccert_verifydepth`.
    tlsproxy_tls_ccert_verifydepth: NInt = "$smtpd_tls_ccert_verifydepth", Planned("not built yet");

    /// See postconf(5), `tlsproxy_tls_cert_file`.
    tlsproxy_tls_cert_file: Text(form: File) = "$smtpd_tls_cert_file", Planned("not built yet");

    /// See postconf(5), `tlsproxy_tls_chain_files`.
    tlsproxy_tls_chain_files: Text(form: Files) = "$smtpd_tls_chain_files", Planned("not built yet");

    /// See postconf(5), `tlsproxy_tls_ciphers`.
    tlsproxy_tls_ciphers: Text(min: 1, form: OneOf(&["high", "medium", "null", "low", "export"])) = "$smtpd_tls_ciphers", Planned("not built yet");

    /// See postconf(5), `tlsproxy_tls_dcert_file`.
    tlsproxy_tls_dcert_file: Text(form: File) = "$smtpd_tls_dcert_file", Planned("not built yet");

    /// See postconf(5), `tlsproxy_tls_dh1024_param_file`.
    tlsproxy_tls_dh1024_param_file: Text(form: File) = "$smtpd_tls_dh1024_param_file", Planned("not built yet");

    /// See postconf(5), `tlsproxy_tls_dh512_param_file`.
    tlsproxy_tls_dh512_param_file: Text(form: File) = "$smtpd_tls_dh512_param_file", Planned("not built yet");

    /// See postconf(5), `tlsproxy_tls_dkey_file`.
    tlsproxy_tls_dkey_file: Text(form: File) = "$smtpd_tls_dkey_file", Planned("not built yet");

    /// See postconf(5), `tlsproxy_tls_eccert_file`.
    tlsproxy_tls_eccert_file: Text(form: File) = "$smtpd_tls_eccert_file", Planned("not built yet");

    /// See postconf(5), `tlsproxy_tls_eckey_file`.
    tlsproxy_tls_eckey_file: Text(form: File) = "$smtpd_tls_eckey_file", Planned("not built yet");

    /// See postconf(5), `tlsproxy_tls_eecdh_grade`.
    tlsproxy_tls_eecdh_grade: Text(min: 1) = "$smtpd_tls_eecdh_grade", Planned("not built yet");

    /// See postconf(5), `tlsproxy_tls_enable_rpk`.
    tlsproxy_tls_enable_rpk: NBool = "$smtpd_tls_enable_rpk", Planned("not built yet");

    /// See postconf(5), `tlsproxy_tls_exclude_ciphers`.
    tlsproxy_tls_exclude_ciphers: Text(form: List) = "$smtpd_tls_exclude_ciphers", Planned("not built yet");

    /// See postconf(5), `tlsproxy_tls_fingerprint_digest`.
    tlsproxy_tls_fingerprint_digest: Text(min: 1, form: Digest) = "$smtpd_tls_fingerprint_digest", Planned("not built yet");

    /// See postconf(5), `tlsproxy_tls_key_file`.
    tlsproxy_tls_key_file: Text(form: File) = "$smtpd_tls_key_file", Planned("not built yet");

    /// See postconf(5), `tlsproxy_tls_loglevel`.
    tlsproxy_tls_loglevel: Text(form: LogLevels) = "$smtpd_tls_loglevel", Planned("not built yet");

    /// See postconf(5), `tlsproxy_tls_mandatory_ciphers`.
    tlsproxy_tls_mandatory_ciphers: Text(min: 1, form: OneOf(&["high", "medium", "null", "low", "export"])) = "$smtpd_tls_mandatory_ciphers", Planned("not built yet");

    /// See postconf(5), `tlsproxy_tls_mandatory_exclude_ciphers`.
    tlsproxy_tls_mandatory_exclude_ciphers: Text(form: List) = "$smtpd_tls_mandatory_exclude_ciphers", Planned("not built yet");

    /// See postconf(5), `tlsproxy_tls_mandatory_protocols`.
    tlsproxy_tls_mandatory_protocols: Text(form: Protocols) = "$smtpd_tls_mandatory_protocols", Planned("not built yet");

    /// See postconf(5), `tlsproxy_tls_protocols`.
    tlsproxy_tls_protocols: Text(form: Protocols) = "$smtpd_tls_protocols", Planned("not built yet");

    /// See postconf(5), `tlsproxy_tls_req_ccert`.
    tlsproxy_tls_req_ccert: NBool = "$smtpd_tls_req_ccert", Planned("not built yet");

    /// See postconf(5), `tlsproxy_tls_security_level`.
    tlsproxy_tls_security_level: Text(form: OneOf(&["", "none", "may", "encrypt"])) = "$smtpd_tls_security_level", Planned("not built yet");

    /// See postconf(5), `tlsproxy_use_tls`.
    tlsproxy_use_tls: NBool = "$smtpd_use_tls", Planned("not built yet");

    /// See postconf(5), `tlsproxy_watchdog_timeout`.
    tlsproxy_watchdog_timeout: Time(min: 10) = "10s", Planned("not built yet");
}
