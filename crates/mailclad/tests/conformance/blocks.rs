//! What the languages of all suites' `.cases` files have in common.
//!
//! ```text
//! # Lines of main.cf for all cases of the file; files with equal ones share a start.
//! main smtp_tls_loglevel = 1
//!
//! # A case is its name, rows of words for `$1`, `$2`... (each row is a case of its own), and lines in the suite's words:
//! case level-$1
//! row may     | sent
//! row encrypt | deferred
//! set smtp_tls_security_level = $1
//! ```
//!
//! `cross a | b` puts each of its words behind each row that there is. `rounds N` stands before the first case, in suites that have rounds.

use std::collections::BTreeSet;
use std::path::Path;

/// A case of a suite, built word by word.
pub(crate) trait Language {
    /// Does `rounds` mean something?
    const HAS_ROUNDS: bool = false;

    /// A case without any line.
    fn named(name: String) -> Self;

    fn name(&self) -> &str;

    /// One line of the case.
    fn add(&mut self, word: &str, rest: &str) -> Result<(), String>;
}

/// The cases that one start serves.
#[derive(Clone, Debug)]
pub(crate) struct Configuration<C> {
    pub(crate) main: Vec<String>,
    pub(crate) rounds: usize,
    pub(crate) cases: Vec<C>,
}

/// Reads every `.cases` file of a folder.
pub(crate) fn read_folder<C: Language>(folder: &Path) -> Vec<Configuration<C>> {
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let mut configurations: Vec<Configuration<C>> = Vec::new();
    let mut names = BTreeSet::new();
    for path in paths.iter().filter(|path| path.extension().is_some_and(|e| e == "cases")) {
        let text = std::fs::read_to_string(path).unwrap();
        let read: Configuration<C> = parse(&text).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
        for case in &read.cases {
            assert!(names.insert(case.name().to_owned()), "{}: a second {}", path.display(), case.name());
        }
        match configurations.iter_mut().find(|one| one.main == read.main && one.rounds == read.rounds) {
            Some(same) => same.cases.extend(read.cases),
            None => configurations.push(read),
        }
    }
    configurations
}

/// Reads one file.
pub(crate) fn parse<C: Language>(text: &str) -> Result<Configuration<C>, String> {
    let mut result = Configuration { main: Vec::new(), rounds: 1, cases: Vec::new() };
    let mut blocks: Vec<Block> = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (word, rest) = split(line);
        match (word, blocks.last_mut()) {
            ("main", None) => result.main.push(rest.to_owned()),
            ("rounds", None) if C::HAS_ROUNDS => {
                result.rounds = rest.parse().map_err(|_| "rounds N".to_owned())?;
            }
            ("case", _) => blocks.push(Block { name: rest.to_owned(), ..Block::default() }),
            ("row", Some(block)) => block.rows.push(cells(rest)),
            ("cross", Some(block)) => block.cross(&cells(rest)),
            (_, Some(block)) => block.lines.push(line.to_owned()),
            _ => return Err(format!("line {}: there is no case yet: {line}", at + 1)),
        }
    }
    for block in blocks {
        block.expand(&mut result.cases)?;
    }
    Ok(result)
}

/// `NAME = VALUE`
pub(crate) fn setting(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("NAME = VALUE")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

/// The first word, and what is behind it.
pub(crate) fn split(line: &str) -> (&str, &str) {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    (word, rest.trim())
}

fn cells(text: &str) -> Vec<String> {
    text.split('|').map(|cell| cell.trim().to_owned()).collect()
}

/// A case before its rows are put in.
#[derive(Default)]
struct Block {
    name: String,
    rows: Vec<Vec<String>>,
    lines: Vec<String>,
}

impl Block {
    /// Every row there is, with each of these behind it.
    fn cross(&mut self, cells: &[String]) {
        let rows = match std::mem::take(&mut self.rows) {
            rows if rows.is_empty() => vec![Vec::new()],
            rows => rows,
        };
        let with = |row: &Vec<String>, cell: &String| [&row[..], std::slice::from_ref(cell)].concat();
        self.rows = rows.iter().flat_map(|row| cells.iter().map(move |cell| with(row, cell))).collect();
    }

    fn expand<C: Language>(mut self, cases: &mut Vec<C>) -> Result<(), String> {
        if self.rows.is_empty() {
            self.rows.push(Vec::new());
        }
        for row in &self.rows {
            let put = |text: &str| {
                let cells = row.iter().enumerate();
                cells.fold(text.to_owned(), |text, (at, cell)| text.replace(&format!("${}", at + 1), cell))
            };
            let mut case = C::named(put(&self.name));
            for line in self.lines.iter().map(|line| put(line)).filter(|line| !line.is_empty()) {
                let (word, rest) = split(&line);
                case.add(word, rest).map_err(|why| format!("{}: {why}: {line}", case.name()))?;
            }
            cases.push(case);
        }
        Ok(())
    }
}
