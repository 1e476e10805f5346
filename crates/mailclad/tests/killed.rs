//! Processes killed under load, again and again: every message that was acknowledged arrives. What arrives twice was delivered by
//! a process that died before it could say so.
//!
//! `MAILCLAD_ROUNDS=50` kills fifty times; the assertions hold for every number.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use support::{Site, wait_for};
use testkit::authority::Authority;

/// Sessions at a time.
const CLIENTS: usize = 4;

fn rounds() -> usize {
    std::env::var("MAILCLAD_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(6)
}

/// One message in a session of its own. True when it was acknowledged; a connection that breaks is no acknowledgement.
fn send(port: u16, subject: &str, large: bool) -> std::io::Result<bool> {
    let stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let mut replies = BufReader::new(stream.try_clone()?);
    let mut stream = stream;
    let mut reply = move || -> std::io::Result<bool> {
        loop {
            let mut line = String::new();
            if replies.read_line(&mut line)? == 0 {
                return Ok(false);
            }
            if line.as_bytes().get(3) == Some(&b' ') {
                return Ok(line.starts_with(['2', '3']));
            }
        }
    };
    // Large enough for a file of its own, or not.
    let filler =
        "a line of text to fill the message with something\r\n".repeat(if large { 3_000 } else { 20 });
    let content = format!("Subject: {subject}\r\n\r\n{filler}.\r\n");
    let commands =
        ["EHLO client.test\r\n", "MAIL FROM:<s@client.test>\r\n", "RCPT TO:<user@site.test>\r\n", "DATA\r\n"];
    if !reply()? {
        return Ok(false);
    }
    for command in commands {
        stream.write_all(command.as_bytes())?;
        if !reply()? {
            return Ok(false);
        }
    }
    stream.write_all(content.as_bytes())?;
    reply()
}

#[test]
fn nothing_that_was_acknowledged_is_lost_whatever_process_is_killed() {
    let extra = "minimal_backoff_time = 1s\nmaximal_backoff_time = 2s\nqueue_run_delay = 1s\n\
                 smtpd_client_connection_count_limit = 0";
    let mut site = Site::new(&Authority::new("Test CA"), extra).start();
    let (port, rounds) = (site.port, rounds());
    let stop = Arc::new(AtomicBool::new(false));
    let acknowledged: Arc<Mutex<Vec<String>>> = Arc::default();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let (stop, acknowledged) = (Arc::clone(&stop), Arc::clone(&acknowledged));
            std::thread::spawn(move || {
                for n in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let subject = format!("number-{client}-{n}-end");
                    if matches!(send(port, &subject, n % 7 == 0), Ok(true)) {
                        acknowledged.lock().unwrap().push(subject);
                    }
                }
            })
        })
        .collect();
    let count = || acknowledged.lock().unwrap().len();
    for round in 0..rounds {
        let before = count();
        // Some mail goes through, then a process goes away; in each fifth round all of them do.
        wait_for(|| (count() >= before + 15).then_some(())).expect("mail is accepted again");
        let role = ["queue", "receive", "local", "queue", "all"][round % 5];
        if role == "all" {
            let roles = ["queue", "receive", "local", "send"].map(|role| site.pid_of(role));
            site.kill();
            for pid in roles.into_iter().flatten() {
                let _ = Command::new("kill").args(["-9", &pid]).status();
            }
            site.restart();
        } else if let Some(pid) = site.pid_of(role) {
            let _ = Command::new("kill").args(["-9", &pid]).status();
        }
    }
    let before = count();
    wait_for(|| (count() >= before + 15).then_some(())).expect("mail is accepted after the last round");
    stop.store(true, Ordering::Relaxed);
    clients.into_iter().for_each(|client| client.join().unwrap());

    let acknowledged = acknowledged.lock().unwrap().clone();
    let mut arrived: HashMap<String, usize> = HashMap::new();
    let missing = |arrived: &mut HashMap<String, usize>| -> Vec<String> {
        arrived.clear();
        for message in site.mailbox("user") {
            let subject = message.lines().find_map(|line| line.strip_prefix("Subject: ")).unwrap_or_default();
            *arrived.entry(subject.to_owned()).or_default() += 1;
            // Never half a message.
            assert!(message.ends_with("with something\n"), "{subject}");
        }
        acknowledged.iter().filter(|subject| !arrived.contains_key(*subject)).cloned().collect()
    };
    let all = wait_for(|| missing(&mut arrived).is_empty().then_some(()));
    assert!(all.is_some(), "lost: {:?}\n{}", missing(&mut arrived), site.log());
    let twice = arrived.values().filter(|count| **count > 1).count();
    // What arrived twice is one message of the queue, whose delivery was over before anybody could write it down: none was accepted
    // twice, and no more go astray than a killed process can have had in hand.
    let mut ids: HashMap<String, HashSet<String>> = HashMap::new();
    for message in site.mailbox("user") {
        let word = |before: &str| message.split(before).nth(1)?.split(['\n', ';']).next().map(str::to_owned);
        let (Some(subject), Some(id)) = (word("\nSubject: "), word(" id ")) else { panic!("{message}") };
        ids.entry(subject).or_default().insert(id);
    }
    assert!(ids.values().all(|ids| ids.len() == 1), "{ids:?}");
    assert!(twice <= rounds * CLIENTS * 3, "{twice} arrived more than once");
    println!(
        "{rounds} rounds, {} acknowledged, none lost, {twice} arrived more than once",
        acknowledged.len()
    );
}
