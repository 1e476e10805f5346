//! `hash:file`, `btree:file`, `cdb:file` and `lmdb:file`: the index that postmap(1) or postalias(1) made.
//!
//! A replaced or rewritten index is noticed at the next lookup. When the index is missing and the source text is
//! there, the text is read instead, with a warning to run the command; Postfix would fail every lookup.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use crate::handed_over;
use crate::index_file::{IndexFile, Kind};
use crate::lookup::Lookup;
use crate::map::{Entries, Format, Opened, Opening, Table, Warn};
use crate::texthash::TextHash;
use crate::watched::{Stamp, os_text};

struct Indexed {
    kind: Kind,
    type_name: String,
    path: String,
    format: Format,
    fold: bool,
    warn: Warn,
    state: Mutex<State>,
}

/// What lookups are answered from.
struct State {
    /// Of the index; `None` while there is none.
    stamp: Option<Stamp>,
    content: Content,
}

enum Content {
    Index(IndexFile),
    Source(TextHash),
    Failed(String),
}

pub(crate) fn open(opening: &Opening<'_>) -> Result<Opened, String> {
    let kind =
        Kind::of(opening.type_name).ok_or_else(|| format!("{}: no type with an index", opening.type_name))?;
    let table = Indexed {
        kind,
        type_name: opening.type_name.to_owned(),
        path: opening.name.to_owned(),
        format: opening.flags.format,
        fold: opening.flags.fold,
        warn: opening.tables_warn(),
        state: Mutex::new(State { stamp: None, content: Content::Failed(String::new()) }),
    };
    let state = table.load();
    if let Content::Failed(reason) = &state.content {
        return Err(reason.clone());
    }
    *table.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
    Ok(Opened::Local(Box::new(table)))
}

impl Indexed {
    fn index_path(&self) -> String {
        self.kind.file_name(&self.path)
    }

    fn stamp(&self) -> Option<Stamp> {
        handed_over::stamp(&self.index_path())
    }

    fn load(&self) -> State {
        let index = self.index_path();
        let file = match handed_over::open(&index) {
            Ok(file) => file,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return self.load_source(&os_text(&e)),
            Err(e) => return State::failed(None, format!("open database {index}: {}", os_text(&e))),
        };
        let read = || {
            // Held while the first page is read: Postfix's postmap rewrites an index in place, under this lock.
            file.lock_shared()?;
            let meta = file.metadata()?;
            Ok::<_, std::io::Error>((meta.modified()?, Stamp::from(&meta), file.try_clone()?))
        };
        let (modified, stamp, reader) = match read() {
            Ok(facts) => facts,
            Err(e) => return State::failed(None, format!("open database {index}: {}", os_text(&e))),
        };
        let database = IndexFile::open(self.kind, reader, &index);
        let _ = file.unlock();
        match database {
            Ok(database) => {
                self.warn_when_older(&index, modified);
                State { stamp: Some(stamp), content: Content::Index(database) }
            }
            Err(why) => State::failed(Some(stamp), format!("open database {index}: {why}")),
        }
    }

    /// The source text in place of a missing index.
    fn load_source(&self, why: &str) -> State {
        match TextHash::open(&self.path, self.format, self.fold, &self.warn) {
            Ok(text) => {
                let command = if self.format == Format::Alias { "postalias" } else { "postmap" };
                (self.warn)(&format!(
                    "open database {}: {why}; reading {} instead, please run \"{command} {}:{}\"",
                    self.index_path(),
                    self.path,
                    self.type_name,
                    self.path
                ));
                State { stamp: None, content: Content::Source(text) }
            }
            Err(_) => State::failed(None, format!("open database {}: {why}", self.index_path())),
        }
    }

    /// A source that is newer than its index was edited and not built. An edit of the last moments is left alone:
    /// the command may be running.
    fn warn_when_older(&self, index: &str, built: SystemTime) {
        let Ok(edited) = std::fs::metadata(&self.path).and_then(|meta| meta.modified()) else { return };
        let settled =
            SystemTime::now().duration_since(edited).is_ok_and(|age| age > Duration::from_secs(100));
        if edited > built && settled {
            (self.warn)(&format!("database {index} is older than source file {}", self.path));
        }
    }

    /// Runs `ask` on the present content.
    fn with_content<T>(&self, ask: impl FnOnce(&Content) -> Result<T, String>) -> Result<T, String> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = self.stamp();
        let unusable = matches!(state.content, Content::Failed(_));
        if seen != state.stamp || unusable {
            let now = self.load();
            let failed = matches!(now.content, Content::Failed(_));
            if !failed || unusable || !handed_over::is_awaited(&self.index_path()) {
                *state = now;
            }
        }
        let Content::Index(database) = &state.content else { return ask(&state.content) };
        let Some(file) = database.file() else { return ask(&state.content) };
        file.lock_shared().map_err(|e| format!("{}: lock: {e}", self.index_path()))?;
        let answer = ask(&state.content);
        let _ = file.unlock();
        answer
    }
}

impl State {
    fn failed(stamp: Option<Stamp>, reason: String) -> State {
        State { stamp, content: Content::Failed(reason) }
    }
}

