//! Between the journal and the database: what was committed goes to the journal at once, and to the database late, all together. By then
//! most messages have been delivered, and there is nothing left to move.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mail::QueueId;
use rusqlite::{Connection, OptionalExtension, params};

use crate::changes::{apply, execute};
use crate::disk::store_error;
use crate::journal::{Journal, NotWritten, Pending};
use crate::store::{Change, Committed, StoreError};

/// What was committed and stands in no row yet.
pub(crate) struct Late {
    journal: Journal,
    pending: Pending,
    /// The database had no room for it.
    starves: bool,
}

impl Late {
    /// Goes on with what a crash left in the journal: it is moved to the database.
    pub(crate) fn new(
        journal: Journal,
        groups: Vec<Vec<Change>>,
        connection: &mut Connection,
    ) -> Result<Arc<Mutex<Late>>, StoreError> {
        let mut late = Late { journal, pending: Pending::default(), starves: false };
        for change in groups.into_iter().flatten() {
            late.pending.take(change);
        }
        late.settle(connection)?;
        Ok(Arc::new(Mutex::new(late)))
    }

    /// Writes all groups as one record, and keeps in mind what they change. Gives them back when they are too large for the journal;
    /// everything else is in the database then.
    pub(crate) fn commit(
        &mut self,
        connection: &mut Connection,
        groups: Vec<Vec<Change>>,
    ) -> Result<Committed, Vec<Vec<Change>>> {
        if self.journal.is_worn() || self.starves {
            // Without success there is the second half of the file.
            let _ = self.settle(connection);
        }
        let mut ids = HashSet::new();
        let mut refusals: Vec<Option<StoreError>> =
            groups.iter().map(|group| self.refusal(connection, group, &mut ids)).collect();
        if refusals.iter().any(Option::is_none) {
            let accepted =
                || groups.iter().zip(&refusals).filter(|(_, no)| no.is_none()).map(|(group, _)| group);
            let mut written = self.journal.append(accepted());
            if matches!(written, Err(NotWritten::NoRoom)) {
                written = match self.settle(connection) {
                    Ok(()) => self.journal.append(accepted()),
                    Err(error) => Err(NotWritten::Store(error)),
                };
            }
            let error = match written {
                Ok(()) => None,
                Err(NotWritten::NoRoom) => return Err(groups),
                Err(NotWritten::Store(error)) => Some(error),
                Err(NotWritten::Io(error)) => {
                    // The record may be on the disk all the same, and nobody must find it there: it counts as one that stands in the
                    // database. Where that fails as well, the next record takes its place.
                    if self.move_to(connection, self.journal.last() + 1).is_ok() {
                        self.journal.skip();
                    }
                    Some(store_error(error))
                }
            };
            if let Some(error) = error {
                for refusal in &mut refusals {
                    refusal.get_or_insert_with(|| error.clone());
                }
            }
        }
        let mut is_for_all = false;
        let mut results = Vec::with_capacity(groups.len());
        for (group, refusal) in groups.into_iter().zip(refusals) {
            if let Some(error) = refusal {
                results.push(Err(error));
                continue;
            }
            let mut unnamed = Vec::new();
            for change in group {
                is_for_all |= change.id().is_none();
                // A question that failed costs a file until the next sweep, and nothing else.
                unnamed.extend(self.take(connection, change).unwrap_or_default());
            }
            results.push(Ok(unnamed));
        }
        if is_for_all {
            // What comes later must not come before it.
            let _ = self.settle(connection);
        }
        Ok(results)
    }

    /// Why a group can not take effect, if it can not.
    fn refusal(
        &self,
        connection: &Connection,
        group: &[Change],
        ids: &mut HashSet<QueueId>,
    ) -> Option<StoreError> {
        let mut replaced = HashSet::new();
        for change in group {
            let message = match change {
                Change::Add { message, .. } => message,
                Change::Remove { id } => {
                    replaced.insert(id);
                    continue;
                }
                _ => continue,
            };
            if self.starves {
                return Some(StoreError::NoSpace("the database can not grow".into()));
            }
            let exists = match self.pending.knows(&message.id) {
                _ if replaced.contains(&message.id) => Ok(false),
                Some(known) => Ok(known),
                None => exists(connection, &message.id),
            };
            match exists {
                Ok(false) if ids.insert(message.id) => {}
                Ok(_) => return Some(StoreError::Exists(message.id)),
                Err(error) => return Some(error),
            }
        }
        None
    }

