//! What a message may not be when strictness was asked for (RFC 2045, RFC 6152): 8-bit text where no header announced it, multiparts and
//! messages within that are encoded. Nothing of it is looked at otherwise.

use config::{Settings, params};
use mail::Status;
use mail::mime::{Event, Kind, Limits, Structure, TransferEncoding};

use super::Trouble;

/// As much of a header field or line as Postfix shows, in bytes.
const SHOWN: usize = 100;

/// A line is looked at in pieces of this size.
const LONGEST_LINE: usize = 64 * 1024;

/// What is not forgiven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Strictness {
    /// `strict_7bit_headers`
    header: bool,
    /// `strict_8bitmime_body`
    body: bool,
    /// `strict_mime_encoding_domain`
    domain: bool,
    limits: Limits,
}

/// A mistake, in the order in which they are told to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Mistake {
    Header,
    Body,
    Domain,
}

/// One message.
#[derive(Debug)]
pub(super) struct Strict {
    structure: Structure,
    /// The beginning of a line that has not come whole.
    pending: Vec<u8>,
    judge: Judge,
}

#[derive(Debug)]
struct Judge {
    rules: Strictness,
    /// Of the content of the moment.
    encoding: TransferEncoding,
    /// Each kind is told once.
    found: Vec<Mistake>,
}

impl Mistake {
    /// Postfix's words, for log and client.
    fn words(self) -> &'static str {
        match self {
            Mistake::Header => "improper use of 8-bit data in message header",
            Mistake::Body => "improper use of 8-bit data in message body",
            Mistake::Domain => "invalid message/* or multipart/* encoding domain",
        }
    }
}

impl Strictness {
    /// `None`: everything is forgiven.
    pub(super) fn read(settings: &Settings, limits: Limits) -> Option<Strictness> {
        let both = settings.get(params::strict_8bitmime);
        let rules = Strictness {
            header: both || settings.get(params::strict_7bit_headers),
            body: both || settings.get(params::strict_8bitmime_body),
            domain: settings.get(params::strict_mime_encoding_domain),
            limits,
        };
        let any = rules.header || rules.body || rules.domain;
        (any && !settings.get(params::disable_mime_input_processing)).then_some(rules)
    }
}

impl Strict {
    pub(super) fn new(rules: Strictness) -> Strict {
        let judge = Judge { rules, encoding: TransferEncoding::default(), found: Vec::new() };
        Strict { structure: Structure::new(rules.limits), pending: Vec::new(), judge }
    }

    /// Looks at a piece of the message. Each mistake is told with the text that it is in.
    pub(super) fn look(&mut self, piece: &[u8], tell: &mut impl FnMut(&str, &[u8])) {
        self.pending.extend_from_slice(piece);
        let whole = match memchr::memrchr(b'\n', &self.pending) {
            Some(at) => at + 1,
            None if self.pending.len() > LONGEST_LINE => self.pending.len(),
            None => return,
        };
        let rest = self.pending.split_off(whole);
        let lines = std::mem::replace(&mut self.pending, rest);
        self.lines(&lines, tell);
    }

    /// The message ends. Gives what the client is told.
    pub(super) fn finish(mut self, tell: &mut impl FnMut(&str, &[u8])) -> Option<Trouble> {
        let last = std::mem::take(&mut self.pending);
        self.lines(&last, tell);
        let Strict { structure, mut judge, .. } = self;
        structure.finish(&mut |event| judge.hear(event, tell));
        let worst = judge.found.iter().min()?;
        Some(Trouble::Rejected { status: Status::new(5, 6, 0), text: worst.words().to_owned() })
    }

    fn lines(&mut self, lines: &[u8], tell: &mut impl FnMut(&str, &[u8])) {
        let judge = &mut self.judge;
        self.structure.feed(lines, &mut |event| judge.hear(event, tell));
    }
}

impl Judge {
    /// Is the content not meant to be text in ASCII?
    fn is_announced(&self) -> bool {
        self.encoding.is_eight_bit() || self.encoding.is_encoded()
    }

    fn hear(&mut self, event: Event<'_>, tell: &mut impl FnMut(&str, &[u8])) {
        let rules = self.rules;
        let (mistake, text) = match event {
            Event::Field(_, field) if rules.header && !field.is_ascii() => (Mistake::Header, field),
            Event::Content(line, _) if rules.body && !self.is_announced() && !line.is_ascii() => {
                (Mistake::Body, line)
            }
            Event::Boundary(_) => return self.encoding = TransferEncoding::default(),
            Event::HeaderEnd(_, entity) => {
                let encoding = entity.encoding;
                // What stands around parts, and what a message within is, has to say so itself.
                self.encoding = match entity.kind {
                    Kind::Message | Kind::Multipart(_) => TransferEncoding::default(),
                    _ => encoding,
                };
                // RFC 2045 section 6.4, RFC 2046 section 5.2.
                let wrong = match entity.kind {
                    Kind::Multipart(_) | Kind::Message => encoding.is_encoded(),
                    Kind::Fragment => encoding.is_eight_bit(),
                    Kind::Leaf | Kind::OtherMessage => false,
                };
                match rules.domain && wrong {
                    true => (Mistake::Domain, encoding.name().as_bytes()),
                    false => return,
                }
            }
            _ => return,
        };
        if !self.found.contains(&mistake) {
            self.found.push(mistake);
            let text = text.strip_suffix(b"\n").unwrap_or(text);
            tell(mistake.words(), &text[..text.len().min(SHOWN)]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looked(message: &str, size: usize) -> (Vec<String>, Option<String>) {
        let rules = Strictness { header: true, body: true, domain: true, limits: Limits::default() };
        let mut strict = Strict::new(rules);
        let mut told = Vec::new();
        let mut tell =
            |words: &str, text: &[u8]| told.push(format!("{words}: {}", String::from_utf8_lossy(text)));
        for piece in message.as_bytes().chunks(size) {
            strict.look(piece, &mut tell);
        }
        let end = strict.finish(&mut tell).map(|trouble| trouble.reply().text.into_owned());
        (told, end)
    }

    #[test]
    fn mistakes() {
        let header = "improper use of 8-bit data in message header";
        let body = "improper use of 8-bit data in message body";
        let domain = "invalid message/* or multipart/* encoding domain";
        for (message, told, end) in [
            ("Subject: x\n\nbody\n", vec![], None),
            ("Subject: ä\n\nbody\n", vec![format!("{header}: Subject: ä")], Some(header)),
            ("Subject: x\n\nbödy\nö\n", vec![format!("{body}: bödy")], Some(body)),
            ("Subject: x\n\nbödy", vec![format!("{body}: bödy")], Some(body)),
            ("Content-Transfer-Encoding: 8bit\n\nbödy\n", vec![], None),
            ("Subject: x\n\nbödy\n\n", vec![format!("{body}: bödy")], Some(body)),
            (
                "Content-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: base64\n\n--b\n\nö\n--b--\n",
                vec![format!("{domain}: base64"), format!("{body}: ö")],
                Some(body),
            ),
            (
                "Content-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: 8bit\n\n--b\n\
                 Content-Transfer-Encoding: 8bit\n\nö\n--b\nX: ä\n\nö\n--b--\n",
                vec![format!("{header}: X: ä"), format!("{body}: ö")],
                Some(header),
            ),
        ] {
            for size in [1, 7, 1000] {
                assert_eq!(looked(message, size), (told.clone(), end.map(str::to_owned)), "{message:?}");
            }
        }
    }
}
