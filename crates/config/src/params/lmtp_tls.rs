//! TLS of lmtp(8): TLS_README. It reads these where smtp(8) reads its own.

use crate::param::params;

params! { lmtp_tls, "LMTP client: TLS";
    /// As `smtp_enforce_tls`, for the LMTP client.
    lmtp_enforce_tls: Bool = "no", Works;

    /// As `smtp_log_tls_feature_status`, for the LMTP client.
    lmtp_log_tls_feature_status: NBool = "yes", Works;

    /// As `smtp_requiretls_policy`, for the LMTP client.
    lmtp_requiretls_policy: Text = "opportunistic", Works;

    /// As `smtp_starttls_timeout`, for the LMTP client.
    lmtp_starttls_timeout: Time(min: 1) = "300s", Works;

    /// As `smtp_tls_CAfile`, for the LMTP client.
    lmtp_tls_CAfile: Text(form: File) = "", Works;

    /// As `smtp_tls_CApath`, for the LMTP client.
    lmtp_tls_CApath: Text(form: Directory) = "", Works;

    /// As `smtp_tls_block_early_mail_reply`, for the LMTP client.
    lmtp_tls_block_early_mail_reply: Bool = "no", Works;

    /// As `smtp_tls_cert_file`, for the LMTP client.
    lmtp_tls_cert_file: Text(form: File) = "", Works;

    /// As `smtp_tls_chain_files`, for the LMTP client.
    lmtp_tls_chain_files: Text(form: Files) = "", Works;

    /// As `smtp_tls_ciphers`, for the LMTP client.
    lmtp_tls_ciphers: Text(min: 1, form: OneOf(&["high", "medium", "null", "low", "export"])) = "medium", Works;

    /// As `smtp_tls_connection_reuse`, for the LMTP client.
    lmtp_tls_connection_reuse: Bool = "no", Works;

    /// As `smtp_tls_dcert_file`, for the LMTP client.
    lmtp_tls_dcert_file: Text(form: File) = "", Works;

    /// As `smtp_tls_dkey_file`, for the LMTP client.
    lmtp_tls_dkey_file: Text(form: File) = "$lmtp_tls_dcert_file", Works;

    /// As `smtp_tls_eccert_file`, for the LMTP client.
    lmtp_tls_eccert_file: Text(form: File) = "", Works;

    /// As `smtp_tls_eckey_file`, for the LMTP client.
    lmtp_tls_eckey_file: Text(form: File) = "$lmtp_tls_eccert_file", Works;

    /// As `smtp_tls_enable_rpk`, for the LMTP client.
    lmtp_tls_enable_rpk: Bool = "no", Accepted("the TLS library has no raw public keys before OpenSSL 3.2; certificates are asked for");

    /// As `smtp_tls_enforce_peername`, for the LMTP client.
    lmtp_tls_enforce_peername: Bool = "yes", Works;

    /// As `smtp_tls_enforce_sts_mx_patterns`, for the LMTP client.
    lmtp_tls_enforce_sts_mx_patterns: NBool = "yes", Works;

    /// As `smtp_tls_exclude_ciphers`, for the LMTP client.
    lmtp_tls_exclude_ciphers: Text(form: List) = "", Works;

    /// As `smtp_tls_fingerprint_cert_match`, for the LMTP client.
    lmtp_tls_fingerprint_cert_match: Text(form: List) = "", Works;

    /// As `smtp_tls_fingerprint_digest`, for the LMTP client.
    lmtp_tls_fingerprint_digest: Text(min: 1, form: Digest) = "${{$compatibility_level} <level {3.6} ? {md5} : {sha256}}", Works;

    /// As `smtp_tls_force_insecure_host_tlsa_lookup`, for the LMTP client.
    lmtp_tls_force_insecure_host_tlsa_lookup: Bool = "no", Works;

    /// As `smtp_tls_key_file`, for the LMTP client.
    lmtp_tls_key_file: Text(form: File) = "$lmtp_tls_cert_file", Works;

    /// As `smtp_tls_loglevel`, for the LMTP client.
    lmtp_tls_loglevel: Text(form: LogLevels) = "0", Works;

    /// As `smtp_tls_loglevel_maps`, for the LMTP client.
    lmtp_tls_loglevel_maps: Text(form: Tables) = "", Works;

    /// As `smtp_tls_mandatory_ciphers`, for the LMTP client.
    lmtp_tls_mandatory_ciphers: Text(min: 1, form: OneOf(&["high", "medium", "null", "low", "export"])) = "medium", Works;

    /// As `smtp_tls_mandatory_exclude_ciphers`, for the LMTP client.
    lmtp_tls_mandatory_exclude_ciphers: Text(form: List) = "", Works;

    /// As `smtp_tls_mandatory_protocols`, for the LMTP client.
    lmtp_tls_mandatory_protocols: Text(form: Protocols) = ">=TLSv1", Works;

    /// As `smtp_tls_note_starttls_offer`, for the LMTP client.
    lmtp_tls_note_starttls_offer: Bool = "no", Works;

    /// As `smtp_tls_per_site`, for the LMTP client.
    lmtp_tls_per_site: Text(form: Tables) = "", Works;

    /// As `smtp_tls_policy_maps`, for the LMTP client.
    lmtp_tls_policy_maps: Text(form: Tables) = "", Works;

    /// As `smtp_tls_protocols`, for the LMTP client.
    lmtp_tls_protocols: Text(form: Protocols) = ">=TLSv1", Works;

    /// As `smtp_tls_scert_verifydepth`, for the LMTP client.
    lmtp_tls_scert_verifydepth: Int = "9", Works;

    /// As `smtp_tls_secure_cert_match`, for the LMTP client.
    lmtp_tls_secure_cert_match: Text(min: 1, form: List) = "nexthop", Works;

    /// As `smtp_tls_security_level`, for the LMTP client.
    lmtp_tls_security_level: Text(form: OneOf(&["", "none", "may", "encrypt", "fingerprint", "dane", "dane-only", "verify", "secure"])) = "", Works;

    /// As `smtp_tls_servername`, for the LMTP client.
    lmtp_tls_servername: Text = "", Works;

    /// As `smtp_tls_session_cache_database`, for the LMTP client.
    lmtp_tls_session_cache_database: Text(form: Table) = "", Works;

    /// As `smtp_tls_session_cache_timeout`, for the LMTP client.
    lmtp_tls_session_cache_timeout: Time(max: 8640000) = "3600s", Works;

    /// As `smtp_tls_trace_size_limit`, for the LMTP client.
    lmtp_tls_trace_size_limit: Int = "102400", Works;

    /// As `smtp_tls_trust_anchor_file`, for the LMTP client.
    lmtp_tls_trust_anchor_file: Text = "", Works;

    /// As `smtp_tls_verify_cert_match`, for the LMTP client.
    lmtp_tls_verify_cert_match: Text(min: 1, form: List) = "hostname", Works;

    /// As `smtp_tls_wrappermode`, for the LMTP client.
    lmtp_tls_wrappermode: Bool = "no", Works;

    /// As `smtp_tlsrpt_enable`, for the LMTP client.
    lmtp_tlsrpt_enable: NBool = "no", Accepted("TLSRPT (RFC 8460) is about SMTP; Postfix reports nothing about LMTP either");

    /// As `smtp_tlsrpt_skip_reused_handshakes`, for the LMTP client.
    lmtp_tlsrpt_skip_reused_handshakes: NBool = "no", Accepted("TLSRPT (RFC 8460) is about SMTP; Postfix reports nothing about LMTP either");

    /// As `smtp_tlsrpt_socket_name`, for the LMTP client.
    lmtp_tlsrpt_socket_name: Text = "", Accepted("TLSRPT (RFC 8460) is about SMTP; Postfix reports nothing about LMTP either");

    /// As `smtp_use_tls`, for the LMTP client.
    lmtp_use_tls: Bool = "no", Works;
}
