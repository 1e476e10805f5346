//! `texthash:file`: postmap's source format, held in memory and read again when the file changes. Also what
//! stands in for an index whose `.db` file is missing.

use std::collections::HashMap;
use std::sync::Arc;

use crate::lookup::Lookup;
use crate::map::{Entries, Format, Opened, Opening, Table, Warn};
use crate::watched::Watched;
use crate::{alias_source, source};

/// Keys and values in memory.
pub(crate) type Pairs = HashMap<String, String>;

pub(crate) fn open(opening: &Opening<'_>) -> Result<Opened, String> {
    // Postfix reads it in postmap's form in alias_maps, too; `hash:` without its index has the form that its builder would read.
    let text = TextHash::open(opening.name, Format::Map, opening.flags.fold, &opening.tables_warn())?;
    Ok(Opened::Local(Box::new(text)))
}

/// A source text that is a table.
pub(crate) struct TextHash(Watched<Pairs>);

impl TextHash {
    pub(crate) fn open(path: &str, format: Format, fold: bool, warn: &Warn) -> Result<Self, String> {
        let (name, warn) = (path.to_owned(), Arc::clone(warn));
        let read = move |text: &str| read(text, &name, format, fold, &mut |text| warn(text));
        Watched::open(path, Box::new(read))
            .map(TextHash)
            // Postfix says "open database" for every type that has a file.
            .map_err(|reason| reason.replacen("open ", "open database ", 1))
    }
}

/// Reads all entries. A duplicate is ignored with a warning: the first one counts.
fn read(text: &str, name: &str, format: Format, fold: bool, warn: &mut dyn FnMut(&str)) -> Pairs {
    let entries = match format {
        // texthash has a word more about it than postmap has.
        Format::Map => source::parse(text, name, &mut |text| match text.ends_with(source::EXPECTED) {
            true => warn(&format!("{text} -- ignoring this line")),
            false => warn(text),
        }),
        Format::Alias => alias_source::parse(text, name, warn),
    };
    let mut pairs = Pairs::with_capacity(entries.len());
    for entry in entries {
        let key = if fold { entry.key.to_lowercase() } else { entry.key.clone() };
        match pairs.entry(key) {
            std::collections::hash_map::Entry::Vacant(place) => {
                place.insert(entry.value);
            }
            std::collections::hash_map::Entry::Occupied(_) => {
                warn(&format!("{name}, line {}: duplicate entry: \"{}\"", entry.line, entry.key));
            }
        }
    }
    pairs
}

/// All pairs of a table in memory, sorted, since their own order means nothing.
pub(crate) fn sorted(pairs: &Pairs) -> Entries {
    let mut entries: Entries = pairs.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    entries.sort();
    entries
}

impl Table for TextHash {
    fn lookup(&self, key: &str) -> Lookup {
        match &*self.0.content() {
            Ok(pairs) => pairs.get(key).cloned().into(),
            Err(reason) => Lookup::Failed(reason.clone()),
        }
    }

    fn entries(&self) -> Option<Result<Entries, String>> {
        Some(self.0.content().as_ref().as_ref().map(sorted).map_err(String::clone))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::map::Flags;
    use crate::map::tests::{listening, now};

    #[test]
    fn the_first_of_two_equal_keys_counts() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("map");
        std::fs::write(&path, "# comment\nKey one\nKEY two\nother\n  x\nalone\n").unwrap();
        let path = path.to_str().unwrap();
        let (tables, heard) = listening();
        let map = tables.map(&format!("texthash:{path}"), Flags::default());
        assert_eq!(now(map.lookup("kEY")), Lookup::Found("one".into()));
        assert_eq!(now(map.lookup("other")), Lookup::Found("x".into()));
        assert_eq!(now(map.lookup("none")), Lookup::Absent);
        assert_eq!(
            *heard.lock().unwrap(),
            [
                format!("{path}, line 6: expected format: key whitespace value -- ignoring this line"),
                format!("{path}, line 3: duplicate entry: \"KEY\""),
            ]
        );
    }

    #[test]
    fn a_missing_file_is_a_failure() {
        let (tables, _) = listening();
        let map = tables.map("texthash:/nonexistent/map", Flags::default());
        assert_eq!(
            now(map.lookup("x")),
            Lookup::Failed("open database /nonexistent/map: No such file or directory".into())
        );
    }
}
