//! The habits of the house that a machine can check. Each rule has a file; `ARCHITECTURE.md` is what some of them read.
//!
//! - `arrows.rs`: a crate uses what the table of rooms says, and nothing else.
//! - `parameters.rs`: a parameter that is said to work is read somewhere.
//! - `reach.rs`: every source file is part of some target.
//! - `text.rs`: how a file begins, how long it is, and what does not stand in it.
//! - `unsafe_code.rs`: unsafe code stands in the files that are named.
//! - `source.rs`: Rust text without its comments and literals, for the rules to look at.

mod arrows;
mod parameters;
mod reach;
mod source;
mod text;
mod unsafe_code;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// One thing that is not as it should be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// Relative to the root of the workspace.
    file: PathBuf,
    /// What is wrong, and what would be right.
    text: String,
}

impl Finding {
    fn new(file: impl Into<PathBuf>, text: impl Into<String>) -> Finding {
        Finding { file: file.into(), text: text.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file.display(), self.text)
    }
}

/// The root of the workspace that this program was built from.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap_or(Path::new(".")).to_owned()
}

/// Everything that is not as it should be.
pub(crate) fn findings(root: &Path) -> Vec<Finding> {
    let files = match Files::read(root) {
        Ok(files) => files,
        Err(finding) => return vec![finding],
    };
    let mut found = Vec::new();
    arrows::check(&files, &mut found);
    parameters::check(&files, &mut found);
    reach::check(&files, &mut found);
    text::check(&files, &mut found);
    unsafe_code::check(&files, &mut found);
    found
}

/// The text files of the workspace, by their path from its root.
struct Files(Vec<(PathBuf, String)>);

/// Folders that hold no source of ours. In a second work tree `.git` is a file.
const NOT_OURS: [&str; 3] = ["target", "quickstart", ".git"];

impl Files {
    fn read(root: &Path) -> Result<Files, Finding> {
        let mut files = Files(Vec::new());
        files.read_folder(root, Path::new(""))?;
        files.0.sort();
        Ok(files)
    }

    fn read_folder(&mut self, root: &Path, folder: &Path) -> Result<(), Finding> {
        let failed = |error: std::io::Error| Finding::new(folder, error.to_string());
        for entry in fs::read_dir(root.join(folder)).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let path = folder.join(entry.file_name());
            let kind = entry.file_type().map_err(failed)?;
            if NOT_OURS.iter().any(|name| path == Path::new(name)) {
                continue;
            }
            if kind.is_dir() {
                self.read_folder(root, &path)?;
            } else if kind.is_file()
                // What is not text is not looked at.
                && let Ok(text) = String::from_utf8(fs::read(root.join(&path)).map_err(failed)?)
            {
                self.0.push((path, text));
            }
        }
        Ok(())
    }

    /// Those of Rust.
    fn rust(&self) -> impl Iterator<Item = (&Path, &str)> {
        self.all().filter(|(path, _)| path.extension().is_some_and(|ending| ending == "rs"))
    }

    fn all(&self) -> impl Iterator<Item = (&Path, &str)> {
        self.0.iter().map(|(path, text)| (path.as_path(), text.as_str()))
    }

    /// The text of one file.
    fn text(&self, path: &str) -> Option<&str> {
        self.all().find(|(known, _)| *known == Path::new(path)).map(|(_, text)| text)
    }

    /// Each crate's name and manifest.
    fn manifests(&self) -> impl Iterator<Item = (&str, &str)> {
        self.all().filter_map(|(path, text)| {
            let name = path.to_str()?.strip_prefix("crates/")?.strip_suffix("/Cargo.toml")?;
            Some((name, text))
        })
    }
}

#[cfg(test)]
impl Files {
    /// A small workspace for the tests of a rule.
    fn of(files: &[(&str, &str)]) -> Files {
        Files(files.iter().map(|(path, text)| (PathBuf::from(path), (*text).to_owned())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_house_is_tidy() {
        let findings = findings(&root());
        let lines: Vec<String> = findings.iter().map(Finding::to_string).collect();
        assert!(lines.is_empty(), "{}", lines.join("\n"));
    }

    #[test]
    fn a_folder_that_can_not_be_read_is_a_finding() {
        let empty = tempfile::tempdir().unwrap();
        assert_eq!(findings(&empty.path().join("absent")).len(), 1);
    }
}
