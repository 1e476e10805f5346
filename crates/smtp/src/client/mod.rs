//! The sending side of SMTP and LMTP (smtp(8), lmtp(8), RFC 5321, RFC 2033) as values that return what to do next.
//!
//! ```text
//! begin ─ greeting, EHLO ─► Greeted ─ proceed(clearance) ─► Ready ─ transaction(message) ─► Body ─ finish ─► Done ─► Ready ...
//!                             │ ▲                             └ quit
//!                  start_tls  │ │ EHLO again
//!                             ▼ │
//!                           Upgrade ─ secured(facts)
//! ```
//!
//! A driver writes [`Step::send`] and carries out [`Step::next`]. Whether to use TLS, and whether what TLS proved is
//! enough, is decided outside: MAIL FROM can only be reached through [`Greeted::proceed`] and its [`Clearance`].
//! Results are [`mail::Outcome`]s, one for each recipient, in Postfix's words.

mod clearance;
mod conversation;
mod failure;
mod features;
mod greeted;
mod greeting;
mod message;
mod notice;
mod options;
mod peer;
mod reply;
mod stage;
mod transaction;

pub use clearance::Clearance;
pub use conversation::{Closed, Conversation};
pub use features::Features;
pub use greeted::{Challenge, Greeted, NotAdmitted, Upgrade};
pub use greeting::begin;
pub use message::Message;
pub use notice::Notice;
pub use options::{LoopDetection, Options, PixWorkarounds, Protocol};
pub use peer::Peer;
pub use reply::ServerReply;
pub use stage::Stage;
pub use transaction::{Afterwards, BodyPhase, Done, Parting, Ready};

/// What a session does after one event.
#[derive(Debug)]
pub struct Step {
    /// To be written before anything is read.
    pub send: Vec<u8>,
    /// For the log.
    pub notices: Vec<Notice>,
    /// What has to happen now.
    pub next: Next,
}

/// What has to happen before a session can go on. Each value holds the session, so nothing can be skipped.
#[derive(Debug)]
pub enum Next {
    /// Give it input if it needs any, within the time that [`Conversation::stage`] names: [`Conversation::receive`].
    Read(Conversation),
    /// The server said who it is: decide about TLS and authentication.
    Greeted(Greeted),
    /// Shake hands: [`Upgrade::secured`].
    StartTls(Upgrade),
    /// Answer a challenge: [`Challenge::respond`].
    Challenge(Challenge),
    /// Give it a message, or leave.
    Ready(Ready),
    /// Give it the content: [`BodyPhase::encode`], [`BodyPhase::finish`].
    Body(BodyPhase),
    /// A message was dealt with.
    Done(Done),
    /// Hang up.
    Closed(Closed),
}
