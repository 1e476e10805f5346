//! The whole role over its links: this test is master and queue. Users are entries of an inline table whose homes are in a
//! temporary directory; jobs are done by this process.

use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use link::message::NewMessage;
use mail::{Address, Envelope, Message, Origin, OutcomeKind, QueueId, Recipient};
use tokio::sync::mpsc;

use super::*;

const CONTENT: &str = "Subject: x\n\nFrom here on\n";

/// A role under test, and what it asks the queue to keep.
struct Running {
    directory: tempfile::TempDir,
    control: Link,
    /// The socket under `control`, to cut it.
    master: UnixStream,
    link: Link,
    kept: mpsc::UnboundedReceiver<(NewMessage, Vec<u8>)>,
    served: tokio::task::JoinHandle<Result<(), String>>,
}

impl Running {
    /// With users joe and ann, and these settings. `$D` stands for the temporary directory.
    async fn start(main_cf: &str, master_cf: &str) -> Running {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().display().to_string();
        let write = |name: &str, text: &str| {
            std::fs::write(directory.path().join(name), text.replace("$D", &path)).unwrap();
        };
        let main = format!(
            "myhostname = mx.example.test\nmyorigin = example.test\nmydestination = example.test\n\
             compatibility_level = 3.6\nrecipient_delimiter = +\nalias_maps =\nqueue_directory = $D\n\
             mail_spool_directory = $D/spool\nmailbox_delivery_lock = dotlock\n{main_cf}\n"
        );
        write("main.cf", &main);
        write("master.cf", &format!("local unix - n n - - local\n{master_cf}\n"));
        for folder in ["spool", "joe", "ann"] {
            std::fs::create_dir(directory.path().join(folder)).unwrap();
        }
        let users = format!(
            "inline:{{ {{joe = joe:x:1000:100::{path}/joe:/bin/sh}}, {{ann = ann:x:1001:100::{path}/ann:/bin/sh}}, \
             {{nobody = nobody:x:65534:65534::/:/bin/sh}} }}"
        );
        let configuration = Configuration::read(directory.path(), config::HostFacts::default()).unwrap();
        let log = Log::new(Arc::new(maillog::Sink::discard()), "postfix", "local");
        let prepared = prepare_with(configuration, log, 3, Deliverer::in_process(), &users).unwrap();
        let (ours, theirs) = UnixStream::pair().unwrap();
        let served = tokio::spawn(serve(prepared, theirs));
        let master = ours.try_clone().unwrap();
        let (control, _) = Link::open(ours, "local").unwrap();
        let (ours, theirs) = UnixStream::pair().unwrap();
        let peer = control.call(Request::Peer { role: Role::Queue }, vec![OwnedFd::from(theirs)]).await;
        assert_eq!(peer.unwrap().0, Reply::Done);
        let (link, mut calls) = Link::open(ours, "local").unwrap();
        let (keep, kept) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let mut file: Option<File> = None;
            while let Some(Ok(Incoming { request, call, .. })) = calls.recv().await {
                match request {
                    Request::OpenBody { .. } => {
                        let body = tempfile::tempfile().unwrap();
                        file = Some(body.try_clone().unwrap());
                        call.answer(Reply::BodyFile, vec![body.into()]);
                    }
                    Request::Append(new) => {
                        let content = match (&new.body, &file) {
                            (Some(bytes), _) => bytes.clone(),
                            (None, Some(file)) => {
                                let mut bytes = Vec::new();
                                let body = Body::file(file.try_clone().unwrap()).unwrap();
                                std::io::Read::read_to_end(&mut body.reader(), &mut bytes).unwrap();
                                bytes
                            }
                            (None, None) => panic!("no content"),
                        };
                        keep.send((*new, content)).unwrap();
                        call.answer(Reply::Kept, Vec::new());
                    }
                    other => panic!("{other:?}"),
                }
            }
        });
        Running { directory, control, master, link, kept, served }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Text with `$D` filled in, in a file that others may not write.
    fn write(&self, name: &str, text: &str) {
        let text = text.replace("$D", &self.directory.path().display().to_string());
        std::fs::write(self.path(name), text).unwrap();
        std::fs::set_permissions(self.path(name), PermissionsExt::from_mode(0o644)).unwrap();
    }

    async fn deliver_content(&self, transport: &str, recipient: &str, content: &[u8]) -> Outcome {
        let delivery = Delivery {
            message: Message {
                id: QueueId::parse("EB0AC9B013C").unwrap(),
                envelope: Envelope {
                    sender: Address::internal("sender@client.test").unwrap(),
                    recipients: vec![Recipient::new(Address::internal(recipient).unwrap())],
                    ..Envelope::default()
                },
                origin: Origin::Internal,
                arrival: SystemTime::now(),
                size: content.len() as u64,
                data_size: content.len() as u64,
                checksum: 0,
                filter: None,
            },
            transport: transport.into(),
            next_hop: "example.test".into(),
            waited: (Duration::ZERO, Duration::ZERO),
            body: Some(content.to_vec()),
            attempts: 0,
            caching: link::message::Caching::default(),
        };
        let (reply, _) = self.link.call(Request::Deliver(Box::new(delivery)), vec![]).await.unwrap();
        let Reply::Attempted { mut outcomes, site_failure: None, .. } = reply else { panic!("{reply:?}") };
        assert_eq!(outcomes.len(), 1);
        outcomes.remove(0)
    }

    /// `sent delivered to mailbox`, the temporary directory being `$D` again.
    async fn deliver(&self, recipient: &str) -> String {
        let Outcome { kind, status, text, .. } =
            self.deliver_content("local", recipient, CONTENT.as_bytes()).await;
        let text = text.replace(&self.directory.path().display().to_string(), "$D");
        match kind {
            OutcomeKind::Sent => format!("sent {text}"),
            _ => format!("{kind} {status} {text}"),
        }
    }

    /// What was forwarded last: sender, recipients, content.
    fn forwarded(&mut self) -> (String, Vec<String>, String) {
        let (new, content) = self.kept.try_recv().expect("a new message");
        assert_eq!(new.message.size, content.len() as u64);
        assert_eq!(new.message.checksum, crc32c::crc32c(&content));
        let recipients = new.message.envelope.recipients.iter();
        (
            new.message.envelope.sender.as_str().to_owned(),
            recipients.map(|recipient| recipient.address.as_str().to_owned()).collect(),
            String::from_utf8(content).unwrap(),
        )
    }
}

