//! Limits of one client of smtpd(8), over its sessions: anvil(8), TUNING_README.

use crate::param::params;

params! { smtpd_limits, "SMTP server: limits per client";
    /// The time over which client rates are counted.
    anvil_rate_time_unit: Time(min: 1) = "60s", Works;

    /// How often the peak rates of clients are logged.
    anvil_status_update_time: Time(min: 1) = "600s", Works;

    /// How many AUTH commands a client may send in `anvil_rate_time_unit`; 0 for no limit.
    smtpd_client_auth_rate_limit: Int = "0", Works;

    /// How many connections one client may have; 0 for no limit.
    smtpd_client_connection_count_limit: Int = "50", Works;

    /// How many connections a client may open in `anvil_rate_time_unit`; 0 for no limit.
    smtpd_client_connection_rate_limit: Int = "0", Works;

    /// Clients without connection and rate limits.
    smtpd_client_event_limit_exceptions: Text(form: Patterns) = "${smtpd_client_connection_limit_exceptions:$mynetworks}", Works;

    /// How many bits of an IPv4 address tell one client from another.
    smtpd_client_ipv4_prefix_length: Int(max: 32) = "32", Works;

    /// How many bits of an IPv6 address tell one client from another.
    smtpd_client_ipv6_prefix_length: Int(max: 128) = "84", Works;

    /// How many messages a client may send in `anvil_rate_time_unit`; 0 for no limit.
    smtpd_client_message_rate_limit: Int = "0", Works;

    /// How many TLS sessions a client may negotiate anew in `anvil_rate_time_unit`; 0 for no limit.
    smtpd_client_new_tls_session_rate_limit: Int = "0", Works;

    /// How many recipients a client may name in `anvil_rate_time_unit`; 0 for no limit.
    smtpd_client_recipient_rate_limit: Int = "0", Works;
}
