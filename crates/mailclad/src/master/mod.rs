//! master(8): starts the roles, links them with each other, watches them, and carries out start, stop and reload. Holds the
//! listening sockets; hears no network byte.

mod children;
mod key_files;
mod listeners;
mod lock;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use config::compat::{self, Finding, Severity};
use config::{Configuration, params};
use link::Role;
use maillog::Log;
use tokio::signal::unix::{Signal, SignalKind, signal};

pub use lock::{Lock, running_pid};

use crate::paths::Paths;
use crate::{host, mail_log, role};
use children::Children;
use listeners::Listeners;

/// What is announced as mail_version beside our own: the version whose configuration language is spoken.
pub const VERSION: &str = concat!("3.12.0 (Mailclad ", env!("CARGO_PKG_VERSION"), ")");

/// Longest time that a stop waits for sessions and deliveries under way. What was acknowledged is on the disk; what was not is
/// sent again.
const STOP_PATIENCE: Duration = Duration::from_secs(5);

/// Runs the mail system until it is told to stop. Errors before the log is open go to standard error as well.
pub fn run(config_directory: &Path) -> ExitCode {
    let (configuration, log) = match open(config_directory) {
        Ok(opened) => opened,
        Err(why) => {
            eprintln!("postfix: fatal: {why}");
            return ExitCode::FAILURE;
        }
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            maillog::fatal!(log, "cannot start the runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(serve(configuration, &log)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            maillog::fatal!(log, "{why}");
            eprintln!("postfix: fatal: {why}");
            ExitCode::FAILURE
        }
    }
}

fn open(config_directory: &Path) -> Result<(Configuration, Log), String> {
    let configuration = Configuration::read(config_directory, host::facts())?;
    let settings = configuration.settings("master").map_err(|errors| errors.to_string())?;
    let log = mail_log::open(&settings, "master")?;
    Ok((configuration, log))
}

async fn serve(mut configuration: Configuration, log: &Log) -> Result<(), String> {
    let settings = configuration.settings("master").map_err(|errors| errors.to_string())?;
    let paths = Paths::new(settings.get(params::queue_directory));
    let owner = role::owner(&settings)?;
    paths.create(&owner).map_err(|error| error.to_string())?;
    if let Err(error) = Paths::create_data_directory(settings.get(params::data_directory), &owner) {
        // Nothing there is needed to carry mail.
        maillog::warning!(log, "{error}");
    }
    let _lock = Lock::take(&paths.pid_file())?;
    report(&configuration, log);
    // Before anybody serves, so that no client meets a service that will not stay.
    let mut listeners = Listeners::default();
    listeners.bind(&configuration, log)?;
    let mut signals = Signals::install().map_err(|error| error.to_string())?;
    let settings = configuration.settings("master").map_err(|errors| errors.to_string())?;
    let mut children = Children::new(
        configuration.directory().to_owned(),
        environment(&configuration)?,
        settings.get(params::service_throttle_time),
        log.clone(),
    );
    children.start_all(&listeners).await?;
    maillog::info!(
        log,
        "daemon started -- version {VERSION}, configuration {}",
        configuration.directory().display()
    );
    notify("READY=1");
    let mut polls = tokio::time::interval(key_files::POLL);
    polls.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut log_trouble = false;
    let patience = loop {
        tokio::select! {
            Some(()) = signals.terminate.recv() => {
                maillog::info!(log, "terminating on signal 15");
                break STOP_PATIENCE;
            }
            Some(()) = signals.interrupt.recv() => {
                maillog::info!(log, "terminating on signal 2");
                break STOP_PATIENCE;
            }
            // postfix abort: what is acknowledged is on the disk, so nothing is lost by not waiting.
            Some(()) = signals.quit.recv() => {
                maillog::info!(log, "terminating on signal 3");
                break Duration::ZERO;
            }
            Some(()) = signals.hangup.recv() => {
                notify("RELOADING=1");
                reload(&mut configuration, &mut listeners, &mut children, log).await;
                notify("READY=1");
            }
            role = children.died() => children.restart(role, &listeners).await,
            _ = polls.tick() => {
                follow_log(&mut children, log, &mut log_trouble).await;
                children.renew_key_files().await;
            }
        }
    };
    notify("STOPPING=1");
    children.stop(patience).await;
    Ok(())
}

