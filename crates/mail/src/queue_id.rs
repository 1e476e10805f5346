//! Queue identifiers, in the two shapes of Postfix (postconf(5), enable_long_queue_ids).
//!
//! A short id is five hexadecimal digits of microseconds and then the file's inode number; we have no file, so
//! a tag of the generator and the second stand in for the inode. Both shapes only hold what log analysers
//! and shell scripts expect.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Least and most letters of an id.
const LENGTHS: (usize, usize) = (6, 20);

/// One message's name in the queue and in the log: 6 to 20 ASCII letters and digits.
///
/// It is named in all that is said of a message, so it needs no memory of its own.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QueueId {
    /// Padded with NUL, which sorts before everything that an id has.
    text: [u8; LENGTHS.1],
    length: u8,
}

impl QueueId {
    /// Accepts what could be an id of ours or of Postfix, for names given on a command line.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = (LENGTHS.0..=LENGTHS.1).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        fits.then(|| QueueId::of(text.as_bytes()))
    }

    /// `text` is what an id may be.
    fn of(text: &[u8]) -> QueueId {
        let mut padded = [0; LENGTHS.1];
        padded[..text.len()].copy_from_slice(text);
        QueueId { text: padded, length: text.len() as u8 }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        // Always ASCII.
        std::str::from_utf8(&self.text[..usize::from(self.length)]).unwrap_or_default()
    }
}

impl fmt::Display for QueueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for QueueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "QueueId({self})")
    }
}

impl Serialize for QueueId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for QueueId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<QueueId, D::Error> {
        struct Text;
        impl serde::de::Visitor<'_> for Text {
            type Value = QueueId;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a queue id of {} to {} letters and digits", LENGTHS.0, LENGTHS.1)
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<QueueId, E> {
                QueueId::parse(text).ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// Makes ids that differ from each other and from those of other generators with another tag.
///
/// Time is given by the caller and forced to move on by at least a microsecond for each id.
#[derive(Debug)]
pub struct IdGenerator {
    tag: u8,
    long: bool,
    last_micros: u64,
}

impl IdGenerator {
    /// `tag` tells generators of one system apart; `long` is enable_long_queue_ids.
    pub fn new(tag: u8, long: bool) -> Self {
        IdGenerator { tag, long, last_micros: 0 }
    }

    /// The next id.
    pub fn next(&mut self, now: SystemTime) -> QueueId {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_micros() as u64;
        self.last_micros = now.max(self.last_micros + 1);
        let (seconds, micros) = (self.last_micros / 1_000_000, self.last_micros % 1_000_000);
        let text = if self.long {
            // Postfix: seconds and microseconds in base 52, `z`, the inode in base 51 (which has no `z`).
            format!("{}{}z{}", base52(seconds, 6), base52(micros, 4), base52(u64::from(self.tag) + 1, 1))
        } else {
            // 20 bits of seconds are twelve days; with the microsecond and the tag, two live messages would have to
            // be that exact span apart to meet, and the store refuses a second message of the same id.
            format!("{micros:05X}{:02X}{:05X}", self.tag, seconds & 0xF_FFFF)
        };
        // No time that a clock can show makes one longer.
        QueueId::of(&text.as_bytes()[..text.len().min(LENGTHS.1)])
    }
}

/// Postfix's safe base 52: digits and consonants, so that no words appear. Values below 51 never need `z`.
fn base52(mut value: u64, width: usize) -> String {
    const DIGITS: &[u8; 52] = b"0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz";
    let base = if width == 1 { 51 } else { 52 };
    let mut out = Vec::new();
    while value > 0 || out.len() < width {
        out.push(DIGITS[(value % base) as usize] as char);
        value /= base;
    }
    out.iter().rev().collect()
}

#[cfg(test)]
mod tests {
    use serde::de::value::{Error, StrDeserializer};

    use super::*;

    #[test]
    fn ids_differ_even_within_one_microsecond() {
        let now = UNIX_EPOCH + Duration::from_micros(1_700_000_000_999_999);
        for long in [false, true] {
            let mut generator = IdGenerator::new(7, long);
            let mut ids: Vec<_> = (0..1000).map(|_| generator.next(now)).collect();
            assert!(ids.iter().all(|id| QueueId::parse(id.as_str()).as_ref() == Some(id)));
            ids.sort();
            ids.dedup();
            assert_eq!(ids.len(), 1000);
        }
        assert_ne!(IdGenerator::new(1, false).next(now), IdGenerator::new(2, false).next(now));
    }

    #[test]
    fn a_clock_that_steps_back_does_not_repeat_an_id() {
        let mut generator = IdGenerator::new(0, false);
        let first = generator.next(UNIX_EPOCH + Duration::from_secs(100));
        let second = generator.next(UNIX_EPOCH + Duration::from_secs(50));
        assert_ne!(first, second);
    }

    #[test]
    fn what_is_no_id_is_refused() {
        let read = |text| QueueId::deserialize(StrDeserializer::<Error>::new(text));
        assert!(read("../../etc/passwd").is_err());
        assert_eq!(read("ABCDEF12").ok(), QueueId::parse("ABCDEF12"));
        for text in ["", "ABC", "../../etc/passwd", "ABCDEF12 3", "ABCDEFGHIJKLMNOPQRSTUVW"] {
            assert_eq!(QueueId::parse(text), None, "{text}");
        }
    }
}
