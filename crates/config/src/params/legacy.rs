//! Names that older versions had. Each still counts: it is the default of the name that replaced it.

use crate::param::params;

params! { legacy, "Old names";
    /// Old name of `smtpd_authorized_verp_clients`.
    authorized_verp_clients: Text(form: Patterns) = "", Works;

    /// Old name of `smtp_fallback_relay`.
    fallback_relay: Text(form: List) = "", Works;

    /// As `smtp_per_record_deadline`, for the LMTP client.
    lmtp_per_record_deadline: Text = "", Works;

    /// Old name of `postscreen_denylist_action`.
    postscreen_blacklist_action: Text(form: OneOf(&["ignore", "enforce", "drop", "continue"])) = "", Works;

    /// Old name of `postscreen_dnsbl_max_ttl`.
    postscreen_dnsbl_ttl: Text = "", Works;

    /// Old name of `postscreen_dnsbl_allowlist_threshold`.
    postscreen_dnsbl_whitelist_threshold: Text = "", Works;

    /// Old name of `postscreen_allowlist_interfaces`.
    postscreen_whitelist_interfaces: Text(form: List) = "", Works;

    /// Old name of `smtp_per_request_deadline`.
    smtp_per_record_deadline: Text = "", Works;

    /// Old name of `smtpd_client_event_limit_exceptions`.
    smtpd_client_connection_limit_exceptions: Text(form: Patterns) = "", Works;

    /// Old name of `smtpd_per_request_deadline`.
    smtpd_per_record_deadline: Text = "", Works;

    /// Old name of `tlsproxy_client_security_level`.
    tlsproxy_client_level: Text(form: OneOf(&["none", "may", "encrypt", "fingerprint", "dane", "dane-only", "verify", "secure"])) = "", Accepted("the process that hears the client speaks TLS itself; there is no tlsproxy process");

    /// Old name of `tlsproxy_client_policy_maps`.
    tlsproxy_client_policy: Text(form: Tables) = "", Accepted("the process that hears the client speaks TLS itself; there is no tlsproxy process");

    /// Old name of `virtual_alias_maps`.
    virtual_maps: Text(form: Tables) = "", Works;
}
