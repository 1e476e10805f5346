//! MAIL (RFC 5321 section 4.1.1.2) and the transaction that it begins.

use ::mail::{Address, Envelope, Reply};

use super::command::Word;
use super::content::Chunking;
use super::notice::{Notice, printable};
use super::parameters::address;
use super::question::{MailFrom, Pending, Question, Sender, Verdict};
use super::session::{Effect, Session};
use super::{Step, reply};

/// Everything said since MAIL FROM. RSET, EHLO, STARTTLS, a message's end: each ends the transaction by dropping this
/// value whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transaction {
    /// Sender, recipients accepted so far, and what was promised about them.
    pub envelope: Envelope,
    /// `SIZE=`, in bytes.
    pub size: Option<u64>,
    /// `AUTH=`, as it came; `None` for `<>` as well.
    pub auth: Option<String>,
    /// `XVERP`.
    pub verp: Option<XverpDelimiters>,
    /// Recipients refused for being too many.
    pub(super) overshoot: u32,
}

/// The two delimiters of a VERP sender address (verp(5)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct XverpDelimiters(pub char, pub char);

impl Session {
    pub(super) fn mail(mut self, words: &[Word]) -> Step {
        if self.options.helo_required && self.client.helo.is_none() {
            return self.say(reply::SEND_HELO, Effect::Failed);
        }
        if self.transaction.is_some() {
            return self.say(reply::NESTED_MAIL, Effect::Failed);
        }
        if !matches!(self.chunking, Chunking::Idle) {
            return self.say(reply::MAIL_AFTER_BDAT, Effect::Failed);
        }
        if words.len() < 3 || !words[1].text.eq_ignore_ascii_case("from:") {
            return self.say(reply::SYNTAX_MAIL, Effect::Failed);
        }
        let (path, parameters) = (&words[2], &words[3..]);
        let sender =
            if path.unclosed { None } else { address(&path.text, self.options.strict_rfc821_envelopes) };
        let Some(sender) = sender else {
            self.note_illegal_address("MAIL", path);
            return self.say(reply::BAD_SENDER, Effect::Failed);
        };
        let parameters = parameters.to_vec();
        let smtputf8 = self.smtputf8_is_on() && announces_smtputf8(&parameters);
        self.ask(Sender { address: sender, path: path.text.clone(), smtputf8, parameters }, Question::Mail)
    }

    /// What the parameters of a proper address come to.
    fn sender(mut self, sender: Sender) -> Result<Pending<MailFrom>, Box<Step>> {
        let Sender { address, path, parameters, .. } = sender;
        let mut transaction = Transaction {
            envelope: Envelope { sender: address, ..Envelope::default() },
            ..Transaction::default()
        };
        if let Err(refusal) = self.mail_parameters(&parameters, &mut transaction) {
            return Err(Box::new(self.say(refusal, Effect::Failed)));
        }
        let limit = self.options.message_size_limit;
        if limit > 0 && transaction.size.is_some_and(|size| size > limit) {
            let protocol = if self.client.esmtp { "ESMTP" } else { "SMTP" };
            let helo = self.client.helo.as_ref().map(|helo| format!(" helo=<{helo}>")).unwrap_or_default();
            let sender = self.options.log_form.show(&transaction.envelope.sender);
            self.notices.push(Notice::Refused {
                stage: "MAIL",
                text: format!("{}; from=<{sender}> proto={protocol}{helo}", reply::SIZE_LIMIT),
            });
            return Err(Box::new(self.say(reply::SIZE_LIMIT, Effect::Failed)));
        }
        if transaction.verp.is_some() && transaction.envelope.sender.is_null() {
            return Err(Box::new(self.say(reply::VERP_NULL_SENDER, Effect::Failed)));
        }
        let words = as_written(path, parameters);
        Ok(Pending { session: self, about: MailFrom { transaction, words } })
    }

    /// `strict_smtputf8`: must this address have been announced with SMTPUTF8?
    pub(super) fn needs_smtputf8(&self, address: &Address, smtputf8: bool) -> bool {
        self.options.strict_smtputf8 && !smtputf8 && address.needs_smtputf8()
    }

    pub(super) fn note_illegal_address(&mut self, command: &'static str, word: &Word) {
        // An address that is not even closed is refused without a log line.
        if !word.unclosed {
            self.notices.push(Notice::IllegalAddress { command, text: printable(&word.text, usize::MAX) });
        }
    }
}

/// Is SMTPUTF8 among the parameters? It decides what an address may be, so it is looked for before it is its turn.
fn announces_smtputf8(parameters: &[Word]) -> bool {
    parameters.iter().any(|word| word.text.eq_ignore_ascii_case("SMTPUTF8"))
}

/// A path and its parameters for filters.
pub(super) fn as_written(path: String, parameters: Vec<Word>) -> Vec<String> {
    std::iter::once(path).chain(parameters.into_iter().map(|word| word.text)).collect()
}

impl Pending<Sender> {
    /// The address is none that mail could come from.
    pub fn illegal(self) -> Step {
        self.session.say(reply::BAD_SENDER, Effect::Failed)
    }

    /// The address is one: goes on to the parameters, which may be refused.
    pub fn legal(self) -> Result<Pending<MailFrom>, Box<Step>> {
        self.session.sender(self.about)
    }

    /// Refuses the command, whatever the address.
    pub fn refuse(self, reply: Reply) -> Step {
        self.session.say(reply, Effect::Failed)
    }
}

impl Pending<MailFrom> {
    /// Begins the transaction, or refuses the sender.
    pub fn answer(self, verdict: Verdict) -> Step {
        let Pending { mut session, about: MailFrom { transaction, .. } } = self;
        let reply = match verdict {
            Verdict::Accept => reply::SENDER_OK,
            Verdict::AcceptWith(reply) => reply,
            Verdict::Refuse(reply) => return session.say(reply, Effect::Failed),
            Verdict::RefuseAndClose(reply) => return session.say_and_close(reply, None),
        };
        if session.needs_smtputf8(&transaction.envelope.sender, transaction.envelope.smtputf8) {
            return session.say(reply::NEED_SMTPUTF8, Effect::Failed);
        }
        let mut transaction = transaction;
        if let Some(XverpDelimiters(first, second)) = transaction.verp {
            transaction.envelope.verp = Some(format!("{first}{second}"));
        }
        session.transaction = Some(transaction);
        session.say(reply, Effect::Done)
    }
}
