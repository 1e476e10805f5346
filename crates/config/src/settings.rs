//! The typed values of one service: main.cf, the `-o` options of the service in master.cf, and the defaults, all
//! expanded and checked once. After that, reading a value can not fail.
//!
//! Texts of [`Kind::Raw`] are not expanded; who uses them says what their names stand for.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use crate::config_error::{ConfigError, ConfigErrors, Origin};
use crate::expand::{self, ExpandError, Scope};
use crate::families;
use crate::host::{self, HostFacts};
use crate::main_cf::MainCf;
use crate::master_cf::Service;
use crate::name_hash::ByName;
use crate::number;
use crate::param::{Default, Entry, HostValue, Kind, Param, ReadAs, Rule, Value};
use crate::params::{self, AREAS};

/// The values of one service. Share it in an [`Arc`].
#[derive(Debug, Clone)]
pub struct Settings {
    sources: Sources,
    /// In the order of the registry: area, entry.
    values: Vec<Box<[Value]>>,
}

impl Settings {
    /// Evaluates and checks every parameter. `overrides` are the `-o` options of the service, in order.
    pub fn load(
        main: &MainCf,
        overrides: &[(String, String)],
        host: &HostFacts,
    ) -> Result<Settings, ConfigErrors> {
        let origin = Origin { file: "master.cf -o".into(), line: 0 };
        Settings::evaluate(Sources::new(main, overrides, &origin, host))
    }

    /// As [`Settings::load`], for a service of master.cf: errors in its options name its line, and
    /// `process_name` and `service_name` are its own.
    pub fn for_service(main: &MainCf, service: &Service, host: &HostFacts) -> Result<Settings, ConfigErrors> {
        let host = HostFacts {
            process_name: service.program.clone(),
            service_name: service.name.clone(),
            ..host.clone()
        };
        let origin = Origin { file: service.file.clone(), line: service.line };
        Settings::evaluate(Sources::new(main, &service.overrides, &origin, &host))
    }

    fn evaluate(sources: Sources) -> Result<Settings, ConfigErrors> {
        let mut errors = Vec::new();
        let mut values = Vec::with_capacity(AREAS.len());
        for area in AREAS {
            let mut evaluated = Vec::with_capacity(area.entries.len());
            for entry in area.entries {
                match sources.evaluate(entry) {
                    Ok(value) => evaluated.push(value),
                    Err(error) => {
                        // Kept in place so that the numbers of the others stay right; never read.
                        evaluated.push(Value { text: Box::default(), number: 0 });
                        errors.push(error);
                    }
                }
            }
            values.push(evaluated.into_boxed_slice());
        }
        errors.extend(sources.check_families());
        if errors.is_empty() { Ok(Settings { sources, values }) } else { Err(ConfigErrors(errors)) }
    }

