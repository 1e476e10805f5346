//! Logging: what main.cf can say (postconf(5)).

use crate::param::params;

params! { logging, "Logging";
    /// See postconf(5), `delay_logging_resolution_limit`.
    delay_logging_resolution_limit: Int(max: 6) = "2", Planned("not built yet");

    /// See postconf(5), `info_log_address_format`.
    info_log_address_format: Text(min: 1, form: OneOf(&["external", "internal"])) = "external", Planned("not built yet");

    /// See postconf(5), `maillog_file`.
    maillog_file: Text = "", Planned("not built yet");

    /// See postconf(5), `maillog_file_compressor`.
    maillog_file_compressor: Text(min: 1) = "gzip", Planned("not built yet");

    /// See postconf(5), `maillog_file_permissions`.
    maillog_file_permissions: Text(min: 1, form: OneOf(&["600", "640", "644"])) = "0600", Planned("not built yet");

    /// See postconf(5), `maillog_file_prefixes`.
    maillog_file_prefixes: Text(min: 1, form: List) = "/var, /dev/stdout", Planned("not built yet");

    /// See postconf(5), `maillog_file_rotate_suffix`.
    maillog_file_rotate_suffix: Text(min: 1) = "%Y%m%d-%H%M%S", Planned("not built yet");

    /// See postconf(5), `qmqpd_client_port_logging`.
    qmqpd_client_port_logging: Bool = "no", Planned("not built yet");

    /// See postconf(5), `respectful_logging`.
    respectful_logging: NBool = "${{$compatibility_level} <level {3.6} ? {no} : {yes}}", Planned("not built yet");

    /// See postconf(5), `syslog_facility`.
    syslog_facility: Text(min: 1) = "mail", Planned("not built yet");

    /// See postconf(5), `syslog_name`.
    syslog_name: Text(min: 1) = "${multi_instance_name?{$multi_instance_name}:{postfix}}", Planned("not built yet");
}
