//! The connection behind a handshake.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use openssl::ssl::SslRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_openssl::SslStream;

use crate::dump::Shown;
use crate::{journal, problem};

/// A connection through TLS. What the library finds wrong with it, or the peer by an alert, is logged as `TLS library problem`: the
/// alert that a certificate is missing, for one, comes behind the handshake in TLS 1.3 (RFC 8446 section 4.4.2.4).
pub struct Secured<S>(SslStream<Shown<S>>);

impl<S> Secured<S> {
    pub(crate) fn new(stream: SslStream<Shown<S>>) -> Secured<S> {
        Secured(stream)
    }

    /// What the library knows of it.
    pub fn ssl(&self) -> &SslRef {
        self.0.ssl()
    }

    /// The connection below TLS.
    pub fn get_ref(&self) -> &S {
        self.0.get_ref().get_ref()
    }

    fn told<T>(&self, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if let Poll::Ready(Err(error)) = &result
            && let Some(journal) = journal::of(self.ssl())
        {
            problem::lines_of(error).iter().for_each(|line| journal.warning(line));
        }
        result
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Secured<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.0).poll_read(cx, buf);
        self.told(result)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Secured<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.0).poll_write(cx, buf);
        self.told(result)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.0).poll_flush(cx);
        self.told(result)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A farewell that does not arrive harms nobody.
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
