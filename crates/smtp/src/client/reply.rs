//! Replies of a server (RFC 5321 section 4.2, RFC 2034): several lines, a code, perhaps an enhanced status.
//!
//! As lenient as Postfix: lines that are no reply are kept for the text and skipped. Lines are bounded in length,
//! replies in text and in number of lines.

use bytes::{Buf, BytesMut};
use mail::Status;
use memchr::memchr;

use super::notice::Notice;
use super::options::Options;

/// Most lines of one reply that are looked at. Postfix has no bound but time; no server has reason for more.
const MAX_LINES: usize = 1000;

/// One whole reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerReply {
    /// The three digits; 0 when there is no code at all.
    pub code: u16,
    /// The enhanced status, or one made from the code: `4.0.0`; 5.5.0 for replies out of protocol.
    pub status: Status,
    /// All lines with their codes, joined by line feeds.
    pub text: String,
}

impl ServerReply {
    /// First digit.
    pub fn class(&self) -> u16 {
        self.code / 100
    }

    /// 2xx.
    pub fn is_positive(&self) -> bool {
        self.class() == 2
    }

    /// The text on one line, as it is logged.
    pub fn one_line(&self) -> String {
        self.text.replace('\n', " ")
    }

    /// What follows code and blank on the last line: the challenge of a 334.
    pub fn argument(&self) -> &str {
        let last = self.text.rsplit('\n').next().unwrap_or_default();
        last.get(4..).unwrap_or_default()
    }

    /// Replies that say that one side broke the protocol: a connection with such a history is not used again.
    pub(super) fn is_protocol_trouble(&self) -> bool {
        !(400..=599).contains(&self.code) || self.code == 555 || (500..510).contains(&self.code)
    }
}

/// Collects the lines of a reply.
#[derive(Debug)]
pub(super) struct ReplyReader {
    limit: usize,
    text: String,
    lines: usize,
    /// Each line is worth a notice.
    tells: bool,
    /// The rest of a line that was too long is being skipped.
    skipping: bool,
    /// Something came that is no reply.
    pub(super) garbled: bool,
}

/// The server never stops talking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EndlessReply;

impl ReplyReader {
    pub(super) fn new(options: &Options) -> Self {
        let (limit, tells) = (options.line_length_limit, options.tells_replies);
        ReplyReader { limit, tells, text: String::new(), lines: 0, skipping: false, garbled: false }
    }

    /// Takes lines off the front of `input` until a reply is complete. `None`: more input is needed, and at most
    /// `limit` bytes of it are left.
    pub(super) fn read(
        &mut self,
        input: &mut BytesMut,
        pipelining: bool,
        notices: &mut Vec<Notice>,
    ) -> Result<Option<ServerReply>, EndlessReply> {
        loop {
            let end = memchr(b'\n', input);
            if self.skipping {
                input.advance(end.map_or(input.len(), |end| end + 1));
                match end {
                    Some(_) => self.skipping = false,
                    None => return Ok(None),
                }
                continue;
            }
            let line = match end {
                Some(end) if end < self.limit => input.split_to(end + 1),
                None if input.len() <= self.limit => return Ok(None),
                _ => {
                    self.skipping = true;
                    input.split_to(self.limit)
                }
            };
            let line = printable(&line);
            if self.skipping {
                notices.push(Notice::LongResponse(self.limit, line.chars().take(30).collect()));
            }
            if self.tells {
                notices.push(Notice::Heard(line.clone()));
            }
            self.lines += 1;
            if self.lines > MAX_LINES {
                return Err(EndlessReply);
            }
            if self.text.len() < self.limit {
                if self.lines > 1 {
                    self.text.push('\n');
                }
                self.text.push_str(&line);
            }
            let digits = line.bytes().take_while(u8::is_ascii_digit).count();
            match (digits, line.as_bytes().get(3)) {
                (3, Some(b'-')) => {}
                (3, None | Some(b' ')) => {
                    let text = std::mem::take(&mut self.text);
                    self.lines = 0;
                    return Ok(Some(reply(&line, text)));
                }
                _ => {
                    self.garbled = true;
                    if pipelining {
                        notices.push(Notice::GarbledResponse(line.chars().take(100).collect()));
                    }
                }
            }
        }
    }
}

/// Makes a reply of its last line and its whole text.
fn reply(last: &str, text: String) -> ServerReply {
    let code: u16 = last[..3].parse().unwrap_or(0);
    let class = (code / 100) as u8;
    let status = if matches!(class, 2 | 4 | 5) {
        // A status of another class than the code's is out of protocol (RFC 2034 section 4).
        let own = Status::split_from(last[3..].trim_start_matches(' ')).map(|(status, _)| status);
        own.filter(|status| status.class == class).unwrap_or(Status::new(class, 0, 0))
    } else {
        Status::new(5, 5, 0)
    };
    ServerReply { code, status, text }
}

