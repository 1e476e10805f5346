//! TLS for all: what main.cf can say (postconf(5)).

use crate::param::params;

params! { tls, "TLS for all";
    /// See postconf(5), `openssl_path`.
    openssl_path: Text(min: 1) = "openssl", Planned("not built yet");

    /// See postconf(5), `requiretls_enable`.
    requiretls_enable: NBool = "yes", Planned("not built yet");

    /// See postconf(5), `requiretls_esmtp_header`.
    requiretls_esmtp_header: NBool = "yes", Planned("not built yet");

    /// See postconf(5), `requiretls_redact_dsn`.
    requiretls_redact_dsn: NBool = "yes", Planned("not built yet");

    /// See postconf(5), `tls_append_default_CA`.
    tls_append_default_CA: Bool = "no", Planned("not built yet");

    /// See postconf(5), `tls_config_file`.
    tls_config_file: Text = "default", Planned("not built yet");

    /// See postconf(5), `tls_config_name`.
    tls_config_name: Text = "", Planned("not built yet");

    /// See postconf(5), `tls_daemon_random_bytes`.
    tls_daemon_random_bytes: Int(min: 1) = "32", Planned("not built yet");

    /// See postconf(5), `tls_dane_digests`.
    tls_dane_digests: Text(min: 1, form: List) = "sha512 sha256", Planned("not built yet");

    /// See postconf(5), `tls_disable_workarounds`.
    tls_disable_workarounds: Text = "", Planned("not built yet");

    /// See postconf(5), `tls_eecdh_auto_curves`.
    tls_eecdh_auto_curves: Text(form: List) = EecdhAutoCurves, Planned("not built yet");

    /// See postconf(5), `tls_eecdh_strong_curve`.
    tls_eecdh_strong_curve: Text = "prime256v1", Planned("not built yet");

    /// See postconf(5), `tls_eecdh_ultra_curve`.
    tls_eecdh_ultra_curve: Text = "secp384r1", Planned("not built yet");

    /// See postconf(5), `tls_export_cipherlist`.
    tls_export_cipherlist: Text(form: CipherList) = "", Planned("not built yet");

    /// See postconf(5), `tls_fast_shutdown_enable`.
    tls_fast_shutdown_enable: Bool = "yes", Planned("not built yet");

    /// See postconf(5), `tls_ffdhe_auto_groups`.
    tls_ffdhe_auto_groups: Text(form: List) = FfdheAutoGroups, Planned("not built yet");

    /// See postconf(5), `tls_high_cipherlist`.
    tls_high_cipherlist: Text(min: 1, form: CipherList) = "aNULL:-aNULL:HIGH:!SEED:!IDEA:!3DES:!RC2:!RC4:!RC5:!kDH:!kECDH:!aDSS:!MD5:@STRENGTH", Planned("not built yet");

    /// See postconf(5), `tls_low_cipherlist`.
    tls_low_cipherlist: Text(form: CipherList) = "", Planned("not built yet");

    /// See postconf(5), `tls_medium_cipherlist`.
    tls_medium_cipherlist: Text(min: 1, form: CipherList) = "aNULL:-aNULL:HIGH:MEDIUM:!SEED:!IDEA:!3DES:!RC2:!RC4:!RC5:!kDH:!kECDH:!aDSS:!MD5:+RC4:@STRENGTH", Planned("not built yet");

    /// See postconf(5), `tls_null_cipherlist`.
    tls_null_cipherlist: Text(min: 1, form: CipherList) = "eNULL:!kDH:!kECDH:!aDSS:!MD5:!aNULL", Planned("not built yet");

    /// See postconf(5), `tls_preempt_cipherlist`.
    tls_preempt_cipherlist: Bool = "no", Planned("not built yet");

    /// See postconf(5), `tls_random_bytes`.
    tls_random_bytes: Int(min: 1) = "32", Planned("not built yet");

    /// See postconf(5), `tls_random_exchange_name`.
    tls_random_exchange_name: Text = "${data_directory}/prng_exch", Planned("not built yet");

    /// See postconf(5), `tls_random_prng_update_period`.
    tls_random_prng_update_period: Time(min: 1) = "3600s", Planned("not built yet");

    /// See postconf(5), `tls_random_reseed_period`.
    tls_random_reseed_period: Time(min: 1) = "3600s", Planned("not built yet");

    /// See postconf(5), `tls_random_source`.
    tls_random_source: Text = "dev:/dev/urandom", Planned("not built yet");

    /// See postconf(5), `tls_required_enable`.
    tls_required_enable: NBool = "yes", Planned("not built yet");

    /// See postconf(5), `tls_server_sni_maps`.
    tls_server_sni_maps: Text(form: Tables) = "", Planned("not built yet");

    /// See postconf(5), `tls_session_ticket_cipher`.
    tls_session_ticket_cipher: Text = "aes-256-cbc", Planned("not built yet");

    /// See postconf(5), `tls_ssl_options`.
    tls_ssl_options: Text = "", Planned("not built yet");

    /// See postconf(5), `tls_trace_rate_limit`.
    tls_trace_rate_limit: Int = "1", Planned("not built yet");

    /// See postconf(5), `tls_trust_server_ccerts`.
    tls_trust_server_ccerts: Bool = "no", Planned("not built yet");

    /// See postconf(5), `tls_wildcard_matches_multiple_labels`.
    tls_wildcard_matches_multiple_labels: Bool = "yes", Planned("not built yet");

    /// See postconf(5), `tlsmgr_service_name`.
    tlsmgr_service_name: Text(min: 1, form: Service) = "tlsmgr", Planned("not built yet");
}
