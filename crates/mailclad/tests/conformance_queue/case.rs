//! The language of the `.cases` files.
//!
//! ```text
//! # Lines of main.cf for all cases of the file; files with equal ones share a start.
//! main delay_warning_time = 1s
//!
//! # A case is its name, rows of words for `$1`, `$2`... (each row is a case of its own), and lines:
//! case exit-$1
//! row 67 | nobody
//! row 75 | later
//! service pipe user=joe argv=/bin/sh -c {exit $1}
//! send $2
//! notices 1
//! ```
//!
//! What there is:
//!
//! | line | says |
//! | --- | --- |
//! | `service PROGRAM ARGUMENTS` | the case's delivery service; `local` when it is left out |
//! | `set NAME = VALUE` | an override of that service |
//! | `way TEXT` | where the case's domain goes, in place of its service: a value of transport(5) |
//! | `alias NAME VALUE` | an entry of the service's alias_maps |
//! | `table NAME TEXT` | a line of the file that settings call `TABLE/NAME` |
//! | `file MODE OWNER PATH TEXT` | a file below HOME; a path that ends in `/` is a folder |
//! | `peer LINE` | a line of the script (support/peer.rs) of the server at PEER |
//! | `nolog` | only delivery lines of the log are compared |
//!
//! What is done, in order:
//!
//! | line | does |
//! | --- | --- |
//! | `from ADDRESS`, `mail OPTIONS`, `rcpt OPTIONS`, `message TEXT` | what the next `send` sends (`\n` and `\xNN` in the text) |
//! | `send ADDRESS ...` | hands a message in by SMTP; addresses without a domain are the case's |
//! | `talk LINE \| LINE` | says these lines in a session of their own, behind EHLO, and quits |
//! | `wait N` | until N deliveries in all were logged; at the end of a case the number of recipients, if it has no `wait` |
//! | `notices N` | until the sender has N messages; shows them |
//! | `later SECONDS` | lets messages age |
//! | `flush` | has everything tried again |
//! | `run COMMAND` | shows output and exit status; ID1, ID2... are the messages of the case |
//! | `show PATH` | a file below HOME, or the messages of a Maildir |
//!
//! HOME is a folder for the case alone, ROOT that of the subject, DOMAIN the case's domain. The users joe and ann have their homes in
//! `HOME/joe` and so on as far as settings of the service say so; passwd(5) says `ROOT/home/joe`.

use crate::blocks::{self, Language, setting, split};
use crate::support::peer::Script;

/// The cases that one start serves.
pub(crate) type Configuration = blocks::Configuration<Case>;

/// One case.
#[derive(Clone, Debug, Default)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) service: Option<String>,
    pub(crate) overrides: Vec<(String, String)>,
    pub(crate) way: Option<String>,
    pub(crate) aliases: Vec<String>,
    /// Name of a table and a line of it.
    pub(crate) tables: Vec<(String, String)>,
    pub(crate) files: Vec<File>,
    pub(crate) peer: Option<Vec<String>>,
    pub(crate) only_deliveries: bool,
    pub(crate) steps: Vec<Step>,
}

/// A file that is there before the case begins.
#[derive(Clone, Debug, Default)]
pub(crate) struct File {
    pub(crate) mode: u32,
    pub(crate) owner: String,
    pub(crate) path: String,
    pub(crate) text: String,
}

/// One step: its word and the rest of the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) word: String,
    pub(crate) rest: String,
}

const STEPS: &[&str] =
    &["from", "mail", "rcpt", "message", "send", "talk", "wait", "notices", "later", "flush", "run", "show"];

impl Case {
    /// The domain that is the case's own.
    pub(crate) fn domain(&self) -> String {
        format!("{}.test", self.name)
    }

    /// Who sends, when nothing else is said: an address whose mail is kept.
    pub(crate) fn sender(&self) -> String {
        format!("sender@{}.back.test", self.name)
    }
}

impl Language for Case {
    fn named(name: String) -> Case {
        Case { name, ..Case::default() }
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn add(&mut self, word: &str, rest: &str) -> Result<(), String> {
        match word {
            "set" => self.overrides.push(setting(rest)?),
            "service" => self.service = Some(rest.to_owned()),
            "way" => self.way = Some(rest.to_owned()),
            "alias" => self.aliases.push(rest.to_owned()),
            "table" => {
                let (name, text) = split(rest);
                self.tables.push((name.to_owned(), text.to_owned()));
            }
            "file" => self.files.push(File::parse(rest).ok_or("file MODE OWNER PATH TEXT")?),
            "peer" => {
                Script::default().add(rest)?;
                self.peer.get_or_insert_default().push(rest.to_owned());
            }
            "nolog" => self.only_deliveries = true,
            word if STEPS.contains(&word) => {
                self.steps.push(Step { word: word.to_owned(), rest: rest.to_owned() });
            }
            word => return Err(format!("unknown word {word}")),
        }
        Ok(())
    }
}

impl File {
    fn parse(text: &str) -> Option<File> {
        let mut words = text.splitn(4, ' ');
        Some(File {
            mode: u32::from_str_radix(words.next()?, 8).ok()?,
            owner: words.next()?.to_owned(),
            path: words.next()?.to_owned(),
            text: words.next().unwrap_or_default().to_owned(),
        })
    }
}

#[test]
fn rows_make_cases() {
    let text = "main a = b\ncase x-$1\nrow one | may\nrow two | none\nset level = $2\nfile 644 joe a/b c d\nsend to\nwait 2\n";
    let read: Configuration = blocks::parse(text).unwrap();
    assert_eq!(read.main, ["a = b"]);
    let names: Vec<&str> = read.cases.iter().map(|case| &*case.name).collect();
    assert_eq!(names, ["x-one", "x-two"]);
    assert_eq!(read.cases[1].overrides, [("level".to_owned(), "none".to_owned())]);
    let file = &read.cases[0].files[0];
    assert_eq!((file.mode, &*file.owner, &*file.path, &*file.text), (0o644, "joe", "a/b", "c d"));
    assert_eq!(read.cases[0].steps[1], Step { word: "wait".into(), rest: "2".into() });
    for bad in ["set x", "case a\nfrobnicate", "case a\nset x", "case a\npeer x", "case a\nfile 9 joe x"] {
        assert!(blocks::parse::<Case>(bad).is_err(), "{bad}");
    }
}
