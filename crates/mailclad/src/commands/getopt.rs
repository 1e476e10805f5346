//! Options of the commands with Postfix's names, read as POSIX getopt(3) reads them: letters combine (`-nf`), a
//! value is attached or the next argument, `--` ends the options, and so does the first operand.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStrExt;

/// The options of an argument vector, one after another; then [`Getopt::operands`].
#[derive(Debug)]
pub struct Getopt<'a> {
    letters: &'a str,
    args: &'a [OsString],
    /// What is left of an argument of several letters.
    rest: &'a [u8],
}

/// An option, and the value of one that has a value.
pub type Opt = (char, Option<OsString>);

/// Why an option can not be taken; the wording is that of the C library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadOption {
    /// The command has no such option.
    Unknown(char),
    /// The value is missing.
    NoValue(char),
}

impl fmt::Display for BadOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadOption::Unknown(letter) => write!(f, "invalid option -- '{letter}'"),
            BadOption::NoValue(letter) => write!(f, "option requires an argument -- '{letter}'"),
        }
    }
}

impl std::error::Error for BadOption {}

impl<'a> Getopt<'a> {
    /// Reads options from `args`, which do not include the name of the command. `letters` are the options that
    /// exist; a colon follows those that have a value.
    pub fn new(letters: &'a str, args: &'a [OsString]) -> Getopt<'a> {
        Getopt { letters, args, rest: &[] }
    }

    /// What follows the options. To be asked when there are no more of these.
    pub fn operands(&self) -> &'a [OsString] {
        self.args
    }

    /// Whether the option exists, and has a value.
    fn kind(&self, letter: u8) -> Option<bool> {
        let at = self.letters.bytes().position(|known| known == letter && letter != b':')?;
        Some(self.letters.as_bytes().get(at + 1) == Some(&b':'))
    }
}

impl Iterator for Getopt<'_> {
    type Item = Result<Opt, BadOption>;

    fn next(&mut self) -> Option<Result<Opt, BadOption>> {
        if self.rest.is_empty() {
            let (word, args) = self.args.split_first()?;
            match word.as_bytes() {
                b"--" => {
                    self.args = args;
                    return None;
                }
                // A lone `-` is an operand: standard input.
                [b'-', rest @ ..] if !rest.is_empty() => {
                    self.args = args;
                    self.rest = rest;
                }
                _ => return None,
            }
        }
        let (&letter, rest) = self.rest.split_first()?;
        self.rest = rest;
        let name = char::from(letter);
        Some(match self.kind(letter) {
            None => Err(BadOption::Unknown(name)),
            Some(false) => Ok((name, None)),
            Some(true) if !rest.is_empty() => {
                self.rest = &[];
                Ok((name, Some(OsStr::from_bytes(rest).to_owned())))
            }
            Some(true) => match self.args.split_first() {
                None => Err(BadOption::NoValue(name)),
                Some((value, args)) => {
                    self.args = args;
                    Ok((name, Some(value.clone())))
                }
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(letters: &str, args: &[&str]) -> (Vec<String>, Vec<String>) {
        let args: Vec<OsString> = args.iter().map(OsString::from).collect();
        let mut options = Getopt::new(letters, &args);
        let mut found = Vec::new();
        for option in options.by_ref() {
            found.push(match option {
                Ok((letter, None)) => letter.to_string(),
                Ok((letter, Some(value))) => format!("{letter}={}", value.display()),
                Err(error) => error.to_string(),
            });
        }
        let operands = options.operands().iter().map(|operand| operand.display().to_string()).collect();
        (found, operands)
    }

    #[test]
    fn reads_as_getopt_does() {
        for (args, options, operands) in [
            (&["-nf", "a"][..], &["n", "f"][..], &["a"][..]),
            (&["-nc", "dir", "a", "-f"], &["n", "c=dir"], &["a", "-f"]), // the first operand ends the options
            (&["-ncdir"], &["n", "c=dir"], &[]),
            (&["-c", "-n"], &["c=-n"], &[]), // a value may look like an option
            (&["-n", "--", "-f"], &["n"], &["-f"]),
            (&["-", "-f"], &[], &["-", "-f"]),
            (&["-Zn"], &["invalid option -- 'Z'", "n"], &[]),
            (&["-:"], &["invalid option -- ':'"], &[]),
            (&["-c"], &["option requires an argument -- 'c'"], &[]),
            (&["-#"], &["#"], &[]),
        ] {
            let (found, rest) = read("nfc:#", args);
            assert_eq!(found, options, "{args:?}");
            assert_eq!(rest, operands, "{args:?}");
        }
    }
}
