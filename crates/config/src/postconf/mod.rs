//! The postconf(1) command: showing and editing main.cf and master.cf, and warning about what nobody reads.
//!
//! The argument vector, standard output and the exit status belong to the caller; what is printed is decided
//! here. Output is Postfix's, byte for byte; warnings come in the order of names, where Postfix's order varies.

mod database;
mod namespace;
mod options;
mod show_main;
mod show_master;
mod used;
mod wording;

use std::path::Path;

pub use options::Request;
pub(crate) use show_master::Pattern;

use crate::edit;
use crate::host::HostFacts;
use crate::main_cf::{self, MainCf, split_name_value};
use crate::master_cf::MasterCf;
use crate::params;
use crate::settings::Settings;
use namespace::Namespace;
use options::Mode;

/// What the program was built with: things that this crate does not know.
#[derive(Debug, Clone, Default)]
pub struct Facilities {
    /// Lookup table types (`-m`).
    pub table_types: Vec<String>,
    /// Mailbox locking methods (`-l`).
    pub lock_methods: Vec<String>,
    /// SASL plug-ins of the server (`-a`).
    pub sasl_server_types: Vec<String>,
    /// SASL plug-ins of the client (`-A`).
    pub sasl_client_types: Vec<String>,
    /// Lines for `-T compile-version`.
    pub tls_compile_version: String,
    /// Lines for `-T run-version`.
    pub tls_run_version: String,
    /// Lines for `-T public-key-algorithms`.
    pub public_key_algorithms: Vec<String>,
    /// Shows the bounce templates of a file, or the built-in ones: with values filled in (`true`, `-b`) or as they
    /// are (`-t`).
    pub bounce_templates: Option<BounceTemplates>,
}

/// Shows bounce templates with the settings of main.cf; the error is what the command prints.
pub type BounceTemplates =
    fn(expanded: bool, file: Option<&str>, settings: &Settings) -> Result<String, String>;

/// What the command has to say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// For standard output.
    pub stdout: String,
    /// For standard error, each after `postconf: `.
    pub messages: Vec<String>,
    /// The exit status.
    pub status: u8,
}

impl Report {
    pub(crate) fn warn(&mut self, text: impl std::fmt::Display) {
        self.messages.push(format!("warning: {text}"));
    }

    fn warn_all(&mut self, texts: &[String]) {
        texts.iter().for_each(|text| self.warn(text));
    }

    /// What was printed so far, ended by a fatal error.
    pub fn fatal(mut self, text: impl std::fmt::Display) -> Report {
        self.messages.push(format!("fatal: {text}"));
        self.status = 1;
        self
    }
}

/// The text of a fatal error.
pub(crate) type Fatal = String;

/// Does what is asked. `config_directory` is what the environment variable MAIL_CONFIG says; `-c` goes before it.
pub fn run(
    request: &Request,
    config_directory: Option<&str>,
    host: &HostFacts,
    built: &Facilities,
) -> Report {
    let mut report = Report::default();
    let command =
        Command { request, config_directory: request.config_directory.as_deref().or(config_directory), host };
    match command.run(built, &mut report) {
        Ok(()) => report,
        Err(fatal) => report.fatal(fatal),
    }
}

struct Command<'a> {
    request: &'a Request,
    /// As it was named; `None` for the built-in one, which does not count as set.
    config_directory: Option<&'a str>,
    host: &'a HostFacts,
}

