//! No parameter that is said to work and read by nobody.

use std::collections::HashSet;

use super::source::code;
use super::{Files, Finding};

/// Where parameters are declared.
const REGISTRY: &str = "crates/config/src/params/";

/// Read by no code of ours, and right so.
const VALUES_ONLY: [(&str, &str); 2] = [
    ("mail_release_date", "there for main.cf to use in other values"),
    ("mail_version", "there for main.cf to use in other values"),
];

pub(super) fn check(files: &Files, found: &mut Vec<Finding>) {
    let is_registry = |path: &std::path::Path| path.starts_with(REGISTRY);
    let mut read: HashSet<String> = HashSet::new();
    for (path, text) in files.rust().filter(|(path, _)| !is_registry(path)) {
        // The configuration language itself knows some by their name as text.
        let text = if path.starts_with("crates/config/src") { text } else { &code(text) };
        if path.iter().any(|part| part == "src") {
            read.extend(words(text).map(str::to_owned));
        }
    }
    // Some are there to be the default of others.
    for (_, text) in files.rust().filter(|(path, _)| is_registry(path)) {
        let named = text.split('$').skip(1).filter_map(|rest| words(rest.trim_start_matches('{')).next());
        read.extend(named.map(str::to_owned));
    }
    for (path, text) in files.rust().filter(|(path, _)| is_registry(path)) {
        for name in text.lines().filter_map(working) {
            let is_read = spellings(name).iter().any(|spelling| read.contains(spelling))
                || VALUES_ONLY.iter().any(|(known, _)| *known == name);
            if !is_read {
                found.push(Finding::new(path, format!("{name} is said to work, and nothing reads it")));
            }
        }
    }
}

/// The name in `    name: Type = "default", Works;`.
fn working(line: &str) -> Option<&str> {
    let (name, rest) = line.strip_prefix("    ")?.split_once(':')?;
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    (is_name && rest.trim_end().ends_with(" Works;")).then_some(name)
}

/// How code names a parameter: itself, the smtp_ parameter whose mirror it is, or the default of the family that it
/// belongs to.
fn spellings(name: &str) -> Vec<String> {
    let mut spellings = vec![name.to_owned()];
    if let Some(rest) = name.strip_prefix("lmtp_") {
        // HELO and EHLO are LHLO there.
        spellings.extend(
            [rest.to_owned(), rest.replace("lhlo", "helo"), rest.replace("lhlo", "ehlo")]
                .map(|rest| format!("smtp_{rest}")),
        );
    }
    if let Some(at) = name.find("_destination_") {
        spellings.push(format!("default{}", &name[at..]));
    }
    spellings
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_reads_is_found() {
        let files = Files::of(&[
            (
                "crates/config/src/params/x.rs",
                "params! {\n    read_here: Bool = \"no\", Works;\n    lmtp_mirror: Bool = \"no\", Works;\n    \
                 dead: Int(min: 1) = \"1\", Works;\n    later: Int = \"1\", Accepted(\"not here\");\n    \
                 a_destination_limit: Int = \"1\", Works;\n}\n",
            ),
            (
                "crates/a/src/lib.rs",
                "// dead\nfn f() { get(params::read_here, smtp_mirror, default_destination_limit) }\n",
            ),
            ("crates/a/tests/t.rs", "fn f() { dead }\n"),
        ]);
        let mut found = Vec::new();
        check(&files, &mut found);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].text.starts_with("dead is said to work"), "{found:?}");
    }
}
