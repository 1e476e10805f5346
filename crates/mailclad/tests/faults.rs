//! Helpers that fail while the system runs: clients hear a temporary error, the log says why, and what is repaired is used again
//! without a restart.
#![allow(clippy::unwrap_used)] // a test has no other way out

mod support;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use support::{Client, Site, wait_for};
use testkit::authority::Authority;

/// What the client hears of one recipient.
fn rcpt(site: &Site) -> String {
    let mut client = Client::connect(site.port);
    client.must("EHLO client.test", "250");
    client.must("MAIL FROM:<sender@client.test>", "250");
    client.say("RCPT TO:<user@site.test>").trim_end().to_owned()
}

#[test]
fn a_table_that_is_cut_off() {
    let site = Site::new(
        &Authority::new("Test CA"),
        "smtpd_sender_restrictions = check_sender_access hash:DIR/access",
    );
    site.write("access", "sender@client.test REJECT not you\n");
    let build = |site: &Site| {
        let path = site.dir.path().join("access").display().to_string();
        assert!(site.run(&["postmap", &format!("hash:{path}")], "").status.success());
    };
    build(&site);
    let site = site.start();
    let refused = "554 5.7.1 <sender@client.test>: Sender address rejected: not you";
    assert_eq!(rcpt(&site), refused);
    let index = site.dir.path().join("access.db");
    let whole = std::fs::read(&index).unwrap();
    for length in [whole.len() / 2, 100, 0] {
        std::fs::write(&index, &whole[..length]).unwrap();
        let broken = wait_for(|| rcpt(&site).starts_with("451 4.3.5 ").then_some(()));
        assert!(broken.is_some(), "{length} bytes: {}\n{}", rcpt(&site), site.log());
    }
    site.wait_for_log(&["warning: ", "access"]);
    build(&site);
    assert!(wait_for(|| (rcpt(&site) == refused).then_some(())).is_some(), "{}", site.log());
}

/// A policy service that says whatever it is told to.
fn policy_service(answer: &Arc<Mutex<&'static str>>, asked: &Arc<AtomicUsize>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (answer, asked) = (Arc::clone(answer), Arc::clone(asked));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (answer, asked) = (Arc::clone(&answer), Arc::clone(&asked));
            std::thread::spawn(move || {
                let mut output = stream.try_clone().unwrap();
                for line in BufReader::new(stream).lines() {
                    match line {
                        Ok(line) if line.is_empty() => {
                            asked.fetch_add(1, Ordering::SeqCst);
                            let answer = *answer.lock().unwrap();
                            if answer.is_empty() || output.write_all(answer.as_bytes()).is_err() {
                                return;
                            }
                        }
                        Ok(_) => {}
                        Err(_) => return,
                    }
                }
            });
        }
    });
    port
}

#[test]
fn a_policy_service_that_talks_nonsense() {
    let (answer, asked) = (Arc::new(Mutex::new("action=DUNNO\n\n")), Arc::new(AtomicUsize::new(0)));
    let port = policy_service(&answer, &asked);
    let site = Site::new(
        &Authority::new("Test CA"),
        &format!(
            "smtpd_recipient_restrictions = check_policy_service {{ inet:127.0.0.1:{port}, timeout=2s, try_limit=2, \
             retry_delay=1s, {{ default_action = 451 4.3.5 ask_again }} }}, \
             check_recipient_access static:REJECT"
        ),
    );
    let site = site.start();
    let refused = "554 5.7.1 <user@site.test>: Recipient address rejected: Access denied";
    assert_eq!(rcpt(&site), refused);
    for nonsense in ["HTTP/1.1 400 Bad Request\r\n\r\n", "\n\n", "no end at all", "\u{0}\n\n", ""] {
        *answer.lock().unwrap() = nonsense;
        let heard = rcpt(&site);
        assert!(heard.starts_with("451 4.3.5 "), "{nonsense:?}: {heard}\n{}", site.log());
    }
    *answer.lock().unwrap() = "action=\n\n";
    assert_eq!(rcpt(&site), refused, "to say nothing is not to permit");
    site.wait_for_log(&["warning: ", &format!("127.0.0.1:{port}")]);
    *answer.lock().unwrap() = "action=OK\n\n";
    assert_eq!(rcpt(&site), "250 2.1.5 Ok", "it is asked again: {}", site.log());
    assert!(asked.load(Ordering::SeqCst) >= 8);
}
