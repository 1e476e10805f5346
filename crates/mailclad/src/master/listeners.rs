//! The listening sockets of master.cf's inet services. They outlive the process that accepts on them, so that no client is
//! refused while a role is restarted.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, TcpListener};

use config::master_cf::{Service, ServiceKind};
use config::{Configuration, params};
use maillog::Log;
use rustix::net::{AddressFamily, SocketType};

/// Programs that the receive role serves.
const RECEIVING: [&str; 3] = ["smtpd", "postscreen", "qmqpd"];

/// Connections that the kernel keeps for us until they are accepted.
const BACKLOG: i32 = 511;

/// All open sockets, by address, with the line of the service that they belong to now.
#[derive(Default)]
pub(super) struct Listeners {
    open: HashMap<SocketAddr, TcpListener>,
    services: Vec<(u32, SocketAddr)>,
}

impl Listeners {
    /// Opens the sockets of a configuration, keeping those that are open already and closing what is not named any more. On an
    /// error, which names the service, nothing is changed.
    pub(super) fn bind(&mut self, configuration: &Configuration, log: &Log) -> Result<(), String> {
        let mut fresh: HashMap<SocketAddr, TcpListener> = HashMap::new();
        let mut services = Vec::new();
        for service in configuration.services() {
            if service.kind != ServiceKind::Inet {
                continue;
            }
            if !RECEIVING.contains(&service.program.as_str()) {
                maillog::warning!(
                    log,
                    "{}, line {}: service {} runs {}, which has no network service here: not started",
                    service.file,
                    service.line,
                    service.name,
                    service.program
                );
                continue;
            }
            for address in addresses(configuration, service)? {
                let line = service.line as u32;
                if services.iter().any(|(_, other)| *other == address) {
                    return Err(format!(
                        "{}, line {line}: service {}: {address} is taken by an earlier service of this file",
                        service.file, service.name
                    ));
                }
                if !self.open.contains_key(&address) {
                    let window = configuration
                        .settings_of(service)
                        .map_or(0, |settings| settings.get(params::tcp_windowsize));
                    let listener = bind(address, window).map_err(|error| {
                        format!(
                            "{}, line {line}: service {}: bind {} port {}: {error}{}",
                            service.file,
                            service.name,
                            address.ip(),
                            address.port(),
                            cure(&error)
                        )
                    })?;
                    fresh.insert(address, listener);
                }
                services.push((line, address));
            }
        }
        self.open.extend(fresh);
        self.open.retain(|address, _| services.iter().any(|(_, used)| used == address));
        self.services = services;
        Ok(())
    }

    /// Each socket with the line of its service.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &TcpListener)> {
        self.services.iter().filter_map(|(line, address)| Some((*line, self.open.get(address)?)))
    }
}

fn cure(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            "; another mail server is running there: stop it, or change the port"
        }
        std::io::ErrorKind::PermissionDenied => "; ports below 1024 need root",
        std::io::ErrorKind::AddrNotAvailable => "; this machine has no such address: see inet_interfaces",
        _ => "",
    }
}

/// The addresses of a service: `port` on inet_interfaces, or `host:port`.
fn addresses(configuration: &Configuration, service: &Service) -> Result<Vec<SocketAddr>, String> {
    let settings = configuration.settings_of(service).map_err(|errors| errors.to_string())?;
    let wrong =
        |what: String| format!("{}, line {}: service {}: {what}", service.file, service.line, service.name);
    let (host, port_name) = match service.name.rsplit_once(':') {
        Some((host, port)) => (host, port),
        None => ("", service.name.as_str()),
    };
    let known = settings.get(params::known_tcp_ports);
    let port = config::ports::number(known, port_name).ok_or_else(|| {
        wrong(format!("\"{port_name}\" is no port number and no name of known_tcp_ports or /etc/services"))
    })?;
    let protocols = config::list::split(settings.get(params::inet_protocols));
    let allowed = |address: &IpAddr| {
        protocols.contains(&"all") || protocols.contains(&if address.is_ipv4() { "ipv4" } else { "ipv6" })
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let hosts = match host {
        "" => config::list::split(settings.get(params::inet_interfaces)),
        host => vec![host],
    };
    let mut found = Vec::new();
    for host in hosts {
        match host {
            "all" => {
                found.push(IpAddr::from(std::net::Ipv4Addr::UNSPECIFIED));
                found.push(IpAddr::from(std::net::Ipv6Addr::UNSPECIFIED));
            }
            "loopback-only" => {
                found.push(IpAddr::from(std::net::Ipv4Addr::LOCALHOST));
                found.push(IpAddr::from(std::net::Ipv6Addr::LOCALHOST));
            }
            host => match host.parse() {
                Ok(address) => found.push(address),
                Err(_) => {
                    let resolved = (crate::host::facts().resolve)(host);
                    if resolved.is_empty() {
                        return Err(wrong(format!("host {host} has no address")));
                    }
                    found.extend(resolved);
                }
            },
        }
    }
    found.retain(allowed);
    // A machine without IPv6 has no IPv6 loopback to listen on; what was named outright must work.
    let optional = host.is_empty();
    found.retain(|address| !(optional && address.is_ipv6() && !has_ipv6(address)));
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for address in found {
        let address = SocketAddr::new(address, port);
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    Ok(addresses)
}

fn has_ipv6(address: &IpAddr) -> bool {
    TcpListener::bind(SocketAddr::new(*address, 0)).is_ok()
}

/// `window` is tcp_windowsize.
fn bind(address: SocketAddr, window: i64) -> std::io::Result<TcpListener> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket =
        rustix::net::socket_with(family, SocketType::STREAM, rustix::net::SocketFlags::CLOEXEC, None)?;
    rustix::net::sockopt::set_socket_reuseaddr(&socket, true)?;
    if address.is_ipv6() {
        // The IPv4 side has a socket of its own.
        rustix::net::sockopt::set_ipv6_v6only(&socket, true)?;
    }
    if let Some(window) = usize::try_from(window).ok().filter(|window| *window > 0) {
        // Connections have what the listening socket has, if it was set before.
        rustix::net::sockopt::set_socket_send_buffer_size(&socket, window)?;
        rustix::net::sockopt::set_socket_recv_buffer_size(&socket, window)?;
    }
    rustix::net::bind(&socket, &address)?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(TcpListener::from(socket))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_is_the_one_that_was_asked_for() {
        let size = |window| {
            let listener = bind("127.0.0.1:0".parse().unwrap(), window).unwrap();
            rustix::net::sockopt::socket_recv_buffer_size(&listener).unwrap()
        };
        // Linux gives twice as much, for its own use.
        assert_eq!(size(20_000), 40_000);
        assert_ne!(size(0), 40_000);
        assert_eq!(size(-1), size(0));
    }

    #[test]
    fn a_port_in_use_is_named_with_its_service() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("main.cf"), "compatibility_level = 3.12\n").unwrap();
        std::fs::write(dir.path().join("master.cf"), format!("127.0.0.1:{port} inet n - n - - smtpd\n"))
            .unwrap();
        let configuration = Configuration::read(dir.path(), config::HostFacts::default()).unwrap();
        let log = Log::new(std::sync::Arc::new(maillog::Sink::discard()), "postfix", "master");
        let error = Listeners::default().bind(&configuration, &log).unwrap_err();
        assert!(error.contains("master.cf, line 1: service 127.0.0.1:"), "{error}");
        assert!(error.contains("another mail server is running there"), "{error}");
    }
}
