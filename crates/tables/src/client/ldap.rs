//! `ldap:/path`: a search in a directory (ldap_table(5)).

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use ldap3::{Ldap, LdapConnAsync, LdapConnSettings, LdapError, Scope, SearchEntry};

use super::pool::{Pool, Server, Trouble};
use super::settings::ClientSettings;
use super::sql::warn_of_unknown;
use super::template::{Template, is_wanted, joined};
use crate::lookup::Lookup;
use crate::map::{Opened, Opening, WaitingTable};

/// LDAP result codes (RFC 4511 section 4.1.9).
const NO_SUCH_OBJECT: u32 = 32;

struct LdapTable {
    spec: String,
    search: Search,
    domains: Vec<String>,
    result_format: Template,
    expansion_limit: usize,
    timeout: Duration,
    pool: Pool<LdapServer>,
}

struct Search {
    base: Template,
    filter: Template,
    scope: Scope,
    result: Vec<String>,
    special: Vec<String>,
    terminal: Vec<String>,
    leaf: Vec<String>,
    /// `recursion_limit`: how deep special attributes lead to further entries.
    depth: usize,
    /// `size_limit`: entries of one search; 0 is no limit.
    size: usize,
}

struct LdapServer {
    port: usize,
    timeout: Duration,
    start_tls: bool,
    connector: Option<native_tls::TlsConnector>,
    /// Name and password.
    bind: Option<(String, String)>,
}

pub(crate) fn open(opening: &Opening<'_>) -> Result<Opened, String> {
    let settings = ClientSettings::read(opening)?;
    let spec = settings.spec.clone();
    let template = |name: &'static str, default: &str| {
        Template::parse(&settings.text_or(name, default)).map_err(|why| format!("{spec}: {name}: {why}"))
    };
    let scope = match settings.text_or("scope", "sub").as_str() {
        "sub" => Scope::Subtree,
        "base" => Scope::Base,
        "one" => Scope::OneLevel,
        other => return Err(format!("{spec}: scope = {other}: use sub, base or one")),
    };
    let mut result = settings.list("result_attribute");
    let (special, terminal, leaf) = (
        settings.list("special_result_attribute"),
        settings.list("terminal_result_attribute"),
        settings.list("leaf_result_attribute"),
    );
    if result.is_empty() && terminal.is_empty() && leaf.is_empty() {
        result.push("maildrop".into());
    }
    let search = Search {
        base: template("search_base", "")?,
        filter: template("query_filter", "(mailacceptinggeneralid=%s)")?,
        scope,
        result,
        special,
        terminal,
        leaf,
        depth: settings.number("recursion_limit", 1000)?,
        size: settings.number("size_limit", 0)?,
    };
    let mut hosts = settings.list("server_host");
    if hosts.is_empty() {
        hosts.push("localhost".into());
    }
    let timeout = Duration::from_secs(settings.number("timeout", 10)?.max(1) as u64);
    let server = LdapServer {
        port: settings.number("server_port", 389)?,
        timeout,
        start_tls: settings.yes("start_tls", false)?,
        connector: connector(&settings)?,
        bind: bind(&settings)?,
    };
    let table = LdapTable {
        search,
        domains: settings.list("domain"),
        result_format: template("result_format", &settings.text_or("result_filter", "%s"))?,
        expansion_limit: settings.number("expansion_limit", 0)?,
        timeout,
        pool: Pool::new(server, hosts, Duration::from_secs(settings.number("retry_interval", 60)? as u64)),
        spec: spec.clone(),
    };
    if settings.yes("chase_referrals", false)? {
        opening.tables.warn(&format!("{spec}: chase_referrals has no effect here: name the right servers"));
    }
    // Without a meaning here: version 3 is always spoken, aliases are followed as the server does, nothing is cached.
    for name in ["version", "dereference", "debuglevel", "cache", "cache_expiry", "cache_size"] {
        settings.text(name);
    }
    warn_of_unknown(&settings, &opening.tables_warn());
    Ok(Opened::Waiting(Box::new(table)))
}

fn bind(settings: &ClientSettings) -> Result<Option<(String, String)>, String> {
    let (name, password) = (settings.text_or("bind_dn", ""), settings.text_or("bind_pw", ""));
    match settings.text_or("bind", "yes").to_ascii_lowercase().as_str() {
        // An anonymous bind is what a connection begins with.
        "yes" | "simple" if name.is_empty() => Ok(None),
        "yes" | "simple" => Ok(Some((name, password))),
        "no" | "none" => Ok(None),
        other => Err(format!("{}: bind = {other}: use simple or none", settings.spec)),
    }
}

