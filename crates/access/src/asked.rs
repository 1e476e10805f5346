//! What a session asks with, and what it gets back.

use mail::{Address, ClientFacts, Reply};

/// What is known at the time of a question.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The client, with HELO, TLS and authentication as far as they have come.
    pub client: &'a ClientFacts,
    /// MAIL FROM, once given.
    pub sender: Option<&'a Address>,
    /// RCPT TO, at that stage and for VRFY; later on the only one, where there is only one.
    pub recipient: Option<&'a Address>,
    /// Recipients that were accepted so far.
    pub recipient_count: usize,
    /// `SIZE=` of MAIL FROM, or the message's own size behind its content; in bytes.
    pub size: Option<u64>,
    /// `AUTH=` of MAIL FROM.
    pub sasl_sender: Option<&'a str>,
    /// The message's queue id, once it has one.
    pub queue_id: Option<&'a str>,
    /// The same text for all questions about one message.
    pub instance: &'a str,
    /// CONNECT, HELO, EHLO, MAIL, RCPT, DATA, END-OF-MESSAGE, VRFY or ETRN.
    pub stage: &'a str,
    /// The client has sent commands before it was allowed to.
    pub pipelined: bool,
    /// The argument of ETRN.
    pub etrn_domain: Option<&'a str>,
    /// What earlier stages left, where smtpd_delay_reject is off.
    pub deferrals: Option<&'a Deferrals>,
}

/// What the client will hear in place of a permit at RCPT TO and ETRN, by the stage that said so (`defer_if_permit`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deferrals {
    /// smtpd_client_restrictions.
    pub client: Option<Reply>,
    /// smtpd_helo_restrictions.
    pub helo: Option<Reply>,
    /// smtpd_sender_restrictions.
    pub sender: Option<Reply>,
}

impl<'a> Asked<'a> {
    /// Nothing but the client.
    pub fn of(client: &'a ClientFacts) -> Asked<'a> {
        Asked {
            client,
            sender: None,
            recipient: None,
            recipient_count: 0,
            size: None,
            sasl_sender: None,
            queue_id: None,
            instance: "",
            stage: "CONNECT",
            pipelined: false,
            etrn_domain: None,
            deferrals: None,
        }
    }
}

/// The answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// What the client hears instead of the usual reply.
    pub refusal: Option<Reply>,
    /// What is to be done with the message, in the order of the lists. Empty when it is refused.
    pub effects: Vec<Effect>,
    /// For the log, in order.
    pub notes: Vec<Note>,
    /// Of the stages before RCPT TO: for [`Deferrals`].
    pub deferral: Option<Reply>,
}

/// An action on the whole message (access(5)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// HOLD: keep it in the hold queue.
    Hold,
    /// DISCARD: say that it was queued, and drop it.
    Discard,
    /// FILTER `transport:destination`.
    Filter(String),
    /// REDIRECT: this recipient instead of all others.
    Redirect(Address),
    /// BCC: one more recipient.
    Bcc(Address),
    /// PREPEND: a header, without its line end.
    Prepend(String),
}

/// A line for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A line that calls for no action.
    Info(String),
    /// Something is wrong with the configuration or a table.
    Warning(String),
    /// `ID: WORD: STAGE from CLIENT: TEXT; from=<> to=<> proto= helo=<>`: the word is `reject`, `reject_warning`, `hold`,
    /// `filter`, `warn`...
    Action {
        /// The word.
        word: &'static str,
        /// The text; of a refusal the reply in one line.
        text: String,
    },
}
