//! One open table, and the room where open tables are shared.
//!
//! [`Map::lookup`] folds the key as dict_open(3) would and asks the table; a table that can not be used answers
//! every lookup with [`Lookup::Failed`], as Postfix's surrogate tables do, so that a broken table defers mail
//! instead of stopping a service.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use crate::lookup::Lookup;
use crate::types;

/// Where warnings go: the caller's log.
pub type Warn = Arc<dyn Fn(&str) + Send + Sync>;

/// Every key and value of a table, in the table's own order.
pub type Entries = Vec<(String, String)>;

/// A table that answers at once, from memory or from a file of this machine.
pub trait Table: Send + Sync {
    /// Asks for one key, already folded when the table folds.
    fn lookup(&self, key: &str) -> Lookup;

    /// Everything in the table, for `postmap -s`; `None` when the type can not list itself.
    fn entries(&self) -> Option<Result<Entries, String>> {
        None
    }

    /// True when keys are patterns (regexp, pcre, cidr): a key is tried once and whole, never in parts.
    fn is_pattern(&self) -> bool {
        false
    }
}

/// A table that may have to wait: one behind a network, or one made of other tables.
pub trait WaitingTable: Send + Sync {
    /// Asks for one key.
    fn lookup<'a>(&'a self, key: &'a str) -> Pin<Box<dyn Future<Output = Lookup> + Send + 'a>>;

    /// As [`Table::is_pattern`].
    fn is_pattern(&self) -> bool {
        false
    }
}

/// What a type's `open` gives back.
pub(crate) enum Opened {
    Local(Box<dyn Table>),
    Waiting(Box<dyn WaitingTable>),
}

/// The format of a table's source text, needed when an index is missing and the source is read instead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Format {
    /// `key value`, as postmap(1) reads it.
    #[default]
    Map,
    /// `name: value, value`, as postalias(1) reads it.
    Alias,
}

/// How a table is opened. The default is what most parameters use: fold, substitution allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Flags {
    /// Lower-case the key before a fixed-string table is asked. Off for `postmap -f`.
    pub fold: bool,
    /// Allow `$1` in results of regexp and pcre tables. Security-sensitive parameters (alias_maps,
    /// transport_maps...) say no, and rules that use it are skipped.
    pub substitution: bool,
    /// The format of the source text.
    pub format: Format,
    /// Results are passwords: `debug:` does not tell them.
    pub secret: bool,
}

impl Default for Flags {
    fn default() -> Self {
        Flags { fold: true, substitution: true, format: Format::Map, secret: false }
    }
}

impl Flags {
    /// For parameters where a stranger's text must not end up in the result (DICT_FLAG_NO_REGSUB).
    pub fn without_substitution() -> Self {
        Flags { substitution: false, ..Flags::default() }
    }

    /// For logins and passwords.
    pub fn secret() -> Self {
        Flags { secret: true, ..Flags::default() }
    }

    /// For `alias_maps`.
    pub fn alias() -> Self {
        Flags { substitution: false, format: Format::Alias, ..Flags::default() }
    }
}

/// What a type's `open` function gets to know.
pub(crate) struct Opening<'a> {
    /// The type as written, before the colon.
    pub(crate) type_name: &'a str,
    /// Everything behind the first colon.
    pub(crate) name: &'a str,
    pub(crate) flags: Flags,
    pub(crate) tables: &'a Tables,
}

impl Opening<'_> {
    /// Where a table that is read again later sends its warnings.
    pub(crate) fn tables_warn(&self) -> Warn {
        Arc::clone(&self.tables.warn)
    }
}

/// One open table.
pub struct Map {
    spec: String,
    fold: bool,
    opened: Opened,
    broken: Option<String>,
}

impl Map {
    /// `type:name`, as the configuration has it.
    pub fn spec(&self) -> &str {
        &self.spec
    }

    /// Why the table could not be opened; nothing when it was.
    pub fn broken(&self) -> Option<&str> {
        self.broken.as_deref()
    }

    /// True for regexp, pcre and cidr tables, and for compositions that begin with one.
    pub fn is_pattern(&self) -> bool {
        match &self.opened {
            Opened::Local(table) => table.is_pattern(),
            Opened::Waiting(table) => table.is_pattern(),
        }
    }

    /// Asks for one key.
    pub async fn lookup(&self, key: &str) -> Lookup {
        let folded;
        let key = if self.fold && !self.is_pattern() && key.chars().any(char::is_uppercase) {
            folded = key.to_lowercase();
            &folded
        } else {
            key
        };
        match &self.opened {
            Opened::Local(table) => table.lookup(key),
            Opened::Waiting(table) => table.lookup(key).await,
        }
    }

