//! What regexp_table(5), pcre_table(5) and cidr_table(5) have in common: rules tried in file order, `if`/`endif`
//! blocks, inline rules; and for the first two the syntax of a rule and of its result.
//!
//! Texts of warnings are Postfix's, with map and line; a rule with an error is skipped.

use std::sync::Arc;

use crate::logical_line::{self, is_blank};
use crate::lookup::Lookup;
use crate::map::{Entries, Opened, Opening, Table, Warn};
use crate::watched::Watched;

/// One line of a table, compiled.
pub(crate) enum Step<M, C> {
    Match(M),
    If(C),
    Endif,
}

/// The steps of a table; an `If` knows where its block ends.
pub(crate) struct Rules<M, C> {
    steps: Vec<Linked<M, C>>,
}

enum Linked<M, C> {
    Match(M),
    /// The index of the `endif`, or the number of steps when it is missing.
    If(C, usize),
    Endif,
}

impl<M, C> Rules<M, C> {
    /// Compiles every logical line with `compile`, which gets the line, its number and the depth of open blocks, and
    /// gives nothing for a line to be skipped.
    pub(crate) fn parse(
        kind: &str,
        name: &str,
        text: &str,
        warn: &mut dyn FnMut(&str),
        mut compile: impl FnMut(&str, usize, usize, &mut dyn FnMut(&str)) -> Option<Step<M, C>>,
    ) -> Self {
        let mut steps = Vec::new();
        let mut open: Vec<(usize, usize)> = Vec::new();
        for line in logical_line::split(text, name, warn) {
            match compile(line.text.trim_end_matches(is_blank), line.number, open.len(), warn) {
                Some(Step::Match(rule)) => steps.push(Linked::Match(rule)),
                Some(Step::If(condition)) => {
                    open.push((steps.len(), line.number));
                    steps.push(Linked::If(condition, usize::MAX));
                }
                Some(Step::Endif) => {
                    if let Some((begin, _)) = open.pop() {
                        let here = steps.len();
                        if let Linked::If(_, end) = &mut steps[begin] {
                            *end = here;
                        }
                        steps.push(Linked::Endif);
                    }
                }
                None => {}
            }
        }
        for (_, line) in open.iter().rev() {
            warn(&format!("{kind} map {name}, line {line}: IF has no matching ENDIF"));
        }
        Rules { steps }
    }

    /// The first result; blocks whose condition is false are stepped over.
    pub(crate) fn first<R>(
        &self,
        mut holds: impl FnMut(&C) -> Result<bool, String>,
        mut result: impl FnMut(&M) -> Result<Option<R>, String>,
    ) -> Result<Option<R>, String> {
        let mut at = 0;
        while let Some(step) = self.steps.get(at) {
            match step {
                Linked::Match(rule) => {
                    if let Some(found) = result(rule)? {
                        return Ok(Some(found));
                    }
                }
                // A block that is never closed reaches to the end of the table.
                Linked::If(condition, end) if !holds(condition)? => at = (*end).min(self.steps.len()),
                Linked::If(..) | Linked::Endif => {}
            }
            at += 1;
        }
        Ok(None)
    }
}

/// `if` or `endif` at the start of a line, any case, and what follows.
pub(crate) fn block_word(line: &str) -> Option<(bool, &str)> {
    for (word, is_if) in [("if", true), ("endif", false)] {
        if line.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word)) {
            let rest = &line[word.len()..];
            if !rest.starts_with(|c: char| c.is_ascii_alphanumeric()) {
                return Some((is_if, rest));
            }
        }
    }
    None
}

/// Strips `!` and blanks; false when an odd number of `!` stood there.
pub(crate) fn negation(mut text: &str) -> (bool, &str) {
    let mut positive = true;
    while let Some(c) = text.chars().next().filter(|c| *c == '!' || is_blank(*c)) {
        positive ^= c == '!';
        text = &text[1..];
    }
    (positive, text)
}

