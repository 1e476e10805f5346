//! The language of the `.cases` files.
//!
//! ```text
//! # A comment. Settings before the first case are lines of main.cf; files with equal ones share one start.
//! main smtpd_tls_session_cache_timeout = 0
//!
//! # A case is its name, rows of words for `$1`, `$2` ... (each row is a case of its own), settings, and steps.
//! case protocols-$1
//! row only-1.2 | TLSv1.2
//! row no-old   | !SSLv2, !SSLv3
//! set smtpd_tls_security_level = may
//! set smtpd_tls_protocols = $2
//! probe protocols
//! ```
//!
//! `cross a | b | c` in place of rows: each further one multiplies, the first is `$1`.
//!
//! `set` is an override (`-o`) of the case's own service, `cleanup` one of a cleanup service that it then has for itself. `log none`, `log once` and `log all` (the usual) say which lines of the
//! service's log count, `patience N` how many seconds a reply may take. `alone` is for a mistake for which we refuse to start, where Postfix
//! starts and its service ends: the case gets a start of its own on our side. `FILES` stands for the folder of credentials, `ROOT` for the
//! folder of the subject. The steps:
//!
//! | step | does |
//! | --- | --- |
//! | `C: TEXT` | sends a line, reads the reply |
//! | `send TEXT` | sends bytes (`\r`, `\n`, `\xNN`) and reads nothing |
//! | `read` | reads a reply |
//! | `bytes` | reads until the server closes, and shows the bytes |
//! | `connect` | begins another connection, after a QUIT |
//! | `tls HELLO` | EHLO if there was none, STARTTLS, a handshake |
//! | `handshake HELLO` | a handshake alone: behind `send`, or the first step in wrapper mode |
//! | `data TEXT` | DATA, then this content (escapes as with `send`; CASE is the case's name) and its end |
//! | `delivered N` | waits for N messages with `X-Case: CASE` in their header; shows them without Received: |
//! | `drop` | hangs up without a word |
//! | `mail` | a message; shows its Received: header as it was delivered |
//! | `probe WHAT HELLO` | probe.rs: many handshakes of one question |
//! | `s_client WHAT ARGUMENTS` | what openssl s_client shows |
//!
//! HELLO is described in handshake.rs.

use std::collections::BTreeSet;
use std::path::Path;

/// The cases that one start of a subject serves.
#[derive(Clone, Debug, Default)]
pub(crate) struct Configuration {
    /// Lines of main.cf behind the common ones.
    pub(crate) main: Vec<String>,
    pub(crate) cases: Vec<Case>,
}

/// One case.
#[derive(Clone, Debug, Default)]
pub(crate) struct Case {
    pub(crate) name: String,
    /// `(name, value)` of `-o`.
    pub(crate) overrides: Vec<(String, String)>,
    /// The same for its cleanup service; none: that of all.
    pub(crate) cleanup: Vec<(String, String)>,
    pub(crate) log: Log,
    /// A mistake that keeps the whole of our system from starting.
    pub(crate) alone: bool,
    /// How long a reply may take, in seconds.
    pub(crate) patience: u64,
    pub(crate) steps: Vec<Step>,
}

/// Which log lines of the service are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Log {
    None,
    /// Each kind of line once, in the order of their first appearance; a dump is one kind.
    Once,
    #[default]
    All,
}

/// One step: its word and the rest of the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) word: String,
    pub(crate) rest: String,
}

const STEPS: &[&str] = &[
    "C:",
    "send",
    "read",
    "bytes",
    "connect",
    "tls",
    "handshake",
    "mail",
    "data",
    "delivered",
    "drop",
    "probe",
    "s_client",
];

/// Reads every `.cases` file of a folder.
pub(crate) fn read_folder(folder: &Path) -> Vec<Configuration> {
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let mut configurations: Vec<Configuration> = Vec::new();
    let mut names = BTreeSet::new();
    for path in paths.iter().filter(|path| path.extension().is_some_and(|e| e == "cases")) {
        let text = std::fs::read_to_string(path).unwrap();
        let read = parse(&text).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
        for case in &read.cases {
            assert!(names.insert(case.name.clone()), "{}: a second {}", path.display(), case.name);
        }
        match configurations.iter_mut().find(|one| one.main == read.main) {
            Some(same) => same.cases.extend(read.cases),
            None => configurations.push(read),
        }
    }
    configurations
}

impl Configuration {
    /// This without the cases that stand alone, and one for each of those.
    pub(crate) fn apart(&self) -> Vec<Configuration> {
        let with = |cases: Vec<Case>| Configuration { main: self.main.clone(), cases };
        let (alone, together): (Vec<Case>, Vec<Case>) =
            self.cases.iter().cloned().partition(|case| case.alone);
        let mut all: Vec<Configuration> = alone.into_iter().map(|case| with(vec![case])).collect();
        if !together.is_empty() {
            all.push(with(together));
        }
        all
    }
}

