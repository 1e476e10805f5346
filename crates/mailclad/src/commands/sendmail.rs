//! sendmail(1): submits mail, and stands for mailq, newaliases and the rest of its modes.
//!
//! A message goes to the receive role through `public/pickup`. While the mail system is down it is left in `maildrop/`, where
//! it is picked up at the next start, as with Postfix.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead, Read, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::ExitCode;

use config::{Settings, params};
use link::message::Submission;
use link::{Reply, Request};
use mail::header_address::AddressList;
use mail::{Address, BodyType, Envelope, Notify, Purpose, Recipient, Return};
use receive::maildrop;
use tables::users::User;

use super::getopt::Getopt;
use super::queue_link::QueueLink;
use super::{config_directory, load, postalias, postqueue, stand_alone};
use crate::host;
use crate::paths::Paths;

/// sysexits.h, as sendmail's callers expect it.
const USAGE: u8 = 64;
const DATAERR: u8 = 65;
const SOFTWARE: u8 = 70;
const TEMPFAIL: u8 = 75;

/// All options of sendmail(1) with a value, and without.
const OPTIONS: &str = "A:B:C:F:GIL:N:O:R:UV:X:b:ce:f:h:imno:p:q:r:stvxl:";

/// Most recipients of one header.
const MOST_ADDRESSES: usize = 100_000;

/// Longest line looked at for the single dot that ends a message.
const LINE: u64 = 64 * 1024;