    /// Everything in the table; `None` when its type can not list itself.
    pub fn entries(&self) -> Option<Result<Entries, String>> {
        match &self.opened {
            Opened::Local(table) => table.entries(),
            Opened::Waiting(_) => None,
        }
    }
}

/// Bounds of questions and answers, in bytes; each is the parameter of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// `socketmap_max_query_size`
    pub(crate) socketmap_query: usize,
    /// `socketmap_max_reply_size`
    pub(crate) socketmap_reply: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { socketmap_query: 10_000, socketmap_reply: 100_000 }
    }
}

/// Opens tables and keeps them, so that all sessions of a process share one copy of each.
pub struct Tables {
    warn: Warn,
    limits: Limits,
    /// `daemon_table_open_error_is_fatal`
    must_open: bool,
    open: Mutex<HashMap<(String, Flags), Arc<Map>>>,
    /// Those that were open before a reload.
    before: HashMap<(String, Flags), Arc<Map>>,
}

/// How deep compositions (`unionmap:{pipemap:{...}}`) may nest.
const MAX_NESTING: usize = 16;

impl Tables {
    /// An empty room whose warnings go to `warn`.
    pub fn new(warn: Warn) -> Self {
        Tables {
            warn,
            limits: Limits::default(),
            must_open: false,
            open: Mutex::default(),
            before: HashMap::new(),
        }
    }

    /// With what settings say of tables behind a network and of tables that can not be opened.
    pub fn within(self, settings: &config::Settings) -> Self {
        let size = |value: i64| usize::try_from(value).unwrap_or(usize::MAX);
        let limits = Limits {
            socketmap_query: size(settings.get(config::params::socketmap_max_query_size)),
            socketmap_reply: size(settings.get(config::params::socketmap_max_reply_size)),
        };
        let must_open = settings.get(config::params::daemon_table_open_error_is_fatal);
        Tables { limits, must_open, ..self }
    }

    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    /// With what others had open: a table that a process without root can not open again stays as it was (`handed_over.rs` follows its
    /// file).
    pub fn after(self, others: &Tables) -> Self {
        let before = others.open.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Tables { before, ..self }
    }

    /// A room that keeps its warnings to itself.
    pub fn silent() -> Self {
        Tables::new(Arc::new(|_| {}))
    }

    /// Where the warnings go, for those who have some of their own.
    pub fn warning_sink(&self) -> Warn {
        Arc::clone(&self.warn)
    }

    /// Says something to the log.
    pub fn warn(&self, text: &str) {
        (self.warn)(text);
    }

    /// To be asked when a service has opened what it needs: with daemon_table_open_error_is_fatal a table that can not be opened is the end of
    /// the service. The error is why.
    pub fn must_be_open(&self) -> Result<(), String> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        match open.values().find_map(|map| map.broken()) {
            Some(why) if self.must_open => Err(format!("{why} (daemon_table_open_error_is_fatal = yes)")),
            _ => Ok(()),
        }
    }

    /// Opens `type:name`, or gives the copy that is open already. Never fails: a table that can not be used says
    /// so on every lookup, and once as a warning now.
    pub fn map(&self, spec: &str, flags: Flags) -> Arc<Map> {
        let key = (spec.to_owned(), flags);
        if let Some(map) = self.open.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Arc::clone(map);
        }
        // Not under the lock: a composition opens its members through this function.
        let mut map = Arc::new(self.open_fresh(spec, flags));
        let is_closed = map.broken.as_ref().is_some_and(|why| why.contains("Permission denied"));
        if let Some(before) = self.before.get(&key).filter(|before| is_closed && before.broken.is_none()) {
            self.warn(&format!("{spec}: stays as it was before the reload"));
            map = Arc::clone(before);
        }
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(open.entry(key).or_insert(map))
    }

    fn open_fresh(&self, spec: &str, flags: Flags) -> Map {
        let (opened, broken) = match self.try_open(spec, flags) {
            Ok(opened) => (opened, None),
            Err(reason) => {
                // The word is part of Postfix's text; the lookups that follow report the same reason.
                self.warn(&format!("error: {reason}"));
                (Opened::Local(Box::new(Unusable { reason: reason.clone() })), Some(reason))
            }
        };
        Map { spec: spec.to_owned(), fold: flags.fold, opened, broken }
    }

    /// Opens `type:name` for a table that stands before it.
    pub(crate) fn try_open(&self, spec: &str, flags: Flags) -> Result<Opened, String> {
        let nested = |part| spec.matches(part).count() > MAX_NESTING;
        if ["{", "proxy:", "debug:"].into_iter().any(nested) {
            return Err(format!("table nested too deeply: {spec}"));
        }
        let Some((type_name, name)) = spec.split_once(':') else {
            return Err(format!("need maptype:mapname instead of: {spec}"));
        };
        if name.is_empty() {
            return Err(nameless(spec));
        }
        match types::find(type_name) {
            Some(kind) => match kind.open {
                Some(open) => open(&Opening { type_name, name, flags, tables: self }),
                None => Err(format!("table type {type_name} is not built in yet: {spec}")),
            },
            None => Err(format!("unsupported dictionary type: {type_name}")),
        }
    }
}

