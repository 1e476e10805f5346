//! Commands of the receiving side: the table of verbs, and how a command line falls into words.
//!
//! The splitting follows Postfix, not RFC 5321's grammar: `MAIL FROM:<a>`, `MAIL FROM: <a>` and `mail from: a` are the
//! same three words. What the words mean is decided elsewhere.

/// The commands that are known, in Postfix's order, which is also the order of the disconnect line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the commands")]
pub enum Verb {
    Helo,
    Ehlo,
    Xclient,
    Xforward,
    StartTls,
    Auth,
    Mail,
    Rcpt,
    Data,
    Bdat,
    Rset,
    Noop,
    Vrfy,
    Etrn,
    Quit,
    Help,
}

/// May be repeated for ever without a delay, so it counts as junk (`smtpd_junk_command_limit`).
const JUNK: u8 = 1;
/// Allowed before STARTTLS where TLS is required.
const BEFORE_TLS: u8 = 2;
/// Must be the last of a pipelined group (RFC 2920 section 3.1).
const LAST_IN_GROUP: u8 = 4;

const VERBS: [(Verb, &str, u8); 16] = [
    (Verb::Helo, "HELO", JUNK | BEFORE_TLS | LAST_IN_GROUP),
    (Verb::Ehlo, "EHLO", JUNK | BEFORE_TLS | LAST_IN_GROUP),
    (Verb::Xclient, "XCLIENT", BEFORE_TLS),
    (Verb::Xforward, "XFORWARD", 0),
    (Verb::StartTls, "STARTTLS", BEFORE_TLS),
    (Verb::Auth, "AUTH", 0),
    (Verb::Mail, "MAIL", 0),
    (Verb::Rcpt, "RCPT", 0),
    (Verb::Data, "DATA", LAST_IN_GROUP),
    (Verb::Bdat, "BDAT", 0),
    (Verb::Rset, "RSET", JUNK),
    (Verb::Noop, "NOOP", JUNK | BEFORE_TLS | LAST_IN_GROUP),
    (Verb::Vrfy, "VRFY", JUNK | LAST_IN_GROUP),
    (Verb::Etrn, "ETRN", JUNK),
    (Verb::Quit, "QUIT", BEFORE_TLS),
    (Verb::Help, "HELP", BEFORE_TLS),
];

impl Verb {
    /// How many there are.
    pub const COUNT: usize = VERBS.len();

    /// All verbs in table order.
    pub fn all() -> impl Iterator<Item = Verb> {
        VERBS.iter().map(|(verb, ..)| *verb)
    }

    /// Finds a verb by name, without regard to case.
    pub fn find(word: &str) -> Option<Verb> {
        VERBS.iter().find(|(_, name, _)| name.eq_ignore_ascii_case(word)).map(|(verb, ..)| *verb)
    }

    /// `MAIL`: the name in upper case.
    pub fn name(self) -> &'static str {
        VERBS[self as usize].1
    }

    /// Does each use count against `smtpd_junk_command_limit`?
    pub fn is_junk(self) -> bool {
        VERBS[self as usize].2 & JUNK != 0
    }

    /// Is it allowed before STARTTLS where TLS is required?
    pub fn is_allowed_before_tls(self) -> bool {
        VERBS[self as usize].2 & BEFORE_TLS != 0
    }

    /// Must the client wait for the reply before it goes on?
    pub fn is_last_in_group(self) -> bool {
        VERBS[self as usize].2 & LAST_IN_GROUP != 0
    }
}

/// One word of a command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    /// The word with its quotes and brackets.
    pub(super) text: String,
    /// A bracket or quote was opened and not closed.
    pub(super) unclosed: bool,
}

/// Room for a word, in bytes: nearly all fit.
const USUAL_WORD: usize = 48;

