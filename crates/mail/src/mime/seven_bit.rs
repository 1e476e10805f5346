//! A message made fit for a server that takes ASCII only (RFC 6152 section 3): parts that say they are 8-bit become
//! quoted-printable, and say so. What says nothing about its bytes stays as it is, as with Postfix.

use super::quoted_printable::Encoder;
use super::{Class, Entity, Event, Kind, Limits, Structure};
use crate::header;

/// The converter.
#[derive(Debug)]
pub struct SevenBit {
    structure: Option<Structure>,
    converting: Converting,
    /// The beginning of a line that has not come whole.
    pending: Vec<u8>,
}

/// Lines up to this length are seen whole; no boundary and no header of mail that people send is longer.
const LONGEST_LINE: usize = 64 * 1024;

impl SevenBit {
    /// At the first byte of a message.
    pub fn new(limits: Limits) -> SevenBit {
        SevenBit {
            structure: Some(Structure::new(limits)),
            converting: Converting::default(),
            pending: Vec::new(),
        }
    }

    /// Converts a piece of the message, whose lines end in LF, and appends the result to `out`.
    pub fn convert(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        let whole = memchr::memrchr(b'\n', piece).map_or(0, |at| at + 1);
        let (lines, rest) = piece.split_at(whole);
        if !lines.is_empty() {
            self.pending.extend_from_slice(lines);
            self.pass(out);
        }
        self.pending.extend_from_slice(rest);
        if self.pending.len() > LONGEST_LINE {
            self.pass(out);
        }
    }

    /// The message ends.
    pub fn finish(mut self, out: &mut Vec<u8>) {
        self.pass(out);
        if let Some(structure) = self.structure.take() {
            structure.finish(&mut |event| self.converting.event(event, out));
        }
        self.converting.end_part(out);
    }

    fn pass(&mut self, out: &mut Vec<u8>) {
        if let Some(structure) = &mut self.structure {
            structure.feed(&self.pending, &mut |event| self.converting.event(event, out));
        }
        self.pending.clear();
    }
}

#[derive(Debug, Default)]
struct Converting {
    /// Set while the content of a part is being encoded.
    encoder: Option<Encoder>,
    /// Content-Transfer-Encoding of the header of the moment, put back at its end unless another takes its place.
    own: Vec<u8>,
}

impl Converting {
    fn event(&mut self, event: Event<'_>, out: &mut Vec<u8>) {
        match event {
            Event::Field(_, field) if is_transfer_encoding(field) => self.own = field.to_vec(),
            Event::Field(_, bytes) | Event::FieldRest(bytes) | Event::Separator(bytes) => {
                out.extend_from_slice(bytes);
            }
            Event::HeaderEnd(class, entity) => self.header_end(class, entity, out),
            Event::Boundary(line) => {
                self.end_part(out);
                out.extend_from_slice(line);
            }
            Event::Content(bytes, _) => match &mut self.encoder {
                Some(encoder) => encoder.encode(bytes, out),
                None => out.extend_from_slice(bytes),
            },
        }
    }

    fn header_end(&mut self, class: Class, entity: &Entity, out: &mut Vec<u8>) {
        let own = std::mem::take(&mut self.own);
        if !entity.encoding.is_eight_bit() {
            return out.extend_from_slice(&own);
        }
        // A message that is a header only has no line end to put a field behind.
        if class == Class::Primary && !out.is_empty() && !out.ends_with(b"\n") {
            out.push(b'\n');
        }
        // RFC 2045 section 6.4: what holds other entities is never encoded itself.
        out.extend_from_slice(match entity.kind {
            Kind::Leaf => {
                self.encoder = Some(Encoder::default());
                b"Content-Transfer-Encoding: quoted-printable\n".as_slice()
            }
            Kind::Multipart(_) | Kind::Message | Kind::Fragment | Kind::OtherMessage => {
                b"Content-Transfer-Encoding: 7bit\n"
            }
        });
    }

    fn end_part(&mut self, out: &mut Vec<u8>) {
        if let Some(mut encoder) = self.encoder.take() {
            encoder.finish(out);
        }
    }
}

fn is_transfer_encoding(field: &[u8]) -> bool {
    header::next_field(field).is_some_and(|(field, _)| field.is("Content-Transfer-Encoding"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn converted(message: &str, size: usize) -> String {
        let mut converter = SevenBit::new(Limits::default());
        let mut out = Vec::new();
        for piece in message.as_bytes().chunks(size) {
            converter.convert(piece, &mut out);
        }
        converter.finish(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn parts_become_quoted_printable() {
        let message = "Subject: mp\nContent-Type: multipart/mixed; boundary=xx\nContent-Transfer-Encoding: 8bit\nFrom: a\n\n\
                       pre\u{e4}\n--xx\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n\
                       h\u{e4}llo = x\n--xx\nContent-Transfer-Encoding: base64\n\nAAAA\n--xx\n\nplain \n--xx--\n";
        let expected = "Subject: mp\nContent-Type: multipart/mixed; boundary=xx\nFrom: a\n\
                        Content-Transfer-Encoding: 7bit\n\npre\u{e4}\n--xx\nContent-Type: text/plain; charset=utf-8\n\
                        Content-Transfer-Encoding: quoted-printable\n\nh=C3=A4llo =3D x\n--xx\n\
                        Content-Transfer-Encoding: base64\n\nAAAA\n--xx\n\nplain \n--xx--\n";
        for size in [1, 7, 10_000] {
            assert_eq!(converted(message, size), expected, "pieces of {size}");
        }
    }

    #[test]
    fn what_says_nothing_stays() {
        for message in ["Subject: x\n\nh\u{e4}llo = x   \n", "Subject: x", "", "no header \u{e4}\n"] {
            assert_eq!(converted(message, 3), message);
        }
    }

    #[test]
    fn ends_without_a_line_end() {
        assert_eq!(
            converted("Content-Transfer-Encoding: 8bit\n\n\u{e4}", 100),
            "Content-Transfer-Encoding: quoted-printable\n\n=C3=A4=\n"
        );
        assert_eq!(
            converted("A: b\nContent-Transfer-Encoding: 8bit", 9),
            "A: b\nContent-Transfer-Encoding: quoted-printable\n"
        );
    }
}
