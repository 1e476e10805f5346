//! The SMTP server but for TLS, SASL and access control: smtpd(8).

use crate::param::params;

params! { smtpd, "SMTP server";
    /// Whether the VRFY command is off.
    disable_vrfy_command: Bool = "no", Works;

    /// Clients that may use XVERP.
    smtpd_authorized_verp_clients: Text(form: Patterns) = "$authorized_verp_clients", Works;

    /// Clients that may use XCLIENT.
    smtpd_authorized_xclient_hosts: Text(form: Patterns) = "", Works;

    /// Clients that may use XFORWARD.
    smtpd_authorized_xforward_hosts: Text(form: Patterns) = "", Works;

    /// The text after 220 in the greeting.
    smtpd_banner: Text(min: 1) = "$myhostname ESMTP $mail_name", Works;

    /// Whether the client's port is logged.
    smtpd_client_port_logging: Bool = "no", Works;

    /// A table that rewrites commands before they are read.
    smtpd_command_filter: Text(form: Table) = "", Works;

    /// Whether a transaction begins with the first recipient that is accepted.
    smtpd_delay_open_until_valid_rcpt: Bool = "yes", Works;

    /// Tables that tell, for each client address, which EHLO keywords are not offered.
    smtpd_discard_ehlo_keyword_address_maps: Text(form: Tables) = "", Works;

    /// EHLO keywords that are not offered.
    smtpd_discard_ehlo_keywords: Text(form: SetOf(&["8bitmime", "auth", "chunking", "dsn", "enhancedstatuscodes", "etrn", "pipelining", "requiretls", "silent-discard", "size", "smtputf8", "starttls", "verp", "vrfy", "xclient", "xforward"])) = "", Works;

    /// A table that sees each record of a DNS answer as text, and can drop it (`IGNORE`).
    smtpd_dns_reply_filter: Text(form: Table) = "", Works;

    /// How long the reply to a client with many errors is held back.
    smtpd_error_sleep_time: Time = "1s", Works;

    /// The letters that may come through in `$name` expansions of replies.
    smtpd_expansion_filter: Raw(min: 1) = r##"\t\40!"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~"##, Works;

    /// After how many errors a client is disconnected.
    smtpd_hard_error_limit: NInt(min: 1) = "${stress?{1}:{20}}", Works;

    /// Whether HELO or EHLO must come before MAIL FROM.
    smtpd_helo_required: Bool = "no", Works;

    /// Whether Received: headers say nothing of the client.
    smtpd_hide_client_session: NBool = "no", Works;

    /// How many lines the command history of a session may have.
    smtpd_history_flush_threshold: Int(min: 1) = "100", Works;

    /// How many commands without use a client may send before they count as errors.
    smtpd_junk_command_limit: NInt(min: 1) = "${stress?{1}:{100}}", Works;

    /// How many bytes a second a client must send for its deadline to move.
    smtpd_min_data_rate: Int(min: 1) = "500", Works;

    /// Commands that are answered and ignored.
    smtpd_noop_commands: Text(form: List) = "", Works;

    /// Whether the client's name is looked up.
    smtpd_peername_lookup: Bool = "yes", Works;

    /// Whether the server's time limits are for whole requests, not for each piece.
    smtpd_per_request_deadline: NBool = "${smtpd_per_record_deadline?{$smtpd_per_record_deadline}:{${stress?{yes}:{no}}}}", Works;

    /// The host name that is sent to the proxy filter.
    smtpd_proxy_ehlo: Text = "$myhostname", Works;

    /// A server through which mail goes before it is queued.
    smtpd_proxy_filter: Text = "", Works;

    /// How smtpd(8) speaks with the proxy filter.
    smtpd_proxy_options: Text(form: SetOf(&["speed_adjust"])) = "", Accepted("a filter is connected to with the first recipient, and hears the message as it comes");

    /// How long the proxy filter may take.
    smtpd_proxy_timeout: Time(min: 1) = "100s", Works;

    /// How many recipients one message may have.
    smtpd_recipient_limit: Int(min: 1) = "1000", Works;

    /// How many recipients beyond that limit count as no errors.
    smtpd_recipient_overshoot_limit: Int(min: 1) = "1000", Works;

    /// The service to which postscreen(8) hands clients.
    smtpd_service_name: Text(min: 1, form: Service) = "smtpd", Works;

    /// After how many errors replies are held back.
    smtpd_soft_error_limit: NInt(min: 1) = "10", Works;

    /// How long the server waits for its client.
    smtpd_timeout: Time(min: 1) = "${stress?{10}:{300}}s", Works;

    /// The protocol in which a proxy before smtpd(8) tells the client's address.
    smtpd_upstream_proxy_protocol: Text(form: OneOf(&["", "haproxy"])) = "", Works;

    /// How long the proxy may take to tell it.
    smtpd_upstream_proxy_timeout: Time(min: 1) = "5s", Works;

    /// Not empty while a service has no room for more clients; other values refer to it.
    stress: Text = "", Works;
}
