//! Notices as their readers get them: in the administrator's words, in the thread of the message, with a sender for each recipient.
#![allow(clippy::unwrap_used)]

mod support;

use support::{Client, Site, wait_for};
use testkit::authority::Authority;

/// Mail for bad.test is refused; the sender is a user here.
fn site(extra: &str) -> Site {
    let routing = "relay_domains = bad.test, slow.test\nsmtpd_reject_unlisted_recipient = no\n\
                   smtpd_relay_restrictions = permit_mynetworks, reject\nrecipient_delimiter = +\n\
                   transport_maps = inline:{ {bad.test = failing:}, {slow.test = waiting:} }\n";
    let site = Site::new(&Authority::new("Test CA"), &format!("{routing}{extra}"));
    // Commands run as somebody who is neither root nor the mail system's owner.
    let user = if support::uid() == 0 { "daemon".to_owned() } else { user_name() };
    let pipes = format!(
        "failing unix - n n - - pipe\n  user={user} argv=/bin/sh -c {{echo nobody of that name; exit 67}}\n\
         waiting unix - n n - - pipe\n  user={user} argv=/bin/sh -c {{test -e DIR/open || exit 75}}\n"
    );
    let pipes = pipes.replace("DIR", &site.dir.path().display().to_string());
    let master = std::fs::read_to_string(site.dir.path().join("master.cf")).unwrap();
    site.write("master.cf", &(master + &pipes));
    site
}

fn user_name() -> String {
    let output = std::process::Command::new("id").arg("-un").output().unwrap();
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
fn the_administrators_words_in_the_thread_of_the_message() {
    let site = site("bounce_template_file = DIR/bounce.cf\nenable_threaded_bounces = yes");
    site.write(
        "bounce.cf",
        "failure_template = <<EOF\nCharset: utf-8\nFrom: Post Office <post-office>\nSubject: Unzustellbar\n\n\
         Grüße von $myhostname, nach höchstens $maximal_queue_lifetime_days Tagen.\nEOF\n",
    );
    let site = site.start();
    let mut client = Client::connect(site.port);
    client.must("EHLO client.test", "250");
    client.send("user@site.test", &["gone@bad.test"], "Subject: x\nMessage-Id: <m1@client.test>\n\nbody\n");
    let notice = site.wait_for_mail("user", "Subject: Unzustellbar");
    for part in [
        "From: Post Office <post-office@mx.site.test>\n",
        "In-Reply-To: <m1@client.test>\nReferences: <m1@client.test>\n",
        "Content-Type: text/plain; charset=utf-8\n",
        "\nGrüße von mx.site.test, nach höchstens 5 Tagen.\n",
        "\nFinal-Recipient: rfc822; gone@bad.test\n",
    ] {
        assert!(notice.contains(part), "{part:?} in\n{notice}");
    }
}

#[test]
fn a_template_file_with_a_mistake_is_not_used_and_the_log_says_why() {
    let site = site("bounce_template_file = DIR/bounce.cf");
    site.write("bounce.cf", "failure_template = <<EOF\nNo header\n\ntext\nEOF\n");
    let site = site.start();
    site.wait_for_log(&[
        "warning: bounce_template_file: ",
        "bounce.cf, line 1: failure_template: \"No header\" is no header",
    ]);
    let mut client = Client::connect(site.port);
    client.must("EHLO client.test", "250");
    client.send("user@site.test", &["gone@bad.test"], "Subject: x\n\nbody\n");
    site.wait_for_mail("user", "Subject: Undelivered Mail Returned to Sender");
}

#[test]
fn with_verp_each_recipient_has_its_sender_and_its_bounce() {
    let site = site("").start();
    let sent = site.run(
        &["sendmail", "-XV", "-f", "user@site.test", "one@bad.test", "two@bad.test"],
        "Subject: to a list\n\nbody\n",
    );
    assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));
    let both = wait_for(|| {
        let notices = site.mailbox("user");
        (notices.len() == 2).then_some(notices)
    });
    let notices = both.unwrap_or_else(|| panic!("{}", site.log()));
    for name in ["one", "two"] {
        let to = format!("\nTo: user+{name}=bad.test@site.test\n");
        let notice =
            notices.iter().find(|notice| notice.contains(&to)).unwrap_or_else(|| panic!("{notices:?}"));
        assert_eq!(notice.matches("\nFinal-Recipient: ").count(), 1);
        assert!(notice.contains(&format!("\nFinal-Recipient: rfc822; {name}@bad.test\n")), "{notice}");
    }
    let refused = site.run(&["sendmail", "-XVab", "-f", "user@site.test", "one@bad.test"], "\n");
    assert_eq!(refused.status.code(), Some(75));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("-V requires two characters from -=+"));
}

#[test]
fn the_end_of_a_delay_is_told_to_whom_the_delay_was_told() {
    let site = site("confirm_delay_cleared = yes\ndelay_warning_time = 1s\nminimal_backoff_time = 1s\nmaximal_backoff_time = 1s")
        .start();
    let mut client = Client::connect(site.port);
    client.must("EHLO client.test", "250");
    client.send("user@site.test", &["late@slow.test"], "Subject: x\n\nbody\n");
    site.wait_for_mail("user", "Subject: Delayed Mail (still being retried)");
    site.write("open", "");
    let notice = site.wait_for_mail("user", "Subject: Successful Mail Delivery Report");
    assert!(notice.contains("\nFinal-Recipient: rfc822; late@slow.test\n"), "{notice}");
}

#[test]
fn a_table_says_what_failures_are_called() {
    let site =
        site("pipe_delivery_status_filter = regexp:{ {/^5[.]1[.]1 (.*)/ 4.1.1 not yet: $$1} }").start();
    let mut client = Client::connect(site.port);
    client.must("EHLO client.test", "250");
    client.send("user@site.test", &["gone@bad.test"], "Subject: x\n\nbody\n");
    site.wait_for_log(&["to=<gone@bad.test>", "dsn=4.1.1, status=deferred (not yet: "]);
    site.wait_for_queue(|listing| listing.contains("(not yet: "));
}
