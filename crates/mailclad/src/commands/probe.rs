//! `mailclad probe [-c DIR] [-w] HOST[:PORT] ...`: is a mail server's TLS on, and what is it worth? One line for each.
//!
//! Asks like a sender that verifies (smtp(8) at level secure for that host name), with the authorities of `smtp_tls_CAfile` and of the
//! system, and sends no mail. Port 465 is spoken to in wrapper mode, as any port is with `-w`. The status is 0 when every server has
//! TLS, whether or not its certificate is trusted.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use config::main_cf::MainCf;
use config::{Configuration, Settings};
use tls::ClientLevel;
use tls::client::{Client, Server};
use tls::journal::Journal;
use tls::policy::{Facts, Mx, Needs, Tlsa, Wish, decide};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::getopt::Getopt;
use super::{config_directory, fatal};
use crate::host;

/// Each step with a server may take this long.
const PATIENCE: Duration = Duration::from_secs(20);

/// Longest reply line that is read, and most lines of a reply.
const LINE: u64 = 2048;
const LINES: usize = 100;

/// Runs it.
pub fn run(args: &[OsString]) -> ExitCode {
    let (mut directory, mut wrapper) = (None, false);
    let mut options = Getopt::new("c:w", args);
    for option in options.by_ref() {
        match option {
            Ok(('c', value)) => directory = value.map(PathBuf::from),
            Ok(_) => wrapper = true,
            Err(error) => return fatal("mailclad probe", &error.to_string(), 64),
        }
    }
    let targets: Vec<String> =
        options.operands().iter().map(|word| word.to_string_lossy().into_owned()).collect();
    if targets.is_empty() {
        return fatal("mailclad probe", "usage: mailclad probe [-c DIR] [-w] HOST[:PORT] ...", 64);
    }
    let settings = match settings(directory) {
        Ok(settings) => settings,
        Err(why) => return fatal("mailclad probe", &why, 1),
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fatal("mailclad probe", &error.to_string(), 75),
    };
    let mut all_secured = true;
    for target in targets {
        let verdict = match runtime.block_on(probe(&settings, &target, wrapper)) {
            Ok(text) => text,
            Err(why) => {
                all_secured = false;
                why
            }
        };
        println!("{target}: {verdict}");
    }
    if all_secured { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Those of the smtp client, with the system's authorities besides its own. Without a main.cf, the defaults.
fn settings(directory: Option<PathBuf>) -> Result<Settings, String> {
    let given = directory.is_some();
    let directory = config_directory(directory);
    let extra = [("tls_append_default_CA".to_owned(), "yes".to_owned())];
    let host = host::facts();
    let main = match Configuration::read(&directory, host.clone()) {
        Ok(configuration) => configuration.main().clone(),
        Err(why) if given => return Err(why),
        Err(_) => {
            MainCf::parse("main.cf", b"compatibility_level = 3.12\n").map_err(|error| error.to_string())?
        }
    };
    Settings::load(&main, &extra, &host).map_err(|errors| errors.to_string())
}

/// The line for one server. The error says why it has no TLS.
async fn probe(settings: &Settings, target: &str, wrapper: bool) -> Result<String, String> {
    let (host, port) = match target.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
            (host, port.parse::<u16>().map_err(|_| format!("{port} is no port number"))?)
        }
        _ => (target, 25),
    };
    let host = host.trim_matches(['[', ']']);
    let wrapper = wrapper || port == 465;
    let stream = within(TcpStream::connect((host, port))).await?;
    let address = stream.peer_addr().map_or_else(|_| host.to_owned(), |address| address.ip().to_string());
    let stream = if wrapper { stream } else { start_tls(stream).await? };
    let mut notices = Vec::new();
    let client = Client::new(settings, &mut notices)?;
    let mut wish = Wish::of(settings, ClientLevel::Secure)?;
    wish.names = vec!["hostname".into()];
    wish.wrapper = wrapper;
    let facts = Facts {
        next_hop: host.to_owned(),
        host: host.to_owned(),
        mx: Mx::None,
        tlsa: Tlsa::NotAsked,
        sts: None,
    };
    let plan = decide(&wish, &facts, Needs::default()).map_err(|unmet| unmet.text(host))?;
    let server = Server { host: host.to_owned(), address, port: Some(port) };
    let connection = client.connect(&plan, &server, stream, Journal::silent()).await.map_err(|failure| {
        let meaning = failure.meaning.map(|meaning| format!(" ({meaning})")).unwrap_or_default();
        format!("the handshake failed: {}{meaning}", failure.cause)
    })?;
    let way = if wrapper { "TLS from the first byte" } else { "STARTTLS" };
    let trust = match connection.verdict {
        Ok(_) => format!("certificate verified for {host}"),
        Err(_) => {
            let why = connection.explanation.unwrap_or_else(|| "it does not fit".into());
            format!("certificate NOT verified for {host}: {why}")
        }
    };
    Ok(format!("{way}, {}; {trust}", connection.facts.summary()))
}

/// The plaintext part of a session, up to the 220 of STARTTLS.
async fn start_tls(stream: TcpStream) -> Result<TcpStream, String> {
    let mut stream = BufReader::new(stream);
    let greeting = reply(&mut stream).await?;
    if !greeting.starts_with("220") {
        return Err(format!("not willing to talk: {greeting}"));
    }
    within(stream.write_all(b"EHLO probe.invalid\r\n")).await?;
    let features = reply(&mut stream).await?;
    let offered =
        features.lines().any(|line| line.get(4..).is_some_and(|word| word.eq_ignore_ascii_case("STARTTLS")));
    if !offered {
        return Err("no STARTTLS: mail goes in the clear".into());
    }
    within(stream.write_all(b"STARTTLS\r\n")).await?;
    let go = reply(&mut stream).await?;
    match go.starts_with("220") {
        // What came behind the reply in the clear is dropped with the buffer.
        true => Ok(stream.into_inner()),
        false => Err(format!("STARTTLS is announced and refused: {go}")),
    }
}

/// One reply, its lines joined by LF.
async fn reply(stream: &mut BufReader<TcpStream>) -> Result<String, String> {
    let mut text = String::new();
    for _ in 0..LINES {
        let mut line = Vec::new();
        within((&mut *stream).take(LINE).read_until(b'\n', &mut line)).await?;
        if !line.ends_with(b"\n") {
            return Err("the connection ended in the middle of a reply".into());
        }
        let line = String::from_utf8_lossy(line.trim_ascii_end()).into_owned();
        let last = line.as_bytes().get(3) != Some(&b'-');
        text.push_str(&line);
        if last {
            return Ok(text);
        }
        text.push('\n');
    }
    Err("a reply without end".into())
}

async fn within<T>(work: impl Future<Output = std::io::Result<T>>) -> Result<T, String> {
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_elapsed) => Err("no answer in time".into()),
    }
}
