//! Enhanced status codes (RFC 3463): `class.subject.detail`.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Subject and detail without the class. The class of a reply is the first digit of its code, as Postfix
/// enforces late (`soft_bounce`), so it is not stored twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Detail(pub u16, pub u16);

/// A whole enhanced status code; `class` is 2 (success), 4 (transient) or 5 (permanent).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Status {
    /// 2, 4 or 5.
    pub class: u8,
    /// Subject and detail.
    pub detail: Detail,
}

impl Status {
    /// `Status::new(4, 4, 1)` is 4.4.1.
    pub const fn new(class: u8, subject: u16, detail: u16) -> Self {
        Status { class, detail: Detail(subject, detail) }
    }

    /// Reads `4.4.1` at the start of a text and gives what follows it, without the separating blank. `None` when
    /// the text does not begin with a status of class 2, 4 or 5.
    pub fn split_from(text: &str) -> Option<(Status, &str)> {
        let (word, rest) = match text.find([' ', '\t']) {
            Some(end) => (&text[..end], text[end..].trim_start_matches([' ', '\t'])),
            None => (text, ""),
        };
        Some((word.parse().ok()?, rest))
    }

    /// The same subject and detail in another class.
    pub const fn with_class(self, class: u8) -> Self {
        Status { class, detail: self.detail }
    }
}

/// A text that is not an enhanced status code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadStatus;

impl std::str::FromStr for Status {
    type Err = BadStatus;

    fn from_str(text: &str) -> Result<Self, BadStatus> {
        let mut parts = text.split('.');
        let mut number = |digits: usize| {
            parts
                .next()
                .filter(|p| !p.is_empty() && p.len() <= digits && p.bytes().all(|b| b.is_ascii_digit()))
                .and_then(|p| p.parse::<u16>().ok())
                .ok_or(BadStatus)
        };
        let (class, subject, detail) = (number(1)?, number(3)?, number(3)?);
        if !matches!(class, 2 | 4 | 5) || parts.next().is_some() {
            return Err(BadStatus);
        }
        Ok(Status::new(class as u8, subject, detail))
    }
}

impl fmt::Display for Detail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.class, self.detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_split_from_the_text_behind_it() {
        for (text, expected) in [
            ("4.4.1 timed out", Some((Status::new(4, 4, 1), "timed out"))),
            ("5.7.1", Some((Status::new(5, 7, 1), ""))),
            ("2.0.0  Ok", Some((Status::new(2, 0, 0), "Ok"))),
            ("3.0.0 no such class", None),
            ("5.7 short", None),
            ("5.7.1.2 long", None),
            ("5.7.1234 long", None),
            ("5..1 empty", None),
            ("Ok", None),
        ] {
            assert_eq!(Status::split_from(text), expected, "{text}");
        }
    }
}
