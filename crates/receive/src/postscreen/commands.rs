//! What the engine of the deep tests answers to each command.

use std::borrow::Cow;

use mail::{Address, Detail, LogForm, Reply};
use smtp::server::{EhloKeyword, TlsOffer, reply};

use super::engine::{Engine, Next, Step, next_word};

/// The commands that postscreen(8) knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Helo,
    Ehlo,
    StartTls,
    Xclient,
    Xforward,
    Auth,
    Mail,
    Rcpt,
    Data,
    Bdat,
    Rset,
    Noop,
    Vrfy,
    Etrn,
    Quit,
}

const COMMANDS: [(&str, Command); 15] = [
    ("HELO", Command::Helo),
    ("EHLO", Command::Ehlo),
    ("STARTTLS", Command::StartTls),
    ("XCLIENT", Command::Xclient),
    ("XFORWARD", Command::Xforward),
    ("AUTH", Command::Auth),
    ("MAIL", Command::Mail),
    ("RCPT", Command::Rcpt),
    ("DATA", Command::Data),
    ("BDAT", Command::Bdat),
    ("RSET", Command::Rset),
    ("NOOP", Command::Noop),
    ("VRFY", Command::Vrfy),
    ("ETRN", Command::Etrn),
    ("QUIT", Command::Quit),
];

impl Command {
    /// By name, without regard to case.
    pub(super) fn find(word: &[u8]) -> Option<Command> {
        let is = |name: &str| name.as_bytes().eq_ignore_ascii_case(word);
        COMMANDS.iter().find(|(name, _)| is(name)).map(|(_, command)| *command)
    }

    /// `MAIL`.
    pub(super) fn name(self) -> &'static str {
        COMMANDS[self as usize].0
    }

    fn is_allowed_before_tls(self) -> bool {
        matches!(self, Command::Helo | Command::Ehlo | Command::StartTls | Command::Noop | Command::Quit)
    }
}

const fn detailed(code: u16, subject: u16, detail: u16, text: &'static str) -> Reply {
    Reply::fixed(code, Some(Detail(subject, detail)), text)
}

/// An unknown command. smtpd(8) says 500.
const NOT_RECOGNIZED: Reply = detailed(502, 5, 2, "Error: command not recognized");
const NEED_RCPT: Reply = detailed(503, 5, 1, "Error: need RCPT command");
const BDAT_NEED_MAIL: Reply = detailed(554, 5, 1, "Error: need MAIL command");
const SYNTAX_BDAT: Reply = detailed(501, 5, 4, "Syntax: BDAT count [LAST]");
const SYNTAX_VRFY: Reply = detailed(501, 5, 4, "Syntax: VRFY address");
const SYNTAX_ETRN: Reply = Reply::fixed(500, None, "Syntax: ETRN domain");
const ETRN_UNABLE: Reply = Reply::fixed(458, None, "Unable to queue messages");

impl Engine {
    /// Answers a command. `refusal` is for recipients.
    pub(super) fn answer(&mut self, command: Option<Command>, arguments: &[u8], refusal: &Reply) -> Step {
        let Some(command) = command else { return Step::say(NOT_RECOGNIZED) };
        let must_secure = self.options.tls == TlsOffer::Required && !self.in_tls;
        let no_argument = next_word(arguments).0.is_empty();
        match command {
            Command::Xclient | Command::Xforward | Command::Auth => Step::say(NOT_RECOGNIZED),
            _ if must_secure && !command.is_allowed_before_tls() => Step::say(reply::MUST_STARTTLS),
            Command::Helo | Command::Ehlo => self.hello(command == Command::Ehlo, arguments),
            Command::StartTls => self.starttls(no_argument),
            Command::Mail => self.mail(arguments),
            Command::Rcpt => self.rcpt(arguments, refusal),
            Command::Data | Command::Bdat => self.data(command, no_argument),
            Command::Rset => {
                self.sender = None;
                Step::say(reply::OK)
            }
            Command::Noop => Step::say(reply::OK),
            Command::Vrfy if no_argument => Step::say(SYNTAX_VRFY),
            Command::Vrfy if self.options.disable_vrfy => Step::say(reply::VRFY_OFF),
            Command::Vrfy => Step::say(refusal.clone()),
            Command::Etrn if self.lacks_helo() => Step::say(reply::SEND_HELO),
            Command::Etrn if no_argument => Step::say(SYNTAX_ETRN),
            Command::Etrn => Step::say(ETRN_UNABLE),
            Command::Quit => Step::close(reply::BYE),
        }
    }

    fn lacks_helo(&self) -> bool {
        self.options.helo_required && self.helo.is_none()
    }

    fn hello(&mut self, esmtp: bool, arguments: &[u8]) -> Step {
        let (name, _) = next_word(arguments);
        if name.is_empty() {
            return Step::say(if esmtp { reply::SYNTAX_EHLO } else { reply::SYNTAX_HELO });
        }
        self.helo = Some(String::from_utf8_lossy(name).into_owned());
        self.sender = None;
        // HELO after EHLO does not make it a SMTP session again.
        self.esmtp |= esmtp;
        let text = if esmtp { self.offers().join("\n") } else { self.options.hostname.clone() };
        Step::say(Reply::bare(250, text))
    }

