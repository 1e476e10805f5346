//! `xtask bench`: Mailclad and the real Postfix side by side, on loopback, with the same configuration and the same durability on the
//! same file system, in turn and several times. Figures are medians; ratios are what counts, since machines differ.
//!
//! Needs root and Debian's postfix, and a release build of Mailclad. `docs/performance.md` is written by it.

mod load;
mod processes;
pub(crate) mod programs;
mod report;
mod scenario;
mod sink;
mod subject;

use std::collections::HashMap;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use testkit::authority::{Authority, KeyKind};

use scenario::{Measured, SCENARIOS, World};
use sink::Sink;
use subject::{Kind, Subject};

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// Runs of each scenario.
    repeats: usize,
    /// Only scenarios whose name contains this.
    only: String,
    /// A part of the load, in per cent, for a quick look.
    scale: usize,
    /// Where the table is written; nowhere when empty.
    output: String,
    /// Mailclad without Postfix beside it: for whoever looks with a profiler where the time goes.
    alone: bool,
}

impl Options {
    /// Reads the command line.
    pub(crate) fn parse(args: &[&str]) -> Option<Options> {
        let mut options =
            Options { repeats: 3, only: String::new(), scale: 100, output: String::new(), alone: false };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            match *arg {
                "--repeats" => options.repeats = args.next()?.parse().ok().filter(|n| *n > 0)?,
                "--only" => options.only = (*args.next()?).to_owned(),
                "--scale" => options.scale = args.next()?.parse().ok().filter(|n| (1..=1000).contains(n))?,
                "--alone" => options.alone = true,
                "--output" => options.output = (*args.next()?).to_owned(),
                _ => return None,
            }
        }
        Some(options)
    }
}

/// Runs it.
pub(crate) fn run(options: &Options) -> ExitCode {
    match compare(options) {
        Ok(table) => {
            println!("{table}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("bench: {why}");
            ExitCode::FAILURE
        }
    }
}

fn compare(options: &Options) -> Result<String, String> {
    let program = program()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let folder = std::env::temp_dir().join(format!("mailclad-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let result = runtime.block_on(in_folder(options, &program, &folder));
    let _ = std::fs::remove_dir_all(&folder);
    result
}

async fn in_folder(options: &Options, program: &Path, folder: &Path) -> Result<String, String> {
    use std::os::unix::fs::PermissionsExt;
    let _ = std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755));
    let authority = Authority::new("Bench CA");
    let rsa = authority.issue("bench.test", KeyKind::Rsa2048);
    let ecdsa = authority.issue("bench.test", KeyKind::EcdsaP256);
    let certificates = [
        ("rsa.pem", rsa.key_pem + &rsa.certificate_pem),
        ("ecdsa.pem", ecdsa.key_pem + &ecdsa.certificate_pem),
    ];
    let sink = Sink::start((Ipv4Addr::LOCALHOST, 0).into(), certificates[1].1.as_bytes()).await?;
    let mut subjects = Vec::new();
    let kinds: &[Kind] = if options.alone { &[Kind::Mailclad] } else { &[Kind::Postfix, Kind::Mailclad] };
    for &kind in kinds {
        let ports = (free_port()?, free_port()?);
        let subject = Subject::start(kind, folder, program, ports, sink.address.port(), &certificates)?;
        subjects.push(subject);
    }
    let floor = match subjects.as_slice() {
        [subject, _, ..] => {
            let identity = |name: &str| subject.dir.join("etc").join(name);
            Some(sink::Process::start(&[&identity("rsa.pem"), &identity("ecdsa.pem")])?)
        }
        _ => None,
    };
    let mut rows = Vec::new();
    for scenario in SCENARIOS.iter().filter(|scenario| scenario.name.contains(&options.only)) {
        let mut runs: HashMap<Kind, Vec<Measured>> = HashMap::new();
        let mut floors = Vec::new();
        for _ in 0..options.repeats {
            if let Some(floor) = &floor
                && let Some(one) = scenario.measure_floor(floor, options.scale).await
            {
                floors.push(one.map_err(|why| format!("{}, floor: {why}", scenario.name))?);
            }
            for subject in &subjects {
                let world = World { subject, sink: &sink, scale: options.scale };
                let one = scenario.measure(&world).await;
                let one = one.map_err(|why| format!("{}, {}: {why}", scenario.name, subject.kind.name()))?;
                runs.entry(subject.kind).or_default().push(one);
                // The one that rests shall not tidy up on the other's time.
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
        }
        let row = report::Row::new(scenario, &runs, &floors);
        eprintln!("{}", row.line());
        rows.push(row);
    }
    let text = report::page(&rows, options.repeats, options.scale, &report::limits());
    if !options.output.is_empty() {
        std::fs::write(&options.output, &text).map_err(|error| format!("{}: {error}", options.output))?;
    }
    Ok(text)
}

/// The release build beside this program.
fn program() -> Result<PathBuf, String> {
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let program = own.with_file_name("mailclad");
    if !program.exists() || cfg!(debug_assertions) {
        return Err("run it as: cargo build --release --package mailclad && \
                    cargo run --release --package xtask -- bench"
            .into());
    }
    if !Path::new("/usr/sbin/postfix").exists() {
        return Err("there is no Postfix to compare with: apt-get install postfix".into());
    }
    Ok(program)
}

fn free_port() -> Result<u16, String> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(|error| error.to_string())?;
    Ok(listener.local_addr().map_err(|error| error.to_string())?.port())
}