fn parse(text: &str) -> Result<Configuration, String> {
    let mut result = Configuration::default();
    let mut blocks: Vec<Block> = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (word, rest) = split(line);
        let wrong = |why: &str| Err(format!("line {}: {why}: {line}", at + 1));
        match (word, blocks.last_mut()) {
            ("main", None) => result.main.push(rest.to_owned()),
            ("case", _) => blocks.push(Block { name: rest.to_owned(), ..Block::default() }),
            ("row", Some(block)) => block.rows.push(cells(rest)),
            ("cross", Some(block)) => block.cross(&cells(rest)),
            (_, Some(block)) => block.lines.push(line.to_owned()),
            _ => return wrong("there is no case yet"),
        }
    }
    for block in blocks {
        block.expand(&mut result.cases)?;
    }
    Ok(result)
}

fn cells(text: &str) -> Vec<String> {
    text.split('|').map(|cell| cell.trim().to_owned()).collect()
}

fn split(line: &str) -> (&str, &str) {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    (word, rest.trim())
}

/// A case before its rows are put in.
#[derive(Default)]
struct Block {
    name: String,
    rows: Vec<Vec<String>>,
    lines: Vec<String>,
}

impl Block {
    /// Every row there is, with each of these behind it.
    fn cross(&mut self, cells: &[String]) {
        let rows = match std::mem::take(&mut self.rows) {
            rows if rows.is_empty() => vec![Vec::new()],
            rows => rows,
        };
        let with = |row: &Vec<String>, cell: &String| [&row[..], std::slice::from_ref(cell)].concat();
        self.rows = rows.iter().flat_map(|row| cells.iter().map(move |cell| with(row, cell))).collect();
    }

    fn expand(mut self, cases: &mut Vec<Case>) -> Result<(), String> {
        if self.rows.is_empty() {
            self.rows.push(Vec::new());
        }
        for row in &self.rows {
            let put = |text: &str| {
                let cells = row.iter().enumerate();
                cells.fold(text.to_owned(), |text, (at, cell)| text.replace(&format!("${}", at + 1), cell))
            };
            let mut case = Case { name: put(&self.name), patience: 10, ..Case::default() };
            for line in self.lines.iter().map(|line| put(line)).filter(|line| !line.is_empty()) {
                let (word, rest) = split(&line);
                case.add(word, rest).map_err(|why| format!("{}: {why}", case.name))?;
            }
            cases.push(case);
        }
        Ok(())
    }
}

impl Case {
    fn add(&mut self, word: &str, rest: &str) -> Result<(), String> {
        match word {
            "set" | "cleanup" => {
                let (name, value) = rest.split_once('=').ok_or("NAME = VALUE")?;
                let setting = (name.trim().to_owned(), value.trim().to_owned());
                if word == "set" { self.overrides.push(setting) } else { self.cleanup.push(setting) }
            }
            "log" => {
                self.log = match rest {
                    "none" => Log::None,
                    "once" => Log::Once,
                    "all" => Log::All,
                    _ => return Err(format!("log {rest}?")),
                }
            }
            "alone" => self.alone = true,
            "patience" => self.patience = rest.parse().map_err(|_| "patience SECONDS")?,
            word if STEPS.contains(&word) => {
                self.steps.push(Step { word: word.to_owned(), rest: rest.to_owned() });
            }
            word => return Err(format!("unknown word {word}")),
        }
        Ok(())
    }
}

#[test]
fn rows_make_cases() {
    let text = "main a = b\ncase x-$1\nrow one | first, list\nrow two |\nset p = $2\nlog none\nC: EHLO $1\n";
    let read = parse(text).unwrap();
    assert_eq!(read.main, ["a = b"]);
    let names: Vec<&str> = read.cases.iter().map(|case| &*case.name).collect();
    assert_eq!(names, ["x-one", "x-two"]);
    assert_eq!(read.cases[0].overrides, [("p".to_owned(), "first, list".to_owned())]);
    assert_eq!(read.cases[1].overrides, [("p".to_owned(), String::new())]);
    assert_eq!(read.cases[1].steps, [Step { word: "C:".into(), rest: "EHLO two".into() }]);
    let crossed = parse("case $1-$2\ncross a | b\ncross x | y\n").unwrap();
    let names: Vec<&str> = crossed.cases.iter().map(|case| &*case.name).collect();
    assert_eq!(names, ["a-x", "a-y", "b-x", "b-y"]);
    for bad in ["C: x", "case a\nfrobnicate", "case a\nset x", "case a\nlog some"] {
        assert!(parse(bad).is_err(), "{bad}");
    }
}