    /// What EHLO announces.
    fn offers(&self) -> Vec<Cow<'_, str>> {
        let options = &*self.options;
        let size = match options.message_size_limit {
            0 => "SIZE".to_owned(),
            limit => format!("SIZE {limit}"),
        };
        let starttls = options.tls != TlsOffer::None && options.has_certificates && !self.in_tls;
        let offers = [
            (EhloKeyword::Size, true, Cow::from(size)),
            (EhloKeyword::Vrfy, !options.hide_vrfy, "VRFY".into()),
            (EhloKeyword::Etrn, true, "ETRN".into()),
            (EhloKeyword::StartTls, starttls, "STARTTLS".into()),
            (EhloKeyword::EnhancedStatusCodes, true, "ENHANCEDSTATUSCODES".into()),
            (EhloKeyword::EightBitMime, true, "8BITMIME".into()),
            (EhloKeyword::Dsn, true, "DSN".into()),
            (EhloKeyword::SmtpUtf8, options.smtputf8, "SMTPUTF8".into()),
            (EhloKeyword::Chunking, true, "CHUNKING".into()),
        ];
        let offered = offers.into_iter().filter(|(keyword, on, _)| *on && !self.discard.contains(*keyword));
        std::iter::once(options.hostname.as_str().into()).chain(offered.map(|(.., text)| text)).collect()
    }

    fn starttls(&mut self, no_argument: bool) -> Step {
        if !no_argument {
            return Step::say(reply::SYNTAX_STARTTLS);
        }
        if self.in_tls {
            return Step::say(reply::TLS_ACTIVE);
        }
        if self.options.tls == TlsOffer::None || !self.options.has_certificates {
            return Step::say(reply::NOT_IMPLEMENTED);
        }
        if !self.tls_available {
            return Step::say(reply::TLS_UNAVAILABLE);
        }
        Step { next: Next::StartTls, ..Step::say(reply::READY_FOR_TLS) }
    }

    fn mail(&mut self, arguments: &[u8]) -> Step {
        if self.lacks_helo() {
            return Step::say(reply::SEND_HELO);
        }
        if self.sender.is_some() {
            return Step::say(reply::NESTED_MAIL);
        }
        let Some(sender) = address_behind_colon(arguments) else { return Step::say(reply::SYNTAX_MAIL) };
        self.sender = Some(sender);
        Step::say(reply::SENDER_OK)
    }

    fn rcpt(&mut self, arguments: &[u8], refusal: &Reply) -> Step {
        let Some(sender) = &self.sender else { return Step::say(reply::NEED_MAIL) };
        let Some(recipient) = address_behind_colon(arguments) else { return Step::say(reply::SYNTAX_RCPT) };
        let logged = match self.options.soft_bounce {
            true => refusal.clone().softened(),
            false => refusal.clone(),
        };
        let line = format!(
            "NOQUEUE: reject: RCPT from {}: {logged}; from=<{}>, to=<{}>, proto={}, helo=<{}>",
            self.name,
            shown(sender, self.options.log_form),
            shown(&recipient, self.options.log_form),
            if self.esmtp { "ESMTP" } else { "SMTP" },
            self.helo.as_deref().unwrap_or_default()
        );
        Step { log: vec![line], ..Step::say(refusal.clone()) }
    }

    /// No honest client comes here: all its recipients were refused, and PIPELINING was not offered.
    fn data(&self, command: Command, no_argument: bool) -> Step {
        let log = format!("{} without valid RCPT from {}", command.name(), self.name);
        let is_bdat = command == Command::Bdat;
        let reply = if is_bdat && self.discard.contains(EhloKeyword::Chunking) {
            reply::NOT_IMPLEMENTED
        } else if is_bdat && no_argument {
            SYNTAX_BDAT
        } else if !is_bdat && !no_argument {
            reply::SYNTAX_DATA
        } else if self.sender.is_none() {
            if is_bdat { BDAT_NEED_MAIL } else { NEED_RCPT }
        } else {
            reply::NO_RECIPIENTS
        };
        Step { log: vec![log], ..Step::close(reply) }
    }
}

/// The address of `FROM:<address> ...`, without quotes and source route. Anything goes: nothing is delivered to it.
fn address_behind_colon(arguments: &[u8]) -> Option<String> {
    let colon = arguments.iter().position(|byte| *byte == b':')?;
    let text = String::from_utf8_lossy(&arguments[colon + 1..]);
    let text = text.trim_start_matches(' ');
    let (text, end) = match text.strip_prefix('<') {
        Some(rest) => (rest, '>'),
        None => (text, ' '),
    };
    let mut address = String::new();
    let mut quoted = false;
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            letter if letter == end && !quoted => break,
            '"' => quoted = !quoted,
            '\\' => address.extend(letters.next()),
            letter => address.push(letter),
        }
    }
    Some(match address.split_once(':') {
        Some((_, behind)) if address.starts_with('@') => behind.to_owned(),
        _ => address,
    })
}

/// As log lines show addresses.
fn shown(address: &str, form: LogForm) -> String {
    Address::internal(address).map_or_else(|_| address.to_owned(), |address| form.show(&address).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_enum() {
        for (at, (name, command)) in COMMANDS.iter().enumerate() {
            assert_eq!(*command as usize, at);
            assert_eq!(Command::find(name.to_lowercase().as_bytes()), Some(*command));
        }
        assert_eq!(Command::find(b"HELP"), None);
    }

    #[test]
    fn addresses() {
        for (arguments, expected) in [
            ("FROM:<a@b.test> SIZE=1", Some("a@b.test")),
            ("FROM: a@b.test x", Some("a@b.test")),
            ("FROM:<>", Some("")),
            ("FROM:<@relay.test,@other.test:a@b.test>", Some("a@b.test")),
            ("TO:<\"a > b\"@c.test>", Some("a > b@c.test")),
            ("TO:<a\\@b@c.test", Some("a@b@c.test")),
            ("TO:<a\\", Some("a")),
            ("<a@b.test>", None),
            ("", None),
        ] {
            assert_eq!(address_behind_colon(arguments.as_bytes()).as_deref(), expected, "{arguments}");
        }
        assert_eq!(shown("a > b@c.test", LogForm::External), "\"a > b\"@c.test");
    }
}
