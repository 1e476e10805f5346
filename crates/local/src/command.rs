//! Running a delivery command with a message on its standard input (local(8), "EXTERNAL COMMAND DELIVERY"; pipe(8)).
//!
//! Runs with the recipient's rights. The command gets a process group of its own, so that its time limit ends its children too.

use std::io::{self, BufWriter, PipeReader, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use serde::{Deserialize, Serialize};

use crate::content::{CopyError, Format, copy};
use crate::failure::{Failure, reason};
use crate::sysexits::{Ending, judge};

/// A command and its surroundings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Run {
    pub(crate) what: Invocation,
    /// The whole environment.
    pub(crate) environment: Vec<(String, String)>,
    /// Working directory.
    pub(crate) directory: String,
    pub(crate) format: Format,
    /// How long it may take, start to end.
    pub(crate) time_limit: Duration,
    /// The agent's name in the text about a command that can not be started: `local`, `pipe`.
    pub(crate) agent: String,
}

/// How a command is given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Invocation {
    /// Program and arguments.
    Arguments(Vec<String>),
    /// A line, run without a shell where nothing in it needs one; `shell` (local_command_shell) is used in any case.
    Line { line: String, shell: Option<String> },
}

impl Invocation {
    /// The command as messages name it.
    pub(crate) fn name(&self) -> &str {
        match self {
            Invocation::Arguments(arguments) => arguments.first().map_or("", String::as_str),
            Invocation::Line { line, .. } => line,
        }
    }
}

/// Where commands are looked for.
pub(crate) const PATH: &str = "/usr/bin:/bin";

/// Most bytes of output that are kept for the log and the notice.
const OUTPUT: usize = 2048;

