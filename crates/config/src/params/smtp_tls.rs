//! TLS of smtp(8): TLS_README.

use crate::param::params;

params! { smtp_tls, "SMTP client: TLS";
    /// Old switch: TLS is required, and the server's name must match.
    smtp_enforce_tls: Bool = "no", Works;

    /// Whether delivery log lines tell what TLS features were used.
    smtp_log_tls_feature_status: NBool = "yes", Works;

    /// How REQUIRETLS is enforced for each next hop.
    smtp_requiretls_policy: Text = "inline:{{${domain_to_ascii{$mydomain}}=opportunistic}, {.${domain_to_ascii{$mydomain}}=opportunistic}, {localhost=opportunistic}}, cidr:{{0.0.0.0/0 opportunistic}, {::/0 opportunistic}}, enforce", Works;

    /// How long the TLS handshake may take.
    smtp_starttls_timeout: Time(min: 1) = "300s", Works;

    /// A file of certificate authorities that are trusted.
    smtp_tls_CAfile: Text(form: File) = "", Works;

    /// A directory of certificate authorities that are trusted.
    smtp_tls_CApath: Text(form: Directory) = "", Works;

    /// Whether replies that come too early after STARTTLS are checked for.
    smtp_tls_block_early_mail_reply: Bool = "no", Works;

    /// The client's RSA certificate.
    smtp_tls_cert_file: Text(form: File) = "", Works;

    /// The client's keys and certificate chains, all in PEM files.
    smtp_tls_chain_files: Text(form: Files) = "", Works;

    /// The least cipher grade of opportunistic TLS.
    smtp_tls_ciphers: Text(min: 1, form: OneOf(&["high", "medium", "null", "low", "export"])) = "medium", Works;

    /// Whether TLS connections are kept for more than one delivery.
    smtp_tls_connection_reuse: Bool = "no", Works;

    /// The TLS level for MX hosts found without DNSSEC that have secure TLSA records.
    smtp_tls_dane_insecure_mx_policy: Text(form: OneOf(&["may", "encrypt", "dane"])) = "dane", Works;

    /// The client's DSA certificate.
    smtp_tls_dcert_file: Text(form: File) = "", Works;

    /// The client's DSA key.
    smtp_tls_dkey_file: Text(form: File) = "$smtp_tls_dcert_file", Works;

    /// The client's ECDSA certificate.
    smtp_tls_eccert_file: Text(form: File) = "", Works;

    /// The client's ECDSA key.
    smtp_tls_eckey_file: Text(form: File) = "$smtp_tls_eccert_file", Works;

    /// Whether raw public keys are used where both sides can.
    smtp_tls_enable_rpk: Bool = "no", Accepted("the TLS library has no raw public keys before OpenSSL 3.2; certificates are asked for");

    /// Old switch: whether the server's name must match when TLS is required.
    smtp_tls_enforce_peername: Bool = "yes", Works;

    /// Whether MX names must match the patterns of an MTA-STS policy, and certificates the MX name.
    smtp_tls_enforce_sts_mx_patterns: NBool = "yes", Works;

    /// Ciphers that are never used.
    smtp_tls_exclude_ciphers: Text(form: List) = "", Works;

    /// Fingerprints that are trusted at level `fingerprint`.
    smtp_tls_fingerprint_cert_match: Text(form: List) = "", Works;

    /// The digest of fingerprints.
    smtp_tls_fingerprint_digest: Text(min: 1, form: Digest) = "${{$compatibility_level} <level {3.6} ? {md5} : {sha256}}", Works;

    /// Whether TLSA records are asked for below names that are not secure.
    smtp_tls_force_insecure_host_tlsa_lookup: Bool = "no", Works;

    /// The client's RSA key.
    smtp_tls_key_file: Text(form: File) = "$smtp_tls_cert_file", Works;

    /// How much of TLS is logged.
    smtp_tls_loglevel: Text(form: LogLevels) = "0", Works;

    /// Tables with a TLS log level for each server.
    smtp_tls_loglevel_maps: Text(form: Tables) = "", Works;

    /// The least cipher grade of required TLS.
    smtp_tls_mandatory_ciphers: Text(min: 1, form: OneOf(&["high", "medium", "null", "low", "export"])) = "medium", Works;

    /// Ciphers that are not used when TLS is required.
    smtp_tls_mandatory_exclude_ciphers: Text(form: List) = "", Works;

    /// The TLS versions of required TLS.
    smtp_tls_mandatory_protocols: Text(form: Protocols) = ">=TLSv1", Works;

    /// Whether servers that offer STARTTLS are logged when it is not used.
    smtp_tls_note_starttls_offer: Bool = "no", Works;

    /// Old tables with a TLS policy for each host.
    smtp_tls_per_site: Text(form: Tables) = "", Works;

    /// Tables with a TLS policy for each destination.
    smtp_tls_policy_maps: Text(form: Tables) = "", Works;

    /// The TLS versions of opportunistic TLS.
    smtp_tls_protocols: Text(form: Protocols) = ">=TLSv1", Works;

    /// How long a server's certificate chain may be.
    smtp_tls_scert_verifydepth: Int = "9", Works;

    /// Which names a certificate may have at level `secure`.
    smtp_tls_secure_cert_match: Text(min: 1, form: List) = "nexthop, dot-nexthop", Works;

    /// The TLS level where no policy says otherwise.
    smtp_tls_security_level: Text(form: OneOf(&["", "none", "may", "encrypt", "fingerprint", "dane", "dane-only", "verify", "secure"])) = "${{$compatibility_level} <level {3.11} ? {} : {may}}", Works;

    /// The name that is sent as SNI.
    smtp_tls_servername: Text = "", Works;

    /// Where TLS sessions are kept for resumption.
    smtp_tls_session_cache_database: Text(form: Table) = "", Works;

    /// How long a TLS session is kept.
    smtp_tls_session_cache_timeout: Time(max: 8640000) = "3600s", Works;

    /// How large the transcript of one TLS handshake may become, in bytes.
    smtp_tls_trace_size_limit: Int = "102400", Works;

    /// Files of certificates or keys that are the only ones trusted.
    smtp_tls_trust_anchor_file: Text = "", Works;

    /// Which names a certificate may have at level `verify`.
    smtp_tls_verify_cert_match: Text(min: 1, form: List) = "hostname", Works;

    /// Whether TLS begins with the connection, without STARTTLS.
    smtp_tls_wrappermode: Bool = "no", Works;

    /// Whether TLS results are reported for TLSRPT (RFC 8460).
    smtp_tlsrpt_enable: NBool = "no", Works;

    /// Whether resumed sessions are left out of that report.
    smtp_tlsrpt_skip_reused_handshakes: NBool = "no", Works;

    /// The socket of the TLSRPT collector.
    smtp_tlsrpt_socket_name: Text = "", Works;

    /// Old switch: TLS is used where it is offered.
    smtp_use_tls: Bool = "no", Works;
}
