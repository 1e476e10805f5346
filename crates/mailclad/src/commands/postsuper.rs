//! postsuper(1): delete, hold, release and requeue messages.

use std::ffi::OsString;
use std::io::BufRead;
use std::path::PathBuf;
use std::process::ExitCode;

use config::params;
use link::message::{Change, QueueName};
use link::{Reply, Request};
use mail::QueueId;

use super::getopt::Getopt;
use super::queue_link::QueueLink;
use super::{config_directory, fatal, load};
use crate::paths::Paths;

struct Wish {
    action: Change,
    /// Empty: all.
    ids: Vec<QueueId>,
}

/// Runs postsuper.
pub fn run(args: &[OsString]) -> ExitCode {
    let mut directory = None;
    let mut wishes: Vec<Wish> = Vec::new();
    let mut options = Getopt::new("c:d:e:f:h:H:pr:sSv", args);
    for option in options.by_ref() {
        match option {
            Ok(('c', Some(value))) => directory = Some(PathBuf::from(value)),
            Ok((letter, Some(value))) => {
                let action = match letter {
                    'd' => Change::Delete,
                    'h' => Change::Hold,
                    'H' => Change::Release,
                    'r' => Change::Requeue,
                    _ => Change::Expire,
                };
                match ids(&value.to_string_lossy()) {
                    Ok(ids) => wishes.extend(ids.map(|ids| Wish { action, ids })),
                    Err(why) => return fatal("postsuper", &why, 1),
                }
            }
            // -p, -s and -S repair a directory of files, which there is none of.
            Ok(_) => {}
            Err(error) => return fatal("postsuper", &error.to_string(), 1),
        }
    }
    let mut queues = Vec::new();
    for name in options.operands() {
        match QueueName::from_name(&name.to_string_lossy()) {
            Some(queue) => queues.push(queue),
            None => {
                return fatal(
                    "postsuper",
                    &format!(
                        "unknown queue \"{}\": use incoming, active, deferred or hold",
                        name.to_string_lossy()
                    ),
                    1,
                );
            }
        }
    }
    let settings = match load(&config_directory(directory), "postsuper") {
        Ok((_, settings)) => settings,
        Err(why) => return fatal("postsuper", &why, 1),
    };
    let paths = Paths::new(settings.get(params::queue_directory));
    if wishes.is_empty() {
        return ExitCode::SUCCESS;
    }
    let Some(mut queue) = QueueLink::open(&paths.queue_socket()) else {
        return fatal("postsuper", "the mail system is down: start it first", 1);
    };
    for wish in wishes {
        if let Err(why) = perform(&mut queue, wish, &queues) {
            return fatal("postsuper", &why, 1);
        }
    }
    ExitCode::SUCCESS
}

/// The ids that an option names: `ALL`, `-` for standard input, or one. `None`: a list from standard input that is empty
/// asks for nothing, and must never mean all.
fn ids(value: &str) -> Result<Option<Vec<QueueId>>, String> {
    let parse = |text: &str| QueueId::parse(text).ok_or_else(|| format!("{text}: no queue id"));
    match value {
        "ALL" => Ok(Some(Vec::new())),
        "-" => {
            let mut ids = Vec::new();
            for line in std::io::stdin().lock().lines() {
                let line = line.map_err(|error| format!("standard input: {error}"))?;
                if !line.trim().is_empty() {
                    ids.push(parse(line.trim())?);
                }
            }
            Ok((!ids.is_empty()).then_some(ids))
        }
        one => Ok(Some(vec![parse(one)?])),
    }
}

fn perform(queue: &mut QueueLink, wish: Wish, queues: &[QueueName]) -> Result<(), String> {
    let (word, total) = match wish.action {
        Change::Delete => ("removed", "Deleted"),
        Change::Hold => ("placed on hold", "Placed on hold"),
        Change::Release => ("released from hold", "Released from hold"),
        Change::Requeue => ("requeued", "Requeued"),
        Change::Expire => ("expired", "Force-expired"),
    };
    let request = Request::Change { action: wish.action, ids: wish.ids, queues: queues.to_vec() };
    match queue.ask(request, &[])?.0 {
        Reply::Changed(ids) => {
            for id in &ids {
                eprintln!("postsuper: {id}: {word}");
            }
            if !ids.is_empty() {
                eprintln!(
                    "postsuper: {total}: {} message{}",
                    ids.len(),
                    if ids.len() == 1 { "" } else { "s" }
                );
            }
            Ok(())
        }
        Reply::Failed(why) => Err(why),
        _ => Err("unexpected answer from the queue".into()),
    }
}
