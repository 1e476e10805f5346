//! `pgsql:/path`: a question to a PostgreSQL server (pgsql_table(5)).

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};

use super::pool::{Pool, Server, Trouble};
use super::settings::ClientSettings;
use super::sql::{Question, Rows, warn_of_unknown};
use crate::lookup::Lookup;
use crate::map::{Opened, Opening, WaitingTable};

struct Pgsql {
    question: Question,
    pool: Pool<PgsqlServer>,
}

struct PgsqlServer {
    user: Option<String>,
    password: Option<String>,
    dbname: Option<String>,
    encoding: String,
}

pub(crate) fn open(opening: &Opening<'_>) -> Result<Opened, String> {
    let settings = ClientSettings::read(opening)?;
    let question = Question::read(&settings, '\'')?;
    let mut hosts = settings.list("hosts");
    if hosts.is_empty() {
        hosts.push("localhost".into());
    }
    let server = PgsqlServer {
        user: settings.text("user"),
        password: settings.text("password"),
        dbname: settings.text("dbname"),
        encoding: settings.text_or("encoding", "UTF8"),
    };
    for host in &hosts {
        server.config(host).map_err(|why| format!("{}: hosts: {host}: {why}", settings.spec))?;
    }
    let retry = Duration::from_secs(settings.number("retry_interval", 60)? as u64);
    settings.number("idle_interval", 60)?;
    warn_of_unknown(&settings, &opening.tables_warn());
    Ok(Opened::Waiting(Box::new(Pgsql { question, pool: Pool::new(server, hosts, retry) })))
}

impl PgsqlServer {
    /// `host`, `host:port`, `inet:host:port`, `unix:/path`, or a `postgresql://` address.
    fn config(&self, host: &str) -> Result<Config, String> {
        let mut config = match host {
            uri if uri.starts_with("postgres://") || uri.starts_with("postgresql://") => {
                uri.parse::<Config>().map_err(|error| error.to_string())?
            }
            _ => {
                let mut config = Config::new();
                if let Some(path) = host.strip_prefix("unix:") {
                    // A directory, or Postfix's form with the name of the socket in it.
                    match path.rsplit_once("/.s.PGSQL.") {
                        Some((directory, port)) => {
                            config.host_path(directory);
                            config.port(port.parse().map_err(|_| "bad port".to_owned())?);
                        }
                        None => {
                            config.host_path(path);
                        }
                    }
                } else {
                    let host = host.strip_prefix("inet:").unwrap_or(host);
                    match host.rsplit_once(':') {
                        Some((name, port)) if !name.contains(':') => {
                            config.host(name);
                            config.port(port.parse().map_err(|_| "bad port".to_owned())?);
                        }
                        _ => {
                            config.host(host.trim_matches(['[', ']']));
                        }
                    }
                }
                config
            }
        };
        config.application_name("mailclad").connect_timeout(Duration::from_secs(10));
        if let Some(user) = &self.user {
            config.user(user);
        }
        if let Some(password) = &self.password {
            config.password(password);
        }
        if let Some(dbname) = &self.dbname {
            config.dbname(dbname);
        }
        Ok(config)
    }
}

impl Server for PgsqlServer {
    type Connection = Client;

    async fn connect(&self, host: &str) -> Result<Client, String> {
        let (client, connection) =
            self.config(host)?.connect(NoTls).await.map_err(|error| explained(&error))?;
        // Ends with the client, or with the server; the next question tells.
        tokio::spawn(async move { connection.await.unwrap_or_default() });
        // Our quoting relies on the first; the second is what Postfix asks for.
        let encoding = self.encoding.replace('\'', "''");
        let setup = format!("SET standard_conforming_strings = on; SET client_encoding = '{encoding}'");
        client.batch_execute(&setup).await.map_err(|error| explained(&error))?;
        Ok(client)
    }
}

/// The server's own words, which the library's text leaves out.
fn explained(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(said) => said.message().to_owned(),
        None => match std::error::Error::source(error) {
            Some(cause) => format!("{error}: {cause}"),
            None => error.to_string(),
        },
    }
}

impl WaitingTable for Pgsql {
    fn lookup<'a>(&'a self, key: &'a str) -> Pin<Box<dyn Future<Output = Lookup> + Send + 'a>> {
        Box::pin(async move {
            let Some(statement) = self.question.statement(key, |text| text.replace('\'', "''")) else {
                return Lookup::Absent;
            };
            let statement = &statement;
            let asked = self.pool.ask(|client| async move {
                let result = match client.simple_query(statement).await {
                    Ok(messages) => Ok(rows(&messages)),
                    Err(error) if client.is_closed() => Err(Trouble::Connection(explained(&error))),
                    Err(error) => Err(Trouble::Question(explained(&error))),
                };
                (client, result)
            });
            match asked.await {
                Ok(rows) => self.question.result(key, rows),
                Err(why) => Lookup::Failed(format!("{}: {why}", self.question.spec)),
            }
        })
    }
}

fn rows(messages: &[SimpleQueryMessage]) -> Rows {
    let mut rows = Rows::new();
    for message in messages {
        if let SimpleQueryMessage::Row(row) = message {
            rows.push((0..row.len()).map(|index| row.get(index).map(str::to_owned)).collect());
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_hosts() {
        let server =
            PgsqlServer { user: Some("u".into()), password: None, dbname: None, encoding: "UTF8".into() };
        for (host, ports, name) in [
            ("db.example", vec![], "db.example"),
            ("inet:db.example:5433", vec![5433], "db.example"),
            ("unix:/run/postgresql", vec![], "/run/postgresql"),
            ("unix:/run/postgresql/.s.PGSQL.5434", vec![5434], "/run/postgresql"),
            ("postgresql://other@db.example:5435/x", vec![5435], "db.example"),
        ] {
            let config = server.config(host).unwrap();
            assert_eq!(config.get_ports(), ports, "{host}");
            assert!(format!("{:?}", config.get_hosts()).contains(name), "{host}");
            assert_eq!(config.get_user(), Some("u"));
        }
        assert!(server.config("db:http").is_err());
    }
}
