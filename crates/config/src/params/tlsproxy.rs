//! tlsproxy(8), which speaks TLS for postscreen(8) and smtp(8).

use crate::param::params;

params! { tlsproxy, "tlsproxy";
    /// As `smtp_tls_CAfile`, for TLS that tlsproxy(8) speaks for the SMTP client.
    tlsproxy_client_CAfile: Text(form: File) = "$smtp_tls_CAfile", Accepted("the process that hears the client speaks TLS itself; there is no tlsproxy process");

    /// As `smtp_tls_CApath`, for TLS that tlsproxy(8) speaks for the SMTP client.
    tlsproxy_client_CApath: Text(form: Directory) = "$smtp_tls_CApath", Accepted("the process that hears the client speaks TLS itself; there is no tlsproxy process");

    /// As `smtp_tls_cert_file`, for TLS that tlsproxy(8) speaks for the SMTP client.
    tlsproxy_client_cert_file: Text(form: File) = "$smtp_tls_cert_file", Accepted("the process that hears the client speaks TLS itself; there is no tlsproxy process");

    /// As `smtp_tls_chain_files`, for TLS that tlsproxy(8) speaks for the SMTP client.
    tlsproxy_client_chain_files: Text(form: Files) = "$smtp_tls_chain_files", Accepted("the process that hears the client speaks TLS itself; there is no tlsproxy process");

    /// As `smtp_tls_dcert_file`, for TLS that tlsproxy(8) speaks for the SMTP client.
    tlsproxy_client_dcert_file: Text(form: File) = "$smtp_tls_dcert_file", Accepted("the process that hears the client speaks TLS itself; there is no tlsproxy process");

    /// As `smtp_tls_dkey_file`, for TLS that tlsproxy(8) speaks for the SMTP client.
    tlsproxy_client_dkey_file: Text(form: File) = "$smtp_tls_dkey_file", Accepted("the process that hears the client speaks TLS itself; there is no tlsproxy process");

    /// As `smtp_tls_eccert_file`, for TLS that tlsproxy(8) speaks for the SMTP client.
    tlsproxy_client_eccert_file: Text(form: File) = "$smtp_tls_eccert_file", Accepted("the process that hears the client speaks TLS itself; there is no tlsproxy process");

    /// As `smtp_tls_eckey_file`, for TLS that tlsproxy(8) speaks for the SMTP client.
    tlsproxy_client_eckey_file: Text(form: File) = "$smtp_tls_eckey_file", Accepted("the process that hears the client speaks TLS itself; there is no tlsproxy process");

    /// As `smtp_enforce_tls`, for TLS that tlsproxy(8) speaks for the SMTP client.
    tlsproxy_client_enforce_tls: NBool = "$smtp_enforce_tls", Accepted("the process that hears the client speaks TLS itself; there is no tlsproxy process");

    /// As `smtp_tls_fingerprint_digest`, for TLS that tlsproxy(8) speaks for the SMTP client.
    tlsproxy_client_fingerprint_digest: Text(min: 1, form: Digest) = "$smtp_tls_fingerprint_digest", Accepted("the process that hears the client speaks TLS itself; there is no tlsproxy process");

    /// As `smtp_tls_key_file`, for TLS that tlsproxy(8) speaks for the SMTP client.
    tlsproxy_client_key_file: Text(form: File) = "$smtp_tls_key_file", Accepted("the process that hears the client speaks TLS itself; there is no tlsproxy process");

    /// As `smtp_tls_loglevel`, for TLS that tlsproxy(8) speaks for the SMTP client.
    tlsproxy_client_loglevel: Text(form: LogLevels) = "$smtp_tls_loglevel", Accepted("the process that hears the client speaks TLS itself; there is no tlsproxy process");

    /// As `smtp_tls_per_site`, for TLS that tlsproxy(8) speaks for the SMTP client.
    tlsproxy_client_per_site: Text = "$smtp_tls_per_site", Accepted("the process that hears the client speaks TLS itself; there is no tlsproxy process");

    /// As `smtp_tls_policy_maps`, for TLS that tlsproxy(8) speaks for the SMTP client.
    tlsproxy_client_policy_maps: Text(form: Tables) = "${tlsproxy_client_policy?{$tlsproxy_client_policy}:{$smtp_tls_policy_maps}}", Accepted("the process that hears the client speaks TLS itself; there is no tlsproxy process");

    /// As `smtp_tls_scert_verifydepth`, for TLS that tlsproxy(8) speaks for the SMTP client.
    tlsproxy_client_scert_verifydepth: NInt = "$smtp_tls_scert_verifydepth", Accepted("the process that hears the client speaks TLS itself; there is no tlsproxy process");

    /// As `smtp_tls_security_level`, for TLS that tlsproxy(8) speaks for the SMTP client.
    tlsproxy_client_security_level: Text(form: OneOf(&["", "none", "may", "encrypt", "fingerprint", "dane", "dane-only", "verify", "secure"])) = "${tlsproxy_client_level?{$tlsproxy_client_level}:{$smtp_tls_security_level}}", Accepted("the process that hears the client speaks TLS itself; there is no tlsproxy process");

    /// As `smtp_use_tls`, for TLS that tlsproxy(8) speaks for the SMTP client.
    tlsproxy_client_use_tls: NBool = "$smtp_use_tls", Accepted("the process that hears the client speaks TLS itself; there is no tlsproxy process");

    /// As `smtpd_enforce_tls`, for tlsproxy(8).
    tlsproxy_enforce_tls: NBool = "$smtpd_enforce_tls", Accepted("the process that hears the client speaks TLS itself; there is no tlsproxy process");

    /// The service that speaks TLS for others.
    tlsproxy_service_name: Text(min: 1, form: Service) = "tlsproxy", Accepted("services find each other without names in the file system");

    /// As `smtpd_tls_CAfile`, for TLS that tlsproxy(8) speaks with clients of postscreen(8).
    tlsproxy_tls_CAfile: Text(form: File) = "$smtpd_tls_CAfile", Accepted("the process that hears the client speaks TLS itself; there is no tlsproxy process");

    /// As `smtpd_tls_CApath`, for TLS that tlsproxy(8) speaks with clients of postscreen(8).
    tlsproxy_tls_CApath: Text(form: Directory) = "$smtpd_tls_CApath", Accepted("the process that hears the client speaks TLS itself; there is no tlsproxy process");

    /// As `smtpd_tls_always_issue_session_ids`, for TLS that tlsproxy(8) speaks with clients of postscreen(8).
    tlsproxy_tls_always_issue_session_ids: NBool = "$smtpd_tls_always_issue_session_ids", Accepted("the process that hears the client speaks TLS itself; there is no tlsproxy process");

    /// As `smtpd_tls_ask_ccert`, for TLS that tlsproxy(8) speaks with clients of postscreen(8).
    tlsproxy_tls_ask_ccert: NBool = "$smtpd_tls_ask_ccert", Accepted("the process that hears the client speaks TLS itself; there is no tlsproxy process");

    /// As `smtpd_tls_ccert_verifydepth`, for TLS that tlsproxy(8) speaks with clients of postscreen(8).
    tlsproxy_tls_ccert_verifydepth: NInt = "$smtpd_tls_ccert_verifydepth", Accepted("the process that hears the client speaks TLS itself; there is no tlsproxy process");

    /// As `smtpd_tls_cert_file`, for TLS that tlsproxy(8) speaks with clients of postscreen(8).
    tlsproxy_tls_cert_file: Text(form: File) = "$smtpd_tls_cert_file", Accepted("the process that hears the client speaks TLS itself; there is no tlsproxy process");

    /// As `smtpd_tls_chain_files`, for TLS that tlsproxy(8) speaks with clients of postscreen(8).
    tlsproxy_tls_chain_files: Text(form: Files) = "$smtpd_tls_chain_files", Accepted("the process that hears the client speaks TLS itself; there is no tlsproxy process");

    /// As `smtpd_tls_ciphers`, for TLS that tlsproxy(8) speaks with clients of postscreen(8).
    tlsproxy_tls_ciphers: Text(min: 1, form: OneOf(&["high", "medium", "null", "low", "export"])) = "$smtpd_tls_ciphers", Accepted("the process that hears the client speaks TLS itself; there is no tlsproxy process");

    /// As `smtpd_tls_dcert_file`, for TLS that tlsproxy(8) speaks with clients of postscreen(8).
    tlsproxy_tls_dcert_file: Text(form: File) = "$smtpd_tls_dcert_file", Accepted("the process that hears the client speaks TLS itself; there is no tlsproxy process");

    /// As `smtpd_tls_dh1024_param_file`, for TLS that tlsproxy(8) speaks with clients of postscreen(8).
    tlsproxy_tls_dh1024_param_file: Text(form: File) = "$smtpd_tls_dh1024_param_file", Accepted("the process that hears the client speaks TLS itself; there is no tlsproxy process");

    /// As `smtpd_tls_dh512_param_file`, for TLS that tlsproxy(8) speaks with clients of postscreen(8).
    tlsproxy_tls_dh512_param_file: Text(form: File) = "$smtpd_tls_dh512_param_file", Accepted("OpenSSL has no export and low grade ciphers any more");

    /// As `smtpd_tls_dkey_file`, for TLS that tlsproxy(8) speaks with clients of postscreen(8).
    tlsproxy_tls_dkey_file: Text(form: File) = "$smtpd_tls_dkey_file", Accepted("the process that hears the client speaks TLS itself; there is no tlsproxy process");

    /// As `smtpd_tls_eccert_file`, for TLS that tlsproxy(8) speaks with clients of postscreen(8).
    tlsproxy_tls_eccert_file: Text(form: File) = "$smtpd_tls_eccert_file", Accepted("the process that hears the client speaks TLS itself; there is no tlsproxy process");

    /// As `smtpd_tls_eckey_file`, for TLS that tlsproxy(8) speaks with clients of postscreen(8).
    tlsproxy_tls_eckey_file: Text(form: File) = "$smtpd_tls_eckey_file", Accepted("the process that hears the client speaks TLS itself; there is no tlsproxy process");

    /// As `smtpd_tls_eecdh_grade`, for TLS that tlsproxy(8) speaks with clients of postscreen(8).
    tlsproxy_tls_eecdh_grade: Text(min: 1) = "$smtpd_tls_eecdh_grade", Accepted("OpenSSL negotiates curves from tls_eecdh_auto_curves");

    /// As `smtpd_tls_enable_rpk`, for TLS that tlsproxy(8) speaks with clients of postscreen(8).
    tlsproxy_tls_enable_rpk: NBool = "$smtpd_tls_enable_rpk", Accepted("the process that hears the client speaks TLS itself; there is no tlsproxy process");

    /// As `smtpd_tls_exclude_ciphers`, for TLS that tlsproxy(8) speaks with clients of postscreen(8).
    tlsproxy_tls_exclude_ciphers: Text(form: List) = "$smtpd_tls_exclude_ciphers", Accepted("the process that hears the client speaks TLS itself; there is no tlsproxy process");

    /// As `smtpd_tls_fingerprint_digest`, for TLS that tlsproxy(8) speaks with clients of postscreen(8).
    tlsproxy_tls_fingerprint_digest: Text(min: 1, form: Digest) = "$smtpd_tls_fingerprint_digest", Accepted("the process that hears the client speaks TLS itself; there is no tlsproxy process");

    /// As `smtpd_tls_key_file`, for TLS that tlsproxy(8) speaks with clients of postscreen(8).
    tlsproxy_tls_key_file: Text(form: File) = "$smtpd_tls_key_file", Accepted("the process that hears the client speaks TLS itself; there is no tlsproxy process");

    /// As `smtpd_tls_loglevel`, for TLS that tlsproxy(8) speaks with clients of postscreen(8).
    tlsproxy_tls_loglevel: Text(form: LogLevels) = "$smtpd_tls_loglevel", Accepted("the process that hears the client speaks TLS itself; there is no tlsproxy process");

    /// As `smtpd_tls_mandatory_ciphers`, for TLS that tlsproxy(8) speaks with clients of postscreen(8).
    tlsproxy_tls_mandatory_ciphers: Text(min: 1, form: OneOf(&["high", "medium", "null", "low", "export"])) = "$smtpd_tls_mandatory_ciphers", Accepted("the process that hears the client speaks TLS itself; there is no tlsproxy process");

    /// As `smtpd_tls_mandatory_exclude_ciphers`, for TLS that tlsproxy(8) speaks with clients of postscreen(8).
    tlsproxy_tls_mandatory_exclude_ciphers: Text(form: List) = "$smtpd_tls_mandatory_exclude_ciphers", Accepted("the process that hears the client speaks TLS itself; there is no tlsproxy process");

    /// As `smtpd_tls_mandatory_protocols`, for TLS that tlsproxy(8) speaks with clients of postscreen(8).
    tlsproxy_tls_mandatory_protocols: Text(form: Protocols) = "$smtpd_tls_mandatory_protocols", Accepted("the process that hears the client speaks TLS itself; there is no tlsproxy process");

    /// As `smtpd_tls_protocols`, for TLS that tlsproxy(8) speaks with clients of postscreen(8).
    tlsproxy_tls_protocols: Text(form: Protocols) = "$smtpd_tls_protocols", Accepted("the process that hears the client speaks TLS itself; there is no tlsproxy process");

    /// As `smtpd_tls_req_ccert`, for TLS that tlsproxy(8) speaks with clients of postscreen(8).
    tlsproxy_tls_req_ccert: NBool = "$smtpd_tls_req_ccert", Accepted("the process that hears the client speaks TLS itself; there is no tlsproxy process");

    /// As `smtpd_tls_security_level`, for TLS that tlsproxy(8) speaks with clients of postscreen(8).
    tlsproxy_tls_security_level: Text(form: OneOf(&["", "none", "may", "encrypt"])) = "$smtpd_tls_security_level", Accepted("the process that hears the client speaks TLS itself; there is no tlsproxy process");

    /// As `smtpd_use_tls`, for tlsproxy(8).
    tlsproxy_use_tls: NBool = "$smtpd_use_tls", Accepted("the process that hears the client speaks TLS itself; there is no tlsproxy process");

    /// How long tlsproxy(8) may be stuck before it is ended.
    tlsproxy_watchdog_timeout: Time(min: 10) = "10s", Accepted("the process that hears the client speaks TLS itself; there is no tlsproxy process");
}
