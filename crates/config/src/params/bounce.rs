//! bounce(8), defer(8), trace(8): what main.cf can say (postconf(5)).

use crate::param::params;

params! { bounce, "bounce(8), defer(8), trace(8)";
    /// See postconf(5), `2bounce_notice_recipient`.
    _2bounce_notice_recipient as "2bounce_notice_recipient": Text(min: 1) = "postmaster", Planned("not built yet");

    /// See postconf(5), `bounce_size_limit`.
    bounce_size_limit: Int(min: 1) = "50000", Planned("not built yet");

    /// See postconf(5), `bounce_template_file`.
    bounce_template_file: Text = "", Planned("not built yet");

    /// See postconf(5), `delay_notice_recipient`.
    delay_notice_recipient: Text(min: 1) = "postmaster", Planned("not built yet");

    /// See postconf(5), `enable_threaded_bounces`.
    enable_threaded_bounces: NBool = "no", Planned("not built yet");
}