fn messages(maildir: &Path) -> usize {
    std::fs::read_dir(maildir.join("new")).map_or(0, Iterator::count)
}

#[tokio::test(flavor = "multi_thread")]
async fn where_mail_for_one_name_goes() {
    // (settings, recipient, outcome)
    for (main_cf, recipient, expected) in [
        ("", "joe@example.test", "sent delivered to mailbox"),
        ("", "JOE+lists@example.test", "sent delivered to mailbox"),
        ("home_mailbox = Maildir/", "joe@example.test", "sent delivered to maildir"),
        ("mail_spool_directory = $D/spool/", "joe@example.test", "sent delivered to maildir"),
        ("mailbox_command = /bin/true -x", "joe@example.test", "sent delivered to command: /bin/true -x"),
        ("mailbox_command = exit 75 # $USER", "joe@example.test", "deferred 4.3.0 temporary failure"),
        (
            "mailbox_command_maps = inline:{joe=/bin/true}\nmailbox_command = /bin/false",
            "joe@example.test",
            "sent delivered to command: /bin/true",
        ),
        ("", "Who@example.test", "bounced 5.1.1 unknown user: \"who\""),
        ("", "postmaster@example.test", "sent discarded"),
        ("luser_relay = joe", "who@example.test", "sent delivered to mailbox"),
        ("luser_relay = other", "who@example.test", "bounced 5.1.1 unknown user: \"other\""),
        ("alias_maps = inline:{who=joe}", "who@example.test", "sent delivered to mailbox"),
        ("alias_maps = inline:{joe=joe}", "joe@example.test", "sent delivered to mailbox"),
        ("alias_maps = inline:{a=b,b=c,c=a}", "a@example.test", "bounced 5.4.6 alias database loop for a"),
        ("alias_maps = inline:{who=|/bin/true}", "who@example.test", "sent delivered to command: /bin/true"),
        ("alias_maps = inline:{who=$D/file}", "who@example.test", "sent delivered to file: $D/file"),
        ("alias_maps = inline:{who=$D/dir/}", "who@example.test", "sent delivered to maildir"),
        (
            "alias_maps = inline:{who=|/bin/true}\nallow_mail_to_commands = forward",
            "who@example.test",
            "bounced 5.7.1 mail to command is restricted",
        ),
        (
            "alias_maps = inline:{who=$D/file}\nallow_mail_to_files = forward",
            "who@example.test",
            "bounced 5.7.1 mail to file is restricted",
        ),
        (
            "alias_maps = inline:{who=:include:list}",
            "who@example.test",
            "bounced 5.3.5 :include:list uses a relative path",
        ),
        (
            "alias_maps = inline:{who=:include:$D/none}",
            "who@example.test",
            "deferred 4.3.5 mail system configuration error",
        ),
        ("alias_maps = fail:x", "joe@example.test", "deferred 4.3.0 alias database unavailable"),
        ("mailbox_transport = local:x", "joe@example.test", "deferred 4.3.5 mail system configuration error"),
        (
            "mail_spool_directory = $D/none",
            "joe@example.test",
            "deferred 4.2.0 cannot update mailbox $D/none/joe for user joe. cannot open file: No such file or directory",
        ),
        // One of several is put off: all are.
        (
            "alias_maps = inline:{ {who = joe, \"|exit 75\"} }",
            "who@example.test",
            "deferred 4.3.0 temporary failure",
        ),
        // One of several is refused: that is what the sender hears.
        (
            "alias_maps = inline:{ {who = joe, nosuch} }",
            "who@example.test",
            "bounced 5.1.1 unknown user: \"nosuch\"",
        ),
    ] {
        let running = Running::start(main_cf, "").await;
        assert_eq!(running.deliver(recipient).await, expected, "{main_cf}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_in_a_mailbox() {
    let running = Running::start("", "").await;
    assert_eq!(running.deliver("Joe+x@example.test").await, "sent delivered to mailbox");
    let text = std::fs::read_to_string(running.path("spool/joe")).unwrap();
    let (from, rest) = text.split_once('\n').unwrap();
    assert!(from.starts_with("From sender@client.test  "), "{from}");
    assert_eq!(
        rest,
        "Return-Path: <sender@client.test>\nX-Original-To: Joe+x@example.test\nDelivered-To: Joe+x@example.test\n\
         Subject: x\n\n>From here on\n\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn forward_files() {
    // (files, outcome)
    for (files, expected) in [
        (&[(".forward", "ann\n")][..], "sent forwarded as ID"),
        (&[(".forward", "\\joe, ann\n")], "sent delivered to mailbox"),
        (&[(".forward", "# nothing\n\n")], "sent delivered to mailbox"),
        (&[(".forward", "|/bin/true\n")], "sent delivered to command: /bin/true"),
        (&[(".forward", "~/Mail/\n")], "sent delivered to maildir"),
        (&[(".forward+x", "|/bin/true\n"), (".forward", "ann\n")], "sent delivered to command: /bin/true"),
        (&[(".forward", "~ann/Mail\n")], "bounced 5.3.5 bad home directory syntax for: ~ann/Mail"),
        (&[(".forward", ":include:$D/joe/list"), ("list", "ann\n")], "sent forwarded as ID"),
        (&[(".forward", ":include:$D/joe/list"), ("list", "joe\n")], "sent delivered to mailbox"),
        (
            &[(".forward", ":include:$D/joe/list"), ("list", "|/bin/true\n")],
            "bounced 5.7.1 mail to command is restricted",
        ),
        (&[(".forward", "ann\n"), ("../ann/.forward", "joe\n")], "sent forwarded as ID"),
    ] {
        let running = Running::start("", "").await;
        for (name, text) in files {
            running.write(&format!("joe/{name}"), text);
        }
        let outcome = running.deliver("joe+x@example.test").await;
        let outcome = match outcome.split_once("forwarded as ") {
            Some((head, _)) => format!("{head}forwarded as ID"),
            None => outcome,
        };
        assert_eq!(outcome, expected, "{files:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forward_file_that_anybody_may_write_is_not_followed() {
    let running = Running::start("", "").await;
    running.write("joe/.forward", "|/bin/false\n");
    std::fs::set_permissions(running.path("joe/.forward"), PermissionsExt::from_mode(0o666)).unwrap();
    assert_eq!(running.deliver("joe@example.test").await, "sent delivered to mailbox");
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_gets_one_copy() {
    let main_cf =
        "home_mailbox = Maildir/\nalias_maps = inline:{ {all = joe, ann, Joe, more}, {more = ann, joe} }";
    let running = Running::start(main_cf, "").await;
    assert_eq!(running.deliver("all@example.test").await, "sent delivered to maildir");
    assert_eq!(messages(&running.path("joe/Maildir")), 1);
    assert_eq!(messages(&running.path("ann/Maildir")), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forward_file_may_keep_a_copy() {
    let mut running = Running::start("home_mailbox = Maildir/", "").await;
    running.write("joe/.forward", "\\joe, else@other.test\n");
    let outcome = running.deliver("joe@example.test").await;
    assert_eq!(outcome, "sent delivered to maildir");
    assert_eq!(messages(&running.path("joe/Maildir")), 1);
    let (sender, recipients, content) = running.forwarded();
    assert_eq!(
        (sender.as_str(), &recipients[..]),
        ("sender@client.test", &["else@other.test".to_owned()][..])
    );
    assert!(content.starts_with("Received: by mx.example.test (Postfix)\n\tid "), "{content}");
    assert!(content.ends_with("\nDelivered-To: joe@example.test\nSubject: x\n\nFrom here on\n"), "{content}");
}

#[tokio::test(flavor = "multi_thread")]
async fn loops_end() {
    let running = Running::start("", "").await;
    let content = b"Delivered-To: JOE@example.test\n\nx\n";
    let outcome = running.deliver_content("local", "joe@example.test", content).await;
    assert_eq!((outcome.kind, outcome.status), (OutcomeKind::Bounced, Status::new(5, 4, 6)));
    assert_eq!(outcome.text, "mail forwarding loop for joe@example.test");
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_elsewhere_become_one_new_message() {
    let main_cf = "alias_maps = inline:{ {list = a@other.test, b@other.test, A@other.test, joe} }\n\
                   virtual_alias_maps = inline:{b@other.test=c@third.test}";
    let mut running = Running::start(main_cf, "").await;
    assert!(running.deliver("list@example.test").await.starts_with("sent "));
    let (_, recipients, _) = running.forwarded();
    assert_eq!(recipients, ["a@other.test", "c@third.test"]);
    assert!(running.kept.try_recv().is_err());
    assert!(running.path("spool/joe").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_forwarded_while_something_is_put_off() {
    let main_cf = "alias_maps = inline:{ {list = a@other.test, \"|exit 75\"} }";
    let mut running = Running::start(main_cf, "").await;
    assert_eq!(running.deliver("list@example.test").await, "deferred 4.3.0 temporary failure");
    assert!(running.kept.try_recv().is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_gets_what_can_not_be_delivered() {
    for (more, sender) in [
        ("", "owner-list@example.test"),
        ("expand_owner_alias = yes", "ann@example.test"),
        ("owner_request_special = no", "sender@client.test"),
    ] {
        let main_cf =
            format!("alias_maps = inline:{{ {{list = joe, a@other.test}}, owner-list=ann }}\n{more}");
        let mut running = Running::start(&main_cf, "").await;
        assert!(running.deliver("list@example.test").await.starts_with("sent "));
        let (found, recipients, _) = running.forwarded();
        assert_eq!(found, sender);
        // With an owner, local members go by the queue as well.
        let members = if more.starts_with("owner") { 1 } else { 2 };
        assert_eq!(recipients.len(), members, "{recipients:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_transports_get_the_message_as_it_is() {
    for (main_cf, recipient, transport) in [
        ("mailbox_transport = lmtp:unix:private/lmtp", "joe@example.test", Some("lmtp:unix:private/lmtp")),
        ("mailbox_transport = lmtp:unix:private/lmtp", "ldap@example.test", Some("lmtp:unix:private/lmtp")),
        ("mailbox_transport_maps = inline:{joe=cyrus:}", "joe+x@example.test", Some("cyrus:")),
        ("mailbox_transport_maps = inline:{joe=cyrus:}", "ann@example.test", None),
        ("fallback_transport = smtp:[relay.test]", "who@example.test", Some("smtp:[relay.test]")),
        ("fallback_transport = smtp:[relay.test]", "joe@example.test", None),
        ("fallback_transport_maps = inline:{who=x:}\nluser_relay = joe", "who@example.test", Some("x:")),
    ] {
        let mut running = Running::start(main_cf, "").await;
        let outcome = running.deliver(recipient).await;
        match transport {
            None => assert_eq!(outcome, "sent delivered to mailbox", "{main_cf}"),
            Some(transport) => {
                let (new, content) = running.kept.try_recv().unwrap();
                assert_eq!(new.message.filter.as_deref(), Some(transport));
                assert_eq!(new.message.envelope.recipients[0].address.as_str(), recipient);
                assert_eq!(content, CONTENT.as_bytes());
                assert_eq!(outcome, format!("sent forwarded as {}", new.message.id));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_message_is_forwarded_by_file() {
    let mut running = Running::start("alias_maps = inline:{a=b@other.test}", "").await;
    let content = format!("Subject: x\n\n{}\n", "x".repeat(1_000_000));
    let outcome = running.deliver_content("local", "a@example.test", content.as_bytes()).await;
    assert_eq!(outcome.kind, OutcomeKind::Sent, "{outcome:?}");
    let (_, _, forwarded) = running.forwarded();
    assert!(forwarded.ends_with(&content));
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_know_their_recipient() {
    let command =
        "mailbox_command = echo $HOME $EXTENSION $LOCAL $SENDER $RECIPIENT > $D/said; cat >> $D/said";
    let running = Running::start(command, "").await;
    let outcome = running.deliver("joe+x@example.test").await;
    assert!(outcome.starts_with("sent delivered to command: echo $HOME "), "{outcome}");
    let said = std::fs::read_to_string(running.path("said")).unwrap();
    let home = running.path("joe").display().to_string();
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], format!("{home} x joe+x sender@client.test joe+x@example.test"));
    assert!(lines[1].starts_with("From sender@client.test  "), "{said}");
    assert_eq!(lines.last(), Some(&"From here on"));
}

#[tokio::test(flavor = "multi_thread")]
async fn services_by_name() {
    let master = "virtual unix - n n - - virtual\nfilter unix - n n - - pipe user=x argv=/bin/true\n\
                  broken unix - n n - - pipe argv=/bin/true\n";
    let main = "virtual_mailbox_base = $D\nvirtual_mailbox_maps = static:v/\nvirtual_uid_maps = static:5000\n\
                virtual_gid_maps = static:5000";
    let running = Running::start(main, master).await;
    let sent = running.deliver_content("virtual", "a@v.test", CONTENT.as_bytes()).await;
    assert_eq!((sent.relay.as_str(), sent.text.as_str()), ("virtual", "delivered to maildir"));
    let sent = running.deliver_content("filter", "a@v.test", CONTENT.as_bytes()).await;
    assert_eq!((sent.relay.as_str(), sent.text.as_str()), ("filter", "delivered via filter service"));
    let ask = |transport: &str| {
        let delivery = Delivery {
            message: crate::in_hand::tests::in_hand("a@v.test", CONTENT).message,
            transport: transport.into(),
            next_hop: String::new(),
            waited: (Duration::ZERO, Duration::ZERO),
            body: Some(CONTENT.into()),
            attempts: 0,
            caching: link::message::Caching::default(),
        };
        running.link.call(Request::Deliver(Box::new(delivery)), vec![])
    };
    let (reply, _) = ask("broken").await.unwrap();
    assert!(matches!(reply, Reply::Failed(why) if why.ends_with("missing user= command-line attribute")));
    let (reply, _) = ask("none").await.unwrap();
    assert_eq!(reply, Reply::Failed("no service \"none\" delivers on this machine".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_role_ends_when_it_is_told_to_and_when_master_is_gone() {
    let running = Running::start("", "").await;
    assert_eq!(running.control.call(Request::Begin, vec![]).await.unwrap().0, Reply::Done);
    assert_eq!(running.control.call(Request::Drain, vec![]).await.unwrap().0, Reply::Done);
    assert_eq!(running.served.await.unwrap(), Ok(()));
    let Running { master, served, .. } = Running::start("", "").await;
    master.shutdown(std::net::Shutdown::Both).unwrap();
    assert_eq!(served.await.unwrap(), Ok(()));
}
