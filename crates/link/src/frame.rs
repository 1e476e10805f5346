//! Frames on a UNIX stream socket: a four-byte little-endian length, a byte with the number of descriptors, then the
//! encoded message. Descriptors travel as SCM_RIGHTS beside the first byte of their frame.
//!
//! The kernel never lets one recvmsg(2) run past the bytes that carried descriptors, so descriptors arrive in the order
//! of the frames that announced them; [`Decoder`] relies on that and on nothing else.

use std::collections::VecDeque;
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use bytes::{Buf, BytesMut};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags,
};
use serde::{Serialize, de::DeserializeOwned};

/// Longest frame accepted, in bytes. A page of a listing, or a message of [`crate::message::INLINE_BODY`] with a hundred thousand
/// recipients, stays below it.
pub const MAX_FRAME: usize = 64 * 1024 * 1024;

/// Most descriptors beside one frame.
pub const MAX_DESCRIPTORS: usize = 4;

const HEADER: usize = 5;

/// What is wrong with a frame. Each of them closes the link that it came over.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The socket failed.
    #[error("socket: {0}")]
    Io(#[from] std::io::Error),
    /// Longer than [`MAX_FRAME`].
    #[error("frame of {0} bytes is over the limit")]
    TooLong(usize),
    /// More descriptors than [`MAX_DESCRIPTORS`], or fewer came than were announced.
    #[error("a frame without its descriptors")]
    Descriptors,
    /// Bytes that are no message.
    #[error("not a message: {0}")]
    Garbled(#[from] postcard::Error),
    /// The other end closed the socket.
    #[error("closed by the other end")]
    Closed,
}

impl From<rustix::io::Errno> for FrameError {
    fn from(errno: rustix::io::Errno) -> Self {
        FrameError::Io(errno.into())
    }
}

/// Appends one frame to `out`.
pub(crate) fn encode<T: Serialize>(
    message: &T,
    descriptors: usize,
    out: &mut Vec<u8>,
) -> Result<(), FrameError> {
    if descriptors > MAX_DESCRIPTORS {
        return Err(FrameError::Descriptors);
    }
    let start = out.len();
    out.extend_from_slice(&[0; HEADER]);
    let mut encoded = postcard::to_extend(message, std::mem::take(out))?;
    let length = encoded.len() - start - HEADER;
    if length > MAX_FRAME {
        encoded.truncate(start);
        *out = encoded;
        return Err(FrameError::TooLong(length));
    }
    encoded[start..start + 4].copy_from_slice(&(length as u32).to_le_bytes());
    encoded[start + 4] = descriptors as u8;
    *out = encoded;
    Ok(())
}

/// Puts frames together from what a socket gives.
#[derive(Default)]
pub(crate) struct Decoder {
    bytes: BytesMut,
    descriptors: VecDeque<OwnedFd>,
    /// Where the socket's bytes arrive; made once, because clearing so much memory costs more than most frames do.
    landing: Vec<u8>,
}

impl Decoder {
    /// The next whole message with its descriptors; `None` when more bytes are needed.
    pub(crate) fn next<T: DeserializeOwned>(&mut self) -> Result<Option<(T, Vec<OwnedFd>)>, FrameError> {
        let Some(header) = self.bytes.first_chunk::<HEADER>() else { return Ok(None) };
        let length = u32::from_le_bytes([header[0], header[1], header[2], header[3]]) as usize;
        let count = usize::from(header[4]);
        if length > MAX_FRAME {
            return Err(FrameError::TooLong(length));
        }
        if count > MAX_DESCRIPTORS {
            return Err(FrameError::Descriptors);
        }
        if self.bytes.len() < HEADER + length {
            self.bytes.reserve(HEADER + length - self.bytes.len());
            return Ok(None);
        }
        if self.descriptors.len() < count {
            return Err(FrameError::Descriptors);
        }
        let message = postcard::from_bytes(&self.bytes[HEADER..HEADER + length])?;
        self.bytes.advance(HEADER + length);
        Ok(Some((message, self.descriptors.drain(..count).collect())))
    }

    /// One recvmsg(2). Gives the number of bytes, 0 at the end of the stream.
    pub(crate) fn receive(&mut self, socket: BorrowedFd<'_>) -> rustix::io::Result<usize> {
        // A descriptor that nobody announced would stay here: more than one frame's worth is a broken peer.
        if self.descriptors.len() > 64 * MAX_DESCRIPTORS {
            return Err(rustix::io::Errno::PROTO);
        }
        const CHUNK: usize = 64 * 1024;
        self.landing.resize(CHUNK, 0);
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(64))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let result = rustix::net::recvmsg(
            socket,
            &mut [IoSliceMut::new(&mut self.landing)],
            &mut ancillary,
            RecvFlags::CMSG_CLOEXEC,
        );
        let received = result.as_ref().map_or(0, |message| message.bytes);
        self.bytes.extend_from_slice(&self.landing[..received]);
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                self.descriptors.extend(descriptors);
            }
        }
        result.map(|message| message.bytes)
    }
}

