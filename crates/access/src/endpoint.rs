//! Where a helper of smtpd(8) listens: a policy service or a SASL server, `inet:host:port` or `unix:pathname`.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

/// A connection's both directions.
pub trait Wire: AsyncRead + AsyncWrite + Send + Sync + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Wire for T {}

/// A socket to connect to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// `host:port`.
    Inet(String),
    /// A UNIX-domain socket.
    Unix(PathBuf),
}

impl Endpoint {
    /// Reads `inet:host:port`, `inet:port` (this machine) or `unix:pathname`; a relative pathname is below `queue_directory`. `None`
    /// when it is neither.
    pub fn parse(text: &str, queue_directory: &Path) -> Option<Endpoint> {
        if let Some(path) = text.strip_prefix("unix:") {
            return (!path.is_empty()).then(|| Endpoint::Unix(queue_directory.join(path)));
        }
        let address = text.strip_prefix("inet:")?;
        let (host, port) = address.rsplit_once(':').unwrap_or(("", address));
        let host = if host.is_empty() { "localhost" } else { host };
        (!port.is_empty()).then(|| Endpoint::Inet(format!("{host}:{port}")))
    }

    /// Connects. The caller sets the time limit.
    pub async fn connect(&self) -> io::Result<Box<dyn Wire>> {
        Ok(match self {
            Endpoint::Inet(address) => {
                let stream = TcpStream::connect(address).await?;
                // Questions are small, and each waits for its answer.
                let _ = stream.set_nodelay(true);
                Box::new(stream)
            }
            Endpoint::Unix(path) => Box::new(UnixStream::connect(path).await?),
        })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Inet(address) => write!(f, "inet:{address}"),
            Endpoint::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        for (text, expected) in [
            ("inet:127.0.0.1:10031", Some("inet:127.0.0.1:10031")),
            ("inet:[::1]:10031", Some("inet:[::1]:10031")),
            ("inet:10031", Some("inet:localhost:10031")),
            ("unix:private/policy", Some("unix:/spool/private/policy")),
            ("unix:/run/policy", Some("unix:/run/policy")),
            ("inet:", None),
            ("unix:", None),
            ("private/policy", None),
            ("hash:x", None),
        ] {
            let endpoint = Endpoint::parse(text, Path::new("/spool"));
            assert_eq!(endpoint.map(|endpoint| endpoint.to_string()).as_deref(), expected, "{text}");
        }
    }
}
