//! Numbers, times and truth values in parameter texts, with their bounds (postconf(5)). The wording of the errors
//! is Postfix's.

use crate::param::{Form, Kind, Rule};

/// The number that `text` stands for: 1 for `yes`, seconds for a time, 0 for a text of allowed length.
pub(crate) fn read(name: &str, rule: &Rule, text: &str) -> Result<i64, String> {
    match rule.kind {
        Kind::Bool | Kind::NBool => {
            if text.eq_ignore_ascii_case("yes") {
                Ok(1)
            } else if text.eq_ignore_ascii_case("no") {
                Ok(0)
            } else {
                Err(format!("bad boolean configuration: {name} = {text}"))
            }
        }
        Kind::Int | Kind::NInt | Kind::Long => {
            let bits_32 = rule.kind != Kind::Long;
            let number = integer(text)
                .filter(|&number| !bits_32 || i32::try_from(number).is_ok())
                .ok_or_else(|| format!("bad numerical configuration: {name} = {text}"))?;
            in_bounds(name, rule, number)
        }
        Kind::Time => {
            let seconds = seconds(text, rule.unit)
                .ok_or_else(|| format!("parameter {name}: bad time value or unit: {text}"))?;
            in_bounds(name, rule, seconds)
        }
        Kind::Text | Kind::Raw => {
            let length = text.len() as i64;
            if rule.min != 0 && length < rule.min {
                Err(format!("bad string length ({length} < {}): {name} = {text}", rule.min))
            } else if rule.max != 0 && length > rule.max {
                Err(format!("bad string length ({length} > {}): {name} = {text}", rule.max))
            } else {
                Ok(0)
            }
        }
    }
}

/// What is allowed, for the administrator who wrote something else.
pub(crate) fn allowed(rule: &Rule) -> String {
    let what = match (rule.kind, rule.form) {
        (Kind::Bool | Kind::NBool, _) => return "yes or no".to_owned(),
        (Kind::Int | Kind::NInt | Kind::Long, _) => "a decimal number".to_owned(),
        (Kind::Time, _) => {
            let unit = match rule.unit {
                'm' => "minutes",
                'h' => "hours",
                'd' => "days",
                'w' => "weeks",
                _ => "seconds",
            };
            format!("a number with one of the units s, m, h, d, w; {unit} without")
        }
        (_, Form::OneOf(words)) => return format!("one of: {}", words.join(" ")),
        _ => "a text".to_owned(),
    };
    let unit = match rule.kind {
        Kind::Time => "s",
        Kind::Text | Kind::Raw => " characters",
        _ => "",
    };
    match (rule.min, rule.max) {
        (1, 0) if unit == " characters" => format!("{what} that is not empty"),
        (0, 0) => what,
        (min, 0) => format!("{what}, at least {min}{unit}"),
        (0, max) => format!("{what}, at most {max}{unit}"),
        (min, max) => format!("{what}, from {min}{unit} to {max}{unit}"),
    }
}

fn in_bounds(name: &str, rule: &Rule, number: i64) -> Result<i64, String> {
    if rule.min != 0 && number < rule.min {
        Err(format!("invalid {name} parameter value {number} < {}", rule.min))
    } else if rule.max != 0 && number > rule.max {
        Err(format!("invalid {name} parameter value {number} > {}", rule.max))
    } else {
        Ok(number)
    }
}

/// A whole number as strtol(3) reads it: blanks before it and a sign are allowed.
fn integer(text: &str) -> Option<i64> {
    text.trim_start_matches(crate::logical::is_space).parse().ok()
}

/// A time in seconds. What follows the letter of the unit does not count, as in Postfix, where defaults such
/// as `${stress?10}s` after a user's `5m` make `5ms` of it.
fn seconds(text: &str, unit: char) -> Option<i64> {
    let text = text.trim_start_matches(crate::logical::is_space);
    let end = text
        .find(|letter: char| !letter.is_ascii_digit() && !matches!(letter, '+' | '-'))
        .unwrap_or(text.len());
    let number: i32 = match &text[..end] {
        // strtol(3) takes no digits for 0; then the unit decides.
        "" if !text.is_empty() => 0,
        digits => digits.parse().ok()?,
    };
    let factor = match text[end..].chars().next().unwrap_or(unit) {
        's' => 1,
        'm' => 60,
        'h' => 60 * 60,
        'd' => 24 * 60 * 60,
        'w' => 7 * 24 * 60 * 60,
        _ => return None,
    };
    if number < 0 || (factor > 1 && number >= i32::MAX / factor) {
        return None;
    }
    Some(i64::from(number) * i64::from(factor))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(kind: Kind, min: i64, max: i64) -> Rule {
        Rule { kind, min, max, ..Rule::ANY }
    }

    #[test]
    fn reads_values() {
        for (kind, text, expected) in [
            (Kind::Bool, "yes", 1),
            (Kind::Bool, "No", 0),
            (Kind::Int, "-5", -5),
            (Kind::Int, "+5", 5),
            (Kind::Long, "10000000000", 10_000_000_000),
            (Kind::Time, "5", 5),
            (Kind::Time, "2m", 120),
            (Kind::Time, "5ms", 300),
            (Kind::Time, "1w", 604_800),
            (Kind::Time, "s", 0),
            (Kind::Text, "", 0),
        ] {
            assert_eq!(read("x", &rule(kind, 0, 0), text), Ok(expected), "{text}");
        }
        assert_eq!(read("x", &Rule { unit: 'd', ..rule(Kind::Time, 0, 0) }, "2"), Ok(172_800));
    }

    #[test]
    fn refuses_values() {
        for (kind, min, max, text, expected) in [
            (Kind::Bool, 0, 0, "true", "bad boolean configuration: x = true"),
            (Kind::Int, 0, 0, "5k", "bad numerical configuration: x = 5k"),
            (Kind::Int, 0, 0, "", "bad numerical configuration: x = "),
            (Kind::Int, 0, 0, "2147483648", "bad numerical configuration: x = 2147483648"),
            (Kind::Int, 1, 0, "0", "invalid x parameter value 0 < 1"),
            (Kind::Int, 0, 100, "101", "invalid x parameter value 101 > 100"),
            (Kind::Time, 0, 0, "1y", "parameter x: bad time value or unit: 1y"),
            (Kind::Time, 0, 0, "-1", "parameter x: bad time value or unit: -1"),
            (Kind::Time, 0, 0, "99999d", "parameter x: bad time value or unit: 99999d"),
            (Kind::Time, 0, 0, "", "parameter x: bad time value or unit: "),
            (Kind::Time, 10, 0, "5", "invalid x parameter value 5 < 10"),
            (Kind::Text, 1, 0, "", "bad string length (0 < 1): x = "),
            (Kind::Text, 0, 2, "abc", "bad string length (3 > 2): x = abc"),
        ] {
            assert_eq!(read("x", &rule(kind, min, max), text), Err(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn says_what_is_allowed() {
        assert_eq!(allowed(&rule(Kind::Int, 1, 100)), "a decimal number, from 1 to 100");
        assert_eq!(allowed(&rule(Kind::Text, 1, 0)), "a text that is not empty");
        assert_eq!(allowed(&Rule { form: Form::OneOf(&["a", "b"]), ..Rule::ANY }), "one of: a b");
    }
}
