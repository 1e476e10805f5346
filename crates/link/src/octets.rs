//! Contents as one run of bytes on the wire: serde takes a vector for a list of numbers and goes through it one by one.

use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub(crate) fn serialize<S: Serializer>(bytes: &Option<Vec<u8>>, serializer: S) -> Result<S::Ok, S::Error> {
    match bytes {
        Some(bytes) => serializer.serialize_some(&Run(bytes)),
        None => serializer.serialize_none(),
    }
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<u8>>, D::Error> {
    Ok(Option::<Owned>::deserialize(deserializer)?.map(|Owned(bytes)| bytes))
}

struct Run<'a>(&'a [u8]);

impl Serialize for Run<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

struct Owned(Vec<u8>);

impl<'de> Deserialize<'de> for Owned {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Owned, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Owned;
            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("bytes")
            }
            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Owned, E> {
                Ok(Owned(bytes.to_vec()))
            }
        }
        deserializer.deserialize_byte_buf(Bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Content {
        #[serde(with = "super")]
        body: Option<Vec<u8>>,
    }

    #[test]
    fn bytes_come_back_and_look_on_the_wire_as_a_list_does() {
        for body in [None, Some(vec![]), Some(vec![0, 255, b'\n'])] {
            let plain = postcard::to_stdvec(&body).unwrap();
            let content = Content { body };
            let wire = postcard::to_stdvec(&content).unwrap();
            assert_eq!(wire, plain);
            assert_eq!(postcard::from_bytes::<Content>(&wire).unwrap(), content);
        }
        assert!(postcard::from_bytes::<Content>(&[1, 9, 1]).is_err(), "fewer bytes than announced");
    }
}
