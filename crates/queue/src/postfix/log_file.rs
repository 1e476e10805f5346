//! The files in which bounce(8) and defer(8) remember what became of recipients: blocks of `name=value`, separated by empty lines.

use std::collections::HashMap;
use std::time::SystemTime;

use mail::Status;
use spool::Progress;

/// The last word on a recipient, by the place of its record in the queue file; without a place, by its address.
#[derive(Debug, Default)]
pub(crate) struct LogFile {
    by_offset: HashMap<usize, Progress>,
    by_address: HashMap<String, Progress>,
}

impl LogFile {
    /// Reads what makes sense. `at` is the time of the file.
    pub(crate) fn parse(text: &str, at: SystemTime) -> LogFile {
        let mut log = LogFile::default();
        for block in text.split("\n\n") {
            let mut fields: HashMap<&str, &str> = HashMap::new();
            for line in block.lines() {
                if let Some((name, value)) = line.split_once('=') {
                    fields.insert(name, value);
                }
            }
            let (Some(recipient), Some(reason)) = (fields.get("recipient"), fields.get("reason")) else {
                continue;
            };
            let status: Status =
                fields.get("status").and_then(|text| text.parse().ok()).unwrap_or(Status::new(4, 0, 0));
            let remote = fields.get("mta_mname").zip(fields.get("diag_text"));
            let progress = Progress {
                status,
                text: (*reason).to_owned(),
                relay: "none".into(),
                remote: remote.map(|(mta, reply)| ((*mta).to_owned(), (*reply).to_owned())),
                tls: String::new(),
                at,
            };
            if let Some(offset) = fields.get("offset").and_then(|text| text.parse().ok()) {
                log.by_offset.insert(offset, progress.clone());
            }
            log.by_address.insert((*recipient).to_owned(), progress);
        }
        log
    }

    /// What is known of a recipient.
    pub(crate) fn of(&self, offset: usize, address: &str) -> Option<&Progress> {
        self.by_offset.get(&offset).or_else(|| self.by_address.get(address))
    }

    /// The places of all recipients in it.
    pub(crate) fn offsets(&self) -> impl Iterator<Item = (usize, &Progress)> {
        self.by_offset.iter().map(|(offset, progress)| (*offset, progress))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks() {
        let text = "\n<d@dead.test>: connect to 127.0.0.1[127.0.0.1]:9: Connection refused\nrecipient=d@dead.test\noffset=228\n\
                    dsn_orig_rcpt=rfc822;d@dead.test\nstatus=4.4.1\naction=delayed\nreason=connect to 127.0.0.1: Connection refused\n\n\n\
                    <e@dead.test>: x\nrecipient=e@dead.test\noffset=300\nstatus=5.1.1\naction=failed\ndiag_type=smtp\n\
                    diag_text=550 5.1.1 no such user\nmta_type=dns\nmta_mname=mx.dead.test\nreason=host said: 550 5.1.1 no such user\n\n\
                    recipient=nothing else\n\n";
        let log = LogFile::parse(text, SystemTime::UNIX_EPOCH);
        let first = log.of(228, "d@dead.test").unwrap();
        assert_eq!(
            (first.status, first.text.as_str()),
            (Status::new(4, 4, 1), "connect to 127.0.0.1: Connection refused")
        );
        let second = log.of(0, "e@dead.test").unwrap();
        assert_eq!(second.remote, Some(("mx.dead.test".into(), "550 5.1.1 no such user".into())));
        assert!(log.of(0, "nothing else").is_none());
        assert_eq!(log.offsets().count(), 2);
    }
}
