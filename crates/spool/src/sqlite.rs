//! The store of one machine: a SQLite database in the queue directory.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use mail::QueueId;
use rusqlite::{Connection, ErrorCode, OptionalExtension, params};

use crate::changes::{apply, remove};
use crate::disk::Disk;
use crate::journal::Journal;
use crate::late::{Late, lock};
use crate::rows::{
    MESSAGE, OVERVIEW, REQUEUED, in_row, micros, parsed, read_or_damaged, read_overview, read_progress,
    read_recipient, read_waiting, time,
};
use crate::schema;
use crate::store::{Change, Committed, Overview, Progress, Store, StoreError, Stored};

/// A connection to the queue's database, and what it does not have yet.
pub struct SqliteStore {
    connection: Connection,
    /// Without it each commit is one of the database.
    late: Option<Arc<Mutex<Late>>>,
}

impl SqliteStore {
    /// Opens or makes the database at `path`, for writing.
    pub fn open(path: &Path) -> Result<SqliteStore, StoreError> {
        let mut connection = Connection::open(path).map_err(|error| unusable(path, &error))?;
        connection
            .execute_batch(
                // FULL: a commit is on the disk when it returns. Checkpoints of 4,000 pages are rare enough to stay off the
                // path of most commits. The lock is ours alone for as long as we live, but readers of this process
                // need the shared form, hence no exclusive locking mode.
                "PRAGMA auto_vacuum = INCREMENTAL;
                 PRAGMA journal_mode = WAL;
                 PRAGMA synchronous = FULL;
                 PRAGMA wal_autocheckpoint = 4000;
                 PRAGMA temp_store = MEMORY;
                 PRAGMA foreign_keys = OFF;",
            )
            .map_err(|error| unusable(path, &error))?;
        connection.busy_timeout(Duration::from_secs(10)).map_err(|error| unusable(path, &error))?;
        connection.set_prepared_statement_cache_capacity(64);
        schema::migrate(&mut connection)?;
        Ok(SqliteStore { connection, late: None })
    }

    /// Opens or makes the database at `path` with its journal: one connection for commits and one for questions, which knows of
    /// every commit as well. What a crash left in the journal is moved to the database. On a disk without room for a
    /// journal there is none: then each commit is one of the database.
    pub fn pair(path: &Path, disk: &Arc<dyn Disk>) -> Result<(SqliteStore, SqliteStore), StoreError> {
        let (mut writer, mut reader) = (SqliteStore::open(path)?, SqliteStore::open(path)?);
        let applied: i64 =
            writer.connection.query_row("SELECT applied FROM journal", [], |row| row.get(0))?;
        let journal = Journal::open(&path.with_extension("journal"), Arc::clone(disk), applied as u64);
        let (journal, groups) = match journal {
            Err(StoreError::NoSpace(_)) => return Ok((writer, reader)),
            journal => journal?,
        };
        let late = Late::new(journal, groups, &mut writer.connection)?;
        (writer.late, reader.late) = (Some(Arc::clone(&late)), Some(late));
        Ok((writer, reader))
    }

    /// What there is to know stands in the database then.
    fn bring_in(&mut self) -> Result<(), StoreError> {
        match &self.late {
            Some(late) => lock(late).bring_in(&mut self.connection),
            None => Ok(()),
        }
    }

    fn try_commit(&mut self, groups: &[Vec<Change>]) -> Result<Vec<Vec<QueueId>>, StoreError> {
        let transaction = self.connection.transaction()?;
        let mut unnamed = Vec::with_capacity(groups.len());
        for group in groups {
            let mut of_group = Vec::new();
            for change in group {
                match change {
                    Change::Remove { id } => of_group.extend(remove(&transaction, id)?.then_some(*id)),
                    other => apply(&transaction, other)?,
                }
            }
            unnamed.push(of_group);
        }
        transaction.commit()?;
        Ok(unnamed)
    }

