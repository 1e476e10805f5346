//! `xtask instructions`: what fixed inputs cost, in instructions of the processor as valgrind(1) counts them, against the counts
//! recorded in `instructions.tsv`. Unlike a time, a count does not depend on what else the machine does, so CI can refuse what became
//! slower by more than [`TOLERANCE`].
//!
//! Only the work is counted, not its preparation. Needs valgrind, and the release build of the server and this program together: what
//! else is built decides about the features of libraries.

mod inputs;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use inputs::INPUTS;

/// A count may grow by this part before it is a regression. Hash tables with random keys and another libc move counts by less than
/// a hundredth.
const TOLERANCE: f64 = 0.10;

/// The function whose instructions are counted, with everything that it calls; as a pattern of callgrind's for the mangled name.
const COUNTED: &str = "*instructions*counted*";

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Options {
    /// Compare with the recorded counts.
    Compare,
    /// Record the counts of this build.
    Record,
    /// One input, under valgrind.
    Run(String),
}

impl Options {
    /// Reads the command line.
    pub(crate) fn parse(args: &[&str]) -> Option<Options> {
        match args {
            [] => Some(Options::Compare),
            ["--record"] => Some(Options::Record),
            ["--run", name] => Some(Options::Run((*name).to_owned())),
            _ => None,
        }
    }
}

/// Runs it.
pub(crate) fn run(options: &Options) -> ExitCode {
    let result = match options {
        Options::Run(name) => run_one(name),
        Options::Record => record(),
        Options::Compare => compare(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("instructions: {why}");
            ExitCode::FAILURE
        }
    }
}

type Counts = BTreeMap<String, u64>;

fn compare() -> Result<(), String> {
    let recorded = read(&table())?;
    let counts = count_all()?;
    let mut slower = Vec::new();
    for (name, count) in &counts {
        let Some(before) = recorded.get(name) else {
            return Err(format!(
                "{name} has no recorded count: run target/release/xtask instructions --record"
            ));
        };
        let change = *count as f64 / (*before).max(1) as f64 - 1.0;
        println!("{name:<20} {count:>12}  recorded {before:>12}  {:+.1} %", change * 100.0);
        if change > TOLERANCE {
            slower.push(name.as_str());
        }
    }
    if let Some(name) = recorded.keys().find(|name| !counts.contains_key(*name)) {
        return Err(format!(
            "{name} is recorded and is no input: run target/release/xtask instructions --record"
        ));
    }
    match slower.is_empty() {
        true => Ok(()),
        false => Err(format!(
            "more than {:.0} % more instructions than recorded: {}. Where the change is worth them: target/release/xtask instructions --record",
            TOLERANCE * 100.0,
            slower.join(", ")
        )),
    }
}

fn record() -> Result<(), String> {
    let counts = count_all()?;
    let text: String = counts.iter().map(|(name, count)| format!("{name}\t{count}\n")).collect();
    print!("{text}");
    let path = table();
    std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))
}

fn table() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("instructions.tsv")
}

fn read(path: &Path) -> Result<Counts, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    parse(&text)
        .map_err(|line| format!("{}, line {line}: should be a name, a tab and a number", path.display()))
}

/// The error is the number of the line that makes no sense.
fn parse(text: &str) -> Result<Counts, usize> {
    let entry = |line: &str| {
        let (name, count) = line.split_once('\t')?;
        Some((name.to_owned(), count.parse().ok()?))
    };
    text.lines().enumerate().map(|(at, line)| entry(line).ok_or(at + 1)).collect()
}

fn count_all() -> Result<Counts, String> {
    if cfg!(debug_assertions) {
        return Err("run it as: cargo build --release --package mailclad --package xtask && target/release/xtask instructions".into());
    }
    INPUTS.iter().map(|input| Ok((input.name.to_owned(), count(input.name)?))).collect()
}

/// Runs this program under callgrind for one input.
fn count(name: &str) -> Result<u64, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--collect-atstart=no"])
        .arg(format!("--toggle-collect={COUNTED}"))
        .arg(program)
        .args(["instructions", "--run", name])
        // Names, zones and the length of the environment would move the count.
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("TZ", "UTC")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("valgrind: {error}; install it: apt-get install valgrind"))?;
    let text = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("{name}: {text}"));
    }
    match collected(&text) {
        Some(count) if count > 0 => Ok(count),
        _ => Err(format!("{name}: valgrind counted nothing: {text}")),
    }
}

/// `==123== Collected : 456`.
fn collected(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.split_once("Collected : "))?;
    line.1.trim().parse().ok()
}

fn run_one(name: &str) -> Result<(), String> {
    let input = INPUTS.iter().find(|input| input.name == name).ok_or(format!("there is no input {name}"))?;
    let mut work = (input.prepare)()?;
    counted(&mut *work)
}

/// The work; under this name callgrind knows it.
#[inline(never)]
fn counted(work: &mut dyn FnMut() -> Result<(), String>) -> Result<(), String> {
    // What comes back is looked at, so that the call is none that could be left out.
    std::hint::black_box(work())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_input_works_and_is_recorded() {
        let recorded = read(&table()).unwrap();
        for input in INPUTS {
            assert_eq!(run_one(input.name), Ok(()), "{}", input.name);
            assert!(recorded.contains_key(input.name), "{}", input.name);
        }
    }

    #[test]
    fn words() {
        assert_eq!(collected("==1== Events    : Ir\n==1== Collected : 1234\n"), Some(1234));
        assert_eq!(collected("==1== nothing\n"), None);
        assert_eq!(parse("a\t1\nb\t2\n"), Ok(Counts::from([("a".into(), 1), ("b".into(), 2)])));
        assert_eq!(parse("a\t1\nb 2\n"), Err(2));
    }
}