impl Table for Indexed {
    fn lookup(&self, key: &str) -> Lookup {
        let index = self.index_path();
        let explain = |why: String| format!("error reading {index}: {why}");
        self.with_content(|content| match content {
            Content::Index(database) => {
                // Some builds end keys with NUL, others do not; the likelier form first.
                let with_nul = [key.as_bytes(), &[0]].concat();
                let mut forms = [with_nul.as_slice(), key.as_bytes()];
                if !self.kind.ends_with_nul() {
                    forms.reverse();
                }
                let found = match database.get(forms[0]).map_err(explain)? {
                    Some(value) => Some(value),
                    None => database.get(forms[1]).map_err(explain)?,
                };
                found.map(|value| text(value).map_err(|why| explain(format!("key {key}: {why}")))).transpose()
            }
            Content::Source(source) => source.lookup(key).into_result(),
            Content::Failed(reason) => Err(reason.clone()),
        })
        .into()
    }

    fn entries(&self) -> Option<Result<Entries, String>> {
        let index = self.index_path();
        Some(self.with_content(|content| match content {
            Content::Index(database) => {
                let pairs = database.pairs().map_err(|why| format!("error reading {index}: {why}"))?;
                let texts = pairs.into_iter().map(|(key, value)| Ok((text(key)?, text(value)?)));
                texts.collect()
            }
            Content::Source(source) => source.entries().unwrap_or_else(|| Ok(Entries::new())),
            Content::Failed(reason) => Err(reason.clone()),
        }))
    }
}

/// Bytes from an index as text, without the NUL at the end.
fn text(mut bytes: Vec<u8>) -> Result<String, String> {
    if bytes.last() == Some(&0) {
        bytes.pop();
    }
    String::from_utf8(bytes).map_err(|_| "non-UTF-8 text".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::berkeley::{self, Method};
    use crate::map::Flags;
    use crate::map::tests::{listening, now};

    fn found(text: &str) -> Lookup {
        Lookup::Found(text.into())
    }

    #[test]
    fn a_rebuilt_index_is_noticed_and_a_vanished_one_fails() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("map").to_str().unwrap().to_owned();
        let build = |value: &str| {
            let pair = (b"key\0".to_vec(), [value.as_bytes(), b"\0"].concat());
            std::fs::write(format!("{path}.new"), berkeley::write(Method::Hash, vec![pair]).unwrap())
                .unwrap();
            std::fs::rename(format!("{path}.new"), format!("{path}.db")).unwrap();
        };
        build("one");
        let (tables, heard) = listening();
        let map = tables.map(&format!("hash:{path}"), Flags::default());
        assert_eq!(now(map.lookup("KEY")), found("one"));
        build("two");
        assert_eq!(now(map.lookup("key")), found("two"));
        assert_eq!(map.entries(), Some(Ok(vec![("key".into(), "two".into())])));
        std::fs::remove_file(format!("{path}.db")).unwrap();
        let failed = format!("open database {path}.db: No such file or directory");
        assert_eq!(now(map.lookup("key")), Lookup::Failed(failed));
        build("three");
        assert_eq!(now(map.lookup("key")), found("three"));
        assert!(heard.lock().unwrap().is_empty());
    }

    #[test]
    fn the_source_stands_in_for_a_missing_index_until_it_is_built() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("map").to_str().unwrap().to_owned();
        std::fs::write(&path, "Key source\n").unwrap();
        let (tables, heard) = listening();
        let map = tables.map(&format!("btree:{path}"), Flags::default());
        assert_eq!(now(map.lookup("key")), found("source"));
        assert_eq!(
            *heard.lock().unwrap(),
            [format!(
                "open database {path}.db: No such file or directory; reading {path} instead, please run \
                 \"postmap btree:{path}\""
            )]
        );
        let pairs = vec![(b"key\0".to_vec(), b"index\0".to_vec())];
        std::fs::write(format!("{path}.db"), berkeley::write(Method::Btree, pairs).unwrap()).unwrap();
        assert_eq!(now(map.lookup("key")), found("index"));
    }

    #[test]
    fn an_old_index_is_reported() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("map").to_str().unwrap().to_owned();
        let index = format!("{path}.db");
        std::fs::write(&path, "key new\n").unwrap();
        std::fs::write(&index, berkeley::write(Method::Hash, Vec::new()).unwrap()).unwrap();
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        std::fs::File::options().write(true).open(&index).unwrap().set_modified(at(1_000)).unwrap();
        std::fs::File::options().write(true).open(&path).unwrap().set_modified(at(2_000)).unwrap();
        let (tables, heard) = listening();
        let _ = tables.map(&format!("hash:{path}"), Flags::default());
        let expected = format!("database {index} is older than source file {path}");
        assert_eq!(*heard.lock().unwrap(), [expected]);
    }

    #[test]
    fn a_damaged_index_fails_with_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("map").to_str().unwrap().to_owned();
        std::fs::write(format!("{path}.db"), vec![7; 9000]).unwrap();
        let (tables, _) = listening();
        let map = tables.map(&format!("hash:{path}"), Flags::default());
        let why = format!("open database {path}.db: not a Berkeley DB hash or btree file");
        assert_eq!(now(map.lookup("key")), Lookup::Failed(why));
    }
}
