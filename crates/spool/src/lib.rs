//! The durable store of messages and their recipients' states.
#![forbid(unsafe_code)]
