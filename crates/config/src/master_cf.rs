//! master.cf as master(5) describes it: one service for each logical line.
//!
//! Two views of one file. An [`Entry`] is what is written, in Postfix's canonical form, defaults still `-`: what
//! postconf(1) lists and edits. A [`Service`] is what it means: what master(8) starts.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::arguments::canonical_arguments;
pub use crate::arguments::{Argument, Arguments};
use crate::list;
use crate::logical;
use crate::main_cf::{self, FileError, split_name_value};

/// The fields before the arguments of the command.
pub const FIELDS: usize = 8;

/// The names of the fields, as `postconf -F` shows them.
pub const FIELD_NAMES: [&str; FIELDS] =
    ["service", "type", "private", "unprivileged", "chroot", "wakeup", "process_limit", "command"];

/// What a master.cf file says.
#[derive(Debug, Clone, Default)]
pub struct MasterCf {
    file: Arc<str>,
    entries: Vec<Entry>,
    warnings: Vec<String>,
}

/// One service as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The eight fields, then the arguments: options split into `-o` and `name=value`, outer braces removed.
    pub words: Vec<String>,
    /// The line where it begins, counted from 1.
    pub line: usize,
}

/// How clients reach a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ServiceKind {
    /// A TCP port.
    Inet,
    /// A UNIX-domain stream socket.
    Unix,
    /// A UNIX-domain datagram socket.
    UnixDatagram,
    /// A named pipe.
    Fifo,
    /// A UNIX-domain socket on which open connections arrive.
    Pass,
}

impl ServiceKind {
    /// The word in master.cf.
    pub fn name(self) -> &'static str {
        match self {
            ServiceKind::Inet => "inet",
            ServiceKind::Unix => "unix",
            ServiceKind::UnixDatagram => "unix-dgram",
            ServiceKind::Fifo => "fifo",
            ServiceKind::Pass => "pass",
        }
    }

    fn parse(word: &str) -> Option<ServiceKind> {
        use ServiceKind::*;
        [Inet, Unix, UnixDatagram, Fifo, Pass].into_iter().find(|kind| kind.name() == word)
    }
}

/// One service as master(8) runs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// The first field: `smtp`, `127.0.0.1:10025`, `submission`.
    pub name: String,
    /// The second field.
    pub kind: ServiceKind,
    /// Whether only the mail system itself may reach it. Never so for `inet`.
    pub private: bool,
    /// Whether it runs as `mail_owner`; else it has root's rights.
    pub unpriv: bool,
    /// Whether it sees `queue_directory` only.
    pub chroot: bool,
    /// How often it is woken up; `None` for never.
    pub wakeup: Option<Duration>,
    /// Whether it is woken up only once somebody used it (`?` after the time).
    pub wakeup_if_used: bool,
    /// How many clients or deliveries at a time; 0 is no limit. `None` is `default_process_limit`.
    pub maxproc: Option<u32>,
    /// The program in `daemon_directory`: `smtpd`, `pipe`.
    pub program: String,
    /// The arguments after the options, outer braces removed: for pipe(8) `flags=DRhu`, `user=vmail`, `argv=...`.
    pub args: Vec<String>,
    /// The `-o` options in order; of two for one parameter the later counts.
    pub overrides: Vec<(String, String)>,
    /// How many `-v` options there are.
    pub verbose: u8,
    /// Whether there is a `-D` option.
    pub debug: bool,
    /// The name of the file, as it was given.
    pub file: Arc<str>,
    /// The line where the entry begins, counted from 1.
    pub line: usize,
}

/// Why master.cf can not be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MasterError {
    /// What is wrong and where, in Postfix's words.
    pub text: String,
    /// What to do about it, where the text alone would not tell. Postfix says no such thing.
    pub cure: Option<&'static str>,
}

impl fmt::Display for MasterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.cure {
            None => f.write_str(&self.text),
            Some(cure) => write!(f, "{} ({cure})", self.text),
        }
    }
}

impl std::error::Error for MasterError {}

impl From<FileError> for MasterError {
    fn from(error: FileError) -> MasterError {
        MasterError { text: error.0, cure: None }
    }
}

