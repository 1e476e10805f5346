//! Which Milters a service has, and how each is talked to (smtpd_milters, non_smtpd_milters, smtpd_milter_maps, milter_*).

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use access::Endpoint;
use config::param::Param;
use config::param::kind::Text;
use config::{Settings, params};
use tables::{Flags, Key, Maps, Tables};

use super::protocol::{Command, Version};

/// What happens when a Milter can not be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DefaultAction {
    Accept,
    Reject,
    TempFail,
    Quarantine,
    Shutdown,
}

/// One Milter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Milter {
    pub(super) endpoint: Endpoint,
    pub(super) connect_time: Duration,
    pub(super) command_time: Duration,
    pub(super) content_time: Duration,
    pub(super) default_action: DefaultAction,
    pub(super) version: Version,
}

/// The Milters of a service.
pub(crate) struct Milters {
    listed: Arc<[Milter]>,
    /// `smtpd_milter_maps`: addresses with Milters of their own.
    maps: Option<Maps>,
    defaults: Defaults,
    pub(super) macros: Arc<MacroLists>,
}

/// The macros that each command is told with, and what they mean where nothing is known.
pub(super) struct MacroLists {
    pub(super) lists: HashMap<Command, Vec<String>>,
    pub(super) defaults: HashMap<String, String>,
    pub(super) hostname: String,
    pub(super) daemon_name: String,
    pub(super) version: String,
}

/// What an entry without settings of its own goes by.
struct Defaults {
    milter: Milter,
    queue_directory: std::path::PathBuf,
}

impl Milters {
    /// Those of an smtpd service; `no_milters` in receive_override_options leaves them out. The error is fatal for the service:
    /// mail that a Milter was to see is not taken without it.
    pub(crate) fn of_smtpd(settings: &Settings, tables: &Tables) -> Result<Milters, String> {
        let mut milters = Milters::open(settings, params::smtpd_milters)?;
        let maps = settings.get(params::smtpd_milter_maps);
        if !maps.is_empty() && milters.defaults_apply(settings) {
            milters.maps = Some(Maps::open(tables, "smtpd_milter_maps", maps, Flags::default()));
        }
        Ok(milters)
    }

    /// Those of mail that does not come through smtpd(8).
    pub(crate) fn of_others(settings: &Settings) -> Result<Milters, String> {
        Milters::open(settings, params::non_smtpd_milters)
    }

    fn defaults_apply(&self, settings: &Settings) -> bool {
        !config::list::split(settings.get(params::receive_override_options)).contains(&"no_milters")
    }

    fn open(settings: &Settings, parameter: Param<Text>) -> Result<Milters, String> {
        let defaults = Defaults::read(settings)?;
        let macros = Arc::new(MacroLists::read(settings)?);
        let mut milters = Milters { listed: Arc::new([]), maps: None, defaults, macros };
        if milters.defaults_apply(settings) {
            let listed = milters.defaults.list(settings.get(parameter));
            milters.listed = listed.map_err(|why| format!("{}: {why}", parameter.name()))?.into();
        }
        Ok(milters)
    }

    /// The Milters for a client. The error is for the log; whoever gets it can not accept mail.
    pub(super) async fn of_client(&self, address: IpAddr) -> Result<Arc<[Milter]>, String> {
        let Some(maps) = &self.maps else { return Ok(Arc::clone(&self.listed)) };
        match maps.find(&address.to_string(), Key::Full).await.into_result()? {
            None => Ok(Arc::clone(&self.listed)),
            Some(text) if text.eq_ignore_ascii_case("DISABLE") => Ok(Arc::new([])),
            Some(text) => {
                let listed = self.defaults.list(&text);
                listed.map(Arc::from).map_err(|why| format!("smtpd_milter_maps: {address}: {why}"))
            }
        }
    }

    /// The Milters for mail without a client.
    pub(super) fn listed(&self) -> Arc<[Milter]> {
        Arc::clone(&self.listed)
    }
}

