//! The header of a message on its way in, field by field (cleanup(8)): fields are dropped, cut, rewritten and counted,
//! looked up in header_checks(5), missing ones added. What follows the header is left to `body.rs`.
//!
//! At most one field is held in memory, and no more of it than `header_size_limit`.

use std::sync::Arc;
use std::time::SystemTime;

use mail::header_address::AddressList;
use mail::mime::{Class, Structure};
use mail::{Address, QueueId, date, header};
use maillog::Log;
use memchr::memchr;
use route::{Context, Failed, Place, Routing};

use super::body::push_line;
use super::checks::{Checking, Checks, Subject, Verdict};
use super::full_name::{comment, phrase};
use super::services::Overrides;

/// The settings of the header's treatment.
pub(crate) struct HeaderRules {
    pub(crate) routing: Arc<Routing>,
    pub(crate) log: Log,
    pub(crate) checks: Checks,
    /// `myhostname`.
    pub(crate) hostname: String,
    /// `mail_name`.
    pub(crate) mail_name: String,
    /// `message_drop_headers`.
    pub(crate) drop: Vec<String>,
    /// `header_size_limit` in bytes.
    pub(crate) size_limit: usize,
    /// `header_address_token_limit`.
    pub(crate) token_limit: usize,
    /// `hopcount_limit`.
    pub(crate) hop_limit: usize,
    /// `always_add_missing_headers`.
    pub(crate) always_add_missing: bool,
    /// `undisclosed_recipients_header`.
    pub(crate) undisclosed: String,
    /// False when `remote_header_rewrite_domain` is empty: headers of strangers stay as they are.
    pub(crate) rewrite_remote: bool,
    /// `header_from_format = obsolete`.
    pub(crate) obsolete_from: bool,
    /// `tls_required_enable`: `TLS-Required: no` counts.
    pub(crate) tls_required: bool,
    /// `requiretls_esmtp_header`: `Require-TLS-ESMTP: yes` counts.
    pub(crate) require_tls_header: bool,
    /// `full_name_encoding_charset`.
    pub(crate) full_name_charset: String,
    /// `detect_8bit_encoding_header`.
    pub(crate) detects_eight_bit: bool,
    /// `non_empty_end_of_header_action`.
    pub(crate) missing_end: MissingEnd,
}

/// What is done about a header that ends without an empty line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MissingEnd {
    /// The empty line is put in.
    FixQuietly,
    /// And a field that says so.
    AddHeader,
    /// The message is refused.
    Reject,
}

/// Postfix's words.
const MISSING_END: &str = "message header was not terminated by empty line";

/// A header in progress.
pub(crate) struct HeaderPass {
    rules: Arc<HeaderRules>,
    context: Context,
    /// The line that has not ended yet.
    line: Vec<u8>,
    /// The field that may go on in the next line.
    field: Vec<u8>,
    /// The rest of the line is too much.
    skipping: bool,
    first_line: bool,
    in_header: bool,
    /// False with `no_address_mappings`: addresses are brought into standard form and no further.
    mappings: bool,
    /// Reads along for the MIME headers behind this one, when tables want to see them.
    structure: Option<Structure>,
    hops: usize,
    seen: Seen,
    /// Of the message, and of its sending again.
    message_ids: [Option<String>; 2],
    /// REQUIRETLS was asked for, with MAIL FROM or in the header.
    require_tls: bool,
    tls_optional: bool,
    /// A field has characters beyond ASCII.
    has_utf8: bool,
    /// Content-Transfer-Encoding says that the content is not ASCII.
    is_eight_bit: bool,
}

/// Which fields were there. The second of each pair is for the `Resent-` form.
#[derive(Default)]
struct Seen {
    message_id: [bool; 2],
    date: [bool; 2],
    from: [bool; 2],
    recipient: [bool; 2],
    resent: bool,
}

/// What missing fields are made of.
pub(crate) struct Missing<'a> {
    /// The message's id.
    pub(crate) id: &'a QueueId,
    /// The sender in final form.
    pub(crate) sender: &'a Address,
    /// `-F` of sendmail.
    pub(crate) full_name: Option<&'a str>,
    /// When the message came.
    pub(crate) arrival: SystemTime,
}

