//! The main job, from outside: real processes, real sockets, real certificates.
#![allow(clippy::unwrap_used)] // a test has no other way out

mod support;

use std::process::Command;

use support::{Client, Site, wait_for};
use testkit::authority::Authority;

#[test]
fn a_message_over_starttls_arrives_with_its_story() {
    let site = Site::new(&Authority::new("Test CA"), "").start();
    let mut client = Client::connect(site.port);
    client.must("EHLO client.test", "250");
    let mut client = client.starttls(&site.ca());
    let offer = client.must("EHLO client.test", "250");
    assert!(!offer.contains("STARTTLS"), "{offer}");
    let reply = client.send("sender@client.test", &["user@site.test"], "Subject: hello\n\nover TLS\n..dot\n");
    assert!(reply.starts_with("250 2.0.0 Ok: queued as "), "{reply}");
    client.must("QUIT", "221");

    let message = site.wait_for_mail("user", "over TLS");
    for part in [
        "Return-Path: <sender@client.test>\n",
        "X-Original-To: user@site.test\n",
        "Delivered-To: user@site.test\n",
        "Received: from client.test (",
        "\n\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)\n\t key-exchange ",
        " server-signature ECDSA (prime256v1) server-digest SHA256)\n",
        "\n\t(No client certificate requested)\n",
        "\n\tby mx.site.test (Postfix) with ESMTPS id ",
        "\n\tfor <user@site.test>; ",
        "\nSubject: hello\n",
        "\nMessage-Id: <",
        "\n\nover TLS\n.dot\n",
    ] {
        assert!(message.contains(part), "{part:?} in\n{message}");
    }
    site.wait_for_log(&[
        "postfix/smtpd[",
        "Anonymous TLS connection established from ",
        "TLSv1.3 with cipher",
    ]);
    site.wait_for_log(&["postfix/qmgr[", "from=<sender@client.test>, size=", "nrcpt=1 (queue active)"]);
    site.wait_for_log(&[
        "postfix/virtual[",
        "to=<user@site.test>, relay=virtual, delay=",
        "dsn=2.0.0, status=sent (delivered to maildir)",
    ]);
    site.wait_for_log(&["postfix/qmgr[", ": removed"]);
    site.wait_for_log(&["disconnect from ", "ehlo=2 starttls=1 mail=1 rcpt=1 data=1 quit=1 commands=7"]);
}

#[test]
fn wrapper_mode_speaks_tls_from_the_first_byte() {
    let site = Site::new(&Authority::new("Test CA"), "").start();
    let mut client = Client::connect_tls(site.wrapper_port, &site.ca());
    let offer = client.must("EHLO client.test", "250");
    assert!(!offer.contains("STARTTLS"), "{offer}");
    client.must("STARTTLS", "554 5.5.1 Error: TLS already active");
    let reply = client.send("sender@client.test", &["user@site.test"], "Subject: wrapped\n\nhello\n");
    assert!(reply.starts_with("250 2.0.0 Ok: queued as "), "{reply}");
    site.wait_for_mail("user", "Subject: wrapped");
    site.wait_for_log(&["postfix/smtps/smtpd[", "TLS connection established from"]);
}

#[test]
fn mail_for_others_is_relayed_over_verified_tls() {
    let authority = Authority::new("Test CA");
    let target = Site::new(&authority, "smtpd_tls_security_level = encrypt").start();
    let relay = Site::new(
        &authority,
        &format!(
            "relayhost = [localhost]:{}\nsmtp_tls_security_level = verify\nsmtp_host_lookup = native\n\
             virtual_mailbox_domains = elsewhere.test",
            target.port
        ),
    )
    .start();
    let mut client = Client::connect(relay.port);
    client.must("EHLO client.test", "250");
    client.send("sender@client.test", &["user@site.test"], "Subject: relayed\n\nhello\n");
    let message = target.wait_for_mail("user", "Subject: relayed");
    assert!(message.contains("with ESMTPS id "), "{message}");
    relay.wait_for_log(&["postfix/smtp[", "Verified TLS connection established to localhost[127.0.0.1]:"]);
    relay.wait_for_log(&[
        "to=<user@site.test>, relay=localhost[127.0.0.1]:",
        "tls=verify",
        "status=sent (250 2.0.0 Ok",
    ]);
}