/// The rules of an inline table, `{ {rule}, {rule} }`, as the text of a file with one rule on each line; nothing
/// when the name is a file name.
pub(crate) fn inline_text(kind: &str, name: &str) -> Result<Option<String>, String> {
    if !name.starts_with('{') {
        return Ok(None);
    }
    let bad = || format!("bad syntax: \"{kind}:{name}\"; need \"{kind}:{{{{rule...}}...}}\"");
    let inside = config::list::braced(name).ok_or_else(bad)?;
    let rules: Option<Vec<&str>> =
        config::list::split(inside).into_iter().map(config::list::braced).collect();
    match rules {
        Some(rules) if !rules.is_empty() => Ok(Some(rules.join("\n"))),
        _ => Err(bad()),
    }
}

/// A compiled table: from a file, read again when it changes, or inline.
pub(crate) enum Source<T> {
    File(Watched<T>),
    Inline(Arc<Result<T, String>>),
}

impl<T> Source<T> {
    /// Compiles with `read(text, name, warn)`.
    pub(crate) fn open(
        opening: &Opening<'_>,
        read: impl Fn(&str, &str, &mut dyn FnMut(&str)) -> T + Send + Sync + 'static,
    ) -> Result<Self, String> {
        let name = opening.name.to_owned();
        let warn: Warn = opening.tables_warn();
        if let Some(text) = inline_text(opening.type_name, opening.name)? {
            return Ok(Source::Inline(Arc::new(Ok(read(&text, &name, &mut |text| warn(text))))));
        }
        let load = move |text: &str| read(text, &name, &mut |text| warn(text));
        Watched::open(opening.name, Box::new(load)).map(Source::File)
    }

    pub(crate) fn content(&self) -> Arc<Result<T, String>> {
        match self {
            Source::File(watched) => watched.content(),
            Source::Inline(content) => Arc::clone(content),
        }
    }
}

/// The byte ranges of a match: the whole first, then each group, `None` where it took no part.
pub(crate) type Captures = Vec<Option<(usize, usize)>>;

/// A regular expression engine.
pub(crate) trait Expression: Sized + Send + Sync + 'static {
    /// `regexp` or `pcre`.
    const KIND: &'static str;
    /// Does the type know `/one/!/two/`?
    const SECOND_PATTERN: bool;

    /// Is the letter one of the type's options?
    fn knows_option(letter: char) -> bool;

    /// Compiles a pattern with its option letters.
    fn compile(pattern: &str, options: &str) -> Result<Self, String>;

    /// How many groups can be captured.
    fn groups(&self) -> usize;

    /// The matched groups, the whole match first; `None` when nothing matches. `groups` says how many are wanted.
    fn find(&self, key: &str, groups: usize) -> Result<Option<Captures>, String>;
}

/// A pattern that must, or must not, match.
struct Condition<E> {
    expression: E,
    positive: bool,
    line: usize,
}

impl<E: Expression> Condition<E> {
    fn holds(&self, key: &str) -> Result<bool, String> {
        Ok(self.expression.find(key, 0)?.is_some() == self.positive)
    }
}

struct Rule<E> {
    first: Condition<E>,
    second: Option<Condition<E>>,
    result: Vec<Piece>,
    largest: usize,
}

/// A part of a result.
enum Piece {
    Text(String),
    Group(usize),
}

/// An open regexp or pcre table.
struct PatternTable<E> {
    name: String,
    source: Source<Rules<Rule<E>, Condition<E>>>,
}

/// Opens a table of regular expressions.
pub(crate) fn open<E: Expression>(opening: &Opening<'_>) -> Result<Opened, String> {
    let substitution = opening.flags.substitution;
    let source = Source::open(opening, move |text, name, warn| {
        Rules::parse(E::KIND, name, text, warn, |line, number, depth, warn| {
            compile_line(line, depth, substitution, number, &mut |text| {
                warn(&format!("{} map {name}, line {number}: {text}", E::KIND));
            })
        })
    })?;
    Ok(Opened::Local(Box::new(PatternTable::<E> { name: opening.name.to_owned(), source })))
}

