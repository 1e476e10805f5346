//! The text of what is told to senders: failures, delays and requested success reports (RFC 3464, RFC 3461; bounce(5)).
//!
//! Pure: a message and its recipients' last outcomes go in, a message content with LF line ends comes out.

use std::time::{SystemTime, UNIX_EPOCH};

use link::message::Complaint;
use mail::header;
use mail::{ALIAS_EXPANDED, Address, Message, OutcomeKind, QueueId, Return, date};

use crate::active::Told;
use crate::template::Template;

/// What a notice is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// These recipients will not get it.
    Failure,
    /// They have not got it yet.
    Delay,
    /// They have got it, and the sender asked to be told.
    Success,
    /// What the first attempt brought, or would have brought (`sendmail -v`, `-bv`).
    Trace,
}

/// Everything that a notice says.
pub(crate) struct Notice<'a> {
    pub(crate) kind: Kind,
    /// The id of the notice itself.
    pub(crate) id: &'a QueueId,
    /// To whom it goes.
    pub(crate) to: &'a Address,
    /// The message that it is about.
    pub(crate) about: &'a Message,
    /// The recipients concerned.
    pub(crate) recipients: &'a [Told],
    /// The content of that message: all of it, or its header when only that is to be returned.
    pub(crate) content: &'a [u8],
    /// Only that.
    pub(crate) headers_only: bool,
    /// Its sender; a name of the mail system in the place of the null address.
    pub(crate) sender: &'a str,
    /// Was it this transport that handed the message on without delivering it?
    pub(crate) relays: &'a dyn Fn(&str) -> bool,
    /// myorigin: the domain of a `From:` without one.
    pub(crate) origin: &'a str,
    /// myhostname
    pub(crate) hostname: &'a str,
    /// mail_name
    pub(crate) mail_name: &'a str,
    pub(crate) now: SystemTime,
    /// For delays: until when delivery will be tried.
    pub(crate) retry_until: Option<SystemTime>,
    /// smtputf8_enable: with it, every notice is labelled as 8-bit, as Postfix's are.
    pub(crate) smtputf8_enable: bool,
    /// This copy goes to a postmaster (`notify_classes`).
    pub(crate) postmaster: bool,
    /// The words, with values filled in.
    pub(crate) template: &'a Template,
    /// enable_threaded_bounces: mail programs show the notice below the message that it is about.
    pub(crate) threaded: bool,
}

/// Is the header enough? For RET=HDRS, for large messages, for what may only travel under REQUIRETLS where notices do not (`redact`,
/// requiretls_redact_dsn), and for everything but failures.
pub(crate) fn wants_headers_only(kind: Kind, about: &Message, bounce_size_limit: u64, redact: bool) -> bool {
    kind != Kind::Failure
        || about.envelope.ret == Some(Return::Headers)
        || about.envelope.require_tls && redact
        || about.data_size > bounce_size_limit
}

/// The content of a mail to the postmaster about a session with a server.
pub(crate) fn complaint(
    complaint: &Complaint,
    id: &QueueId,
    hostname: &str,
    mail_name: &str,
    now: SystemTime,
) -> Vec<u8> {
    let Complaint { peer, transcript, recipient } = complaint;
    let (date, compact) = (date::rfc5322(now), date::compact_utc(now));
    format!(
        "Received: by {hostname} ({mail_name})\n\tid {id}; {date}\n\
         Date: {date}\n\
         From: Mail Delivery System <MAILER-DAEMON@{hostname}>\n\
         To: Postmaster <{}>\n\
         Subject: {mail_name} SMTP client: errors from {peer}\n\
         Message-Id: <{compact}.{id}@{hostname}>\n\n\
         Unexpected response from {peer}.\n\n\
         Transcript of session follows.\n\n{transcript}\nFor other details, see the local mail logfile\n",
        recipient.to_external(),
    )
    .into_bytes()
}

