//! lmtp(8) TLS: what main.cf can say (postconf(5)).

use crate::param::params;

params! { lmtp_tls, "lmtp(8) TLS";
    /// See postconf(5), `lmtp_enforce_tls`.
    lmtp_enforce_tls: Bool = "no", Planned("not built yet");

    /// See postconf(5), `lmtp_log_tls_feature_status`.
    lmtp_log_tls_feature_status: NBool = "yes", Planned("not built yet");

    /// See postconf(5), `lmtp_requiretls_policy`.
    lmtp_requiretls_policy: Text = "opportunistic", Planned("not built yet");

    /// See postconf(5), `lmtp_starttls_timeout`.
    lmtp_starttls_timeout: Time(min: 1) = "300s", Planned("not built yet");

    /// See postconf(5), `lmtp_tls_CAfile`.
    lmtp_tls_CAfile: Text(form: File) = "", Planned("not built yet");

    /// See postconf(5), `lmtp_tls_CApath`.
    lmtp_tls_CApath: Text(form: Directory) = "", Planned("not built yet");

    /// See postconf(5), `lmtp_tls_block_early_mail_reply`.
    lmtp_tls_block_early_mail_reply: Bool = "no", Planned("not built yet");

    /// See postconf(5), `lmtp_tls_cert_file`.
    lmtp_tls_cert_file: Text(form: File) = "", Planned("not built yet");

    /// See postconf(5), `lmtp_tls_chain_files`.
    lmtp_tls_chain_files: Text(form: Files) = "", Planned("not built yet");

    /// See postconf(5), `lmtp_tls_ciphers`.
    lmtp_tls_ciphers: Text(min: 1, form: OneOf(&["high", "medium", "null", "low", "export"])) = "medium", Planned("not built yet");

    /// See postconf(5), `lmtp_tls_connection_reuse`.
    lmtp_tls_connection_reuse: Bool = "no", Planned("not built yet");

    /// See postconf(5), `lmtp_tls_dcert_file`.
    lmtp_tls_dcert_file: Text(form: File) = "", Planned("not built yet");

    /// See postconf(5), `lmtp_tls_dkey_file`.
    lmtp_tls_dkey_file: Text(form: File) = "$lmtp_tls_dcert_file", Planned("not built yet");

    /// See postconf(5), `lmtp_tls_eccert_file`.
    lmtp_tls_eccert_file: Text(form: File) = "", Planned("not built yet");

    /// See postconf(5), `lmtp_tls_eckey_file`.
    lmtp_tls_eckey_file: Text(form: File) = "$lmtp_tls_eccert_file", Planned("not built yet");

    /// See postconf(5), `lmtp_tls_enable_rpk`.
    lmtp_tls_enable_rpk: Bool = "no", Planned("not built yet");

    /// See postconf(5), `lmtp_tls_enforce_peername`.
    lmtp_tls_enforce_peername: Bool = "yes", Planned("not built yet");

    /// See postconf(5), `lmtp_tls_enforce_sts_mx_patterns`.
    lmtp_tls_enforce_sts_mx_patterns: NBool = "yes", Planned("not built yet");

    /// See postconf(5), `lmtp_tls_exclude_ciphers`.
    lmtp_tls_exclude_ciphers: Text(form: List) = "", Planned("not built yet");

    /// See postconf(5), `lmtp_tls_fingerprint_cert_match`.
    lmtp_tls_fingerprint_cert_match: Text(form: List) = "", Planned("not built yet");

    /// See postconf(5), `lmtp_tls_fingerprint_digest`.
    lmtp_tls_fingerprint_digest: Text(min: 1, form: Digest) = "${{$compatibility_level} <level {3.6} ? {md5} : {sha256}}", Planned("not built yet");

    /// See postconf(5), `lmtp_tls_force_insecure_host_tlsa_lookup`.
    lmtp_tls_force_insecure_host_tlsa_lookup: Bool = "no", Planned("not built yet");

    /// See postconf(5), `lmtp_tls_key_file`.
    lmtp_tls_key_file: Text(form: File) = "$lmtp_tls_cert_file", Planned("not built yet");

    /// See postconf(5), `lmtp_tls_loglevel`.
    lmtp_tls_loglevel: Text(form: LogLevels) = "0", Planned("not built yet");

    /// See postconf(5), `lmtp_tls_loglevel_maps`.
    lmtp_tls_loglevel_maps: Text(form: Tables) = "", Planned("not built yet");

    /// See postconf(5), `lmtp_tls_mandatory_ciphers`.
    lmtp_tls_mandatory_ciphers: Text(min: 1, form: OneOf(&["high", "medium", "null", "low", "export"])) = "medium", Planned("not built yet");

    /// See postconf(5), `lmtp_tls_mandatory_exclude_ciphers`.
    lmtp_tls_mandatory_exclude_ciphers: Text(form: List) = "", Planned("not built yet");

    /// See postconf(5), `lmtp_tls_mandatory_protocols`.
    lmtp_tls_mandatory_protocols: Text(form: Protocols) = ">=TLSv1", Planned("not built yet");

    /// See postconf(5), `lmtp_tls_note_starttls_offer`.
    lmtp_tls_note_starttls_offer: Bool = "no", Planned("not built yet");

    /// See postconf(5), `lmtp_tls_per_site`.
    lmtp_tls_per_site: Text(form: Tables) = "", Planned("not built yet");

    /// See postconf(5), `lmtp_tls_policy_maps`.
    lmtp_tls_policy_maps: Text(form: Tables) = "", Planned("not built yet");

    /// See postconf(5), `lmtp_tls_protocols`.
    lmtp_tls_protocols: Text(form: Protocols) = ">=TLSv1", Planned("not built yet");

    /// See postconf(5), `lmtp_tls_scert_verifydepth`.
    lmtp_tls_scert_verifydepth: Int = "9", Planned("not built yet");

    /// See postconf(5), `lmtp_tls_secure_cert_match`.
    lmtp_tls_secure_cert_match: Text(min: 1, form: List) = "nexthop", Planned("not built yet");

    /// See postconf(5), `lmtp_tls_security_level`.
    lmtp_tls_security_level: Text(form: OneOf(&["", "none", "may", "encrypt", "fingerprint", "dane", "dane-only", "verify", "secure"])) = "", Planned("not built yet");

    /// See postconf(5), `lmtp_tls_servername`.
    lmtp_tls_servername: Text = "", Planned("not built yet");

    /// See postconf(5), `lmtp_tls_session_cache_database`.
    lmtp_tls_session_cache_database: Text(form: Table) = "", Planned("not built yet");

    /// See postconf(5), `lmtp_tls_session_cache_timeout`.
    lmtp_tls_session_cache_timeout: Time(max: 8640000) = "3600s", Planned("not built yet");

    /// See postconf(5), `lmtp_tls_trace_size_limit`.
    lmtp_tls_trace_size_limit: Int = "102400", Planned("not built yet");

    /// See postconf(5), `lmtp_tls_trust_anchor_file`.
    lmtp_tls_trust_anchor_file: Text = "", Planned("not built yet");

    /// See postconf(5), `lmtp_tls_verify_cert_match`.
    lmtp_tls_verify_cert_match: Text(min: 1, form: List) = "hostname", Planned("not built yet");

    /// See postconf(5), `lmtp_tls_wrappermode`.
    lmtp_tls_wrappermode: Bool = "no", Planned("not built yet");

    /// See postconf(5), `lmtp_tlsrpt_enable`.
    lmtp_tlsrpt_enable: NBool = "no", Planned("not built yet");

    /// See postconf(5), `lmtp_tlsrpt_skip_reused_handshakes`.
    lmtp_tlsrpt_skip_reused_handshakes: NBool = "no", Planned("not built yet");

    /// See postconf(5), `lmtp_tlsrpt_socket_name`.
    lmtp_tlsrpt_socket_name: Text = "", Planned("not built yet");

    /// See postconf(5), `lmtp_use_tls`.
    lmtp_use_tls: Bool = "no", Planned("not built yet");
}