/// Feeds the message to the command and waits for its end. Gives what it said.
pub(crate) fn run(job: &Run, body: &mut dyn Read, length: u64) -> Result<String, Failure> {
    // The child would fail in the same way, but could not say which of its two paths is the wrong one.
    if let Err(error) = std::fs::metadata(&job.directory) {
        let text = format!("cannot change directory to \"{}\": {}", job.directory, reason(&error));
        return Err(Failure::system(text));
    }
    let deadline = Instant::now() + job.time_limit;
    let (mut child, output) = start(job).map_err(|(program, error)| {
        let text = format!(
            "temporary failure. Command output: {}: fatal: execvp {program}: {}",
            job.agent,
            reason(&error)
        );
        Failure::system(text)
    })?;
    let group = Pid::from_child(&child);
    let (said, hearing) = mpsc::channel();
    std::thread::spawn(move || said.send(collect(output)));
    let timed_out = AtomicBool::new(false);
    let (finished, watching) = mpsc::channel::<()>();
    let expired = &timed_out;
    let (fed, output) = std::thread::scope(|scope| {
        scope.spawn(move || {
            let left = deadline.saturating_duration_since(Instant::now());
            if watching.recv_timeout(left) == Err(RecvTimeoutError::Timeout) {
                expired.store(true, Ordering::Relaxed);
                kill(group);
            }
        });
        let fed = feed(job, &mut child, body, length);
        if fed.is_err() {
            kill(group);
        }
        // Not reaped yet: until then its number, by which the watcher would kill, belongs to nobody else.
        let _ = waitid(WaitId::Pid(group), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
        // A grandchild may keep the output open; the watcher ends that too, unless it has left the group.
        let patience = deadline.saturating_duration_since(Instant::now()) + Duration::from_secs(1);
        let output = hearing.recv_timeout(patience).unwrap_or_default();
        drop(finished);
        (fed, output)
    });
    let status = child.wait().map_err(|error| Failure::system(format!("wait: {}", reason(&error))))?;
    fed.map_err(|error| Failure::system(format!("error reading message: {}", reason(&error))))?;
    let ending = match (status.code(), status.signal()) {
        _ if timed_out.load(Ordering::Relaxed) => Ending::TimedOut,
        (Some(status), _) => Ending::Exited(status),
        (None, signal) => Ending::Killed(signal.unwrap_or_default()),
    };
    match judge(ending, job.what.name(), &output) {
        Some(failure) => Err(failure),
        None => Ok(output),
    }
}

fn kill(group: Pid) {
    // It may be gone already.
    let _ = kill_process_group(group, Signal::KILL);
}

/// Writes the message. A command that does not read all of it may succeed nonetheless.
fn feed(job: &Run, child: &mut Child, body: &mut dyn Read, length: u64) -> io::Result<()> {
    let Some(stdin) = child.stdin.take() else { return Ok(()) };
    let mut stdin = BufWriter::with_capacity(64 * 1024, stdin);
    match copy(&job.format, body, length, &mut stdin) {
        Ok(()) => {
            let _ = stdin.flush();
            Ok(())
        }
        Err(CopyError::Write(_)) => Ok(()),
        Err(CopyError::Read(error)) => {
            // What is buffered must not make half a message look longer.
            let _ = stdin.into_parts();
            Err(error)
        }
    }
}

/// Starts the command; the error comes with the name of the program.
fn start(job: &Run) -> Result<(Child, PipeReader), (String, io::Error)> {
    let through_shell = |line: &str| {
        let arguments = ["/bin/sh", "-c", line].map(str::to_owned);
        // What its messages begin with.
        spawn(job, &arguments, Some("sh"))
    };
    let spawn_plain = |arguments: &[String]| spawn(job, arguments, None);
    match &job.what {
        Invocation::Arguments(arguments) => spawn_plain(arguments),
        Invocation::Line { line, shell: Some(shell) } => {
            let mut arguments: Vec<String> = shell.split_ascii_whitespace().map(str::to_owned).collect();
            arguments.push(line.clone());
            spawn_plain(&arguments)
        }
        Invocation::Line { line, shell: None } if needs_shell(line) => through_shell(line),
        Invocation::Line { line, shell: None } => {
            let arguments: Vec<String> = line.split_ascii_whitespace().map(str::to_owned).collect();
            match spawn_plain(&arguments) {
                // It may be a word of the shell's own, such as `exit`.
                Err((program, error))
                    if error.kind() == io::ErrorKind::NotFound && !program.contains('/') =>
                {
                    through_shell(line)
                }
                other => other,
            }
        }
    }
}

/// Is there anything that only a shell understands?
fn needs_shell(line: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "!@%-_=+:,./ \t".contains(c);
    !line.chars().all(plain) || line.trim().is_empty()
}

fn spawn(
    job: &Run,
    arguments: &[String],
    own_name: Option<&str>,
) -> Result<(Child, PipeReader), (String, io::Error)> {
    let Some((program, arguments)) = arguments.split_first() else {
        return Err((String::new(), io::ErrorKind::NotFound.into()));
    };
    let started = (|| {
        let (output, their_output) = io::pipe()?;
        let child = Command::new(program)
            .arg0(own_name.unwrap_or(program))
            .args(arguments)
            .env_clear()
            .envs(job.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(&job.directory)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(their_output.try_clone()?)
            .stderr(their_output)
            .spawn()?;
        Ok((child, output))
    })();
    started.map_err(|error| (program.clone(), error))
}

/// The beginning of the output, as one line; all of it is read, so that nobody waits for a reader.
fn collect(mut output: PipeReader) -> String {
    let mut kept = Vec::new();
    // A pipe that can not be read any more has said all.
    let _ = (&mut output).take(OUTPUT as u64).read_to_end(&mut kept);
    let _ = io::copy(&mut output, &mut io::sink());
    let text = String::from_utf8_lossy(&kept);
    if text.trim().is_empty() {
        return String::new();
    }
    let shown = |c: char| match c {
        '\n' | '\r' | '\t' => ' ',
        c if c.is_control() => '_',
        c => c,
    };
    text.chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Run {
        Run {
            what: Invocation::Line { line: text.into(), shell: None },
            environment: vec![("PATH".into(), PATH.into()), ("USER".into(), "joe".into())],
            directory: "/".into(),
            format: Format::plain("X: y\n".into()),
            time_limit: Duration::from_secs(60),
            agent: "local".into(),
        }
    }

    fn outcome(job: &Run) -> Result<String, (String, String)> {
        run(job, &mut &b"A: b\n"[..], 5).map_err(|failure| (failure.status.to_string(), failure.text))
    }

    #[test]
    fn what_becomes_of_commands() {
        let failed = |status: &str, text: &str| Err((status.to_owned(), text.to_owned()));
        for (command, expected) in [
            ("cat", Ok("X: y A: b ".to_owned())),
            ("true", Ok(String::new())), // does not read its input
            ("echo $USER; echo more >&2", Ok("joe more ".into())),
            ("exit 75", failed("4.3.0", "temporary failure")),
            ("exit 67; ", failed("5.1.1", "user unknown")),
            ("echo 4.2.2 mailbox full; exit 1", failed("4.2.2", "mailbox full ")),
            ("false", failed("5.3.0", "Command died with status 1: \"false\"")),
            ("kill -9 $$", failed("4.3.0", "Command died with signal 9: \"kill -9 $$\"")),
            (
                "/no/such/program",
                failed(
                    "4.3.0",
                    "temporary failure. Command output: local: fatal: execvp /no/such/program: No such file or \
                     directory",
                ),
            ),
        ] {
            assert_eq!(outcome(&line(command)), expected, "{command}");
        }
    }

    #[test]
    fn only_lines_with_magic_need_a_shell() {
        for (text, expected) in [
            ("/usr/bin/procmail -a joe", false),
            ("exec /usr/bin/x || exit 75", true),
            ("a $USER", true),
            ("a 'b c'", true),
            (" ", true),
        ] {
            assert_eq!(needs_shell(text), expected, "{text}");
        }
    }

    #[test]
    fn a_shell_of_the_administrator_gets_every_line() {
        let shell = Some("/bin/sh -c".to_owned());
        let job = Run { what: Invocation::Line { line: "exit 67".into(), shell }, ..line("") };
        assert_eq!(outcome(&job), Err(("5.1.1".into(), "user unknown".into())));
    }

    #[test]
    fn the_time_limit_ends_the_command_and_its_children() {
        let job = Run { time_limit: Duration::from_millis(50), ..line("sleep 600 & sleep 600") };
        let text = "Command time limit exceeded: \"sleep 600 & sleep 600\"";
        assert_eq!(outcome(&job), Err(("5.3.0".into(), text.into())));
    }

    #[test]
    fn output_is_bounded() {
        let job = line("yes 0123456789 | head -c 1000000");
        assert!(outcome(&job).unwrap().len() <= OUTPUT);
    }

    #[test]
    fn half_a_message_is_no_success() {
        let result = run(&line("cat"), &mut &b"A: b\n"[..], 5000);
        assert_eq!(result.unwrap_err().status.to_string(), "4.3.0");
    }

    #[test]
    fn a_directory_that_is_not_there_defers() {
        let job = Run { directory: "/no/such/directory".into(), ..line("true") };
        let text = "cannot change directory to \"/no/such/directory\": No such file or directory";
        assert_eq!(outcome(&job), Err(("4.3.0".into(), text.into())));
    }
}
