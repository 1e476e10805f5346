//! The load: SMTP clients over plain TCP, STARTTLS or wrapper mode, many at a time in one process. Does what smtp-source(1) does, and TLS.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use openssl::ssl::{Ssl, SslContext, SslMethod, SslMode, SslSessionCacheMode, SslVerifyMode, SslVersion};
use tls::KeptSession;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_openssl::SslStream;

/// How a session is secured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tls {
    /// The only version that is offered.
    pub(crate) version: SslVersion,
    /// Whether sessions are resumed; the first ones are full.
    pub(crate) resumes: bool,
    /// TLS from the first byte, in the place of STARTTLS.
    pub(crate) wrapper: bool,
}

/// What one run does.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub(crate) server: SocketAddr,
    pub(crate) tls: Option<Tls>,
    /// Sessions at a time.
    pub(crate) clients: usize,
    /// Sessions in all.
    pub(crate) sessions: usize,
    /// Messages in each session.
    pub(crate) messages: usize,
    /// Bytes of a message.
    pub(crate) size: usize,
    pub(crate) recipient: String,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Done {
    pub(crate) elapsed: Duration,
    /// Sessions whose TLS session was resumed.
    pub(crate) resumed: usize,
}

/// Runs all of it. The error is the first that a session met: a server that refuses anything is not measured.
pub(crate) async fn run(load: &Load) -> Result<Done, String> {
    let shared = Arc::new(Shared {
        context: context(load.tls).map_err(|error| error.to_string())?,
        session: Mutex::new(None),
        next: AtomicUsize::new(0),
        resumed: AtomicUsize::new(0),
        message: message(load.size),
    });
    if load.tls.is_some_and(|tls| tls.resumes) {
        // A session to be resumed, before the clock runs.
        let first = Load { sessions: 1, messages: 0, ..load.clone() };
        session(&first, &shared).await.map_err(|error| format!("first session: {error}"))?;
        shared.resumed.store(0, Ordering::Relaxed);
    }
    let began = Instant::now();
    let clients: Vec<_> = (0..load.clients)
        .map(|_| {
            let (load, shared) = (load.clone(), Arc::clone(&shared));
            tokio::spawn(async move {
                while shared.next.fetch_add(1, Ordering::Relaxed) < load.sessions {
                    session(&load, &shared).await.map_err(|error| error.to_string())?;
                }
                Ok::<(), String>(())
            })
        })
        .collect();
    for client in clients {
        client.await.map_err(|error| error.to_string())??;
    }
    Ok(Done { elapsed: began.elapsed(), resumed: shared.resumed.load(Ordering::Relaxed) })
}

/// Sessions in TLS that say EHLO and then nothing, held open.
pub(crate) async fn idle(load: &Load, count: usize) -> Result<Vec<Stream>, String> {
    let shared = Shared {
        context: context(load.tls).map_err(|error| error.to_string())?,
        session: Mutex::new(None),
        next: AtomicUsize::new(0),
        resumed: AtomicUsize::new(0),
        message: Vec::new(),
    };
    let mut held = Vec::with_capacity(count);
    for _ in 0..count {
        held.push(open(load, &shared).await.map_err(|error| error.to_string())?);
    }
    Ok(held)
}

struct Shared {
    context: Option<SslContext>,
    session: Mutex<Option<KeptSession>>,
    next: AtomicUsize,
    resumed: AtomicUsize,
    message: Vec<u8>,
}

/// Lines of text, and the dot.
fn message(size: usize) -> Vec<u8> {
    const LINE: &[u8] = b"0123456789 0123456789 0123456789 0123456789 0123456789 0123456789\r\n";
    let mut message = b"From: <load@client.test>\r\nSubject: load\r\n\r\n".to_vec();
    while message.len() + LINE.len() < size {
        message.extend_from_slice(LINE);
    }
    message.extend_from_slice(b".\r\n");
    message
}

fn context(tls: Option<Tls>) -> Result<Option<SslContext>, openssl::error::ErrorStack> {
    let Some(tls) = tls else { return Ok(None) };
    let mut builder = SslContext::builder(SslMethod::tls_client())?;
    // The server is measured, not this client's trust in it.
    builder.set_verify(SslVerifyMode::NONE);
    builder.set_min_proto_version(Some(tls.version))?;
    builder.set_max_proto_version(Some(tls.version))?;
    builder.set_mode(SslMode::RELEASE_BUFFERS);
    builder.set_session_cache_mode(SslSessionCacheMode::CLIENT | SslSessionCacheMode::NO_INTERNAL);
    Ok(Some(builder.build()))
}

