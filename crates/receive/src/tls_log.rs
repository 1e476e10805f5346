//! How much of TLS is logged for one client (postconf(5), smtpd_tls_loglevel_maps): its name, the domains above it, its address, the
//! networks that it is in.

use std::net::IpAddr;

use maillog::Log;
use tables::{Flags, Key, Lookup, Maps, Tables};
use tls::log_level::LogLevels;

/// A level for all, and tables for some.
pub(crate) struct TlsLog {
    parameter: &'static str,
    level: LogLevels,
    maps: Maps,
}

impl TlsLog {
    /// Opens the tables of `parameter`.
    pub(crate) fn open(level: LogLevels, tables: &Tables, parameter: &'static str, value: &str) -> TlsLog {
        TlsLog { parameter, level, maps: Maps::open(tables, parameter, value, Flags::default()) }
    }

    /// The level for a client. A table that can not be asked changes nothing: what is logged is no reason to refuse anybody.
    pub(crate) async fn level_for(&self, name: &str, address: IpAddr, log: &Log) -> LogLevels {
        if self.maps.is_empty() {
            return self.level;
        }
        for (at, key) in keys(name, address).into_iter().enumerate() {
            let kind = if at == 0 { Key::Full } else { Key::Partial };
            match self.maps.find(&key, kind).await {
                Lookup::Absent => {}
                Lookup::Found(value) if value.eq_ignore_ascii_case("DUNNO") => break,
                Lookup::Found(value) => {
                    let mut notices = Vec::new();
                    let levels = LogLevels::parse(self.parameter, &value, &mut notices);
                    for tls::Notice(text) in notices {
                        maillog::warning!(log, "{text}");
                    }
                    return levels;
                }
                Lookup::Failed(why) => {
                    maillog::warning!(log, "{why}");
                    break;
                }
            }
        }
        self.level
    }
}

/// `mail.client.test`, `.client.test`, `.test`, `192.0.2.1`, `192.0.2`, `192.0`, `192`.
fn keys(name: &str, address: IpAddr) -> Vec<String> {
    let name = name.to_lowercase();
    let mut keys = vec![name.clone()];
    keys.extend(name.match_indices('.').map(|(at, _)| name[at..].to_owned()));
    let address = address.to_canonical().to_string();
    let separator = if address.contains(':') { ':' } else { '.' };
    let mut network = address.as_str();
    loop {
        keys.push(network.to_owned());
        match network.rfind(separator) {
            Some(end) if !network[..end].trim_end_matches(separator).is_empty() => {
                network = network[..end].trim_end_matches(separator);
            }
            _ => return keys,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_the_name_to_the_widest_network() {
        for (name, address, expected) in [
            (
                "Mail.client.test",
                "192.0.2.1",
                "mail.client.test .client.test .test 192.0.2.1 192.0.2 192.0 192",
            ),
            ("unknown", "2001:db8::1", "unknown 2001:db8::1 2001:db8 2001"),
        ] {
            assert_eq!(keys(name, address.parse().unwrap()).join(" "), expected);
        }
    }

    #[tokio::test]
    async fn the_first_answer_counts() {
        let log = Log::new(std::sync::Arc::new(maillog::Sink::discard()), "postfix", "smtpd");
        let value = "inline:{quiet.test=0, .test=2, 192.0.2=3, skip.other=dunno, 198.51.100=9}";
        let level = LogLevels::SUMMARY;
        let tls = TlsLog::open(level, &Tables::silent(), "smtpd_tls_loglevel_maps", value);
        for (name, address, expected) in [
            ("quiet.test", "192.0.2.1", LogLevels::default()),
            ("a.test", "192.0.2.1", LogLevels::parse("", "2", &mut Vec::new())),
            ("unknown", "192.0.2.1", LogLevels::parse("", "3", &mut Vec::new())),
            ("unknown", "203.0.113.1", level),
            ("skip.other", "198.51.100.1", level),
        ] {
            let found = tls.level_for(name, address.parse().unwrap(), &log).await;
            assert_eq!(found, expected, "{name} {address}");
        }
    }
}
