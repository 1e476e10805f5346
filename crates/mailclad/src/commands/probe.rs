//! `mailclad probe [-c DIR] [-w] HOST[:PORT] ...`: is a mail server's TLS on, and what is it worth? One line for each.
//!
//! Asks like a sender that verifies (smtp(8) at level secure for that host name), with the authorities of `smtp_tls_CAfile` and of the
//! system, and sends no mail. Port 465 is spoken to in wrapper mode, as any port is with `-w`. The status is 0 when every server has
//! TLS, whether or not its certificate is trusted. posttls-finger tells more.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use config::main_cf::MainCf;
use config::{Configuration, HostFacts, Settings};
use dns::Resolver;
use send::finger::{Finger, Wanted};

use super::getopt::Getopt;
use super::{config_directory, fatal};
use crate::host;

/// Seconds that each step with a server may take.
const PATIENCE: &str = "20s";

/// Runs it.
pub fn run(args: &[OsString]) -> ExitCode {
    let (mut directory, mut wrapper) = (None, false);
    let mut options = Getopt::new("c:w", args);
    for option in options.by_ref() {
        match option {
            Ok(('c', value)) => directory = value.map(PathBuf::from),
            Ok(_) => wrapper = true,
            Err(error) => return fatal("mailclad probe", &error.to_string(), 64),
        }
    }
    let targets: Vec<String> =
        options.operands().iter().map(|word| word.to_string_lossy().into_owned()).collect();
    if targets.is_empty() {
        return fatal("mailclad probe", "usage: mailclad probe [-c DIR] [-w] HOST[:PORT] ...", 64);
    }
    let main = match main_cf(directory) {
        Ok(main) => main,
        Err(why) => return fatal("mailclad probe", &why, 1),
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fatal("mailclad probe", &error.to_string(), 75),
    };
    let mut all_secured = true;
    for target in targets {
        let verdict = match runtime.block_on(probe(&main, &target, wrapper)) {
            Ok(text) => text,
            Err(why) => {
                all_secured = false;
                why
            }
        };
        println!("{target}: {verdict}");
    }
    if all_secured { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Without a main.cf, the defaults.
fn main_cf(directory: Option<PathBuf>) -> Result<MainCf, String> {
    let given = directory.is_some();
    match Configuration::read(&config_directory(directory), host::facts()) {
        Ok(configuration) => Ok(configuration.main().clone()),
        Err(why) if given => Err(why),
        Err(_) => {
            MainCf::parse("main.cf", b"compatibility_level = 3.12\n").map_err(|error| error.to_string())
        }
    }
}

/// Those of the smtp client at level secure, with the system's authorities besides its own.
fn settings(main: &MainCf, wrapper: bool) -> Result<Settings, String> {
    let wanted = [
        ("tls_append_default_CA", "yes"),
        ("smtp_host_lookup", "native dns"),
        ("smtp_tls_security_level", "secure"),
        ("smtp_tls_secure_cert_match", "hostname"),
        ("smtp_tls_policy_maps", ""),
        ("smtp_tls_wrappermode", if wrapper { "yes" } else { "no" }),
        ("smtp_connect_timeout", PATIENCE),
        ("smtp_helo_timeout", PATIENCE),
        ("smtp_starttls_timeout", PATIENCE),
        ("smtp_quit_timeout", PATIENCE),
    ];
    let wanted = wanted.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let facts = HostFacts { process_name: "smtp".into(), ..host::facts() };
    Settings::load(main, &wanted, &facts).map_err(|errors| errors.to_string())
}

/// The line for one server. The error says why it has no TLS.
async fn probe(main: &MainCf, target: &str, wrapper: bool) -> Result<String, String> {
    let (host, port) = match target.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
            (host, port.parse::<u16>().map_err(|_| format!("{port} is no port number"))?)
        }
        _ => (target, 25),
    };
    let host = host.trim_matches(['[', ']']);
    let wrapper = wrapper || port == 465;
    let wanted =
        Wanted { chat: false, as_delivery: false, secure_without_dane: false, log_levels: String::new() };
    let finger = Finger::new(settings(main, wrapper)?, Resolver::from_system(), wanted, Arc::new(|_| {}))?;
    let report = finger.ask(&format!("[{host}]:{port}")).await;
    let why = report.why.clone().unwrap_or_else(|| "it does not fit".into());
    let Some(facts) = &report.facts else {
        return Err(match report.offers_starttls {
            Some(false) => "no STARTTLS: mail goes in the clear".into(),
            _ => why,
        });
    };
    let way = if wrapper { "TLS from the first byte" } else { "STARTTLS" };
    let trust = match report.verified {
        true => format!("certificate verified for {host}"),
        false => format!("certificate NOT verified for {host}: {why}"),
    };
    Ok(format!("{way}, {}; {trust}", facts.summary()))
}
