//! The size of a message as Postfix has it: in its log (`size=`), listings, SIZE= for the next server, and limits on what is
//! returned. It is that of the records that hold the content in a queue file, not that of the content.
//!
//! A record is a type byte, a length of seven bits in each byte, and up to `line_length_limit` bytes of one line without its end. So
//! a line up to 127 bytes counts two more than it has, a longer one three; one over the limit counts in pieces.

use memchr::{memchr, memrchr};

/// Counts content with LF line ends, in pieces as they come.
#[derive(Clone, Debug)]
pub struct DataSize {
    limit: u64,
    total: u64,
    /// Bytes of the line in hand.
    line: u64,
    in_header: bool,
}

impl DataSize {
    /// Nothing yet; `line_length_limit` in bytes.
    pub fn new(line_length_limit: usize) -> DataSize {
        DataSize { limit: (line_length_limit as u64).max(1), total: 0, line: 0, in_header: true }
    }

    /// That of a whole content.
    pub fn of(content: &[u8], line_length_limit: usize) -> u64 {
        let mut size = DataSize::new(line_length_limit);
        size.add(content);
        size.total()
    }

    /// Counts the next bytes.
    pub fn add(&mut self, mut content: &[u8]) {
        // Headers, and what is left of a line: each line by itself.
        while self.in_header || self.line > 0 {
            let Some(end) = memchr(b'\n', content) else {
                self.line += content.len() as u64;
                return;
            };
            self.end_line(end as u64);
            content = &content[end + 1..];
        }
        self.add_lines(content);
    }

    /// Counts lines from the beginning of one. Each line over 126 bytes fills a block of 64 somewhere: so line ends are counted by the
    /// block, and lines are measured only around a block that has none.
    fn add_lines(&mut self, content: &[u8]) {
        const BLOCK: usize = 64;
        let (blocks, tail) = content.as_chunks::<BLOCK>();
        let ends_in = |bytes: &[u8]| bytes.iter().map(|byte| u8::from(*byte == b'\n')).sum::<u8>();
        let (mut at, mut lines) = (0, 0);
        while let Some(block) = blocks.get(at) {
            match ends_in(block) {
                0 => {
                    let start = memrchr(b'\n', &content[..at * BLOCK]).map_or(0, |end| end + 1);
                    let Some(end) = memchr(b'\n', &content[at * BLOCK..]) else { break };
                    let end = at * BLOCK + end;
                    let line = (end - start) as u64;
                    if line >= ONE_BYTE {
                        // Beyond what it counts below.
                        self.total += self.long_line(line) - (line + 2);
                    }
                    at = end / BLOCK;
                }
                ends => {
                    lines += u64::from(ends);
                    at += 1;
                }
            }
        }
        lines += u64::from(ends_in(tail));
        let whole = memrchr(b'\n', content).map_or(0, |end| end + 1);
        self.total += whole as u64 + lines;
        self.line = (content.len() - whole) as u64;
    }

    /// A line end after so many more bytes of the line in hand.
    fn end_line(&mut self, bytes: u64) {
        let line = self.line + bytes;
        self.total += if line < ONE_BYTE { line + 2 } else { self.long_line(line) };
        self.in_header &= line > 0;
        self.line = 0;
    }

    /// What there is so far. Bytes behind the last line end are a record as well.
    pub fn total(&self) -> u64 {
        match self.line {
            0 => self.total,
            // A whole piece waits for more, whereas a line end would make it one of those that are cut.
            line => self.total + self.pieces(line, false),
        }
    }

    fn long_line(&self, line: u64) -> u64 {
        // The reader of a body cuts when a piece is full, before it can know that the line is over: an empty piece follows. Headers
        // are cut by their writer, which knows.
        self.pieces(line, !self.in_header)
    }

    fn pieces(&self, line: u64, ends_with_empty: bool) -> u64 {
        let (full, rest) = (line / self.limit, line % self.limit);
        let last = if rest > 0 || ends_with_empty || full == 0 { record(rest) } else { 0 };
        full * record(self.limit) + last
    }
}

/// Lengths below this take one byte.
const ONE_BYTE: u64 = 128;

/// Type, length and data of one record.
fn record(data: u64) -> u64 {
    let (mut size, mut length) = (2 + data, data);
    while length >= ONE_BYTE {
        length >>= 7;
        size += 1;
    }
    size
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the real one said of such lines, less its own header.
    #[test]
    fn lines() {
        for (length, in_header, in_body) in [
            (1, 3, 3),
            (127, 129, 129),
            (128, 131, 131),
            (129, 132, 132),
            (2046, 2049, 2049),
            (2047, 2050, 2050),
            (2048, 2051, 2053),
            (2049, 2054, 2054),
            (4095, 4101, 4101),
            (4096, 4102, 4104),
            (5000, 5009, 5009),
            (40_000, 40_060, 40_060),
        ] {
            let line = [&vec![b'x'; length][..], b"\n"].concat();
            assert_eq!(DataSize::of(&line, 2048), in_header, "{length} bytes in the header");
            let content = [b"\n", &line[..]].concat();
            assert_eq!(DataSize::of(&content, 2048), in_body + 2, "{length} bytes in the body");
            let unfinished = &content[..content.len() - 1];
            assert_eq!(DataSize::of(unfinished, 2048), in_header + 2, "{length} bytes without an end");
        }
        for (content, expected) in [("", 0), ("\n", 2), ("\n\n", 4), ("a\n\nb", 8)] {
            assert_eq!(DataSize::of(content.as_bytes(), 2048), expected, "{content:?}");
        }
    }

    fn one_byte_more(mut size: DataSize, byte: &u8) -> DataSize {
        size.add(std::slice::from_ref(byte));
        size
    }

    #[test]
    fn blocks_count_as_lines() {
        for longest in [1_u64, 60, 70, 126, 127, 128, 129, 200, 3000] {
            // Lengths in disorder, the same in every run.
            let mut seed = longest;
            let mut content = b"\n".to_vec();
            while content.len() < 20_000 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                content.extend(std::iter::repeat_n(b'x', ((seed >> 33) % (longest + 1)) as usize));
                content.push(b'\n');
            }
            for cut in [0, 1, 63, 64, 65, 500] {
                let content = &content[..content.len() - cut];
                let expected = content.iter().fold(DataSize::new(2048), one_byte_more).total();
                assert_eq!(DataSize::of(content, 2048), expected, "lines up to {longest}, less {cut} bytes");
            }
        }
    }

    #[test]
    fn pieces_count_as_the_whole() {
        let mut content = Vec::new();
        for length in [5, 0, 127, 128, 2047, 2048, 2049, 0, 20_000, 4096, 1] {
            content.extend(std::iter::repeat_n(b'x', length));
            content.push(b'\n');
        }
        let whole = DataSize::of(&content, 2048);
        for piece in [1, 2, 7, 128, 2047, 2048, 5000] {
            let mut size = DataSize::new(2048);
            content.chunks(piece).for_each(|piece| size.add(piece));
            assert_eq!(size.total(), whole, "{piece}");
        }
        // One byte at a time there are no blocks to count by.
        assert_eq!(whole, content.iter().fold(DataSize::new(2048), one_byte_more).total());
        // The smallest limit that the parameter may have.
        assert_eq!(DataSize::of(&[b"\n", &[b'x'; 513][..], b"\n"].concat(), 512), 2 + 515 + 3);
    }
}