    fn commit_here(&mut self, groups: &[Vec<Change>]) -> Committed {
        match self.try_commit(groups) {
            Ok(unnamed) => unnamed.into_iter().map(Ok).collect(),
            Err(error) if groups.len() == 1 => vec![Err(error)],
            // One group spoils the transaction for all: each by itself then, so that only the guilty one fails.
            Err(_) => {
                let alone =
                    |group| self.try_commit(std::slice::from_ref(group)).map(|unnamed| unnamed.concat());
                groups.iter().map(alone).collect()
            }
        }
    }

    fn with_recipients(&self, mut stored: Vec<Stored>) -> Result<Vec<Stored>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT position, address, original, dsn, state, status, reason, relay, remote_mta, remote_reply, tls, tried
             FROM recipient WHERE message = ?1 ORDER BY position",
        )?;
        for stored in &mut stored {
            let rows = statement.query_map([stored.message.id.as_str()], read_recipient)?;
            for row in rows {
                match row {
                    Ok((position, recipient, state)) => {
                        stored.message.envelope.recipients.push(recipient);
                        stored.states.push((position, state));
                    }
                    Err(error) => {
                        let why = in_row(error)?;
                        stored.damage.get_or_insert_with(|| format!("a recipient's row is damaged: {why}"));
                    }
                }
            }
        }
        Ok(stored)
    }
}

impl Store for SqliteStore {
    fn commit(&mut self, groups: Vec<Vec<Change>>) -> Committed {
        let Some(late) = self.late.clone() else { return self.commit_here(&groups) };
        let mut late = lock(&late);
        match late.commit(&mut self.connection, groups) {
            Ok(results) => results,
            // Too much for a journal, and it is empty now.
            Err(groups) => self.commit_here(&groups),
        }
    }

    fn settle(&mut self) -> bool {
        self.bring_in().is_ok()
    }

