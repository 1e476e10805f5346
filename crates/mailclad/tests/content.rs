//! What is done with the content of mail on its way in: header and body checks, filters behind the queue, and cleanup services that
//! differ from one port to the other.
#![allow(clippy::unwrap_used)] // a test has no other way out

mod support;

use support::{Client, Site, free_port};
use testkit::authority::Authority;

const HEADER: &str = "\
/^subject: refused$/ REJECT 5.7.9 not this one\n\
/^subject: old (.*)/ REPLACE Subject: new $1\n\
/^x-secret:/ IGNORE\n\
/^x-mark:/ PREPEND X-Marked: yes\n\
/^x-vanish:/ DISCARD\n\
/^x-hold:/ HOLD for a look\n\
/^x-copy:/ BCC other@site.test\n";

const MIME: &str = "/^content-disposition: attachment.*\\.exe/ REJECT no programs\n";

const BODY: &str = "/^buy now/ REJECT 4.7.1 come back later\n/^name: (.*)/ REPLACE name: ***\n";

fn site(extra: &str) -> Site {
    let site = Site::new(
        &Authority::new("Test CA"),
        &format!(
            "header_checks = regexp:DIR/header\nmime_header_checks = regexp:DIR/mime\nnested_header_checks =\n\
             body_checks = regexp:DIR/body\n{extra}"
        ),
    );
    site.write("header", HEADER);
    site.write("mime", MIME);
    site.write("body", BODY);
    site
}

fn send(site: &Site, content: &str) -> String {
    let mut client = Client::connect(site.port);
    client.must("EHLO client.test", "250");
    client.send("sender@client.test", &["user@site.test"], content)
}

#[test]
fn tables_judge_headers_parts_and_lines() {
    let site = site("").start();
    for (content, expected) in [
        ("Subject: refused\n\nhello\n", "550 5.7.9 not this one"),
        (
            "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Disposition: attachment;\n name=x.exe\n\nMZ\n--b--\n",
            "550 5.7.1 no programs",
        ),
        ("Subject: x\n\nhello\nbuy now\n", "451 4.7.1 come back later"),
        ("X-Vanish: 1\n\nhello\n", "250 2.0.0 Ok: queued as"),
        (
            "Subject: old hat\nX-Secret: 1\nX-Mark: 1\nX-Copy: 1\n\nname: me\nhello\n",
            "250 2.0.0 Ok: queued as",
        ),
        ("Subject: held\nX-Hold: 1\n\nhello\n", "250 2.0.0 Ok: queued as"),
    ] {
        let reply = send(&site, content);
        assert!(reply.starts_with(expected), "{content:?}: {reply}");
    }
    let mail = site.wait_for_mail("user", "Subject: new hat");
    assert!(mail.contains("\nX-Marked: yes\nX-Mark: 1\n"), "{mail}");
    assert!(mail.contains("\n\nname: ***\nhello\n"), "{mail}");
    assert!(!mail.contains("X-Secret"), "{mail}");
    site.wait_for_mail("other", "Subject: new hat");
    site.wait_for_log(&[
        "reject: header Subject: refused from localhost[127.0.0.1]; from=<sender@client.test> to=<user@site.test> \
         proto=ESMTP helo=<client.test>: 5.7.9 not this one",
    ]);
    site.wait_for_log(&["reject: body buy now from", ": 4.7.1 come back later"]);
    site.wait_for_log(&["hold: header X-Hold: 1 from", ": for a look"]);
    let listing = site.run(&["postqueue", "-p"], "");
    assert!(String::from_utf8_lossy(&listing.stdout).contains("! "), "the held message is in the queue");
    assert_eq!(site.mailbox("user").len(), 1);
}

#[test]
fn a_filter_behind_the_queue_brings_mail_back_through_another_port() {
    // The filter is this site itself: it sends to its own second port, where nothing is checked or rewritten again.
    let port = free_port();
    let site = site(&format!("content_filter = smtp:[127.0.0.1]:{port}\nalways_bcc = other@site.test"));
    let master = std::fs::read_to_string(site.dir.path().join("master.cf")).unwrap()
        + &format!(
            "127.0.0.1:{port} inet n - n - - smtpd\n  -o content_filter=\n  \
             -o receive_override_options=no_header_body_checks,no_address_mappings,no_unknown_recipient_checks\n"
        );
    site.write("master.cf", &master);
    let site = site.start();
    let reply = send(&site, "Subject: old hat\n\nhello\n");
    assert!(reply.starts_with("250 "), "{reply}");
    let mail = site.wait_for_mail("user", "Subject: new hat");
    assert_eq!(
        mail.matches("\nReceived: ").count() + usize::from(mail.starts_with("Received: ")),
        2,
        "{mail}"
    );
    site.wait_for_mail("other", "Subject: new hat");
    site.wait_for_log(&[
        "relay=127.0.0.1[127.0.0.1]:",
        "to=<other@site.test>",
        "status=sent (250 2.0.0 Ok: queued as",
    ]);
    assert_eq!(site.mailbox("other").len(), 1, "one copy, made before the filter");
}

#[test]
fn a_service_names_its_own_cleanup() {
    let site = site("");
    let stock = std::fs::read_to_string(site.dir.path().join("master.cf")).unwrap();
    let port = free_port();
    let master = stock
        + &format!(
            "127.0.0.1:{port} inet n - n - - smtpd\n  -o cleanup_service_name=plain\n\
             plain unix n - n - 0 cleanup\n  -o header_checks=\n  -o syslog_name=postfix/plain\n"
        );
    site.write("master.cf", &master);
    let site = site.start();
    let mut client = Client::connect(port);
    client.must("EHLO client.test", "250");
    let reply = client.send("sender@client.test", &["user@site.test"], "Subject: refused\n\nhello\n");
    assert!(reply.starts_with("250 "), "{reply}");
    site.wait_for_mail("user", "Subject: refused");
    site.wait_for_log(&["postfix/plain/cleanup[", "message-id="]);
}