/// One sendmsg(2) of as much as the socket takes; the descriptors go with the first byte.
pub(crate) fn transmit(
    socket: BorrowedFd<'_>,
    bytes: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> rustix::io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(rustix::io::Errno::INVAL);
    }
    rustix::net::sendmsg(socket, &[IoSlice::new(bytes)], &mut ancillary, SendFlags::NOSIGNAL)
}

/// Sends one message over a blocking socket, for the commands and for the first moments of a role.
pub(crate) fn send_blocking<T: Serialize>(
    socket: impl AsFd,
    message: &T,
    descriptors: &[BorrowedFd<'_>],
) -> Result<(), FrameError> {
    let mut bytes = Vec::new();
    encode(message, descriptors.len(), &mut bytes)?;
    let mut sent = transmit(socket.as_fd(), &bytes, descriptors)?;
    while sent < bytes.len() {
        sent += transmit(socket.as_fd(), &bytes[sent..], &[])?;
    }
    Ok(())
}

/// Receives one message over a blocking socket that carries one message at a time.
pub(crate) fn recv_blocking<T: DeserializeOwned>(socket: impl AsFd) -> Result<(T, Vec<OwnedFd>), FrameError> {
    let mut decoder = Decoder::default();
    loop {
        if let Some(found) = decoder.next()? {
            return Ok(found);
        }
        match decoder.receive(socket.as_fd()) {
            Ok(0) => return Err(FrameError::Closed),
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn descriptors_stay_with_their_message() {
        let (a, b) = UnixStream::pair().unwrap();
        let (mut reader, writer) = std::io::pipe().unwrap();
        send_blocking(&a, &"first".to_string(), &[]).unwrap();
        send_blocking(&a, &"second".to_string(), &[writer.as_fd()]).unwrap();
        drop(writer);
        let mut decoder = Decoder::default();
        let mut seen: Vec<(String, Vec<OwnedFd>)> = Vec::new();
        while seen.len() < 2 {
            decoder.receive(b.as_fd()).unwrap();
            while let Some(found) = decoder.next().unwrap() {
                seen.push(found);
            }
        }
        assert_eq!((seen[0].0.as_str(), seen[0].1.len()), ("first", 0));
        let (text, mut descriptors) = seen.remove(1);
        assert_eq!(text, "second");
        let mut file = std::fs::File::from(descriptors.remove(0));
        file.write_all(b"through").unwrap();
        drop(file);
        let mut got = String::new();
        reader.read_to_string(&mut got).unwrap();
        assert_eq!(got, "through");
    }

    #[test]
    fn nonsense_is_an_error_and_not_a_panic() {
        for bytes in [
            &[0xff, 0xff, 0xff, 0xff, 0][..],
            &[1, 0, 0, 0, 9, 0],
            &[1, 0, 0, 0, 1, 0],
            &[2, 0, 0, 0, 0, 0xff, 0xff],
        ] {
            let mut decoder = Decoder { bytes: BytesMut::from(bytes), ..Decoder::default() };
            assert!(decoder.next::<crate::Request>().is_err(), "{bytes:?}");
        }
        let mut short = Decoder { bytes: BytesMut::from(&[4, 0, 0][..]), ..Decoder::default() };
        assert!(short.next::<crate::Request>().unwrap().is_none());
    }

    #[test]
    fn the_other_end_closing_is_told() {
        let (a, b) = UnixStream::pair().unwrap();
        drop(a);
        assert!(matches!(recv_blocking::<String>(&b), Err(FrameError::Closed)));
    }
}
