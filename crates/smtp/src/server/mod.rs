//! The receiving side of SMTP (smtpd(8), RFC 5321) as a value that returns what to do next.
//!
//! A driver feeds a [`Session`] with bytes and carries out its steps:
//!
//! ```text
//! let mut step = Session::begin(options, client);
//! loop {
//!     wait(step.delay * smtpd_error_sleep_time); write(step.replies); log(step.notices);
//!     step = match step.next {
//!         Next::Read(mut session) => {
//!             if session.needs_input() { flush(); read(session.input()); }
//!             session.receive(more_is_waiting)
//!         }
//!         Next::Ask(question) => match question { Question::Rcpt(q) => { let v = decide(&q.about); q.answer(v) } ... },
//!         Next::Body(mut phase) => {
//!             if phase.needs_input() { flush(); read(phase.input()); }
//!             phase.decode(&mut content)
//!         }
//!         Next::StartTls(upgrade) => { flush(); upgrade.secured(handshake()) }
//!         Next::Close(end) => { flush(); log(end); break }
//!     };
//! }
//! ```
//!
//! Replies are flushed only when input is needed, so pipelined commands are answered together. The input buffer
//! lives in the session: when STARTTLS ends the session, plaintext that was read ahead is gone with it.

mod auth;
mod command;
mod content;
mod hello;
mod mail;
mod misc;
mod notice;
pub mod options;
mod parameters;
mod question;
mod rcpt;
pub mod reply;
mod session;
mod starttls;
mod tally;
mod xclient;

pub use ::mail::Reply;

pub use auth::{AuthEvent, AuthVerdict};
pub use command::Verb;
pub use content::{BodyPhase, Commit, EndOfData};
pub use mail::{Transaction, XverpDelimiters};
pub use notice::Notice;
pub use options::{Auth, CommandFilter, CommandList, EhloKeyword, EhloKeywords, Options, TlsOffer, Verp};
pub use question::{
    Connect, Data, Etrn, Helo, MailFrom, Pending, Question, RcptTo, Sender, StartTlsRequest, To, Unknown,
    Verdict, Vrfy,
};
pub use session::Session;
pub use starttls::Upgrade;
pub use tally::{End, Reason, Stage, Tally};

/// What a session does after one event.
#[derive(Debug)]
pub struct Step {
    /// To be sent, in this order, after the delay.
    pub replies: Vec<Reply>,
    /// How many times `smtpd_error_sleep_time` to wait before the replies go out: clients that make errors are
    /// slowed down.
    pub delay: u32,
    /// For the log.
    pub notices: Vec<Notice>,
    /// What has to happen now.
    pub next: Next,
}

/// What has to happen before a session can go on. Each value holds the session, so nothing can be skipped.
#[derive(Debug)]
pub enum Next {
    /// Give it input: [`Session::receive`].
    Read(Session),
    /// Decide something: `answer`.
    Ask(Question),
    /// Give it message content: [`BodyPhase::decode`].
    Body(BodyPhase),
    /// Shake hands: [`Upgrade::secured`].
    StartTls(Upgrade),
    /// Hang up.
    Close(End),
}
