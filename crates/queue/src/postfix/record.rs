//! The records of Postfix's queue files: a type, a length in groups of seven bits, lowest first, and the data.

use std::fmt;

/// Longest record that is read. Postfix writes lines in pieces of line_length_limit; attributes are shorter.
const MOST_BYTES: usize = 1024 * 1024;

/// Most records that are followed by pointers, so that a loop of them ends.
const MOST_POINTERS: usize = 100_000;

/// Why a file can not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Damaged(pub(crate) String);

impl fmt::Display for Damaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    pub(crate) kind: u8,
    pub(crate) data: &'a [u8],
    /// Where it begins in the file: the name by which logs call a recipient.
    pub(crate) offset: usize,
}

/// Reads records in their order, following the pointers that Milters' changes leave.
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    pointers: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { bytes, at: 0, pointers: 0 }
    }

    /// The next record; pointers and padding are no records. An error at the end of the file: there is always an end record.
    pub(crate) fn next(&mut self) -> Result<Record<'a>, Damaged> {
        loop {
            let record = self.raw()?;
            match record.kind {
                b'p' => self.follow(record.data)?,
                b'w' => {}
                _ => return Ok(record),
            }
        }
    }

    fn raw(&mut self) -> Result<Record<'a>, Damaged> {
        let offset = self.at;
        let missing = || Damaged(format!("ends in the middle of a record, at byte {offset}"));
        let kind = *self.bytes.get(self.at).ok_or_else(missing)?;
        self.at += 1;
        let (mut length, mut shift) = (0usize, 0);
        loop {
            let byte = *self.bytes.get(self.at).ok_or_else(missing)?;
            self.at += 1;
            length |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
            if shift > 21 {
                return Err(Damaged(format!("has a record of impossible length, at byte {offset}")));
            }
        }
        if length > MOST_BYTES {
            return Err(Damaged(format!("has a record of {length} bytes, at byte {offset}")));
        }
        let data = self.bytes.get(self.at..self.at + length).ok_or_else(missing)?;
        self.at += length;
        Ok(Record { kind, data, offset })
    }

    /// A pointer names the place of the next record; 0 means the next one in the file.
    fn follow(&mut self, data: &[u8]) -> Result<(), Damaged> {
        let place: Option<usize> = std::str::from_utf8(data).ok().and_then(|text| text.trim().parse().ok());
        self.pointers += 1;
        match place {
            Some(0) => Ok(()),
            Some(place) if place < self.bytes.len() && self.pointers < MOST_POINTERS => {
                self.at = place;
                Ok(())
            }
            _ => Err(Damaged("has a pointer that leads nowhere".into())),
        }
    }
}

/// Appends a record.
pub(crate) fn write(out: &mut Vec<u8>, kind: u8, data: &[u8]) {
    out.push(kind);
    let mut length = data.len();
    loop {
        let low = (length & 0x7f) as u8;
        length >>= 7;
        if length == 0 {
            out.push(low);
            break;
        }
        out.push(low | 0x80);
    }
    out.extend_from_slice(data);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut out = Vec::new();
        let long = vec![b'x'; 70_000];
        for (kind, data) in [(b'N', &b""[..]), (b'N', b"a line"), (b'L', &long), (b'E', b"")] {
            write(&mut out, kind, data);
        }
        let mut reader = Reader::new(&out);
        assert_eq!(reader.next().unwrap(), Record { kind: b'N', data: b"", offset: 0 });
        assert_eq!(reader.next().unwrap(), Record { kind: b'N', data: b"a line", offset: 2 });
        assert_eq!(reader.next().unwrap().data.len(), 70_000);
        assert_eq!(reader.next().unwrap().kind, b'E');
        assert!(reader.next().is_err());
    }

    #[test]
    fn pointers_are_followed_and_do_not_go_round() {
        // A pointer over a record that was replaced, to its new text, and back behind it.
        let mut out = Vec::new();
        write(&mut out, b'p', b"              22");
        write(&mut out, b'N', b"ab");
        assert_eq!(out.len(), 22);
        write(&mut out, b'N', b"new");
        write(&mut out, b'w', b"padding");
        write(&mut out, b'E', b"");
        let mut reader = Reader::new(&out);
        assert_eq!(reader.next().unwrap().data, b"new");
        assert_eq!(reader.next().unwrap().kind, b'E');
        let mut round = Vec::new();
        write(&mut round, b'N', b"");
        write(&mut round, b'p', b"2");
        let mut reader = Reader::new(&round);
        reader.next().unwrap();
        assert_eq!(reader.next(), Err(Damaged("has a pointer that leads nowhere".into())));
    }

    #[test]
    fn no_bytes_are_too_strange() {
        for bytes in [&b"N"[..], b"N\xff\xff\xff\xff\xff", b"N\x05abc", b"N\xff\xff\x7f", b"pabc", b"p\x019"]
        {
            let mut reader = Reader::new(bytes);
            assert!(reader.next().is_err(), "{bytes:?}");
        }
    }
}
