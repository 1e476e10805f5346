//! posttls-finger(1): what the TLS of a mail server is like, seen by a client that delivers nothing. With `--json` the findings for programs:
//! level and where it comes from, certificates, DANE and MTA-STS, and what would become of a delivery; then, unless `-l` names a level, the
//! tables of main.cf and the policy of the domain are asked as a delivery would.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use config::{HostFacts, MainCf, Settings};
use dns::Resolver;
use send::finger::{Finger, Report, Wanted};

use super::getopt::Getopt;
use super::{config_directory, fatal};
use crate::host;

const PROGRAM: &str = "posttls-finger";

const USAGE: &str = "usage: posttls-finger [-acCfSvw] [-t conn_tmout] [-T cmd_tmout] [-L logopts] [-h host_lookup] [-l level] \
                     [-d mdalg] [-g grade] [-p protocols] [-A tafile] [-F CAfile.pem] [-P CApath/] [-s servername] \
                     [ [-H chainfiles] | [-k certfile [-K keyfile]] ] [-m count] [-r delay] [-M insecure_mx_policy] [-o name=value] \
                     [--json] destination [match ...]";

/// What the command line says.
struct Line {
    /// For the smtp client; each counts for `lmtp_...` as well.
    settings: Vec<(String, String)>,
    /// `-o`, as it is.
    overrides: Vec<(String, String)>,
    anchors: Vec<String>,
    chain_files: Vec<String>,
    level: Option<String>,
    log_levels: String,
    chat: bool,
    chain: bool,
    lmtp: bool,
    json: bool,
    reconnect: Option<Duration>,
    most_reconnects: u32,
    operands: Vec<String>,
}

/// Runs it.
pub fn run(args: &[OsString]) -> ExitCode {
    let line = match parse(args) {
        Ok(line) => line,
        Err(why) => return fatal(PROGRAM, &why, 1),
    };
    let finger = settings(&line).and_then(|settings| {
        let wanted = Wanted {
            chat: line.chat && !line.json,
            as_delivery: line.json && line.level.is_none(),
            secure_without_dane: !line.json,
            log_levels: line.log_levels.clone(),
        };
        let silent = line.json;
        let say = Arc::new(move |text: &str| {
            if !silent {
                eprintln!("{PROGRAM}: {text}");
            }
        });
        Finger::new(settings, Resolver::from_system(), wanted, say)
    });
    let mut finger = match finger {
        Ok(finger) => finger,
        Err(why) => return fatal(PROGRAM, &why, 1),
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fatal(PROGRAM, &error.to_string(), 1),
    };
    runtime.block_on(ask(&mut finger, &line));
    ExitCode::SUCCESS
}

async fn ask(finger: &mut Finger, line: &Line) {
    let destination = line.operands[0].as_str();
    let report = finger.ask(destination).await;
    show(&report, line);
    let Some(delay) = line.reconnect.filter(|_| report.facts.is_some()) else { return };
    finger.watch_the_cache();
    let mut known = vec![report.server_name().map(str::to_owned)];
    for _ in 0..line.most_reconnects {
        eprintln!("{PROGRAM}: Reconnecting after {} seconds", delay.as_secs());
        tokio::time::sleep(delay).await;
        let again = finger.ask(destination).await;
        let name = again.server_name().map(str::to_owned);
        if known.contains(&name) {
            eprintln!("{PROGRAM}: Found a previously used server.  Done reconnecting.");
            return;
        }
        known.push(name);
    }
}

fn show(report: &Report, line: &Line) {
    if line.json {
        println!("{:#}", report.to_json());
    }
    if !line.chain || report.chain.is_empty() {
        return;
    }
    println!("\n---\nCertificate chain");
    for (depth, certificate) in report.chain.iter().enumerate() {
        println!("{depth:2} subject: {}", certificate.subject);
        println!("    issuer: {}", certificate.issuer);
        println!("   cert digest={}", certificate.fingerprint);
        println!("   pkey digest={}", certificate.key_fingerprint);
        print!("{}", certificate.pem);
    }
}

fn parse(args: &[OsString]) -> Result<Line, String> {
    let mut line = Line {
        settings: Vec::new(),
        overrides: Vec::new(),
        anchors: Vec::new(),
        chain_files: Vec::new(),
        level: None,
        log_levels: "routine,certmatch".into(),
        chat: true,
        chain: false,
        lmtp: false,
        json: false,
        reconnect: None,
        most_reconnects: 5,
        operands: Vec::new(),
    };
    let (long, args): (Vec<OsString>, Vec<OsString>) =
        args.iter().cloned().partition(|word| word == "--json");
    line.json = !long.is_empty();
    let mut options = Getopt::new("a:A:cCd:fF:g:h:H:k:K:l:L:m:M:o:p:P:r:s:St:T:vwX", &args);
    for option in options.by_ref() {
        let (letter, value) = option.map_err(|error| format!("{error}\n{USAGE}"))?;
        let text = value.map(|value| value.to_string_lossy().into_owned()).unwrap_or_default();
        line.take(letter, text)?;
    }
    line.operands = options.operands().iter().map(|word| word.to_string_lossy().into_owned()).collect();
    match line.operands.first_mut() {
        None => Err(USAGE.into()),
        Some(destination) => {
            // The prefix says nothing that the program does not know.
            if let Some(rest) = destination.strip_prefix("inet:") {
                *destination = rest.to_owned();
            }
            Ok(line)
        }
    }
}

