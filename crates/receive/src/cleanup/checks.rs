//! header_checks(5): what tables say of header fields and body lines on their way in.

use access::Effect;
use config::{Settings, params};
use mail::header;
use mail::mime::{Class, Limits};
use mail::{Address, ClientFacts, Envelope, LogForm, QueueId, Recipient, Status};
use maillog::Log;
use route::Failed;
use tables::{Flags, Key, Maps, Tables};

use super::Trouble;

/// The tables of one service.
pub(crate) struct Checks {
    header: Maps,
    mime: Maps,
    nested: Maps,
    body: Maps,
    /// `milter_header_checks`.
    pub(super) milter_header: Maps,
    /// `body_checks_size_limit`: bytes of each MIME segment that are looked at.
    pub(super) segment_limit: usize,
    /// `line_length_limit`: a longer line is looked at in pieces.
    pub(super) line_limit: usize,
    pub(super) mime_limits: Limits,
    /// False with `disable_mime_input_processing`: all behind the header is body.
    pub(super) mime_input: bool,
}

/// Who sent the message that is looked at, as the log says it.
#[derive(Clone)]
pub(crate) struct About {
    /// `NAME[ADDRESS]`, or `local`.
    pub(crate) origin: String,
    /// The last recipient.
    pub(crate) recipient: Option<Address>,
    /// `SMTP`, `ESMTPS`...; nothing for mail of this machine.
    pub(crate) protocol: Option<String>,
    pub(crate) helo: Option<String>,
}

impl About {
    /// Of mail that a client sends; one that speaks for another (XFORWARD) is named by that.
    pub(crate) fn of_client(client: &ClientFacts, envelope: &Envelope) -> About {
        let recipient = envelope.recipients.last().map(|recipient| recipient.address.clone());
        match client.forwarded.as_deref().filter(|forwarded| forwarded.of_client) {
            Some(forwarded) => About {
                origin: forwarded.name_address(),
                recipient,
                protocol: Some(forwarded.protocol.clone().unwrap_or("unknown".into())),
                helo: forwarded.helo.clone(),
            },
            None => About {
                origin: client.name_address(),
                recipient,
                protocol: Some(if client.esmtp { "ESMTP" } else { "SMTP" }.to_owned()),
                helo: client.helo.clone(),
            },
        }
    }

    /// Of mail of this machine.
    pub(crate) fn of_user(recipients: &[Recipient]) -> About {
        About {
            origin: "local".into(),
            recipient: recipients.last().map(|recipient| recipient.address.clone()),
            protocol: None,
            helo: None,
        }
    }
}

/// What is done with the field or line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Keep,
    /// IGNORE, STRIP.
    Drop,
    /// REPLACE.
    Replace(String),
    /// PREPEND.
    Prepend(String),
}

/// The state of one message.
pub(crate) struct Checking {
    pub(super) about: About,
    /// What actions ask for the message as a whole.
    pub(crate) effects: Vec<Effect>,
    pub(crate) rejected: Option<Trouble>,
    /// PASS, DISCARD or REJECT: nothing more is looked at.
    pub(super) is_over: bool,
}

impl Checks {
    /// Opens the tables.
    pub(crate) fn open(settings: &Settings, tables: &Tables) -> Checks {
        let open = |name, value: &str| Maps::open(tables, name, value, Flags::default());
        let size = |value: i64| usize::try_from(value).unwrap_or(usize::MAX);
        Checks {
            header: open("header_checks", settings.get(params::header_checks)),
            mime: open("mime_header_checks", settings.get(params::mime_header_checks)),
            nested: open("nested_header_checks", settings.get(params::nested_header_checks)),
            body: open("body_checks", settings.get(params::body_checks)),
            milter_header: open("milter_header_checks", settings.get(params::milter_header_checks)),
            segment_limit: size(settings.get(params::body_checks_size_limit)),
            line_limit: size(settings.get(params::line_length_limit)).max(1),
            mime_limits: Limits {
                header_size: size(settings.get(params::header_size_limit)),
                nesting: size(settings.get(params::mime_nesting_limit)),
                boundary_length: size(settings.get(params::mime_boundary_length_limit)),
            },
            mime_input: !settings.get(params::disable_mime_input_processing),
        }
    }

