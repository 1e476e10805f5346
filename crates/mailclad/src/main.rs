//! The program: one binary, started under many names.
//!
//! `mailclad COMMAND ...` and a link named COMMAND are the same. Roles are started by master only (`role.rs`).
#![allow(unreachable_pub)] // a program has no outside that `pub` could reach

mod commands;
mod host;
mod jail;
mod keys;
mod mail_log;
mod master;
mod paths;
#[allow(unsafe_code)]
mod privilege;
mod role;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use tables::users::User;

fn main() -> ExitCode {
    let mut args = std::env::args_os();
    let name = args.next().unwrap_or_default();
    let args: Vec<OsString> = args.collect();
    if args.first().is_some_and(|first| first == "--role") {
        return commands::role(&args);
    }
    if args.first().is_some_and(|first| first == local::deliver_as::ARGUMENT) {
        return local::deliver_as::run(|name, uid, gid| {
            let user = User { name: name.to_owned(), uid, gid };
            privilege::become_user(&user, privilege::NewPrivileges::Allowed)
        });
    }
    let name = Path::new(&name).file_name().unwrap_or_default().to_string_lossy().into_owned();
    match commands::find(&name) {
        Some(command) => (command.run)(&args),
        None => commands::mailclad(&args),
    }
}
