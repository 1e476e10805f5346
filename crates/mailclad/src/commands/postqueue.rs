//! postqueue(1) and mailq(1): listing and flushing.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use config::{Settings, params};
use link::message::{FlushWhat, Listed, QueueName, Selection};
use link::{Reply, Request};
use mail::{QueueId, date};
use tables::domain_search::ParentStyle;
use tables::{MatchList, MatchStyle, Tables};

use super::getopt::Getopt;
use super::queue_link::QueueLink;
use super::{config_directory, fatal, load};
use crate::paths::Paths;

/// EX_UNAVAILABLE and EX_USAGE of sysexits.h.
const UNAVAILABLE: u8 = 69;
const USAGE: u8 = 64;

enum Wish {
    List,
    Json,
    Flush(FlushWhat),
}

/// Runs postqueue.
pub fn run(args: &[OsString]) -> ExitCode {
    let mut directory = None;
    let mut wish = None;
    let mut options = Getopt::new("c:fi:jps:v", args);
    for option in options.by_ref() {
        let text = |value: OsString| value.to_string_lossy().into_owned();
        match option {
            Ok(('c', Some(value))) => directory = Some(PathBuf::from(value)),
            Ok(('p', _)) => wish = Some(Wish::List),
            Ok(('j', _)) => wish = Some(Wish::Json),
            Ok(('f', _)) => wish = Some(Wish::Flush(FlushWhat::All)),
            Ok(('i', Some(value))) => match QueueId::parse(&value.to_string_lossy()) {
                Some(id) => wish = Some(Wish::Flush(FlushWhat::Message(id))),
                None => {
                    let name = value.to_string_lossy();
                    let why = format!("Cannot flush queue ID - invalid name: \"{name}\"");
                    return fatal("postqueue", &why, UNAVAILABLE);
                }
            },
            Ok(('s', Some(value))) => wish = Some(Wish::Flush(FlushWhat::Site(text(value)))),
            Ok(_) => {}
            Err(error) => return fatal("postqueue", &error.to_string(), USAGE),
        }
    }
    match wish {
        Some(wish) => perform(directory, &wish),
        None => fatal(
            "postqueue",
            "usage: postqueue -f | postqueue -i queueid | postqueue -j | postqueue -p | postqueue -s site",
            USAGE,
        ),
    }
}

/// `sendmail -q`: `postqueue -f`.
pub fn flush(directory: Option<PathBuf>) -> ExitCode {
    perform(directory, &Wish::Flush(FlushWhat::All))
}

/// `sendmail -bp`.
pub fn list(directory: Option<PathBuf>) -> ExitCode {
    perform(directory, &Wish::List)
}

fn perform(directory: Option<PathBuf>, wish: &Wish) -> ExitCode {
    let settings = match load(&config_directory(directory), "postqueue") {
        Ok((_, settings)) => settings,
        Err(why) => return fatal("postqueue", &why, UNAVAILABLE),
    };
    if let Wish::Flush(FlushWhat::Site(site)) = wish
        && let Err(why) = is_flushed_by_site(&settings, site)
    {
        return fatal("postqueue", &why, UNAVAILABLE);
    }
    let mut queue = match open(&settings, wish) {
        Ok(queue) => queue,
        Err(why) => return fatal("postqueue", &why, UNAVAILABLE),
    };
    let done = match wish {
        Wish::Flush(what) => match queue.ask(Request::Flush(what.clone()), &[]) {
            Ok((Reply::Failed(why), _)) | Err(why) => Err(why),
            Ok(_) => Ok(()),
        },
        Wish::List => {
            let long_ids = settings.get(params::enable_long_queue_ids);
            print_list(&mut queue, &Selection::default(), long_ids)
        }
        Wish::Json => print_json(&mut queue, &Selection::default()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => fatal("postqueue", &why, UNAVAILABLE),
    }
}

/// `postqueue -s` is for the domains of `fast_flush_domains`, as ETRN is.
fn is_flushed_by_site(settings: &Settings, site: &str) -> Result<(), String> {
    let tables = Tables::new(Arc::new(|text: &str| eprintln!("postqueue: warning: {text}")));
    let name = "fast_flush_domains";
    let parents = settings.get(params::parent_domain_matches_subdomains);
    let style = MatchStyle::Domains(ParentStyle::of(name, parents));
    let list = MatchList::open(&tables, name, settings.get(params::fast_flush_domains), style);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("start: {error}"))?;
    let domain = site.trim_start_matches('[').trim_end_matches(']');
    match runtime.block_on(list.matches(domain)) {
        Ok(true) => Ok(()),
        Ok(false) => Err(format!("Flush service is not configured for destination \"{site}\"")),
        Err(why) => Err(format!("{name}: {why}")),
    }
}

/// A list is made of a stopped system too, for who may open its store; only a running one can be flushed.
fn open(settings: &Settings, wish: &Wish) -> Result<QueueLink, String> {
    let paths = Paths::new(settings.get(params::queue_directory));
    if let Some(queue) = QueueLink::open(&paths.queue_socket()) {
        return Ok(queue);
    }
    if let Wish::Flush(_) = wish {
        return Err("Cannot flush mail queue - mail system is down".into());
    }
    match QueueLink::open_stopped(settings) {
        Ok(queue) => {
            eprintln!("postqueue: warning: Mail system is down -- accessing queue directly");
            Ok(queue)
        }
        Err(why) => Err(format!("Queue report unavailable - {why}")),
    }
}

