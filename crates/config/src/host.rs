//! What the machine and the process are, and the defaults that are made of it (postconf(5): myhostname, mydomain,
//! mynetworks, process_name ...). Nothing is asked of the system here: who starts the program passes the facts.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::list;

/// The facts that defaults are made of.
#[derive(Debug, Clone)]
pub struct HostFacts {
    /// What gethostname(2) says.
    pub hostname: String,
    /// The addresses of the interfaces that are up, with the length of their networks, in the system's order.
    pub interfaces: Vec<(IpAddr, u8)>,
    /// Addresses of a host name in `inet_interfaces`. The default knows `localhost` only.
    pub resolve: fn(&str) -> Vec<IpAddr>,
    /// OpenSSL's version, major and minor: the defaults of curves and groups changed with 3.5.
    pub openssl: (u32, u32),
    /// The name of the program, as master.cf has it: `smtpd`, `lmtp`.
    pub process_name: String,
    /// The number of the process.
    pub process_id: u32,
    /// The name of the service in master.cf: `smtp`, `submission`.
    pub service_name: String,
}

impl Default for HostFacts {
    fn default() -> HostFacts {
        HostFacts {
            hostname: "localhost".to_owned(),
            interfaces: vec![(IpAddr::V4(Ipv4Addr::LOCALHOST), 8), (IpAddr::V6(Ipv6Addr::LOCALHOST), 128)],
            resolve: resolve_localhost,
            openssl: (3, 0),
            process_name: String::new(),
            process_id: 0,
            service_name: String::new(),
        }
    }
}

fn resolve_localhost(name: &str) -> Vec<IpAddr> {
    if name.eq_ignore_ascii_case("localhost") {
        vec![IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)]
    } else {
        Vec::new()
    }
}

impl HostFacts {
    /// The default of `myhostname`, given what `mydomain` is set to.
    pub(crate) fn myhostname(&self, mydomain: Option<&str>) -> String {
        if self.hostname.contains('.') {
            self.hostname.clone()
        } else {
            format!("{}.{}", self.hostname, mydomain.unwrap_or("localdomain"))
        }
    }

    /// The addresses that `inet_interfaces` names, of the families that `inet_protocols` admits, each with the
    /// length of its network. An address of no interface here is left out.
    pub fn own_addresses(&self, inet_interfaces: &str, inet_protocols: &str) -> Vec<(IpAddr, u8)> {
        let protocols: Vec<_> = list::split_plain(inet_protocols);
        let admits = |word: &str| protocols.iter().any(|&protocol| protocol == "all" || protocol == word);
        let (ipv4, ipv6) = (admits("ipv4"), admits("ipv6"));
        let local = self.interfaces.iter().filter(|(address, _)| if address.is_ipv4() { ipv4 } else { ipv6 });
        match inet_interfaces {
            "all" => local.copied().collect(),
            "loopback-only" => local.filter(|(address, _)| address.is_loopback()).copied().collect(),
            names => {
                let mut wanted = Vec::new();
                for name in list::split_plain(names) {
                    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
                    match bare.parse() {
                        Ok(address) => wanted.push(address),
                        Err(_) => wanted.extend((self.resolve)(bare)),
                    }
                }
                let mut seen = Vec::new();
                wanted.retain(|address| !seen.contains(address) && (seen.push(*address), true).1);
                let local: Vec<_> = local.copied().collect();
                let known = |address: &IpAddr| local.iter().find(|(own, _)| own == address).copied();
                wanted.iter().filter_map(known).collect()
            }
        }
    }
}

