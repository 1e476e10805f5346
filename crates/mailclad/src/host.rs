//! The facts of this machine that defaults are made of: its name, its addresses, the TLS library.

use std::net::{IpAddr, ToSocketAddrs};

use config::HostFacts;

/// Asks the system. What can not be found out keeps the value of a machine that knows nothing but loopback.
pub fn facts() -> HostFacts {
    let unknown = HostFacts::default();
    let hostname = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let interfaces: Vec<(IpAddr, u8)> = if_addrs::get_if_addrs()
        .map(|found| found.iter().map(|interface| (interface.ip(), prefix(&interface.addr))).collect())
        .unwrap_or_default();
    let version = openssl::version::number() as u32;
    HostFacts {
        hostname: if hostname.is_empty() { unknown.hostname } else { hostname },
        interfaces: if interfaces.is_empty() { unknown.interfaces } else { interfaces },
        resolve: |name| {
            (name, 0)
                .to_socket_addrs()
                .map(|found| found.map(|address| address.ip()).collect())
                .unwrap_or_default()
        },
        // OPENSSL_VERSION_NUMBER is 0xMNN00PP0 since 3.0.
        openssl: (version >> 28, (version >> 20) & 0xFF),
        process_name: String::new(),
        process_id: std::process::id(),
        service_name: String::new(),
    }
}

/// Length of the network that an address belongs to.
fn prefix(address: &if_addrs::IfAddr) -> u8 {
    match address {
        if_addrs::IfAddr::V4(v4) => u32::from(v4.netmask).leading_ones() as u8,
        if_addrs::IfAddr::V6(v6) => u128::from(v6.netmask).leading_ones() as u8,
    }
}
