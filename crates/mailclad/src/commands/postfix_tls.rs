//! `postfix tls`: simple TLS settings, keys, self-signed certificates, requests and TLSA records (postfix-tls(1)). The words are those of
//! Postfix's script.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;

use config::edit::{Change, MainEdit, replace_file};
use config::{Configuration, Settings, params};

use super::getopt::Getopt;
use super::load;
use crate::keys::{Algorithm, Key};

const CLIENT_SETTINGS: [&str; 7] = [
    "smtp_use_tls",
    "smtp_enforce_tls",
    "smtp_tls_enforce_peername",
    "smtp_tls_security_level",
    "smtp_tls_cert_file",
    "smtp_tls_dcert_file",
    "smtp_tls_eccert_file",
];

const SERVER_SETTINGS: [&str; 6] = [
    "smtpd_use_tls",
    "smtpd_enforce_tls",
    "smtpd_tls_security_level",
    "smtpd_tls_cert_file",
    "smtpd_tls_dcert_file",
    "smtpd_tls_eccert_file",
];

/// What a command ends with: false is the status of all-default-... when they are not.
type Ended = Result<bool, String>;

/// Runs `postfix tls WORD ...`.
pub(super) fn run(directory: &Path, words: &[String]) -> ExitCode {
    let ended = load(directory, "postfix").and_then(|(configuration, settings)| {
        Site { directory: directory.to_owned(), configuration, settings }.run(words)
    });
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            tell(&format!("fatal: {why}"));
            ExitCode::FAILURE
        }
    }
}

fn tell(text: &str) {
    for line in text.lines() {
        eprintln!("postfix/postfix-tls-script: {line}");
    }
}

struct Site {
    directory: PathBuf,
    configuration: Configuration,
    settings: Settings,
}

/// The options of a command, and what follows them.
struct Line {
    options: Vec<(char, String)>,
    operands: Vec<String>,
}

impl Line {
    fn parse(letters: &str, words: &[String], usage: &str) -> Result<Line, String> {
        let args: Vec<std::ffi::OsString> = words.iter().skip(1).map(std::ffi::OsString::from).collect();
        let mut found = Getopt::new(letters, &args);
        let options: Result<Vec<_>, _> = found.by_ref().collect();
        let options = options.map_err(|_| format!("usage: postfix tls {} {usage}", words[0]))?;
        let text = |word: &std::ffi::OsString| word.to_string_lossy().into_owned();
        Ok(Line {
            options: options
                .into_iter()
                .map(|(letter, value)| (letter, value.as_ref().map(text).unwrap_or_default()))
                .collect(),
            operands: found.operands().iter().map(text).collect(),
        })
    }

    fn option(&self, letter: char) -> Option<&str> {
        self.options.iter().rev().find(|(found, _)| *found == letter).map(|(_, value)| value.as_str())
    }

    /// `-a` and `-b`.
    fn algorithm(&self, what: &str) -> Result<(Algorithm, String), String> {
        let name = self.option('a').unwrap_or("rsa");
        let algorithm =
            Algorithm::from_name(name).ok_or(format!("Unsupported {what} key algorithm: {name}"))?;
        Ok((algorithm, self.option('b').unwrap_or(algorithm.default_size()).to_owned()))
    }
}

/// A key and its certificate.
struct Pair {
    key: String,
    certificate: String,
}

impl Site {
    fn run(&self, words: &[String]) -> Ended {
        match words.first().map_or("", String::as_str) {
            "enable-client" => self.enable_client(words),
            "enable-server" => self.enable_server(words),
            "new-server-key" => {
                let line = Line::parse("a:b:", words, "[-a algorithm] [-b bits ] [hostname ...]")?;
                let (algorithm, size) = line.algorithm("public")?;
                self.new_server_cert(algorithm, &size, None, false, &line.operands)
            }
            "new-server-cert" => self.new_cert_for_old_key(words),
            "deploy-server-cert" => self.deploy(words),
            "output-server-csr" => self.output_csr(words),
            "output-server-tlsa" => self.output_tlsa(words),
            "all-default-client" | "all-default-server" if words.len() > 1 => {
                Err(format!("usage: postfix tls {}", words[0]))
            }
            "all-default-client" => Ok(self.all_default(&CLIENT_SETTINGS)),
            "all-default-server" => Ok(self.all_default(&SERVER_SETTINGS)),
            other => {
                tell(&format!("error: unknown tls command: '{other}'"));
                Err("usage: postfix tls enable-client (or enable-server, new-server-key, new-server-cert, deploy-server-cert, \
                     output-server-csr, output-server-tlsa, all-default-client, all-default-server)"
                    .into())
            }
        }
    }

