//! The tables of the store, and the steps from one version of them to the next.
//!
//! Plain enough for PostgreSQL: integers (times in microseconds since 1970), text and bytes; no triggers, no views, no
//! dialect beyond `ON CONFLICT`.

use rusqlite::{Connection, Transaction};

use crate::store::StoreError;

/// Each step brings a database from the version of its index to the next.
const STEPS: &[&str] = &[
    // 0 to 1: the first schema.
    "
    CREATE TABLE message (
        id            TEXT PRIMARY KEY,
        arrival       INTEGER NOT NULL,
        next_attempt  INTEGER NOT NULL,
        attempts      INTEGER NOT NULL DEFAULT 0,
        held          INTEGER NOT NULL DEFAULT 0,
        warned        INTEGER NOT NULL DEFAULT 0,
        expire        INTEGER NOT NULL DEFAULT 0,
        size          INTEGER NOT NULL,
        checksum      INTEGER NOT NULL,
        sender        TEXT NOT NULL,
        -- The promises of the envelope (BODY, SMTPUTF8, RET, ENVID, REQUIRETLS) and the origin, as JSON.
        promises      TEXT NOT NULL,
        origin        TEXT NOT NULL,
        filter        TEXT,
        -- NULL: the content is a file named after the id.
        body          BLOB
    ) WITHOUT ROWID;
    CREATE INDEX message_due ON message (held, next_attempt, id);
    CREATE TABLE recipient (
        message       TEXT NOT NULL,
        position      INTEGER NOT NULL,
        address       TEXT NOT NULL,
        original      TEXT NOT NULL,
        -- ORCPT and NOTIFY, as JSON.
        dsn           TEXT NOT NULL,
        -- 'pending', 'deferred', 'failed' or 'delivered'; a recipient that is done has no row.
        state         TEXT NOT NULL,
        status        TEXT,
        reason        TEXT,
        relay         TEXT,
        remote_mta    TEXT,
        remote_reply  TEXT,
        tls           TEXT,
        PRIMARY KEY (message, position)
    ) WITHOUT ROWID;
    ",
    // 1 to 2: when the last word on a recipient was spoken, and the attempts before it.
    "
    ALTER TABLE recipient ADD COLUMN tried INTEGER NOT NULL DEFAULT 0;
    CREATE TABLE attempt (
        message       TEXT NOT NULL,
        position      INTEGER NOT NULL,
        tried         INTEGER NOT NULL,
        status        TEXT NOT NULL,
        reason        TEXT NOT NULL,
        relay         TEXT NOT NULL,
        remote_mta    TEXT,
        remote_reply  TEXT,
        tls           TEXT NOT NULL,
        PRIMARY KEY (message, position, tried)
    ) WITHOUT ROWID;
    ",
    // 2 to 3: the number of the journal's last record that stands here.
    "
    CREATE TABLE journal (applied INTEGER NOT NULL);
    INSERT INTO journal VALUES (0);
    ",
    // 3 to 4: the messages whose content is a file are found without reading the others.
    "
    CREATE INDEX message_file ON message (id) WHERE body IS NULL;
    ",
];

/// The version that this program writes.
const CURRENT: usize = STEPS.len();

/// Makes the database of this version, from nothing or from an older one. A newer one is refused: an older program must not
/// write what it does not understand.
pub(crate) fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(unusable)?;
    let version = usize::try_from(version).unwrap_or(usize::MAX);
    if version > CURRENT {
        return Err(StoreError::Unusable(format!(
            "has schema version {version}, this program knows versions up to {CURRENT}: use the newer program"
        )));
    }
    if version == CURRENT {
        return Ok(());
    }
    let transaction = connection.transaction().map_err(unusable)?;
    for step in &STEPS[version..] {
        transaction.execute_batch(step).map_err(unusable)?;
    }
    set_version(&transaction, CURRENT).map_err(unusable)?;
    transaction.commit().map_err(unusable)
}

fn set_version(transaction: &Transaction<'_>, version: usize) -> rusqlite::Result<()> {
    // PRAGMA takes no bound values; the number is our own.
    transaction.execute_batch(&format!("PRAGMA user_version = {version}"))
}

fn unusable(error: rusqlite::Error) -> StoreError {
    StoreError::Unusable(format!("can not be opened: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_database_keeps_its_messages() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(STEPS[0]).unwrap();
        connection
            .execute_batch(
                "PRAGMA user_version = 1;
                 INSERT INTO recipient (message, position, address, original, dsn, state)
                 VALUES ('AAAAAA', 0, 'r@x', 'r@x', '[null,{}]', 'pending')",
            )
            .unwrap();
        migrate(&mut connection).unwrap();
        let tried: i64 = connection.query_row("SELECT tried FROM recipient", [], |row| row.get(0)).unwrap();
        assert_eq!(tried, 0);
    }

    #[test]
    fn migrating_twice_changes_nothing_and_a_newer_version_is_refused() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection).unwrap();
        migrate(&mut connection).unwrap();
        connection.execute_batch("PRAGMA user_version = 99").unwrap();
        let error = migrate(&mut connection).unwrap_err().to_string();
        assert!(error.contains("schema version 99"), "{error}");
    }
}
