//! From our store to files of Postfix and back, with what can be wrong on the way.

use std::time::{Duration, UNIX_EPOCH};

use config::HostFacts;
use config::Settings;
use config::main_cf::MainCf;
use mail::{Envelope, Message, Origin, Status};
use spool::{Held, Progress};

use super::*;

struct Place {
    _dir: tempfile::TempDir,
    stopped: Stopped,
}

impl Place {
    fn new() -> Place {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("store")).unwrap();
        let main = MainCf::parse("main.cf", b"").unwrap();
        let settings = Settings::load(&main, &[], &HostFacts::default()).unwrap();
        let stopped = Stopped::open(&dir.path().join("store"), &settings).unwrap();
        Place { _dir: dir, stopped }
    }

    fn add(&self, id: &str, body: &[u8], more: Vec<Change>) -> QueueId {
        let id = QueueId::parse(id).unwrap();
        let recipients = ["a@y.test", "b@y.test"]
            .map(|text| Recipient::new(mail::Address::internal(text).unwrap()))
            .to_vec();
        let large = body.len() > INLINE_BODY;
        if large {
            self.stopped.spool().bodies().create(&id).unwrap().write_all(body).unwrap();
        }
        let message = Message {
            id,
            envelope: Envelope { recipients, ..Envelope::default() },
            origin: Origin::Internal,
            arrival: UNIX_EPOCH + Duration::from_micros(1_700_000_000_000_001),
            size: body.len() as u64,
            data_size: mail::DataSize::of(body, 2048),
            checksum: crc32c::crc32c(body),
            filter: None,
        };
        let content = if large { Content::File } else { Content::Inline(body.to_vec()) };
        let mut changes = vec![Change::Add { message: Box::new(message), content, hold: false }];
        changes.extend(more);
        self.stopped.commit(changes).unwrap();
        id
    }

    /// Everything in the store, bodies included.
    fn everything(&self) -> Vec<(Stored, Vec<u8>)> {
        let store = self.stopped.spool();
        let page = store.questions().list(None, 100).unwrap();
        page.into_iter()
            .map(|stored| {
                let stored = store.questions().find(&stored.message.id).unwrap().unwrap();
                let content = match store.body(&stored.message, stored.body.clone()).unwrap() {
                    Body::Inline(bytes) => bytes,
                    Body::File(file) => io::read_to_string(file).unwrap().into_bytes(),
                };
                (Stored { body: None, ..stored }, content)
            })
            .collect()
    }
}

fn deferred(id: &str, position: u32, seconds: u64) -> Vec<Change> {
    let id = QueueId::parse(id).unwrap();
    let progress = Progress {
        status: Status::new(4, 4, 1),
        text: "connect to y.test: Connection refused".into(),
        relay: "none".into(),
        remote: None,
        tls: String::new(),
        at: UNIX_EPOCH,
    };
    vec![
        Change::Recipient { id, position, state: RecipientState::Deferred(progress) },
        Change::Defer { id, next_attempt: UNIX_EPOCH + Duration::from_secs(seconds) },
    ]
}

#[test]
fn what_is_given_back_is_taken_over_again() {
    let here = Place::new();
    let postfix = tempfile::tempdir().unwrap();
    here.add("AAAA0001", b"Subject: new\n\nbody\n", Vec::new());
    here.add("AAAA0002", b"Subject: tried\n\nbody\n", deferred("AAAA0002", 0, 1_700_003_600));
    let held = QueueId::parse("AAAA0003").unwrap();
    here.add("AAAA0003", b"Subject: held\n\nbody\n", vec![Change::Hold { id: held, held: Held::Yes }]);
    here.add("AAAA0004", &[b"Subject: large\n\n".to_vec(), b"line\n".repeat(40_000)].concat(), Vec::new());
    let before = here.everything();

    let told = export(&here.stopped, postfix.path(), true).unwrap();
    assert_eq!((told.done, here.everything().len()), (4, 4), "nothing is done but told");
    let done = export(&here.stopped, postfix.path(), false).unwrap();
    assert_eq!(done, told);
    assert!(here.everything().is_empty());
    let name = |path: &str| postfix.path().join(path).exists();
    assert!(name("incoming/AAAA0001") && name("deferred/AAAA0002") && name("hold/AAAA0003"));

    let imported = postfix.path().join("imported");
    let report = import(&here.stopped, postfix.path(), &imported, false).unwrap();
    assert_eq!((report.done, report.left), (4, Vec::new()));
    let after = here.everything();
    for ((before, content), (after, content_after)) in before.iter().zip(&after) {
        assert_eq!(
            (&before.message, before.held, before.attempts),
            (&after.message, after.held, after.attempts)
        );
        assert_eq!(content, content_after);
    }
    assert_eq!(before[1].0.next_attempt, after[1].0.next_attempt);
    assert!(imported.join("deferred/AAAA0002").exists() && !name("deferred/AAAA0002"));
}

