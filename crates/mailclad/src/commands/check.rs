//! `mailclad check`, `mailclad compat`, and what `postfix check` and `postfix start` look at before anything is started.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use config::compat::{self, Finding};
use config::master_cf::ServiceKind;
use config::{Configuration, params};

use super::getopt::Getopt;
use super::{check_tables, config_directory, fatal};
use crate::{host, role};

/// `mailclad check [-c DIR]`: everything that is wrong, unsafe or without effect.
pub fn check(args: &[OsString]) -> ExitCode {
    match directory(args) {
        Ok(directory) => report(&directory),
        Err(why) => fatal("mailclad check", &why, 64),
    }
}

/// `mailclad compat [-c DIR]`: what is set and has no effect here, with the reason.
pub fn compat(args: &[OsString]) -> ExitCode {
    let directory = match directory(args) {
        Ok(directory) => directory,
        Err(why) => return fatal("mailclad compat", &why, 64),
    };
    match Configuration::read(&directory, host::facts()) {
        Ok(configuration) => {
            let findings = findings(&configuration);
            print(&findings);
            if findings.is_empty() {
                println!("every setting of {} has its effect here", directory.display());
            }
            ExitCode::SUCCESS
        }
        Err(why) => fatal("mailclad compat", &why, 1),
    }
}

/// Prints all findings; the status tells whether the system could start.
pub fn report(directory: &Path) -> ExitCode {
    let configuration = match Configuration::read(directory, host::facts()) {
        Ok(configuration) => configuration,
        Err(why) => return fatal("postfix", &why, 1),
    };
    for warning in configuration.warnings() {
        eprintln!("postfix: warning: {warning}");
    }
    print(&findings(&configuration));
    for warning in certificates(&configuration) {
        eprintln!("postfix: warning: {warning}");
    }
    for warning in check_tables::problems(&configuration) {
        eprintln!("postfix: warning: {warning}");
    }
    match errors(&configuration) {
        errors if errors.is_empty() => ExitCode::SUCCESS,
        errors => {
            for error in errors {
                eprintln!("postfix: fatal: {error}");
            }
            ExitCode::FAILURE
        }
    }
}

/// What makes a start pointless: the first of it, ready to be shown.
pub fn fatal_findings(directory: &Path) -> Result<(), String> {
    let configuration = Configuration::read(directory, host::facts())?;
    match errors(&configuration).into_iter().next() {
        None => Ok(()),
        Some(first) => Err(first),
    }
}

fn errors(configuration: &Configuration) -> Vec<String> {
    let settings = match configuration.settings("master") {
        Ok(settings) => settings,
        Err(errors) => return errors.0.iter().map(|error| error.to_string()).collect(),
    };
    let mut found = Vec::new();
    if let Err(why) = role::owner(&settings) {
        found.push(why);
    }
    let queue_directory = settings.get(params::queue_directory);
    if !Path::new(queue_directory).is_absolute() {
        found.push(format!("queue_directory = {queue_directory}: the name must be absolute"));
    }
    for service in configuration.services() {
        match configuration.settings_of(service) {
            Err(errors) => found.extend(errors.0.iter().map(|error| {
                format!("{}, line {}: service {}: {error}", service.file, service.line, service.name)
            })),
            Ok(settings) if service.kind == ServiceKind::Inet && service.program == "smtpd" => {
                if let Err(why) = tls::ServerLevel::of(&settings) {
                    found.push(format!(
                        "{}, line {}: service {}: {why}",
                        service.file, service.line, service.name
                    ));
                }
            }
            Ok(_) => {}
        }
    }
    found
}

/// What the TLS of each service that hears clients would say at its start: a file that is missing, a key of another certificate. It
/// is no reason not to start: such a service answers STARTTLS with 454, and waits for better files.
fn certificates(configuration: &Configuration) -> Vec<String> {
    let mut found = Vec::new();
    for service in configuration.services() {
        if service.kind != ServiceKind::Inet || service.program != "smtpd" {
            continue;
        }
        let Ok(settings) = configuration.settings_of(service) else { continue };
        let Ok((level, _)) = tls::ServerLevel::of(&settings) else { continue };
        if !level.is_on() {
            continue;
        }
        let mut notices = Vec::new();
        let opened = tls::server::Server::new(&settings, level, &service.name, &mut notices);
        let mut said: Vec<String> = notices.into_iter().map(|tls::Notice(text)| text).collect();
        if let Err(tls::server::Unavailable(why)) = opened
            && !said.contains(&why)
        {
            said.push(why);
        }
        let place = format!("{}, line {}: service {}", service.file, service.line, service.name);
        found.extend(said.into_iter().map(|text| format!("{place}: {text}")));
    }
    found
}

fn directory(args: &[OsString]) -> Result<PathBuf, String> {
    let mut directory = None;
    for option in Getopt::new("c:", args) {
        match option {
            Ok((_, value)) => directory = value.map(PathBuf::from),
            Err(error) => return Err(error.to_string()),
        }
    }
    Ok(config_directory(directory))
}

fn findings(configuration: &Configuration) -> Vec<Finding> {
    compat::findings(configuration.main(), configuration.master(), configuration.host())
}

fn print(findings: &[Finding]) {
    for Finding { file, line, parameter, severity, text } in findings {
        println!("{file}, line {line}: {}: {parameter}: {text}", severity.name());
    }
}