    fn due(
        &mut self,
        now: SystemTime,
        after: Option<(SystemTime, QueueId)>,
        limit: usize,
    ) -> Result<Vec<Stored>, StoreError> {
        self.bring_in()?;
        let (after_time, after_id) = match &after {
            Some((time, id)) => (micros(*time), id.as_str()),
            None => (i64::MIN, ""),
        };
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT {MESSAGE}, body FROM message
             WHERE held = 0 AND next_attempt <= ?1 AND (next_attempt, id) > (?2, ?3)
             ORDER BY next_attempt, id LIMIT ?4"
        ))?;
        let rows =
            statement.query_map(params![micros(now), after_time, after_id, limit as i64], read_or_damaged)?;
        let found = rows.collect::<Result<Vec<_>, _>>()?;
        self.with_recipients(found)
    }

    fn next_due(&mut self, now: SystemTime) -> Result<Option<SystemTime>, StoreError> {
        self.bring_in()?;
        let mut statement = self.connection.prepare_cached(
            "SELECT next_attempt FROM message WHERE held = 0 AND next_attempt > ?1 ORDER BY next_attempt LIMIT 1",
        )?;
        Ok(statement.query_row([micros(now)], |row| row.get(0)).optional()?.map(time))
    }

    fn requeued(
        &mut self,
        after: Option<(SystemTime, QueueId)>,
        limit: usize,
    ) -> Result<Vec<(SystemTime, QueueId)>, StoreError> {
        self.bring_in()?;
        let (after_time, after_id) = match &after {
            Some((time, id)) => (micros(*time), id.as_str()),
            None => (i64::MIN, ""),
        };
        let mut statement = self.connection.prepare_cached(
            "SELECT next_attempt, id FROM message WHERE held = ?1 AND (next_attempt, id) > (?2, ?3)
             ORDER BY next_attempt, id LIMIT ?4",
        )?;
        let row = |row: &rusqlite::Row<'_>| Ok((time(row.get(0)?), parsed(row, 1, QueueId::parse)?));
        let rows = statement.query_map(params![REQUEUED, after_time, after_id, limit as i64], row)?;
        Ok(rows.collect::<Result<Vec<_>, _>>()?)
    }

    fn list(&mut self, after: Option<&QueueId>, limit: usize) -> Result<Vec<Stored>, StoreError> {
        self.bring_in()?;
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT {MESSAGE}, NULL FROM message WHERE id > ?1 ORDER BY id LIMIT ?2"
        ))?;
        let after = after.map_or("", QueueId::as_str);
        let rows = statement.query_map(params![after, limit as i64], read_or_damaged)?;
        let found = rows.collect::<Result<Vec<_>, _>>()?;
        self.with_recipients(found)
    }

    fn overview(&mut self, after: Option<&QueueId>, limit: usize) -> Result<Vec<Overview>, StoreError> {
        self.bring_in()?;
        // Both tables are in this order: nothing is sorted, and what is behind the page is not read.
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT {OVERVIEW} FROM message LEFT JOIN recipient ON recipient.message = message.id
             WHERE id > ?1 ORDER BY id, position"
        ))?;
        let mut rows = statement.query([after.map_or("", QueueId::as_str)])?;
        let mut page: Vec<Overview> = Vec::new();
        while let Some(row) = rows.next()? {
            let id = row.get_ref(0)?.as_str().ok();
            if page.last().is_none_or(|last| Some(last.id.as_str()) != id) {
                if page.len() == limit {
                    break;
                }
                page.push(read_overview(row)?);
            }
            let Some(message) = page.last_mut() else { break };
            match read_waiting(row) {
                Ok(recipient) => message.recipients.extend(recipient),
                Err(error) => message.is_damaged = in_row(error).map(|_| true)?,
            }
        }
        Ok(page)
    }

    fn find(&mut self, id: &QueueId) -> Result<Option<Stored>, StoreError> {
        self.bring_in()?;
        let mut statement =
            self.connection.prepare_cached(&format!("SELECT {MESSAGE}, body FROM message WHERE id = ?1"))?;
        let found = statement.query_row([id.as_str()], read_or_damaged).optional()?;
        Ok(self.with_recipients(found.into_iter().collect())?.pop())
    }

    fn attempts(&mut self, id: &QueueId) -> Result<Vec<(u32, Progress)>, StoreError> {
        self.bring_in()?;
        let mut statement = self.connection.prepare_cached(
            "SELECT status, reason, relay, remote_mta, remote_reply, tls, tried, position FROM attempt
             WHERE message = ?1 ORDER BY tried, position",
        )?;
        let rows = statement.query_map([id.as_str()], |row| Ok((row.get(7)?, read_progress(row, 0)?)))?;
        Ok(rows.collect::<Result<Vec<_>, _>>()?)
    }

    fn with_body_file(&mut self) -> Result<Vec<QueueId>, StoreError> {
        self.bring_in()?;
        let mut statement = self.connection.prepare("SELECT id FROM message WHERE body IS NULL")?;
        let ids = statement.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
        Ok(ids.iter().filter_map(|id| QueueId::parse(id)).collect())
    }

    fn check(&mut self) -> Result<Vec<String>, StoreError> {
        let mut statement = self.connection.prepare("PRAGMA quick_check(20)")?;
        let lines = statement.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
        Ok(lines.into_iter().filter(|line| line != "ok").collect())
    }

    fn count(&mut self) -> Result<u64, StoreError> {
        self.bring_in()?;
        Ok(self.connection.query_row("SELECT count(*) FROM message", [], |row| row.get::<_, i64>(0))? as u64)
    }
}