/// Pages through the messages that fit. Nothing needs the whole queue in memory.
pub(super) fn each(
    queue: &mut QueueLink,
    select: &Selection,
    mut take: impl FnMut(&Listed) -> io::Result<()>,
) -> Result<(), String> {
    let mut after = None;
    loop {
        let request = Request::List { select: Box::new(select.clone()), after };
        match queue.ask(request, &[])?.0 {
            Reply::Listing { entries, after: next } => {
                for entry in &entries {
                    // A reader who has gone, as in `mailq | head`, ends the listing quietly.
                    if take(entry).is_err() {
                        return Ok(());
                    }
                }
                match next {
                    Some(next) => after = Some(next),
                    None => return Ok(()),
                }
            }
            Reply::Failed(why) => return Err(why),
            _ => return Err("unexpected answer from the queue".into()),
        }
    }
}

/// `postqueue -p` of the messages that fit.
pub(super) fn print_list(queue: &mut QueueLink, select: &Selection, long_ids: bool) -> Result<(), String> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let (mut count, mut bytes) = (0u64, 0u64);
    each(queue, select, |entry| {
        if count == 0 {
            out.write_all(match long_ids {
                true => b"----Queue ID----- --Size-- ---Arrival Time---- --Sender/Recipient------\n",
                false => b"-Queue ID-  --Size-- ----Arrival Time---- -Sender/Recipient-------\n",
            })?;
        }
        count += 1;
        bytes += entry.size;
        out.write_all(entry_text(entry, long_ids).as_bytes())
    })?;
    let end = match count {
        0 => "Mail queue is empty".to_owned(),
        1 => format!("-- {} Kbytes in 1 Request.", bytes / 1024),
        _ => format!("-- {} Kbytes in {count} Requests.", bytes / 1024),
    };
    let _ = writeln!(out, "{end}").and_then(|()| out.flush());
    Ok(())
}

/// An entry of `-p`, with the empty line behind it. `long_ids` is enable_long_queue_ids, which makes the first column wider.
fn entry_text(entry: &Listed, long_ids: bool) -> String {
    let mark = match entry.queue {
        QueueName::Active => "*",
        QueueName::Hold => "!",
        _ if entry.forced_expire => "#",
        _ => "",
    };
    let sender = match entry.sender.is_null() {
        true => "MAILER-DAEMON".to_owned(),
        false => entry.sender.to_string(),
    };
    let id = format!("{}{mark}", entry.id);
    let (size, arrival) = (entry.size, date::asctime(entry.arrival));
    let mut out = match long_ids {
        true => format!("{id:<17} {size:>8} {arrival:<19} {sender}\n"),
        false => format!("{id:<11} {size:>7} {arrival:<20} {sender}\n"),
    };
    let indent = if long_ids { 47 } else { 41 };
    let mut last_reason = None;
    for (recipient, reason) in &entry.recipients {
        if let Some(reason) = reason
            && last_reason != Some(reason)
        {
            // Right-aligned to column 78 as far as it fits.
            out.push_str(&format!("{:>78}\n", format!("({reason})")));
            last_reason = Some(reason);
        }
        out.push_str(&format!("{:indent$}{}\n", "", recipient.address));
    }
    out.push('\n');
    out
}

/// `postqueue -j` of the messages that fit.
pub(super) fn print_json(queue: &mut QueueLink, select: &Selection) -> Result<(), String> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    each(queue, select, |entry| {
        let seconds = entry.arrival.duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let recipients: Vec<_> = entry
            .recipients
            .iter()
            .map(|(recipient, reason)| {
                let mut object = serde_json::Map::new();
                if recipient.original != recipient.address {
                    object.insert("orig_address".into(), recipient.original.as_str().into());
                }
                object.insert("address".into(), recipient.address.as_str().into());
                if let Some(reason) = reason {
                    object.insert("delay_reason".into(), reason.as_str().into());
                }
                serde_json::Value::Object(object)
            })
            .collect();
        let mut object = serde_json::Map::new();
        object.insert("queue_name".into(), entry.queue.name().into());
        object.insert("queue_id".into(), entry.id.as_str().into());
        object.insert("arrival_time".into(), seconds.into());
        object.insert("message_size".into(), entry.size.into());
        object.insert("forced_expire".into(), entry.forced_expire.into());
        let sender = if entry.sender.is_null() { "MAILER-DAEMON" } else { entry.sender.as_str() };
        object.insert("sender".into(), sender.into());
        object.insert("recipients".into(), recipients.into());
        writeln!(out, "{}", serde_json::Value::Object(object))
    })?;
    let _ = out.flush();
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use mail::{Address, Recipient};

    use super::*;

    #[test]
    fn the_layout_of_an_entry() {
        let entry = Listed {
            id: QueueId::parse("EB0AC9B013C").unwrap(),
            queue: QueueName::Deferred,
            arrival: UNIX_EPOCH + Duration::from_secs(1_795_365_467),
            size: 331,
            forced_expire: false,
            sender: Address::internal("s@x").unwrap(),
            recipients: vec![
                (Recipient::new(Address::internal("a@y").unwrap()), Some("connect to y: timed out".into())),
                (Recipient::new(Address::internal("b@y").unwrap()), Some("connect to y: timed out".into())),
            ],
        };
        let text = entry_text(&entry, false);
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[0].starts_with("EB0AC9B013C     331 "), "{}", lines[0]);
        assert!(lines[0].ends_with("  s@x"), "{}", lines[0]);
        assert!(entry_text(&entry, true).starts_with("EB0AC9B013C            331 "));
        assert_eq!(lines[1].len(), 78);
        assert!(lines[1].ends_with("(connect to y: timed out)"));
        assert_eq!(lines[2], format!("{:41}a@y", ""));
        assert_eq!(lines[3], format!("{:41}b@y", ""), "a reason is shown once");
    }
}
