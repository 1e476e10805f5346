//! Logical lines, as in main.cf and every table source: a line that begins with white space continues the one
//! before; empty lines and comment lines are skipped and do not end a logical line.

/// One logical line with its first physical line number, counted from one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LogicalLine {
    pub(crate) number: usize,
    /// Physical lines joined as they stand, white space included; no line end.
    pub(crate) text: String,
}

/// Splits a text. `name` is the file as named in the warning about a text that begins with white space, which is
/// dropped with its continuation lines.
pub(crate) fn split(text: &str, name: &str, warn: &mut dyn FnMut(&str)) -> Vec<LogicalLine> {
    let mut lines: Vec<LogicalLine> = Vec::new();
    let mut orphan = false;
    for (index, raw) in text.split('\n').enumerate() {
        let line = raw.strip_suffix('\r').unwrap_or(raw);
        let visible = line.trim_start_matches(is_blank);
        if visible.is_empty() || visible.starts_with('#') {
            continue;
        }
        let continues = line.starts_with(is_blank);
        match lines.last_mut() {
            Some(last) if continues => last.text.push_str(line),
            None if continues => {
                if !orphan {
                    let shown: String = line.chars().take(30).collect();
                    let dots = if line.chars().count() > 30 { "..." } else { "" };
                    warn(&format!(
                        "{name}, line {}: logical line must not start with whitespace: \"{shown}{dots}\"",
                        index + 1
                    ));
                }
                orphan = true;
            }
            _ => lines.push(LogicalLine { number: index + 1, text: line.to_owned() }),
        }
    }
    lines
}

/// White space as C's `isspace` has it.
pub(crate) fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\x0b' | '\x0c' | '\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn continuation_comments_and_orphans() {
        let mut warnings = Vec::new();
        let lines =
            split(" orphan\n\ttoo\n# comment\na b\n\n  # comment between\n  c\nd e", "F", &mut |text| {
                warnings.push(text.to_owned())
            });
        let seen: Vec<_> = lines.iter().map(|l| (l.number, l.text.as_str())).collect();
        assert_eq!(seen, [(4, "a b  c"), (8, "d e")]);
        assert_eq!(warnings, ["F, line 1: logical line must not start with whitespace: \" orphan\""]);
    }
}
