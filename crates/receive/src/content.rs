//! The content of a message on its way in: in memory up to [`INLINE_BODY`] bytes, beyond that in a file of the queue's.
//!
//! Each byte is counted and goes into the checksum once, in pieces of up to [`CHUNK`] bytes. Content that is dropped before it was kept takes its file back.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use link::Request;
use link::message::INLINE_BODY;
use mail::{DataSize, QueueId};

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
    line_length: usize,
    data_size: DataSize,
    kept: bool,
}

/// Content that is complete.
pub(crate) struct Complete {
    /// Bytes.
    pub(crate) size: u64,
    /// CRC-32C.
    pub(crate) checksum: u32,
    /// As [`DataSize`] has it.
    pub(crate) data_size: u64,
    /// All of it, unless it is in the file.
    pub(crate) inline: Option<Vec<u8>>,
}

impl Content {
    /// Nothing yet. `line_length` is line_length_limit.
    pub(crate) fn new(id: QueueId, queue: Arc<QueueLink>, line_length: usize) -> Content {
        Content {
            id,
            queue,
            memory: Vec::new(),
            file: None,
            written: 0,
            checksum: 0,
            line_length,
            data_size: DataSize::new(line_length),
            kept: false,
        }
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
            return Ok(Complete {
                size: self.written,
                checksum: self.checksum,
                data_size: self.data_size.total(),
                inline: None,
            });
        }
        let bytes = std::mem::take(&mut self.memory);
        Ok(Complete {
            size: bytes.len() as u64,
            checksum: crc32c::crc32c(&bytes),
            data_size: DataSize::of(&bytes, self.line_length),
            inline: Some(bytes),
        })
    }

    // ---- what comes back for another look

    /// Brings everything to where it can be read and changed: all in memory, or all in the file. Gives the bytes there are.
    pub(crate) async fn gather(&mut self) -> Result<u64, NotKept> {
        if self.file.is_some() {
            self.write().await?;
            return Ok(self.written);
        }
        Ok(self.memory.len() as u64)
    }

    /// False while all is in memory.
    pub(crate) fn is_in_file(&self) -> bool {
        self.file.is_some()
    }

    /// Up to so many bytes of the file, from there on; fewer only at its end.
    pub(crate) async fn read_at(&self, at: u64, length: usize) -> Result<Vec<u8>, NotKept> {
        let Some(file) = self.file.clone() else { return Ok(Vec::new()) };
        self.on_disk("read", move || read_at(&file, at, length)).await
    }

    /// Writes behind everything that is in the file, which is made where there is none; gives the place. The bytes do not
    /// belong to the content before [`Content::rearrange`].
    pub(crate) async fn append_to_file(&mut self, bytes: Vec<u8>) -> Result<u64, NotKept> {
        let file = match &self.file {
            Some(file) => Arc::clone(file),
            None => Arc::clone(self.file.insert(Arc::new(self.queue.open_body(&self.id).await?))),
        };
        self.on_disk("write", move || {
            let end = file.metadata()?.len();
            file.write_all_at(&bytes, end).map(|()| end)
        })
        .await
    }

    /// Makes the content of the file `head` and then `length` bytes that are in it from `from` on; nothing else is left.
    pub(crate) async fn rearrange(&mut self, head: Vec<u8>, from: u64, length: u64) -> Result<(), NotKept> {
        let Some(file) = self.file.clone() else { return Ok(()) };
        let mut data_size = DataSize::new(self.line_length);
        let (written, checksum, data_size) = self
            .on_disk("write", move || {
                let to = head.len() as u64;
                move_within(&file, from, to, length)?;
                file.write_all_at(&head, 0)?;
                let end = to + length;
                file.set_len(end)?;
                let mut checksum = crc32c::crc32c(&head);
                data_size.add(&head);
                let mut at = to;
                while at < end {
                    let piece = read_at(&file, at, CHUNK.min(usize::try_from(end - at).unwrap_or(CHUNK)))?;
                    if piece.is_empty() {
                        return Err(std::io::ErrorKind::UnexpectedEof.into());
                    }
                    checksum = crc32c::crc32c_append(checksum, &piece);
                    data_size.add(&piece);
                    at += piece.len() as u64;
                }
                Ok((end, checksum, data_size))
            })
            .await?;
        self.memory.clear();
        self.written = written;
        self.checksum = checksum;
        self.data_size = data_size;
        Ok(())
    }

    async fn on_disk<T: Send + 'static>(
        &self,
        what: &str,
        work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
    ) -> Result<T, NotKept> {
        match tokio::task::spawn_blocking(work).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) if is_full(&error) => Err(NotKept::NoSpace),
            Ok(Err(error)) => Err(NotKept::Failed(format!("{what} the body of {}: {error}", self.id))),
            Err(error) => Err(NotKept::Failed(error.to_string())),
        }
    }

    /// The queue has taken the message: the file is no longer ours to take back.
    pub(crate) fn kept(mut self) {
        self.kept = true;
    }

    async fn write(&mut self) -> Result<(), NotKept> {
        let Some(file) = self.file.clone() else { return Ok(()) };
        let bytes = std::mem::take(&mut self.memory);
        self.written += bytes.len() as u64;
        let (checksum, mut data_size) = (self.checksum, self.data_size.clone());
        let done = tokio::task::spawn_blocking(move || {
            (&*file).write_all(&bytes)?;
            data_size.add(&bytes);
            Ok((crc32c::crc32c_append(checksum, &bytes), data_size, bytes))
        });
        match done.await {
            Ok(Ok((checksum, data_size, mut bytes))) => {
                bytes.clear();
                self.checksum = checksum;
                self.data_size = data_size;
                self.memory = bytes;
                Ok(())
            }
            Ok(Err(error)) if is_full(&error) => Err(NotKept::NoSpace),
            Ok(Err(error)) => Err(NotKept::Failed(format!("write the body of {}: {error}", self.id))),
            Err(error) => Err(NotKept::Failed(error.to_string())),
        }
    }
}

