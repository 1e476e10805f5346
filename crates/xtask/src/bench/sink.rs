//! A server that takes every message and keeps none, with STARTTLS: what a relay sends to, and, as a process of its own, the least that
//! a server can do with sessions.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use openssl::pkey::PKey;
use openssl::ssl::{Ssl, SslContext, SslMethod};
use openssl::x509::X509;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufStream};
use tokio::net::{TcpListener, TcpStream};
use tokio_openssl::SslStream;

/// A listening sink; it ends with its runtime.
pub(crate) struct Sink {
    pub(crate) address: SocketAddr,
    /// Messages taken.
    pub(crate) taken: Arc<AtomicUsize>,
}

impl Sink {
    /// Listens; with port 0 on one that is free. `identity` is a key and its certificates, as PEM.
    pub(crate) async fn start(listen: SocketAddr, identity: &[u8]) -> Result<Sink, String> {
        let context = context(identity).map_err(|error| error.to_string())?;
        let listener = TcpListener::bind(listen).await.map_err(|error| format!("{listen}: {error}"))?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let taken = Arc::new(AtomicUsize::new(0));
        tokio::spawn({
            let taken = Arc::clone(&taken);
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    let _ = stream.set_nodelay(true);
                    let (context, taken) = (context.clone(), Arc::clone(&taken));
                    tokio::spawn(async move {
                        // A client that breaks off is no matter of the sink.
                        let _ = serve(stream, &context, &taken).await;
                    });
                }
            }
        });
        Ok(Sink { address, taken })
    }
}

/// Sinks in a process of their own, one for each identity; it ends when it is dropped.
pub(crate) struct Process {
    child: Child,
    pub(crate) addresses: Vec<SocketAddr>,
}

impl Process {
    /// This program's `sink`.
    pub(crate) fn start(identities: &[&Path]) -> Result<Process, String> {
        let own = std::env::current_exe().map_err(|error| error.to_string())?;
        let mut command = Command::new(own);
        command.arg("sink").stdout(Stdio::piped());
        for identity in identities {
            command.arg("--identity").arg(identity);
        }
        let mut child = command.spawn().map_err(|error| format!("sink: {error}"))?;
        let stdout = child.stdout.take();
        let mut process = Process { child, addresses: Vec::new() };
        for line in
            stdout.into_iter().flat_map(|stdout| BufReader::new(stdout).lines()).take(identities.len())
        {
            let line = line.map_err(|error| format!("sink: {error}"))?;
            process.addresses.push(line.parse().map_err(|_| format!("sink: {line}"))?);
        }
        match process.addresses.len() == identities.len() {
            true => Ok(process),
            false => Err("the sink does not start".into()),
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn context(identity: &[u8]) -> Result<SslContext, openssl::error::ErrorStack> {
    let mut builder = SslContext::builder(SslMethod::tls_server())?;
    builder.set_private_key(&*PKey::private_key_from_pem(identity)?)?;
    builder.set_read_ahead(true);
    builder.set_num_tickets(1)?;
    let mut chain = X509::stack_from_pem(identity)?.into_iter();
    if let Some(own) = chain.next() {
        builder.set_certificate(&own)?;
    }
    for issuer in chain {
        builder.add_extra_chain_cert(issuer)?;
    }
    builder.set_session_id_context(b"sink")?;
    Ok(builder.build())
}

async fn serve(stream: TcpStream, context: &SslContext, taken: &AtomicUsize) -> std::io::Result<()> {
    let mut plain = BufStream::new(stream);
    plain.write_all(b"220 sink ESMTP\r\n").await?;
    if !dialogue(&mut plain, false, taken).await? {
        return Ok(());
    }
    let mut secured = Box::pin(SslStream::new(Ssl::new(context)?, plain.into_inner())?);
    secured.as_mut().accept().await.map_err(std::io::Error::other)?;
    dialogue(&mut BufStream::new(secured), true, taken).await.map(|_| ())
}

/// True when the client wants TLS.
async fn dialogue<S>(
    stream: &mut BufStream<S>,
    is_secured: bool,
    taken: &AtomicUsize,
) -> std::io::Result<bool>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut line = Vec::new();
    loop {
        line.clear();
        stream.flush().await?;
        if stream.read_until(b'\n', &mut line).await? == 0 {
            return Ok(false);
        }
        let verb: Vec<u8> = line.iter().take(4).map(u8::to_ascii_uppercase).collect();
        let reply: &[u8] = match verb.as_slice() {
            b"EHLO" if is_secured => b"250-sink\r\n250-PIPELINING\r\n250 8BITMIME\r\n",
            b"EHLO" => b"250-sink\r\n250-PIPELINING\r\n250-STARTTLS\r\n250 8BITMIME\r\n",
            b"STAR" if !is_secured => {
                stream.write_all(b"220 2.0.0 Ready to start TLS\r\n").await?;
                stream.flush().await?;
                return Ok(true);
            }
            b"DATA" => {
                stream.write_all(b"354 go on\r\n").await?;
                stream.flush().await?;
                while line != b".\r\n" {
                    line.clear();
                    if stream.read_until(b'\n', &mut line).await? == 0 {
                        return Ok(false);
                    }
                }
                taken.fetch_add(1, Ordering::Relaxed);
                b"250 2.0.0 taken\r\n"
            }
            b"QUIT" => {
                stream.write_all(b"221 2.0.0 Bye\r\n").await?;
                stream.flush().await?;
                return Ok(false);
            }
            _ => b"250 2.0.0 Ok\r\n",
        };
        stream.write_all(reply).await?;
    }
}
