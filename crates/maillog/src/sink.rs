//! Where lines go: the syslog socket (RFC 3164 datagrams), a file, or standard output (postlogd(8), maillog_file).
//!
//! Opened before privileges are dropped. Writing never fails the caller: mail goes on when the log can not be written.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
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
    /// A file.
    File {
        /// Its absolute path.
        path: PathBuf,
        /// What it is made with where it does not exist (`maillog_file_permissions`).
        mode: u32,
    },
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
    File { path: PathBuf, mode: u32, file: Mutex<File> },
    Stdout,
    Discard,
}

/// Room for a line: nearly all fit.
const LINE: usize = 384;

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
            Destination::File { path, mode } => {
                Target::File { path: path.clone(), mode: *mode, file: Mutex::new(open_file(path, *mode)?) }
            }
            Destination::Stdout => Target::Stdout,
        };
        Ok(Sink { target, host: host.split('.').next().unwrap_or(host).to_owned() })
    }

    /// Opens the file anew when its name no longer leads to it, and gives a copy for other processes.
    pub(crate) fn reopen(&self) -> io::Result<Option<File>> {
        let Target::File { path, mode, file } = &self.target else { return Ok(None) };
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        if is_at(&file, path) {
            return Ok(None);
        }
        *file = open_file(path, *mode)?;
        file.try_clone().map(Some)
    }

    /// Goes on in this file, which another process has opened. What does not write to a file goes on as before.
    pub(crate) fn go_on_in(&self, new: File) {
        if let Target::File { file, .. } = &self.target {
            *file.lock().unwrap_or_else(PoisonError::into_inner) = new;
        }
    }

    /// Swallows everything; for tests and for commands that print their own errors.
    pub fn discard() -> Sink {
        Sink { target: Target::Discard, host: String::new() }
    }

    /// One line, in one write, so that lines of several processes do not mix. `append` adds the text to what comes before it.
    pub(crate) fn write(&self, severity: Severity, tag: &str, number: u32, append: impl Fn(&mut String)) {
        let begin = |line: &mut String| {
            mail::date::push_syslog(line, SystemTime::now());
            // Memory takes everything.
            let _ = match &self.target {
                // The daemon knows its host.
                Target::Syslog { .. } => write!(line, " {tag}[{number}]: "),
                _ => write!(line, " {} {tag}[{number}]: ", self.host),
            };
        };
        let line = || {
            let mut line = String::with_capacity(LINE);
            begin(&mut line);
            append(&mut line);
            line.push('\n');
            line
        };
        match &self.target {
            Target::Syslog { facility, socket } => {
                let priority = facility.0 * 8 + severity.syslog();
                let mut datagram = String::with_capacity(LINE);
                let _ = write!(datagram, "<{priority}>");
                begin(&mut datagram);
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
            Target::File { file, .. } => {
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

/// How often a file is opened that somebody renames at the same time.
const MAX_RENAMES: usize = 10;

/// Opens for appending, or makes the file. Writers hold a shared flock(2), so that who rotates the file knows when the last one has left
/// it; on a file system without locks nobody can know.
fn open_file(path: &Path, mode: u32) -> io::Result<File> {
    let mut left = MAX_RENAMES;
    loop {
        let made = OpenOptions::new().create_new(true).append(true).mode(mode).open(path);
        let file = match made {
            Ok(file) => {
                // Whatever the umask.
                file.set_permissions(Permissions::from_mode(mode))?;
                file
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                OpenOptions::new().create(true).append(true).mode(mode).open(path)?
            }
            Err(error) => return Err(error),
        };
        let _ = file.try_lock_shared();
        left -= 1;
        // Renamed before it was locked: its rotation may not have waited for us.
        if left == 0 || is_at(&file, path) {
            return Ok(file);
        }
    }
}

/// Does the name still lead to the open file?
fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(open), Ok(named)) => (open.dev(), open.ino()) == (named.dev(), named.ino()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_renamed_file_is_left_by_all_who_write() {
        let dir = tempfile::tempdir().unwrap();
        let (path, old) = (dir.path().join("mail.log"), dir.path().join("mail.log.1"));
        let open = || Sink::open(&Destination::File { path: path.clone(), mode: 0o640 }, "host").unwrap();
        let (master, role) = (open(), open());
        let say =
            |sink: &Sink, text: &str| sink.write(Severity::Info, "postfix/x", 1, |line| line.push_str(text));
        say(&role, "one");
        assert!(master.reopen().unwrap().is_none(), "nobody has renamed it");
        std::fs::rename(&path, &old).unwrap();
        say(&role, "two");
        let new = master.reopen().unwrap().unwrap();
        let rotated = File::open(&old).unwrap();
        assert!(rotated.try_lock().is_err(), "the role still writes to it");
        role.go_on_in(new);
        assert!(rotated.try_lock().is_ok());
        say(&role, "three");
        say(&master, "four");
        let last_words = |path: &Path| -> Vec<String> {
            let text = std::fs::read_to_string(path).unwrap();
            text.lines().map(|line| line.rsplit(' ').next().unwrap().to_owned()).collect()
        };
        assert_eq!(last_words(&old), ["one", "two"]);
        assert_eq!(last_words(&path), ["three", "four"]);
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o640);
    }
}
