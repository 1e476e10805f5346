//! Mail filters with the Milter protocol: MILTER_README.

use crate::param::params;

params! { milter, "Milter";
    /// How long a Milter may take for one command.
    milter_command_timeout: Time(min: 1) = "30s", Works;

    /// Macros that Milters get after a client connected.
    milter_connect_macros: Text(form: List) = "j {daemon_name} {daemon_addr} v _", Works;

    /// How long connecting to a Milter may take, with the negotiation.
    milter_connect_timeout: Time(min: 1) = "30s", Works;

    /// How long a Milter may take for the content of a message.
    milter_content_timeout: Time(min: 1) = "300s", Works;

    /// Macros that Milters get with DATA.
    milter_data_macros: Text(form: List) = "i", Works;

    /// What happens when a Milter does not answer.
    milter_default_action: Text(min: 1, form: OneOf(&["accept", "reject", "tempfail", "shutdown", "quarantine"])) = "shutdown", Works;

    /// Macros that Milters get after the message.
    milter_end_of_data_macros: Text(form: List) = "i", Works;

    /// Macros that Milters get after the headers.
    milter_end_of_header_macros: Text(form: List) = "i", Works;

    /// Header checks for headers that Milters add or change.
    milter_header_checks: Text(form: Tables) = "", Works;

    /// Macros that Milters get with HELO.
    milter_helo_macros: Text(form: List) = "{tls_version} {cipher} {cipher_bits} {cert_subject} {cert_issuer}", Works;

    /// The value of `{daemon_name}` for Milters.
    milter_macro_daemon_name: Text(min: 1) = "$myhostname", Works;

    /// Values, as `name=value`, for macros that have none.
    milter_macro_defaults: Text = "", Works;

    /// The value of `v` for Milters.
    milter_macro_v: Text(min: 1) = "$mail_name $mail_version", Works;

    /// Macros that Milters get with MAIL FROM.
    milter_mail_macros: Text(form: List) = "i {auth_type} {auth_authen} {auth_author} {mail_addr} {mail_host} {mail_mailer}", Works;

    /// The version of the Milter protocol, with optional extensions.
    milter_protocol: Text(min: 1) = "6", Works;

    /// Macros that Milters get with RCPT TO.
    milter_rcpt_macros: Text(form: List) = "i {rcpt_addr} {rcpt_host} {rcpt_mailer}", Works;

    /// Macros that Milters get with an unknown command.
    milter_unknown_command_macros: Text(form: List) = "", Works;

    /// Milters for mail that does not come through smtpd(8).
    non_smtpd_milters: Text(form: List) = "", Works;

    /// Tables with the Milters for each client address, instead of `smtpd_milters`.
    smtpd_milter_maps: Text(form: Tables) = "", Works;

    /// Milters for mail that comes through smtpd(8).
    smtpd_milters: Text(form: List) = "", Works;
}
