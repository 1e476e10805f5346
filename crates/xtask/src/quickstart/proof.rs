//! The proof: a message goes in over verified TLS, and lies in the mailbox a moment later.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::client::{self, Sent};
use super::configuration::{DOMAIN, Site, USER};

/// For the server to listen, and for the message to arrive.
const PATIENCE: Duration = Duration::from_secs(60);

const PAUSE: Duration = Duration::from_millis(50);

/// What was seen.
#[derive(Debug)]
pub(crate) struct Proof {
    /// The handshake and the reply.
    pub(crate) sent: Sent,
    /// The file in the Maildir.
    pub(crate) file: PathBuf,
    /// Its first Received: header, with the line ends and blanks it has.
    pub(crate) received: String,
}

/// Sends a message to the submission port, and finds it.
pub(crate) fn prove(site: &Site) -> Result<Proof, String> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, site.ports.submission));
    let connection = wait("the server does not listen", || TcpStream::connect_timeout(&address, PAUSE).ok())?;
    let moment = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let mark = format!("<{moment}.{}@{DOMAIN}>", process::id());
    let recipient = format!("{USER}@{DOMAIN}");
    let message = format!(
        "From: The quickstart <{recipient}>\nTo: {recipient}\nSubject: It works\nMessage-ID: {mark}\n\n\
         This message came over TLS, and the certificate was checked.\n"
    );
    let sent = client::send(connection, &site.authority_file(), &recipient, &recipient, message.trim_end())?;
    let (file, text) = wait("the message was taken, and did not arrive", || find(&site.new_mail(), &mark))?;
    let received = first_header(&text, "Received").ok_or("the message has no Received: header")?;
    Ok(Proof { sent, file, received })
}

/// Tries again until it is there.
fn wait<T>(why: &str, mut attempt: impl FnMut() -> Option<T>) -> Result<T, String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = attempt() {
            return Ok(found);
        }
        if Instant::now() > deadline {
            return Err(format!("{why} within {} seconds", PATIENCE.as_secs()));
        }
        sleep(PAUSE);
    }
}

/// The message with that mark.
fn find(folder: &Path, mark: &str) -> Option<(PathBuf, String)> {
    fs::read_dir(folder).ok()?.flatten().find_map(|entry| {
        let text = String::from_utf8_lossy(&fs::read(entry.path()).ok()?).into_owned();
        text.contains(mark).then(|| (entry.path(), text))
    })
}

/// A header with its continuation lines.
fn first_header(message: &str, name: &str) -> Option<String> {
    let begins = |line: &str| line.split_once(':').is_some_and(|(found, _)| found.eq_ignore_ascii_case(name));
    let mut lines = message.lines().take_while(|line| !line.is_empty()).skip_while(|line| !begins(line));
    let mut header = lines.next()?.to_owned();
    for line in lines.take_while(|line| line.starts_with([' ', '\t'])) {
        header.push('\n');
        header.push_str(line);
    }
    Some(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers() {
        let message =
            "Return-Path: <a@b>\nReceived: from x\n\tby y; now\nReceived: from z\n\nReceiver: no header\n";
        for (name, expected) in [
            ("received", Some("Received: from x\n\tby y; now")),
            ("Return-Path", Some("Return-Path: <a@b>")),
            ("Receiver", None),
        ] {
            assert_eq!(first_header(message, name).as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn the_message_is_known_by_its_mark() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("1"), "Message-ID: <1@x>\n").unwrap();
        fs::write(folder.path().join("2"), "Message-ID: <2@x>\n").unwrap();
        let found = find(folder.path(), "<2@x>").map(|(file, _)| file);
        assert_eq!(found, Some(folder.path().join("2")));
        assert_eq!(find(folder.path(), "<3@x>"), None);
        assert_eq!(find(&folder.path().join("absent"), "<1@x>"), None);
    }
}
