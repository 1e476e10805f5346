//! `memcache:/path`: a memcached server, perhaps in front of another table (memcache_table(5)).

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::connection::{Connection, Ending, Endpoint};
use crate::client::{ClientSettings, Template};
use crate::lookup::Lookup;
use crate::map::{Map, Opened, Opening, WaitingTable};

/// Longest key that memcached takes.
const LONGEST_KEY: usize = 250;

struct Memcache {
    spec: String,
    connection: Connection,
    key_format: Template,
    backup: Option<Arc<Map>>,
}

pub(crate) fn open(opening: &Opening<'_>) -> Result<Opened, String> {
    let settings = ClientSettings::read(opening)?;
    let spec = settings.spec.clone();
    let server = settings.text_or("memcache", "inet:localhost:11211");
    let endpoint = match server.split_once(':') {
        Some(("inet", address)) if address.contains(':') => Endpoint::Inet(address.to_owned()),
        Some(("unix", path)) if !path.is_empty() => Endpoint::Unix(path.to_owned()),
        _ => return Err(format!("{spec}: memcache = {server}: need inet:host:port or unix:/path")),
    };
    let key_format = Template::parse(&settings.text_or("key_format", "%s"))
        .map_err(|why| format!("{spec}: key_format: {why}"))?;
    let backup = settings.text("backup").map(|backup| opening.tables.map(&backup, opening.flags));
    let limit = settings.number("data_size_limit", 10_240)?;
    // About updates, which no table of ours makes, and retries, which one connection made anew stands for.
    for name in ["flags", "ttl", "max_try", "retry_pause", "timeout", "line_size_limit"] {
        settings.text(name);
    }
    for name in settings.unknown() {
        opening.tables.warn(&format!("{spec}: unknown setting \"{name}\" has no effect"));
    }
    let connection = Connection::new(endpoint, Ending::Value, limit);
    Ok(Opened::Waiting(Box::new(Memcache { spec, connection, key_format, backup })))
}

impl WaitingTable for Memcache {
    fn lookup<'a>(&'a self, key: &'a str) -> Pin<Box<dyn Future<Output = Lookup> + Send + 'a>> {
        Box::pin(async move {
            let Some(name) = self.key_format.question(key, str::to_owned) else { return Lookup::Absent };
            let fits =
                name.len() <= LONGEST_KEY && !name.contains(|c: char| c.is_ascii_control() || c == ' ');
            let cached = match fits {
                true => self.connection.ask(format!("get {name}\r\n").as_bytes()).await,
                false => Ok(None),
            };
            match (cached, &self.backup) {
                (Ok(Some(value)), _) => Lookup::Found(String::from_utf8_lossy(&value).into_owned()),
                // The cache is no authority when there is a table behind it.
                (_, Some(backup)) => backup.lookup(key).await,
                (Ok(None), None) => Lookup::Absent,
                (Err(why), None) => Lookup::Failed(format!("{}: {why}", self.spec)),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::map::Flags;
    use crate::remote::tests::{Tables, serve};

    #[tokio::test]
    async fn values_and_their_backup() {
        let port = serve(|question| match question {
            b"get mail:one\r\n" => b"VALUE mail:one 0 5\r\nvalue\r\nEND\r\n".to_vec(),
            b"get mail:bad\r\n" => b"SERVER_ERROR\r\n".to_vec(),
            _ => b"END\r\n".to_vec(),
        });
        let folder = tempfile::tempdir().unwrap();
        let table = |name: &str, more: &str| {
            let path = folder.path().join(name);
            let text = format!("memcache = inet:127.0.0.1:{port}\nkey_format = mail:%s\n{more}\n");
            std::fs::write(&path, text).unwrap();
            Tables::silent().map(&format!("memcache:{}", path.display()), Flags::default())
        };
        let (plain, backed) = (table("a", ""), table("b", "backup = inline:{absent=behind}"));
        for (table, key, expected) in [
            (&plain, "one", Ok(Some("value"))),
            (&plain, "absent", Ok(None)),
            (&plain, "bad", Err("unexpected answer")),
            (&backed, "absent", Ok(Some("behind"))),
            (&backed, "bad", Ok(None)),
        ] {
            match (table.lookup(key).await.into_result(), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found.as_deref(), expected, "{key}"),
                (Err(why), Err(part)) => assert!(why.contains(part), "{key}: {why}"),
                other => panic!("{key}: {other:?}"),
            }
        }
    }
}
