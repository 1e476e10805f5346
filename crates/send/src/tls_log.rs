//! How much of TLS is logged for one server (postconf(5), smtp_tls_loglevel_maps): its name, the domains above it, its address, the
//! networks that it is in.

use std::sync::Arc;

use config::{Settings, params};
use maillog::Log;
use tables::{Flags, Key, Lookup, Maps, Tables};
use tls::journal::{Gravity, Journal};
use tls::log_level::LogLevels;

/// A level for all, and tables for some.
pub(crate) struct TlsLog {
    level: LogLevels,
    maps: Maps,
}

impl TlsLog {
    /// Reads the settings. A word that is not understood is told, and means nothing.
    pub(crate) fn open(settings: &Settings, tables: &Tables, log: &Log) -> TlsLog {
        let level = parse(settings.client(params::smtp_tls_loglevel), log);
        let maps = settings.client(params::smtp_tls_loglevel_maps);
        TlsLog { level, maps: Maps::open(tables, "smtp_tls_loglevel_maps", maps, Flags::default()) }
    }

    /// Is each step told, for all servers?
    pub(crate) fn is_verbose(&self) -> bool {
        self.level.contains(LogLevels::VERBOSE)
    }

    /// The journal of a handshake with a server. A table that can not be asked changes nothing: what is logged is no reason to keep
    /// mail back.
    pub(crate) async fn journal(&self, host: &str, address: &str, target: String, log: &Log) -> Journal {
        let levels = self.level_for(host, address, log).await;
        let log = log.clone();
        let write = move |gravity, line: &str| match gravity {
            Gravity::Info => maillog::info!(log, "{line}"),
            Gravity::Warning => maillog::warning!(log, "{line}"),
        };
        Journal::new(target, levels, Arc::new(write))
    }

    async fn level_for(&self, host: &str, address: &str, log: &Log) -> LogLevels {
        if self.maps.is_empty() {
            return self.level;
        }
        for (at, key) in keys(host, address).into_iter().enumerate() {
            let kind = if at == 0 { Key::Full } else { Key::Partial };
            match self.maps.find(&key, kind).await {
                Lookup::Absent => {}
                Lookup::Found(value) if value.eq_ignore_ascii_case("DUNNO") => break,
                Lookup::Found(value) => return parse(&value, log),
                Lookup::Failed(why) => {
                    maillog::warning!(log, "{why}");
                    break;
                }
            }
        }
        self.level
    }
}

fn parse(text: &str, log: &Log) -> LogLevels {
    let mut notices = Vec::new();
    let levels = LogLevels::parse("smtp_tls_loglevel", text, &mut notices);
    for tls::Notice(text) in notices {
        maillog::warning!(log, "{text}");
    }
    levels
}

/// `mx.example.test`, `.example.test`, `.test`, `192.0.2.1`, `192.0.2`, `192.0`, `192`.
fn keys(host: &str, address: &str) -> Vec<String> {
    let host = host.to_ascii_lowercase();
    let mut keys = vec![host.clone()];
    keys.extend(host.match_indices('.').map(|(at, _)| host[at..].to_owned()));
    let separator = if address.contains(':') { ':' } else { '.' };
    let mut network = address;
    loop {
        keys.push(network.to_owned());
        match network.rfind(separator) {
            Some(end) => network = network[..end].trim_end_matches(separator),
            None => return keys,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_before_networks() {
        assert_eq!(
            keys("MX.a.test", "192.0.2.1"),
            ["mx.a.test", ".a.test", ".test", "192.0.2.1", "192.0.2", "192.0", "192"]
        );
        assert_eq!(keys("mx", "2001:db8::1"), ["mx", "2001:db8::1", "2001:db8", "2001"]);
    }
}
