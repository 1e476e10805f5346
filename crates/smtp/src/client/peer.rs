//! The server at the other end, as texts and log lines name it.

use std::fmt;

/// One server that was connected to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Peer {
    /// Its name, or the address literal or socket path where there is none.
    pub host: String,
    /// Its address as text, or the socket path.
    pub address: String,
    /// The TCP port; `None` for UNIX-domain sockets.
    pub port: Option<u16>,
}

impl Peer {
    /// `HOST[ADDR]:PORT`: the `relay=` of log lines.
    pub fn relay(&self) -> String {
        match self.port {
            Some(port) => format!("{self}:{port}"),
            None => self.to_string(),
        }
    }
}

impl fmt::Display for Peer {
    /// `HOST[ADDR]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]", self.host, self.address)
    }
}