impl Command<'_> {
    fn run(&self, built: &Facilities, report: &mut Report) -> Result<(), Fatal> {
        let mode = self.request.mode;
        let lines = |lines: &[String]| lines.iter().map(|line| format!("{line}\n")).collect();
        if mode.has(Mode::MAPS) {
            report.stdout = lines(&built.table_types);
        } else if mode.has(Mode::LOCKS) {
            report.stdout = lines(&built.lock_methods);
        } else if mode.has(Mode::SASL_SERVER) {
            report.stdout = lines(&built.sasl_server_types);
        } else if mode.has(Mode::SASL_CLIENT) {
            report.stdout = lines(&built.sasl_client_types);
        } else if mode.has(Mode::TLS) {
            self.tls(built, report);
        } else if mode.has(Mode::BOUNCE.and(Mode::BOUNCE_EXPANDED)) {
            report.stdout = self.bounce_templates(built)?;
        } else if mode.has(Mode::EDITS) {
            self.edit(report)?;
        } else if mode.has(Mode::MASTER) {
            self.show_master(report)?;
        } else {
            self.show_main(report)?;
        }
        Ok(())
    }

    fn path(&self, file: &str) -> String {
        format!("{}/{file}", self.directory())
    }

    fn directory(&self) -> &str {
        self.config_directory.unwrap_or("/etc/postfix")
    }

    fn show_main(&self, report: &mut Report) -> Result<(), Fatal> {
        let mode = self.request.mode;
        let main = if mode.has(Mode::DEFAULTS) { MainCf::default() } else { self.read_main(report)? };
        let path = self.path("master.cf");
        let master = match main_cf::contents(Path::new(&path)) {
            Ok(text) => self.parse_master(&text, report)?,
            Err(error) => {
                report.warn(error);
                MasterCf::default()
            }
        };
        let mut names = Namespace::new(self.directory(), &main, &master, self.host, mode.has(Mode::DEFAULTS));
        if !mode.has(Mode::DEFAULTS) {
            used::register(&mut names, files(mode), report)?;
        }
        show_main::show(&names, self.request, report)?;
        if mode.has(Mode::WARN) && !mode.has(Mode::DEFAULTS) {
            let deprecated = used::warn_main(&names, report) | used::warn_master(&names, report);
            warn_of_deprecation(deprecated, report);
        }
        Ok(())
    }

    fn show_master(&self, report: &mut Report) -> Result<(), Fatal> {
        let path = self.path("master.cf");
        let text = main_cf::contents(Path::new(&path)).map_err(|error| error.to_string())?;
        let master = self.parse_master(&text, report)?;
        let main = self.read_main(report)?;
        let mut names = Namespace::new(self.directory(), &main, &master, self.host, false);
        used::register(&mut names, files(self.request.mode), report)?;
        show_master::show(&names, &master, self.request, report)?;
        if self.request.mode.has(Mode::WARN) {
            let deprecated = used::warn_master(&names, report);
            warn_of_deprecation(deprecated, report);
        }
        Ok(())
    }

    fn parse_master(&self, text: &[u8], report: &mut Report) -> Result<MasterCf, Fatal> {
        let master = MasterCf::parse(&self.path("master.cf"), text).map_err(|error| error.to_string())?;
        report.warn_all(master.warnings());
        Ok(master)
    }

    fn read_main(&self, report: &mut Report) -> Result<MainCf, Fatal> {
        let path = self.path("main.cf");
        let text = main_cf::contents(Path::new(&path)).map_err(|error| error.to_string())?;
        let before: Vec<_> =
            self.config_directory.map(|directory| ("config_directory", directory)).into_iter().collect();
        let mut main = MainCf::parse_after(&before, &path, &text).map_err(|error| error.to_string())?;
        report.warn_all(main.warnings());
        for option in &self.request.overrides {
            let (name, value) = split_name_value(option)
                .map_err(|what| format!("invalid parameter override: {option}: {what}"))?;
            main.set(name, value, 0);
        }
        Ok(main)
    }

    fn edit(&self, report: &mut Report) -> Result<(), Fatal> {
        let (mode, operands) = (self.request.mode, &self.request.operands);
        if operands.is_empty() {
            return Err("missing service argument".to_owned());
        }
        let change = if mode.has(Mode::EDIT) {
            edit::Change::Set
        } else if mode.has(Mode::COMMENT_OUT) {
            edit::Change::CommentOut
        } else {
            edit::Change::Remove
        };
        let mut warnings = Vec::new();
        let edited = if mode.has(Mode::MASTER) {
            let part = if mode.has(Mode::MASTER_ENTRY) {
                edit::Part::Entry
            } else if mode.has(Mode::MASTER_FIELD) {
                edit::Part::Field
            } else {
                edit::Part::Parameter
            };
            edit::MasterEdit::new(change, part, operands).and_then(|edit| {
                let file = self.path("master.cf");
                edit::replace_file(Path::new(&file), |text| edit.apply(&file, &text, &mut warnings))
            })
        } else {
            edit::MainEdit::new(change, operands, &mut warnings).and_then(|edit| {
                let file = self.path("main.cf");
                edit::replace_file(Path::new(&file), |text| Ok(edit.apply(&file, &text, &mut warnings)))
            })
        };
        report.warn_all(&warnings);
        edited
    }

    fn bounce_templates(&self, built: &Facilities) -> Result<String, Fatal> {
        let file = &self.request.operands;
        if file.len() > 1 {
            return Err("options -b and -t require at most one template file".to_owned());
        }
        let show = built.bounce_templates.ok_or("this program has no bounce templates")?;
        let main = self.read_main(&mut Report::default())?;
        let settings = Settings::load(&main, &[], self.host).map_err(|errors| errors.to_string())?;
        let file = file.first().map_or_else(|| settings.get(params::bounce_template_file), String::as_str);
        let file = (!file.is_empty()).then_some(file);
        show(self.request.mode.has(Mode::BOUNCE_EXPANDED), file, &settings)
    }

    fn tls(&self, built: &Facilities, report: &mut Report) {
        let what = self.request.tls.as_deref().unwrap_or_default();
        report.stdout = match what {
            "compile-version" => format!("{}\n", built.tls_compile_version),
            "run-version" => format!("{}\n", built.tls_run_version),
            "public-key-algorithms" => {
                built.public_key_algorithms.iter().map(|line| format!("{line}\n")).collect()
            }
            _ => {
                report.warn(format_args!("unknown 'postconf -T' mode: {what}"));
                report.status = 1;
                return;
            }
        };
    }
}

fn files(mode: Mode) -> used::Files {
    if mode.has(Mode::WARN) { used::Files::Check } else { used::Files::Read }
}

fn warn_of_deprecation(found: bool, report: &mut Report) {
    if found {
        report.warn("See https://www.postfix.org/DEPRECATION_README.html for details");
    }
}

/// An entry of master.cf in postconf's own form, one option on a line.
pub(crate) fn print_entry(entry: &crate::master_cf::Entry) -> String {
    let mut text = String::new();
    show_master::entry(&mut text, &entry.words, true);
    text
}

/// What is set and used by nobody: the number of the service in master.cf, or `None` for main.cf, and the name.
/// Files of database clients are not read.
pub(crate) fn unused(main: &MainCf, master: &MasterCf, host: &HostFacts) -> Vec<(Option<usize>, String)> {
    let mut names = Namespace::new("", main, master, host, false);
    // Texts that can not be expanded end the search; they are errors of their own elsewhere.
    let _ = used::register(&mut names, used::Files::Leave, &mut Report::default());
    used::unused(&names)
}