impl Notice<'_> {
    /// The whole content.
    pub(crate) fn content(&self) -> Vec<u8> {
        let seconds = self.now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let boundary = format!("{}.{seconds}/{}", self.about.id, self.hostname);
        let smtputf8 = self.about.envelope.smtputf8;
        let headers_only = self.headers_only;
        let mut out = self.header(&boundary);
        out.push_str(&format!("--{boundary}\nContent-Description: Notification\n"));
        let encoding = self.encoding();
        let charset = match self.template.charset.as_str() {
            "us-ascii" if !encoding.is_empty() => "utf-8",
            charset => charset,
        };
        out.push_str(&format!("Content-Type: text/plain; charset={charset}\n{encoding}\n"));
        out.push_str(&self.human_text());
        out.push_str(&format!("\n--{boundary}\nContent-Description: Delivery report\n"));
        let report = if smtputf8 { "global-delivery-status" } else { "delivery-status" };
        let report_encoding = if smtputf8 { encoding } else { "" };
        out.push_str(&format!("Content-Type: message/{report}\n{report_encoding}\n"));
        out.push_str(&self.report());
        let (description, kind) = match headers_only {
            true => (format!("{} Headers", self.returned_name()), "text/rfc822-headers"),
            false => {
                (self.returned_name().to_owned(), if smtputf8 { "message/global" } else { "message/rfc822" })
            }
        };
        out.push_str(&format!("\n--{boundary}\nContent-Description: {description}\nContent-Type: {kind}\n"));
        out.push_str(encoding);
        let mut out = out.into_bytes();
        out.push(b'\n');
        out.extend_from_slice(self.content);
        if !self.content.ends_with(b"\n") {
            out.push(b'\n');
        }
        out.extend_from_slice(format!("\n--{boundary}--\n").as_bytes());
        out
    }

    /// The label of what may hold more than ASCII.
    fn encoding(&self) -> &'static str {
        match self.smtputf8_enable || !self.content.is_ascii() || !self.template.text.is_ascii() {
            true => "Content-Transfer-Encoding: 8bit\n",
            false => "",
        }
    }

    fn header(&self, boundary: &str) -> String {
        let subject = match self.postmaster {
            true => &self.template.postmaster_subject,
            false => &self.template.subject,
        };
        let thread = if self.threaded { thread(self.content) } else { String::new() };
        let date = date::rfc5322(self.now);
        // RFC 8689 section 5: what was said of the message holds for what is said about it.
        let tls_required = if self.about.envelope.tls_optional { "TLS-Required: no\n" } else { "" };
        let eight_bit = self.encoding();
        format!(
            "Received: by {host} ({name})\n\tid {id}; {date}\n\
             Date: {date}\n\
             From: {from}\n\
             Subject: {subject}\n\
             To: {to}\n\
             Auto-Submitted: {automatic}\n\
             {tls_required}\
             MIME-Version: 1.0\n\
             Content-Type: multipart/report; report-type=delivery-status;\n\tboundary=\"{boundary}\"\n\
             {eight_bit}\
             {thread}\
             Message-Id: <{compact}.{id}@{host}>\n\n\
             This is a MIME-encapsulated message.\n\n",
            host = self.hostname,
            automatic = if self.postmaster { "auto-generated" } else { "auto-replied" },
            from = with_domain(&self.template.from, self.origin),
            name = self.mail_name,
            id = self.id,
            to = self.to,
            compact = date::compact_utc(self.now),
        )
    }

    fn returned_name(&self) -> &'static str {
        match self.kind {
            Kind::Failure | Kind::Delay => "Undelivered Message",
            Kind::Success | Kind::Trace => "Message",
        }
    }

    fn human_text(&self) -> String {
        let mut out = self.template.text.clone();
        if let (Kind::Delay, Some(until)) = (self.kind, self.retry_until) {
            out.push_str(&format!("Delivery is tried again until {}.\n", date::rfc5322(until)));
        }
        for told in self.recipients {
            let Told { recipient, .. } = told;
            let mut line = format!("<{}>", recipient.address.to_external());
            let original = &recipient.original;
            if !original.is_null() && !original.as_str().eq_ignore_ascii_case(recipient.address.as_str()) {
                line.push_str(&format!(" (expanded from <{}>)", recipient.original.to_external()));
            }
            out.push('\n');
            out.push_str(&wrapped(&format!("{line}: {}", self.words(told))));
        }
        out
    }

    /// What became of a recipient. Who is told of a success is told who took the message.
    fn words(&self, told: &Told) -> String {
        let relay = &told.progress.relay;
        match self.kind {
            Kind::Success | Kind::Trace if relay != "none" => {
                format!("delivery via {relay}: {}", told.progress.text)
            }
            _ => told.progress.text.clone(),
        }
    }

    /// The machine-readable part: fields of the message, then a group for each recipient.
    fn report(&self) -> String {
        let mut out = format!("Reporting-MTA: dns; {}\n", self.hostname);
        if let Some(envid) = &self.about.envelope.envid {
            out.push_str(&format!("Original-Envelope-Id: {envid}\n"));
        }
        // RFC 6533 section 3: an address in ASCII is one of RFC 822, whatever the message needs.
        let kind = |address: &str| match self.about.envelope.smtputf8 && !address.is_ascii() {
            true => "utf-8",
            false => "rfc822",
        };
        out.push_str(&format!(
            "X-{name}-Queue-ID: {}\nX-{name}-Sender: {}; {}\nArrival-Date: {}\n",
            self.about.id,
            kind(self.sender),
            self.sender,
            date::rfc5322(self.about.arrival),
            name = self.mail_name,
        ));
        for told in self.recipients {
            let Told { recipient, progress, kind: outcome, to_list } = told;
            let (address, original) = (recipient.address.to_external(), recipient.original.to_external());
            out.push_str(&format!("\nFinal-Recipient: {}; {address}\n", kind(&address)));
            match &recipient.orcpt {
                Some(orcpt) => out.push_str(&format!("Original-Recipient: {orcpt}\n")),
                None => out.push_str(&format!("Original-Recipient: {};{original}\n", kind(&original))),
            }
            let action = match outcome {
                OutcomeKind::Bounced => "failed",
                OutcomeKind::Deferred => "delayed",
                // RFC 3464 section 2.3.3: what another server took over is relayed, not delivered.
                OutcomeKind::Sent if progress.remote.is_some() || (self.relays)(&progress.relay) => "relayed",
                OutcomeKind::Sent if progress.text == ALIAS_EXPANDED && !to_list => "expanded",
                OutcomeKind::Sent => "delivered",
                OutcomeKind::Deliverable => "deliverable",
                OutcomeKind::Undeliverable => "undeliverable",
            };
            out.push_str(&format!("Action: {action}\nStatus: {}\n", progress.status));
            match &progress.remote {
                // A command of this machine.
                Some((mta, said)) if mta.is_empty() => {
                    out.push_str(&wrapped(&format!("Diagnostic-Code: x-unix; {said}")));
                }
                Some((mta, reply)) => {
                    out.push_str(&format!("Remote-MTA: dns; {mta}\n"));
                    out.push_str(&wrapped(&format!("Diagnostic-Code: smtp; {reply}")));
                }
                None => {
                    let text = format!("Diagnostic-Code: X-{}; {}", self.mail_name, self.words(told));
                    out.push_str(&wrapped(&text));
                }
            }
            if let (Kind::Delay, Some(until)) = (self.kind, self.retry_until) {
                out.push_str(&format!("Will-Retry-Until: {}\n", date::rfc5322(until)));
            }
        }
        out
    }
}

