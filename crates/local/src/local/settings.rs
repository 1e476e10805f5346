//! The settings of one local(8) service.

use config::param::{Param, kind};
use config::{Settings, params};
use tables::{Flags, Maps, Tables};

use crate::environment;
use crate::lock::Locking;

/// What a service's parameters say. Named as they are.
pub(crate) struct LocalSettings {
    pub(crate) myhostname: String,
    pub(crate) mail_name: String,
    pub(crate) queue_directory: String,
    pub(crate) alias_maps: Maps,
    pub(crate) allow_mail_to_commands: Vec<String>,
    pub(crate) allow_mail_to_files: Vec<String>,
    pub(crate) command_expansion_filter: String,
    pub(crate) forward_expansion_filter: String,
    pub(crate) execution_directory_expansion_filter: String,
    pub(crate) command_execution_directory: String,
    pub(crate) command_time_limit: std::time::Duration,
    pub(crate) default_privs: String,
    pub(crate) expand_owner_alias: bool,
    pub(crate) owner_request_special: bool,
    pub(crate) reset_owner_alias: bool,
    pub(crate) forward_path: String,
    pub(crate) frozen_delivered_to: bool,
    pub(crate) mailbox_transport_maps: Maps,
    pub(crate) mailbox_transport: String,
    pub(crate) mailbox_command_maps: Maps,
    pub(crate) mailbox_command: String,
    pub(crate) home_mailbox: String,
    pub(crate) mail_spool_directory: String,
    pub(crate) fallback_transport_maps: Maps,
    pub(crate) fallback_transport: String,
    pub(crate) luser_relay: String,
    pub(crate) local_command_shell: Option<String>,
    pub(crate) mailbox_size_limit: u64,
    pub(crate) prepend_delivered_header: Vec<String>,
    pub(crate) require_home_directory: bool,
    pub(crate) strict_mailbox_ownership: bool,
    pub(crate) duplicate_filter_limit: usize,
    pub(crate) line_length_limit: usize,
    pub(crate) locking: Locking,
    /// What export_environment gives to commands.
    pub(crate) environment: Vec<(String, String)>,
}

impl LocalSettings {
    /// Reads them; opens the tables that only this agent asks.
    pub(crate) fn read(settings: &Settings, tables: &Tables) -> LocalSettings {
        let text = |param: Param<kind::Text>| settings.get(param).to_owned();
        let words = |param: Param<kind::Text>| {
            config::list::split(settings.get(param)).into_iter().map(str::to_owned).collect()
        };
        // A stranger's text must not become the name of a command or a transport.
        let maps = |name: &str, value: &str| Maps::open(tables, name, value, Flags::without_substitution());
        let number = |value: i64| usize::try_from(value).unwrap_or(usize::MAX);
        let shell = text(params::local_command_shell);
        LocalSettings {
            myhostname: text(params::myhostname),
            mail_name: text(params::mail_name),
            queue_directory: text(params::queue_directory),
            alias_maps: Maps::open(tables, "alias_maps", settings.get(params::alias_maps), Flags::alias()),
            allow_mail_to_commands: words(params::allow_mail_to_commands),
            allow_mail_to_files: words(params::allow_mail_to_files),
            command_expansion_filter: text(params::command_expansion_filter),
            forward_expansion_filter: text(params::forward_expansion_filter),
            execution_directory_expansion_filter: text(params::execution_directory_expansion_filter),
            command_execution_directory: settings.get(params::command_execution_directory).to_owned(),
            command_time_limit: settings.get(params::command_time_limit),
            default_privs: text(params::default_privs),
            expand_owner_alias: settings.get(params::expand_owner_alias),
            owner_request_special: settings.get(params::owner_request_special),
            reset_owner_alias: settings.get(params::reset_owner_alias),
            frozen_delivered_to: settings.get(params::frozen_delivered_to),
            forward_path: settings.get(params::forward_path).to_owned(),
            mailbox_transport_maps: maps(
                "mailbox_transport_maps",
                settings.get(params::mailbox_transport_maps),
            ),
            mailbox_transport: text(params::mailbox_transport),
            mailbox_command_maps: maps("mailbox_command_maps", settings.get(params::mailbox_command_maps)),
            mailbox_command: settings.get(params::mailbox_command).to_owned(),
            home_mailbox: text(params::home_mailbox),
            mail_spool_directory: text(params::mail_spool_directory),
            fallback_transport_maps: maps(
                "fallback_transport_maps",
                settings.get(params::fallback_transport_maps),
            ),
            fallback_transport: text(params::fallback_transport),
            luser_relay: settings.get(params::luser_relay).to_owned(),
            local_command_shell: (!shell.is_empty()).then_some(shell),
            mailbox_size_limit: u64::try_from(settings.get(params::mailbox_size_limit)).unwrap_or(0),
            prepend_delivered_header: words(params::prepend_delivered_header),
            require_home_directory: settings.get(params::require_home_directory),
            strict_mailbox_ownership: settings.get(params::strict_mailbox_ownership),
            duplicate_filter_limit: number(settings.get(params::duplicate_filter_limit)),
            line_length_limit: number(settings.get(params::line_length_limit)),
            locking: Locking::new(settings.get(params::mailbox_delivery_lock), settings),
            environment: environment::of_process(settings.get(params::export_environment)),
        }
    }

    /// Does prepend_delivered_header name this kind of delivery: `command`, `file`, `forward`?
    pub(crate) fn prepends_delivered_to(&self, kind: &str) -> bool {
        self.prepend_delivered_header.iter().any(|word| word == kind)
    }
}
