//! The command line, with certbot's words where it has them.

use std::ffi::OsString;
use std::time::Duration;

use crate::keys::Algorithm;

/// The authority that most people mean.
const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";

/// Where files are when nothing else is said.
const DIRECTORY: &str = "/etc/mailclad/certificates";

pub(super) const USAGE: &str = "usage: mailclad certificate --agree-tos (--dns-hook PROGRAM [--dns-credentials FILE] \
[--dns-propagation-seconds N] | --http-port PORT) [-d NAME ...] [-m ADDRESS] [-n] [--force] [--key-type ecdsa|rsa] \
[--server URL] [--directory DIR] [-c CONFIG_DIR]";

/// What it says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) config: Option<String>,
    /// `myhostname` when nothing is said.
    pub(super) names: Vec<String>,
    pub(super) contact: Option<String>,
    pub(super) agree_tos: bool,
    pub(super) force: bool,
    pub(super) key: Algorithm,
    pub(super) server: String,
    pub(super) directory: String,
    pub(super) way: Way,
}

/// How it is shown that the names are ours.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// A program adds records to the DNS.
    Dns { hook: String, credentials: Option<String>, wait: Duration },
    /// We serve a file; port 80 of the names must lead here.
    Http { port: u16 },
}

impl Line {
    pub(super) fn parse(args: &[OsString]) -> Result<Line, String> {
        let mut line = Line {
            config: None,
            names: Vec::new(),
            contact: None,
            agree_tos: false,
            force: false,
            key: Algorithm::Ecdsa,
            server: LETS_ENCRYPT.into(),
            directory: DIRECTORY.into(),
            way: Way::Http { port: 80 },
        };
        let (mut hook, mut credentials, mut wait, mut port) = (None, None, None, None);
        let mut words = args.iter().map(|word| word.to_string_lossy().into_owned());
        while let Some(word) = words.next() {
            let (name, attached) = match word.split_once('=').filter(|_| word.starts_with("--")) {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (word, None),
            };
            let mut value =
                || attached.clone().or_else(|| words.next()).ok_or(format!("{name} needs a value"));
            match name.as_str() {
                "--agree-tos" => line.agree_tos = true,
                "--force" => line.force = true,
                // It never asks anything.
                "-n" | "--non-interactive" => {}
                "-c" | "--config" => line.config = Some(value()?),
                "-d" | "--domain" => line.names.extend(names(&value()?)?),
                "-m" | "--email" => line.contact = Some(value()?),
                "--server" => line.server = value()?,
                "--directory" => line.directory = value()?,
                "--dns-hook" => hook = Some(value()?),
                "--dns-credentials" => credentials = Some(value()?),
                "--dns-propagation-seconds" => {
                    wait = Some(Duration::from_secs(number(&name, &value()?, 86_400)?))
                }
                "--http-port" => port = Some(number(&name, &value()?, 65_535)? as u16),
                "--key-type" => {
                    let name = value()?;
                    line.key =
                        Algorithm::from_name(&name).ok_or(format!("--key-type {name}: ecdsa or rsa"))?;
                }
                other => return Err(format!("unknown option {other}")),
            }
        }
        line.way = match (hook, port) {
            (Some(_), Some(_)) => return Err("--dns-hook or --http-port, not both".into()),
            (Some(hook), None) => {
                Way::Dns { hook, credentials, wait: wait.unwrap_or(Duration::from_secs(60)) }
            }
            (None, _) if credentials.is_some() || wait.is_some() => {
                return Err("--dns-credentials and --dns-propagation-seconds go with --dns-hook".into());
            }
            (None, Some(port)) => Way::Http { port },
            (None, None) => return Err("say --dns-hook PROGRAM or --http-port PORT".into()),
        };
        Ok(line)
    }
}

fn number(name: &str, text: &str, most: u64) -> Result<u64, String> {
    text.parse().ok().filter(|number| *number <= most).ok_or(format!("{name} {text}: a number up to {most}"))
}

/// Host names, separated by commas; `*.` may stand before one.
fn names(text: &str) -> Result<Vec<String>, String> {
    text.split(',')
        .map(|name| {
            let name = name.trim().to_ascii_lowercase();
            let bare = name.strip_prefix("*.").unwrap_or(&name);
            let label = |label: &str| {
                (1..=63).contains(&label.len())
                    && !label.starts_with('-')
                    && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            };
            match bare.len() <= 253 && bare.contains('.') && bare.split('.').all(label) {
                true => Ok(name),
                false => Err(format!("-d {name}: not the whole name of a host")),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Line, String> {
        let words: Vec<OsString> = text.split_whitespace().map(OsString::from).collect();
        Line::parse(&words)
    }

    #[test]
    fn what_a_line_says() {
        let line = parsed("-n --agree-tos -m me@x.test -d a.test,b.test -d C.test --dns-hook /hook --dns-credentials /c --dns-propagation-seconds=5").unwrap();
        assert_eq!(
            (line.names.join(" ").as_str(), line.contact.as_deref()),
            ("a.test b.test c.test", Some("me@x.test"))
        );
        assert!(line.agree_tos && !line.force && line.server == LETS_ENCRYPT);
        let wait = Duration::from_secs(5);
        assert_eq!(line.way, Way::Dns { hook: "/hook".into(), credentials: Some("/c".into()), wait });
        let line = parsed("--http-port 8080 --key-type rsa --force").unwrap();
        assert_eq!((line.way, line.key, line.contact), (Way::Http { port: 8080 }, Algorithm::Rsa, None));
        assert!(!line.agree_tos && line.force && line.names.is_empty());
        let line = parsed("--dns-hook h").unwrap();
        assert!(
            matches!(line.way, Way::Dns { wait, .. } if wait.as_secs() == 60),
            "as certbot waits for slow servers"
        );
        for (text, part) in [
            ("", "say --dns-hook"),
            ("--http-port 80 --dns-hook h", "not both"),
            ("--http-port 80 --dns-credentials c", "go with --dns-hook"),
            ("--http-port 99999", "up to 65535"),
            ("--http-port", "needs a value"),
            ("--dns-hook h --dns-propagation-seconds soon", "a number"),
            ("--dns-hook h -d localhost", "whole name"),
            ("--dns-hook h -d a..test", "whole name"),
            ("--dns-hook h -d ../x.test", "whole name"),
            ("--dns-hook h --key-type dsa", "ecdsa or rsa"),
            ("--dns-hook h --what", "unknown option"),
        ] {
            let error = parsed(text).expect_err(text);
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
