//! Bounces, delay notices and reports to the postmaster (bounce(5), bounce(8)).

use crate::param::params;

params! { bounce, "Bounces";
    /// Who gets the notices about bounces that can not be delivered.
    _2bounce_notice_recipient as "2bounce_notice_recipient": Text(min: 1) = "postmaster", Works;

    /// Whether bounce log files also have the lines that Postfix 2.0 can read.
    backwards_bounce_logfile_compatibility: Bool = "yes", Accepted("the queue is a database; there are no bounce log files");

    /// Who gets the copies of undeliverable mail notices that `notify_classes` asks for.
    bounce_notice_recipient: Text(min: 1) = "postmaster", Works;

    /// How long a bounce message is tried before it is given up.
    bounce_queue_lifetime: Time(unit: 'd', max: 8640000) = "5d", Works;

    /// How much of the original message is returned with a bounce, in bytes.
    bounce_size_limit: Int(min: 1) = "50000", Works;

    /// A file with the administrator's own texts for bounces.
    bounce_template_file: Text = "", Works;

    /// Whether the sender is told when delayed mail is delivered after all.
    confirm_delay_cleared: Bool = "no", Works;

    /// A table that replaces the status code and text of deliveries.
    default_delivery_status_filter: Text(form: Table) = "", Works;

    /// The two letters that VERP puts into sender addresses.
    default_verp_delimiters: Text(min: 2, max: 2) = "+=", Works;

    /// Who gets the copies of delay notices that `notify_classes` asks for.
    delay_notice_recipient: Text(min: 1) = "postmaster", Works;

    /// After what time the sender is told of a delay; 0 for never.
    delay_warning_time: Time(unit: 'h') = "0h", Works;

    /// Whether mail with VERP senders gets one bounce for all recipients.
    disable_verp_bounces: Bool = "no", Works;

    /// The sender of mail that must never bounce.
    double_bounce_sender: Text(min: 1) = "double-bounce", Works;

    /// Who gets mail that is addressed to nobody.
    empty_address_recipient: Text(min: 1) = "MAILER-DAEMON", Works;

    /// Whether bounces refer to the original message, so that mail programs show them together.
    enable_threaded_bounces: NBool = "no", Works;

    /// Who gets notices of problems that are no fault of a message.
    error_notice_recipient: Text(min: 1) = "postmaster", Works;

    /// Which problems the postmaster is told of.
    notify_classes: Text(form: SetOf(&["bounce", "2bounce", "data", "delay", "policy", "protocol", "resource", "software"])) = "resource, software", Works;

    /// The letters that may be VERP delimiters.
    verp_delimiter_filter: Text(min: 1) = "-=+", Works;
}
