//! The language of the `.cases` files.
//!
//! ```text
//! # Lines of main.cf for all cases of the file; files with equal ones share a start. `rounds 2` lets the queue be flushed once.
//! main smtp_tls_loglevel = 1
//! rounds 2
//!
//! # A case is its name, rows of words for `$1`, `$2`... (each row is a case of its own), and lines:
//! case level-$1
//! row may     | sent
//! row encrypt | deferred
//! set smtp_tls_security_level = $1
//! peer on STARTTLS 454 4.7.0 not today
//! ```
//!
//! | line | says |
//! | --- | --- |
//! | `set NAME = VALUE` | an override of the case's service |
//! | `lmtp` | the service is lmtp(8) |
//! | `peer LINE` | a line of the first server's script (support/peer.rs); `peer2` for the second mail exchanger |
//! | `server KIND PEM` | a real server at the first server's address (real_peer.rs) |
//! | `option TEXT` | a line of its configuration |
//! | `nopeer` | nobody listens at the first server's address |
//! | `dns NAME ...` | a record instead of the usual ones; `@` is the domain of the case, `mx.@` and `mx2.@` its servers, `IP1` and `IP2` their addresses |
//! | `next TEXT` | the next hop, when it is not the domain |
//! | `table NAME TEXT` | a line of the file that cases name as `TABLE/NAME` |
//! | `from ADDRESS`, `to ADDRESS ...` | the envelope; without a domain they are at the case's |
//! | `mail OPTIONS`, `rcpt OPTIONS` | behind MAIL FROM and RCPT TO |
//! | `message TEXT` | the whole message; `\n` and `\xNN` |
//! | `patience N` | how many seconds it may take |
//! | `nolog` | the log is not compared, but for the delivery lines |

use std::collections::BTreeSet;
use std::path::Path;

use crate::real_peer::{self, RealPeer};
use crate::support::peer::Script;

/// The cases that one start serves.
#[derive(Clone, Debug, Default)]
pub(crate) struct Configuration {
    pub(crate) main: Vec<String>,
    pub(crate) rounds: usize,
    pub(crate) cases: Vec<Case>,
}

/// One case.
#[derive(Clone, Debug, Default)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) overrides: Vec<(String, String)>,
    pub(crate) lmtp: bool,
    /// Lines of the scripts of the two servers; nothing for one that does not listen.
    pub(crate) peers: [Option<Vec<String>>; 2],
    /// In the place of the first.
    pub(crate) real: Option<RealPeer>,
    pub(crate) dns: Vec<String>,
    pub(crate) next_hop: Option<String>,
    /// Name of a table and a line of it.
    pub(crate) tables: Vec<(String, String)>,
    pub(crate) from: Option<String>,
    pub(crate) to: Vec<String>,
    pub(crate) mail_options: String,
    pub(crate) rcpt_options: String,
    pub(crate) message: Option<String>,
    pub(crate) patience: u64,
    pub(crate) only_deliveries: bool,
}

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
        match configurations.iter_mut().find(|one| one.main == read.main && one.rounds == read.rounds) {
            Some(same) => same.cases.extend(read.cases),
            None => configurations.push(read),
        }
    }
    configurations
}

impl Case {
    /// The domain that is the case's own.
    pub(crate) fn domain(&self) -> String {
        format!("{}.test", self.name)
    }

    /// The recipients, with their domain.
    pub(crate) fn recipients(&self) -> Vec<String> {
        match self.to.is_empty() {
            true => vec![self.address("to")],
            false => self.to.iter().map(|to| self.address(to)).collect(),
        }
    }

    pub(crate) fn sender(&self) -> String {
        self.from
            .as_ref()
            .map_or_else(|| "from@site.test".to_owned(), |from| from.trim_matches(['<', '>']).to_owned())
    }

    fn address(&self, text: &str) -> String {
        match text.contains('@') {
            true => text.to_owned(),
            false => format!("{text}@{}", self.domain()),
        }
    }

