//! The mail server as a child of ours: the program that cargo built beside this one, in the foreground.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

/// How long a clean end may take before the server is ended without asking.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running server.
pub(crate) struct Server {
    child: Child,
}

/// The program, beside our own.
pub(crate) fn program() -> Result<PathBuf, String> {
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let program = own.with_file_name("mailclad");
    match program.is_file() {
        true => Ok(program),
        false => Err(format!("{} is not there: build it with: cargo build --release", program.display())),
    }
}

/// Does a server run on this configuration?
pub(crate) fn is_running(program: &Path, directory: &Path) -> bool {
    directory.join("main.cf").exists()
        && std::process::Command::new(program)
            .args(["postfix", "-c"])
            .arg(directory)
            .arg("status")
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
}

impl Server {
    /// Starts it. What it complains about before it has a log goes to our standard error.
    pub(crate) fn start(program: &Path, directory: &Path) -> Result<Server, String> {
        let child = Command::new(program)
            .args(["postfix", "-c"])
            .arg(directory)
            .arg("start-fg")
            .stdin(Stdio::null())
            // A Ctrl-C is ours: the server is asked to stop, and has its time for it.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("{}: {error}", program.display()))?;
        Ok(Server { child })
    }

    /// Returns when it is gone: an error unless somebody stopped it with its own command.
    pub(crate) async fn ended(&mut self) -> Result<(), String> {
        match self.child.wait().await {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("the server ended: {status}")),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Asks it to stop, and waits. An error when it did not do so cleanly.
    pub(crate) async fn stop(&mut self) -> Result<(), String> {
        // No id: it is gone already, and its end has been reported.
        let Some(pid) = self.child.id().and_then(|id| Pid::from_raw(id.cast_signed())) else { return Ok(()) };
        kill_process(pid, Signal::TERM).map_err(|error| error.to_string())?;
        match tokio::time::timeout(PATIENCE, self.child.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(format!("the server did not stop cleanly: {status}")),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_elapsed) => {
                let _ = self.child.kill().await;
                Err(format!("the server did not stop within {} seconds", PATIENCE.as_secs()))
            }
        }
    }
}
