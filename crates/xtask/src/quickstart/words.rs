//! What the visitor reads.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use super::configuration::{DOMAIN, HOST, Site, USER};
use super::proof::Proof;

/// Most lines of the log that are shown.
const LOG_LINES: usize = 60;

/// Before the server starts.
pub(crate) fn made(site: &Site) -> String {
    format!(
        "A mail server in {}: main.cf, master.cf, a private certificate authority and a server certificate.
It runs as user {}.",
        site.folder.path.display(),
        site.folder.owner.name
    )
}

/// After the proof.
pub(crate) fn proved(proof: &Proof) -> String {
    let sent = &proof.sent;
    format!(
        "
The handshake
  protocol     {}
  cipher       {} ({} bits)
  certificate  verified: issued by \"{}\" for {HOST}

The message was taken with \"{}\"
and delivered to {}

{}",
        sent.protocol,
        sent.cipher,
        sent.bits,
        sent.issuer,
        sent.reply,
        proof.file.display(),
        proof.received
    )
}

/// What the server has logged since it was started, the last lines of it.
pub(crate) fn log(site: &Site) -> String {
    let path = site.log_file();
    let read = || -> std::io::Result<String> {
        let mut file = File::open(&path)?;
        file.seek(SeekFrom::Start(site.log_begins))?;
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    };
    match read() {
        Ok(text) => {
            let lines: Vec<&str> = text.lines().collect();
            let last = &lines[lines.len().saturating_sub(LOG_LINES)..];
            format!("\nThe log, {}\n\n{}", path.display(), last.join("\n"))
        }
        Err(error) => format!("\nThere is no log: {}: {error}", path.display()),
    }
}

/// What to try next.
pub(crate) fn next(site: &Site, program: &Path) -> String {
    let (directory, program) = (site.folder.path.display(), program.display());
    let authority = site.authority_file();
    let authority = authority.display();
    let ports = site.ports;
    format!(
        "
It serves on 127.0.0.1 until you press Ctrl-C:
  {}  smtp         as port 25: STARTTLS offered
  {}  submission   as port 587: STARTTLS demanded
  {}  submissions  as port 465: TLS from the first byte

Try in another terminal:
  swaks --server 127.0.0.1:{} --tls --to {USER}@{DOMAIN}
  swaks --server 127.0.0.1:{} --tls-on-connect --to {USER}@{DOMAIN}
  openssl s_client -connect 127.0.0.1:{} -starttls smtp -CAfile {authority} -verify_hostname {HOST}
  echo Hello | {program} sendmail -C {directory} {USER}@{DOMAIN}
  {program} postconf -c {directory} -n
  {program} postqueue -c {directory} -p
  {program} compat -c {directory}
  tail -f {directory}/log/maillog
",
        ports.smtp, ports.submission, ports.submissions, ports.smtp, ports.submissions, ports.smtp
    )
}
