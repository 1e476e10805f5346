//! The mail log: lines in Postfix's form, to syslog, to `maillog_file` or to standard output.
//!
//! A line is `SYSLOG_NAME/SERVICE[N]: TEXT`, with the time stamp and host before it when we write the file ourselves
//! (postlogd(8)). N is not a process id here but a number that is unique among live sessions: analysers group lines
//! by it. This crate formats and writes; what to say is the rooms' own business.
#![forbid(unsafe_code)]

mod sink;

use std::fmt::{self, Write};
use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use mail::LogForm;
pub use sink::{Destination, Sink, SyslogFacility};

/// How grave a line is. Only these words appear in the log; everything else is plain information.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// No word.
    Info,
    /// `warning:`
    Warning,
    /// `error:`
    Error,
    /// `fatal:`
    Fatal,
    /// `panic:`
    Panic,
}

impl Severity {
    fn word(self) -> &'static str {
        match self {
            Severity::Info => "",
            Severity::Warning => "warning: ",
            Severity::Error => "error: ",
            Severity::Fatal => "fatal: ",
            Severity::Panic => "panic: ",
        }
    }

    /// RFC 5424 severity, as Postfix maps its own.
    fn syslog(self) -> u8 {
        match self {
            Severity::Info => 6,
            Severity::Warning => 4,
            Severity::Error => 3,
            Severity::Fatal | Severity::Panic => 2,
        }
    }
}

/// Where one service or one session writes its lines. Cheap to clone.
#[derive(Clone)]
pub struct Log {
    sink: Arc<Sink>,
    /// `postfix/smtpd`.
    tag: Arc<str>,
    number: u32,
    form: LogForm,
}

/// Session numbers. They start at this process's id, so that lines of different processes rarely share one, and stay
/// positive.
static NEXT_NUMBER: AtomicU32 = AtomicU32::new(0);

impl Log {
    /// A log for the program `program` (`smtpd`, `qmgr`...) under `syslog_name` (`postfix`, or what `-o
    /// syslog_name=postfix/submission` says).
    pub fn new(sink: Arc<Sink>, syslog_name: &str, program: &str) -> Log {
        let number = std::process::id();
        // Only the first call in a process sets it; later ones find it set already, which is what is wanted.
        let _ = NEXT_NUMBER.compare_exchange(0, number, Ordering::Relaxed, Ordering::Relaxed);
        Log { sink, tag: format!("{syslog_name}/{program}").into(), number, form: LogForm::default() }
    }

    /// The same service, with a number of its own, for one session or one delivery.
    pub fn session(&self) -> Log {
        let number = NEXT_NUMBER.fetch_add(1, Ordering::Relaxed) & 0x7FFF_FFFF;
        Log { number, ..self.clone() }
    }

    /// Another service in the same process.
    pub fn service(&self, syslog_name: &str, program: &str) -> Log {
        Log { tag: format!("{syslog_name}/{program}").into(), ..self.clone() }
    }

    /// The same log, with addresses in another form (info_log_address_format).
    pub fn showing(self, form: LogForm) -> Log {
        Log { form, ..self }
    }

    /// The form of addresses in lines of this log.
    pub fn form(&self) -> LogForm {
        self.form
    }

    /// For who may open the file of the log: opens it anew when somebody has renamed it, and gives it for those who may not.
    pub fn reopen(&self) -> std::io::Result<Option<File>> {
        self.sink.reopen()
    }

    /// For all others: goes on in the file that [`Log::reopen`] gave, with every log of this process.
    pub fn go_on_in(&self, file: File) {
        self.sink.go_on_in(file);
    }

    /// Writes one line. Control characters and line ends in `text`, which can hold what a peer sent, become `?`; a line
    /// longer than [`Log::MAX_TEXT`] is cut.
    pub fn write(&self, severity: Severity, text: fmt::Arguments<'_>) {
        self.sink.write(severity, &self.tag, self.number, |line| append(line, severity, text));
    }

    /// Writes what a table has to say: a text that begins with `error: ` is an error, with `info: ` plain information, any other a
    /// warning.
    pub fn table_trouble(&self, text: &str) {
        let (severity, text) = match text.split_once(": ") {
            Some(("error", text)) => (Severity::Error, text),
            Some(("info", text)) => (Severity::Info, text),
            _ => (Severity::Warning, text),
        };
        self.write(severity, format_args!("{text}"));
    }

    /// Longest text of one line, in bytes (Postfix's msg_output buffer).
    pub const MAX_TEXT: usize = 2048;
}

/// Appends the text of one line, with its word, made harmless.
fn append(line: &mut String, severity: Severity, text: fmt::Arguments<'_>) {
    line.push_str(severity.word());
    let begin = line.len();
    // Only a value that can not show itself fails; what it has shown stays.
    let _ = line.write_fmt(text);
    if line.len() - begin > Log::MAX_TEXT {
        let mut end = begin + Log::MAX_TEXT;
        while !line.is_char_boundary(end) {
            end -= 1;
        }
        line.truncate(end);
    }
    if line[begin..].bytes().any(|b| b < b' ' || b == 0x7F) {
        let text: String = line[begin..].chars().map(|c| if c.is_control() { '?' } else { c }).collect();
        line.truncate(begin);
        line.push_str(&text);
    }
}

/// `info!(log, "connect from {}", peer)`.
#[macro_export]
macro_rules! info {
    ($log:expr, $($text:tt)+) => { $log.write($crate::Severity::Info, format_args!($($text)+)) };
}

/// A line that begins with `warning:`.
#[macro_export]
macro_rules! warning {
    ($log:expr, $($text:tt)+) => { $log.write($crate::Severity::Warning, format_args!($($text)+)) };
}

/// A line that begins with `error:`.
#[macro_export]
macro_rules! error {
    ($log:expr, $($text:tt)+) => { $log.write($crate::Severity::Error, format_args!($($text)+)) };
}

/// A line that begins with `fatal:`. It does not end the process.
#[macro_export]
macro_rules! fatal {
    ($log:expr, $($text:tt)+) => { $log.write($crate::Severity::Fatal, format_args!($($text)+)) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_can_not_be_forged_from_inside() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let sink = Sink::open(&Destination::File { path: file.path().into(), mode: 0o600 }, "host").unwrap();
        let log = Log::new(Arc::new(sink), "postfix", "smtpd");
        info!(log, "helo={}", "x\nNov 22 16:00:00 host postfix/smtpd[1]: forged\x1b[2J");
        warning!(log.session(), "{}", "\u{e9}".repeat(3000));
        let text = std::fs::read_to_string(file.path()).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 2);
        assert!(lines[0].contains(" host postfix/smtpd["), "{}", lines[0]);
        assert!(
            lines[0].ends_with("]: helo=x?Nov 22 16:00:00 host postfix/smtpd[1]: forged?[2J"),
            "{}",
            lines[0]
        );
        assert!(lines[1].contains("]: warning: \u{e9}"));
        assert!(lines[1].len() < Log::MAX_TEXT + 100);
    }

    #[test]
    fn sessions_have_numbers_of_their_own() {
        let log = Log::new(Arc::new(Sink::discard()), "postfix", "smtpd");
        assert_ne!(log.session().number, log.session().number);
    }
}
