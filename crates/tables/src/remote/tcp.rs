//! `tcp:host:port`: a server that answers `get KEY` with `200 VALUE`, `500 reason` or `400 reason` (tcp_table(5)).

use std::fmt::Write;
use std::future::Future;
use std::pin::Pin;

use super::connection::{Connection, Ending, Endpoint};
use crate::lookup::Lookup;
use crate::map::{Opened, Opening, WaitingTable};

/// Longest answer, line end included.
const LONGEST: usize = 4096;

struct Tcp {
    name: String,
    connection: Connection,
}

pub(crate) fn open(opening: &Opening<'_>) -> Result<Opened, String> {
    let name = opening.name;
    match name.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && !port.is_empty() => {}
        _ => return Err(format!("tcp:{name}: need tcp:host:port")),
    }
    let connection = Connection::new(Endpoint::Inet(name.to_owned()), Ending::Line, LONGEST);
    Ok(Opened::Waiting(Box::new(Tcp { name: name.to_owned(), connection })))
}

impl WaitingTable for Tcp {
    fn lookup<'a>(&'a self, key: &'a str) -> Pin<Box<dyn Future<Output = Lookup> + Send + 'a>> {
        Box::pin(async move {
            let question = format!("get {}\n", encoded(key));
            let failed = |why: String| Lookup::Failed(format!("tcp:{}: {why}", self.name));
            match self.connection.ask(question.as_bytes()).await {
                Err(why) => failed(why),
                Ok(answer) => {
                    let answer = String::from_utf8_lossy(&answer.unwrap_or_default()).into_owned();
                    match answer.split_once(' ').unwrap_or((&answer, "")) {
                        ("200", value) => match decoded(value) {
                            Some(value) => Lookup::Found(value),
                            None => failed(format!("badly encoded value: {value}")),
                        },
                        ("500", _) => Lookup::Absent,
                        ("400", why) => failed(format!("the server says: {why}")),
                        _ => failed(format!("unexpected answer: {answer}")),
                    }
                }
            }
        })
    }

    /// As with Postfix, no partial keys are asked.
    fn is_pattern(&self) -> bool {
        true
    }
}

fn encoded(key: &str) -> String {
    let mut out = String::with_capacity(key.len());
    for byte in key.bytes() {
        match byte {
            b'%' | 0..=b' ' | 0x7f.. => {
                // Writing to a String can not fail.
                let _ = write!(out, "%{byte:02x}");
            }
            _ => out.push(char::from(byte)),
        }
    }
    out
}

fn decoded(value: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let [first, after @ ..] = rest {
        match (first, after) {
            (b'%', [high, low, after @ ..]) => {
                let digits = [*high, *low];
                bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
                rest = after;
            }
            (b'%', _) => return None,
            (byte, after) => {
                bytes.push(*byte);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::map::Flags;
    use crate::remote::tests::{Tables, serve};

    #[test]
    fn words_are_encoded() {
        assert_eq!(encoded("a b%c\u{e4}"), "a%20b%25c%c3%a4");
        assert_eq!(decoded("a%20b%25c%C3%a4").as_deref(), Some("a b%c\u{e4}"));
        for bad in ["%", "%2", "%zz", "%ff"] {
            assert_eq!(decoded(bad), None, "{bad}");
        }
    }

    #[tokio::test]
    async fn answers() {
        let port = serve(|question| match question {
            b"get one%20key\n" => b"200 a%20value\n".to_vec(),
            b"get absent\n" => b"500 not here\n".to_vec(),
            b"get later\n" => b"400 come again\n".to_vec(),
            b"get closes\n" => Vec::new(),
            _ => b"what?\n".to_vec(),
        });
        let table = Tables::silent().map(&format!("tcp:127.0.0.1:{port}"), Flags::default());
        for (key, expected) in [
            ("one key", Ok(Some("a value"))),
            ("absent", Ok(None)),
            ("later", Err("the server says: come again")),
            ("closes", Err("unexpected end of file")),
            ("one key", Ok(Some("a value"))),
            ("nonsense", Err("unexpected answer: what?")),
        ] {
            match (table.lookup(key).await.into_result(), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found.as_deref(), expected, "{key}"),
                (Err(why), Err(part)) => assert!(why.contains(part), "{key}: {why}"),
                other => panic!("{key}: {other:?}"),
            }
        }
    }
}
