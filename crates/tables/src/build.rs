//! Making and changing the indexes of `hash:`, `btree:`, `cdb:` and `lmdb:` tables: what postmap(1) and postalias(1) do to files.
//!
//! A new index is written to a file of its own, synced, and renamed over the old one: a reader sees the old or the
//! new index, never a half. Incremental changes rewrite the whole index the same way.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::index_file::{IndexFile, Kind};
use crate::map::Format;
use crate::source::Entry;
use crate::watched::os_text;
use crate::{alias_source, base64, source};

/// What happens to a key that is there already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Duplicates {
    /// Warn, and keep the first value.
    #[default]
    Warn,
    /// Keep the first value silently (`-w`).
    Ignore,
    /// Take the last value (`-r`).
    Replace,
}

/// How entries become an index.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The format of the source.
    pub format: Format,
    /// What happens to a key that is there already.
    pub duplicates: Duplicates,
    /// Lower-case the keys; off with `-f`.
    pub fold: bool,
    /// End keys and values with NUL, as Postfix on this system does; off with `-n`.
    pub nul: bool,
    /// Values name files whose content, in base64, is stored (`-F`).
    pub values_are_files: bool,
    /// Give the index the owner of the source when run by root; off with `-o`.
    pub keep_owner: bool,
    /// Take read permissions of group and others away when the source denies them; off with `-p`.
    pub keep_mode: bool,
}

impl Options {
    /// `-N` is the default of some kinds only.
    fn for_kind(self, kind: Kind) -> Options {
        Options { nul: self.nul && kind.ends_with_nul(), ..self }
    }

    /// What the commands do without options.
    pub fn new(format: Format) -> Self {
        Options {
            format,
            duplicates: Duplicates::default(),
            fold: true,
            nul: true,
            values_are_files: false,
            keep_owner: true,
            keep_mode: true,
        }
    }
}

/// Where the library's files keep what is not yet written out in full.
type Index = HashMap<Vec<u8>, Vec<u8>>;

/// Builds `path.db` from the source `path`.
pub fn create(kind: &str, path: &str, options: Options, warn: &mut dyn FnMut(&str)) -> Result<(), String> {
    let method = method(kind)?;
    let options = options.for_kind(method);
    let (_, text) = crate::watched::read_text(path)?;
    let meta = std::fs::metadata(path).map_err(|e| format!("open {path}: {}", os_text(&e)))?;
    if options.keep_owner && is_root() && meta.uid() == 0 {
        warn_of_foreign_directory(path, warn);
    }
    let mut index = Index::new();
    let name = method.told_name(path);
    add(&mut index, path, &name, parse(&text, path, options, warn), options, warn);
    if options.format == Format::Alias {
        // Sendmail's sign of a complete alias file.
        insert(&mut index, &name, "@", "@", Options { duplicates: Duplicates::Replace, ..options }, warn);
    }
    let mode = if options.keep_mode { 0o644 & (meta.mode() | 0o700) } else { 0o644 };
    let owner = (options.keep_owner && is_root() && meta.uid() != 0).then(|| (meta.uid(), meta.gid()));
    write(method, path, index, mode, owner)
}

/// Adds the entries of a source text to `path.db`, which is made when it is missing. `name` names the text in
/// warnings.
pub fn add_entries(
    kind: &str,
    path: &str,
    text: &str,
    name: &str,
    options: Options,
    warn: &mut dyn FnMut(&str),
) -> Result<(), String> {
    let method = method(kind)?;
    let options = options.for_kind(method);
    let file_name = method.told_name(path);
    change(method, path, true, |index| {
        let entries = parse(text, name, options, warn);
        add(index, path, &file_name, entries, options, warn);
        if options.format == Format::Alias {
            insert(index, &file_name, "@", "@", Options { duplicates: Duplicates::Replace, ..options }, warn);
        }
        true
    })
    .map(drop)
}

/// Deletes a key from `path.db`, in either form; tells whether it was there.
pub fn delete(kind: &str, path: &str, key: &str, options: Options) -> Result<bool, String> {
    if Kind::of(kind).is_none() && crate::types::find(kind).is_some() {
        return Err(format!("table {kind}:{path}: delete operation is not supported"));
    }
    let key = if options.fold { key.to_lowercase() } else { key.to_owned() };
    change(method(kind)?, path, false, |index| {
        let plain = index.remove(key.as_bytes()).is_some();
        index.remove(&with_nul(&key)).is_some() || plain
    })
}

fn method(kind: &str) -> Result<Kind, String> {
    match Kind::of(kind) {
        Some(kind) => Ok(kind),
        None if crate::types::find(kind).is_none() => Err(format!("unsupported dictionary type: {kind}")),
        None => Err(format!("unsupported dictionary type: {kind} does not support bulk-mode creation.")),
    }
}

