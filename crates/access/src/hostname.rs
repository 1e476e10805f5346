//! Host names by their letters alone (RFC 1123 section 2.1, with the underscore that many use).

/// Can the text be a host name? Numbers and dots only are none, nor are names with empty, long or hyphen-edged labels.
pub fn is_hostname(text: &str) -> bool {
    let text = text.strip_suffix('.').unwrap_or(text);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
    };
    text.len() <= 255 && text.split('.').all(label) && !text.bytes().all(|b| b.is_ascii_digit() || b == b'.')
}

/// A host name with at least one dot inside.
pub(crate) fn is_fully_qualified(text: &str) -> bool {
    is_hostname(text) && text.strip_suffix('.').unwrap_or(text).contains('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (text, hostname, qualified) in [
            ("a.example", true, true),
            ("a.example.", true, true),
            ("host", true, false),
            ("host.", true, false),
            ("_dmarc.a.example", true, true),
            ("192.0.2.1", false, false),
            ("-a.example", false, false),
            ("a-.example", false, false),
            ("a..example", false, false),
            ("a b", false, false),
            ("", false, false),
            ("\u{e9}.example", false, false),
        ] {
            assert_eq!((is_hostname(text), is_fully_qualified(text)), (hostname, qualified), "{text}");
        }
    }
}
