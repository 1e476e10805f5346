//! The values of aliases(5) and the lines of .forward and `:include:` files: addresses, `|command`, `/file`,
//! `~/file`, `:include:/file`.
//!
//! Looking aliases up, reading the files and running the commands is the business of local(8).

use mail::Address;
use mail::token::MAX_TOKENS;

use mail::header_address::AddressList;

/// One destination of an alias.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// An address or user name, as written; its standard form is the caller's to ask for. `\user` is the same as
    /// `user`: a name that was expanded already is not expanded again anyway.
    Address(Address),
    /// A command for the shell.
    Command(String),
    /// A file: a mailbox, or a maildir when it ends in `/`.
    File(String),
    /// A file below the user's home directory, without `~/`. Only in .forward files.
    HomeFile(String),
    /// A file with more destinations.
    Include(String),
    /// `~user`, which is not supported, and `~` without a file.
    BadHome(String),
}

/// The destinations of a value.
pub fn parse(value: &str) -> Vec<Destination> {
    AddressList::parse(value, MAX_TOKENS).addresses().into_iter().map(destination).collect()
}

/// The destinations in a .forward or `:include:` file. Lines that begin with `#` are comments; there are no continuation
/// lines. Lines longer than `line_limit` (line_length_limit) are read in pieces, as Postfix does.
pub fn parse_file(text: &str, line_limit: usize) -> Vec<Destination> {
    let mut destinations = Vec::new();
    for line in text.lines().flat_map(|line| pieces(line, line_limit)) {
        if !line.starts_with('#') {
            destinations.extend(parse(line));
        }
    }
    destinations
}

/// Cuts a line, between characters, into pieces of at most `limit` bytes.
fn pieces(mut line: &str, limit: usize) -> Vec<&str> {
    let mut pieces = Vec::new();
    // Four bytes hold any character, so that every piece takes one at least.
    let limit = limit.max(4);
    while line.len() > limit {
        let end = (0..=limit).rev().find(|at| line.is_char_boundary(*at)).unwrap_or(line.len());
        pieces.push(&line[..end]);
        line = &line[end..];
    }
    pieces.push(line);
    pieces
}

fn destination(address: Address) -> Destination {
    const INCLUDE: &str = ":include:";
    let text = address.as_str();
    if let Some(command) = text.strip_prefix('|') {
        return Destination::Command(command.to_owned());
    }
    if text.starts_with('/') {
        return Destination::File(text.to_owned());
    }
    if let Some(file) = text.strip_prefix("~/") {
        return Destination::HomeFile(file.to_owned());
    }
    if text.starts_with('~') {
        return Destination::BadHome(text.to_owned());
    }
    match text.get(..INCLUDE.len()) {
        Some(word) if word.eq_ignore_ascii_case(INCLUDE) => {
            Destination::Include(text[INCLUDE.len()..].to_owned())
        }
        _ => Destination::Address(address),
    }
}

#[cfg(test)]
mod tests {
    use super::Destination::*;
    use super::*;

    fn address(text: &str) -> Destination {
        Address(mail::Address::internal(text).unwrap())
    }

    #[test]
    fn kinds_of_destinations() {
        for (value, expected) in [
            ("joe", vec![address("joe")]),
            ("joe, jane@x.test", vec![address("joe"), address("jane@x.test")]),
            ("joe jane", vec![address("joe"), address("jane")]),
            ("\\joe", vec![address("joe")]),
            ("\"|/bin/cmd -a 'b c'\"", vec![Command("/bin/cmd -a 'b c'".into())]),
            ("|/bin/cmd", vec![Command("/bin/cmd".into())]),
            ("/var/mail/x, /var/md/", vec![File("/var/mail/x".into()), File("/var/md/".into())]),
            ("~/Mail", vec![HomeFile("Mail".into())]),
            ("~joe/Mail", vec![BadHome("~joe/Mail".into())]),
            (":include:/etc/list", vec![Include("/etc/list".into())]),
            ("\":include:/etc/my list\"", vec![Include("/etc/my list".into())]),
            ("Joe <joe@x.test> (comment)", vec![address("joe@x.test")]),
            ("\"\"", vec![address("")]),
            ("", vec![]),
        ] {
            assert_eq!(parse(value), expected, "{value}");
        }
    }

    #[test]
    fn files_have_comments_and_long_lines() {
        let text = "# comment\njoe\n\njane, |cmd\n";
        assert_eq!(parse_file(text, 2048), [address("joe"), address("jane"), Command("cmd".into())]);
        let long = "a,".repeat(2000);
        assert_eq!(parse_file(&long, 2048).len(), 2000);
    }
}
