//! cleanup(8): what main.cf can say (postconf(5)).

use crate::param::params;

params! { cleanup, "cleanup(8)";
    /// See postconf(5), `always_add_missing_headers`.
    always_add_missing_headers: Bool = "no", Planned("not built yet");

    /// See postconf(5), `always_bcc`.
    always_bcc: Text = "", Planned("not built yet");

    /// See postconf(5), `body_checks`.
    body_checks: Text(form: Tables) = "", Planned("not built yet");

    /// See postconf(5), `body_checks_size_limit`.
    body_checks_size_limit: Int = "51200", Planned("not built yet");

    /// See postconf(5), `canonical_classes`.
    canonical_classes: Text(min: 1, form: SetOf(&["envelope_sender", "envelope_recipient", "header_sender", "header_recipient"])) = "envelope_sender, envelope_recipient, header_sender, header_recipient", Planned("not built yet");

    /// See postconf(5), `cleanup_replace_stray_cr_lf`.
    cleanup_replace_stray_cr_lf: Bool = "yes", Planned("not built yet");

    /// See postconf(5), `default_verp_delimiters`.
    default_verp_delimiters: Text(min: 2, max: 2) = "+=", Planned("not built yet");

    /// See postconf(5), `delay_warning_time`.
    delay_warning_time: Time(unit: 'h') = "0h", Planned("not built yet");

    /// See postconf(5), `detect_8bit_encoding_header`.
    detect_8bit_encoding_header: Bool = "yes", Planned("not built yet");

    /// See postconf(5), `disable_mime_input_processing`.
    disable_mime_input_processing: Bool = "no", Planned("not built yet");

    /// See postconf(5), `disable_mime_output_conversion`.
    disable_mime_output_conversion: Bool = "no", Planned("not built yet");

    /// See postconf(5), `disable_verp_bounces`.
    disable_verp_bounces: Bool = "no", Planned("not built yet");

    /// See postconf(5), `duplicate_filter_limit`.
    duplicate_filter_limit: Int = "1000", Planned("not built yet");

    /// See postconf(5), `empty_address_recipient`.
    empty_address_recipient: Text(min: 1) = "MAILER-DAEMON", Planned("not built yet");

    /// See postconf(5), `force_mime_input_conversion`.
    force_mime_input_conversion: Bool = "no", Planned("not built yet");

    /// See postconf(5), `full_name_encoding_charset`.
    full_name_encoding_charset: Text(min: 1) = "utf-8", Planned("not built yet");

    /// See postconf(5), `header_address_token_limit`.
    header_address_token_limit: Int(min: 1) = "10240", Planned("not built yet");

    /// See postconf(5), `header_checks`.
    header_checks: Text(form: Tables) = "", Planned("not built yet");

    /// See postconf(5), `header_size_limit`.
    header_size_limit: Int(min: 1) = "102400", Planned("not built yet");

    /// See postconf(5), `hopcount_limit`.
    hopcount_limit: Int(min: 1) = "50", Planned("not built yet");

    /// See postconf(5), `masquerade_classes`.
    masquerade_classes: Text(form: SetOf(&["envelope_sender", "envelope_recipient", "header_sender", "header_recipient"])) = "envelope_sender, header_sender, header_recipient", Planned("not built yet");

    /// See postconf(5), `masquerade_domains`.
    masquerade_domains: Text(form: List) = "", Planned("not built yet");

    /// See postconf(5), `masquerade_exceptions`.
    masquerade_exceptions: Text(form: List) = "", Planned("not built yet");

    /// See postconf(5), `message_drop_headers`.
    message_drop_headers: Text(form: List) = "bcc, content-length, resent-bcc, return-path", Planned("not built yet");

    /// See postconf(5), `message_reject_characters`.
    message_reject_characters: Text = "", Planned("not built yet");

    /// See postconf(5), `message_strip_characters`.
    message_strip_characters: Text = "", Planned("not built yet");

    /// See postconf(5), `mime_boundary_length_limit`.
    mime_boundary_length_limit: Int(min: 1) = "2048", Planned("not built yet");

    /// See postconf(5), `mime_header_checks`.
    mime_header_checks: Text(form: Tables) = "$header_checks", Planned("not built yet");

    /// See postconf(5), `mime_nesting_limit`.
    mime_nesting_limit: Int(min: 1) = "100", Planned("not built yet");

    /// See postconf(5), `nested_header_checks`.
    nested_header_checks: Text(form: Tables) = "$header_checks", Planned("not built yet");

    /// See postconf(5), `non_empty_end_of_header_action`.
    non_empty_end_of_header_action: Text(min: 1, form: OneOf(&["fix_quietly", "add_header", "reject"])) = "fix_quietly", Planned("not built yet");

    /// See postconf(5), `propagate_unmatched_extensions`.
    propagate_unmatched_extensions: Text(form: SetOf(&["canonical", "virtual", "alias", "forward", "include", "generic"])) = "canonical, virtual", Planned("not built yet");

    /// See postconf(5), `queue_file_attribute_count_limit`.
    queue_file_attribute_count_limit: Int(min: 1) = "100", Planned("not built yet");

    /// See postconf(5), `recipient_bcc_maps`.
    recipient_bcc_maps: Text(form: Tables) = "", Planned("not built yet");

    /// See postconf(5), `recipient_canonical_classes`.
    recipient_canonical_classes: Text(min: 1, form: SetOf(&["envelope_recipient", "header_recipient"])) = "envelope_recipient, header_recipient", Planned("not built yet");

    /// See postconf(5), `remote_header_rewrite_domain`.
    remote_header_rewrite_domain: Text = "", Planned("not built yet");

    /// See postconf(5), `sender_bcc_maps`.
    sender_bcc_maps: Text(form: Tables) = "", Planned("not built yet");

    /// See postconf(5), `sender_canonical_classes`.
    sender_canonical_classes: Text(min: 1, form: SetOf(&["envelope_sender", "header_sender"])) = "envelope_sender, header_sender", Planned("not built yet");

    /// See postconf(5), `smtputf8_autodetect_classes`.
    smtputf8_autodetect_classes: Text(min: 1, form: SetOf(&["sendmail", "smtpd", "qmqpd", "forward", "bounce", "notify", "verify", "all"])) = "sendmail, verify", Planned("not built yet");

    /// See postconf(5), `strict_7bit_headers`.
    strict_7bit_headers: Bool = "no", Planned("not built yet");

    /// See postconf(5), `strict_8bitmime`.
    strict_8bitmime: Bool = "no", Planned("not built yet");

    /// See postconf(5), `strict_8bitmime_body`.
    strict_8bitmime_body: Bool = "no", Planned("not built yet");

    /// See postconf(5), `strict_mime_encoding_domain`.
    strict_mime_encoding_domain: Bool = "no", Planned("not built yet");

    /// See postconf(5), `undisclosed_recipients_header`.
    undisclosed_recipients_header: Text = "", Planned("not built yet");

    /// See postconf(5), `verp_delimiter_filter`.
    verp_delimiter_filter: Text(min: 1) = "-=+", Planned("not built yet");

    /// See postconf(5), `virtual_alias_address_length_limit`.
    virtual_alias_address_length_limit: Int(min: 1) = "1000", Planned("not built yet");

    /// See postconf(5), `virtual_alias_expansion_limit`.
    virtual_alias_expansion_limit: Int(min: 1) = "1000", Planned("not built yet");

    /// See postconf(5), `virtual_alias_recursion_limit`.
    virtual_alias_recursion_limit: Int(min: 1) = "1000", Planned("not built yet");
}
