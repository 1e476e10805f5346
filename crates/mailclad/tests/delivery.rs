//! The other ways out of the queue: local users, aliases, commands, files, LMTP; and a reload in the middle of work.
#![allow(clippy::unwrap_used)] // a test has no other way out

mod support;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use support::{Client, Site, wait_for};
use testkit::authority::Authority;

/// A user with the rights that a delivery needs: `as_root` where tests run as root, else whoever runs them.
fn user(as_root: &str) -> String {
    let output = Command::new("id").arg("-un").output().unwrap();
    match String::from_utf8(output.stdout).unwrap().trim() {
        "root" => as_root.to_owned(),
        name => name.to_owned(),
    }
}

fn open_folder(site: &Site, name: &str) {
    let path = site.dir.path().join(name);
    std::fs::create_dir(&path).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o777)).unwrap();
}

fn submit(site: &Site, to: &str, subject: &str) {
    let mut client = Client::connect(site.port);
    client.must("EHLO client.test", "250");
    let reply = client.send("sender@site.test", &[to], &format!("Subject: {subject}\n\nFrom here\nhello\n"));
    assert!(reply.starts_with("250 "), "{reply}");
}

fn wait_for_file(site: &Site, name: &str, part: &str) -> String {
    let path = site.dir.path().join(name);
    let found = wait_for(|| std::fs::read_to_string(&path).ok().filter(|text| text.contains(part)));
    found.unwrap_or_else(|| {
        panic!("no {part:?} in {name}: {:?}\n{}", std::fs::read_to_string(&path), site.log())
    })
}

#[test]
fn a_local_user_has_a_mailbox_and_an_alias_has_many_places() {
    let user = user("nobody");
    let site = Site::new(
        &Authority::new("Test CA"),
        "mydestination = local.test\nmyorigin = local.test\nmail_spool_directory = DIR/boxes\n\
         alias_maps = texthash:DIR/aliases\nlocal_recipient_maps =\nallow_mail_to_commands = alias\n\
         allow_mail_to_files = alias",
    );
    open_folder(&site, "boxes");
    open_folder(&site, "out");
    let root = site.dir.path().display().to_string();
    site.write("list", &format!("# a list\n{user}\nuser@site.test\n"));
    site.write(
        "aliases",
        &format!("team :include:{root}/list, \"|cat > {root}/out/command\", {root}/out/file\n"),
    );
    let site = site.start();

    submit(&site, &format!("{user}@local.test"), "to a user");
    let text = wait_for_file(&site, &format!("boxes/{user}"), "Subject: to a user");
    assert!(text.starts_with("From sender@site.test "), "{text}");
    assert!(text.contains("\n>From here\n"), "{text}");
    assert!(text.contains(&format!("\nDelivered-To: {user}@local.test\n")), "{text}");
    site.wait_for_log(&["postfix/local[", "relay=local", "status=sent (delivered to mailbox)"]);

    submit(&site, "team@local.test", "to a team");
    wait_for_file(&site, &format!("boxes/{user}"), "Subject: to a team");
    wait_for_file(&site, "out/command", "Subject: to a team");
    wait_for_file(&site, "out/file", "Subject: to a team");
    site.wait_for_mail("user", "Subject: to a team");

    submit(&site, "nobody-here@local.test", "to nobody");
    site.wait_for_log(&[
        "to=<nobody-here@local.test>",
        "dsn=5.1.1, status=bounced (unknown user: \"nobody-here\")",
    ]);
}

#[test]
fn pipe_runs_a_command_with_the_message() {
    // Not nobody, who owns the mail system in these tests: pipe(8) refuses to run commands with those rights.
    let user = user("daemon");
    let site = Site::new(
        &Authority::new("Test CA"),
        "transport_maps = inline:{ { piped.test = filter: } }\nrelay_domains = piped.test\n\
         import_environment = TZ=Europe/Berlin COLOUR=blue\nexport_environment = TZ HOME",
    );
    open_folder(&site, "out");
    let root = site.dir.path().display().to_string();
    site.write(
        "run.sh",
        &format!(
            "#!/bin/sh\necho \"$@\" > {root}/out/arguments\nenv > {root}/out/environment\ncat > {root}/out/message\n"
        ),
    );
    let master = std::fs::read_to_string(site.dir.path().join("master.cf")).unwrap()
        + &format!(
            "filter unix - n n - 10 pipe\n  flags=Rq user={user} argv=/bin/sh {root}/run.sh -f ${{sender}} -- ${{recipient}}\n"
        );
    site.write("master.cf", &master);
    let site = site.start();
    submit(&site, "someone@piped.test", "through a pipe");
    wait_for_file(&site, "out/arguments", "-f sender@site.test -- someone@piped.test\n");
    let text = wait_for_file(&site, "out/message", "Subject: through a pipe");
    let environment = wait_for_file(&site, "out/environment", "TZ=Europe/Berlin\n");
    for name in ["COLOUR=", "HOME=", "CARGO"] {
        assert!(!environment.contains(name), "{environment}");
    }
    assert!(text.starts_with("Return-Path: <sender@site.test>\n"), "{text}");
    site.wait_for_log(&["postfix/pipe[", "relay=filter", "status=sent (delivered via filter service"]);
}

