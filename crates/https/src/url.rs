//! URLs of the scheme `https` (RFC 9110 section 4.2.2), as far as mail needs them: a host, a port, and what follows.

use std::fmt;
use std::net::Ipv6Addr;

/// Longest URL, in bytes.
const MOST: usize = 2048;

/// An address of something on the Web. Holds only what may stand in a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Url {
    host: String,
    port: u16,
    target: String,
}

impl Url {
    /// Reads `https://host[:port][/path][?query]`. Other schemes, names of users and anything that is not printable ASCII are errors;
    /// a fragment is dropped.
    pub fn parse(text: &str) -> Result<Url, String> {
        let wrong = |why: &str| format!("\"{}\" is no URL that can be used: {why}", shown(text));
        if text.len() > MOST {
            return Err(wrong("it is too long"));
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(wrong("it holds a blank, a control character or a letter beyond ASCII"));
        }
        let scheme = text.get(..8).filter(|scheme| scheme.eq_ignore_ascii_case("https://"));
        if scheme.is_none() {
            return Err(wrong("it does not begin with https://"));
        }
        let rest = &text[8..];
        let (authority, target) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let target = target.split('#').next().unwrap_or_default();
        let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
        let name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        let (host, port, fits) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((address, port)) => (address, port.strip_prefix(':'), address.parse::<Ipv6Addr>().is_ok()),
            None => {
                let (host, port) = match authority.split_once(':') {
                    Some((host, port)) => (host, Some(port)),
                    None => (authority, None),
                };
                (host, port, !host.is_empty() && host.bytes().all(name))
            }
        };
        if !fits {
            return Err(wrong("it names no host"));
        }
        let port = match port {
            None | Some("") => 443,
            Some(port) => port.parse().map_err(|_| wrong("its port is no number from 1 to 65535"))?,
        };
        Ok(Url { host: host.to_ascii_lowercase(), port, target })
    }

    /// The name or address of the server, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The same at another port.
    pub fn at_port(self, port: u16) -> Url {
        Url { port, ..self }
    }

    /// Path and query.
    pub(crate) fn target(&self) -> &str {
        &self.target
    }

    /// `Host:`
    pub(crate) fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == 443 { host } else { format!("{host}:{}", self.port) }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "https://{}{}", self.authority(), self.target)
    }
}

fn shown(text: &str) -> String {
    text.chars().take(100).map(|c| if c.is_control() { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        for (text, expected) in [
            ("https://example.com", Some("https://example.com/")),
            ("HTTPS://Example.COM:8443/a/b?c=d#e", Some("https://example.com:8443/a/b?c=d")),
            ("https://example.com:443?x", Some("https://example.com/?x")),
            ("https://example.com:/", Some("https://example.com/")),
            ("https://[::1]:99/", Some("https://[::1]:99/")),
            ("https://127.0.0.1/", Some("https://127.0.0.1/")),
            ("http://example.com/", None),
            ("mailto:a@b", None),
            ("https://", None),
            ("https:///path", None),
            ("https://user@example.com/", None),
            ("https://example.com:99999/", None),
            ("https://example.com:x/", None),
            ("https://example.com/a b", None),
            ("https://example.com/\r\nX: y", None),
            ("https://ex\u{e4}mple.com/", None),
            ("https://[nothing]/", None),
        ] {
            assert_eq!(Url::parse(text).ok().map(|url| url.to_string()).as_deref(), expected, "{text}");
        }
        assert!(Url::parse(&format!("https://a/{}", "x".repeat(MOST - 10))).is_ok());
        assert!(Url::parse(&format!("https://a/{}", "x".repeat(MOST))).is_err());
    }
}
