//! Setting, deleting and commenting out parameters in main.cf.

use std::collections::{BTreeMap, HashMap};

use super::{Change, continues, is_layout, physical_lines};
use crate::logical;
use crate::main_cf::split_name_value;

/// A change to parameters of main.cf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MainEdit {
    change: Change,
    /// The parameters, with their values when these are set.
    parameters: BTreeMap<String, String>,
}

impl MainEdit {
    /// Understands the operands of postconf(1): `name=value` to set, `name` otherwise. The error is what it prints.
    pub fn new(change: Change, operands: &[String], warnings: &mut Vec<String>) -> Result<MainEdit, String> {
        let mut parameters = BTreeMap::new();
        for operand in operands {
            if operand.contains('\n') {
                return Err("-e, -X, or -# accepts no multi-line input".to_owned());
            }
            let operand = operand.trim_start_matches(logical::is_space);
            if operand.starts_with('#') {
                return Err("-e, -X, or -# accepts no comment input".to_owned());
            }
            let (name, value) = if change == Change::Set {
                split_name_value(operand).map_err(|what| format!("{what}: \"{operand}\""))?
            } else if operand.is_empty() {
                return Err("-X or -# requires non-blank parameter names".to_owned());
            } else if operand.contains('=') {
                return Err("-X or -# requires parameter names without value".to_owned());
            } else {
                (operand.trim_end_matches(logical::is_space), "")
            };
            if let Some(earlier) = parameters.insert(name.to_owned(), value.to_owned())
                && earlier != value
            {
                warnings.push(format!("ignoring earlier request: '{name} = {earlier}'"));
            }
        }
        Ok(MainEdit { change, parameters })
    }

    /// Sets one parameter.
    pub fn set(name: &str, value: &str) -> MainEdit {
        MainEdit { change: Change::Set, parameters: BTreeMap::from([(name.to_owned(), value.to_owned())]) }
    }

    /// The text of main.cf after the change. Parameters that are set and were not there stand at the end.
    pub fn apply(&self, file: &str, text: &[u8], warnings: &mut Vec<String>) -> Vec<u8> {
        let mut edited = Vec::with_capacity(text.len() + 100);
        let mut found: HashMap<&str, usize> = HashMap::new();
        let mut ours = false;
        for line in physical_lines(text) {
            if is_layout(&line) {
                edited.extend(line);
                continue;
            }
            let starts = !continues(&line);
            if starts {
                let end = line.iter().position(|byte| b" \t\r\n=".contains(byte)).unwrap_or(line.len());
                let name = String::from_utf8_lossy(&line[..end]);
                let entry = self.parameters.get_key_value(name.as_ref());
                ours = entry.is_some();
                if let Some((name, value)) = entry {
                    let count = found.entry(name.as_str()).or_default();
                    *count += 1;
                    if *count == 2 {
                        warnings.push(format!("{file}: multiple entries for \"{name}\""));
                    }
                    if self.change == Change::Set {
                        edited.extend(format!("{name} = {value}\n").bytes());
                    }
                }
            }
            if !ours {
                edited.extend(line);
            } else if self.change == Change::CommentOut {
                edited.push(b'#');
                edited.extend(line);
            }
        }
        if self.change == Change::Set {
            for (name, value) in self.parameters.iter().filter(|(name, _)| !found.contains_key(name.as_str()))
            {
                edited.extend(format!("{name} = {value}\n").bytes());
            }
        }
        edited
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(change: Change, operands: &[&str], text: &str) -> (String, Vec<String>) {
        let operands: Vec<_> = operands.iter().map(|&operand| operand.to_owned()).collect();
        let mut warnings = Vec::new();
        let edit = MainEdit::new(change, &operands, &mut warnings).expect("understood");
        let edited = edit.apply("main.cf", text.as_bytes(), &mut warnings);
        (String::from_utf8(edited).expect("UTF-8"), warnings)
    }

    #[test]
    fn layout_stays() {
        let text = "# top\na = 1\n  # inside\n  2\n\n b\nc=3";
        for (change, operands, expected) in [
            (Change::Set, &["a=x"][..], "# top\na = x\n  # inside\n\nc=3\n"),
            (Change::Set, &["z = 9", "b=8"], "# top\na = 1\n  # inside\n  2\n\n b\nc=3\nb = 8\nz = 9\n"),
            (Change::Remove, &["a", "nobody"], "# top\n  # inside\n\nc=3\n"),
            (Change::CommentOut, &["a"], "# top\n#a = 1\n  # inside\n#  2\n\n# b\nc=3\n"),
        ] {
            assert_eq!(edit(change, operands, text).0, expected, "{operands:?}");
        }
    }

    #[test]
    fn repeated_entries_are_all_changed() {
        let (text, warnings) = edit(Change::Set, &["a=1", "a=2"], "a = x\na = y\na = z\n");
        assert_eq!(text, "a = 2\na = 2\na = 2\n");
        assert_eq!(warnings, ["ignoring earlier request: 'a = 1'", "main.cf: multiple entries for \"a\""]);
    }

    #[test]
    fn bytes_that_are_no_text_stay() {
        let edit = MainEdit::set("a", "1");
        assert_eq!(
            edit.apply("main.cf", b"# \xff\nb = \xfe\n", &mut Vec::new()),
            b"# \xff\nb = \xfe\na = 1\n"
        );
    }

    #[test]
    fn operands_are_checked() {
        for (change, operand, expected) in [
            (Change::Set, "a", "missing '=' after attribute name: \"a\""),
            (Change::Set, "a=b\nc=d", "-e, -X, or -# accepts no multi-line input"),
            (Change::Set, " #a=b", "-e, -X, or -# accepts no comment input"),
            (Change::Remove, "a=b", "-X or -# requires parameter names without value"),
            (Change::Remove, " ", "-X or -# requires non-blank parameter names"),
        ] {
            let error = MainEdit::new(change, &[operand.to_owned()], &mut Vec::new()).expect_err(operand);
            assert_eq!(error, expected);
        }
    }
}