impl Defaults {
    fn read(settings: &Settings) -> Result<Defaults, String> {
        let (action, version) =
            (settings.get(params::milter_default_action), settings.get(params::milter_protocol));
        Ok(Defaults {
            queue_directory: settings.get(params::queue_directory).into(),
            milter: Milter {
                endpoint: Endpoint::Inet(String::new()),
                connect_time: settings.get(params::milter_connect_timeout),
                command_time: settings.get(params::milter_command_timeout),
                content_time: settings.get(params::milter_content_timeout),
                default_action: DefaultAction::parse(action)
                    .ok_or_else(|| format!("milter_default_action: unknown action \"{action}\""))?,
                version: Version::parse(version).ok_or_else(|| {
                    format!("milter_protocol = {version}: the versions are 2, 3, 4 and 6, perhaps with no_header_reply")
                })?,
            },
        })
    }

    fn list(&self, text: &str) -> Result<Vec<Milter>, String> {
        config::list::split(text).into_iter().map(|entry| self.entry(entry)).collect()
    }

    /// `inet:host:port`, `unix:pathname`, or `{ endpoint, name=value, ... }`.
    fn entry(&self, text: &str) -> Result<Milter, String> {
        let parts = match config::list::braced(text) {
            Some(inside) => config::list::split(inside),
            None => vec![text],
        };
        let (endpoint, settings) = parts.split_first().ok_or_else(|| "an empty entry".to_owned())?;
        let mut milter = Milter { endpoint: self.endpoint(endpoint)?, ..self.milter.clone() };
        for setting in settings {
            let setting = config::list::braced(setting).unwrap_or(setting);
            let (name, value) = setting
                .split_once('=')
                .map(|(name, value)| (name.trim(), value.trim()))
                .ok_or_else(|| format!("\"{setting}\" in \"{text}\" is not name=value"))?;
            let bad = || format!("bad value \"{value}\" of {name} in \"{text}\"");
            match name {
                "connect_timeout" => milter.connect_time = time(value).ok_or_else(bad)?,
                "command_timeout" => milter.command_time = time(value).ok_or_else(bad)?,
                "content_timeout" => milter.content_time = time(value).ok_or_else(bad)?,
                "default_action" => milter.default_action = DefaultAction::parse(value).ok_or_else(bad)?,
                "protocol" => milter.version = Version::parse(value).ok_or_else(bad)?,
                _ => return Err(format!("unknown setting {name} in \"{text}\"")),
            }
        }
        Ok(milter)
    }

    fn endpoint(&self, text: &str) -> Result<Endpoint, String> {
        let text = text.strip_prefix("local:").map_or_else(|| text.to_owned(), |path| format!("unix:{path}"));
        Endpoint::parse(&text, Path::new(&self.queue_directory))
            .ok_or_else(|| format!("\"{text}\" is neither inet:host:port nor unix:pathname"))
    }
}

impl DefaultAction {
    fn parse(text: &str) -> Option<DefaultAction> {
        Some(match text {
            "accept" => DefaultAction::Accept,
            "reject" => DefaultAction::Reject,
            "tempfail" => DefaultAction::TempFail,
            "quarantine" => DefaultAction::Quarantine,
            "shutdown" => DefaultAction::Shutdown,
            _ => return None,
        })
    }
}

/// A number of seconds, or of another unit of postconf(5): `30s`, `5m`.
fn time(text: &str) -> Option<Duration> {
    let (number, unit) = match text.find(|letter: char| !letter.is_ascii_digit()) {
        Some(at) => text.split_at(at),
        None => (text, "s"),
    };
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86400,
        "w" => 604_800,
        _ => return None,
    };
    let time = number.parse::<u32>().ok().filter(|&number| number > 0)?;
    Some(Duration::from_secs(u64::from(time) * seconds))
}

