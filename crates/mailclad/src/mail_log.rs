//! Opening the mail log as the configuration says (maillog_file, syslog_facility, syslog_name).

use std::sync::Arc;

use config::{Settings, params};
use mail::LogForm;
use maillog::{Destination, Log, Sink, SyslogFacility};

/// The log of a program. The error names the parameter.
pub fn open(settings: &Settings, program: &str) -> Result<Log, String> {
    let file = settings.get(params::maillog_file);
    let destination = match file {
        "" => {
            let name = settings.get(params::syslog_facility);
            let facility = SyslogFacility::from_name(name).ok_or_else(|| {
                format!(
                    "syslog_facility = {name}: no such facility; mail, daemon, local0 to local7 are usual"
                )
            })?;
            Destination::Syslog(facility)
        }
        "/dev/stdout" => Destination::Stdout,
        path => {
            let prefixes = config::list::split(settings.get(params::maillog_file_prefixes));
            if !prefixes.iter().any(|prefix| path.starts_with(prefix)) {
                return Err(format!(
                    "maillog_file = {path}: the name must begin with one of maillog_file_prefixes = {}",
                    prefixes.join(", ")
                ));
            }
            let mode = settings.get(params::maillog_file_permissions);
            let mode = u32::from_str_radix(mode, 8)
                .map_err(|_| format!("maillog_file_permissions = {mode}: use 600, 640 or 644"))?;
            Destination::File { path: path.into(), mode }
        }
    };
    let sink = Sink::open(&destination, settings.get(params::myhostname))
        .map_err(|error| format!("maillog_file = {file}: {error}"))?;
    let log = Log::new(Arc::new(sink), settings.get(params::syslog_name), program);
    Ok(log.showing(LogForm::of(settings.get(params::info_log_address_format))))
}
