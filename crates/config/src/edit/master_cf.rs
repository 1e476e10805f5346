//! Changing services in master.cf: whole entries, single fields, and `-o` parameters. A changed entry is written in
//! postconf's own form; all others stay as they are.

use super::{Change, continues, is_layout, physical_lines};
use crate::arguments::{canonical_arguments, is_option};
use crate::list;
use crate::logical;
use crate::main_cf::split_name_value;
use crate::master_cf::{Entry, FIELDS};
use crate::postconf::{Pattern, print_entry};

/// What of an entry is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// All of it (`-M`).
    Entry,
    /// A field (`-F`).
    Field,
    /// A parameter that is set with `-o` (`-P`).
    Parameter,
}

/// A change to services of master.cf.
#[derive(Debug)]
pub struct MasterEdit {
    change: Change,
    part: Part,
    requests: Vec<Request>,
}

#[derive(Debug)]
struct Request {
    operand: String,
    pattern: Pattern,
    field: usize,
    value: String,
}

const OPTIONS: &str = "-Me, -Fe, -Pe, -X, or -#";

impl MasterEdit {
    /// Understands the operands of postconf(1): `service/type=value`, `service/type/field=value`,
    /// `service/type/parameter=value`, without a value to remove or comment out. The error is what it prints.
    pub fn new(change: Change, part: Part, operands: &[String]) -> Result<MasterEdit, String> {
        let requests =
            operands.iter().map(|operand| Request::new(change, part, operand)).collect::<Result<_, _>>()?;
        Ok(MasterEdit { change, part, requests })
    }

    /// The text of master.cf after the change. New services stand at the end.
    pub fn apply(&self, file: &str, text: &[u8], warnings: &mut Vec<String>) -> Result<Vec<u8>, String> {
        let mut edited = Vec::with_capacity(text.len() + 100);
        let mut counts = vec![0_usize; self.requests.len()];
        let mut matched = false;
        let mut lines = physical_lines(text).enumerate().peekable();
        while let Some((number, line)) = lines.next() {
            if is_layout(&line) {
                edited.extend(line);
                continue;
            }
            let mut replacement = None;
            if !continues(&line) {
                matched = false;
                let place = format!("file {file}: line {}", number + 1);
                let start = String::from_utf8_lossy(&line).into_owned();
                let (name, kind) = name_and_type(&start, &place)?;
                for (request, count) in self.requests.iter().zip(&mut counts) {
                    let new = self.new_entry(request, warnings)?;
                    let same = |new: &Entry| new.words[0] == name && new.words[1] == kind;
                    if !request.pattern.matches_service(name, kind) && !new.as_ref().is_some_and(same) {
                        continue;
                    }
                    matched = true;
                    *count += 1;
                    if self.part == Part::Entry {
                        // Only the first entry that a request matches is replaced; the others go.
                        if *count == 1 && new.is_some() {
                            replacement = new;
                        }
                    } else if replacement.is_none() {
                        let mut whole = start.clone();
                        while let Some((_, more)) =
                            lines.next_if(|(_, line)| is_layout(line) || continues(line))
                        {
                            if is_layout(&more) {
                                edited.extend(more);
                            } else {
                                whole.push_str(&String::from_utf8_lossy(&more));
                            }
                        }
                        let entry = Entry::parse(whole.trim_end(), number + 1, warnings);
                        replacement = Some(entry.map_err(|error| format!("{place}: {error}"))?);
                    }
                    if self.part != Part::Entry
                        && let Some(entry) = &mut replacement
                    {
                        self.change_entry(entry, request, warnings)?;
                    }
                }
            }
            if let Some(entry) = replacement {
                edited.extend(print_entry(&entry).into_bytes());
            } else if !matched {
                edited.extend(line);
            } else if self.change == Change::CommentOut {
                edited.push(b'#');
                edited.extend(line);
            }
        }
        for (request, _) in self.requests.iter().zip(counts).filter(|(_, count)| *count == 0) {
            match self.new_entry(request, warnings)? {
                Some(entry) => edited.extend(print_entry(&entry).into_bytes()),
                None if self.part == Part::Entry => {}
                None => warnings.push(format!("unmatched service_name/type: \"{}\"", request.operand)),
            }
        }
        Ok(edited)
    }

