//! verify(8), from the client's RCPT TO through a probe to the answer, and from the cache after a restart.
#![allow(clippy::unwrap_used)] // a test has no other way out

mod support;

use support::{Client, Site};
use testkit::authority::Authority;

#[test]
fn probes_decide_and_are_remembered() {
    let mut site = Site::new(
        &Authority::new("Test CA"),
        "relay_domains = refused.test, later.test, other.test\n\
         smtpd_recipient_restrictions = reject_unverified_recipient\n\
         unverified_recipient_reject_code = 550\naddress_verify_poll_delay = 20s\n\
         virtual_alias_maps = inline:{ { many@site.test = user@site.test, a@refused.test } }\n\
         transport_maps = inline:{ { refused.test = error:5.7.1 not here } { later.test = retry:4.2.2 come again } \
         { other.test = smtp:[127.0.0.1]:1 } }\n\
         address_verify_transport_maps = inline:{ { refused.test = error:5.7.1 not here } \
         { later.test = retry:4.2.2 come again } { other.test = discard: } }",
    );
    site = site.start();
    let ask = |site: &Site| {
        let mut client = Client::connect(site.port);
        client.must("EHLO client.test", "250");
        client.must("MAIL FROM:<s@remote.test>", "250");
        for (recipient, expected) in [
            ("user@site.test", "250 2.1.5 Ok"),
            (
                "a@refused.test",
                "550 5.1.1 <a@refused.test>: Recipient address rejected: undeliverable address: not here",
            ),
            (
                "a@later.test",
                "450 4.1.1 <a@later.test>: Recipient address rejected: unverified address: come again",
            ),
            ("many@site.test", "250 2.1.5 Ok"),
            ("a@other.test", "250 2.1.5 Ok"),
            ("double-bounce@mx.site.test", "250 2.1.5 Ok"),
        ] {
            assert_eq!(client.say(&format!("RCPT TO:<{recipient}>")).trim_end(), expected, "{}", site.log());
        }
        client.must("QUIT", "221");
    };
    ask(&site);
    for line in [
        "from=<double-bounce@mx.site.test>, size=",
        "to=<user@site.test>, relay=virtual, ",
        "status=deliverable (delivers to maildir)",
        "dsn=5.7.1, status=undeliverable (not here)",
        "dsn=4.2.2, status=undeliverable (come again)",
        "to=<a@other.test>, relay=none, ",
    ] {
        site.wait_for_log(&[line]);
    }
    let probes = |site: &Site| site.log().matches("from=<double-bounce@").count();
    assert_eq!(probes(&site), 4);
    ask(&site);
    assert_eq!(probes(&site), 4, "nothing is asked twice\n{}", site.log());
    assert!(site.mailbox("user").is_empty(), "a probe delivers nothing and reports nothing");
    site.wait_for_queue(|listing| listing == "Mail queue is empty\n");
    site.stop();
    site.restart();
    ask(&site);
    assert_eq!(probes(&site), 4, "the cache survives\n{}", site.log());
}
