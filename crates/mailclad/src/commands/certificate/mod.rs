//! `mailclad certificate`: a certificate by ACME (RFC 8555), obtained or renewed when a third of its lifetime is left. Never asks
//! anything, so it can be run once or twice a day by cron(8) or a timer; a server that uses the files has a new certificate within seconds.
//!
//! - `options.rs`: the command line. `solvers.rs`: what challenges ask for. `live.rs`: the files.

mod live;
mod options;
mod solvers;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use acme::{AccountKey, Client};
use config::{Settings, params};
use dns::Resolver;

use self::live::Live;
use self::options::{Line, Way};
use self::solvers::{Hook, WebServer};
use super::{config_directory, fatal, load};
use crate::keys::Key;

const PROGRAM: &str = "mailclad certificate";

/// Runs it.
pub fn run(args: &[OsString]) -> ExitCode {
    let line = match Line::parse(args) {
        Ok(line) => line,
        Err(why) => return fatal(PROGRAM, &format!("{why}\n{}", options::USAGE), 64),
    };
    match certificate(line) {
        Ok(text) => {
            println!("{PROGRAM}: {text}");
            ExitCode::SUCCESS
        }
        Err(why) => fatal(PROGRAM, &why, 1),
    }
}

fn certificate(mut line: Line) -> Result<String, String> {
    let (_, settings) = load(&config_directory(line.config.take().map(PathBuf::from)), "smtpd")?;
    if line.names.is_empty() {
        line.names.push(settings.get(params::myhostname).to_ascii_lowercase());
    }
    let live = Live::new(Path::new(&line.directory), &line.names[0]);
    let due = live.due(&line.names)?;
    if !line.force
        && let Some(left) = due
    {
        return Ok(format!("{} is good for {left} more days: nothing to do", live.path().display()));
    }
    if !line.agree_tos {
        return Err(
            "the authority's terms of service have to be agreed to: read them, and say --agree-tos".into()
        );
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    runtime.block_on(obtain(&line, &settings, &live))?;
    Ok(format!("{} has a new certificate for {}", live.path().display(), line.names.join(", ")))
}

async fn obtain(line: &Line, settings: &Settings, live: &Live) -> Result<(), String> {
    let file = settings.get(params::https_CAfile);
    let web = https::Client::new((!file.is_empty()).then(|| Path::new(file)))
        .map_err(|why| format!("https_CAfile = {file}: {why}"))?;
    let key = live.account_key(|| AccountKey::generate()?.to_pem())?;
    let key =
        AccountKey::from_pem(&key).map_err(|why| format!("{}: {why}", live.account_file().display()))?;
    let mut client = Client::open(web, Resolver::from_system(), key, &line.server).await?;
    client.register(line.contact.as_deref()).await?;
    let key = Key::generate(line.key, line.key.default_size())?;
    let request = key.request(&line.names)?.to_der().map_err(|error| error.to_string())?;
    let chain = match &line.way {
        Way::Dns { hook, credentials, wait } => {
            let mut solver = Hook::new(hook, credentials.as_deref(), *wait)?;
            client.obtain(&line.names, &request, &mut solver).await?
        }
        Way::Http { port } => {
            let mut solver = WebServer::start(*port).await?;
            client.obtain(&line.names, &request, &mut solver).await?
        }
    };
    live.install(&key.to_pem()?, &chain)
}
