//! A message that Milters may change: its header as fields in memory, its body in memory or in the queue's file.
//!
//! A new body is written behind the old one in the same file, and moved to its place when all Milters are done, so that a large
//! message needs no second file and little memory.

use mail::header;

use super::protocol::CHUNK;
use crate::content::Content;
use crate::queue_link::NotKept;

/// Largest header that Milters are shown, in bytes: it is held in memory.
const MAX_HEADER: usize = 16 * 1024 * 1024;
/// Bytes that are read at once: each could become two, CR LF, and has to fit into a packet.
const PIECE: usize = CHUNK / 2;

/// See the module.
pub(crate) struct Draft<'a> {
    content: &'a mut Content,
    /// Each with its line end.
    fields: Vec<Vec<u8>>,
    /// Where our own Received: header is, the topmost at first: Milters neither see nor change it.
    own: Option<usize>,
    has_body: bool,
    body: Body,
    is_changed: bool,
    /// The Milter in hand has begun to write another body.
    replaces: bool,
    /// A CR that may belong to an LF in the next piece.
    holds_cr: bool,
    /// `message_size_limit`; 0 is none.
    limit: u64,
}

/// Where the body is.
enum Body {
    Memory(Vec<u8>),
    /// In the file, from here, so many bytes.
    File(u64, u64),
}

/// Why a draft can not go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DraftError {
    NotKept(NotKept),
    /// Beyond `message_size_limit`, or a header beyond all measure.
    TooBig,
}

impl From<NotKept> for DraftError {
    fn from(why: NotKept) -> Self {
        DraftError::NotKept(why)
    }
}

