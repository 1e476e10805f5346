//! What of a configuration has no effect here, or probably not the one that was meant: for `mailclad compat` and
//! `mailclad check`. Values that are not allowed are errors of [`crate::Settings::load`], not findings.

use std::sync::Arc;

use crate::expand;
use crate::families;
use crate::host::HostFacts;
use crate::list;
use crate::main_cf::MainCf;
use crate::master_cf::MasterCf;
use crate::param::{Default, Entry, Form, Kind, State};
use crate::params;
use crate::postconf;
use crate::renamed;

/// Something that the administrator should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The file, as it was named.
    pub file: Arc<str>,
    /// The line that sets the parameter, or where the service begins, counted from 1.
    pub line: usize,
    /// The parameter.
    pub parameter: String,
    /// How much it matters.
    pub severity: Severity,
    /// What is the matter, as a sentence without a full stop.
    pub text: String,
}

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing to do: there is no effect, and none is needed.
    Note,
    /// Something that was asked for does not happen, or something that was probably not meant.
    Warning,
    /// The setting is refused.
    Error,
}

impl Severity {
    /// The word in a report.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }
}

/// A setting, and where it stands.
struct Setting<'a> {
    name: &'a str,
    value: &'a str,
    file: Arc<str>,
    line: usize,
    /// The entry of master.cf with this `-o` option; `None` for main.cf.
    service: Option<usize>,
}

/// All findings about a configuration, in the order of files and lines, main.cf first.
pub fn findings(main: &MainCf, master: &MasterCf, host: &HostFacts) -> Vec<Finding> {
    let unused = postconf::unused(main, master, host);
    let is_unused = |setting: &Setting<'_>| {
        unused.iter().any(|(service, name)| *service == setting.service && name == setting.name)
    };
    let (main_file, master_file): (Arc<str>, Arc<str>) = (main.file().into(), master.file().into());
    let overrides: Vec<_> = master.entries().iter().map(|entry| (entry.line, entry.overrides())).collect();
    let of_main = main.entries().iter().map(|entry| Setting {
        name: &entry.name,
        value: &entry.value,
        file: main_file.clone(),
        line: entry.line,
        service: None,
    });
    let of_master = overrides.iter().enumerate().flat_map(|(service, (line, overrides))| {
        overrides.iter().map({
            let file = master_file.clone();
            move |(name, value)| Setting {
                name,
                value,
                file: file.clone(),
                line: *line,
                service: Some(service),
            }
        })
    });
    let mut settings: Vec<_> = of_main.chain(of_master).collect();
    settings.sort_by_key(|setting| (setting.service.is_some(), setting.line));

    let expanded = |setting: &Setting<'_>| {
        let service = setting.service.map(|number| &overrides[number].1);
        let lookup = |name: &str| {
            let of_service = service.and_then(|set| set.iter().rev().find(|(known, _)| known == name));
            let set = of_service.map(|(_, value)| value.clone());
            set.or_else(|| main.get(name).map(|entry| entry.value.clone())).or_else(|| default_text(name))
        };
        expand::expand(setting.value, &lookup).ok()
    };
    let mut found = Vec::new();
    for setting in &settings {
        let mut add = |severity, text| {
            let (file, parameter) = (setting.file.clone(), setting.name.to_owned());
            found.push(Finding { file, line: setting.line, parameter, severity, text });
        };
        let entry = params::find(setting.name);
        if let Some((severity, text)) = state(setting).or_else(|| name(setting, is_unused(setting))) {
            add(severity, text);
        }
        let texts = [
            glued_line(setting.value),
            comment_tail(setting.value),
            entry.and_then(|entry| yes_for_a_path(entry, setting.value)),
            entry.and_then(|entry| unknown_word(entry, &expanded(setting)?)),
        ];
        texts.into_iter().flatten().for_each(|text| add(Severity::Warning, text));
    }
    found
}

fn default_text(name: &str) -> Option<String> {
    match params::find(name)?.default {
        Default::Text(text) => Some(text.to_owned()),
        Default::Host(_) => None,
    }
}

