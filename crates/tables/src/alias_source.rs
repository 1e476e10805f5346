//! The source format of aliases(5): `name: value, value...` on each logical line.
//!
//! Names and values are split into RFC 822 tokens and joined again, as postalias(1) does, so that a value always has
//! the same shape however it was written. What a value means is crate `route`'s business.

use mail::token::{self, MAX_TOKENS, Token};

use crate::logical_line;
use crate::source::Entry;

/// Reads a whole source text. Lines that are no entries are left out with a warning that names file and line.
pub fn parse(text: &str, name: &str, warn: &mut dyn FnMut(&str)) -> Vec<Entry> {
    let mut entries = Vec::new();
    for line in logical_line::split(text, name, warn) {
        let number = line.number;
        if line.text.contains('\u{fffd}') {
            warn(&format!("{name}, line {number}: non-UTF-8 input \"{}\" -- ignoring this line", line.text));
            continue;
        }
        let tokens = token::scan(&line.text, MAX_TOKENS);
        let colon = tokens.iter().position(|token| *token == Token::Op(':'));
        let Some((key, value)) = colon.map(|at| (&tokens[..at], &tokens[at + 1..])) else {
            warn(&format!("{name}, line {number}: need name:value pair"));
            continue;
        };
        if key.is_empty() || value.is_empty() || key.contains(&Token::Op(',')) {
            warn(&format!("{name}, line {number}: need name:value pair"));
            continue;
        }
        if key.contains(&Token::Op('@')) || key.contains(&Token::Op('%')) {
            warn(&format!("{name}, line {number}: name must be local and have no domain"));
            continue;
        }
        entries.push(Entry { line: number, key: token::external(key), value: token::external(value) });
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_and_warnings() {
        for (source, entry, warning) in [
            ("a:   b ,  c", Some(("a", "b, c")), None),
            ("a: b,\n  c", Some(("a", "b, c")), None),
            ("Pipe: \"|/bin/cmd x\"", Some(("Pipe", "\"|/bin/cmd x\"")), None),
            ("\"two words\": x", Some(("\"two words\"", "x")), None),
            ("list: :include:/etc/list", Some(("list", ":include:/etc/list")), None),
            ("e: \"\"", Some(("e", "\"\"")), None),
            ("none:", None, Some("F, line 1: need name:value pair")),
            ("none", None, Some("F, line 1: need name:value pair")),
            ("a, b: c", None, Some("F, line 1: need name:value pair")),
            ("a@b: c", None, Some("F, line 1: name must be local and have no domain")),
        ] {
            let mut warnings = Vec::new();
            let entries = parse(source, "F", &mut |text| warnings.push(text.to_owned()));
            let seen = entries.first().map(|e| (e.key.as_str(), e.value.as_str()));
            assert_eq!(seen, entry, "{source}");
            assert_eq!(warnings.first().map(String::as_str), warning, "{source}");
        }
    }
}
