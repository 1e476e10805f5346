//! The quoted-printable transfer encoding (RFC 2045 section 6.7), for lines as they pass.

use std::io::Write;

/// Encodes text whose lines end in LF.
#[derive(Clone, Debug, Default)]
pub(super) struct Encoder {
    /// Length of the current output line.
    column: usize,
}

/// A soft line break comes when a line is longer than this; with an encoded character and the sign of the break a line stays within
/// the 76 of RFC 2045.
const SOFT: usize = 72;

impl Encoder {
    /// Encodes a line or a piece of one.
    pub(super) fn encode(&mut self, line: &[u8], out: &mut Vec<u8>) {
        let (text, end) = match line.strip_suffix(b"\n") {
            Some(text) => (text, true),
            None => (line, false),
        };
        for (at, byte) in text.iter().enumerate() {
            if self.column > SOFT {
                out.extend_from_slice(b"=\n");
                self.column = 0;
            }
            // Blanks at the end of a line would be lost on the way. The end of a piece may be the end of a line.
            let is_last = at + 1 == text.len();
            match byte {
                b' ' | b'\t' if !is_last => self.plain(*byte, out),
                b'!'..=b'~' if *byte != b'=' => self.plain(*byte, out),
                _ => {
                    // Writing to a Vec can not fail.
                    let _ = write!(out, "={byte:02X}");
                    self.column += 3;
                }
            }
        }
        if end {
            out.push(b'\n');
            self.column = 0;
        }
    }

    fn plain(&mut self, byte: u8, out: &mut Vec<u8>) {
        out.push(byte);
        self.column += 1;
    }

    /// The content ends: a last line without its end gets none that it did not have.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        if self.column > 0 {
            out.extend_from_slice(b"=\n");
            self.column = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let long = "a".repeat(100);
        for (line, expected) in [
            ("plain\n", "plain\n".to_owned()),
            ("h\u{e4}llo = \n", "h=C3=A4llo =3D=20\n".into()),
            ("tab\t\n", "tab=09\n".into()),
            ("a\tb c\n", "a\tb c\n".into()),
            ("\u{0}\r\n", "=00=0D\n".into()),
            (&long, format!("{}=\n{}", &long[..73], &long[73..])),
            ("", String::new()),
        ] {
            let mut out = Vec::new();
            Encoder::default().encode(line.as_bytes(), &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected, "{line:?}");
        }
        let mut out = Vec::new();
        Encoder::default().encode("\u{e4}".repeat(500).as_bytes(), &mut out);
        assert!(out.split(|b| *b == b'\n').all(|line| line.len() <= 76));
    }
}
