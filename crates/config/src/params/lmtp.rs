//! The LMTP client but for TLS and SASL: lmtp(8). It reads these where smtp(8) reads its own.

use crate::param::params;

params! { lmtp, "LMTP client";
    /// As `smtp_address_preference`, for the LMTP client.
    lmtp_address_preference: Text(min: 1, form: OneOf(&["ipv6", "ipv4", "any"])) = "any", Works;

    /// As `smtp_address_verify_target`, for the LMTP client.
    lmtp_address_verify_target: Text(min: 1, form: OneOf(&["rcpt", "data"])) = "rcpt", Works;

    /// Whether LMTP deliveries to servers without DSN count as final.
    lmtp_assume_final: Bool = "no", Works;

    /// As `smtp_balance_inet_protocols`, for the LMTP client.
    lmtp_balance_inet_protocols: Bool = "yes", Works;

    /// As `smtp_bind_address`, for the LMTP client.
    lmtp_bind_address: Text = "", Works;

    /// As `smtp_bind_address6`, for the LMTP client.
    lmtp_bind_address6: Text = "", Works;

    /// As `smtp_bind_address_enforce`, for the LMTP client.
    lmtp_bind_address_enforce: Bool = "no", Works;

    /// As `smtp_body_checks`, for the LMTP client.
    lmtp_body_checks: Text(form: Tables) = "", Works;

    /// As `smtp_cname_overrides_servername`, for the LMTP client.
    lmtp_cname_overrides_servername: Bool = "no", Works;

    /// As `smtp_connect_timeout`, for the LMTP client.
    lmtp_connect_timeout: Time = "0s", Works;

    /// As `smtp_connection_cache_destinations`, for the LMTP client.
    lmtp_connection_cache_destinations: Text = "", Works;

    /// As `smtp_connection_cache_on_demand`, for the LMTP client.
    lmtp_connection_cache_on_demand: Bool = "yes", Works;

    /// As `smtp_connection_cache_time_limit`, for the LMTP client.
    lmtp_connection_cache_time_limit: Time(min: 1) = "2s", Works;

    /// As `smtp_connection_reuse_count_limit`, for the LMTP client.
    lmtp_connection_reuse_count_limit: Int = "0", Works;

    /// As `smtp_connection_reuse_time_limit`, for the LMTP client.
    lmtp_connection_reuse_time_limit: Time(min: 1) = "300s", Works;

    /// As `smtp_data_done_timeout`, for the LMTP client.
    lmtp_data_done_timeout: Time(min: 1) = "600s", Works;

    /// As `smtp_data_init_timeout`, for the LMTP client.
    lmtp_data_init_timeout: Time(min: 1) = "120s", Works;

    /// As `smtp_data_xfer_timeout`, for the LMTP client.
    lmtp_data_xfer_timeout: Time(min: 1) = "180s", Works;

    /// As `smtp_defer_if_no_mx_address_found`, for the LMTP client.
    lmtp_defer_if_no_mx_address_found: Bool = "no", Works;

    /// As `smtp_delivery_status_filter`, for the LMTP client.
    lmtp_delivery_status_filter: Text(form: Table) = "$default_delivery_status_filter", Works;

    /// Tables that tell, for each server address, which LHLO keywords are ignored.
    lmtp_discard_lhlo_keyword_address_maps: Text(form: Tables) = "", Works;

    /// LHLO keywords that are ignored.
    lmtp_discard_lhlo_keywords: Text(form: SetOf(&["8bitmime", "auth", "chunking", "dsn", "enhancedstatuscodes", "etrn", "pipelining", "requiretls", "silent-discard", "size", "smtputf8", "starttls", "verp", "vrfy", "xclient", "xforward"])) = "", Works;

    /// As `smtp_dns_reply_filter`, for the LMTP client.
    lmtp_dns_reply_filter: Text(form: Table) = "", Works;

    /// As `smtp_dns_resolver_options`, for the LMTP client.
    lmtp_dns_resolver_options: Text(form: SetOf(&["res_defnames", "res_dnsrch"])) = "", Works;

    /// As `smtp_dns_support_level`, for the LMTP client.
    lmtp_dns_support_level: Text(form: OneOf(&["", "disabled", "enabled", "dnssec"])) = "", Works;

    /// As `smtp_fallback_relay`, for the LMTP client.
    lmtp_fallback_relay: Text(form: List) = "", Works;

    /// As `smtp_generic_maps`, for the LMTP client.
    lmtp_generic_maps: Text(form: Tables) = "", Works;

    /// As `smtp_header_checks`, for the LMTP client.
    lmtp_header_checks: Text(form: Tables) = "", Works;

    /// As `smtp_host_lookup`, for the LMTP client.
    lmtp_host_lookup: Text(min: 1, form: SetOf(&["dns", "native"])) = "dns", Works;

    /// The host name in the LHLO command.
    lmtp_lhlo_name: Text(min: 1) = "$myhostname", Works;

    /// How long the LHLO command and its reply may take.
    lmtp_lhlo_timeout: Time(min: 1) = "300s", Works;

    /// As `smtp_line_length_limit`, for the LMTP client.
    lmtp_line_length_limit: Int = "998", Works;

    /// As `smtp_mail_timeout`, for the LMTP client.
    lmtp_mail_timeout: Time(min: 1) = "300s", Works;

    /// As `smtp_mime_header_checks`, for the LMTP client.
    lmtp_mime_header_checks: Text(form: Tables) = "", Works;

    /// As `smtp_min_data_rate`, for the LMTP client.
    lmtp_min_data_rate: Int(min: 1) = "500", Works;

    /// As `smtp_mx_address_limit`, for the LMTP client.
    lmtp_mx_address_limit: Int = "5", Works;

    /// As `smtp_mx_session_limit`, for the LMTP client.
    lmtp_mx_session_limit: Int = "2", Works;

    /// As `smtp_nested_header_checks`, for the LMTP client.
    lmtp_nested_header_checks: Text(form: Tables) = "", Works;

    /// As `smtp_per_request_deadline`, for the LMTP client.
    lmtp_per_request_deadline: NBool = "${lmtp_per_record_deadline?{$lmtp_per_record_deadline}:{no}}", Works;

    /// As `smtp_pix_workaround_delay_time`, for the LMTP client.
    lmtp_pix_workaround_delay_time: Time(min: 1) = "10s", Works;

    /// As `smtp_pix_workaround_maps`, for the LMTP client.
    lmtp_pix_workaround_maps: Text(form: Tables) = "", Works;

    /// As `smtp_pix_workaround_threshold_time`, for the LMTP client.
    lmtp_pix_workaround_threshold_time: Time = "500s", Works;

    /// As `smtp_pix_workarounds`, for the LMTP client.
    lmtp_pix_workarounds: Text(form: SetOf(&["disable_esmtp", "delay_dotcrlf"])) = "disable_esmtp,delay_dotcrlf", Works;

    /// As `smtp_quit_timeout`, for the LMTP client.
    lmtp_quit_timeout: Time(min: 1) = "300s", Works;

    /// As `smtp_quote_rfc821_envelope`, for the LMTP client.
    lmtp_quote_rfc821_envelope: Bool = "yes", Works;

    /// As `smtp_randomize_addresses`, for the LMTP client.
    lmtp_randomize_addresses: Bool = "yes", Works;

    /// As `smtp_rcpt_timeout`, for the LMTP client.
    lmtp_rcpt_timeout: Time(min: 1) = "300s", Works;

    /// As `smtp_reply_filter`, for the LMTP client.
    lmtp_reply_filter: Text(form: Table) = "", Works;

    /// As `smtp_rset_timeout`, for the LMTP client.
    lmtp_rset_timeout: Time(min: 1) = "20s", Works;

    /// As `smtp_send_dummy_mail_auth`, for the LMTP client.
    lmtp_send_dummy_mail_auth: Bool = "no", Works;

    /// As `smtp_send_xforward_command`, for the LMTP client.
    lmtp_send_xforward_command: Bool = "no", Works;

    /// As `smtp_sender_dependent_authentication`, for the LMTP client.
    lmtp_sender_dependent_authentication: Bool = "no", Works;

    /// As `smtp_skip_5xx_greeting`, for the LMTP client.
    lmtp_skip_5xx_greeting: Bool = "yes", Works;

    /// As `smtp_skip_quit_response`, for the LMTP client.
    lmtp_skip_quit_response: Bool = "no", Works;

    /// As `smtp_tcp_port`, for the LMTP client.
    lmtp_tcp_port: Text = "24", Works;

    /// As `smtp_xforward_timeout`, for the LMTP client.
    lmtp_xforward_timeout: Time(min: 1) = "300s", Works;
}
