//! Where lines go: the syslog socket (RFC 3164 datagrams), a file, or standard output (postlogd(8), maillog_file).
//!
//! Opened before privileges are dropped. Writing never fails the caller: mail goes on when the log can not be written.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use crate::Severity;

/// `syslog_facility`, by its number in RFC 3164.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyslogFacility(u8);

impl SyslogFacility {
    /// `mail`.
    pub const MAIL: SyslogFacility = SyslogFacility(2);

    /// The facility of that name; `None` for a name that syslog does not know.
    pub fn from_name(name: &str) -> Option<Self> {
        const NAMES: [(&str, u8); 20] = [
            ("kern", 0),
            ("user", 1),
            ("mail", 2),
            ("daemon", 3),
            ("auth", 4),
            ("syslog", 5),
            ("lpr", 6),
            ("news", 7),
            ("uucp", 8),
            ("cron", 9),
            ("authpriv", 10),
            ("ftp", 11),
            ("local0", 16),
            ("local1", 17),
            ("local2", 18),
            ("local3", 19),
            ("local4", 20),
            ("local5", 21),
            ("local6", 22),
            ("local7", 23),
        ];
        NAMES.iter().find(|(known, _)| *known == name).map(|&(_, number)| SyslogFacility(number))
    }
}

/// What `maillog_file` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Empty: syslog.
    Syslog(SyslogFacility),
    /// An absolute path.
    File(PathBuf),
    /// `/dev/stdout`.
    Stdout,
}

/// An open destination.
pub struct Sink {
    target: Target,
    host: String,
}

enum Target {
    Syslog { facility: SyslogFacility, socket: Mutex<Option<UnixDatagram>> },
    File(Mutex<File>),
    Stdout,
    Discard,
}

/// The local syslog socket.
const SYSLOG_SOCKET: &str = "/dev/log";

impl Sink {
    /// Opens the destination. `host` is the name that stands in files, without its domain, as syslog writes it.
    ///
    /// A missing syslog daemon is no error: it may start later, and each line tries again.
    pub fn open(destination: &Destination, host: &str) -> io::Result<Sink> {
        let target = match destination {
            Destination::Syslog(facility) => {
                Target::Syslog { facility: *facility, socket: Mutex::new(connect_syslog()) }
            }
            Destination::File(path) => Target::File(Mutex::new(open_file(path)?)),
            Destination::Stdout => Target::Stdout,
        };
        Ok(Sink { target, host: host.split('.').next().unwrap_or(host).to_owned() })
    }

    /// Swallows everything; for tests and for commands that print their own errors.
    pub fn discard() -> Sink {
        Sink { target: Target::Discard, host: String::new() }
    }

    /// One line, in one write, so that lines of several processes do not mix. `append` adds the text to what comes before it.
    pub(crate) fn write(&self, severity: Severity, tag: &str, number: u32, append: impl Fn(&mut String)) {
        let line = || {
            let mut line =
                format!("{} {} {tag}[{number}]: ", mail::date::syslog(SystemTime::now()), self.host);
            line.reserve(256);
            append(&mut line);
            line.push('\n');
            line
        };
        match &self.target {
            Target::Syslog { facility, socket } => {
                let priority = facility.0 * 8 + severity.syslog();
                let now = mail::date::syslog(SystemTime::now());
                let mut datagram = format!("<{priority}>{now} {tag}[{number}]: ");
                append(&mut datagram);
                let mut socket = socket.lock().unwrap_or_else(PoisonError::into_inner);
                // A restarted syslog daemon has a new socket behind the same name: one reconnect, then give up this line.
                let sent = socket.as_ref().is_some_and(|s| s.send(datagram.as_bytes()).is_ok());
                if !sent {
                    *socket = connect_syslog();
                    if let Some(socket) = socket.as_ref() {
                        let _ = socket.send(datagram.as_bytes());
                    }
                }
            }
            Target::File(file) => {
                let line = line();
                let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
                let _ = file.write_all(line.as_bytes());
            }
            Target::Stdout => {
                let _ = io::stdout().write_all(line().as_bytes());
            }
            Target::Discard => {}
        }
    }
}

fn connect_syslog() -> Option<UnixDatagram> {
    let socket = UnixDatagram::unbound().ok()?;
    socket.connect(SYSLOG_SOCKET).ok()?;
    Some(socket)
}

/// Appends, and makes the file for its owner only where it does not exist: addresses are nobody else's business.
fn open_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}
