//! What a message is changed to on its way out: addresses by smtp_generic_maps (generic(5)), fields and lines by smtp_header_checks and
//! its relatives (header_checks(5)).
//!
//! The content passes by in pieces, as it is sent; no more than a field or a line of it is held.

use config::{HostFacts, Settings, params};
use mail::header;
use mail::header_address::AddressList;
use mail::mime::{Class, Event, Limits, Structure};
use mail::{Address, Envelope};
use maillog::Log;
use route::{Place, Routing};
use tables::{Flags, Key, Lookup, Maps, Tables};

/// The settings of a service.
pub(crate) struct Changes {
    /// Where there are generic maps.
    generic: Option<Routing>,
    header: Maps,
    mime: Maps,
    nested: Maps,
    body: Maps,
    /// body_checks_size_limit: bytes of each MIME segment that are looked at.
    segment_limit: usize,
    /// line_length_limit: a longer line is looked at in pieces.
    line_limit: usize,
    /// header_address_token_limit
    token_limit: usize,
    limits: Limits,
}

/// A table could not be asked.
#[derive(Debug)]
pub(crate) struct Failed(pub(crate) String);

impl Changes {
    pub(crate) fn open(host: &HostFacts, settings: &Settings, tables: &Tables, limits: Limits) -> Changes {
        let open = |name, value: &str| Maps::open(tables, name, value, Flags::default());
        let size = |value: i64| usize::try_from(value).unwrap_or(usize::MAX);
        let generic = (!settings.client(params::smtp_generic_maps).is_empty())
            .then(|| Routing::new(settings, tables, host));
        Changes {
            generic,
            header: open("smtp_header_checks", settings.client(params::smtp_header_checks)),
            mime: open("smtp_mime_header_checks", settings.client(params::smtp_mime_header_checks)),
            nested: open("smtp_nested_header_checks", settings.client(params::smtp_nested_header_checks)),
            body: open("smtp_body_checks", settings.client(params::smtp_body_checks)),
            segment_limit: size(settings.get(params::body_checks_size_limit)),
            line_limit: size(settings.get(params::line_length_limit)).max(1),
            token_limit: size(settings.get(params::header_address_token_limit)),
            limits,
        }
    }

    /// Changes nothing of any content.
    pub(crate) fn is_empty(&self) -> bool {
        let maps = [&self.header, &self.mime, &self.nested, &self.body];
        self.generic.is_none() && maps.iter().all(|maps| maps.is_empty())
    }

    /// The envelope as the server shall see it.
    pub(crate) async fn envelope(&self, mut envelope: Envelope) -> Result<Envelope, Failed> {
        let Some(routing) = &self.generic else { return Ok(envelope) };
        envelope.sender = generic(routing, &envelope.sender).await?;
        for recipient in &mut envelope.recipients {
            recipient.address = generic(routing, &recipient.address).await?;
        }
        Ok(envelope)
    }

    /// The table for a header field.
    fn for_field(&self, class: Class, name: &str) -> &Maps {
        match class {
            Class::Primary if header::describes_content(name) => &self.mime,
            Class::Primary => &self.header,
            Class::Mime => &self.mime,
            Class::Nested => &self.nested,
        }
    }
}

async fn generic(routing: &Routing, address: &Address) -> Result<Address, Failed> {
    routing.generic(address).await.map_err(|failed| Failed(failed.reason))
}

/// One message on its way.
pub(crate) struct Changer<'a> {
    changes: &'a Changes,
    log: &'a Log,
    /// Queue id.
    id: &'a str,
    structure: Structure,
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

/// What a table says of a field or line.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Keep,
    Drop,
    Replace(String),
    Prepend(String),
}

