//! Showing master.cf: entries (`-M`), fields (`-F`) and parameters (`-P`, `-PP`).

use std::collections::BTreeMap;

use super::namespace::Namespace;
use super::options::{Mode, Request};
use super::wording::{self, INDENT, LINE_LIMIT};
use super::{Fatal, Report};
use crate::arguments::is_option;
use crate::master_cf::{Entry, FIELD_NAMES, FIELDS, MasterCf};

/// Prints what the operands name, or else all of master.cf.
pub(super) fn show(
    names: &Namespace,
    master: &MasterCf,
    request: &Request,
    report: &mut Report,
) -> Result<(), Fatal> {
    let mode = request.mode;
    let (parts, usage) = if mode.has(Mode::MASTER_ENTRY) {
        (2, "-M option requires service_name[/type]")
    } else if mode.has(Mode::MASTER_FIELD) {
        (3, "-F option requires service_name[/type[/field]]")
    } else {
        (3, "-P option requires service_name[/type[/parameter]]")
    };
    let mut patterns = Vec::new();
    for operand in &request.operands {
        let pattern = Pattern::parse(operand, 1, parts).ok_or_else(|| usage.to_owned())?;
        if mode.has(Mode::MASTER_FIELD) {
            pattern.field()?;
        }
        patterns.push((pattern, operand, false));
    }
    for (number, entry) in master.entries().iter().enumerate() {
        let shown = Shown { names, request, number, entry };
        if patterns.is_empty() {
            shown.show(&Pattern::any(), &mut report.stdout)?;
        }
        for (pattern, _, matched) in patterns.iter_mut().filter(|(pattern, ..)| pattern.matches(entry)) {
            *matched |= shown.show(pattern, &mut report.stdout)?;
        }
    }
    for (_, operand, _) in patterns.iter().filter(|(_, _, matched)| !matched) {
        report.warn(format_args!("unmatched request: \"{operand}\""));
    }
    Ok(())
}

/// `service/type/field` with `*` for any.
#[derive(Debug)]
pub(crate) struct Pattern {
    parts: Vec<String>,
}

impl Pattern {
    fn any() -> Pattern {
        Pattern { parts: vec!["*".to_owned(); 3] }
    }

    /// Parses a pattern of `least` to `most` parts; parts that are left out are `*`.
    pub(crate) fn parse(text: &str, least: usize, most: usize) -> Option<Pattern> {
        if text.starts_with('/') {
            return None;
        }
        let mut parts: Vec<String> =
            text.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
        let wild = parts.iter().any(|part| part != "*" && part.contains('*'));
        if wild || !(least..=most).contains(&parts.len()) {
            return None;
        }
        parts.resize(most, "*".to_owned());
        Some(Pattern { parts })
    }

    /// Whether name and type are these.
    pub(crate) fn matches_service(&self, name: &str, kind: &str) -> bool {
        let matches = |part: &str, word: &str| part == "*" || part == word;
        matches(&self.parts[0], name) && matches(&self.parts[1], kind)
    }

    fn matches(&self, entry: &Entry) -> bool {
        self.matches_service(&entry.words[0], &entry.words[1])
    }

    /// The third part; `None` for any.
    pub(crate) fn third(&self) -> Option<&str> {
        self.parts.get(2).map(String::as_str).filter(|&part| part != "*")
    }

    /// The number of the field that the third part names; `None` for any.
    pub(crate) fn field(&self) -> Result<Option<usize>, Fatal> {
        let Some(name) = self.third() else { return Ok(None) };
        let number = FIELD_NAMES.iter().position(|&field| field == name);
        number.map(Some).ok_or_else(|| format!("invalid service attribute name: \"{name}\""))
    }
}

struct Shown<'a> {
    names: &'a Namespace,
    request: &'a Request,
    number: usize,
    entry: &'a Entry,
}

