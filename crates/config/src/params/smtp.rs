//! smtp(8): what main.cf can say (postconf(5)).

use crate::param::params;

params! { smtp, "smtp(8)";
    /// See postconf(5), `allow_srv_lookup_fallback`.
    allow_srv_lookup_fallback: Bool = "no", Planned("not built yet");

    /// See postconf(5), `best_mx_transport`.
    best_mx_transport: Text(form: Transport) = "", Planned("not built yet");

    /// See postconf(5), `connection_cache_protocol_timeout`.
    connection_cache_protocol_timeout: Time(min: 1) = "5s", Planned("not built yet");

    /// See postconf(5), `connection_cache_service_name`.
    connection_cache_service_name: Text(min: 1, form: Service) = "scache", Planned("not built yet");

    /// See postconf(5), `ignore_mx_lookup_error`.
    ignore_mx_lookup_error: Bool = "no", Planned("not built yet");

    /// See postconf(5), `ignore_srv_lookup_error`.
    ignore_srv_lookup_error: Bool = "no", Planned("not built yet");

    /// See postconf(5), `smtp_address_preference`.
    smtp_address_preference: Text(min: 1, form: OneOf(&["ipv6", "ipv4", "any"])) = "any", Planned("not built yet");

    /// See postconf(5), `smtp_address_verify_target`.
    smtp_address_verify_target: Text(min: 1, form: OneOf(&["rcpt", "data"])) = "rcpt", Planned("not built yet");

    /// See postconf(5), `smtp_always_send_ehlo`.
    smtp_always_send_ehlo: Bool = "yes", Planned("not built yet");

    /// See postconf(5), `smtp_balance_inet_protocols`.
    smtp_balance_inet_protocols: Bool = "yes", Planned("not built yet");

    /// See postconf(5), `smtp_bind_address`.
    smtp_bind_address: Text = "", Planned("not built yet");

    /// See postconf(5), `smtp_bind_address6`.
    smtp_bind_address6: Text = "", Planned("not built yet");

    /// See postconf(5), `smtp_bind_address_enforce`.
    smtp_bind_address_enforce: Bool = "no", Planned("not built yet");

    /// See postconf(5), `smtp_body_checks`.
    smtp_body_checks: Text(form: Tables) = "", Planned("not built yet");

    /// See postconf(5), `smtp_cname_overrides_servername`.
    smtp_cname_overrides_servername: Bool = "no", Planned("not built yet");

    /// See postconf(5), `smtp_connect_timeout`.
    smtp_connect_timeout: Time = "30s", Planned("not built yet");

    /// See postconf(5), `smtp_connection_cache_destinations`.
    smtp_connection_cache_destinations: Text = "", Planned("not built yet");

    /// See postconf(5), `smtp_connection_cache_on_demand`.
    smtp_connection_cache_on_demand: Bool = "yes", Planned("not built yet");

    /// See postconf(5), `smtp_connection_cache_time_limit`.
    smtp_connection_cache_time_limit: Time(min: 1) = "2s", Planned("not built yet");

    /// See postconf(5), `smtp_connection_reuse_count_limit`.
    smtp_connection_reuse_count_limit: Int = "0", Planned("not built yet");

    /// See postconf(5), `smtp_connection_reuse_time_limit`.
    smtp_connection_reuse_time_limit: Time(min: 1) = "300s", Planned("not built yet");

    /// See postconf(5), `smtp_data_done_timeout`.
    smtp_data_done_timeout: Time(min: 1) = "600s", Planned("not built yet");

    /// See postconf(5), `smtp_data_init_timeout`.
    smtp_data_init_timeout: Time(min: 1) = "120s", Planned("not built yet");

    /// See postconf(5), `smtp_data_xfer_timeout`.
    smtp_data_xfer_timeout: Time(min: 1) = "180s", Planned("not built yet");

    /// See postconf(5), `smtp_defer_if_no_mx_address_found`.
    smtp_defer_if_no_mx_address_found: Bool = "no", Planned("not built yet");

    /// See postconf(5), `smtp_delivery_status_filter`.
    smtp_delivery_status_filter: Text(form: Table) = "$default_delivery_status_filter", Planned("not built yet");

    /// See postconf(5), `smtp_discard_ehlo_keyword_address_maps`.
    smtp_discard_ehlo_keyword_address_maps: Text(form: Tables) = "", Planned("not built yet");

    /// See postconf(5), `smtp_discard_ehlo_keywords`.
    smtp_discard_ehlo_keywords: Text(form: SetOf(&["8bitmime", "auth", "chunking", "dsn", "enhancedstatuscodes", "etrn", "pipelining", "requiretls", "silent-discard", "size", "smtputf8", "starttls", "verp", "vrfy", "xclient", "xforward"])) = "", Planned("not built yet");

    /// See postconf(5), `smtp_dns_reply_filter`.
    smtp_dns_reply_filter: Text(form: Table) = "", Planned("not built yet");

    /// See postconf(5), `smtp_dns_resolver_options`.
    smtp_dns_resolver_options: Text(form: SetOf(&["res_defnames", "res_dnsrch"])) = "", Planned("not built yet");

    /// See postconf(5), `smtp_dns_support_level`.
    smtp_dns_support_level: Text(form: OneOf(&["", "disabled", "enabled", "dnssec"])) = "", Planned("not built yet");

    /// See postconf(5), `smtp_fallback_relay`.
    smtp_fallback_relay: Text(form: List) = "$fallback_relay", Planned("not built yet");

    /// See postconf(5), `smtp_generic_maps`.
    smtp_generic_maps: Text(form: Tables) = "", Planned("not built yet");

    /// See postconf(5), `smtp_header_checks`.
    smtp_header_checks: Text(form: Tables) = "", Planned("not built yet");

    /// See postconf(5), `smtp_helo_name`.
    smtp_helo_name: Text(min: 1) = "$myhostname", Planned("not built yet");

    /// See postconf(5), `smtp_helo_timeout`.
    smtp_helo_timeout: Time(min: 1) = "300s", Planned("not built yet");

    /// See postconf(5), `smtp_host_lookup`.
    smtp_host_lookup: Text(min: 1, form: SetOf(&["dns", "native"])) = "dns", Planned("not built yet");

    /// See postconf(5), `smtp_line_length_limit`.
    smtp_line_length_limit: Int = "998", Planned("not built yet");

    /// See postconf(5), `smtp_mail_timeout`.
    smtp_mail_timeout: Time(min: 1) = "300s", Planned("not built yet");

    /// See postconf(5), `smtp_mime_header_checks`.
    smtp_mime_header_checks: Text(form: Tables) = "", Planned("not built yet");

    /// See postconf(5), `smtp_min_data_rate`.
    smtp_min_data_rate: Int(min: 1) = "500", Planned("not built yet");

    /// See postconf(5), `smtp_mx_address_limit`.
    smtp_mx_address_limit: Int = "5", Planned("not built yet");

    /// See postconf(5), `smtp_mx_session_limit`.
    smtp_mx_session_limit: Int = "2", Planned("not built yet");

    /// See postconf(5), `smtp_nested_header_checks`.
    smtp_nested_header_checks: Text(form: Tables) = "", Planned("not built yet");

    /// See postconf(5), `smtp_never_send_ehlo`.
    smtp_never_send_ehlo: Bool = "no", Planned("not built yet");

    /// See postconf(5), `smtp_per_request_deadline`.
    smtp_per_request_deadline: NBool = "${smtp_per_record_deadline?{$smtp_per_record_deadline}:{no}}", Planned("not built yet");

    /// See postconf(5), `smtp_pix_workaround_delay_time`.
    smtp_pix_workaround_delay_time: Time(min: 1) = "10s", Planned("not built yet");

    /// See postconf(5), `smtp_pix_workaround_maps`.
    smtp_pix_workaround_maps: Text(form: Tables) = "", Planned("not built yet");

    /// See postconf(5), `smtp_pix_workaround_threshold_time`.
    smtp_pix_workaround_threshold_time: Time = "500s", Planned("not built yet");

    /// See postconf(5), `smtp_pix_workarounds`.
    smtp_pix_workarounds: Text(form: SetOf(&["disable_esmtp", "delay_dotcrlf"])) = "disable_esmtp,delay_dotcrlf", Planned("not built yet");

    /// See postconf(5), `smtp_quit_timeout`.
    smtp_quit_timeout: Time(min: 1) = "300s", Planned("not built yet");

    /// See postconf(5), `smtp_quote_rfc821_envelope`.
    smtp_quote_rfc821_envelope: Bool = "yes", Planned("not built yet");

    /// See postconf(5), `smtp_randomize_addresses`.
    smtp_randomize_addresses: Bool = "yes", Planned("not built yet");

    /// See postconf(5), `smtp_rcpt_timeout`.
    smtp_rcpt_timeout: Time(min: 1) = "300s", Planned("not built yet");

    /// See postconf(5), `smtp_reply_filter`.
    smtp_reply_filter: Text(form: Table) = "", Planned("not built yet");

    /// See postconf(5), `smtp_rset_timeout`.
    smtp_rset_timeout: Time(min: 1) = "20s", Planned("not built yet");

    /// See postconf(5), `smtp_send_dummy_mail_auth`.
    smtp_send_dummy_mail_auth: Bool = "no", Planned("not built yet");

    /// See postconf(5), `smtp_send_xforward_command`.
    smtp_send_xforward_command: Bool = "no", Planned("not built yet");

    /// See postconf(5), `smtp_sender_dependent_authentication`.
    smtp_sender_dependent_authentication: Bool = "no", Planned("not built yet");

    /// See postconf(5), `smtp_skip_5xx_greeting`.
    smtp_skip_5xx_greeting: Bool = "yes", Planned("not built yet");

    /// See postconf(5), `smtp_skip_quit_response`.
    smtp_skip_quit_response: Bool = "yes", Planned("not built yet");

    /// See postconf(5), `smtp_tcp_port`.
    smtp_tcp_port: Text = "smtp", Planned("not built yet");

    /// See postconf(5), `smtp_xforward_timeout`.
    smtp_xforward_timeout: Time(min: 1) = "300s", Planned("not built yet");

    /// See postconf(5), `use_srv_lookup`.
    use_srv_lookup: Text(form: List) = "", Planned("not built yet");
}
