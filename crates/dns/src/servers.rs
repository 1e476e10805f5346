//! The name servers to ask: over UDP, over TCP when an answer was cut short, one after another.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use domain::base::iana::Rcode;
use domain::base::{Message, MessageBuilder, Name};
use domain::net::client::protocol::{TcpConnect, UdpConnect};
use domain::net::client::request::{RequestMessage, SendRequest};
use domain::net::client::{dgram, dgram_stream, multi_stream, stream};

use crate::failure::Failure;
use crate::record::Type;

type Request = RequestMessage<Vec<u8>>;
type Connection = dgram_stream::Connection<UdpConnect, Request>;

/// resolv.conf's own bounds: more servers are not asked, whatever the file says.
const MAX_SERVERS: usize = 3;
const MAX_ATTEMPTS: u32 = 5;

/// Domains that names are searched in at most, as in the C library.
const MAX_SEARCH: usize = 6;

/// Servers and how to ask them.
pub(crate) struct Servers {
    connections: Vec<Connection>,
    timeout: Duration,
    attempts: u32,
    rotate: bool,
    turn: AtomicUsize,
    /// `search`, or else `domain`.
    pub(crate) search: Vec<String>,
}

impl Servers {
    fn new(addresses: &[SocketAddr], timeout: Duration, attempts: u32, rotate: bool) -> Self {
        let connections =
            addresses.iter().take(MAX_SERVERS).map(|&server| connect(server, timeout)).collect();
        Servers {
            connections,
            timeout,
            attempts: attempts.clamp(1, MAX_ATTEMPTS),
            rotate,
            turn: AtomicUsize::new(0),
            search: Vec::new(),
        }
    }

    fn from_file(path: &Path) -> Self {
        let text = std::fs::read(path).unwrap_or_default();
        // Lines that can not be read are skipped, as the C library does.
        let (config, _) = resolv_conf::Config::parse_with_errors(&text);
        let mut addresses = with_ports(&text);
        if addresses.is_empty() || !config.nameservers.is_empty() {
            let plain = config.get_nameservers_or_local().into_iter();
            addresses.extend(plain.map(|server| SocketAddr::new(IpAddr::from(server), 53)));
        }
        let timeout = Duration::from_secs(u64::from(config.timeout.clamp(1, 30)));
        let search = config.get_last_search_or_domain().take(MAX_SEARCH).cloned().collect();
        Servers { search, ..Servers::new(&addresses, timeout, config.attempts, config.rotate) }
    }

    /// Asks until a server knows. NXDOMAIN is an answer here; everything else that is none is `TryAgain`.
    pub(crate) async fn ask(
        &self,
        name: &Name<Vec<u8>>,
        kind: Type,
        dnssec: bool,
    ) -> Result<Message<Bytes>, Failure> {
        let request = request(name, kind, dnssec)?;
        let first = if self.rotate { self.turn.fetch_add(1, Ordering::Relaxed) } else { 0 };
        for _ in 0..self.attempts {
            for n in 0..self.connections.len() {
                let connection = &self.connections[(first + n) % self.connections.len()];
                let mut pending = connection.send_request(request.clone());
                // Twice the time for one server: the answer over UDP may send us to TCP.
                let reply = tokio::time::timeout(self.timeout * 2, pending.get_response()).await;
                if let Ok(Ok(reply)) = reply
                    && matches!(reply.header().rcode(), Rcode::NOERROR | Rcode::NXDOMAIN)
                    && !reply.header().tc()
                {
                    return Ok(reply);
                }
            }
        }
        Err(Failure::TryAgain)
    }
}

/// Lines `nameserver [address]:port`, which OpenBSD has.
fn with_ports(text: &[u8]) -> Vec<SocketAddr> {
    let text = String::from_utf8_lossy(text);
    text.lines()
        .filter_map(|line| {
            let (address, port) =
                line.trim().strip_prefix("nameserver")?.trim().strip_prefix('[')?.split_once("]:")?;
            Some(SocketAddr::new(address.parse().ok()?, port.parse().ok()?))
        })
        .collect()
}

fn connect(server: SocketAddr, timeout: Duration) -> Connection {
    let mut udp = dgram::Config::new();
    udp.set_read_timeout(timeout);
    // The rounds over all servers are ours.
    udp.set_max_retries(1);
    udp.set_udp_payload_size(Some(1232));
    let mut tcp = stream::Config::new();
    tcp.set_response_timeout(timeout);
    let config = dgram_stream::Config::from_parts(udp, multi_stream::Config::from(tcp));
    let (connection, transport) =
        dgram_stream::Connection::with_config(UdpConnect::new(server), TcpConnect::new(server), config);
    // Ends when the connection is dropped.
    tokio::spawn(transport.run());
    connection
}

fn request(name: &Name<Vec<u8>>, kind: Type, dnssec: bool) -> Result<Request, Failure> {
    let mut message = MessageBuilder::new_vec();
    message.header_mut().set_rd(true);
    // RFC 6840 section 5.7: asks for the AD bit in the reply without the weight of signatures.
    message.header_mut().set_ad(true);
    let mut message = message.question();
    message.push((name, kind.rtype())).map_err(|_| Failure::BadName)?;
    let mut request = RequestMessage::new(message).map_err(|_| Failure::BadName)?;
    if dnssec {
        use domain::net::client::request::ComposeRequest;
        request.set_dnssec_ok(true);
    }
    Ok(request)
}

/// Where the servers come from.
pub(crate) enum Source {
    /// Always these.
    Fixed(Vec<SocketAddr>),
    /// A resolv.conf, read again when it changed.
    File(PathBuf),
}

/// Servers, and the age of the file that named them.
type Made = (Option<SystemTime>, Arc<Servers>);

/// The servers in use.
pub(crate) struct Current {
    source: Source,
    state: Mutex<Option<Made>>,
}

impl Current {
    pub(crate) fn new(source: Source) -> Self {
        Current { source, state: Mutex::new(None) }
    }

    /// The servers, and true when they are not the ones of the call before. Connections are made here, on first use,
    /// because they need a running runtime.
    pub(crate) fn servers(&self) -> (Arc<Servers>, bool) {
        let modified = match &self.source {
            Source::Fixed(_) => None,
            Source::File(path) => std::fs::metadata(path).and_then(|meta| meta.modified()).ok(),
        };
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((seen, servers)) = &*state
            && *seen == modified
        {
            return (Arc::clone(servers), false);
        }
        let servers = Arc::new(match &self.source {
            Source::Fixed(addresses) => Servers::new(addresses, Duration::from_secs(5), 2, false),
            Source::File(path) => Servers::from_file(path),
        });
        *state = Some((modified, Arc::clone(&servers)));
        (servers, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_at_other_ports() {
        for (text, expected) in [
            ("nameserver [127.0.0.1]:5353\nnameserver  [::1]:54\n", &["127.0.0.1:5353", "[::1]:54"][..]),
            ("nameserver 127.0.0.1\n#nameserver [127.0.0.1]:5353\nnameserver [x]:53\n", &[]),
        ] {
            let found: Vec<_> = with_ports(text.as_bytes()).iter().map(SocketAddr::to_string).collect();
            assert_eq!(found, expected, "{text}");
        }
    }
}
