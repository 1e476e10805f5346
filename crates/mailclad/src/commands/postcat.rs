//! postcat(1): shows a message of the queue.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, UNIX_EPOCH};

use link::message::Shown;
use link::{Reply, Request};
use mail::{QueueId, date};

use super::getopt::Getopt;
use super::queue_link::QueueLink;
use super::{config_directory, fatal, load};

const USAGE: &str = "usage: postcat -q [-behor] [-c config_dir] queue_id ...";

/// What is shown.
#[derive(Clone, Copy, Default)]
struct Parts {
    envelope: bool,
    header: bool,
    body: bool,
    offsets: bool,
}

/// Runs postcat.
pub fn run(args: &[OsString]) -> ExitCode {
    let mut directory = None;
    let mut parts = Parts::default();
    let mut by_id = false;
    let mut options = Getopt::new("bc:dehnoqrsv", args);
    for option in options.by_ref() {
        match option {
            Ok(('c', Some(value))) => directory = Some(PathBuf::from(value)),
            Ok(('b', _)) => parts.body = true,
            Ok(('e', _)) => parts.envelope = true,
            Ok(('h', _)) => parts.header = true,
            Ok(('o', _)) => parts.offsets = true,
            Ok(('q', _)) => by_id = true,
            Ok(_) => {}
            Err(error) => {
                eprintln!("postcat: {error}");
                return fatal("postcat", USAGE, 1);
            }
        }
    }
    if !(parts.body || parts.envelope || parts.header) {
        parts = Parts { envelope: true, header: true, body: true, ..parts };
    }
    if !by_id {
        return fatal("postcat", "messages are not files here: name them by queue id, with -q", 1);
    }
    let settings = match load(&config_directory(directory), "postcat") {
        Ok((_, settings)) => settings,
        Err(why) => return fatal("postcat", &why, 1),
    };
    let mut queue = match QueueLink::open_any(&settings) {
        Ok(queue) => queue,
        Err(why) => return fatal("postcat", &why, 1),
    };
    for word in options.operands() {
        let text = word.to_string_lossy();
        let Some(id) = QueueId::parse(&text) else {
            return fatal("postcat", &format!("bad mail queue ID: {text}"), 1);
        };
        match queue.ask(Request::Show { id }, &[]) {
            Ok((Reply::Message(shown), descriptors)) => {
                let body = content(&shown, descriptors);
                let _ = io::stdout().lock().write_all(&render(&shown, &body, parts));
            }
            Ok((Reply::NotFound, _)) => {
                return fatal("postcat", &format!("open queue file {text}: No such file or directory"), 1);
            }
            Ok((Reply::Failed(why), _)) | Err(why) => return fatal("postcat", &why, 1),
            Ok(_) => return fatal("postcat", "unexpected answer from the queue", 1),
        }
    }
    ExitCode::SUCCESS
}

fn content(shown: &Shown, mut descriptors: Vec<std::os::fd::OwnedFd>) -> Vec<u8> {
    match (&shown.body, descriptors.pop()) {
        (Some(body), _) => body.clone(),
        (None, Some(file)) => {
            let mut bytes = Vec::new();
            let _ = std::fs::File::from(file).read_to_end(&mut bytes);
            bytes
        }
        (None, None) => Vec::new(),
    }
}

/// The records of Postfix's queue file (postcat(1)), in words.
fn render(shown: &Shown, body: &[u8], parts: Parts) -> Vec<u8> {
    let mut out = Vec::new();
    let mark = |out: &mut Vec<u8>, what: &str| {
        if parts.envelope {
            let text = format!("*** {what} {}/{} ***\n", shown.listed.queue.name(), shown.listed.id);
            out.extend_from_slice(text.as_bytes());
        }
    };
    mark(&mut out, "ENVELOPE RECORDS");
    let (mut place, mut in_line) = (Place::Envelope, false);
    for (offset, kind, data) in queue::postfix::records(&shown.message, body) {
        match kind {
            b'M' => {
                mark(&mut out, "MESSAGE CONTENTS");
                place = Place::Header;
                continue;
            }
            b'X' => {
                mark(&mut out, "HEADER EXTRACTED");
                place = Place::Envelope;
                continue;
            }
            b'E' => {
                mark(&mut out, "MESSAGE FILE END");
                continue;
            }
            // The empty line is shown with the body.
            b'N' if place == Place::Header && data.is_empty() && !in_line => place = Place::Body,
            _ => {}
        }
        let is_wanted = match place {
            Place::Envelope => parts.envelope,
            Place::Header => parts.header,
            Place::Body => parts.body,
        };
        if !is_wanted {
            continue;
        }
        if parts.offsets && !in_line {
            out.extend_from_slice(format!("{offset:>9} ").as_bytes());
        }
        if place == Place::Envelope {
            out.extend_from_slice(in_words(kind, &String::from_utf8_lossy(&data)).as_bytes());
        } else {
            out.extend_from_slice(&data);
            // A long line is several records; the last one ends it.
            in_line = kind == b'L';
            if !in_line {
                out.push(b'\n');
            }
        }
    }
    out
}

/// Where in a queue file a record stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Envelope,
    Header,
    Body,
}

/// One record of the envelope.
fn in_words(kind: u8, data: &str) -> String {
    let time = |text: &str| {
        let seconds = text.split(' ').next().and_then(|seconds| seconds.parse().ok()).unwrap_or(0);
        date::asctime_with_year(UNIX_EPOCH + Duration::from_secs(seconds))
    };
    match kind {
        b'C' => format!("message_size: {data}\n"),
        b'T' => format!("message_arrival_time: {}\n", time(data)),
        b'A' => match data.strip_prefix("create_time=") {
            Some(value) => format!("create_time: {}\n", time(value)),
            None => format!("named_attribute: {data}\n"),
        },
        b'L' => format!("content_filter: {data}\n"),
        b'S' => format!("sender: {data}\n"),
        b'V' => format!("verp_delimiters: {data}\n"),
        b'O' => format!("original_recipient: {data}\n"),
        b'R' => format!("recipient: {data}\n"),
        other => format!("{}: {data}\n", char::from(other)),
    }
}