fn read_at(file: &File, at: u64, length: usize) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    let mut filled = 0;
    while filled < length {
        match file.read_at(&mut bytes[filled..], at + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

/// Moves bytes to another place of the same file; the places may overlap.
fn move_within(file: &File, from: u64, to: u64, length: u64) -> std::io::Result<()> {
    let piece = CHUNK as u64;
    let mut moved = 0;
    while from != to && moved < length {
        let count = piece.min(length - moved);
        // Towards the end of the file the last piece goes first, or it would be overwritten.
        let offset = if to > from { length - moved - count } else { moved };
        let bytes = read_at(file, from + offset, usize::try_from(count).unwrap_or(CHUNK))?;
        if (bytes.len() as u64) < count {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        file.write_all_at(&bytes, to + offset)?;
        moved += count;
    }
    Ok(())
}

fn is_full(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
}

impl Drop for Content {
    fn drop(&mut self) {
        if self.file.is_none() || self.kept {
            return;
        }
        let (queue, id) = (Arc::clone(&self.queue), self.id);
        // Outside a runtime the process ends, and the queue sweeps what no message names.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { queue.call(Request::DropBody { id }, Vec::new()).await });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_move_over_each_other() {
        let length = 3 * CHUNK + 5;
        let body: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
        for (from, to) in [(10, 0), (10, 10), (10, 17), (0, CHUNK + 1), (CHUNK + 1, 3)] {
            let file = tempfile::tempfile().unwrap();
            file.write_all_at(&body, from as u64).unwrap();
            move_within(&file, from as u64, to as u64, length as u64).unwrap();
            assert!(read_at(&file, to as u64, length).unwrap() == body, "from {from} to {to}");
        }
        let short = tempfile::tempfile().unwrap();
        assert!(move_within(&short, 10, 0, 1).is_err());
    }
}