/// Without line end, and with `?` for what can not be shown.
fn printable(line: &[u8]) -> String {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let end = line.iter().rposition(|&b| b != b'\r').map_or(0, |at| at + 1);
    String::from_utf8_lossy(&line[..end])
        .chars()
        .map(|c| if c.is_control() || c == char::REPLACEMENT_CHARACTER { '?' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn limited(line_length_limit: usize) -> Options {
        Options { line_length_limit, ..Options::default() }
    }

    fn read(input: &[u8]) -> (Option<ServerReply>, bool) {
        let mut reader = ReplyReader::new(&limited(2048));
        let reply = reader.read(&mut BytesMut::from(input), false, &mut Vec::new()).unwrap();
        (reply, reader.garbled)
    }

    #[test]
    fn codes_and_statuses() {
        for (input, code, status, text) in [
            (&b"250 2.1.0 Ok\r\n"[..], 250, "2.1.0", "250 2.1.0 Ok"),
            (b"250\n", 250, "2.0.0", "250"),
            (b"550-5.1.1 a\r\n550 5.1.2 b\r\n", 550, "5.1.2", "550-5.1.1 a\n550 5.1.2 b"),
            (b"550 4.1.1 classes differ\r\n", 550, "5.0.0", "550 4.1.1 classes differ"),
            (b"354 go\r\n", 354, "5.5.0", "354 go"),
            (b"garbage\r\n220 x\r\n", 220, "2.0.0", "garbage\n220 x"),
            (b"250 \xff\x01\r\n", 250, "2.0.0", "250 ??"),
        ] {
            let reply = read(input).0.unwrap();
            assert_eq!(
                (reply.code, reply.status.to_string().as_str(), reply.text.as_str()),
                (code, status, text)
            );
        }
        assert_eq!(read(b"250-unfinished\r\n"), (None, false));
        assert_eq!(read(b"2500 no code\r\n"), (None, true));
    }

    #[test]
    fn long_lines_are_cut_and_endless_replies_refused() {
        let mut reader = ReplyReader::new(&limited(20));
        let mut notices = Vec::new();
        let mut input = BytesMut::from(&b"550 5.1.1 "[..]);
        input.extend_from_slice(&[b'x'; 100]);
        input.extend_from_slice(b"\r\n250 ok\r\n");
        let first = reader.read(&mut input, false, &mut notices).unwrap().unwrap();
        assert_eq!(first.text.len(), 20);
        assert_eq!(notices.len(), 1);
        assert_eq!(reader.read(&mut input, false, &mut notices).unwrap().unwrap().text, "250 ok");
        let mut endless = BytesMut::from("250-x\r\n".repeat(MAX_LINES + 1).as_bytes());
        assert_eq!(reader.read(&mut endless, false, &mut notices), Err(EndlessReply));
    }

    proptest! {
        #[test]
        fn reply_round_trip(code in 200u16..600, lines in proptest::collection::vec("[ -~]{0,40}", 1..5)) {
            let sent = mail::Reply::bare(code, lines.join("\n"));
            let mut wire = Vec::new();
            sent.write_to(&mut wire);
            let (reply, garbled) = read(&wire);
            let reply = reply.unwrap();
            prop_assert!(!garbled);
            prop_assert_eq!(reply.code, code);
            let texts: Vec<_> = reply.text.split('\n').map(|line| line[4..].to_owned()).collect();
            prop_assert_eq!(texts, lines);
        }

        #[test]
        fn split_reads_equal_whole_read(input in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'2'), Just(b' '), Just(b'-'), any::<u8>()], 0..300), cut in 0usize..300) {
            let cut = cut.min(input.len());
            let (mut whole, mut split) = (Vec::new(), Vec::new());
            let mut reader = ReplyReader::new(&limited(16));
            let mut buffer = BytesMut::from(&input[..]);
            while let Some(reply) = reader.read(&mut buffer, false, &mut Vec::new()).unwrap() { whole.push(reply); }
            let mut reader = ReplyReader::new(&limited(16));
            let mut buffer = BytesMut::from(&input[..cut]);
            while let Some(reply) = reader.read(&mut buffer, false, &mut Vec::new()).unwrap() { split.push(reply); }
            buffer.extend_from_slice(&input[cut..]);
            while let Some(reply) = reader.read(&mut buffer, false, &mut Vec::new()).unwrap() { split.push(reply); }
            prop_assert_eq!(whole, split);
        }
    }
}
