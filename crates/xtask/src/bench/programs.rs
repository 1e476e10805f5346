//! The load and the sink by themselves, for who measures another server, or another client.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;

use openssl::ssl::SslVersion;

use super::load::{self, Load, Tls};
use super::sink::Sink;

/// What `xtask load` is to do.
#[derive(Debug)]
pub(crate) struct LoadOptions {
    load: Load,
    /// Open sessions, and hold them until interrupted.
    holds: bool,
}

impl LoadOptions {
    /// Reads the command line: the server's address first.
    pub(crate) fn parse(args: &[&str]) -> Option<LoadOptions> {
        let (server, rest) = args.split_first()?;
        let mut load = Load {
            server: server.parse().ok()?,
            tls: None,
            clients: 10,
            sessions: 1000,
            messages: 1,
            size: 4096,
            recipient: "postmaster".into(),
        };
        let (mut version, mut resumes, mut wrapper, mut holds) = (None, false, false, false);
        let mut rest = rest.iter();
        while let Some(arg) = rest.next() {
            match *arg {
                "--tls" => {
                    version = Some(match *rest.next()? {
                        "1.2" => SslVersion::TLS1_2,
                        "1.3" => SslVersion::TLS1_3,
                        _ => return None,
                    })
                }
                "--resume" => resumes = true,
                "--wrapper" => wrapper = true,
                "--hold" => holds = true,
                "--clients" => load.clients = rest.next()?.parse().ok().filter(|count| *count > 0)?,
                "--sessions" => load.sessions = rest.next()?.parse().ok().filter(|count| *count > 0)?,
                "--messages" => load.messages = rest.next()?.parse().ok()?,
                "--size" => load.size = rest.next()?.parse().ok()?,
                "--to" => load.recipient = (*rest.next()?).to_owned(),
                _ => return None,
            }
        }
        load.tls = match version {
            Some(version) => Some(Tls { version, resumes, wrapper }),
            None if resumes || wrapper => return None,
            None => None,
        };
        Some(LoadOptions { load, holds })
    }
}

/// Runs the load, and says what came of it.
pub(crate) fn run_load(options: &LoadOptions) -> ExitCode {
    let LoadOptions { load, holds } = options;
    ended("load", async {
        if *holds {
            let held = load::idle(load, load.sessions).await?;
            println!("{} sessions are open; interrupt to end them", held.len());
            return tokio::signal::ctrl_c().await.map_err(|error| error.to_string());
        }
        let done = load::run(load).await?;
        let seconds = done.elapsed.as_secs_f64();
        let sessions = load.sessions as f64;
        println!("{} sessions in {seconds:.3} s: {:.0} sessions/s", load.sessions, sessions / seconds);
        if load.messages > 0 {
            let messages = sessions * load.messages as f64;
            let bytes = messages * load.size as f64;
            println!("{messages} messages: {:.0}/s, {:.1} MB/s", messages / seconds, bytes / seconds / 1e6);
        }
        if load.tls.is_some_and(|tls| tls.resumes) {
            println!("{} sessions were resumed", done.resumed);
        }
        Ok(())
    })
}

/// What `xtask sink` is to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SinkOptions {
    listen: SocketAddr,
    identities: Vec<PathBuf>,
}

impl SinkOptions {
    /// Reads the command line.
    pub(crate) fn parse(args: &[&str]) -> Option<SinkOptions> {
        let mut options = SinkOptions { listen: (Ipv4Addr::LOCALHOST, 0).into(), identities: Vec::new() };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            match *arg {
                "--listen" => options.listen = args.next()?.parse().ok()?,
                "--identity" => options.identities.push(args.next()?.into()),
                _ => return None,
            }
        }
        // Several can not listen on one port.
        let fits = options.identities.len() == 1 || options.listen.port() == 0;
        (!options.identities.is_empty() && fits).then_some(options)
    }
}

/// Listens until interrupted; each address that is listened on is a line of the output.
pub(crate) fn run_sink(options: &SinkOptions) -> ExitCode {
    ended("sink", async {
        for path in &options.identities {
            let identity = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
            let sink = Sink::start(options.listen, &identity).await;
            println!("{}", sink.map_err(|why| format!("{}: {why}", path.display()))?.address);
        }
        tokio::signal::ctrl_c().await.map_err(|error| error.to_string())
    })
}

fn ended(name: &str, work: impl Future<Output = Result<(), String>>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.map_err(|error| error.to_string()).and_then(|runtime| runtime.block_on(work)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{name}: {why}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_lines() {
        let load = |line: &str| LoadOptions::parse(&line.split(' ').collect::<Vec<_>>());
        let full = load("127.0.0.1:25 --tls 1.3 --resume --clients 5 --sessions 7 --messages 0").unwrap();
        assert_eq!(full.load.tls, Some(Tls { version: SslVersion::TLS1_3, resumes: true, wrapper: false }));
        assert_eq!((full.load.clients, full.load.sessions, full.load.messages), (5, 7, 0));
        assert!(load("[::1]:465 --tls 1.2 --wrapper --hold").unwrap().holds);
        for wrong in [
            "",
            "mail.test:25",
            "127.0.0.1:25 --resume",
            "127.0.0.1:25 --tls 1.1",
            "127.0.0.1:25 --clients 0",
        ] {
            assert!(load(wrong).is_none(), "{wrong}");
        }
        let sink = |line: &str| SinkOptions::parse(&line.split(' ').collect::<Vec<_>>());
        assert_eq!(sink("--identity a --identity b").unwrap().identities.len(), 2);
        assert_eq!(sink("--listen 127.0.0.1:2525 --identity a").unwrap().listen.port(), 2525);
        for wrong in ["", "--listen 127.0.0.1:2525", "--listen 127.0.0.1:2525 --identity a --identity b"] {
            assert!(sink(wrong).is_none(), "{wrong}");
        }
    }
}
