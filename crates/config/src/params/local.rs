//! local(8): what main.cf can say (postconf(5)).

use crate::param::params;

params! { local, "local(8)";
    /// See postconf(5), `allow_mail_to_commands`.
    allow_mail_to_commands: Text(form: SetOf(&["alias", "forward", "include"])) = "alias, forward", Planned("not built yet");

    /// See postconf(5), `allow_mail_to_files`.
    allow_mail_to_files: Text(form: SetOf(&["alias", "forward", "include"])) = "alias, forward", Planned("not built yet");

    /// See postconf(5), `biff`.
    biff: Bool = "yes", Planned("not built yet");

    /// See postconf(5), `command_execution_directory`.
    command_execution_directory: Raw = "", Planned("not built yet");

    /// See postconf(5), `command_expansion_filter`.
    command_expansion_filter: Text(min: 1, form: Table) = "1234567890!@%-_=+:,./abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", Planned("not built yet");

    /// See postconf(5), `command_time_limit`.
    command_time_limit: Time(min: 1) = "1000s", Planned("not built yet");

    /// See postconf(5), `execution_directory_expansion_filter`.
    execution_directory_expansion_filter: Text(min: 1) = "1234567890!@%-_=+:,./abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", Planned("not built yet");

    /// See postconf(5), `expand_owner_alias`.
    expand_owner_alias: Bool = "no", Planned("not built yet");

    /// See postconf(5), `fallback_transport`.
    fallback_transport: Text(form: Transport) = "", Planned("not built yet");

    /// See postconf(5), `fallback_transport_maps`.
    fallback_transport_maps: Text(form: Tables) = "", Planned("not built yet");

    /// See postconf(5), `forward_expansion_filter`.
    forward_expansion_filter: Text(min: 1) = "1234567890!@%-_=+:,./abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", Planned("not built yet");

    /// See postconf(5), `forward_path`.
    forward_path: Raw = "$home/.forward${recipient_delimiter}${extension}, $home/.forward", Planned("not built yet");

    /// See postconf(5), `frozen_delivered_to`.
    frozen_delivered_to: Bool = "yes", Planned("not built yet");

    /// See postconf(5), `home_mailbox`.
    home_mailbox: Text = "", Planned("not built yet");

    /// See postconf(5), `local_command_shell`.
    local_command_shell: Text = "", Planned("not built yet");

    /// See postconf(5), `local_delivery_status_filter`.
    local_delivery_status_filter: Text(form: Table) = "$default_delivery_status_filter", Planned("not built yet");

    /// See postconf(5), `luser_relay`.
    luser_relay: Raw = "", Planned("not built yet");

    /// See postconf(5), `mail_spool_directory`.
    mail_spool_directory: Text(form: Directory) = "/var/mail", Planned("not built yet");

    /// See postconf(5), `mailbox_command`.
    mailbox_command: Raw = "", Planned("not built yet");

    /// See postconf(5), `mailbox_command_maps`.
    mailbox_command_maps: Text(form: Tables) = "", Planned("not built yet");

    /// See postconf(5), `mailbox_delivery_lock`.
    mailbox_delivery_lock: Text(min: 1, form: SetOf(&["fcntl", "flock", "dotlock"])) = "fcntl, dotlock", Planned("not built yet");

    /// See postconf(5), `mailbox_size_limit`.
    mailbox_size_limit: Long = "51200000", Planned("not built yet");

    /// See postconf(5), `mailbox_transport`.
    mailbox_transport: Text(form: Transport) = "", Planned("not built yet");

    /// See postconf(5), `mailbox_transport_maps`.
    mailbox_transport_maps: Text(form: Tables) = "", Planned("not built yet");

    /// See postconf(5), `prepend_delivered_header`.
    prepend_delivered_header: Text(form: SetOf(&["command", "file", "forward"])) = "command, file, forward", Planned("not built yet");

    /// See postconf(5), `require_home_directory`.
    require_home_directory: Bool = "no", Planned("not built yet");

    /// See postconf(5), `reset_owner_alias`.
    reset_owner_alias: Bool = "no", Planned("not built yet");

    /// See postconf(5), `strict_mailbox_ownership`.
    strict_mailbox_ownership: Bool = "yes", Planned("not built yet");

    /// See postconf(5), `sun_mailtool_compatibility`.
    sun_mailtool_compatibility: Bool = "no", Planned("not built yet");
}
