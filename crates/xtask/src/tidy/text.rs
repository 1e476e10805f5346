//! How a source file begins, how long it is, and what does not stand in it.

use super::source::code;
use super::{Files, Finding};

/// A file beyond this has two subjects.
const LONGEST: usize = 700;

/// Work put off, or a test that does not run. Written so that this file does not contain them.
const UNFINISHED: [(&str, &str); 3] = [
    (concat!("#[", "ignore"), "a test that does not run is no test"),
    (concat!("todo", "!("), "unfinished code does not go in"),
    (concat!("unimplemented", "!("), "unfinished code does not go in"),
];

/// Places that exist on a developer's machine only.
const MACHINES: [&str; 3] = [concat!("/wo", "rk/"), concat!("/ro", "ot/."), concat!("/tm", "p/")];

pub(super) fn check(files: &Files, found: &mut Vec<Finding>) {
    for (path, text) in files.rust() {
        if !text.starts_with("//!") {
            found.push(Finding::new(path, "does not begin with //! lines that say what it is for"));
        }
        let lines = text.lines().count();
        if lines > LONGEST {
            found
                .push(Finding::new(path, format!("has {lines} lines; more than {LONGEST} are two subjects")));
        }
        let code = code(text);
        for (word, why) in UNFINISHED.iter().filter(|(word, _)| code.contains(word)) {
            found.push(Finding::new(path, format!("contains {word}: {why}")));
        }
    }
    for (path, text) in files.all() {
        for (number, line) in text.lines().enumerate() {
            for place in MACHINES.iter().filter(|place| line.contains(*place)) {
                found.push(Finding::new(
                    path,
                    format!("line {}: names {place}, a place on one machine", number + 1),
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_is_found() {
        let long = format!("//! Long.\n{}", "// x\n".repeat(LONGEST));
        let ignored = format!("//! X.\n{}]\nfn f() {{}}\n", UNFINISHED[0].0);
        let put_off = format!("//! X.\nfn f() {{ {}) }}\n", UNFINISHED[1].0);
        let spoken_of = format!("//! X.\n// {})\n", UNFINISHED[1].0);
        let machine = format!("//! X.\nconst P: &str = \"{}x\";\n", MACHINES[0]);
        for (text, expected, reason) in [
            ("//! What it is for.\n", "", "as it should be"),
            ("use x;\n", "does not begin", "no header"),
            (&long, "two subjects", "one line too long"),
            (&ignored, "does not run", "an ignored test"),
            (&put_off, "unfinished", "work put off"),
            (&spoken_of, "", "in a comment it is only a word"),
            (&machine, "line 2", "a machine's path"),
        ] {
            let mut found = Vec::new();
            check(&Files::of(&[("crates/a/src/lib.rs", text)]), &mut found);
            match expected {
                "" => assert_eq!(found, [], "{reason}"),
                text => assert!(found.len() == 1 && found[0].text.contains(text), "{reason}: {found:?}"),
            }
        }
    }
}
