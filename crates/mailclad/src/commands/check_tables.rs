//! What `mailclad check` says of lookup tables and restriction lists: each table that a setting names is opened, each list is read.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use config::param::Form;
use config::{Configuration, Settings, params};
use tables::{Flags, Tables, types};

/// Everything that is wrong, with the place of the setting. It is no reason not to start: what such a table is asked for ends in a
/// temporary error.
pub(super) fn problems(configuration: &Configuration) -> Vec<String> {
    let mut found = Vec::new();
    if let Ok(settings) = configuration.settings("master") {
        for entry in configuration.main().entries() {
            let place = format!("{}, line {}", configuration.main().file(), entry.line);
            found.extend(of_setting(&settings, &entry.name, &entry.value, &place));
        }
    }
    for service in configuration.services() {
        let Ok(settings) = configuration.settings_of(service) else { continue };
        let place = format!("{}, line {}: service {}", service.file, service.line, service.name);
        for (name, value) in &service.overrides {
            found.extend(of_setting(&settings, name, value, &place));
        }
        if service.program == "smtpd" {
            let (tables, said) = listening();
            let wrong = access::inspect(&settings, &tables);
            let wrong = wrong.into_iter().map(|text| advised(&text)).chain(said());
            found.extend(wrong.map(|text| format!("{place}: {text}")));
        }
    }
    // Many services share a list, and one mistake is enough.
    let mut seen = BTreeSet::new();
    found.retain(|text| seen.insert(without_place(text).to_owned()));
    found
}

/// Caches that Postfix keeps in tables, and we in files of our own: nobody makes them, and nobody opens them.
const CACHES: &[&str] = &[
    "address_verify_map",
    "lmtp_tls_session_cache_database",
    "postscreen_cache_map",
    "smtp_sasl_auth_cache_name",
    "smtp_tls_session_cache_database",
    "smtpd_tls_session_cache_database",
];

/// The tables that one setting names.
fn of_setting(settings: &Settings, name: &str, value: &str, place: &str) -> Vec<String> {
    let Some(entry) = params::find(name).filter(|entry| !CACHES.contains(&entry.name)) else {
        return Vec::new();
    };
    let specs = |value: &str| -> Vec<String> {
        config::list::split(value).into_iter().map(|word| word.trim_start_matches('!').to_owned()).collect()
    };
    // What is wrong with an expansion has been said.
    let Ok(value) = settings.expand(value) else { return Vec::new() };
    let wanted = match entry.rule.form {
        Form::Table | Form::Tables => specs(&value),
        Form::Patterns | Form::List => specs(&value)
            .into_iter()
            .filter(|word| word.split_once(':').is_some_and(|(kind, _)| types::find(kind).is_some()))
            .collect(),
        _ => Vec::new(),
    };
    let flags = if name.starts_with("alias_") { Flags::alias() } else { Flags::default() };
    let (tables, said) = listening();
    for spec in &wanted {
        tables.map(spec, flags);
    }
    said().into_iter().map(|text| format!("{place}: {name}: {text}")).collect()
}

/// Tables, and what they have said so far.
fn listening() -> (Tables, impl FnOnce() -> Vec<String>) {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&heard);
    let tables = Tables::new(Arc::new(move |text: &str| {
        let text = text.strip_prefix("error: ").unwrap_or(text);
        sink.lock().unwrap_or_else(PoisonError::into_inner).push(advised(text));
    }));
    (tables, move || std::mem::take(&mut *heard.lock().unwrap_or_else(PoisonError::into_inner)))
}

/// With what helps.
fn advised(text: &str) -> String {
    let advice = if text.contains("unknown smtpd restriction") {
        "look at its spelling; until then whoever comes to it is answered with 451"
    } else if text.contains("unsupported dictionary type") {
        "postconf -m lists the types"
    } else if text.contains("need maptype:mapname") || text.contains("expecting \"type:name\"") {
        "write it as type:name, as in hash:/etc/postfix/table"
    } else if [".db: No such file", ".lmdb: No such file", ".cdb: No such file"]
        .iter()
        .any(|missing| text.contains(missing))
    {
        "make it with postmap (aliases with postalias), or take the table out; until then what it is asked for waits"
    } else if text.contains("No such file or directory") {
        "make the file, or take the table out; until then what it is asked for waits"
    } else {
        return text.to_owned();
    };
    format!("{text}; {advice}")
}

/// A finding without the service that it was found in.
fn without_place(text: &str) -> &str {
    text.split_once(": service ").and_then(|(_, rest)| rest.split_once(": ")).map_or(text, |(_, rest)| rest)
}