    /// What main.cf itself says, expanded; empty when it says nothing.
    fn own(&self, name: &str) -> String {
        let main = self.configuration.main();
        let value = main.get(name).map(|entry| entry.value.clone()).unwrap_or_default();
        self.settings.expand(&value).unwrap_or(value)
    }

    fn all_default(&self, names: &[&str]) -> bool {
        names
            .iter()
            .all(|name| self.configuration.main().get(name).is_none_or(|entry| entry.value.is_empty()))
    }

    /// Where a session cache of the client would be.
    fn cache(&self) -> String {
        format!("lmdb:{}/smtp_scache", self.settings.get(params::data_directory))
    }

    fn random_source(&self, line: &Line) -> String {
        match line.option('r').filter(|text| !text.is_empty()) {
            Some(source) => source.to_owned(),
            None => self.settings.text_of("tls_random_source").unwrap_or("dev:/dev/urandom").to_owned(),
        }
    }

    fn enable_client(&self, words: &[String]) -> Ended {
        const USAGE: &str = "[-r devrandom]";
        let line = Line::parse("r:", words, USAGE)?;
        if !line.operands.is_empty() {
            return Err(format!("usage: postfix tls {} {USAGE}", words[0]));
        }
        if !self.all_default(&CLIENT_SETTINGS) {
            tell(
                "*** Non-default SMTP client TLS settings detected, no changes made.\n\
                 For opportunistic TLS in the Postfix SMTP client, the below settings\n\
                 are typical:\n  smtp_tls_security_level = may\n  smtp_tls_loglevel = 1\n  \
                 smtp_tls_session_cache_database = lmdb:${data_directory}/smtp_scache",
            );
            return Ok(true);
        }
        self.change(&[
            ("smtp_tls_security_level", "may"),
            ("smtp_tls_loglevel", "1"),
            ("smtp_tls_session_cache_database", &self.cache()),
            ("tls_random_source", &self.random_source(&line)),
        ])?;
        tell(
            "Enabled opportunistic TLS in the Postfix SMTP client.\nRun the command:\n  # postfix reload\n\
             if you want the new settings to take effect immediately.",
        );
        Ok(true)
    }

    fn enable_server(&self, words: &[String]) -> Ended {
        let line = Line::parse("a:b:r:", words, "[-a algorithm] [-b bits ] [-r devrandom] [hostname ...]")?;
        let (algorithm, size) = line.algorithm("private")?;
        if !self.all_default(&SERVER_SETTINGS) {
            tell(
                "*** Non-default SMTP server TLS settings detected, no changes made.\n\
                 For opportunistic TLS in the Postfix SMTP server, the below settings\n\
                 are typical:\n  smtpd_tls_security_level = may\n  smtpd_tls_loglevel = 1\n\
                 You can use \"postfix tls new-server-cert\" to create a new certificate.\n\
                 Or, \"postfix tls new-server-key\" to also force a new private key.\n\
                 If you publish DANE TLSA records, see:\n  \
                 https://tools.ietf.org/html/rfc7671#section-8\n  \
                 https://tools.ietf.org/html/rfc7671#section-5.1\n  \
                 https://tools.ietf.org/html/rfc7671#section-5.2\n  \
                 https://community.letsencrypt.org/t/please-avoid-3-0-1-and-3-0-2-dane-tlsa-records-with-le-certificates/7022",
            );
            return Ok(true);
        }
        let pair = self.make_pair(algorithm, &size, None, &line.operands)?;
        let source = self.random_source(&line);
        let more = [
            ("smtpd_tls_security_level", "may"),
            ("smtpd_tls_received_header", "yes"),
            ("smtpd_tls_loglevel", "1"),
            ("tls_random_source", source.as_str()),
        ];
        self.put_into_service(&pair, &more)?;
        tell("Enabled opportunistic TLS in the Postfix SMTP server");
        tell_deployed();
        tell_next_steps(&pair, true, true);
        Ok(true)
    }

