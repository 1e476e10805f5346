//! A server that takes every message and keeps none, in TLS: what a relay sends to.

use std::net::SocketAddr;
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
    /// Listens on a port of this machine's own.
    pub(crate) async fn start(key_pem: &str, certificate_pem: &str) -> Result<Sink, String> {
        let context = context(key_pem, certificate_pem).map_err(|error| error.to_string())?;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(|error| error.to_string())?;
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

fn context(key_pem: &str, certificate_pem: &str) -> Result<SslContext, openssl::error::ErrorStack> {
    let mut builder = SslContext::builder(SslMethod::tls_server())?;
    builder.set_private_key(&*PKey::private_key_from_pem(key_pem.as_bytes())?)?;
    let mut chain = X509::stack_from_pem(certificate_pem.as_bytes())?.into_iter();
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
