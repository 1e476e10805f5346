//! The SMTP client but for TLS and SASL: smtp(8).

use crate::param::params;

params! { smtp, "SMTP client";
    /// Whether MX and address lookups follow when there is no SRV record.
    allow_srv_lookup_fallback: Bool = "no", Works;

    /// The transport for domains whose best MX host is this machine, instead of a bounce.
    best_mx_transport: Text(form: Transport) = "", Works;

    /// How long an exchange with the connection cache may take.
    connection_cache_protocol_timeout: Time(min: 1) = "5s", Accepted("connections are kept in the process that opens them; no scache process is asked");

    /// The service that keeps open connections for reuse.
    connection_cache_service_name: Text(min: 1, form: Service) = "scache", Accepted("connections are kept in the process that opens them; no scache process is asked");

    /// How often the hit rate of the connection cache is logged.
    connection_cache_status_update_time: Time(min: 1) = "600s", Accepted("connections are kept in the process that opens them; no scache process is asked");

    /// How long the cache keeps an idle connection at most.
    connection_cache_ttl_limit: Time(min: 1) = "2s", Works;

    /// Old switch for SMTP and LMTP clients without DNS; `smtp_dns_support_level` says more.
    disable_dns_lookups: Bool = "no", Works;

    /// Whether a workaround is on for C libraries that hide negative DNS answers.
    dns_ncache_ttl_fix_enable: Bool = "no", Accepted("the resolver does not depend on the C library");

    /// The DNS question, as type and name, that shows whether answers are validated; empty for no probe.
    dnssec_probe: Text = "ns:.", Works;

    /// Whether a failed MX lookup counts as no MX record.
    ignore_mx_lookup_error: Bool = "no", Works;

    /// Whether a failed SRV lookup counts as no SRV record.
    ignore_srv_lookup_error: Bool = "no", Works;

    /// The address family that the client tries first.
    smtp_address_preference: Text(min: 1, form: OneOf(&["ipv6", "ipv4", "any"])) = "any", Works;

    /// The command after which an address probe ends: rcpt or data.
    smtp_address_verify_target: Text(min: 1, form: OneOf(&["rcpt", "data"])) = "rcpt", Works;

    /// Whether EHLO is sent also to servers whose banner does not say ESMTP.
    smtp_always_send_ehlo: Bool = "yes", Works;

    /// Whether both address families are tried before the address limit is reached.
    smtp_balance_inet_protocols: Bool = "yes", Works;

    /// The IPv4 address from which the client connects.
    smtp_bind_address: Text = "", Works;

    /// The IPv6 address from which the client connects.
    smtp_bind_address6: Text = "", Works;

    /// Whether mail waits when that address can not be used.
    smtp_bind_address_enforce: Bool = "no", Works;

    /// Body checks when mail is sent.
    smtp_body_checks: Text(form: Tables) = "", Works;

    /// Whether the target of a CNAME is the server's name for certificates and credentials.
    smtp_cname_overrides_servername: Bool = "no", Works;

    /// How long connecting may take; 0 for as long as the system waits.
    smtp_connect_timeout: Time = "30s", Works;

    /// Destinations whose connections are always kept for reuse.
    smtp_connection_cache_destinations: Text = "", Works;

    /// Whether connections are kept while much mail waits for a destination.
    smtp_connection_cache_on_demand: Bool = "yes", Works;

    /// How long an idle connection is kept.
    smtp_connection_cache_time_limit: Time(min: 1) = "2s", Works;

    /// How often a connection is used; 0 for no limit.
    smtp_connection_reuse_count_limit: Int = "0", Works;

    /// How long a connection is used.
    smtp_connection_reuse_time_limit: Time(min: 1) = "300s", Works;

    /// How long the reply after the message may take.
    smtp_data_done_timeout: Time(min: 1) = "600s", Works;

    /// How long the reply to DATA may take.
    smtp_data_init_timeout: Time(min: 1) = "120s", Works;

    /// How long sending a part of the message may take.
    smtp_data_xfer_timeout: Time(min: 1) = "180s", Works;

    /// Whether mail waits when no MX host has an address.
    smtp_defer_if_no_mx_address_found: Bool = "no", Works;

    /// As `default_delivery_status_filter`, for smtp(8).
    smtp_delivery_status_filter: Text(form: Table) = "$default_delivery_status_filter", Works;

    /// Tables that tell, for each server address, which EHLO keywords are ignored.
    smtp_discard_ehlo_keyword_address_maps: Text(form: Tables) = "", Works;

    /// EHLO keywords that are ignored.
    smtp_discard_ehlo_keywords: Text(form: SetOf(&["8bitmime", "auth", "chunking", "dsn", "enhancedstatuscodes", "etrn", "pipelining", "requiretls", "silent-discard", "size", "smtputf8", "starttls", "verp", "vrfy", "xclient", "xforward"])) = "", Works;

    /// A table that sees each record of a DNS answer as text, and can drop it (`IGNORE`).
    smtp_dns_reply_filter: Text(form: Table) = "", Works;

    /// Options of the DNS resolver: complete names, search domains.
    smtp_dns_resolver_options: Text(form: SetOf(&["res_defnames", "res_dnsrch"])) = "", Works;

    /// How much DNS is used: disabled, enabled, dnssec.
    smtp_dns_support_level: Text(form: OneOf(&["", "disabled", "enabled", "dnssec"])) = "", Works;

    /// Where mail goes when its destination can not be reached.
    smtp_fallback_relay: Text(form: List) = "$fallback_relay", Works;

    /// Tables that rewrite addresses when mail leaves.
    smtp_generic_maps: Text(form: Tables) = "", Works;

    /// Header checks when mail is sent.
    smtp_header_checks: Text(form: Tables) = "", Works;

    /// The host name in HELO and EHLO.
    smtp_helo_name: Text(min: 1) = "$myhostname", Works;

    /// How long HELO or EHLO and the reply may take.
    smtp_helo_timeout: Time(min: 1) = "300s", Works;

    /// How host names are looked up: DNS, the system's own way, or both.
    smtp_host_lookup: Text(min: 1, form: SetOf(&["dns", "native"])) = "dns", Works;

    /// How long a line that is sent may be; longer ones are broken. 0 for no limit.
    smtp_line_length_limit: Int = "998", Works;

    /// How long MAIL FROM and the reply may take.
    smtp_mail_timeout: Time(min: 1) = "300s", Works;

    /// As `mime_header_checks`, when mail is sent.
    smtp_mime_header_checks: Text(form: Tables) = "", Works;

    /// How many bytes a second a server must take for its deadline to move.
    smtp_min_data_rate: Int(min: 1) = "500", Works;

    /// How many addresses of MX hosts are tried; 0 for all.
    smtp_mx_address_limit: Int = "5", Works;

    /// How many sessions are tried for one delivery; 0 for no limit.
    smtp_mx_session_limit: Int = "2", Works;

    /// As `nested_header_checks`, when mail is sent.
    smtp_nested_header_checks: Text(form: Tables) = "", Works;

    /// Whether EHLO is never sent.
    smtp_never_send_ehlo: Bool = "no", Works;

    /// Whether the client's time limits are for whole requests, not for each piece.
    smtp_per_request_deadline: NBool = "${smtp_per_record_deadline?{$smtp_per_record_deadline}:{no}}", Works;

    /// How long to wait before the final dot for a PIX firewall.
    smtp_pix_workaround_delay_time: Time(min: 1) = "10s", Works;

    /// Tables that tell, for each server address, which PIX workarounds are on.
    smtp_pix_workaround_maps: Text(form: Tables) = "", Works;

    /// How long mail must be queued before the PIX workarounds begin.
    smtp_pix_workaround_threshold_time: Time = "500s", Works;

    /// Workarounds for PIX firewalls.
    smtp_pix_workarounds: Text(form: SetOf(&["disable_esmtp", "delay_dotcrlf"])) = "disable_esmtp,delay_dotcrlf", Works;

    /// How long QUIT and the reply may take.
    smtp_quit_timeout: Time(min: 1) = "300s", Works;

    /// Whether addresses in MAIL FROM and RCPT TO are quoted where RFC 5321 asks for it.
    smtp_quote_rfc821_envelope: Bool = "yes", Works;

    /// Whether equal MX hosts are tried in random order.
    smtp_randomize_addresses: Bool = "yes", Works;

    /// How long RCPT TO and the reply may take.
    smtp_rcpt_timeout: Time(min: 1) = "300s", Works;

    /// A table that rewrites the lines of server replies.
    smtp_reply_filter: Text(form: Table) = "", Works;

    /// How long RSET and the reply may take.
    smtp_rset_timeout: Time(min: 1) = "20s", Works;

    /// Whether `AUTH=<>` is appended to MAIL FROM after a login.
    smtp_send_dummy_mail_auth: Bool = "no", Works;

    /// Whether client facts are sent with XFORWARD to servers that offer it.
    smtp_send_xforward_command: Bool = "no", Works;

    /// Whether the sender chooses the password, which ends connection reuse.
    smtp_sender_dependent_authentication: Bool = "no", Works;

    /// Whether a 5xx greeting makes the client try the next server.
    smtp_skip_5xx_greeting: Bool = "yes", Works;

    /// Whether the reply to QUIT is not waited for.
    smtp_skip_quit_response: Bool = "yes", Works;

    /// The port of servers where none is named.
    smtp_tcp_port: Text = "smtp", Works;

    /// How long XFORWARD and the reply may take.
    smtp_xforward_timeout: Time(min: 1) = "300s", Works;

    /// Services whose hosts are found with SRV records.
    use_srv_lookup: Text(form: List) = "", Works;
}
