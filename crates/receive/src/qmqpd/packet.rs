//! The one packet of a QMQP client: a netstring that holds the message, the sender and the recipients, each a netstring again.

use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::timeout;

/// Longest address, in bytes.
const LONGEST_ADDRESS: usize = 2048;
/// For the addresses beside the message, in bytes.
const ADDRESSES: usize = 8 * 1024 * 1024;
/// Largest message where message_size_limit sets none, in bytes: it is held in memory until its sender is known.
const LARGEST_MESSAGE: usize = 64 * 1024 * 1024;
/// Digits of a length.
const DIGITS: usize = 10;

/// What came.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Packet {
    pub(super) message: Vec<u8>,
    pub(super) sender: Vec<u8>,
    pub(super) recipients: Vec<Vec<u8>>,
}

/// Why there is no packet; the texts are Postfix's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    Lost,
    Timeout,
    Format,
    Size,
}

impl Broken {
    pub(super) fn words(self) -> &'static str {
        match self {
            Broken::Lost => "lost connection",
            Broken::Timeout => "timeout",
            Broken::Format => "netstring format error",
            Broken::Size => "netstring length exceeds storage limit",
        }
    }
}

/// Reads it, with so much patience for each piece. The error says where it broke off.
pub(super) async fn read(
    stream: &mut (impl AsyncRead + Unpin),
    size_limit: usize,
    patience: Duration,
) -> Result<Packet, (Broken, &'static str)> {
    let largest = if size_limit == 0 { LARGEST_MESSAGE } else { size_limit.min(LARGEST_MESSAGE) };
    let mut reader = Reader { stream, input: BytesMut::new(), patience, left: usize::MAX };
    let at = |place: &'static str| move |broken| (broken, place);
    // The size of the message is judged by itself, so that its own limit is the one that is told.
    let whole = reader.length(usize::MAX).await.map_err(at("receiving QMQP packet header"))?;
    reader.left = whole;
    let place = "receiving message content";
    let message = reader.netstring(largest).await.map_err(at(place))?;
    if whole > largest.saturating_add(ADDRESSES) {
        return Err((Broken::Size, place));
    }
    let sender = reader.netstring(LONGEST_ADDRESS).await.map_err(at("receiving sender address"))?;
    let mut recipients = Vec::new();
    while reader.left > 0 {
        let place = "receiving recipient address";
        recipients.push(reader.netstring(LONGEST_ADDRESS).await.map_err(at(place))?);
    }
    reader.left = 1;
    reader.comma().await.map_err(at("receiving QMQP packet trailer"))?;
    Ok(Packet { message, sender, recipients })
}

struct Reader<'a, S> {
    stream: &'a mut S,
    input: BytesMut,
    patience: Duration,
    /// Bytes of the packet that are still to come.
    left: usize,
}

impl<S: AsyncRead + Unpin> Reader<'_, S> {
    async fn netstring(&mut self, most: usize) -> Result<Vec<u8>, Broken> {
        let length = self.length(most).await?;
        let mut content = Vec::new();
        while content.len() < length {
            self.fill().await?;
            let piece = self.input.len().min(length - content.len());
            self.spend(piece)?;
            content.extend_from_slice(&self.input.split_to(piece));
        }
        self.comma().await?;
        Ok(content)
    }

    async fn length(&mut self, most: usize) -> Result<usize, Broken> {
        let mut value = 0_usize;
        for at in 0..=DIGITS {
            match self.byte().await? {
                digit @ b'0'..=b'9' => value = value * 10 + usize::from(digit - b'0'),
                b':' if at > 0 && value > most => return Err(Broken::Size),
                b':' if at > 0 => return Ok(value),
                _ => return Err(Broken::Format),
            }
        }
        Err(Broken::Size)
    }

    async fn comma(&mut self) -> Result<(), Broken> {
        match self.byte().await? {
            b',' => Ok(()),
            _ => Err(Broken::Format),
        }
    }

    async fn byte(&mut self) -> Result<u8, Broken> {
        self.fill().await?;
        self.spend(1)?;
        Ok(self.input.split_to(1)[0])
    }

    /// A netstring within may not be longer than what is around it.
    fn spend(&mut self, count: usize) -> Result<(), Broken> {
        self.left = self.left.checked_sub(count).ok_or(Broken::Format)?;
        Ok(())
    }

    async fn fill(&mut self) -> Result<(), Broken> {
        if !self.input.is_empty() {
            return Ok(());
        }
        match timeout(self.patience, self.stream.read_buf(&mut self.input)).await {
            Ok(Ok(0) | Err(_)) => Err(Broken::Lost),
            Ok(Ok(_)) => Ok(()),
            Err(_elapsed) => Err(Broken::Timeout),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn netstring(content: &[u8]) -> Vec<u8> {
        [format!("{}:", content.len()).as_bytes(), content, b","].concat()
    }

    fn packet(parts: &[&[u8]]) -> Vec<u8> {
        let parts: Vec<Vec<u8>> = parts.iter().map(|part| netstring(part)).collect();
        netstring(&parts.concat())
    }

    async fn read_from(bytes: &[u8], limit: usize) -> Result<Packet, (Broken, &'static str)> {
        read(&mut &bytes[..], limit, Duration::from_secs(5)).await
    }

    #[tokio::test]
    async fn packets() {
        let good = packet(&[b"message\n", b"from@x", b"a@x", b"b@x"]);
        let expected = Packet {
            message: b"message\n".to_vec(),
            sender: b"from@x".to_vec(),
            recipients: vec![b"a@x".to_vec(), b"b@x".to_vec()],
        };
        assert_eq!(read_from(&good, 100).await, Ok(expected));
        assert_eq!(read_from(&packet(&[b"", b""]), 100).await, Ok(Packet::default()));
        for cut in 0..good.len() {
            let (broken, _) = read_from(&good[..cut], 100).await.unwrap_err();
            assert_eq!(broken, Broken::Lost, "{cut}");
        }
        let long = vec![b'x'; LONGEST_ADDRESS + 1];
        for (bytes, broken, place) in [
            (b"hello".to_vec(), Broken::Format, "receiving QMQP packet header"),
            (b":".to_vec(), Broken::Format, "receiving QMQP packet header"),
            (b"99999999999:".to_vec(), Broken::Size, "receiving QMQP packet header"),
            (b"6:3:abcX".to_vec(), Broken::Format, "receiving message content"),
            (b"5:9:abc,".to_vec(), Broken::Format, "receiving message content"),
            (packet(&[&[b'x'; 101], b"a", b"b"]), Broken::Size, "receiving message content"),
            (b"999999999:1:x,".to_vec(), Broken::Size, "receiving message content"),
            (packet(&[b"x", &long]), Broken::Size, "receiving sender address"),
            (packet(&[b"x", b"a", &long]), Broken::Size, "receiving recipient address"),
            (packet(&[b"x"]), Broken::Format, "receiving sender address"),
        ] {
            let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(40)]).into_owned();
            assert_eq!(read_from(&bytes, 100).await, Err((broken, place)), "{shown}");
        }
        let mut wrong_end = good.clone();
        *wrong_end.last_mut().unwrap() = b';';
        assert_eq!(read_from(&wrong_end, 100).await, Err((Broken::Format, "receiving QMQP packet trailer")));
    }
}
