//! HTTPS for the few things that mail needs of the Web: policies of MTA-STS (RFC 8461), reports of TLSRPT (RFC 8460), certificates
//! by ACME (RFC 8555). One request, one answer, both bounded; the certificate is always verified, and a redirect is an answer like
//! any other. Who asks has looked up the addresses: this crate knows no resolver.
#![forbid(unsafe_code)]

mod url;

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::pin::Pin;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST, HeaderMap, USER_AGENT};
use hyper_util::rt::TokioIo;
use openssl::ssl::{SslConnector, SslMethod, SslVersion};
use openssl::x509::store::X509StoreBuilder;
use openssl::x509::{X509, X509VerifyResult};
use tokio::net::TcpStream;
use tokio_openssl::SslStream;

pub use url::Url;

/// Header of an answer at most, in bytes.
const MOST_HEADER: usize = 64 * 1024;

/// How much patience there is with a server.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// For the whole exchange, from the connection to the last byte.
    pub time: Duration,
    /// Content of an answer at most, in bytes.
    pub body: usize,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Method {
    /// GET.
    Get,
    /// HEAD: an answer without content.
    Head,
    /// POST of some content.
    Post {
        /// `Content-Type:`
        kind: &'static str,
        /// The content.
        body: Vec<u8>,
    },
}

/// An answer, whatever its status.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status, from 100 to 999.
    pub status: u16,
    /// The content, never more than the limit.
    pub body: Vec<u8>,
    headers: HeaderMap,
}

impl Response {
    /// A line of the header; `None` where it is missing or not text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// All lines of this name.
    pub fn headers(&self, name: &str) -> impl Iterator<Item = &str> {
        self.headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok())
    }
}

/// Why there is no answer. The texts are for logs and reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No connection, no handshake, or it broke.
    Connection(String),
    /// The certificate is not one of this host that an authority vouches for.
    Certificate(String),
    /// What came is no HTTP.
    Protocol(String),
    /// More than the limit came.
    TooLarge,
    /// The time is over.
    TimedOut,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Failure::Connection(why) => write!(f, "no connection: {why}"),
            Failure::Certificate(why) => write!(f, "the certificate does not verify: {why}"),
            Failure::Protocol(why) => write!(f, "no answer in HTTP: {why}"),
            Failure::TooLarge => f.write_str("the answer is too large"),
            Failure::TimedOut => f.write_str("no answer in time"),
        }
    }
}

impl std::error::Error for Failure {}

/// Asks servers. Holds the authorities; share it.
pub struct Client {
    connector: SslConnector,
}

impl Client {
    /// Trusts the authorities of the system, or those in a PEM file in their place. Reads them now. The error does not name the file.
    pub fn new(authorities: Option<&Path>) -> Result<Client, String> {
        let failed = |error: openssl::error::ErrorStack| error.to_string();
        let mut builder = SslConnector::builder(SslMethod::tls_client()).map_err(failed)?;
        builder.set_min_proto_version(Some(SslVersion::TLS1_2)).map_err(failed)?;
        if let Some(file) = authorities {
            let pem = std::fs::read(file).map_err(|error| error.to_string())?;
            let found = X509::stack_from_pem(&pem).unwrap_or_default();
            if found.is_empty() {
                return Err("no certificate in PEM format".into());
            }
            let mut store = X509StoreBuilder::new().map_err(failed)?;
            for authority in found {
                store.add_cert(authority).map_err(failed)?;
            }
            builder.set_cert_store(store.build());
        }
        Ok(Client { connector: builder.build() })
    }

    /// One request to a server at one of these addresses; the next is tried only where no connection can be made.
    pub async fn ask(
        &self,
        url: &Url,
        addresses: &[IpAddr],
        method: Method,
        limits: Limits,
    ) -> Result<Response, Failure> {
        let exchange = self.exchange(url, addresses, method, limits.body);
        tokio::time::timeout(limits.time, exchange).await.unwrap_or(Err(Failure::TimedOut))
    }

    async fn exchange(
        &self,
        url: &Url,
        addresses: &[IpAddr],
        method: Method,
        most: usize,
    ) -> Result<Response, Failure> {
        let stream = self.shake(url, connect(url, addresses).await?).await?;
        let protocol = |error: hyper::Error| Failure::Protocol(reason(&error));
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(MOST_HEADER)
            .handshake::<_, Full<Bytes>>(TokioIo::new(stream))
            .await
            .map_err(protocol)?;
        let asked = async {
            let answer = sender.send_request(request(url, method)?).await.map_err(protocol)?;
            let (head, body) = answer.into_parts();
            let body = read(body, most).await?;
            Ok(Response { status: head.status.as_u16(), body, headers: head.headers })
        };
        // The connection does the work; when it is done first, the answer is there or never comes.
        tokio::pin!(asked);
        tokio::select! {
            answer = &mut asked => answer,
            ended = connection => match ended {
                Ok(()) => asked.await,
                Err(error) => asked.await.map_err(|_| protocol(error)),
            },
        }
    }

    async fn shake(&self, url: &Url, stream: TcpStream) -> Result<Pin<Box<SslStream<TcpStream>>>, Failure> {
        let library = |error: openssl::error::ErrorStack| Failure::Connection(error.to_string());
        let ssl = self.connector.configure().map_err(library)?.into_ssl(url.host()).map_err(library)?;
        let mut stream = Box::pin(SslStream::new(ssl, stream).map_err(library)?);
        match stream.as_mut().connect().await {
            Ok(()) => Ok(stream),
            Err(error) => Err(match stream.ssl().verify_result() {
                X509VerifyResult::OK => Failure::Connection(format!("{}: {error}", url.host())),
                verdict => Failure::Certificate(format!("{}: {}", url.host(), verdict.error_string())),
            }),
        }
    }
}

async fn connect(url: &Url, addresses: &[IpAddr]) -> Result<TcpStream, Failure> {
    let mut last = format!("{} has no address", url.host());
    for address in addresses {
        match TcpStream::connect(SocketAddr::new(*address, url.port())).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = format!("{}[{address}]:{}: {error}", url.host(), url.port()),
        }
    }
    Err(Failure::Connection(last))
}

fn request(url: &Url, method: Method) -> Result<hyper::Request<Full<Bytes>>, Failure> {
    let builder = hyper::Request::builder()
        .uri(url.target())
        .header(HOST, url.authority())
        .header(USER_AGENT, concat!("Mailclad/", env!("CARGO_PKG_VERSION")));
    let built = match method {
        Method::Get => builder.method("GET").body(Full::default()),
        Method::Head => builder.method("HEAD").body(Full::default()),
        Method::Post { kind, body } => {
            builder.method("POST").header(CONTENT_TYPE, kind).body(Full::new(body.into()))
        }
    };
    built.map_err(|error| Failure::Protocol(error.to_string()))
}

async fn read(mut body: Incoming, most: usize) -> Result<Vec<u8>, Failure> {
    let mut content = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Failure::Protocol(reason(&error)))?;
        if let Some(piece) = frame.data_ref() {
            if content.len() + piece.len() > most {
                return Err(Failure::TooLarge);
            }
            content.extend_from_slice(piece);
        }
    }
    Ok(content)
}

/// The error with what is behind it.
fn reason(error: &hyper::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
