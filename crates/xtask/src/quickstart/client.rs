//! A small SMTP client (RFC 5321) that sends one message over STARTTLS (RFC 3207) and insists on a certificate that is
//! right: issued by the private authority, for the name of the server.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use openssl::ssl::{SslConnector, SslMethod, SslStream, SslVersion};

use super::configuration::HOST;

/// For one read or write.
const PATIENCE: Duration = Duration::from_secs(30);

/// Most lines in one reply.
const MOST_LINES: usize = 100;

/// What the handshake proved, and what the server said to the message.
#[derive(Debug)]
pub(crate) struct Sent {
    /// `TLSv1.3`.
    pub(crate) protocol: String,
    /// Name of the cipher suite.
    pub(crate) cipher: String,
    /// Bits of the cipher.
    pub(crate) bits: i32,
    /// Common name of the certificate's issuer.
    pub(crate) issuer: String,
    /// The reply to the end of the message.
    pub(crate) reply: String,
}

/// Sends a message over a connection that was just made.
pub(crate) fn send(
    plain: TcpStream,
    authority: &Path,
    sender: &str,
    recipient: &str,
    message: &str,
) -> Result<Sent, String> {
    for timeout in [plain.set_read_timeout(Some(PATIENCE)), plain.set_write_timeout(Some(PATIENCE))] {
        timeout.map_err(|error| error.to_string())?;
    }
    let mut session = Session { stream: BufReader::new(plain) };
    session.expect("220", None)?;
    session.expect("250", Some("EHLO visitor.quickstart.test"))?;
    session.expect("220", Some("STARTTLS"))?;
    // Whatever the peer sent behind its reply is not TLS, and no part of what follows.
    let mut session = Session { stream: BufReader::new(secure(session.stream.into_inner(), authority)?) };
    session.expect("250", Some("EHLO visitor.quickstart.test"))?;
    session.expect("250", Some(&format!("MAIL FROM:<{sender}>")))?;
    session.expect("250", Some(&format!("RCPT TO:<{recipient}>")))?;
    session.expect("354", Some("DATA"))?;
    let reply = session.expect("250", Some(&format!("{}\r\n.", message.replace('\n', "\r\n"))))?;
    session.expect("221", Some("QUIT"))?;
    facts(session.stream.get_ref(), reply)
}

/// The handshake. The library checks the chain and the name, and ends the connection if they are wrong.
fn secure(plain: TcpStream, authority: &Path) -> Result<SslStream<TcpStream>, String> {
    let connector = || -> Result<SslConnector, openssl::error::ErrorStack> {
        let mut builder = SslConnector::builder(SslMethod::tls_client())?;
        builder.set_ca_file(authority)?;
        builder.set_min_proto_version(Some(SslVersion::TLS1_2))?;
        Ok(builder.build())
    };
    let connector = connector().map_err(|error| error.to_string())?;
    connector.connect(HOST, plain).map_err(|error| format!("TLS: {error}"))
}

fn facts(stream: &SslStream<TcpStream>, reply: String) -> Result<Sent, String> {
    let ssl = stream.ssl();
    let cipher = ssl.current_cipher().ok_or("TLS: no cipher")?;
    let certificate = ssl.peer_certificate().ok_or("TLS: no certificate")?;
    let issuer = certificate.issuer_name().entries_by_nid(openssl::nid::Nid::COMMONNAME).next();
    let issuer = issuer.and_then(|name| name.data().to_string().ok()).unwrap_or_default();
    Ok(Sent {
        protocol: ssl.version_str().to_owned(),
        cipher: cipher.name().to_owned(),
        bits: cipher.bits().secret,
        issuer,
        reply,
    })
}

struct Session<S> {
    stream: BufReader<S>,
}

impl<S: Read + Write> Session<S> {
    /// Says a line, or nothing, and reads the reply. Its last line without the line end.
    fn expect(&mut self, code: &str, line: Option<&str>) -> Result<String, String> {
        let said = line.and_then(|line| line.lines().next_back()).unwrap_or("the connection");
        if let Some(line) = line {
            let stream = self.stream.get_mut();
            stream.write_all(format!("{line}\r\n").as_bytes()).map_err(|error| format!("{said}: {error}"))?;
        }
        for _ in 0..MOST_LINES {
            let mut reply = String::new();
            // RFC 5321 section 4.5.3.1.5: a reply line has 512 octets at most.
            let read = self.stream.by_ref().take(512).read_line(&mut reply);
            read.map_err(|error| format!("after {said}: {error}"))?;
            let reply = reply.trim_end();
            match (reply.starts_with(code), reply.as_bytes().get(3)) {
                (true, Some(b'-')) => {}
                (true, _) => return Ok(reply.to_owned()),
                (false, _) => return Err(format!("{said} was answered with: {reply}")),
            }
        }
        Err(format!("{said} was answered with more than {MOST_LINES} lines"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads from one buffer, writes to another.
    struct Peer {
        says: std::io::Cursor<Vec<u8>>,
        hears: Vec<u8>,
    }

    impl Read for Peer {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            self.says.read(buffer)
        }
    }

    impl Write for Peer {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.hears.write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn replies() {
        for (says, expected, reason) in [
            ("250 Ok\r\n", Ok("250 Ok"), "one line"),
            ("250-one\r\n250-two\r\n250 three\r\n", Ok("250 three"), "the last of several lines"),
            ("250\r\n", Ok("250"), "no text"),
            (
                "554 5.7.1 Relay access denied\r\n",
                Err("RCPT was answered with: 554 5.7.1 Relay access denied"),
                "refused",
            ),
            ("", Err("RCPT was answered with: "), "closed"),
        ] {
            let peer = Peer { says: std::io::Cursor::new(says.into()), hears: Vec::new() };
            let mut session = Session { stream: BufReader::new(peer) };
            let found = session.expect("250", Some("RCPT"));
            assert_eq!(found.as_deref().map_err(String::as_str), expected, "{reason}");
            assert_eq!(session.stream.get_ref().hears, b"RCPT\r\n", "{reason}");
        }
        let endless =
            Peer { says: std::io::Cursor::new("250-x\r\n".repeat(MOST_LINES + 1).into()), hears: Vec::new() };
        assert!(
            Session { stream: BufReader::new(endless) }.expect("250", None).is_err(),
            "a reply without end"
        );
    }
}