impl MacroLists {
    fn read(settings: &Settings) -> Result<MacroLists, String> {
        let of_command = [
            (Command::Connect, params::milter_connect_macros),
            (Command::Helo, params::milter_helo_macros),
            (Command::Mail, params::milter_mail_macros),
            (Command::Rcpt, params::milter_rcpt_macros),
            (Command::Data, params::milter_data_macros),
            (Command::EndOfHeader, params::milter_end_of_header_macros),
            (Command::EndOfBody, params::milter_end_of_data_macros),
            (Command::Unknown, params::milter_unknown_command_macros),
        ];
        let mut lists: HashMap<Command, Vec<String>> = of_command
            .into_iter()
            .map(|(command, parameter)| (command, names(settings.get(parameter))))
            .collect();
        // Headers and body have no list of their own: Postfix sends that of the end of data.
        let end = lists.get(&Command::EndOfBody).cloned().unwrap_or_default();
        lists.insert(Command::Header, end.clone());
        lists.insert(Command::Body, end);
        let mut defaults = HashMap::new();
        for pair in config::list::split(settings.get(params::milter_macro_defaults)) {
            let pair = match config::list::braced(pair) {
                Some(inside) if inside.contains('=') => inside,
                _ => pair,
            };
            let (name, value) = pair
                .split_once('=')
                .ok_or_else(|| format!("milter_macro_defaults: {pair} is not name=value"))?;
            defaults.insert(canonical(name.trim()), value.trim().to_owned());
        }
        Ok(MacroLists {
            lists,
            defaults,
            hostname: settings.get(params::myhostname).to_owned(),
            daemon_name: settings.get(params::milter_macro_daemon_name).to_owned(),
            version: settings.get(params::milter_macro_v).to_owned(),
        })
    }
}

/// The names of a list: letters as they are, others in braces.
pub(super) fn names(text: &str) -> Vec<String> {
    config::list::split(text).into_iter().map(canonical).collect()
}

fn canonical(name: &str) -> String {
    match name.len() > 1 && !name.starts_with('{') {
        true => format!("{{{name}}}"),
        false => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn defaults() -> Defaults {
        Defaults {
            queue_directory: "/spool".into(),
            milter: Milter {
                endpoint: Endpoint::Inet(String::new()),
                connect_time: Duration::from_secs(30),
                command_time: Duration::from_secs(30),
                content_time: Duration::from_secs(300),
                default_action: DefaultAction::Shutdown,
                version: Version::parse("6").unwrap(),
            },
        }
    }

    #[test]
    fn entries() {
        let listed = defaults()
            .list(
                "inet:localhost:8891, unix:private/filter { local:/run/x, connect_timeout=10s, command_timeout=1m, \
                 content_timeout=7, default_action=accept, {protocol = 2 no_header_reply} }",
            )
            .unwrap();
        let texts: Vec<String> = listed.iter().map(|milter| milter.endpoint.to_string()).collect();
        assert_eq!(texts, ["inet:localhost:8891", "unix:/spool/private/filter", "unix:/run/x"]);
        assert_eq!(listed[0].default_action, DefaultAction::Shutdown);
        let own = &listed[2];
        assert_eq!(
            [own.connect_time, own.command_time, own.content_time].map(|time| time.as_secs()),
            [10, 60, 7]
        );
        assert_eq!(own.default_action, DefaultAction::Accept);
        assert_eq!(own.version, Version::parse("2 no_header_reply").unwrap());
    }

    #[test]
    fn mistakes_are_named() {
        for (text, part) in [
            ("localhost:8891", "neither inet:host:port nor unix:pathname"),
            ("{ inet:x:1, default_action=frob }", "bad value \"frob\" of default_action"),
            ("{ inet:x:1, connect_timeout=0 }", "bad value \"0\""),
            ("{ inet:x:1, colour=red }", "unknown setting colour"),
            ("{ inet:x:1, accept }", "is not name=value"),
            ("{ }", "an empty entry"),
        ] {
            let error = defaults().list(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
