//! HELO and EHLO (RFC 5321 section 4.1.1.1), and the list of what we offer.

use ::mail::Reply;

use super::command::Word;
use super::notice::{Notice, printable};
use super::options::{EhloKeyword, TlsOffer};
use super::question::{Helo, Pending, Question, Verdict};
use super::session::{Effect, Session};
use super::{Step, reply};

/// Characters that would mean something in a Received: header or a log line.
const NEUTERED: &str = " <>()\\\";@";

impl Session {
    pub(super) fn helo(self, words: &[Word], esmtp: bool) -> Step {
        if words.len() < 2 {
            let reply = if esmtp { reply::SYNTAX_EHLO } else { reply::SYNTAX_HELO };
            return self.say(reply, Effect::Failed);
        }
        let raw = words[1..].iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ");
        let name = printable(&raw, usize::MAX).replace(|c| NEUTERED.contains(c), "?");
        self.ask(Helo { name, raw, esmtp }, Question::Helo)
    }

    /// What EHLO announces, one keyword a line, in Postfix's order.
    fn offers(&self) -> String {
        let options = &*self.options;
        let in_tls = self.client.tls.is_some();
        // The hostname, and all keywords with what belongs to them.
        let mut lines = String::with_capacity(options.hostname.len() + 512);
        lines.push_str(&options.hostname);
        let mut offer = |keyword, on: bool, text: &str| {
            if on && !self.discards(keyword) {
                lines.push('\n');
                lines.push_str(text);
            }
        };
        offer(EhloKeyword::Pipelining, true, "PIPELINING");
        match options.message_size_limit {
            0 => offer(EhloKeyword::Size, true, "SIZE"),
            limit => offer(EhloKeyword::Size, true, &format!("SIZE {limit}")),
        }
        offer(EhloKeyword::Vrfy, !options.disable_vrfy, "VRFY");
        offer(EhloKeyword::Etrn, true, "ETRN");
        offer(EhloKeyword::StartTls, options.tls != TlsOffer::None && !in_tls, "STARTTLS");
        if let Some(auth) = self.active_auth().filter(|auth| auth.announce) {
            let mechanisms = if in_tls { &auth.mechanisms_in_tls } else { &auth.mechanisms };
            offer(EhloKeyword::Auth, true, &format!("AUTH {mechanisms}"));
            offer(EhloKeyword::Auth, auth.broken_clients, &format!("AUTH={mechanisms}"));
        }
        offer(EhloKeyword::Verp, options.verp.is_some(), "XVERP");
        offer(
            EhloKeyword::Xclient,
            options.xclient,
            "XCLIENT NAME ADDR PROTO HELO REVERSE_NAME PORT LOGIN DESTADDR DESTPORT",
        );
        offer(EhloKeyword::Xforward, options.xforward, "XFORWARD NAME ADDR PROTO HELO SOURCE PORT IDENT");
        offer(EhloKeyword::EnhancedStatusCodes, true, "ENHANCEDSTATUSCODES");
        offer(EhloKeyword::EightBitMime, true, "8BITMIME");
        offer(EhloKeyword::Dsn, true, "DSN");
        offer(EhloKeyword::SmtpUtf8, options.smtputf8, "SMTPUTF8");
        offer(EhloKeyword::Chunking, true, "CHUNKING");
        offer(EhloKeyword::RequireTls, options.requiretls && in_tls, "REQUIRETLS");
        lines
    }
}

impl Pending<Helo> {
    /// Accepts the name, which ends any transaction, or refuses it, which changes nothing.
    pub fn answer(self, verdict: Verdict) -> Step {
        let Pending { mut session, about: helo } = self;
        let with = match verdict {
            Verdict::Accept => None,
            Verdict::AcceptWith(reply) => Some(reply),
            Verdict::Refuse(reply) => return session.say(reply, Effect::Failed),
            Verdict::RefuseAndClose(reply) => return session.say_and_close(reply, None),
        };
        session.reset_transaction();
        session.client.helo = Some(helo.name);
        if !helo.esmtp {
            // HELO after EHLO does not take ESMTP back: that would accuse the client of pipelining that it was
            // allowed before.
            let reply = with.unwrap_or_else(|| Reply::bare(250, session.options.hostname.clone()));
            return session.say(reply, Effect::Done);
        }
        session.client.esmtp = true;
        let discard = session.options.discard;
        if discard.is_noisy() && !discard.contains(EhloKeyword::EnhancedStatusCodes) {
            session.notices.push(Notice::DiscardingEhloKeywords(discard.to_string()));
        }
        let reply = with.unwrap_or_else(|| Reply::bare(250, session.offers()));
        session.say(reply, Effect::Done)
    }
}
