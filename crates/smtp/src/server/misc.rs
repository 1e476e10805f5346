//! The small commands: RSET, VRFY, ETRN (RFC 1985), QUIT and HELP.

use ::mail::{Detail, Reply};

use super::command::{Verb, Word};
use super::parameters::address;
use super::question::{Etrn, Pending, Question, Verdict, Vrfy};
use super::session::{Effect, Session};
use super::{Step, reply};

impl Session {
    pub(super) fn rset(mut self, words: &[Word]) -> Step {
        if words.len() != 1 {
            return self.say(reply::SYNTAX_RSET, Effect::Failed);
        }
        self.reset_transaction();
        self.say(reply::OK, Effect::Done)
    }

    pub(super) fn vrfy(mut self, words: &[Word]) -> Step {
        if self.options.disable_vrfy {
            return self.say(reply::VRFY_OFF, Effect::Failed);
        }
        let smtputf8 = self.smtputf8_is_on()
            && words.len() > 1
            && words.last().is_some_and(|word| word.text.eq_ignore_ascii_case("SMTPUTF8"));
        let arguments = &words[1..words.len() - usize::from(smtputf8)];
        if arguments.is_empty() {
            let suffix = if self.options.smtputf8 { " [SMTPUTF8]" } else { "" };
            let reply = Reply::new(501, Detail(5, 4), format!("Syntax: VRFY address{suffix}"));
            return self.say(reply, Effect::Failed);
        }
        let text = arguments.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ");
        let Some(address) = address(&text, false).filter(|address| !address.is_null()) else {
            self.note_illegal_address("VRFY", &Word { text, unclosed: false });
            return self.say(reply::BAD_RECIPIENT, Effect::Failed);
        };
        if self.needs_smtputf8(&address, smtputf8) {
            return self.say(reply::NEED_SMTPUTF8, Effect::Failed);
        }
        self.ask(Vrfy { address, smtputf8, text }, Question::Vrfy)
    }

    pub(super) fn etrn(self, words: &[Word]) -> Step {
        if self.options.helo_required && self.client.helo.is_none() {
            return self.say(reply::SEND_HELO_BARE, Effect::Failed);
        }
        if self.transaction.is_some() {
            return self.say(reply::IN_TRANSACTION_BARE, Effect::Failed);
        }
        if words.len() != 2 {
            return self.say(reply::SYNTAX_ETRN, Effect::Failed);
        }
        let argument = words[1].text.as_str();
        let domain = argument.strip_prefix(['@', '#']).unwrap_or(argument);
        if !is_domain(domain) {
            return self.say(reply::BAD_ETRN_DOMAIN, Effect::Failed);
        }
        if self.options.stand_alone {
            return self.say(reply::ETRN_UNABLE, Effect::Failed);
        }
        let domain = domain.to_owned();
        self.ask(Etrn { domain }, Question::Etrn)
    }

    pub(super) fn quit(mut self) -> Step {
        self.count(Verb::Quit, Effect::Done);
        self.say_and_close(reply::BYE, None)
    }

    /// All commands that exist, also those that are switched off, as Postfix does since 3.9.
    pub(super) fn help(self) -> Step {
        let mut names: Vec<_> = Verb::all().map(Verb::name).collect();
        names.sort_unstable();
        let reply = Reply::new(214, Detail(0, 0), format!("Commands: {}", names.join(" ")));
        self.say(reply, Effect::Done)
    }
}

/// A host name by letters, digits, hyphens, underscores and dots, or an address literal. What it stands for is not
/// looked at.
fn is_domain(text: &str) -> bool {
    if let Some(literal) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        let plain = literal
            .get(..5)
            .filter(|tag| tag.eq_ignore_ascii_case("ipv6:"))
            .map_or(literal, |_| &literal[5..]);
        return plain.parse::<std::net::IpAddr>().is_ok();
    }
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_' || !c.is_ascii())
    };
    // A name of digits and dots only is a mistyped address.
    text.len() <= 255 && text.split('.').all(label) && !text.bytes().all(|b| b.is_ascii_digit() || b == b'.')
}

impl Pending<Vrfy> {
    /// Answers 252 with the address as it was asked for, or refuses.
    pub fn answer(self, verdict: Verdict) -> Step {
        let Pending { session, about: vrfy } = self;
        match verdict {
            Verdict::Accept => session.say(Reply::new(252, Detail(0, 0), vrfy.text), Effect::Done),
            Verdict::AcceptWith(reply) => session.say(reply, Effect::Done),
            Verdict::Refuse(reply) => session.say(reply, Effect::Failed),
            Verdict::RefuseAndClose(reply) => session.say_and_close(reply, None),
        }
    }
}

impl Pending<Etrn> {
    /// Answers `250 Queuing started`, or refuses.
    pub fn answer(self, verdict: Verdict) -> Step {
        match verdict {
            Verdict::Accept => self.session.say(reply::ETRN_OK, Effect::Done),
            Verdict::AcceptWith(reply) => self.session.say(reply, Effect::Done),
            Verdict::Refuse(reply) => self.session.say(reply, Effect::Failed),
            Verdict::RefuseAndClose(reply) => self.session.say_and_close(reply, None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_for_etrn() {
        for (text, valid) in [
            ("example.com", true),
            ("localhost", true),
            ("[127.0.0.1]", true),
            ("[IPv6:::1]", true),
            ("[x]", false),
            ("1.2.3.4", false),
            ("a..b", false),
            ("-a", false),
            ("", false),
            ("a/b", false),
            ("[\u{e9}\u{e9}\u{e9}]", false),
        ] {
            assert_eq!(is_domain(text), valid, "{text}");
        }
    }
}
