//! Database tables in parameter values: `ldap:name` makes `name_server_host` and its like parameters of main.cf,
//! `mysql:/file` has a file of its own (ldap_table(5), mysql_table(5), ...). Both are looked at for settings
//! that nobody reads. No table is opened.

use std::collections::HashSet;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use super::used::{Files, Scan};
use crate::list;
use crate::main_cf::{self, MainCf};

/// The settings of each type of client, without the prefix of those that stand in main.cf.
const CLIENTS: &[(&str, &[&str])] = &[
    (
        "ldap",
        &[
            "bind",
            "bind_dn",
            "bind_pw",
            "cache",
            "cache_expiry",
            "cache_size",
            "chase_referrals",
            "debuglevel",
            "dereference",
            "domain",
            "expansion_limit",
            "leaf_result_attribute",
            "query_filter",
            "recursion_limit",
            "result_attribute",
            "result_filter",
            "result_format",
            "sasl_authz_id",
            "sasl_mechs",
            "sasl_minssf",
            "sasl_realm",
            "scope",
            "search_base",
            "server_host",
            "server_port",
            "size_limit",
            "special_result_attribute",
            "start_tls",
            "terminal_result_attribute",
            "timeout",
            "tls_ca_cert_dir",
            "tls_ca_cert_file",
            "tls_cert",
            "tls_cipher_suite",
            "tls_key",
            "tls_random_file",
            "tls_require_cert",
            "version",
        ],
    ),
    (
        "mysql",
        &[
            "additional_conditions",
            "charset",
            "dbname",
            "domain",
            "expansion_limit",
            "hosts",
            "idle_interval",
            "option_file",
            "option_group",
            "password",
            "query",
            "require_result_set",
            "result_format",
            "retry_interval",
            "select_field",
            "table",
            "tls_CAfile",
            "tls_CApath",
            "tls_cert_file",
            "tls_ciphers",
            "tls_key_file",
            "tls_verify_cert",
            "user",
            "where_field",
        ],
    ),
    (
        "pgsql",
        &[
            "additional_conditions",
            "dbname",
            "domain",
            "encoding",
            "expansion_limit",
            "hosts",
            "idle_interval",
            "password",
            "query",
            "result_format",
            "retry_interval",
            "select_field",
            "select_function",
            "table",
            "user",
            "where_field",
        ],
    ),
    (
        "sqlite",
        &[
            "additional_conditions",
            "dbpath",
            "domain",
            "expansion_limit",
            "query",
            "result_format",
            "select_field",
            "table",
            "where_field",
        ],
    ),
    (
        "memcache",
        &[
            "backup",
            "data_size_limit",
            "domain",
            "flags",
            "key_digest",
            "key_format",
            "line_size_limit",
            "max_try",
            "memcache",
            "retry_pause",
            "timeout",
            "ttl",
        ],
    ),
    (
        "mongodb",
        &[
            "collection",
            "dbname",
            "domain",
            "expansion_limit",
            "projection",
            "query_filter",
            "result_attribute",
            "result_format",
            "uri",
        ],
    ),
];

/// How deep `{}` may nest in a value before it is no longer looked into.
const MAX_DEPTH: usize = 50;

/// The clients that values named so far.
#[derive(Default)]
pub(super) struct Clients {
    files: Files,
    /// `type:file` of each file that was read.
    visited: HashSet<String>,
}

impl Clients {
    pub(super) fn new(files: Files) -> Clients {
        Clients { files, visited: HashSet::new() }
    }

    /// Looks for `type:name` in an expanded value. Text that only looks like one is looked at all the same.
    pub(super) fn scan(&mut self, scan: &mut Scan<'_>, value: &str, service: Option<usize>) {
        self.words(scan, value, service, true, 0);
    }