    fn new_cert_for_old_key(&self, words: &[String]) -> Ended {
        let line = Line::parse("a:b:", words, "[-a algorithm] [-b bits ] [hostname ...]")?;
        let (algorithm, size) = line.algorithm("private")?;
        let mut old = self.key_file(algorithm.name());
        if let Some(file) = old.as_ref().filter(|file| !Path::new(file).is_file()) {
            tell(&format!("warning: Key file: {file} not found, creating new keys"));
            old = None;
        }
        self.new_server_cert(algorithm, &size, old.as_deref(), false, &line.operands)
    }

    fn new_server_cert(
        &self,
        algorithm: Algorithm,
        size: &str,
        old: Option<&str>,
        deployed: bool,
        names: &[String],
    ) -> Ended {
        let pair = self.make_pair(algorithm, size, old, names)?;
        tell("New private key and self-signed certificate created. To deploy run:");
        tell(&format!("  # postfix tls deploy-server-cert {} {}", pair.certificate, pair.key));
        tell_next_steps(&pair, deployed, old.is_none());
        Ok(true)
    }

    /// Files with the time in their names: a new key, or a copy of an old one, and a certificate.
    fn make_pair(
        &self,
        algorithm: Algorithm,
        size: &str,
        old: Option<&str>,
        names: &[String],
    ) -> Result<Pair, String> {
        let time = mail::date::compact_utc(SystemTime::now());
        let (day, clock) = time.split_at(8.min(time.len()));
        let (key_prefix, certificate_prefix) = algorithm.prefixes();
        let file =
            |prefix: &str| self.directory.join(format!("{prefix}-{day}-{clock}.pem")).display().to_string();
        let pair = Pair { key: file(key_prefix), certificate: file(certificate_prefix) };
        for (what, file) in [("private key", &pair.key), ("certificate", &pair.certificate)] {
            if Path::new(file).exists() {
                return Err(format!("New {what} file already exists: {file}"));
            }
        }
        let key = match old {
            None => Key::generate(algorithm, size)?,
            Some(old) => {
                let key = Key::read(old)
                    .ok_or_else(|| format!("Error copying private key from '{old}' to '{}'", pair.key))?;
                if key.algorithm() != algorithm {
                    let found = key.algorithm().name();
                    return Err(format!("Key algorithm '{found}' of '{old}' is not '{}'", algorithm.name()));
                }
                key
            }
        };
        let certificate = key.self_signed(&self.names(names))?;
        write(&pair.key, &key.to_pem()?, 0o600)?;
        write(&pair.certificate, &certificate, 0o644)?;
        Ok(pair)
    }

    /// `myhostname` in the place of no name, or of an empty first one.
    fn names(&self, names: &[String]) -> Vec<String> {
        let mut names = names.to_vec();
        match names.first_mut() {
            Some(first) if !first.is_empty() => {}
            Some(first) => self.settings.get(params::myhostname).clone_into(first),
            None => names.push(self.settings.get(params::myhostname).to_owned()),
        }
        names
    }

    fn deploy(&self, words: &[String]) -> Ended {
        let [_, certificate, key] = words else {
            return Err(format!("usage: postfix tls {} certfile keyfile", words[0]));
        };
        let here = |name: &String| self.directory.join(name).display().to_string();
        self.put_into_service(&Pair { key: here(key), certificate: here(certificate) }, &[])?;
        tell_deployed();
        Ok(true)
    }

    fn put_into_service(&self, pair: &Pair, more: &[(&str, &str)]) -> Result<(), String> {
        let Pair { key, certificate } = pair;
        let found = Key::read(key).ok_or_else(|| format!("no private key found in file: {key}"))?;
        if !found.fits(certificate)? {
            return Err(format!("Certificate in {certificate} does not match key in {key}"));
        }
        let (key_parameter, certificate_parameter) = found.algorithm().parameters();
        let files = [(key_parameter, key.as_str()), (certificate_parameter, certificate.as_str())];
        self.change(&[&files, more].concat())
    }