impl Shown<'_> {
    /// Prints the parts of an entry that the pattern names. Whether there were any.
    fn show(&self, pattern: &Pattern, out: &mut String) -> Result<bool, Fatal> {
        let mode = self.request.mode;
        if mode.has(Mode::MASTER_ENTRY) {
            if mode.has(Mode::JSON) {
                let text = self.entry.words[..FIELDS - 1].join(" ") + " " + &self.command_line()?;
                wording::json(out, &self.entry.name_space(), &text);
            } else {
                self.expanded(|words| entry(out, words, mode.has(Mode::FOLD)))?;
            }
            return Ok(true);
        }
        if mode.has(Mode::MASTER_FIELD) {
            match pattern.field()? {
                Some(field) => self.field(field, out)?,
                None => (0..FIELDS).try_for_each(|field| self.field(field, out))?,
            }
            return Ok(true);
        }
        self.parameters(pattern, out)
    }

    /// The command with its arguments in one line.
    fn command_line(&self) -> Result<String, Fatal> {
        let mut text = self.entry.words[FIELDS - 1].clone();
        self.expanded(|words| {
            for group in Groups::new(&words[FIELDS..]) {
                text.push(' ');
                text.push_str(&group.text());
            }
        })?;
        Ok(text)
    }

    /// Calls `print` with the words of the entry; with `-x`, values of `-o` are expanded.
    fn expanded(&self, print: impl FnOnce(&[String])) -> Result<(), Fatal> {
        if !self.request.mode.has(Mode::EXPAND) {
            print(&self.entry.words);
            return Ok(());
        }
        let mut words = self.entry.words.clone();
        let mut at = FIELDS;
        while words.get(at).is_some_and(|word| is_option(word)) {
            if words[at] == "-o" && at + 1 < words.len() {
                at += 1;
                words[at] = self.names.expand(&words[at], Some(self.number))?;
            }
            at += 1;
        }
        print(&words);
        Ok(())
    }

    fn field(&self, field: usize, out: &mut String) -> Result<(), Fatal> {
        let mode = self.request.mode;
        let name = format!("{}/{}", self.entry.name_space(), FIELD_NAMES[field]);
        let value = &self.entry.words[field];
        if mode.has(Mode::JSON) {
            let value = if field == FIELDS - 1 { self.command_line()? } else { value.clone() };
            wording::json(out, &name, &value);
            return Ok(());
        }
        let mut length = 0;
        if !mode.has(Mode::HIDE_NAME) {
            out.push_str(&name);
            length = name.len();
        }
        if mode.has(Mode::HIDE_VALUE) {
            out.push('\n');
            return Ok(());
        }
        if length > 0 {
            out.push_str(" = ");
            length += 3;
        }
        if length > 0 && length + value.len() > LINE_LIMIT {
            out.push('\n');
            out.push_str(INDENT);
            length = INDENT.len();
        }
        out.push_str(value);
        length += value.len();
        if field == FIELDS - 1 {
            self.expanded(|words| arguments(out, &words[FIELDS..], length, mode.has(Mode::FOLD), 1))?;
        }
        out.push('\n');
        Ok(())
    }

    fn parameters(&self, pattern: &Pattern, out: &mut String) -> Result<bool, Fatal> {
        let mode = self.request.mode;
        let service = &self.names.services[self.number];
        let merged;
        let settings = if mode.has(Mode::MERGED) {
            merged = self.merged();
            &merged
        } else {
            &service.set
        };
        let mut printed = false;
        for (name, value) in
            settings.iter().filter(|(name, _)| pattern.third().is_none_or(|third| third == *name))
        {
            printed = true;
            self.parameter(name, value, out)?;
        }
        // A service that sets nothing has nothing to show; asked for by a wildcard, that is no mismatch.
        Ok(printed || (pattern.third().is_none() && !settings.is_empty()))
    }

    /// What counts for the service: its own settings, main.cf's, and defaults.
    fn merged(&self) -> BTreeMap<String, String> {
        let request = self.request;
        let all = !request.operands.is_empty();
        let known = self.names.known.iter().filter(|(_, node)| all || request.classes.admit(node.class));
        let mut merged: BTreeMap<_, _> = known
            .filter_map(|(name, _)| {
                Some((name.clone(), self.names.value(name, Some(self.number))?.to_owned()))
            })
            .collect();
        for (name, value) in &self.names.services[self.number].set {
            merged.entry(name.clone()).or_insert_with(|| value.clone());
        }
        merged
    }

    fn parameter(&self, name: &str, value: &str, out: &mut String) -> Result<(), Fatal> {
        let mode = self.request.mode;
        let (fold, name) = (mode.has(Mode::FOLD), format!("{}/{name}", self.entry.name_space()));
        if mode.has(Mode::HIDE_VALUE) {
            wording::line(out, fold, &name);
            return Ok(());
        }
        let value = if mode.has(Mode::EXPAND) {
            self.names.expand(value, Some(self.number))?
        } else {
            value.to_owned()
        };
        if mode.has(Mode::JSON) {
            wording::json(out, &name, &value);
        } else if mode.has(Mode::HIDE_NAME) {
            wording::line(out, fold, &value);
        } else {
            wording::line(out, fold, &format!("{name} = {value}"));
        }
        Ok(())
    }
}

