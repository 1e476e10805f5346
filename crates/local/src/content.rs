//! What is written: the lines that a delivery agent puts before a message, and the message with its lines changed as
//! mbox files and commands want them (local(8), pipe(8) `flags=`).
//!
//! Bodies are read in one pass, from memory, a file or a pipe; a body that ends early is an error, never a short message.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::SystemTime;

use mail::{Address, date};
use serde::{Deserialize, Serialize};

/// How the lines of a message are changed on their way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Format {
    /// Complete lines that come first, with LF.
    pub(crate) head: String,
    /// `>` before lines that begin with `From `.
    pub(crate) quote_from: bool,
    /// `.` before lines that begin with `.`.
    pub(crate) quote_dot: bool,
    /// Ends each line, those of `head` too.
    pub(crate) eol: String,
    /// An empty line at the end.
    pub(crate) blank_line: bool,
}

impl Format {
    /// The message as it is, behind `head`.
    pub(crate) fn plain(head: String) -> Format {
        Format { head, quote_from: false, quote_dot: false, eol: "\n".into(), blank_line: false }
    }

    /// Does it leave the lines as they are?
    fn is_plain(&self) -> bool {
        !self.quote_from && !self.quote_dot && !self.blank_line && self.eol == "\n"
    }

    /// A message in an mbox file.
    pub(crate) fn mbox(head: String) -> Format {
        Format { quote_from: true, blank_line: true, ..Format::plain(head) }
    }
}

/// `From sender  Sun Nov 22 16:37:47 2026`.
pub(crate) fn from_line(sender: &str, now: SystemTime) -> String {
    format!("From {sender}  {}\n", date::asctime_with_year(now))
}

/// The sender in a From_ line; bounces are from `MAILER-DAEMON`.
pub(crate) fn envelope_from(sender: &Address) -> String {
    if sender.is_null() { "MAILER-DAEMON".into() } else { sender.to_external() }
}

/// `Return-Path: <sender>`.
pub(crate) fn return_path(sender: &str) -> String {
    format!("Return-Path: <{sender}>\n")
}

/// `X-Original-To:`, the recipient before rewriting and aliases.
pub(crate) fn original_to(recipient: &Address) -> String {
    format!("X-Original-To: {}\n", recipient.to_external())
}

/// `Delivered-To:`; loops are found whatever the case of it.
pub(crate) fn delivered_to(recipient: &Address) -> String {
    format!("Delivered-To: {}\n", recipient.to_external())
}

/// Which side of a copy failed.
#[derive(Debug)]
pub(crate) enum CopyError {
    /// The message can not be read.
    Read(io::Error),
    /// Its copy can not be written.
    Write(io::Error),
}

/// Lines are looked at in pieces of at most this many bytes; `From ` and `.` are only looked for at the start of a line.
const PIECE: u64 = 32 * 1024;

/// Writes `format.head` and then `length` bytes of `body`.
pub(crate) fn copy(
    format: &Format,
    body: &mut dyn Read,
    length: u64,
    out: &mut dyn Write,
) -> Result<(), CopyError> {
    use CopyError::{Read as Reading, Write as Writing};
    let eol = format.eol.as_bytes();
    for line in format.head.lines() {
        out.write_all(line.as_bytes()).map_err(Writing)?;
        out.write_all(eol).map_err(Writing)?;
    }
    if format.is_plain() {
        return copy_plain(body, length, out);
    }
    let mut body = BufReader::with_capacity(64 * 1024, body);
    let mut left = length;
    let mut at_start = true;
    let mut piece = Vec::new();
    while left > 0 {
        piece.clear();
        let read = (&mut body).take(left.min(PIECE)).read_until(b'\n', &mut piece).map_err(Reading)?;
        if read == 0 {
            let text = format!("the message ends {left} bytes too early");
            return Err(Reading(io::Error::new(io::ErrorKind::UnexpectedEof, text)));
        }
        left -= read as u64;
        if at_start && format.quote_from && piece.starts_with(b"From ") {
            out.write_all(b">").map_err(Writing)?;
        }
        if at_start && format.quote_dot && piece.starts_with(b".") {
            out.write_all(b".").map_err(Writing)?;
        }
        at_start = piece.last() == Some(&b'\n');
        if at_start {
            piece.pop();
        }
        out.write_all(&piece).map_err(Writing)?;
        if at_start {
            out.write_all(eol).map_err(Writing)?;
        }
    }
    if !at_start {
        out.write_all(eol).map_err(Writing)?;
    }
    if format.blank_line {
        out.write_all(eol).map_err(Writing)?;
    }
    Ok(())
}