    /// The value of a parameter.
    pub fn get<K: ReadAs>(&self, param: Param<K>) -> K::Value<'_> {
        K::read(&self.values[param.area as usize][param.index])
    }

    /// The value of an `smtp_...` parameter as the client of this service knows it: the program lmtp reads
    /// `lmtp_...` in its place, where there is one.
    pub fn client<K: ReadAs>(&self, param: Param<K>) -> K::Value<'_> {
        if self.sources.process_name != "lmtp" {
            return self.get(param);
        }
        let mirrored = param.name().strip_prefix("smtp_").and_then(|rest| {
            let name = format!("lmtp_{rest}");
            // HELO and EHLO are LHLO there, in the names of four parameters too.
            params::place(&name)
                .or_else(|| params::place(&name.replace("helo", "lhlo").replace("ehlo", "lhlo")))
        });
        match mirrored {
            Some((area, index)) => K::read(&self.values[area][index]),
            None => self.get(param),
        }
    }

    /// The expanded text of any parameter, also of the administrator's own. `None` when nobody sets it, and it
    /// has no default.
    pub fn text_of(&self, name: &str) -> Option<&str> {
        if let Some((area, index)) = params::place(name) {
            return Some(&self.values[area][index].text);
        }
        self.sources.own_texts.get(name).map(|text| &**text)
    }

    /// Expands a text with the parameters of this service.
    pub fn expand(&self, text: &str) -> Result<String, ExpandError> {
        expand::expand(text, &self.sources)
    }

    /// Whether main.cf or `-o` set the parameter.
    pub fn is_set<K>(&self, param: Param<K>) -> bool {
        self.sources.set.contains_key(param.name())
    }

    /// File and line that set a parameter; `None` when nobody did.
    pub fn origin(&self, name: &str) -> Option<&Origin> {
        self.sources.set.get(name).map(|setting| &setting.origin)
    }

    /// The name of the program that these settings are for: `smtpd`, `lmtp`.
    pub fn process_name(&self) -> &str {
        &self.sources.process_name
    }

    /// The number of a transport's parameter, `for_transport("_destination_concurrency_limit", "smtp")`; that
    /// of the family's default when the transport has none of its own. For a time: seconds.
    pub fn for_transport(&self, suffix: &str, transport: &str) -> i64 {
        self.of_family(suffix, transport).number
    }

    /// As [`Settings::for_transport`], for a family of times: `_time_limit`, `_destination_rate_delay`.
    pub fn time_for_transport(&self, suffix: &str, transport: &str) -> Duration {
        Duration::from_secs(self.for_transport(suffix, transport).unsigned_abs())
    }

    /// As [`Settings::for_transport`], for a family of texts.
    pub fn text_for_transport(&self, suffix: &str, transport: &str) -> String {
        self.of_family(suffix, transport).text.into()
    }

    /// The value of a family for one transport. A suffix that is no family has no value.
    fn of_family(&self, suffix: &str, transport: &str) -> Value {
        let name = format!("{transport}{suffix}");
        if let Some((area, index)) = params::place(&name) {
            return self.values[area][index].clone();
        }
        let nothing = Value { text: Box::default(), number: 0 };
        let Some(family) = families::family_of(suffix) else { return nothing };
        if let Some(setting) = self.sources.set.get(&name)
            && let Ok(value) = self.sources.read(&name, &family.rule, &setting.value)
        {
            return value;
        }
        params::place(family.default).map_or(nothing, |(area, index)| self.values[area][index].clone())
    }
}

/// The defaults that are made of what the host is, for this main.cf.
pub(crate) fn host_defaults(main: &MainCf, host: &HostFacts) -> ByName<&'static str, String> {
    Sources::new(main, &[], &Origin { file: "".into(), line: 0 }, host).computed
}

fn default_is_empty(name: &str) -> bool {
    params::find(name).is_some_and(|entry| entry.default == Default::Text(""))
}

/// What is set, and by whom; and what the host says.
#[derive(Debug, Clone)]
struct Sources {
    set: ByName<String, Setting>,
    computed: ByName<&'static str, String>,
    /// The expanded texts of names that the registry does not know.
    own_texts: ByName<String, Box<str>>,
    process_name: String,
}

#[derive(Debug, Clone)]
struct Setting {
    value: String,
    origin: Origin,
}

impl Scope for Sources {
    fn raw(&self, name: &str) -> Option<Cow<'_, str>> {
        if let Some(setting) = self.set.get(name) {
            return Some(Cow::Borrowed(&setting.value));
        }
        if let Some(value) = self.computed.get(name) {
            return Some(Cow::Borrowed(value));
        }
        match params::find(name) {
            Some(Entry { default: Default::Text(text), .. }) => Some(Cow::Borrowed(text)),
            // Being computed just now: a value that refers to itself is empty.
            Some(_) => None,
            None => families::split(name).map(|(_, family)| Cow::Owned(format!("${}", family.default))),
        }
    }
}

