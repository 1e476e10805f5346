//! postqueue(1) and mailq(1): listing and flushing.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use config::{Settings, params};
use link::message::{FlushWhat, Listed, ListedRecipient, QueueName, Selection};
use link::{Reply, Request};
use mail::{Address, QueueId, date};
use tables::domain_search::ParentStyle;
use tables::{MatchList, MatchStyle, Tables};

use super::getopt::Getopt;
use super::queue_link::QueueLink;
use super::{config_directory, fatal, load};
use crate::paths::Paths;

/// EX_UNAVAILABLE of sysexits.h.
const UNAVAILABLE: u8 = 69;

/// What is said to who asks for nothing, or for two things.
const USAGE: &str =
    "usage: postqueue -f | postqueue -i queueid | postqueue -j | postqueue -p | postqueue -s site";

enum Wish {
    List,
    Json,
    Flush(FlushWhat),
}

/// Runs postqueue.
pub fn run(args: &[OsString]) -> ExitCode {
    let mut directory = None;
    let mut wishes = Vec::new();
    let mut options = Getopt::new("c:fi:jps:v", args);
    for option in options.by_ref() {
        let text = |value: OsString| value.to_string_lossy().into_owned();
        match option {
            Ok(('c', Some(value))) => directory = Some(PathBuf::from(value)),
            Ok(('p', _)) => wishes.push(Wish::List),
            Ok(('j', _)) => wishes.push(Wish::Json),
            Ok(('f', _)) => wishes.push(Wish::Flush(FlushWhat::All)),
            Ok(('i', Some(value))) => match QueueId::parse(&value.to_string_lossy()) {
                Some(id) => wishes.push(Wish::Flush(FlushWhat::Message(id))),
                None => {
                    let name = value.to_string_lossy();
                    let why = format!("Cannot flush queue ID - invalid name: \"{name}\"");
                    return fatal("postqueue", &why, UNAVAILABLE);
                }
            },
            Ok(('s', Some(value))) => wishes.push(Wish::Flush(FlushWhat::Site(text(value)))),
            Ok(_) => {}
            Err(error) => {
                eprintln!("postqueue: {error}");
                return fatal("postqueue", USAGE, UNAVAILABLE);
            }
        }
    }
    match wishes.as_slice() {
        [wish] if options.operands().is_empty() => perform(directory, wish),
        _ => fatal("postqueue", USAGE, UNAVAILABLE),
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

/// Pages through the messages that fit. Nothing needs the whole queue in memory; the next page is made while one is taken.
pub(super) fn each(
    queue: &mut QueueLink,
    select: &Selection,
    mut take: impl FnMut(&Listed) -> io::Result<()>,
) -> Result<(), String> {
    let page = |after| Request::List { select: Box::new(select.clone()), after };
    queue.begin(page(None), &[])?;
    loop {
        match queue.finish()?.0 {
            Reply::Listing { entries, after: next } => {
                let is_last = next.is_none();
                if let Some(next) = next {
                    queue.begin(page(Some(next)), &[])?;
                }
                for entry in &entries {
                    // A reader who has gone, as in `mailq | head`, ends the listing quietly.
                    if take(entry).is_err() {
                        return Ok(());
                    }
                }
                if is_last {
                    return Ok(());
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
    let mut text = String::new();
    each(queue, select, |entry| {
        if count == 0 {
            out.write_all(match long_ids {
                true => b"----Queue ID----- --Size-- ---Arrival Time---- --Sender/Recipient------\n",
                false => b"-Queue ID-  --Size-- ----Arrival Time---- -Sender/Recipient-------\n",
            })?;
        }
        count += 1;
        bytes += entry.size;
        text.clear();
        write_entry(&mut text, entry, long_ids);
        out.write_all(text.as_bytes())
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
fn write_entry(out: &mut String, entry: &Listed, long_ids: bool) {
    let mut line = |line: std::fmt::Arguments<'_>| {
        // Writing to a string does not fail.
        let _ = std::fmt::Write::write_fmt(out, line);
    };
    let mark = match entry.queue {
        QueueName::Active => "*",
        QueueName::Hold => "!",
        _ => "",
    };
    let expires = if entry.forced_expire { "#" } else { "" };
    let sender = match entry.sender.is_null() {
        true => "MAILER-DAEMON".to_owned(),
        false => entry.sender.to_external(),
    };
    let id = format!("{}{mark}{expires}", entry.id);
    let (size, arrival) = (entry.size, date::asctime(entry.arrival));
    match long_ids {
        true => line(format_args!("{id:<17} {size:>8} {arrival:<19} {sender}\n")),
        false => line(format_args!("{id:<11} {size:>7} {arrival:<20} {sender}\n")),
    }
    let indent = if long_ids { 47 } else { 41 };
    let mut last_reason = None;
    for ListedRecipient { address, reason, .. } in &entry.recipients {
        if let Some(reason) = reason
            && last_reason != Some(reason)
        {
            // Right-aligned to column 78 as far as it fits.
            line(format_args!("{:>78}\n", format!("({reason})")));
            last_reason = Some(reason);
        }
        line(format_args!("{:indent$}{}\n", "", address.to_external()));
    }
    line(format_args!("\n"));
}

/// `postqueue -j` of the messages that fit.
pub(super) fn print_json(queue: &mut QueueLink, select: &Selection) -> Result<(), String> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    each(queue, select, |entry| writeln!(out, "{}", json_text(entry)))?;
    let _ = out.flush();
    Ok(())
}

/// An entry of `-j`, with names and blanks where Postfix has them: not every reader takes JSON for JSON.
fn json_text(entry: &Listed) -> String {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let external = |address: &Address| quoted(&address.to_external());
    let seconds = entry.arrival.duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let sender = match entry.sender.is_null() {
        true => quoted("MAILER-DAEMON"),
        false => external(&entry.sender),
    };
    let recipient = |ListedRecipient { address, original, reason }: &ListedRecipient| {
        let mut fields = Vec::new();
        if let Some(original) = original.as_ref().filter(|original| !original.is_null()) {
            fields.push(format!("\"orig_address\": {}", external(original)));
        }
        fields.push(format!("\"address\": {}", external(address)));
        fields.extend(reason.as_ref().map(|reason| format!("\"delay_reason\": {}", quoted(reason))));
        format!("{{{}}}", fields.join(", "))
    };
    let recipients: Vec<_> = entry.recipients.iter().map(recipient).collect();
    format!(
        "{{\"queue_name\": \"{}\", \"queue_id\": \"{}\", \"arrival_time\": {seconds}, \"message_size\": {}, \
         \"forced_expire\": {}, \"sender\": {sender}, \"recipients\": [{}]}}",
        entry.queue.name(),
        entry.id,
        entry.size,
        entry.forced_expire,
        recipients.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

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
            recipients: ["a@y", "b@y"]
                .map(|text| ListedRecipient {
                    address: Address::internal(text).unwrap(),
                    original: None,
                    reason: Some("connect to y: timed out".into()),
                })
                .to_vec(),
        };
        let entry_text = |long_ids| {
            let mut text = String::new();
            write_entry(&mut text, &entry, long_ids);
            text
        };
        let text = entry_text(false);
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[0].starts_with("EB0AC9B013C     331 "), "{}", lines[0]);
        assert!(lines[0].ends_with("  s@x"), "{}", lines[0]);
        assert!(entry_text(true).starts_with("EB0AC9B013C            331 "));
        assert_eq!(lines[1].len(), 78);
        assert!(lines[1].ends_with("(connect to y: timed out)"));
        assert_eq!(lines[2], format!("{:41}a@y", ""));
        assert_eq!(lines[3], format!("{:41}b@y", ""), "a reason is shown once");
    }
}
