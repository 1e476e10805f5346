//! What all suites do with what the two subjects showed: leave it where one can look at it, and compare.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::blocks::{self, Configuration, Language};
use crate::compare::{Differences, Pair};

/// Who is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Postfix,
    Mailclad,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Postfix => "postfix",
            Kind::Mailclad => "mailclad",
        }
    }
}

/// What each case showed, in lines.
pub(crate) type Records = BTreeMap<String, Vec<String>>;

/// The cases of a folder, of which there are at least so many. With CONFORMANCE_CASES in the environment only those that contain that text.
pub(crate) fn read<C: Language>(folder: &Path, at_least: usize) -> Vec<Configuration<C>> {
    let mut configurations = blocks::read_folder(folder);
    let count: usize = configurations.iter().map(|one: &Configuration<C>| one.cases.len()).sum();
    assert!(count >= at_least, "only {count} cases");
    if let Some(part) = only() {
        configurations.iter_mut().for_each(|one| one.cases.retain(|case| case.name().contains(&part)));
        configurations.retain(|one| !one.cases.is_empty());
    }
    configurations
}

fn only() -> Option<String> {
    std::env::var("CONFORMANCE_CASES").ok()
}

/// Keeps what both showed in cargo's folder for tests, and compares it. `list` is the file of known differences.
pub(crate) fn judge(suite: &str, list: PathBuf, postfix: Records, mut mailclad: Records) {
    for (kind, records) in [(Kind::Postfix, &postfix), (Kind::Mailclad, &mailclad)] {
        keep(suite, kind, records);
    }
    let deviations = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/deviations.md");
    let mut list = Differences::read(&list, &std::fs::read_to_string(deviations).unwrap());
    let mut wrong = String::new();
    let count = postfix.len();
    for (case, postfix) in postfix {
        let pair = Pair { mailclad: mailclad.remove(&case).unwrap_or_default(), case, postfix };
        let lines = list.unexplained(&pair);
        if !lines.is_empty() {
            wrong.push_str(&format!("case {}\n{}\n\n", pair.case, lines.join("\n")));
        }
    }
    println!("{count} cases; {} listed differences wait for something to be built", list.not_built());
    assert!(wrong.is_empty(), "`-` is Postfix, `+` is us:\n{wrong}");
    if only().is_none() {
        let gone = list.disappeared();
        assert!(gone.is_empty(), "no longer different, take it out of the list:\n{gone}");
    }
}

fn keep(suite: &str, kind: Kind, records: &Records) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("conformance").join(suite).join(kind.name());
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    for (case, lines) in records {
        std::fs::write(folder.join(format!("{case}.txt")), lines.join("\n") + "\n").unwrap();
    }
}
