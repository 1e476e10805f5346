//! The way from Postfix's queue and back: `mailclad import-queue` and `export-queue`. Both systems are stopped meanwhile.
//!
//! A message is first durable on the new side and then taken from the old one: whatever stops the work in between, none is lost, and
//! a second run goes on where the first stopped.

mod log_file;
mod queue_file;
mod record;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use link::message::INLINE_BODY;
use mail::{Message, QueueId, Recipient};
use spool::{Body, Change, Content, Held, RecipientState, StoreError, Stored};

use crate::stopped::Stopped;
use log_file::LogFile;
use queue_file::QueueFile;

/// Postfix's queues that hold whole messages.
const QUEUES: [&str; 4] = ["incoming", "active", "deferred", "hold"];

/// Largest queue file that is read.
const MOST_BYTES: u64 = 4 * 1024 * 1024 * 1024;

/// Levels of directories below a queue (`hash_queue_depth`).
const MOST_LEVELS: usize = 8;

/// The records of the file that a message would be in Postfix's queue: offset, type and data of each.
pub fn records(message: &Message, content: &[u8]) -> Vec<(usize, u8, Vec<u8>)> {
    let file = queue_file::render(message, content);
    let mut reader = record::Reader::new(&file);
    let next = || reader.next().ok().map(|record| (record.offset, record.kind, record.data.to_vec()));
    std::iter::from_fn(next).collect()
}

/// What was done.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Messages that changed sides.
    pub done: usize,
    /// How many of them were in each queue.
    pub by_queue: Vec<(String, usize)>,
    /// What stays where it is, with the reason.
    pub left: Vec<String>,
}

impl Report {
    fn count(&mut self, queue: &str) {
        self.done += 1;
        match self.by_queue.iter_mut().find(|(name, _)| name == queue) {
            Some((_, count)) => *count += 1,
            None => self.by_queue.push((queue.to_owned(), 1)),
        }
    }
}

/// Takes over the messages of the Postfix queue in `from`. Each file that was taken over is moved to `done`, a directory on the same
/// file system. With `dry_run` nothing is changed. The error is one that ends the work.
pub fn import(stopped: &Stopped, from: &Path, done: &Path, dry_run: bool) -> Result<Report, String> {
    let mut report = Report::default();
    for queue in QUEUES {
        let mut files = Vec::new();
        let directory = from.join(queue);
        walk(&directory, MOST_LEVELS, &mut files)
            .map_err(|error| format!("{}: {error}", directory.display()))?;
        files.sort();
        for file in files {
            let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let left = match import_one(stopped, from, queue, &file, &name, dry_run) {
                Ok(()) if dry_run => None,
                Ok(()) => move_file(&file, &done.join(queue)).err().map(|error| {
                    format!("{queue}/{name}: is taken over, but can not be moved away: {error}; remove it before Postfix starts again")
                }),
                Err(Trouble::Left(why)) => {
                    report.left.push(format!("{queue}/{name}: {why}"));
                    continue;
                }
                Err(Trouble::End(why)) => return Err(why),
            };
            report.left.extend(left);
            report.count(queue);
        }
    }
    for (queue, what) in [
        (
            "maildrop",
            "messages of the sendmail command that Postfix has not picked up: start Postfix once more for them",
        ),
        ("corrupt", "messages that Postfix has set aside as damaged"),
    ] {
        let mut files = Vec::new();
        // A directory that is not there holds nothing.
        let _ = walk(&from.join(queue), MOST_LEVELS, &mut files);
        if !files.is_empty() {
            report.left.push(format!("{queue}: {} {what}", files.len()));
        }
    }
    Ok(report)
}

enum Trouble {
    /// This file stays, with the reason.
    Left(String),
    /// Nothing can go on.
    End(String),
}

