//! `mailclad queue ACTION [OPTION ...]`: looks at the queue, or changes it, by sender, recipient, reason and age.
//!
//! Actions: `list`, `causes` (what holds mail up, grouped), `hold`, `release`, `delete`, `requeue`, `expire`.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use config::params;
use link::message::{Change, Listed, QueueName, Selection};
use mail::QueueId;

use super::getopt::Getopt;
use super::queue_link::QueueLink;
use super::{config_directory, fatal, load, postqueue, postsuper};

const NAME: &str = "mailclad queue";

const USAGE: &str =
    "usage: mailclad queue ACTION [-c DIR] [-a] [-i ID|-] [-q QUEUE] [-s SENDER] [-r RECIPIENT] [-t TEXT] \
                     [-o AGE] [-y AGE] [-n] [-j]
  actions: list causes hold release delete requeue expire
  -i ID      this message; - reads ids from standard input; may be repeated
  -q QUEUE   in this queue: incoming, active, deferred, hold, corrupt; may be repeated
  -s SENDER  from this address or @domain; <> for bounces
  -r RCPT    for this address or @domain
  -t TEXT    delayed for a reason with this text in it
  -o AGE     at least so old: 90s, 15m, 2h, 3d, 1w
  -y AGE     at most so old
  -a         all messages: no change is made to everything without it
  -n         only show which messages would be changed
  -j         list as JSON";

#[derive(Clone, Copy)]
enum Action {
    List,
    Causes,
    Change(Change, &'static str),
}

struct Wish {
    action: Action,
    select: Selection,
    all: bool,
    dry_run: bool,
    json: bool,
}

/// Runs the command.
pub fn run(args: &[OsString]) -> ExitCode {
    let (wish, directory) = match parse(args) {
        Ok(parsed) => parsed,
        Err(why) => {
            eprintln!("{NAME}: fatal: {why}\n{USAGE}");
            return ExitCode::from(64);
        }
    };
    match perform(&wish, directory) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => fatal(NAME, &why, 1),
    }
}

fn parse(args: &[OsString]) -> Result<(Wish, Option<PathBuf>), String> {
    let word = args.first().map(|word| word.to_string_lossy()).unwrap_or_default();
    let action = match word.as_ref() {
        "list" => Action::List,
        "causes" => Action::Causes,
        "hold" => Action::Change(Change::Hold, "held"),
        "release" => Action::Change(Change::Release, "released"),
        "delete" => Action::Change(Change::Delete, "deleted"),
        "requeue" => Action::Change(Change::Requeue, "requeued"),
        "expire" => Action::Change(Change::Expire, "expired"),
        "" => return Err("which action?".into()),
        other => return Err(format!("no action \"{other}\"")),
    };
    let mut wish = Wish { action, select: Selection::default(), all: false, dry_run: false, json: false };
    let mut directory = None;
    let mut options = Getopt::new("ac:i:jno:q:r:s:t:y:", &args[1..]);
    for option in options.by_ref() {
        let (letter, value) = option.map_err(|error| error.to_string())?;
        let value = value.unwrap_or_default();
        let text = value.to_string_lossy().into_owned();
        let select = &mut wish.select;
        match letter {
            'a' => wish.all = true,
            'c' => directory = Some(PathBuf::from(value)),
            'i' => select.ids.extend(ids(&text)?),
            'j' => wish.json = true,
            'n' => wish.dry_run = true,
            'o' => select.older = Some(age(&text)?),
            'q' => select.queues.push(
                QueueName::from_name(&text).ok_or_else(|| format!("-q {text}: there is no such queue"))?,
            ),
            'r' => select.recipient = Some(text),
            's' => select.sender = Some(text),
            't' => select.reason = Some(text),
            _ => select.newer = Some(age(&text)?),
        }
    }
    if let Some(extra) = options.operands().first() {
        return Err(format!("what does \"{}\" mean?", extra.to_string_lossy()));
    }
    if matches!(action, Action::Change(..)) && !wish.all && wish.select == Selection::default() {
        return Err(format!("{word} which messages? Say -a if you mean all of them"));
    }
    Ok((wish, directory))
}

