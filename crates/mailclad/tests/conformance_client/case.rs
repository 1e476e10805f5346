//! The words of the `.cases` files; blocks.rs describes the frame: settings, rounds, cases, rows.
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

use crate::blocks::{self, Language, setting, split};
use crate::real_peer::{self, RealPeer};
use crate::support::peer::Script;

/// The cases that one start serves.
pub(crate) type Configuration = blocks::Configuration<Case>;

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
}

impl Language for Case {
    const HAS_ROUNDS: bool = true;

    fn named(name: String) -> Case {
        Case { name, patience: 20, peers: [Some(Vec::new()), None], ..Case::default() }
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn add(&mut self, word: &str, rest: &str) -> Result<(), String> {
        let words = || rest.split_whitespace().map(str::to_owned);
        match word {
            "set" => self.overrides.push(setting(rest)?),
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

#[test]
fn rows_make_cases() {
    let text = "main a = b\ncase x-$1\nrow one | may\nrow two | none\nset level = $2\npeer on MAIL close\nto a b@c.test\n";
    let read: Configuration = blocks::parse(text).unwrap();
    assert_eq!((read.main, read.rounds), (vec!["a = b".to_owned()], 1));
    let names: Vec<&str> = read.cases.iter().map(|case| &*case.name).collect();
    assert_eq!(names, ["x-one", "x-two"]);
    assert_eq!(read.cases[1].overrides, [("level".to_owned(), "none".to_owned())]);
    assert_eq!(read.cases[0].recipients(), ["a@x-one.test", "b@c.test"]);
    for bad in ["set x", "case a\nfrobnicate", "case a\nset x", "case a\npeer x"] {
        assert!(blocks::parse::<Case>(bad).is_err(), "{bad}");
    }
}
