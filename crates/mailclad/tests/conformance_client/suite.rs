//! Runs the suite: every configuration on both subjects at the same time, then the comparison.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use crate::case::{Case, Configuration};
use crate::normalise;
use crate::subject::{Subject, folder};
use crate::support::Client;
use crate::verdict::{self, Kind, Records};
use crate::{credentials, support};

/// Runs all cases, of which there are at least so many. With CONFORMANCE_CASES in the environment only those that contain that text.
pub(crate) fn run(at_least: usize) {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance_client");
    let configurations: Vec<Configuration> = verdict::read(&here.join("cases"), at_least);
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let files = folder(&dir.path().join("files"));
    let domains: Vec<String> =
        configurations.iter().flat_map(|one| one.cases.iter().map(Case::domain)).collect();
    credentials::write(&files, &domains);
    let mut postfix = Records::new();
    let mut mailclad = Records::new();
    for (at, configuration) in configurations.iter().enumerate() {
        let root = |kind: Kind| dir.path().join(format!("{}-{at}", kind.name()));
        std::thread::scope(|scope| {
            let theirs = scope.spawn(|| perform(Kind::Postfix, &root(Kind::Postfix), &files, configuration));
            mailclad.extend(perform(Kind::Mailclad, &root(Kind::Mailclad), &files, configuration));
            postfix.extend(theirs.join().unwrap());
        });
    }
    for records in postfix.values_mut() {
        records.iter_mut().for_each(|line| *line = normalise::in_later_words(line));
    }
    verdict::judge("client", here.join("differences.txt"), postfix, mailclad);
}

/// All cases of one start, on one subject.
fn perform(kind: Kind, root: &Path, files: &Path, configuration: &Configuration) -> Records {
    let subject = Subject::start(kind, root, files, configuration);
    let mut client = Client::connect(subject.port());
    client.must("EHLO client.test", "250");
    for case in &configuration.cases {
        submit(&mut client, case);
    }
    for round in 1..=configuration.rounds {
        if round > 1 {
            // It is the age of messages that this round is about.
            std::thread::sleep(Duration::from_millis(2100));
        }
        for (at, case) in configuration.cases.iter().enumerate() {
            // Postfix's queue manager may miss a request while it is busy with another.
            let quick = Case { patience: 3, ..case.clone() };
            let asks = || {
                subject.retry(case);
                subject.wait_for_deliveries(&quick, at, round)
            };
            let _ = match round {
                1 => subject.wait_for_deliveries(case, at, round),
                _ => (0..4).any(|_| asks()),
            };
        }
    }
    let mut records = Records::new();
    for (at, case) in configuration.cases.iter().enumerate() {
        records.insert(case.name.clone(), record(&subject, case, at, configuration.rounds));
    }
    records
}

/// Hands the case's message over.
fn submit(client: &mut Client, case: &Case) {
    client.must(&format!("MAIL FROM:<{}>{}", case.sender(), case.mail_options), "250");
    for recipient in case.recipients() {
        client.must(&format!("RCPT TO:<{recipient}>{}", case.rcpt_options), "250");
    }
    client.must("DATA", "354");
    let usual = "From: from@site.test\\nTo: to@site.test\\nSubject: x\\nDate: Mon, 1 Jan 2024 00:00:00 +0000\\n\
                 Message-Id: <x@site.test>\\n\\ntext";
    let text = support::peer::bytes(case.message.as_deref().unwrap_or(usual));
    client.send_lines(&text);
    client.expect("250");
}

/// What one case showed.
fn record(subject: &Subject, case: &Case, at: usize, rounds: usize) -> Vec<String> {
    let names = subject.names(at);
    let mut lines = Vec::new();
    if !subject.wait_for_deliveries(&Case { patience: 0, ..case.clone() }, at, rounds) {
        lines.push("(no end)".to_owned());
    }
    for (peer, heard) in (1..).zip(subject.heard(at)) {
        let heard = normalise::heard(&heard, &names);
        lines.extend(heard.into_iter().map(|line| format!("peer {peer}: {line}")));
    }
    let log = subject.lines_of(case);
    let log = normalise::sorted(log);
    let wanted = log.iter().filter(|line| !case.only_deliveries || line.contains(", status="));
    lines.extend(wanted.map(|line| format!("log: {}", normalise::log_line(line, &names))));
    lines
}
