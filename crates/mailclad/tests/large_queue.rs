//! A queue that is far larger than memory should have to hold: listing streams, starts do not wait for it, memory stays bounded,
//! changes by selection reach every message.
//!
//! `MAILCLAD_MESSAGES=1000000` runs it with a million; the figures it prints are for people, the assertions hold for every size.
#![allow(clippy::unwrap_used)]

mod support;

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Instant, SystemTime};

use mail::{Address, Envelope, Message, Origin, QueueId, Recipient, Status};
use spool::{Change, Content, Progress, RecipientState, Spool};
use support::{Client, Site, wait_for};
use testkit::authority::Authority;

fn count() -> usize {
    std::env::var("MAILCLAD_MESSAGES").ok().and_then(|text| text.parse().ok()).unwrap_or(20_000)
}

/// Deferred messages to many destinations, due in some hours.
fn fill(site: &Site, count: usize) {
    let spool = Spool::open(&site.dir.path().join("spool/mailclad/store")).unwrap();
    let now = SystemTime::now();
    let body = b"Subject: one of many\n\nA line or two of text.\n".to_vec();
    for batch in (0..count).collect::<Vec<_>>().chunks(5_000) {
        let mut changes = Vec::new();
        for n in batch {
            let id = QueueId::parse(&format!("{n:09X}")).unwrap();
            let sender = if n % 2 == 0 { "even@site.test" } else { "odd@site.test" };
            let recipient = Recipient::new(Address::internal(format!("r{n}@far{}.test", n % 1000)).unwrap());
            changes.push(Change::Add {
                message: Box::new(Message {
                    id,
                    envelope: Envelope {
                        sender: Address::internal(sender).unwrap(),
                        recipients: vec![recipient],
                        ..Envelope::default()
                    },
                    origin: Origin::Internal,
                    arrival: now,
                    size: body.len() as u64,
                    data_size: body.len() as u64,
                    checksum: crc32c::crc32c(&body),
                    filter: None,
                }),
                content: Content::Inline(body.clone()),
                hold: false,
            });
            let progress = Progress {
                status: Status::new(4, 4, 1),
                text: "connect to mx.far.test[192.0.2.1]:25: Connection timed out".into(),
                relay: "none".into(),
                remote: None,
                tls: String::new(),
                at: now,
            };
            changes.push(Change::Recipient { id, position: 0, state: RecipientState::Deferred(progress) });
            changes.push(Change::Defer { id, next_attempt: now + std::time::Duration::from_secs(7200) });
        }
        let (done, result) = std::sync::mpsc::channel();
        spool.record(changes, Box::new(move |outcome| done.send(outcome).unwrap()));
        result.recv().unwrap().unwrap();
    }
}

/// Resident memory of a process, in kilobytes.
fn resident(pid: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_queue_of_many_messages() {
    let count = count();
    let mut site = Site::new(&Authority::new("Test CA"), "").start();
    site.stop();
    let began = Instant::now();
    fill(&site, count);
    println!("{count} messages stored in {:?}", began.elapsed());

    let began = Instant::now();
    site.restart();
    let mut client = Client::connect(site.port);
    client.must("EHLO client.test", "250");
    client.send("a@client.test", &["user@site.test"], "Subject: first\n\nbody\n");
    println!("start until a message was accepted: {:?}", began.elapsed());
    site.wait_for_mail("user", "Subject: first");

    let began = Instant::now();
    let mut listing = Command::new(env!("CARGO_BIN_EXE_mailclad"))
        .args(["postqueue", "-p"])
        .env("MAIL_CONFIG", site.dir.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(listing.stdout.take().unwrap()).lines();
    lines.next().unwrap().unwrap();
    println!("first line of the listing: {:?}", began.elapsed());
    let last = lines.map(Result::unwrap).last().unwrap();
    println!("whole listing: {:?}", began.elapsed());
    listing.wait().unwrap();
    assert!(last.ends_with(&format!("Kbytes in {count} Requests.")), "{last}");

    // A client is answered while the queue is being changed.
    let began = Instant::now();
    let deleting = Command::new(env!("CARGO_BIN_EXE_mailclad"))
        .args(["queue", "delete", "-s", "odd@site.test"])
        .env("MAIL_CONFIG", site.dir.path())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    client.send("a@client.test", &["user@site.test"], "Subject: second\n\nbody\n");
    let during = began.elapsed();
    let said = deleting.wait_with_output().unwrap();
    println!("half of them deleted: {:?}, a message accepted meanwhile in {during:?}", began.elapsed());
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.contains(&format!("{} messages deleted", count / 2)), "{said}");
    site.wait_for_mail("user", "Subject: second");

    let pid = site.pid_of("queue").unwrap();
    let kilobytes = resident(&pid);
    println!("the queue's process has {kilobytes} KB resident");
    // Bounded by caches and pages, not by the queue: well below what a million messages would take.
    assert!(kilobytes < 512 * 1024, "{kilobytes} KB");
    let gone = wait_for(|| {
        let left = site.run(&["queue", "list", "-j", "-s", "odd@site.test"], "");
        left.stdout.is_empty().then_some(())
    });
    assert!(gone.is_some());
}
