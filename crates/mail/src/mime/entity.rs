//! What a header says of the content behind it: Content-Type and Content-Transfer-Encoding (RFC 2045 sections 5 and 6).

use crate::header;

/// One entity: the message, a part, or a message within.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entity {
    /// What it is made of.
    pub kind: Kind,
    /// How its content is encoded.
    pub encoding: TransferEncoding,
}

/// As far as structure goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// Text, an image, anything that is not looked into.
    #[default]
    Leaf,
    /// `multipart/*` with its boundary, cut at the limit.
    Multipart(Vec<u8>),
    /// `message/rfc822` or `message/global`: a whole message.
    Message,
    /// `message/partial` or `message/external-body`: pieces that somebody else puts together.
    Fragment,
    /// Another `message/*`: a report.
    OtherMessage,
}

/// Content-Transfer-Encoding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TransferEncoding {
    /// `7bit`, or nothing was said.
    #[default]
    SevenBit,
    /// `8bit`.
    EightBit,
    /// `binary`.
    Binary,
    /// `base64`.
    Base64,
    /// `quoted-printable`.
    QuotedPrintable,
    /// A word that nobody knows.
    Unknown,
}

impl TransferEncoding {
    /// Does it turn content into other characters?
    pub fn is_encoded(self) -> bool {
        matches!(self, TransferEncoding::Base64 | TransferEncoding::QuotedPrintable)
    }

    /// As a header has it; unknown words count as `7bit`.
    pub fn name(self) -> &'static str {
        match self {
            TransferEncoding::SevenBit | TransferEncoding::Unknown => "7bit",
            TransferEncoding::EightBit => "8bit",
            TransferEncoding::Binary => "binary",
            TransferEncoding::Base64 => "base64",
            TransferEncoding::QuotedPrintable => "quoted-printable",
        }
    }

    /// May the content hold bytes beyond ASCII?
    pub fn is_eight_bit(self) -> bool {
        matches!(self, TransferEncoding::EightBit | TransferEncoding::Binary)
    }

    fn parse(value: &str) -> TransferEncoding {
        match words(value).first().map(|word| word.to_ascii_lowercase()).as_deref() {
            None | Some("7bit") => TransferEncoding::SevenBit,
            Some("8bit") => TransferEncoding::EightBit,
            Some("binary") => TransferEncoding::Binary,
            Some("base64") => TransferEncoding::Base64,
            Some("quoted-printable") => TransferEncoding::QuotedPrintable,
            Some(_) => TransferEncoding::Unknown,
        }
    }
}

impl Entity {
    /// Takes in a header field; most say nothing about content. The last of a name counts.
    pub(super) fn field(&mut self, raw: &[u8], boundary_length: usize) {
        let Some((field, _)) = header::next_field(raw) else { return };
        if field.is("Content-Type") {
            self.kind = Kind::parse(&String::from_utf8_lossy(field.value()), boundary_length);
        } else if field.is("Content-Transfer-Encoding") {
            self.encoding = TransferEncoding::parse(&String::from_utf8_lossy(field.value()));
        }
    }
}

impl Kind {
    fn parse(value: &str, boundary_length: usize) -> Kind {
        let words = words(value);
        let word = |at: usize| words.get(at).map(|word| word.to_ascii_lowercase()).unwrap_or_default();
        match (word(0).as_str(), word(2).as_str()) {
            ("message", "rfc822" | "global") => Kind::Message,
            ("message", "partial" | "external-body") => Kind::Fragment,
            ("message", _) => Kind::OtherMessage,
            ("multipart", _) => {
                let named = words.windows(3).find(|three| {
                    three[0].eq_ignore_ascii_case("boundary") && three[1] == "=" && !three[2].is_empty()
                });
                match named {
                    Some([_, _, boundary]) => {
                        let bytes = boundary.as_bytes();
                        Kind::Multipart(bytes[..bytes.len().min(boundary_length)].to_vec())
                    }
                    _ => Kind::Leaf,
                }
            }
            _ => Kind::Leaf,
        }
    }
}

/// The words and special characters of a structured value, comments left out and quotes taken off (RFC 2045 section 5.1).
fn words(value: &str) -> Vec<String> {
    const MOST: usize = 1000;
    let mut words: Vec<String> = Vec::new();
    let mut chars = value.chars().peekable();
    while let Some(c) = chars.next() {
        if words.len() >= MOST {
            break;
        }
        match c {
            c if c.is_whitespace() => {}
            '(' => {
                let mut depth = 1;
                while let Some(c) = chars.next().filter(|_| depth > 0) {
                    match c {
                        '\\' => drop(chars.next()),
                        '(' => depth += 1,
                        ')' => depth -= 1,
                        _ => {}
                    }
                    if depth == 0 {
                        break;
                    }
                }
            }
            '"' => {
                let mut word = String::new();
                while let Some(c) = chars.next().filter(|c| *c != '"') {
                    word.extend(if c == '\\' { chars.next() } else { Some(c) });
                }
                words.push(word);
            }
            ';' | '=' | '/' | ',' => words.push(c.to_string()),
            c => {
                let mut word = c.to_string();
                while let Some(c) = chars.next_if(|c| !c.is_whitespace() && !";=/,(\"".contains(*c)) {
                    word.push(c);
                }
                words.push(word);
            }
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds() {
        let multipart = |boundary: &str| Kind::Multipart(boundary.as_bytes().to_vec());
        for (value, expected) in [
            ("text/plain; charset=utf-8", Kind::Leaf),
            ("Multipart/Mixed; boundary=abc", multipart("abc")),
            ("multipart/mixed (a \\) (b)) ; x=y;\n Boundary = \"a b\\\"c\"", multipart("a b\"c")),
            ("multipart/mixed", Kind::Leaf),
            ("multipart/mixed; boundary=\"\"", Kind::Leaf),
            ("message/rfc822", Kind::Message),
            ("message/delivery-status", Kind::OtherMessage),
            ("", Kind::Leaf),
            ("(", Kind::Leaf),
            ("\"", Kind::Leaf),
        ] {
            assert_eq!(Kind::parse(value, 100), expected, "{value}");
        }
        assert_eq!(Kind::parse("multipart/x; boundary=abc", 2), multipart("ab"));
    }

    #[test]
    fn encodings() {
        for (value, expected) in [
            ("8BIT", TransferEncoding::EightBit),
            ("binary (really)", TransferEncoding::Binary),
            ("base64", TransferEncoding::Base64),
            ("", TransferEncoding::SevenBit),
        ] {
            assert_eq!(TransferEncoding::parse(value), expected, "{value}");
        }
    }
}
