//! What senders ask to be told: `sendmail -bv` and `-v`.
#![allow(clippy::unwrap_used)] // a test has no other way out

mod support;

use support::Site;
use testkit::authority::Authority;

fn site() -> Site {
    let site = Site::new(
        &Authority::new("Test CA"),
        "mydestination = local.test\nmyorigin = site.test\nlocal_recipient_maps =\nalias_maps = texthash:DIR/aliases\n\
         transport_maps = inline:{ { refused.test = error:5.7.1 not here } { gone.test = discard: } \
         { later.test = retry:4.2.2 come again } }",
    );
    site.write("aliases", "team user@site.test, outside@elsewhere.test\n");
    site.start()
}

#[test]
fn a_probe_reports_and_delivers_nothing() {
    let site = site();
    let to = [
        "user@site.test",
        "nobody@site.test",
        "team@local.test",
        "a@refused.test",
        "a@later.test",
        "a@gone.test",
    ];
    let sent = site.run(&[&["sendmail", "-f", "user@site.test", "-bv"], &to[..]].concat(), "");
    let said = String::from_utf8(sent.stdout).unwrap();
    assert_eq!(said, "Mail Delivery Status Report will be mailed to <user@site.test>.\n");
    for line in [
        "to=<user@site.test>, relay=virtual, ",
        "dsn=2.0.0, status=deliverable (delivers to maildir)",
        "dsn=5.1.1, status=undeliverable (unknown user: \"nobody@site.test\")",
        "to=<outside@elsewhere.test>, orig_to=<team@local.test>, relay=local, ",
        "status=deliverable (forwards to outside@elsewhere.test)",
        "to=<a@refused.test>, relay=none, ",
        "dsn=5.7.1, status=undeliverable (not here)",
        "dsn=4.2.2, status=undeliverable (come again)",
        "status=deliverable (gone.test)",
    ] {
        site.wait_for_log(&[line]);
    }
    let report = site.wait_for_mail("user", "Subject: Mail Delivery Status Report");
    for part in [
        "\nFinal-Recipient: rfc822; user@site.test\nOriginal-Recipient: rfc822;user@site.test\nAction: deliverable\n",
        "\nFinal-Recipient: rfc822; outside@elsewhere.test\n",
        "\nFinal-Recipient: rfc822; a@later.test\nOriginal-Recipient: rfc822;a@later.test\nAction: undeliverable\nStatus: 4.2.2\n",
        "\nReturn-Path: <user@site.test>\n",
        "\nSubject: probe\n",
    ] {
        assert!(report.contains(part), "{part:?} in\n{report}");
    }
    assert_eq!(site.mailbox("user").len(), 1, "the report alone");
    site.wait_for_log(&["removed"]);
}

#[test]
fn a_traced_message_is_delivered_and_reported() {
    let site = site();
    let arguments = ["sendmail", "-v", "-f", "user@site.test", "user@site.test", "a@later.test"];
    site.run(&arguments, "Subject: traced\n\nhello\n");
    site.wait_for_mail("user", "Subject: traced");
    let report = site.wait_for_mail("user", "Subject: Mail Delivery Status Report");
    for part in ["Action: delivered\n", "Action: delayed\n", "\nSubject: traced\n"] {
        assert!(report.contains(part), "{part:?} in\n{report}");
    }
    assert!(!report.contains("\nhello"), "{report}");
}
