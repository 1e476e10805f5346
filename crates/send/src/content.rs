//! The content of a message on its way out: read in large pieces, and made 7-bit where a server takes nothing else.

use std::io;
use std::sync::Arc;

use mail::BodyType;
use mail::mime;
use smtp::client::Message;

use crate::service::Service;

/// The content of a message, with LF line ends.
#[derive(Clone)]
pub(crate) enum Content {
    /// In memory.
    Bytes(Arc<[u8]>),
    /// An open file, read by position.
    File(Arc<std::fs::File>),
}

/// Bytes of content read from a file at a time.
pub(crate) const CHUNK: usize = 256 * 1024;

/// Is a server without 8BITMIME one that we may convert the message for?
pub(crate) fn may_become_seven_bit(service: &Service, message: &Message) -> bool {
    service.converts && !message.envelope.purpose.is_probe() && message.envelope.body != BodyType::SevenBit
}

/// Is this an 8-bit message that we may convert? What was declared counts, or else what its header says.
pub(crate) async fn must_become_seven_bit(service: &Service, message: &Message, content: &Content) -> bool {
    if !may_become_seven_bit(service, message) {
        return false;
    }
    if message.envelope.body == BodyType::EightBitMime {
        return true;
    }
    if !service.detects_eight_bit {
        return false;
    }
    // Headers are far smaller than a piece.
    let Ok(beginning) = content.piece(0).await else { return false };
    let mut structure = mime::Structure::new(service.mime);
    let mut eight_bit = false;
    structure.feed(&beginning, &mut |event| {
        if let mime::Event::HeaderEnd(mime::Class::Primary, entity) = event {
            eight_bit = entity.encoding.is_eight_bit();
        }
    });
    eight_bit
}

impl Content {
    /// How many bytes its first piece may have.
    pub(crate) fn first_piece(&self) -> usize {
        match self {
            Content::Bytes(bytes) => bytes.len().min(CHUNK),
            Content::File(_) => CHUNK,
        }
    }

    /// What begins at a position: [`CHUNK`] bytes, or fewer at the end.
    pub(crate) async fn piece(&self, position: u64) -> io::Result<Vec<u8>> {
        match self {
            Content::Bytes(bytes) => {
                let start = usize::try_from(position).unwrap_or(usize::MAX).min(bytes.len());
                let end = start.saturating_add(CHUNK).min(bytes.len());
                Ok(bytes[start..end].to_vec())
            }
            Content::File(file) => {
                let file = Arc::clone(file);
                let read = tokio::task::spawn_blocking(move || {
                    use std::os::unix::fs::FileExt;
                    let mut piece = vec![0; CHUNK];
                    let mut filled = 0;
                    while filled < CHUNK {
                        match file.read_at(&mut piece[filled..], position + filled as u64) {
                            Ok(0) => break,
                            Ok(n) => filled += n,
                            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                            Err(error) => return Err(error),
                        }
                    }
                    piece.truncate(filled);
                    Ok(piece)
                });
                read.await.unwrap_or_else(|_| Err(io::Error::other("reading was cut short")))
            }
        }
    }
}
