//! lmtp(8): what main.cf can say (postconf(5)).

use crate::param::params;

params! { lmtp, "lmtp(8)";
    /// See postconf(5), `lmtp_address_preference`.
    lmtp_address_preference: Text(min: 1, form: OneOf(&["ipv6", "ipv4", "any"])) = "any", Planned("not built yet");

    /// See postconf(5), `lmtp_address_verify_target`.
    lmtp_address_verify_target: Text(min: 1, form: OneOf(&["rcpt", "data"])) = "rcpt", Planned("not built yet");

    /// See postconf(5), `lmtp_assume_final`.
    lmtp_assume_final: Bool = "no", Planned("not built yet");

    /// See postconf(5), `lmtp_balance_inet_protocols`.
    lmtp_balance_inet_protocols: Bool = "yes", Planned("not built yet");

    /// See postconf(5), `lmtp_bind_address`.
    lmtp_bind_address: Text = "", Planned("not built yet");

    /// See postconf(5), `lmtp_bind_address6`.
    lmtp_bind_address6: Text = "", Planned("not built yet");

    /// See postconf(5), `lmtp_bind_address_enforce`.
    lmtp_bind_address_enforce: Bool = "no", Planned("not built yet");

    /// See postconf(5), `lmtp_body_checks`.
    lmtp_body_checks: Text(form: Tables) = "", Planned("not built yet");

    /// See postconf(5), `lmtp_cname_overrides_servername`.
    lmtp_cname_overrides_servername: Bool = "no", Planned("not built yet");

    /// See postconf(5), `lmtp_connect_timeout`.
    lmtp_connect_timeout: Time = "0s", Planned("not built yet");

    /// See postconf(5), `lmtp_connection_cache_destinations`.
    lmtp_connection_cache_destinations: Text = "", Planned("not built yet");

    /// See postconf(5), `lmtp_connection_cache_on_demand`.
    lmtp_connection_cache_on_demand: Bool = "yes", Planned("not built yet");

    /// See postconf(5), `lmtp_connection_cache_time_limit`.
    lmtp_connection_cache_time_limit: Time(min: 1) = "2s", Planned("not built yet");

    /// See postconf(5), `lmtp_connection_reuse_count_limit`.
    lmtp_connection_reuse_count_limit: Int = "0", Planned("not built yet");

    /// See postconf(5), `lmtp_connection_reuse_time_limit`.
    lmtp_connection_reuse_time_limit: Time(min: 1) = "300s", Planned("not built yet");

    /// See postconf(5), `lmtp_data_done_timeout`.
    lmtp_data_done_timeout: Time(min: 1) = "600s", Planned("not built yet");

    /// See postconf(5), `lmtp_data_init_timeout`.
    lmtp_data_init_timeout: Time(min: 1) = "120s", Planned("not built yet");

    /// See postconf(5), `lmtp_data_xfer_timeout`.
    lmtp_data_xfer_timeout: Time(min: 1) = "180s", Planned("not built yet");

    /// See postconf(5), `lmtp_defer_if_no_mx_address_found`.
    lmtp_defer_if_no_mx_address_found: Bool = "no", Planned("not built yet");

    /// See postconf(5), `lmtp_delivery_status_filter`.
    lmtp_delivery_status_filter: Text(form: Table) = "$default_delivery_status_filter", Planned("not built yet");

    /// See postconf(5), `lmtp_discard_lhlo_keyword_address_maps`.
    lmtp_discard_lhlo_keyword_address_maps: Text(form: Tables) = "", Planned("not built yet");

    /// See postconf(5), `lmtp_discard_lhlo_keywords`.
    lmtp_discard_lhlo_keywords: Text(form: SetOf(&["8bitmime", "auth", "chunking", "dsn", "enhancedstatuscodes", "etrn", "pipelining", "requiretls", "silent-discard", "size", "smtputf8", "starttls", "verp", "vrfy", "xclient", "xforward"])) = "", Planned("not built yet");

    /// See postconf(5), `lmtp_dns_reply_filter`.
    lmtp_dns_reply_filter: Text(form: Table) = "", Planned("not built yet");

    /// See postconf(5), `lmtp_dns_resolver_options`.
    lmtp_dns_resolver_options: Text(form: SetOf(&["res_defnames", "res_dnsrch"])) = "", Planned("not built yet");

    /// See postconf(5), `lmtp_dns_support_level`.
    lmtp_dns_support_level: Text(form: OneOf(&["", "disabled", "enabled", "dnssec"])) = "", Planned("not built yet");

    /// See postconf(5), `lmtp_fallback_relay`.
    lmtp_fallback_relay: Text(form: List) = "", Planned("not built yet");

    /// See postconf(5), `lmtp_generic_maps`.
    lmtp_generic_maps: Text(form: Tables) = "", Planned("not built yet");

    /// See postconf(5), `lmtp_header_checks`.
    lmtp_header_checks: Text(form: Tables) = "", Planned("not built yet");

    /// See postconf(5), `lmtp_host_lookup`.
    lmtp_host_lookup: Text(min: 1, form: SetOf(&["dns", "native"])) = "dns", Planned("not built yet");

    /// See postconf(5), `lmtp_lhlo_name`.
    lmtp_lhlo_name: Text(min: 1) = "$myhostname", Planned("not built yet");

    /// See postconf(5), `lmtp_lhlo_timeout`.
    lmtp_lhlo_timeout: Time(min: 1) = "300s", Planned("not built yet");

    /// See postconf(5), `lmtp_line_length_limit`.
    lmtp_line_length_limit: Int = "998", Planned("not built yet");

    /// See postconf(5), `lmtp_mail_timeout`.
    lmtp_mail_timeout: Time(min: 1) = "300s", Planned("not built yet");

    /// See postconf(5), `lmtp_mime_header_checks`.
    lmtp_mime_header_checks: Text(form: Tables) = "", Planned("not built yet");

    /// See postconf(5), `lmtp_min_data_rate`.
    lmtp_min_data_rate: Int(min: 1) = "500", Planned("not built yet");

    /// See postconf(5), `lmtp_mx_address_limit`.
    lmtp_mx_address_limit: Int = "5", Planned("not built yet");

    /// See postconf(5), `lmtp_mx_session_limit`.
    lmtp_mx_session_limit: Int = "2", Planned("not built yet");

    /// See postconf(5), `lmtp_nested_header_checks`.
    lmtp_nested_header_checks: Text(form: Tables) = "", Planned("not built yet");

    /// See postconf(5), `lmtp_per_request_deadline`.
    lmtp_per_request_deadline: NBool = "${lmtp_per_record_deadline?{$lmtp_per_record_deadline}:{no}}", Planned("not built yet");

    /// See postconf(5), `lmtp_pix_workaround_delay_time`.
    lmtp_pix_workaround_delay_time: Time(min: 1) = "10s", Planned("not built yet");

    /// See postconf(5), `lmtp_pix_workaround_maps`.
    lmtp_pix_workaround_maps: Text(form: Tables) = "", Planned("not built yet");

    /// See postconf(5), `lmtp_pix_workaround_threshold_time`.
    lmtp_pix_workaround_threshold_time: Time = "500s", Planned("not built yet");

    /// See postconf(5), `lmtp_pix_workarounds`.
    lmtp_pix_workarounds: Text(form: SetOf(&["disable_esmtp", "delay_dotcrlf"])) = "disable_esmtp,delay_dotcrlf", Planned("not built yet");

    /// See postconf(5), `lmtp_quit_timeout`.
    lmtp_quit_timeout: Time(min: 1) = "300s", Planned("not built yet");

    /// See postconf(5), `lmtp_quote_rfc821_envelope`.
    lmtp_quote_rfc821_envelope: Bool = "yes", Planned("not built yet");

    /// See postconf(5), `lmtp_randomize_addresses`.
    lmtp_randomize_addresses: Bool = "yes", Planned("not built yet");

    /// See postconf(5), `lmtp_rcpt_timeout`.
    lmtp_rcpt_timeout: Time(min: 1) = "300s", Planned("not built yet");

    /// See postconf(5), `lmtp_reply_filter`.
    lmtp_reply_filter: Text(form: Table) = "", Planned("not built yet");

    /// See postconf(5), `lmtp_rset_timeout`.
    lmtp_rset_timeout: Time(min: 1) = "20s", Planned("not built yet");

    /// See postconf(5), `lmtp_send_dummy_mail_auth`.
    lmtp_send_dummy_mail_auth: Bool = "no", Planned("not built yet");

    /// See postconf(5), `lmtp_send_xforward_command`.
    lmtp_send_xforward_command: Bool = "no", Planned("not built yet");

    /// See postconf(5), `lmtp_sender_dependent_authentication`.
    lmtp_sender_dependent_authentication: Bool = "no", Planned("not built yet");

    /// See postconf(5), `lmtp_skip_5xx_greeting`.
    lmtp_skip_5xx_greeting: Bool = "yes", Planned("not built yet");

    /// See postconf(5), `lmtp_skip_quit_response`.
    lmtp_skip_quit_response: Bool = "no", Planned("not built yet");

    /// See postconf(5), `lmtp_tcp_port`.
    lmtp_tcp_port: Text = "24", Planned("not built yet");

    /// See postconf(5), `lmtp_xforward_timeout`.
    lmtp_xforward_timeout: Time(min: 1) = "300s", Planned("not built yet");
}