#[test]
fn a_certificate_that_does_not_fit_defers_and_says_so() {
    let target = Site::new(&Authority::new("Other CA"), "").start();
    let relay = Site::new(
        &Authority::new("Test CA"),
        &format!(
            "relayhost = [localhost]:{}\nsmtp_tls_security_level = verify\nsmtp_host_lookup = native\n\
             virtual_mailbox_domains = elsewhere.test",
            target.port
        ),
    )
    .start();
    let mut client = Client::connect(relay.port);
    client.must("EHLO client.test", "250");
    client.send("sender@client.test", &["user@site.test"], "Subject: waits\n\nhello\n");
    relay.wait_for_log(&["dsn=4.7.5, status=deferred (Server certificate not verified)", "tls=!verify"]);
    relay.wait_for_log(&[
        "certificate verification failed for localhost[127.0.0.1]:",
        "untrusted issuer /CN=Other CA",
    ]);
    assert!(target.mailbox("user").is_empty());
    let listing = relay.wait_for_queue(|listing| listing.contains("(Server certificate not verified)"));
    assert!(listing.contains("-- 0 Kbytes in 1 Request."), "{listing}");
    let deleted = relay.run(&["postsuper", "-d", "ALL"], "");
    assert!(String::from_utf8_lossy(&deleted.stderr).contains("Deleted: 1 message"));
    relay.wait_for_queue(|listing| listing.contains("Mail queue is empty"));
}

#[test]
fn what_another_server_refuses_returns_to_its_sender() {
    let authority = Authority::new("Test CA");
    let target = Site::new(&authority, "mynetworks = 192.0.2.0/24").start();
    let site = Site::new(
        &authority,
        &format!("transport_maps = inline:{{ {{ refused.test = smtp:[127.0.0.1]:{} }} }}", target.port),
    )
    .start();
    let mut client = Client::connect(site.port);
    client.must("EHLO client.test", "250");
    let reply = client.send(
        "user@site.test",
        &["nobody@refused.test", "other@site.test"],
        "Subject: lost\n\nhello\n",
    );
    assert!(reply.starts_with("250"), "{reply}");
    // 454 from defer_unauth_destination: waits. An administrator who knows better ends the wait.
    site.wait_for_log(&[
        "to=<nobody@refused.test>",
        "status=deferred (host 127.0.0.1[127.0.0.1] said: 454 4.7.1 ",
    ]);
    site.wait_for_mail("other", "Subject: lost");
    site.wait_for_queue(|listing| listing.contains("(host 127.0.0.1[127.0.0.1] said: 454 4.7.1 "));
    let expired = site.run(&["postsuper", "-e", "ALL"], "");
    assert!(expired.status.success(), "{}", String::from_utf8_lossy(&expired.stderr));
    assert!(site.run(&["postqueue", "-f"], "").status.success());
    let bounce = site.wait_for_mail("user", "Subject: Undelivered Mail Returned to Sender");
    for part in [
        "Return-Path: <>",
        "Final-Recipient: rfc822; nobody@refused.test",
        "Status: 4.7.1",
        "Diagnostic-Code: smtp; 454 4.7.1 <nobody@refused.test>: Relay access denied",
        "Subject: lost",
    ] {
        assert!(bounce.contains(part), "{part:?} in\n{bounce}");
    }
    assert!(!bounce.contains("other@site.test>:"), "{bounce}");
    site.wait_for_log(&["status=force-expired, returned to sender"]);
    site.wait_for_log(&["sender non-delivery notification: "]);
}

#[test]
fn strangers_can_not_relay_and_unknown_users_are_refused() {
    let site = Site::new(&Authority::new("Test CA"), "mynetworks = 192.0.2.0/24").start();
    let mut client = Client::connect(site.port);
    client.must("EHLO client.test", "250");
    client.must("MAIL FROM:<a@client.test>", "250 2.1.0 Ok");
    client.must("RCPT TO:<x@elsewhere.test>", "454 4.7.1 <x@elsewhere.test>: Relay access denied");
    client.must(
        "RCPT TO:<nobody@site.test>",
        "550 5.1.1 <nobody@site.test>: Recipient address rejected: User unknown in virtual mailbox table",
    );
    client.must("RCPT TO:<user@site.test>", "250 2.1.5 Ok");
    site.wait_for_log(&[
        "reject: RCPT from ",
        "Relay access denied; from=<a@client.test> to=<x@elsewhere.test> proto=ESMTP",
    ]);
}

