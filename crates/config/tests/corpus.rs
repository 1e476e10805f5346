//! postconf(1) on whole configurations: main.cf and master.cf with the answers of the original beside them.
//!
//! The cases in `cases/` are small, and recorded where Postfix 3.7 and 3.12 agree. The environment variable
//! MAILCLAD_CORPUS names a folder of more, of the same form.

use std::fs;
use std::path::{Path, PathBuf};

use config::postconf::{Facilities, Request, run};
use config::{HostFacts, MainCf, MasterCf, Settings};

#[test]
fn answers_equal_the_originals() {
    let mut cases = cases_in(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases"));
    assert!(cases.len() >= 9, "the recorded cases are missing");
    if let Some(corpus) = std::env::var_os("MAILCLAD_CORPUS") {
        let more = cases_in(Path::new(&corpus));
        assert!(!more.is_empty(), "MAILCLAD_CORPUS has no cases");
        cases.extend(more);
    }
    let mut wrong = Vec::new();
    for case in &cases {
        // The originals were made in the folder of the case, so that no path shows in them.
        std::env::set_current_dir(case).expect("a folder");
        for options in recorded(case) {
            check(case, &options, &mut wrong);
        }
        load(case, &mut wrong);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What the original takes for a configuration, each service can be run with.
fn load(case: &Path, wrong: &mut Vec<String>) {
    let (Ok(main), Ok(master)) = (MainCf::read(Path::new("main.cf")), MasterCf::read(Path::new("master.cf")))
    else {
        let broken = fs::read_to_string("postconf-n.err.txt").is_ok_and(|text| text.contains(": fatal: "));
        assert!(broken, "{} can not be read", case.display());
        return;
    };
    let (services, _) = master.services(false).expect("services");
    for service in services {
        let Err(mut errors) = Settings::for_service(&main, &service, &HostFacts::default()) else { continue };
        // A template of a configuration, whose numbers are yet to be filled in.
        errors.0.retain(|error| !error.value.starts_with("PH_"));
        if !errors.0.is_empty() {
            wrong.push(format!("{} {}: {errors}", case.display(), service.name_space()));
        }
    }
}

fn cases_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder of cases");
    let mut cases: Vec<_> = entries.map(|entry| entry.expect("readable").path()).collect();
    cases.retain(|path| path.join("main.cf").is_file());
    cases.sort();
    cases
}

/// The options of which there are answers: `nx` for `postconf-nx.txt`.
fn recorded(case: &Path) -> Vec<String> {
    let names = fs::read_dir(case).expect("a folder").map(|entry| entry.expect("readable").file_name());
    let names = names.filter_map(|name| name.into_string().ok());
    let mut options: Vec<_> = names
        .filter_map(|name| Some(name.strip_prefix("postconf-")?.strip_suffix(".txt")?.to_owned()))
        .filter(|options| !options.contains('.'))
        .collect();
    options.sort();
    assert!(!options.is_empty(), "{} has no answers", case.display());
    options
}

fn check(case: &Path, options: &str, wrong: &mut Vec<String>) {
    let mut letters: Vec<_> = options.chars().map(|letter| (letter, None)).collect();
    letters.push(('c', Some(".".to_owned())));
    let request = Request::new(&letters, Vec::new()).expect("options that exist");
    let report = run(&request, None, &HostFacts::default(), &Facilities::default());
    let mut messages: Vec<_> = report.messages.iter().map(|message| format!("postconf: {message}")).collect();
    messages.sort();

    let read =
        |end: &str| fs::read_to_string(case.join(format!("postconf-{options}.{end}"))).unwrap_or_default();
    let mut expected_messages: Vec<_> = read("err.txt").lines().map(str::to_owned).collect();
    expected_messages.sort();
    let fatal = expected_messages.iter().any(|message| message.contains(": fatal: "));

    let mut differ = |what: &str, found: &str, expected: &str| {
        if found != expected {
            let (line, (ours, theirs)) = first_difference(found, expected);
            let name = case.file_name().unwrap_or_default().display();
            wrong.push(format!(
                "{name} -{options}, {what} line {line}:\n  here     {ours}\n  expected {theirs}"
            ));
        }
    };
    differ("standard output", &report.stdout, &read("txt"));
    differ("standard error", &messages.join("\n"), &expected_messages.join("\n"));
    differ("status", &report.status.to_string(), &u8::from(fatal).to_string());
}

fn first_difference<'t>(found: &'t str, expected: &'t str) -> (usize, (&'t str, &'t str)) {
    let (mut ours, mut theirs) = (found.lines(), expected.lines());
    for line in 1.. {
        match (ours.next(), theirs.next()) {
            (None, None) => break,
            (our, their) if our == their => {}
            (our, their) => return (line, (our.unwrap_or("(nothing)"), their.unwrap_or("(nothing)"))),
        }
    }
    (0, ("(line ends)", "(line ends)"))
}
