//! postlog(1): writes lines to the mail log for scripts.

use std::ffi::OsString;
use std::io::{BufRead, Read};
use std::path::PathBuf;
use std::process::ExitCode;

use maillog::{Log, Severity};

use super::getopt::Getopt;
use super::{config_directory, fatal, load};
use crate::mail_log;

/// Longest line taken from standard input, in bytes.
const LONGEST_LINE: u64 = 64 * 1024;

/// Runs postlog.
pub fn run(args: &[OsString]) -> ExitCode {
    let mut directory = None;
    let mut tag = None;
    let mut severity = Severity::Info;
    let mut options = Getopt::new("c:ip:t:v", args);
    for option in options.by_ref() {
        match option {
            Ok(('c', Some(value))) => directory = Some(PathBuf::from(value)),
            Ok(('t', Some(value))) => tag = Some(value.to_string_lossy().into_owned()),
            Ok(('p', Some(value))) => {
                severity = match value.to_string_lossy().as_ref() {
                    "info" => Severity::Info,
                    "warn" | "warning" => Severity::Warning,
                    "error" => Severity::Error,
                    "fatal" => Severity::Fatal,
                    "panic" => Severity::Panic,
                    other => {
                        return fatal(
                            "postlog",
                            &format!("-p {other}: use info, warn, error, fatal or panic"),
                            1,
                        );
                    }
                };
            }
            Ok(_) => {}
            Err(error) => return fatal("postlog", &error.to_string(), 1),
        }
    }
    let (_, settings) = match load(&config_directory(directory), "postlog") {
        Ok(loaded) => loaded,
        Err(why) => return fatal("postlog", &why, 1),
    };
    let log = match mail_log::open(&settings, "postlog") {
        Ok(log) => match &tag {
            Some(tag) => named(&log, tag),
            None => log,
        },
        Err(why) => return fatal("postlog", &why, 1),
    };
    let words: Vec<_> = options.operands().iter().map(|word| word.to_string_lossy().into_owned()).collect();
    if !words.is_empty() {
        log.write(severity, format_args!("{}", words.join(" ")));
        return ExitCode::SUCCESS;
    }
    let mut input = std::io::stdin().lock();
    let mut line = Vec::new();
    loop {
        line.clear();
        match input.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line) {
            Ok(0) => return ExitCode::SUCCESS,
            Ok(_) => log.write(severity, format_args!("{}", String::from_utf8_lossy(&line).trim_end())),
            Err(error) => return fatal("postlog", &error.to_string(), 1),
        }
    }
}

/// `-t postfix/script`: the whole name, or a program under the usual one.
fn named(log: &Log, tag: &str) -> Log {
    match tag.split_once('/') {
        Some((name, program)) => log.service(name, program),
        None => log.service("postfix", tag),
    }
}