/// Whether setting the parameter has an effect. One that is set to what it is anyhow needs none.
fn state(setting: &Setting<'_>) -> Option<(Severity, String)> {
    let entry = match params::find(setting.name) {
        Some(Entry { default: Default::Text(text), .. }) if *text == setting.value => return None,
        Some(entry) => entry,
        None => families::split(setting.name).and_then(|(_, family)| params::find(family.default))?,
    };
    match entry.state {
        State::Works => None,
        State::Accepted(why) => Some((Severity::Note, format!("has no effect here: {why}"))),
        State::Refused(why) => Some((Severity::Error, format!("is refused: {why}"))),
    }
}

/// Whether the name is old, or unknown.
fn name(setting: &Setting<'_>, unused: bool) -> Option<(Severity, String)> {
    if let Some((_, instead)) = renamed::REMOVED.iter().find(|(name, _)| *name == setting.name) {
        return Some((Severity::Warning, format!("is no longer a parameter; {instead}")));
    }
    if let Some(old) = renamed::deprecated(setting.name) {
        return Some((Severity::Note, format!("will go away; instead, {}", old.instead)));
    }
    if !unused {
        return None;
    }
    let known = params::find(setting.name).is_some() || families::split(setting.name).is_some();
    let text = match nearest(setting.name) {
        _ if known => "belongs to a service that master.cf does not have".to_owned(),
        Some(name) => format!("is not a parameter, and nothing refers to it; did you mean {name}?"),
        None => "is not a parameter, and nothing refers to it".to_owned(),
    };
    Some((Severity::Warning, text))
}

/// The known name that differs least, when few letters differ.
pub fn nearest(name: &str) -> Option<&'static str> {
    let allowed = (name.len() / 6).clamp(1, 3);
    let names = params::all().map(|entry| entry.name);
    let near = names.filter(|known| known.len().abs_diff(name.len()) <= allowed);
    near.map(|known| (distance(name.as_bytes(), known.as_bytes()), known))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, known)| known)
}