/// A server for one session: says `keywords` to EHLO or LHLO, and `finals` behind the content, which it gives at the end.
fn server(keywords: &'static str, finals: &'static [&'static str]) -> (u16, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let session = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut out = stream.try_clone().unwrap();
        let mut say = move |text: &str| out.write_all(format!("{text}\r\n").as_bytes()).unwrap();
        let (mut in_data, mut content) = (false, String::new());
        say("220 server.test ready");
        for line in BufReader::new(stream).lines() {
            let line = line.unwrap();
            match line.split(' ').next().unwrap_or_default() {
                "." if in_data => {
                    in_data = false;
                    finals.iter().for_each(|text| say(text));
                }
                _ if in_data => content.push_str(&(line + "\n")),
                "LHLO" | "EHLO" => say(keywords),
                "DATA" => {
                    in_data = true;
                    say("354 go on");
                }
                "QUIT" => {
                    say("221 bye");
                    break;
                }
                _ => say("250 2.1.0 ok"),
            }
        }
        content
    });
    (port, session)
}

#[test]
fn a_server_without_8bitmime_gets_ascii() {
    let (port, session) = server("250 server.test", &["250 2.0.0 kept"]);
    let site = Site::new(
        &Authority::new("Test CA"),
        &format!(
            "transport_maps = inline:{{ {{ old.test = smtp:[127.0.0.1]:{port} }} }}\nrelay_domains = old.test"
        ),
    )
    .start();
    let content = "Subject: old\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n\
                   Content-Transfer-Encoding: 8bit\n\nh\u{e4}llo =\n";
    site.run(&["sendmail", "-f", "user@site.test", "someone@old.test"], content);
    let content = session.join().unwrap();
    assert!(
        content.ends_with("\nContent-Transfer-Encoding: quoted-printable\n\nh=C3=A4llo =3D\n"),
        "{content}"
    );
    assert!(!content.contains("8bit"), "{content}");
}

#[test]
fn lmtp_has_a_reply_for_each_recipient() {
    let (port, session) = server(
        "250-server.test\r\n250-PIPELINING\r\n250 8BITMIME",
        &["250 2.0.0 first saved", "552 5.2.2 second is over quota"],
    );
    let site = Site::new(
        &Authority::new("Test CA"),
        &format!("virtual_transport = lmtp:inet:127.0.0.1:{port}\nvirtual_destination_recipient_limit = 50\nlmtp_destination_recipient_limit = 50"),
    )
    .start();
    let mut client = Client::connect(site.port);
    client.must("EHLO client.test", "250");
    client.send("sender@client.test", &["user@site.test", "other@site.test"], "Subject: by lmtp\n\nhello\n");
    let content = session.join().unwrap();
    assert!(content.contains("Subject: by lmtp\n"), "{content}");
    site.wait_for_log(&["postfix/lmtp[", "to=<other@site.test>", "status=sent (250 2.0.0 first saved)"]);
    site.wait_for_log(&[
        "to=<user@site.test>",
        "dsn=5.2.2, status=bounced (host 127.0.0.1[127.0.0.1] said: 552 5.2.2",
    ]);
}

#[test]
fn a_reload_takes_effect_and_disturbs_nobody() {
    let site = Site::new(&Authority::new("Test CA"), "").start();
    let mut old = Client::connect(site.port);
    old.must("EHLO client.test", "250");
    old.must("MAIL FROM:<a@client.test>", "250");
    let main = std::fs::read_to_string(site.dir.path().join("main.cf")).unwrap();
    site.write("main.cf", &format!("{main}smtpd_banner = after the reload\n"));
    assert!(site.run(&["postfix", "reload"], "").status.success());
    site.wait_for_log(&["postfix/master[", "reload -- version"]);
    let mut new = std::net::TcpStream::connect(("127.0.0.1", site.port)).unwrap();
    let mut greeting = String::new();
    BufReader::new(&mut new).read_line(&mut greeting).unwrap();
    assert_eq!(greeting, "220 after the reload\r\n");
    // The session that was there before the reload goes on to its end.
    old.must("RCPT TO:<user@site.test>", "250");
    old.must("DATA", "354");
    old.must("Subject: in between\r\n\r\nhello\r\n.", "250 2.0.0 Ok: queued as");
    site.wait_for_mail("user", "Subject: in between");

    // A mistake leaves everything as it was, and says so.
    site.write("main.cf", &format!("{main}smtpd_banner = never seen\nsmtpd_helo_required = perhaps\n"));
    let refused = site.run(&["postfix", "reload"], "");
    assert!(!refused.status.success());
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(text.contains("bad boolean configuration: smtpd_helo_required = perhaps"), "{text}");
    Client::connect(site.port).must("EHLO client.test", "250");
}

#[test]
fn a_sender_hears_of_a_delay_once() {
    let site = Site::new(
        &Authority::new("Test CA"),
        "transport_maps = inline:{ { slow.test = smtp:[127.0.0.1]:1 } }\ndelay_warning_time = 1s\nminimal_backoff_time = 1s\n\
         maximal_backoff_time = 1s\nrelay_domains = slow.test",
    )
    .start();
    let mut client = Client::connect(site.port);
    client.must("EHLO client.test", "250");
    client.send("user@site.test", &["someone@slow.test"], "Subject: slow\n\nhello\n");
    let notice = site.wait_for_mail("user", "Subject: Delayed Mail (still being retried)");
    for part in ["Action: delayed", "Will-Retry-Until: ", "Connection refused", "Subject: slow"] {
        assert!(notice.contains(part), "{part:?} in\n{notice}");
    }
    let attempts = || {
        site.log().matches("status=deferred (connect to 127.0.0.1[127.0.0.1]:1: Connection refused)").count()
    };
    let seen = attempts();
    assert!(wait_for(|| (attempts() > seen + 1).then_some(())).is_some(), "{}", site.log());
    assert_eq!(site.mailbox("user").len(), 1, "one notice for one delay");
}
