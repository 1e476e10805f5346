//! Runs a suite: every configuration on both subjects, then the comparison.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::case::{self, Configuration};
use crate::normalise::{self, Names};
use crate::subject::Subject;
use crate::verdict::{self, Kind, Records};
use crate::{client, credentials};

/// Cases of one subject at a time. Most of them wait for a process to start.
const AT_ONCE: usize = 3;

/// Runs the suite of that name, which has at least so many cases. With CONFORMANCE_CASES in the environment only the cases that contain
/// that text.
pub(crate) fn run(name: &str, at_least: usize) {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance");
    let configurations: Vec<Configuration> = verdict::read(&here.join(name), at_least);
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let files = folder(&dir.path().join("files"));
    credentials::write(&files);
    let mut postfix = Records::new();
    let mut mailclad = Records::new();
    for (at, configuration) in configurations.iter().enumerate() {
        let root = |kind: Kind, part: usize| dir.path().join(format!("{}-{at}-{part}", kind.name()));
        std::thread::scope(|scope| {
            let theirs =
                scope.spawn(|| perform(Kind::Postfix, &root(Kind::Postfix, 0), &files, configuration));
            for (part, configuration) in configuration.apart().iter().enumerate() {
                let root = root(Kind::Mailclad, part);
                mailclad.extend(perform(Kind::Mailclad, &root, &files, configuration));
            }
            postfix.extend(theirs.join().unwrap());
        });
    }
    for records in postfix.values_mut() {
        records.iter_mut().for_each(|line| *line = normalise::in_later_words(line));
    }
    verdict::judge(name, here.join("differences").join(format!("{name}.txt")), postfix, mailclad);
}

/// All cases of one start, on one subject.
fn perform(kind: Kind, root: &Path, files: &Path, configuration: &Configuration) -> Records {
    let subject = match Subject::start(kind, root, files, configuration) {
        Ok(subject) => subject,
        Err(said) => {
            // Whoever has cases beside the one that is wrong learns it from them.
            let names = Names::new(root, files, 0);
            let lines: Vec<String> = said.lines().map(|line| normalise::normalise(line, &names)).collect();
            let record = |case: &case::Case| {
                (case.name.clone(), [&["does not start".to_owned()], &lines[..]].concat())
            };
            return configuration.cases.iter().map(record).collect();
        }
    };
    let next = AtomicUsize::new(0);
    let records = Mutex::new(Records::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some((at, case)) = take(&next, &configuration.cases) {
                    let record = client::perform(case, &subject, subject.port(at), files);
                    let names = subject.names(at);
                    let mut lines: Vec<String> =
                        record.lines.iter().map(|line| normalise::normalise(line, &names)).collect();
                    let log = subject.log_of(case, at, record.connections);
                    lines.extend(log.iter().map(|line| format!("log: {line}")));
                    records.lock().unwrap().insert(case.name.clone(), lines);
                }
            });
        }
    });
    records.into_inner().unwrap()
}

fn take<'a, T>(next: &AtomicUsize, all: &'a [T]) -> Option<(usize, &'a T)> {
    let at = next.fetch_add(1, Ordering::Relaxed);
    all.get(at).map(|one| (at, one))
}

fn folder(path: &Path) -> PathBuf {
    std::fs::create_dir(path).unwrap();
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
    path.to_owned()
}
