//! `mailclad tlsrpt [-c DIR] [-j] [DAY ...]`: what has been counted for TLSRPT (RFC 8460) and not been sent yet. A line for each day and
//! domain, or with `-j` the reports themselves, as they would be sent, one JSON object after the other. Days are those of UTC.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use config::{Settings, params};
use send::tlsrpt::{Day, Days, Reporter, count};

use super::getopt::Getopt;
use super::{config_directory, fatal, load};

const PROGRAM: &str = "mailclad tlsrpt";

/// Runs it.
pub fn run(args: &[OsString]) -> ExitCode {
    let (mut directory, mut json) = (None, false);
    let mut options = Getopt::new("c:j", args);
    for option in options.by_ref() {
        match option {
            Ok(('c', value)) => directory = value.map(PathBuf::from),
            Ok(_) => json = true,
            Err(error) => return fatal(PROGRAM, &error.to_string(), 64),
        }
    }
    let mut days = Vec::new();
    for word in options.operands() {
        match Day::parse(&word.to_string_lossy()) {
            Some(day) => days.push(day),
            None => return fatal(PROGRAM, "usage: mailclad tlsrpt [-c DIR] [-j] [YYYY-MM-DD ...]", 64),
        }
    }
    let settings = match load(&config_directory(directory), "smtp") {
        Ok((_, settings)) => settings,
        Err(why) => return fatal(PROGRAM, &why, 1),
    };
    match show(&settings, &days, json) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fatal(PROGRAM, &format!("{}: {error}", settings.get(params::data_directory)), 1),
    }
}

fn show(settings: &Settings, wanted: &[Day], json: bool) -> std::io::Result<()> {
    if !settings.get(params::tlsrpt_reports) {
        eprintln!("{PROGRAM}: warning: nothing is counted: set tlsrpt_reports = yes");
    }
    let (files, by) = (Days::new(settings.get(params::data_directory)), Reporter::new(settings));
    for day in files.all()?.into_iter().filter(|day| wanted.is_empty() || wanted.contains(day)) {
        for report in count(files.events(day)?) {
            match json {
                true => println!("{:#}", report.to_json(day, &by)),
                false => println!("{day} {}", report.summary()),
            }
        }
    }
    Ok(())
}
