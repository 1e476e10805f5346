//! smtpd(8) access control: what main.cf can say (postconf(5)).

use crate::param::params;

params! { smtpd_access, "smtpd(8) access control";
    /// See postconf(5), `access_map_defer_code`.
    access_map_defer_code: Int = "450", Planned("not built yet");

    /// See postconf(5), `access_map_reject_code`.
    access_map_reject_code: Int = "554", Planned("not built yet");

    /// See postconf(5), `default_rbl_reply`.
    default_rbl_reply: Raw(min: 1) = "$rbl_code Service unavailable; $rbl_class [$rbl_what] blocked using $rbl_domain${rbl_reason?; $rbl_reason}", Planned("not built yet");

    /// See postconf(5), `defer_code`.
    defer_code: Int = "450", Planned("not built yet");

    /// See postconf(5), `invalid_hostname_reject_code`.
    invalid_hostname_reject_code: Int = "501", Planned("not built yet");

    /// See postconf(5), `maps_rbl_domains`.
    maps_rbl_domains: Text = "", Planned("not built yet");

    /// See postconf(5), `maps_rbl_reject_code`.
    maps_rbl_reject_code: Int = "554", Planned("not built yet");

    /// See postconf(5), `multi_recipient_bounce_reject_code`.
    multi_recipient_bounce_reject_code: Int = "550", Planned("not built yet");

    /// See postconf(5), `non_fqdn_reject_code`.
    non_fqdn_reject_code: Int = "504", Planned("not built yet");

    /// See postconf(5), `permit_mx_backup_networks`.
    permit_mx_backup_networks: Text(form: Patterns) = "", Planned("not built yet");

    /// See postconf(5), `plaintext_reject_code`.
    plaintext_reject_code: Int = "450", Planned("not built yet");

    /// See postconf(5), `rbl_reply_maps`.
    rbl_reply_maps: Text(form: Tables) = "", Planned("not built yet");

    /// See postconf(5), `reject_code`.
    reject_code: Int = "554", Planned("not built yet");

    /// See postconf(5), `reject_tempfail_action`.
    reject_tempfail_action: Text(min: 1, form: OneOf(&["defer", "defer_if_permit"])) = "defer_if_permit", Planned("not built yet");

    /// See postconf(5), `relay_domains_reject_code`.
    relay_domains_reject_code: Int = "554", Planned("not built yet");

    /// See postconf(5), `show_user_unknown_table_name`.
    show_user_unknown_table_name: Bool = "yes", Planned("not built yet");

    /// See postconf(5), `smtpd_client_restrictions`.
    smtpd_client_restrictions: Text(form: Restrictions) = "", Planned("not built yet");

    /// See postconf(5), `smtpd_data_restrictions`.
    smtpd_data_restrictions: Text(form: Restrictions) = "", Planned("not built yet");

    /// See postconf(5), `smtpd_delay_reject`.
    smtpd_delay_reject: Bool = "yes", Planned("not built yet");

    /// See postconf(5), `smtpd_end_of_data_restrictions`.
    smtpd_end_of_data_restrictions: Text(form: Restrictions) = "", Planned("not built yet");

    /// See postconf(5), `smtpd_etrn_restrictions`.
    smtpd_etrn_restrictions: Text(form: Restrictions) = "", Planned("not built yet");

    /// See postconf(5), `smtpd_forbid_bare_newline`.
    smtpd_forbid_bare_newline: Text(min: 1, form: OneOf(&["normalize", "yes", "note", "reject", "no"])) = "normalize", Planned("not built yet");

    /// See postconf(5), `smtpd_forbid_bare_newline_exclusions`.
    smtpd_forbid_bare_newline_exclusions: Text(form: Patterns) = "$mynetworks", Planned("not built yet");

    /// See postconf(5), `smtpd_forbid_bare_newline_reject_code`.
    smtpd_forbid_bare_newline_reject_code: Int(min: 500, max: 599) = "550", Planned("not built yet");

    /// See postconf(5), `smtpd_forbid_unauth_pipelining`.
    smtpd_forbid_unauth_pipelining: Bool = "yes", Planned("not built yet");

    /// See postconf(5), `smtpd_forbidden_commands`.
    smtpd_forbidden_commands: Text(form: List) = "CONNECT GET POST regexp:{{/^[^A-Z]/ Bogus}}", Planned("not built yet");

    /// See postconf(5), `smtpd_helo_restrictions`.
    smtpd_helo_restrictions: Text(form: Restrictions) = "", Planned("not built yet");

    /// See postconf(5), `smtpd_log_access_permit_actions`.
    smtpd_log_access_permit_actions: Text(form: List) = "", Planned("not built yet");

    /// See postconf(5), `smtpd_null_access_lookup_key`.
    smtpd_null_access_lookup_key: Text = "<>", Planned("not built yet");

    /// See postconf(5), `smtpd_policy_service_default_action`.
    smtpd_policy_service_default_action: Text(min: 1) = "451 4.3.5 Server configuration problem", Planned("not built yet");

    /// See postconf(5), `smtpd_policy_service_max_idle`.
    smtpd_policy_service_max_idle: Time(min: 1) = "300s", Planned("not built yet");

    /// See postconf(5), `smtpd_policy_service_max_ttl`.
    smtpd_policy_service_max_ttl: Time(min: 1) = "1000s", Planned("not built yet");

    /// See postconf(5), `smtpd_policy_service_policy_context`.
    smtpd_policy_service_policy_context: Text = "", Planned("not built yet");

    /// See postconf(5), `smtpd_policy_service_request_limit`.
    smtpd_policy_service_request_limit: Int = "0", Planned("not built yet");

    /// See postconf(5), `smtpd_policy_service_retry_delay`.
    smtpd_policy_service_retry_delay: Time(min: 1) = "1s", Planned("not built yet");

    /// See postconf(5), `smtpd_policy_service_timeout`.
    smtpd_policy_service_timeout: Time(min: 1) = "100s", Planned("not built yet");

    /// See postconf(5), `smtpd_policy_service_try_limit`.
    smtpd_policy_service_try_limit: Int(min: 1) = "2", Planned("not built yet");

    /// See postconf(5), `smtpd_recipient_restrictions`.
    smtpd_recipient_restrictions: Text(form: Restrictions) = "", Planned("not built yet");

    /// See postconf(5), `smtpd_reject_filter_maps`.
    smtpd_reject_filter_maps: Text(form: Tables) = "", Planned("not built yet");

    /// See postconf(5), `smtpd_reject_footer`.
    smtpd_reject_footer: Raw = "", Planned("not built yet");

    /// See postconf(5), `smtpd_reject_footer_maps`.
    smtpd_reject_footer_maps: Text(form: Tables) = "", Planned("not built yet");

    /// See postconf(5), `smtpd_reject_unlisted_recipient`.
    smtpd_reject_unlisted_recipient: Bool = "yes", Planned("not built yet");

    /// See postconf(5), `smtpd_reject_unlisted_sender`.
    smtpd_reject_unlisted_sender: Bool = "no", Planned("not built yet");

    /// See postconf(5), `smtpd_relay_before_recipient_restrictions`.
    smtpd_relay_before_recipient_restrictions: NBool = "${{$compatibility_level} <level {3.6} ? {no} : {yes}}", Planned("not built yet");

    /// See postconf(5), `smtpd_relay_restrictions`.
    smtpd_relay_restrictions: Text(form: Restrictions) = "${{$compatibility_level} <level {1} ? {} : {permit_mynetworks, permit_sasl_authenticated, defer_unauth_destination}}", Planned("not built yet");

    /// See postconf(5), `smtpd_restriction_classes`.
    smtpd_restriction_classes: Text(form: List) = "", Planned("not built yet");

    /// See postconf(5), `smtpd_sender_login_maps`.
    smtpd_sender_login_maps: Text(form: Tables) = "", Planned("not built yet");

    /// See postconf(5), `smtpd_sender_restrictions`.
    smtpd_sender_restrictions: Text(form: Restrictions) = "", Planned("not built yet");

    /// See postconf(5), `unknown_address_reject_code`.
    unknown_address_reject_code: Int = "450", Planned("not built yet");

    /// See postconf(5), `unknown_address_tempfail_action`.
    unknown_address_tempfail_action: Text(min: 1, form: OneOf(&["defer", "defer_if_permit"])) = "$reject_tempfail_action", Planned("not built yet");

    /// See postconf(5), `unknown_client_reject_code`.
    unknown_client_reject_code: Int = "450", Planned("not built yet");

    /// See postconf(5), `unknown_helo_hostname_tempfail_action`.
    unknown_helo_hostname_tempfail_action: Text(min: 1, form: OneOf(&["defer", "defer_if_permit"])) = "$reject_tempfail_action", Planned("not built yet");

    /// See postconf(5), `unknown_hostname_reject_code`.
    unknown_hostname_reject_code: Int = "450", Planned("not built yet");

    /// See postconf(5), `unknown_local_recipient_reject_code`.
    unknown_local_recipient_reject_code: Int = "550", Planned("not built yet");

    /// See postconf(5), `unknown_relay_recipient_reject_code`.
    unknown_relay_recipient_reject_code: Int = "550", Planned("not built yet");

    /// See postconf(5), `unknown_virtual_alias_reject_code`.
    unknown_virtual_alias_reject_code: Int = "550", Planned("not built yet");

    /// See postconf(5), `unknown_virtual_mailbox_reject_code`.
    unknown_virtual_mailbox_reject_code: Int = "550", Planned("not built yet");

    /// See postconf(5), `unverified_recipient_defer_code`.
    unverified_recipient_defer_code: Int(min: 200, max: 499) = "450", Planned("not built yet");

    /// See postconf(5), `unverified_recipient_reject_code`.
    unverified_recipient_reject_code: Int(min: 200, max: 599) = "450", Planned("not built yet");

    /// See postconf(5), `unverified_recipient_reject_reason`.
    unverified_recipient_reject_reason: Text = "", Planned("not built yet");

    /// See postconf(5), `unverified_recipient_tempfail_action`.
    unverified_recipient_tempfail_action: Text(min: 1, form: OneOf(&["defer", "defer_if_permit"])) = "$reject_tempfail_action", Planned("not built yet");

    /// See postconf(5), `unverified_sender_defer_code`.
    unverified_sender_defer_code: Int(min: 200, max: 499) = "450", Planned("not built yet");

    /// See postconf(5), `unverified_sender_reject_code`.
    unverified_sender_reject_code: Int(min: 200, max: 599) = "450", Planned("not built yet");

    /// See postconf(5), `unverified_sender_reject_reason`.
    unverified_sender_reject_reason: Text = "", Planned("not built yet");

    /// See postconf(5), `unverified_sender_tempfail_action`.
    unverified_sender_tempfail_action: Text(min: 1, form: OneOf(&["defer", "defer_if_permit"])) = "$reject_tempfail_action", Planned("not built yet");
}