    /// The entry that a request brings.
    fn new_entry(&self, request: &Request, warnings: &mut Vec<String>) -> Result<Option<Entry>, String> {
        if self.part != Part::Entry || self.change != Change::Set {
            return Ok(None);
        }
        let entry = Entry::parse(&request.value, 0, warnings);
        entry.map(Some).map_err(|error| match error {
            crate::master_cf::EntryError::FieldCount => format!("{error}: \"{}\"", request.operand),
            crate::master_cf::EntryError::Field(text) => text,
        })
    }

    fn change_entry(
        &self,
        entry: &mut Entry,
        request: &Request,
        warnings: &mut Vec<String>,
    ) -> Result<(), String> {
        if self.part == Part::Parameter {
            let name = request.pattern.third().unwrap_or_default();
            set_parameter(entry, name, (self.change == Change::Set).then_some(&request.value));
            return Ok(());
        }
        if request.field == FIELDS - 1 {
            let mut words = list::split_words(&request.value).into_iter().map(str::to_owned);
            entry.words.truncate(FIELDS - 1);
            entry.words.push(words.next().unwrap_or_default());
            entry.words.extend(canonical_arguments(words.collect(), warnings));
        } else {
            entry.words[request.field] = request.value.clone();
        }
        entry.check(&request.value).map_err(|error| error.to_string())
    }
}

impl Request {
    fn new(change: Change, part: Part, operand: &str) -> Result<Request, String> {
        if operand.contains('\n') {
            return Err(format!("{OPTIONS} accept no multi-line input"));
        }
        let text = operand.trim_start_matches(logical::is_space);
        if text.starts_with('#') {
            return Err(format!("{OPTIONS} accept no comment input"));
        }
        let (pattern, value) = if change == Change::Set {
            split_name_value(text).map_err(|what| format!("{what}: \"{operand}\""))?
        } else if text.contains('=') {
            return Err("-X or -# requires names without value".to_owned());
        } else {
            (text.trim_end_matches(logical::is_space), "")
        };
        let parse =
            |parts, usage: &str| Pattern::parse(pattern, parts, parts).ok_or_else(|| usage.to_owned());
        let blanks = change == Change::Set && value.contains(list::is_space);
        let mut field = 0;
        let pattern = match part {
            Part::Entry => parse(2, "-Me, -MX or -M# requires service_name/type")?,
            Part::Field => {
                let pattern = parse(3, "-Fe or -FX requires service_name/type/field_name")?;
                field = pattern.field()?.ok_or("-Fe does not accept wild-card field name")?;
                if field < FIELDS - 1 && blanks {
                    return Err("-Fe does not accept whitespace in non-command field".to_owned());
                }
                pattern
            }
            Part::Parameter => {
                let pattern = parse(3, "-Pe or -PX requires service_name/type/parameter")?;
                pattern.third().ok_or("-Pe does not accept wild-card parameter name")?;
                if blanks {
                    return Err("-Pe does not accept whitespace in parameter value".to_owned());
                }
                pattern
            }
        };
        Ok(Request { operand: operand.to_owned(), pattern, field, value: value.to_owned() })
    }
}

/// The first two words of an entry; they must stand on its first line.
fn name_and_type<'l>(line: &'l str, place: &str) -> Result<(&'l str, &'l str), String> {
    let mut words = line.split(list::is_space).filter(|word| !word.is_empty());
    let (Some(name), Some(kind)) = (words.next(), words.next()) else {
        return Err(format!("{place}: specify service name and type on the same line"));
    };
    if name.contains('=') {
        return Err(format!("{place}: service name syntax \"{name}\" is unsupported with {OPTIONS}"));
    }
    if kind.contains(['=', '/']) {
        return Err(format!("{place}: service type syntax \"{kind}\" is unsupported with {OPTIONS}"));
    }
    Ok((name, kind))
}