fn connector(settings: &ClientSettings) -> Result<Option<native_tls::TlsConnector>, String> {
    let (authority, verify) = (settings.text("tls_ca_cert_file"), settings.yes("tls_require_cert", false)?);
    for name in ["tls_ca_cert_dir", "tls_cert", "tls_key", "tls_cipher_suite", "tls_random_file"] {
        if settings.text(name).is_some() {
            return Err(format!("{}: {name} is not supported", settings.spec));
        }
    }
    let explain = |why: String| format!("{}: tls_ca_cert_file: {why}", settings.spec);
    let mut builder = native_tls::TlsConnector::builder();
    builder.danger_accept_invalid_certs(!verify).danger_accept_invalid_hostnames(!verify);
    if let Some(path) = authority {
        let pem = std::fs::read(&path).map_err(|error| explain(format!("{path}: {error}")))?;
        for certificate in
            native_tls::Certificate::stack_from_pem(&pem).map_err(|error| explain(error.to_string()))?
        {
            builder.add_root_certificate(certificate);
        }
    }
    builder.build().map(Some).map_err(|error| explain(error.to_string()))
}

impl Server for LdapServer {
    type Connection = Ldap;

    async fn connect(&self, host: &str) -> Result<Ldap, String> {
        let url = match host.contains("://") {
            true => host.to_owned(),
            false if host.contains(':') => format!("ldap://{host}"),
            false => format!("ldap://{host}:{}", self.port),
        };
        let mut settings =
            LdapConnSettings::new().set_conn_timeout(self.timeout).set_starttls(self.start_tls);
        if let Some(connector) = &self.connector {
            settings = settings.set_connector(connector.clone());
        }
        let (connection, mut ldap) =
            LdapConnAsync::with_settings(settings, &url).await.map_err(|error| error.to_string())?;
        tokio::spawn(async move { connection.drive().await.unwrap_or_default() });
        if let Some((name, password)) = &self.bind {
            ldap.with_timeout(self.timeout)
                .simple_bind(name, password)
                .await
                .and_then(ldap3::LdapResult::success)
                .map_err(|error| format!("bind as {name}: {error}"))?;
        }
        Ok(ldap)
    }
}

impl WaitingTable for LdapTable {
    fn lookup<'a>(&'a self, key: &'a str) -> Pin<Box<dyn Future<Output = Lookup> + Send + 'a>> {
        Box::pin(async move {
            let (search, spec) = (&self.search, &self.spec);
            let (Some(base), Some(filter)) =
                (search.base.question(key, escaped_name), search.filter.question(key, escaped_filter))
            else {
                return Lookup::Absent;
            };
            if !is_wanted(&self.domains, key) {
                return Lookup::Absent;
            }
            let timeout = self.timeout;
            let (base, filter) = (&base, &filter);
            let asked = self.pool.ask(|mut ldap| async move {
                let result = search.run(&mut ldap, base, filter, timeout).await;
                (ldap, result)
            });
            match asked.await {
                Ok(values) => joined(&self.result_format, key, values, self.expansion_limit)
                    .map_err(|why| format!("{spec}: {why}"))
                    .into(),
                Err(why) => Lookup::Failed(format!("{spec}: {why}")),
            }
        })
    }
}

impl Search {
    /// The values of all entries, in their order.
    async fn run(
        &self,
        ldap: &mut Ldap,
        base: &str,
        filter: &str,
        timeout: Duration,
    ) -> Result<Vec<String>, Trouble> {
        /// Entries that special attributes may lead to.
        const MOST_ENTRIES: usize = 10_000;
        let mut values = Vec::new();
        let mut waiting = VecDeque::from([(base.to_owned(), self.scope, filter.to_owned(), 0)]);
        let mut searches = 0;
        while let Some((base, scope, filter, depth)) = waiting.pop_front() {
            searches += 1;
            if searches > MOST_ENTRIES || depth > self.depth {
                return Err(Trouble::Question("special_result_attribute leads on without end".into()));
            }
            for entry in self.entries(ldap, &base, scope, &filter, timeout).await? {
                for name in self.take(&entry, &mut values) {
                    // A URL names a search of its own; anything else is an entry's name.
                    let next = match ldap_url(&name) {
                        Some((base, scope, filter)) => (base, scope, filter, depth + 1),
                        None => (name, Scope::Base, "(objectClass=*)".into(), depth + 1),
                    };
                    waiting.push_back(next);
                }
            }
        }
        Ok(values)
    }

    async fn entries(
        &self,
        ldap: &mut Ldap,
        base: &str,
        scope: Scope,
        filter: &str,
        timeout: Duration,
    ) -> Result<Vec<SearchEntry>, Trouble> {
        let lists = [&self.result, &self.special, &self.terminal, &self.leaf];
        let attributes: Vec<&str> = lists.into_iter().flatten().map(String::as_str).collect();
        let found = ldap.with_timeout(timeout).search(base, scope, filter, attributes).await;
        let entries = match found.map(ldap3::SearchResult::success) {
            Ok(Ok((entries, _))) => entries,
            Ok(Err(LdapError::LdapResult { result })) if result.rc == NO_SUCH_OBJECT => Vec::new(),
            Ok(Err(error @ LdapError::LdapResult { .. })) => {
                return Err(Trouble::Question(error.to_string()));
            }
            Ok(Err(error)) | Err(error) => return Err(Trouble::Connection(error.to_string())),
        };
        if self.size > 0 && entries.len() > self.size {
            return Err(Trouble::Question(format!("more than {} entries (size_limit)", self.size)));
        }
        Ok(entries.into_iter().map(SearchEntry::construct).collect())
    }