fn import_one(
    stopped: &Stopped,
    from: &Path,
    queue: &str,
    path: &Path,
    name: &str,
    dry_run: bool,
) -> Result<(), Trouble> {
    let left = |why: String| Trouble::Left(why);
    let id = QueueId::parse(name).ok_or_else(|| left("is no queue file: its name is no queue id".into()))?;
    let metadata = fs::symlink_metadata(path).map_err(|error| left(error.to_string()))?;
    if metadata.permissions().mode() & 0o100 == 0 {
        // The executable bit says that cleanup(8) was done with it; the client never heard 250.
        return Err(left("is not complete: its client was told nothing and will send it again".into()));
    }
    if metadata.len() > MOST_BYTES {
        return Err(left(format!("is larger than {MOST_BYTES} bytes")));
    }
    let bytes = fs::read(path).map_err(|error| left(error.to_string()))?;
    let file = queue_file::parse(&id, &bytes).map_err(|damaged| left(damaged.to_string()))?;
    let log = |kind: &str| read_log(from, kind, name);
    let changes = changes(file, queue, metadata.modified().ok(), &log("defer"), &log("bounce"));
    let (changes, content) = match changes {
        Some(changes) => changes,
        // Everybody has got it, and only the file was left.
        None => return Ok(()),
    };
    if dry_run {
        return Ok(());
    }
    store(stopped, &id, changes, &content)
}

/// The message, and how far each recipient has come. `None` when nobody is left.
fn changes(
    file: QueueFile,
    queue: &str,
    modified: Option<SystemTime>,
    deferred: &LogFile,
    bounced: &LogFile,
) -> Option<(Vec<Change>, Vec<u8>)> {
    let QueueFile { mut message, content, offsets, all_recipients } = file;
    let id = message.id;
    let mut states = Vec::new();
    for (position, (offset, recipient)) in offsets.iter().zip(&message.envelope.recipients).enumerate() {
        if let Some(progress) = deferred.of(*offset, recipient.address.as_str()) {
            states.push((position as u32, RecipientState::Deferred(progress.clone())));
        }
    }
    // Recipients that were refused, and whose sender has not been told: they are struck off in the queue file.
    let waiting: HashSet<usize> = offsets.iter().copied().collect();
    let mut failed: Vec<_> = bounced.offsets().filter(|(offset, _)| !waiting.contains(offset)).collect();
    failed.sort_by_key(|(offset, _)| *offset);
    for (offset, progress) in failed {
        let Some((_, address)) = all_recipients.iter().find(|(at, _)| *at == offset) else { continue };
        states.push((message.envelope.recipients.len() as u32, RecipientState::Failed(progress.clone())));
        message.envelope.recipients.push(Recipient::new(address.clone()));
    }
    if message.envelope.recipients.is_empty() {
        return None;
    }
    let hold = queue == "hold";
    let body = match content.len() <= INLINE_BODY {
        true => Content::Inline(content.clone()),
        false => Content::File,
    };
    let mut changes = vec![Change::Add { message: Box::new(message), content: body, hold }];
    let was_tried = !states.is_empty() || queue == "deferred";
    changes.extend(states.into_iter().map(|(position, state)| Change::Recipient { id, position, state }));
    if was_tried {
        // The time of a file in the deferred queue is that of its next attempt.
        let next_attempt = modified.filter(|_| queue == "deferred").unwrap_or_else(SystemTime::now);
        changes.push(Change::Defer { id, next_attempt });
    }
    Some((changes, content))
}

fn store(stopped: &Stopped, id: &QueueId, changes: Vec<Change>, content: &[u8]) -> Result<(), Trouble> {
    if content.len() > INLINE_BODY {
        let bodies = stopped.spool().bodies();
        // Left by a run that was stopped before its message was there.
        if matches!(stopped.spool().questions().find(id), Ok(None)) {
            let _ = bodies.remove(id);
        }
        let written = bodies.create(id).and_then(|mut file| file.write_all(content));
        match written {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(Trouble::End(format!("{id}: {error}"))),
            Ok(()) => {}
        }
    }
    match stopped.commit(changes) {
        // A run before this one was stopped between storing the message and moving its file.
        Ok(()) | Err(StoreError::Exists(_)) => Ok(()),
        Err(error) => Err(Trouble::End(format!("{id}: {error}"))),
    }
}

