//! postmap(1) and, for the aliases(5) format, postalias(1): argument vector and standard streams. What they do to
//! tables is in `tables::command`.

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use config::main_cf::MainCf;
use config::{HostFacts, Settings, params};
use tables::build::{Duplicates, Options};
use tables::command::{self, Action, MessageKeys, Request};
use tables::{Format, Tables};

use super::getopt::Getopt;

/// The option letters of postmap(1), and of postalias(1).
const POSTMAP: &str = "bc:d:fFhijmnNopq:rsuUvw";
const POSTALIAS: &str = "c:d:fijnNopq:rsuUvw";

/// Runs postmap(1).
pub fn run(args: &[OsString], host: &HostFacts) -> ExitCode {
    run_as("postmap", Format::Map, args, host)
}

/// Runs either command. `program` begins each message.
pub(super) fn run_as(program: &str, format: Format, args: &[OsString], host: &HostFacts) -> ExitCode {
    let result = parse(program, format, args).and_then(|line| {
        let settings = line.settings(program, host)?;
        let default_type = settings.get(params::default_database_type).to_owned();
        perform(program, &settings, &Request { default_type, ..line.request })
    });
    finish(program, result)
}

/// Builds the alias databases of the configuration: newaliases(1).
pub(super) fn rebuild_aliases(config_directory: &Path, host: &HostFacts) -> ExitCode {
    let program = "postalias";
    let result = load(program, config_directory, host).and_then(|settings| {
        let databases = config::list::split(settings.get(params::alias_database));
        perform(
            program,
            &settings,
            &Request {
                action: Action::Create,
                options: Options::new(Format::Alias),
                message: MessageKeys::default(),
                json: false,
                tables: databases.into_iter().map(str::to_owned).collect(),
                default_type: settings.get(params::default_database_type).to_owned(),
            },
        )
    });
    finish(program, result)
}

/// Exit status 1 says that nothing was found, or that something was wrong; the text tells which.
fn finish(program: &str, result: Result<bool, String>) -> ExitCode {
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(fatal) => {
            let _ = writeln!(std::io::stderr(), "{program}: fatal: {fatal}");
            ExitCode::FAILURE
        }
    }
}

fn perform(program: &str, settings: &Settings, request: &Request) -> Result<bool, String> {
    let name = program.to_owned();
    let tables = Tables::new(Arc::new(move |text: &str| {
        let _ = match text.split_once(": ") {
            // A table that can not be opened ends the command; the fatal message says why.
            Some(("error", _)) => Ok(()),
            Some(("info", text)) => writeln!(std::io::stderr(), "{name}: {text}"),
            _ => writeln!(std::io::stderr(), "{name}: warning: {text}"),
        };
    }))
    .within(settings);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| format!("start: {e}"))?;
    let mut output = std::io::BufWriter::new(std::io::stdout().lock());
    let found =
        runtime.block_on(command::run(request, &tables, &mut std::io::stdin().lock(), &mut output))?;
    output.flush().map_err(|e| format!("write output: {e}"))?;
    Ok(found)
}

/// A parsed argument vector.
struct Line {
    request: Request,
    config_directory: Option<PathBuf>,
}

impl Line {
    fn settings(&self, program: &str, host: &HostFacts) -> Result<Settings, String> {
        let environment = || std::env::var_os("MAIL_CONFIG").map(PathBuf::from);
        let directory = self.config_directory.clone().or_else(environment);
        load(program, &directory.unwrap_or_else(|| "/etc/postfix".into()), host)
    }
}

fn load(program: &str, directory: &Path, host: &HostFacts) -> Result<Settings, String> {
    let main = MainCf::read(&directory.join("main.cf")).map_err(|e| e.to_string())?;
    let host = HostFacts { process_name: program.to_owned(), ..host.clone() };
    Settings::load(&main, &[], &host).map_err(|e| e.to_string())
}

fn parse(program: &str, format: Format, args: &[OsString]) -> Result<Line, String> {
    let letters = if format == Format::Map { POSTMAP } else { POSTALIAS };
    let usage = || {
        let flags: String = letters.replace("c:", "").replace("d:", "").replace("q:", "");
        format!("usage: {program} [-{flags}] [-c config_dir] [-d key] [-q key] [map_type:]file...")
    };
    let mut options = Options::new(format);
    let (mut action, mut message, mut json) = (Action::Create, MessageKeys::default(), false);
    let mut config_directory = None;
    let mut words = Getopt::new(letters, args);
    for option in words.by_ref() {
        let (letter, value) = option.map_err(|error| {
            // getopt(3) tells this by itself.
            let _ = writeln!(std::io::stderr(), "{program}: {error}");
            usage()
        })?;
        let value = value.unwrap_or_default();
        let text = || value.to_string_lossy().into_owned();
        if matches!(letter, 'd' | 'i' | 'q' | 's') && action != Action::Create {
            let or = if letter == 's' { " or" } else { "" };
            return Err(format!("specify only one of -s{or} -q or -d"));
        }
        match letter {
            'c' => config_directory = Some(PathBuf::from(&value)),
            'd' => action = Action::Delete(text()),
            'i' => action = Action::Add,
            'q' => action = Action::Query(text()),
            's' => action = Action::List,
            'f' => options.fold = false,
            'F' => options.values_are_files = true,
            'n' => options.nul = false,
            'N' => options.nul = true,
            'o' => options.keep_owner = false,
            'p' => options.keep_mode = false,
            'r' => options.duplicates = Duplicates::Replace,
            'w' => options.duplicates = Duplicates::Ignore,
            'b' => message.body = true,
            'h' => message.header = true,
            'j' => json = true,
            // -m: parts of a message are not taken apart; -u, -U: text is always UTF-8; -v: nothing more to say.
            _ => {}
        }
    }
    let tables: Vec<String> =
        words.operands().iter().map(|table| table.to_string_lossy().into_owned()).collect();
    if tables.is_empty() {
        return Err(usage());
    }
    if message != MessageKeys::default() && action != Action::Query("-".into()) {
        return Err("specify -b -h or -m only with \"-q -\"".into());
    }
    let request = Request { action, options, message, json, tables, default_type: String::new() };
    Ok(Line { request, config_directory })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(args: &[&str]) -> Result<Line, String> {
        let args: Vec<OsString> = args.iter().map(OsString::from).collect();
        parse("postmap", Format::Map, &args)
    }

    #[test]
    fn options_reach_the_request() {
        let line = parsed(&["-fnrc", "/etc/x", "-q", "key", "hash:a", "b"]).unwrap();
        assert_eq!(line.config_directory, Some(PathBuf::from("/etc/x")));
        assert_eq!(line.request.action, Action::Query("key".into()));
        assert_eq!(line.request.tables, ["hash:a", "b"]);
        let options = line.request.options;
        assert!(!options.fold && !options.nul && options.duplicates == Duplicates::Replace);
    }

    #[test]
    fn contradictions_are_refused() {
        for (args, reason) in [
            (&["-q", "a", "-s", "t"][..], "specify only one of -s or -q or -d"),
            (&["-b", "-q", "a", "t"], "specify -b -h or -m only with \"-q -\""),
            (
                &["-q", "a"],
                "usage: postmap [-bfFhijmnNoprsuUvw] [-c config_dir] [-d key] [-q key] [map_type:]file...",
            ),
            (
                &["-Z"],
                "usage: postmap [-bfFhijmnNoprsuUvw] [-c config_dir] [-d key] [-q key] [map_type:]file...",
            ),
        ] {
            assert_eq!(parsed(args).err().as_deref(), Some(reason), "{args:?}");
        }
    }
}