/// The body as it is, but with an end to its last line.
fn copy_plain(body: &mut dyn Read, length: u64, out: &mut dyn Write) -> Result<(), CopyError> {
    let mut piece = vec![0; usize::try_from(length).unwrap_or(usize::MAX).min(64 * 1024)];
    let mut left = length;
    let mut ends = false;
    while left > 0 {
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(piece.len());
        let read = match body.read(&mut piece[..most]) {
            Ok(0) => {
                let text = format!("the message ends {left} bytes too early");
                return Err(CopyError::Read(io::Error::new(io::ErrorKind::UnexpectedEof, text)));
            }
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(CopyError::Read(error)),
        };
        out.write_all(&piece[..read]).map_err(CopyError::Write)?;
        ends = piece[read - 1] == b'\n';
        left -= read as u64;
    }
    if length > 0 && !ends {
        out.write_all(b"\n").map_err(CopyError::Write)?;
    }
    Ok(())
}

/// The content of a message in hand; clones share it.
#[derive(Clone)]
pub(crate) struct Body {
    source: Source,
    /// Bytes.
    pub(crate) length: u64,
}

#[derive(Clone)]
enum Source {
    Memory(Arc<[u8]>),
    File(Arc<File>),
}

impl Body {
    /// A body in memory.
    pub(crate) fn inline(bytes: Vec<u8>) -> Body {
        Body { length: bytes.len() as u64, source: Source::Memory(bytes.into()) }
    }

    /// A body in a file.
    pub(crate) fn file(file: File) -> io::Result<Body> {
        Ok(Body { length: file.metadata()?.len(), source: Source::File(Arc::new(file)) })
    }

    /// Reads from the start; the file's own offset is not touched, so that readers do not disturb each other.
    pub(crate) fn reader(&self) -> BodyReader {
        BodyReader { body: self.clone(), at: 0 }
    }
}

/// Reads a [`Body`] once.
pub(crate) struct BodyReader {
    body: Body,
    at: u64,
}

impl Read for BodyReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = match &self.body.source {
            Source::Memory(bytes) => {
                let start = usize::try_from(self.at).unwrap_or(usize::MAX).min(bytes.len());
                (&bytes[start..]).read(out)?
            }
            Source::File(file) => file.read_at(out, self.at)?,
        };
        self.at += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn copied(format: &Format, body: &str) -> String {
        let mut out = Vec::new();
        copy(format, &mut body.as_bytes(), body.len() as u64, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn formats() {
        let bsmtp = Format { quote_dot: true, eol: "\r\n".into(), ..Format::plain("H: x\n".into()) };
        for (format, body, expected) in [
            (Format::plain("H: x\n".into()), "A: b\n\nFrom me\n.\n", "H: x\nA: b\n\nFrom me\n.\n"),
            (Format::mbox("H: x\n".into()), "A: b\n\nFrom me\n>From\n", "H: x\nA: b\n\n>From me\n>From\n\n"),
            (Format::plain(String::new()), "no line end", "no line end\n"),
            (Format::plain("H: x\n".into()), "", "H: x\n"),
            (Format::mbox(String::new()), "no line end", "no line end\n\n"),
            (Format::mbox(String::new()), "", "\n"),
            (Format::mbox(String::new()), "x From me\nFrom", "x From me\nFrom\n\n"),
            (bsmtp, "A: b\n\n.x\n", "H: x\r\nA: b\r\n\r\n..x\r\n"),
        ] {
            assert_eq!(copied(&format, body), expected, "{format:?}");
        }
    }

    #[test]
    fn a_long_line_is_quoted_at_its_start_only() {
        let line = "From ".repeat(PIECE as usize);
        assert_eq!(copied(&Format::mbox(String::new()), &line), format!(">{line}\n\n"));
    }

    #[test]
    fn half_a_message_is_an_error() {
        for format in [Format::plain(String::new()), Format::mbox(String::new())] {
            let result = copy(&format, &mut &b"A: b\n"[..], 100, &mut Vec::new());
            assert!(matches!(result, Err(CopyError::Read(_))));
        }
    }

    #[test]
    fn lines_put_first() {
        let someone = Address::internal("A b@X.test").unwrap();
        assert_eq!(delivered_to(&someone), "Delivered-To: \"A b\"@X.test\n");
        assert_eq!(original_to(&someone), "X-Original-To: \"A b\"@X.test\n");
        assert_eq!(envelope_from(&Address::null()), "MAILER-DAEMON");
        let line = from_line("a@b", UNIX_EPOCH + Duration::from_secs(1_795_365_467));
        assert!(line.starts_with("From a@b  Sun Nov 22 ") && line.ends_with(" 2026\n"), "{line}");
    }

    #[test]
    fn readers_of_a_file_do_not_disturb_each_other() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"hello").unwrap();
        let body = Body::file(file).unwrap();
        let (mut one, mut two) = (body.reader(), body.reader());
        let mut text = String::new();
        one.read_to_string(&mut text).unwrap();
        two.read_to_string(&mut text).unwrap();
        assert_eq!((text.as_str(), body.length), ("hellohello", 5));
    }
}
