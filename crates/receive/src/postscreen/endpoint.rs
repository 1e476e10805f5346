//! Both ends of a client's connection: the socket's own, or what a proxy before us says (postscreen_upstream_proxy_protocol,
//! smtpd_upstream_proxy_protocol).

use std::net::SocketAddr;
use std::time::Duration;

use config::escape::escape;
use smtp::proxy_protocol::{self, Ends, Header, MAX_HEADER};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// Finds out who the client is. Of the connection exactly the proxy's header is read. The error is for the log.
pub(crate) async fn ends(stream: &mut TcpStream, proxy: Option<Duration>) -> Result<Ends, String> {
    let own = |stream: &TcpStream| -> std::io::Result<Ends> {
        Ok(Ends { client: stream.peer_addr()?, server: stream.local_addr()? })
    };
    let told = match proxy {
        None => None,
        Some(limit) => match tokio::time::timeout(limit, header(stream)).await {
            Ok(header) => header?.ends,
            Err(_elapsed) => return Err("haproxy read: time limit exceeded".into()),
        },
    };
    let ends = match told {
        Some(ends) => ends,
        None => own(stream).map_err(|error| format!("getpeername: {error} -- dropping this connection"))?,
    };
    let canonical = |end: SocketAddr| SocketAddr::new(end.ip().to_canonical(), end.port());
    Ok(Ends { client: canonical(ends.client), server: canonical(ends.server) })
}

/// Reads a header, whatever pieces it comes in.
async fn header(stream: &mut TcpStream) -> Result<Header, String> {
    let mut read = Vec::new();
    loop {
        let mut seen = [0; MAX_HEADER];
        let room = seen.len() - read.len();
        let count = stream.peek(&mut seen[..room]).await.map_err(|error| format!("haproxy read: {error}"))?;
        if count == 0 {
            return Err("haproxy read: EOF".into());
        }
        let before = read.len();
        read.extend_from_slice(&seen[..count]);
        let header =
            proxy_protocol::parse(&read).map_err(|why| format!("haproxy read: {why}: {}", escape(&read)))?;
        // What is not the header's stays for the client's own session.
        let ours = header.map_or(count, |header| header.length - before);
        stream.read_exact(&mut seen[..ours]).await.map_err(|error| format!("haproxy read: {error}"))?;
        if let Some(header) = header {
            return Ok(header);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    use super::*;

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        client.set_nodelay(true).unwrap();
        (client, listener.accept().await.unwrap().0)
    }

    const LONG: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn the_header_and_nothing_else_is_read() {
        let (mut client, mut server) = pair().await;
        let header = b"PROXY TCP4 192.0.2.1 198.51.100.1 5000 25\r\nEHLO x\r\n";
        let write = async {
            for piece in header.chunks(7) {
                client.write_all(piece).await.unwrap();
                tokio::task::yield_now().await;
            }
        };
        let (ends, ()) = tokio::join!(ends(&mut server, Some(LONG)), write);
        let ends = ends.unwrap();
        assert_eq!(ends.client, "192.0.2.1:5000".parse().unwrap());
        assert_eq!(ends.server, "198.51.100.1:25".parse().unwrap());
        let mut rest = [0; 8];
        server.read_exact(&mut rest).await.unwrap();
        assert_eq!(&rest, b"EHLO x\r\n");
    }

    #[tokio::test]
    async fn without_a_header_nobody_gets_in() {
        for (sent, expected) in [
            (&b"EHLO x\r\n"[..], "haproxy read: unrecognized protocol header: EHLO x\\r\\n"),
            (&[b'P'; 1000], "haproxy read: unrecognized protocol header: P"),
            (b"PROXY TCP4 \xff", "haproxy read: EOF"),
            (b"", "haproxy read: EOF"),
        ] {
            let (mut client, mut server) = pair().await;
            client.write_all(sent).await.unwrap();
            client.shutdown().await.unwrap();
            let error = ends(&mut server, Some(LONG)).await.unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
        let (_client, mut server) = pair().await;
        let error = ends(&mut server, Some(Duration::from_millis(1))).await.unwrap_err();
        assert_eq!(error, "haproxy read: time limit exceeded");
        assert_eq!(ends(&mut server, None).await.unwrap().client, server.peer_addr().unwrap());
    }
}