    /// Takes the values of an entry, and gives the names that it leads to.
    fn take(&self, entry: &SearchEntry, values: &mut Vec<String>) -> Vec<String> {
        let of = |names: &[String]| -> Vec<String> {
            let mut found = Vec::new();
            for name in names {
                // Names of attributes are compared without regard to case; servers answer with their own spelling.
                let named = entry.attrs.iter().find(|(own, _)| own.eq_ignore_ascii_case(name));
                found.extend(named.into_iter().flat_map(|(_, values)| values.iter().cloned()));
            }
            found
        };
        let terminal = of(&self.terminal);
        if !terminal.is_empty() {
            values.extend(terminal);
            return Vec::new();
        }
        values.extend(of(&self.result));
        let special = of(&self.special);
        if special.is_empty() {
            values.extend(of(&self.leaf));
        }
        special
    }
}

/// `ldap:///base?attributes?scope?filter` (RFC 4516), as dynamic groups have it.
fn ldap_url(text: &str) -> Option<(String, Scope, String)> {
    let rest = text.get(..7).filter(|start| start.eq_ignore_ascii_case("ldap://")).map(|_| &text[7..])?;
    let (_, path) = rest.split_once('/')?;
    let mut parts = path.split('?');
    let base = percent_decoded(parts.next().unwrap_or_default());
    let scope = match parts.nth(1).unwrap_or_default() {
        "sub" => Scope::Subtree,
        "one" => Scope::OneLevel,
        _ => Scope::Base,
    };
    let filter = parts.next().filter(|filter| !filter.is_empty()).unwrap_or("(objectClass=*)");
    Some((base, scope, percent_decoded(filter)))
}

fn percent_decoded(text: &str) -> String {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let pair = after.first_chunk::<2>().and_then(|pair| std::str::from_utf8(pair).ok());
        match pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()).filter(|_| *first == b'%') {
            Some(byte) => {
                out.push(byte);
                rest = &after[2..];
            }
            None => {
                out.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// RFC 4515 section 3.
fn escaped_filter(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '*' | '(' | ')' | '\\' | '\0' => format!("\\{:02x}", c as u32),
            c => c.to_string(),
        })
        .collect()
}

/// RFC 4514 section 2.4.
fn escaped_name(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' | '#' | '=' | ' ' | '\0' => {
                format!("\\{:02x}", c as u32)
            }
            c => c.to_string(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_escaped() {
        assert_eq!(escaped_filter("a*(b)\\"), "a\\2a\\28b\\29\\5c");
        assert_eq!(escaped_name("a,b=c"), "a\\2cb\\3dc");
    }

    #[test]
    fn urls_of_groups() {
        assert_eq!(
            ldap_url("ldap:///ou=people,dc=x?mail?sub?(department=a%20b)"),
            Some(("ou=people,dc=x".into(), Scope::Subtree, "(department=a b)".into()))
        );
        assert_eq!(
            ldap_url("LDAP://host/cn=me"),
            Some(("cn=me".into(), Scope::Base, "(objectClass=*)".into()))
        );
        assert_eq!(ldap_url("cn=me,dc=x"), None);
    }

    #[test]
    fn which_attributes_count() {
        let search = |terminal: &[&str], leaf: &[&str]| Search {
            base: Template::parse("").unwrap(),
            filter: Template::parse("(x=%s)").unwrap(),
            scope: Scope::Subtree,
            result: vec!["mail".into()],
            special: vec!["member".into()],
            terminal: terminal.iter().map(|name| (*name).to_owned()).collect(),
            leaf: leaf.iter().map(|name| (*name).to_owned()).collect(),
            depth: 10,
            size: 0,
        };
        let entry = |attrs: &[(&str, &str)]| SearchEntry {
            dn: "cn=x".into(),
            attrs: attrs.iter().map(|(name, value)| ((*name).into(), vec![(*value).into()])).collect(),
            bin_attrs: Default::default(),
        };
        let group = [("Mail", "m@x"), ("member", "cn=y"), ("maildrop", "d@x")];
        for (search, entry, expected, leads_to) in [
            (search(&[], &[]), entry(&group), vec!["m@x"], 1),
            (search(&["maildrop"], &[]), entry(&group), vec!["d@x"], 0),
            (search(&[], &["maildrop"]), entry(&group), vec!["m@x"], 1),
            (search(&[], &["maildrop"]), entry(&[("maildrop", "d@x")]), vec!["d@x"], 0),
        ] {
            let mut values = Vec::new();
            assert_eq!(search.take(&entry, &mut values).len(), leads_to);
            assert_eq!(values, expected);
        }
    }
}
