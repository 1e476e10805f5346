//! `mailclad why QUEUEID`: why a message is still here. The attempts at each recipient, what TLS came to in each, the words of
//! the other side, when it is tried again, and what would have to change.

mod advice;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::SystemTime;

use link::message::{Attempt, Explained, ListedRecipient, QueueName};
use link::{Reply, Request};
use mail::{QueueId, date};

use super::getopt::Getopt;
use super::queue::short_age;
use super::queue_link::QueueLink;
use super::{config_directory, fatal, load};

const NAME: &str = "mailclad why";

/// Runs the command.
pub fn run(args: &[OsString]) -> ExitCode {
    let mut directory = None;
    let mut options = Getopt::new("c:", args);
    for option in options.by_ref() {
        match option {
            Ok((_, value)) => directory = value.map(PathBuf::from),
            Err(error) => return fatal(NAME, &error.to_string(), 64),
        }
    }
    let words = options.operands();
    if words.is_empty() {
        return fatal(NAME, "usage: mailclad why [-c DIR] QUEUEID ...", 64);
    }
    let settings = match load(&config_directory(directory), "postqueue") {
        Ok((_, settings)) => settings,
        Err(why) => return fatal(NAME, &why, 1),
    };
    let mut queue = match QueueLink::open_any(&settings) {
        Ok(queue) => queue,
        Err(why) => return fatal(NAME, &why, 1),
    };
    for word in words {
        let text = word.to_string_lossy();
        let Some(id) = QueueId::parse(&text) else {
            return fatal(NAME, &format!("{text}: no queue id"), 64);
        };
        match queue.ask(Request::Explain { id }, &[]) {
            Ok((Reply::Explained(explained), _)) => print!("{}", render(&explained, SystemTime::now())),
            Ok((Reply::NotFound, _)) => {
                let why = format!(
                    "{text}: no such message in the queue: it was delivered, returned or deleted, as the mail log tells"
                );
                return fatal(NAME, &why, 1);
            }
            Ok((Reply::Failed(why), _)) | Err(why) => return fatal(NAME, &why, 1),
            Ok(_) => return fatal(NAME, "unexpected answer from the queue", 1),
        }
    }
    ExitCode::SUCCESS
}

fn render(explained: &Explained, now: SystemTime) -> String {
    let listed = &explained.listed;
    let sender = listed.sender.as_str();
    let age = short_age(now.duration_since(listed.arrival).unwrap_or_default());
    let mut out = format!(
        "{}: from <{sender}>, {} bytes, arrived {} ({age} ago), queue {}\n",
        listed.id,
        listed.size,
        date::asctime(listed.arrival),
        listed.queue.name()
    );
    out.push_str(&format!("  {}\n", next(explained, now)));
    for ListedRecipient { address, original, reason } in &listed.recipients {
        out.push_str(&format!("\n<{address}>"));
        if let Some(original) = original {
            out.push_str(&format!(", at first <{original}>"));
        }
        out.push('\n');
        let original = original.as_ref().unwrap_or(address);
        let is_at_it = |attempt: &&Attempt| {
            (&attempt.recipient.address, &attempt.recipient.original) == (address, original)
        };
        let attempts: Vec<&Attempt> = explained.attempts.iter().filter(is_at_it).collect();
        if attempts.is_empty() {
            out.push_str(match reason {
                Some(_) => "  the attempts at it are not remembered\n",
                None => "  not tried yet\n",
            });
        }
        for same in runs(&attempts) {
            out.push_str(&told(same));
        }
        if let Some(last) = attempts.last() {
            out.push_str(&format!("  What would help: {}\n", advice::advice(last)));
        }
    }
    out
}