impl Sources {
    fn new(main: &MainCf, overrides: &[(String, String)], origin: &Origin, host: &HostFacts) -> Sources {
        let mut set = ByName::default();
        let file: Arc<str> = main.file().into();
        for entry in main.entries() {
            let origin = Origin { file: file.clone(), line: entry.line };
            set.insert(entry.name.clone(), Setting { value: entry.value.clone(), origin });
        }
        for (name, value) in overrides {
            set.insert(name.clone(), Setting { value: value.clone(), origin: origin.clone() });
        }
        // These say what is; Postfix ignores attempts to set them.
        for name in [params::process_id.name(), params::process_name.name(), params::service_name.name()] {
            set.remove(name);
        }
        let mut sources = Sources {
            set,
            computed: ByName::default(),
            own_texts: ByName::default(),
            process_name: host.process_name.clone(),
        };
        for area in AREAS {
            for entry in area.entries {
                if let Default::Host(value) = entry.default {
                    let text = sources.compute(value, host);
                    sources.computed.insert(entry.name, text);
                }
            }
        }
        sources.own_texts = sources
            .set
            .iter()
            .filter(|(name, _)| params::find(name).is_none())
            .filter_map(|(name, setting)| {
                // A text that can not be expanded is an error only where somebody uses it.
                Some((name.clone(), expand::expand(&setting.value, &sources).ok()?.into()))
            })
            .collect();
        sources
    }

    fn compute(&self, value: HostValue, host: &HostFacts) -> String {
        // What can not be expanded here is found again, and reported, when its own turn comes.
        let text = |name: &str| expand::expand(&format!("${name}"), self).unwrap_or_default();
        match value {
            HostValue::Myhostname => {
                let mydomain = self.set.contains_key("mydomain").then(|| text("mydomain"));
                host.myhostname(mydomain.as_deref())
            }
            HostValue::Mydomain => {
                let myhostname = if self.set.contains_key("myhostname") {
                    text("myhostname")
                } else {
                    host.myhostname(None)
                };
                myhostname.split_once('.').map_or("localdomain", |(_, domain)| domain).to_owned()
            }
            HostValue::Mynetworks => {
                let addresses = host.own_addresses(&text("inet_interfaces"), &text("inet_protocols"));
                host::mynetworks(&text("mynetworks_style"), &addresses)
            }
            HostValue::ProcessId => host.process_id.to_string(),
            HostValue::ProcessName => host.process_name.clone(),
            HostValue::ServiceName => host.service_name.clone(),
            HostValue::EecdhAutoCurves => host::eecdh_auto_curves(host.openssl).to_owned(),
            HostValue::FfdheAutoGroups => host::ffdhe_auto_groups(host.openssl).to_owned(),
        }
    }

    fn evaluate(&self, entry: &'static Entry) -> Result<Value, ConfigError> {
        let raw = self.raw(entry.name).unwrap_or_default();
        self.read(entry.name, &entry.rule, &raw)
    }

    fn read(&self, name: &str, rule: &Rule, raw: &str) -> Result<Value, ConfigError> {
        let wrong = |value: &str, text: String| ConfigError {
            parameter: name.to_owned(),
            value: value.to_owned(),
            text,
            allowed: number::allowed(rule),
            origin: self.set.get(name).map(|setting| setting.origin.clone()),
        };
        let text = if rule.kind == Kind::Raw {
            raw.to_owned()
        } else {
            expand::expand(raw, self).map_err(|error| wrong(raw, format!("parameter {name}: {error}")))?
        };
        match number::read(name, rule, &text) {
            Ok(number) => Ok(Value { text: text.into(), number }),
            // `virtual_mailbox_base` must not be empty, and is by default: whoever needs it complains.
            Err(_) if text.is_empty() && default_is_empty(name) => Ok(Value { text: text.into(), number: 0 }),
            Err(error) => Err(wrong(&text, error)),
        }
    }

