//! Addresses written as text: `192.0.2.1`, `[192.0.2.1]`, `[IPv6:2001:db8::1]` (RFC 5321 section 4.1.3).

use std::net::IpAddr;

/// The address in a domain literal, or in a bare address; `None` for anything else.
pub fn address_literal(text: &str) -> Option<IpAddr> {
    let inside = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    match inside.get(..5) {
        Some(tag) if tag.eq_ignore_ascii_case("IPv6:") => inside[5..].parse().ok().filter(IpAddr::is_ipv6),
        _ => inside.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        for (text, expected) in [
            ("192.0.2.1", Some("192.0.2.1")),
            ("[192.0.2.1]", Some("192.0.2.1")),
            ("[IPv6:2001:db8::1]", Some("2001:db8::1")),
            ("[2001:db8::1]", Some("2001:db8::1")),
            ("[ipv6:192.0.2.1]", None),
            ("[192.0.2.1", None),
            ("example.test", None),
            ("", None),
        ] {
            assert_eq!(address_literal(text), expected.map(|a| a.parse().unwrap()), "{text}");
        }
    }
}
