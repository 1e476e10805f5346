//! What a session has to say to the log while it runs. The words are Postfix's; who writes them is the driver.

/// One thing worth a log line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A command line as it came, or a response of AUTH without what it says.
    Heard(String),
    /// EHLO keywords that were not announced, and a list of them.
    DiscardingEhloKeywords(String),
    /// Input came before its time: after which command, and its first 100 bytes, escaped.
    ImproperPipelining {
        /// The command's name, or `CONNECT`.
        after: &'static str,
        /// What came.
        text: String,
    },
    /// A forbidden command or a message header where a command should be.
    NonSmtpCommand(String),
    /// A command line longer than `line_length_limit`; the limit and the line's beginning.
    LongRequest {
        /// The limit.
        limit: usize,
        /// The first 30 bytes.
        text: String,
    },
    /// A line so long that the client is not listened to any more.
    Flood,
    /// MAIL, RCPT or VRFY with an address that can not be read.
    IllegalAddress {
        /// The command's name.
        command: &'static str,
        /// The address as it came.
        text: String,
    },
    /// NOTIFY with a word that is none: the word, and all words.
    UnknownNotify {
        /// The word.
        word: String,
        /// The parameter's value.
        list: String,
    },
    /// A command line or a message was refused for a lone LF: `STAGE`.
    BareLfRejected(&'static str),
    /// BDAT with something else than a size behind it.
    MalformedBdat(String),
    /// BDAT 0 without LAST.
    NullBdat,
    /// BDAT with more than `message_size_limit` allows.
    BdatTooLarge,
    /// BDAT with so much more that the client is not listened to any more.
    TooMuchBdat,
    /// The client gave up an AUTH exchange: its mechanism.
    AuthAborted(String),
    /// Content passed `message_size_limit`.
    SizeLimitExceeded,
    /// `smtpd_command_filter` has another command for this one.
    CommandReplaced {
        /// What came.
        line: String,
        /// What is carried out.
        by: String,
    },
    /// `smtpd_command_filter` can not be asked.
    CommandFilterFailed(String),
    /// Refused by the session itself, in the form of other refusals: the stage, the reply, and what is known.
    Refused {
        /// The stage.
        stage: &'static str,
        /// The reply in one line, and what stands behind it.
        text: String,
    },
}

impl Notice {
    /// Is it a `warning:`?
    pub fn is_warning(&self) -> bool {
        !matches!(
            self,
            Notice::Heard(_)
                | Notice::DiscardingEhloKeywords(_)
                | Notice::ImproperPipelining { .. }
                | Notice::BareLfRejected(_)
                | Notice::CommandReplaced { .. }
                | Notice::Refused { .. }
        )
    }

    /// The log text, without `warning: `. `id` is the queue id or `NOQUEUE`, `client` is `NAME[ADDR]`.
    pub fn text(&self, id: &str, client: &str) -> String {
        match self {
            Notice::Heard(line) => format!("< {client}: {line}"),
            Notice::DiscardingEhloKeywords(words) => format!("discarding EHLO keywords: {words}"),
            Notice::ImproperPipelining { after, text } => {
                format!("improper command pipelining after {after} from {client}: {text}")
            }
            Notice::NonSmtpCommand(text) => format!("non-SMTP command from {client}: {text}"),
            Notice::LongRequest { limit, text } => {
                format!("{client}: request longer than {limit}: {text}...")
            }
            Notice::Flood => format!("disabling input from {client}"),
            Notice::IllegalAddress { command, text } => {
                format!("Illegal address syntax from {client} in {command} command: {text}")
            }
            Notice::UnknownNotify { word, list } => {
                format!("unknown DSN NOTIFY command value \"{word}\" in \"{list}\"")
            }
            Notice::BareLfRejected(stage) => {
                format!("{id}: reject: {stage} from {client}: bare <LF> received")
            }
            Notice::MalformedBdat(text) => {
                format!("{id}: malformed BDAT command syntax from {client}: {text}")
            }
            Notice::NullBdat => format!("{id}: null BDAT request from {client}"),
            Notice::BdatTooLarge => format!("{id}: BDAT request from {client} exceeds message size limit"),
            Notice::TooMuchBdat => {
                format!("{id}: too much BDAT content -- disabling further input from {client}")
            }
            Notice::AuthAborted(mechanism) => format!("{client}: SASL {mechanism} authentication aborted"),
            Notice::CommandReplaced { line, by } => {
                format!("{client}: replacing command \"{line}\" with \"{by}\"")
            }
            Notice::Refused { stage, text } => format!("{id}: reject: {stage} from {client}: {text}"),
            Notice::CommandFilterFailed(why) => format!("smtpd_command_filter: {why}"),
            Notice::SizeLimitExceeded => format!("{id}: queue file size limit exceeded"),
        }
    }
}

/// The first `max` bytes of what came from the network, with control and 8-bit characters as C escapes.
pub(super) fn escape(bytes: &[u8], max: usize) -> String {
    let bytes = &bytes[..bytes.len().min(max)];
    let mut out = String::new();
    for &b in bytes {
        match b {
            b'\x07' => out.push_str("\\a"),
            b'\x08' => out.push_str("\\b"),
            b'\x0c' => out.push_str("\\f"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            b'\x0b' => out.push_str("\\v"),
            b'\\' => out.push_str("\\\\"),
            b' '..=b'~' => out.push(b as char),
            _ => out.push_str(&format!("\\{b:03o}")),
        }
    }
    out
}

/// The input up to the word AUTH of a command line: what follows may be a password.
pub(super) fn without_credentials(input: &[u8]) -> &[u8] {
    let mut start = 0;
    while let Some(line) = input.get(start..).filter(|rest| !rest.is_empty()) {
        if line.get(..4).is_some_and(|word| word.eq_ignore_ascii_case(b"AUTH")) {
            return &input[..start + 4];
        }
        start += memchr::memchr(b'\n', line).map_or(line.len(), |at| at + 1);
    }
    input
}

/// At most `max` characters, with everything that is not printable as `?`.
pub(super) fn printable(text: &str, max: usize) -> String {
    text.chars().take(max).map(|c| if c.is_control() { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_left_out() {
        for (input, expected) in [
            (&b"AUTH PLAIN AG1l\r\nMAIL FROM:<a@b>\r\n"[..], &b"AUTH"[..]),
            (b"NOOP\r\nauth login bWU=\r\n", b"NOOP\r\nauth"),
            (b"MAIL FROM:<a@b> AUTH=<>\r\n", b"MAIL FROM:<a@b> AUTH=<>\r\n"),
            (b"AUT", b"AUT"),
            (b"", b""),
        ] {
            assert_eq!(without_credentials(input), expected);
        }
    }

    #[test]
    fn escapes_are_those_of_c() {
        for (bytes, expected) in [
            (&b"MAIL\r\n"[..], "MAIL\\r\\n"),
            (b"a\\b", "a\\\\b"),
            (b"\x01\x011", "\\001\\0011"),
            (b"\xff", "\\377"),
        ] {
            assert_eq!(escape(bytes, 100), expected);
        }
        assert_eq!(escape(b"abc", 2), "ab");
    }
}
