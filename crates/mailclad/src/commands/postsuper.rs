//! postsuper(1): delete, hold, release, requeue and expire messages.

use std::ffi::OsString;
use std::io::BufRead;
use std::path::PathBuf;
use std::process::ExitCode;

use link::message::{Change, QueueName, Selection};
use link::{Reply, Request};
use mail::QueueId;

use super::getopt::Getopt;
use super::queue_link::QueueLink;
use super::{config_directory, fatal, load};
use crate::mail_log;

/// The actions with their letters, words and totals, in the order in which totals are printed.
const ACTIONS: [(Change, char, &str, &str); 5] = [
    (Change::Requeue, 'r', "requeued", "Requeued"),
    (Change::Delete, 'd', "removed", "Deleted"),
    (Change::Expire, 'e', "expired", "Force-expired"),
    (Change::Hold, 'h', "placed on hold", "Placed on hold"),
    (Change::Release, 'H', "released from hold", "Released from hold"),
];

struct Wish {
    action: Change,
    /// Empty: all.
    ids: Vec<QueueId>,
    /// Named one by one on the command line: each change is told.
    by_name: bool,
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
                let ids = match ids(&value.to_string_lossy()) {
                    Ok(ids) => ids,
                    Err(why) => return fatal("postsuper", &why, 1),
                };
                let by_name = ids.as_ref().is_some_and(|ids| !ids.is_empty());
                let mut wish = |action| {
                    wishes.extend(ids.clone().map(|ids| Wish { action, ids, by_name }));
                };
                match ACTIONS.iter().find(|(_, own, ..)| *own == letter) {
                    Some((action, ..)) => wish(*action),
                    // -f: expire, and release what is on hold.
                    None => {
                        wish(Change::Expire);
                        wish(Change::Release);
                    }
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
                        "unknown queue \"{}\": use incoming, active, deferred, hold or corrupt",
                        name.to_string_lossy()
                    ),
                    1,
                );
            }
        }
    }
    match perform(directory, &wishes, &queues) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => fatal("postsuper", &why, 1),
    }
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

fn perform(directory: Option<PathBuf>, wishes: &[Wish], queues: &[QueueName]) -> Result<(), String> {
    let (_, settings) = load(&config_directory(directory), "postsuper")?;
    if wishes.is_empty() {
        return Ok(());
    }
    let mut queue = QueueLink::open_any(&settings)?;
    let log = mail_log::open(&settings, "postsuper").ok();
    let say = |text: String| {
        eprintln!("postsuper: {text}");
        if let Some(log) = &log {
            maillog::info!(log, "{text}");
        }
    };
    let mut totals = [None; ACTIONS.len()];
    for wish in wishes {
        let Some(at) = ACTIONS.iter().position(|(action, ..)| *action == wish.action) else { continue };
        let select = Selection { ids: wish.ids.clone(), queues: queues.to_vec(), ..Selection::default() };
        let ids = change_all(&mut queue, wish.action, &select, |_| {})?;
        *totals[at].get_or_insert(0) += ids.len();
        if wish.by_name {
            ids.iter().for_each(|id| say(format!("{id}: {}", ACTIONS[at].2)));
        }
    }
    for ((_, _, _, word), total) in ACTIONS.iter().zip(totals) {
        if let Some(total) = total {
            say(format!("{word}: {total} message{}", if total == 1 { "" } else { "s" }));
        }
    }
    Ok(())
}

/// Changes every message that fits, page by page. `progress` hears after each page how many were done.
pub(super) fn change_all(
    queue: &mut QueueLink,
    action: Change,
    select: &Selection,
    mut progress: impl FnMut(usize),
) -> Result<Vec<QueueId>, String> {
    let (mut done, mut after) = (Vec::new(), None);
    loop {
        let request = Request::Change { action, select: Box::new(select.clone()), after };
        match queue.ask(request, &[])?.0 {
            Reply::Changed { ids, after: next } => {
                done.extend(ids);
                progress(done.len());
                match next {
                    Some(next) => after = Some(next),
                    None => return Ok(done),
                }
            }
            Reply::Failed(why) => return Err(why),
            _ => return Err("unexpected answer from the queue".into()),
        }
    }
}
