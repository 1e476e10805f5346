//! The durable store of messages and their recipients' states.
//!
//! One writer thread takes all work that waits and commits it as one record of a journal: one sync for many messages. What stays
//! longer than moments moves to SQLite in WAL mode with `synchronous = FULL`. Contents over a bound are files of their own, synced before the row that
//! names them is committed, so that no row names a missing file. Scheduling, retries and bounces are the queue's business.
//!
//! - `store.rs`: what a store can do ([`Store`]) and the words for it; a shared database can implement it later.
//! - `sqlite.rs`, `changes.rs`, `rows.rs`, `schema.rs`: the store of one machine; `journal.rs`, `late.rs`: what was committed and stands in no
//!   row yet.
//! - `body.rs`, `disk.rs`: contents in files, and the one trait through which their disk is touched.
//! - `writer.rs`: the group commit.
#![forbid(unsafe_code)]

mod body;
mod changes;
mod disk;
mod journal;
mod late;
mod rows;
mod schema;
mod sqlite;
mod store;
mod writer;

pub use body::{Bodies, Body, BodyError};
pub use disk::{Disk, RealDisk};
pub use sqlite::SqliteStore;
pub use store::{
    ATTEMPTS_KEPT, Change, Committed, Content, Held, Overview, Progress, RecipientState, Store, StoreError,
    Stored, Waiting,
};
pub use writer::{Done, Spool, Writer};