/// Splits a command line into words. Blanks separate, except inside `<...>` and `"..."`; `FROM:` and `TO:` end a
/// word even without a blank behind them.
pub(super) fn words(line: &str) -> Vec<Word> {
    let mut out = Vec::new();
    let mut chars = line.chars();
    loop {
        let room = chars.as_str().len().min(USUAL_WORD);
        let mut word = Word { text: String::with_capacity(room), unclosed: false };
        while let Some(c) = chars.next() {
            match c {
                c if is_blank(c) => {
                    if !word.text.is_empty() {
                        break;
                    }
                }
                '<' => quoted(&mut chars, &mut word, '<', '>'),
                '"' => quoted(&mut chars, &mut word, '"', '"'),
                ':' => {
                    word.text.push(':');
                    if word.text.eq_ignore_ascii_case("to:") || word.text.eq_ignore_ascii_case("from:") {
                        break;
                    }
                }
                '\\' => {
                    word.text.push('\\');
                    word.text.extend(chars.next());
                }
                c => word.text.push(c),
            }
        }
        if word.text.is_empty() {
            return out;
        }
        out.push(word);
    }
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c')
}

/// Reads on to the closing quote. Brackets nest, and quotes inside brackets hide brackets; the nesting is bounded by
/// the line's length.
fn quoted(chars: &mut impl Iterator<Item = char>, word: &mut Word, open: char, close: char) {
    word.text.push(open);
    let mut wanted = vec![close];
    while let Some(c) = chars.next() {
        word.text.push(c);
        if c == '\\' {
            word.text.extend(chars.next());
        } else if wanted.last() == Some(&c) {
            wanted.pop();
            if wanted.is_empty() {
                return;
            }
        } else if c == '"' {
            wanted.push('"');
        } else if c == '<' && wanted.last() == Some(&'>') {
            wanted.push('>');
        }
    }
    word.unclosed = true;
}

/// Does the first word of a command look like a message header, as when a web form is aimed at the SMTP port?
pub(super) fn looks_like_header(word: &str) -> bool {
    word.find(':').is_some_and(|colon| colon > 0 && word[..colon].bytes().all(|b| b.is_ascii_graphic()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_enum() {
        for (at, verb) in Verb::all().enumerate() {
            assert_eq!(verb as usize, at);
            assert_eq!(Verb::find(&verb.name().to_lowercase()), Some(verb));
        }
        assert_eq!(Verb::find("EXPN"), None);
    }

    #[test]
    fn lines_fall_into_words() {
        for (line, expected) in [
            ("MAIL FROM:<a@b>", &["MAIL", "FROM:", "<a@b>"][..]),
            ("mail from: <a@b> SIZE=1", &["mail", "from:", "<a@b>", "SIZE=1"]),
            ("RCPT TO:<\"a >b\"@c>x", &["RCPT", "TO:", "<\"a >b\"@c>x"]),
            ("RCPT TO:<a<b>c> d", &["RCPT", "TO:", "<a<b>c>", "d"]),
            ("NOOP\t \x0c x", &["NOOP", "x"]),
            ("MAIL FROM:\"a b\"@c", &["MAIL", "FROM:", "\"a b\"@c"]),
            ("a\\ b c", &["a\\ b", "c"]),
            ("   ", &[]),
            ("", &[]),
            ("Subject: x", &["Subject:", "x"]),
            ("x\\", &["x\\"]),
        ] {
            let words: Vec<_> = words(line).into_iter().map(|w| w.text).collect();
            assert_eq!(words, expected, "{line:?}");
        }
        assert!(words("MAIL FROM:<a@b")[2].unclosed);
        assert!(words("MAIL FROM:<\"a@b>")[2].unclosed);
        assert!(!words("MAIL FROM:<a@b>")[2].unclosed);
    }

    #[test]
    fn headers_are_recognised() {
        for (word, expected) in
            [("Subject:", true), ("a:b", true), (":", false), ("MAIL", false), ("a\u{e9}:", false)]
        {
            assert_eq!(looks_like_header(word), expected, "{word}");
        }
    }
}
