//! The tables of the role.

use std::sync::Arc;

use config::Configuration;
use maillog::Log;
use route::Routing;
use tables::Tables;

use super::{service_log, settings_of};
use crate::permission::Permissions;

/// The tables of this role. Opened with the rights of whoever starts it: files of root's alone can not be opened later.
pub struct OpenTables {
    pub(super) rooms: Rooms,
    pub(super) routing: Arc<Routing>,
    pub(super) permissions: Permissions,
}

/// What is open, for a reload.
pub(super) struct Rooms {
    routing: Tables,
    permissions: Tables,
}

impl OpenTables {
    /// Opens them. What can not be opened is logged, and its lookups are temporary errors, or it is the error
    /// (daemon_table_open_error_is_fatal).
    pub fn open(configuration: &Configuration, log: &Log) -> Result<OpenTables, String> {
        OpenTables::again(configuration, log, None)
    }

    /// Opens them after a reload.
    pub(super) fn again(
        configuration: &Configuration,
        log: &Log,
        before: Option<&Rooms>,
    ) -> Result<OpenTables, String> {
        let settings = settings_of(configuration)?;
        let open = |program: &str, before: Option<&Tables>| {
            let log = service_log(log, &settings, program);
            let tables = Tables::new(Arc::new(move |text: &str| log.table_trouble(text))).within(&settings);
            match before {
                Some(before) => tables.after(before),
                None => tables,
            }
        };
        let routing = open("trivial-rewrite", before.map(|before| &before.routing));
        let permissions = open("qmgr", before.map(|before| &before.permissions));
        let opened = OpenTables {
            routing: Arc::new(Routing::new(&settings, &routing, configuration.host())),
            permissions: Permissions::open(&settings, &permissions),
            rooms: Rooms { routing, permissions },
        };
        opened.rooms.routing.must_be_open()?;
        opened.rooms.permissions.must_be_open()?;
        Ok(opened)
    }
}
