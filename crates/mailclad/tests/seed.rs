//! docs/seed-tests.md: every number of the guides stands there once, and every test that it names exists.
#![allow(clippy::unwrap_used)] // a test has no other way out

#[allow(dead_code)]
#[path = "conformance/blocks.rs"]
mod blocks;
#[allow(dead_code)] // the suite itself uses the rest
#[path = "conformance/case.rs"]
mod case;
#[allow(dead_code)]
#[path = "conformance_client/case.rs"]
mod client_case;
#[allow(dead_code)]
#[path = "conformance_client/real_peer.rs"]
mod real_peer;
mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// How many things each guide asks for.
const GUIDES: [usize; 5] = [61, 50, 131, 59, 53];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn page() -> String {
    std::fs::read_to_string(root().join("docs/seed-tests.md")).unwrap()
}

#[test]
fn every_number_stands_once() {
    let mut count: BTreeMap<String, usize> = BTreeMap::new();
    for line in page().lines().skip_while(|line| !line.starts_with("## ")) {
        for word in line.split_whitespace().filter(|word| is_number(word)) {
            *count.entry(word.to_owned()).or_default() += 1;
        }
    }
    let numbers = GUIDES.iter().enumerate();
    for name in numbers.flat_map(|(at, last)| (1..=*last).map(move |n| format!("G{}-{n:02}", at + 1))) {
        assert_eq!(count.remove(&name), Some(1), "{name}");
    }
    assert_eq!(count, BTreeMap::new(), "no guide has these");
}

fn is_number(word: &str) -> bool {
    let parts = word.strip_prefix('G').and_then(|rest| rest.split_once('-'));
    parts.is_some_and(|(guide, item)| guide.parse::<u8>().is_ok() && item.parse::<u16>().is_ok())
}

#[test]
fn every_test_exists() {
    let suite = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/server_tls");
    let mut cases: Vec<String> = blocks::read_folder::<case::Case>(&suite)
        .into_iter()
        .flat_map(|one| one.cases)
        .map(|case| case.name)
        .collect();
    let suite = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance_client/cases");
    cases.extend(
        blocks::read_folder::<client_case::Case>(&suite)
            .into_iter()
            .flat_map(|one| one.cases)
            .map(|case| case.name),
    );
    let mut sources = String::new();
    read_sources(&root().join("crates"), &mut sources);
    let page = page();
    let rows = page.lines().filter(|line| line.starts_with("| G"));
    for tests in rows.filter_map(|row| row.trim_end_matches([' ', '|']).split(" | ").nth(2)) {
        // What is between backticks: every second piece.
        for name in tests.split('`').skip(1).step_by(2) {
            let exists = match name.strip_suffix('*') {
                Some(start) => cases.iter().any(|case| case.starts_with(start)),
                None => cases.iter().any(|case| case == name) || sources.contains(&format!("fn {name}()")),
            };
            assert!(exists, "there is no test {name}");
        }
    }
}

fn read_sources(folder: &Path, text: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_sources(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
}