#[derive(Default)]
struct Line {
    directory: Option<PathBuf>,
    mode: Mode,
    sender: Option<String>,
    full_name: Option<String>,
    recipients_from_header: bool,
    ignore_dots: bool,
    envelope: Envelope,
    notify: Notify,
    /// What follows `-XV`: two delimiters, or nothing for the default ones.
    verp: Option<String>,
    flush: bool,
    operands: Vec<String>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Mode {
    #[default]
    Deliver,
    ListQueue,
    Aliases,
    Smtp,
    Daemon,
}

/// What went wrong, with its exit status.
struct Fatal(u8, String);

/// Runs sendmail.
pub fn run(args: &[OsString]) -> ExitCode {
    match parse(args).and_then(perform) {
        Ok(code) => code,
        Err(Fatal(status, why)) => {
            eprintln!("sendmail: fatal: {why}");
            ExitCode::from(status)
        }
    }
}

/// mailq(1): `sendmail -bp`, with sendmail's options.
pub fn mailq(args: &[OsString]) -> ExitCode {
    let args: Vec<OsString> = std::iter::once("-bp".into()).chain(args.iter().cloned()).collect();
    run(&args)
}

/// newaliases(1).
pub fn newaliases(_args: &[OsString]) -> ExitCode {
    postalias::newaliases(&config_directory(None), &host::facts())
}

fn parse(args: &[OsString]) -> Result<Line, Fatal> {
    let usage = |why: String| Fatal(USAGE, why);
    let mut line = Line::default();
    let mut options = Getopt::new(OPTIONS, args);
    for option in options.by_ref() {
        let (letter, value) = option.map_err(|error| usage(error.to_string()))?;
        let text = value.map(|value| value.to_string_lossy().into_owned()).unwrap_or_default();
        match letter {
            'B' => {
                line.envelope.body = match text.to_ascii_uppercase().as_str() {
                    "7BIT" => BodyType::SevenBit,
                    "8BITMIME" => BodyType::EightBitMime,
                    _ => return Err(usage(format!("-B {text}: use 7BIT or 8BITMIME"))),
                };
            }
            // A file in the directory, or the directory.
            'C' => {
                let path = PathBuf::from(&text);
                line.directory = Some(if path.is_dir() {
                    path
                } else {
                    path.parent().map(Into::into).unwrap_or_default()
                });
            }
            'F' => line.full_name = Some(text),
            'N' => {
                line.notify =
                    notify(&text).ok_or_else(|| usage(format!("-N {text}: bad notification list")))?
            }
            'R' => {
                line.envelope.ret = Some(match text.to_ascii_lowercase().as_str() {
                    "full" => Return::Full,
                    "hdrs" => Return::Headers,
                    _ => return Err(usage(format!("-R {text}: use full or hdrs"))),
                });
            }
            'V' => line.envelope.envid = Some(text),
            'X' => match text.strip_prefix('V') {
                Some(delimiters) => line.verp = Some(delimiters.to_owned()),
                None => return Err(Fatal(TEMPFAIL, format!("unsupported: -X{text}"))),
            },
            'O' if text.eq_ignore_ascii_case("requiretls=yes") => line.envelope.require_tls = true,
            'O' if text.eq_ignore_ascii_case("smtputf8=yes") => line.envelope.smtputf8 = true,
            'b' => {
                line.mode = match text.as_str() {
                    "m" => Mode::Deliver,
                    "p" => Mode::ListQueue,
                    "i" => Mode::Aliases,
                    "s" => Mode::Smtp,
                    "v" => {
                        line.envelope.purpose = Purpose::Probe;
                        Mode::Deliver
                    }
                    "d" | "l" => Mode::Daemon,
                    _ => return Err(usage(format!("-b{text}: unsupported mode"))),
                };
            }
            'f' | 'r' => line.sender = Some(text),
            'i' => line.ignore_dots = true,
            'o' if text.starts_with('i') => line.ignore_dots = true,
            'q' => line.flush = true,
            'I' => line.mode = Mode::Aliases,
            't' => line.recipients_from_header = true,
            // A second one is about the log, which has no such level here.
            'v' if line.envelope.purpose == Purpose::Delivery => line.envelope.purpose = Purpose::Traced,
            // Accepted for the sake of old callers, as in Postfix.
            _ => {}
        }
    }
    line.operands = options.operands().iter().map(|word| word.to_string_lossy().into_owned()).collect();
    Ok(line)
}

fn notify(text: &str) -> Option<Notify> {
    let mut notify = Notify::default();
    for word in text.split(',') {
        match word.trim().to_ascii_lowercase().as_str() {
            "never" => notify.never = true,
            "success" => notify.success = true,
            "failure" => notify.failure = true,
            "delay" => notify.delay = true,
            _ => return None,
        }
    }
    // RFC 3461 section 4.1: NEVER stands alone.
    (!notify.never || !(notify.success || notify.failure || notify.delay)).then_some(notify)
}

fn perform(line: Line) -> Result<ExitCode, Fatal> {
    match line.mode {
        Mode::ListQueue => return Ok(postqueue::list(line.directory)),
        Mode::Aliases => return Ok(postalias::newaliases(&config_directory(line.directory), &host::facts())),
        Mode::Deliver if line.flush => return Ok(postqueue::flush(line.directory)),
        Mode::Daemon => {
            return Err(Fatal(USAGE, "-bd: the mail system is started with postfix start".into()));
        }
        Mode::Deliver | Mode::Smtp => {}
    }
    let (_, settings) =
        load(&config_directory(line.directory.clone()), "sendmail").map_err(|why| Fatal(SOFTWARE, why))?;
    match line.mode {
        Mode::Smtp => stand_alone(&settings),
        _ => deliver(line, &settings),
    }
}

fn deliver(line: Line, settings: &Settings) -> Result<ExitCode, Fatal> {
    let mut content =
        tempfile::tempfile().map_err(|error| Fatal(TEMPFAIL, format!("temporary file: {error}")))?;
    let probe = line.envelope.purpose == Purpose::Probe;
    let header = match probe && !line.recipients_from_header {
        true => Vec::new(),
        false => copy_input(
            &mut io::stdin().lock(),
            &mut content,
            line.ignore_dots,
            settings.get(params::sendmail_fix_line_endings),
        )
        .map_err(|error| Fatal(TEMPFAIL, format!("reading the message: {error}")))?,
    };
    let mut recipients = Vec::new();
    for word in &line.operands {
        for address in addresses(word) {
            recipients.push(address);
        }
    }
    if line.recipients_from_header {
        recipients.extend(header_recipients(&header));
    }
    if recipients.is_empty() {
        return Err(Fatal(
            USAGE,
            "Recipient addresses must be specified on the command line or via the -t option".into(),
        ));
    }
    let sender = match line.sender.as_deref() {
        None => None,
        Some("" | "<>") => Some(Address::null()),
        Some(text) => match addresses(text).into_iter().next() {
            Some(address) => Some(address),
            None => return Err(Fatal(DATAERR, format!("-f {text}: bad sender address"))),
        },
    };
    let mut envelope = line.envelope;
    envelope.verp = line.verp.map(|delimiters| verp_delimiters(&delimiters, settings)).transpose()?;
    let submission = Submission {
        sender,
        full_name: line.full_name.or_else(full_name),
        recipients: recipients
            .into_iter()
            .map(|address| Recipient { notify: line.notify, ..Recipient::new(address) })
            .collect(),
        envelope,
    };
    if probe {
        probe_content(&submission, &mut content).map_err(|error| Fatal(TEMPFAIL, error.to_string()))?;
    }
    let submitted = submit(&submission, &content, settings)?;
    if submission.envelope.purpose != Purpose::Delivery {
        println!("Mail Delivery Status Report will be mailed to <{}>.", sender_of(&submission));
    }
    Ok(submitted)
}

/// The name of whoever runs the command: NAME of the environment, or passwd(5) has it.
fn full_name() -> Option<String> {
    if let Some(name) = std::env::var_os("NAME") {
        return Some(name.to_string_lossy().into_owned());
    }
    let uid = rustix::process::getuid().as_raw();
    let user = User::numbered(uid).ok().flatten()?;
    Some(name_in(&tables::users::gecos(uid).ok().flatten()?, &user.name))
}

/// The name in a gecos field, in which `&` is the login name, first letter in upper case.
fn name_in(gecos: &str, login: &str) -> String {
    let name = gecos.split([',', ';', '%']).next().unwrap_or_default();
    let mut letters = login.chars();
    let first: String = letters.next().map(|first| first.to_ascii_uppercase()).into_iter().collect();
    name.replace('&', &(first + letters.as_str()))
}

/// Two characters of `verp_delimiter_filter`, or `default_verp_delimiters` in the place of none.
fn verp_delimiters(given: &str, settings: &Settings) -> Result<String, Fatal> {
    let filter = settings.get(params::verp_delimiter_filter);
    let delimiters = if given.is_empty() { settings.get(params::default_verp_delimiters) } else { given };
    match delimiters.chars().count() == 2 && delimiters.chars().all(|c| filter.contains(c)) {
        true => Ok(delimiters.to_owned()),
        false => Err(Fatal(TEMPFAIL, format!("-V requires two characters from {filter}"))),
    }
}

/// Who gets reports: the sender, or whoever runs the command.
fn sender_of(submission: &Submission) -> String {
    match &submission.sender {
        Some(sender) => sender.to_external(),
        None => {
            let user = User::numbered(rustix::process::getuid().as_raw()).ok().flatten();
            user.map(|user| user.name).unwrap_or_default()
        }
    }
}

/// What a server would see of a probe, were it sent: nothing is, but the report returns its header.
fn probe_content(submission: &Submission, content: &mut File) -> io::Result<()> {
    let recipients: Vec<String> =
        submission.recipients.iter().map(|recipient| recipient.address.to_external()).collect();
    let from = sender_of(submission);
    content.set_len(0)?;
    io::Seek::rewind(content)?;
    write!(content, "From: {from}\nSubject: probe\nTo:\t{}\n\n", recipients.join(",\n\t"))
}

fn submit(submission: &Submission, content: &File, settings: &Settings) -> Result<ExitCode, Fatal> {
    let paths = Paths::new(settings.get(params::queue_directory));
    if let Some(mut pickup) = QueueLink::open(&paths.pickup_socket()) {
        rewind(content)?;
        match pickup.ask(Request::Submit(Box::new(submission.clone())), &[content.as_fd()]) {
            Ok((Reply::Submitted(_), _)) => return Ok(ExitCode::SUCCESS),
            Ok((Reply::Failed(why), _)) => return Err(Fatal(DATAERR, why)),
            // The system went away in the middle: as if it had been down. At worst the message is there twice.
            Ok(_) | Err(_) => {}
        }
    }
    rewind(content)?;
    let name = unguessable().map_err(|error| Fatal(TEMPFAIL, format!("/dev/urandom: {error}")))?;
    maildrop::write(&paths.maildrop(), &name, submission, &mut &*content)
        .map_err(|error| Fatal(TEMPFAIL, format!("{}: {error}", paths.maildrop().display())))?;
    eprintln!(
        "sendmail: warning: the Postfix mail system is down; the message waits in {}",
        paths.maildrop().display()
    );
    Ok(ExitCode::SUCCESS)
}

/// 128 random bits as text.
fn unguessable() -> io::Result<String> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn rewind(mut content: &File) -> Result<(), Fatal> {
    io::Seek::rewind(&mut content).map_err(|error| Fatal(TEMPFAIL, error.to_string()))
}

/// Copies a message to its end or to a line with a single dot. Gives its header, up to a bound. CR LF becomes LF by
/// `sendmail_fix_line_endings`: always, never, or with `strict` when the first line ends so.
fn copy_input(
    input: &mut impl BufRead,
    content: &mut File,
    ignore_dots: bool,
    fix_line_endings: &str,
) -> io::Result<Vec<u8>> {
    const MOST_HEADER: usize = 1024 * 1024;
    let mut out = io::BufWriter::new(content);
    let mut header = Vec::new();
    let mut in_header = true;
    let mut at_line_start = true;
    // With `strict` the first line decides.
    let mut fixes = match fix_line_endings {
        "never" => Some(false),
        "strict" => None,
        _ => Some(true),
    };
    let mut line = Vec::new();
    loop {
        line.clear();
        if input.by_ref().take(LINE).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let with_cr = line.ends_with(b"\r\n");
        let fixes = *fixes.get_or_insert(with_cr);
        if with_cr && fixes {
            line.truncate(line.len() - 2);
            line.push(b'\n');
        }
        if at_line_start && !ignore_dots && (line == b".\n" || line == b".") {
            break;
        }
        // The mbox separator that some programs put first is no part of the message.
        if in_header && header.is_empty() && line.starts_with(b"From ") {
            continue;
        }
        in_header &= !(at_line_start && line == b"\n");
        if in_header && header.len() < MOST_HEADER {
            header.extend_from_slice(&line);
        }
        at_line_start = line.ends_with(b"\n");
        out.write_all(&line)?;
    }
    out.flush()?;
    Ok(header)
}

/// The addresses of To:, Cc: and Bcc:, or of their Resent- forms when there are any.
fn header_recipients(header: &[u8]) -> Vec<Address> {
    let (fields, _) = mail::header::split(header);
    let resent = fields.iter().any(|field| field.name().to_ascii_lowercase().starts_with(b"resent-"));
    let names: [&str; 3] = match resent {
        true => ["resent-to", "resent-cc", "resent-bcc"],
        false => ["to", "cc", "bcc"],
    };
    fields
        .iter()
        .filter(|field| names.iter().any(|name| field.is(name)))
        .flat_map(|field| addresses(&String::from_utf8_lossy(field.value())))
        .collect()
}

/// The addresses of a header value or a command line word.
fn addresses(text: &str) -> Vec<Address> {
    AddressList::parse(text, MOST_ADDRESSES).addresses()
}

/// `-bs`: an SMTP session on standard input and output, without STARTTLS. What it accepts takes the way of `sendmail`.
fn stand_alone(settings: &Settings) -> Result<ExitCode, Fatal> {
    stand_alone::serve(settings, |submission, content| match submit(submission, content, settings) {
        Ok(_) => Ok(()),
        Err(Fatal(_, why)) => Err(why),
    })
    .map_err(|error| Fatal(TEMPFAIL, error.to_string()))?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_endings() {
        for (mode, input, expected) in [
            ("always", "A: b\n\r\nx\r\n", "A: b\n\nx\n"),
            ("never", "A: b\r\n\r\nx\r\n", "A: b\r\n\r\nx\r\n"),
            ("strict", "A: b\r\n\r\nx\r\n", "A: b\n\nx\n"),
            ("strict", "A: b\n\nx\r\n", "A: b\n\nx\r\n"),
        ] {
            let mut file = tempfile::tempfile().unwrap();
            copy_input(&mut input.as_bytes(), &mut file, false, mode).unwrap();
            rewind(&file).ok().unwrap();
            let mut copied = String::new();
            file.read_to_string(&mut copied).unwrap();
            assert_eq!(copied, expected, "{mode}");
        }
    }

    fn copied(input: &str, ignore_dots: bool) -> (String, String) {
        let mut file = tempfile::tempfile().unwrap();
        let header = copy_input(&mut input.as_bytes(), &mut file, ignore_dots, "always").unwrap();
        let mut text = String::new();
        io::Seek::rewind(&mut file).unwrap();
        file.read_to_string(&mut text).unwrap();
        (text, String::from_utf8(header).unwrap())
    }

    #[test]
    fn a_single_dot_ends_the_message_unless_told_otherwise() {
        let input = "To: a@x\r\n\r\nbody\r\n.\r\nmore\r\n";
        assert_eq!(copied(input, false).0, "To: a@x\n\nbody\n");
        assert_eq!(copied(input, true).0, "To: a@x\n\nbody\n.\nmore\n");
        assert_eq!(copied("From me\nTo: a@x\n\nx", false), ("To: a@x\n\nx".into(), "To: a@x\n".into()));
    }

    #[test]
    fn recipients_of_the_header() {
        let addresses = |text: &str| -> Vec<String> {
            header_recipients(text.as_bytes()).iter().map(|address| address.to_string()).collect()
        };
        assert_eq!(
            addresses("To: A <a@x>, b@y\nCc: c@z\nBcc: d@w\nSubject: e@v\n"),
            ["a@x", "b@y", "c@z", "d@w"]
        );
        assert_eq!(addresses("To: a@x\nResent-To: b@y\n"), ["b@y"]);
    }

    #[test]
    fn names_of_users() {
        for (gecos, expected) in [
            ("Jane Doe,Room 1,555", "Jane Doe"),
            ("& Doe", "Joe Doe"),
            ("", ""),
            ("a;b", "a"),
            ("root", "root"),
        ] {
            assert_eq!(name_in(gecos, "joe"), expected, "{gecos}");
        }
    }

    #[test]
    fn notification_lists() {
        assert!(notify("success,delay").is_some_and(|n| n.success && n.delay && !n.failure));
        assert!(notify("never").is_some_and(|n| n.never));
        assert!(notify("never,success").is_none() && notify("sometimes").is_none());
    }
}
