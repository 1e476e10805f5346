//! `mysql:/path`: a question to a MySQL or MariaDB server (mysql_table(5)).

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, OptsBuilder, Row, SslOpts, Value};

use super::pool::{Pool, Server, Trouble};
use super::settings::ClientSettings;
use super::sql::{Question, Rows, warn_of_unknown};
use crate::lookup::Lookup;
use crate::map::{Opened, Opening, WaitingTable};

/// Where MySQL and MariaDB put their socket on the common systems; `hosts = localhost` means the socket.
const SOCKETS: [&str; 3] =
    ["/run/mysqld/mysqld.sock", "/var/lib/mysql/mysql.sock", "/var/run/mysql/mysql.sock"];

struct Mysql {
    question: Question,
    pool: Pool<MysqlServer>,
}

struct MysqlServer {
    user: Option<String>,
    password: Option<String>,
    dbname: Option<String>,
    charset: Option<String>,
    tls: Option<SslOpts>,
}

pub(crate) fn open(opening: &Opening<'_>) -> Result<Opened, String> {
    let settings = ClientSettings::read(opening)?;
    let question = Question::read(&settings, '\'')?;
    let mut hosts = settings.list("hosts");
    if hosts.is_empty() {
        hosts.push("localhost".into());
    }
    let server = MysqlServer {
        user: settings.text("user"),
        password: settings.text("password"),
        dbname: settings.text("dbname"),
        charset: settings.text("charset"),
        tls: tls(&settings)?,
    };
    for host in &hosts {
        server.opts(host).map_err(|why| format!("{}: hosts: {host}: {why}", settings.spec))?;
    }
    for name in ["option_file", "option_group", "tls_ciphers"] {
        if settings.text(name).is_some() {
            opening.tables.warn(&format!("{}: {name} has no effect here", settings.spec));
        }
    }
    settings.yes("require_result_set", true)?;
    settings.number("idle_interval", 60)?;
    let retry = Duration::from_secs(settings.number("retry_interval", 60)? as u64);
    warn_of_unknown(&settings, &opening.tables_warn());
    Ok(Opened::Waiting(Box::new(Mysql { question, pool: Pool::new(server, hosts, retry) })))
}

/// TLS towards the server when any of its settings is there.
fn tls(settings: &ClientSettings) -> Result<Option<SslOpts>, String> {
    let (authority, certificate, key) =
        (settings.text("tls_CAfile"), settings.text("tls_cert_file"), settings.text("tls_key_file"));
    if settings.text("tls_CApath").is_some() {
        return Err(format!("{}: tls_CApath is not supported: name a file in tls_CAfile", settings.spec));
    }
    if certificate.is_some() || key.is_some() {
        return Err(format!("{}: client certificates (tls_cert_file) are not supported", settings.spec));
    }
    let verify = settings.yes("tls_verify_cert", false)?;
    Ok(authority.map(|path| {
        SslOpts::default()
            .with_root_certs(vec![std::path::PathBuf::from(path).into()])
            .with_danger_skip_domain_validation(!verify)
    }))
}

impl MysqlServer {
    /// `host`, `host:port`, `inet:host:port` or `unix:/path`.
    fn opts(&self, host: &str) -> Result<Opts, String> {
        let mut opts = OptsBuilder::default().prefer_socket(false);
        let host = host.strip_prefix("inet:").unwrap_or(host);
        let socket = match host.strip_prefix("unix:") {
            Some(path) => Some(path),
            None if host == "localhost" => {
                SOCKETS.into_iter().find(|path| std::path::Path::new(path).exists())
            }
            None => None,
        };
        opts = match (socket, host.rsplit_once(':')) {
            (Some(path), _) => opts.socket(Some(path)),
            (None, Some((name, port))) if !name.contains(':') => {
                opts.ip_or_hostname(name).tcp_port(port.parse().map_err(|_| "bad port".to_owned())?)
            }
            (None, _) => opts.ip_or_hostname(host.trim_matches(['[', ']'])),
        };
        opts = opts.user(self.user.clone()).pass(self.password.clone()).db_name(self.dbname.clone());
        if socket.is_none() {
            opts = opts.ssl_opts(self.tls.clone());
        }
        Ok(opts.into())
    }
}

impl Server for MysqlServer {
    type Connection = Conn;

    async fn connect(&self, host: &str) -> Result<Conn, String> {
        let mut connection = Conn::new(self.opts(host)?).await.map_err(|error| error.to_string())?;
        if let Some(charset) = &self.charset {
            let charset = quoted(charset);
            let setup = format!("SET NAMES '{charset}'");
            connection.query_drop(setup).await.map_err(|error| error.to_string())?;
        }
        Ok(connection)
    }
}

/// As mysql_real_escape_string.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\0' => out.push_str("\\0"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\x1a' => out.push_str("\\Z"),
            '\\' | '\'' | '"' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}

impl WaitingTable for Mysql {
    fn lookup<'a>(&'a self, key: &'a str) -> Pin<Box<dyn Future<Output = Lookup> + Send + 'a>> {
        Box::pin(async move {
            let Some(statement) = self.question.statement(key, quoted) else { return Lookup::Absent };
            let statement = &statement;
            let asked = self.pool.ask(|mut connection| async move {
                let result = match connection.query::<Row, _>(statement).await {
                    Ok(found) => Ok(rows(found)),
                    Err(mysql_async::Error::Server(error)) => Err(Trouble::Question(error.to_string())),
                    Err(error) => Err(Trouble::Connection(error.to_string())),
                };
                (connection, result)
            });
            match asked.await {
                Ok(rows) => self.question.result(key, rows),
                Err(why) => Lookup::Failed(format!("{}: {why}", self.question.spec)),
            }
        })
    }
}

fn rows(found: Vec<Row>) -> Rows {
    let text = |value: Value| match value {
        Value::NULL => None,
        Value::Bytes(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        other => Some(other.as_sql(true).trim_matches('\'').to_owned()),
    };
    found.into_iter().map(|row| row.unwrap().into_iter().map(text).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_quoted() {
        assert_eq!(quoted("o'neil\\\"\n\0x"), "o\\'neil\\\\\\\"\\n\\0x");
    }

    #[test]
    fn forms_of_hosts() {
        let server = MysqlServer { user: None, password: None, dbname: None, charset: None, tls: None };
        for (host, port, name, socket) in [
            ("db.example", 3306, "db.example", None),
            ("inet:db.example:3307", 3307, "db.example", None),
            ("unix:/run/x.sock", 3306, "127.0.0.1", Some("/run/x.sock")),
        ] {
            let opts = server.opts(host).unwrap();
            assert_eq!((opts.tcp_port(), opts.socket()), (port, socket), "{host}");
            assert_eq!(opts.ip_or_hostname(), name, "{host}");
        }
        assert!(server.opts("db:http").is_err());
    }
}
