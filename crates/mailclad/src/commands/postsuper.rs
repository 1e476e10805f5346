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

/// Queues of Postfix in which there are no messages here.
const EMPTY: [&str; 6] = ["maildrop", "bounce", "defer", "trace", "flush", "saved"];

const USAGE: &str =
    "usage: postsuper [-c config_dir] [-d|-e|-f|-h|-H|-r queue_id|ALL|-] [-p] [-s] [-S] [-v] [queue ...]";

struct Wish {
    action: Change,
    which: Which,
}

/// The messages that an option names.
#[derive(Clone)]
enum Which {
    All,
    /// These; each change is told.
    Named(Vec<QueueId>),
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
                let which = match which(&value.to_string_lossy()) {
                    Ok(which) => which,
                    Err(why) => return fatal("postsuper", &why, 1),
                };
                let mut wish = |action| wishes.push(Wish { action, which: which.clone() });
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
            Err(error) => {
                eprintln!("postsuper: {error}");
                return fatal("postsuper", USAGE, 1);
            }
        }
    }
    let names: Vec<_> = options.operands().iter().map(|name| name.to_string_lossy().into_owned()).collect();
    let mut queues = Vec::new();
    for name in &names {
        match QueueName::from_name(name) {
            Some(queue) => queues.push(queue),
            None if EMPTY.contains(&name.as_str()) => {}
            None => return fatal("postsuper", &format!("invalid directory name: {name}"), 1),
        }
    }
    // Only queues without messages were named: an empty list would mean all of them.
    if queues.is_empty() && !names.is_empty() {
        wishes.iter_mut().for_each(|wish| wish.which = Which::Named(Vec::new()));
    }
    match perform(directory, &wishes, &queues) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => fatal("postsuper", &why, 1),
    }
}

/// `ALL`, `-` for standard input, or one. What is no queue id is passed over with a warning.
fn which(value: &str) -> Result<Which, String> {
    let mut ids = Vec::new();
    let mut add = |text: &str| match QueueId::parse(text) {
        Some(id) => ids.push(id),
        None => eprintln!("postsuper: warning: invalid mail queue id: {text}"),
    };
    match value {
        "ALL" => return Ok(Which::All),
        "-" => {
            for line in std::io::stdin().lock().lines() {
                let line = line.map_err(|error| format!("standard input: {error}"))?;
                if !line.trim().is_empty() {
                    add(line.trim());
                }
            }
        }
        one => add(one),
    }
    Ok(Which::Named(ids))
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
        let total = totals[at].get_or_insert(0);
        let ids = match &wish.which {
            Which::All => Vec::new(),
            // No id restricts nothing elsewhere.
            Which::Named(ids) if ids.is_empty() => continue,
            Which::Named(ids) => ids.clone(),
        };
        let select = Selection { ids, queues: queues.to_vec(), ..Selection::default() };
        let changed = change_all(&mut queue, wish.action, &select, |_| {})?;
        *total += changed.len();
        if let Which::Named(_) = wish.which {
            changed.iter().for_each(|id| say(format!("{id}: {}", ACTIONS[at].2)));
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
    // What is requeued comes back under a new id, perhaps one of a later page: what is meant is known first.
    if action == Change::Requeue && select.ids.is_empty() {
        let (ids, mut done) = (ids_of(queue, select)?, Vec::new());
        for ids in ids.chunks(NAMED) {
            let select = Selection { ids: ids.to_vec(), ..select.clone() };
            let before = done.len();
            done.extend(change_pages(queue, action, &select, &mut |count| progress(before + count))?);
        }
        return Ok(done);
    }
    change_pages(queue, action, select, &mut progress)
}

fn change_pages(
    queue: &mut QueueLink,
    action: Change,
    select: &Selection,
    progress: &mut dyn FnMut(usize),
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

/// Messages named in one request.
const NAMED: usize = 500;

/// The messages that fit.
fn ids_of(queue: &mut QueueLink, select: &Selection) -> Result<Vec<QueueId>, String> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let request = Request::List { select: Box::new(select.clone()), after };
        match queue.ask(request, &[])?.0 {
            Reply::Listing { entries, after: next } => {
                found.extend(entries.into_iter().map(|entry| entry.id));
                match next {
                    Some(next) => after = Some(next),
                    None => return Ok(found),
                }
            }
            Reply::Failed(why) => return Err(why),
            _ => return Err("unexpected answer from the queue".into()),
        }
    }
}
