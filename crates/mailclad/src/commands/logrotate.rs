//! postfix logrotate (postfix(1)): renames the file of the log, waits until nobody writes to it any more, and has it compressed.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use config::params;

use super::load;

/// How long those who write may take to leave the file; master looks every second.
const PATIENCE: Duration = Duration::from_secs(30);

/// Rotates the file that main.cf names. The error is what Postfix's script would say.
pub(super) fn run(directory: &Path) -> Result<(), String> {
    let (_, settings) = load(directory, "postfix")?;
    let file = settings.get(params::maillog_file);
    let compressor = settings.get(params::maillog_file_compressor);
    let suffix = settings.get(params::maillog_file_rotate_suffix);
    for (name, value) in [
        (params::maillog_file.name(), file),
        (params::maillog_file_compressor.name(), compressor),
        (params::maillog_file_rotate_suffix.name(), suffix),
    ] {
        if value.is_empty() {
            return Err(format!("empty '{name}' parameter value - logfile rotation failed"));
        }
    }
    if file.starts_with("/dev/") {
        return Err(format!("not rotating '{file}'"));
    }
    rotate(file, suffix, compressor).map_err(|why| format!("logfile '{file}' rotation failed: {why}"))
}

fn rotate(file: &str, suffix: &str, compressor: &str) -> Result<(), String> {
    // date(1), as in Postfix, knows the formats of strftime(3) and the time zone.
    let date = succeeded("date", Command::new("date").arg(format!("+{suffix}")))?;
    let renamed = format!("{file}.{}", String::from_utf8_lossy(&date.stdout).trim_end());
    std::fs::rename(file, &renamed).map_err(|error| format!("cannot rename it to {renamed}: {error}"))?;
    // Writers hold a shared lock. It is let go at once: the name is gone, and nobody comes to write any more.
    let old = File::open(&renamed).map_err(|error| format!("{renamed}: {error}"))?;
    let deadline = Instant::now() + PATIENCE;
    while old.try_lock().is_err() {
        if Instant::now() > deadline {
            return Err(format!("a process still writes to {renamed}, which is not compressed"));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    drop(old);
    succeeded(compressor, Command::new(compressor).arg(&renamed)).map(drop)
}

/// Runs a command; the error is what it said.
fn succeeded(name: &str, command: &mut Command) -> Result<Output, String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{name}: {error}"))?;
    match output.status.success() {
        true => Ok(output),
        false => {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            Err(if said.is_empty() { format!("{name}: {}", output.status) } else { said })
        }
    }
}
