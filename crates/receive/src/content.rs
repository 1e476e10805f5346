//! The content of a message on its way in: in memory up to [`INLINE_BODY`] bytes, beyond that in a file of the queue's.
//!
//! Each byte is counted and goes into the checksum once, in pieces of up to [`CHUNK`] bytes; nothing is walked line by line
//! here. Content that is dropped before it was kept takes its file back.

use std::fs::File;
use std::io::Write;
use std::sync::Arc;

use link::Request;
use link::message::INLINE_BODY;
use mail::QueueId;

use crate::queue_link::{NotKept, QueueLink};

/// Bytes that are written to the file at once.
const CHUNK: usize = 256 * 1024;

/// Content that is being collected.
pub(crate) struct Content {
    id: QueueId,
    queue: Arc<QueueLink>,
    memory: Vec<u8>,
    file: Option<Arc<File>>,
    written: u64,
    checksum: u32,
    kept: bool,
}

/// Content that is complete.
pub(crate) struct Complete {
    /// Bytes.
    pub(crate) size: u64,
    /// CRC-32C.
    pub(crate) checksum: u32,
    /// All of it, unless it is in the file.
    pub(crate) inline: Option<Vec<u8>>,
}

impl Content {
    /// Nothing yet.
    pub(crate) fn new(id: QueueId, queue: Arc<QueueLink>) -> Content {
        Content { id, queue, memory: Vec::new(), file: None, written: 0, checksum: 0, kept: false }
    }

    /// Where content is appended. Call [`Content::settle`] after each piece: that bounds the memory.
    pub(crate) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.memory
    }

    /// Moves what is too much for the memory to the file.
    pub(crate) async fn settle(&mut self) -> Result<(), NotKept> {
        if self.file.is_none() {
            if self.memory.len() <= INLINE_BODY {
                return Ok(());
            }
            self.file = Some(Arc::new(self.queue.open_body(&self.id).await?));
        }
        if self.memory.len() >= CHUNK { self.write().await } else { Ok(()) }
    }

    /// Ends the content.
    pub(crate) async fn complete(&mut self) -> Result<Complete, NotKept> {
        if self.file.is_some() {
            self.write().await?;
            return Ok(Complete { size: self.written, checksum: self.checksum, inline: None });
        }
        let bytes = std::mem::take(&mut self.memory);
        Ok(Complete { size: bytes.len() as u64, checksum: crc32c::crc32c(&bytes), inline: Some(bytes) })
    }

    /// The queue has taken the message: the file is no longer ours to take back.
    pub(crate) fn kept(mut self) {
        self.kept = true;
    }

    async fn write(&mut self) -> Result<(), NotKept> {
        let Some(file) = self.file.clone() else { return Ok(()) };
        let bytes = std::mem::take(&mut self.memory);
        self.written += bytes.len() as u64;
        let checksum = self.checksum;
        let done = tokio::task::spawn_blocking(move || {
            (&*file).write_all(&bytes).map(|()| (crc32c::crc32c_append(checksum, &bytes), bytes))
        });
        match done.await {
            Ok(Ok((checksum, mut bytes))) => {
                bytes.clear();
                self.checksum = checksum;
                self.memory = bytes;
                Ok(())
            }
            Ok(Err(error)) if is_full(&error) => Err(NotKept::NoSpace),
            Ok(Err(error)) => Err(NotKept::Failed(format!("write the body of {}: {error}", self.id))),
            Err(error) => Err(NotKept::Failed(error.to_string())),
        }
    }
}

fn is_full(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
}

impl Drop for Content {
    fn drop(&mut self) {
        if self.file.is_none() || self.kept {
            return;
        }
        let (queue, id) = (Arc::clone(&self.queue), self.id.clone());
        // Outside a runtime the process ends, and the queue sweeps what no message names.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { queue.call(Request::DropBody { id }, Vec::new()).await });
        }
    }
}