/// What Postfix says of `hash:`, and of any other type without a name.
fn nameless(spec: &str) -> String {
    format!("open dictionary: expecting \"type:name\" form instead of \"{spec}\"")
}

/// Stands for a table that could not be opened.
struct Unusable {
    reason: String,
}

impl Table for Unusable {
    fn lookup(&self, _key: &str) -> Lookup {
        Lookup::Failed(self.reason.clone())
    }

    fn entries(&self) -> Option<Result<Entries, String>> {
        Some(Err(self.reason.clone()))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::task::{Context, Poll, Waker};

    /// The value of a future that never waits.
    pub(crate) fn now<T>(future: impl Future<Output = T>) -> T {
        let mut future = std::pin::pin!(future);
        match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => value,
            Poll::Pending => panic!("a local table had to wait"),
        }
    }

    /// A room whose warnings can be read.
    pub(crate) fn listening() -> (Tables, Arc<Mutex<Vec<String>>>) {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&heard);
        (Tables::new(Arc::new(move |text: &str| sink.lock().unwrap().push(text.to_owned()))), heard)
    }

    #[test]
    fn a_table_that_can_not_be_opened_fails_every_lookup() {
        for (spec, reason) in [
            ("nonsense:x", "unsupported dictionary type: nonsense"),
            ("nis:x", "table type nis is not built in yet: nis:x"),
            ("plain", "need maptype:mapname instead of: plain"),
            ("static:", "open dictionary: expecting \"type:name\" form instead of \"static:\""),
            ("proxy:hash:", "open dictionary: expecting \"type:name\" form instead of \"hash:\""),
        ] {
            let (tables, heard) = listening();
            let map = tables.map(spec, Flags::default());
            assert_eq!(now(map.lookup("key")), Lookup::Failed(reason.into()));
            assert_eq!(*heard.lock().unwrap(), [format!("error: {reason}")]);
        }
    }

    #[test]
    fn a_service_may_insist_on_its_tables() {
        for (value, spec, expected) in [
            ("no", "texthash:/nonexistent/x", Ok(())),
            ("yes", "static:x", Ok(())),
            (
                "yes",
                "texthash:/nonexistent/x",
                Err("open database /nonexistent/x: No such file or directory \
                     (daemon_table_open_error_is_fatal = yes)"
                    .to_owned()),
            ),
        ] {
            let main = format!("daemon_table_open_error_is_fatal = {value}\n");
            let main = config::MainCf::parse("main.cf", main.as_bytes()).unwrap();
            let settings = config::Settings::load(&main, &[], &config::HostFacts::default()).unwrap();
            let tables = Tables::silent().within(&settings);
            let _ = tables.map(spec, Flags::default());
            assert_eq!(tables.must_be_open(), expected, "{value} {spec}");
        }
    }

    #[test]
    fn one_copy_is_shared_and_flags_make_another() {
        let tables = Tables::silent();
        let map = tables.map("static:x", Flags::default());
        assert!(Arc::ptr_eq(&map, &tables.map("static:x", Flags::default())));
        assert!(!Arc::ptr_eq(&map, &tables.map("static:x", Flags::alias())));
    }

    #[test]
    fn keys_of_fixed_string_tables_are_folded() {
        let tables = Tables::silent();
        let folding = tables.map("inline:{key=value}", Flags::default());
        assert_eq!(now(folding.lookup("KEY")), Lookup::Found("value".into()));
        let exact = tables.map("inline:{key=value}", Flags { fold: false, ..Flags::default() });
        assert_eq!(now(exact.lookup("KEY")), Lookup::Absent);
    }
}
