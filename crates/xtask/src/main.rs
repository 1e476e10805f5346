//! Chores of the project, as `cargo xtask CHORE`: `tidy` checks the house, `quickstart` shows it to a visitor, `bench` compares its
//! speed with Postfix's (`load` and `sink` are its ends, for use by themselves), `instructions` with its own of before.
//!
//! Nothing here is part of the mail server.
#![forbid(unsafe_code)]

mod bench;
mod instructions;
mod quickstart;
mod tidy;

use std::process::ExitCode;

const USAGE: &str = "usage: cargo xtask CHORE

  tidy                       check arrows between crates, file headers, dead files, unsafe code
  quickstart [--once] [DIR]  make a mail server in a folder (default: quickstart), prove that mail flows over TLS,
                             and serve until interrupted; with --once, end after the proof
  bench [--repeats N] [--only NAME] [--scale PERCENT] [--alone] [--output FILE]
                             Mailclad and Debian's Postfix side by side; with a release build, as root
  load ADDRESS:PORT [--tls 1.2|1.3 [--resume] [--wrapper]] [--clients N] [--sessions N] [--messages N] [--size BYTES]
       [--to RECIPIENT] [--hold]
                             SMTP sessions, many at a time, and how many a second; with --hold, open until interrupted
  sink --identity FILE [--listen ADDRESS:PORT]
                             an SMTP server with STARTTLS that takes every message and keeps none; FILE is its key and
                             certificates, as PEM
  instructions [--record]    what fixed inputs cost, against the recorded counts; with a release build and valgrind";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["tidy"] => tidy(),
        ["quickstart", rest @ ..] => match quickstart::Options::parse(rest) {
            Some(options) => quickstart::run(&options),
            None => usage(),
        },
        ["bench", rest @ ..] => match bench::Options::parse(rest) {
            Some(options) => bench::run(&options),
            None => usage(),
        },
        ["load", rest @ ..] => match bench::programs::LoadOptions::parse(rest) {
            Some(options) => bench::programs::run_load(&options),
            None => usage(),
        },
        ["sink", rest @ ..] => match bench::programs::SinkOptions::parse(rest) {
            Some(options) => bench::programs::run_sink(&options),
            None => usage(),
        },
        ["instructions", rest @ ..] => match instructions::Options::parse(rest) {
            Some(options) => instructions::run(&options),
            None => usage(),
        },
        _ => usage(),
    }
}

fn usage() -> ExitCode {
    eprintln!("{USAGE}");
    ExitCode::from(64)
}

fn tidy() -> ExitCode {
    let findings = tidy::findings(&tidy::root());
    for finding in &findings {
        eprintln!("{finding}");
    }
    match findings.len() {
        0 => ExitCode::SUCCESS,
        count => {
            eprintln!("tidy: {count} findings");
            ExitCode::FAILURE
        }
    }
}
