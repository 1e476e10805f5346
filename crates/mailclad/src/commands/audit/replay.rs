//! A mail log as a witness: which peers of the last days would a stricter setting have turned away?

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::Path;

/// What a log tells.
#[derive(Default)]
pub(super) struct Log {
    /// TLS versions of handshakes with clients: peer names by version.
    pub(super) heard: BTreeMap<String, BTreeSet<String>>,
    /// The same for servers.
    pub(super) reached: BTreeMap<String, BTreeSet<String>>,
    /// Domains whose mail went in the clear, when the log says so.
    pub(super) in_the_clear: BTreeSet<String>,
}

/// Longest line that is looked at.
const LONGEST: u64 = 64 * 1024;

impl Log {
    /// Reads a log file.
    pub(super) fn read(path: &Path) -> Result<Log, String> {
        let file = std::fs::File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let mut reader = BufReader::new(file);
        let (mut log, mut line) = (Log::default(), Vec::new());
        loop {
            line.clear();
            match std::io::Read::take(&mut reader, LONGEST).read_until(b'\n', &mut line) {
                Ok(0) => return Ok(log),
                Ok(_) => log.line(&String::from_utf8_lossy(&line)),
                Err(error) => return Err(format!("{}: {error}", path.display())),
            }
        }
    }

    fn line(&mut self, line: &str) {
        let peer = |text: &str| text.split(['[', ':']).next().unwrap_or_default().to_owned();
        let version = |text: &str| {
            let (_, rest) = text.split_once(": ")?;
            rest.split_once(" with cipher").map(|(version, _)| version.to_owned())
        };
        for (mark, table) in [
            ("TLS connection established from ", &mut self.heard),
            ("TLS connection established to ", &mut self.reached),
        ] {
            if let Some((_, rest)) = line.split_once(mark)
                && let Some(version) = version(rest)
            {
                table.entry(version).or_default().insert(peer(rest));
                return;
            }
        }
        if line.contains("status=sent") && (line.contains(", tls=may:none,") || line.contains(", tls=none,"))
        {
            let to = line.split_once("to=<").and_then(|(_, rest)| rest.split_once('>'));
            if let Some((_, domain)) = to.and_then(|(address, _)| address.rsplit_once('@')) {
                self.in_the_clear.insert(domain.to_owned());
            }
        }
    }

    /// Peers in `table` whose version `allows` does not, with that version.
    pub(super) fn refused(
        table: &BTreeMap<String, BTreeSet<String>>,
        allows: impl Fn(&str) -> bool,
    ) -> Vec<(String, usize, String)> {
        let refused = table.iter().filter(|(version, _)| !allows(version));
        refused
            .map(|(version, peers)| {
                let some: Vec<&str> = peers.iter().take(5).map(String::as_str).collect();
                (version.clone(), peers.len(), some.join(", "))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_log() {
        let mut log = Log::default();
        for line in [
            "mx postfix/smtpd[1]: Anonymous TLS connection established from old.test[192.0.2.1]: TLSv1.2 with cipher X (1/1 bits)",
            "mx postfix/smtpd[1]: Anonymous TLS connection established from new.test[192.0.2.2]: TLSv1.3 with cipher X (1/1 bits)",
            "mx postfix/smtp[1]: Untrusted TLS connection established to mx.test[192.0.2.3]:25: TLSv1 with cipher X (1/1 bits)",
            "mx postfix/smtp[1]: A: to=<a@plain.test>, relay=x, delays=0/0/0/0, tls=may:none, dsn=2.0.0, status=sent (ok)",
            "mx postfix/smtp[1]: A: to=<a@safe.test>, relay=x, delays=0/0/0/0, tls=may, dsn=2.0.0, status=sent (ok)",
            "nonsense",
        ] {
            log.line(line);
        }
        let refused = Log::refused(&log.heard, |version| version == "TLSv1.3");
        assert_eq!(refused, [("TLSv1.2".to_owned(), 1, "old.test".to_owned())]);
        assert_eq!(Log::refused(&log.reached, |_| false)[0].2, "mx.test");
        assert_eq!(log.in_the_clear.iter().collect::<Vec<_>>(), ["plain.test"]);
    }
}
