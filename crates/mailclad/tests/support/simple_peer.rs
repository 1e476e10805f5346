//! A mail server with a certificate, which takes everything and writes down what it hears, in the clear and inside TLS.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)] // as in mod.rs

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Read, Result, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use openssl::ssl::{SslAcceptor, SslMethod};
use openssl::x509::X509;
use testkit::authority::Issued;

/// The server; it runs as long as the test.
pub struct Peer {
    /// Lines heard in the clear, as `> EHLO ...`, with what belongs to the content of messages.
    pub clear: Arc<Mutex<Vec<String>>>,
    /// Lines heard inside TLS.
    pub secured: Arc<Mutex<Vec<String>>>,
}

impl Peer {
    /// Listens at an address of loopback. Without a certificate STARTTLS is not offered. `inside`: further lines of the EHLO reply inside
    /// TLS, such as `250-REQUIRETLS`, each with CR LF.
    pub fn start(address: &str, port: u16, issued: Option<&Issued>, inside: &str) -> Peer {
        let listener = TcpListener::bind((address, port)).unwrap();
        let peer = Peer { clear: Arc::default(), secured: Arc::default() };
        let acceptor = issued.map(|issued| {
            let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls()).unwrap();
            acceptor.set_certificate(&X509::from_pem(issued.certificate_pem.as_bytes()).unwrap()).unwrap();
            let key = openssl::pkey::PKey::private_key_from_pem(issued.key_pem.as_bytes()).unwrap();
            acceptor.set_private_key(&key).unwrap();
            acceptor.build()
        });
        let (clear, secured, inside) =
            (Arc::clone(&peer.clear), Arc::clone(&peer.secured), inside.to_owned());
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                // A client that leaves early ends its own session only.
                let _ = serve(stream, acceptor.as_ref(), &inside, &clear, &secured);
            }
        });
        peer
    }

    /// Did this come in the clear?
    pub fn heard_in_the_clear(&self, part: &str) -> bool {
        self.clear.lock().unwrap().iter().any(|line| line.contains(part))
    }

    /// The first line inside TLS with this beginning.
    pub fn line(&self, beginning: &str) -> Option<String> {
        self.secured.lock().unwrap().iter().find(|line| line.starts_with(beginning)).cloned()
    }
}

fn serve(
    stream: TcpStream,
    acceptor: Option<&SslAcceptor>,
    inside: &str,
    clear: &Mutex<Vec<String>>,
    secured: &Mutex<Vec<String>>,
) -> Result<()> {
    stream.set_read_timeout(Some(super::PATIENCE))?;
    (&stream).write_all(b"220 peer.test ESMTP\r\n")?;
    let offer = if acceptor.is_some() { "250-STARTTLS\r\n" } else { "" };
    if talk(BufReader::new(&stream), &stream, offer, clear)?
        && let Some(acceptor) = acceptor
    {
        let Ok(stream) = acceptor.accept(stream) else { return Ok(()) };
        let stream = RefCell::new(stream);
        talk(BufReader::new(Shared(&stream)), Shared(&stream), inside, secured)?;
    }
    Ok(())
}

/// Answers until the client leaves. True: it asked for TLS.
fn talk(
    mut input: impl BufRead,
    mut output: impl Write,
    offer: &str,
    heard: &Mutex<Vec<String>>,
) -> Result<bool> {
    let (mut in_data, mut line) = (false, String::new());
    while {
        line.clear();
        input.read_line(&mut line)? > 0
    } {
        heard.lock().unwrap().push(line.trim_end().to_owned());
        let verb = line.split_ascii_whitespace().next().unwrap_or_default().to_ascii_uppercase();
        let reply = match verb.as_str() {
            "." if in_data => {
                in_data = false;
                "250 2.0.0 Ok: queued as PEER\r\n".to_owned()
            }
            _ if in_data => continue,
            "EHLO" => format!("250-peer.test\r\n{offer}250-DSN\r\n250 8BITMIME\r\n"),
            "STARTTLS" => {
                output.write_all(b"220 2.0.0 Ready\r\n")?;
                return Ok(true);
            }
            "DATA" => {
                in_data = true;
                "354 go on\r\n".into()
            }
            "QUIT" => {
                output.write_all(b"221 2.0.0 Bye\r\n")?;
                return Ok(false);
            }
            _ => "250 2.0.0 Ok\r\n".into(),
        };
        output.write_all(reply.as_bytes())?;
    }
    Ok(false)
}

/// Reads and writes the same stream.
struct Shared<'a, S>(&'a RefCell<S>);

impl<S: Read> Read for Shared<'_, S> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        self.0.borrow_mut().read(buffer)
    }
}

impl<S: Write> Write for Shared<'_, S> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> Result<()> {
        self.0.borrow_mut().flush()
    }
}