/// `import_environment`, and the directory of the configuration for commands of ours that delivery commands run.
fn environment(configuration: &Configuration) -> Result<Vec<(String, String)>, String> {
    let settings = configuration.settings("master").map_err(|errors| errors.to_string())?;
    let names = settings.get(params::import_environment);
    let mut environment = config::environment::kept(names, |name| std::env::var(name).ok());
    environment.retain(|(name, _)| name != "MAIL_CONFIG");
    environment.push(("MAIL_CONFIG".into(), configuration.directory().display().to_string()));
    Ok(environment)
}

/// Says once what is odd in a configuration, and what in it has no effect here.
fn report(configuration: &Configuration, log: &Log) {
    for warning in configuration.warnings() {
        maillog::warning!(log, "{warning}");
    }
    let findings = compat::findings(configuration.main(), configuration.master(), configuration.host());
    for Finding { file, line, parameter, severity, text } in findings {
        match severity {
            Severity::Note => maillog::info!(log, "{file}, line {line}: {parameter}: {text}"),
            Severity::Warning | Severity::Error => {
                maillog::warning!(log, "{file}, line {line}: {parameter}: {text}");
            }
        }
    }
}

/// A log file that somebody has renamed (postfix logrotate, logrotate(8)) is followed by a new one, for all processes. Trouble is told
/// once, in the old file.
async fn follow_log(children: &mut Children, log: &Log, is_told: &mut bool) {
    match log.reopen() {
        Ok(None) => {}
        Ok(Some(file)) => {
            *is_told = false;
            children.change_log(&file).await;
        }
        Err(error) if !*is_told => {
            *is_told = true;
            maillog::warning!(log, "maillog_file can not be opened again: {error}; lines go to the old file");
        }
        Err(_) => {}
    }
}

/// A configuration that can not be read, or that a service refuses, leaves everything as it was.
async fn reload(
    configuration: &mut Configuration,
    listeners: &mut Listeners,
    children: &mut Children,
    log: &Log,
) {
    let read = Configuration::read(configuration.directory(), host::facts())
        .and_then(|new| new.settings("master").map(|_| new).map_err(|errors| errors.to_string()));
    let new = match read {
        Ok(new) => new,
        Err(why) => {
            maillog::error!(log, "reload: {why}; the old configuration stays in force");
            return;
        }
    };
    if let Err(why) = listeners.bind(&new, log) {
        maillog::error!(log, "reload: {why}; the old configuration stays in force");
        return;
    }
    match environment(&new) {
        Ok(environment) => children.environment = environment,
        Err(why) => {
            maillog::error!(log, "reload: {why}; the old configuration stays in force");
            return;
        }
    }
    report(&new, log);
    *configuration = new;
    match children.replace_all(listeners).await {
        Ok(()) => {
            maillog::info!(
                log,
                "reload -- version {VERSION}, configuration {}",
                configuration.directory().display()
            );
        }
        Err(why) => maillog::error!(log, "reload: {why}; the old processes go on"),
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    quit: Signal,
    hangup: Signal,
}

impl Signals {
    fn install() -> std::io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }
}

/// Tells a service manager (sd_notify(3)); nothing happens without one.
fn notify(state: &str) {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let Ok(socket) = std::os::unix::net::UnixDatagram::unbound() else { return };
    let bytes = std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str());
    let address = match bytes.strip_prefix(b"@") {
        Some(name) => {
            <std::os::unix::net::SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(name)
        }
        None => std::os::unix::net::SocketAddr::from_pathname(&path),
    };
    if let Ok(address) = address {
        // A manager that does not listen is no reason to fail.
        let _ = socket.send_to_addr(state.as_bytes(), &address);
    }
}

/// The names of roles in the order in which they are started.
pub(crate) const ORDER: [Role; 4] = Role::CHILDREN;