/// `defer/` and `bounce/` have the levels that `hash_queue_names` says: the file is looked for at each depth.
fn read_log(from: &Path, kind: &str, name: &str) -> LogFile {
    const MOST: u64 = 64 * 1024 * 1024;
    let mut directory = from.join(kind);
    let letters: Vec<char> = name.chars().collect();
    for depth in 0..=MOST_LEVELS.min(letters.len()) {
        if let Ok(file) = fs::File::open(directory.join(name)) {
            let at =
                file.metadata().and_then(|metadata| metadata.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
            let mut text = Vec::new();
            if file.take(MOST).read_to_end(&mut text).is_ok() {
                return LogFile::parse(&String::from_utf8_lossy(&text), at);
            }
        }
        match letters.get(depth) {
            Some(letter) => directory.push(letter.to_string()),
            None => break,
        }
    }
    LogFile::default()
}

/// All files below a directory; a directory that is missing has none. Links are not followed.
fn walk(directory: &Path, levels: usize, files: &mut Vec<PathBuf>) -> io::Result<()> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() && levels > 0 {
            walk(&entry.path(), levels - 1, files)?;
        } else if kind.is_file() {
            files.push(entry.path());
        }
    }
    Ok(())
}

fn move_file(file: &Path, to: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(to)?;
    let name = file.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    fs::rename(file, to.join(name))
}

/// Gives every message of the queue back as a file below `to`, a Postfix queue directory, where Postfix finds it when it starts:
/// in `hold` what is on hold, in `deferred` with its time what was tried, in `incoming` the rest.
pub fn export(stopped: &Stopped, to: &Path, dry_run: bool) -> Result<Report, String> {
    let mut report = Report::default();
    let mut after: Option<QueueId> = None;
    loop {
        let page =
            stopped.spool().questions().list(after.as_ref(), 100).map_err(|error| error.to_string())?;
        let Some(last) = page.last() else { return Ok(report) };
        after = Some(last.message.id);
        for stored in page {
            let id = stored.message.id;
            if stored.held == Held::Corrupt || stored.damage.is_some() {
                let why = stored.damage.as_deref().unwrap_or("its content is damaged");
                report.left.push(format!("{id}: {why}; look at it with postcat -q"));
                continue;
            }
            let queue = match &stored {
                Stored { held: Held::Yes, .. } => "hold",
                Stored { attempts: 0, .. } => "incoming",
                _ => "deferred",
            };
            match export_one(stopped, stored, &to.join(queue), dry_run) {
                Ok(()) => report.count(queue),
                Err(why) => report.left.push(format!("{id}: {why}")),
            }
        }
    }
}

fn export_one(stopped: &Stopped, stored: Stored, directory: &Path, dry_run: bool) -> Result<(), String> {
    let found = stopped.spool().questions().find(&stored.message.id).map_err(|error| error.to_string())?;
    let Some(Stored { message, body, next_attempt, states, .. }) = found else {
        return Err("is gone".into());
    };
    let content = match stopped.spool().body(&message, body).map_err(|error| error.to_string())? {
        Body::Inline(bytes) => bytes,
        Body::File(mut file) => {
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).map_err(|error| error.to_string())?;
            bytes
        }
    };
    if states.iter().any(|(_, state)| !state.is_unfinished()) {
        return Err("its sender is still to be told of a recipient: start Mailclad once more for it".into());
    }
    if dry_run {
        return Ok(());
    }
    let id = message.id;
    write_file(directory, &id, &queue_file::render(&message, &content), next_attempt)
        .map_err(|error| format!("{}: {error}", directory.display()))?;
    stopped.commit(vec![Change::Remove { id }]).map_err(|error| error.to_string())
}

/// Durable under its name, complete and with the mode that says so.
fn write_file(directory: &Path, id: &QueueId, bytes: &[u8], next_attempt: SystemTime) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let path = directory.join(id.as_str());
    let mut file = match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
        // A run before this one was stopped between writing the file and removing the message.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            OpenOptions::new().write(true).truncate(true).open(&path)?
        }
        opened => opened?,
    };
    file.write_all(bytes)?;
    file.set_modified(next_attempt)?;
    file.set_permissions(fs::Permissions::from_mode(0o700))?;
    file.sync_all()?;
    fs::File::open(directory)?.sync_all()
}
