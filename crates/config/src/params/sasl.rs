//! Logins: SASL of smtpd(8), smtp(8) and lmtp(8) (SASL_README).

use crate::param::params;

params! { sasl, "SASL";
    /// Whether EHLO also offers the obsolete form `AUTH=`.
    broken_sasl_auth_clients: Bool = "no", Works;

    /// Where the Cyrus SASL library looks for its application configuration.
    cyrus_sasl_config_path: Text = "", Accepted("the Cyrus library is not used: smtpd_sasl_type = dovecot, or the logins of our own");

    /// As `smtp_sasl_auth_cache_name`, for the LMTP client.
    lmtp_sasl_auth_cache_name: Text(form: Table) = "", Works;

    /// As `smtp_sasl_auth_cache_time`, for the LMTP client.
    lmtp_sasl_auth_cache_time: Time(unit: 'd') = "90d", Works;

    /// As `smtp_sasl_auth_enable`, for the LMTP client.
    lmtp_sasl_auth_enable: Bool = "no", Works;

    /// As `smtp_sasl_auth_soft_bounce`, for the LMTP client.
    lmtp_sasl_auth_soft_bounce: Bool = "yes", Works;

    /// As `smtp_sasl_mechanism_filter`, for the LMTP client.
    lmtp_sasl_mechanism_filter: Text = "", Works;

    /// As `smtp_sasl_password_maps`, for the LMTP client.
    lmtp_sasl_password_maps: Text(form: Tables) = "", Works;

    /// As `smtp_sasl_password_result_delimiter`, for the LMTP client.
    lmtp_sasl_password_result_delimiter: Text(min: 1, max: 1) = ":", Works;

    /// As `smtp_sasl_path`, for the LMTP client.
    lmtp_sasl_path: Text = "", Accepted("the mechanisms of the client are built in, no plug-in is asked");

    /// As `smtp_sasl_security_options`, for the LMTP client.
    lmtp_sasl_security_options: Text(form: SetOf(&["noplaintext", "noactive", "nodictionary", "noanonymous", "forward_secrecy", "mutual_auth"])) = "noplaintext, noanonymous", Works;

    /// As `smtp_sasl_tls_security_options`, for the LMTP client.
    lmtp_sasl_tls_security_options: Text(form: SetOf(&["noplaintext", "noactive", "nodictionary", "noanonymous", "forward_secrecy", "mutual_auth"])) = "$lmtp_sasl_security_options", Works;

    /// As `smtp_sasl_tls_verified_security_options`, for the LMTP client.
    lmtp_sasl_tls_verified_security_options: Text(form: SetOf(&["noplaintext", "noactive", "nodictionary", "noanonymous", "forward_secrecy", "mutual_auth"])) = "$lmtp_sasl_tls_security_options", Works;

    /// As `smtp_sasl_type`, for the LMTP client.
    lmtp_sasl_type: Text(min: 1) = "cyrus", Accepted("the mechanisms of the client are built in, no plug-in is asked");

    /// Whether the client sends an authorization identity through Cyrus SASL.
    send_cyrus_sasl_authzid: Bool = "no", Works;

    /// Where failed logins are remembered.
    smtp_sasl_auth_cache_name: Text(form: Table) = "", Works;

    /// How long a failed login is remembered.
    smtp_sasl_auth_cache_time: Time(unit: 'd') = "90d", Works;

    /// Whether the client logs in.
    smtp_sasl_auth_enable: Bool = "no", Works;

    /// Whether mail waits when a login fails for good.
    smtp_sasl_auth_soft_bounce: Bool = "yes", Works;

    /// Which of the server's mechanisms are used.
    smtp_sasl_mechanism_filter: Text = "", Works;

    /// Tables with user and password for each server or sender.
    smtp_sasl_password_maps: Text(form: Tables) = "", Works;

    /// What separates user and password in such a table.
    smtp_sasl_password_result_delimiter: Text(min: 1, max: 1) = ":", Works;

    /// What the SASL plug-in is told about its configuration.
    smtp_sasl_path: Text = "", Accepted("the mechanisms of the client are built in, no plug-in is asked");

    /// Which kinds of mechanisms are not used without TLS.
    smtp_sasl_security_options: Text(form: SetOf(&["noplaintext", "noactive", "nodictionary", "noanonymous", "forward_secrecy", "mutual_auth"])) = "noplaintext, noanonymous", Works;

    /// Which kinds of mechanisms are not used with TLS.
    smtp_sasl_tls_security_options: Text(form: SetOf(&["noplaintext", "noactive", "nodictionary", "noanonymous", "forward_secrecy", "mutual_auth"])) = "$smtp_sasl_security_options", Works;

    /// Which kinds of mechanisms are not used with TLS and a verified server.
    smtp_sasl_tls_verified_security_options: Text(form: SetOf(&["noplaintext", "noactive", "nodictionary", "noanonymous", "forward_secrecy", "mutual_auth"])) = "$smtp_sasl_tls_security_options", Works;

    /// The SASL plug-in of the client.
    smtp_sasl_type: Text(min: 1) = "cyrus", Accepted("the mechanisms of the client are built in, no plug-in is asked");

    /// Whether clients can log in.
    smtpd_sasl_auth_enable: Bool = "no", Works;

    /// Whether Received: headers tell the login name.
    smtpd_sasl_authenticated_header: Bool = "no", Works;

    /// Clients that are not offered AUTH.
    smtpd_sasl_exceptions_networks: Text(form: Patterns) = "", Works;

    /// The SASL realm of users without one.
    smtpd_sasl_local_domain: Text = "", Accepted("Dovecot knows its realms itself");

    /// Which mechanisms are offered.
    smtpd_sasl_mechanism_filter: Text = "!external, static:rest", Works;

    /// What the SASL plug-in is told: for dovecot its socket.
    smtpd_sasl_path: Text(min: 1) = "smtpd", Works;

    /// How long a client's response may be, in bytes.
    smtpd_sasl_response_limit: Int(min: 12288) = "12288", Works;

    /// Which kinds of mechanisms are not offered without TLS.
    smtpd_sasl_security_options: Text(form: SetOf(&["noplaintext", "noactive", "nodictionary", "noanonymous", "forward_secrecy", "mutual_auth"])) = "noanonymous", Works;

    /// The service name that the SASL plug-in gets.
    smtpd_sasl_service: Text(min: 1, form: Service) = "smtp", Works;

    /// Which kinds of mechanisms are not offered with TLS.
    smtpd_sasl_tls_security_options: Text(form: SetOf(&["noplaintext", "noactive", "nodictionary", "noanonymous", "forward_secrecy", "mutual_auth"])) = "$smtpd_sasl_security_options", Works;

    /// The SASL plug-in of the server.
    smtpd_sasl_type: Text(min: 1) = "cyrus", Works;
}