/// The default of `mynetworks`: the networks of these addresses in the style `class`, `subnet` or `host`.
///
/// A style that does not exist counts as `host`, which trusts least.
pub(crate) fn mynetworks(style: &str, addresses: &[(IpAddr, u8)]) -> String {
    let mut networks: Vec<String> = Vec::new();
    for (address, length) in addresses {
        let network = match address {
            IpAddr::V4(address) => {
                let length = match style {
                    "class" => class_length(*address),
                    "subnet" => (*length).min(32),
                    _ => 32,
                };
                let bits = address.to_bits() & u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
                format!("{}/{length}", Ipv4Addr::from_bits(bits))
            }
            IpAddr::V6(address) => {
                // There are no classes of IPv6 addresses; Postfix takes the subnet for these.
                let length = if matches!(style, "class" | "subnet") { (*length).min(128) } else { 128 };
                let bits = address.to_bits() & u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
                format!("[{}]/{length}", Ipv6Addr::from_bits(bits))
            }
        };
        if !networks.contains(&network) {
            networks.push(network);
        }
    }
    networks.join(" ")
}

/// The default of `tls_eecdh_auto_curves`.
pub(crate) fn eecdh_auto_curves(openssl: (u32, u32)) -> &'static str {
    if openssl >= (3, 5) { "?X25519MLKEM768:DEFAULT" } else { "X25519 X448 prime256v1 secp384r1 secp521r1" }
}

/// The default of `tls_ffdhe_auto_groups`: OpenSSL knows these groups since 3.0, and chooses itself since 3.5.
pub(crate) fn ffdhe_auto_groups(openssl: (u32, u32)) -> &'static str {
    if ((3, 0)..(3, 5)).contains(&openssl) { "ffdhe2048 ffdhe3072" } else { "" }
}

fn class_length(address: Ipv4Addr) -> u8 {
    match address.octets()[0] {
        0..=127 => 8,
        128..=191 => 16,
        192..=223 => 24,
        _ => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> HostFacts {
        let interfaces = ["127.0.0.1/8", "192.0.2.130/25", "::1/128", "2001:db8::5/64"];
        let interfaces = interfaces.map(|text| {
            let (address, length) = text.split_once('/').expect("a slash");
            (address.parse().expect("an address"), length.parse().expect("a length"))
        });
        HostFacts { interfaces: interfaces.to_vec(), ..HostFacts::default() }
    }

    #[test]
    fn networks_in_each_style() {
        let all = facts().own_addresses("all", "all");
        for (style, expected) in [
            ("host", "127.0.0.1/32 192.0.2.130/32 [::1]/128 [2001:db8::5]/128"),
            ("subnet", "127.0.0.0/8 192.0.2.128/25 [::1]/128 [2001:db8::]/64"),
            ("class", "127.0.0.0/8 192.0.2.0/24 [::1]/128 [2001:db8::]/64"),
        ] {
            assert_eq!(mynetworks(style, &all), expected);
        }
    }

    #[test]
    fn own_addresses_by_name_and_family() {
        for (interfaces, protocols, expected) in [
            ("all", "ipv6", vec!["::1", "2001:db8::5"]),
            ("loopback-only", "all", vec!["127.0.0.1", "::1"]),
            ("localhost", "ipv4", vec!["127.0.0.1"]),
            ("192.0.2.130, [2001:db8::5] 192.0.2.130", "ipv4, ipv6", vec!["192.0.2.130", "2001:db8::5"]),
            ("192.0.2.1", "all", vec![]), // not an address of this machine
        ] {
            let found: Vec<_> =
                facts().own_addresses(interfaces, protocols).iter().map(|own| own.0.to_string()).collect();
            assert_eq!(found, expected, "{interfaces}");
        }
    }

    #[test]
    fn a_host_name_gets_a_domain() {
        let short = HostFacts { hostname: "mx".to_owned(), ..facts() };
        assert_eq!(short.myhostname(None), "mx.localdomain");
        assert_eq!(short.myhostname(Some("example.com")), "mx.example.com");
        let long = HostFacts { hostname: "mx.example.net".to_owned(), ..facts() };
        assert_eq!(long.myhostname(Some("example.com")), "mx.example.net");
    }
}
