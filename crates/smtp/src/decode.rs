//! Message content from the wire: DATA with its dot-stuffing (RFC 5321 section 4.5.2) and BDAT chunks (RFC 3030),
//! CR LF made LF, as fast as memory allows.
//!
//! Which line ends count, and what ends a message, is Postfix's `smtpd_forbid_bare_newline`: outside mode `No`
//! only CR LF `.` CR LF ends a message, so that a lone LF or CR can not smuggle a second one in (SEC Consult 2023).
//! Headers are not looked at, hops are not counted: that is cleanup(8)'s business.

use memchr::memchr;

/// `smtpd_forbid_bare_newline`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BareNewline {
    /// Any LF ends a line, and LF `.` LF ends a message.
    No,
    /// A lone LF ends a line but never the message; a `.` line next to one is dropped.
    #[default]
    Normalize,
    /// As `Normalize`, and the session notes it in its disconnect line.
    Note,
    /// As `Normalize`, and the message is refused.
    Reject,
}

impl BareNewline {
    /// Are lone line feeds told from CR LF at all?
    pub fn detects(self) -> bool {
        self != BareNewline::No
    }
}

/// How far a decoder got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// All input was consumed and the content goes on.
    More,
    /// The content is complete; input behind its end was not consumed.
    Complete,
}

/// Lines of content: counts, limits and line ends, common to both framings.
#[derive(Clone, Debug)]
struct Lines {
    bare_newline: BareNewline,
    /// CRs seen of which it is not known yet whether LF follows.
    held_cr: u64,
    /// Content size as Postfix counts it: each line end is two bytes.
    size: u64,
    /// `message_size_limit`; 0 is no limit.
    limit: u64,
    too_big: bool,
    bare_lf: bool,
}

impl Lines {
    fn new(bare_newline: BareNewline, limit: u64) -> Self {
        Lines { bare_newline, held_cr: 0, size: 0, limit, too_big: false, bare_lf: false }
    }

    /// Part of a line without its end.
    fn text(&mut self, text: &[u8], out: &mut Vec<u8>) {
        if self.admit(text.len() as u64) {
            out.extend_from_slice(text);
        }
    }

    /// CRs that turned out not to belong to a line end.
    fn release_cr(&mut self, keep: u64, out: &mut Vec<u8>) {
        if keep > 0 && self.admit(keep) {
            // The CRs were counted one by one as they came in, in pieces that fitted in memory.
            out.resize(out.len() + keep as usize, b'\r');
        }
        self.held_cr = 0;
    }

    /// CRs before an LF that stay in the line: all but the one of the line end, or none in mode `No`.
    fn kept_cr(&self) -> u64 {
        if self.bare_newline.detects() { self.held_cr.saturating_sub(1) } else { 0 }
    }

    /// The end of a line.
    fn line_end(&mut self, out: &mut Vec<u8>) {
        if self.admit(0) {
            self.size += 2;
            out.push(b'\n');
        }
    }

    /// Counts bytes; false from the first one that does not fit, together with its line end.
    fn admit(&mut self, bytes: u64) -> bool {
        if self.too_big {
            return false;
        }
        if self.limit > 0 && self.size.saturating_add(bytes).saturating_add(2) > self.limit {
            self.too_big = true;
            return false;
        }
        self.size += bytes;
        true
    }
}

/// Splits off the CRs at the end of a piece.
fn split_trailing_cr(piece: &[u8]) -> (&[u8], u64) {
    let end = piece.iter().rposition(|&b| b != b'\r').map_or(0, |at| at + 1);
    (&piece[..end], (piece.len() - end) as u64)
}

/// Where in a line the DATA decoder stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Start,
    /// Behind a dot that began the line and was taken off.
    Dot,
    Inside,
}

/// Decodes what follows `354`, up to and including the line with a single dot.
///
/// Input may be split anywhere. NUL and 8-bit bytes pass unchanged. A first line that looks like mbox's `From `
/// becomes `X-Mailbox-Line: From ...`, and a first line that begins with a blank gets an empty line before it, so that
/// it does not continue our Received: header; both as Postfix's smtpd does.
#[derive(Clone, Debug)]
pub struct DataDecoder {
    lines: Lines,
    at: At,
    /// The line before ended in a lone LF.
    previous_bare: bool,
    /// The beginning of the first line, until it is known whether it is a `From ` line; at most
    /// [`FIRST_LINE_MAX`] bytes.
    first: Option<Vec<u8>>,
}

/// How many `>` before `From ` are looked through; Postfix sees one piece of `line_length_limit`.
const FIRST_LINE_MAX: usize = 2048;

