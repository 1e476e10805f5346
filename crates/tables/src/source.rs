//! The source format of postmap(1) and texthash tables: `key white-space value` on each logical line.
//!
//! A key may contain white space inside double quotes or behind a backslash; quotes stay part of the key. The
//! alias format is read by [`crate::alias_source`].

use crate::logical_line::{self, is_blank};

/// One entry of a source text, its case as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Line number of its first line.
    pub line: usize,
    /// The key, quotes included.
    pub key: String,
    /// The value without the white space around it.
    pub value: String,
}

/// How a warning about a line that is no entry ends.
pub(crate) const EXPECTED: &str = "expected format: key whitespace value";

/// Reads a whole source text. Lines that are no entries are left out with a warning that names file and line.
pub fn parse(text: &str, name: &str, warn: &mut dyn FnMut(&str)) -> Vec<Entry> {
    let mut entries = Vec::new();
    for line in logical_line::split(text, name, warn) {
        let number = line.number;
        if line.text.contains('\u{fffd}') {
            let shown = line.text.replace('\u{fffd}', "?");
            warn(&format!("{name}, line {number}: non-UTF-8 input \"{shown}\" -- ignoring this line"));
            continue;
        }
        let Some(end) = key_end(&line.text) else {
            warn(&format!("{name}, line {number}: unbalanced '\"' in '{}' -- ignoring this line", line.text));
            continue;
        };
        let (key, value) = (&line.text[..end], line.text[end..].trim_matches(is_blank));
        if key.is_empty() || value.is_empty() {
            warn(&format!("{name}, line {number}: {EXPECTED}"));
            continue;
        }
        if key.ends_with(':') {
            warn(&format!(
                "{name}, line {number}: record is in \"key: value\" format; is this an alias file?"
            ));
        }
        entries.push(Entry { line: number, key: key.to_owned(), value: value.to_owned() });
    }
    entries
}

/// Where the key ends: at the first white space outside quotes. `None` when a quote stays open.
fn key_end(line: &str) -> Option<usize> {
    let mut quoted = false;
    let mut chars = line.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => {
                chars.next();
            }
            '"' => quoted = !quoted,
            c if is_blank(c) && !quoted => return Some(at),
            _ => {}
        }
    }
    (!quoted).then_some(line.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_and_warnings() {
        //   source                 entry                            warning
        for (source, entry, warning) in [
            ("a b", Some(("a", "b")), None),
            ("a \t b c \t", Some(("a", "b c")), None),
            ("a b\n  c", Some(("a", "b  c")), None),
            ("\"a b\"@c d", Some(("\"a b\"@c", "d")), None),
            ("a\\ b c", Some(("a\\ b", "c")), None),
            ("a", None, Some("F, line 1: expected format: key whitespace value")),
            ("\"a b", None, Some("F, line 1: unbalanced '\"' in '\"a b' -- ignoring this line")),
            (
                "a: b",
                Some(("a:", "b")),
                Some("F, line 1: record is in \"key: value\" format; is this an alias file?"),
            ),
            ("a \u{fffd}", None, Some("F, line 1: non-UTF-8 input \"a ?\" -- ignoring this line")),
        ] {
            let mut warnings = Vec::new();
            let entries = parse(source, "F", &mut |text| warnings.push(text.to_owned()));
            let seen = entries.first().map(|e| (e.key.as_str(), e.value.as_str()));
            assert_eq!(seen, entry, "{source}");
            assert_eq!(warnings.first().map(String::as_str), warning, "{source}");
        }
    }
}