impl<'a> Draft<'a> {
    /// Takes content that is complete.
    pub(crate) async fn open(content: &'a mut Content, limit: u64) -> Result<Draft<'a>, DraftError> {
        let length = content.gather().await?;
        let mut start = Vec::new();
        let in_file = content.is_in_file();
        if in_file {
            while !has_whole_header(&start) && (start.len() as u64) < length {
                if start.len() >= MAX_HEADER {
                    return Err(DraftError::TooBig);
                }
                start.extend(content.read_at(start.len() as u64, PIECE * 2).await?);
            }
        } else {
            start = std::mem::take(content.buffer());
        }
        let (fields, rest) = header::split(&start);
        let fields: Vec<Vec<u8>> = fields.into_iter().map(|field| field.raw.to_vec()).collect();
        let own = fields.iter().position(|raw| is_named(raw, "Received"));
        let has_body = !rest.is_empty();
        let rest = rest.strip_prefix(b"\n").unwrap_or(rest);
        let body = match in_file {
            false => Body::Memory(rest.to_vec()),
            true => {
                let at = (start.len() - rest.len()) as u64;
                Body::File(at, length.saturating_sub(at))
            }
        };
        Ok(Draft {
            content,
            fields,
            own,
            has_body,
            body,
            is_changed: false,
            replaces: false,
            holds_cr: false,
            limit,
        })
    }

    /// What Milters see of the header: names and values, without the first blank unless the Milter wants it.
    pub(crate) fn fields(&self, keeps_leading_space: bool) -> Vec<(Vec<u8>, Vec<u8>)> {
        let pair = |raw: &Vec<u8>| {
            let (field, _) = header::next_field(raw)?;
            let colon = raw.iter().position(|&byte| byte == b':')?;
            let value = raw[colon + 1..].strip_suffix(b"\n").unwrap_or(&raw[colon + 1..]);
            let value = match keeps_leading_space {
                true => value,
                false => value.strip_prefix(b" ").unwrap_or(value),
            };
            Some((field.name().to_vec(), value.to_vec()))
        };
        self.seen().filter_map(|(_, raw)| pair(raw)).collect()
    }

    /// A piece of the body with CR LF, from this byte on, and where the next one begins; nothing at the end.
    pub(crate) async fn body_from(&self, at: u64) -> Result<Option<(Vec<u8>, u64)>, DraftError> {
        let from_file;
        let piece = match &self.body {
            Body::Memory(bytes) => {
                let start = usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
                &bytes[start..bytes.len().min(start + PIECE)]
            }
            Body::File(start, length) => {
                let left = usize::try_from(length.saturating_sub(at)).unwrap_or(usize::MAX);
                from_file = self.content.read_at(start + at, left.min(PIECE)).await?;
                &from_file[..]
            }
        };
        if piece.is_empty() {
            return Ok(None);
        }
        let mut out = Vec::with_capacity(piece.len() + piece.len() / 16);
        for line in piece.split_inclusive(|&byte| byte == b'\n') {
            match line.strip_suffix(b"\n") {
                Some(line) => {
                    out.extend_from_slice(line);
                    out.extend_from_slice(b"\r\n");
                }
                None => out.extend_from_slice(line),
            }
        }
        Ok(Some((out, at + piece.len() as u64)))
    }

    // ---- changes

    /// Another Milter's turn.
    pub(crate) fn next_milter(&mut self) {
        self.replaces = false;
        self.holds_cr = false;
    }

    /// Behind all others.
    pub(crate) fn add_header(&mut self, field: Vec<u8>) {
        self.is_changed = true;
        self.fields.push(field);
    }

    /// Before the header of that number, ours included; behind all others where there are fewer.
    pub(crate) fn insert_header(&mut self, index: usize, field: Vec<u8>) {
        self.is_changed = true;
        let index = index.min(self.fields.len());
        self.own = self.own.map(|own| if index <= own { own + 1 } else { own });
        self.fields.insert(index, field);
    }

    /// In the place of the header of this name and number, ours not included; behind all others where there are fewer.
    pub(crate) fn change_header(&mut self, index: usize, name: &str, field: Vec<u8>) {
        self.is_changed = true;
        match self.find(index, name) {
            Some(at) => self.fields[at] = field,
            None => self.fields.push(field),
        }
    }

    /// Deletes what [`Draft::change_header`] would change.
    pub(crate) fn delete_header(&mut self, index: usize, name: &str) {
        if let Some(at) = self.find(index, name) {
            self.is_changed = true;
            self.own = self.own.map(|own| if at < own { own - 1 } else { own });
            self.fields.remove(at);
        }
    }

    fn find(&self, index: usize, name: &str) -> Option<usize> {
        let mut named = self.seen().filter(|(_, raw)| is_named(raw, name));
        named.nth(index.checked_sub(1)?).map(|(at, _)| at)
    }

    /// All but our own Received: header, with their places.
    fn seen(&self) -> impl Iterator<Item = (usize, &Vec<u8>)> {
        let own = self.own;
        self.fields.iter().enumerate().filter(move |(at, _)| Some(*at) != own)
    }

    /// A piece of another body, with CR LF.
    pub(crate) async fn replace_body(&mut self, piece: &[u8]) -> Result<(), DraftError> {
        self.is_changed = true;
        self.has_body = true;
        if !std::mem::replace(&mut self.replaces, true) {
            self.body = Body::Memory(Vec::new());
        }
        let lines = self.with_lf(piece);
        let total = lines.len() as u64
            + match &self.body {
                Body::Memory(bytes) => bytes.len() as u64,
                Body::File(_, length) => *length,
            };
        if self.limit > 0 && total > self.limit {
            return Err(DraftError::TooBig);
        }
        match &mut self.body {
            Body::Memory(bytes) => {
                bytes.extend_from_slice(&lines);
                if bytes.len() > link::message::INLINE_BODY {
                    let bytes = std::mem::take(bytes);
                    let length = bytes.len() as u64;
                    let at = self.content.append_to_file(bytes).await?;
                    self.body = Body::File(at, length);
                }
            }
            Body::File(_, length) => {
                *length += lines.len() as u64;
                self.content.append_to_file(lines).await?;
            }
        }
        Ok(())
    }

    fn with_lf(&mut self, piece: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(piece.len() + 1);
        for &byte in piece {
            if std::mem::take(&mut self.holds_cr) && byte != b'\n' {
                out.push(b'\r');
            }
            match byte {
                b'\r' => self.holds_cr = true,
                byte => out.push(byte),
            }
        }
        out
    }

    /// Puts everything in order again: the content is complete as before.
    pub(crate) async fn close(self) -> Result<(), DraftError> {
        let Draft { content, fields, has_body, body, is_changed, .. } = self;
        let mut head = fields.concat();
        if has_body {
            head.push(b'\n');
        }
        match body {
            Body::Memory(bytes) if !content.is_in_file() => {
                head.extend_from_slice(&bytes);
                *content.buffer() = head;
            }
            Body::Memory(bytes) => {
                head.extend_from_slice(&bytes);
                content.rearrange(head, 0, 0).await?;
            }
            Body::File(..) if !is_changed => {}
            Body::File(at, length) => content.rearrange(head, at, length).await?,
        }
        Ok(())
    }
}

/// A header as a Milter gives it, with the line end, and folded where its lines would otherwise be headers of their own.
pub(crate) fn field(name: &str, value: &str, with_space: bool) -> Vec<u8> {
    let mut out = format!("{name}:{}", if with_space { " " } else { "" });
    for (number, line) in value.split('\n').enumerate() {
        let line = line.trim_end_matches('\r');
        if number > 0 {
            // An empty line would end the header.
            if line.trim().is_empty() {
                continue;
            }
            out.push('\n');
            if !line.starts_with([' ', '\t']) {
                out.push('\t');
            }
        }
        out.push_str(line);
    }
    out.push('\n');
    out.into_bytes()
}

fn is_named(raw: &[u8], name: &str) -> bool {
    header::next_field(raw).is_some_and(|(field, _)| field.is(name))
}

fn has_whole_header(start: &[u8]) -> bool {
    let (_, rest) = header::split(start);
    // More than the beginning of a line that may still turn out to be a field.
    rest.starts_with(b"\n") || memchr::memchr(b'\n', rest).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_can_not_end_the_header() {
        for (value, expected) in [
            ("one", "X: one\n"),
            ("one\n two", "X: one\n two\n"),
            ("one\r\n\ttwo", "X: one\n\ttwo\n"),
            ("one\nEvil: two", "X: one\n\tEvil: two\n"),
            ("one\n\nbody", "X: one\n\tbody\n"),
            ("", "X: \n"),
        ] {
            assert_eq!(String::from_utf8(field("X", value, true)).unwrap(), expected, "{value:?}");
        }
        assert_eq!(field("X", " a", false), b"X: a\n");
    }
}