/// Sets each `-o name=...` of the entry, adds one after the other options when there is none, or removes all.
fn set_parameter(entry: &mut Entry, name: &str, value: Option<&String>) {
    let prefix = format!("{name}=");
    let mut at = FIELDS;
    let mut found = false;
    while entry.words.get(at).is_some_and(|word| is_option(word)) {
        if !entry.words[at].starts_with("-o") || at + 1 >= entry.words.len() {
            at += 1;
            continue;
        }
        if !entry.words[at + 1].starts_with(&prefix) {
            at += 2;
            continue;
        }
        match value {
            Some(value) => {
                entry.words[at + 1] = format!("{prefix}{value}");
                found = true;
                at += 2;
            }
            None => drop(entry.words.drain(at..at + 2)),
        }
    }
    if let Some(value) = value
        && !found
    {
        entry.words.splice(at..at, ["-o".to_owned(), format!("{prefix}{value}")]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "# top\nsmtp inet n - y - - smtpd\n  -o a=1\n# in\n  -o b=2 x\n\nrelay unix - - n - - smtp\n";

    fn edit(change: Change, part: Part, operands: &[&str]) -> Result<(String, Vec<String>), String> {
        let operands: Vec<_> = operands.iter().map(|&operand| operand.to_owned()).collect();
        let mut warnings = Vec::new();
        let edited =
            MasterEdit::new(change, part, &operands)?.apply("master.cf", TEXT.as_bytes(), &mut warnings)?;
        Ok((String::from_utf8(edited).expect("UTF-8"), warnings))
    }

    #[test]
    fn edits() {
        let relay = "relay unix - - n - - smtp\n";
        let smtp = "# top\nsmtp inet n - y - - smtpd\n  -o a=1\n# in\n  -o b=2 x\n\n";
        let line = "smtp       inet  n       -       y       -       -       smtpd\n";
        for (change, part, operands, expected) in [
            (
                Change::Set,
                Part::Parameter,
                &["smtp/inet/a=9"][..],
                format!("# top\n# in\n\n{line}    -o a=9\n    -o b=2\n    x\n{relay}"),
            ),
            (
                Change::Set,
                Part::Parameter,
                &["smtp/inet/c=9"],
                format!("# top\n# in\n\n{line}    -o a=1\n    -o b=2\n    -o c=9\n    x\n{relay}"),
            ),
            (
                Change::Remove,
                Part::Parameter,
                &["smtp/inet/a", "smtp/inet/b"],
                format!("# top\n# in\n\n{} x\n{relay}", line.trim_end()),
            ),
            (
                Change::Set,
                Part::Field,
                &["relay/unix/chroot=y", "relay/unix/command=lmtp -v"],
                format!("{smtp}relay      unix  -       -       y       -       -       lmtp -v\n"),
            ),
            (Change::Remove, Part::Entry, &["smtp/inet"], format!("# top\n# in\n\n{relay}")),
            (
                Change::CommentOut,
                Part::Entry,
                &["smtp/inet"],
                format!("# top\n#smtp inet n - y - - smtpd\n#  -o a=1\n# in\n#  -o b=2 x\n\n{relay}"),
            ),
            (
                Change::Set,
                Part::Entry,
                &["smtp/inet=smtp inet n - n - - smtpd"],
                format!("# top\n{}# in\n\n{relay}", line.replace('y', "n")),
            ),
            (
                Change::Set,
                Part::Entry,
                &["new/unix=new unix - - n - - smtp"],
                format!("{smtp}{relay}new        unix  -       -       n       -       -       smtp\n"),
            ),
        ] {
            assert_eq!(edit(change, part, operands), Ok((expected, vec![])), "{operands:?}");
        }
    }

    #[test]
    fn mistakes() {
        for (change, part, operand, expected) in [
            (Change::Set, Part::Entry, "smtp=x", "-Me, -MX or -M# requires service_name/type"),
            (Change::Set, Part::Entry, "smtp/inet=x", "bad field count: \"smtp/inet=x\""),
            (Change::Set, Part::Field, "smtp/inet/foo=x", "invalid service attribute name: \"foo\""),
            (Change::Set, Part::Field, "smtp/inet/*=x", "-Fe does not accept wild-card field name"),
            (Change::Set, Part::Field, "smtp/inet/chroot=q", "invalid chroot field \"q\" in \"q\""),
            (
                Change::Set,
                Part::Parameter,
                "smtp/inet/a=b c",
                "-Pe does not accept whitespace in parameter value",
            ),
            (Change::Remove, Part::Parameter, "smtp/inet", "-Pe or -PX requires service_name/type/parameter"),
        ] {
            assert_eq!(edit(change, part, &[operand]), Err(expected.to_owned()), "{operand}");
        }
        let (text, warnings) =
            edit(Change::Set, Part::Field, &["none/unix/chroot=n"]).expect("only a warning");
        assert_eq!(text, TEXT);
        assert_eq!(warnings, ["unmatched service_name/type: \"none/unix/chroot=n\""]);
    }
}
