//! What a next hop means (smtp(8), transport(5), postconf(5) relayhost): a domain, `[host]`, either with `:port`, or for LMTP
//! `unix:path` and `inet:host:port`.

/// Where a delivery shall go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NextHop {
    /// A UNIX-domain socket.
    Socket(String),
    /// A host over TCP.
    Host {
        /// A domain name or an address, without brackets.
        name: String,
        /// True for `[name]`: its addresses are used, not its mail exchangers.
        literal: bool,
        /// The port, as a number or a service name.
        port: Option<String>,
    },
}

impl NextHop {
    /// Reads the text that routing gave.
    pub(crate) fn parse(text: &str) -> Result<NextHop, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            return Ok(NextHop::Socket(path.to_owned()));
        }
        let text = text.strip_prefix("inet:").unwrap_or(text);
        let bad = || format!("bad next-hop destination \"{text}\": use domain, [host] or either with :port");
        let (name, literal, rest) = match text.strip_prefix('[') {
            Some(inside) => {
                let (name, rest) = inside.split_once(']').ok_or_else(bad)?;
                // RFC 5321 section 4.1.3 writes IPv6 literals with their tag.
                let name = name
                    .get(..5)
                    .filter(|tag| tag.eq_ignore_ascii_case("ipv6:"))
                    .map_or(name, |_| &name[5..]);
                (name, true, rest)
            }
            None => match text.split_once(':') {
                Some((name, _)) => (name, false, &text[name.len()..]),
                None => (text, false, ""),
            },
        };
        let port = match rest.strip_prefix(':') {
            Some(port) if !port.is_empty() => Some(port.to_owned()),
            Some(_) => return Err(bad()),
            None if rest.is_empty() => None,
            None => return Err(bad()),
        };
        if name.is_empty() {
            return Err(bad());
        }
        Ok(NextHop::Host { name: name.to_owned(), literal, port })
    }

    /// The domain or host as certificates and tables for TLS spell it: in A-labels.
    pub(crate) fn ascii_domain(&self) -> Option<String> {
        let name = self.domain()?;
        // What has no such form fails where the DNS is asked.
        let ascii = (!name.is_ascii()).then(|| dns::ascii_name(name).ok()).flatten();
        Some(ascii.unwrap_or_else(|| name.to_owned()))
    }

    /// The domain whose mail exchangers are asked for; `None` for hosts, addresses and sockets.
    pub(crate) fn mx_domain(&self) -> Option<&str> {
        match self {
            NextHop::Host { name, literal: false, .. } if dns::address_literal(name).is_none() => Some(name),
            _ => None,
        }
    }

    /// The domain that certificates are compared with (`nexthop`); `None` for sockets.
    pub(crate) fn domain(&self) -> Option<&str> {
        match self {
            NextHop::Socket(_) => None,
            NextHop::Host { name, .. } => Some(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        let host = |name: &str, literal, port: Option<&str>| {
            Ok(NextHop::Host { name: name.into(), literal, port: port.map(Into::into) })
        };
        for (text, expected) in [
            ("example.com", host("example.com", false, None)),
            ("example.com:2525", host("example.com", false, Some("2525"))),
            ("[mx.example.com]", host("mx.example.com", true, None)),
            ("[192.0.2.1]:submission", host("192.0.2.1", true, Some("submission"))),
            ("[IPv6:2001:db8::1]:25", host("2001:db8::1", true, Some("25"))),
            ("[2001:db8::1]", host("2001:db8::1", true, None)),
            ("inet:127.0.0.1:24", host("127.0.0.1", false, Some("24"))),
            ("unix:private/dovecot-lmtp", Ok(NextHop::Socket("private/dovecot-lmtp".into()))),
        ] {
            assert_eq!(NextHop::parse(text), expected, "{text}");
        }
        for text in ["", "[", "[a", "[a]b", "[a]:", "a:", ":25"] {
            assert!(NextHop::parse(text).is_err(), "{text}");
        }
    }
}
