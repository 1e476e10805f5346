//! The bytes of a session: read through smtp_reply_filter, written within their time, and the end of the connection.

use std::io;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use smtp::client::Stage;
use tables::{Key, Lookup};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::session::Driver;

/// How long the end of a connection may take: where it is waited for, and where it is not.
const FAREWELL: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(1));

impl Driver<'_> {
    /// Reads once. With smtp_reply_filter the table sees each line first.
    pub(crate) async fn read(&mut self, input: &mut BytesMut) -> io::Result<usize> {
        let filter = &self.job.service.reply_filter;
        if filter.is_empty() {
            return self.stream.read_buf(input).await;
        }
        self.unfiltered.reserve(4096);
        let count = self.stream.read_buf(&mut self.unfiltered).await?;
        while let Some(end) = memchr::memchr(b'\n', &self.unfiltered) {
            let line = self.unfiltered.split_to(end + 1);
            let text = String::from_utf8_lossy(&line);
            match filter.find(text.trim_end_matches(['\r', '\n']), Key::Full).await {
                Lookup::Absent => input.extend_from_slice(&line),
                Lookup::Found(other) => {
                    let (relay, text) = (self.job.peer.relay(), text.trim_end());
                    maillog::info!(
                        self.job.log,
                        "{relay}: replacing server reply \"{text}\" with \"{other}\""
                    );
                    input.extend_from_slice(format!("{other}\r\n").as_bytes());
                }
                Lookup::Failed(why) => return Err(io::Error::other(why)),
            }
        }
        // No reply has lines of that length: the session will say so.
        if self.unfiltered.len() > self.job.options.line_length_limit {
            input.extend_from_slice(&self.unfiltered.split());
        }
        Ok(count)
    }

    /// The end of the connection: close_notify, so that the session can be resumed. What the server still says is read, or its end of
    /// the connection would be reset with our last words on the way; the delivery waits for that only without
    /// tls_fast_shutdown_enable.
    pub(crate) async fn hang_up(&mut self) {
        let waits = self.in_tls && !self.job.service.fast_shutdown && !self.lost;
        let mut stream = std::mem::replace(&mut self.stream, Box::new(tokio::io::empty()));
        let limit = if waits { FAREWELL.0 } else { FAREWELL.1 };
        let farewell = tokio::spawn(tokio::time::timeout(limit, async move {
            stream.shutdown().await?;
            while stream.read(&mut [0; 512]).await? > 0 {}
            Ok::<(), io::Error>(())
        }));
        if waits {
            let _ = farewell.await;
        }
    }

    pub(crate) async fn send(&mut self, bytes: &[u8], stage: Stage) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let mut limit = self.job.service.time_limit(stage);
        if let (Some(rate), Stage::Body) = (self.job.service.deadlines, stage) {
            // Each piece may take as long as the least rate needs for it; what is left from pieces before counts too.
            let now = Instant::now();
            let more = Duration::from_secs_f64(bytes.len() as f64 / f64::from(rate.max(1)));
            let until = self.deadline.unwrap_or(now + limit) + more;
            self.deadline = Some(until);
            limit = until.saturating_duration_since(now);
        }
        let write = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        tokio::time::timeout(limit, write).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }
}