const UNINDENTED_OPTION: &str = "a line that begins with \"-o\" belongs to the service above it only when blanks stand before it: indent the line";
const BLANKS_IN_OPTION: &str = "write -o name=value without blanks, or -o { name = value }";

impl MasterCf {
    /// Reads the file of this name.
    pub fn read(path: &Path) -> Result<MasterCf, MasterError> {
        MasterCf::parse(&path.to_string_lossy(), &main_cf::contents(path)?)
    }

    /// Parses text that came from `file`; `file` is used in messages only.
    pub fn parse(file: &str, text: &[u8]) -> Result<MasterCf, MasterError> {
        let mut master = MasterCf { file: file.into(), ..MasterCf::default() };
        for line in logical::lines(file, text, &mut master.warnings) {
            let entry = Entry::parse(&line.text, line.first_line, &mut master.warnings);
            let entry = entry.map_err(|wrong| match wrong {
                EntryError::FieldCount => MasterError {
                    text: format!("file {file}: line {}: {wrong}", line.first_line),
                    cure: line.text.starts_with('-').then_some(UNINDENTED_OPTION),
                },
                EntryError::Field(_) => MasterError { text: wrong.to_string(), cure: None },
            })?;
            master.entries.push(entry);
        }
        Ok(master)
    }

    /// The name of the file.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The entries, in the order of the file.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// What Postfix would log as warnings while it reads.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The services that master(8) starts, and its warnings. Of two entries with the same name and type the last
    /// counts, in the place of the first. `chroot` is what `-` means in that field: yes below compatibility level 1.
    pub fn services(&self, chroot: bool) -> Result<(Vec<Service>, Vec<String>), MasterError> {
        let mut services: Vec<Service> = Vec::new();
        let mut warnings = Vec::new();
        for entry in &self.entries {
            let service = entry.service(&self.file, chroot)?;
            match services.iter_mut().find(|known| known.name == service.name && known.kind == service.kind) {
                None => services.push(service),
                Some(known) => {
                    warnings.push(format!(
                        "duplicate master.cf entry for service \"{}\" ({}) -- using the last entry",
                        service.name,
                        service.endpoint()
                    ));
                    *known = service;
                }
            }
        }
        Ok((services, warnings))
    }
}

/// Why a line is no entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum EntryError {
    /// Fewer than eight fields.
    FieldCount,
    /// A field with a wrong value; the message says all.
    Field(String),
}

impl fmt::Display for EntryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EntryError::FieldCount => f.write_str("bad field count"),
            EntryError::Field(text) => f.write_str(text),
        }
    }
}

impl Entry {
    /// Parses one logical line.
    pub(crate) fn parse(text: &str, line: usize, warnings: &mut Vec<String>) -> Result<Entry, EntryError> {
        let mut words: Vec<String> = list::split_words(text).into_iter().map(str::to_owned).collect();
        if words.len() < FIELDS {
            return Err(EntryError::FieldCount);
        }
        let arguments = words.split_off(FIELDS);
        let mut entry = Entry { words, line };
        entry.check(text)?;
        entry.words.extend(canonical_arguments(arguments, warnings));
        Ok(entry)
    }

    /// Checks the fields that have few values. `text` is shown in the message.
    pub(crate) fn check(&self, text: &str) -> Result<(), EntryError> {
        let wrong = |field: usize| {
            let text =
                format!("invalid {} field \"{}\" in \"{text}\"", FIELD_NAMES[field], self.words[field]);
            Err(EntryError::Field(text.replace('\n', " ")))
        };
        let digits = |word: &str| word.bytes().all(|byte| byte.is_ascii_digit());
        if ServiceKind::parse(&self.words[1]).is_none() {
            return wrong(1);
        }
        if let Some(field) = (2..5).find(|&field| !matches!(self.words[field].as_str(), "y" | "n" | "-")) {
            return wrong(field);
        }
        let wakeup = self.words[5].strip_suffix('?').unwrap_or(&self.words[5]);
        if wakeup != "-" && !digits(wakeup) {
            return wrong(5);
        }
        if self.words[6] != "-" && !digits(&self.words[6]) {
            return wrong(6);
        }
        Ok(())
    }

