//! The log: postlogd(8), syslogd(8).

use crate::param::params;

params! { logging, "Log";
    /// How much more is logged for the peers of `debug_peer_list`.
    debug_peer_level: Int(min: 1) = "2", Accepted("each level shows the SMTP dialogue, and there is nothing more to show");

    /// Hosts and networks whose SMTP dialogue is logged, without content and passwords.
    debug_peer_list: Text(form: Patterns) = "", Works;

    /// The command that is run when a service has the option `-D`.
    debugger_command: Text(min: 1) = "", Accepted("a debugger is attached to a process from outside");

    /// How many digits after the point delays have in the log.
    delay_logging_resolution_limit: Int(max: 6) = "2", Works;

    /// Whether likely mistakes are warned about.
    helpful_warnings: Bool = "yes", Works;

    /// Whether addresses in the log have quotes where mail commands need them.
    info_log_address_format: Text(min: 1, form: OneOf(&["external", "internal"])) = "external", Works;

    /// The file, or `/dev/stdout`, for the log instead of syslog.
    maillog_file: Text = "", Works;

    /// The command that compresses a log file which was rotated.
    maillog_file_compressor: Text(min: 1) = "gzip", Works;

    /// The mode of log files.
    maillog_file_permissions: Text(min: 1, form: OneOf(&["600", "640", "644"])) = "0600", Works;

    /// Where `maillog_file` may be.
    maillog_file_prefixes: Text(min: 1, form: List) = "/var, /dev/stdout", Works;

    /// What is appended to a log file's name, as strftime(3) text.
    maillog_file_rotate_suffix: Text(min: 1) = "%Y%m%d-%H%M%S", Works;

    /// Whether the log says allowlist and denylist.
    respectful_logging: NBool = "${{$compatibility_level} <level {3.6} ? {no} : {yes}}", Works;

    /// The syslog facility of the log.
    syslog_facility: Text(min: 1) = "mail", Works;

    /// What stands before the name of the program in the log.
    syslog_name: Text(min: 1) = "${multi_instance_name?{$multi_instance_name}:{postfix}}", Works;
}