/// A queue of Postfix with one message in `deferred/A/`, whose first recipient is done.
fn postfix_queue() -> (tempfile::TempDir, Vec<u8>) {
    let place = Place::new();
    place.add("AAAA0001", b"Subject: x\n\nbody\n", Vec::new());
    let message = place.everything()[0].0.message.clone();
    let mut file = queue_file::render(&message, b"Subject: x\n\nbody\n");
    let offset = queue_file::parse(&message.id, &file).unwrap().offsets[0];
    file[offset] = b'D';
    let dir = tempfile::tempdir().unwrap();
    write_file(&dir.path().join("deferred/A"), &message.id, &file, SystemTime::now()).unwrap();
    for kind in ["defer", "bounce"] {
        fs::create_dir_all(dir.path().join(kind).join("A")).unwrap();
    }
    fs::write(
        dir.path().join("defer/A/AAAA0001"),
        "recipient=b@y.test\nstatus=4.4.1\naction=delayed\nreason=connect to y.test: Connection timed out\n\n",
    )
    .unwrap();
    fs::write(
        dir.path().join("bounce/A/AAAA0001"),
        format!("recipient=a@y.test\noffset={offset}\nstatus=5.1.1\naction=failed\nreason=unknown user\n\n"),
    )
    .unwrap();
    (dir, file)
}

#[test]
fn progress_of_recipients_comes_along() {
    let (postfix, _) = postfix_queue();
    let here = Place::new();
    let report = import(&here.stopped, postfix.path(), &postfix.path().join("imported"), false).unwrap();
    assert_eq!(report.by_queue, [("deferred".to_owned(), 1)]);
    let everything = here.everything();
    let recipients: Vec<_> = everything[0].0.recipients().collect();
    let words = |state: &RecipientState| match state {
        RecipientState::Deferred(progress) => format!("deferred {}", progress.text),
        RecipientState::Failed(progress) => format!("failed {} {}", progress.status, progress.text),
        other => format!("{other:?}"),
    };
    let told: Vec<_> =
        recipients.iter().map(|(recipient, _, state)| (recipient.address.as_str(), words(state))).collect();
    // The one that was refused has no record to be delivered, and its sender is still to be told.
    assert_eq!(
        told,
        [
            ("b@y.test", "deferred connect to y.test: Connection timed out".to_owned()),
            ("a@y.test", "failed 5.1.1 unknown user".to_owned()),
        ]
    );
}

#[test]
fn a_second_run_goes_on_where_the_first_was_stopped() {
    let (postfix, file) = postfix_queue();
    let here = Place::new();
    let imported = postfix.path().join("imported");
    import(&here.stopped, postfix.path(), &imported, false).unwrap();
    let before = here.everything();
    // As if the machine had stopped between storing and moving.
    let id = QueueId::parse("AAAA0001").unwrap();
    write_file(&postfix.path().join("deferred/A"), &id, &file, SystemTime::now()).unwrap();
    let report = import(&here.stopped, postfix.path(), &imported, false).unwrap();
    assert_eq!((report.done, report.left.len()), (1, 0));
    assert_eq!(here.everything(), before, "it is there once");
}

#[test]
fn what_can_not_be_taken_over_stays_and_is_named() {
    let (postfix, file) = postfix_queue();
    let incoming = postfix.path().join("incoming");
    fs::create_dir(&incoming).unwrap();
    let put = |name: &str, bytes: &[u8], mode: u32| {
        fs::write(incoming.join(name), bytes).unwrap();
        fs::set_permissions(incoming.join(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    put("BBBB0001", &file, 0o600);
    put("BBBB0002", &file[..file.len() / 2], 0o700);
    put("not-an-id", &file, 0o700);
    fs::create_dir(postfix.path().join("maildrop")).unwrap();
    fs::write(postfix.path().join("maildrop/X"), "").unwrap();
    let here = Place::new();
    let report = import(&here.stopped, postfix.path(), &postfix.path().join("imported"), false).unwrap();
    assert_eq!(report.done, 1, "the rest does not suffer");
    for (left, part) in report.left.iter().zip([
        "incoming/BBBB0001: is not complete",
        "incoming/BBBB0002: ends in the middle of a record",
        "incoming/not-an-id: is no queue file",
        "maildrop: 1 messages of the sendmail command",
    ]) {
        assert!(left.starts_with(part), "{left}");
    }
    assert!(incoming.join("BBBB0002").exists());
}