    /// Is there a table for what comes behind the message's own header?
    pub(super) fn looks_behind_the_header(&self) -> bool {
        !self.body.is_empty() || (self.mime_input && !(self.mime.is_empty() && self.nested.is_empty()))
    }

    /// The table for a header field.
    pub(super) fn for_field(&self, class: Class, name: &str) -> &Maps {
        match class {
            Class::Primary if header::describes_content(name) => &self.mime,
            Class::Primary => &self.header,
            Class::Mime => &self.mime,
            Class::Nested => &self.nested,
        }
    }

    /// The table for body lines.
    pub(super) fn for_body(&self) -> &Maps {
        &self.body
    }
}

/// What is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    Header,
    Body,
    /// A header that a Milter adds or changes.
    MilterHeader,
    /// A line anywhere.
    Content,
}

impl Subject {
    fn is_header(self) -> bool {
        matches!(self, Subject::Header | Subject::MilterHeader)
    }
}

impl Checking {
    /// At the beginning of a message. `wanted` is false with `no_header_body_checks`.
    pub(crate) fn new(about: About, wanted: bool) -> Checking {
        Checking { about, effects: Vec::new(), rejected: None, is_over: !wanted }
    }

    /// Looks a field or line up, without its last line end, and takes note of what the table says.
    pub(crate) async fn look(
        &mut self,
        maps: &Maps,
        subject: Subject,
        text: &[u8],
        message: (&Log, &QueueId, &Address),
    ) -> Result<Verdict, Failed> {
        if self.is_over || maps.is_empty() || text.is_empty() {
            return Ok(Verdict::Keep);
        }
        let key = String::from_utf8_lossy(text);
        match maps.find(&key, Key::Full).await.into_result() {
            Ok(None) => Ok(Verdict::Keep),
            Ok(Some(action)) => Ok(self.act(maps.parameter(), subject, &key, &action, message)),
            Err(reason) => Err(Failed { reason }),
        }
    }

    /// A line with one of `message_reject_characters`.
    pub(super) fn refuse_character(&mut self, line: &[u8], message: (&Log, &QueueId, &Address)) {
        let text = String::from_utf8_lossy(line);
        let action = "REJECT disallowed character";
        self.act("message_reject_characters", Subject::Content, &text, action, message);
    }

    /// Structure that is not forgiven: the log is told now, and the message is refused.
    pub(super) fn refuse_structure(&mut self, why: &str, text: &[u8], message: (&Log, &QueueId, &Address)) {
        self.tell_structure(why, text, message);
        let status = Status::new(5, 6, 0);
        self.rejected.get_or_insert(Trouble::Rejected { status, text: why.to_owned() });
    }

    /// As Postfix tells it.
    pub(super) fn tell_structure(
        &self,
        why: &str,
        text: &[u8],
        (log, id, sender): (&Log, &QueueId, &Address),
    ) {
        let text = String::from_utf8_lossy(text.strip_suffix(b"\n").unwrap_or(text));
        let text: String = text.chars().map(|c| if c.is_control() { '?' } else { c }).take(100).collect();
        let about = &self.about;
        let form = log.form();
        let to = about.recipient.as_ref().map_or("unknown".into(), |recipient| form.show(recipient));
        maillog::info!(
            log,
            "{id}: reject: mime-error {why}: {text} from {}; from=<{}> to=<{to}>",
            about.origin,
            form.show(sender)
        );
    }

