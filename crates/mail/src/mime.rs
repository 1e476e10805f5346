//! The MIME structure of a message as it passes by, line after line (RFC 2045, RFC 2046): which lines are header fields of
//! the message, of a part or of a message within it, which are content, and how the content of the current part is encoded.
//!
//! Nothing is refused and nothing is changed: broken structure is content. What is remembered is bounded by [`Limits`].

mod entity;
mod quoted_printable;
mod seven_bit;

pub use entity::{Entity, Kind, TransferEncoding};
pub use seven_bit::SevenBit;

/// What is remembered at most; each is the parameter of the same name (postconf(5)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// `header_size_limit`: bytes of one header field; a longer one comes in pieces.
    pub header_size: usize,
    /// `mime_nesting_limit`: multiparts within multiparts; deeper ones are taken for plain content.
    pub nesting: usize,
    /// `mime_boundary_length_limit`: bytes of a boundary that are compared.
    pub boundary_length: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { header_size: 102_400, nesting: 100, boundary_length: 2048 }
    }
}

/// Whose header a field stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The message's own.
    Primary,
    /// A part's of a multipart.
    Mime,
    /// A message's within the message (`message/rfc822`).
    Nested,
}

/// What a piece of the message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A header field, complete with its line ends, or the first `header_size` bytes of one.
    Field(Class, &'a [u8]),
    /// What is beyond the limit in a header field.
    FieldRest(&'a [u8]),
    /// A header ends here; the entity is what it described.
    HeaderEnd(Class, &'a Entity),
    /// The empty line behind a header; missing when the header ended without one.
    Separator(&'a [u8]),
    /// A line that delimits the parts of a multipart.
    Boundary(&'a [u8]),
    /// Content of the entity of the last header, or what stands around the parts of a multipart: a line, or a piece of a
    /// long one. True at the beginning of a line.
    Content(&'a [u8], bool),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Header(Class),
    Content,
}

/// The reader.
#[derive(Debug)]
pub struct Structure {
    limits: Limits,
    state: State,
    /// The header field that is being collected.
    field: Vec<u8>,
    field_overflows: bool,
    entity: Entity,
    /// Boundaries of the multiparts around, the innermost last.
    boundaries: Vec<Vec<u8>>,
    at_line_start: bool,
}

impl Structure {
    /// At the first byte of a message.
    pub fn new(limits: Limits) -> Structure {
        Structure {
            limits,
            state: State::Header(Class::Primary),
            field: Vec::new(),
            field_overflows: false,
            entity: Entity::default(),
            boundaries: Vec::new(),
            at_line_start: true,
        }
    }

    /// What the header that was read last describes; what the entity of the moment is once its header has ended.
    pub fn entity(&self) -> &Entity {
        &self.entity
    }

    /// Takes a piece of the message, whose lines end in LF. A piece may end anywhere, but structure is only seen in lines that come
    /// whole: give lines up to some reasonable length in one piece.
    pub fn feed(&mut self, piece: &[u8], sink: &mut impl FnMut(Event<'_>)) {
        let mut rest = piece;
        while !rest.is_empty() {
            let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
            let (line, after) = rest.split_at(end);
            let begins = self.at_line_start;
            self.at_line_start = line.ends_with(b"\n");
            match self.state {
                State::Header(class) => self.header_line(class, line, begins, sink),
                State::Content => self.content_line(line, begins, sink),
            }
            rest = after;
        }
    }

    /// The message ends.
    pub fn finish(mut self, sink: &mut impl FnMut(Event<'_>)) {
        if let State::Header(class) = self.state {
            self.end_header(class, sink);
        }
    }

    fn header_line(&mut self, class: Class, line: &[u8], begins: bool, sink: &mut impl FnMut(Event<'_>)) {
        let continues = !begins || (matches!(line.first(), Some(b' ' | b'\t')) && !self.field.is_empty());
        if continues {
            return self.lengthen(class, line, sink);
        }
        self.end_field(class, sink);
        if is_field(line) {
            return self.lengthen(class, line, sink);
        }
        self.end_header(class, sink);
        match line {
            b"\n" | b"\r\n" => sink(Event::Separator(line)),
            _ if self.state == State::Content => self.content_line(line, begins, sink),
            // The header of a message within this one begins with a line that is none.
            _ => {
                self.state = State::Content;
                self.content_line(line, begins, sink);
            }
        }
    }

    fn lengthen(&mut self, class: Class, line: &[u8], sink: &mut impl FnMut(Event<'_>)) {
        if self.field_overflows {
            return sink(Event::FieldRest(line));
        }
        let room = self.limits.header_size.saturating_sub(self.field.len());
        let (fits, rest) = line.split_at(room.min(line.len()));
        self.field.extend_from_slice(fits);
        if !rest.is_empty() {
            sink(Event::Field(class, &self.field));
            sink(Event::FieldRest(rest));
            self.field_overflows = true;
        }
    }

    fn end_field(&mut self, class: Class, sink: &mut impl FnMut(Event<'_>)) {
        if !self.field.is_empty() {
            self.entity.field(&self.field, self.limits.boundary_length);
            if !self.field_overflows {
                sink(Event::Field(class, &self.field));
            }
        }
        self.field.clear();
        self.field_overflows = false;
    }

    fn end_header(&mut self, class: Class, sink: &mut impl FnMut(Event<'_>)) {
        self.end_field(class, sink);
        sink(Event::HeaderEnd(class, &self.entity));
        self.state = State::Content;
        match &self.entity.kind {
            Kind::Multipart(boundary) if self.boundaries.len() < self.limits.nesting => {
                self.boundaries.push(boundary.clone());
            }
            Kind::Message => {
                self.state = State::Header(Class::Nested);
                self.entity = Entity::default();
            }
            _ => {}
        }
    }

    fn content_line(&mut self, line: &[u8], begins: bool, sink: &mut impl FnMut(Event<'_>)) {
        let Some((depth, closes)) = self.boundary(line).filter(|_| begins) else {
            return sink(Event::Content(line, begins));
        };
        // A boundary of a multipart further out ends those within.
        self.boundaries.truncate(if closes { depth } else { depth + 1 });
        self.entity = Entity::default();
        self.state = if closes { State::Content } else { State::Header(Class::Mime) };
        sink(Event::Boundary(line));
    }

    /// Which multipart a line delimits, and whether it is its last delimiter (RFC 2046 section 5.1.1).
    fn boundary(&self, line: &[u8]) -> Option<(usize, bool)> {
        let line = line.strip_prefix(b"--")?;
        self.boundaries.iter().enumerate().rev().find_map(|(depth, boundary)| {
            let after = line.strip_prefix(boundary.as_slice())?;
            Some((depth, after.starts_with(b"--")))
        })
    }
}

/// Does a line begin a header field?
fn is_field(line: &[u8]) -> bool {
    crate::header::next_field(line).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(message: &str, limits: Limits) -> Vec<String> {
        let mut structure = Structure::new(limits);
        let mut events = Vec::new();
        let mut sink = |event: Event<'_>| {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace('\n', "|");
            events.push(match event {
                Event::Field(class, field) => format!("{class:?} {}", text(field)),
                Event::FieldRest(rest) => format!("+ {}", text(rest)),
                Event::HeaderEnd(_, entity) => format!("= {:?}", entity.encoding),
                Event::Separator(line) => format!("/ {}", text(line)),
                Event::Boundary(line) => format!("-- {}", text(line)),
                Event::Content(line, begins) => format!("{} {}", if begins { ">" } else { ".." }, text(line)),
            });
        };
        structure.feed(message.as_bytes(), &mut sink);
        structure.finish(&mut sink);
        events
    }

    #[test]
    fn parts_and_messages_within() {
        let message = "Subject: a\n b\nContent-Type: multipart/mixed; boundary=\"x y\"\n\npre\n--x y\nContent-Type: message/rfc822\n\
                       Content-Transfer-Encoding: 8bit\n\nSubject: inner\n\nhello\n--x y\n\nplain\n--x y--\nend\n--x y\n";
        assert_eq!(
            events(message, Limits::default()),
            [
                "Primary Subject: a| b|",
                "Primary Content-Type: multipart/mixed; boundary=\"x y\"|",
                "= SevenBit",
                "/ |",
                "> pre|",
                "-- --x y|",
                "Mime Content-Type: message/rfc822|",
                "Mime Content-Transfer-Encoding: 8bit|",
                "= EightBit",
                "/ |",
                "Nested Subject: inner|",
                "= SevenBit",
                "/ |",
                "> hello|",
                "-- --x y|",
                "= SevenBit",
                "/ |",
                "> plain|",
                "-- --x y--|",
                "> end|",
                "> --x y|",
            ]
        );
    }

    #[test]
    fn a_header_without_an_end() {
        assert_eq!(
            events("A: b\nno field\n", Limits::default()),
            ["Primary A: b|", "= SevenBit", "> no field|"]
        );
        assert_eq!(events("A: b", Limits::default()), ["Primary A: b", "= SevenBit"]);
        assert_eq!(events("", Limits::default()), ["= SevenBit"]);
    }

    #[test]
    fn an_outer_boundary_ends_what_is_within() {
        let message = "Content-Type: multipart/mixed; boundary=o\n\n--o\nContent-Type: multipart/mixed; boundary=i\n\n--i\n\n1\n--o--\n--i\n";
        let events = events(message, Limits::default());
        assert_eq!(events[events.len() - 3..], ["> 1|", "-- --o--|", "> --i|"]);
    }

    #[test]
    fn limits() {
        let small = Limits { header_size: 6, nesting: 1, boundary_length: 2 };
        assert_eq!(
            events("A: bcdefg\n h\nB: c\n\n", small),
            ["Primary A: bcd", "+ efg|", "+  h|", "Primary B: c|", "= SevenBit", "/ |"]
        );
        let small = Limits { header_size: 1000, ..small };
        let message = "Content-Type: multipart/x; boundary=abc\n\n--abX\nContent-Type: multipart/x; boundary=zz\n\n--zz\n";
        assert_eq!(events(message, small)[3], "-- --abX|", "only two bytes are compared");
        assert_eq!(events(message, small).last().unwrap(), "> --zz|", "deeper than the limit");
    }
}