/// One line of a table of regular expressions.
fn compile_line<E: Expression>(
    line: &str,
    depth: usize,
    substitution: bool,
    number: usize,
    warn: &mut dyn FnMut(&str),
) -> Option<Step<Rule<E>, Condition<E>>> {
    if !line.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return compile_rule(line, substitution, number, warn).map(Step::Match);
    }
    match block_word(line) {
        Some((true, rest)) => {
            let (pattern, rest) = Pattern::parse::<E>(rest, warn)?;
            let rest = rest.trim_matches(is_blank);
            if !rest.is_empty() {
                warn(&format!("ignoring extra text after IF statement: \"{rest}\""));
                warn("do not prepend whitespace to statements between IF and ENDIF");
            }
            pattern.compile(number, warn).map(Step::If)
        }
        Some((false, _)) if depth == 0 => {
            warn("ignoring ENDIF without matching IF");
            None
        }
        Some((false, rest)) => {
            if !rest.trim_matches(is_blank).is_empty() {
                warn("ignoring extra text after ENDIF");
            }
            Some(Step::Endif)
        }
        None => {
            warn("ignoring unrecognized request");
            None
        }
    }
}

fn compile_rule<E: Expression>(
    line: &str,
    substitution: bool,
    number: usize,
    warn: &mut dyn FnMut(&str),
) -> Option<Rule<E>> {
    let (first, mut rest) = Pattern::parse::<E>(line, warn)?;
    let mut second = None;
    if E::SECOND_PATTERN && rest.starts_with('!') {
        let (pattern, after) = Pattern::parse::<E>(rest, warn)?;
        (second, rest) = (Some(pattern), after);
    }
    let text = rest.trim_start_matches(is_blank);
    if text.is_empty() {
        warn("no replacement text: using empty string");
    }
    let result = match parse_result(text) {
        Ok(result) => result,
        Err(why) => {
            warn(&why);
            warn("bad replacement syntax: skipping this rule");
            return None;
        }
    };
    let groups = result.iter().map(|piece| match piece {
        Piece::Group(n) => *n,
        Piece::Text(_) => 0,
    });
    let largest = groups.max().unwrap_or(0);
    if largest > 0 && !first.positive {
        warn("$number found in negative match replacement text: skipping this rule");
        return None;
    }
    if largest > 0 && !substitution {
        warn("regular expression substitution is not allowed: skipping this rule");
        return None;
    }
    let first: Condition<E> = first.compile(number, warn)?;
    if largest > first.expression.groups() {
        warn(&format!("out of range replacement index \"{largest}\": skipping this rule"));
        return None;
    }
    let second = match second {
        Some(pattern) => Some(pattern.compile(number, warn)?),
        None => None,
    };
    Some(Rule { first, second, result, largest })
}

/// A pattern as written.
struct Pattern<'a> {
    text: &'a str,
    options: &'a str,
    positive: bool,
}

impl<'a> Pattern<'a> {
    /// Reads `!/pattern/options` and gives what follows.
    fn parse<E: Expression>(text: &'a str, warn: &mut dyn FnMut(&str)) -> Option<(Self, &'a str)> {
        let (positive, text) = negation(text);
        let Some(delimiter) = text.chars().next() else {
            warn("no regexp: skipping this rule");
            return None;
        };
        let text = &text[delimiter.len_utf8()..];
        let Some(end) = closing(text, delimiter) else {
            warn(&format!("no closing regexp delimiter \"{delimiter}\": skipping this rule"));
            return None;
        };
        let after = &text[end + delimiter.len_utf8()..];
        let stop = after.find(|c: char| is_blank(c) || c == '!').unwrap_or(after.len());
        let (options, rest) = after.split_at(stop);
        if let Some(unknown) = options.chars().find(|c| !E::knows_option(*c)) {
            warn(&format!("unknown regexp option \"{unknown}\": skipping this rule"));
            return None;
        }
        Some((Pattern { text: &text[..end], options, positive }, rest))
    }

    fn compile<E: Expression>(&self, line: usize, warn: &mut dyn FnMut(&str)) -> Option<Condition<E>> {
        match E::compile(self.text, self.options) {
            Ok(expression) => Some(Condition { expression, positive: self.positive, line }),
            Err(why) => {
                warn(&why);
                None
            }
        }
    }
}

