//! smtpd(8): what main.cf can say (postconf(5)).

use crate::param::params;

params! { smtpd, "smtpd(8)";
    /// See postconf(5), `alias_maps`.
    alias_maps: Text(form: Tables) = "$default_database_type:/etc/aliases", Planned("not built yet");

    /// See postconf(5), `allow_untrusted_routing`.
    allow_untrusted_routing: Bool = "no", Planned("not built yet");

    /// See postconf(5), `anvil_rate_time_unit`.
    anvil_rate_time_unit: Time(min: 1) = "60s", Planned("not built yet");

    /// See postconf(5), `anvil_status_update_time`.
    anvil_status_update_time: Time(min: 1) = "600s", Planned("not built yet");

    /// See postconf(5), `bounce_notice_recipient`.
    bounce_notice_recipient: Text(min: 1) = "postmaster", Planned("not built yet");

    /// See postconf(5), `canonical_maps`.
    canonical_maps: Text(form: Tables) = "", Planned("not built yet");

    /// See postconf(5), `content_filter`.
    content_filter: Text = "", Planned("not built yet");

    /// See postconf(5), `disable_vrfy_command`.
    disable_vrfy_command: Bool = "no", Planned("not built yet");

    /// See postconf(5), `error_notice_recipient`.
    error_notice_recipient: Text(min: 1) = "postmaster", Planned("not built yet");

    /// See postconf(5), `header_from_format`.
    header_from_format: Text(min: 1, form: OneOf(&["standard", "obsolete"])) = "standard", Planned("not built yet");

    /// See postconf(5), `local_header_rewrite_clients`.
    local_header_rewrite_clients: Text(form: List) = "permit_inet_interfaces", Planned("not built yet");

    /// See postconf(5), `local_recipient_maps`.
    local_recipient_maps: Text(form: Tables) = "proxy:unix:passwd.byname $alias_maps", Planned("not built yet");

    /// See postconf(5), `notify_classes`.
    notify_classes: Text(form: SetOf(&["bounce", "2bounce", "data", "delay", "policy", "protocol", "resource", "software"])) = "resource, software", Planned("not built yet");

    /// See postconf(5), `qmqpd_authorized_clients`.
    qmqpd_authorized_clients: Text(form: Patterns) = "", Planned("not built yet");

    /// See postconf(5), `qmqpd_error_delay`.
    qmqpd_error_delay: Time = "1s", Planned("not built yet");

    /// See postconf(5), `qmqpd_timeout`.
    qmqpd_timeout: Time(min: 1) = "300s", Planned("not built yet");

    /// See postconf(5), `queue_minfree`.
    queue_minfree: Long = "0", Planned("not built yet");

    /// See postconf(5), `receive_override_options`.
    receive_override_options: Text(form: SetOf(&["no_unknown_recipient_checks", "no_address_mappings", "no_header_body_checks", "no_milters"])) = "", Planned("not built yet");

    /// See postconf(5), `recipient_canonical_maps`.
    recipient_canonical_maps: Text(form: Tables) = "", Planned("not built yet");

    /// See postconf(5), `relay_clientcerts`.
    relay_clientcerts: Text(form: Tables) = "", Planned("not built yet");

    /// See postconf(5), `relay_recipient_maps`.
    relay_recipient_maps: Text(form: Tables) = "", Planned("not built yet");

    /// See postconf(5), `sender_canonical_maps`.
    sender_canonical_maps: Text(form: Tables) = "", Planned("not built yet");

    /// See postconf(5), `smtpd_authorized_verp_clients`.
    smtpd_authorized_verp_clients: Text(form: Patterns) = "$authorized_verp_clients", Planned("not built yet");

    /// See postconf(5), `smtpd_authorized_xclient_hosts`.
    smtpd_authorized_xclient_hosts: Text(form: Patterns) = "", Planned("not built yet");

    /// See postconf(5), `smtpd_authorized_xforward_hosts`.
    smtpd_authorized_xforward_hosts: Text(form: Patterns) = "", Planned("not built yet");

    /// See postconf(5), `smtpd_banner`.
    smtpd_banner: Text(min: 1) = "$myhostname ESMTP $mail_name", Planned("not built yet");

    /// See postconf(5), `smtpd_client_auth_rate_limit`.
    smtpd_client_auth_rate_limit: Int = "0", Planned("not built yet");

    /// See postconf(5), `smtpd_client_connection_count_limit`.
    smtpd_client_connection_count_limit: Int = "50", Planned("not built yet");

    /// See postconf(5), `smtpd_client_connection_rate_limit`.
    smtpd_client_connection_rate_limit: Int = "0", Planned("not built yet");

    /// See postconf(5), `smtpd_client_event_limit_exceptions`.
    smtpd_client_event_limit_exceptions: Text(form: Patterns) = "${smtpd_client_connection_limit_exceptions:$mynetworks}", Planned("not built yet");

    /// See postconf(5), `smtpd_client_ipv4_prefix_length`.
    smtpd_client_ipv4_prefix_length: Int(max: 32) = "32", Planned("not built yet");

    /// See postconf(5), `smtpd_client_ipv6_prefix_length`.
    smtpd_client_ipv6_prefix_length: Int(max: 128) = "84", Planned("not built yet");

    /// See postconf(5), `smtpd_client_message_rate_limit`.
    smtpd_client_message_rate_limit: Int = "0", Planned("not built yet");

    /// See postconf(5), `smtpd_client_new_tls_session_rate_limit`.
    smtpd_client_new_tls_session_rate_limit: Int = "0", Planned("not built yet");

    /// See postconf(5), `smtpd_client_port_logging`.
    smtpd_client_port_logging: Bool = "no", Planned("not built yet");

    /// See postconf(5), `smtpd_client_recipient_rate_limit`.
    smtpd_client_recipient_rate_limit: Int = "0", Planned("not built yet");

    /// See postconf(5), `smtpd_command_filter`.
    smtpd_command_filter: Text(form: Table) = "", Planned("not built yet");

    /// See postconf(5), `smtpd_delay_open_until_valid_rcpt`.
    smtpd_delay_open_until_valid_rcpt: Bool = "yes", Planned("not built yet");

    /// See postconf(5), `smtpd_discard_ehlo_keyword_address_maps`.
    smtpd_discard_ehlo_keyword_address_maps: Text(form: Tables) = "", Planned("not built yet");

    /// See postconf(5), `smtpd_discard_ehlo_keywords`.
    smtpd_discard_ehlo_keywords: Text(form: SetOf(&["8bitmime", "auth", "chunking", "dsn", "enhancedstatuscodes", "etrn", "pipelining", "requiretls", "silent-discard", "size", "smtputf8", "starttls", "verp", "vrfy", "xclient", "xforward"])) = "", Planned("not built yet");

    /// See postconf(5), `smtpd_dns_reply_filter`.
    smtpd_dns_reply_filter: Text(form: Table) = "", Planned("not built yet");

    /// See postconf(5), `smtpd_error_sleep_time`.
    smtpd_error_sleep_time: Time = "1s", Planned("not built yet");

    /// See postconf(5), `smtpd_expansion_filter`.
    smtpd_expansion_filter: Raw(min: 1) = r##"\t\40!"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~"##, Planned("not built yet");

    /// See postconf(5), `smtpd_hard_error_limit`.
    smtpd_hard_error_limit: NInt(min: 1) = "${stress?{1}:{20}}", Planned("not built yet");

    /// See postconf(5), `smtpd_helo_required`.
    smtpd_helo_required: Bool = "no", Planned("not built yet");

    /// See postconf(5), `smtpd_hide_client_session`.
    smtpd_hide_client_session: NBool = "no", Planned("not built yet");

    /// See postconf(5), `smtpd_history_flush_threshold`.
    smtpd_history_flush_threshold: Int(min: 1) = "100", Planned("not built yet");

    /// See postconf(5), `smtpd_junk_command_limit`.
    smtpd_junk_command_limit: NInt(min: 1) = "${stress?{1}:{100}}", Planned("not built yet");

    /// See postconf(5), `smtpd_min_data_rate`.
    smtpd_min_data_rate: Int(min: 1) = "500", Planned("not built yet");

    /// See postconf(5), `smtpd_noop_commands`.
    smtpd_noop_commands: Text(form: List) = "", Planned("not built yet");

    /// See postconf(5), `smtpd_peername_lookup`.
    smtpd_peername_lookup: Bool = "yes", Planned("not built yet");

    /// See postconf(5), `smtpd_per_request_deadline`.
    smtpd_per_request_deadline: NBool = "${smtpd_per_record_deadline?{$smtpd_per_record_deadline}:{${stress?{yes}:{no}}}}", Planned("not built yet");

    /// See postconf(5), `smtpd_proxy_ehlo`.
    smtpd_proxy_ehlo: Text = "$myhostname", Planned("not built yet");

    /// See postconf(5), `smtpd_proxy_filter`.
    smtpd_proxy_filter: Text = "", Planned("not built yet");

    /// See postconf(5), `smtpd_proxy_options`.
    smtpd_proxy_options: Text(form: SetOf(&["speed_adjust"])) = "", Planned("not built yet");

    /// See postconf(5), `smtpd_proxy_timeout`.
    smtpd_proxy_timeout: Time(min: 1) = "100s", Planned("not built yet");

    /// See postconf(5), `smtpd_recipient_limit`.
    smtpd_recipient_limit: Int(min: 1) = "1000", Planned("not built yet");

    /// See postconf(5), `smtpd_recipient_overshoot_limit`.
    smtpd_recipient_overshoot_limit: Int(min: 1) = "1000", Planned("not built yet");

    /// See postconf(5), `smtpd_service_name`.
    smtpd_service_name: Text(min: 1, form: Service) = "smtpd", Planned("not built yet");

    /// See postconf(5), `smtpd_soft_error_limit`.
    smtpd_soft_error_limit: NInt(min: 1) = "10", Planned("not built yet");

    /// See postconf(5), `smtpd_timeout`.
    smtpd_timeout: Time(min: 1) = "${stress?{10}:{300}}s", Planned("not built yet");

    /// See postconf(5), `smtpd_upstream_proxy_protocol`.
    smtpd_upstream_proxy_protocol: Text(form: OneOf(&["", "haproxy"])) = "", Planned("not built yet");

    /// See postconf(5), `smtpd_upstream_proxy_timeout`.
    smtpd_upstream_proxy_timeout: Time(min: 1) = "5s", Planned("not built yet");

    /// See postconf(5), `stress`.
    stress: Text = "", Planned("not built yet");

    /// See postconf(5), `strict_rfc821_envelopes`.
    strict_rfc821_envelopes: Bool = "no", Planned("not built yet");

    /// See postconf(5), `virtual_alias_maps`.
    virtual_alias_maps: Text(form: Tables) = "$virtual_maps", Planned("not built yet");
}
