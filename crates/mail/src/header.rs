//! Walking the header of a message (RFC 5322 section 2.2) without copying it.
//!
//! Lines end with LF here: the receiving sessions have taken CR LF off. MIME structure is not looked at.

/// One header field as it stands in the message: name, colon, value, continuation lines, last line end included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// The whole field, line end included.
    pub raw: &'a [u8],
    name_end: usize,
    value_start: usize,
}

impl<'a> Field<'a> {
    /// The name, as written.
    pub fn name(&self) -> &'a [u8] {
        &self.raw[..self.name_end]
    }

    /// The value with its folding, without the blank before it and the line end behind it.
    pub fn value(&self) -> &'a [u8] {
        self.raw[self.value_start..].trim_ascii()
    }

    /// Compares the name without regard to case.
    pub fn is(&self, name: &str) -> bool {
        self.name().eq_ignore_ascii_case(name.as_bytes())
    }
}

/// Does a field of that name describe the content (RFC 2045)? In a message's own header `mime_header_checks` see those.
pub fn describes_content(name: &str) -> bool {
    const FIELDS: [&str; 6] = [
        "Content-Description",
        "Content-Disposition",
        "Content-ID",
        "Content-Transfer-Encoding",
        "Content-Type",
        "MIME-Version",
    ];
    FIELDS.iter().any(|field| name.eq_ignore_ascii_case(field))
}

/// Splits a message into its header fields and the rest.
///
/// The rest begins with the empty line, or with the first line that is no field: Postfix's cleanup(8) ends the
/// header there too and puts an empty line before it.
pub fn split(message: &[u8]) -> (Vec<Field<'_>>, &[u8]) {
    let mut fields = Vec::new();
    let mut rest = message;
    while let Some((field, after)) = next_field(rest) {
        fields.push(field);
        rest = after;
    }
    (fields, rest)
}

/// The first field of a text that is a header, with what follows it.
pub fn next_field(text: &[u8]) -> Option<(Field<'_>, &[u8])> {
    let colon = text.iter().position(|&b| b == b':' || b == b'\n').filter(|&at| text[at] == b':')?;
    let name_end = text[..colon].trim_ascii_end().len();
    // RFC 5322 section 2.2: a name is printable ASCII without blanks; Postfix forgives blanks before the colon.
    if name_end == 0 || !text[..name_end].iter().all(|b| (b'!'..=b'~').contains(b)) {
        return None;
    }
    let mut end = 0;
    loop {
        end += match text[end..].iter().position(|&b| b == b'\n') {
            Some(at) => at + 1,
            None => text.len() - end,
        };
        if !matches!(text.get(end), Some(b' ' | b'\t')) {
            break;
        }
    }
    let (raw, after) = text.split_at(end);
    Some((Field { raw, name_end, value_start: colon + 1 }, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_and_rest() {
        let (fields, rest) = split(b"From: a\nSubject: x\n\ty\nOdd : z\n\nbody\n");
        let seen: Vec<_> = fields.iter().map(|f| (f.name(), f.value())).collect();
        assert_eq!(seen, [(&b"From"[..], &b"a"[..]), (b"Subject", b"x\n\ty"), (b"Odd", b"z")]);
        assert_eq!(rest, b"\nbody\n");
    }

    #[test]
    fn a_line_that_is_no_field_ends_the_header() {
        for (text, count, rest) in [
            (&b"A: b\nno field here\nC: d\n"[..], 1, &b"no field here\nC: d\n"[..]),
            (b"\nA: b\n", 0, b"\nA: b\n"),
            (b": empty name\n", 0, b": empty name\n"),
            (b"two words: x\n", 0, b"two words: x\n"),
            (b"A: no line end", 1, b""),
            (b"A:\n b\n", 1, b""),
            (b"", 0, b""),
        ] {
            let (fields, after) = split(text);
            assert_eq!((fields.len(), after), (count, rest));
        }
    }
}
