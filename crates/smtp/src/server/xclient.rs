//! XCLIENT and XFORWARD (XCLIENT_README, XFORWARD_README): what trusted hosts say of somebody else. After XCLIENT the session is
//! that client's, from its greeting on; XFORWARD is for the log and for filters behind us, and lasts for one message.

use std::net::IpAddr;

use ::mail::client::{Forwarded, SaslFacts};
use ::mail::{ClientFacts, Detail, Reply, xtext};

use super::command::Word;
use super::content::Chunking;
use super::notice::printable;
use super::question::{Connect, Question};
use super::session::{Effect, Session, State};
use super::tally::Stage;
use super::{Step, reply};

/// Longest value of an attribute, in bytes as it is written.
const MAX_VALUE: usize = 255;
/// Characters that would mean something in a header or a log line.
const NEUTERED: &str = " <>()\\\";@";

/// What is said where nothing is known, for good or for now.
const UNAVAILABLE: &str = "[UNAVAILABLE]";
const TEMPUNAVAIL: &str = "[TEMPUNAVAIL]";

/// `NAME=value`, decoded.
struct Attribute<'a> {
    command: &'static str,
    name: &'a str,
    value: String,
}

impl Session {
    /// The client of this session is another one from here on.
    pub(super) fn xclient(self, words: &[Word]) -> Step {
        if self.transaction.is_some() {
            return self.say(reply::IN_TRANSACTION, Effect::Failed);
        }
        if words.len() < 2 {
            return self.say(reply::SYNTAX_XCLIENT, Effect::Failed);
        }
        if !self.options.xclient {
            return self.say(reply::NOT_AUTHORIZED, Effect::Failed);
        }
        match self.override_client(&words[1..]) {
            Ok(client) => self.begin_again(client),
            Err(refusal) => self.say(refusal, Effect::Failed),
        }
    }

    fn override_client(&self, words: &[Word]) -> Result<ClientFacts, Reply> {
        // What is not said anew is forgotten, as at the beginning of a session.
        let mut client =
            ClientFacts { helo: None, sasl: None, esmtp: false, forwarded: None, ..self.client.clone() };
        for word in words {
            let attribute = Attribute::parse("XCLIENT", word)?;
            match attribute.name.to_ascii_uppercase().as_str() {
                "NAME" => {
                    (client.name, client.name_lookup_failed) = attribute.host_name()?;
                }
                "REVERSE_NAME" => {
                    let (name, failed) = attribute.host_name()?;
                    client.reverse_name = name;
                    client.name_lookup_failed |= failed;
                }
                "ADDR" => client.address = attribute.address()?,
                "PORT" => client.port = attribute.port()?.unwrap_or(0),
                "HELO" => client.helo = attribute.helo()?,
                "PROTO" => client.esmtp = attribute.protocol()?,
                "LOGIN" => client.sasl = attribute.login(),
                "DESTADDR" => {
                    let port = client.server.map_or(0, |(_, port)| port);
                    client.server = attribute.address()?.map(|address| (address, port));
                }
                "DESTPORT" => {
                    let port = attribute.port()?.unwrap_or(0);
                    client.server = client.server.map(|(address, _)| (address, port));
                }
                _ => return Err(attribute.unknown()),
            }
        }
        Ok(client)
    }

    /// Back to before the greeting. Every field is named, so that a new one can not slip through: counters and TLS, which is
    /// the trusted host's own, stay.
    fn begin_again(self, client: ClientFacts) -> Step {
        // Postfix leaves the command without counting it as done.
        let before = self.into_state();
        let session = Session::of(State {
            client,
            transaction: None,
            chunking: Chunking::Idle,
            exchange: None,
            content_bytes: 0,
            access_denied: false,
            stage: Stage::Connect,
            // What came behind XCLIENT came before the greeting.
            input: before.input,
            options: before.options,
            tally: before.tally,
            notices: before.notices,
            errors: before.errors,
            junk: before.junk,
            pipelining_reported: before.pipelining_reported,
        });
        session.ask(Connect { again: true }, Question::Connect)
    }

    pub(super) fn xforward(mut self, words: &[Word]) -> Step {
        if self.transaction.is_some() {
            return self.say(reply::IN_TRANSACTION, Effect::Failed);
        }
        if words.len() < 2 {
            return self.say(reply::SYNTAX_XFORWARD, Effect::Failed);
        }
        if !self.options.xforward {
            return self.say(reply::NOT_AUTHORIZED, Effect::Failed);
        }
        let mut forwarded = self.client.forwarded.clone().unwrap_or_default();
        for word in &words[1..] {
            if let Err(refusal) = forward(&mut forwarded, word) {
                return self.say(refusal, Effect::Failed);
            }
        }
        self.client.forwarded = Some(forwarded);
        self.say(reply::OK, Effect::Done)
    }
}