fn unusable(path: &Path, error: &rusqlite::Error) -> StoreError {
    StoreError::Unusable(format!("{} can not be opened: {error}", path.display()))
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match &error {
            rusqlite::Error::SqliteFailure(failure, _) => match failure.code {
                ErrorCode::DiskFull => StoreError::NoSpace(error.to_string()),
                ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => {
                    StoreError::Unusable(format!("is damaged: {error}"))
                }
                _ => StoreError::Other(error.to_string()),
            },
            _ => StoreError::Other(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use mail::{Address, Envelope, Message, Origin, Recipient, Status};

    use super::*;
    use crate::store::{ATTEMPTS_KEPT, Content, Held, RecipientState};

    fn message(id: &str, recipients: usize) -> Message {
        let mut envelope = Envelope { sender: Address::internal("s@x").unwrap(), ..Envelope::default() };
        for n in 0..recipients {
            envelope.recipients.push(Recipient::new(Address::internal(format!("r{n}@y")).unwrap()));
        }
        envelope.envid = Some("E 1".into());
        Message {
            id: QueueId::parse(id).unwrap(),
            envelope,
            origin: Origin::User { uid: 7 },
            arrival: time(1_000_000),
            size: 3,
            data_size: 5,
            checksum: 9,
            filter: None,
        }
    }

    fn added(id: &str, recipients: usize) -> Vec<Change> {
        vec![Change::Add {
            message: Box::new(message(id, recipients)),
            content: Content::Inline(b"a\n\n".to_vec()),
            hold: false,
        }]
    }

    fn store() -> (tempfile::TempDir, SqliteStore) {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&dir.path().join("queue.db")).unwrap();
        (dir, store)
    }

    #[test]
    fn what_was_added_is_found_as_it_was() {
        let (_dir, mut store) = store();
        assert!(store.commit(vec![added("AAAAAA", 2)]).into_iter().all(|r| r.is_ok()));
        let found = store.find(&QueueId::parse("AAAAAA").unwrap()).unwrap().unwrap();
        assert_eq!(found.message, message("AAAAAA", 2));
        assert_eq!(found.body.as_deref(), Some(&b"a\n\n"[..]));
        assert_eq!(found.states, [(0, RecipientState::Pending), (1, RecipientState::Pending)]);
    }

    #[test]
    fn a_message_of_an_older_version_has_its_bytes_for_its_size() {
        let (_dir, mut store) = store();
        store.commit(vec![added("AAAAAA", 1)]);
        store
            .connection
            .execute_batch(
                "UPDATE message SET promises = replace(promises, '\"data_size\":5', '\"data_size\":null')",
            )
            .unwrap();
        let found = store.find(&QueueId::parse("AAAAAA").unwrap()).unwrap().unwrap();
        assert_eq!((found.message.size, found.message.data_size), (3, 3));
    }

    #[test]
    fn a_bad_group_fails_alone_and_whole() {
        let (_dir, mut store) = store();
        let mut half = added("BBBBBB", 1);
        half.extend(added("AAAAAA", 1));
        let results = store.commit(vec![added("AAAAAA", 1), half, added("CCCCCC", 1)]);
        assert!(results[0].is_ok() && results[2].is_ok());
        assert!(matches!(&results[1], Err(StoreError::Exists(id)) if id.as_str() == "AAAAAA"));
        let ids: Vec<_> =
            store.list(None, 10).unwrap().into_iter().map(|s| s.message.id.to_string()).collect();
        assert_eq!(ids, ["AAAAAA", "CCCCCC"]);
    }

    #[test]
    fn recipients_go_one_by_one() {
        let (_dir, mut store) = store();
        let id = QueueId::parse("AAAAAA").unwrap();
        let progress = Progress {
            status: Status::new(4, 4, 1),
            text: "connect to x".into(),
            relay: "none".into(),
            remote: Some(("mx.y".into(), "450 no".into())),
            tls: "may".into(),
            at: time(4_000_000),
        };
        let state = |position, state| Change::Recipient { id, position, state };
        store.commit(vec![
            added("AAAAAA", 3),
            vec![
                state(0, RecipientState::Done),
                state(1, RecipientState::Deferred(progress.clone())),
                Change::Defer { id, next_attempt: time(5_000_000) },
            ],
        ]);
        let found = store.find(&id).unwrap().unwrap();
        assert_eq!(found.states, [(1, RecipientState::Deferred(progress)), (2, RecipientState::Pending)]);
        assert_eq!(found.message.envelope.recipients[0].address.as_str(), "r1@y");
        assert_eq!((found.attempts, found.next_attempt), (1, time(5_000_000)));
    }

    #[test]
    fn the_last_attempts_are_remembered() {
        let (_dir, mut store) = store();
        let id = QueueId::parse("AAAAAA").unwrap();
        store.commit(vec![added("AAAAAA", 2)]);
        let beyond = ATTEMPTS_KEPT as i64 + 3;
        for n in 1..=beyond {
            let progress = Progress {
                status: Status::new(4, 4, 1),
                text: format!("attempt {n}"),
                relay: "none".into(),
                remote: None,
                tls: String::new(),
                at: time(n * 1_000_000),
            };
            store.commit(vec![vec![Change::Recipient {
                id,
                position: (n == 1).into(),
                state: RecipientState::Deferred(progress),
            }]]);
        }
        let attempts = store.attempts(&id).unwrap();
        assert_eq!(attempts.len(), 1 + ATTEMPTS_KEPT);
        assert_eq!((attempts[0].0, attempts[0].1.text.as_str()), (1, "attempt 1"));
        assert_eq!(attempts[1].1.text, "attempt 4");
        assert_eq!(attempts.last().unwrap().1.at, time(beyond * 1_000_000));
        store.commit(vec![vec![Change::Remove { id }]]);
        assert_eq!(store.attempts(&id).unwrap(), []);
    }

    #[test]
    fn due_pages_in_order_and_leaves_out_what_is_held_or_later() {
        let (_dir, mut store) = store();
        let id = |text| QueueId::parse(text).unwrap();
        store.commit(vec![
            added("CCCCCC", 1),
            added("AAAAAA", 1),
            added("BBBBBB", 1),
            added("DDDDDD", 1),
            vec![
                Change::Hold { id: id("BBBBBB"), held: Held::Yes },
                Change::Defer { id: id("DDDDDD"), next_attempt: time(9_000_000) },
            ],
        ]);
        let now = time(2_000_000);
        let first = store.due(now, None, 1).unwrap();
        assert_eq!(first[0].message.id, id("AAAAAA"));
        let rest = store.due(now, Some((first[0].next_attempt, id("AAAAAA"))), 10).unwrap();
        assert_eq!(rest.len(), 1);
        assert_eq!(rest[0].message.id, id("CCCCCC"));
        assert_eq!(store.next_due(now).unwrap(), Some(time(9_000_000)));
        store.commit(vec![vec![
            Change::Flush { id: None },
            Change::Hold { id: id("BBBBBB"), held: Held::No },
        ]]);
        assert_eq!(store.due(now, None, 10).unwrap().len(), 4);
        store.commit(vec![vec![Change::Remove { id: id("AAAAAA") }]]);
        assert_eq!(store.count().unwrap(), 3);
    }

    #[test]
    fn what_waits_for_cleanup_is_not_due_and_found_page_by_page() {
        let (_dir, mut store) = store();
        let id = |text| QueueId::parse(text).unwrap();
        let requeue = |text| Change::Hold { id: id(text), held: Held::Requeued };
        store.commit(vec![
            added("AAAAAA", 1),
            added("BBBBBB", 1),
            added("CCCCCC", 1),
            vec![requeue("AAAAAA"), requeue("CCCCCC")],
        ]);
        let due = store.due(time(9_000_000), None, 10).unwrap();
        assert_eq!(due.iter().map(|stored| stored.message.id.as_str()).collect::<Vec<_>>(), ["BBBBBB"]);
        let first = store.requeued(None, 1).unwrap();
        assert_eq!(first[0].1, id("AAAAAA"));
        let rest = store.requeued(first.last().cloned(), 10).unwrap();
        assert_eq!(rest.iter().map(|(_, id)| id.as_str()).collect::<Vec<_>>(), ["CCCCCC"]);
        assert_eq!(store.find(&id("AAAAAA")).unwrap().unwrap().held, Held::Requeued);
    }

    #[test]
    fn a_damaged_row_is_told_of_and_keeps_nobody_from_reading_the_others() {
        let (_dir, mut store) = store();
        store.commit(vec![added("AAAAAA", 1), added("BBBBBB", 2), added("CCCCCC", 1)]);
        assert_eq!(store.check().unwrap(), [] as [&str; 0]);
        let damage = "UPDATE message SET promises = '{' WHERE id = 'AAAAAA';
                      UPDATE recipient SET state = 'odd' WHERE message = 'BBBBBB' AND position = 1";
        store.connection.execute_batch(damage).unwrap();
        let found = store.due(time(9_000_000), None, 10).unwrap();
        let damages: Vec<_> =
            found.iter().map(|stored| stored.damage.as_deref().map(|why| &why[..14])).collect();
        assert_eq!(damages, [Some("its row is dam"), Some("a recipient's "), None]);
        assert_eq!(found[0].message.envelope.sender.as_str(), "s@x");
        assert_eq!(found[0].body.as_deref(), Some(&b"a\n\n"[..]));
        let id = QueueId::parse("AAAAAA").unwrap();
        store.commit(vec![vec![Change::Hold { id, held: Held::Corrupt }]]);
        assert_eq!(store.due(time(9_000_000), None, 10).unwrap().len(), 2);
        assert_eq!(store.find(&id).unwrap().unwrap().held, Held::Corrupt);
    }

    #[test]
    fn an_overview_is_a_listing_with_less_of_each() {
        let (_dir, mut store) = store();
        let progress = Progress {
            status: Status::new(4, 4, 1),
            text: "connect to x".into(),
            relay: "none".into(),
            remote: None,
            tls: String::new(),
            at: time(4_000_000),
        };
        let id = |text| QueueId::parse(text).unwrap();
        let state = |position, state| Change::Recipient { id: id("AAAAAA"), position, state };
        store.commit(vec![
            added("AAAAAA", 3),
            added("BBBBBB", 0),
            added("CCCCCC", 1),
            added("DDDDDD", 2),
            vec![
                state(0, RecipientState::Deferred(progress.clone())),
                state(1, RecipientState::Delivered(progress)),
                Change::Hold { id: id("CCCCCC"), held: Held::Yes },
                Change::Expire { id: id("DDDDDD") },
            ],
        ]);
        let damage = "UPDATE message SET promises = '{' WHERE id = 'CCCCCC';
                      UPDATE recipient SET state = 'odd' WHERE message = 'DDDDDD' AND position = 1";
        store.connection.execute_batch(damage).unwrap();
        for (after, limit) in [(None, 10), (None, 2), (Some(id("AAAAAA")), 2), (Some(id("DDDDDD")), 2)] {
            let listed = store.list(after.as_ref(), limit).unwrap();
            let expected: Vec<_> = listed.iter().map(Overview::from).collect();
            assert_eq!(store.overview(after.as_ref(), limit).unwrap(), expected, "{after:?}");
        }
        let plan = format!(
            "EXPLAIN QUERY PLAN SELECT {OVERVIEW} FROM message LEFT JOIN recipient
             ON recipient.message = message.id WHERE id > '' ORDER BY id, position"
        );
        let mut statement = store.connection.prepare(&plan).unwrap();
        let steps = statement.query_map([], |row| row.get::<_, String>(3)).unwrap();
        let steps: Vec<_> = steps.collect::<Result<_, _>>().unwrap();
        assert!(steps.iter().all(|step| step.starts_with("SEARCH")), "{steps:?}");
    }

    #[test]
    fn what_is_no_database_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("queue.db");
        std::fs::write(&path, "not a database, but long enough to be looked at".repeat(100)).unwrap();
        let error = SqliteStore::open(&path).err().unwrap().to_string();
        assert!(error.contains("queue.db"), "{error}");
    }
}