/// `MAILER-DAEMON` alone is an address of this host.
fn with_domain(from: &str, hostname: &str) -> String {
    match from.strip_suffix('>') {
        _ if from.contains('@') => from.to_owned(),
        Some(open) => format!("{open}@{hostname}>"),
        None => match from.split_once(' ') {
            Some((address, comment)) => format!("{address}@{hostname} {comment}"),
            None => format!("{from}@{hostname}"),
        },
    }
}

/// `In-Reply-To:` and `References:` that put a notice into the thread of the message (RFC 5322 section 3.6.4).
fn thread(content: &[u8]) -> String {
    let (fields, _) = header::split(content);
    let value = |name: &str| {
        let field = fields.iter().find(|field| field.is(name))?;
        let words: Vec<_> =
            String::from_utf8_lossy(field.value()).split_whitespace().map(str::to_owned).collect();
        (!words.is_empty()).then_some(words)
    };
    let Some(id) = value("Message-Id") else { return String::new() };
    let earlier = value("References").or_else(|| value("In-Reply-To")).unwrap_or_default();
    let references: Vec<_> = earlier.into_iter().chain(id.iter().cloned()).collect();
    format!("In-Reply-To: {}\nReferences: {}\n", id.join(" "), references.join("\n\t"))
}

/// The header of a content, for notices that return no more; never includes the body.
pub(crate) fn header_of(content: &[u8]) -> &[u8] {
    let (_, rest) = header::split(content);
    &content[..content.len() - rest.len()]
}

