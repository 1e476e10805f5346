//! postmap(1) and postalias(1) behind their argument lists: build, change, query and list tables.
//!
//! Reading the arguments, and printing `program: fatal: text`, is the program's business.

use std::io::{BufRead, Write};

use crate::build::{self, Options};
use crate::lookup::Lookup;
use crate::map::{Flags, Format, Tables};
use crate::{base64, logical_line};

/// What to do with the tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Build each from its source.
    Create,
    /// `-i`: add the entries of standard input to the first.
    Add,
    /// `-q key`; the first table with the key answers. `-q -` reads keys from standard input.
    Query(String),
    /// `-d key`, from each; `-d -` reads keys from standard input.
    Delete(String),
    /// `-s`: list each.
    List,
}

/// `-h`, `-b` and `-m`: standard input is a message, and its lines are the keys of `-q -`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MessageKeys {
    /// Each header field of the message.
    pub header: bool,
    /// Each line of the body.
    pub body: bool,
}

/// One run of a command.
#[derive(Clone, Debug)]
pub struct Request {
    /// What to do.
    pub action: Action,
    /// How.
    pub options: Options,
    /// Keys from a message.
    pub message: MessageKeys,
    /// `-j`: one JSON object for each key.
    pub json: bool,
    /// `type:name`, or a bare name of the default type.
    pub tables: Vec<String>,
    /// default_database_type.
    pub default_type: String,
}

/// Largest message or list of keys taken from standard input.
const MAX_INPUT: u64 = 256 << 20;

/// Runs; `Ok(false)` means that a query or deletion found nothing, exit status 1. The error is the text behind
/// `fatal:`.
pub async fn run(
    request: &Request,
    tables: &Tables,
    input: &mut dyn BufRead,
    output: &mut dyn Write,
) -> Result<bool, String> {
    let split = |table: &str| match table.split_once(':') {
        Some((kind, name)) => (kind.to_owned(), name.to_owned()),
        None => (request.default_type.clone(), table.to_owned()),
    };
    let specs: Vec<(String, String)> = request.tables.iter().map(|table| split(table)).collect();
    let mut warn = |text: &str| tables.warn(text);
    match &request.action {
        Action::Create => {
            for (kind, name) in &specs {
                if kind == "proxy" {
                    return Err("can't create maps via the proxy service".into());
                }
                build::create(kind, name, request.options, &mut warn)?;
            }
            Ok(true)
        }
        Action::Add => {
            let text = read_all(input)?;
            for (kind, name) in specs.iter().take(1) {
                build::add_entries(kind, name, &text, "stdin", request.options, &mut warn)?;
            }
            Ok(true)
        }
        Action::Delete(key) => {
            let keys = if key == "-" { lines(&read_all(input)?) } else { vec![key.clone()] };
            let mut found = false;
            for key in &keys {
                for (kind, name) in &specs {
                    found |= build::delete(kind, name, key, request.options)?;
                }
            }
            Ok(found)
        }
        Action::Query(key) => {
            let from_input = key == "-";
            let keys = match from_input {
                true => keys(&read_all(input)?, request.message),
                false => vec![key.clone()],
            };
            query(request, tables, &specs, &keys, from_input, output).await
        }
        Action::List => list(request, tables, &specs, output).map(|()| true),
    }
}

fn flags(options: Options) -> Flags {
    Flags { fold: options.fold, format: options.format, ..Flags::default() }
}

async fn query(
    request: &Request,
    tables: &Tables,
    specs: &[(String, String)],
    keys: &[String],
    with_key: bool,
    output: &mut dyn Write,
) -> Result<bool, String> {
    let mut any = false;
    for key in keys {
        for (kind, name) in specs {
            let spec = format!("{kind}:{name}");
            let map = tables.map(&spec, flags(request.options));
            if let Some(reason) = map.broken() {
                return Err(reason.to_owned());
            }
            let mut value = match map.lookup(key).await {
                Lookup::Found(value) => value,
                Lookup::Absent => continue,
                Lookup::Failed(reason) => return Err(format!("table {spec}: query error: {reason}")),
            };
            if value.is_empty() {
                tables.warn(&format!("table {spec}: key {key}: empty string result is not allowed"));
                tables.warn(&format!("table {spec} should return NO RESULT in case of NOT FOUND"));
            }
            if request.options.values_are_files {
                value = decoded(&spec, key, &value)?;
            }
            let written = match with_key {
                _ if request.json => write_json(output, key, &value),
                true if request.options.format == Format::Alias => writeln!(output, "{key}:\t{value}"),
                true => writeln!(output, "{key}\t{value}"),
                false => writeln!(output, "{value}"),
            };
            written.map_err(|e| format!("write output: {e}"))?;
            any = true;
            break;
        }
    }
    Ok(any)
}

