//! Two records of one case, and the list of differences that are known.
//!
//! An entry of the list names cases (`*` stands for anything), says why, and gives lines: `-` only Postfix shows it, `+` only we do.
//! The reason is `deviation` with the first words of a row of docs/deviations.md, `3.12` where the release that the distribution has is
//! older than the one that we follow, or `not built`. A line that no entry explains is an error, and so is an entry's line
//! that no case shows any more.

use std::fmt::Write as _;
use std::path::Path;

/// A known difference.
#[derive(Debug)]
struct Entry {
    cases: String,
    why: String,
    lines: Vec<(String, bool)>,
}

/// The list of a suite.
#[derive(Debug, Default)]
pub(crate) struct Differences {
    entries: Vec<Entry>,
}

/// Both sides of a case.
pub(crate) struct Pair {
    pub(crate) case: String,
    pub(crate) postfix: Vec<String>,
    pub(crate) mailclad: Vec<String>,
}

impl Differences {
    /// Reads the list; `deviations` is the text of docs/deviations.md.
    pub(crate) fn read(path: &Path, deviations: &str) -> Differences {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let mut entries: Vec<Entry> = Vec::new();
        for line in text.lines().map(str::trim_end) {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            match (word, entries.last_mut()) {
                ("" | "#", _) => {}
                ("case", _) => {
                    entries.push(Entry { cases: rest.to_owned(), why: String::new(), lines: Vec::new() });
                }
                ("why", Some(entry)) => {
                    assert!(is_reason(rest, deviations), "no such reason: {rest}");
                    entry.why = rest.to_owned();
                }
                ("-" | "+", Some(entry)) => entry.lines.push((line.to_owned(), false)),
                _ => panic!("{}: {line}", path.display()),
            }
        }
        assert!(entries.iter().all(|entry| !entry.why.is_empty()), "an entry without a reason");
        Differences { entries }
    }

    /// The lines that differ and that no entry explains.
    pub(crate) fn unexplained(&mut self, pair: &Pair) -> Vec<String> {
        let mut rest = difference(&pair.postfix, &pair.mailclad);
        rest.retain(|line| {
            let mut explained = false;
            for entry in self.entries.iter_mut().filter(|entry| matches(&entry.cases, &pair.case)) {
                for (pattern, used) in entry.lines.iter_mut().filter(|(pattern, _)| matches(pattern, line)) {
                    let _ = pattern;
                    *used = true;
                    explained = true;
                }
            }
            !explained
        });
        rest
    }

    /// What the list says and no case has shown: it was repaired, and the list has to say so.
    pub(crate) fn disappeared(&self) -> String {
        let mut text = String::new();
        for entry in &self.entries {
            for (line, _) in entry.lines.iter().filter(|(_, used)| !used) {
                let _ = writeln!(text, "{}: {line}", entry.cases);
            }
        }
        text
    }

    /// How many entries wait for something that is not built.
    pub(crate) fn not_built(&self) -> usize {
        self.entries.iter().filter(|entry| entry.why.starts_with("not built")).count()
    }
}

fn is_reason(why: &str, deviations: &str) -> bool {
    match why.split_once(": ") {
        Some(("deviation", row)) => deviations.contains(&format!("**{row}")),
        Some(("3.12" | "not built", text)) => !text.is_empty(),
        _ => false,
    }
}

/// `*` stands for any bytes.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// The lines that only one side has, in order: by the longest common subsequence.
pub(crate) fn difference(left: &[String], right: &[String]) -> Vec<String> {
    let mut common = vec![vec![0_u32; right.len() + 1]; left.len() + 1];
    for (i, a) in left.iter().enumerate().rev() {
        for (j, b) in right.iter().enumerate().rev() {
            common[i][j] = match a == b {
                true => common[i + 1][j + 1] + 1,
                false => common[i + 1][j].max(common[i][j + 1]),
            };
        }
    }
    let (mut i, mut j, mut lines) = (0, 0, Vec::new());
    while i < left.len() || j < right.len() {
        if i < left.len() && j < right.len() && left[i] == right[j] {
            (i, j) = (i + 1, j + 1);
        } else if j == right.len() || (i < left.len() && common[i + 1][j] >= common[i][j + 1]) {
            lines.push(format!("- {}", left[i]));
            i += 1;
        } else {
            lines.push(format!("+ {}", right[j]));
            j += 1;
        }
    }
    lines
}

#[test]
fn a_difference_is_explained_or_told() {
    let lines = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(difference(&lines("a b c"), &lines("a x c")), ["- b", "+ x"]);
    assert_eq!(difference(&lines("a"), &lines("a")), [] as [&str; 0]);
    for (pattern, text, expected) in [
        ("a*c", "abc", true),
        ("a*c", "ab", false),
        ("*", "x", true),
        ("ab", "ab", true),
        ("ab", "abc", false),
    ] {
        assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
    }
    let entry = Entry {
        cases: "case-*".into(),
        why: "not built: x".into(),
        lines: vec![("- b".into(), false), ("+ gone".into(), false)],
    };
    let mut list = Differences { entries: vec![entry] };
    let pair = Pair { case: "case-1".into(), postfix: lines("a b c"), mailclad: lines("a x c") };
    assert_eq!(list.unexplained(&pair), ["+ x"]);
    assert_eq!(list.disappeared(), "case-*: + gone\n");
}
