//! Policies that were fetched, in memory and in files: `mta-sts/DOMAIN` below data_directory, one for each domain.
//!
//! ```text
//! id: 20160831085700Z
//! fetched: 1795990000
//!
//! version: STSv1
//! mode: enforce
//! ...
//! ```
//!
//! A file that can not be written costs a fetch after the next restart; one that can not be read is fetched again.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use maillog::Log;
use tls::sts::{MOST_BYTES, Policy};

/// Policies in memory at a time; the others are read from their files.
const MOST_IN_MEMORY: usize = 10_000;

/// Domains with a file at most.
const MOST_FILES: usize = 100_000;

/// A policy holds for this long at least, whatever it says: a domain can not have itself asked for each message.
const LEAST: Duration = Duration::from_secs(300);

/// A policy with its circumstances.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Of the DNS record at that time.
    pub(super) id: String,
    /// When it was fetched, to the second.
    pub(super) fetched: SystemTime,
    pub(super) policy: Arc<Policy>,
}

impl Entry {
    fn holds(&self, now: SystemTime) -> bool {
        // A clock that was set back does not end a policy.
        now.duration_since(self.fetched).unwrap_or_default() < self.policy.max_age.max(LEAST)
    }

    fn to_text(&self) -> String {
        let seconds = self.fetched.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        format!("id: {}\nfetched: {seconds}\n\n{}\n", self.id, self.policy.lines.join("\n"))
    }

    fn parse(text: &str) -> Option<Entry> {
        let (head, policy) = text.split_once("\n\n")?;
        let field = |name: &str| head.lines().find_map(|line| line.strip_prefix(name));
        let fetched = field("fetched: ")?.parse().ok()?;
        Some(Entry {
            id: field("id: ")?.to_owned(),
            fetched: UNIX_EPOCH.checked_add(Duration::from_secs(fetched))?,
            policy: Arc::new(Policy::parse(policy.as_bytes()).ok()?),
        })
    }
}

/// The cache.
pub(super) struct Cache {
    directory: PathBuf,
    log: Log,
    known: Mutex<HashMap<String, Entry>>,
}

impl Cache {
    /// In a directory that is made when there is something to keep.
    pub(super) fn new(directory: PathBuf, log: Log) -> Cache {
        Cache { directory, log, known: Mutex::default() }
    }

    /// The policy of a domain, if it still holds.
    pub(super) fn find(&self, domain: &str, now: SystemTime) -> Option<Entry> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = known.get(domain) {
            return entry.holds(now).then(|| entry.clone());
        }
        let entry = read(&self.file(domain)?).filter(|entry| entry.holds(now))?;
        remember(&mut known, domain, entry.clone());
        Some(entry)
    }

    /// Keeps a policy in the place of an older one.
    pub(super) fn keep(&self, domain: &str, entry: Entry) {
        let written = self.file(domain).map_or(Ok(()), |file| self.write(&file, &entry));
        if let Err(error) = written {
            maillog::warning!(
                self.log,
                "{}: {error}: the MTA-STS policy of {domain} is kept in memory only",
                self.directory.display()
            );
        }
        remember(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner), domain, entry);
    }

    /// Only a host name is the name of a file.
    fn file(&self, domain: &str) -> Option<PathBuf> {
        let fits = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_' | b'.')
        };
        let is_name = domain.len() <= 253 && !domain.starts_with('.') && domain.bytes().all(fits);
        is_name.then(|| self.directory.join(domain))
    }

    /// Written beside and renamed, so that a file is whole whenever the machine stops.
    fn write(&self, file: &Path, entry: &Entry) -> io::Result<()> {
        fs::create_dir_all(&self.directory)?;
        if !file.exists() && fs::read_dir(&self.directory)?.count() >= MOST_FILES {
            return Err(io::Error::other(format!("{MOST_FILES} policies are here already")));
        }
        // A name that no domain has.
        let beside =
            self.directory.join(format!(".{}", file.file_name().unwrap_or_default().to_string_lossy()));
        fs::write(&beside, entry.to_text())?;
        fs::File::open(&beside)?.sync_all()?;
        fs::rename(&beside, file)
    }
}

fn remember(known: &mut HashMap<String, Entry>, domain: &str, entry: Entry) {
    if known.len() >= MOST_IN_MEMORY {
        known.clear();
    }
    known.insert(domain.to_owned(), entry);
}

fn read(file: &Path) -> Option<Entry> {
    let is_small = fs::metadata(file).ok()?.len() <= (MOST_BYTES + 1024) as u64;
    Entry::parse(&fs::read_to_string(file).ok().filter(|_| is_small)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn silent() -> Log {
        Log::new(Arc::new(maillog::Sink::discard()), "postfix", "smtp")
    }

    fn entry(seconds: u64, max_age: u64) -> Entry {
        let text = format!("version: STSv1\nmode: enforce\nmx: mx.test\nmax_age: {max_age}\n");
        Entry {
            id: "a1".into(),
            fetched: UNIX_EPOCH + Duration::from_secs(seconds),
            policy: Arc::new(Policy::parse(text.as_bytes()).unwrap()),
        }
    }

    #[test]
    fn a_policy_outlives_the_process_until_its_time_is_over() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Cache::new(folder.path().join("mta-sts"), silent());
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        open().keep("d.test", entry(1000, 500));
        assert_eq!(open().find("d.test", at(1499)), Some(entry(1000, 500)));
        assert_eq!(open().find("d.test", at(1500)), None);
        assert_eq!(open().find("d.test", at(0)), Some(entry(1000, 500)));
        open().keep("short.test", entry(1000, 0));
        assert_eq!(open().find("short.test", at(1299)), Some(entry(1000, 0)));
        assert_eq!(open().find("short.test", at(1300)), None);
        assert_eq!(open().find("e.test", at(1)), None);
        let cache = open();
        cache.keep("d.test", entry(2000, 500));
        assert_eq!(cache.find("d.test", at(2001)), Some(entry(2000, 500)));
        assert_eq!(open().find("d.test", at(2001)), Some(entry(2000, 500)));
        fs::write(folder.path().join("mta-sts/d.test"), "id: x\n\nversion: STSv1\n").unwrap();
        assert_eq!(open().find("d.test", at(2001)), None);
    }

    #[test]
    fn only_host_names_are_names_of_files() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path().join("mta-sts"), silent());
        for domain in ["../x", ".x", "a/b", "a\0b", "A.test", &"a".repeat(254)] {
            assert_eq!(cache.file(domain), None, "{domain:?}");
            cache.keep(domain, entry(1000, 500));
        }
        assert!(!folder.path().join("mta-sts").exists());
    }
}
