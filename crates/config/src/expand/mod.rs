//! `$name` in parameter values (postconf(5)): `$name`, `${name}`, `$(name)`, `$$`, conditionals with `?` and `:`,
//! comparisons, and `${domain_to_ascii{text}}`.
//!
//! The same language serves main.cf and the texts that are expanded later (`default_rbl_reply`,
//! `mailbox_command`, ...): who calls says what a name stands for. Nothing is logged here.

mod expression;

use std::borrow::Cow;
use std::fmt;

use crate::level::Level;
use expression::{Expression, Operator, Subject, balanced, first, is_name};

/// How deep names may refer to names. Postfix stops at the same depth.
const MAX_DEPTH: usize = 100;
/// How long a result may become, in bytes; a hundred doublings would otherwise fill the memory.
const MAX_LENGTH: usize = 4 * 1024 * 1024;
/// How many pieces may be read to make one result, for those that double and come out empty.
const MAX_STEPS: usize = 100_000;

/// What names stand for.
pub trait Scope {
    /// The text behind a name, not yet expanded; `None` when nobody knows it.
    fn raw(&self, name: &str) -> Option<Cow<'_, str>>;

    /// Whether the text behind the name is expanded in turn. Not so for what a client said.
    fn recurses(&self, _name: &str) -> bool {
        true
    }
}

impl<F: Fn(&str) -> Option<String>> Scope for F {
    fn raw(&self, name: &str) -> Option<Cow<'_, str>> {
        self(name).map(Cow::Owned)
    }
}

/// Why a text can not be expanded. The wording is Postfix's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpandError(String);

impl fmt::Display for ExpandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ExpandError {}

/// Expands all names in `text`. Names that nobody knows are empty.
pub fn expand(text: &str, scope: &dyn Scope) -> Result<String, ExpandError> {
    // Most values refer to nothing.
    if text.len() <= MAX_LENGTH && !text.contains('$') {
        return Ok(text.to_owned());
    }
    let mut expander = Expander { scope, depth: 0, steps: 0 };
    let mut result = String::new();
    expander.expand(text, &mut result)?;
    Ok(result)
}

/// A piece of a text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    Literal(&'a str),
    /// What stands between the braces, or the name after a bare `$`.
    Expression(&'a str),
}

/// Cuts a text into pieces, and hands each to `take` in order.
pub(crate) fn pieces<'a>(
    text: &'a str,
    mut take: impl FnMut(Piece<'a>) -> Result<(), ExpandError>,
) -> Result<(), ExpandError> {
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        if at > 0 {
            take(Piece::Literal(&rest[..at]))?;
        }
        rest = &rest[at + 1..];
        let (name, after) = match rest.as_bytes().first() {
            Some(b'$') => {
                take(Piece::Literal(&rest[..1]))?;
                rest = &rest[1..];
                continue;
            }
            Some(open @ (b'{' | b'(')) => {
                let close = if *open == b'{' { b'}' } else { b')' };
                let end = balanced(rest, *open, close)
                    .ok_or_else(|| ExpandError(format!("truncated macro reference: \"{text}\"")))?;
                (&rest[1..end], &rest[end + 1..])
            }
            _ => rest.split_at(rest.bytes().take_while(|&byte| is_name(byte)).count()),
        };
        if name.is_empty() {
            return Err(ExpandError(format!("empty macro name: \"{text}\"")));
        }
        take(Piece::Expression(name))?;
        rest = after;
    }
    if rest.is_empty() { Ok(()) } else { take(Piece::Literal(rest)) }
}

/// Calls `take` with every name that `text` refers to, on all branches, without looking any of them up.
pub(crate) fn names(text: &str, take: &mut dyn FnMut(&str)) -> Result<(), ExpandError> {
    names_within(text, take, 0)
}

fn names_within(text: &str, take: &mut dyn FnMut(&str), depth: usize) -> Result<(), ExpandError> {
    if depth > MAX_DEPTH {
        return Err(too_deep(text));
    }
    pieces(text, |piece| {
        let Piece::Expression(expression) = piece else { return Ok(()) };
        let parsed = Expression::parse(expression)?;
        match &parsed.subject {
            Subject::Name(name) => take(name),
            Subject::Function(_, argument) => names_within(argument, take, depth + 1)?,
            Subject::Compare { left, right, .. } => {
                names_within(left, take, depth + 1)?;
                names_within(right, take, depth + 1)?;
            }
        }
        for branch in [parsed.if_set, parsed.if_empty].into_iter().flatten() {
            names_within(branch, take, depth + 1)?;
        }
        Ok(())
    })
}