impl<'a> Changer<'a> {
    pub(crate) fn new(changes: &'a Changes, log: &'a Log, id: &'a str) -> Changer<'a> {
        let structure = Structure::new(changes.limits);
        Changer { changes, log, id, structure, pending: Vec::new(), segment: 0 }
    }

    /// Takes a piece, and appends to `out` what is ready.
    pub(crate) async fn pass(&mut self, piece: &[u8], out: &mut Vec<u8>) -> Result<(), Failed> {
        self.pending.extend_from_slice(piece);
        let pending = std::mem::take(&mut self.pending);
        let (limit, mut rest) = (self.changes.line_limit, &pending[..]);
        loop {
            let end = match memchr::memchr(b'\n', rest).map(|at| at + 1) {
                Some(end) => end.min(limit + 1),
                None if rest.len() > limit => limit,
                None => break,
            };
            let (line, after) = rest.split_at(end);
            self.line(line, out).await?;
            rest = after;
        }
        self.pending = rest.to_vec();
        Ok(())
    }

    /// The message is complete.
    pub(crate) async fn finish(mut self, out: &mut Vec<u8>) -> Result<(), Failed> {
        let last = std::mem::take(&mut self.pending);
        if !last.is_empty() {
            self.line(&last, out).await?;
        }
        let mut pieces = Vec::new();
        let structure = std::mem::replace(&mut self.structure, Structure::new(self.changes.limits));
        structure.finish(&mut |event| pieces.push(piece(event)));
        self.pieces(pieces, out).await
    }

    async fn line(&mut self, line: &[u8], out: &mut Vec<u8>) -> Result<(), Failed> {
        let mut pieces = Vec::new();
        self.structure.feed(line, &mut |event| pieces.push(piece(event)));
        self.pieces(pieces, out).await
    }

    async fn pieces(&mut self, pieces: Vec<Piece>, out: &mut Vec<u8>) -> Result<(), Failed> {
        for piece in pieces {
            match piece {
                Piece::NewSegment => self.segment = 0,
                Piece::Untouched(bytes) => out.extend_from_slice(&bytes),
                Piece::Field(class, bytes) => self.field(class, &bytes, out).await?,
                Piece::Line(bytes) => {
                    let verdict = match self.segment < self.changes.segment_limit {
                        true => self.look(&self.changes.body, "body", &bytes).await?,
                        false => Verdict::Keep,
                    };
                    self.segment += bytes.len();
                    apply(verdict, &bytes, out);
                }
            }
        }
        Ok(())
    }

    /// A header field: the tables see it first, then its addresses are mapped.
    async fn field(&mut self, class: Class, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Failed> {
        let name = header::next_field(bytes).map(|(field, _)| field.name().to_vec()).unwrap_or_default();
        let name = String::from_utf8_lossy(&name);
        let verdict = self.look(self.changes.for_field(class, &name), "header", bytes).await?;
        let mapped = match (&self.changes.generic, class, Place::of_header(&name)) {
            (Some(routing), Class::Primary, Some(_)) if verdict == Verdict::Keep => {
                self.map_addresses(routing, bytes).await?
            }
            _ => None,
        };
        match mapped {
            Some(text) => push_line(out, &text),
            None => apply(verdict, bytes, out),
        }
        Ok(())
    }

    /// The field with its addresses mapped; nothing when none is.
    async fn map_addresses(&self, routing: &Routing, bytes: &[u8]) -> Result<Option<String>, Failed> {
        let text = String::from_utf8_lossy(bytes);
        let Some((name, value)) = text.split_once(':') else { return Ok(None) };
        let mut list = AddressList::parse(value, self.changes.token_limit);
        let mut changed = false;
        for (index, address) in list.addresses().iter().enumerate() {
            let mapped = generic(routing, address).await?;
            if mapped != *address {
                list.replace(index, &mapped);
                changed = true;
            }
        }
        Ok(changed.then(|| list.to_header(&format!("{name}:"))))
    }

    async fn look(&self, maps: &Maps, place: &str, bytes: &[u8]) -> Result<Verdict, Failed> {
        let text = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        if maps.is_empty() || text.is_empty() {
            return Ok(Verdict::Keep);
        }
        let text = String::from_utf8_lossy(text);
        match maps.find(&text, Key::Full).await {
            Lookup::Absent => Ok(Verdict::Keep),
            Lookup::Found(action) => Ok(self.act(maps.parameter(), place, &text, &action)),
            Lookup::Failed(why) => Err(Failed(why)),
        }
    }

    /// header_checks(5), the actions that make sense when a message leaves.
    fn act(&self, parameter: &str, place: &str, text: &str, action: &str) -> Verdict {
        let (word, argument) = action.split_once([' ', '\t']).unwrap_or((action, ""));
        let argument = argument.trim();
        let tell = |word: &str| {
            let shown: String = text.chars().take(200).map(|c| if c == '\n' { ' ' } else { c }).collect();
            let says = if argument.is_empty() { String::new() } else { format!(": {argument}") };
            maillog::info!(self.log, "{}: {word}: {place} {shown}{says}", self.id);
        };
        match (word.to_ascii_uppercase().as_str(), argument.is_empty()) {
            ("DUNNO" | "OK", _) => Verdict::Keep,
            ("IGNORE", _) => Verdict::Drop,
            ("STRIP", _) => {
                tell("strip");
                Verdict::Drop
            }
            ("WARN", _) => {
                tell("warning");
                Verdict::Keep
            }
            ("INFO", _) => {
                tell("info");
                Verdict::Keep
            }
            ("REPLACE", false) => {
                tell("replace");
                Verdict::Replace(argument.to_owned())
            }
            ("PREPEND", false) => {
                tell("prepend");
                Verdict::Prepend(argument.to_owned())
            }
            (word @ ("REPLACE" | "PREPEND"), true) => {
                maillog::warning!(self.log, "{word} action without text in {parameter} map");
                Verdict::Keep
            }
            _ => {
                maillog::warning!(
                    self.log,
                    "unsupported command in {parameter} map: {word}: use DUNNO, IGNORE, STRIP, INFO, WARN, REPLACE or PREPEND"
                );
                Verdict::Keep
            }
        }
    }
}

fn piece(event: Event<'_>) -> Piece {
    match event {
        Event::Field(class, bytes) => Piece::Field(class, bytes.to_vec()),
        Event::FieldRest(bytes) | Event::Separator(bytes) => Piece::Untouched(bytes.to_vec()),
        // A delimiter is the last line of what it ends, as with Postfix.
        Event::Boundary(bytes) | Event::Content(bytes, _) => Piece::Line(bytes.to_vec()),
        Event::HeaderEnd(..) => Piece::NewSegment,
    }
}

fn apply(verdict: Verdict, bytes: &[u8], out: &mut Vec<u8>) {
    match verdict {
        Verdict::Keep => out.extend_from_slice(bytes),
        Verdict::Drop => {}
        Verdict::Replace(text) => push_line(out, &text),
        Verdict::Prepend(text) => {
            push_line(out, &text);
            out.extend_from_slice(bytes);
        }
    }
}

fn push_line(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use config::MainCf;

    use super::*;

    const MESSAGE: &str = "From: a@in.test\nTo: b@in.test, c@out.test\nSubject: secret\nX-Own: 1\n\
        Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain\nX-Part: 2\n\nline one\n--b--\n";

    async fn changed(main_cf: &str, size: usize) -> Result<String, Failed> {
        let main =
            MainCf::parse("main.cf", format!("compatibility_level = 3.12\n{main_cf}").as_bytes()).unwrap();
        let host = HostFacts { hostname: "me.test".into(), ..HostFacts::default() };
        let settings = Settings::load(&main, &[], &host).unwrap();
        let tables = Tables::new(Arc::new(|_: &str| {}));
        let open = |name, value: &str| Maps::open(&tables, name, value, Flags::default());
        let changes = Changes {
            generic: Some(Routing::new(&settings, &tables, &host)),
            header: open("h", settings.get(params::smtp_header_checks)),
            mime: open("m", settings.get(params::smtp_mime_header_checks)),
            nested: open("n", settings.get(params::smtp_nested_header_checks)),
            body: open("b", settings.get(params::smtp_body_checks)),
            segment_limit: 100,
            line_limit: 2048,
            token_limit: 100,
            limits: Limits::default(),
        };
        let log = Log::new(Arc::new(maillog::Sink::discard()), "postfix", "smtp");
        let mut changer = Changer::new(&changes, &log, "ID");
        let mut out = Vec::new();
        for piece in MESSAGE.as_bytes().chunks(size) {
            changer.pass(piece, &mut out).await?;
        }
        changer.finish(&mut out).await?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[tokio::test]
    async fn fields_lines_and_addresses() {
        for (main_cf, from, to) in [
            ("", "", ""),
            (
                "smtp_generic_maps = inline:{a@in.test=x@isp.test, b@in.test=y@isp.test}\n",
                "From: a@in.test\nTo: b@in.test, c@out.test\n",
                "From: x@isp.test\nTo: y@isp.test, c@out.test\n",
            ),
            ("smtp_header_checks = regexp:{{/^X-Own:/ IGNORE}}\n", "X-Own: 1\n", ""),
            (
                "smtp_header_checks = regexp:{{/^Subject:/ REPLACE Subject: open}}\n",
                "Subject: secret\n",
                "Subject: open\n",
            ),
            (
                "smtp_header_checks = regexp:{{/^X-Own:/ PREPEND X-New: 0}}\n",
                "X-Own: 1\n",
                "X-New: 0\nX-Own: 1\n",
            ),
            ("smtp_mime_header_checks = regexp:{{/^X-Part:/ STRIP}}\n", "X-Part: 2\n", ""),
            ("smtp_body_checks = regexp:{{/^line/ REPLACE other}}\n", "line one\n", "other\n"),
            ("smtp_header_checks = regexp:{{/^line|^X-Part/ IGNORE}}\n", "", ""),
            ("smtp_body_checks = regexp:{{/^line/ REJECT no}}\n", "", ""),
        ] {
            for size in [1, 7, 1000] {
                let expected = if from.is_empty() { MESSAGE.to_owned() } else { MESSAGE.replace(from, to) };
                assert_eq!(changed(main_cf, size).await.unwrap(), expected, "{main_cf}");
            }
        }
        assert!(changed("smtp_header_checks = fail:x\n", 1000).await.is_err());
    }
}
