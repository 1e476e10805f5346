//! postfix(1): start, start-fg, stop, abort, flush, reload, status, check; `tls` is in `postfix_tls.rs`, `logrotate` in `logrotate.rs`.

use std::ffi::OsString;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use config::params;
use link::Request;
use link::message::FlushWhat;
use rustix::process::{Pid, Signal, kill_process};

use super::check;
use super::getopt::Getopt;
use super::logrotate;
use super::postfix_tls;
use super::queue_link::QueueLink;
use super::{config_directory, load};
use crate::master;
use crate::paths::Paths;

/// How long `start` waits for the system to serve, and `stop` for it to be gone.
const PATIENCE: Duration = Duration::from_secs(60);

/// What `start` says behind `start-fg`: it has looked at the configuration a moment ago.
const CHECKED: &str = "--checked";

/// How often `start` looks whether master is still there, while that has nothing to say.
const LOOK: Duration = Duration::from_millis(20);

/// Runs postfix.
pub fn run(args: &[OsString]) -> ExitCode {
    let mut directory = None;
    let mut options = Getopt::new("c:Dv", args);
    for option in options.by_ref() {
        match option {
            Ok(('c', Some(value))) => directory = Some(PathBuf::from(value)),
            Ok(_) => {}
            Err(error) => return usage(&error.to_string()),
        }
    }
    let directory = config_directory(directory);
    let words: Vec<_> = options.operands().iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let result = match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["start"] => start(&directory),
        ["start-fg"] => return start_fg(&directory),
        ["start-fg", CHECKED] => return master::run(&directory),
        ["stop"] => stop(&directory, Signal::TERM),
        ["abort"] => stop(&directory, Signal::QUIT),
        ["reload"] => reload(&directory),
        ["flush"] => flush(&directory),
        ["status"] => status(&directory),
        ["logrotate"] => logrotate::run(&directory).map(|()| String::new()),
        ["check"] => return check::report(&directory),
        ["tls", ..] => return postfix_tls::run(&directory, &words[1..]),
        [] => return usage("missing command"),
        _ => return usage(&format!("unknown command: {}", words.join(" "))),
    };
    match result {
        Ok(text) => {
            say(&text);
            ExitCode::SUCCESS
        }
        Err(why) => {
            say(&format!("fatal: {why}"));
            ExitCode::FAILURE
        }
    }
}

fn usage(why: &str) -> ExitCode {
    eprintln!("postfix: error: {why}");
    eprintln!("postfix: fatal: usage: postfix [-c config_dir] [-Dv] command");
    eprintln!("  commands: start start-fg stop abort reload flush status check tls logrotate");
    ExitCode::FAILURE
}

fn say(text: &str) {
    if !text.is_empty() {
        eprintln!("postfix/postfix-script: {text}");
    }
}

fn paths(directory: &Path) -> Result<Paths, String> {
    let (_, settings) = load(directory, "postfix")?;
    Ok(Paths::new(settings.get(params::queue_directory)))
}

fn running(directory: &Path) -> Result<(Paths, Option<Pid>), String> {
    let paths = paths(directory)?;
    let pid = master::running_pid(&paths.pid_file()).and_then(Pid::from_raw);
    Ok((paths, pid))
}

/// Starts master in the background and returns once mail is accepted.
fn start(directory: &Path) -> Result<String, String> {
    let (_, pid) = running(directory)?;
    if pid.is_some() {
        return Err("the Postfix mail system is already running".into());
    }
    check::fatal_findings(directory)?;
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    // What master says before its log is open. Not our own stderr: whoever reads that through a pipe would wait for its end as
    // long as the system runs.
    let said = tempfile::tempfile().map_err(|error| error.to_string())?;
    let stderr = said.try_clone().map_err(|error| error.to_string())?;
    // Master says READY=1 there when all that serves has begun (sd_notify(3)).
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let path = folder.path().join("ready");
    let ready = UnixDatagram::bind(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    ready.set_read_timeout(Some(LOOK)).map_err(|error| error.to_string())?;
    let mut child = Command::new(program)
        .env("NOTIFY_SOCKET", &path)
        .args(["postfix", "-c"])
        .arg(directory)
        .args(["start-fg", CHECKED])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(stderr)
        // Neither the terminal's Ctrl-C nor its end concerns the mail system.
        .process_group(0)
        .spawn()
        .map_err(|error| error.to_string())?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait().map_err(|error| error.to_string())? {
            pass_on(&said);
            return Err(format!(
                "mail system startup failed ({status}); see the lines above and the mail log"
            ));
        }
        let mut state = [0; 64];
        if ready.recv(&mut state).is_ok_and(|length| state[..length].starts_with(b"READY=1")) {
            pass_on(&said);
            return Ok("starting the Postfix mail system".into());
        }
        if Instant::now() > deadline {
            pass_on(&said);
            return Err("the mail system did not start in time; see the mail log".into());
        }
    }
}

/// Copies the beginning of a file to stderr. By position: the place where the file is written is not ours to move.
fn pass_on(said: &File) {
    let mut text = vec![0; 64 * 1024];
    let length = said.read_at(&mut text, 0).unwrap_or(0);
    eprint!("{}", String::from_utf8_lossy(&text[..length]));
}

/// Becomes master, for containers and service managers.
fn start_fg(directory: &Path) -> ExitCode {
    if let Err(why) = check::fatal_findings(directory) {
        say(&format!("fatal: {why}"));
        return ExitCode::FAILURE;
    }
    master::run(directory)
}

fn stop(directory: &Path, signal: Signal) -> Result<String, String> {
    let (paths, pid) = running(directory)?;
    let Some(pid) = pid else { return Err("the Postfix mail system is not running".into()) };
    kill_process(pid, signal).map_err(|error| format!("master, pid {pid:?}: {error}"))?;
    let deadline = Instant::now() + PATIENCE;
    while master::running_pid(&paths.pid_file()).is_some() {
        if Instant::now() > deadline {
            return Err(format!("the mail system (pid {}) does not stop", pid.as_raw_nonzero()));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok("stopping the Postfix mail system".into())
}

fn reload(directory: &Path) -> Result<String, String> {
    let (_, pid) = running(directory)?;
    let Some(pid) = pid else { return Err("the Postfix mail system is not running".into()) };
    check::fatal_findings(directory)?;
    kill_process(pid, Signal::HUP).map_err(|error| format!("master, pid {pid:?}: {error}"))?;
    Ok("refreshing the Postfix mail system".into())
}

fn flush(directory: &Path) -> Result<String, String> {
    let (paths, _) = running(directory)?;
    let Some(mut queue) = QueueLink::open(&paths.queue_socket()) else {
        return Err("the Postfix mail system is not running".into());
    };
    queue.ask(Request::Flush(FlushWhat::All), &[])?;
    Ok(String::new())
}

fn status(directory: &Path) -> Result<String, String> {
    match running(directory)? {
        (_, Some(pid)) => Ok(format!("the Postfix mail system is running: PID: {}", pid.as_raw_nonzero())),
        (_, None) => {
            say("the Postfix mail system is not running");
            std::process::exit(1);
        }
    }
}