    /// `name/type`, by which postconf(1) knows a service.
    pub fn name_space(&self) -> String {
        format!("{}/{}", self.words[0], self.words[1])
    }

    /// The name of the program, without its directory.
    pub fn program(&self) -> &str {
        let command = &self.words[FIELDS - 1];
        command.rsplit('/').next().unwrap_or(command)
    }

    /// The arguments of the command, options first.
    pub fn arguments(&self) -> Arguments<'_> {
        Arguments::new(&self.words[FIELDS..])
    }

    /// The `-o` options that are well formed, in order.
    pub fn overrides(&self) -> Vec<(String, String)> {
        self.arguments()
            .filter_map(|argument| match argument {
                Argument::Option("-o", Some(value)) => split_name_value(value).ok(),
                _ => None,
            })
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    fn service(&self, file: &Arc<str>, chroot: bool) -> Result<Service, MasterError> {
        let line = self.line;
        let wrong = |what: String, cure| MasterError { text: format!("{file}: line {line}: {what}"), cure };
        let flag = |field: usize, default: bool| match self.words[field].as_str() {
            "-" => default,
            word => word == "y",
        };
        // `Entry::check` admits digits, `-` and a final `?` only; what is left to go wrong is size.
        let number = |field: usize| -> Result<Option<u32>, MasterError> {
            let word = self.words[field].trim_end_matches('?');
            if matches!(word, "-" | "") {
                return Ok(None);
            }
            let too_large = || {
                let name = if field == 5 { "wakeup_time" } else { "max_proc" };
                wrong(format!("field \"{name}\": bad value: \"{word}\""), None)
            };
            word.parse().map(Some).map_err(|_| too_large())
        };
        let kind = ServiceKind::parse(&self.words[1])
            .ok_or_else(|| wrong(format!("bad transport type: {}", self.words[1]), None))?;
        let mut service = Service {
            name: self.words[0].clone(),
            kind,
            private: flag(2, true),
            unpriv: flag(3, true),
            chroot: flag(4, chroot),
            wakeup: number(5)?
                .filter(|&seconds| seconds > 0)
                .map(|seconds| Duration::from_secs(seconds.into())),
            wakeup_if_used: self.words[5].ends_with('?'),
            maxproc: number(6)?,
            program: self.program().to_owned(),
            args: Vec::new(),
            overrides: Vec::new(),
            verbose: 0,
            debug: false,
            file: file.clone(),
            line,
        };
        if kind == ServiceKind::Inet && service.private {
            return Err(wrong(
                "inet service cannot be private".to_owned(),
                Some("write n in the third field"),
            ));
        }
        for argument in self.arguments() {
            match argument {
                Argument::Option("-o", Some(option)) => {
                    let (name, value) = split_name_value(option).map_err(|what| {
                        wrong(format!("invalid \"-o {option}\" option value: {what}"), Some(BLANKS_IN_OPTION))
                    })?;
                    service.overrides.push((name.to_owned(), value.to_owned()));
                }
                Argument::Option("-o", None) => {
                    let what = "option requires an argument -- 'o'".to_owned();
                    return Err(wrong(what, Some(BLANKS_IN_OPTION)));
                }
                Argument::Option(letters, _) => {
                    for letter in letters.chars().skip(1) {
                        match letter {
                            'v' => service.verbose = service.verbose.saturating_add(1),
                            'D' => service.debug = true,
                            _ => return Err(wrong(format!("invalid option -- '{letter}'"), None)),
                        }
                    }
                }
                Argument::Word(word) => service.args.push(word.to_owned()),
            }
        }
        Ok(service)
    }
}

impl Service {
    /// `name/type`, by which postconf(1) and `master_service_disable` know it.
    pub fn name_space(&self) -> String {
        format!("{}/{}", self.name, self.kind.name())
    }

