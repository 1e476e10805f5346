//! Mail filters with the Milter protocol: MILTER_README.

use crate::param::params;

params! { milter, "Milter";
    /// How long a Milter may take for one command.
    milter_command_timeout: Time(min: 1) = "30s", Planned("the Milter protocol is not built yet");

    /// Macros that Milters get after a client connected.
    milter_connect_macros: Text(form: List) = "j {daemon_name} {daemon_addr} v _", Planned("the Milter protocol is not built yet");

    /// How long connecting to a Milter may take, with the negotiation.
    milter_connect_timeout: Time(min: 1) = "30s", Planned("the Milter protocol is not built yet");

    /// How long a Milter may take for the content of a message.
    milter_content_timeout: Time(min: 1) = "300s", Planned("the Milter protocol is not built yet");

    /// Macros that Milters get with DATA.
    milter_data_macros: Text(form: List) = "i", Planned("the Milter protocol is not built yet");

    /// What happens when a Milter does not answer.
    milter_default_action: Text(min: 1, form: OneOf(&["accept", "reject", "tempfail", "shutdown", "quarantine"])) = "shutdown", Planned("the Milter protocol is not built yet");

    /// Macros that Milters get after the message.
    milter_end_of_data_macros: Text(form: List) = "i", Planned("the Milter protocol is not built yet");

    /// Macros that Milters get after the headers.
    milter_end_of_header_macros: Text(form: List) = "i", Planned("the Milter protocol is not built yet");

    /// Header checks for headers that Milters add or change.
    milter_header_checks: Text(form: Tables) = "", Planned("the Milter protocol is not built yet");

    /// Macros that Milters get with HELO.
    milter_helo_macros: Text(form: List) = "{tls_version} {cipher} {cipher_bits} {cert_subject} {cert_issuer}", Planned("the Milter protocol is not built yet");

    /// The value of `{daemon_name}` for Milters.
    milter_macro_daemon_name: Text(min: 1) = "$myhostname", Planned("the Milter protocol is not built yet");

    /// Values, as `name=value`, for macros that have none.
    milter_macro_defaults: Text = "", Planned("the Milter protocol is not built yet");

    /// The value of `v` for Milters.
    milter_macro_v: Text(min: 1) = "$mail_name $mail_version", Planned("the Milter protocol is not built yet");

    /// Macros that Milters get with MAIL FROM.
    milter_mail_macros: Text(form: List) = "i {auth_type} {auth_authen} {auth_author} {mail_addr} {mail_host} {mail_mailer}", Planned("the Milter protocol is not built yet");

    /// The version of the Milter protocol, with optional extensions.
    milter_protocol: Text(min: 1) = "6", Planned("the Milter protocol is not built yet");

    /// Macros that Milters get with RCPT TO.
    milter_rcpt_macros: Text(form: List) = "i {rcpt_addr} {rcpt_host} {rcpt_mailer}", Planned("the Milter protocol is not built yet");

    /// Macros that Milters get with an unknown command.
    milter_unknown_command_macros: Text(form: List) = "", Planned("the Milter protocol is not built yet");

    /// Milters for mail that does not come through smtpd(8).
    non_smtpd_milters: Text(form: List) = "", Planned("the Milter protocol is not built yet");

    /// Tables with the Milters for each client address, instead of `smtpd_milters`.
    smtpd_milter_maps: Text(form: Tables) = "", Planned("the Milter protocol is not built yet");

    /// Milters for mail that comes through smtpd(8).
    smtpd_milters: Text(form: List) = "", Planned("the Milter protocol is not built yet");
}