impl DataDecoder {
    /// `limit` is `message_size_limit` in bytes, 0 for none.
    pub fn new(bare_newline: BareNewline, limit: u64) -> Self {
        DataDecoder {
            lines: Lines::new(bare_newline, limit),
            at: At::Start,
            previous_bare: false,
            first: Some(Vec::new()),
        }
    }

    /// Decodes from the front of `input`, appends to `out`, and tells how many bytes were consumed.
    pub fn decode(&mut self, input: &[u8], out: &mut Vec<u8>) -> (usize, Progress) {
        let mut done = 0;
        // What is decoded is hardly ever longer than what came.
        out.reserve(input.len());
        while done < input.len() {
            let rest = &input[done..];
            match memchr(b'\n', rest) {
                None => {
                    self.piece(rest, out);
                    return (input.len(), Progress::More);
                }
                Some(lf) => {
                    done += lf + 1;
                    if let Some(text) = self.ordinary_line(&rest[..lf]) {
                        self.lines.text(text, out);
                        self.lines.line_end(out);
                        self.previous_bare = false;
                        continue;
                    }
                    self.piece(&rest[..lf], out);
                    if self.end_of_line(out) {
                        return (done, Progress::Complete);
                    }
                }
            }
        }
        (done, Progress::More)
    }

    /// Bytes of content so far, as Postfix counts them: with two bytes for each line end.
    pub fn size(&self) -> u64 {
        self.lines.size
    }

    /// The size limit was passed; nothing more is appended to the output, the rest is only consumed.
    pub fn too_big(&self) -> bool {
        self.lines.too_big
    }

    /// A line ended in a lone LF (only noticed when the mode detects them).
    pub fn bare_lf(&self) -> bool {
        self.lines.bare_lf
    }

    /// The text of a line that is whole, ends in one CR and begins with no dot, behind the first line: nearly all of them.
    fn ordinary_line<'a>(&self, line: &'a [u8]) -> Option<&'a [u8]> {
        if self.at != At::Start || self.lines.held_cr > 0 || self.first.is_some() {
            return None;
        }
        let text = line.strip_suffix(b"\r")?;
        (text.first() != Some(&b'.') && text.last() != Some(&b'\r')).then_some(text)
    }

    /// Part of a line, without LF.
    fn piece(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        let (mut text, trailing_cr) = split_trailing_cr(piece);
        if self.at == At::Start && self.lines.held_cr == 0 && text.first() == Some(&b'.') {
            self.at = At::Dot;
            self.first_line_is_ordinary(out);
            text = &text[1..];
        }
        if !text.is_empty() {
            let held = self.lines.held_cr;
            if held > 0 {
                self.first_line_is_ordinary(out);
            }
            self.lines.release_cr(held, out);
            self.at = At::Inside;
            match &mut self.first {
                None => self.lines.text(text, out),
                Some(first) => {
                    let room = FIRST_LINE_MAX - first.len();
                    let (now, later) = text.split_at(room.min(text.len()));
                    first.extend_from_slice(now);
                    if first_line_is_known(first) || !later.is_empty() || trailing_cr > 0 {
                        self.decide_first_line(out);
                    }
                    self.lines.text(later, out);
                }
            }
        }
        self.lines.held_cr += trailing_cr;
    }

    /// At an LF. True when this was the end of the message.
    fn end_of_line(&mut self, out: &mut Vec<u8>) -> bool {
        let bare = self.lines.bare_newline.detects() && self.lines.held_cr == 0;
        self.lines.bare_lf |= bare;
        let keep = self.lines.kept_cr();
        if self.at == At::Dot && keep == 0 {
            self.lines.held_cr = 0;
            self.at = At::Start;
            let standard = !bare && !self.previous_bare;
            self.previous_bare = bare;
            return standard;
        }
        self.decide_first_line(out);
        self.lines.release_cr(keep, out);
        self.lines.line_end(out);
        self.at = At::Start;
        self.previous_bare = bare;
        false
    }

    /// The first line can not be a `From ` line: what was kept of it goes out.
    fn first_line_is_ordinary(&mut self, out: &mut Vec<u8>) {
        self.decide_first_line(out);
    }

    fn decide_first_line(&mut self, out: &mut Vec<u8>) {
        let Some(first) = self.first.take() else { return };
        let quoted = first.iter().take_while(|&&b| b == b'>').count();
        if first[quoted..].starts_with(FROM) {
            self.lines.text(b"X-Mailbox-Line: ", out);
        } else if matches!(first.first(), Some(b' ' | b'\t')) {
            self.lines.line_end(out);
        }
        self.lines.text(&first, out);
    }
}

const FROM: &[u8] = b"From ";

/// Is there enough of the first line to tell whether it is a `From ` line?
fn first_line_is_known(first: &[u8]) -> bool {
    let quoted = first.iter().take_while(|&&b| b == b'>').count();
    let rest = &first[quoted..];
    rest.len() >= FROM.len() || !FROM.starts_with(rest)
}