fn decoded(spec: &str, key: &str, value: &str) -> Result<String, String> {
    let bytes = base64::decode(value)
        .ok_or_else(|| format!("table {spec}: key {key}: malformed BASE64 value: {value:.30}"))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn list(
    request: &Request,
    tables: &Tables,
    specs: &[(String, String)],
    output: &mut dyn Write,
) -> Result<(), String> {
    for (kind, name) in specs {
        let spec = format!("{kind}:{name}");
        let map = tables.map(&spec, flags(request.options));
        if let Some(reason) = map.broken() {
            return Err(reason.to_owned());
        }
        let entries = map
            .entries()
            .ok_or_else(|| format!("table {spec}: sequence operation is not supported"))?
            .map_err(|reason| format!("table {spec}: sequence error: {reason}"))?;
        for (key, mut value) in entries {
            if request.options.values_are_files {
                value = decoded(&spec, &key, &value)?;
            }
            // An alias file's value follows a colon, so that the list is a source again.
            let between = if request.options.format == Format::Alias { ":\t" } else { "\t" };
            let written = match request.json {
                true => write_json(output, &key, &value),
                false => writeln!(output, "{key}{between}{value}"),
            };
            written.map_err(|e| format!("write output: {e}"))?;
        }
    }
    Ok(())
}

fn write_json(output: &mut dyn Write, key: &str, value: &str) -> std::io::Result<()> {
    writeln!(output, "{{\"{}\": \"{}\"}}", json_text(key), json_text(value))
}

/// The inside of a JSON string.
fn json_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}

fn read_all(input: &mut dyn BufRead) -> Result<String, String> {
    use std::io::Read;
    let mut bytes = Vec::new();
    input.take(MAX_INPUT).read_to_end(&mut bytes).map_err(|e| format!("read stdin: {e}"))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

/// The keys in standard input: its lines, or the parts of a message.
fn keys(text: &str, message: MessageKeys) -> Vec<String> {
    if message == MessageKeys::default() {
        return lines(text);
    }
    let (fields, rest) = mail::header::split(text.as_bytes());
    let mut keys = Vec::new();
    if message.header {
        let field =
            |raw: &[u8]| String::from_utf8_lossy(raw).trim_end_matches(logical_line::is_blank).to_owned();
        keys.extend(fields.iter().map(|f| field(f.raw)));
    }
    if message.body {
        let body = String::from_utf8_lossy(rest);
        keys.extend(lines(body.strip_prefix('\n').unwrap_or(&body)));
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::map::tests::{listening, now};

    fn request(action: Action, tables: &[&str]) -> Request {
        Request {
            action,
            options: Options::new(Format::Map),
            message: MessageKeys::default(),
            json: false,
            tables: tables.iter().map(|t| (*t).to_owned()).collect(),
            default_type: "hash".into(),
        }
    }

    fn run_on(request: &Request, input: &str) -> (Result<bool, String>, String) {
        let (tables, _) = listening();
        let mut output = Vec::new();
        let result = now(run(request, &tables, &mut input.as_bytes(), &mut output));
        (result, String::from_utf8(output).unwrap())
    }

    #[test]
    fn a_session_with_a_table() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("map").to_str().unwrap().to_owned();
        std::fs::write(&path, "one 1\ntwo 2\n").unwrap();
        let btree = format!("btree:{path}");
        for (action, table, input, result, output) in [
            (Action::Create, btree.as_str(), "", Ok(true), ""),
            (Action::Query("one".into()), &btree, "", Ok(true), "1\n"),
            (Action::Query("three".into()), &btree, "", Ok(false), ""),
            (Action::Query("-".into()), &btree, "one\nthree\nTWO\n", Ok(true), "one\t1\nTWO\t2\n"),
            (Action::Add, &btree, "three 3\n", Ok(true), ""),
            (Action::Delete("one".into()), &btree, "", Ok(true), ""),
            (Action::Delete("-".into()), &btree, "one\n", Ok(false), ""),
            (Action::List, &btree, "", Ok(true), "three\t3\ntwo\t2\n"),
            (
                Action::Query("x".into()),
                "fail:f",
                "",
                Err("table fail:f: query error: fail:f: lookup error"),
                "",
            ),
        ] {
            let (seen, written) = run_on(&request(action.clone(), &[table]), input);
            assert_eq!(seen.as_ref().map(|b| *b).map_err(String::as_str), result, "{action:?}");
            assert_eq!(written, output, "{action:?}");
        }
    }

    #[test]
    fn json() {
        let request = Request { json: true, ..request(Action::Query("a\"".into()), &["static:b\\"]) };
        assert_eq!(run_on(&request, "").1, "{\"a\\\"\": \"b\\\\\"}\n");
    }

    #[test]
    fn keys_from_a_message() {
        let text = "Subject: a\n b\nFrom: c\n\nline\nfrom: d\n";
        for (header, body, expected) in [
            (true, false, &["Subject: a\n b", "From: c"][..]),
            (false, true, &["line", "from: d"]),
            (false, false, &["Subject: a", " b", "From: c", "", "line", "from: d"]),
        ] {
            assert_eq!(keys(text, MessageKeys { header, body }), expected);
        }
    }
}
