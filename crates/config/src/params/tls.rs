//! TLS in all programs: ciphers, curves, OpenSSL (TLS_README).

use crate::param::params;

params! { tls, "TLS";
    /// Where the openssl(1) command is.
    openssl_path: Text(min: 1) = "openssl", Accepted("only installation and manual pages use it");

    /// Whether the REQUIRETLS option of MAIL FROM is offered (RFC 8689).
    requiretls_enable: NBool = "yes", Works;

    /// Whether a header carries a REQUIRETLS request through content filters.
    requiretls_esmtp_header: NBool = "yes", Works;

    /// Whether notices about REQUIRETLS mail leave out its body and need no TLS themselves.
    requiretls_redact_dsn: NBool = "yes", Works;

    /// Whether the system's certificate authorities are trusted in addition.
    tls_append_default_CA: Bool = "no", Works;

    /// The OpenSSL configuration file.
    tls_config_file: Text = "default", Works;

    /// The section of that file for the mail system.
    tls_config_name: Text = "", Works;

    /// How many random bytes a daemon gets from tlsmgr(8).
    tls_daemon_random_bytes: Int(min: 1) = "32", Accepted("OpenSSL seeds its random numbers from the kernel");

    /// Digests for TLSA records, strongest first.
    tls_dane_digests: Text(min: 1, form: List) = "sha512 sha256", Works;

    /// OpenSSL's workarounds for peers with bugs that are turned off.
    tls_disable_workarounds: Text = "", Works;

    /// The elliptic curves that are offered, in order.
    tls_eecdh_auto_curves: Text(form: List) = EecdhAutoCurves, Works;

    /// The curve of grade `strong`.
    tls_eecdh_strong_curve: Text = "prime256v1", Accepted("OpenSSL negotiates curves from tls_eecdh_auto_curves");

    /// The curve of grade `ultra`.
    tls_eecdh_ultra_curve: Text = "secp384r1", Accepted("OpenSSL negotiates curves from tls_eecdh_auto_curves");

    /// The OpenSSL cipher list of grade `export`.
    tls_export_cipherlist: Text(form: CipherList) = "", Accepted("OpenSSL has no export and low grade ciphers any more");

    /// Whether closing TLS does not wait for the peer.
    tls_fast_shutdown_enable: Bool = "yes", Works;

    /// The finite-field Diffie-Hellman groups that are offered, in order.
    tls_ffdhe_auto_groups: Text(form: List) = FfdheAutoGroups, Works;

    /// The OpenSSL cipher list of grade `high`.
    tls_high_cipherlist: Text(min: 1, form: CipherList) = "aNULL:-aNULL:HIGH:!SEED:!IDEA:!3DES:!RC2:!RC4:!RC5:!kDH:!kECDH:!aDSS:!MD5:@STRENGTH", Works;

    /// The OpenSSL cipher list of grade `low`.
    tls_low_cipherlist: Text(form: CipherList) = "", Accepted("OpenSSL has no export and low grade ciphers any more");

    /// The OpenSSL cipher list of grade `medium`.
    tls_medium_cipherlist: Text(min: 1, form: CipherList) = "aNULL:-aNULL:HIGH:MEDIUM:!SEED:!IDEA:!3DES:!RC2:!RC4:!RC5:!kDH:!kECDH:!aDSS:!MD5:+RC4:@STRENGTH", Works;

    /// The OpenSSL cipher list of grade `null`.
    tls_null_cipherlist: Text(min: 1, form: CipherList) = "eNULL:!kDH:!kECDH:!aDSS:!MD5:!aNULL", Works;

    /// Whether the server's order of ciphers counts, not the client's.
    tls_preempt_cipherlist: Bool = "no", Works;

    /// How many bytes tlsmgr(8) reads from its random source at a time.
    tls_random_bytes: Int(min: 1) = "32", Accepted("OpenSSL seeds its random numbers from the kernel");

    /// Where tlsmgr(8) keeps randomness over restarts.
    tls_random_exchange_name: Text = "${data_directory}/prng_exch", Accepted("OpenSSL seeds its random numbers from the kernel");

    /// How often that is saved.
    tls_random_prng_update_period: Time(min: 1) = "3600s", Accepted("OpenSSL seeds its random numbers from the kernel");

    /// How often tlsmgr(8) reads new randomness.
    tls_random_reseed_period: Time(min: 1) = "3600s", Accepted("OpenSSL seeds its random numbers from the kernel");

    /// Where tlsmgr(8) gets randomness.
    tls_random_source: Text = "dev:/dev/urandom", Accepted("OpenSSL seeds its random numbers from the kernel");

    /// Whether a `TLS-Required: no` header relaxes TLS policies (RFC 8689).
    tls_required_enable: NBool = "yes", Works;

    /// Tables with key and certificate files for each name that clients ask for.
    tls_server_sni_maps: Text(form: Tables) = "", Works;

    /// The cipher that protects session tickets; empty for no tickets.
    tls_session_ticket_cipher: Text = "aes-256-cbc", Works;

    /// OpenSSL options that are turned on.
    tls_ssl_options: Text = "", Works;

    /// How many TLS transcripts are written in `anvil_rate_time_unit`; 0 or less for no limit.
    tls_trace_rate_limit: Int = "1", Works;

    /// Whether certificates for servers only are good for clients too.
    tls_trust_server_ccerts: Bool = "no", Works;

    /// Whether `*` in a certificate stands for more than one label.
    tls_wildcard_matches_multiple_labels: Bool = "yes", Accepted("a * in a certificate stands for one label, as for Postfix since it leaves matching to OpenSSL");

    /// The service that keeps TLS sessions and randomness.
    tlsmgr_service_name: Text(min: 1, form: Service) = "tlsmgr", Accepted("TLS sessions are kept in the process that makes them; no tlsmgr process is asked");
}
