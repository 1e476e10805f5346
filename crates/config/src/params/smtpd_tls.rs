//! TLS of smtpd(8): TLS_README.

use crate::param::params;

params! { smtpd_tls, "SMTP server: TLS";
    /// Old switch: clients must use TLS.
    smtpd_enforce_tls: Bool = "no", Works;

    /// How long the TLS handshake may take.
    smtpd_starttls_timeout: Time(min: 1) = "${stress?{10}:{300}}s", Works;

    /// A file of certificate authorities that may sign client certificates.
    smtpd_tls_CAfile: Text(form: File) = "", Works;

    /// A directory of certificate authorities that may sign client certificates.
    smtpd_tls_CApath: Text(form: Directory) = "", Works;

    /// Whether TLS sessions get an id when none are kept.
    smtpd_tls_always_issue_session_ids: Bool = "yes", Works;

    /// Whether clients are asked for a certificate.
    smtpd_tls_ask_ccert: Bool = "no", Works;

    /// Whether AUTH is offered with TLS only.
    smtpd_tls_auth_only: Bool = "no", Works;

    /// How long a client's certificate chain may be.
    smtpd_tls_ccert_verifydepth: Int = "9", Works;

    /// The server's RSA certificate.
    smtpd_tls_cert_file: Text(form: File) = "", Works;

    /// The server's keys and certificate chains, all in PEM files.
    smtpd_tls_chain_files: Text(form: Files) = "", Works;

    /// The least cipher grade of opportunistic TLS.
    smtpd_tls_ciphers: Text(min: 1, form: OneOf(&["high", "medium", "null", "low", "export"])) = "medium", Works;

    /// The server's DSA certificate.
    smtpd_tls_dcert_file: Text(form: File) = "", Works;

    /// Parameters for Diffie-Hellman; `auto` for OpenSSL's own.
    smtpd_tls_dh1024_param_file: Text(form: File) = "", Works;

    /// Diffie-Hellman parameters for export ciphers.
    smtpd_tls_dh512_param_file: Text(form: File) = "", Accepted("OpenSSL has no export and low grade ciphers any more");

    /// The server's DSA key.
    smtpd_tls_dkey_file: Text(form: File) = "$smtpd_tls_dcert_file", Works;

    /// The server's ECDSA certificate.
    smtpd_tls_eccert_file: Text(form: File) = "", Works;

    /// The server's ECDSA key.
    smtpd_tls_eckey_file: Text(form: File) = "$smtpd_tls_eccert_file", Works;

    /// The grade of elliptic curves.
    smtpd_tls_eecdh_grade: Text(min: 1, form: OneOf(&["auto", "none", "strong", "ultra"])) = "auto", Accepted("OpenSSL negotiates curves from tls_eecdh_auto_curves");

    /// Whether clients may present raw public keys.
    smtpd_tls_enable_rpk: Bool = "no", Accepted("raw public keys need OpenSSL 3.2 or later; clients present certificates");

    /// Ciphers that are never used.
    smtpd_tls_exclude_ciphers: Text(form: List) = "", Works;

    /// The digest of client certificate fingerprints.
    smtpd_tls_fingerprint_digest: Text(min: 1, form: Digest) = "${{$compatibility_level} <level {3.6} ? {md5} : {sha256}}", Works;

    /// The server's RSA key.
    smtpd_tls_key_file: Text(form: File) = "$smtpd_tls_cert_file", Works;

    /// How much of TLS is logged.
    smtpd_tls_loglevel: Text(form: LogLevels) = "0", Works;

    /// Tables with a TLS log level for each client.
    smtpd_tls_loglevel_maps: Text(form: Tables) = "", Works;

    /// The least cipher grade of required TLS.
    smtpd_tls_mandatory_ciphers: Text(min: 1, form: OneOf(&["high", "medium", "null", "low", "export"])) = "medium", Works;

    /// Ciphers that are not used when TLS is required.
    smtpd_tls_mandatory_exclude_ciphers: Text(form: List) = "", Works;

    /// The TLS versions of required TLS.
    smtpd_tls_mandatory_protocols: Text(form: Protocols) = ">=TLSv1", Works;

    /// The TLS versions of opportunistic TLS.
    smtpd_tls_protocols: Text(form: Protocols) = ">=TLSv1", Works;

    /// Whether Received: headers tell protocol, cipher and client certificate.
    smtpd_tls_received_header: Bool = "no", Works;

    /// Whether clients must have a trusted certificate when TLS is required.
    smtpd_tls_req_ccert: Bool = "no", Works;

    /// The TLS level of the server: empty, none, may or encrypt.
    smtpd_tls_security_level: Text(form: OneOf(&["", "none", "may", "encrypt"])) = "", Works;

    /// Where TLS sessions are kept for resumption.
    smtpd_tls_session_cache_database: Text(form: Table) = "", Works;

    /// How long a TLS session, and the keys of session tickets, are kept.
    smtpd_tls_session_cache_timeout: Time(max: 8640000) = "3600s", Works;

    /// How large the transcript of one TLS handshake may become, in bytes.
    smtpd_tls_trace_size_limit: Int = "102400", Works;

    /// Whether TLS begins with the connection, without STARTTLS.
    smtpd_tls_wrappermode: Bool = "no", Works;

    /// Old switch: clients are offered TLS.
    smtpd_use_tls: Bool = "no", Works;
}