    fn act(
        &mut self,
        parameter: &str,
        subject: Subject,
        text: &str,
        action: &str,
        (log, id, sender): (&Log, &QueueId, &Address),
    ) -> Verdict {
        let (word, argument) = action.split_once([' ', '\t']).unwrap_or((action, ""));
        let argument = argument.trim();
        let word = word.to_ascii_uppercase();
        let line = |word: &str, says: &str| {
            let by = if subject == Subject::MilterHeader { "milter-header-" } else { "" };
            maillog::info!(
                log,
                "{id}: {by}{word}: {}",
                self.about.line(subject, text, (sender, log.form()), says)
            );
        };
        let missing = |what: &str| {
            maillog::warning!(log, "{id}: {what} in {parameter} map");
            Verdict::Keep
        };
        match word.as_str() {
            "DUNNO" | "OK" | "" => Verdict::Keep,
            "IGNORE" => Verdict::Drop,
            "STRIP" => {
                line("strip", argument);
                Verdict::Drop
            }
            "WARN" => {
                line("warning", argument);
                Verdict::Keep
            }
            "INFO" => {
                line("info", argument);
                Verdict::Keep
            }
            "PASS" => {
                line("pass", argument);
                self.is_over = true;
                Verdict::Keep
            }
            "REJECT" => {
                let (status, reason) = match Status::split_from(argument) {
                    Some((status, reason)) => (status, reason),
                    None => (Status::new(5, 7, 1), argument),
                };
                let reason = if reason.is_empty() { "message content rejected" } else { reason };
                line("reject", &format!("{status} {reason}"));
                self.rejected = Some(Trouble::Rejected { status, text: reason.to_owned() });
                self.is_over = true;
                Verdict::Keep
            }
            "DISCARD" => {
                line("discard", argument);
                self.effects.push(Effect::Discard);
                self.is_over = true;
                Verdict::Keep
            }
            "HOLD" => {
                line("hold", argument);
                self.effects.push(Effect::Hold);
                Verdict::Keep
            }
            "FILTER" if argument.contains(':') => {
                line("filter", argument);
                self.effects.push(Effect::Filter(argument.to_owned()));
                Verdict::Keep
            }
            "FILTER" => missing("missing or bad FILTER transport:destination"),
            "REDIRECT" | "BCC" => match Address::internal(argument).ok().filter(|_| argument.contains('@')) {
                Some(address) if word == "BCC" => {
                    line("bcc", argument);
                    self.effects.push(Effect::Bcc(address));
                    Verdict::Keep
                }
                Some(address) => {
                    line("redirect", argument);
                    self.effects.push(Effect::Redirect(address));
                    Verdict::Keep
                }
                None => missing(&format!("{word} needs an address with a domain")),
            },
            "REPLACE" | "PREPEND" if argument.is_empty() => missing(&format!("{word} action without text")),
            // What takes a field's place in a header must be one: anything else would end the header.
            "REPLACE" | "PREPEND" if subject.is_header() && !is_field(argument) => {
                missing(&format!("bad {word} header text \"{argument}\": it needs the form \"Name: value\""))
            }
            "REPLACE" => {
                line("replace", argument);
                Verdict::Replace(argument.to_owned())
            }
            "PREPEND" => {
                line("prepend", argument);
                Verdict::Prepend(argument.to_owned())
            }
            _ => {
                maillog::warning!(log, "unknown command in {parameter} map: {action}");
                Verdict::Keep
            }
        }
    }
}

impl About {
    /// `header TEXT from ORIGIN; from=<s> to=<r> proto=P helo=<h>: SAYS`.
    fn line(&self, subject: Subject, text: &str, (sender, form): (&Address, LogForm), says: &str) -> String {
        /// As much of a field or line as Postfix shows.
        const SHOWN: usize = 200;
        let kind = match subject {
            Subject::Header | Subject::MilterHeader => "header",
            Subject::Body => "body",
            Subject::Content => "content",
        };
        let shown: String = text.chars().take(SHOWN).map(|c| if c.is_control() { '?' } else { c }).collect();
        let mut line = format!("{kind} {shown} from {}; {}", self.origin, self.facts(sender, form));
        if !says.is_empty() {
            line.push_str(&format!(": {says}"));
        }
        line
    }
}

impl About {
    /// `from=<s> to=<r> proto=P helo=<h>`, as far as it is known.
    pub(super) fn facts(&self, sender: &Address, form: LogForm) -> String {
        let mut out = format!("from=<{}>", form.show(sender));
        let recipient = self.recipient.as_ref().map(|recipient| form.show(recipient).into_owned());
        for (name, value) in [("to", &recipient), ("proto", &self.protocol), ("helo", &self.helo)] {
            match value {
                Some(value) if name == "proto" => out.push_str(&format!(" {name}={value}")),
                Some(value) => out.push_str(&format!(" {name}=<{value}>")),
                None => {}
            }
        }
        out
    }
}

