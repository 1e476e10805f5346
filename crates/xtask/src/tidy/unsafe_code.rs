//! Unsafe code stands in the files that ARCHITECTURE.md names under "Unsafe code", and in no other; every crate without
//! such a file forbids it.

use std::path::Path;

use super::source::{code, has_word};
use super::{Files, Finding};

const LIST: &str = "ARCHITECTURE.md";
const HEADING: &str = "## Unsafe code";

pub(super) fn check(files: &Files, found: &mut Vec<Finding>) {
    let named = named(files.text(LIST).unwrap_or_default());
    let has_unsafe = |text: &str| has_word(&code(text), "unsafe");
    for (path, text) in files.rust() {
        if has_unsafe(text) && !named.iter().any(|file| path == Path::new(file)) {
            found.push(Finding::new(path, format!("has unsafe code; {LIST} does not name it")));
        }
    }
    for file in &named {
        if !files.text(file).is_some_and(has_unsafe) {
            found.push(Finding::new(LIST, format!("names {file}, which has no unsafe code")));
        }
    }
    for (name, _) in files.manifests() {
        let folder = format!("crates/{name}/");
        if named.iter().any(|file| file.starts_with(&folder)) {
            continue;
        }
        for root in ["src/lib.rs", "src/main.rs"].map(|root| format!("{folder}{root}")) {
            if files.text(&root).is_some_and(|text| !text.contains("#![forbid(unsafe_code)]")) {
                found.push(Finding::new(root, "does not forbid unsafe code"));
            }
        }
    }
}

/// The first thing between backticks in each item below the heading.
fn named(text: &str) -> Vec<&str> {
    text.lines()
        .skip_while(|line| *line != HEADING)
        .skip(1)
        .take_while(|line| !line.starts_with("## "))
        .filter_map(|line| line.strip_prefix("- `")?.split('`').next())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUSE: &str =
        "# House\n\n## Unsafe code\n\n- `crates/a/src/ffi.rs`: calls C.\n\n## Else\n- `x.rs`\n";

    #[test]
    fn unsafe_code_that_is_not_named_is_found() {
        let calls = "fn f() { unsafe { g() } }";
        for (ffi, other, expected, reason) in [
            (calls, "#![forbid(unsafe_code)]\n// unsafe is a word here\n", "", "as it should be"),
            (calls, "fn f() { unsafe { g() } }\n#![forbid(unsafe_code)]", "does not name it", "not named"),
            ("fn f() {}", "#![forbid(unsafe_code)]", "which has no unsafe code", "named for nothing"),
            (calls, "fn f() {}", "does not forbid", "a crate that leaves it open"),
        ] {
            let files = Files::of(&[
                (LIST, HOUSE),
                ("crates/a/Cargo.toml", ""),
                ("crates/a/src/ffi.rs", ffi),
                ("crates/b/Cargo.toml", ""),
                ("crates/b/src/lib.rs", other),
            ]);
            let mut found = Vec::new();
            check(&files, &mut found);
            match expected {
                "" => assert_eq!(found, [], "{reason}"),
                text => assert!(found.len() == 1 && found[0].text.contains(text), "{reason}: {found:?}"),
            }
        }
    }
}
