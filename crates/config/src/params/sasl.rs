//! SASL of smtpd(8), smtp(8), lmtp(8): what main.cf can say (postconf(5)).

use crate::param::params;

params! { sasl, "SASL of smtpd(8), smtp(8), lmtp(8)";
    /// See postconf(5), `broken_sasl_auth_clients`.
    broken_sasl_auth_clients: Bool = "no", Planned("not built yet");

    /// See postconf(5), `cyrus_sasl_config_path`.
    cyrus_sasl_config_path: Text = "", Planned("not built yet");

    /// See postconf(5), `lmtp_sasl_auth_cache_name`.
    lmtp_sasl_auth_cache_name: Text(form: Table) = "", Planned("not built yet");

    /// See postconf(5), `lmtp_sasl_auth_cache_time`.
    lmtp_sasl_auth_cache_time: Time(unit: 'd') = "90d", Planned("not built yet");

    /// See postconf(5), `lmtp_sasl_auth_enable`.
    lmtp_sasl_auth_enable: Bool = "no", Planned("not built yet");

    /// See postconf(5), `lmtp_sasl_auth_soft_bounce`.
    lmtp_sasl_auth_soft_bounce: Bool = "yes", Planned("not built yet");

    /// See postconf(5), `lmtp_sasl_mechanism_filter`.
    lmtp_sasl_mechanism_filter: Text = "", Planned("not built yet");

    /// See postconf(5), `lmtp_sasl_password_maps`.
    lmtp_sasl_password_maps: Text(form: Tables) = "", Planned("not built yet");

    /// See postconf(5), `lmtp_sasl_password_result_delimiter`.
    lmtp_sasl_password_result_delimiter: Text(min: 1, max: 1) = ":", Planned("not built yet");

    /// See postconf(5), `lmtp_sasl_path`.
    lmtp_sasl_path: Text = "", Planned("not built yet");

    /// See postconf(5), `lmtp_sasl_security_options`.
    lmtp_sasl_security_options: Text(form: SetOf(&["noplaintext", "noactive", "nodictionary", "noanonymous", "forward_secrecy", "mutual_auth"])) = "noplaintext, noanonymous", Planned("not built yet");

    /// See postconf(5), `lmtp_sasl_tls_security_options`.
    lmtp_sasl_tls_security_options: Text(form: SetOf(&["noplaintext", "noactive", "nodictionary", "noanonymous", "forward_secrecy", "mutual_auth"])) = "$lmtp_sasl_security_options", Planned("not built yet");

    /// See postconf(5), `lmtp_sasl_tls_verified_security_options`.
    lmtp_sasl_tls_verified_security_options: Text(form: SetOf(&["noplaintext", "noactive", "nodictionary", "noanonymous", "forward_secrecy", "mutual_auth"])) = "$lmtp_sasl_tls_security_options", Planned("not built yet");

    /// See postconf(5), `lmtp_sasl_type`.
    lmtp_sasl_type: Text(min: 1) = "cyrus", Planned("not built yet");

    /// See postconf(5), `send_cyrus_sasl_authzid`.
    send_cyrus_sasl_authzid: Bool = "no", Planned("not built yet");

    /// See postconf(5), `smtp_sasl_auth_cache_name`.
    smtp_sasl_auth_cache_name: Text(form: Table) = "", Planned("not built yet");

    /// See postconf(5), `smtp_sasl_auth_cache_time`.
    smtp_sasl_auth_cache_time: Time(unit: 'd') = "90d", Planned("not built yet");

    /// See postconf(5), `smtp_sasl_auth_enable`.
    smtp_sasl_auth_enable: Bool = "no", Planned("not built yet");

    /// See postconf(5), `smtp_sasl_auth_soft_bounce`.
    smtp_sasl_auth_soft_bounce: Bool = "yes", Planned("not built yet");

    /// See postconf(5), `smtp_sasl_mechanism_filter`.
    smtp_sasl_mechanism_filter: Text = "", Planned("not built yet");

    /// See postconf(5), `smtp_sasl_password_maps`.
    smtp_sasl_password_maps: Text(form: Tables) = "", Planned("not built yet");

    /// See postconf(5), `smtp_sasl_password_result_delimiter`.
    smtp_sasl_password_result_delimiter: Text(min: 1, max: 1) = ":", Planned("not built yet");

    /// See postconf(5), `smtp_sasl_path`.
    smtp_sasl_path: Text = "", Planned("not built yet");

    /// See postconf(5), `smtp_sasl_security_options`.
    smtp_sasl_security_options: Text(form: SetOf(&["noplaintext", "noactive", "nodictionary", "noanonymous", "forward_secrecy", "mutual_auth"])) = "noplaintext, noanonymous", Planned("not built yet");

    /// See postconf(5), `smtp_sasl_tls_security_options`.
    smtp_sasl_tls_security_options: Text(form: SetOf(&["noplaintext", "noactive", "nodictionary", "noanonymous", "forward_secrecy", "mutual_auth"])) = "$smtp_sasl_security_options", Planned("not built yet");

    /// See postconf(5), `smtp_sasl_tls_verified_security_options`.
    smtp_sasl_tls_verified_security_options: Text(form: SetOf(&["noplaintext", "noactive", "nodictionary", "noanonymous", "forward_secrecy", "mutual_auth"])) = "$smtp_sasl_tls_security_options", Planned("not built yet");

    /// See postconf(5), `smtp_sasl_type`.
    smtp_sasl_type: Text(min: 1) = "cyrus", Planned("not built yet");

    /// See postconf(5), `smtpd_sasl_auth_enable`.
    smtpd_sasl_auth_enable: Bool = "no", Planned("not built yet");

    /// See postconf(5), `smtpd_sasl_authenticated_header`.
    smtpd_sasl_authenticated_header: Bool = "no", Planned("not built yet");

    /// See postconf(5), `smtpd_sasl_exceptions_networks`.
    smtpd_sasl_exceptions_networks: Text(form: Patterns) = "", Planned("not built yet");

    /// See postconf(5), `smtpd_sasl_local_domain`.
    smtpd_sasl_local_domain: Text = "", Planned("not built yet");

    /// See postconf(5), `smtpd_sasl_mechanism_filter`.
    smtpd_sasl_mechanism_filter: Text = "!external, static:rest", Planned("not built yet");

    /// See postconf(5), `smtpd_sasl_path`.
    smtpd_sasl_path: Text(min: 1) = "smtpd", Planned("not built yet");

    /// See postconf(5), `smtpd_sasl_response_limit`.
    smtpd_sasl_response_limit: Int(min: 12288) = "12288", Planned("not built yet");

    /// See postconf(5), `smtpd_sasl_security_options`.
    smtpd_sasl_security_options: Text(form: SetOf(&["noplaintext", "noactive", "nodictionary", "noanonymous", "forward_secrecy", "mutual_auth"])) = "noanonymous", Planned("not built yet");

    /// See postconf(5), `smtpd_sasl_service`.
    smtpd_sasl_service: Text(min: 1, form: Service) = "smtp", Planned("not built yet");

    /// See postconf(5), `smtpd_sasl_tls_security_options`.
    smtpd_sasl_tls_security_options: Text(form: SetOf(&["noplaintext", "noactive", "nodictionary", "noanonymous", "forward_secrecy", "mutual_auth"])) = "$smtpd_sasl_security_options", Planned("not built yet");

    /// See postconf(5), `smtpd_sasl_type`.
    smtpd_sasl_type: Text(min: 1) = "cyrus", Planned("not built yet");
}