/// One id, or a list from standard input. An empty list is an error: no selection means every message elsewhere.
fn ids(text: &str) -> Result<Vec<QueueId>, String> {
    let parse = |text: &str| QueueId::parse(text).ok_or_else(|| format!("{text}: no queue id"));
    if text != "-" {
        return Ok(vec![parse(text)?]);
    }
    let mut ids = Vec::new();
    for line in io::stdin().lock().lines() {
        let line = line.map_err(|error| format!("standard input: {error}"))?;
        if !line.trim().is_empty() {
            ids.push(parse(line.trim())?);
        }
    }
    if ids.is_empty() {
        return Err("-i -: standard input names no message".into());
    }
    Ok(ids)
}

/// `90s`, `15m`, `2h`, `3d`, `1w`; seconds without a letter.
fn age(text: &str) -> Result<Duration, String> {
    let (digits, unit) = match text.char_indices().next_back() {
        Some((at, letter)) if letter.is_ascii_alphabetic() => (&text[..at], letter),
        _ => (text, 's'),
    };
    let unit = match unit.to_ascii_lowercase() {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        'w' => 7 * 86_400,
        _ => return Err(format!("{text}: an age is a number and one of s, m, h, d, w")),
    };
    let count: u64 =
        digits.parse().map_err(|_| format!("{text}: an age is a number and one of s, m, h, d, w"))?;
    Ok(Duration::from_secs(count.saturating_mul(unit)))
}