/// Prints an entry: fields in their columns, options with a value on lines of their own when folded.
pub(crate) fn entry(out: &mut String, words: &[String], fold: bool) {
    const COLUMNS: [usize; FIELDS] = [0, 11, 17, 25, 33, 41, 49, 57];
    let mut length = 0;
    for (word, column) in words.iter().zip(COLUMNS) {
        if length > 0 {
            let blanks = column.saturating_sub(length).max(1);
            out.extend(std::iter::repeat_n(' ', blanks));
            length += blanks;
        }
        out.push_str(word);
        length += word.len();
    }
    arguments(out, &words[FIELDS..], length, fold, 3);
    out.push('\n');
}

/// Prints arguments after `length` letters of a line. `margin` is what Postfix adds to the length of an option
/// and its value: 3 in entries, 1 in fields.
fn arguments(out: &mut String, words: &[String], mut length: usize, fold: bool, margin: usize) {
    for group in Groups::new(words) {
        let text = group.text();
        let has_value = matches!(group, Group::OptionWithValue(..));
        if has_value {
            length = LINE_LIMIT;
        }
        if length > INDENT.len() {
            // A plain word counts without the braces that it may get.
            let needed = match group {
                Group::OptionWithValue(..) => text.len() - 1 + margin,
                Group::Option(word) | Group::Word(word) => word.len(),
            };
            if !fold || length + 1 + needed < LINE_LIMIT {
                out.push(' ');
                length += 1;
            } else {
                out.push('\n');
                out.push_str(INDENT);
                length = INDENT.len();
            }
        }
        out.push_str(&text);
        length += text.len();
        if has_value {
            length = LINE_LIMIT;
        }
    }
}

/// Arguments that stay on one line together.
enum Group<'a> {
    Option(&'a str),
    OptionWithValue(&'a str, &'a str),
    Word(&'a str),
}

impl Group<'_> {
    fn text(&self) -> String {
        match self {
            Group::Option(word) => (*word).to_owned(),
            Group::OptionWithValue(option, value) => format!("{option} {}", braced(value)),
            Group::Word(word) => braced(word),
        }
    }
}

/// Puts braces around a word that would else be more than one.
fn braced(word: &str) -> String {
    if word.contains(crate::list::is_space) { format!("{{{word}}}") } else { word.to_owned() }
}

struct Groups<'a> {
    words: &'a [String],
    options: bool,
}

impl<'a> Groups<'a> {
    fn new(words: &'a [String]) -> Groups<'a> {
        Groups { words, options: true }
    }
}

impl<'a> Iterator for Groups<'a> {
    type Item = Group<'a>;

    fn next(&mut self) -> Option<Group<'a>> {
        let (word, rest) = self.words.split_first()?;
        self.words = rest;
        self.options &= is_option(word);
        if !self.options {
            return Some(Group::Word(word));
        }
        match rest.split_first() {
            Some((value, rest)) if word.starts_with("-o") => {
                self.words = rest;
                Some(Group::OptionWithValue(word, value))
            }
            _ => Some(Group::Option(word)),
        }
    }
}
