//! What was said in an SMTP session that went wrong, for the mail that tells the postmaster of it (`notify_classes`).
//!
//! Commands and replies only: no content of messages, and nothing that was said to log in.

use std::borrow::Cow;

use crate::secret::{HIDDEN, without_secret};

/// A class of problems.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Problem {
    /// A recipient that does not exist, mail that can not be taken as it is.
    Bounce = 1,
    /// Refused for a rule.
    Policy = 2,
    /// Commands and replies that no one should say.
    Protocol = 4,
    /// No room, a table or a file that can not be used.
    Resource = 8,
    /// A mistake in the configuration.
    Software = 16,
}

/// A set of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Problems(u8);

impl Problems {
    /// Those among the words of `notify_classes` that sessions have.
    pub fn named(words: &[&str]) -> Problems {
        let mut problems = Problems::default();
        for word in words {
            match word.to_ascii_lowercase().as_str() {
                "bounce" => problems.add(Problem::Bounce),
                "policy" => problems.add(Problem::Policy),
                "protocol" => problems.add(Problem::Protocol),
                "resource" => problems.add(Problem::Resource),
                "software" => problems.add(Problem::Software),
                _ => {}
            }
        }
        problems
    }

    /// One more.
    pub fn add(&mut self, problem: Problem) {
        self.0 |= problem as u8;
    }

    /// Is there any of the others among them?
    pub fn meets(self, others: Problems) -> bool {
        self.0 & others.0 != 0
    }

    /// None at all?
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// Bytes that are kept of one session; what is said beyond is left out, with a line that says so.
const MOST: usize = 64 * 1024;
/// Bytes that are kept of one line.
const LINE: usize = 2048;
/// Columns of a line in the mail.
const WIDTH: usize = 78;
/// Further lines of what is longer begin with so many blanks.
const INDENT: usize = 4;

/// The lines of a session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transcript {
    text: String,
    lines: usize,
}

impl Transcript {
    /// What the other side has said: one line, or several.
    pub fn heard(&mut self, text: &[u8]) {
        self.add("In:  ", text);
    }

    /// What we have said.
    pub fn said(&mut self, text: &[u8]) {
        self.add("Out: ", text);
    }

    /// A command of the other side: what follows the mechanism of AUTH is left out.
    pub fn heard_command(&mut self, line: &[u8]) {
        self.add_command("In:  ", line);
    }

    /// A command of ours.
    pub fn said_command(&mut self, line: &[u8]) {
        self.add_command("Out: ", line);
    }

    /// A response of AUTH from the other side.
    pub fn heard_secret(&mut self) {
        self.add("In:  ", HIDDEN.as_bytes());
    }

    /// A response of AUTH of ours.
    pub fn said_secret(&mut self) {
        self.add("Out: ", HIDDEN.as_bytes());
    }

    /// How many lines there are.
    pub fn lines(&self) -> usize {
        self.lines
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.text.clear();
        self.lines = 0;
    }

    /// The lines as the mail has them.
    pub fn to_mail(&self) -> String {
        let mut out = String::with_capacity(self.text.len() + self.text.len() / 8);
        for line in self.text.lines() {
            wrap(line, &mut out);
        }
        out
    }

    fn add_command(&mut self, prefix: &str, line: &[u8]) {
        match without_secret(&String::from_utf8_lossy(line)) {
            Cow::Owned(shown) => self.add(prefix, shown.as_bytes()),
            // As it came.
            Cow::Borrowed(_) => self.add(prefix, line),
        }
    }

    fn add(&mut self, prefix: &str, text: &[u8]) {
        let text = text.strip_suffix(b"\n").unwrap_or(text);
        for line in text.split(|byte| *byte == b'\n') {
            self.lines += 1;
            if self.text.len() > MOST {
                continue;
            }
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let line = &line[..line.len().min(LINE)];
            self.text.reserve(prefix.len() + line.len() + 1);
            self.text.push_str(prefix);
            // Mail of seven bits, in which nobody can begin a line of his own.
            let is_fit = |byte: &u8| matches!(byte, b' '..=b'~' | b'\t');
            match std::str::from_utf8(line) {
                Ok(text) if line.iter().all(is_fit) => self.text.push_str(text),
                _ => self
                    .text
                    .extend(line.iter().map(|byte| if is_fit(byte) { char::from(*byte) } else { '?' })),
            }
            self.text.push('\n');
            if self.text.len() > MOST {
                self.text.push_str("... and more\n");
            }
        }
    }
}

