//! `mailclad import-queue [-c DIR] [-n] [QUEUE_DIRECTORY]` takes over the queue of a stopped Postfix; `mailclad export-queue` gives it
//! back. With `-n` nothing is changed and only what would be done is told. Both work as `mail_owner`.

use std::ffi::OsString;
use std::fs::DirBuilder;
use std::os::unix::fs::{DirBuilderExt, chown};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use ::queue::Stopped;
use ::queue::postfix::{self, Report};
use config::{Settings, params};
use tables::users::User;

use super::getopt::Getopt;
use super::{config_directory, fatal, load};
use crate::master::Lock;
use crate::paths::Paths;
use crate::privilege::{self, NewPrivileges, become_user};
use crate::role;

/// The two directions.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Import,
    Export,
}

/// From Postfix to Mailclad.
pub fn import(args: &[OsString]) -> ExitCode {
    run(Way::Import, "mailclad import-queue", args)
}

/// From Mailclad to Postfix.
pub fn export(args: &[OsString]) -> ExitCode {
    run(Way::Export, "mailclad export-queue", args)
}

fn run(way: Way, name: &str, args: &[OsString]) -> ExitCode {
    let (mut directory, mut dry_run) = (None, false);
    let mut options = Getopt::new("c:n", args);
    for option in options.by_ref() {
        match option {
            Ok(('c', value)) => directory = value.map(PathBuf::from),
            Ok(_) => dry_run = true,
            Err(error) => return fatal(name, &error.to_string(), 64),
        }
    }
    let operands = options.operands();
    if operands.len() > 1 {
        return fatal(name, &format!("usage: {name} [-c DIR] [-n] [QUEUE_DIRECTORY]"), 64);
    }
    let settings = match load(&config_directory(directory), "master") {
        Ok((_, settings)) => settings,
        Err(why) => return fatal(name, &why, 1),
    };
    let other = operands.first().map_or_else(|| settings.get(params::queue_directory).into(), PathBuf::from);
    match exchange(way, &settings, &other, dry_run) {
        Ok(report) => {
            tell(way, &report, dry_run);
            if report.left.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(why) => fatal(name, &why, 1),
    }
}

fn exchange(way: Way, settings: &Settings, other: &Path, dry_run: bool) -> Result<Report, String> {
    let paths = Paths::new(settings.get(params::queue_directory));
    let owner = role::owner(settings)?;
    paths.create(&owner).map_err(|error| error.to_string())?;
    // Of either system: both have their lock there.
    let stop = |why: String| format!("{why}: stop it first, with postfix stop");
    let _lock = Lock::take(&paths.pid_file()).map_err(stop)?;
    let theirs = Paths::new(&other.display().to_string()).pid_file();
    let _their_lock = match theirs.exists() && theirs != paths.pid_file() {
        true => Some(Lock::take(&theirs).map_err(stop)?),
        false => None,
    };
    let done = other.join("mailclad/imported");
    if way == Way::Import && !dry_run {
        for directory in [other.join("mailclad"), done.clone()] {
            make(&directory, &owner)?;
        }
    }
    // Queues belong to the mail system's user, and so does everything that is made here.
    if privilege::is_root() {
        become_user(&owner, NewPrivileges::Forbidden)
            .map_err(|error| format!("mail_owner = {}: {error}", owner.name))?;
    }
    let stopped = Stopped::open(&paths.spool(), settings)?;
    match way {
        Way::Import => postfix::import(&stopped, other, &done, dry_run),
        Way::Export => postfix::export(&stopped, other, dry_run),
    }
}

fn make(directory: &Path, owner: &User) -> Result<(), String> {
    let named = |error: std::io::Error| format!("{}: {error}", directory.display());
    match DirBuilder::new().mode(0o755).create(directory) {
        Ok(()) if privilege::is_root() => chown(directory, Some(owner.uid), Some(owner.gid)).map_err(named),
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(named(error)),
        _ => Ok(()),
    }
}

fn tell(way: Way, report: &Report, dry_run: bool) {
    for why in &report.left {
        eprintln!("left: {why}");
    }
    let word = match (way, dry_run) {
        (Way::Import, false) => "taken over",
        (Way::Import, true) => "would be taken over",
        (Way::Export, false) => "given back",
        (Way::Export, true) => "would be given back",
    };
    let queues: Vec<_> = report.by_queue.iter().map(|(queue, count)| format!("{count} {queue}")).collect();
    let queues = if queues.is_empty() { String::new() } else { format!(" ({})", queues.join(", ")) };
    println!("{} message{} {word}{queues}", report.done, if report.done == 1 { "" } else { "s" });
}
