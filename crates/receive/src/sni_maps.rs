//! The tables of `tls_server_sni_maps`: which certificates a client gets that asks for a name.

use config::{Settings, params};
use tables::{Flags, Key, Maps, Tables};
use tls::files::Files;
use tls::server::{Looking, Names, files_of};

/// The tables, open.
pub(crate) struct SniMaps(Maps);

impl SniMaps {
    /// Opens the tables, if there are any. Files that they name are read now, since this process may not be able to later.
    pub(crate) fn open(settings: &Settings, tables: &Tables, files: &Files) -> Option<Box<dyn Names>> {
        let maps = Maps::open(
            tables,
            "tls_server_sni_maps",
            settings.get(params::tls_server_sni_maps),
            Flags::without_substitution(),
        );
        if maps.is_empty() {
            return None;
        }
        // A table that can not list itself, or not be read, says so when it is asked.
        for (_, value) in maps.iter().filter_map(|map| map.entries()?.ok()).flatten() {
            for file in files_of(&value) {
                files.remember(&file);
            }
        }
        Some(Box::new(SniMaps(maps)))
    }
}

impl Names for SniMaps {
    fn find<'a>(&'a self, key: &'a str) -> Looking<'a> {
        Box::pin(async move { self.0.find(key, Key::Full).await.into_result() })
    }
}