/// When something happens next.
fn next(explained: &Explained, now: SystemTime) -> String {
    let rounds = match explained.rounds {
        0 => "not tried yet".to_owned(),
        1 => "tried once".to_owned(),
        n => format!("tried {n} times"),
    };
    let end = format!("returned to its sender after {}", date::asctime(explained.expires));
    match explained.listed.queue {
        QueueName::Hold => {
            format!("{rounds}; on hold until somebody releases it: postsuper -H {}", explained.listed.id)
        }
        QueueName::Active => format!("{rounds}; an attempt is under way now; {end}"),
        QueueName::Corrupt => {
            format!("{rounds}; its bytes are damaged: look at it with postcat -q {}", explained.listed.id)
        }
        _ => match explained.next_attempt.duration_since(now) {
            Ok(wait) => format!(
                "{rounds}; next attempt {} (in {}); {end}",
                date::asctime(explained.next_attempt),
                short_age(wait)
            ),
            Err(_) => format!("{rounds}; its next attempt is due; {end}"),
        },
    }
}

/// Attempts that went the same way one after another are told once.
fn runs<'a, 'b>(attempts: &'b [&'a Attempt]) -> impl Iterator<Item = &'b [&'a Attempt]> {
    attempts.chunk_by(|a, b| (&a.text, &a.relay, &a.tls) == (&b.text, &b.relay, &b.tls))
}

fn told(same: &[&Attempt]) -> String {
    let [first, .., last] = same else {
        return same.first().map_or_else(String::new, |only| one(only, String::new()));
    };
    one(last, format!("{} times since {}, last ", same.len(), date::asctime(first.at)))
}

fn one(attempt: &Attempt, times: String) -> String {
    let tls = match attempt.tls.as_str() {
        "" => String::new(),
        tls => format!(", tls={tls}"),
    };
    format!(
        "  {times}{}: {} via {}{tls}\n    {}\n",
        date::asctime(attempt.at),
        attempt.status,
        attempt.relay,
        attempt.text
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use link::message::Listed;
    use mail::{Address, Recipient, Status};

    use super::*;

    #[test]
    fn a_message_that_waits() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_365_467);
        let ago = |minutes: u64| now - Duration::from_secs(60 * minutes);
        let recipient = Recipient::new(Address::internal("r@x.test").unwrap());
        let attempt = |minutes, text: &str, tls: &str| Attempt {
            recipient: recipient.clone(),
            at: ago(minutes),
            status: Status::new(4, 7, 5),
            text: text.into(),
            relay: "mx.x.test[192.0.2.1]:25".into(),
            remote: None,
            tls: tls.into(),
        };
        let other = Recipient::new(Address::internal("new@y.test").unwrap());
        let listed = |recipient: &Recipient, reason| ListedRecipient {
            address: recipient.address.clone(),
            original: Some(recipient.original.clone()).filter(|original| *original != recipient.address),
            reason,
        };
        let explained = Explained {
            listed: Listed {
                id: QueueId::parse("ABCDEF1234").unwrap(),
                queue: QueueName::Deferred,
                arrival: ago(60),
                size: 389,
                forced_expire: false,
                sender: Address::internal("s@x.test").unwrap(),
                recipients: vec![
                    listed(&recipient, Some("Server certificate not verified".into())),
                    listed(&other, None),
                ],
            },
            rounds: 3,
            next_attempt: now + Duration::from_secs(600),
            expires: now + Duration::from_secs(4 * 86_400),
            attempts: vec![
                attempt(50, "connect to mx.x.test[192.0.2.1]:25: Connection refused", ""),
                attempt(40, "Server certificate not verified", "!verify"),
                attempt(10, "Server certificate not verified", "!verify"),
            ],
        };
        let text = render(&explained, now);
        for part in [
            "ABCDEF1234: from <s@x.test>, 389 bytes, arrived ",
            "(60m ago), queue deferred\n",
            "tried 3 times; next attempt ",
            "(in 10m); returned to its sender after ",
            ": 4.7.5 via mx.x.test[192.0.2.1]:25\n    connect to",
            "  2 times since ",
            ", tls=!verify\n    Server certificate not verified\n",
            "  What would help: ",
            "<new@y.test>\n  not tried yet\n",
        ] {
            assert!(text.contains(part), "{part:?} in\n{text}");
        }
        assert_eq!(text.matches("Server certificate not verified").count(), 1, "{text}");
    }
}
