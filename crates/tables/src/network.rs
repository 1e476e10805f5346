//! Network patterns: `addr`, `addr/len`, `[addr]`, `[addr]/len`, `[addr/len]`, for IPv4 and IPv6 (cidr_table(5),
//! postconf(5) on mynetworks).

use std::fmt;
use std::net::IpAddr;

/// A network, or one address when the length is that of the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    length: u8,
}

impl Network {
    /// Reads a pattern. The error is Postfix's text, which quotes the pattern.
    pub fn parse(pattern: &str) -> Result<Network, String> {
        let (address, mask) = split(pattern)?;
        let bad = |what: &str, mask: &str| format!("{what} in \"{address}/{mask}\"");
        let Some(mask) = mask else {
            let parsed: IpAddr =
                address.parse().map_err(|_| format!("bad address pattern: \"{address}\""))?;
            return Ok(Network { address: parsed, length: bits(parsed) });
        };
        let width = if address.contains(':') { 128 } else { 32 };
        if mask.is_empty() || !mask.bytes().all(|b| b.is_ascii_digit()) {
            return Err(bad("bad mask value", mask));
        }
        let length = mask.parse().ok().filter(|length| *length <= width);
        let length = length.ok_or_else(|| bad("bad mask length", mask))?;
        let parsed: IpAddr = address.parse().map_err(|_| bad("bad network value", mask))?;
        let network = masked(parsed, length);
        if network != parsed {
            return Err(format!(
                "non-null host address bits in \"{address}/{mask}\", perhaps you should use \
                 \"{network}/{length}\" instead"
            ));
        }
        Ok(Network { address: network, length })
    }

    /// Is it a network of IPv4 addresses?
    pub fn is_ipv4(&self) -> bool {
        self.address.is_ipv4()
    }

    /// Does the network hold the address? An IPv4 network never holds an IPv6 address; callers turn
    /// IPv4-mapped addresses into IPv4 first, as Postfix does when it accepts a connection.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.address.is_ipv4() == address.is_ipv4() && masked(address, self.length) == self.address
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

/// The address text and the mask text, without brackets.
fn split(pattern: &str) -> Result<(&str, Option<&str>), String> {
    let Some(inside) = pattern.strip_prefix('[') else { return Ok(split_mask(pattern)) };
    let Some((inside, after)) = inside.split_once(']') else {
        return Err(format!("missing ']' character after \"[{inside}\""));
    };
    match after.strip_prefix('/') {
        Some(mask) => Ok((inside, Some(mask))),
        None if after.is_empty() => Ok(split_mask(inside)),
        None => Err(format!("garbage after \"[{inside}]\"")),
    }
}

fn split_mask(text: &str) -> (&str, Option<&str>) {
    match text.split_once('/') {
        Some((address, mask)) => (address, Some(mask)),
        None => (text, None),
    }
}

fn bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn masked(address: IpAddr, length: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(length.min(32))).unwrap_or(0);
            IpAddr::V4((u32::from(v4) & mask).into())
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(length.min(128))).unwrap_or(0);
            IpAddr::V6((u128::from(v6) & mask).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_and_their_errors() {
        for (pattern, expected) in [
            ("10.0.0.0/8", Ok("10.0.0.0/8")),
            ("0.0.0.0/0", Ok("0.0.0.0/0")),
            ("::/0", Ok("::/0")),
            ("192.0.2.1", Ok("192.0.2.1/32")),
            ("[::1]", Ok("::1/128")),
            ("[2001:db8::]/32", Ok("2001:db8::/32")),
            ("[2001:db8::/32]", Ok("2001:db8::/32")),
            (
                "10.1.2.3/8",
                Err("non-null host address bits in \"10.1.2.3/8\", perhaps you should use \
                     \"10.0.0.0/8\" instead"),
            ),
            ("10.0.0.0/33", Err("bad mask length in \"10.0.0.0/33\"")),
            ("10.0.0.0/x", Err("bad mask value in \"10.0.0.0/x\"")),
            ("10.0.0/8", Err("bad network value in \"10.0.0/8\"")),
            ("host", Err("bad address pattern: \"host\"")),
            ("[::1", Err("missing ']' character after \"[::1\"")),
            ("[::1]x", Err("garbage after \"[::1]\"")),
        ] {
            let parsed = Network::parse(pattern).map(|n| n.to_string());
            assert_eq!(parsed.as_deref().map_err(String::as_str), expected, "{pattern}");
        }
    }

    #[test]
    fn containment() {
        for (network, address, inside) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.0", false),
            ("0.0.0.0/0", "192.0.2.1", true),
            ("0.0.0.0/0", "::1", false),
            ("2001:db8::/33", "2001:db8:7fff::1", true),
            ("2001:db8::/33", "2001:db8:8000::1", false),
        ] {
            let network = Network::parse(network).unwrap();
            assert_eq!(network.contains(address.parse().unwrap()), inside, "{network} {address}");
        }
    }
}
