//! The PROXY protocol, versions 1 and 2 (haproxy's proxy-protocol.txt): who the client is, told by the proxy before the
//! client's first byte.
//!
//! Used by postscreen_upstream_proxy_protocol and smtpd_upstream_proxy_protocol. Type-length-value fields are skipped.
//! `PROXY UNKNOWN` is refused, because it would go around all access control by address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Longest header that is read, in bytes: what version 2 takes for addresses, and Postfix's room for fields behind them.
pub const MAX_HEADER: usize = 536;

const V1: &[u8] = b"PROXY ";
const V2: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version and command, family, length.
const V2_FIXED: usize = 16;

/// A complete header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// How many bytes it takes; what follows is the client's.
    pub length: usize,
    /// The ends of the client's connection to the proxy. `None`: the proxy speaks for itself (a health check), and the
    /// connection's own ends count.
    pub ends: Option<Ends>,
}

/// Both ends of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// The SMTP client.
    pub client: SocketAddr,
    /// Where it connected to.
    pub server: SocketAddr,
}

/// Reads a header from the beginning of `input`. `Ok(None)`: it is not complete yet, and all of `input` belongs to it. The
/// error says what is wrong, in Postfix's words.
pub fn parse(input: &[u8]) -> Result<Option<Header>, &'static str> {
    let parsed = if begins(input, V1) {
        version_1(input)?
    } else if begins(input, V2) {
        version_2(input)?
    } else {
        return Err("unrecognized protocol header");
    };
    match parsed {
        None if input.len() >= MAX_HEADER => Err("missing protocol header terminator"),
        parsed => Ok(parsed),
    }
}

/// Does the input begin with the signature, as far as it has come?
fn begins(input: &[u8], signature: &[u8]) -> bool {
    let common = input.len().min(signature.len());
    input[..common] == signature[..common]
}

/// `PROXY TCP4 192.0.2.1 198.51.100.1 56324 25 CR LF`.
fn version_1(input: &[u8]) -> Result<Option<Header>, &'static str> {
    let Some(end) = memchr::memchr(b'\n', input) else { return Ok(None) };
    let line = std::str::from_utf8(&input[..end]).map_err(|_| "bad or missing protocol type")?;
    let mut words = line.split([' ', '\r']).filter(|word| !word.is_empty()).skip(1);
    let is_v6 = match words.next() {
        Some(word) if word.eq_ignore_ascii_case("TCP4") => false,
        Some(word) if word.eq_ignore_ascii_case("TCP6") => true,
        _ => return Err("bad or missing protocol type"),
    };
    let mut address = |problem| match words.next().and_then(|word| word.parse::<IpAddr>().ok()) {
        Some(address) if address.is_ipv6() == is_v6 => Ok(address.to_canonical()),
        _ => Err(problem),
    };
    let client = address("bad or missing client address")?;
    let server = address("bad or missing server address")?;
    let mut port = |problem| words.next().and_then(port_number).ok_or(problem);
    let client = SocketAddr::new(client, port("bad or missing client port")?);
    let server = SocketAddr::new(server, port("bad or missing server port")?);
    Ok(Some(Header { length: end + 1, ends: Some(Ends { client, server }) }))
}

/// Decimal, without a sign or a leading zero.
fn port_number(word: &str) -> Option<u16> {
    let plain = word.bytes().all(|byte| byte.is_ascii_digit()) && (word == "0" || !word.starts_with('0'));
    if plain { word.parse().ok() } else { None }
}

fn version_2(input: &[u8]) -> Result<Option<Header>, &'static str> {
    let Some((fixed, rest)) = input.split_at_checked(V2_FIXED) else { return Ok(None) };
    let (version, command) = (fixed[12] >> 4, fixed[12] & 15);
    let length = usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    if version != 2 {
        return Err("unrecognized protocol version");
    }
    if V2_FIXED + length > MAX_HEADER {
        return Err("version 2 protocol header too long");
    }
    let Some(fields) = rest.get(..length) else { return Ok(None) };
    let ends = match command {
        0 => None,
        1 => Some(version_2_ends(fixed[13], fields)?),
        _ => return Err("bad command in proxy header"),
    };
    Ok(Some(Header { length: V2_FIXED + length, ends }))
}