impl HeaderPass {
    /// Begins a message. `context` says whether it is our own clients' mail.
    pub(crate) fn new(rules: Arc<HeaderRules>, context: Context, overrides: &Overrides) -> HeaderPass {
        let checks = &rules.checks;
        let reads_along = overrides.checks && checks.mime_input && checks.looks_behind_the_header();
        HeaderPass {
            structure: reads_along.then(|| Structure::new(checks.mime_limits)),
            mappings: overrides.mappings,
            rules,
            context,
            line: Vec::new(),
            field: Vec::new(),
            skipping: false,
            first_line: true,
            in_header: true,
            hops: 0,
            seen: Seen::default(),
            message_ids: [None, None],
            require_tls: false,
            tls_optional: false,
            has_utf8: false,
            is_eight_bit: false,
        }
    }

    /// The values of Message-Id: and Resent-Message-Id:, once the header is complete.
    pub(crate) fn message_ids(&self) -> [Option<&str>; 2] {
        self.message_ids.each_ref().map(Option::as_deref)
    }

    /// What the header says about TLS on the way (RFC 8689 section 5, postconf(5) requiretls_esmtp_header).
    pub(crate) fn tls_wishes(&self) -> (bool, bool) {
        (self.require_tls, self.tls_optional)
    }

    /// Is there text beyond ASCII in it?
    pub(crate) fn has_utf8(&self) -> bool {
        self.has_utf8
    }

    /// Does it say that the content is 8-bit (detect_8bit_encoding_header)?
    pub(crate) fn is_eight_bit(&self) -> bool {
        self.is_eight_bit
    }

    /// `hopcount_limit` Received: headers: the message goes in circles.
    pub(crate) fn too_many_hops(&self) -> bool {
        self.hops >= self.rules.hop_limit
    }

    /// Takes whole headers that stand before the client's own: ours, and those of PREPEND actions. They are looked at like any others.
    pub(crate) async fn pass_before(
        &mut self,
        mut headers: Vec<u8>,
        out: &mut Vec<u8>,
        checking: &mut Checking,
        missing: &Missing<'_>,
    ) -> Result<(), Failed> {
        self.first_line = false;
        self.pass(&mut headers, out, checking, missing).await?;
        // The client's first line begins a header of its own, or none.
        self.end_field(out, checking, missing).await?;
        self.first_line = true;
        Ok(())
    }

    /// True until the end of the header was seen.
    pub(crate) fn is_open(&self) -> bool {
        self.in_header
    }

    /// What has read the structure of the message so far; once, behind the header.
    pub(crate) fn take_structure(&mut self) -> Option<Structure> {
        self.structure.take()
    }

    /// Takes the header from `input`, and appends to `out` what is ready of it. What follows the header stays in `input`.
    pub(crate) async fn pass(
        &mut self,
        input: &mut Vec<u8>,
        out: &mut Vec<u8>,
        checking: &mut Checking,
        missing: &Missing<'_>,
    ) -> Result<(), Failed> {
        let mut rest = &input[..];
        while self.in_header && !rest.is_empty() {
            let end = memchr(b'\n', rest);
            let piece = &rest[..end.map_or(rest.len(), |at| at + 1)];
            rest = &rest[piece.len()..];
            self.add_piece(piece);
            if end.is_some() {
                self.end_line(out, checking, missing).await?;
            } else if self.line.len() > self.rules.size_limit {
                // A line without end: a field is cut, anything else is the body's.
                match self.is_field_line() {
                    true => self.skipping = true,
                    false => self.end_header(out, checking, missing).await?,
                }
            }
        }
        let taken = input.len() - rest.len();
        if taken == input.len() {
            input.clear();
        } else if taken > 0 {
            input.drain(..taken);
        }
        // The line that showed that the header was over.
        if !self.in_header && !self.line.is_empty() {
            self.line.append(input);
            std::mem::swap(&mut self.line, input);
        }
        Ok(())
    }

    /// The message is complete, perhaps without ever having left its header.
    pub(crate) async fn finish(
        &mut self,
        out: &mut Vec<u8>,
        checking: &mut Checking,
        missing: &Missing<'_>,
    ) -> Result<(), Failed> {
        if !self.in_header {
            return Ok(());
        }
        if !self.line.is_empty() {
            self.line.push(b'\n');
            self.end_line(out, checking, missing).await?;
            out.append(&mut self.line);
        }
        if self.in_header {
            self.end_field(out, checking, missing).await?;
            self.in_header = false;
            self.add_missing(out, missing);
        }
        Ok(())
    }

    fn add_piece(&mut self, piece: &[u8]) {
        match self.skipping {
            true if piece.ends_with(b"\n") => self.line.push(b'\n'),
            true => {}
            false => self.line.extend_from_slice(piece),
        }
    }

    /// Is the line in hand a field's first or further one?
    fn is_field_line(&self) -> bool {
        match self.line.first() {
            Some(b' ' | b'\t') => !self.field.is_empty(),
            _ => header::next_field(&self.line).is_some(),
        }
    }

