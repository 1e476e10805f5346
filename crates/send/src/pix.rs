//! What is done for servers behind a Cisco PIX firewall that breaks SMTP (postconf(5), smtp_pix_workarounds).

use std::time::Duration;

use config::{Settings, list, params};
use maillog::Log;
use smtp::client::PixWorkarounds;
use tables::{Flags, Key, Lookup, Maps, Tables};

/// The settings of a service.
pub(crate) struct Pix {
    names: String,
    /// smtp_pix_workaround_maps, by address.
    maps: Maps,
    /// smtp_pix_workaround_threshold_time: a younger message is sent without the pause.
    threshold: Duration,
    /// smtp_pix_workaround_delay_time
    pub(crate) pause: Duration,
}

impl Pix {
    pub(crate) fn open(settings: &Settings, tables: &Tables) -> Pix {
        let maps = settings.client(params::smtp_pix_workaround_maps);
        Pix {
            names: settings.client(params::smtp_pix_workarounds).to_owned(),
            maps: Maps::open(tables, "smtp_pix_workaround_maps", maps, Flags::default()),
            threshold: settings.client(params::smtp_pix_workaround_threshold_time),
            pause: settings.client(params::smtp_pix_workaround_delay_time),
        }
    }

    /// The workarounds for a server, and a message of that age. A table that can not be asked leaves those of the settings.
    pub(crate) async fn for_server(&self, address: &str, age: Duration, log: &Log) -> PixWorkarounds {
        let own = match self.maps.is_empty() {
            true => Lookup::Absent,
            false => self.maps.find(address, Key::Full).await,
        };
        let own = own.into_result().unwrap_or_else(|why| {
            maillog::warning!(log, "{why}");
            None
        });
        read(own.as_deref().unwrap_or(&self.names), age >= self.threshold)
    }
}

fn read(names: &str, is_old: bool) -> PixWorkarounds {
    let words = list::split(names);
    let has = |name: &str| words.iter().any(|word| word.eq_ignore_ascii_case(name));
    PixWorkarounds { disable_esmtp: has("disable_esmtp"), delay_dot: is_old && has("delay_dotcrlf") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_is_for_messages_that_have_failed_before() {
        let both = "disable_esmtp,delay_dotcrlf";
        for (names, is_old, expected) in [
            (both, false, (true, false)),
            (both, true, (true, true)),
            ("delay_dotcrlf", true, (false, true)),
            ("", true, (false, false)),
        ] {
            let found = read(names, is_old);
            assert_eq!((found.disable_esmtp, found.delay_dot), expected, "{names} {is_old}");
        }
    }
}