/// A text as lines of mail, which log texts may be too long for: folded at blanks, continuation lines indented.
fn wrapped(text: &str) -> String {
    const WIDTH: usize = 79;
    const INDENT: &str = "    ";
    let mut out = String::with_capacity(text.len() + 16);
    let mut line = String::new();
    for word in text.split([' ', '\n', '\t']) {
        if !line.trim().is_empty() && line.chars().count() + 1 + word.chars().count() > WIDTH {
            out.push_str(line.trim_end());
            out.push('\n');
            line = format!("{INDENT}{word}");
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    out.push_str(line.trim_end());
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mail::{Envelope, Origin, Recipient, Status};
    use spool::Progress;

    use super::*;
    use crate::template::Templates;

    fn about() -> Message {
        Message {
            id: QueueId::parse("ABCDEF1234").unwrap(),
            envelope: Envelope {
                sender: Address::internal("s@client.test").unwrap(),
                envid: Some("E1".into()),
                ..Envelope::default()
            },
            origin: Origin::Internal,
            arrival: UNIX_EPOCH + Duration::from_secs(1_700_000_000),
            size: 20,
            data_size: 20,
            checksum: 0,
            filter: None,
        }
    }

    fn text(kind: Kind, content: &[u8], remote: Option<(String, String)>) -> String {
        let progress = Progress {
            status: Status::new(5, 1, 1),
            text: "host mx.x[192.0.2.1] said: 550 5.1.1 User unknown (in reply to RCPT TO command)".into(),
            relay: "mx.x".into(),
            remote,
            tls: String::new(),
            at: UNIX_EPOCH,
        };
        let about = about();
        let templates = Templates::built_in();
        let notice = Notice {
            kind,
            id: &QueueId::parse("FEDCBA4321").unwrap(),
            to: &about.envelope.sender,
            about: &about,
            recipients: &[Told {
                recipient: Recipient {
                    original: Address::internal("alias@x").unwrap(),
                    ..Recipient::new(Address::internal("r@x").unwrap())
                },
                kind: match kind {
                    Kind::Failure => OutcomeKind::Bounced,
                    Kind::Delay => OutcomeKind::Deferred,
                    Kind::Success => OutcomeKind::Sent,
                    Kind::Trace => OutcomeKind::Deliverable,
                },
                progress,
                to_list: false,
            }],
            content,
            headers_only: kind != Kind::Failure,
            sender: "s@client.test",
            relays: &|relay| relay == "pipe",
            origin: "origin.test",
            hostname: "mx.test",
            mail_name: "Postfix",
            now: UNIX_EPOCH + Duration::from_secs(1_700_000_100),
            retry_until: Some(UNIX_EPOCH + Duration::from_secs(1_700_432_000)),
            smtputf8_enable: false,
            postmaster: false,
            template: templates.of(kind),
            threaded: true,
        };
        String::from_utf8(notice.content()).unwrap()
    }

    #[test]
    fn a_failure_returns_the_message() {
        let remote = Some(("mx.x".into(), "550 5.1.1 User unknown".into()));
        let text = text(
            Kind::Failure,
            b"Subject: x\nMessage-ID: <m@x>\nReferences: <a@x>\n <b@x>\n\nbody\n",
            remote,
        );
        for part in [
            "\nIn-Reply-To: <m@x>\nReferences: <a@x>\n\t<b@x>\n\t<m@x>\n",
            "\nFrom: Mail Delivery System <MAILER-DAEMON@origin.test>\n",
            "\nTo: s@client.test\n",
            "\nAuto-Submitted: auto-replied\n",
            "boundary=\"ABCDEF1234.1700000100/mx.test\"",
            "\nReporting-MTA: dns; mx.test\nOriginal-Envelope-Id: E1\nX-Postfix-Queue-ID: ABCDEF1234\nX-Postfix-Sender: rfc822; s@client.test\n",
            "\nOriginal-Envelope-Id: E1\n",
            "\nFinal-Recipient: rfc822; r@x\nOriginal-Recipient: rfc822;alias@x\nAction: failed\nStatus: 5.1.1\n",
            "Remote-MTA: dns; mx.x\nDiagnostic-Code: smtp; 550 5.1.1 User unknown\n",
            "\n<r@x> (expanded from <alias@x>): host mx.x[192.0.2.1] said:",
            "Content-Type: message/rfc822\n\nSubject: x\n",
            "\n <b@x>\n\nbody\n\n--ABCDEF1234.1700000100/mx.test--\n",
        ] {
            assert!(text.contains(part), "{part:?} in\n{text}");
        }
        assert!(!text.contains("Will-Retry-Until"));
    }

    #[test]
    fn a_delay_returns_the_header_and_says_until_when() {
        let text = text(Kind::Delay, b"Subject: x\n", None);
        for part in [
            "Action: delayed\n",
            "Will-Retry-Until: ",
            "Diagnostic-Code: X-Postfix; host mx.x[192.0.2.1] said:",
            "Content-Description: Undelivered Message Headers\nContent-Type: text/rfc822-headers\n\nSubject: x\n",
        ] {
            assert!(text.contains(part), "{part:?} in\n{text}");
        }
    }

    #[test]
    fn a_report_says_what_would_have_become_of_it() {
        let text = text(Kind::Trace, b"Subject: x\n", None);
        for part in [
            "\nSubject: Mail Delivery Status Report\n",
            "\n<r@x> (expanded from <alias@x>): delivery via mx.x: host",
            "Action: deliverable\n",
            "Diagnostic-Code: X-Postfix; delivery via mx.x: host",
            "Content-Description: Message Headers\nContent-Type: text/rfc822-headers\n\nSubject: x\n",
        ] {
            assert!(text.contains(part), "{part:?} in\n{text}");
        }
    }

    #[test]
    fn only_the_header_of_large_or_confidential_messages() {
        let mut message = about();
        assert!(!wants_headers_only(Kind::Failure, &message, 20, true));
        assert!(wants_headers_only(Kind::Failure, &message, 19, true));
        assert!(wants_headers_only(Kind::Delay, &message, 20, true));
        message.envelope.require_tls = true;
        assert!(wants_headers_only(Kind::Failure, &message, 20, true));
        assert!(!wants_headers_only(Kind::Failure, &message, 20, false));
        message.envelope.require_tls = false;
        message.envelope.ret = Some(Return::Headers);
        assert!(wants_headers_only(Kind::Failure, &message, 20, true));
        assert_eq!(header_of(b"A: b\n c\n\nbody"), b"A: b\n c\n");
    }

    #[test]
    fn long_texts_are_folded_at_blanks() {
        let text = wrapped(&"word ".repeat(40));
        assert!(text.lines().all(|line| line.len() <= 79));
        assert_eq!(text.split_whitespace().count(), 40);
    }
}
