//! Delivery to the users of this machine: local(8), aliases(5).

use crate::param::params;

params! { local, "Local delivery";
    /// The alias tables that newaliases(1) builds.
    alias_database: Text(form: Tables) = "$default_database_type:/etc/aliases", Works;

    /// The alias tables that local(8) uses.
    alias_maps: Text(form: Tables) = "$default_database_type:/etc/aliases", Works;

    /// Where `|command` destinations are admitted: alias, forward, include.
    allow_mail_to_commands: Text(form: SetOf(&["alias", "forward", "include"])) = "alias, forward", Works;

    /// Where `/file/name` destinations are admitted: alias, forward, include.
    allow_mail_to_files: Text(form: SetOf(&["alias", "forward", "include"])) = "alias, forward", Works;

    /// Whether local(8) tells the comsat service of new mail.
    biff: Bool = "yes", Works;

    /// The directory in which local(8) runs commands.
    command_execution_directory: Raw = "", Works;

    /// The letters that may come through in `$name` expansions of `mailbox_command`.
    command_expansion_filter: Text(min: 1, form: Table) = "1234567890!@%-_=+:,./abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", Works;

    /// How long a command may take that delivers mail.
    command_time_limit: Time(min: 1) = "1000s", Works;

    /// The user whose rights local(8) takes for commands and files without an owner.
    default_privs: Text(min: 1) = "nobody", Works;

    /// The letters that may come through in `$name` expansions of `command_execution_directory`.
    execution_directory_expansion_filter: Text(min: 1) = "1234567890!@%-_=+:,./abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", Works;

    /// Whether the sender of a list is what `owner-list` is an alias for, instead of its name.
    expand_owner_alias: Bool = "no", Works;

    /// The transport for recipients that are neither aliases nor users.
    fallback_transport: Text(form: Transport) = "", Works;

    /// As `fallback_transport`, for each recipient.
    fallback_transport_maps: Text(form: Tables) = "", Works;

    /// The letters that may come through in `$name` expansions of `forward_path`.
    forward_expansion_filter: Text(min: 1) = "1234567890!@%-_=+:,./abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", Works;

    /// Where local(8) looks for `.forward` files.
    forward_path: Raw = "$home/.forward${recipient_delimiter}${extension}, $home/.forward", Works;

    /// Whether the Delivered-To: address stays the same while aliases and `.forward` are followed.
    frozen_delivered_to: Bool = "yes", Works;

    /// The mailbox of each user, relative to the home directory; with `/` at the end a Maildir.
    home_mailbox: Text = "", Works;

    /// The shell that runs commands of local(8); empty for none unless a command needs it.
    local_command_shell: Text = "", Works;

    /// As `default_delivery_status_filter`, for local(8).
    local_delivery_status_filter: Text(form: Table) = "$default_delivery_status_filter", Works;

    /// Tables of all local recipients; smtpd(8) rejects others. Empty to accept all.
    local_recipient_maps: Text(form: Tables) = "proxy:unix:passwd.byname $alias_maps", Works;

    /// Where mail for unknown local users goes.
    luser_relay: Raw = "", Works;

    /// Where mailboxes are when `home_mailbox` says nothing.
    mail_spool_directory: Text(form: Directory) = "/var/mail", Works;

    /// The command that delivers to local mailboxes.
    mailbox_command: Raw = "", Works;

    /// As `mailbox_command`, for each recipient.
    mailbox_command_maps: Text(form: Tables) = "", Works;

    /// How large a local mailbox file may become, in bytes; 0 for no limit.
    mailbox_size_limit: Long = "51200000", Works;

    /// The transport that delivers to all local mailboxes.
    mailbox_transport: Text(form: Transport) = "", Works;

    /// As `mailbox_transport`, for each recipient.
    mailbox_transport_maps: Text(form: Tables) = "", Works;

    /// Whether `owner-x` and `x-request` are not split at the recipient delimiter.
    owner_request_special: Bool = "yes", Works;

    /// Where local(8) adds a Delivered-To: header: command, file, forward.
    prepend_delivered_header: Text(form: SetOf(&["command", "file", "forward"])) = "command, file, forward", Works;

    /// The letters that separate a user name from its extension.
    recipient_delimiter: Text = "", Works;

    /// Whether local(8) waits until a recipient's home directory exists.
    require_home_directory: Bool = "no", Works;

    /// Whether an alias within a list with owner gets its own owner as sender.
    reset_owner_alias: Bool = "no", Works;

    /// Whether mail waits when a mailbox does not belong to its user.
    strict_mailbox_ownership: Bool = "yes", Works;
}
