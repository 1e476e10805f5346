//! main.cf, master.cf and the registry of every parameter.
//!
//! Reads the two files of an unchanged Postfix configuration, knows every parameter of postconf(5), and gives
//! each service its typed values. No async, no log, and no input but those files.
#![forbid(unsafe_code)]

mod arguments;
pub mod compat;
mod config_error;
mod configuration;
pub mod edit;
pub mod environment;
pub mod escape;
pub mod expand;
pub mod families;
mod host;
pub mod level;
pub mod list;
pub mod logical;
pub mod main_cf;
pub mod master_cf;
mod name_hash;
mod number;
pub mod param;
pub mod params;
pub mod ports;
pub mod postconf;
pub mod renamed;
mod settings;

pub use config_error::{ConfigError, ConfigErrors, Origin};
pub use configuration::Configuration;
pub use host::HostFacts;
pub use main_cf::MainCf;
pub use master_cf::MasterCf;
pub use settings::Settings;