/// Breaks a line at blanks, where it has any.
fn wrap(line: &str, out: &mut String) {
    let (mut rest, mut indent) = (line, 0);
    loop {
        let room = WIDTH - indent;
        let mut end = 0;
        while end < rest.len() {
            let word = rest[end..].find(|c| c != ' ' && c != '\t').map_or(rest.len(), |at| end + at);
            let word_end = rest[word..].find([' ', '\t']).map_or(rest.len(), |at| word + at);
            if end > 0 && word_end > room {
                break;
            }
            end = word_end;
        }
        out.push(' ');
        out.extend(std::iter::repeat_n(' ', indent));
        out.push_str(&rest[..end]);
        out.push('\n');
        rest = rest[end..].trim_start_matches([' ', '\t']);
        indent = INDENT;
        if rest.is_empty() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail(add: impl Fn(&mut Transcript)) -> String {
        let mut transcript = Transcript::default();
        add(&mut transcript);
        transcript.to_mail()
    }

    /// Where the real one breaks lines.
    #[test]
    fn lines_are_broken_at_blanks() {
        let line = |n: usize| format!("FOO {} {} z {}", "y".repeat(20), "x".repeat(n - 26), "w".repeat(100));
        let shown = |n: usize| mail(|transcript| transcript.heard(line(n).as_bytes()));
        let w = format!("     {}\n", "w".repeat(100));
        let (y, x) = ("y".repeat(20), |n: usize| "x".repeat(n));
        assert_eq!(shown(72), format!(" In:  FOO {y} {} z\n{w}", x(46)));
        assert_eq!(shown(73), format!(" In:  FOO {y} {}\n     z\n{w}", x(47)));
        assert_eq!(shown(74), format!(" In:  FOO {y} {}\n     z\n{w}", x(48)));
        assert_eq!(shown(75), format!(" In:  FOO {y}\n     {} z\n{w}", x(49)));
        let reply = "550 5.1.1 <nobody@unk.test>: Recipient address rejected: User unknown in virtual alias table\r\n";
        assert_eq!(
            mail(|transcript| transcript.said(reply.as_bytes())),
            " Out: 550 5.1.1 <nobody@unk.test>: Recipient address rejected: User unknown in\n     virtual alias table\n"
        );
    }

    #[test]
    fn secrets_are_left_out() {
        for (line, expected) in [
            ("AUTH PLAIN AGZvbwBiYXI=", "AUTH PLAIN ***"),
            ("  auth\tlogin  Zm9v", "auth\tlogin ***"),
            ("AUTH LOGIN", "AUTH LOGIN"),
            ("AUTH", "AUTH"),
            ("AUTHX a b", "AUTHX a b"),
            ("MAIL FROM:<a@b> AUTH=<>", "MAIL FROM:<a@b> AUTH=<>"),
            ("", ""),
        ] {
            let shown = mail(|transcript| transcript.heard_command(line.as_bytes()));
            assert_eq!(shown.trim_end(), format!(" In:  {expected}").trim_end(), "{line}");
        }
        assert_eq!(mail(Transcript::said_secret), " Out: ***\n");
    }

    #[test]
    fn what_comes_from_outside_has_its_bounds() {
        assert_eq!(mail(|transcript| transcript.heard(b"a\x00b\xff\rc\r\n")), " In:  a?b??c\n");
        let long = mail(|transcript| transcript.heard(&vec![b'x'; 3 * LINE]));
        assert_eq!(long.matches('x').count(), LINE);
        let mut transcript = Transcript::default();
        for _ in 0..1000 {
            transcript.heard(&vec![b'x'; LINE]);
        }
        assert!(transcript.to_mail().len() < MOST + 2 * LINE);
        assert!(transcript.to_mail().ends_with("... and more\n"));
        assert_eq!(transcript.lines(), 1000);
    }

    #[test]
    fn classes() {
        let asked = Problems::named(&["policy", "2bounce", "delay", "Software"]);
        let of = |problem| {
            let mut problems = Problems::default();
            problems.add(problem);
            problems
        };
        assert!(asked.meets(of(Problem::Policy)) && asked.meets(of(Problem::Software)));
        assert!(!asked.meets(of(Problem::Protocol)) && !asked.meets(Problems::default()));
        assert!(Problems::named(&["2bounce", "data"]).is_empty());
    }
}