/// How many letters must be changed, added, removed or swapped with their neighbour to make one word the other.
fn distance(a: &[u8], b: &[u8]) -> usize {
    let mut rows = [Vec::new(), Vec::new(), (0..=b.len()).collect::<Vec<_>>()];
    for (i, letter) in a.iter().enumerate() {
        rows.rotate_left(1);
        let [before, above, row] = &mut rows;
        row.clear();
        row.push(i + 1);
        for (j, other) in b.iter().enumerate() {
            let mut least = (above[j] + usize::from(letter != other)).min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *letter == b[j - 1] && a[i - 1] == *other {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
    }
    rows[2].last().copied().unwrap_or(a.len())
}

/// A value that contains `name = ` of another parameter: most likely a line that should not begin with blanks.
fn glued_line(value: &str) -> Option<String> {
    let items: Vec<_> = list::split_words(value).into_iter().collect();
    let glued = items.iter().enumerate().skip(1).find_map(|(at, item)| {
        let name = match item.split_once('=') {
            Some((name, _)) => name,
            None if items.get(at + 1).is_some_and(|next| next.starts_with('=')) => item,
            None => return None,
        };
        params::find(name).map(|entry| entry.name)
    })?;
    Some(format!(
        "has \"{glued} =\" within its value: a line that begins with blanks continues the one before it"
    ))
}

/// `#` after a blank: no comment in main.cf.
fn comment_tail(value: &str) -> Option<String> {
    let tail = list::split_words(value).into_iter().skip(1).find(|item| item.starts_with('#'));
    tail.map(|_| "has a # within its value: a comment needs a line of its own".to_owned())
}

/// `yes` or `no` where a file or a table is expected.
fn yes_for_a_path(entry: &Entry, value: &str) -> Option<String> {
    let path =
        matches!(entry.rule.form, Form::File | Form::Files | Form::Directory | Form::Table | Form::Tables);
    let boolean = ["yes", "no"].iter().any(|word| value.eq_ignore_ascii_case(word));
    // Some directories may be `no`, and say so by default.
    (path && boolean && entry.default != Default::Text("no")).then(|| {
        let what = if matches!(entry.rule.form, Form::Table | Form::Tables) { "a table" } else { "a path" };
        format!("is {what}, not yes or no")
    })
}

/// A word that the parameter does not know.
fn unknown_word(entry: &Entry, value: &str) -> Option<String> {
    if !matches!(entry.rule.kind, Kind::Text | Kind::Raw) {
        return None;
    }
    let same = |word: &str, known: &&str| {
        let bare = |text: &str| text.trim_start_matches('0').to_ascii_lowercase();
        bare(word) == bare(known)
    };
    match entry.rule.form {
        Form::OneOf(known) if !known.iter().any(|known| same(value, known)) => {
            Some(format!("knows no \"{value}\", only: {}", known.join(" ").trim_start()))
        }
        Form::SetOf(known) => {
            let wrong = list::split_plain(value)
                .into_iter()
                .find(|word| !word.starts_with("0x") && !known.iter().any(|known| same(word, known)))?;
            Some(format!("knows no \"{wrong}\", only: {}", known.join(" ")))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(main: &str, master: &str) -> Vec<(usize, String, Severity, String)> {
        let main = MainCf::parse("main.cf", main.as_bytes()).expect("well formed");
        let master = MasterCf::parse("master.cf", master.as_bytes()).expect("well formed");
        let findings = findings(&main, &master, &HostFacts::default());
        findings.into_iter().map(|f| (f.line, f.parameter, f.severity, f.text)).collect()
    }

    #[test]
    fn each_kind_of_finding() {
        use Severity::*;
        for (line, severity, text) in [
            (
                "tls_random_source = dev:/dev/random",
                Note,
                "has no effect here: OpenSSL seeds its random numbers from the kernel",
            ),
            (
                "smtp_tls_received_header = yes",
                Warning,
                "is not a parameter, and nothing refers to it; did you mean smtpd_tls_received_header?",
            ),
            ("smtpd_recieve_override = yes", Warning, "is not a parameter, and nothing refers to it"),
            (
                "slow_destination_rate_delay = 1s",
                Warning,
                "belongs to a service that master.cf does not have",
            ),
            (
                "smtp_tls_cipherlist = x",
                Warning,
                "is no longer a parameter; use smtp_tls_mandatory_ciphers, smtp_tls_ciphers and smtp_tls_exclude_ciphers",
            ),
            ("virtual_maps = hash:/x", Note, "will go away; instead, specify \"virtual_alias_maps\""),
            (
                "relayhost = x\n  mydestination = y",
                Warning,
                "has \"mydestination =\" within its value: a line that begins with blanks continues the one before it",
            ),
            ("relayhost = x # y", Warning, "has a # within its value: a comment needs a line of its own"),
            ("smtpd_tls_cert_file = yes", Warning, "is a path, not yes or no"),
            ("alias_maps = no", Warning, "is a table, not yes or no"),
            ("smtpd_tls_security_level = on", Warning, "knows no \"on\", only: none may encrypt"),
            ("inet_protocols = ipv4, ipv5", Warning, "knows no \"ipv5\", only: ipv4 ipv6 all"),
        ] {
            let name = line.split(' ').next().expect("a name").to_owned();
            assert_eq!(found(line, ""), [(1, name, severity, text.to_owned())], "{line}");
        }
    }

    #[test]
    fn nothing_to_find() {
        for line in [
            "tls_random_source = dev:/dev/urandom", // set to its default
            "html_directory = no",                  // may be no
            "smtpd_tls_security_level = ${x?{may}:{}}",
            "maillog_file_permissions = 0644",
            "a = 1\nrelayhost = $a", // a name of the administrator's own
            "mynetworks = inline:{ relayhost = x }", // braces protect
            "smtpd_restriction_classes = a\na = permit",
        ] {
            assert_eq!(found(line, ""), [], "{line}");
        }
    }

    #[test]
    fn options_of_services_count_too() {
        let master =
            "# x\nsmtp inet n - n - - smtpd\n  -o smtpd_tls_cert_file=no -o local=1 -o smtpd_banner=$local\n";
        let expected =
            (2, "smtpd_tls_cert_file".to_owned(), Severity::Warning, "is a path, not yes or no".to_owned());
        assert_eq!(found("", master), [expected]);
    }

    #[test]
    fn distances() {
        for (a, b, expected) in
            [("", "abc", 3), ("abc", "abc", 0), ("abc", "acb", 1), ("abc", "xbcd", 2), ("a", "", 1)]
        {
            assert_eq!(distance(a.as_bytes(), b.as_bytes()), expected, "{a} {b}");
        }
    }
}
