//! A disk that is really full, under the queue and under mailboxes: small file systems in memory, which root may mount.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::HashSet;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::{Client, Site, wait_for};
use testkit::authority::Authority;

/// A small file system in the place of a folder.
struct Small(PathBuf);

impl Small {
    fn mount(path: &Path, size: &str, mode: &str) -> Small {
        let options = format!("size={size},mode={mode}");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &options, "none"]).arg(path).output().unwrap();
        assert!(mounted.status.success(), "needs root: {}", String::from_utf8_lossy(&mounted.stderr));
        Small(path.to_owned())
    }

    /// Takes the last byte.
    fn fill(&self) {
        let mut file = std::fs::File::create(self.0.join("filler")).unwrap();
        for size in [64 * 1024, 4096, 1] {
            while file.write_all(&vec![b'x'; size]).is_ok() {}
        }
    }

    fn empty(&self) {
        std::fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn folder(site: &Site, name: &str) -> PathBuf {
    let path = site.dir.path().join(name);
    let _ = std::fs::create_dir(&path);
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o777)).unwrap();
    path
}

/// A message of about 100 KB; gives the reply to its end, or to the command that was refused.
fn send(site: &Site, to: &str, subject: &str) -> String {
    let mut client = Client::connect(site.port);
    client.must("EHLO client.test", "250");
    for command in ["MAIL FROM:<sender@client.test>".to_owned(), format!("RCPT TO:<{to}>"), "DATA".to_owned()]
    {
        let reply = client.say(&command);
        if !reply.starts_with(['2', '3']) {
            return reply;
        }
    }
    client
        .send_lines(format!("Subject: {subject}\n\n{}", "a line of the message\n".repeat(4_500)).as_bytes());
    client.reply()
}

/// The journal has its room from the first start on: what became of messages can be written down on a full disk.
#[test]
fn a_full_queue_refuses_mail_loses_none_and_recovers_by_itself() {
    full_queue("12m", true);
}

#[test]
fn a_queue_without_room_for_a_journal_does_so_too() {
    full_queue("3m", false);
}

fn full_queue(size: &str, has_journal: bool) {
    let extra = "relay_domains = slow.test\nsmtpd_reject_unlisted_recipient = no\nmessage_size_limit = 200000\n\
                 transport_maps = inline:{ {slow.test = waiting:} }\nminimal_backoff_time = 12s\nmaximal_backoff_time = 12s\n\
                 waiting_destination_concurrency_failed_cohort_limit = 0";
    let site = Site::new(&Authority::new("Test CA"), extra);
    let root = site.dir.path().display().to_string();
    let out = folder(&site, "out");
    // A delivery is a file of its own.
    let pipe = "waiting unix - n n - - pipe\n  user=daemon argv=/bin/sh -c {test -e DIR/open || exit 75; cat > DIR/out/$$$$}\n";
    let master = std::fs::read_to_string(site.dir.path().join("master.cf")).unwrap();
    site.write("master.cf", &(master + &pipe.replace("DIR", &root)));
    let spool = Small::mount(&folder(&site, "spool"), size, "755");
    let reserve = spool.0.join("reserve");
    std::fs::write(&reserve, vec![b'x'; 256 * 1024]).unwrap();
    let site = site.start();

    let mut acknowledged = Vec::new();
    let mut refusal = String::new();
    for n in 0..100 {
        let subject = format!("number-{n}-end");
        let reply = send(&site, "someone@slow.test", &subject);
        if !reply.starts_with("250") {
            refusal = reply;
            break;
        }
        acknowledged.push(subject);
    }
    assert!(refusal.starts_with("452 4.3.1 "), "{refusal}\n{}", site.log());
    assert!(acknowledged.len() > 5, "{}", acknowledged.len());

    // What became of them so far is written down, so that each has a next time.
    std::fs::remove_file(&reserve).unwrap();
    site.wait_for_queue(|listing| listing.matches("(temporary failure)").count() == acknowledged.len());

    // Not a byte is left, and everything is delivered: without a journal nobody can write that down.
    spool.fill();
    assert!(send(&site, "someone@slow.test", "refused").starts_with("452 4.3.1 "));
    site.write("open", "");
    // A flush would have to be written down as well: their time comes by itself.
    let delivered = || -> Vec<String> {
        let files = std::fs::read_dir(&out).unwrap().flatten();
        files
            .filter_map(|file| {
                let text = std::fs::read_to_string(file.path()).ok()?;
                text.ends_with("a line of the message\n\n").then_some(())?;
                Some(text.lines().find_map(|line| line.strip_prefix("Subject: "))?.to_owned())
            })
            .collect()
    };
    wait_for(|| (delivered().len() >= acknowledged.len()).then_some(()))
        .unwrap_or_else(|| panic!("all are delivered:\n{}", site.log()));
    if !has_journal {
        site.wait_for_log(&["is kept in memory, and recorded as soon as that works"]);
    }

    spool.empty();
    site.wait_for_queue(|listing| listing.contains("Mail queue is empty"));
    let found = delivered();
    let distinct: HashSet<&String> = found.iter().collect();
    assert_eq!(distinct, acknowledged.iter().collect(), "each that was acknowledged, and no other");
    assert_eq!(found.len(), acknowledged.len(), "nothing twice");
    assert!(send(&site, "someone@slow.test", "again").starts_with("250 "));
}

#[test]
fn a_full_mailbox_disk_lets_mail_wait() {
    let site = Site::new(&Authority::new("Test CA"), "minimal_backoff_time = 1s\nmaximal_backoff_time = 1s");
    let mail = Small::mount(&folder(&site, "mail"), "300k", "777");
    mail.fill();
    let site = site.start();
    assert!(send(&site, "user@site.test", "waits").starts_with("250 "));
    site.wait_for_log(&["to=<user@site.test>", "status=deferred (", "No space left on device"]);
    let half = site.mailbox("user");
    assert_eq!(half.len(), 0, "no half message");
    mail.empty();
    let whole = site.wait_for_mail("user", "Subject: waits");
    assert!(whole.ends_with("a line of the message\n\n"));
}
