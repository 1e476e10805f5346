//! smtpd(8) TLS: what main.cf can say (postconf(5)).

use crate::param::params;

params! { smtpd_tls, "smtpd(8) TLS";
    /// See postconf(5), `smtpd_enforce_tls`.
    smtpd_enforce_tls: Bool = "no", Planned("not built yet");

    /// See postconf(5), `smtpd_starttls_timeout`.
    smtpd_starttls_timeout: Time(min: 1) = "${stress?{10}:{300}}s", Planned("not built yet");

    /// See postconf(5), `smtpd_tls_CAfile`.
    smtpd_tls_CAfile: Text(form: File) = "", Planned("not built yet");

    /// See postconf(5), `smtpd_tls_CApath`.
    smtpd_tls_CApath: Text(form: Directory) = "", Planned("not built yet");

    /// See postconf(5), `smtpd_tls_always_issue_session_ids`.
    smtpd_tls_always_issue_session_ids: Bool = "yes", Planned("not built yet");

    /// See postconf(5), `smtpd_tls_ask_ccert`.
    smtpd_tls_ask_ccert: Bool = "no", Planned("not built yet");

    /// See postconf(5), `smtpd_tls_auth_only`.
    smtpd_tls_auth_only: Bool = "no", Planned("not built yet");

    /// See postconf(5), `smtpd_tls_ccert_verifydepth`.
    smtpd_tls_ccert_verifydepth: Int = "9", Planned("not built yet");

    /// See postconf(5), `smtpd_tls_cert_file`.
    smtpd_tls_cert_file: Text(form: File) = "", Planned("not built yet");

    /// See postconf(5), `smtpd_tls_chain_files`.
    smtpd_tls_chain_files: Text(form: Files) = "", Planned("not built yet");

    /// See postconf(5), `smtpd_tls_ciphers`.
    smtpd_tls_ciphers: Text(min: 1, form: OneOf(&["high", "medium", "null", "low", "export"])) = "medium", Planned("not built yet");

    /// See postconf(5), `smtpd_tls_dcert_file`.
    smtpd_tls_dcert_file: Text(form: File) = "", Planned("not built yet");

    /// See postconf(5), `smtpd_tls_dh1024_param_file`.
    smtpd_tls_dh1024_param_file: Text(form: File) = "", Planned("not built yet");

    /// See postconf(5), `smtpd_tls_dh512_param_file`.
    smtpd_tls_dh512_param_file: Text(form: File) = "", Planned("not built yet");

    /// See postconf(5), `smtpd_tls_dkey_file`.
    smtpd_tls_dkey_file: Text(form: File) = "$smtpd_tls_dcert_file", Planned("not built yet");

    /// See postconf(5), `smtpd_tls_eccert_file`.
    smtpd_tls_eccert_file: Text(form: File) = "", Planned("not built yet");

    /// See postconf(5), `smtpd_tls_eckey_file`.
    smtpd_tls_eckey_file: Text(form: File) = "$smtpd_tls_eccert_file", Planned("not built yet");

    /// See postconf(5), `smtpd_tls_eecdh_grade`.
    smtpd_tls_eecdh_grade: Text(min: 1, form: OneOf(&["auto", "none", "strong", "ultra"])) = "auto", Planned("not built yet");

    /// See postconf(5), `smtpd_tls_enable_rpk`.
    smtpd_tls_enable_rpk: Bool = "no", Planned("not built yet");

    /// See postconf(5), `smtpd_tls_exclude_ciphers`.
    smtpd_tls_exclude_ciphers: Text(form: List) = "", Planned("not built yet");

    /// See postconf(5), `smtpd_tls_fingerprint_digest`.
    smtpd_tls_fingerprint_digest: Text(min: 1, form: Digest) = "${{$compatibility_level} <level {3.6} ? {md5} : {sha256}}", Planned("not built yet");

    /// See postconf(5), `smtpd_tls_key_file`.
    smtpd_tls_key_file: Text(form: File) = "$smtpd_tls_cert_file", Planned("not built yet");

    /// See postconf(5), `smtpd_tls_loglevel`.
    smtpd_tls_loglevel: Text(form: LogLevels) = "0", Planned("not built yet");

    /// See postconf(5), `smtpd_tls_loglevel_maps`.
    smtpd_tls_loglevel_maps: Text(form: Tables) = "", Planned("not built yet");

    /// See postconf(5), `smtpd_tls_mandatory_ciphers`.
    smtpd_tls_mandatory_ciphers: Text(min: 1, form: OneOf(&["high", "medium", "null", "low", "export"])) = "medium", Planned("not built yet");

    /// See postconf(5), `smtpd_tls_mandatory_exclude_ciphers`.
    smtpd_tls_mandatory_exclude_ciphers: Text(form: List) = "", Planned("not built yet");

    /// See postconf(5), `smtpd_tls_mandatory_protocols`.
    smtpd_tls_mandatory_protocols: Text(form: Protocols) = ">=TLSv1", Planned("not built yet");

    /// See postconf(5), `smtpd_tls_protocols`.
    smtpd_tls_protocols: Text(form: Protocols) = ">=TLSv1", Planned("not built yet");

    /// See postconf(5), `smtpd_tls_received_header`.
    smtpd_tls_received_header: Bool = "no", Planned("not built yet");

    /// See postconf(5), `smtpd_tls_req_ccert`.
    smtpd_tls_req_ccert: Bool = "no", Planned("not built yet");

    /// See postconf(5), `smtpd_tls_security_level`.
    smtpd_tls_security_level: Text(form: OneOf(&["", "none", "may", "encrypt"])) = "", Planned("not built yet");

    /// See postconf(5), `smtpd_tls_session_cache_database`.
    smtpd_tls_session_cache_database: Text(form: Table) = "", Planned("not built yet");

    /// See postconf(5), `smtpd_tls_session_cache_timeout`.
    smtpd_tls_session_cache_timeout: Time(max: 8640000) = "3600s", Planned("not built yet");

    /// See postconf(5), `smtpd_tls_trace_size_limit`.
    smtpd_tls_trace_size_limit: Int = "102400", Planned("not built yet");

    /// See postconf(5), `smtpd_tls_wrappermode`.
    smtpd_tls_wrappermode: Bool = "no", Planned("not built yet");

    /// See postconf(5), `smtpd_use_tls`.
    smtpd_use_tls: Bool = "no", Planned("not built yet");
}
