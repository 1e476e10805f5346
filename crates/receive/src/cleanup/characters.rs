//! Characters that a message may not have (message_reject_characters), loses (message_strip_characters), or that end no line though
//! some would think so (cleanup_replace_stray_cr_lf).

use config::{Settings, params};
use memchr::memchr;

/// The settings of a cleanup service.
pub(crate) struct Characters {
    replace_stray: bool,
    reject: Option<Box<[bool; 256]>>,
    strip: Option<Box<[bool; 256]>>,
}

impl Characters {
    /// The error names a mistake in an escape sequence.
    pub(crate) fn read(settings: &Settings) -> Result<Characters, String> {
        let set = |parameter: config::param::Param<config::param::kind::Text>| {
            let text = settings.get(parameter);
            parse(text).map_err(|why| format!("{} = {text}: {why}", parameter.name()))
        };
        Ok(Characters {
            replace_stray: settings.get(params::cleanup_replace_stray_cr_lf),
            reject: set(params::message_reject_characters)?,
            strip: set(params::message_strip_characters)?,
        })
    }

    /// Does [`Characters::treat`] no more than [`Characters::replace_stray`]?
    pub(super) fn only_replaces(&self, checks: bool) -> bool {
        !checks || (self.reject.is_none() && self.strip.is_none())
    }

    /// cleanup_replace_stray_cr_lf.
    pub(super) fn replace_stray(&self, content: &mut [u8]) {
        if self.replace_stray {
            // Lines end with LF here, so that every CR is a stray one. Most content has none.
            let mut at = 0;
            while let Some(found) = memchr(b'\r', &content[at..]) {
                at += found;
                content[at] = b' ';
            }
        }
    }

    /// Treats content in place. A message that is to be refused gives the line, or as much of it as there is. With
    /// `no_header_body_checks` nothing is refused or stripped.
    pub(super) fn treat(&self, content: &mut Vec<u8>, checks: bool) -> Option<Vec<u8>> {
        self.replace_stray(content);
        if !checks {
            return None;
        }
        if let Some(set) = &self.reject
            && let Some(at) = content.iter().position(|&byte| set[usize::from(byte)])
        {
            let start = content[..at].iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
            let end = memchr(b'\n', &content[at..]).map_or(content.len(), |length| at + length);
            return Some(content[start..end].to_vec());
        }
        if let Some(set) = &self.strip {
            content.retain(|&byte| !set[usize::from(byte)]);
        }
        None
    }
}

/// C's escape sequences: `\a \b \f \n \r \t \v \\` and up to three octal digits. A line end is no part of a line, whatever is said.
fn parse(text: &str) -> Result<Option<Box<[bool; 256]>>, String> {
    let mut set = Box::new([false; 256]);
    let mut bytes = text.bytes().peekable();
    while let Some(byte) = bytes.next() {
        let byte = match byte {
            b'\\' => match bytes.next() {
                Some(b'a') => 7,
                Some(b'b') => 8,
                Some(b't') => b'\t',
                Some(b'n') => b'\n',
                Some(b'v') => 11,
                Some(b'f') => 12,
                Some(b'r') => b'\r',
                Some(b'\\') => b'\\',
                Some(digit @ b'0'..=b'7') => {
                    let mut value = u32::from(digit - b'0');
                    for _ in 0..2 {
                        let Some(digit) = bytes.next_if(|byte| (b'0'..=b'7').contains(byte)) else { break };
                        value = value * 8 + u32::from(digit - b'0');
                    }
                    u8::try_from(value).map_err(|_| "an octal number above 377".to_owned())?
                }
                _ => {
                    return Err(
                        "an unknown escape sequence; \\a \\b \\f \\n \\r \\t \\v \\ddd and \\\\ are known"
                            .into(),
                    );
                }
            },
            byte => byte,
        };
        set[usize::from(byte)] = byte != b'\n';
    }
    Ok(set.contains(&true).then_some(set))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn characters(replace_stray: bool, reject: &str, strip: &str) -> Characters {
        Characters { replace_stray, reject: parse(reject).unwrap(), strip: parse(strip).unwrap() }
    }

    #[test]
    fn content() {
        for (replace, reject, strip, checks, given, expected, line) in [
            (true, "", "", true, "a\rb\r\n\r", "a b \n ", None),
            (false, "", "", true, "a\rb\n", "a\rb\n", None),
            (true, "\\000", "", true, "a\nb\0c\nd", "a\nb\0c\nd", Some("b\0c")),
            (true, "\\0", "", true, "\0", "\0", Some("\0")),
            (true, "\\000", "x", false, "\0x", "\0x", None),
            (true, "", "\\t\\n\\\\q", true, "a\tb\n\\cq\n", "ab\nc\n", None),
        ] {
            let mut content = given.as_bytes().to_vec();
            let refused = characters(replace, reject, strip).treat(&mut content, checks);
            assert_eq!(String::from_utf8(content).unwrap(), expected, "{given:?}");
            assert_eq!(refused.as_deref(), line.map(str::as_bytes), "{given:?}");
        }
    }

    #[test]
    fn escapes() {
        for bad in ["\\", "\\x41", "\\777", "a\\q"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert!(parse("").unwrap().is_none() && parse("\\n").unwrap().is_none());
        assert!(parse("\\377").unwrap().unwrap()[255]);
    }
}
