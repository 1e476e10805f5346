//! postconf(1): its argument vector and its output. What it prints is decided in `config::postconf`.

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use config::HostFacts;
use config::postconf::{Facilities, Report, Request, run as postconf};

use super::getopt::Getopt;

/// Runs the command. `host` is what the defaults of this machine are made of, `built` what the program can do.
pub fn run(args: &[OsString], host: &HostFacts, built: &Facilities) -> ExitCode {
    let host =
        HostFacts { process_name: "postconf".to_owned(), process_id: std::process::id(), ..host.clone() };
    print(&answer(args, std::env::var("MAIL_CONFIG").ok().as_deref(), &host, built))
}

fn answer(args: &[OsString], config_directory: Option<&str>, host: &HostFacts, built: &Facilities) -> Report {
    let text = |value: &OsString| value.to_string_lossy().into_owned();
    let mut options = Vec::new();
    let mut letters = Getopt::new(Request::LETTERS, args);
    for option in letters.by_ref() {
        match option {
            Ok((letter, value)) => options.push((letter, value.as_ref().map(text))),
            Err(error) => {
                let mut report = Report::default();
                report.messages.push(error.to_string());
                return report.fatal(Request::USAGE);
            }
        }
    }
    match Request::new(&options, letters.operands().iter().map(text).collect()) {
        Ok(request) => postconf(&request, config_directory, host, built),
        Err(fatal) => Report::default().fatal(fatal),
    }
}

/// Standard output first, then the messages. A reader who has gone, as in `postconf | head`, is no error.
fn print(report: &Report) -> ExitCode {
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_all(report.stdout.as_bytes()).and_then(|()| stdout.flush());
    let mut stderr = std::io::stderr().lock();
    for message in &report.messages {
        let _ = writeln!(stderr, "postconf: {message}");
    }
    ExitCode::from(report.status)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(args: &[&str]) -> Vec<OsString> {
        args.iter().map(OsString::from).collect()
    }

    #[test]
    fn options_reach_the_command() {
        let host = HostFacts::default();
        let built = Facilities { table_types: vec!["cidr".to_owned()], ..Facilities::default() };
        let report = answer(&words(&["-m"]), None, &host, &built);
        assert_eq!(report, Report { stdout: "cidr\n".to_owned(), ..Report::default() });
    }

    #[test]
    fn an_unknown_option_shows_the_usage() {
        let report = answer(&words(&["-Z"]), None, &HostFacts::default(), &Facilities::default());
        assert_eq!(report.messages[0], "invalid option -- 'Z'");
        assert!(report.messages[1].starts_with("fatal: usage: postconf [-a "));
        assert_eq!(report.status, 1);
    }
}
