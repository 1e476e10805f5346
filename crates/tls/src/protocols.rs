//! Protocol lists (postconf(5), smtpd_tls_protocols): which versions of SSL and TLS a session may use.

use openssl::ssl::{SslContextBuilder, SslOptions, SslVersion};

/// The versions that Postfix has names for, with their numbers on the wire.
const NAMES: [(&str, u16); 6] = [
    ("SSLv2", 0x0002),
    ("SSLv3", 0x0300),
    ("TLSv1", 0x0301),
    ("TLSv1.1", 0x0302),
    ("TLSv1.2", 0x0303),
    ("TLSv1.3", 0x0304),
];

/// A list that was read: versions excluded by name, and a range.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Protocols {
    /// One bit for each entry of `NAMES`.
    excluded: u8,
    /// 0: whatever the library does.
    floor: u16,
    /// 0: no bound.
    ceiling: u16,
}

impl Protocols {
    /// Reads a list. An empty one restricts nothing. The error names the element that is wrong.
    pub fn parse(text: &str) -> Result<Protocols, String> {
        let mut protocols = Protocols::default();
        let mut included = 0u8;
        for word in text.split([',', ':', ' ', '\t', '\r', '\n']).filter(|word| !word.is_empty()) {
            if let Some(version) = word.strip_prefix(">=") {
                protocols.floor = bound(version).ok_or_else(|| unknown(word))?;
            } else if let Some(version) = word.strip_prefix("<=") {
                protocols.ceiling = bound(version).ok_or_else(|| unknown(word))?;
            } else if let Some(name) = word.strip_prefix('!') {
                protocols.excluded |= bit(name).ok_or_else(|| unknown(word))?;
            } else {
                included |= bit(word).ok_or_else(|| unknown(word))?;
            }
        }
        // One inclusion makes the list exclusive.
        if included != 0 {
            protocols.excluded |= !included;
        }
        Ok(protocols)
    }

    /// Restricts a context. The minimum is always set, so that the host's own OpenSSL settings do not decide.
    pub(crate) fn apply(&self, context: &mut SslContextBuilder) -> Result<(), openssl::error::ErrorStack> {
        context.set_min_proto_version(version(self.floor))?;
        context.set_max_proto_version(version(self.ceiling))?;
        for (index, option) in [
            (1, SslOptions::NO_SSLV3),
            (2, SslOptions::NO_TLSV1),
            (3, SslOptions::NO_TLSV1_1),
            (4, SslOptions::NO_TLSV1_2),
            (5, SslOptions::NO_TLSV1_3),
        ] {
            if self.excluded & (1 << index) != 0 {
                context.set_options(option);
            }
        }
        Ok(())
    }

    /// May this version be used? `name` is one of Postfix's; others are never allowed.
    pub fn allows(&self, name: &str) -> bool {
        let known = NAMES.iter().position(|(known, _)| *known == name);
        known.is_some_and(|index| {
            let number = NAMES[index].1;
            self.excluded & (1 << index) == 0
                && number >= self.floor
                && (self.ceiling == 0 || number <= self.ceiling)
        })
    }

    /// True when no version that a current library knows is left.
    pub fn is_empty(&self) -> bool {
        NAMES.iter().enumerate().skip(1).all(|(index, &(_, number))| {
            self.excluded & (1 << index) != 0
                || number < self.floor
                || (self.ceiling != 0 && number > self.ceiling)
        })
    }
}

fn unknown(word: &str) -> String {
    format!(
        "\"{word}\" is no protocol version; known are SSLv3, TLSv1, TLSv1.1, TLSv1.2, TLSv1.3, with ! >= or <= before"
    )
}

fn bit(name: &str) -> Option<u8> {
    let index = NAMES.iter().position(|(known, _)| known.eq_ignore_ascii_case(name))?;
    Some(1 << index)
}

/// A name, `None` for no bound, or a hexadecimal number.
fn bound(text: &str) -> Option<u16> {
    if text.eq_ignore_ascii_case("none") {
        return Some(0);
    }
    if let Some(&(_, number)) = NAMES[1..].iter().find(|(known, _)| known.eq_ignore_ascii_case(text)) {
        return Some(number);
    }
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
    u16::from_str_radix(digits, 16).ok()
}

fn version(number: u16) -> Option<SslVersion> {
    match number {
        0 => None,
        1..=0x0300 => Some(SslVersion::SSL3),
        0x0301 => Some(SslVersion::TLS1),
        0x0302 => Some(SslVersion::TLS1_1),
        0x0303 => Some(SslVersion::TLS1_2),
        _ => Some(SslVersion::TLS1_3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(text: &str) -> Vec<&'static str> {
        let protocols = Protocols::parse(text).unwrap();
        NAMES
            .iter()
            .enumerate()
            .skip(2)
            .filter(|&(index, &(_, number))| {
                protocols.excluded & (1 << index) == 0
                    && number >= protocols.floor
                    && (protocols.ceiling == 0 || number <= protocols.ceiling)
            })
            .map(|(_, (name, _))| *name)
            .collect()
    }

    #[test]
    fn lists_of_the_guides() {
        let all = ["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"];
        for (text, expected) in [
            ("", &all[..]),
            (">=TLSv1", &all),
            ("!SSLv2, !SSLv3", &all),
            ("!SSLv2, !SSLv3, !TLSv1, !TLSv1.1", &all[2..]),
            // An inclusion makes the list exclusive, and TLS 1.3 is gone with the rest.
            ("TLSv1.2, !TLSv1.1, !TLSv1, !SSLv3, !SSLv2", &["TLSv1.2"]),
            (">=tlsv1.2", &all[2..]),
            (">=0303:<=0x0303", &["TLSv1.2"]),
            (">=TLSv1.2 >=TLSv1.1", &all[1..]),
            ("<=None", &all),
            ("SSLv2", &[]),
        ] {
            assert_eq!(left(text), expected, "{text}");
        }
        assert!(Protocols::parse("SSLv2").unwrap().is_empty());
        assert!(!Protocols::parse("").unwrap().is_empty());
    }

    #[test]
    fn a_wrong_word_is_named() {
        for text in ["!SSLv2, !SSLv3 # !TLSv1", "TLSv1.4", ">= TLSv1", "!", ">=xyz"] {
            assert!(Protocols::parse(text).is_err(), "{text}");
        }
        assert!(Protocols::parse("TLSv9").unwrap_err().contains("\"TLSv9\""));
    }
}
