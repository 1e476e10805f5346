//! RCPT (RFC 5321 section 4.1.1.3).

use ::mail::{Recipient, Reply};

use super::command::Word;
use super::content::Chunking;
use super::mail::as_written;
use super::parameters::address;
use super::question::{Pending, Question, RcptTo, To, Verdict};
use super::session::{Effect, Session};
use super::{Step, reply};

impl Session {
    pub(super) fn rcpt(mut self, words: &[Word]) -> Step {
        if self.transaction.is_none() {
            return self.say(reply::NEED_MAIL, Effect::Failed);
        }
        if !matches!(self.chunking, Chunking::Idle) {
            return self.say(reply::RCPT_AFTER_BDAT, Effect::Failed);
        }
        if words.len() < 3 || !words[1].text.eq_ignore_ascii_case("to:") {
            return self.say(reply::SYNTAX_RCPT, Effect::Failed);
        }
        let (path, parameters) = (&words[2], &words[3..]);
        let parsed =
            if path.unclosed { None } else { address(&path.text, self.options.strict_rfc821_envelopes) };
        let Some(parsed) = parsed.filter(|address| !address.is_null()) else {
            self.note_illegal_address("RCPT", path);
            return self.say(reply::BAD_RECIPIENT, Effect::Failed);
        };
        let (path, parameters) = (path.text.clone(), parameters.to_vec());
        self.ask(To { address: parsed, path, parameters }, Question::Rcpt)
    }

    /// What the parameters of a proper address come to.
    fn add(mut self, to: To) -> Result<Pending<RcptTo>, Box<Step>> {
        let To { address, path, parameters } = to;
        let mut recipient = Recipient::new(address);
        if let Err(refusal) = self.rcpt_parameters(&parameters, &path, &mut recipient) {
            return Err(Box::new(self.say(refusal, Effect::Failed)));
        }
        let (limit, overshoot_limit) = (self.options.recipient_limit, self.options.recipient_overshoot_limit);
        if let Some(transaction) = &mut self.transaction
            && limit > 0
            && transaction.envelope.recipients.len() >= limit
        {
            // RFC 5321 section 4.5.3.1.10 lets a client send more and try the rest later: no error at first.
            let effect = if transaction.overshoot < overshoot_limit { Effect::Done } else { Effect::Failed };
            transaction.overshoot = transaction.overshoot.saturating_add(1);
            return Err(Box::new(self.say(reply::TOO_MANY_RECIPIENTS, effect)));
        }
        let smtputf8 = self.transaction.as_ref().is_some_and(|transaction| transaction.envelope.smtputf8);
        if self.needs_smtputf8(&recipient.address, smtputf8) {
            return Err(Box::new(self.say(reply::NEED_SMTPUTF8, Effect::Failed)));
        }
        let words = as_written(path, parameters);
        Ok(Pending { session: self, about: RcptTo { recipient, words } })
    }
}

impl Pending<To> {
    /// The address is none that mail could go to.
    pub fn illegal(self) -> Step {
        self.session.say(reply::BAD_RECIPIENT, Effect::Failed)
    }

    /// The address is one: goes on to the parameters, which may be refused.
    pub fn legal(self) -> Result<Pending<RcptTo>, Box<Step>> {
        self.session.add(self.about)
    }

    /// Refuses the command, whatever the address.
    pub fn refuse(self, reply: Reply) -> Step {
        self.session.say(reply, Effect::Failed)
    }
}

impl Pending<RcptTo> {
    /// Adds the recipient to the transaction, or refuses it.
    pub fn answer(self, verdict: Verdict) -> Step {
        let Pending { mut session, about: RcptTo { recipient, .. } } = self;
        let reply = match verdict {
            Verdict::Accept => reply::RECIPIENT_OK,
            Verdict::AcceptWith(reply) => reply,
            Verdict::Refuse(reply) => return session.say(reply, Effect::Failed),
            Verdict::RefuseAndClose(reply) => return session.say_and_close(reply, None),
        };
        if let Some(transaction) = &mut session.transaction {
            transaction.envelope.recipients.push(recipient);
        }
        session.say(reply, Effect::Done)
    }
}
