//! xtext, the escaping of parameter values in ESMTP commands (RFC 3461 section 4): `+` and two upper-case
//! hexadecimal digits stand for a byte.

/// Encodes bytes; everything but `!` to `~` without `+` and `=` is escaped.
pub fn encode(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for &b in bytes {
        match b {
            b'+' | b'=' => push_hex(&mut out, b),
            b'!'..=b'~' => out.push(b as char),
            _ => push_hex(&mut out, b),
        }
    }
    out
}

fn push_hex(out: &mut String, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    out.push('+');
    out.push(HEX[usize::from(byte >> 4)] as char);
    out.push(HEX[usize::from(byte & 15)] as char);
}

/// Decodes xtext; `None` when an escape is broken or a character is not allowed.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(b) = bytes.next() {
        match b {
            b'+' => {
                let high = (bytes.next()? as char).to_digit(16)?;
                let low = (bytes.next()? as char).to_digit(16)?;
                out.push((high * 16 + low) as u8);
            }
            b'!'..=b'~' => out.push(b),
            _ => return None,
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip() {
        for (bytes, text) in
            [(&b"abc"[..], "abc"), (b"a+b=c", "a+2Bb+3Dc"), (b"a b\r\n", "a+20b+0D+0A"), (b"\xff", "+FF")]
        {
            assert_eq!(encode(bytes), text);
            assert_eq!(decode(text).as_deref(), Some(bytes));
        }
        for broken in ["+", "+4", "+zz", "a b", "\u{e9}"] {
            assert_eq!(decode(broken), None, "{broken}");
        }
    }
}
