//! hosts(5): names and addresses of /etc/hosts, for `smtp_host_lookup = native`.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

/// Largest file that is read.
const MAX_FILE: u64 = 16 << 20;

/// A hosts file, read again when it changed.
pub(crate) struct Hosts {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    modified: Option<SystemTime>,
    lines: Vec<(IpAddr, Vec<String>)>,
}

impl Hosts {
    pub(crate) fn new(path: PathBuf) -> Self {
        Hosts { path, state: Mutex::default() }
    }

    /// The addresses of a name. A file that can not be read has none.
    pub(crate) fn addresses(&self, name: &str) -> Vec<IpAddr> {
        self.with_lines(|lines| {
            let has = |names: &[String]| names.iter().any(|n| n.eq_ignore_ascii_case(name));
            lines.iter().filter(|(_, names)| has(names)).map(|(address, _)| *address).collect()
        })
    }

    /// The first name of an address.
    pub(crate) fn name(&self, address: IpAddr) -> Option<String> {
        self.with_lines(|lines| {
            lines.iter().find(|(a, _)| *a == address).and_then(|(_, names)| names.first().cloned())
        })
    }

    fn with_lines<T>(&self, ask: impl FnOnce(&[(IpAddr, Vec<String>)]) -> T) -> T {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let modified = std::fs::metadata(&self.path).and_then(|meta| meta.modified()).ok();
        if modified.is_none() || modified != state.modified {
            *state = State { modified, lines: self.read() };
        }
        ask(&state.lines)
    }

    fn read(&self) -> Vec<(IpAddr, Vec<String>)> {
        use std::io::Read;
        let mut text = Vec::new();
        let Ok(file) = std::fs::File::open(&self.path) else { return Vec::new() };
        if file.take(MAX_FILE).read_to_end(&mut text).is_err() {
            return Vec::new();
        }
        parse(&String::from_utf8_lossy(&text))
    }
}

fn parse(text: &str) -> Vec<(IpAddr, Vec<String>)> {
    let line = |line: &str| {
        let line = line.split('#').next().unwrap_or("");
        let mut words = line.split_ascii_whitespace();
        let address = words.next()?.parse().ok()?;
        let names: Vec<String> = words.map(str::to_owned).collect();
        (!names.is_empty()).then_some((address, names))
    };
    text.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hosts");
        std::fs::write(
            &path,
            "127.0.0.1 localhost\n::1 localhost ip6 # x\n# 192.0.2.9 no\nbad line\n192.0.2.1\n",
        )
        .unwrap();
        let hosts = Hosts::new(path.clone());
        let both: Vec<IpAddr> = ["127.0.0.1", "::1"].map(|a| a.parse().unwrap()).to_vec();
        assert_eq!(hosts.addresses("LocalHost"), both);
        assert_eq!(hosts.addresses("no"), Vec::<IpAddr>::new());
        assert_eq!(hosts.name(both[1]), Some("localhost".into()));
        std::fs::remove_file(path).unwrap();
        assert_eq!(hosts.addresses("localhost"), Vec::<IpAddr>::new());
    }
}
