//! What a session can not know by itself, as values that wait for a verdict.

use std::sync::Arc;

use ::mail::{Address, ClientFacts, Recipient, Reply};
use bytes::BytesMut;

use super::Step;
use super::auth::AuthEvent;
use super::command::Word;
use super::content::EndOfData;
use super::mail::Transaction;
use super::options::Options;
use super::session::Session;
use super::tally::{End, Reason};

/// A question with the session that waits for its answer. Every variant has an `answer` method.
#[derive(Debug)]
pub enum Question {
    /// May this client connect? Asked before the greeting.
    Connect(Pending<Connect>),
    /// Is this HELO or EHLO name acceptable? To be answered `Accept` under `smtpd_delay_reject`.
    Helo(Pending<Helo>),
    /// Is this an address that mail could come from? Then: is this sender acceptable, is there room in the queue, is the rate limit
    /// kept?
    Mail(Pending<Sender>),
    /// Is this an address that mail could go to? Then: is this recipient acceptable?
    Rcpt(Pending<To>),
    /// `smtpd_data_restrictions`; also before the first BDAT.
    Data(Pending<Data>),
    /// The whole content is there: store the message.
    EndOfData(Pending<EndOfData>),
    /// May this address be verified?
    Vrfy(Pending<Vrfy>),
    /// Start the queue for this domain.
    Etrn(Pending<Etrn>),
    /// Is the client within the limit of new TLS sessions?
    StartTls(Pending<StartTlsRequest>),
    /// One move of an AUTH exchange.
    Auth(Pending<AuthEvent>),
    /// A command that is none: answered `Accept`, it hears the usual 500.
    Unknown(Pending<Unknown>),
}

/// A question that waits for its answer.
#[derive(Debug)]
pub struct Pending<A> {
    pub(super) session: Session,
    /// What the question is about.
    pub about: A,
}

/// See [`Question::Connect`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connect {
    /// XCLIENT has made another client of this one; `pending.session().client()` has its facts.
    pub again: bool,
}

/// See [`Question::Helo`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Helo {
    /// The name, with dangerous characters already replaced by `?`.
    pub name: String,
    /// The name as the client wrote it; this is what access tables and filters see.
    pub raw: String,
    /// EHLO rather than HELO.
    pub esmtp: bool,
}

/// See [`Question::Mail`]: the address, before anybody has looked at the parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    /// The address.
    pub address: Address,
    /// As the client wrote it.
    pub path: String,
    /// SMTPUTF8 is among the parameters.
    pub smtputf8: bool,
    pub(super) parameters: Vec<Word>,
}

/// See [`Question::Rcpt`]: the address, before anybody has looked at the parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct To {
    /// The address.
    pub address: Address,
    /// As the client wrote it.
    pub path: String,
    pub(super) parameters: Vec<Word>,
}

/// What follows [`Question::Mail`]. The transaction begins when the answer is `Accept`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailFrom {
    /// What the transaction will be.
    pub transaction: Transaction,
    /// The address and parameters as the client wrote them, for filters.
    pub words: Vec<String>,
}

/// What follows [`Question::Rcpt`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RcptTo {
    /// The recipient; the transaction is `pending.session().transaction()`.
    pub recipient: Recipient,
    /// The address and parameters as the client wrote them, for filters.
    pub words: Vec<String>,
}

/// See [`Question::Data`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Data {
    /// The size and LAST of the chunk when the command is BDAT.
    pub(super) chunk: Option<(u64, bool)>,
}

/// See [`Question::Vrfy`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vrfy {
    /// The address asked for.
    pub address: Address,
    /// SMTPUTF8 stood behind it.
    pub smtputf8: bool,
    /// The argument as it came, which is also the answer.
    pub(super) text: String,
}

/// See [`Question::Etrn`]. Refuse with `459 <DOMAIN>: service unavailable` for domains that are not in
/// `fast_flush_domains`, with [`super::reply::ETRN_UNABLE`] when the service is out of reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Etrn {
    /// The domain or address literal.
    pub domain: String,
}

/// See [`Question::StartTls`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartTlsRequest;

/// See [`Question::Unknown`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown {
    /// The line, without its end.
    pub line: String,
}

/// The answer to most questions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Go on, with the usual reply.
    Accept,
    /// Go on, with this reply instead.
    AcceptWith(Reply),
    /// Refuse. Counts as an error. Hangs up after 421 and 521.
    Refuse(Reply),
    /// Refuse and hang up, whatever the code.
    RefuseAndClose(Reply),
}

impl Vrfy {
    /// The argument as it came.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl<A> Pending<A> {
    /// The session that waits.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// The client's facts, which the outside may complete (names, for instance) while a question is open.
    pub fn client_mut(&mut self) -> &mut ClientFacts {
        &mut self.session.client
    }

    /// Goes on with other settings: after XCLIENT, those for the new client.
    pub fn replace_options(&mut self, options: Arc<Options>) {
        self.session.options = options;
    }

    /// The input buffer, so that a driver can see what came while it was thinking.
    pub fn input(&mut self) -> &mut BytesMut {
        self.session.input()
    }

    /// The connection was lost, or has to be given up without a word.
    pub fn lost(self) -> End {
        self.session.end(Some(Reason::LostConnection))
    }

    /// Hangs up with this reply, whatever the question: a table that the decision needs is out of order, say.
    pub fn give_up(self, reply: Reply) -> Step {
        self.session.say_and_close(reply, None)
    }
}