    async fn end_line(
        &mut self,
        out: &mut Vec<u8>,
        checking: &mut Checking,
        missing: &Missing<'_>,
    ) -> Result<(), Failed> {
        self.skipping = false;
        if std::mem::take(&mut self.first_line) && is_mailbox_line(&self.line) {
            // An mbox separator that came along (RFC 4155): kept where it does no harm.
            self.field = [b"X-Mailbox-Line: ", &self.line[..]].concat();
            self.line.clear();
            return Ok(());
        }
        if !self.is_field_line() {
            return self.end_header(out, checking, missing).await;
        }
        if !self.line.starts_with(b" ") && !self.line.starts_with(b"\t") {
            self.end_field(out, checking, missing).await?;
        }
        if self.field.len() < self.rules.size_limit {
            self.field.append(&mut self.line);
            self.cut_field();
        }
        self.line.clear();
        Ok(())
    }

    /// `header_size_limit`, line end not counted.
    fn cut_field(&mut self) {
        if self.field.len() > self.rules.size_limit + 1 {
            self.field.truncate(self.rules.size_limit);
            self.field.push(b'\n');
        }
    }

    /// The line in hand is the empty line, or text that belongs to no header: then Postfix adds the empty line, and the text is
    /// left for the body.
    async fn end_header(
        &mut self,
        out: &mut Vec<u8>,
        checking: &mut Checking,
        missing: &Missing<'_>,
    ) -> Result<(), Failed> {
        self.end_field(out, checking, missing).await?;
        self.in_header = false;
        self.add_missing(out, missing);
        if self.line != b"\n" && !self.line.is_empty() {
            match self.rules.missing_end {
                MissingEnd::FixQuietly => {}
                MissingEnd::AddHeader => push_line(out, &format!("MIME-Error: {MISSING_END}")),
                MissingEnd::Reject => {
                    let message = (&self.rules.log, missing.id, missing.sender);
                    checking.refuse_structure(MISSING_END, &self.line, message);
                }
            }
        }
        out.push(b'\n');
        if let Some(structure) = &mut self.structure {
            structure.feed(b"\n", &mut |_| {});
        }
        if self.line == b"\n" {
            self.line.clear();
        }
        Ok(())
    }

    async fn end_field(
        &mut self,
        out: &mut Vec<u8>,
        checking: &mut Checking,
        missing: &Missing<'_>,
    ) -> Result<(), Failed> {
        let mut raw = std::mem::take(&mut self.field);
        if raw.is_empty() {
            return Ok(());
        }
        if let Some(structure) = &mut self.structure {
            structure.feed(&raw, &mut |_| {});
        }
        match self.look(&raw, checking, missing).await? {
            Verdict::Keep => {}
            Verdict::Drop => return Ok(()),
            Verdict::Replace(text) => raw = format!("{text}\n").into_bytes(),
            Verdict::Prepend(text) => push_line(out, &text),
        }
        let Some((field, _)) = header::next_field(&raw) else { return Ok(()) };
        let name = String::from_utf8_lossy(field.name()).into_owned();
        if self.rules.drop.iter().any(|dropped| name.eq_ignore_ascii_case(dropped)) {
            return Ok(());
        }
        if self.is_repeated_request(&name, field.value()) {
            return Ok(());
        }
        self.note(&name, field.value());
        self.has_utf8 |= !raw.is_ascii();
        if let Some(place) = Place::of_header(&name)
            && (self.context == Context::Local || self.rules.rewrite_remote)
            && let Ok(value) = std::str::from_utf8(field.value())
            && let Some(rewritten) = self.rewrite(place, &name, value).await?
        {
            out.extend_from_slice(rewritten.as_bytes());
            out.push(b'\n');
            return Ok(());
        }
        // Blanks between name and colon are not passed on: others may not forgive them.
        out.extend_from_slice(field.name());
        let colon = raw.iter().position(|&b| b == b':').unwrap_or(field.name().len());
        out.extend_from_slice(&raw[colon..]);
        if !raw.ends_with(b"\n") {
            out.push(b'\n');
        }
        Ok(())
    }

    /// header_checks and mime_header_checks, for one field.
    async fn look(
        &self,
        raw: &[u8],
        checking: &mut Checking,
        missing: &Missing<'_>,
    ) -> Result<Verdict, Failed> {
        let Some((field, _)) = header::next_field(raw) else { return Ok(Verdict::Keep) };
        let maps = self.rules.checks.for_field(Class::Primary, &String::from_utf8_lossy(field.name()));
        let text = raw.strip_suffix(b"\n").unwrap_or(raw);
        let message = (&self.rules.log, missing.id, missing.sender);
        checking.look(maps, Subject::Header, text, message).await
    }