fn forward(forwarded: &mut Forwarded, word: &Word) -> Result<(), Reply> {
    let attribute = Attribute::parse("XFORWARD", word)?;
    let of_client = ["NAME", "ADDR", "PORT", "HELO", "PROTO"];
    forwarded.of_client |= of_client.iter().any(|name| attribute.name.eq_ignore_ascii_case(name));
    match attribute.name.to_ascii_uppercase().as_str() {
        "NAME" => forwarded.name = Some(attribute.host_name()?.0).filter(|name| name != "unknown"),
        "ADDR" => forwarded.address = attribute.address()?,
        "PORT" => forwarded.port = attribute.port()?,
        "HELO" => forwarded.helo = attribute.helo()?,
        "PROTO" if attribute.value.len() > 64 => return Err(attribute.bad()),
        "PROTO" => forwarded.protocol = attribute.text(),
        "IDENT" => forwarded.ident = attribute.text(),
        "SOURCE" => {
            forwarded.local = match attribute.value.to_ascii_uppercase().as_str() {
                "LOCAL" => Some(true),
                "REMOTE" => Some(false),
                UNAVAILABLE => None,
                _ => return Err(attribute.bad()),
            };
        }
        _ => return Err(attribute.unknown()),
    }
    Ok(())
}

impl<'a> Attribute<'a> {
    fn parse(command: &'static str, word: &'a Word) -> Result<Attribute<'a>, Reply> {
        let Some((name, value)) = word.text.split_once('=').filter(|(_, value)| !value.is_empty()) else {
            return Err(reply::ATTRIBUTE_EXPECTED);
        };
        if value.len() > MAX_VALUE {
            return Err(reply::ATTRIBUTE_TOO_LONG);
        }
        // Hosts of old days do not encode.
        let value = match xtext::decode(value) {
            Some(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            None => value.to_owned(),
        };
        Ok(Attribute { command, name, value: printable(&value, usize::MAX) })
    }

    fn is(&self, word: &str) -> bool {
        self.value.eq_ignore_ascii_case(word)
    }

    fn bad(&self) -> Reply {
        Reply::new(501, Detail(5, 4), format!("Bad {} syntax: {}", self.name, self.value))
    }

    fn unknown(&self) -> Reply {
        Reply::new(501, Detail(5, 4), format!("Bad {} attribute name: {}", self.command, self.name))
    }

    /// A host name, and whether it could only not be found out now.
    fn host_name(&self) -> Result<(String, bool), Reply> {
        match () {
            () if self.is(UNAVAILABLE) => Ok(("unknown".into(), false)),
            () if self.is(TEMPUNAVAIL) => Ok(("unknown".into(), true)),
            () if is_host_name(&self.value) => Ok((self.value.clone(), false)),
            () => Err(self.bad()),
        }
    }

    /// `192.0.2.1`, `IPV6:2001:db8::1`.
    fn address(&self) -> Result<Option<IpAddr>, Reply> {
        if self.is(UNAVAILABLE) {
            return Ok(None);
        }
        let address = match self.value.get(..5) {
            Some(tag) if tag.eq_ignore_ascii_case("IPV6:") => self.value[5..].parse().map(IpAddr::V6),
            _ => self.value.parse().map(IpAddr::V4),
        };
        address.map(|address| Some(address.to_canonical())).map_err(|_| self.bad())
    }

    fn port(&self) -> Result<Option<u16>, Reply> {
        if self.is(UNAVAILABLE) {
            return Ok(None);
        }
        let digits = self.value.bytes().all(|b| b.is_ascii_digit());
        self.value.parse().ok().filter(|_| digits).map(Some).ok_or_else(|| self.bad())
    }

    fn helo(&self) -> Result<Option<String>, Reply> {
        match () {
            () if self.is(UNAVAILABLE) => Ok(None),
            () if self.value.len() > MAX_VALUE => Err(self.bad()),
            () => Ok(Some(self.neutered())),
        }
    }

    fn protocol(&self) -> Result<bool, Reply> {
        match self.value.to_ascii_uppercase().as_str() {
            "SMTP" => Ok(false),
            "ESMTP" => Ok(true),
            _ => Err(self.bad()),
        }
    }

    fn login(&self) -> Option<SaslFacts> {
        (!self.is(UNAVAILABLE)).then(|| SaslFacts {
            method: "XCLIENT".into(),
            username: self.value.clone(),
            sender: None,
        })
    }

    fn text(&self) -> Option<String> {
        (!self.is(UNAVAILABLE)).then(|| self.neutered())
    }

    fn neutered(&self) -> String {
        self.value.replace(|c| NEUTERED.contains(c), "?")
    }
}

/// RFC 1123 section 2.1, and the underscores of real names.
fn is_host_name(text: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_' || !c.is_ascii())
    };
    text.len() <= 255 && text.split('.').all(label) && !text.bytes().all(|b| b.is_ascii_digit() || b == b'.')
}
