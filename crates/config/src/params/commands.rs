//! Commands: what main.cf can say (postconf(5)).

use crate::param::params;

params! { commands, "Commands";
    /// See postconf(5), `authorized_flush_users`.
    authorized_flush_users: Text(form: List) = "static:anyone", Planned("not built yet");

    /// See postconf(5), `authorized_mailq_users`.
    authorized_mailq_users: Text(form: List) = "static:anyone", Planned("not built yet");

    /// See postconf(5), `authorized_submit_users`.
    authorized_submit_users: Text(form: List) = "static:anyone", Planned("not built yet");

    /// See postconf(5), `fast_flush_domains`.
    fast_flush_domains: Text(form: List) = "$relay_domains", Planned("not built yet");

    /// See postconf(5), `fast_flush_purge_time`.
    fast_flush_purge_time: Time(unit: 'd', min: 1) = "7d", Planned("not built yet");

    /// See postconf(5), `fast_flush_refresh_time`.
    fast_flush_refresh_time: Time(unit: 'h', min: 1) = "12h", Planned("not built yet");

    /// See postconf(5), `multi_instance_enable`.
    multi_instance_enable: Bool = "no", Planned("not built yet");

    /// See postconf(5), `multi_instance_group`.
    multi_instance_group: Text = "", Planned("not built yet");

    /// See postconf(5), `multi_instance_name`.
    multi_instance_name: Text = "", Planned("not built yet");

    /// See postconf(5), `multi_instance_wrapper`.
    multi_instance_wrapper: Text = "", Planned("not built yet");

    /// See postconf(5), `postmulti_control_commands`.
    postmulti_control_commands: Text = "reload flush", Planned("not built yet");

    /// See postconf(5), `postmulti_start_commands`.
    postmulti_start_commands: Text = "start", Planned("not built yet");

    /// See postconf(5), `postmulti_stop_commands`.
    postmulti_stop_commands: Text = "stop abort drain quick-stop", Planned("not built yet");

    /// See postconf(5), `sendmail_fix_line_endings`.
    sendmail_fix_line_endings: Text(min: 1, form: OneOf(&["always", "strict", "never"])) = "always", Planned("not built yet");
}
