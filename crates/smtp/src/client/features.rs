//! What a server offers: the reply to EHLO or LHLO, line by line (RFC 5321 section 4.1.1.1).

use super::notice::Notice;
use crate::server::{EhloKeyword, EhloKeywords};

/// The extensions of one server that we can use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// The name by which the server introduced itself.
    pub hostname: String,
    /// PIPELINING.
    pub pipelining: bool,
    /// SIZE.
    pub size: bool,
    /// The limit behind SIZE in bytes, when there is one.
    pub size_limit: Option<u64>,
    /// 8BITMIME.
    pub eight_bit_mime: bool,
    /// STARTTLS. Always false inside TLS.
    pub starttls: bool,
    /// AUTH: the mechanisms, as the server wrote them.
    pub auth: Vec<String>,
    /// DSN.
    pub dsn: bool,
    /// SMTPUTF8.
    pub smtputf8: bool,
    /// REQUIRETLS. Always false outside TLS.
    pub require_tls: bool,
    /// XFORWARD: the attributes, in upper case.
    pub xforward: Vec<String>,
}

impl Features {
    /// Reads a reply whose lines still carry their codes.
    pub(super) fn parse(
        text: &str,
        discard: EhloKeywords,
        in_tls: bool,
        notices: &mut Vec<Notice>,
    ) -> Features {
        let mut features = Features::default();
        for (at, line) in text.lines().enumerate() {
            let line = line.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start_matches(['-', ' ']);
            // `AUTH=LOGIN` comes from servers that follow an old draft.
            let (word, rest) = line.split_once([' ', '\t', '=']).unwrap_or((line, ""));
            if at == 0 {
                features.hostname = word.to_owned();
                continue;
            }
            let keeps = |keyword| !discard.contains(keyword);
            let mut words = rest.split([' ', '\t', '=']).filter(|word| !word.is_empty());
            match word.to_ascii_uppercase().as_str() {
                "PIPELINING" => features.pipelining = keeps(EhloKeyword::Pipelining),
                "8BITMIME" => features.eight_bit_mime = keeps(EhloKeyword::EightBitMime),
                "STARTTLS" => features.starttls = !in_tls && keeps(EhloKeyword::StartTls),
                "DSN" => features.dsn = keeps(EhloKeyword::Dsn),
                "SMTPUTF8" => features.smtputf8 = keeps(EhloKeyword::SmtpUtf8),
                "REQUIRETLS" => features.require_tls = in_tls && keeps(EhloKeyword::RequireTls),
                "SIZE" if keeps(EhloKeyword::Size) => {
                    features.size = true;
                    if let Some(limit) = words.next() {
                        match limit.parse() {
                            Ok(limit) => features.size_limit = Some(limit).filter(|&limit| limit > 0),
                            Err(_) => notices.push(Notice::BadSizeLimit(limit.to_owned())),
                        }
                    }
                }
                "AUTH" if keeps(EhloKeyword::Auth) => {
                    for mechanism in words {
                        if !features.auth.iter().any(|known| known.eq_ignore_ascii_case(mechanism)) {
                            features.auth.push(mechanism.to_owned());
                        }
                    }
                }
                "XFORWARD" if keeps(EhloKeyword::Xforward) => {
                    features.xforward = words.map(str::to_ascii_uppercase).collect();
                }
                _ => {}
            }
        }
        // Our mission is to deliver mail, not to force servers into compliance with RFC 6531 section 3.1.
        if features.smtputf8 && !features.eight_bit_mime {
            notices.push(Notice::SmtpUtf8Without8BitMime);
            features.eight_bit_mime = true;
        }
        features
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ehlo_reply_is_read() {
        let text = "250-mx.example.com at your service\n250-size 1000\n250-AUTH LOGIN plain\n250-AUTH=LOGIN\n\
                    250-SMTPUTF8\n250-STARTTLS\n250-REQUIRETLS\n250 XFORWARD name Addr";
        let mut notices = Vec::new();
        let features = Features::parse(text, EhloKeywords::default(), false, &mut notices);
        assert_eq!(features.hostname, "mx.example.com");
        assert_eq!(features.size_limit, Some(1000));
        assert_eq!(features.auth, ["LOGIN", "plain"]);
        assert_eq!(features.xforward, ["NAME", "ADDR"]);
        assert!(features.starttls && !features.require_tls && !features.pipelining);
        assert!(features.eight_bit_mime, "implied by SMTPUTF8");
        assert_eq!(notices, [Notice::SmtpUtf8Without8BitMime]);
        let discard = EhloKeywords::parse("size auth");
        let features = Features::parse(text, discard, true, &mut Vec::new());
        assert!(!features.starttls && features.require_tls && !features.size && features.auth.is_empty());
    }

    #[test]
    fn odd_limits_are_no_limits() {
        for (line, limit, noticed) in [("SIZE 0", None, 0), ("SIZE x", None, 1), ("SIZE", None, 0)] {
            let mut notices = Vec::new();
            let features =
                Features::parse(&format!("250-h\n250 {line}"), EhloKeywords::default(), false, &mut notices);
            assert_eq!((features.size, features.size_limit, notices.len()), (true, limit, noticed), "{line}");
        }
    }
}