impl Line {
    fn take(&mut self, letter: char, value: String) -> Result<(), String> {
        let number = |what: &str| value.parse::<u32>().map_err(|_| format!("invalid {what}: {value}"));
        match letter {
            'c' => self.chat = false,
            'C' => self.chain = true,
            'S' => self.lmtp = true,
            'l' => self.level = Some(value),
            'L' => self.log_levels = value,
            'A' => self.anchors.push(value),
            'H' => self.chain_files.push(value),
            'm' => self.most_reconnects = number("reconnect count")?,
            'r' => self.reconnect = Some(Duration::from_secs(number("reconnect delay")?.into())),
            'o' => {
                let (name, value) = value.split_once('=').ok_or("-o takes name=value")?;
                self.overrides.push((name.trim().to_owned(), value.trim().to_owned()));
            }
            'a' => {
                let protocols = match value.as_str() {
                    "any" => "all",
                    "ipv4" | "ipv6" => &value,
                    _ => return Err(format!("bad '-a' option value: {value}")),
                };
                self.overrides.push(("inet_protocols".into(), protocols.into()));
            }
            'g' => self.set(&["smtp_tls_ciphers", "smtp_tls_mandatory_ciphers"], &value),
            'p' => self.set(&["smtp_tls_protocols", "smtp_tls_mandatory_protocols"], &value),
            'T' => self.set(&["smtp_helo_timeout", "smtp_starttls_timeout", "smtp_quit_timeout"], &value),
            't' => self.set(&["smtp_connect_timeout"], &value),
            'd' => self.set(&["smtp_tls_fingerprint_digest"], &value),
            'F' => self.set(&["smtp_tls_CAfile"], &value),
            'P' => self.set(&["smtp_tls_CApath"], &value),
            'h' => self.set(&["smtp_host_lookup"], &value),
            'k' => self.set(&["smtp_tls_cert_file"], &value),
            'K' => self.set(&["smtp_tls_key_file"], &value),
            'M' => self.set(&["smtp_tls_dane_insecure_mx_policy"], &value),
            's' => self.set(&["smtp_tls_servername"], &value),
            'f' => self.set(&["smtp_tls_force_insecure_host_tlsa_lookup"], "yes"),
            'w' => self.set(&["smtp_tls_wrappermode"], "yes"),
            // -v and -X: for work on Postfix's own code and processes.
            _ => {}
        }
        Ok(())
    }

    fn set(&mut self, names: &[&str], value: &str) {
        self.settings.extend(names.iter().map(|name| ((*name).to_owned(), value.to_owned())));
    }
}

/// main.cf, what posttls-finger has otherwise by default, and what the command line says.
fn settings(line: &Line) -> Result<Settings, String> {
    let directory: PathBuf = config_directory(None);
    let facts =
        HostFacts { process_name: if line.lmtp { "lmtp" } else { "smtp" }.to_owned(), ..host::facts() };
    let main = main_cf(&directory.join("main.cf"))?;
    let as_delivery = line.json && line.level.is_none();
    let mut wanted: Vec<(String, String)> = Vec::new();
    let mut add = |name: &str, value: &str| wanted.push((name.to_owned(), value.to_owned()));
    if !as_delivery {
        for (name, value) in [
            ("smtp_tls_security_level", line.level.as_deref().unwrap_or("dane")),
            ("smtp_dns_support_level", "dnssec"),
            ("smtp_host_lookup", "dns"),
            ("smtp_tls_CAfile", ""),
            ("smtp_tls_CApath", ""),
            ("smtp_tls_exclude_ciphers", ""),
            ("smtp_tls_mandatory_exclude_ciphers", ""),
            ("smtp_tls_policy_maps", ""),
            ("smtp_tls_per_site", ""),
            ("smtp_tls_wrappermode", "no"),
        ] {
            add(name, value);
        }
        add("smtp_tls_mta_sts", "no");
        let matches = line.operands[1..].join(" ");
        if !matches.is_empty() {
            for name in [
                "smtp_tls_verify_cert_match",
                "smtp_tls_secure_cert_match",
                "smtp_tls_fingerprint_cert_match",
            ] {
                add(name, &matches);
            }
        }
    }
    if line.reconnect.is_some() {
        add("smtp_tls_session_cache_database", "internal:memory");
    }
    for (name, values) in
        [("smtp_tls_trust_anchor_file", &line.anchors), ("smtp_tls_chain_files", &line.chain_files)]
    {
        if !values.is_empty() {
            add(name, &values.join(" "));
        }
    }
    wanted.extend(line.settings.iter().cloned());
    let for_lmtp: Vec<(String, String)> = wanted
        .iter()
        .filter_map(|(name, value)| Some((format!("lmtp_{}", name.strip_prefix("smtp_")?), value.clone())))
        .collect();
    wanted.extend(for_lmtp);
    wanted.extend(line.overrides.iter().cloned());
    Settings::load(&main, &wanted, &facts).map_err(|errors| errors.to_string())
}

/// main.cf alone: master.cf has nothing to say here. Without one, the defaults.
fn main_cf(path: &Path) -> Result<MainCf, String> {
    let name = path.display().to_string();
    let text = match std::fs::read(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            b"compatibility_level = 3.12\n".to_vec()
        }
        text => text.map_err(|error| format!("{name}: {error}"))?,
    };
    MainCf::parse(&name, &text).map_err(|error| error.to_string())
}