struct Expander<'s> {
    scope: &'s dyn Scope,
    depth: usize,
    steps: usize,
}

impl Expander<'_> {
    fn expand(&mut self, text: &str, result: &mut String) -> Result<(), ExpandError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(too_deep(text));
        }
        pieces(text, |piece| {
            self.steps += 1;
            match piece {
                Piece::Literal(literal) => result.push_str(literal),
                Piece::Expression(expression) => self.expression(expression, result)?,
            }
            if result.len() > MAX_LENGTH || self.steps > MAX_STEPS {
                return Err(ExpandError(format!("unreasonable macro call result: \"{}\"", shortened(text))));
            }
            Ok(())
        })?;
        self.depth -= 1;
        Ok(())
    }

    fn expression(&mut self, text: &str, result: &mut String) -> Result<(), ExpandError> {
        let Expression { subject, if_set, if_empty } = Expression::parse(text)?;
        if let (Subject::Name(name), None, None) = (&subject, if_set, if_empty) {
            return self.name(name, result);
        }
        let set = match subject {
            Subject::Name(name) => self.scope.raw(name).is_some_and(|value| !value.is_empty()),
            Subject::Compare { left, operator, suffix, right } => {
                let (mut left_value, mut right_value) = (String::new(), String::new());
                self.expand(left, &mut left_value)?;
                self.expand(right, &mut right_value)?;
                let holds = compare(&left_value, operator, suffix, &right_value)?;
                if holds && if_set.is_none() && if_empty.is_none() {
                    // Any text that is not empty would do; this is what Postfix shows.
                    result.push_str("true");
                }
                holds
            }
            Subject::Function(name, argument) => {
                let mut value = String::new();
                self.expand(argument, &mut value)?;
                return call(name, &value, result);
            }
        };
        match if set { if_set } else { if_empty } {
            Some(branch) => self.expand(branch, result),
            None => Ok(()),
        }
    }

    fn name(&mut self, name: &str, result: &mut String) -> Result<(), ExpandError> {
        match self.scope.raw(name) {
            None => Ok(()),
            Some(value) if self.scope.recurses(name) => self.expand(&value, result),
            Some(value) => {
                result.push_str(&value);
                Ok(())
            }
        }
    }
}

fn compare(left: &str, operator: Operator, suffix: &str, right: &str) -> Result<bool, ExpandError> {
    let order = if suffix == "level" {
        let level = |text| Level::parse(text).map_err(|error| ExpandError(error.to_string()));
        level(left)?.cmp(&level(right)?)
    } else if all_digits(left) && all_digits(right) {
        let number = |text: &str| {
            text.parse::<i64>().map_err(|_| ExpandError(format!("mac_exp_eval: bad conversion: {text}")))
        };
        number(left)?.cmp(&number(right)?)
    } else {
        left.cmp(right)
    };
    Ok(match operator {
        Operator::Equal => order.is_eq(),
        Operator::NotEqual => order.is_ne(),
        Operator::Less => order.is_lt(),
        Operator::LessOrEqual => order.is_le(),
        Operator::GreaterOrEqual => order.is_ge(),
        Operator::Greater => order.is_gt(),
    })
}

fn call(name: &str, argument: &str, result: &mut String) -> Result<(), ExpandError> {
    if name != "domain_to_ascii" {
        return Err(ExpandError(format!("unknown function \"{name}\" at\"...>>>{name}{{{argument}}}\"")));
    }
    match idna::domain_to_ascii(argument) {
        Ok(ascii) => {
            result.push_str(&ascii);
            Ok(())
        }
        Err(_) => Err(ExpandError(format!("domain_to_ascii: bad domain name: \"{argument}\""))),
    }
}

fn all_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn too_deep(text: &str) -> ExpandError {
    ExpandError(format!("unreasonable macro call nesting: \"{}\"", shortened(text)))
}