/// `family`: 0x11 is TCP over IPv4, 0x21 TCP over IPv6.
fn version_2_ends(family: u8, fields: &[u8]) -> Result<Ends, &'static str> {
    let short = "short address field";
    let port = |at: usize| -> Result<u16, &'static str> {
        let bytes = fields.get(at..).and_then(|rest| rest.first_chunk::<2>()).ok_or(short)?;
        Ok(u16::from_be_bytes(*bytes))
    };
    let (client, server, ports) = match family {
        0x11 => {
            let (client, rest) = fields.split_first_chunk::<4>().ok_or(short)?;
            let server = rest.first_chunk::<4>().ok_or(short)?;
            (IpAddr::from(Ipv4Addr::from(*client)), IpAddr::from(Ipv4Addr::from(*server)), 8)
        }
        0x21 => {
            let (client, rest) = fields.split_first_chunk::<16>().ok_or(short)?;
            let server = rest.first_chunk::<16>().ok_or(short)?;
            (IpAddr::from(Ipv6Addr::from(*client)), IpAddr::from(Ipv6Addr::from(*server)), 32)
        }
        _ => return Err("unsupported network protocol"),
    };
    Ok(Ends {
        client: SocketAddr::new(client.to_canonical(), port(ports)?),
        server: SocketAddr::new(server.to_canonical(), port(ports + 2)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version_2_header(version_and_command: u8, family: u8, fields: &[u8]) -> Vec<u8> {
        let mut header = V2.to_vec();
        header.extend([version_and_command, family]);
        header.extend((fields.len() as u16).to_be_bytes());
        header.extend(fields);
        header
    }

    #[test]
    fn text_headers() {
        for (input, expected) in [
            ("PROXY TCP4 192.0.2.1 198.51.100.1 5000 25\r\nEHLO", Ok("192.0.2.1:5000 198.51.100.1:25")),
            ("PROXY  tcp4 192.0.2.1 198.51.100.1 0 25\n", Ok("192.0.2.1:0 198.51.100.1:25")),
            ("PROXY TCP6 2001:db8::1 2001:db8::2 5000 25\r\n", Ok("[2001:db8::1]:5000 [2001:db8::2]:25")),
            ("PROXY TCP6 ::ffff:192.0.2.1 2001:db8::2 5000 25\r\n", Ok("192.0.2.1:5000 [2001:db8::2]:25")),
            ("PROXY UNKNOWN\r\n", Err("bad or missing protocol type")),
            ("PROXY \r\n", Err("bad or missing protocol type")),
            ("PROXY TCP4 2001:db8::1 198.51.100.1 5000 25\r\n", Err("bad or missing client address")),
            ("PROXY TCP4 192.0.2.300 198.51.100.1 5000 25\r\n", Err("bad or missing client address")),
            ("PROXY TCP4 192.0.2.1\r\n", Err("bad or missing server address")),
            ("PROXY TCP4 192.0.2.1 198.51.100.1 65536 25\r\n", Err("bad or missing client port")),
            ("PROXY TCP4 192.0.2.1 198.51.100.1 +5 25\r\n", Err("bad or missing client port")),
            ("PROXY TCP4 192.0.2.1 198.51.100.1 05 25\r\n", Err("bad or missing client port")),
            ("PROXY TCP4 192.0.2.1 198.51.100.1 5000\r\n", Err("bad or missing server port")),
            ("EHLO client.test\r\n", Err("unrecognized protocol header")),
        ] {
            let found = parse(input.as_bytes()).map(|header| {
                let header = header.expect(input);
                assert_eq!(&input[header.length - 1..header.length], "\n", "{input}");
                let ends = header.ends.expect(input);
                format!("{} {}", ends.client, ends.server)
            });
            assert_eq!(found.as_deref(), expected.as_ref().copied(), "{input}");
        }
    }

    #[test]
    fn binary_headers() {
        let v4: &[u8] = &[192, 0, 2, 1, 198, 51, 100, 1, 0x13, 0x88, 0, 25];
        let mut v6 = [0; 36];
        v6[..16].copy_from_slice(&Ipv6Addr::LOCALHOST.octets());
        v6[35] = 25;
        let with_fields = [v4, &[4, 0, 1, 0]].concat();
        for (first, family, fields, expected) in [
            (0x21, 0x11, v4, Ok(Some("192.0.2.1:5000 198.51.100.1:25"))),
            (0x21, 0x11, &with_fields, Ok(Some("192.0.2.1:5000 198.51.100.1:25"))),
            (0x21, 0x21, &v6, Ok(Some("[::1]:0 [::]:25"))),
            (0x20, 0x00, &[], Ok(None)),
            (0x20, 0x11, v4, Ok(None)),
            (0x31, 0x11, v4, Err("unrecognized protocol version")),
            (0x22, 0x11, v4, Err("bad command in proxy header")),
            (0x21, 0x12, v4, Err("unsupported network protocol")),
            (0x21, 0x31, v4, Err("unsupported network protocol")),
            (0x21, 0x11, &v4[..11], Err("short address field")),
            (0x21, 0x21, v4, Err("short address field")),
            (0x21, 0x11, &[0; MAX_HEADER], Err("version 2 protocol header too long")),
        ] {
            let input = version_2_header(first, family, fields);
            let found = parse(&input).map(|header| {
                let header = header.expect("complete");
                assert_eq!(header.length, input.len());
                header.ends.map(|ends| format!("{} {}", ends.client, ends.server))
            });
            assert_eq!(
                found.as_ref().map(Option::as_deref),
                expected.as_ref().map(|ends| *ends),
                "{input:?}"
            );
        }
    }

    #[test]
    fn a_header_may_come_in_pieces() {
        let text = b"PROXY TCP4 192.0.2.1 198.51.100.1 5000 25\r\n".to_vec();
        let binary = version_2_header(0x21, 0x11, &[192, 0, 2, 1, 198, 51, 100, 1, 0x13, 0x88, 0, 25]);
        for header in [text, binary] {
            for length in 0..header.len() {
                assert_eq!(parse(&header[..length]), Ok(None), "{length}");
            }
            assert!(matches!(parse(&header), Ok(Some(_))));
        }
        let endless = [V1, &[b'x'; MAX_HEADER]].concat();
        assert_eq!(parse(&endless[..MAX_HEADER - 1]), Ok(None));
        assert_eq!(parse(&endless[..MAX_HEADER]), Err("missing protocol header terminator"));
    }

    #[test]
    fn garbage_never_panics() {
        let mut seed: u32 = 1;
        for length in 0..200 {
            for begin in [&b""[..], V1, V2] {
                let mut input = begin.to_vec();
                for _ in 0..length {
                    seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    input.push((seed >> 24) as u8);
                }
                let _ = parse(&input);
            }
        }
    }
}