fn perform(wish: &Wish, directory: Option<PathBuf>) -> Result<(), String> {
    let (_, settings) = load(&config_directory(directory), "postqueue")?;
    let mut queue = QueueLink::open_any(&settings)?;
    let long_ids = settings.get(params::enable_long_queue_ids);
    match wish.action {
        Action::List if wish.json => postqueue::print_json(&mut queue, &wish.select),
        Action::List => postqueue::print_list(&mut queue, &wish.select, long_ids),
        Action::Causes => causes(&mut queue, &wish.select),
        Action::Change(_, word) if wish.dry_run => {
            let mut count = 0;
            let mut out = io::stdout().lock();
            postqueue::each(&mut queue, &wish.select, |listed| {
                count += 1;
                writeln!(out, "{}", listed.id)
            })?;
            eprintln!("{NAME}: {count} message{} would be {word}", plural(count));
            Ok(())
        }
        Action::Change(change, word) => {
            let shows = io::stderr().is_terminal();
            let ids = postsuper::change_all(&mut queue, change, &wish.select, |done| {
                if shows {
                    eprint!("\r{NAME}: {done} {word}");
                }
            })?;
            let end = if shows { "\r" } else { "" };
            eprintln!("{end}{NAME}: {} message{} {word}", ids.len(), plural(ids.len()));
            Ok(())
        }
    }
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

/// Groups that are told apart; what comes beyond is counted as one.
const MOST_CAUSES: usize = 1000;

struct Cause {
    messages: usize,
    recipients: usize,
    oldest: SystemTime,
    example: String,
    id: QueueId,
}

/// What holds mail up, the commonest first.
fn causes(queue: &mut QueueLink, select: &Selection) -> Result<(), String> {
    let mut causes: HashMap<String, Cause> = HashMap::new();
    postqueue::each(queue, select, |listed| {
        count_causes(&mut causes, listed);
        Ok(())
    })?;
    let mut causes: Vec<_> = causes.into_values().collect();
    causes.sort_by(|a, b| (b.recipients, &a.example).cmp(&(a.recipients, &b.example)));
    let mut out = io::stdout().lock();
    let now = SystemTime::now();
    let mut print = || -> io::Result<()> {
        if causes.is_empty() {
            return writeln!(out, "Nothing in the queue has been delayed");
        }
        writeln!(out, "Recipients Messages  Oldest Example          Cause")?;
        for Cause { messages, recipients, oldest, example, id } in &causes {
            let oldest = short_age(now.duration_since(*oldest).unwrap_or_default());
            writeln!(out, "{recipients:>10} {messages:>8} {oldest:>7} {id:<16} {example}", id = id.as_str())?;
        }
        Ok(())
    };
    // A reader who has gone, as in `... | head`, is no error.
    let _ = print();
    Ok(())
}

fn count_causes(causes: &mut HashMap<String, Cause>, listed: &Listed) {
    let mut of_this_message = Vec::new();
    for reason in listed.recipients.iter().filter_map(|recipient| recipient.reason.as_ref()) {
        let mut kind = kind_of(reason);
        if causes.len() >= MOST_CAUSES && !causes.contains_key(&kind) {
            kind = String::new();
        }
        let example = if kind.is_empty() { "(other causes)" } else { reason.as_str() };
        let cause = causes.entry(kind.clone()).or_insert_with(|| Cause {
            messages: 0,
            recipients: 0,
            oldest: listed.arrival,
            example: example.to_owned(),
            id: listed.id,
        });
        cause.recipients += 1;
        cause.oldest = cause.oldest.min(listed.arrival);
        if !of_this_message.contains(&kind) {
            cause.messages += 1;
            of_this_message.push(kind);
        }
    }
}

/// The cause without what differs from message to message: addresses in angle brackets, and words with five or more digits, such
/// as queue ids and times. Hosts stay: "which host" is what one wants to know.
fn kind_of(reason: &str) -> String {
    let mut kind = String::new();
    let mut rest = reason;
    while let Some(open) = rest.find('<') {
        let Some(length) = rest[open..].find('>') else { break };
        kind.push_str(&rest[..=open]);
        rest = &rest[open + length..];
    }
    kind.push_str(rest);
    let words = kind.split_whitespace().map(|word| {
        let digits = word.bytes().filter(u8::is_ascii_digit).count();
        let is_name = word.contains(['[', '.', ':']);
        if digits >= 5 && !is_name { "#" } else { word }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// `45s`, `12m`, `5h`, `3d`.
pub(super) fn short_age(age: Duration) -> String {
    match age.as_secs() {
        seconds @ 0..120 => format!("{seconds}s"),
        seconds @ 120..7200 => format!("{}m", seconds / 60),
        seconds @ 7200..172_800 => format!("{}h", seconds / 3600),
        seconds => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn nothing_is_changed_by_mistake() {
        for (line, part) in [
            ("delete", "Say -a if you mean all"),
            ("delete -n", "Say -a if you mean all"),
            ("remove -a", "no action \"remove\""),
            ("delete ABCDEF1234", "what does \"ABCDEF1234\" mean?"),
            ("delete -i bad/id", "bad/id: no queue id"),
            ("delete -o soon", "soon: an age is"),
            ("delete -o 5y", "5y: an age is"),
            ("list -q nowhere", "no such queue"),
        ] {
            let error = parse(&words(line)).err().unwrap();
            assert!(error.contains(part), "{line}: {error}");
        }
        let (wish, _) = parse(&words("delete -s @x -o 2h -q deferred -q hold")).unwrap();
        assert_eq!(wish.select.older, Some(Duration::from_secs(7200)));
        assert_eq!(wish.select.queues, [QueueName::Deferred, QueueName::Hold]);
        assert!(parse(&words("delete -a")).is_ok());
    }

    #[test]
    fn causes_are_told_apart_by_host_and_not_by_recipient() {
        let same = [
            "host mx.x[192.0.2.1] said: 450 4.2.1 <a@x> try later 1A2B3C4D5E (in reply to RCPT TO command)",
            "host mx.x[192.0.2.1] said: 450 4.2.1 <bob@x> try later 9F8E7D6C5B4A3 (in reply to RCPT TO command)",
        ];
        assert_eq!(kind_of(same[0]), kind_of(same[1]));
        assert_ne!(
            kind_of("connect to a[192.0.2.1]:25: timed out"),
            kind_of("connect to b[192.0.2.2]:25: timed out")
        );
        assert_eq!(kind_of("no < end"), "no < end");
    }

    #[test]
    fn ages() {
        for (seconds, text) in [(0, "0s"), (119, "119s"), (120, "2m"), (7200, "2h"), (172_800, "2d")] {
            assert_eq!(short_age(Duration::from_secs(seconds)), text);
        }
    }
}
