//! SMTP replies (RFC 5321 section 4.2): what the peer hears. What the log says is another text, kept beside it.

use std::borrow::Cow;
use std::io::Write;

use serde::{Deserialize, Serialize};

use crate::status::{Detail, Status};

/// One reply, possibly of several lines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// 200 to 599.
    pub code: u16,
    /// Enhanced status without its class, which is the code's first digit. `None` for greetings, EHLO, 354 and
    /// other replies that RFC 2034 leaves bare.
    pub detail: Option<Detail>,
    /// The text; a `\n` begins another line of the same reply.
    pub text: Cow<'static, str>,
}

impl Reply {
    /// A reply with a fixed text, for tables of replies.
    pub const fn fixed(code: u16, detail: Option<Detail>, text: &'static str) -> Self {
        Reply { code, detail, text: Cow::Borrowed(text) }
    }

    /// A reply with an enhanced status.
    pub fn new(code: u16, detail: Detail, text: impl Into<Cow<'static, str>>) -> Self {
        Reply { code, detail: Some(detail), text: text.into() }
    }

    /// A reply without an enhanced status.
    pub fn bare(code: u16, text: impl Into<Cow<'static, str>>) -> Self {
        Reply { code, detail: None, text: text.into() }
    }

    /// The whole enhanced status, when there is one.
    pub fn status(&self) -> Option<Status> {
        self.detail.map(|detail| Status { class: (self.code / 100) as u8, detail })
    }

    /// True for 4xx and 5xx.
    pub fn is_error(&self) -> bool {
        self.code >= 400
    }

    /// RFC 5321 section 3.8 and Postfix's smtpd(8): after 421 and 521 the server hangs up.
    pub fn closes(&self) -> bool {
        matches!(self.code, 421 | 521)
    }

    /// `soft_bounce = yes`: a permanent refusal becomes a temporary one, code and status alike.
    pub fn softened(mut self) -> Self {
        if self.code >= 500 {
            self.code -= 100;
        }
        self
    }

    /// Reads one line, `554 5.7.1 text`; the status may be missing, and is then none. `None`: there is no code.
    pub fn parse(line: &str) -> Option<Reply> {
        let (code, text) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
        let code = code.parse().ok().filter(|code| (200..600).contains(code) && line.trim().len() >= 3)?;
        Some(match Status::split_from(text.trim_start()) {
            Some((status, text)) => Reply::new(code, status.detail, text.to_owned()),
            None => Reply::bare(code, text.trim_start().to_owned()),
        })
    }

    /// Appends the bytes for the wire, `code[ or -][status ]text CR LF` for each line.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        out.reserve(self.text.len() + 64);
        let mut lines = self.text.split('\n').peekable();
        while let Some(line) = lines.next() {
            let separator = if lines.peek().is_some() { '-' } else { ' ' };
            let code = self.code % 1000;
            // Memory takes everything.
            let _ = match self.status() {
                Some(status) => write!(out, "{code:03}{separator}{status} {line}\r\n"),
                None => write!(out, "{code:03}{separator}{line}\r\n"),
            };
        }
    }
}

impl std::fmt::Display for Reply {
    /// One line, as it stands in logs: `554 5.7.1 text`; line breaks become blanks.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.code)?;
        if let Some(status) = self.status() {
            write!(f, " {status}")?;
        }
        write!(f, " {}", self.text.replace('\n', " "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_carries_code_and_status() {
        let mut out = Vec::new();
        Reply::new(550, Detail(7, 1), "no\nreally not").write_to(&mut out);
        assert_eq!(out, b"550-5.7.1 no\r\n550 5.7.1 really not\r\n");
        out.clear();
        Reply::bare(354, "go").write_to(&mut out);
        assert_eq!(out, b"354 go\r\n");
    }

    #[test]
    fn replies_are_read_as_they_are_logged() {
        for (line, expected) in [
            ("554 5.7.1 no", Some("554 5.7.1 no")),
            ("450 later", Some("450 later")),
            ("550", Some("550 ")),
            ("5x0 no", None),
            ("", None),
            ("99 x", None),
            ("600 x", None),
        ] {
            assert_eq!(Reply::parse(line).map(|reply| reply.to_string()).as_deref(), expected, "{line}");
        }
    }

    #[test]
    fn soft_bounce_changes_code_and_class_together() {
        let soft = Reply::new(554, Detail(7, 1), "x").softened();
        assert_eq!(soft.to_string(), "454 4.7.1 x");
        assert_eq!(Reply::new(250, Detail(0, 0), "x").softened().code, 250);
    }
}
