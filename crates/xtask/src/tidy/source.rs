//! Rust text without what a rule must not stumble over: comments, and the insides of strings and characters.
//!
//! Lines stay where they are. This is no parser: it knows how tokens end, not what they mean.

/// The same text with comments and literals blanked out.
pub(crate) fn code(text: &str) -> String {
    let mut rest = text;
    let mut out = String::with_capacity(text.len());
    // Whether the character before belongs to a word, so that the r of `for"` begins no raw string.
    let mut in_word = false;
    while let Some(first) = rest.chars().next() {
        let literal = match first {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => comment(rest),
            '"' => string(rest),
            'r' | 'b' | 'c' if !in_word => prefixed(rest),
            '\'' => character(rest),
            _ => 0,
        };
        let (taken, blank) = match literal {
            0 => (first.len_utf8(), false),
            length => (length, true),
        };
        let (token, after) = rest.split_at(taken);
        match blank {
            true => out.extend(token.chars().map(|c| if c == '\n' { '\n' } else { ' ' })),
            false => out.push_str(token),
        }
        in_word = !blank && (first.is_alphanumeric() || first == '_');
        rest = after;
    }
    out
}

/// Does `word` stand in `code` by itself?
pub(crate) fn has_word(code: &str, word: &str) -> bool {
    code.split(|c: char| !c.is_alphanumeric() && c != '_').any(|found| found == word)
}

/// Length of a block comment; they nest.
fn comment(text: &str) -> usize {
    let bytes = text.as_bytes();
    let (mut depth, mut at) = (0, 0);
    while at < bytes.len() {
        match &bytes[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] if depth == 1 => return at + 2,
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    text.len()
}

/// Length of a string that begins with its quote.
fn string(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Length of `r"..."`, `r#"..."#`, `b"..."`, `br"..."`, `b'x'`, `c"..."`; 0 when it is a word.
fn prefixed(text: &str) -> usize {
    let prefix = text.len() - text.trim_start_matches(['b', 'c', 'r']).len();
    let after = &text[prefix..];
    if prefix > 2 {
        return 0;
    }
    if text[..prefix].ends_with('r') {
        let hashes = after.len() - after.trim_start_matches('#').len();
        if !after[hashes..].starts_with('"') {
            return 0;
        }
        let end = format!("\"{}", "#".repeat(hashes));
        let inside = prefix + hashes + 1;
        return text[inside..].find(&end).map_or(text.len(), |at| inside + at + end.len());
    }
    match after.chars().next() {
        Some('"') => prefix + string(after),
        Some('\'') => prefix + character(after),
        _ => 0,
    }
}

/// Length of a character literal; 0 for a lifetime.
fn character(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match chars.next() {
        Some((_, '\\')) => {
            // `'\''`, `'\u{1F600}'`: what is escaped, then the quote.
            chars.next();
            chars.find(|(_, c)| *c == '\'').map_or(0, |(at, _)| at + 1)
        }
        Some(_) => chars.next().filter(|(_, c)| *c == '\'').map_or(0, |(at, _)| at + 1),
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_remains() {
        for (text, remains, reason) in [
            ("a // unsafe\nb", "a\nb", "a line comment"),
            ("a /* x /* unsafe */ y */ b", "a b", "nested comments"),
            (r#"f("unsafe \" unsafe") g"#, "f( ) g", "a string with an escaped quote"),
            ("f(r#\"unsafe \" \"#) g", "f( ) g", "a raw string"),
            ("f(b\"unsafe\", br\"unsafe\", c\"x\")", "f( , , )", "strings of bytes"),
            ("m('\"') unsafe", "m( ) unsafe", "a quote as a character"),
            (r"m('\'', '\u{1F600}') k", "m( , ) k", "escaped characters"),
            ("fn f<'a>(x: &'a str) {}", "fn f<'a>(x: &'a str) {}", "lifetimes"),
            ("for r in b { car\"x\" }", "for r in b { car }", "words that end in a prefix"),
            ("\"never ends", "", "a string without end"),
        ] {
            let found: Vec<String> = code(text).lines().map(squeeze).collect();
            let wanted: Vec<String> = remains.lines().map(squeeze).collect();
            assert_eq!(found.join("\n").trim(), wanted.join("\n").trim(), "{reason}");
        }
    }

    /// Blanks in a row are one.
    fn squeeze(line: &str) -> String {
        line.split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
            .replace("( ", "(")
            .replace(" ,", ",")
            .replace(" )", ")")
    }

    #[test]
    fn words_stand_by_themselves() {
        for (text, found) in [("unsafe {", true), ("forbid(unsafe_code)", false), ("an_unsafe", false)] {
            assert_eq!(has_word(text, "unsafe"), found, "{text}");
        }
    }
}
