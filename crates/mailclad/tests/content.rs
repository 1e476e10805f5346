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
    site.wait_for_queue(|listing| listing.contains("! "));
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

#[test]
fn structure_is_mended_converted_or_refused() {
    let eight_bit = "Subject: x\nContent-Transfer-Encoding: 8bit\n\nh\u{e4}llo\n";
    for (setting, content, expected, kept) in [
        ("", "Subject: x\nno field\n", "250", "Subject: x\n\nno field\n"),
        (
            "non_empty_end_of_header_action = add_header",
            "Subject: x\nno field\n",
            "250",
            "Subject: x\nMIME-Error: message header was not terminated by empty line\n\nno field\n",
        ),
        (
            "non_empty_end_of_header_action = reject",
            "Subject: x\nno field\n",
            "550 5.6.0 message header was not terminated by empty line\r\n",
            "",
        ),
        ("non_empty_end_of_header_action = reject", "Subject: x\n\nbody\n", "250", "Subject: x\n\nbody\n"),
        ("", eight_bit, "250", eight_bit),
        (
            "force_mime_input_conversion = yes\nbody_checks = static:INFO",
            eight_bit,
            "250",
            "Subject: x\nContent-Transfer-Encoding: quoted-printable\n\nh=C3=A4llo\n",
        ),
    ] {
        let extra = format!("local_header_rewrite_clients =\n{setting}");
        let site = Site::new(&Authority::new("Test CA"), &extra).start();
        let reply = send(&site, content.trim_end());
        assert!(reply.starts_with(expected), "{setting}: {reply}");
        match kept {
            "" => drop(site.wait_for_log(&[
                "reject: mime-error message header was not terminated by empty line: no field from localhost[127.0.0.1]; \
                 from=<sender@client.test> to=<user@site.test>",
            ])),
            kept => {
                let mail = site.wait_for_mail("user", "Subject: x");
                assert!(mail.ends_with(kept), "{setting}: {mail}");
            }
        }
        if setting.contains("INFO") {
            site.wait_for_log(&["info: body h=C3=A4llo from"]);
        }
    }
}

/// What a header says of its content, and whether characters beyond ASCII ask for SMTPUTF8, the next server is told.
#[test]
fn the_next_server_hears_what_the_header_says() {
    use support::peer::{Script, ScriptedPeer};
    let eight_bit = "Subject: x\nContent-Transfer-Encoding: 8bit\n\nh\u{e4}llo\n";
    for (setting, content, local, expected) in [
        ("", eight_bit, false, "MAIL FROM:<sender@client.test> SIZE=SIZE BODY=8BITMIME"),
        ("detect_8bit_encoding_header = no", eight_bit, false, "MAIL FROM:<sender@client.test> SIZE=SIZE"),
        ("", "Subject: h\u{e4}llo\n\nx\n", false, "MAIL FROM:<sender@client.test> SIZE=SIZE"),
        ("", "Subject: h\u{e4}llo\n\nx\n", true, "MAIL FROM:<sender@client.test> SIZE=SIZE SMTPUTF8"),
        (
            "smtputf8_autodetect_classes = smtpd",
            "Subject: h\u{e4}llo\n\nx\n",
            false,
            "MAIL FROM:<sender@client.test> SIZE=SIZE SMTPUTF8",
        ),
        (
            "smtputf8_autodetect_classes = smtpd",
            "Subject: h\u{e4}llo\n\nx\n",
            true,
            "MAIL FROM:<sender@client.test> SIZE=SIZE",
        ),
    ] {
        let port = free_port();
        let script = Script::parse("offer 8BITMIME, SMTPUTF8, SIZE").unwrap();
        let peer = ScriptedPeer::start("127.0.0.1", port, script);
        let extra = format!("relayhost = [127.0.0.1]:{port}\nsmtp_tls_security_level = none\n{setting}");
        let site = Site::new(&Authority::new("Test CA"), &extra).start();
        match local {
            true => {
                let sent = site.run(&["sendmail", "-f", "sender@client.test", "a@elsewhere.test"], content);
                assert!(sent.status.success(), "{sent:?}");
            }
            false => {
                let mut client = Client::connect(site.port);
                client.must("EHLO client.test", "250");
                let reply = client.send("sender@client.test", &["a@elsewhere.test"], content);
                assert!(reply.starts_with("250"), "{reply}");
            }
        }
        let heard = support::wait_for(|| peer.heard().into_iter().find(|line| line.contains("MAIL FROM")));
        let heard = heard.unwrap_or_else(|| panic!("{}", site.log()));
        let words: Vec<&str> =
            heard.split(' ').map(|w| if w.starts_with("SIZE=") { "SIZE=SIZE" } else { w }).collect();
        assert_eq!(words.join(" "), expected, "{setting} {local}: {content:?}");
    }
}
