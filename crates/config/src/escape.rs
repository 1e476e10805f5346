//! C's escape sequences, as Postfix writes what a peer sent (unescape(3)), and reads `*_expansion_filter`.

use std::fmt::Write;

/// Makes bytes visible: `\r\n` for a line end, `\\` for a backslash, `\377` for what is no ASCII.
pub fn escape(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for byte in bytes {
        match NAMED.iter().find(|(_, named)| named == byte) {
            Some((letter, _)) => out.extend(['\\', *letter]),
            None if (b' '..=b'~').contains(byte) => out.push(char::from(*byte)),
            // Writing to a String can not fail.
            None => _ = write!(out, "\\{byte:03o}"),
        }
    }
    out
}

/// The reverse. A backslash before anything else is dropped.
pub fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        let digits = rest.iter().take(3).take_while(|digit| (b'0'..=b'7').contains(digit)).count();
        if digits > 0 {
            let value = rest[..digits].iter().fold(0_u32, |value, digit| value * 8 + u32::from(digit - b'0'));
            // C keeps the lower eight bits.
            out.push(value as u8);
            rest = &rest[digits..];
        } else if let Some((&letter, after)) = rest.split_first() {
            let named = NAMED.iter().find(|(name, _)| *name == char::from(letter));
            out.push(named.map_or(letter, |(_, byte)| *byte));
            rest = after;
        }
    }
    out
}

const NAMED: [(char, u8); 8] =
    [('\\', b'\\'), ('a', 7), ('b', 8), ('f', 12), ('n', b'\n'), ('r', b'\r'), ('t', b'\t'), ('v', 11)];

/// Bytes as text in which everything that is not printable ASCII is `?` (printable(3)).
pub fn printable(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| if (b' '..=b'~').contains(byte) { char::from(*byte) } else { '?' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        for (bytes, text) in
            [(&b"EHLO x\r\n"[..], "EHLO x\\r\\n"), (b"\\\t\x07\x7f\xff\0", "\\\\\\t\\a\\177\\377\\000")]
        {
            assert_eq!(escape(bytes), text);
            assert_eq!(unescape(text), bytes);
        }
    }

    #[test]
    fn the_default_expansion_filter() {
        assert_eq!(unescape("\\t\\40!\\x\\7a\\"), b"\t !x\x07a");
        assert_eq!(printable(b"a\x01\xe9b"), "a??b");
    }
}