fn parse(text: &str, name: &str, options: Options, warn: &mut dyn FnMut(&str)) -> Vec<Entry> {
    match options.format {
        Format::Map => source::parse(text, name, warn),
        Format::Alias => alias_source::parse(text, name, warn),
    }
}

fn add(
    index: &mut Index,
    path: &str,
    file_name: &str,
    entries: Vec<Entry>,
    options: Options,
    warn: &mut dyn FnMut(&str),
) {
    for entry in entries {
        if !options.values_are_files {
            insert(index, file_name, &entry.key, &entry.value, options, warn);
            continue;
        }
        match file_value(&entry.value) {
            Ok(value) => insert(index, file_name, &entry.key, &value, options, warn),
            Err(why) => warn(&format!("{path}, line {}: {why}: skipping this entry", entry.line)),
        }
    }
}

/// The content of the listed files, one after the other, in base64.
fn file_value(names: &str) -> Result<String, String> {
    let mut content = Vec::new();
    for name in config::list::split(names) {
        content.extend(std::fs::read(name).map_err(|e| format!("open {name}: {}", os_text(&e)))?);
        if content.last().is_some_and(|&byte| byte != b'\n') {
            content.push(b'\n');
        }
    }
    if content.is_empty() {
        return Err("empty pathname list".into());
    }
    Ok(base64::encode(&content))
}

fn insert(
    index: &mut Index,
    file_name: &str,
    key: &str,
    value: &str,
    options: Options,
    warn: &mut dyn FnMut(&str),
) {
    let key = if options.fold { key.to_lowercase() } else { key.to_owned() };
    let (stored, value) = match options.nul {
        true => (with_nul(&key), with_nul(value)),
        false => (key.as_bytes().to_vec(), value.as_bytes().to_vec()),
    };
    if index.contains_key(&stored) {
        match options.duplicates {
            Duplicates::Warn => return warn(&format!("{file_name}: duplicate entry: \"{key}\"")),
            Duplicates::Ignore => return,
            Duplicates::Replace => {}
        }
    }
    index.insert(stored, value);
}

fn with_nul(text: &str) -> Vec<u8> {
    [text.as_bytes(), &[0]].concat()
}

/// Reads the index of `path`, lets `edit` change it, and writes it again when `edit` says that it did.
fn change(
    method: Kind,
    path: &str,
    create: bool,
    edit: impl FnOnce(&mut Index) -> bool,
) -> Result<bool, String> {
    let name = method.file_name(path);
    let explain = |e: std::io::Error| format!("open database {name}: {}", os_text(&e));
    let file = match locked(&name) {
        Ok(file) => file,
        Err(e) if create && e.kind() == std::io::ErrorKind::NotFound => {
            let mut index = Index::new();
            let changed = edit(&mut index);
            return write(method, path, index, 0o644, None).map(|()| changed);
        }
        Err(e) => return Err(explain(e)),
    };
    let meta = file.metadata().map_err(explain)?;
    let database = IndexFile::open(method, file.try_clone().map_err(explain)?, &name);
    let database = database.map_err(|why| format!("open database {name}: {why}"))?;
    if !database.is(method) {
        return Err(format!("open database {name}: file of another type"));
    }
    let pairs = database.pairs().map_err(|why| format!("error reading {name}: {why}"))?;
    let mut index: Index = pairs.into_iter().collect();
    let changed = edit(&mut index);
    if changed {
        let owner = is_root().then(|| (meta.uid(), meta.gid()));
        write(method, path, index, meta.mode() & 0o777, owner)?;
    }
    // The lock is held to here, so that two incremental changes do not lose one another.
    drop(file);
    Ok(changed)
}

/// Opens and locks an index. Another command may have replaced it while this one waited: then the new one is taken.
fn locked(name: &str) -> std::io::Result<File> {
    loop {
        let file = File::open(name)?;
        file.lock()?;
        let (opened, present) = (file.metadata()?, std::fs::metadata(name)?);
        if (opened.dev(), opened.ino()) == (present.dev(), present.ino()) {
            return Ok(file);
        }
    }
}

/// Writes the index of `path` as a whole.
fn write(method: Kind, path: &str, index: Index, mode: u32, owner: Option<(u32, u32)>) -> Result<(), String> {
    let name = method.file_name(path);
    let fresh = PathBuf::from(format!("{name}.{}.new", std::process::id()));
    let opened = |e: std::io::Error| format!("open database {name}: {}", os_text(&e));
    let result = make_fresh(&fresh, mode, owner)
        .map_err(opened)
        .and_then(|()| method.write(index, &fresh).map_err(|why| format!("table {path}: write error: {why}")))
        .and_then(|()| {
            File::open(&fresh).and_then(|file| file.sync_all()).map_err(opened)?;
            std::fs::rename(&fresh, &name).map_err(opened)
        });
    if let Err(why) = result {
        let _ = std::fs::remove_file(&fresh);
        return Err(why);
    }
    // The rename itself reaches the disk with its directory.
    let directory = Path::new(&name).parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory).and_then(|d| d.sync_all()).map_err(|e| format!("sync {}: {e}", directory.display()))
}