/// A connection.
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Pin<Box<SslStream<TcpStream>>>),
}

async fn session(load: &Load, shared: &Shared) -> io::Result<()> {
    match open(load, shared).await? {
        Stream::Plain(mut stream) => dialogue(&mut stream, load, &shared.message).await,
        Stream::Tls(mut stream) => {
            dialogue(&mut stream, load, &shared.message).await?;
            if stream.ssl().session_reused() {
                shared.resumed.fetch_add(1, Ordering::Relaxed);
            }
            // A TLS 1.3 ticket has arrived by now, with the replies. A session that was resumed may have brought none.
            if load.tls.is_some_and(|tls| tls.resumes) {
                let mut kept = shared.session.lock().unwrap_or_else(PoisonError::into_inner);
                if kept.is_none() {
                    *kept = KeptSession::of(stream.ssl());
                }
            }
            // Without close_notify the server would forget the session.
            let _ = stream.shutdown().await;
            Ok(())
        }
    }
}

/// Up to the reply to EHLO, within TLS where that is asked for.
async fn open(load: &Load, shared: &Shared) -> io::Result<Stream> {
    let mut stream = TcpStream::connect(load.server).await?;
    stream.set_nodelay(true)?;
    let (Some(context), Some(tls)) = (&shared.context, load.tls) else {
        expect(&mut stream, b'2').await?;
        say(&mut stream, b"EHLO client.test\r\n", b'2').await?;
        return Ok(Stream::Plain(stream));
    };
    if !tls.wrapper {
        expect(&mut stream, b'2').await?;
        say(&mut stream, b"EHLO client.test\r\n", b'2').await?;
        say(&mut stream, b"STARTTLS\r\n", b'2').await?;
    }
    let mut ssl = Ssl::new(context)?;
    if tls.resumes
        && let Some(session) = &*shared.session.lock().unwrap_or_else(PoisonError::into_inner)
    {
        session.offer(&mut ssl);
    }
    let mut stream = Box::pin(SslStream::new(ssl, stream)?);
    stream.as_mut().connect().await.map_err(io::Error::other)?;
    if tls.wrapper {
        expect(&mut stream, b'2').await?;
    }
    say(&mut stream, b"EHLO client.test\r\n", b'2').await?;
    Ok(Stream::Tls(stream))
}

async fn dialogue<S>(stream: &mut S, load: &Load, message: &[u8]) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    for _ in 0..load.messages {
        let envelope = format!("MAIL FROM:<load@client.test>\r\nRCPT TO:<{}>\r\nDATA\r\n", load.recipient);
        stream.write_all(envelope.as_bytes()).await?;
        stream.flush().await?;
        let mut replies = Replies::default();
        for class in [b'2', b'2', b'3'] {
            replies.expect(stream, class).await?;
        }
        stream.write_all(message).await?;
        stream.flush().await?;
        replies.expect(stream, b'2').await?;
    }
    say(stream, b"QUIT\r\n", b'2').await
}

async fn say<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, command: &[u8], class: u8) -> io::Result<()> {
    stream.write_all(command).await?;
    stream.flush().await?;
    expect(stream, class).await
}

async fn expect<S: AsyncRead + Unpin>(stream: &mut S, class: u8) -> io::Result<()> {
    Replies::default().expect(stream, class).await
}

/// Replies that may come together.
#[derive(Default)]
struct Replies {
    text: Vec<u8>,
    at: usize,
}

impl Replies {
    /// The next whole reply, which must be of this class.
    async fn expect<S: AsyncRead + Unpin>(&mut self, stream: &mut S, class: u8) -> io::Result<()> {
        loop {
            while let Some(length) = self.text[self.at..].iter().position(|byte| *byte == b'\n') {
                let line = &self.text[self.at..self.at + length];
                self.at += length + 1;
                if line.get(3) == Some(&b' ') {
                    return match line.first() == Some(&class) {
                        true => Ok(()),
                        false => Err(io::Error::other(String::from_utf8_lossy(line).into_owned())),
                    };
                }
            }
            if stream.read_buf(&mut self.text).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}