#[test]
fn sendmail_submits_and_waits_for_a_system_that_is_down() {
    let mut site = Site::new(&Authority::new("Test CA"), "").start();
    let sent = site
        .run(&["sendmail", "-f", "me@site.test", "-t"], "To: user@site.test\nSubject: by hand\n\nhello\n");
    assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));
    let message = site.wait_for_mail("user", "Subject: by hand");
    assert!(message.contains("Received: by mx.site.test (Postfix, from userid "), "{message}");
    site.stop();
    let sent = site.run(&["sendmail", "-f", "me@site.test", "other@site.test"], "Subject: later\n\nhello\n");
    assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));
    site.restart();
    site.wait_for_mail("other", "Subject: later");
}

#[test]
fn no_acknowledged_message_is_lost_when_roles_are_killed() {
    let site = Site::new(&Authority::new("Test CA"), "smtpd_client_connection_count_limit = 0").start();
    let mut acknowledged = Vec::new();
    for (round, role) in ["queue", "receive", "send", "local"].iter().enumerate() {
        for n in 0..20 {
            let body = format!("Subject: m{round}-{n}\n\nhello\n");
            if n == 10 {
                let pid = wait_for(|| site.pid_of(role)).unwrap();
                assert!(Command::new("kill").args(["-9", &pid]).status().unwrap().success());
            }
            // A session that a killed role ends is no acknowledgement; the client comes again, as every client does.
            let sent = wait_for(|| {
                let attempt = std::panic::catch_unwind(|| {
                    let mut client = Client::connect(site.port);
                    client.must("EHLO client.test", "250");
                    client.send("sender@client.test", &["user@site.test"], &body)
                });
                attempt.ok().filter(|reply| reply.starts_with("250"))
            });
            assert!(sent.is_some(), "{role} did not come back:\n{}", site.log());
            acknowledged.push(format!("Subject: m{round}-{n}\n"));
        }
    }
    for subject in acknowledged {
        site.wait_for_mail("user", &subject);
    }
}

#[test]
fn start_does_not_keep_its_callers_pipe() {
    let site = Site::new(&Authority::new("Test CA"), "");
    // Reads both outputs to their end: with the system holding one of them, that would come when it stops.
    let started = site.run(&["postfix", "start"], "");
    let said =
        String::from_utf8_lossy(&started.stderr).into_owned() + &String::from_utf8_lossy(&started.stdout);
    assert!(started.status.success() && said.contains("starting the Postfix mail system"), "{said}");
    let stopped = site.run(&["postfix", "stop"], "");
    assert!(stopped.status.success(), "{stopped:?}");
}

/// A table that only root may read is open before the queue gives up root, is followed, and outlives a reload.
#[test]
fn the_queue_knows_tables_of_roots_own() {
    let authority = Authority::new("Test CA");
    let settings = "transport_maps = texthash:DIR/transport\nrelay_domains = static:all\n\
                    smtpd_reject_unlisted_recipient = no\nsmtpd_relay_restrictions = permit_mynetworks, reject";
    let site = Site::new(&authority, settings);
    let folder = site.dir.path().to_owned();
    let write = |site: &Site, text: &str| {
        site.write("new", text);
        std::fs::set_permissions(folder.join("new"), std::os::unix::fs::PermissionsExt::from_mode(0o600))
            .unwrap();
        std::fs::rename(folder.join("new"), folder.join("transport")).unwrap();
    };
    write(&site, "one.test discard:first\n");
    let site = site.start();
    let send = |number: usize| {
        let mut client = Client::connect(site.port);
        client.must("EHLO client.test", "250");
        client.send("sender@site.test", &[&format!("u{number}@one.test")], "Subject: x\n\ntext\n");
        site.wait_for_log(&[&format!("to=<u{number}@one.test>, "), "status="])
    };
    assert!(send(0).contains("status=sent (first)"), "{}", site.log());
    write(&site, "one.test discard:second\n");
    let mut number = 0;
    let followed = wait_for(|| {
        number += 1;
        send(number).contains("status=sent (second)").then_some(())
    });
    assert!(followed.is_some(), "{}", site.log());
    site.run(&["postfix", "reload"], "");
    site.wait_for_log(&["reload"]);
    assert!(send(number + 1).contains("status=sent (second)"), "{}", site.log());
}
