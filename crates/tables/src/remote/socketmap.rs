//! `socketmap:inet:host:port:name` and `socketmap:unix:path:name` (socketmap_table(5)): netstrings, `name key` asked, `OK value` or a
//! reason answered. What postfix-tlspol, postfix-mta-sts-resolver and others speak.

use std::future::Future;
use std::pin::Pin;

use super::connection::{Connection, Ending, Endpoint};
use crate::lookup::Lookup;
use crate::map::{Opened, Opening, WaitingTable};

struct SocketMap {
    spec: String,
    name: String,
    connection: Connection,
    /// Longest question, in bytes.
    longest_query: usize,
}

pub(crate) fn open(opening: &Opening<'_>) -> Result<Opened, String> {
    let bad = || {
        format!(
            "socketmap:{}: need socketmap:inet:host:port:name or socketmap:unix:pathname:name",
            opening.name
        )
    };
    let (kind, rest) = opening.name.split_once(':').ok_or_else(bad)?;
    let (address, name) = rest.rsplit_once(':').ok_or_else(bad)?;
    let endpoint = match kind {
        "inet" if address.contains(':') => Endpoint::Inet(address.to_owned()),
        "unix" if !address.is_empty() => Endpoint::Unix(address.to_owned()),
        _ => return Err(bad()),
    };
    if name.is_empty() {
        return Err(bad());
    }
    let limits = opening.tables.limits();
    Ok(Opened::Waiting(Box::new(SocketMap {
        spec: format!("socketmap:{}", opening.name),
        name: name.to_owned(),
        connection: Connection::new(endpoint, Ending::Netstring, limits.socketmap_reply),
        longest_query: limits.socketmap_query,
    })))
}

impl WaitingTable for SocketMap {
    fn lookup<'a>(&'a self, key: &'a str) -> Pin<Box<dyn Future<Output = Lookup> + Send + 'a>> {
        Box::pin(async move {
            let question = format!("{} {key}", self.name);
            let failed = |why: String| Lookup::Failed(format!("{}: {why}", self.spec));
            if question.len() > self.longest_query {
                return failed(format!("a question of {} bytes is too long", question.len()));
            }
            let netstring = format!("{}:{question},", question.len());
            match self.connection.ask(netstring.as_bytes()).await {
                Err(why) => failed(why),
                Ok(answer) => {
                    let Ok(answer) = String::from_utf8(answer.unwrap_or_default()) else {
                        return failed("an answer that is not UTF-8".into());
                    };
                    match answer.split_once(' ').unwrap_or((&answer, "")) {
                        ("OK", value) => Lookup::Found(value.to_owned()),
                        ("NOTFOUND", _) => Lookup::Absent,
                        (word @ ("TEMP" | "TIMEOUT" | "PERM"), why) => {
                            failed(format!("the server says: {word} {why}"))
                        }
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

#[cfg(test)]
mod tests {
    use crate::map::Flags;
    use crate::remote::tests::{Tables, serve};

    #[tokio::test]
    async fn answers() {
        let port = serve(|question| match question {
            b"9:names one," => b"8:OK value,".to_vec(),
            b"12:names absent," => b"9:NOTFOUND ,".to_vec(),
            b"10:names temp," => b"10:TEMP wait ,".to_vec(),
            b"10:names long," => b"999999:".to_vec(),
            _ => b"garbage".to_vec(),
        });
        let table = Tables::silent().map(&format!("socketmap:inet:127.0.0.1:{port}:names"), Flags::default());
        for (key, expected) in [
            ("one", Ok(Some("value"))),
            ("absent", Ok(None)),
            ("temp", Err("the server says: TEMP wait")),
            ("long", Err("too long")),
            ("one", Ok(Some("value"))),
        ] {
            match (table.lookup(key).await.into_result(), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found.as_deref(), expected, "{key}"),
                (Err(why), Err(part)) => assert!(why.contains(part), "{key}: {why}"),
                other => panic!("{key}: {other:?}"),
            }
        }
    }

    #[tokio::test]
    async fn bounds() {
        let port = serve(|question| match question {
            b"9:names one," => b"8:OK value,".to_vec(),
            _ => b"9:OK values,".to_vec(),
        });
        let main = "socketmap_max_query_size = 9\nsocketmap_max_reply_size = 8\n";
        let main = config::MainCf::parse("main.cf", main.as_bytes()).unwrap();
        let settings = config::Settings::load(&main, &[], &config::HostFacts::default()).unwrap();
        let tables = Tables::silent().within(&settings);
        let table = tables.map(&format!("socketmap:inet:127.0.0.1:{port}:names"), Flags::default());
        for (key, expected) in [
            ("one", Ok("value")),
            ("four", Err("a question of 10 bytes is too long")),
            ("two", Err("too long")),
        ] {
            let found = table.lookup(key).await.into_result();
            match (found, expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found.as_deref(), Some(expected), "{key}"),
                (Err(why), Err(part)) => assert!(why.contains(part), "{key}: {why}"),
                other => panic!("{key}: {other:?}"),
            }
        }
    }

    #[test]
    fn bad_names() {
        for spec in ["socketmap:x", "socketmap:inet:host:name", "socketmap:unix::name", "socketmap:inet:h:1:"]
        {
            let map = Tables::silent().map(spec, Flags::default());
            assert!(map.broken().is_some_and(|why| why.contains("need socketmap:inet:")), "{spec}");
        }
    }
}
