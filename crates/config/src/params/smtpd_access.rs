//! Restriction lists of smtpd(8), and the replies that they give: SMTPD_ACCESS_README.

use crate::param::params;

params! { smtpd_access, "SMTP server: access";
    /// Reply code of the `defer` result in access(5) tables.
    access_map_defer_code: Int = "450", Works;

    /// Reply code of the `reject` result in access(5) tables.
    access_map_reject_code: Int = "554", Works;

    /// Whether mail with sender-specified routing (`user@remote@site`) is relayed for strangers.
    allow_untrusted_routing: Bool = "no", Works;

    /// The reply to clients that a DNS list names, with `$name` expansions of its own.
    default_rbl_reply: Raw(min: 1) = "$rbl_code Service unavailable; $rbl_class [$rbl_what] blocked using $rbl_domain${rbl_reason?; $rbl_reason}", Works;

    /// Reply code of the restriction `defer`.
    defer_code: Int = "450", Works;

    /// Reply code of `reject_invalid_helo_hostname`.
    invalid_hostname_reject_code: Int = "501", Works;

    /// DNS lists for the obsolete restriction `reject_maps_rbl`.
    maps_rbl_domains: Text = "", Works;

    /// Reply code for clients that a DNS list names.
    maps_rbl_reject_code: Int = "554", Works;

    /// Reply code of `reject_multi_recipient_bounce`.
    multi_recipient_bounce_reject_code: Int = "550", Works;

    /// Reply code of the `reject_non_fqdn_...` restrictions.
    non_fqdn_reject_code: Int = "504", Works;

    /// Networks whose hosts `permit_mx_backup` asks for as primary MX.
    permit_mx_backup_networks: Text(form: Patterns) = "", Works;

    /// Reply code of `reject_plaintext_session`.
    plaintext_reject_code: Int = "450", Works;

    /// Tables with a reply for each DNS list, instead of `default_rbl_reply`.
    rbl_reply_maps: Text(form: Tables) = "", Works;

    /// Reply code of the restriction `reject`.
    reject_code: Int = "554", Works;

    /// What happens when a restriction's question finds a temporary error.
    reject_tempfail_action: Text(min: 1, form: OneOf(&["defer", "defer_if_permit"])) = "defer_if_permit", Works;

    /// Reply code for destinations that are none of ours.
    relay_domains_reject_code: Int = "554", Works;

    /// Whether the reply to an unknown recipient names the table.
    show_user_unknown_table_name: Bool = "yes", Works;

    /// Restrictions when a client connects.
    smtpd_client_restrictions: Text(form: Restrictions) = "", Works;

    /// Restrictions at DATA.
    smtpd_data_restrictions: Text(form: Restrictions) = "", Works;

    /// Whether client, HELO and sender restrictions wait for RCPT TO.
    smtpd_delay_reject: Bool = "yes", Works;

    /// Restrictions after the message.
    smtpd_end_of_data_restrictions: Text(form: Restrictions) = "", Works;

    /// Restrictions at ETRN.
    smtpd_etrn_restrictions: Text(form: Restrictions) = "", Works;

    /// What happens to lines that end without carriage return.
    smtpd_forbid_bare_newline: Text(min: 1, form: OneOf(&["normalize", "yes", "note", "reject", "no"])) = "normalize", Works;

    /// Clients that may end lines so.
    smtpd_forbid_bare_newline_exclusions: Text(form: Patterns) = "$mynetworks", Works;

    /// Reply code for such lines.
    smtpd_forbid_bare_newline_reject_code: Int(min: 500, max: 599) = "550", Works;

    /// Whether clients are disconnected that pipeline without leave.
    smtpd_forbid_unauth_pipelining: Bool = "yes", Works;

    /// Commands that end the session at once.
    smtpd_forbidden_commands: Text(form: List) = "CONNECT GET POST regexp:{{/^[^A-Z]/ Bogus}}", Works;

    /// Restrictions at HELO and EHLO.
    smtpd_helo_restrictions: Text(form: Restrictions) = "", Works;

    /// Permitting results of access tables that are logged.
    smtpd_log_access_permit_actions: Text(form: List) = "", Works;

    /// What is looked up for the empty sender in access tables.
    smtpd_null_access_lookup_key: Text = "<>", Works;

    /// Restrictions at RCPT TO, after those for relaying.
    smtpd_recipient_restrictions: Text(form: Restrictions) = "", Works;

    /// Tables that replace negative replies.
    smtpd_reject_filter_maps: Text(form: Tables) = "", Works;

    /// Text that is appended to negative replies.
    smtpd_reject_footer: Raw = "", Works;

    /// Tables with such a text for each reply.
    smtpd_reject_footer_maps: Text(form: Tables) = "", Works;

    /// Whether unknown recipients are refused where no restriction says so.
    smtpd_reject_unlisted_recipient: Bool = "yes", Works;

    /// Whether unknown senders of our domains are refused.
    smtpd_reject_unlisted_sender: Bool = "no", Works;

    /// Whether `smtpd_relay_restrictions` come first.
    smtpd_relay_before_recipient_restrictions: NBool = "${{$compatibility_level} <level {3.6} ? {no} : {yes}}", Works;

    /// Restrictions at RCPT TO that decide about relaying.
    smtpd_relay_restrictions: Text(form: Restrictions) = "${{$compatibility_level} <level {1} ? {} : {permit_mynetworks, permit_sasl_authenticated, defer_unauth_destination}}", Works;

    /// Names that stand for restriction lists.
    smtpd_restriction_classes: Text(form: List) = "", Works;

    /// Tables that tell who owns a sender address.
    smtpd_sender_login_maps: Text(form: Tables) = "", Works;

    /// Restrictions at MAIL FROM.
    smtpd_sender_restrictions: Text(form: Restrictions) = "", Works;

    /// Whether addresses in commands need `<>`, and may hold nothing but the address.
    strict_rfc821_envelopes: Bool = "no", Works;

    /// Reply code of `reject_unknown_sender_domain` and `reject_unknown_recipient_domain`.
    unknown_address_reject_code: Int = "450", Works;

    /// What these do when DNS has a temporary error.
    unknown_address_tempfail_action: Text(min: 1, form: OneOf(&["defer", "defer_if_permit"])) = "$reject_tempfail_action", Works;

    /// Reply code of `reject_unknown_client_hostname`.
    unknown_client_reject_code: Int = "450", Works;

    /// What `reject_unknown_helo_hostname` does when DNS has a temporary error.
    unknown_helo_hostname_tempfail_action: Text(min: 1, form: OneOf(&["defer", "defer_if_permit"])) = "$reject_tempfail_action", Works;

    /// Reply code of `reject_unknown_helo_hostname`.
    unknown_hostname_reject_code: Int = "450", Works;

    /// Reply code for unknown local recipients.
    unknown_local_recipient_reject_code: Int = "550", Works;

    /// Reply code for unknown recipients in `relay_domains`.
    unknown_relay_recipient_reject_code: Int = "550", Works;

    /// Reply code for unknown recipients in `virtual_alias_domains`.
    unknown_virtual_alias_reject_code: Int = "550", Works;

    /// Reply code for unknown recipients in `virtual_mailbox_domains`.
    unknown_virtual_mailbox_reject_code: Int = "550", Works;

    /// Reply code while it is not known whether a recipient exists.
    unverified_recipient_defer_code: Int(min: 200, max: 499) = "450", Works;

    /// Reply code when a probe found that a recipient does not exist.
    unverified_recipient_reject_code: Int(min: 200, max: 599) = "450", Works;

    /// The text of that reply; empty for what the probe found.
    unverified_recipient_reject_reason: Text = "", Works;

    /// What `reject_unverified_recipient` does when a probe has a temporary error.
    unverified_recipient_tempfail_action: Text(min: 1, form: OneOf(&["defer", "defer_if_permit"])) = "$reject_tempfail_action", Works;

    /// Reply code while it is not known whether a sender exists.
    unverified_sender_defer_code: Int(min: 200, max: 499) = "450", Works;

    /// Reply code when a probe found that a sender does not exist.
    unverified_sender_reject_code: Int(min: 200, max: 599) = "450", Works;

    /// The text of that reply; empty for what the probe found.
    unverified_sender_reject_reason: Text = "", Works;

    /// What `reject_unverified_sender` does when a probe has a temporary error.
    unverified_sender_tempfail_action: Text(min: 1, form: OneOf(&["defer", "defer_if_permit"])) = "$reject_tempfail_action", Works;
}
