//! What comes behind a message's own header, when tables look at it: MIME headers, headers of messages within, and body
//! lines (header_checks(5)). Without such tables content passes untouched and is not looked at.

use mail::header;
use mail::mime::{Class, Event, Structure};
use mail::{Address, QueueId};
use maillog::Log;
use route::Failed;

use super::checks::{Checking, Checks, Subject, Verdict};

/// The rest of a message in progress.
pub(super) struct BodyPass {
    /// `None` with `disable_mime_input_processing`.
    structure: Option<Structure>,
    /// The beginning of a line that has not come whole.
    pending: Vec<u8>,
    /// Bytes of the MIME segment of the moment.
    segment: usize,
}

/// A piece of a message with what is to be done about it; see [`Event`].
enum Piece {
    Field(Class, Vec<u8>),
    Untouched(Vec<u8>),
    Line(Vec<u8>),
    NewSegment,
}

impl BodyPass {
    /// Behind the header that `structure` has read.
    pub(super) fn new(structure: Option<Structure>) -> BodyPass {
        BodyPass { structure, pending: Vec::new(), segment: 0 }
    }

    /// Takes all of `input`, and appends to `out` what is ready.
    pub(super) async fn pass(
        &mut self,
        input: &mut Vec<u8>,
        out: &mut Vec<u8>,
        checks: &Checks,
        checking: &mut Checking,
        message: (&Log, &QueueId, &Address),
    ) -> Result<(), Failed> {
        self.pending.append(input);
        let pending = std::mem::take(&mut self.pending);
        let mut rest = &pending[..];
        loop {
            let whole = memchr::memchr(b'\n', rest).map(|at| at + 1);
            let end = match whole {
                Some(end) => end.min(checks.line_limit + 1),
                None if rest.len() > checks.line_limit => checks.line_limit,
                None => break,
            };
            let (line, after) = rest.split_at(end);
            self.line(line, out, checks, checking, message).await?;
            rest = after;
        }
        self.pending = rest.to_vec();
        Ok(())
    }

    /// The message is complete.
    pub(super) async fn finish(
        &mut self,
        out: &mut Vec<u8>,
        checks: &Checks,
        checking: &mut Checking,
        message: (&Log, &QueueId, &Address),
    ) -> Result<(), Failed> {
        let last = std::mem::take(&mut self.pending);
        if !last.is_empty() {
            self.line(&last, out, checks, checking, message).await?;
        }
        let mut pieces = Vec::new();
        if let Some(structure) = self.structure.take() {
            structure.finish(&mut |event| pieces.extend(piece(event)));
        }
        self.pieces(pieces, out, checks, checking, message).await
    }

    async fn line(
        &mut self,
        line: &[u8],
        out: &mut Vec<u8>,
        checks: &Checks,
        checking: &mut Checking,
        message: (&Log, &QueueId, &Address),
    ) -> Result<(), Failed> {
        let mut pieces = Vec::new();
        match &mut self.structure {
            Some(structure) => structure.feed(line, &mut |event| pieces.extend(piece(event))),
            None => pieces.push(Piece::Line(line.to_vec())),
        }
        self.pieces(pieces, out, checks, checking, message).await
    }

    async fn pieces(
        &mut self,
        pieces: Vec<Piece>,
        out: &mut Vec<u8>,
        checks: &Checks,
        checking: &mut Checking,
        message: (&Log, &QueueId, &Address),
    ) -> Result<(), Failed> {
        for piece in pieces {
            let (bytes, verdict) = match piece {
                Piece::NewSegment => {
                    self.segment = 0;
                    continue;
                }
                Piece::Untouched(bytes) => (bytes, Verdict::Keep),
                Piece::Field(class, bytes) => {
                    let name = header::next_field(&bytes).map(|(field, _)| field.name().to_vec());
                    let maps = checks.for_field(class, &String::from_utf8_lossy(&name.unwrap_or_default()));
                    let verdict = checking.look(maps, Subject::Header, text(&bytes), message).await?;
                    (bytes, verdict)
                }
                Piece::Line(bytes) => {
                    let verdict = match self.segment < checks.segment_limit {
                        true => {
                            checking.look(checks.for_body(), Subject::Body, text(&bytes), message).await?
                        }
                        false => Verdict::Keep,
                    };
                    self.segment += bytes.len();
                    (bytes, verdict)
                }
            };
            match verdict {
                Verdict::Keep => out.extend_from_slice(&bytes),
                Verdict::Drop => {}
                Verdict::Replace(text) => push_line(out, &text),
                Verdict::Prepend(text) => {
                    push_line(out, &text);
                    out.extend_from_slice(&bytes);
                }
            }
        }
        Ok(())
    }
}

fn piece(event: Event<'_>) -> Option<Piece> {
    Some(match event {
        Event::Field(class, bytes) => Piece::Field(class, bytes.to_vec()),
        Event::FieldRest(bytes) | Event::Separator(bytes) => Piece::Untouched(bytes.to_vec()),
        // A delimiter is the last line of what it ends, as with Postfix.
        Event::Boundary(bytes) | Event::Content(bytes, _) => Piece::Line(bytes.to_vec()),
        Event::HeaderEnd(..) => Piece::NewSegment,
    })
}

/// Without the last line end.
fn text(bytes: &[u8]) -> &[u8] {
    bytes.strip_suffix(b"\n").unwrap_or(bytes)
}

pub(super) fn push_line(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
    out.push(b'\n');
}
