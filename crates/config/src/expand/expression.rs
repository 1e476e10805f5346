//! What may stand within `${...}`: a name, a comparison or a function, and what is to be put in its place.

use super::ExpandError;
use crate::list::is_space;

/// What stands within `${...}`.
#[derive(Debug)]
pub(super) struct Expression<'a> {
    pub(super) subject: Subject<'a>,
    pub(super) if_set: Option<&'a str>,
    pub(super) if_empty: Option<&'a str>,
}

#[derive(Debug)]
pub(super) enum Subject<'a> {
    Name(&'a str),
    Compare { left: &'a str, operator: Operator, suffix: &'a str, right: &'a str },
    Function(&'a str, &'a str),
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    GreaterOrEqual,
    Greater,
}

const OPERATORS: &[(&str, Operator)] = &[
    ("==", Operator::Equal),
    ("!=", Operator::NotEqual),
    ("<", Operator::Less),
    ("<=", Operator::LessOrEqual),
    (">=", Operator::GreaterOrEqual),
    (">", Operator::Greater),
];

impl<'a> Expression<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Expression<'a>, ExpandError> {
        let (subject, rest) = Subject::parse(text)?;
        let mut expression = Expression { subject, if_set: None, if_empty: None };
        if rest.is_empty() {
            return Ok(expression);
        }
        let mut rest = rest;
        if let Some(after) = rest.strip_prefix('?') {
            let (branch, left_over) = branch(after)?;
            expression.if_set = Some(branch);
            if left_over.is_empty() {
                return Ok(expression);
            }
            if !left_over.starts_with(':') {
                return Err(ExpandError(format!(
                    "\":\" expected at: \"...{branch}}}>>>{}\"",
                    first(left_over, 20)
                )));
            }
            rest = left_over;
        }
        // What `Subject::parse` leaves is empty or begins with `?` or `:`.
        let (branch, left_over) = branch(&rest[1..])?;
        expression.if_empty = Some(branch);
        if !left_over.is_empty() {
            return Err(ExpandError(format!(
                "unexpected input at: \"...{branch}}}>>>{}\"",
                first(left_over, 20)
            )));
        }
        Ok(expression)
    }
}

impl<'a> Subject<'a> {
    /// The subject, and the rest from `?` or `:` on.
    fn parse(text: &'a str) -> Result<(Subject<'a>, &'a str), ExpandError> {
        let trimmed = text.trim_start_matches(is_space);
        if trimmed.starts_with('{') {
            return Subject::parse_comparison(trimmed);
        }
        let (name, rest) = trimmed.split_at(trimmed.bytes().take_while(|&byte| is_name(byte)).count());
        let after = rest.trim_start_matches(is_space);
        match after.as_bytes().first() {
            None => Ok((Subject::Name(name), "")),
            Some(b'?' | b':') => Ok((Subject::Name(name), after)),
            Some(b'{') => {
                let (argument, left_over) = payload(after)?;
                if !left_over.is_empty() {
                    return Err(ExpandError(format!(
                        "unexpected input at: \"...{argument}}}>>>{}\"",
                        first(left_over, 20)
                    )));
                }
                Ok((Subject::Function(name, argument.trim_matches(is_space)), ""))
            }
            Some(_) => {
                let at = text.len() - rest.len();
                Err(ExpandError(format!(
                    "attribute name syntax error at: \"...{}>>>{}\"",
                    &text[..at],
                    first(&text[at..], 20)
                )))
            }
        }
    }

    fn parse_comparison(text: &'a str) -> Result<(Subject<'a>, &'a str), ExpandError> {
        let (left, rest) = payload(text)?;
        let (word, after) =
            rest.split_at(rest.bytes().take_while(|byte| b"<>!=?+-*/~&|%".contains(byte)).count());
        let Some((_, operator)) = OPERATORS.iter().find(|(name, _)| *name == word) else {
            let known =
                OPERATORS.iter().map(|(name, _)| format!("\"{name}\"")).collect::<Vec<_>>().join(" or ");
            return Err(ExpandError(format!("{known} expected at: \"...{left}}}>>>{}\"", first(rest, 20))));
        };
        let (suffix, after) = after.split_at(after.bytes().take_while(u8::is_ascii_alphanumeric).count());
        if !suffix.is_empty() && suffix != "level" {
            return Err(ExpandError(format!("bad operator suffix at: \"...{word}>>>{suffix}\"")));
        }
        let after = after.trim_start_matches(is_space);
        if !after.starts_with('{') {
            return Err(ExpandError(format!(
                "\"{{expression}}\" expected at: \"...{{{left}}} {word}>>>{}\"",
                first(after, 20)
            )));
        }
        let (right, rest) = payload(after)?;
        if !rest.is_empty() && !rest.starts_with(['?', ':']) {
            return Err(ExpandError(format!("\"?\" or \":\" expected at: \"...}}>>>{}\"", first(rest, 20))));
        }
        Ok((Subject::Compare { left, operator: *operator, suffix, right }, rest))
    }
}

/// The operand after `?` or `:`. Without braces it is all the rest, whatever it contains: expressions of before
/// Postfix 3.0 mean what they always meant.
fn branch(text: &str) -> Result<(&str, &str), ExpandError> {
    let trimmed = text.trim_start_matches(is_space);
    if trimmed.starts_with('{') { payload(trimmed) } else { Ok((text, "")) }
}

/// The text in the braces at the start, and what follows them and the blanks after.
fn payload(text: &str) -> Result<(&str, &str), ExpandError> {
    let end = balanced(text, b'{', b'}')
        .ok_or_else(|| ExpandError(format!("unbalanced {{}} in attribute expression: \"{text}\"")))?;
    Ok((&text[1..end], text[end + 1..].trim_start_matches(is_space)))
}

/// Where the bracket that opens `text` is closed.
pub(super) fn balanced(text: &str, open: u8, close: u8) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, byte) in text.bytes().enumerate() {
        if byte == open {
            depth += 1;
        } else if byte == close {
            depth -= 1;
        }
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

pub(super) fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// The first letters of a text.
pub(super) fn first(text: &str, letters: usize) -> &str {
    text.char_indices().nth(letters).map_or(text, |(end, _)| &text[..end])
}
