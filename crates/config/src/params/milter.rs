//! Milter: what main.cf can say (postconf(5)).

use crate::param::params;

params! { milter, "Milter";
    /// See postconf(5), `milter_command_timeout`.
    milter_command_timeout: Time(min: 1) = "30s", Planned("not built yet");

    /// See postconf(5), `milter_connect_macros`.
    milter_connect_macros: Text(form: List) = "j {daemon_name} {daemon_addr} v _", Planned("not built yet");

    /// See postconf(5), `milter_connect_timeout`.
    milter_connect_timeout: Time(min: 1) = "30s", Planned("not built yet");

    /// See postconf(5), `milter_content_timeout`.
    milter_content_timeout: Time(min: 1) = "300s", Planned("not built yet");

    /// See postconf(5), `milter_data_macros`.
    milter_data_macros: Text(form: List) = "i", Planned("not built yet");

    /// See postconf(5), `milter_default_action`.
    milter_default_action: Text(min: 1, form: OneOf(&["accept", "reject", "tempfail", "shutdown", "quarantine"])) = "shutdown", Planned("not built yet");

    /// See postconf(5), `milter_end_of_data_macros`.
    milter_end_of_data_macros: Text(form: List) = "i", Planned("not built yet");

    /// See postconf(5), `milter_end_of_header_macros`.
    milter_end_of_header_macros: Text(form: List) = "i", Planned("not built yet");

    /// See postconf(5), `milter_header_checks`.
    milter_header_checks: Text(form: Tables) = "", Planned("not built yet");

    /// See postconf(5), `milter_helo_macros`.
    milter_helo_macros: Text(form: List) = "{tls_version} {cipher} {cipher_bits} {cert_subject} {cert_issuer}", Planned("not built yet");

    /// See postconf(5), `milter_macro_daemon_name`.
    milter_macro_daemon_name: Text(min: 1) = "$myhostname", Planned("not built yet");

    /// See postconf(5), `milter_macro_defaults`.
    milter_macro_defaults: Text = "", Planned("not built yet");

    /// See postconf(5), `milter_macro_v`.
    milter_macro_v: Text(min: 1) = "$mail_name $mail_version", Planned("not built yet");

    /// See postconf(5), `milter_mail_macros`.
    milter_mail_macros: Text(form: List) = "i {auth_type} {auth_authen} {auth_author} {mail_addr} {mail_host} {mail_mailer}", Planned("not built yet");

    /// See postconf(5), `milter_protocol`.
    milter_protocol: Text(min: 1) = "6", Planned("not built yet");

    /// See postconf(5), `milter_rcpt_macros`.
    milter_rcpt_macros: Text(form: List) = "i {rcpt_addr} {rcpt_host} {rcpt_mailer}", Planned("not built yet");

    /// See postconf(5), `milter_unknown_command_macros`.
    milter_unknown_command_macros: Text(form: List) = "", Planned("not built yet");

    /// See postconf(5), `non_smtpd_milters`.
    non_smtpd_milters: Text(form: List) = "", Planned("not built yet");

    /// See postconf(5), `smtpd_milter_maps`.
    smtpd_milter_maps: Text(form: Tables) = "", Planned("not built yet");

    /// See postconf(5), `smtpd_milters`.
    smtpd_milters: Text(form: List) = "", Planned("not built yet");
}
