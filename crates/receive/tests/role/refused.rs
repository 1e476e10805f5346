//! Access control as clients and the log see it.

use crate::common::{PLAIN, Queue, Running};

#[test]
fn strangers_may_not_relay_and_unknown_users_are_not_taken_in() {
    let role = Running::start("", PLAIN, Queue::Keeps, &[]);
    let mut client = role.client();
    client.reply();
    client.dialogue(&[
        ("EHLO client.test", "250-"),
        ("MAIL FROM:<s@remote.test>", "250"),
        ("RCPT TO:<x@elsewhere.test>", "554 5.7.1 <x@elsewhere.test>: Relay access denied"),
        ("RCPT TO:<x%elsewhere.test@example.test>", "554 5.7.1 <x%elsewhere.test@example.test>: Relay access denied"),
        (
            "RCPT TO:<nobody@example.test>",
            "550 5.1.1 <nobody@example.test>: Recipient address rejected: User unknown in local recipient table",
        ),
        ("DATA", "554 5.5.1 Error: no valid recipients"),
        ("RSET", "250"),
        ("VRFY user@example.test", "252 2.0.0 user@example.test"),
        ("VRFY nobody@example.test", "550 5.1.1"),
        ("ETRN elsewhere.test", "459 <elsewhere.test>: service unavailable"),
    ]);
    role.log_with(
        "NOQUEUE: reject: RCPT from unknown[127.0.0.1]: 554 5.7.1 <x@elsewhere.test>: Relay access denied; \
         from=<s@remote.test> to=<x@elsewhere.test> proto=ESMTP helo=<client.test>",
    );
}

#[test]
fn actions_reach_the_message() {
    let main_cf = "smtpd_sender_restrictions = check_sender_access inline:{ {h@remote.test = HOLD}, \
        {d@remote.test = DISCARD}, {p@remote.test = PREPEND X-Seen: yes}, {f@remote.test = FILTER smtp:[192.0.2.9]}, \
        {r@remote.test = REDIRECT else@example.test} }";
    let role = Running::start(main_cf, PLAIN, Queue::Keeps, &[]);
    let mut client = role.client();
    client.reply();
    client.say("EHLO client.test");
    for sender in ["h", "d", "p", "f", "r"] {
        client.dialogue(&[
            (&format!("MAIL FROM:<{sender}@remote.test>"), "250"),
            ("RCPT TO:<user@example.test>", "250"),
            ("DATA", "354"),
            ("A: b\r\n\r\nbody\r\n.", "250 2.0.0 Ok: queued as"),
        ]);
    }
    let held = role.next_kept();
    assert!(held.new.hold);
    let prepended = role.next_kept();
    assert_eq!(prepended.new.message.envelope.sender.as_str(), "p@remote.test", "the second was discarded");
    assert!(prepended.content.starts_with("X-Seen: yes\nReceived: from "), "{}", prepended.content);
    assert_eq!(role.next_kept().new.message.filter.as_deref(), Some("smtp:[192.0.2.9]"));
    let recipients = role.next_kept().new.message.envelope.recipients;
    assert_eq!(recipients.len(), 1);
    assert_eq!(recipients[0].address.as_str(), "else@example.test");
    role.log_with(
        ": hold: RCPT from unknown[127.0.0.1]: <h@remote.test>: Sender address triggers HOLD action; from=",
    );
}

#[test]
fn what_is_not_known_is_never_a_permit() {
    for restriction in ["no_such_thing", "reject_unknown_forward_client_hostname"] {
        let main_cf = format!("smtpd_recipient_restrictions = {restriction}, permit");
        let role = Running::start(&main_cf, PLAIN, Queue::Keeps, &[]);
        let mut client = role.client();
        client.reply();
        client.dialogue(&[
            ("EHLO client.test", "250-"),
            ("MAIL FROM:<s@remote.test>", "250"),
            ("RCPT TO:<user@example.test>", "451 4.3.5 Server configuration error"),
        ]);
        role.log_with(&format!("warning: unknown smtpd restriction: \"{restriction}\""));
    }
}

#[test]
fn a_bad_service_does_not_stop_the_others() {
    let master_cf = "smtp inet n - n - - smtpd\n\
        2525 inet n - n - - smtpd -o smtpd_relay_restrictions=permit -o smtpd_recipient_restrictions=permit\n";
    let role = Running::start_some("", master_cf, Queue::Keeps, &[], &[1]);
    let mut client = role.client();
    assert!(client.reply().starts_with("220 "));
    role.log_with(
        "service 2525 is not started: in parameter smtpd_relay_restrictions or smtpd_recipient_restrictions, specify \
         at least one working instance of: reject_unauth_destination, ",
    );
}

#[test]
fn a_client_is_refused_at_once_without_delay_reject() {
    let main_cf =
        "smtpd_delay_reject = no\nsmtpd_client_restrictions = check_client_access inline:{127.0.0=REJECT}";
    let role = Running::start(main_cf, PLAIN, Queue::Keeps, &[]);
    let mut client = role.client();
    assert_eq!(client.reply(), "554 5.7.1 <unknown[127.0.0.1]>: Client host rejected: Access denied");
    client.dialogue(&[("EHLO x", "503 5.7.0 Error: access denied for unknown[127.0.0.1]"), ("QUIT", "221")]);
    role.log_with("NOQUEUE: reject: CONNECT from unknown[127.0.0.1]: 554 5.7.1 ");
}