    fn output_csr(&self, words: &[String]) -> Ended {
        let line = Line::parse("k:", words, "[-k keyfile] [hostname ...]")?;
        let file = match line.option('k').filter(|file| !file.is_empty()) {
            Some(file) => self.key_file(file),
            None => self.key_file("rsa").or_else(|| self.key_file("ecdsa")),
        };
        let file = file.filter(|file| Path::new(file).is_file());
        let file = file.ok_or("No usable keyfile specified or configured")?;
        let key = Key::read(&file).ok_or_else(|| format!("no private key found in file: {file}"))?;
        let request = key.request(&self.names(&line.operands))?;
        let pem = request.to_pem().map_err(|error| error.to_string())?;
        print!("{}", String::from_utf8_lossy(&pem));
        Ok(true)
    }

    fn output_tlsa(&self, words: &[String]) -> Ended {
        let line = Line::parse("h:", words, "[-h hostname] [keyfile ...]")?;
        let host = line.option('h').filter(|host| !host.is_empty());
        let host = host.unwrap_or(self.settings.get(params::myhostname));
        let wanted = match line.operands.is_empty() {
            true => vec!["rsa".to_owned(), "ecdsa".to_owned()],
            false => line.operands.clone(),
        };
        let mut found = false;
        for file in wanted.iter().filter_map(|name| self.key_file(name)) {
            println!("; {file}");
            let key = Key::read(&file).ok_or_else(|| format!("no private key found in file: {file}"))?;
            println!("_25._tcp.{host}. IN TLSA 3 1 1 {}", key.digest()?);
            found = true;
        }
        found.then_some(true).ok_or_else(|| "No usable keyfiles specified or configured".into())
    }

    /// `rsa` and `ecdsa` are the configured ones; names are those of files in the configuration directory.
    fn key_file(&self, name: &str) -> Option<String> {
        let file = match Algorithm::from_name(name) {
            Some(algorithm) => self.own(algorithm.parameters().0),
            None => self.directory.join(name).display().to_string(),
        };
        (!file.is_empty() && file != "none").then_some(file)
    }

    fn change(&self, settings: &[(&str, &str)]) -> Result<(), String> {
        let words: Vec<String> = settings.iter().map(|(name, value)| format!("{name} = {value}")).collect();
        let mut warnings = Vec::new();
        let edit = MainEdit::new(Change::Set, &words, &mut warnings)?;
        let file = self.directory.join("main.cf");
        let name = file.display().to_string();
        replace_file(&file, |text| Ok(edit.apply(&name, &text, &mut warnings)))
    }
}

fn tell_deployed() {
    tell(
        "New TLS private key and certificate deployed.\nRun the command:\n  # postfix reload\n\
         if you want the new settings to take effect immediately.",
    );
}

/// How to get it signed, and into the DNS.
fn tell_next_steps(pair: &Pair, deployed: bool, new_key: bool) {
    let Pair { key, certificate } = pair;
    tell(&format!("To generate a CSR run:\n  # postfix tls output-server-csr -k {key} [<hostname> ...]"));
    tell(&match deployed {
        true => format!("Save the signed certificate chain in {certificate}."),
        false => format!("Save the signed certificate chain in {certificate}, and deploy as above."),
    });
    let of_key = if deployed { "" } else { key.as_str() };
    tell(&format!(
        "To generate TLSA records run:\n  # postfix tls output-server-tlsa [-h <hostname>] {of_key}"
    ));
    match (new_key, deployed) {
        (false, _) => {}
        (true, true) => tell(
            "(If you have DANE TLSA RRs, update them as soon as possible to match\nthe newly deployed keys).",
        ),
        (true, false) => tell("(deploy after updating the DNS and waiting for stale RRs to expire)."),
    }
}

fn write(file: &str, content: &[u8], mode: u32) -> Result<(), String> {
    let named = |error: std::io::Error| format!("{file}: {error}");
    let mut opened = OpenOptions::new().write(true).create_new(true).mode(mode).open(file).map_err(named)?;
    opened.write_all(content).and_then(|()| opened.sync_all()).map_err(named)
}
