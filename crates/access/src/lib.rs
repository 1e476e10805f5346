//! Restriction lists: who may send what.
#![forbid(unsafe_code)]
