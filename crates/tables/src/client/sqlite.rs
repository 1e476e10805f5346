//! `sqlite:/path`: a question to an SQLite file (sqlite_table(5)).

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};

use super::settings::ClientSettings;
use super::sql::{Question, Rows, warn_of_unknown};
use crate::lookup::Lookup;
use crate::map::{Opened, Opening, Table};

/// How long a writer of the file is waited for.
const BUSY: Duration = Duration::from_secs(5);

struct Sqlite {
    question: Question,
    path: String,
    /// Opened at the first lookup, and again after a failure: the file may have been replaced.
    connection: Mutex<Option<Connection>>,
}

pub(crate) fn open(opening: &Opening<'_>) -> Result<Opened, String> {
    let settings = ClientSettings::read(opening)?;
    let question = Question::read(&settings, '\'')?;
    let path = settings.text("dbpath").ok_or_else(|| format!("{}: dbpath is not set", settings.spec))?;
    warn_of_unknown(&settings, &opening.tables_warn());
    Ok(Opened::Local(Box::new(Sqlite { question, path, connection: Mutex::new(None) })))
}

impl Table for Sqlite {
    fn lookup(&self, key: &str) -> Lookup {
        let Some(statement) = self.question.statement(key, |text| text.replace('\'', "''")) else {
            return Lookup::Absent;
        };
        let mut kept = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let rows = match kept.take() {
            Some(connection) => Ok(connection),
            None => self.connect(),
        }
        .and_then(|connection| ask(&connection, &statement).map(|rows| (connection, rows)));
        match rows {
            Ok((connection, rows)) => {
                *kept = Some(connection);
                self.question.result(key, rows)
            }
            Err(error) => Lookup::Failed(format!("{}: {}: {error}", self.question.spec, self.path)),
        }
    }
}

impl Sqlite {
    fn connect(&self) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        connection.busy_timeout(BUSY)?;
        Ok(connection)
    }
}

fn ask(connection: &Connection, statement: &str) -> rusqlite::Result<Rows> {
    let mut statement = connection.prepare(statement)?;
    let columns = statement.column_count();
    let mut found = statement.query([])?;
    let mut rows = Vec::new();
    while let Some(row) = found.next()? {
        let column = |index| {
            Ok(match row.get_ref(index)? {
                ValueRef::Null => None,
                ValueRef::Integer(number) => Some(number.to_string()),
                ValueRef::Real(number) => Some(number.to_string()),
                ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
                    Some(String::from_utf8_lossy(bytes).into_owned())
                }
            })
        };
        rows.push((0..columns).map(column).collect::<rusqlite::Result<_>>()?);
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::map::Flags;
    use crate::map::tests::{listening, now};

    #[test]
    fn rows_become_results() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let database = Connection::open(path("db")).unwrap();
        database
            .execute_batch(
                "CREATE TABLE alias (name TEXT, goto TEXT, more TEXT);
                 INSERT INTO alias VALUES ('a@x', 'b@y', NULL), ('a@x', 'c@y', 'd@y'), ('o''neil@x', 'q@y', '');",
            )
            .unwrap();
        let file = |name: &str, text: &str| {
            let text = format!("dbpath = {}\n{text}\n", path("db"));
            std::fs::write(path(name), text).unwrap();
            format!("sqlite:{}", path(name))
        };
        let plain = file("plain", "query = SELECT goto, more FROM alias WHERE name = '%s'");
        let old = file("old", "table = alias\nselect_field = goto\nwhere_field = name\ndomain = x");
        let limited =
            file("limited", "query = SELECT goto FROM alias WHERE name = '%s'\nexpansion_limit = 1");
        let wrong = file("wrong", "query = SELECT colour FROM alias\ncolour = blue");
        for (spec, key, expected) in [
            (&plain, "A@x", Ok(Some("b@y,c@y,d@y"))),
            (&plain, "o'neil@x", Ok(Some("q@y"))),
            (&plain, "x' OR 'a'='a", Ok(None)),
            (&old, "a@x", Ok(Some("b@y,c@y"))),
            (&old, "a@other", Ok(None)),
            (&limited, "a@x", Err("expansion_limit")),
            (&wrong, "a@x", Err("no such column")),
        ] {
            let (tables, _) = listening();
            match (now(tables.map(spec, Flags::default()).lookup(key)).into_result(), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found.as_deref(), expected, "{key}"),
                (Err(why), Err(part)) => assert!(why.contains(part), "{key}: {why}"),
                other => panic!("{spec} {key}: {other:?}"),
            }
        }
        let (tables, heard) = listening();
        tables.map(&wrong, Flags::default());
        assert!(heard.lock().unwrap()[0].contains("unknown setting \"colour\""));
        for (text, reason) in [("", "query is not set"), ("query = %x", "unknown format character")] {
            let map = tables.map(&file("bad", text), Flags { fold: text.is_empty(), ..Flags::default() });
            assert!(map.broken().is_some_and(|why| why.contains(reason)), "{text}: {:?}", map.broken());
        }
    }
}