fn shortened(text: &str) -> &str {
    first(text, 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(name: &str) -> Option<String> {
        let value = match name {
            "a" => "A",
            "b" => "$a$a",
            "empty" => "",
            "blank" => "$empty",
            "ten" => "10",
            "loop" => "${loop}x",
            "hidden" => "${{$hidden} == {x} ? {y}}",
            "level" => "3.9",
            _ => return None,
        };
        Some(value.to_owned())
    }

    #[test]
    fn expands() {
        for (text, expected) in [
            ("plain", "plain"),
            ("$a ${a} $(a)", "A A A"),
            ("$b.", "AA."),    // names within values
            ("$$a$$", "$a$"),  // a doubled dollar is one
            ("$nobody.", "."), // unknown names are empty
            ("$a-x", "A-x"),   // a name ends where its letters end
            ("${a?yes}${empty?yes}${nobody?yes}", "yes"),
            ("${a:no}${empty:no}", "no"),
            ("${blank?yes}", "yes"), // the test is of the text before expansion
            ("${a?{yes}:{no}}${empty?{yes}:{no}}", "yesno"),
            ("${ a ? {yes} : {no} }", "yes"), // blanks around everything
            ("${a?$b}", "AA"),                // branches are expanded
            ("${a?x:y}", "x:y"),              // without braces a branch takes all
            ("${a??foo:{b}ar}", "?foo:{b}ar"),
            ("${{a} == {a} ? {same} : {other}}", "same"),
            ("${{$a} == {A}}", "true"),
            ("${{$a} == {B}}", ""),
            ("${{$ten} < {9} ? {less} : {more}}", "more"), // numbers as numbers
            ("${{$ten} < {9x} ? {less} : {more}}", "less"), // else as text
            ("${{3.10} <level {$level} ? {old} : {new}}", "new"),
            ("${{3.10} < {$level} ? {old} : {new}}", "old"),
            ("${{1} >=level {1.0}}", "true"),
            ("${{ab} != {cd}:x}", ""),
            ("${domain_to_ascii{bücher.example}}", "xn--bcher-kva.example"),
            ("${domain_to_ascii { $a }}", "a"),
        ] {
            assert_eq!(expand(text, &scope).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn refuses() {
        for (text, expected) in [
            ("${a", "truncated macro reference: \"${a\""),
            ("$", "empty macro name: \"$\""),
            ("a${}", "empty macro name: \"a${}\""),
            ("$-", "empty macro name: \"$-\""),
            ("${a-b}", "attribute name syntax error at: \"...a>>>-b\""),
            (
                "${{a} = {b}}",
                "\"==\" or \"!=\" or \"<\" or \"<=\" or \">=\" or \">\" expected at: \"...a}>>>= {b}\"",
            ),
            ("${{a} == b}", "\"{expression}\" expected at: \"...{a} ==>>>b\""),
            ("${{a} ==lvl {b}}", "bad operator suffix at: \"...==>>>lvl\""),
            ("${{a} == {b} x}", "\"?\" or \":\" expected at: \"...}>>>x\""),
            ("${a?{b}c}", "\":\" expected at: \"...b}>>>c\""),
            ("${a?{b}:{c}d}", "unexpected input at: \"...c}>>>d\""),
            ("${nope{x}}", "unknown function \"nope\" at\"...>>>nope{x}\""),
            ("${{x} <level {1}}", "malformed compatibility level syntax: \"x\""),
            ("$loop", "unreasonable macro call nesting: \"${loop}x\""),
        ] {
            let error = expand(text, &scope).expect_err(text);
            assert_eq!(error.to_string(), expected, "{text}");
        }
        // Postfix does not count these, and recurses until its stack ends.
        assert!(expand("$hidden", &scope).is_err());
    }

    #[test]
    fn a_hundred_doublings_are_refused() {
        let doubling = |name: &str| {
            let number: u32 = name.strip_prefix('d')?.parse().ok()?;
            Some(if number == 0 { "x".to_owned() } else { format!("$d{0}$d{0}", number - 1) })
        };
        assert!(expand("$d90", &doubling).is_err());
        let silent = |name: &str| {
            let number: u32 = name.strip_prefix('d')?.parse().ok()?;
            Some(if number == 0 { String::new() } else { format!("$d{0}$d{0}", number - 1) })
        };
        assert!(expand("$d90", &silent).is_err());
    }

    #[test]
    fn names_on_all_branches() {
        let mut found = Vec::new();
        names("$a ${b?{$c}:{$d}} ${{$e} == {f} ? $g}", &mut |name| found.push(name.to_owned()))
            .expect("well formed");
        assert_eq!(found, ["a", "b", "c", "d", "e", "g"]);
    }
}