/// Where the closing delimiter stands; a backslash hides what follows it.
fn closing(text: &str, delimiter: char) -> Option<usize> {
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        if c == '\\' {
            chars.next()?;
        } else if c == delimiter {
            return Some(at);
        }
    }
    None
}

/// Splits a result into text and `$1`, `${1}`, `$(1)`; `$$` is one `$`.
fn parse_result(mut text: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut literal = String::new();
    while let Some(dollar) = text.find('$') {
        literal.push_str(&text[..dollar]);
        let after = &text[dollar + 1..];
        if let Some(rest) = after.strip_prefix('$') {
            literal.push('$');
            text = rest;
            continue;
        }
        let (name, rest) = match after.chars().next() {
            Some(open @ ('{' | '(')) => {
                let close = if open == '{' { '}' } else { ')' };
                after[1..]
                    .split_once(close)
                    .ok_or_else(|| format!("truncated macro reference: \"{text}\""))?
            }
            _ => {
                let name = |c: char| c.is_ascii_alphanumeric() || c == '_';
                after.split_at(after.find(|c| !name(c)).unwrap_or(after.len()))
            }
        };
        if name.is_empty() {
            return Err(format!("empty macro name: \"{text}\""));
        }
        if !name.bytes().all(|b| b.is_ascii_digit()) {
            return Err(format!("non-numeric replacement index \"{name}\""));
        }
        let number = name.parse().unwrap_or(usize::MAX);
        if number < 1 {
            return Err(format!("out-of-range replacement index \"{name}\""));
        }
        if !literal.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut literal)));
        }
        pieces.push(Piece::Group(number));
        text = rest;
    }
    literal.push_str(text);
    if !literal.is_empty() {
        pieces.push(Piece::Text(literal));
    }
    Ok(pieces)
}

impl<E: Expression> Rule<E> {
    fn result(&self, key: &str) -> Result<Option<String>, String> {
        let groups = self.first.expression.find(key, self.largest)?;
        if groups.is_some() != self.first.positive {
            return Ok(None);
        }
        if let Some(second) = &self.second
            && !second.holds(key)?
        {
            return Ok(None);
        }
        let groups = groups.unwrap_or_default();
        let pieces = self.result.iter().map(|piece| match piece {
            Piece::Text(text) => text.as_str(),
            Piece::Group(n) => {
                groups.get(*n).copied().flatten().and_then(|(from, to)| key.get(from..to)).unwrap_or("")
            }
        });
        Ok(Some(pieces.collect()))
    }
}

impl<E: Expression> Table for PatternTable<E> {
    fn lookup(&self, key: &str) -> Lookup {
        let content = self.source.content();
        let rules = match &*content {
            Ok(rules) => rules,
            Err(reason) => return Lookup::Failed(reason.clone()),
        };
        let at = |line: usize, why: String| format!("{} map {}, line {line}: {why}", E::KIND, self.name);
        rules
            .first(
                |condition| condition.holds(key).map_err(|why| at(condition.line, why)),
                |rule| rule.result(key).map_err(|why| at(rule.first.line, why)),
            )
            .into()
    }

    fn entries(&self) -> Option<Result<Entries, String>> {
        None
    }

    fn is_pattern(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_split_into_text_and_groups() {
        let shape = |text: &str| {
            parse_result(text).map(|pieces| {
                pieces
                    .iter()
                    .map(|piece| match piece {
                        Piece::Text(text) => text.clone(),
                        Piece::Group(n) => format!("<{n}>"),
                    })
                    .collect::<String>()
            })
        };
        for (text, expected) in [
            ("plain", Ok("plain")),
            ("a$$b", Ok("a$b")),
            ("$1-${2}x$(3)", Ok("<1>-<2>x<3>")),
            ("", Ok("")),
            ("$0", Err("out-of-range replacement index \"0\"")),
            ("$1a", Err("non-numeric replacement index \"1a\"")),
            ("${1", Err("truncated macro reference: \"${1\"")),
            ("a$ b", Err("empty macro name: \"a$ b\"")),
        ] {
            assert_eq!(shape(text).as_deref().map_err(String::as_str), expected, "{text}");
        }
    }
}