    /// What master(8) calls the place where it listens.
    fn endpoint(&self) -> String {
        match self.kind {
            ServiceKind::Inet => self.name.clone(),
            _ if self.private => format!("private/{}", self.name),
            _ => format!("public/{}", self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<MasterCf, MasterError> {
        MasterCf::parse("master.cf", text.as_bytes())
    }

    fn service(text: &str) -> Service {
        let (services, warnings) = parse(text).and_then(|master| master.services(false)).expect(text);
        assert!(warnings.is_empty());
        services.into_iter().next().expect("one service")
    }

    #[test]
    fn fields_and_their_defaults() {
        let found = service("smtp inet n - - - - smtpd");
        assert_eq!((found.name.as_str(), found.kind), ("smtp", ServiceKind::Inet));
        assert_eq!((found.private, found.unpriv, found.chroot), (false, true, false));
        assert_eq!((found.wakeup, found.wakeup_if_used, found.maxproc), (None, false, None));
        let found = service("x unix - n y 1000? 0 pipe");
        assert_eq!((found.private, found.unpriv, found.chroot), (true, false, true));
        assert_eq!(found.wakeup, Some(Duration::from_secs(1000)));
        assert!(found.wakeup_if_used);
        assert_eq!(found.maxproc, Some(0));
    }

    #[test]
    fn arguments() {
        for (arguments, overrides, args) in [
            ("-o a=b -o c=", vec![("a", "b"), ("c", "")], vec![]),
            ("-v -oa=b -vDoc=d x -o y", vec![("a", "b"), ("c", "d")], vec!["x", "-o", "y"]),
            ("-o { a = b c }\n  {}  { x  y }", vec![("a", "b c")], vec!["", "x  y"]),
            ("-o {a={b}}", vec![("a", "{b}")], vec![]),
            ("-- -o a=b", vec![], vec!["-o", "a=b"]),
            ("argv=x -- y", vec![], vec!["argv=x", "--", "y"]),
            (
                "flags=DRhu user=v argv=/bin/x -f ${sender}",
                vec![],
                vec!["flags=DRhu", "user=v", "argv=/bin/x", "-f", "${sender}"],
            ),
        ] {
            let found = service(&format!("x unix - n n - - smtpd {arguments}"));
            let found_overrides: Vec<_> =
                found.overrides.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
            assert_eq!(found_overrides, overrides, "{arguments}");
            assert_eq!(found.args, args, "{arguments}");
        }
    }

    #[test]
    fn broken_entries() {
        for (text, expected) in [
            ("smtp inet n - - - -\n", "file master.cf: line 1: bad field count".to_owned()),
            (
                "smtp inet n - - - - smtpd\n-o a=b\n",
                format!("file master.cf: line 2: bad field count ({UNINDENTED_OPTION})"),
            ),
            (
                "smtp tcp n - - - - smtpd",
                "invalid type field \"tcp\" in \"smtp tcp n - - - - smtpd\"".to_owned(),
            ),
            (
                "smtp inet n - - x - smtpd",
                "invalid wakeup field \"x\" in \"smtp inet n - - x - smtpd\"".to_owned(),
            ),
            (
                "smtp inet - - - - - smtpd",
                "master.cf: line 1: inet service cannot be private (write n in the third field)".to_owned(),
            ),
            (
                "x inet n - - - - smtpd\n -o a = b\n",
                format!(
                    "master.cf: line 1: invalid \"-o a\" option value: missing '=' after attribute name ({BLANKS_IN_OPTION})"
                ),
            ),
            (
                "x unix n - - 99999999999 - smtpd",
                "master.cf: line 1: field \"wakeup_time\": bad value: \"99999999999\"".to_owned(),
            ),
        ] {
            let error = parse(text).and_then(|master| master.services(false)).expect_err(text);
            assert_eq!(error.to_string(), expected, "{text}");
        }
    }

    #[test]
    fn the_last_of_two_counts() {
        let master = parse("a unix n - n - - smtp\nb unix - - - - - smtp\na unix n - n - - lmtp")
            .expect("well formed");
        let (services, warnings) = master.services(false).expect("well formed");
        let programs: Vec<_> = services.iter().map(|service| service.program.as_str()).collect();
        assert_eq!(programs, ["lmtp", "smtp"]);
        assert_eq!(
            warnings,
            ["duplicate master.cf entry for service \"a\" (public/a) -- using the last entry"]
        );
    }

    #[test]
    fn chroot_by_default_is_for_old_compatibility_levels() {
        let (services, _) =
            parse("a unix - - - - - smtp").and_then(|master| master.services(true)).expect("good");
        assert!(services[0].chroot);
    }
}
