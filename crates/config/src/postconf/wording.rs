//! How postconf(1) prints: one line for each setting, folded at 80 columns or as JSON.

/// Lines become no longer, where there is a blank to break at.
pub(super) const LINE_LIMIT: usize = 80;
/// What continued lines begin with.
pub(super) const INDENT: &str = "    ";

/// Appends a line with all white space made one blank; folded when asked for.
pub(super) fn line(out: &mut String, fold: bool, text: &str) {
    let mut length = 0;
    for word in text.split([' ', '\t', '\r', '\n']).filter(|word| !word.is_empty()) {
        if length > 0 {
            if !fold || length + word.len() < LINE_LIMIT {
                out.push(' ');
                length += 1;
            } else {
                out.push('\n');
                out.push_str(INDENT);
                length = INDENT.len();
            }
        }
        out.push_str(word);
        length += word.len();
    }
    out.push('\n');
}

/// Appends a JSON object with one member, and a line end.
pub(super) fn json(out: &mut String, name: &str, value: &str) {
    out.push_str("{\"");
    quote(out, name);
    out.push_str("\": \"");
    quote(out, value);
    out.push_str("\"}\n");
}

fn quote(out: &mut String, text: &str) {
    for letter in text.chars() {
        match letter {
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\\' | '"' => out.extend(['\\', letter]),
            _ if letter.is_ascii_control() => out.push_str(&format!("\\u{:04X}", u32::from(letter))),
            _ => out.push(letter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_fold_at_blanks() {
        let mut out = String::new();
        line(&mut out, false, "a  =\n b\t ");
        line(&mut out, false, "a = ");
        assert_eq!(out, "a = b\na =\n");
        let mut out = String::new();
        line(&mut out, true, &format!("name = {} {}", "x".repeat(60), "y".repeat(30)));
        assert_eq!(out, format!("name = {}\n    {}\n", "x".repeat(60), "y".repeat(30)));
    }

    #[test]
    fn json_quotes() {
        let mut out = String::new();
        json(&mut out, "a", "\"b\\\t\u{1}\u{7f}ä");
        assert_eq!(out, "{\"a\": \"\\\"b\\\\\\t\\u0001\\u007Fä\"}\n");
    }
}