    /// Keeps a change in mind. For a removal: the message, when its content was a file.
    fn take(&mut self, connection: &Connection, change: Change) -> Result<Option<QueueId>, StoreError> {
        let removed = match &change {
            Change::Remove { id } => Some(*id),
            _ => None,
        };
        let in_memory = self.pending.take(change);
        let Some(id) = removed else { return Ok(None) };
        let is_file = match in_memory {
            Some(is_file) => is_file,
            None => connection
                .prepare_cached("SELECT body IS NULL FROM message WHERE id = ?1")?
                .query_row([id.as_str()], |row| row.get(0))
                .optional()?
                .unwrap_or(false),
        };
        Ok(is_file.then_some(id))
    }

    /// Moves everything to the database, if there is anything.
    pub(crate) fn bring_in(&mut self, connection: &mut Connection) -> Result<(), StoreError> {
        if self.pending.is_empty() { Ok(()) } else { self.settle(connection) }
    }

    /// Moves everything to the database, and begins the journal anew.
    fn settle(&mut self, connection: &mut Connection) -> Result<(), StoreError> {
        let settled = self.move_to(connection, self.journal.last());
        self.starves = matches!(settled, Err(StoreError::NoSpace(_)));
        settled
    }

    /// `applied`: number of the last record that stands in the database then. All of each record is pending.
    fn move_to(&mut self, connection: &mut Connection, applied: u64) -> Result<(), StoreError> {
        let transaction = connection.transaction()?;
        for change in self.pending.changes() {
            apply(&transaction, change)?;
        }
        execute(&transaction, "UPDATE journal SET applied = ?1", params![applied as i64])?;
        transaction.commit()?;
        self.pending.clear();
        self.journal.restart();
        Ok(())
    }
}

/// Nothing is left half done in it: a panic between two steps would have ended the process.
pub(crate) fn lock(late: &Mutex<Late>) -> MutexGuard<'_, Late> {
    late.lock().unwrap_or_else(PoisonError::into_inner)
}

