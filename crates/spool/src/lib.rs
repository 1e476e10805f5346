//! The durable store of messages and their recipients' states.
//!
//! SQLite in WAL mode with `synchronous = FULL` under one writer thread, which takes all work that waits and commits it as one
//! transaction: one sync for many messages. Contents over a bound are files of their own, synced before the row that
//! names them is committed, so that no row names a missing file. Scheduling, retries and bounces are the queue's business.
//!
//! - `store.rs`: what a store can do ([`Store`]) and the words for it; a shared database can implement it later.
//! - `sqlite.rs`, `schema.rs`: the store of one machine.
//! - `body.rs`, `disk.rs`: contents in files, and the one trait through which their disk is touched.
//! - `writer.rs`: the group commit.
#![forbid(unsafe_code)]

mod body;
mod disk;
mod rows;
mod schema;
mod sqlite;
mod store;
mod writer;

pub use body::{Bodies, Body, BodyError};
pub use disk::{Disk, RealDisk};
pub use sqlite::SqliteStore;
pub use store::{ATTEMPTS_KEPT, Change, Content, Held, Progress, RecipientState, Store, StoreError, Stored};
pub use writer::{Done, Spool, Writer};
