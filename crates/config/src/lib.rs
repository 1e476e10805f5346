//! main.cf, master.cf and the registry of every parameter.
#![forbid(unsafe_code)]

pub mod param;
pub mod params;