    fn words(
        &mut self,
        scan: &mut Scan<'_>,
        value: &str,
        service: Option<usize>,
        recurse: bool,
        depth: usize,
    ) {
        if depth > MAX_DEPTH {
            return;
        }
        let mut words = list::split(value).into_iter();
        while let Some(word) = words.next() {
            if word.starts_with('#') {
                // Postfix shows what follows, up to the next separator at most.
                let path = format!("{}/{}", scan.names.directory, super::used::file_name(service));
                let rest = words.next().map_or("", |_| rest_after(value, word));
                let rest: String = rest.chars().take(20).collect();
                scan.report
                    .warn(format_args!("{path}: #comment after other text is not allowed: {word} {rest}..."));
                return;
            }
            if word.starts_with('{') {
                let inner = self.unbraced(scan, word, service);
                if recurse {
                    self.words(scan, inner, service, recurse, depth + 1);
                }
                continue;
            }
            let Some((kind, name)) = table(word) else { continue };
            let suffixes = CLIENTS.iter().find(|(client, _)| *client == kind).map(|(_, suffixes)| *suffixes);
            match name.bytes().next() {
                Some(b'/') => {
                    if let Some(suffixes) = suffixes {
                        self.file(scan, kind, name, suffixes);
                    }
                }
                Some(b'.') => {}
                Some(b'{') => {
                    let inner = self.unbraced(scan, name, service);
                    // Patterns may hold `#`; they name no tables.
                    let recurse = recurse && !matches!(kind, "regexp" | "pcre");
                    self.words(scan, inner, service, recurse, depth + 1);
                }
                _ => {
                    for suffix in suffixes.into_iter().flatten() {
                        scan.used(&format!("{name}_{suffix}"), true, service);
                    }
                }
            }
        }
    }

    /// The text within the braces at the start of a word.
    fn unbraced<'w>(&self, scan: &mut Scan<'_>, word: &'w str, service: Option<usize>) -> &'w str {
        let place = scan.place(service);
        match list::closing(word) {
            None => {
                scan.report.warn(format_args!("{place}: missing '}}' in \"{word}\""));
                &word[1..]
            }
            Some(end) => {
                if end + 1 < word.len() {
                    scan.report.warn(format_args!("{place}: syntax error after '}}' in \"{word}\""));
                }
                &word[1..end]
            }
        }
    }

    /// Reads the file of a client, once, and warns about settings that it does not know.
    fn file(&mut self, scan: &mut Scan<'_>, kind: &str, file: &str, suffixes: &[&str]) {
        let name = format!("{kind}:{file}");
        if self.files == Files::Leave || !self.visited.insert(name.clone()) {
            return;
        }
        let path = Path::new(file);
        let text = match fs::metadata(path) {
            Ok(metadata) if !metadata.is_file() => Err("not a regular file".to_owned()),
            Err(error) if error.kind() == ErrorKind::PermissionDenied => return,
            _ => match main_cf::contents(path) {
                Ok(text) => Ok(text),
                Err(error) => {
                    let text = error.to_string();
                    let text = text.strip_prefix(&format!("open {file}: ")).unwrap_or(&text).to_owned();
                    if text == "Permission denied" {
                        return;
                    }
                    Err(text)
                }
            },
        };
        let main = match text {
            Err(what) => {
                scan.report.warn(format_args!("open \"{kind}\" configuration \"{file}\": {what}"));
                return;
            }
            Ok(text) => match MainCf::parse(file, &text) {
                Ok(main) => main,
                Err(error) => {
                    scan.report.warn(error);
                    return;
                }
            },
        };
        main.warnings().iter().for_each(|warning| scan.report.warn(warning));
        if self.files == Files::Check {
            let mut unused: Vec<_> =
                main.entries().iter().filter(|entry| !suffixes.contains(&entry.name.as_str())).collect();
            unused.sort_by(|a, b| a.name.cmp(&b.name));
            for entry in unused {
                scan.report.warn(format_args!("{name}: unused parameter: {}={}", entry.name, entry.value));
            }
        }
    }
}

/// `type` and `name` of a table, without the types that only stand before another.
fn table(word: &str) -> Option<(&str, &str)> {
    let (mut kind, mut name) = word.split_once(':')?;
    while matches!(kind, "proxy" | "debug") {
        (kind, name) = name.split_once(':')?;
    }
    Some((kind, name))
}

/// What stands after the separator that ends `word`, which is a part of `text`.
fn rest_after<'t>(text: &'t str, word: &str) -> &'t str {
    text.find(word).map_or("", |at| &text[(at + word.len() + 1).min(text.len())..])
}
