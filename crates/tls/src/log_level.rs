//! How much of TLS is logged (postconf(5), smtpd_tls_loglevel): numbers and words, each of which stands for some kinds of lines.

use crate::Notice;

/// Kinds of lines, as a set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogLevels(u16);

impl LogLevels {
    /// One line for each completed handshake.
    pub const SUMMARY: LogLevels = LogLevels(1);
    /// Why a certificate is not trusted.
    pub const UNTRUSTED: LogLevels = LogLevels(1 << 1);
    /// What the peer's certificate says.
    pub const PEERCERT: LogLevels = LogLevels(1 << 2);
    /// Which name or fingerprint matched.
    pub const CERTMATCH: LogLevels = LogLevels(1 << 3);
    /// What is being done.
    pub const VERBOSE: LogLevels = LogLevels(1 << 4);
    /// Sessions and tickets.
    pub const CACHE: LogLevels = LogLevels(1 << 5);
    /// The states of the handshake.
    pub const STATES: LogLevels = LogLevels(1 << 6);
    /// Bytes on the wire during the handshake.
    pub const HANDSHAKE_BYTES: LogLevels = LogLevels(1 << 7);
    /// Bytes on the wire after it, too.
    pub const SESSION_BYTES: LogLevels = LogLevels(1 << 8);
    /// DANE.
    pub const DANE: LogLevels = LogLevels(1 << 9);
    /// The messages of the handshake, in a file of their own.
    pub const TRACE: LogLevels = LogLevels(1 << 10);

    /// What a client matched: `verbose` asks for that too, as in Postfix.
    pub const MATCHES: LogLevels = LogLevels(Self::CERTMATCH.0 | Self::VERBOSE.0);

    const LEVEL_2: LogLevels = LogLevels(0x7f);
    const LEVEL_3: LogLevels = LogLevels(0xff);
    const LEVEL_4: LogLevels = LogLevels(0x1ff);

    /// Reads a list. An unknown word is named, and means nothing.
    pub fn parse(parameter: &str, text: &str, notices: &mut Vec<Notice>) -> LogLevels {
        let mut levels = LogLevels::default();
        for word in config::list::split(text) {
            match of_word(word) {
                Some(more) => levels = levels | more,
                None => {
                    notices.push(Notice(format!("unknown {parameter} value \"{word}\" in \"{text}\"")));
                }
            }
        }
        levels
    }

    /// Is any line of these kinds wanted?
    pub fn contains(self, kinds: LogLevels) -> bool {
        self.0 & kinds.0 != 0
    }
}

impl std::ops::BitOr for LogLevels {
    type Output = LogLevels;

    fn bitor(self, other: LogLevels) -> LogLevels {
        LogLevels(self.0 | other.0)
    }
}

fn of_word(word: &str) -> Option<LogLevels> {
    Some(match word.to_ascii_lowercase().as_str() {
        "0" | "none" => LogLevels::default(),
        "1" | "routine" | "summary" => LogLevels::SUMMARY,
        "2" | "debug" => LogLevels::LEVEL_2,
        "3" | "ssl-expert" => LogLevels::LEVEL_3,
        "4" | "5" | "6" | "7" | "8" | "9" | "ssl-developer" => LogLevels::LEVEL_4,
        "untrusted" => LogLevels::UNTRUSTED,
        "peercert" => LogLevels::PEERCERT,
        "certmatch" => LogLevels::CERTMATCH,
        "verbose" => LogLevels::VERBOSE,
        "cache" => LogLevels::CACHE,
        "dane" => LogLevels::DANE,
        "ssl-debug" => LogLevels::STATES,
        "ssl-handshake-packet-dump" => LogLevels::HANDSHAKE_BYTES,
        "ssl-session-packet-dump" => LogLevels::HANDSHAKE_BYTES | LogLevels::SESSION_BYTES,
        "trace" => LogLevels::TRACE,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_words() {
        for (text, wanted, unwanted, complaints) in [
            ("", LogLevels::default(), LogLevels::SUMMARY, 0),
            ("0", LogLevels::default(), LogLevels::SUMMARY, 0),
            ("1", LogLevels::SUMMARY, LogLevels::CACHE, 0),
            ("Routine, UNTRUSTED", LogLevels::UNTRUSTED, LogLevels::PEERCERT, 0),
            ("2", LogLevels::STATES, LogLevels::HANDSHAKE_BYTES, 0),
            ("3", LogLevels::HANDSHAKE_BYTES, LogLevels::SESSION_BYTES, 0),
            ("4", LogLevels::SESSION_BYTES, LogLevels::TRACE, 0),
            ("1,trace", LogLevels::TRACE, LogLevels::CACHE, 0),
            ("2 foo", LogLevels::CACHE, LogLevels::TRACE, 1),
            ("10", LogLevels::default(), LogLevels::SUMMARY, 1),
        ] {
            let mut notices = Vec::new();
            let levels = LogLevels::parse("smtpd_tls_loglevel", text, &mut notices);
            assert!(wanted == LogLevels::default() || levels.contains(wanted), "{text}");
            assert!(!levels.contains(unwanted), "{text}");
            assert_eq!(notices.len(), complaints, "{text}");
        }
    }
}