fn exists(connection: &Connection, id: &QueueId) -> Result<bool, StoreError> {
    let mut statement = connection.prepare_cached("SELECT 1 FROM message WHERE id = ?1")?;
    Ok(statement.exists([id.as_str()])?)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io;
    use std::path::Path;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::UNIX_EPOCH;

    use mail::{Address, Envelope, Message, Origin, Recipient};

    use super::*;
    use crate::disk::{Disk, RealDisk};
    use crate::sqlite::SqliteStore;
    use crate::store::{Content, Store};

    fn id(id: &str) -> QueueId {
        QueueId::parse(id).unwrap()
    }

    fn of_size(name: &str, bytes: usize) -> Vec<Change> {
        let body = vec![b'x'; bytes];
        let recipients = vec![Recipient::new(Address::internal("r@x").unwrap())];
        let message = Box::new(Message {
            id: id(name),
            envelope: Envelope { recipients, ..Envelope::default() },
            origin: Origin::Internal,
            arrival: UNIX_EPOCH,
            size: bytes as u64,
            data_size: bytes as u64,
            checksum: crc32c::crc32c(&body),
            filter: None,
        });
        vec![Change::Add { message, content: Content::Inline(body), hold: false }]
    }

    fn added(name: &str) -> Vec<Change> {
        of_size(name, 3)
    }

    /// A disk on which the journal can not be written.
    struct Broken(AtomicBool);

    impl Disk for Broken {
        fn create(&self, path: &Path) -> io::Result<File> {
            RealDisk.create(path)
        }
        fn open(&self, path: &Path) -> io::Result<File> {
            RealDisk.open(path)
        }
        fn sync_file(&self, path: &Path) -> io::Result<()> {
            RealDisk.sync_file(path)
        }
        fn sync_directory(&self, path: &Path) -> io::Result<()> {
            RealDisk.sync_directory(path)
        }
        fn remove(&self, path: &Path) -> io::Result<()> {
            RealDisk.remove(path)
        }
        fn list(&self, path: &Path) -> io::Result<Vec<String>> {
            RealDisk.list(path)
        }
        fn reserve(&self, path: &Path, size: u64) -> io::Result<File> {
            match self.0.load(Ordering::Relaxed) {
                true => Err(io::ErrorKind::StorageFull.into()),
                false => RealDisk.reserve(path, size),
            }
        }
        fn write_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
            RealDisk.write_at(file, bytes, offset)
        }
        fn sync_data(&self, _: &File) -> io::Result<()> {
            match self.0.load(Ordering::Relaxed) {
                true => Err(io::Error::other("the disk is gone")),
                false => Ok(()),
            }
        }
    }

    fn pair(path: &Path) -> (SqliteStore, SqliteStore) {
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        SqliteStore::pair(path, &disk).unwrap()
    }

    fn rows(path: &Path) -> u64 {
        SqliteStore::open(path).unwrap().count().unwrap()
    }

    #[test]
    fn what_stays_is_moved_to_the_database_and_the_rest_never_gets_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("queue.db");
        let (mut commits, mut questions) = pair(&path);
        let results = commits.commit(vec![added("AAAAAA"), added("BBBBBB"), added("AAAAAA")]);
        assert!(matches!(&results[..], [Ok(_), Ok(_), Err(StoreError::Exists(_))]), "{results:?}");
        assert!(commits.commit(vec![vec![Change::Remove { id: id("AAAAAA") }]])[0].is_ok());
        assert_eq!(rows(&path), 0);
        assert!(matches!(commits.commit(vec![added("BBBBBB")])[0], Err(StoreError::Exists(_))));
        // One may take the place of another of the same id.
        let replacement = [vec![Change::Remove { id: id("BBBBBB") }], added("BBBBBB")].concat();
        assert!(commits.commit(vec![replacement.clone()])[0].is_ok());
        // A question brings it there; so does rest.
        assert_eq!(questions.list(None, 10).unwrap().len(), 1);
        assert_eq!(rows(&path), 1);
        assert!(matches!(commits.commit(vec![added("BBBBBB")])[0], Err(StoreError::Exists(_))));
        assert!(commits.commit(vec![replacement])[0].is_ok());
        commits.commit(vec![added("CCCCCC")]);
        assert!(commits.settle());
        assert_eq!(rows(&path), 2);
        // A crash: what the journal has is found.
        commits.commit(vec![added("DDDDDD"), vec![Change::Remove { id: id("CCCCCC") }]]);
        drop((commits, questions));
        let ids: Vec<_> =
            pair(&path).1.list(None, 10).unwrap().into_iter().map(|stored| stored.message.id).collect();
        assert_eq!(ids, [id("BBBBBB"), id("DDDDDD")]);
    }

    #[test]
    fn a_journal_that_is_full_is_begun_anew_and_what_is_too_large_goes_past_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("queue.db");
        let (mut commits, mut questions) = pair(&path);
        let third = crate::journal::SIZE as usize / 3;
        for (n, bytes) in [third, third, third, third, 4 * third, third].into_iter().enumerate() {
            let name = format!("AAAAA{n}");
            assert!(commits.commit(vec![of_size(&name, bytes)])[0].is_ok(), "{n}");
        }
        drop(commits);
        for n in 0..6 {
            let stored = questions.find(&id(&format!("AAAAA{n}"))).unwrap().unwrap();
            assert_eq!(crc32c::crc32c(stored.body.as_ref().unwrap()), stored.message.checksum, "{n}");
        }
    }

    #[test]
    fn what_the_disk_did_not_take_is_not_found_later() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("queue.db");
        let broken = Arc::new(Broken(AtomicBool::new(false)));
        let disk: Arc<dyn Disk> = broken.clone();
        let (mut commits, questions) = SqliteStore::pair(&path, &disk).unwrap();
        assert!(commits.commit(vec![added("AAAAAA")])[0].is_ok());
        broken.0.store(true, Ordering::Relaxed);
        // It is written, and its sync fails.
        let failed = commits.commit(vec![added("BBBBBB")]).remove(0).unwrap_err();
        assert!(failed.to_string().contains("the disk is gone"), "{failed}");
        broken.0.store(false, Ordering::Relaxed);
        assert!(commits.commit(vec![added("CCCCCC")])[0].is_ok());
        drop((commits, questions));
        let ids: Vec<_> =
            pair(&path).1.list(None, 10).unwrap().into_iter().map(|stored| stored.message.id).collect();
        assert_eq!(ids, [id("AAAAAA"), id("CCCCCC")]);
    }

    #[test]
    fn without_room_for_a_journal_each_commit_is_one_of_the_database() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("queue.db");
        let disk: Arc<dyn Disk> = Arc::new(Broken(AtomicBool::new(true)));
        let (mut commits, _) = SqliteStore::pair(&path, &disk).unwrap();
        assert!(commits.commit(vec![added("AAAAAA")])[0].is_ok());
        assert_eq!(rows(&path), 1);
    }
}
