//! The sender's full name in a From: header that we add: as a phrase, as a comment, or encoded where it is not ASCII (RFC 5322
//! section 3.2.5, RFC 2047).

/// Longest encoded word (RFC 2047 section 2).
const MAX_WORD: usize = 75;

/// The name before `<address>`.
pub(super) fn phrase(name: &str, charset: &str) -> String {
    let atom = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~ ".contains(c);
    match name.chars().all(atom) {
        true => name.to_owned(),
        false if !name.is_ascii() => encoded(name, charset),
        false => format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\"")),
    }
}

/// The name inside of parentheses.
pub(super) fn comment(name: &str, charset: &str) -> String {
    match name.is_ascii() {
        true => name.replace(['(', ')', '\\'], " "),
        false => encoded(name, charset),
    }
}

/// Encoded words by the Q encoding, none of which cuts a character in two.
fn encoded(name: &str, charset: &str) -> String {
    let room = MAX_WORD.saturating_sub(charset.len() + "=??Q??=".len()).max(12);
    let mut words = vec![String::new()];
    for letter in name.chars() {
        let mut buffer = [0; 4];
        let text = match letter {
            ' ' => "_".to_owned(),
            // RFC 2047 section 5 (3): what is safe in a phrase.
            letter if letter.is_ascii_alphanumeric() || "!*+-/".contains(letter) => letter.to_string(),
            letter => letter.encode_utf8(&mut buffer).bytes().map(|byte| format!("={byte:02X}")).collect(),
        };
        match words.last_mut() {
            Some(word) if word.len() + text.len() <= room => word.push_str(&text),
            _ => words.push(text),
        }
    }
    let words: Vec<String> = words.iter().map(|word| format!("=?{charset}?Q?{word}?=")).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (name, in_phrase, in_comment) in [
            ("A User", "A User", "A User"),
            ("A. User", "\"A. User\"", "A. User"),
            ("A \"B\" (c)", "\"A \\\"B\\\" (c)\"", "A \"B\"  c "),
            ("J\u{f6}rg (x)", "=?utf-8?Q?J=C3=B6rg_=28x=29?=", "=?utf-8?Q?J=C3=B6rg_=28x=29?="),
        ] {
            assert_eq!(phrase(name, "utf-8"), in_phrase);
            assert_eq!(comment(name, "utf-8"), in_comment);
        }
        let long = phrase(&"\u{f6}".repeat(40), "utf-8");
        assert!(long.split(' ').all(|word| word.len() <= MAX_WORD && word.ends_with("?=")), "{long}");
        assert_eq!(long.matches("=C3=B6").count(), 40);
    }
}
