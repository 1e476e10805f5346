//! The life of a role's process: read the configuration, take what needs the starting user's rights, give these rights
//! up, and serve. Its standard input is the link to master.

use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use config::{Configuration, Settings, params};
use link::Role;
use maillog::Log;
use tables::users::User;

use crate::jail::Jail;
use crate::paths::Paths;
use crate::privilege::{self, NewPrivileges, become_user};
use crate::{host, mail_log};

/// Runs a role until its work is done.
pub fn run(role: Role, config_directory: &Path, tag: u8) -> ExitCode {
    let configuration = match Configuration::read(config_directory, host::facts()) {
        Ok(configuration) => configuration,
        Err(why) => return fail_without_log(role, &why),
    };
    let settings = match configuration.settings("master") {
        Ok(settings) => settings,
        Err(errors) => return fail_without_log(role, &errors.to_string()),
    };
    let log = match mail_log::open(&settings, role.name()) {
        Ok(log) => log,
        Err(why) => return fail_without_log(role, &why),
    };
    match serve(role, configuration, &settings, &log, tag) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            maillog::fatal!(log, "{why}");
            ExitCode::FAILURE
        }
    }
}

fn fail_without_log(role: Role, why: &str) -> ExitCode {
    eprintln!("mailclad: {}: fatal: {why}", role.name());
    ExitCode::FAILURE
}

fn serve(
    role: Role,
    configuration: Configuration,
    settings: &Settings,
    log: &Log,
    tag: u8,
) -> Result<(), String> {
    let control = control_link()?;
    let owner = owner(settings)?;
    let paths = Paths::new(settings.get(params::queue_directory));
    // What each role writes below the queue directory; what it reads is what the configuration names.
    let written = match role {
        Role::Queue => vec![paths.spool()],
        Role::Receive => vec![paths.maildrop(), paths.tls_trace()],
        _ => Vec::new(),
    };
    let jail = Jail::new(&configuration, settings, &written);
    match role {
        Role::Receive => {
            let prepared = receive::prepare(configuration, log.clone(), tag, paths.maildrop())?;
            let pickup = listen(&paths.pickup_socket(), 0o666)?;
            confine(&owner, &jail, log)?;
            run_on(&runtime(None)?, receive::serve(prepared, control, pickup))
        }
        Role::Queue => {
            let commands = listen(&paths.queue_socket(), 0o666)?;
            let directory = configuration.directory().to_owned();
            let opened = queue::OpenTables::open(&configuration, log)?;
            confine(&owner, &jail, log)?;
            let spool = spool::Spool::open(&paths.spool()).map_err(|error| error.to_string())?;
            let checked = log.clone();
            // Mail is accepted meanwhile.
            spool::Spool::check(&paths.spool(), move |found| match found {
                Ok(wrong) if wrong.is_empty() => {}
                Ok(wrong) => maillog::error!(
                    checked,
                    "the queue's database is damaged: {}; stop the system, save a copy of the folder, and have what can be read \
                     written by mailclad export-queue",
                    wrong.join("; ")
                ),
                Err(error) => maillog::error!(checked, "the check of the queue's database: {error}"),
            });
            let start = queue::Start {
                control,
                configuration,
                opened,
                reread: reread(directory),
                log: log.clone(),
                tag,
                spool,
                commands,
            };
            // One task owns the queue: more threads would only wake each other.
            run_on(&runtime(Some(1))?, queue::serve(start))
        }
        Role::Send => {
            let prepared = send::prepare(configuration, log.clone(), tag, paths.pickup_socket())?;
            confine(&owner, &jail, log)?;
            run_on(&runtime(None)?, send::serve(prepared, control))
        }
        // Stays what it is: each delivery gives up root for its recipient.
        Role::Local => {
            let prepared = local::prepare(configuration, log.clone(), tag)?;
            run_on(&runtime(None)?, local::serve(prepared, control))
        }
        Role::Master => Err("master is not a role of its own child".into()),
    }
}

/// mail_owner; without root, whoever started us.
pub fn owner(settings: &Settings) -> Result<User, String> {
    let name = settings.get(params::mail_owner);
    if !privilege::is_root() {
        return Ok(User {
            name: name.to_owned(),
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
        });
    }
    let found = User::named(name)
        .map_err(|why| format!("mail_owner = {name}: the name service can not be asked: {why}"))?;
    found.ok_or_else(|| {
        format!(
            "mail_owner = {name}: no such user; create it with useradd --system {name}, or set mail_owner"
        )
    })
}

/// Gives up root, and everything of the file system that the role has no business with.
fn confine(owner: &User, jail: &Jail, log: &Log) -> Result<(), String> {
    if privilege::is_root() {
        become_user(owner, NewPrivileges::Forbidden)
            .map_err(|error| format!("mail_owner = {}: {error}", owner.name))?;
    }
    if !jail.lock()? {
        maillog::info!(log, "this kernel has no Landlock: the role sees the whole file system");
    }
    Ok(())
}

fn reread(directory: PathBuf) -> Box<dyn Fn() -> Result<Configuration, String> + Send> {
    Box::new(move || Configuration::read(&directory, host::facts()))
}

/// Standard input, which master made a socket.
fn control_link() -> Result<UnixStream, String> {
    let stdin = std::io::stdin();
    let socket = stdin.as_fd().try_clone_to_owned().map_err(|error| error.to_string())?;
    if rustix::net::sockopt::socket_type(&socket).is_err() {
        return Err("a role is started by master, not by hand: use postfix start".into());
    }
    Ok(UnixStream::from(socket))
}

/// A listening socket at a path, in the place of one that an earlier process left behind.
fn listen(path: &Path, mode: u32) -> Result<UnixListener, String> {
    let named = |error: std::io::Error| format!("{}: {error}", path.display());
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(named(error)),
        _ => {}
    }
    let listener = UnixListener::bind(path).map_err(named)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).map_err(named)?;
    Ok(listener)
}

/// Serves among the tasks that it starts: on this thread, which is none of the runtime's, each word with them would wake another.
fn run_on(
    runtime: &tokio::runtime::Runtime,
    serve: impl Future<Output = Result<(), String>> + Send + 'static,
) -> Result<(), String> {
    runtime.block_on(runtime.spawn(serve)).unwrap_or_else(|error| Err(error.to_string()))
}

/// With so many threads, or one for each core.
fn runtime(threads: Option<usize>) -> Result<tokio::runtime::Runtime, String> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if let Some(threads) = threads {
        builder.worker_threads(threads);
    }
    builder.enable_all().build().map_err(|error| format!("cannot start the runtime: {error}"))
}
