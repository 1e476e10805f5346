//! The stages of a session: what a lost connection was lost at, which command a reply belongs to, how long to wait.

/// What the session waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the commands")]
pub enum Stage {
    Greeting,
    Ehlo,
    Helo,
    Lhlo,
    StartTls,
    Auth,
    Xforward,
    MailFrom,
    RcptTo,
    Data,
    /// Content is being written.
    Body,
    EndOfData,
    /// RSET that ends a transaction.
    Reset,
    /// RSET that asks whether a kept connection still lives.
    Probe,
    Quit,
}

impl Stage {
    /// What follows `lost connection with HOST while `.
    pub fn activity(self) -> &'static str {
        match self {
            Stage::Greeting => "receiving the initial server greeting",
            Stage::Ehlo | Stage::Auth => "performing the EHLO handshake",
            Stage::Helo => "performing the HELO handshake",
            Stage::Lhlo => "performing the LHLO handshake",
            Stage::StartTls => "receiving the STARTTLS response",
            Stage::Xforward => "sending XFORWARD name/address",
            Stage::MailFrom => "sending MAIL FROM",
            Stage::RcptTo => "sending RCPT TO",
            Stage::Data => "sending DATA command",
            Stage::Body => "sending message body",
            Stage::EndOfData => "sending end of data -- message may be sent more than once",
            Stage::Reset => "sending final RSET",
            Stage::Probe => "sending RSET probe",
            Stage::Quit => "sending QUIT",
        }
    }

    /// What stands in `(in reply to ...)`.
    pub fn command(self) -> &'static str {
        match self {
            Stage::Greeting => "initial connection",
            Stage::Ehlo => "EHLO command",
            Stage::Helo => "HELO command",
            Stage::Lhlo => "LHLO command",
            Stage::StartTls => "STARTTLS command",
            Stage::Auth => "AUTH command",
            Stage::Xforward => "XFORWARD command",
            Stage::MailFrom => "MAIL FROM command",
            Stage::RcptTo => "RCPT TO command",
            Stage::Data => "DATA command",
            Stage::Body | Stage::EndOfData => "end of DATA command",
            Stage::Reset => "final RSET command",
            Stage::Probe => "RSET probe",
            Stage::Quit => "QUIT command",
        }
    }

    /// The parameter that bounds the wait, without its prefix `smtp_` or `lmtp_`.
    pub fn timeout_parameter(self) -> &'static str {
        match self {
            Stage::Greeting | Stage::Ehlo | Stage::Helo | Stage::Auth => "helo_timeout",
            Stage::Lhlo => "lhlo_timeout",
            Stage::StartTls => "starttls_timeout",
            Stage::Xforward => "xforward_timeout",
            Stage::MailFrom => "mail_timeout",
            Stage::RcptTo => "rcpt_timeout",
            Stage::Data => "data_init_timeout",
            Stage::Body => "data_xfer_timeout",
            Stage::EndOfData => "data_done_timeout",
            Stage::Reset | Stage::Probe => "rset_timeout",
            Stage::Quit => "quit_timeout",
        }
    }
}
