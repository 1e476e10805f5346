//! The arguments of a service's command in master.cf (master(5)): options with and without a value, then the words
//! that the program itself understands.

use std::collections::VecDeque;

use crate::list;
use crate::main_cf::split_name_value;

/// An argument of a service's command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Argument<'a> {
    /// Letters after `-`, and the value of those that have one.
    Option(&'a str, Option<&'a str>),
    /// Anything from the first that is no option.
    Word(&'a str),
}

/// The arguments of an entry.
#[derive(Debug, Clone)]
pub struct Arguments<'a> {
    words: &'a [String],
    options: bool,
}

impl<'a> Arguments<'a> {
    pub(crate) fn new(words: &'a [String]) -> Arguments<'a> {
        Arguments { words, options: true }
    }
}

impl<'a> Iterator for Arguments<'a> {
    type Item = Argument<'a>;

    fn next(&mut self) -> Option<Argument<'a>> {
        let (word, rest) = self.words.split_first()?;
        self.words = rest;
        if self.options && is_option(word) {
            if !word.starts_with("-o") {
                return Some(Argument::Option(word, None));
            }
            let value = self.words.split_first();
            self.words = value.map_or(&[], |(_, rest)| rest);
            return Some(Argument::Option(word, value.map(|(value, _)| value.as_str())));
        }
        // The `--` that ends the options is for us: postconf shows it, a program does not get it. One behind the first word is the
        // program's own.
        let ends_options = std::mem::take(&mut self.options) && word == "--";
        if ends_options { self.next() } else { Some(Argument::Word(word)) }
    }
}

pub(crate) fn is_option(word: &str) -> bool {
    word.starts_with('-') && word != "--"
}

/// Brings arguments into the form in which postconf(1) shows them: `-vox=y` is `-v -o x=y`, `-o { x = y }` is
/// `-o x=y`, `{ a b }` is the one word `a b`.
pub(crate) fn canonical_arguments(words: Vec<String>, warnings: &mut Vec<String>) -> Vec<String> {
    let mut canonical = Vec::with_capacity(words.len());
    let mut words: VecDeque<String> = words.into();
    while let Some(word) = words.pop_front() {
        if !is_option(&word) {
            canonical.push(unbraced(word, warnings));
            canonical.extend(words.into_iter().map(|word| unbraced(word, warnings)));
            return canonical;
        }
        let letters = word[1..].find('o');
        match letters {
            None => canonical.push(word),
            Some(0) => {
                let value = if word.len() > 2 { Some(word[2..].to_owned()) } else { words.pop_front() };
                canonical.push("-o".to_owned());
                let Some(value) = value else { continue };
                if !value.starts_with('{') {
                    canonical.push(value);
                    continue;
                }
                let value = unbraced(value, warnings);
                canonical.push(match split_name_value(&value) {
                    Ok((name, value)) => format!("{name}={value}"),
                    Err(what) => {
                        warnings.push(format!("master.cf: {what}: \"{value}\""));
                        value
                    }
                });
            }
            Some(at) => {
                canonical.push(word[..=at].to_owned());
                words.push_front(format!("-{}", &word[at + 1..]));
            }
        }
    }
    canonical
}

/// Removes the outer braces of a word that begins with one, and the blanks within.
fn unbraced(word: String, warnings: &mut Vec<String>) -> String {
    if !word.starts_with('{') {
        return word;
    }
    let trim = |text: &str| text.trim_matches(list::is_space).to_owned();
    match list::closing(&word) {
        None => {
            warnings.push(format!("master.cf: missing '}}' in \"{word}\""));
            trim(&word[1..])
        }
        Some(end) => {
            if end + 1 < word.len() {
                warnings.push(format!("master.cf: syntax error after '}}' in \"{word}\""));
            }
            trim(&word[1..end])
        }
    }
}
