//! smtp(8) TLS: what main.cf can say (postconf(5)).

use crate::param::params;

params! { smtp_tls, "smtp(8) TLS";
    /// See postconf(5), `smtp_enforce_tls`.
    smtp_enforce_tls: Bool = "no", Planned("not built yet");

    /// See postconf(5), `smtp_log_tls_feature_status`.
    smtp_log_tls_feature_status: NBool = "yes", Planned("not built yet");

    /// See postconf(5), `smtp_requiretls_policy`.
    smtp_requiretls_policy: Text = "inline:{{${domain_to_ascii{$mydomain}}=opportunistic}, {.${domain_to_ascii{$mydomain}}=opportunistic}, {localhost=opportunistic}}, cidr:{{0.0.0.0/0 opportunistic}, {::/0 opportunistic}}, enforce", Planned("not built yet");

    /// See postconf(5), `smtp_starttls_timeout`.
    smtp_starttls_timeout: Time(min: 1) = "300s", Planned("not built yet");

    /// See postconf(5), `smtp_tls_CAfile`.
    smtp_tls_CAfile: Text(form: File) = "", Planned("not built yet");

    /// See postconf(5), `smtp_tls_CApath`.
    smtp_tls_CApath: Text(form: Directory) = "", Planned("not built yet");

    /// See postconf(5), `smtp_tls_block_early_mail_reply`.
    smtp_tls_block_early_mail_reply: Bool = "no", Planned("not built yet");

    /// See postconf(5), `smtp_tls_cert_file`.
    smtp_tls_cert_file: Text(form: File) = "", Planned("not built yet");

    /// See postconf(5), `smtp_tls_chain_files`.
    smtp_tls_chain_files: Text(form: Files) = "", Planned("not built yet");

    /// See postconf(5), `smtp_tls_ciphers`.
    smtp_tls_ciphers: Text(min: 1, form: OneOf(&["high", "medium", "null", "low", "export"])) = "medium", Planned("not built yet");

    /// See postconf(5), `smtp_tls_connection_reuse`.
    smtp_tls_connection_reuse: Bool = "no", Planned("not built yet");

    /// See postconf(5), `smtp_tls_dane_insecure_mx_policy`.
    smtp_tls_dane_insecure_mx_policy: Text(form: OneOf(&["may", "encrypt", "dane"])) = "dane", Planned("not built yet");

    /// See postconf(5), `smtp_tls_dcert_file`.
    smtp_tls_dcert_file: Text(form: File) = "", Planned("not built yet");

    /// See postconf(5), `smtp_tls_dkey_file`.
    smtp_tls_dkey_file: Text(form: File) = "$smtp_tls_dcert_file", Planned("not built yet");

    /// See postconf(5), `smtp_tls_eccert_file`.
    smtp_tls_eccert_file: Text(form: File) = "", Planned("not built yet");

    /// See postconf(5), `smtp_tls_eckey_file`.
    smtp_tls_eckey_file: Text(form: File) = "$smtp_tls_eccert_file", Planned("not built yet");

    /// See postconf(5), `smtp_tls_enable_rpk`.
    smtp_tls_enable_rpk: Bool = "no", Planned("not built yet");

    /// See postconf(5), `smtp_tls_enforce_peername`.
    smtp_tls_enforce_peername: Bool = "yes", Planned("not built yet");

    /// See postconf(5), `smtp_tls_enforce_sts_mx_patterns`.
    smtp_tls_enforce_sts_mx_patterns: NBool = "yes", Planned("not built yet");

    /// See postconf(5), `smtp_tls_exclude_ciphers`.
    smtp_tls_exclude_ciphers: Text(form: List) = "", Planned("not built yet");

    /// See postconf(5), `smtp_tls_fingerprint_cert_match`.
    smtp_tls_fingerprint_cert_match: Text(form: List) = "", Planned("not built yet");

    /// See postconf(5), `smtp_tls_fingerprint_digest`.
    smtp_tls_fingerprint_digest: Text(min: 1, form: Digest) = "${{$compatibility_level} <level {3.6} ? {md5} : {sha256}}", Planned("not built yet");

    /// See postconf(5), `smtp_tls_force_insecure_host_tlsa_lookup`.
    smtp_tls_force_insecure_host_tlsa_lookup: Bool = "no", Planned("not built yet");

    /// See postconf(5), `smtp_tls_key_file`.
    smtp_tls_key_file: Text(form: File) = "$smtp_tls_cert_file", Planned("not built yet");

    /// See postconf(5), `smtp_tls_loglevel`.
    smtp_tls_loglevel: Text(form: LogLevels) = "0", Planned("not built yet");

    /// See postconf(5), `smtp_tls_loglevel_maps`.
    smtp_tls_loglevel_maps: Text(form: Tables) = "", Planned("not built yet");

    /// See postconf(5), `smtp_tls_mandatory_ciphers`.
    smtp_tls_mandatory_ciphers: Text(min: 1, form: OneOf(&["high", "medium", "null", "low", "export"])) = "medium", Planned("not built yet");

    /// See postconf(5), `smtp_tls_mandatory_exclude_ciphers`.
    smtp_tls_mandatory_exclude_ciphers: Text(form: List) = "", Planned("not built yet");

    /// See postconf(5), `smtp_tls_mandatory_protocols`.
    smtp_tls_mandatory_protocols: Text(form: Protocols) = ">=TLSv1", Planned("not built yet");

    /// See postconf(5), `smtp_tls_note_starttls_offer`.
    smtp_tls_note_starttls_offer: Bool = "no", Planned("not built yet");

    /// See postconf(5), `smtp_tls_per_site`.
    smtp_tls_per_site: Text(form: Tables) = "", Planned("not built yet");

    /// See postconf(5), `smtp_tls_policy_maps`.
    smtp_tls_policy_maps: Text(form: Tables) = "", Planned("not built yet");

    /// See postconf(5), `smtp_tls_protocols`.
    smtp_tls_protocols: Text(form: Protocols) = ">=TLSv1", Planned("not built yet");

    /// See postconf(5), `smtp_tls_scert_verifydepth`.
    smtp_tls_scert_verifydepth: Int = "9", Planned("not built yet");

    /// See postconf(5), `smtp_tls_secure_cert_match`.
    smtp_tls_secure_cert_match: Text(min: 1, form: List) = "nexthop, dot-nexthop", Planned("not built yet");

    /// See postconf(5), `smtp_tls_security_level`.
    smtp_tls_security_level: Text(form: OneOf(&["", "none", "may", "encrypt", "fingerprint", "dane", "dane-only", "verify", "secure"])) = "${{$compatibility_level} <level {3.11} ? {} : {may}}", Planned("not built yet");

    /// See postconf(5), `smtp_tls_servername`.
    smtp_tls_servername: Text = "", Planned("not built yet");

    /// See postconf(5), `smtp_tls_session_cache_database`.
    smtp_tls_session_cache_database: Text(form: Table) = "", Planned("not built yet");

    /// See postconf(5), `smtp_tls_session_cache_timeout`.
    smtp_tls_session_cache_timeout: Time(max: 8640000) = "3600s", Planned("not built yet");

    /// See postconf(5), `smtp_tls_trace_size_limit`.
    smtp_tls_trace_size_limit: Int = "102400", Planned("not built yet");

    /// See postconf(5), `smtp_tls_trust_anchor_file`.
    smtp_tls_trust_anchor_file: Text = "", Planned("not built yet");

    /// See postconf(5), `smtp_tls_verify_cert_match`.
    smtp_tls_verify_cert_match: Text(min: 1, form: List) = "hostname", Planned("not built yet");

    /// See postconf(5), `smtp_tls_wrappermode`.
    smtp_tls_wrappermode: Bool = "no", Planned("not built yet");

    /// See postconf(5), `smtp_tlsrpt_enable`.
    smtp_tlsrpt_enable: NBool = "no", Planned("not built yet");

    /// See postconf(5), `smtp_tlsrpt_skip_reused_handshakes`.
    smtp_tlsrpt_skip_reused_handshakes: NBool = "no", Planned("not built yet");

    /// See postconf(5), `smtp_tlsrpt_socket_name`.
    smtp_tlsrpt_socket_name: Text = "", Planned("not built yet");

    /// See postconf(5), `smtp_use_tls`.
    smtp_use_tls: Bool = "no", Planned("not built yet");
}
