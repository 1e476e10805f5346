//! The commands, one file each, and the list of their names. Those with Postfix's names take Postfix's options and give
//! Postfix's exit statuses.

mod audit;
mod certificate;
mod check;
mod check_tables;
mod exchange;
mod getopt;
mod logrotate;
mod passwd;
mod postalias;
mod postcat;
mod postconf;
mod postfix;
mod postfix_tls;
mod postlog;
mod postmap;
mod postqueue;
mod postsuper;
mod posttls_finger;
mod probe;
mod queue;
mod queue_link;
mod sendmail;
mod stand_alone;
mod tlsrpt;
mod why;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use ::queue::Templates;
use config::postconf::Facilities;
use config::{Configuration, Settings};

use crate::{host, role};

/// One command.
pub struct Command {
    /// The name of the link, and the word behind `mailclad`.
    pub name: &'static str,
    /// What it is for, in one line.
    pub about: &'static str,
    /// Runs it with its arguments.
    pub run: fn(&[OsString]) -> ExitCode,
}

/// All commands.
pub static COMMANDS: &[Command] = &[
    Command { name: "postfix", about: "start, stop and check the mail system", run: postfix::run },
    Command {
        name: "postconf",
        about: "show and edit the configuration",
        run: |args| postconf::run(args, &host::facts(), &built()),
    },
    Command {
        name: "postmap",
        about: "build and query lookup tables",
        run: |args| postmap::run(args, &host::facts()),
    },
    Command {
        name: "postalias",
        about: "build and query alias databases",
        run: |args| postalias::run(args, &host::facts()),
    },
    Command {
        name: "newaliases",
        about: "build the alias databases of the configuration",
        run: sendmail::newaliases,
    },
    Command { name: "sendmail", about: "submit mail", run: sendmail::run },
    Command { name: "mailq", about: "list the queue", run: sendmail::mailq },
    Command { name: "postqueue", about: "list and flush the queue", run: postqueue::run },
    Command { name: "postsuper", about: "delete, hold, release and requeue messages", run: postsuper::run },
    Command { name: "postcat", about: "show a message of the queue", run: postcat::run },
    Command { name: "postlog", about: "write a line to the mail log", run: postlog::run },
    Command {
        name: "why",
        about: "say why a message is still in the queue, and what would help",
        run: why::run,
    },
    Command {
        name: "queue",
        about: "list, group and change the queue by sender, recipient, reason, age",
        run: queue::run,
    },
    Command {
        name: "import-queue",
        about: "take over the queue of a stopped Postfix",
        run: exchange::import,
    },
    Command { name: "export-queue", about: "give the queue back to Postfix", run: exchange::export },
    Command {
        name: "posttls-finger",
        about: "say what the TLS of a mail server is like, as a delivery would find it",
        run: posttls_finger::run,
    },
    Command { name: "audit", about: "say what the TLS of a configuration comes to", run: audit::run },
    Command { name: "probe", about: "say what the TLS of a mail server is worth", run: probe::run },
    Command { name: "certificate", about: "obtain and renew a certificate by ACME", run: certificate::run },
    Command { name: "tlsrpt", about: "show what TLSRPT reports will say", run: tlsrpt::run },
    Command {
        name: "passwd",
        about: "make the entry of a user who logs in without another server",
        run: passwd::run,
    },
    Command { name: "check", about: "say what is wrong or unsafe in a configuration", run: check::check },
    Command {
        name: "compat",
        about: "list settings that have no effect here, with the reason",
        run: check::compat,
    },
];

/// The command of that name.
pub fn find(name: &str) -> Option<&'static Command> {
    COMMANDS.iter().find(|command| command.name == name)
}

/// `mailclad COMMAND ...`.
pub fn mailclad(args: &[OsString]) -> ExitCode {
    let word = args.first().map(|word| word.to_string_lossy().into_owned()).unwrap_or_default();
    if let Some(command) = find(&word) {
        return (command.run)(&args[1..]);
    }
    match word.as_str() {
        "--version" | "version" => {
            println!("mailclad {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        "" | "--help" | "help" => {
            println!("usage: mailclad COMMAND [ARGUMENT ...]\n");
            for command in COMMANDS {
                println!("  {:<14} {}", command.name, command.about);
            }
            ExitCode::SUCCESS
        }
        other => {
            eprintln!("mailclad: no command \"{other}\"; mailclad help lists them");
            ExitCode::from(64)
        }
    }
}

/// `--role ROLE --tag N --config DIR`, as master starts its children.
pub fn role(args: &[OsString]) -> ExitCode {
    let word = |at: usize| args.get(at).map(|word| word.to_string_lossy().into_owned());
    let role = word(1).and_then(|name| link::Role::from_name(&name));
    let tag = word(3).and_then(|number| number.parse().ok());
    match (role, tag, args.get(5)) {
        (Some(role), Some(tag), Some(directory)) => role::run(role, Path::new(directory), tag),
        _ => {
            eprintln!("mailclad: roles are started by master: use postfix start");
            ExitCode::from(64)
        }
    }
}

/// The directory of the configuration: `-c`, then $MAIL_CONFIG, then /etc/postfix; absolute where it exists.
fn config_directory(option: Option<PathBuf>) -> PathBuf {
    let directory = option
        .or_else(|| std::env::var_os("MAIL_CONFIG").filter(|value| !value.is_empty()).map(PathBuf::from))
        .unwrap_or_else(|| "/etc/postfix".into());
    std::path::absolute(&directory).unwrap_or(directory)
}

/// The configuration and the settings of main.cf for a command. The error is ready to be shown.
fn load(directory: &Path, program: &str) -> Result<(Configuration, Settings), String> {
    let configuration = Configuration::read(directory, host::facts())?;
    let settings = configuration.settings(program).map_err(|errors| errors.to_string())?;
    Ok((configuration, settings))
}

/// Says what is wrong, as Postfix's commands do, and gives the status.
fn fatal(program: &str, why: &str, status: u8) -> ExitCode {
    eprintln!("{program}: fatal: {why}");
    ExitCode::from(status)
}

/// What this program can do, for postconf's lists.
fn built() -> Facilities {
    Facilities {
        table_types: tables::types::TYPES
            .iter()
            .filter(|kind| kind.is_built_in())
            .map(|kind| kind.name.to_owned())
            .collect(),
        bounce_templates: Some(|expanded, file, settings| {
            let templates = match file {
                Some(file) => Templates::read_file(file)?,
                None => Templates::built_in(),
            };
            if expanded { templates.as_expanded_texts(settings) } else { Ok(templates.as_file()) }
        }),
        ..Facilities::default()
    }
}
