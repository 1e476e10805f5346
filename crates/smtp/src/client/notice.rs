//! What a session has to say to the log while it runs. The words are Postfix's; who writes them is the driver.

use super::peer::Peer;

/// One thing worth a log line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A line of a reply.
    Heard(String),
    /// EHLO keywords that were not looked at.
    DiscardingEhloKeywords(String),
    /// A reply line longer than `line_length_limit`; the limit and the line's beginning.
    LongResponse(usize, String),
    /// A line that is no reply; only worth a line with pipelining.
    GarbledResponse(String),
    /// `SIZE` with something that is no number.
    BadSizeLimit(String),
    /// SMTPUTF8 without 8BITMIME.
    SmtpUtf8Without8BitMime,
    /// The server greets with our own name.
    OwnName {
        /// In the greeting rather than in the reply to EHLO.
        in_greeting: bool,
        /// The name.
        hostname: String,
    },
    /// Workarounds for a PIX firewall that the greeting shows.
    PixWorkarounds(super::PixWorkarounds),
    /// A line of the content was broken; the limit.
    BreakingLine(usize),
    /// XFORWARD was refused.
    XforwardRefused {
        /// The command with the client's name and address, not the one with the rest.
        about_name: bool,
        /// What the server said.
        reply: String,
    },
    /// A reply to MAIL FROM came before the command.
    EarlyMailReply,
}

impl Notice {
    /// Is it a `warning:`?
    pub fn is_warning(&self) -> bool {
        !matches!(
            self,
            Notice::Heard(_)
                | Notice::DiscardingEhloKeywords(_)
                | Notice::SmtpUtf8Without8BitMime
                | Notice::PixWorkarounds(_)
                | Notice::BreakingLine(_)
        )
    }

    /// The log text, without `warning: `. `id` is the queue id.
    pub fn text(&self, id: &str, peer: &Peer) -> String {
        match self {
            Notice::Heard(line) => format!("< {}: {line}", peer.relay()),
            Notice::DiscardingEhloKeywords(words) => format!("discarding EHLO keywords: {words}"),
            Notice::LongResponse(limit, text) => {
                format!("{}: response longer than {limit}: {text}...", peer.relay())
            }
            Notice::GarbledResponse(text) => {
                format!("{id}: non-ESMTP response from {}: {text}", peer.relay())
            }
            Notice::BadSizeLimit(word) => format!("bad EHLO SIZE limit \"{word}\" from {}", peer.relay()),
            Notice::SmtpUtf8Without8BitMime => {
                format!("host {peer} offers SMTPUTF8 support, but not 8BITMIME")
            }
            Notice::OwnName { in_greeting: true, hostname } => {
                format!("host {} greeted me with my own hostname {hostname}", peer.relay())
            }
            Notice::OwnName { in_greeting: false, hostname } => {
                format!("host {} replied to HELO/EHLO with my own hostname {hostname}", peer.relay())
            }
            Notice::PixWorkarounds(names) => {
                format!("{id}: enabling PIX workarounds: {names} for {}", peer.relay())
            }
            Notice::BreakingLine(limit) => {
                format!("{id}: breaking line > {limit} bytes with <CR><LF>SPACE")
            }
            Notice::XforwardRefused { about_name, reply } => {
                let what = if *about_name { "name/address" } else { "helo/protocol" };
                format!("host {} said: {reply} (in reply to XFORWARD {what} command)", peer.relay())
            }
            Notice::EarlyMailReply => {
                format!("server {peer} violates smtp_tls_block_early_mail_reply policy")
            }
        }
    }
}
