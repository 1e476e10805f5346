//! `mailclad audit [-c DIR] [-l LOGFILE]`: what the transport security of a configuration comes to, service by service, and what in it is
//! unsafe, without effect, or not what it looks like.
//!
//! - `server.rs`, `client.rs`: the rules for the two sides, one function each.
//! - `chain.rs`: certificate files. `bundle.rs`: where this system keeps the public authorities.
//! - `replay.rs`: what a log of the last days says about the settings of today.

mod bundle;
mod chain;
mod client;
mod replay;
mod server;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use config::master_cf::{Service, ServiceKind};
use config::{Configuration, Settings};

use super::getopt::Getopt;
use super::{config_directory, fatal};
use crate::host;

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Weight {
    /// So it is.
    Fact,
    /// Something to think about.
    Hint,
    /// Probably not what was meant, or unsafe.
    Warning,
}

/// What is said about one service.
#[derive(Default)]
struct Lines(Vec<(Weight, String)>);

impl Lines {
    fn fact(&mut self, text: impl Into<String>) {
        self.0.push((Weight::Fact, text.into()));
    }

    fn hint(&mut self, text: impl Into<String>) {
        self.0.push((Weight::Hint, text.into()));
    }

    fn warn(&mut self, text: impl Into<String>) {
        self.0.push((Weight::Warning, text.into()));
    }

    fn print(&self) {
        for (weight, text) in &self.0 {
            let word = match weight {
                Weight::Fact => "",
                Weight::Hint => "hint: ",
                Weight::Warning => "warning: ",
            };
            println!("  {word}{text}");
        }
    }
}

/// One service with its settings.
struct View<'a> {
    service: &'a Service,
    settings: Settings,
    configuration: &'a Configuration,
}

impl View<'_> {
    /// Is the parameter set, in main.cf or for this service?
    fn is_set(&self, name: &str) -> bool {
        self.settings.origin(name).is_some()
    }

    fn text(&self, name: &str) -> String {
        self.settings.text_of(name).unwrap_or_default().to_owned()
    }
}

/// Runs it. The status is 0 when there is no warning.
pub fn run(args: &[OsString]) -> ExitCode {
    let (mut directory, mut log) = (None, None);
    for option in Getopt::new("c:l:", args) {
        match option {
            Ok(('c', value)) => directory = value.map(PathBuf::from),
            Ok((_, value)) => log = value.map(PathBuf::from),
            Err(error) => return fatal("mailclad audit", &error.to_string(), 64),
        }
    }
    let configuration = match Configuration::read(&config_directory(directory), host::facts()) {
        Ok(configuration) => configuration,
        Err(why) => return fatal("mailclad audit", &why, 1),
    };
    let log = match log.map(|path| replay::Log::read(&path)).transpose() {
        Ok(log) => log,
        Err(why) => return fatal("mailclad audit", &why, 1),
    };
    let mut warned = false;
    for service in configuration.services() {
        let rules: fn(&View<'_>, Option<&replay::Log>, &mut Lines) = match service.program.as_str() {
            "smtpd" if matches!(service.kind, ServiceKind::Inet | ServiceKind::Pass) => server::rules,
            "smtp" | "lmtp" if service.kind == ServiceKind::Unix => client::rules,
            _ => continue,
        };
        println!("{}, line {}: {} {}", service.file, service.line, service.name, service.program);
        let mut lines = Lines::default();
        match configuration.settings_of(service) {
            Ok(settings) => {
                rules(&View { service, settings, configuration: &configuration }, log.as_ref(), &mut lines);
            }
            Err(errors) => errors.0.iter().for_each(|error| lines.warn(error.to_string())),
        }
        lines.print();
        warned |= lines.0.iter().any(|(weight, _)| *weight == Weight::Warning);
    }
    if warned { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
