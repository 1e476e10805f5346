//! `mailclad passwd USER`: the entry of a user for the table of `smtpd_sasl_type = mailclad`. The password comes from standard input.

use std::ffi::OsString;
use std::io::{BufRead, IsTerminal};
use std::process::{Command, ExitCode, Stdio};

use super::fatal;

const USAGE: &str =
    "usage: mailclad passwd USER < PASSWORD; append the line to the table that smtpd_sasl_path names";

/// Longest password, in bytes.
const LONGEST: u64 = 1024;

/// The command.
pub fn run(args: &[OsString]) -> ExitCode {
    let [user] = args else { return fatal("mailclad passwd", USAGE, 64) };
    let user = user.to_string_lossy().into_owned();
    if user.is_empty()
        || user.starts_with('-')
        || user.contains(|c: char| c.is_whitespace() || c.is_control())
    {
        return fatal("mailclad passwd", &format!("{user:?} is no user name\n{USAGE}"), 64);
    }
    let entry = password().and_then(|password| receive::SaslSecret::new(&password));
    match entry {
        Ok(secret) => {
            println!("{user} {secret}");
            ExitCode::SUCCESS
        }
        Err(why) => fatal("mailclad passwd", &why, 1),
    }
}

fn password() -> Result<String, String> {
    let stdin = std::io::stdin();
    let is_terminal = stdin.is_terminal();
    if is_terminal {
        eprint!("Password: ");
        echo(false);
    }
    let mut line = String::new();
    let read = std::io::Read::take(stdin.lock(), LONGEST + 1).read_line(&mut line);
    if is_terminal {
        echo(true);
        eprintln!();
    }
    read.map_err(|error| format!("cannot read the password: {error}"))?;
    let password = line.trim_end_matches(['\r', '\n']);
    match password.len() as u64 {
        0 => Err("an empty password is none".into()),
        length if length > LONGEST => Err(format!("a password has at most {LONGEST} bytes")),
        _ if password.contains('\0') => Err("a password has no NUL in it".into()),
        _ => Ok(password.to_owned()),
    }
}

/// What is typed is shown, or not. A terminal that can not do it shows it.
fn echo(on: bool) {
    let argument = if on { "echo" } else { "-echo" };
    let _ = Command::new("stty").arg(argument).stdin(Stdio::inherit()).status();
}