    /// Once is enough: the first lines may have it already, for filters.
    fn is_repeated_request(&mut self, name: &str, value: &[u8]) -> bool {
        self.rules.require_tls_header
            && name.eq_ignore_ascii_case("Require-TLS-ESMTP")
            && value.trim_ascii().eq_ignore_ascii_case(b"yes")
            && std::mem::replace(&mut self.require_tls, true)
    }

    fn note(&mut self, name: &str, value: &[u8]) {
        let lower = name.to_ascii_lowercase();
        let (base, resent) = match lower.strip_prefix("resent-") {
            Some(base) => (base, true),
            None => (lower.as_str(), false),
        };
        self.seen.resent |= resent;
        let at = usize::from(resent);
        match base {
            "tls-required" if !resent && value.trim_ascii().eq_ignore_ascii_case(b"no") => {
                self.tls_optional |= self.rules.tls_required;
            }
            "received" if !resent => self.hops += 1,
            "message-id" => {
                self.seen.message_id[at] = true;
                if self.message_ids[at].is_none() {
                    self.message_ids[at] = Some(String::from_utf8_lossy(value).into_owned());
                }
            }
            "content-transfer-encoding" if self.rules.detects_eight_bit => {
                let value = value.trim_ascii();
                self.is_eight_bit |=
                    value.eq_ignore_ascii_case(b"8bit") || value.eq_ignore_ascii_case(b"binary");
            }
            "date" => self.seen.date[at] = true,
            "from" => self.seen.from[at] = true,
            "to" | "cc" | "bcc" => self.seen.recipient[at] = true,
            _ => {}
        }
    }

    /// The field with its addresses in standard and canonical form; `None` when nothing changes.
    async fn rewrite(&self, place: Place, name: &str, value: &str) -> Result<Option<String>, Failed> {
        let routing = &self.rules.routing;
        let mut list = AddressList::parse(value, self.rules.token_limit);
        let mut changed = list.lost_route();
        for (index, address) in list.addresses().iter().enumerate() {
            let standard = routing.rewrite(self.context, address);
            let canonical = match self.mappings {
                true => routing.canonicalize(place, &standard).await?,
                false => standard,
            };
            if canonical != *address {
                list.replace(index, &canonical);
                changed = true;
            }
        }
        Ok(changed.then(|| list.to_header(&format!("{name}:"))))
    }

    fn add_missing(&mut self, out: &mut Vec<u8>, missing: &Missing<'_>) {
        let at = usize::from(self.seen.resent);
        let prefix = if self.seen.resent { "Resent-" } else { "" };
        let mut add = |text: String| {
            out.extend_from_slice(prefix.as_bytes());
            out.extend_from_slice(text.as_bytes());
        };
        if self.context == Context::Local || self.rules.always_add_missing {
            if !self.seen.message_id[at] {
                let time = date::compact_utc(missing.arrival);
                let id = format!("<{time}.{}@{}>", missing.id, self.rules.hostname);
                add(format!("Message-Id: {id}\n"));
                self.message_ids[at] = Some(id);
            }
            if !self.seen.date[at] {
                add(format!("Date: {}\n", date::rfc5322(missing.arrival)));
            }
            if !self.seen.from[at] {
                add(format!("From: {}\n", self.from(missing)));
            }
        }
        if !self.seen.recipient[at] && !self.rules.undisclosed.is_empty() {
            add(format!("{}\n", self.rules.undisclosed));
        }
    }

    fn from(&self, missing: &Missing<'_>) -> String {
        let sender =
            if missing.sender.is_null() { "MAILER-DAEMON".to_owned() } else { missing.sender.to_external() };
        // A name from a command line could otherwise begin a field of its own.
        let name = missing.full_name.map(|name| name.replace(|c: char| c.is_control(), " "));
        match name.as_deref().map(str::trim).filter(|name| !name.is_empty()) {
            None => sender,
            Some(name) if self.rules.obsolete_from => {
                format!("{sender} ({})", comment(name, &self.rules.full_name_charset))
            }
            Some(name) => format!("{} <{sender}>", phrase(name, &self.rules.full_name_charset)),
        }
    }
}

fn is_mailbox_line(line: &[u8]) -> bool {
    line.starts_with(b"From ") || line.starts_with(b">From ")
}

#[cfg(test)]
#[path = "header_tests.rs"]
mod tests;
