//! The words of the `.cases` files; blocks.rs describes the frame: settings, cases, rows.
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

use crate::blocks::{self, Language, setting};

/// The cases that one start of a subject serves.
pub(crate) type Configuration = blocks::Configuration<Case>;

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

impl Configuration {
    /// This without the cases that stand alone, and one for each of those.
    pub(crate) fn apart(&self) -> Vec<Configuration> {
        let with = |cases: Vec<Case>| Configuration { main: self.main.clone(), rounds: self.rounds, cases };
        let (alone, together): (Vec<Case>, Vec<Case>) =
            self.cases.iter().cloned().partition(|case| case.alone);
        let mut all: Vec<Configuration> = alone.into_iter().map(|case| with(vec![case])).collect();
        if !together.is_empty() {
            all.push(with(together));
        }
        all
    }
}

impl Language for Case {
    fn named(name: String) -> Case {
        Case { name, patience: 10, ..Case::default() }
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn add(&mut self, word: &str, rest: &str) -> Result<(), String> {
        match word {
            "set" | "cleanup" => {
                let setting = setting(rest)?;
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
    let read: Configuration = blocks::parse(text).unwrap();
    assert_eq!(read.main, ["a = b"]);
    let names: Vec<&str> = read.cases.iter().map(|case| &*case.name).collect();
    assert_eq!(names, ["x-one", "x-two"]);
    assert_eq!(read.cases[0].overrides, [("p".to_owned(), "first, list".to_owned())]);
    assert_eq!(read.cases[1].overrides, [("p".to_owned(), String::new())]);
    assert_eq!(read.cases[1].steps, [Step { word: "C:".into(), rest: "EHLO two".into() }]);
    let crossed: Configuration = blocks::parse("case $1-$2\ncross a | b\ncross x | y\n").unwrap();
    let names: Vec<&str> = crossed.cases.iter().map(|case| &*case.name).collect();
    assert_eq!(names, ["a-x", "a-y", "b-x", "b-y"]);
    for bad in ["C: x", "case a\nfrobnicate", "case a\nset x", "case a\nlog some"] {
        assert!(blocks::parse::<Case>(bad).is_err(), "{bad}");
    }
}
