//! Commands as logs and transcripts may have them.

use std::borrow::Cow;

/// In the place of what is nobody's business.
pub const HIDDEN: &str = "***";

/// A command line without what follows the mechanism of AUTH (RFC 4954 section 4): an initial response can be a password.
pub fn without_secret(line: &str) -> Cow<'_, str> {
    let command = line.trim_ascii();
    let mut words = command.split_ascii_whitespace();
    match (words.next(), words.next(), words.next()) {
        (Some(verb), Some(mechanism), Some(_)) if verb.eq_ignore_ascii_case("AUTH") => {
            // The words as they came, with what stands between them.
            let end =
                command[verb.len()..].find(mechanism).unwrap_or_default() + verb.len() + mechanism.len();
            format!("{} {HIDDEN}", &command[..end]).into()
        }
        _ => line.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden() {
        for (line, expected) in [
            ("AUTH PLAIN AG1l", "AUTH PLAIN ***"),
            ("auth login", "auth login"),
            ("AUTH\tPLAIN\tAG1l x", "AUTH\tPLAIN ***"),
            (" Auth  plain AG1l\r\n", "Auth  plain ***"),
            ("MAIL FROM:<a@b> AUTH=<>", "MAIL FROM:<a@b> AUTH=<>"),
            ("", ""),
        ] {
            assert_eq!(without_secret(line), expected);
        }
    }
}
