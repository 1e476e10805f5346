//! Where files and directories are (postconf(5)).

use crate::param::params;

params! { paths, "Files and directories";
    /// Other configuration directories that commands may name with `-c` or MAIL_CONFIG.
    alternate_config_directories: Text(form: List) = "", Accepted("commands work with the rights of their user, whatever directory -c names; none is set-group-id");

    /// Where the administrative commands are.
    command_directory: Text(min: 1, form: Directory) = "/usr/sbin", Accepted("commands find each other: all of them are one program");

    /// Where main.cf and master.cf are.
    config_directory: Text(min: 1, form: Directory) = "/etc/postfix", Works;

    /// Where the daemon programs are.
    daemon_directory: Text(min: 1, form: Directory) = "/usr/libexec/postfix", Accepted("one program does the work of all daemons");

    /// Where daemons keep data that they can write.
    data_directory: Text(min: 1, form: Directory) = "/var/lib/postfix", Works;

    /// Where the manual is in HTML.
    html_directory: Text(min: 1, form: Directory) = "no", Accepted("only installation and manual pages use it");

    /// Where the mailq(1) command is.
    mailq_path: Text(min: 1) = "/usr/bin/mailq", Accepted("only installation and manual pages use it");

    /// Where the manual pages are.
    manpage_directory: Text(min: 1, form: Directory) = "/usr/local/man", Accepted("only installation and manual pages use it");

    /// Where files that several instances share are.
    meta_directory: Text(min: 1, form: Directory) = "/etc/postfix", Accepted("there are no files for packagers to be found there");

    /// Configuration directories of the other instances.
    multi_instance_directories: Text(form: List) = "", Accepted("every instance is started with its own -c DIR; there is no postmulti command");

    /// Where the newaliases(1) command is.
    newaliases_path: Text(min: 1) = "/usr/bin/newaliases", Accepted("only installation and manual pages use it");

    /// Where lock files with process numbers are, relative to the queue directory.
    process_id_directory: Text(min: 1, form: Directory) = "pid", Accepted("the queue is a database, not directories");

    /// Where the queue is; also the directory of jailed daemons.
    queue_directory: Text(min: 1, form: Directory) = "/var/spool/postfix", Works;

    /// Where the README files are.
    readme_directory: Text(min: 1, form: Directory) = "no", Accepted("only installation and manual pages use it");

    /// Where sample configuration files are.
    sample_directory: Text(min: 1, form: Directory) = "/etc/postfix", Accepted("only installation and manual pages use it");

    /// Where the sendmail(1) command is.
    sendmail_path: Text(min: 1) = "/usr/sbin/sendmail", Accepted("only installation and manual pages use it");

    /// Where shared libraries and plug-ins are; `no` for none.
    shlib_directory: Text(min: 1, form: Directory) = "no", Accepted("there are no plug-in libraries");
}
