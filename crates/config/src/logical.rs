//! Logical lines, as main.cf, master.cf and table sources have them (postconf(5), master(5), postmap(1)).
//!
//! A line that begins with white space continues the one before it; empty lines and lines that begin with `#`
//! (after blanks) are left out, also in the middle. There are no comments at the end of a line, and no
//! backslashes.

/// One logical line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogicalLine {
    /// The physical lines, one after another, without their line ends.
    pub text: String,
    /// The first physical line, counted from 1.
    pub first_line: usize,
    /// The last physical line that was read for it, comments and empty lines after it included: this is
    /// the number in Postfix's messages.
    pub last_line: usize,
}

/// Reads all logical lines. Warnings, in Postfix's words, are added to `warnings`; `file` is used for these only.
///
/// Text after a null byte is ignored up to the end of its logical line, as by Postfix. Bytes that are no UTF-8
/// become U+FFFD.
pub fn lines(file: &str, text: &[u8], warnings: &mut Vec<String>) -> Vec<LogicalLine> {
    let mut found = Vec::new();
    let mut current: Option<(Vec<u8>, usize)> = None;
    let mut number = 0;
    for line in physical(text) {
        let begins =
            !line.first().is_some_and(|&byte| byte == b'#' || is_space_byte(byte)) && !line.is_empty();
        if begins {
            found.extend(finish(file, current.take(), number, warnings));
        }
        number += 1;
        if line.iter().find(|&&byte| !is_space_byte(byte)).is_none_or(|&byte| byte == b'#') {
            continue;
        }
        current.get_or_insert_with(|| (Vec::new(), number)).0.extend_from_slice(line);
    }
    found.extend(finish(file, current, number, warnings));
    found
}

fn finish(
    file: &str,
    current: Option<(Vec<u8>, usize)>,
    last_line: usize,
    warnings: &mut Vec<String>,
) -> Option<LogicalLine> {
    let (mut bytes, first_line) = current?;
    if let Some(null) = memchr::memchr(0, &bytes) {
        let place =
            if first_line == last_line { last_line.to_string() } else { format!("{first_line}-{last_line}") };
        warnings.push(format!("{file}, line {place}: text after null byte may be ignored"));
        bytes.truncate(null);
    }
    let text = String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
    if text.starts_with(is_space) {
        let shown: String = text.chars().take(30).collect();
        let more = if shown.len() < text.len() { "..." } else { "" };
        warnings.push(format!("{file}: logical line must not start with whitespace: \"{shown}{more}\""));
        return None;
    }
    (!text.is_empty()).then_some(LogicalLine { text, first_line, last_line })
}

/// The physical lines without their ends; nothing after the last line end.
fn physical(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let text = text.strip_suffix(b"\n").or((!text.is_empty()).then_some(text));
    text.into_iter().flat_map(|text| text.split(|&byte| byte == b'\n'))
}

pub(crate) fn is_space(letter: char) -> bool {
    u8::try_from(letter).is_ok_and(is_space_byte)
}

fn is_space_byte(byte: u8) -> bool {
    // isspace(3) in the C locale.
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

#[cfg(test)]
mod tests {
    use super::lines;

    #[test]
    fn numbers_and_warnings() {
        let mut warnings = Vec::new();
        let found = lines("f", b"  lost\n\na\n b\n# c\n\nd\0e\n f\n", &mut warnings);
        let found: Vec<_> =
            found.iter().map(|line| (line.text.as_str(), line.first_line, line.last_line)).collect();
        assert_eq!(found, [("a b", 3, 6), ("d", 7, 8)]);
        assert_eq!(
            warnings,
            [
                "f: logical line must not start with whitespace: \"  lost\"",
                "f, line 7-8: text after null byte may be ignored"
            ]
        );
    }

    #[test]
    fn nothing_is_no_line() {
        for text in ["", "\n", "# x", "\n\n#x\n"] {
            assert!(lines("f", text.as_bytes(), &mut Vec::new()).is_empty(), "{text:?}");
        }
    }
}
