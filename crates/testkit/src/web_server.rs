//! A Web server on 127.0.0.1 that speaks HTTPS and answers as a function says: for MTA-STS policies, TLSRPT reports, ACME.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use openssl::ssl::{SslAcceptor, SslMethod};
use openssl::x509::X509;

use crate::authority::Issued;

/// What a client asked.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// `GET`, `POST`.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Lines of the header, names in lower case.
    pub headers: HashMap<String, String>,
    /// The content.
    pub body: Vec<u8>,
}

/// What it is told.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Lines of the header beside Content-Length and Connection.
    pub headers: Vec<(String, String)>,
    /// The content.
    pub body: Vec<u8>,
}

impl Answer {
    /// An answer with a content and nothing else.
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Answer {
        Answer { status, headers: Vec::new(), body: body.into() }
    }

    /// One more line in the header.
    pub fn with(mut self, name: &str, value: &str) -> Answer {
        self.headers.push((name.into(), value.into()));
        self
    }
}

/// The server. It ends with this value.
pub struct WebServer {
    /// Where it listens.
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    stopping: Arc<AtomicBool>,
}

impl WebServer {
    /// Starts a server with a certificate. Each connection has a thread and serves one request.
    pub fn start(issued: &Issued, respond: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> WebServer {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls()).unwrap();
        acceptor.set_certificate(&X509::from_pem(issued.certificate_pem.as_bytes()).unwrap()).unwrap();
        let key = openssl::pkey::PKey::private_key_from_pem(issued.key_pem.as_bytes()).unwrap();
        acceptor.set_private_key(&key).unwrap();
        let server = WebServer { address, asked: Arc::default(), stopping: Arc::default() };
        let (asked, stopping) = (Arc::clone(&server.asked), Arc::clone(&server.stopping));
        let shared = Arc::new((acceptor.build(), respond));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if stopping.load(Ordering::SeqCst) {
                    return;
                }
                let (shared, asked) = (Arc::clone(&shared), Arc::clone(&asked));
                std::thread::spawn(move || {
                    // A client that leaves early ends its own exchange only.
                    let _ = serve(stream, &shared.0, &shared.1, &asked);
                });
            }
        });
        server
    }

    /// The requests so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for WebServer {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(
    stream: TcpStream,
    acceptor: &SslAcceptor,
    respond: &impl Fn(&Asked) -> Answer,
    kept: &Mutex<Vec<Asked>>,
) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let stream = acceptor.accept(stream).map_err(std::io::Error::other)?;
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let mut asked = Asked {
        method: words.next().unwrap_or_default(),
        target: words.next().unwrap_or_default(),
        ..Asked::default()
    };
    loop {
        line.clear();
        if stream.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':') {
            asked.headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
    }
    let length = asked.headers.get("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    asked.body = vec![0; length];
    stream.read_exact(&mut asked.body)?;
    let answer = respond(&asked);
    let head = asked.method == "HEAD";
    kept.lock().unwrap_or_else(PoisonError::into_inner).push(asked);
    let mut text = format!("HTTP/1.1 {} Said\r\nConnection: close\r\n", answer.status);
    if !head {
        text.push_str(&format!("Content-Length: {}\r\n", answer.body.len()));
    }
    for (name, value) in &answer.headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    let stream = stream.get_mut();
    stream.write_all(text.as_bytes())?;
    if !head {
        stream.write_all(&answer.body)?;
    }
    stream.flush()?;
    let _ = stream.shutdown();
    Ok(())
}
