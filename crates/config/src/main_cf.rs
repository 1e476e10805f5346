//! main.cf as postconf(5) describes it: one `name = value` for each logical line.
//!
//! Reads what is written, and says where. What the values mean is for [`crate::Settings`]; changing the file
//! is for [`crate::edit`].

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use crate::logical::{self, LogicalLine};

/// The largest file that is read, in bytes. Postfix has no limit; a larger one is no configuration.
pub const MAX_FILE: u64 = 64 * 1024 * 1024;

/// What a main.cf file says.
#[derive(Debug, Clone, Default)]
pub struct MainCf {
    file: Arc<str>,
    entries: Vec<Entry>,
    by_name: HashMap<String, usize>,
    warnings: Vec<String>,
}

/// One parameter of main.cf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name as it is written.
    pub name: String,
    /// The text after `=`, without blanks around it. Continuation lines are joined as they are written.
    pub value: String,
    /// The line of the name, counted from 1; 0 for what no line said.
    pub line: usize,
}

/// Why a configuration file can not be read. The wording is Postfix's, without `fatal: `.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileError(pub String);

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for FileError {}

impl MainCf {
    /// Reads the file of this name.
    pub fn read(path: &Path) -> Result<MainCf, FileError> {
        MainCf::parse(&path.to_string_lossy(), &contents(path)?)
    }

    /// Parses text that came from `file`; `file` is used in messages only.
    pub fn parse(file: &str, text: &[u8]) -> Result<MainCf, FileError> {
        let mut main = MainCf { file: file.into(), ..MainCf::default() };
        main.add(text)?;
        Ok(main)
    }

    /// As [`MainCf::parse`], with entries that stand before those of the file: `config_directory`, as postconf's
    /// `-c` has it.
    pub fn parse_after(before: &[(&str, &str)], file: &str, text: &[u8]) -> Result<MainCf, FileError> {
        let mut main = MainCf { file: file.into(), ..MainCf::default() };
        for (name, value) in before {
            main.set(name, value, 0);
        }
        main.add(text)?;
        Ok(main)
    }

    fn add(&mut self, text: &[u8]) -> Result<(), FileError> {
        let file = self.file.clone();
        for LogicalLine { text, first_line, .. } in logical::lines(&file, text, &mut self.warnings) {
            let (name, value) = split_name_value(&text)
                .map_err(|what| FileError(format!("{file}, line {first_line}: {what}: \"{text}\"")))?;
            // Saying the same twice is no reason to warn.
            if let Some(earlier) =
                self.get(name).map(|entry| entry.value.clone()).filter(|earlier| earlier != value)
            {
                let warning =
                    format!("{file}, line {first_line}: overriding earlier entry: {name}={earlier}");
                self.warnings.push(warning);
            }
            self.set(name, value, first_line);
        }
        Ok(())
    }

    /// Sets a parameter, as postconf's `-o` does.
    pub fn set(&mut self, name: &str, value: &str, line: usize) {
        let entry = Entry { name: name.to_owned(), value: value.to_owned(), line };
        match self.by_name.get(name) {
            Some(&at) => self.entries[at] = entry,
            None => {
                self.by_name.insert(name.to_owned(), self.entries.len());
                self.entries.push(entry);
            }
        }
    }

    /// The name of the file.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// What is said of a parameter; the last entry counts.
    pub fn get(&self, name: &str) -> Option<&Entry> {
        self.by_name.get(name).map(|&at| &self.entries[at])
    }

    /// Every parameter that is set, each once, in the order of first mention.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// What Postfix would log as warnings while it reads.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

/// Reads a configuration file whole.
pub(crate) fn contents(path: &Path) -> Result<Vec<u8>, FileError> {
    let failed = |error: std::io::Error| {
        let text = error.to_string();
        // The number in the library's text means nothing to an administrator.
        let text = text.split(" (os error").next().unwrap_or_default();
        FileError(format!("open {}: {text}", path.display()))
    };
    let mut text = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(MAX_FILE + 1).read_to_end(&mut text).map_err(failed)?;
    if text.len() as u64 > MAX_FILE {
        return Err(FileError(format!("open {}: file is larger than {MAX_FILE} bytes", path.display())));
    }
    Ok(text)
}

/// Splits `name = value`, as everywhere in Postfix: the blanks around name, `=` and value do not count.
pub fn split_name_value(text: &str) -> Result<(&str, &str), &'static str> {
    let text = text.trim_start_matches(logical::is_space);
    let name_end = text.find(|letter| letter == '=' || logical::is_space(letter)).unwrap_or(text.len());
    let (name, rest) = text.split_at(name_end);
    if name.is_empty() {
        return Err("missing attribute name");
    }
    match rest.trim_start_matches(logical::is_space).strip_prefix('=') {
        Some(value) => Ok((name, value.trim_matches(logical::is_space))),
        None => Err("missing '=' after attribute name"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Vec<(String, String, usize)> {
        let main = MainCf::parse("main.cf", text.as_bytes()).expect("well formed");
        main.entries().iter().map(|entry| (entry.name.clone(), entry.value.clone(), entry.line)).collect()
    }

    #[test]
    fn reads_logical_lines() {
        for (text, name, value, line) in [
            ("a = b", "a", "b", 1),
            ("a=b # c \n", "a", "b # c", 1), // no comments at the end
            ("# x\n\n  \na = b\n", "a", "b", 4),
            ("a = b\n  c\n", "a", "b  c", 1),        // continued
            ("a = b\n# x\n\n\tc\n", "a", "b\tc", 1), // comments do not end it
            ("a =\n b\n", "a", "b", 1),
            ("a =", "a", "", 1),
            ("a = b\\\n", "a", "b\\", 1), // no backslashes
            ("a = b\r\n", "a", "b", 1),   // carriage returns are blanks
        ] {
            assert_eq!(parsed(text), [(name.to_owned(), value.to_owned(), line)], "{text:?}");
        }
    }

    #[test]
    fn the_last_entry_counts() {
        let main = MainCf::parse("main.cf", b"a = 1\nb = 2\na = 3\n# x\n\n").expect("well formed");
        assert_eq!(main.get("a").map(|entry| entry.value.as_str()), Some("3"));
        assert_eq!(main.warnings(), ["main.cf, line 3: overriding earlier entry: a=1"]);
        let main = MainCf::parse("main.cf", b"a = 1\na=1\n").expect("well formed");
        assert!(main.warnings().is_empty());
    }

    #[test]
    fn broken_lines_are_fatal() {
        for (text, expected) in [
            ("a = 1\nb\n", "main.cf, line 2: missing '=' after attribute name: \"b\""),
            ("b c = d", "main.cf, line 1: missing '=' after attribute name: \"b c = d\""),
            ("= d", "main.cf, line 1: missing attribute name: \"= d\""),
        ] {
            let error = MainCf::parse("main.cf", text.as_bytes()).expect_err(text);
            assert_eq!(error.to_string(), expected);
        }
    }

    #[test]
    fn long_lines_and_null_bytes() {
        let long = "x".repeat(1 << 16);
        assert_eq!(parsed(&format!("a = {long}\n"))[0].1, long);
        let main = MainCf::parse("main.cf", b"a = b\0c\n").expect("well formed");
        assert_eq!(main.warnings(), ["main.cf, line 1: text after null byte may be ignored"]);
        assert_eq!(main.get("a").map(|entry| entry.value.as_str()), Some("b"));
    }

    #[test]
    fn a_missing_file_is_named() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let error = MainCf::read(&directory.path().join("main.cf")).expect_err("no such file");
        assert!(error.to_string().ends_with("/main.cf: No such file or directory"), "{error}");
    }
}
