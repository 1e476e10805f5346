//! Files and directories: what main.cf can say (postconf(5)).

use crate::param::params;

params! { paths, "Files and directories";
    /// See postconf(5), `alternate_config_directories`.
    alternate_config_directories: Text(form: List) = "", Planned("not built yet");

    /// See postconf(5), `command_directory`.
    command_directory: Text(min: 1, form: Directory) = "/usr/sbin", Planned("not built yet");

    /// See postconf(5), `config_directory`.
    config_directory: Text(min: 1, form: Directory) = "/etc/postfix", Planned("not built yet");

    /// See postconf(5), `daemon_directory`.
    daemon_directory: Text(min: 1, form: Directory) = "/usr/libexec/postfix", Planned("not built yet");

    /// See postconf(5), `data_directory`.
    data_directory: Text(min: 1, form: Directory) = "/var/lib/postfix", Planned("not built yet");

    /// See postconf(5), `html_directory`.
    html_directory: Text(min: 1, form: Directory) = "no", Planned("not built yet");

    /// See postconf(5), `mailq_path`.
    mailq_path: Text(min: 1) = "/usr/bin/mailq", Planned("not built yet");

    /// See postconf(5), `manpage_directory`.
    manpage_directory: Text(min: 1, form: Directory) = "/usr/local/man", Planned("not built yet");

    /// See postconf(5), `meta_directory`.
    meta_directory: Text(min: 1, form: Directory) = "/etc/postfix", Planned("not built yet");

    /// See postconf(5), `multi_instance_directories`.
    multi_instance_directories: Text(form: List) = "", Planned("not built yet");

    /// See postconf(5), `newaliases_path`.
    newaliases_path: Text(min: 1) = "/usr/bin/newaliases", Planned("not built yet");

    /// See postconf(5), `process_id_directory`.
    process_id_directory: Text(min: 1, form: Directory) = "pid", Planned("not built yet");

    /// See postconf(5), `queue_directory`.
    queue_directory: Text(min: 1, form: Directory) = "/var/spool/postfix", Planned("not built yet");

    /// See postconf(5), `readme_directory`.
    readme_directory: Text(min: 1, form: Directory) = "no", Planned("not built yet");

    /// See postconf(5), `sample_directory`.
    sample_directory: Text(min: 1, form: Directory) = "/etc/postfix", Planned("not built yet");

    /// See postconf(5), `sendmail_path`.
    sendmail_path: Text(min: 1) = "/usr/sbin/sendmail", Planned("not built yet");

    /// See postconf(5), `shlib_directory`.
    shlib_directory: Text(min: 1, form: Directory) = "no", Planned("not built yet");
}