/// Decodes the chunks of one BDAT message. Line ends may be split between chunks; dots mean nothing.
#[derive(Clone, Debug)]
pub struct ChunkDecoder {
    lines: Lines,
    inside: bool,
}

impl ChunkDecoder {
    /// `limit` is `message_size_limit` in bytes, 0 for none.
    pub fn new(bare_newline: BareNewline, limit: u64) -> Self {
        ChunkDecoder { lines: Lines::new(bare_newline, limit), inside: false }
    }

    /// Decodes a piece of a chunk; all of it is consumed.
    pub fn decode(&mut self, input: &[u8], out: &mut Vec<u8>) {
        let mut done = 0;
        while done < input.len() {
            let rest = &input[done..];
            let lf = memchr(b'\n', rest);
            let piece = &rest[..lf.unwrap_or(rest.len())];
            let (text, trailing_cr) = split_trailing_cr(piece);
            if !text.is_empty() {
                let held = self.lines.held_cr;
                self.lines.release_cr(held, out);
                self.lines.text(text, out);
                self.inside = true;
            }
            self.lines.held_cr += trailing_cr;
            done += piece.len();
            if lf.is_some() {
                done += 1;
                self.lines.bare_lf |= self.lines.bare_newline.detects() && self.lines.held_cr == 0;
                let keep = self.lines.kept_cr();
                self.lines.release_cr(keep, out);
                self.lines.line_end(out);
                self.inside = false;
            }
        }
    }

