//! Old names: what main.cf can say (postconf(5)).

use crate::param::params;

params! { legacy, "Old names";
    /// See postconf(5), `authorized_verp_clients`.
    authorized_verp_clients: Text(form: Patterns) = "", Planned("not built yet");

    /// See postconf(5), `fallback_relay`.
    fallback_relay: Text(form: List) = "", Planned("not built yet");

    /// See postconf(5), `lmtp_per_record_deadline`.
    lmtp_per_record_deadline: Text = "", Planned("not built yet");

    /// See postconf(5), `postscreen_blacklist_action`.
    postscreen_blacklist_action: Text(form: OneOf(&["ignore", "enforce", "drop", "continue"])) = "", Planned("not built yet");

    /// See postconf(5), `postscreen_dnsbl_ttl`.
    postscreen_dnsbl_ttl: Text = "", Planned("not built yet");

    /// See postconf(5), `postscreen_dnsbl_whitelist_threshold`.
    postscreen_dnsbl_whitelist_threshold: Text = "", Planned("not built yet");

    /// See postconf(5), `postscreen_whitelist_interfaces`.
    postscreen_whitelist_interfaces: Text(form: List) = "", Planned("not built yet");

    /// See postconf(5), `smtp_per_record_deadline`.
    smtp_per_record_deadline: Text = "", Planned("not built yet");

    /// See postconf(5), `smtp_tls_cipherlist`.
    smtp_tls_cipherlist: Text(form: CipherList) = "", Planned("not built yet");

    /// See postconf(5), `smtpd_client_connection_limit_exceptions`.
    smtpd_client_connection_limit_exceptions: Text(form: Patterns) = "", Planned("not built yet");

    /// See postconf(5), `smtpd_per_record_deadline`.
    smtpd_per_record_deadline: Text = "", Planned("not built yet");

    /// See postconf(5), `smtpd_tls_cipherlist`.
    smtpd_tls_cipherlist: Text(form: CipherList) = "", Planned("not built yet");

    /// See postconf(5), `tlsproxy_client_level`.
    tlsproxy_client_level: Text(form: OneOf(&["none", "may", "encrypt", "fingerprint", "dane", "dane-only", "verify", "secure"])) = "", Planned("not built yet");

    /// See postconf(5), `tlsproxy_client_loglevel_parameter`.
    tlsproxy_client_loglevel_parameter: Text = "smtp_tls_loglevel", Planned("not built yet");

    /// See postconf(5), `tlsproxy_client_policy`.
    tlsproxy_client_policy: Text(form: Tables) = "", Planned("not built yet");

    /// See postconf(5), `virtual_maps`.
    virtual_maps: Text(form: Tables) = "", Planned("not built yet");
}
