//! Lists in parameter values (postconf(5)): items separated by commas or white space, where `{ ... }` keeps
//! commas and blanks inside one item. What an item means is the reader's matter.

/// Splits at commas and white space; text within `{}` is not split, and its braces are kept.
///
/// An unbalanced `{` takes the rest of the text, as Postfix has it; [`crate::compat`] tells the administrator.
pub fn split(text: &str) -> Vec<&str> {
    split_at(text, is_separator)
}

/// Splits at commas and white space only: for the lists in which braces have no meaning.
pub fn split_plain(text: &str) -> Vec<&str> {
    text.split(is_separator).filter(|item| !item.is_empty()).collect()
}

/// Splits at white space only, outside of `{}`: the arguments of a master.cf entry.
pub fn split_words(text: &str) -> Vec<&str> {
    split_at(text, is_space)
}

/// The text within `{ ... }`, without the blanks around it. Text without braces is `None`; so is text after
/// the closing brace.
pub fn braced(text: &str) -> Option<&str> {
    let end = closing(text)?;
    (end + 1 == text.len()).then(|| text[1..end].trim_matches(is_space))
}

/// Where the brace that opens `text` is closed.
pub(crate) fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    if !text.starts_with('{') {
        return None;
    }
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

pub(crate) fn is_space(letter: char) -> bool {
    matches!(letter, ' ' | '\t' | '\r' | '\n')
}

fn is_separator(letter: char) -> bool {
    letter == ',' || is_space(letter)
}

fn split_at(text: &str, separates: fn(char) -> bool) -> Vec<&str> {
    let mut items = Vec::new();
    let mut depth = 0_usize;
    let mut start = None;
    for (at, letter) in text.char_indices() {
        if depth == 0 && separates(letter) {
            items.extend(start.take().map(|start| &text[start..at]));
            continue;
        }
        start.get_or_insert(at);
        match letter {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    items.extend(start.map(|start| &text[start..]));
    items
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_as_postfix_does() {
        let rows: &[(&str, &[&str])] = &[
            ("", &[]),
            (" , ,\t", &[]),
            ("a b,c", &["a", "b", "c"]),
            ("a,{b, c} d", &["a", "{b, c}", "d"]), // braces protect
            ("check_x{b c}d e", &["check_x{b c}d", "e"]), // also within a word
            ("{a {b, c}} d", &["{a {b, c}}", "d"]), // and nest
            ("} a", &["}", "a"]),                  // a stray closing brace is text
            ("{a b", &["{a b"]),                   // an unclosed one takes the rest
            ("inline:{a=b,\n c=d}", &["inline:{a=b,\n c=d}"]),
        ];
        for (text, expected) in rows {
            assert_eq!(&split(text), expected, "{text}");
        }
        assert_eq!(split_plain("{a b},c"), ["{a", "b}", "c"]);
        assert_eq!(split_words("a,b {c d}"), ["a,b", "{c d}"]);
    }

    #[test]
    fn braced_text() {
        for (text, expected) in [
            ("{ a b }", Some("a b")),
            ("{}", Some("")),
            ("{{a}}", Some("{a}")),
            ("{a}b", None),
            ("{a", None),
            ("a", None),
            ("", None),
        ] {
            assert_eq!(braced(text), expected, "{text}");
        }
    }
}