    /// After the last chunk: an unfinished last line gets its line end.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if self.inside || self.lines.held_cr > 0 {
            let held = self.lines.held_cr;
            self.lines.release_cr(held, out);
            self.lines.line_end(out);
            self.inside = false;
        }
    }

    /// As [`DataDecoder::size`].
    pub fn size(&self) -> u64 {
        self.lines.size
    }

    /// As [`DataDecoder::too_big`].
    pub fn too_big(&self) -> bool {
        self.lines.too_big
    }

    /// As [`DataDecoder::bare_lf`].
    pub fn bare_lf(&self) -> bool {
        self.lines.bare_lf
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MODES: [BareNewline; 4] =
        [BareNewline::No, BareNewline::Normalize, BareNewline::Note, BareNewline::Reject];

    fn whole(mode: BareNewline, input: &[u8]) -> (Vec<u8>, usize, Progress) {
        let mut out = Vec::new();
        let (consumed, progress) = DataDecoder::new(mode, 0).decode(input, &mut out);
        (out, consumed, progress)
    }

    #[test]
    fn data_is_unstuffed_and_its_line_ends_are_lf() {
        for (input, expected, why) in [
            (&b".\r\n"[..], &b""[..], "empty message"),
            (b"a\r\nb\r\n.\r\n", b"a\nb\n", "plain lines"),
            (b"..a\r\n...\r\n.\r\n", b".a\n..\n", "stuffed dots lose one"),
            (b".a\r\n.\r\n", b"a\n", "an unstuffed dot is lost all the same"),
            (b"a\rb\r\n.\r\n", b"a\rb\n", "a lone CR stays"),
            (b"a\r\r\n.\r\n", b"a\r\n", "only one CR belongs to the line end"),
            (b"\0\xff\r\n.\r\n", b"\0\xff\n", "any byte"),
            (b"From a\r\n.\r\n", b"X-Mailbox-Line: From a\n", "mbox line"),
            (
                b">>From a\r\nFrom b\r\n.\r\n",
                b"X-Mailbox-Line: >>From a\nFrom b\n",
                "quoted mbox line, first only",
            ),
            (b"From:a\r\n.\r\n", b"From:a\n", "a header"),
            (b" a\r\n.\r\n", b"\n a\n", "no continuation of our header"),
            (b"\r\n.\r\n", b"\n", "body only"),
            (b"\r\n \r\n.\r\n", b"\n \n", "blank in second line"),
        ] {
            assert_eq!(
                whole(BareNewline::Normalize, input),
                (expected.to_vec(), input.len(), Progress::Complete),
                "{why}"
            );
        }
    }

    #[test]
    fn what_smuggles_a_second_message_does_not_end_the_first() {
        for end in [
            &b"\n.\n"[..],
            b"\n.\r\n",
            b"\r.\r",
            b"\r\n.\r",
            b"\r.\r\n",
            b"\r\n.\n",
            b"\n.\r",
            b"\r.\n",
            b"\r\n\0.\r\n",
            b"\r\r\n.\r\r\n",
            b"\r\n.\r\r\n",
            b"\n\r.\r\n",
            b"\r\n.\0\r\n",
            b"\r\n..\r\n",
        ] {
            let mut input = b"text".to_vec();
            input.extend_from_slice(end);
            input.extend_from_slice(b"MAIL FROM:<x@y>\r\n");
            for mode in [BareNewline::Normalize, BareNewline::Note, BareNewline::Reject] {
                let (_, consumed, progress) = whole(mode, &input);
                assert_eq!((consumed, progress), (input.len(), Progress::More), "{mode:?} {end:?}");
            }
        }
    }

    #[test]
    fn mode_no_takes_any_line_end() {
        for end in [&b"\n.\n"[..], b"\n.\r\n", b"\r\n.\n", b"\r\r\n.\r\r\n"] {
            let mut input = b"text".to_vec();
            input.extend_from_slice(end);
            assert_eq!(
                whole(BareNewline::No, &input),
                (b"text\n".to_vec(), input.len(), Progress::Complete),
                "{end:?}"
            );
        }
    }

    #[test]
    fn a_dot_line_next_to_a_lone_line_feed_is_dropped() {
        let (out, _, progress) = whole(BareNewline::Normalize, b"a\n.\nb\r\n.\nc\n.\r\nd\r\n.\r\n");
        assert_eq!((out.as_slice(), progress), (&b"a\nb\nc\nd\n"[..], Progress::Complete));
    }

    #[test]
    fn input_behind_the_end_is_left() {
        assert_eq!(whole(BareNewline::Normalize, b"a\r\n.\r\nQUIT\r\n").1, 6);
    }

    #[test]
    fn too_much_is_flagged_consumed_and_not_kept() {
        for (limit, too_big) in [(6, false), (5, true), (0, false)] {
            let mut decoder = DataDecoder::new(BareNewline::Normalize, limit);
            let mut out = Vec::new();
            let (_, progress) = decoder.decode(b"abcd\r\n.\r\n", &mut out);
            assert_eq!((progress, decoder.too_big()), (Progress::Complete, too_big), "limit {limit}");
            assert_eq!(out.is_empty(), too_big);
            let mut chunks = ChunkDecoder::new(BareNewline::Normalize, limit);
            chunks.decode(b"abcd\r\n", &mut out);
            assert_eq!(chunks.too_big(), too_big, "chunk, limit {limit}");
        }
    }

    #[test]
    fn lone_line_feeds_are_noticed_unless_allowed() {
        for mode in MODES {
            let mut decoder = DataDecoder::new(mode, 0);
            decoder.decode(b"a\nb\r\n", &mut Vec::new());
            assert_eq!(decoder.bare_lf(), mode.detects(), "{mode:?}");
        }
    }

    #[test]
    fn chunks_keep_dots_and_join_split_line_ends() {
        let mut decoder = ChunkDecoder::new(BareNewline::Normalize, 0);
        let mut out = Vec::new();
        for chunk in [&b".\r\n..a\r"[..], b"\nb\r", b"c", b"\r"] {
            decoder.decode(chunk, &mut out);
        }
        decoder.finish(&mut out);
        assert_eq!(out, b".\n..a\nb\rc\r\n");
        decoder.finish(&mut out);
        assert_eq!(out.len(), 11, "finished once");
    }

    /// Bytes that are mostly the ones with a meaning.
    fn wire() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(
            prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'.'), Just(b'a'), any::<u8>()],
            0..200,
        )
    }

    proptest! {
        #[test]
        fn split_reads_equal_whole_read(input in wire(), cuts in proptest::collection::vec(1usize..9, 1..40), mode in 0usize..4) {
            let (expected, consumed, progress) = whole(MODES[mode], &input);
            let mut decoder = DataDecoder::new(MODES[mode], 0);
            let (mut out, mut at, mut last) = (Vec::new(), 0, Progress::More);
            for cut in cuts.iter().cycle() {
                if at == input.len() || last == Progress::Complete { break; }
                let end = (at + cut).min(input.len());
                let (n, progress) = decoder.decode(&input[at..end], &mut out);
                at += n;
                last = progress;
            }
            prop_assert_eq!((at, last), (consumed, progress));
            if progress == Progress::Complete { prop_assert_eq!(out, expected); }
        }

        #[test]
        fn split_chunks_equal_whole_chunk(input in wire(), cut in 0usize..200, mode in 0usize..4) {
            let cut = cut.min(input.len());
            let (mut whole, mut split) = (Vec::new(), Vec::new());
            let mut decoder = ChunkDecoder::new(MODES[mode], 0);
            decoder.decode(&input, &mut whole);
            decoder.finish(&mut whole);
            let mut decoder = ChunkDecoder::new(MODES[mode], 0);
            decoder.decode(&input[..cut], &mut split);
            decoder.decode(&input[cut..], &mut split);
            decoder.finish(&mut split);
            prop_assert_eq!(whole, split);
        }
    }
}
