//! A client's connection: bytes in and out, in plaintext or through TLS, each wait bounded.

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use tls::channel_binding::{Bindings, Bound};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long and how much a client that we hang up on may still say, so that our last reply is not lost by a reset.
const FAREWELL: (Duration, usize) = (Duration::from_secs(1), 256 * 1024);

/// What a TLS stream can do.
pub(crate) trait Secured: AsyncRead + AsyncWrite + Bound + Send + Sync + Unpin {}
impl<T: AsyncRead + AsyncWrite + Bound + Send + Sync + Unpin> Secured for T {}

/// One connection.
pub(crate) enum Connection {
    /// Nothing protects it.
    Plain(TcpStream),
    /// Behind a handshake.
    Secured(Box<dyn Secured>),
    /// A handshake failed: there is nothing left to talk over.
    Gone,
}

/// Why there is no input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoInput {
    /// The time is over.
    Timeout,
    /// The client is gone.
    Lost,
}

impl Connection {
    /// Reads once, at least one byte.
    pub(crate) async fn read(&mut self, input: &mut BytesMut, limit: Duration) -> Result<(), NoInput> {
        let read = async {
            match self {
                Connection::Plain(stream) => stream.read_buf(input).await,
                Connection::Secured(stream) => stream.read_buf(input).await,
                Connection::Gone => Ok(0),
            }
        };
        match timeout(limit, read).await {
            Ok(Ok(0) | Err(_)) => Err(NoInput::Lost),
            Ok(Ok(_)) => Ok(()),
            Err(_elapsed) => Err(NoInput::Timeout),
        }
    }

    /// What a login can be tied to; `None` without TLS.
    pub(crate) fn bindings(&self) -> Option<Bindings> {
        match self {
            Connection::Secured(stream) => Some(stream.bindings()),
            Connection::Plain(_) | Connection::Gone => None,
        }
    }

    /// Reads what is there already, without waiting.
    pub(crate) fn read_now(&mut self, input: &mut BytesMut) {
        if let Connection::Plain(stream) = self {
            // Nothing there, or an error that the next read will find again.
            let _ = stream.try_read_buf(input);
        }
    }

    /// Writes everything and empties the buffer.
    pub(crate) async fn write(&mut self, output: &mut Vec<u8>, limit: Duration) -> Result<(), NoInput> {
        if output.is_empty() {
            return Ok(());
        }
        let write = async {
            match self {
                Connection::Plain(stream) => stream.write_all(output).await,
                Connection::Secured(stream) => {
                    stream.write_all(output).await?;
                    stream.flush().await
                }
                Connection::Gone => Err(io::ErrorKind::NotConnected.into()),
            }
        };
        let written = timeout(limit, write).await;
        output.clear();
        match written {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(NoInput::Lost),
            Err(_elapsed) => Err(NoInput::Timeout),
        }
    }

    /// Says good-bye: TLS's own way first, then TCP's. Input that the client has under way is read and thrown away.
    pub(crate) async fn close(self) {
        self.close_within(None).await;
    }

    /// As [`Connection::close`], waiting longer for the client's side of TLS's farewell.
    pub(crate) async fn close_within(self, slow: Option<Duration>) {
        let limit = match self {
            Connection::Secured(_) => slow.unwrap_or(FAREWELL.0),
            Connection::Plain(_) | Connection::Gone => FAREWELL.0,
        };
        let farewell = async {
            match self {
                Connection::Plain(mut stream) => {
                    stream.shutdown().await?;
                    drain(&mut stream).await
                }
                Connection::Secured(mut stream) => {
                    stream.shutdown().await?;
                    drain(&mut *stream).await
                }
                Connection::Gone => Ok(()),
            }
        };
        // A client that does not listen any more misses nothing.
        let _ = timeout(limit, farewell).await;
    }
}

async fn drain(stream: &mut (impl AsyncRead + Unpin + ?Sized)) -> io::Result<()> {
    let mut thrown_away = [0; 4096];
    let mut total = 0;
    while total < FAREWELL.1 {
        match stream.read(&mut thrown_away).await? {
            0 => break,
            count => total += count,
        }
    }
    Ok(())
}
