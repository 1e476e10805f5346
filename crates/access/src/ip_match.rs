//! Patterns for the answers of DNS lists (reject_rbl_client, postscreen_dnsbl_sites, ip_match(3)): `127.0.0.2`, `127.0.[0..3].[2;4..11]`, and the
//! whole in brackets if that is liked better. IPv4 only, as those answers are.

use std::net::Ipv4Addr;
use std::ops::RangeInclusive;

/// One pattern: for each octet the ranges that match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IpMatch([Vec<RangeInclusive<u8>>; 4]);

impl IpMatch {
    /// Reads a pattern. The error says what is wrong, and where.
    pub fn parse(pattern: &str) -> Result<IpMatch, String> {
        let inner = without_brackets(pattern)?;
        if inner.is_empty() {
            return Err("empty address pattern".into());
        }
        let mut reader = Reader { pattern: inner, at: 0 };
        let mut fields: [Vec<RangeInclusive<u8>>; 4] = Default::default();
        for (n, field) in fields.iter_mut().enumerate() {
            if n > 0 && !reader.takes('.') {
                return Err(reader.wrong("need \".\""));
            }
            *field = reader.field()?;
        }
        match reader.rest().is_empty() {
            true => Ok(IpMatch(fields)),
            false => Err(reader.wrong("garbage after pattern")),
        }
    }

    /// Does the pattern match?
    pub fn matches(&self, address: Ipv4Addr) -> bool {
        self.0
            .iter()
            .zip(address.octets())
            .all(|(field, octet)| field.iter().any(|range| range.contains(&octet)))
    }
}

/// Takes off brackets around the whole pattern.
fn without_brackets(pattern: &str) -> Result<&str, String> {
    if !pattern.starts_with('[') {
        return Ok(pattern);
    }
    let mut depth = 0;
    for (at, c) in pattern.char_indices() {
        match c {
            '[' => depth += 1,
            ']' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Ok(if at + 1 == pattern.len() { &pattern[1..at] } else { pattern });
        }
    }
    Err("missing \"]\" character".into())
}

struct Reader<'a> {
    pattern: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        &self.pattern[self.at..]
    }

    fn takes(&mut self, text: char) -> bool {
        let found = self.rest().starts_with(text);
        if found {
            self.at += text.len_utf8();
        }
        found
    }

    fn octet(&mut self) -> Option<u8> {
        let length = self.rest().bytes().take_while(u8::is_ascii_digit).count();
        let octet = self.rest()[..length].parse().ok()?;
        self.at += length;
        Some(octet)
    }

    /// A number, or numbers and ranges in brackets, separated by `;`.
    fn field(&mut self) -> Result<Vec<RangeInclusive<u8>>, String> {
        if !self.takes('[') {
            let octet = self.octet().ok_or_else(|| self.wrong("need decimal number 0..255 or \"[\""))?;
            return Ok(vec![octet..=octet]);
        }
        let mut ranges = Vec::new();
        loop {
            let first = self.octet().ok_or_else(|| self.wrong("need decimal number 0..255"))?;
            let mut last = first;
            if self.takes('.') {
                let found = if self.takes('.') { self.octet() } else { None };
                last =
                    found.filter(|last| *last >= first).ok_or_else(|| self.wrong("numeric range error"))?;
            }
            ranges.push(first..=last);
            if self.takes(']') {
                return Ok(ranges);
            }
            if !self.takes(';') {
                return Err(self.wrong("need \";\" or \"]\""));
            }
        }
    }

    fn wrong(&self, what: &str) -> String {
        format!("{what} at \"{}><{}\"", &self.pattern[..self.at], self.rest())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, matching, other) in [
            ("127.0.0.2", "127.0.0.2", "127.0.0.3"),
            ("127.0.0.[2..11]", "127.0.0.11", "127.0.0.12"),
            ("127.0.[0..3].[2;4..11;255]", "127.0.3.255", "127.0.3.3"),
            ("[127.0.0.[1;4]]", "127.0.0.4", "127.0.0.2"),
            ("[127].0.0.[0..255]", "127.0.0.9", "127.0.1.9"),
        ] {
            let parsed = IpMatch::parse(pattern).unwrap();
            assert!(parsed.matches(matching.parse().unwrap()), "{pattern} {matching}");
            assert!(!parsed.matches(other.parse().unwrap()), "{pattern} {other}");
        }
    }

    #[test]
    fn mistakes_are_named() {
        for (pattern, expected) in [
            ("", "empty address pattern"),
            ("[]", "empty address pattern"),
            ("[127.0.0.1", "missing \"]\" character"),
            ("127.0.0", "need \".\" at \"127.0.0><\""),
            ("127.0.0.256", "need decimal number 0..255 or \"[\" at \"127.0.0.><256\""),
            ("127.0.0.[3..2]", "numeric range error at \"127.0.0.[3..2><]\""),
            ("127.0.0.[3.4]", "numeric range error at \"127.0.0.[3.><4]\""),
            ("127.0.0.[3,4]", "need \";\" or \"]\" at \"127.0.0.[3><,4]\""),
            ("127.0.0.[]", "need decimal number 0..255 at \"127.0.0.[><]\""),
            ("127.0.0.1x", "garbage after pattern at \"127.0.0.1><x\""),
            ("127.0.0.\u{e9}", "need decimal number 0..255 or \"[\" at \"127.0.0.><\u{e9}\""),
        ] {
            assert_eq!(IpMatch::parse(pattern).unwrap_err(), expected);
        }
    }
}
