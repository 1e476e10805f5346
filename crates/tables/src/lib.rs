//! Lookup tables: every type that Postfix knows by a `type:name`, behind one door; the order in which keys are
//! searched; and the builders behind postmap(1) and postalias(1). See DATABASE_README and the table manuals
//! (access(5), canonical(5), transport(5), regexp_table(5), pcre_table(5), cidr_table(5)).
//!
//! A lookup has three outcomes, and a failure is never an absence. [`Map`] is one open table, [`Maps`] the list of
//! tables that a parameter such as `virtual_alias_maps` names, [`MatchList`] a list of patterns such as
//! `mynetworks`; [`Tables`] opens them and shares what is open. Lookups are `async` so that tables behind a
//! network can be added without changing a caller; tables in files and memory answer at once.
//!
//! No meaning of a result (a transport, an access action, an address) is known here.

pub mod address_search;
pub mod alias_source;
pub mod base64;
mod berkeley;
pub mod build;
mod cidr;
mod client;
pub mod command;
mod debug;
pub mod domain_search;
mod environ;
mod fail;
pub mod handed_over;
mod index_file;
mod indexed;
mod inline;
mod lmdb;
mod logical_line;
mod lookup;
mod map;
mod maps;
pub mod match_list;
pub mod network;
mod pattern;
mod pcre;
mod pipemap;
mod randmap;
mod regexp;
mod remote;
pub mod reply_filter;
pub mod source;
mod static_value;
mod status_filter;
mod texthash;
pub mod types;
mod unionmap;
mod unix;
pub mod users;
mod watched;

pub use lookup::Lookup;
pub use map::{Entries, Flags, Format, Map, Table, Tables, WaitingTable, Warn};
pub use maps::{Key, Maps};
pub use match_list::{MatchList, MatchStyle};
pub use status_filter::StatusFilter;
