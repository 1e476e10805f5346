//! Connecting to a server, over TCP or a UNIX-domain socket.

use std::io;
use std::net::{IpAddr, SocketAddr};

use config::{Settings, list, params};
use mail::{Outcome, Status};
use tokio::net::{TcpSocket, TcpStream, UnixStream};

use crate::servers::Server;
use crate::service::Service;
use crate::session::Stream;

/// Where connections come from (postconf(5), smtp_bind_address).
pub(crate) struct Bind {
    v4: Option<IpAddr>,
    v6: Option<IpAddr>,
    /// smtp_bind_address_enforce
    enforced: bool,
}

impl Bind {
    /// Without an own setting the one address that inet_interfaces names, unless it is a loopback address. `own`: the addresses of
    /// inet_interfaces.
    pub(crate) fn of(settings: &Settings, own: &[IpAddr]) -> Result<Bind, String> {
        let all = list::split(settings.get(params::inet_interfaces)).contains(&"all");
        let only = |v6: bool| {
            let mut family = own.iter().filter(|address| address.is_ipv6() == v6);
            match (family.next(), family.next()) {
                (Some(one), None) if !all && !one.is_loopback() => Some(*one),
                _ => None,
            }
        };
        let read = |name: &str, text: &str, v6: bool| match text {
            "" => Ok(only(v6)),
            text => text
                .parse::<IpAddr>()
                .ok()
                .filter(|address| address.is_ipv6() == v6)
                .map(Some)
                .ok_or_else(|| format!("{name} = {text}: no IPv{} address", if v6 { 6 } else { 4 })),
        };
        Ok(Bind {
            v4: read("smtp_bind_address", settings.client(params::smtp_bind_address), false)?,
            v6: read("smtp_bind_address6", settings.client(params::smtp_bind_address6), true)?,
            enforced: settings.client(params::smtp_bind_address_enforce),
        })
    }

    fn address_for(&self, server: SocketAddr) -> Option<IpAddr> {
        if server.is_ipv6() { self.v6 } else { self.v4 }
    }
}

/// Connects over TCP. Gives our own address of the connection too.
pub(crate) async fn to_server(
    service: &Service,
    server: &Server,
) -> Result<(Box<dyn Stream>, Option<IpAddr>), Outcome> {
    let socket = match server.address.is_ipv6() {
        true => TcpSocket::new_v6(),
        false => TcpSocket::new_v4(),
    };
    let socket = match socket {
        Ok(socket) => socket,
        Err(error) => return Err(failed(server, &reason(&error))),
    };
    if service.window > 0 {
        // Before the connection, or the window is not told to the server. A size that the system does not give is no reason to fail.
        let _ = socket.set_send_buffer_size(service.window);
        let _ = socket.set_recv_buffer_size(service.window);
    }
    if let Some(address) = service.bind.address_for(server.address)
        && let Err(error) = socket.bind(SocketAddr::new(address, 0))
    {
        maillog::warning!(service.log, "smtp_connect_addr: bind {address}: {}", reason(&error));
        if service.bind.enforced {
            let text = "server configuration error";
            return Err(Outcome::deferred(Status::new(4, 4, 0), "none", text));
        }
    }
    let connecting = tokio::time::timeout(service.connect_timeout, socket.connect(server.address)).await;
    match connecting {
        Ok(Ok(stream)) => {
            // A command and its answer cross at once: waiting to fill packets would only add delay.
            let _ = TcpStream::set_nodelay(&stream, true);
            let own = stream.local_addr().ok().map(|address| address.ip());
            Ok((Box::new(stream), own))
        }
        Ok(Err(error)) => Err(failed(server, &reason(&error))),
        Err(_elapsed) => Err(failed(server, "Connection timed out")),
    }
}

fn failed(server: &Server, why: &str) -> Outcome {
    let (host, address) = (server.host.trim_end_matches('.'), server.address);
    let text = format!("connect to {host}[{}]:{}: {why}", address.ip(), address.port());
    Outcome::deferred(Status::new(4, 4, 1), "none", text)
}

/// Connects to a UNIX-domain socket.
pub(crate) async fn to_socket(service: &Service, path: &str) -> Result<Box<dyn Stream>, Outcome> {
    // Relative to the queue directory, as for Postfix's chrooted clients.
    let full = match path.starts_with('/') {
        true => path.to_owned(),
        false => format!("{}/{path}", service.queue_directory),
    };
    let connecting = tokio::time::timeout(service.connect_timeout, UnixStream::connect(&full)).await;
    let why = match connecting {
        Ok(Ok(stream)) => return Ok(Box::new(stream)),
        Ok(Err(error)) => reason(&error),
        Err(_elapsed) => "Connection timed out".to_owned(),
    };
    let text = format!("connect to {}[{path}]: {why}", service.hostname);
    Err(Outcome::deferred(Status::new(4, 4, 1), "none", text))
}

/// The system's words without the number that Rust adds.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use config::{HostFacts, MainCf};

    use super::*;

    #[test]
    fn where_connections_come_from() {
        let addresses = |text: &[&str]| text.iter().map(|one| one.parse().unwrap()).collect::<Vec<IpAddr>>();
        for (main_cf, own, expected) in [
            ("", &["192.0.2.1"][..], Some("")),
            ("inet_interfaces = 192.0.2.1\n", &["192.0.2.1"], Some("192.0.2.1")),
            ("inet_interfaces = 192.0.2.1, 192.0.2.2\n", &["192.0.2.1", "192.0.2.2"], Some("")),
            ("inet_interfaces = 127.0.0.1\n", &["127.0.0.1"], Some("")),
            ("smtp_bind_address = 192.0.2.9\n", &["192.0.2.1"], Some("192.0.2.9")),
            ("smtp_bind_address = 2001:db8::1\n", &[], None),
            ("smtp_bind_address = mx.test\n", &[], None),
        ] {
            let text = format!("compatibility_level = 3.12\n{main_cf}");
            let main = MainCf::parse("main.cf", text.as_bytes()).unwrap();
            let host = HostFacts { hostname: "me.test".into(), ..HostFacts::default() };
            let settings = Settings::load(&main, &[], &host).unwrap();
            let found = Bind::of(&settings, &addresses(own)).ok();
            let shown = found.map(|bind| bind.v4.map_or_else(String::new, |address| address.to_string()));
            assert_eq!(shown.as_deref(), expected, "{main_cf}");
        }
    }
}
