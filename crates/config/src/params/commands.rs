//! Commands, and who may use them: sendmail(1), postqueue(1), postmulti(1), flush(8).

use crate::param::params;

params! { commands, "Commands";
    /// Who may flush the queue.
    authorized_flush_users: Text(form: List) = "static:anyone", Works;

    /// Who may see the queue.
    authorized_mailq_users: Text(form: List) = "static:anyone", Works;

    /// Who may submit mail with sendmail(1).
    authorized_submit_users: Text(form: List) = "static:anyone", Works;

    /// Domains whose waiting mail ETRN can ask for.
    fast_flush_domains: Text(form: List) = "$relay_domains", Works;

    /// After what time an empty record of a domain's waiting mail is removed.
    fast_flush_purge_time: Time(unit: 'd', min: 1) = "7d", Accepted("the queue itself is asked which mail is for a domain; there are no lists to keep up to date");

    /// After what time an unused record is brought up to date.
    fast_flush_refresh_time: Time(unit: 'h', min: 1) = "12h", Accepted("the queue itself is asked which mail is for a domain; there are no lists to keep up to date");

    /// Whether postmulti(1) starts this instance.
    multi_instance_enable: Bool = "no", Accepted("every instance is started with its own -c DIR; there is no postmulti command");

    /// The group of instances that this one belongs to.
    multi_instance_group: Text = "", Accepted("every instance is started with its own -c DIR; there is no postmulti command");

    /// The name of this instance.
    multi_instance_name: Text = "", Accepted("every instance is started with its own -c DIR; there is no postmulti command");

    /// The command that postfix(1) leaves its work to when there are more instances.
    multi_instance_wrapper: Text = "", Accepted("every instance is started with its own -c DIR; there is no postmulti command");

    /// Commands of postmulti(1) for each enabled instance.
    postmulti_control_commands: Text = "reload flush", Accepted("every instance is started with its own -c DIR; there is no postmulti command");

    /// Commands of postmulti(1) that start instances.
    postmulti_start_commands: Text = "start", Accepted("every instance is started with its own -c DIR; there is no postmulti command");

    /// Commands of postmulti(1) that stop instances.
    postmulti_stop_commands: Text = "stop abort drain quick-stop", Accepted("every instance is started with its own -c DIR; there is no postmulti command");

    /// Whether sendmail(1) takes CRLF for a line end.
    sendmail_fix_line_endings: Text(min: 1, form: OneOf(&["always", "strict", "never"])) = "always", Works;

    /// The group of the commands that submit mail and control the queue.
    setgid_group: Text(min: 1) = "postdrop", Accepted("no command is set-group-id: messages are submitted through a socket");
}