fn is_field(text: &str) -> bool {
    mail::header::next_field(text.as_bytes()).is_some()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    async fn look(subject: Subject, text: &str, table: &str) -> (Verdict, Checking) {
        let mut checking = Checking::new(
            About { origin: "local".into(), recipient: None, protocol: None, helo: None },
            true,
        );
        let log = Log::new(Arc::new(maillog::Sink::discard()), "postfix", "cleanup");
        let maps = Maps::open(&Tables::silent(), "header_checks", table, Flags::default());
        let id = QueueId::parse("ABCDEF1234").unwrap();
        let verdict = checking.look(&maps, subject, text.as_bytes(), (&log, &id, &Address::null())).await;
        (verdict.unwrap(), checking)
    }

    #[tokio::test]
    async fn actions() {
        for (action, expected, effects, over) in [
            ("DUNNO", Verdict::Keep, vec![], false),
            ("ignore", Verdict::Drop, vec![], false),
            ("STRIP why", Verdict::Drop, vec![], false),
            ("WARN careful", Verdict::Keep, vec![], false),
            ("HOLD", Verdict::Keep, vec![Effect::Hold], false),
            ("FILTER smtp:x", Verdict::Keep, vec![Effect::Filter("smtp:x".into())], false),
            ("FILTER x", Verdict::Keep, vec![], false),
            ("DISCARD", Verdict::Keep, vec![Effect::Discard], true),
            ("PASS", Verdict::Keep, vec![], true),
            ("REPLACE X: y", Verdict::Replace("X: y".into()), vec![], false),
            ("REPLACE no field", Verdict::Keep, vec![], false),
            ("PREPEND X: y", Verdict::Prepend("X: y".into()), vec![], false),
            ("PREPEND", Verdict::Keep, vec![], false),
            ("REDIRECT nobody", Verdict::Keep, vec![], false),
            ("BCC a@b", Verdict::Keep, vec![Effect::Bcc(Address::internal("a@b").unwrap())], false),
            ("FROBNICATE x", Verdict::Keep, vec![], false),
        ] {
            let (verdict, checking) =
                look(Subject::Header, "Subject: x", &format!("static:{{{action}}}")).await;
            assert_eq!((verdict, checking.effects, checking.is_over), (expected, effects, over), "{action}");
        }
        let (verdict, _) = look(Subject::Body, "x", "static:{REPLACE any text}").await;
        assert_eq!(verdict, Verdict::Replace("any text".into()));
        let (_, checking) = look(Subject::Body, "", "static:REJECT").await;
        assert_eq!(checking.rejected, None, "empty lines are not looked up");
    }

    #[tokio::test]
    async fn refusals() {
        for (action, expected) in [
            ("REJECT", "550 5.7.1 message content rejected"),
            ("REJECT 5.7.9 no such thing", "550 5.7.9 no such thing"),
            ("REJECT 4.7.9 later", "451 4.7.9 later"),
        ] {
            let (_, checking) = look(Subject::Body, "x", &format!("static:{{{action}}}")).await;
            assert!(checking.is_over);
            let reply = checking.rejected.unwrap().reply();
            assert_eq!(format!("{} {} {}", reply.code, reply.status().unwrap(), reply.text), expected);
        }
    }

    #[test]
    fn the_line() {
        let about = About {
            origin: "mx[192.0.2.1]".into(),
            recipient: Some(Address::internal("r@x").unwrap()),
            protocol: Some("ESMTP".into()),
            helo: Some("h".into()),
        };
        let sender = Address::internal("s@y").unwrap();
        assert_eq!(
            about.line(Subject::Header, "Subject: a\n b", (&sender, LogForm::External), "5.7.1 no"),
            "header Subject: a? b from mx[192.0.2.1]; from=<s@y> to=<r@x> proto=ESMTP helo=<h>: 5.7.1 no"
        );
    }
}
