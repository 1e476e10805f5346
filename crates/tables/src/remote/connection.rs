//! A connection that is kept from one lookup to the next, and made again when the server has closed it meanwhile.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Mutex;

/// Sending the question and reading the answer may take this long; the limit of Postfix's clients.
const PATIENCE: Duration = Duration::from_secs(100);

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// `host:port`.
    Inet(String),
    /// A path.
    Unix(String),
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

type Open = BufReader<Box<dyn Stream>>;

/// How an answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// With a line end, which is taken off (LF, or CR LF).
    Line,
    /// As a netstring: length, colon, bytes, comma. What is inside is the answer.
    Netstring,
    /// As memcached's `get`: `END`, or `VALUE key flags bytes`, the bytes, `END`. The bytes are the answer; an empty one
    /// with `END` alone is told by `None`.
    Value,
}

/// One server, asked one question at a time.
pub(crate) struct Connection {
    endpoint: Endpoint,
    ending: Ending,
    /// Most bytes of an answer.
    limit: usize,
    kept: Mutex<Option<Open>>,
}

impl Connection {
    pub(crate) fn new(endpoint: Endpoint, ending: Ending, limit: usize) -> Connection {
        Connection { endpoint, ending, limit, kept: Mutex::new(None) }
    }

    /// Asks. A connection that was kept may have died since: then once more, on a new one. The error says what went wrong.
    pub(crate) async fn ask(&self, question: &[u8]) -> Result<Option<Vec<u8>>, String> {
        let mut kept = self.kept.lock().await;
        if let Some(mut stream) = kept.take()
            && let Ok(answer) = self.exchange(&mut stream, question).await
        {
            *kept = Some(stream);
            return Ok(answer);
        }
        let asking = async {
            let mut stream = self.connect().await?;
            let answer = self.exchange(&mut stream, question).await?;
            Ok((stream, answer))
        };
        match asking.await {
            Ok((stream, answer)) => {
                *kept = Some(stream);
                Ok(answer)
            }
            Err(error) => Err(format!("{}: {}", self.endpoint, crate::watched::os_text(&error))),
        }
    }

    async fn connect(&self) -> io::Result<Open> {
        let connecting = async {
            let stream: Box<dyn Stream> = match &self.endpoint {
                Endpoint::Inet(address) => {
                    let stream = TcpStream::connect(address).await?;
                    let _ = stream.set_nodelay(true);
                    Box::new(stream)
                }
                Endpoint::Unix(path) => Box::new(UnixStream::connect(path).await?),
            };
            Ok::<Open, io::Error>(BufReader::new(stream))
        };
        within(connecting).await
    }

    async fn exchange(&self, stream: &mut Open, question: &[u8]) -> io::Result<Option<Vec<u8>>> {
        within(async {
            stream.write_all(question).await?;
            stream.flush().await?;
            match self.ending {
                Ending::Line => self.line(stream).await.map(Some),
                Ending::Netstring => self.netstring(stream).await.map(Some),
                Ending::Value => self.value(stream).await,
            }
        })
        .await
    }

    async fn line(&self, stream: &mut Open) -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        stream.take(self.limit as u64).read_until(b'\n', &mut line).await?;
        match line.pop() {
            Some(b'\n') => {
                if line.last() == Some(&b'\r') {
                    line.pop();
                }
                Ok(line)
            }
            Some(_) if line.len() + 1 >= self.limit => Err(io::Error::other("the answer is too long")),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    async fn netstring(&self, stream: &mut Open) -> io::Result<Vec<u8>> {
        let mut length = Vec::new();
        stream.take(12).read_until(b':', &mut length).await?;
        let bad = || io::Error::other("the answer is no netstring");
        let digits = length.strip_suffix(b":").ok_or_else(bad)?;
        let length: usize =
            std::str::from_utf8(digits).ok().and_then(|text| text.parse().ok()).ok_or_else(bad)?;
        if length > self.limit {
            return Err(io::Error::other("the answer is too long"));
        }
        let mut bytes = vec![0; length + 1];
        stream.read_exact(&mut bytes).await?;
        if bytes.pop() != Some(b',') {
            return Err(bad());
        }
        Ok(bytes)
    }

    async fn value(&self, stream: &mut Open) -> io::Result<Option<Vec<u8>>> {
        let first = self.line(stream).await?;
        if first == b"END" {
            return Ok(None);
        }
        let text = String::from_utf8_lossy(&first).into_owned();
        let words: Vec<&str> = text.split(' ').collect();
        let ["VALUE", _, _, length] = words.as_slice() else {
            return Err(io::Error::other(format!("unexpected answer: {text}")));
        };
        let length: usize = length.parse().map_err(|_| io::Error::other("bad length in an answer"))?;
        if length > self.limit {
            return Err(io::Error::other("the answer is too long"));
        }
        let mut bytes = vec![0; length + 2];
        stream.read_exact(&mut bytes).await?;
        bytes.truncate(length);
        match self.line(stream).await?.as_slice() {
            b"END" => Ok(Some(bytes)),
            _ => Err(io::Error::other("an answer without an end")),
        }
    }
}

async fn within<T>(work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(PATIENCE, work).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Endpoint::Inet(address) => write!(f, "{address}"),
            Endpoint::Unix(path) => write!(f, "unix:{path}"),
        }
    }
}
