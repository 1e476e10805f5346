//! Runs the suite: every configuration on both subjects at the same time, then the comparison.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::case::Configuration;
use crate::steps;
use crate::subject::Subject;
use crate::verdict::{self, Kind, Records};

/// Runs all cases, of which there are at least so many. With CONFORMANCE_CASES in the environment only those that contain that text.
pub(crate) fn run(at_least: usize) {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance_queue");
    let configurations: Vec<Configuration> = verdict::read(&here.join("cases"), at_least);
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
    verdict::judge("queue", here.join("differences.txt"), postfix, mailclad);
}

fn perform(kind: Kind, root: &Path, configuration: &Configuration) -> Records {
    let subject = Subject::start(kind, root, configuration);
    let cases = configuration.cases.iter().enumerate();
    cases.map(|(at, case)| (case.name.clone(), steps::perform(&subject, case, at))).collect()
}