    fn check_families(&self) -> Vec<ConfigError> {
        let unknown = self.set.iter().filter(|(name, _)| params::find(name).is_none());
        let mut errors: Vec<_> = unknown
            .filter_map(|(name, setting)| {
                let (_, family) = families::split(name)?;
                self.read(name, &family.rule, &setting.value).err()
            })
            .collect();
        errors.sort_by(|a, b| a.parameter.cmp(&b.parameter));
        errors
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::master_cf::MasterCf;

    fn load(main: &str, overrides: &[(&str, &str)]) -> Result<Settings, ConfigErrors> {
        let main = MainCf::parse("main.cf", main.as_bytes()).expect("well formed");
        let overrides: Vec<_> = overrides.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        let host = HostFacts { hostname: "mx.example.com".to_owned(), ..HostFacts::default() };
        Settings::load(&main, &overrides, &host)
    }

    #[test]
    fn defaults() {
        let settings = load("", &[]).expect("the defaults are allowed");
        assert_eq!(settings.get(params::smtpd_recipient_limit), 1000);
        assert_eq!(settings.get(params::smtpd_timeout), Duration::from_secs(300));
        assert_eq!(settings.get(params::maximal_queue_lifetime), Duration::from_secs(5 * 24 * 3600));
        assert!(settings.get(params::append_dot_mydomain)); // compatibility level 0
        assert!(!settings.get(params::soft_bounce));
        assert_eq!(settings.get(params::message_size_limit), 10_240_000);
        assert_eq!(settings.get(params::myhostname), "mx.example.com");
        assert_eq!(settings.get(params::mydestination), "mx.example.com, localhost.example.com, localhost");
        assert_eq!(settings.get(params::mynetworks), "127.0.0.0/8 [::1]/128");
        assert!(settings.get(params::forward_path).contains("$home")); // raw
        assert!(!settings.is_set(params::myhostname));
        assert_eq!(settings.origin("myhostname"), None);
    }

    #[test]
    fn main_cf_and_options() {
        let main = "# x\nmydomain = example.net\nmyhostname = a.$mydomain\ncompatibility_level = 3.6\nmine = $myhostname";
        let settings =
            load(main, &[("smtpd_timeout", "2m"), ("myhostname", "b.$mydomain"), ("stress", "yes")]);
        let settings = settings.expect("allowed");
        assert_eq!(settings.get(params::myhostname), "b.example.net");
        assert_eq!(settings.get(params::smtpd_timeout), Duration::from_secs(120));
        assert_eq!(settings.get(params::smtpd_hard_error_limit), 1); // under stress
        assert!(!settings.get(params::append_dot_mydomain));
        assert_eq!(settings.text_of("mine"), Some("b.example.net"));
        assert_eq!(settings.text_of("nobody"), None);
        assert_eq!(settings.expand("<${mine}>").as_deref(), Ok("<b.example.net>"));
        assert!(settings.is_set(params::mydomain));
        assert_eq!(settings.origin("mydomain").map(|origin| origin.line), Some(2));
    }

    #[test]
    fn old_names_still_count() {
        let settings = load("virtual_maps = hash:/x\nsmtpd_per_record_deadline = yes", &[]).expect("allowed");
        assert_eq!(settings.get(params::virtual_alias_maps), "hash:/x");
        assert!(settings.get(params::smtpd_per_request_deadline));
    }

    #[test]
    fn transports_have_their_own() {
        let main = "slow_destination_concurrency_limit = 1\ndefault_destination_recipient_limit = 7\n\
                    command_time_limit = 9s\nslow_time_limit = 1h\nslow_destination_rate_delay = 2s";
        let settings = load(main, &[]).expect("allowed");
        for (suffix, transport, expected) in [
            ("_destination_concurrency_limit", "slow", 1),
            ("_destination_concurrency_limit", "smtp", 20),
            ("_destination_concurrency_limit", "local", 2), // has a default of its own
            ("_destination_recipient_limit", "smtp", 7),
            ("_time_limit", "slow", 3600),
            ("_time_limit", "other", 9),
            ("_no_such_family", "smtp", 0),
        ] {
            assert_eq!(settings.for_transport(suffix, transport), expected, "{transport}{suffix}");
        }
        assert_eq!(settings.time_for_transport("_destination_rate_delay", "slow"), Duration::from_secs(2));
        assert_eq!(settings.text_for_transport("_destination_concurrency_positive_feedback", "slow"), "1");
        assert_eq!(settings.expand("$slow_time_limit $fast_time_limit").as_deref(), Ok("1h 9s"));
    }

    #[test]
    fn lmtp_reads_its_own() {
        let main = b"lmtp_connect_timeout = 7s\nlmtp_lhlo_name = x\nlmtp_discard_lhlo_keywords = dsn";
        let main = MainCf::parse("main.cf", main).expect("well formed");
        for (program, seconds, name, keywords) in
            [("smtp", 30, "mx.example.com", ""), ("lmtp", 7, "x", "dsn")]
        {
            let hostname = "mx.example.com".to_owned();
            let host = HostFacts { hostname, process_name: program.to_owned(), ..HostFacts::default() };
            let settings = Settings::load(&main, &[], &host).expect("allowed");
            assert_eq!(settings.client(params::smtp_connect_timeout), Duration::from_secs(seconds));
            assert_eq!(settings.client(params::smtp_helo_name), name);
            assert_eq!(settings.client(params::smtp_discard_ehlo_keywords), keywords);
        }
    }

    #[test]
    fn errors_name_file_line_and_what_is_allowed() {
        for (main, expected) in [
            (
                "\nsoft_bounce = maybe",
                "main.cf, line 2: bad boolean configuration: soft_bounce = maybe (allowed: yes or no)",
            ),
            (
                "smtpd_recipient_limit = 0",
                "main.cf, line 1: invalid smtpd_recipient_limit parameter value 0 < 1 \
                 (allowed: a decimal number, at least 1)",
            ),
            (
                "smtpd_timeout = 5y",
                "main.cf, line 1: parameter smtpd_timeout: bad time value or unit: 5y (allowed: a number with one \
                 of the units s, m, h, d, w; seconds without, at least 1s)",
            ),
            (
                "myhostname =",
                "main.cf, line 1: bad string length (0 < 1): myhostname =  (allowed: a text that is not empty)",
            ),
            (
                "always_bcc = ${a",
                "main.cf, line 1: parameter always_bcc: truncated macro reference: \"${a\" (allowed: a text)",
            ),
            (
                "x_destination_recipient_limit = many",
                "main.cf, line 1: bad numerical configuration: x_destination_recipient_limit = many \
                 (allowed: a decimal number)",
            ),
        ] {
            let errors = load(main, &[]).expect_err(main);
            assert!(errors.0.iter().any(|error| error.to_string() == expected), "{errors}");
        }
        let errors = load("soft_bounce = x\nbiff = y", &[]).expect_err("two mistakes");
        assert_eq!(errors.0.len(), 2);
        assert_eq!(errors.to_string().lines().count(), 2);
    }

    #[test]
    fn values_that_refer_to_themselves() {
        let errors = load("relayhost = $myhostname\nmyhostname = $relayhost", &[]).expect_err("endless");
        assert!(errors.0.iter().any(|error| error.parameter == "relayhost"), "{errors}");
    }

    #[test]
    fn a_service_of_master_cf() {
        let main = MainCf::parse("main.cf", b"").expect("well formed");
        let text =
            b"\n587 inet n - n - - smtpd -o syslog_name=postfix/$service_name/$process_name -o process_name=x\n";
        let master = MasterCf::parse("master.cf", text).expect("well formed");
        let (services, _) = master.services(false).expect("well formed");
        let settings = Settings::for_service(&main, &services[0], &HostFacts::default()).expect("allowed");
        assert_eq!(settings.get(params::syslog_name), "postfix/587/smtpd");
        assert_eq!(settings.origin("syslog_name").map(|origin| origin.line), Some(2));
    }
}
