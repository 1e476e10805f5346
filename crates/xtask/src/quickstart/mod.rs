//! A complete mail server in a folder, on ports that need no privilege, with the proof that mail flows over verified TLS.
//!
//! - `folder.rs`: the folder and who owns it. `configuration.rs`: main.cf and master.cf. `ports.rs`: free ports.
//! - `server.rs`: the program as a child. `client.rs`: the SMTP client that checks the certificate.
//! - `proof.rs`: one message sent and found. `words.rs`: what the visitor reads.
//!
//! The server that runs is the ordinary one, with an ordinary configuration; nothing in it knows about this.

mod client;
mod configuration;
mod folder;
mod ports;
mod proof;
mod server;
mod words;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};

use configuration::Site;
use folder::Folder;
use server::Server;

/// The arguments.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// The folder; `None` for the usual one.
    directory: Option<PathBuf>,
    /// End after the proof.
    once: bool,
}

impl Options {
    /// `None` when they are wrong.
    pub(crate) fn parse(args: &[&str]) -> Option<Options> {
        let (flags, operands): (Vec<&str>, Vec<&str>) = args.iter().partition(|arg| arg.starts_with('-'));
        let once = match flags.as_slice() {
            [] => false,
            ["--once"] => true,
            _ => return None,
        };
        match operands.as_slice() {
            [] => Some(Options { directory: None, once }),
            [directory] => Some(Options { directory: Some(directory.into()), once }),
            _ => None,
        }
    }
}

/// Makes the folder, proves, serves.
pub(crate) fn run(options: &Options) -> ExitCode {
    match serve(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("quickstart: {why}");
            ExitCode::FAILURE
        }
    }
}

fn serve(options: &Options) -> Result<(), String> {
    let program = server::program()?;
    let folder = Folder::make(options.directory.as_deref())?;
    if server::is_running(&program, &folder.path) {
        let stop = format!("{} postfix -c {} stop", program.display(), folder.path.display());
        return Err(format!("a server runs in {} already; stop it with: {stop}", folder.path.display()));
    }
    let site = Arc::new(Site::new(folder)?);
    configuration::write(&site)?;
    say(&words::made(&site))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let result = runtime.block_on(async {
        // Before the child exists, so that no interrupt leaves it behind.
        let mut interrupts = Interrupts::install().map_err(|error| error.to_string())?;
        let mut server = Server::start(&program, &site.folder.path)?;
        let result = tokio::select! {
            result = prove_and_serve(&site, &program, &mut server, options.once) => result,
            () = interrupts.next() => Ok(()),
        };
        let stopped = server.stop().await;
        result.map_err(|why| format!("{why}\n{}", words::log(&site))).and(stopped)
    });
    // A proof that waits for a server which is gone is not waited for.
    runtime.shutdown_background();
    result
}

async fn prove_and_serve(
    site: &Arc<Site>,
    program: &Path,
    server: &mut Server,
    once: bool,
) -> Result<(), String> {
    let proof = tokio::task::spawn_blocking({
        let site = site.clone();
        move || proof::prove(&site)
    });
    let proof = tokio::select! {
        proof = proof => proof.map_err(|error| error.to_string())??,
        ended = server.ended() => return ended.and(Err("the server was stopped before the proof".into())),
    };
    say(&words::proved(&proof))?;
    say(&words::log(site))?;
    if once {
        return Ok(());
    }
    say(&words::next(site, program))?;
    server.ended().await
}

/// A reader who has gone away ends the quickstart, and the server with it.
fn say(text: &str) -> Result<(), String> {
    writeln!(std::io::stdout(), "{text}").map_err(|error| format!("standard output: {error}"))
}

/// Ctrl-C, and what a service manager sends.
struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
}

impl Interrupts {
    fn install() -> std::io::Result<Interrupts> {
        let [interrupt, terminate] = [SignalKind::interrupt(), SignalKind::terminate()].map(signal);
        Ok(Interrupts { interrupt: interrupt?, terminate: terminate? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments() {
        let options =
            |directory: Option<&str>, once| Some(Options { directory: directory.map(PathBuf::from), once });
        for (args, expected) in [
            (vec![], options(None, false)),
            (vec!["--once"], options(None, true)),
            (vec!["here", "--once"], options(Some("here"), true)),
            (vec!["here", "there"], None),
            (vec!["--twice"], None),
        ] {
            assert_eq!(Options::parse(&args), expected, "{args:?}");
        }
    }
}