    fn add(&mut self, line: &str) -> Result<(), String> {
        let (word, rest) = split(line);
        let words = || rest.split_whitespace().map(str::to_owned);
        match word {
            "set" => {
                let (name, value) = rest.split_once('=').ok_or("set NAME = VALUE")?;
                self.overrides.push((name.trim().to_owned(), value.trim().to_owned()));
            }
            "lmtp" => self.lmtp = true,
            "peer" | "peer2" => {
                Script::default().add(rest)?;
                let at = usize::from(word == "peer2");
                self.peers[at].get_or_insert_default().push(rest.to_owned());
            }
            "server" => {
                let (kind, pem) = split(rest);
                let kind = real_peer::Kind::named(kind).ok_or("server exim, postfix or s_server")?;
                self.peers[0] = None;
                self.real = Some(RealPeer { kind, pem: pem.to_owned(), options: Vec::new() });
            }
            "option" => self.real.as_mut().ok_or("server first")?.options.push(rest.to_owned()),
            "nopeer" => self.peers[0] = None,
            "dns" => self.dns.push(rest.to_owned()),
            "next" => self.next_hop = Some(rest.to_owned()),
            "table" => {
                let (name, text) = split(rest);
                self.tables.push((name.to_owned(), text.to_owned()));
            }
            "from" => self.from = Some(rest.to_owned()),
            "to" => self.to.extend(words()),
            "mail" => self.mail_options = format!(" {rest}"),
            "rcpt" => self.rcpt_options = format!(" {rest}"),
            "message" => self.message = Some(rest.to_owned()),
            "patience" => self.patience = rest.parse().map_err(|_| "patience SECONDS")?,
            "nolog" => self.only_deliveries = true,
            word => return Err(format!("unknown word {word}")),
        }
        Ok(())
    }
}

fn parse(text: &str) -> Result<Configuration, String> {
    let mut result = Configuration { rounds: 1, ..Configuration::default() };
    let mut blocks: Vec<Block> = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (word, rest) = split(line);
        match (word, blocks.last_mut()) {
            ("main", None) => result.main.push(rest.to_owned()),
            ("rounds", None) => result.rounds = rest.parse().map_err(|_| "rounds N".to_owned())?,
            ("case", _) => blocks.push(Block { name: rest.to_owned(), ..Block::default() }),
            ("row", Some(block)) => {
                block.rows.push(rest.split('|').map(|cell| cell.trim().to_owned()).collect());
            }
            (_, Some(block)) => block.lines.push(line.to_owned()),
            _ => return Err(format!("line {}: there is no case yet: {line}", at + 1)),
        }
    }
    for block in blocks {
        block.expand(&mut result.cases)?;
    }
    Ok(result)
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
    fn expand(mut self, cases: &mut Vec<Case>) -> Result<(), String> {
        if self.rows.is_empty() {
            self.rows.push(Vec::new());
        }
        for row in &self.rows {
            let put = |text: &str| {
                let cells = row.iter().enumerate();
                cells.fold(text.to_owned(), |text, (at, cell)| text.replace(&format!("${}", at + 1), cell))
            };
            let mut case = Case {
                name: put(&self.name),
                patience: 20,
                peers: [Some(Vec::new()), None],
                ..Case::default()
            };
            for line in self.lines.iter().map(|line| put(line)).filter(|line| !line.is_empty()) {
                case.add(&line).map_err(|why| format!("{}: {why}", case.name))?;
            }
            cases.push(case);
        }
        Ok(())
    }
}

#[test]
fn rows_make_cases() {
    let text = "main a = b\ncase x-$1\nrow one | may\nrow two | none\nset level = $2\npeer on MAIL close\nto a b@c.test\n";
    let read = parse(text).unwrap();
    assert_eq!((read.main, read.rounds), (vec!["a = b".to_owned()], 1));
    let names: Vec<&str> = read.cases.iter().map(|case| &*case.name).collect();
    assert_eq!(names, ["x-one", "x-two"]);
    assert_eq!(read.cases[1].overrides, [("level".to_owned(), "none".to_owned())]);
    assert_eq!(read.cases[0].recipients(), ["a@x-one.test", "b@c.test"]);
    for bad in ["set x", "case a\nfrobnicate", "case a\nset x", "case a\npeer x"] {
        assert!(parse(bad).is_err(), "{bad}");
    }
}
