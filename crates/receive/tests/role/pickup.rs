//! Messages of the sendmail command: over the socket, and left in the maildrop directory.

use std::os::unix::net::UnixStream;

use crate::common::{PLAIN, Queue, Running, content_file};
use link::message::Submission;
use link::{Link, Reply, Request};
use mail::{Address, Envelope, Recipient};

fn submission(sender: Option<&str>) -> Submission {
    Submission {
        sender: sender.map(|text| Address::internal(text).unwrap()),
        full_name: Some("A User".into()),
        recipients: vec![Recipient::new(Address::internal("user").unwrap())],
        envelope: Envelope::default(),
    }
}

fn submit(role: &Running, submission: Submission, content: &str) -> Reply {
    let socket = UnixStream::connect(&role.pickup).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (link, _calls) = Link::open(socket, "receive").unwrap();
        link.call(Request::Submit(Box::new(submission)), vec![content_file(content).into()]).await.unwrap().0
    })
}

#[test]
fn a_submitted_message_is_completed_and_kept() {
    let role = Running::start("", PLAIN, Queue::Keeps, &[]);
    let reply = submit(&role, submission(Some("s@example.test")), "Subject: x\n\nbody\n");
    let kept = role.next_kept();
    assert_eq!(reply, Reply::Submitted(kept.new.message.id));
    let uid = rustix::process::geteuid().as_raw();
    let received =
        format!("Received: by mx.example.test (Postfix, from userid {uid})\n\tid {};", kept.new.message.id);
    assert!(kept.content.starts_with(&received), "{}", kept.content);
    assert!(kept.content.contains("\nFrom: A User <s@example.test>\n"), "{}", kept.content);
    assert_eq!(kept.new.message.envelope.recipients[0].address.as_str(), "user@example.test");
    role.log_with(&format!("{}: uid={uid} from=<s@example.test>", kept.new.message.id));
}

#[test]
fn refusals_are_told() {
    let role = Running::start("message_size_limit = 100\n", PLAIN, Queue::Keeps, &[]);
    let nobody = Submission { recipients: Vec::new(), ..submission(None) };
    for (submission, content, expected) in [
        (nobody, "\n", "no recipient addresses found in message"),
        (submission(None), &*"x\n".repeat(100), "message file too big"),
    ] {
        assert_eq!(submit(&role, submission, content), Reply::Failed(expected.into()));
    }
}

#[test]
fn the_sender_of_a_left_message_is_its_file_s_owner() {
    let directory = tempfile::tempdir().unwrap();
    receive::maildrop::write(directory.path(), "1", &submission(None), &mut &b"Subject: left\n\n"[..])
        .unwrap();
    let left = std::fs::read(directory.path().join("1")).unwrap();
    let role = Running::start_with("", PLAIN, Queue::Keeps, |folder| {
        std::fs::write(folder.join("maildrop/1"), &left).unwrap();
        std::fs::write(folder.join("maildrop/2"), "no message\n").unwrap();
    });
    let kept = role.next_kept();
    assert!(kept.content.contains("\nSubject: left\n"));
    let sender = kept.new.message.envelope.sender;
    assert_eq!(sender.domain(), Some("example.test"));
    assert!(!sender.local_part().is_empty());
    role.log_with("maildrop/2: not a message that sendmail left");
    let end = std::time::Instant::now() + crate::common::PATIENCE;
    while role.directory.path().join("maildrop/1").exists() {
        assert!(std::time::Instant::now() < end, "taken but not removed");
        std::thread::yield_now();
    }
}