/// An empty file with its final owner and rights, before anything secret is in it.
fn make_fresh(path: &Path, mode: u32, owner: Option<(u32, u32)>) -> std::io::Result<()> {
    let open = || File::options().write(true).create_new(true).mode(mode).open(path);
    // Left behind by a command that was killed and had the same process id.
    let file = match open() {
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {
            std::fs::remove_file(path)?;
            open()?
        }
        other => other?,
    };
    if let Some((uid, gid)) = owner {
        std::os::unix::fs::fchown(&file, Some(uid), Some(gid))?;
    }
    file.set_permissions(std::fs::Permissions::from_mode(mode))
}

/// A root-owned index in a directory of someone else can be exchanged by that one.
fn warn_of_foreign_directory(path: &str, warn: &mut dyn FnMut(&str)) {
    let parent = Path::new(path).parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if std::fs::metadata(parent).is_ok_and(|meta| meta.uid() != 0) {
        let parent = parent.display();
        warn(&format!(
            "Creating root-owned database file(s) {path}.* in non-root-owned directory {parent}. Files {path}, \
             {path}.*, and directory {parent} should have the same owner. Please fix ownership to avoid a \
             privilege-escalation attack."
        ));
    }
}

/// Is this process root? Told by the owner of its own entry in the process table.
fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|meta| meta.uid() == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lookup::Lookup;
    use crate::map::Flags;
    use crate::map::tests::{listening, now};

    fn lookup(spec: &str, key: &str) -> Lookup {
        let (tables, _) = listening();
        now(tables.map(spec, Flags::default()).lookup(key))
    }

    #[test]
    fn create_add_and_delete() {
        for kind in ["hash", "btree"] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("map").to_str().unwrap().to_owned();
            let spec = format!("{kind}:{path}");
            std::fs::write(&path, "Key one\nkey two\nother x\n").unwrap();
            let mut warnings = Vec::new();
            let options = Options::new(Format::Map);
            create(kind, &path, options, &mut |text| warnings.push(text.to_owned())).unwrap();
            assert_eq!(warnings, [format!("{path}.db: duplicate entry: \"key\"")]);
            assert_eq!(lookup(&spec, "kEY"), Lookup::Found("one".into()));

            let replace = Options { duplicates: Duplicates::Replace, ..options };
            add_entries(kind, &path, "key three\nnew y\n", "stdin", replace, &mut |_| {}).unwrap();
            assert_eq!(lookup(&spec, "key"), Lookup::Found("three".into()));
            assert_eq!(lookup(&spec, "new"), Lookup::Found("y".into()));
            assert_eq!(delete(kind, &path, "KEY", options), Ok(true));
            assert_eq!(delete(kind, &path, "key", options), Ok(false));
            assert_eq!(lookup(&spec, "key"), Lookup::Absent);
            assert_eq!(lookup(&spec, "other"), Lookup::Found("x".into()));
            assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2, "no file left behind");
        }
    }

    #[test]
    fn the_index_of_a_private_source_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("map");
        std::fs::write(&path, "a b\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let path = path.to_str().unwrap();
        for (keep_mode, expected) in [(true, 0o600), (false, 0o644)] {
            let options = Options { keep_mode, ..Options::new(Format::Map) };
            create("hash", path, options, &mut |_| {}).unwrap();
            let mode = std::fs::metadata(format!("{path}.db")).unwrap().mode() & 0o777;
            assert_eq!(mode, expected);
        }
    }

    #[test]
    fn aliases_files_and_refusals() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("aliases").to_str().unwrap().to_owned();
        std::fs::write(&path, "Root: joe,  jane\n").unwrap();
        create("hash", &path, Options::new(Format::Alias), &mut |_| {}).unwrap();
        assert_eq!(lookup(&format!("hash:{path}"), "root"), Lookup::Found("joe, jane".into()));
        assert_eq!(lookup(&format!("hash:{path}"), "@"), Lookup::Found("@".into()));

        let map = dir.path().join("map").to_str().unwrap().to_owned();
        std::fs::write(&map, format!("key {path}\n")).unwrap();
        let options = Options { values_are_files: true, ..Options::new(Format::Map) };
        create("btree", &map, options, &mut |_| {}).unwrap();
        let expected = base64::encode(b"Root: joe,  jane\n");
        assert_eq!(lookup(&format!("btree:{map}"), "key"), Lookup::Found(expected));

        for (kind, reason) in [
            ("regexp", "unsupported dictionary type: regexp does not support bulk-mode creation."),
            ("nonsense", "unsupported dictionary type: nonsense"),
        ] {
            let refused = create(kind, &path, Options::new(Format::Map), &mut |_| {});
            assert_eq!(refused.as_ref().map_err(String::as_str), Err(reason));
        }
    }
}
