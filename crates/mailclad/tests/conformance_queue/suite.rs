//! Runs the suite: every configuration on both subjects at the same time, then the comparison.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::case::{self, Configuration};
use crate::compare::{Differences, Pair};
use crate::steps;
use crate::subject::{Kind, Subject};

type Records = BTreeMap<String, Vec<String>>;

/// Runs all cases, of which there are at least so many. With CONFORMANCE_CASES in the environment only those that contain that text.
pub(crate) fn run(at_least: usize) {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance_queue");
    let mut configurations = case::read_folder(&here.join("cases"));
    let count: usize = configurations.iter().map(|one| one.cases.len()).sum();
    assert!(count >= at_least, "only {count} cases");
    let only = std::env::var("CONFORMANCE_CASES").ok();
    if let Some(part) = &only {
        configurations.iter_mut().for_each(|one| one.cases.retain(|case| case.name.contains(part)));
        configurations.retain(|one| !one.cases.is_empty());
    }
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let (mut postfix, mut mailclad) = (Records::new(), Records::new());
    for (at, configuration) in configurations.iter().enumerate() {
        let root = |kind: Kind| dir.path().join(format!("{}-{at}", kind.name()));
        std::thread::scope(|scope| {
            let theirs = scope.spawn(|| perform(Kind::Postfix, &root(Kind::Postfix), configuration));
            mailclad.extend(perform(Kind::Mailclad, &root(Kind::Mailclad), configuration));
            postfix.extend(theirs.join().unwrap());
        });
    }
    keep(&[(Kind::Postfix, &postfix), (Kind::Mailclad, &mailclad)]);
    judge(&here.join("differences.txt"), postfix, mailclad, only.is_some());
}

fn perform(kind: Kind, root: &Path, configuration: &Configuration) -> Records {
    let subject = Subject::start(kind, root, configuration);
    let cases = configuration.cases.iter().enumerate();
    cases.map(|(at, case)| (case.name.clone(), steps::perform(&subject, case, at))).collect()
}

fn judge(list: &Path, postfix: Records, mut mailclad: Records, only_some: bool) {
    let deviations = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/deviations.md");
    let mut list = Differences::read(list, &std::fs::read_to_string(deviations).unwrap());
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
    if !only_some {
        let gone = list.disappeared();
        assert!(gone.is_empty(), "no longer different, take it out of the list:\n{gone}");
    }
}

/// Leaves what each side showed where one can look at it.
fn keep(sides: &[(Kind, &Records)]) {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("conformance/queue");
    for (kind, records) in sides {
        let folder = home.join(kind.name());
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        for (case, lines) in *records {
            std::fs::write(folder.join(format!("{case}.txt")), lines.join("\n") + "\n").unwrap();
        }
    }
}
