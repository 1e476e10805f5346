//! postalias(1), and newaliases(1), which is postalias of the alias databases that main.cf names.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use config::HostFacts;
use tables::Format;

use super::postmap;

/// Runs postalias(1).
pub fn run(args: &[OsString], host: &HostFacts) -> ExitCode {
    postmap::run_as("postalias", Format::Alias, args, host)
}

/// Runs newaliases(1), also known as `sendmail -bi`.
pub fn newaliases(config_directory: &Path, host: &HostFacts) -> ExitCode {
    postmap::rebuild_aliases(config_directory, host)
}
