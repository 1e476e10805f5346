//! Message content for the wire: LF made CR LF, dots stuffed (RFC 5321 section 4.5.2), long lines folded as
//! `smtp_line_length_limit` asks.

use memchr::memchr;

/// Encodes one message, in pieces of any size.
#[derive(Clone, Debug)]
pub struct DotEncoder {
    limit: usize,
    /// Bytes that still fit into the current line; equal to `limit` at its start.
    left: usize,
    at_start: bool,
    folded: bool,
}

impl DotEncoder {
    /// `limit` is `smtp_line_length_limit`: longest line in bytes without CR LF; 0 is no limit.
    pub fn new(limit: usize) -> Self {
        let limit = if limit == 0 { usize::MAX } else { limit };
        DotEncoder { limit, left: limit, at_start: true, folded: false }
    }

    /// Encodes a piece of the message, whose lines end in LF, and appends it to `out`.
    pub fn encode(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        out.reserve(chunk.len() + chunk.len() / 32);
        let mut rest = chunk;
        while !rest.is_empty() {
            match memchr(b'\n', rest) {
                Some(lf) => {
                    self.text(&rest[..lf], out);
                    out.extend_from_slice(b"\r\n");
                    self.new_line();
                    rest = &rest[lf + 1..];
                }
                None => {
                    self.text(rest, out);
                    return;
                }
            }
        }
    }

    /// The end of the message: completes an unfinished line and appends the line with the single dot.
    pub fn finish(mut self, out: &mut Vec<u8>) {
        if !self.at_start {
            out.extend_from_slice(b"\r\n");
            self.new_line();
        }
        out.extend_from_slice(b".\r\n");
    }

    /// A line was broken; Postfix logs `breaking line > N bytes with <CR><LF>SPACE` once for each message.
    pub fn folded(&self) -> bool {
        self.folded
    }

    fn new_line(&mut self) {
        self.left = self.limit;
        self.at_start = true;
    }

    /// Part of a line, without LF. A line that fits exactly is not broken, so the break is made when another byte
    /// comes, not when the line is full.
    fn text(&mut self, mut text: &[u8], out: &mut Vec<u8>) {
        if text.is_empty() {
            return;
        }
        if self.at_start {
            // The stuffed dot is not counted: it is no part of the line (RFC 5321 section 4.5.2).
            if text[0] == b'.' {
                out.push(b'.');
            }
            self.at_start = false;
        }
        while text.len() > self.left {
            let (now, later) = text.split_at(self.left);
            out.extend_from_slice(now);
            out.extend_from_slice(b"\r\n ");
            self.folded = true;
            // A limit of 1 leaves no room behind the blank; go on with one byte a line rather than for ever.
            self.left = (self.limit - 1).max(1);
            text = later;
        }
        out.extend_from_slice(text);
        self.left -= text.len();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::decode::{BareNewline, DataDecoder, Progress};

    fn encode(limit: usize, pieces: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut encoder = DotEncoder::new(limit);
        for piece in pieces {
            encoder.encode(piece, &mut out);
        }
        encoder.finish(&mut out);
        out
    }

    #[test]
    fn lines_on_the_wire() {
        for (pieces, limit, expected, why) in [
            (&[&b""[..]][..], 0, &b".\r\n"[..], "empty message"),
            (&[b"a\nb\n"], 0, b"a\r\nb\r\n.\r\n", "plain"),
            (&[b".\n..a\n"], 0, b"..\r\n...a\r\n.\r\n", "stuffed"),
            (&[b"a", b".b\n"], 0, b"a.b\r\n.\r\n", "a dot inside a line that was split"),
            (&[b"a\n", b".b\n"], 0, b"a\r\n..b\r\n.\r\n", "a dot at the start of a piece"),
            (&[b"unfinished"], 0, b"unfinished\r\n.\r\n", "line end added"),
            (&[b"abcd\nefghi\n"], 4, b"abcd\r\nefgh\r\n i\r\n.\r\n", "folded behind the limit only"),
            (&[b"abcdefghijk"], 4, b"abcd\r\n efg\r\n hij\r\n k\r\n.\r\n", "the blank counts"),
            (&[b"abcd", b"\n"], 4, b"abcd\r\n.\r\n", "full line, then its end"),
            (&[b"abcd", b"e\n"], 4, b"abcd\r\n e\r\n.\r\n", "full line, then more"),
        ] {
            assert_eq!(encode(limit, pieces), expected, "{why}");
        }
    }

    proptest! {
        #[test]
        fn encode_then_decode_is_identity(
            lines in proptest::collection::vec("[.a-z]{0,30}", 0..20),
            cut in 0usize..600,
        ) {
            // The first line is kept from looking like mbox or a continuation, which decoding changes on purpose.
            let mut message = b"X: y\n".to_vec();
            for line in &lines {
                message.extend_from_slice(line.as_bytes());
                message.push(b'\n');
            }
            let cut = cut.min(message.len());
            let wire = encode(0, &[&message[..cut], &message[cut..]]);
            let mut out = Vec::new();
            let (consumed, progress) = DataDecoder::new(BareNewline::Reject, 0).decode(&wire, &mut out);
            prop_assert_eq!((consumed, progress), (wire.len(), Progress::Complete));
            prop_assert_eq!(out, message);
        }

        #[test]
        fn no_line_is_longer_than_the_limit(text in proptest::collection::vec(any::<u8>(), 0..500), limit in 2usize..40) {
            for line in encode(limit, &[&text]).split(|&b| b == b'\n') {
                let line = line.strip_suffix(b"\r").unwrap_or(line);
                prop_assert!(line.strip_prefix(b".").unwrap_or(line).len() <= limit);
            }
        }
    }
}
