//! The role that keeps mail: schedule, back-off, bounces, listings.
#![forbid(unsafe_code)]
