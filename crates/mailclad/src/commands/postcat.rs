//! postcat(1): shows a message of the queue.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use link::message::Shown;
use link::{Reply, Request};
use mail::{Origin, QueueId, date, header};

use super::getopt::Getopt;
use super::queue_link::QueueLink;
use super::{config_directory, fatal, load};

/// What is shown.
#[derive(Clone, Copy, Default)]
struct Parts {
    envelope: bool,
    header: bool,
    body: bool,
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
            Ok(('q', _)) => by_id = true,
            Ok(_) => {}
            Err(error) => return fatal("postcat", &error.to_string(), 1),
        }
    }
    if !(parts.body || parts.envelope || parts.header) {
        parts = Parts { envelope: true, header: true, body: true };
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
            return fatal("postcat", &format!("{text}: no queue id"), 1);
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

fn render(shown: &Shown, body: &[u8], parts: Parts) -> Vec<u8> {
    let name = format!("{}/{}", shown.listed.queue.name(), shown.listed.id);
    let mut out = String::new();
    if parts.envelope {
        let message = &shown.message;
        out.push_str(&format!("*** ENVELOPE RECORDS {name} ***\n"));
        out.push_str(&format!("message_size: {:>15}\n", message.size));
        out.push_str(&format!("message_arrival_time: {}\n", date::asctime_with_year(message.arrival)));
        if let Origin::Client(client) = &message.origin {
            out.push_str(&format!("named_attribute: log_client_name={}\n", client.name));
            if let Some(address) = client.address {
                out.push_str(&format!("named_attribute: log_client_address={address}\n"));
            }
            if let Some(helo) = &client.helo {
                out.push_str(&format!("named_attribute: log_helo_name={helo}\n"));
            }
            out.push_str(&format!(
                "named_attribute: log_protocol_name={}\n",
                if client.esmtp { "ESMTP" } else { "SMTP" }
            ));
        }
        out.push_str(&format!("sender: {}\n", message.envelope.sender));
        for recipient in &message.envelope.recipients {
            if recipient.original != recipient.address {
                out.push_str(&format!("original_recipient: {}\n", recipient.original));
            }
            out.push_str(&format!("recipient: {}\n", recipient.address));
        }
    }
    let (_, rest) = header::split(body);
    let head = &body[..body.len() - rest.len()];
    if parts.envelope {
        out.push_str(&format!("*** MESSAGE CONTENTS {name} ***\n"));
    }
    let mut out = out.into_bytes();
    if parts.header {
        out.extend_from_slice(head);
    }
    if parts.body {
        // The empty line belongs to what it separates when both are shown.
        out.extend_from_slice(if parts.header { rest } else { rest.strip_prefix(b"\n").unwrap_or(rest) });
    }
    if parts.envelope {
        out.extend_from_slice(format!("*** HEADER EXTRACTED {name} ***\n").as_bytes());
        out.extend_from_slice(format!("*** MESSAGE FILE END {name} ***\n").as_bytes());
    }
    out
}
