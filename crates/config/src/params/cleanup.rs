//! What happens to a message before it is queued: cleanup(8), canonical(5), virtual(5), header_checks(5).

use crate::param::params;

params! { cleanup, "Cleanup";
    /// Whether missing From:, To:, Date: and Message-ID: headers are added to all mail, not only local.
    always_add_missing_headers: Bool = "no", Works;

    /// An address that gets a copy of every message that is received.
    always_bcc: Text = "", Works;

    /// Tables that look at each line of a message body.
    body_checks: Text(form: Tables) = "", Works;

    /// How much of each body segment the body checks see, in bytes.
    body_checks_size_limit: Int = "51200", Works;

    /// Which addresses canonical_maps rewrites.
    canonical_classes: Text(min: 1, form: SetOf(&["envelope_sender", "envelope_recipient", "header_sender", "header_recipient"])) = "envelope_sender, envelope_recipient, header_sender, header_recipient", Works;

    /// Tables that rewrite addresses in envelope and headers.
    canonical_maps: Text(form: Tables) = "", Works;

    /// Whether carriage returns and line feeds that end no line become blanks.
    cleanup_replace_stray_cr_lf: Bool = "yes", Works;

    /// The `transport:destination` of a filter through which all mail goes after it was queued.
    content_filter: Text = "", Works;

    /// Whether Content-Transfer-Encoding: headers tell that a body has eight bits.
    detect_8bit_encoding_header: Bool = "yes", Works;

    /// Whether MIME structure is left alone when mail is received.
    disable_mime_input_processing: Bool = "no", Works;

    /// Whether 8-bit mail is sent as it is to servers that did not offer 8BITMIME.
    disable_mime_output_conversion: Bool = "no", Works;

    /// How many recipient addresses are remembered to find duplicates.
    duplicate_filter_limit: Int = "1000", Works;

    /// Whether the address before rewriting is recorded as original recipient.
    enable_original_recipient: Bool = "yes", Works;

    /// Whether 8-bit mail is converted to 7 bits when it is received.
    force_mime_input_conversion: Bool = "no", Works;

    /// The character set of a sender's full name that is not ASCII.
    full_name_encoding_charset: Text(min: 1) = "utf-8", Works;

    /// How many address parts of one header are parsed.
    header_address_token_limit: Int(min: 1) = "10240", Works;

    /// Tables that look at each header of a message.
    header_checks: Text(form: Tables) = "", Works;

    /// How a From: header that Postfix makes shows the full name.
    header_from_format: Text(min: 1, form: OneOf(&["standard", "obsolete"])) = "standard", Works;

    /// How much of one header is kept, in bytes.
    header_size_limit: Int(min: 1) = "102400", Works;

    /// How many Received: headers a message may have before it counts as looping.
    hopcount_limit: Int(min: 1) = "50", Works;

    /// Which mail that Postfix makes itself goes through content inspection.
    internal_mail_filter_classes: Text(form: SetOf(&["notify", "bounce"])) = "", Works;

    /// Clients whose headers are rewritten as local ones are.
    local_header_rewrite_clients: Text(form: List) = "permit_inet_interfaces", Works;

    /// Which addresses are masqueraded.
    masquerade_classes: Text(form: SetOf(&["envelope_sender", "envelope_recipient", "header_sender", "header_recipient"])) = "envelope_sender, header_sender, header_recipient", Works;

    /// Domains whose subdomains are cut off.
    masquerade_domains: Text(form: List) = "", Works;

    /// User names whose addresses are not masqueraded.
    masquerade_exceptions: Text(form: List) = "", Works;

    /// Headers that are removed from received mail.
    message_drop_headers: Text(form: List) = "bcc, content-length, resent-bcc, return-path", Works;

    /// Characters that make mail be refused.
    message_reject_characters: Text = "", Works;

    /// Characters that are removed from mail.
    message_strip_characters: Text = "", Works;

    /// How many letters of a MIME boundary count.
    mime_boundary_length_limit: Int(min: 1) = "2048", Works;

    /// Header checks for headers of MIME parts; by default `header_checks`.
    mime_header_checks: Text(form: Tables) = "$header_checks", Works;

    /// How deep MIME parts may nest.
    mime_nesting_limit: Int(min: 1) = "100", Works;

    /// Header checks for headers of attached messages; by default `header_checks`.
    nested_header_checks: Text(form: Tables) = "$header_checks", Works;

    /// What happens to text after the headers that is no header and no empty line.
    non_empty_end_of_header_action: Text(min: 1, form: OneOf(&["fix_quietly", "add_header", "reject"])) = "fix_quietly", Works;

    /// Which tables copy an address extension from the key to the result.
    propagate_unmatched_extensions: Text(form: SetOf(&["canonical", "virtual", "alias", "forward", "include", "generic"])) = "canonical, virtual", Works;

    /// How many attributes a message may have.
    queue_file_attribute_count_limit: Int(min: 1) = "100", Accepted("the queue is a database; attributes are columns");

    /// Which steps of receiving mail are left out.
    receive_override_options: Text(form: SetOf(&["no_unknown_recipient_checks", "no_address_mappings", "no_header_body_checks", "no_milters"])) = "", Works;

    /// Tables with an address that gets a copy of each recipient's mail.
    recipient_bcc_maps: Text(form: Tables) = "", Works;

    /// Which recipient addresses `recipient_canonical_maps` rewrites.
    recipient_canonical_classes: Text(min: 1, form: SetOf(&["envelope_recipient", "header_recipient"])) = "envelope_recipient, header_recipient", Works;

    /// As `canonical_maps`, for recipient addresses.
    recipient_canonical_maps: Text(form: Tables) = "", Works;

    /// The domain that completes addresses in headers of remote mail; empty leaves these alone.
    remote_header_rewrite_domain: Text = "", Works;

    /// Tables with an address that gets a copy of each sender's mail.
    sender_bcc_maps: Text(form: Tables) = "", Works;

    /// Which sender addresses `sender_canonical_maps` rewrites.
    sender_canonical_classes: Text(min: 1, form: SetOf(&["envelope_sender", "header_sender"])) = "envelope_sender, header_sender", Works;

    /// As `canonical_maps`, for sender addresses.
    sender_canonical_maps: Text(form: Tables) = "", Works;

    /// Which mail is looked through for addresses that need SMTPUTF8.
    smtputf8_autodetect_classes: Text(min: 1, form: SetOf(&["sendmail", "smtpd", "qmqpd", "forward", "bounce", "notify", "verify", "all"])) = "sendmail, verify", Works;

    /// Whether headers with 8-bit text are refused.
    strict_7bit_headers: Bool = "no", Works;

    /// Whether both of the 8-bit checks are on.
    strict_8bitmime: Bool = "no", Works;

    /// Whether 8-bit bodies without matching MIME headers are refused.
    strict_8bitmime_body: Bool = "no", Works;

    /// Whether wrong encodings of MIME multipart and message types are refused.
    strict_mime_encoding_domain: Bool = "no", Works;

    /// The header that stands for To: when a message has none; empty for none.
    undisclosed_recipients_header: Text = "", Works;

    /// How long an address may become in virtual alias expansion.
    virtual_alias_address_length_limit: Int(min: 1) = "1000", Works;

    /// How many addresses one recipient may become.
    virtual_alias_expansion_limit: Int(min: 1) = "1000", Works;

    /// Tables that replace recipients of any domain by others.
    virtual_alias_maps: Text(form: Tables) = "$virtual_maps", Works;

    /// How many times in a row virtual aliases are followed.
    virtual_alias_recursion_limit: Int(min: 1) = "1000", Works;
}
