//! What is done before the privileges of the start are given up: settings, keys and tables of every service.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use config::master_cf::ServiceKind;
use config::{Configuration, Settings, params};
use dns::Resolver;
use mail::IdGenerator;
use maillog::Log;
use route::Routing;

use crate::anvil::Anvil;
use crate::cleanup::Cleanup;
use crate::cleanup::envelope::EnvelopeRules;
use crate::cleanup::header::HeaderRules;
use crate::cleanup::received::Received;
use crate::service::{Service, Shared, tables};

/// The role, ready to serve.
pub struct Prepared {
    pub(crate) log: Log,
    /// By line in master.cf.
    pub(crate) services: HashMap<u32, Arc<Service>>,
    pub(crate) pickup: PickupSettings,
    pub(crate) ids: Mutex<IdGenerator>,
    pub(crate) resolver: Arc<Resolver>,
    pub(crate) anvil: Anvil,
}

/// What pickup goes by.
pub(crate) struct PickupSettings {
    pub(crate) log: Log,
    pub(crate) cleanup: Arc<Cleanup>,
    /// Messages that sendmail left while nobody listened.
    pub(crate) maildrop: PathBuf,
    /// `message_size_limit` in bytes; 0 is no limit.
    pub(crate) size_limit: u64,
    /// `myorigin`, for senders who are users here.
    pub(crate) origin: String,
}

/// The log of cleanup(8), a service of its own whatever brought the message: its syslog_name is not the one of a submission
/// service.
pub(crate) fn cleanup_log(configuration: &Configuration, log: &Log) -> Log {
    let settings = match configuration.service_of_program("cleanup") {
        Some(service) => configuration.settings_of(service),
        None => configuration.settings("cleanup"),
    };
    // Wrong settings stop the service that has them, with their own words.
    settings
        .map_or_else(|_| log.clone(), |settings| log.service(settings.get(params::syslog_name), "cleanup"))
}

/// Reads everything that the role needs. A service that can not work is logged and left out; the error, which ends the
/// role, concerns what all share. `tag` tells this process's queue ids from those of the others; `maildrop` is where sendmail leaves
/// messages while nobody listens.
pub fn prepare(
    configuration: Configuration,
    log: Log,
    tag: u8,
    maildrop: PathBuf,
) -> Result<Prepared, String> {
    let main = configuration.settings("pickup").map_err(|errors| errors.to_string())?;
    let resolver = Arc::new(Resolver::from_system());
    let shared = Shared { configuration: &configuration, log: &log, resolver: &resolver };
    let mut services = HashMap::new();
    for service in configuration.services() {
        let heard = matches!(service.kind, ServiceKind::Inet | ServiceKind::Pass);
        if !heard || service.program != "smtpd" {
            continue;
        }
        match Service::open(&shared, service) {
            Ok(opened) => {
                services.insert(opened.line, Arc::new(opened));
            }
            Err(why) => {
                let program = log.service(main.get(params::syslog_name), "smtpd");
                maillog::fatal!(
                    program,
                    "{}, line {}: service {} is not started: {why}",
                    service.file,
                    service.line,
                    service.name
                );
            }
        }
    }
    let settings = match configuration.service_of_program("pickup") {
        Some(service) => configuration.settings_of(service).map_err(|errors| errors.to_string())?,
        None => main,
    };
    let syslog_name = settings.get(params::syslog_name);
    let pickup_log = log.service(syslog_name, "pickup");
    let routing = Arc::new(Routing::new(&settings, &tables(&pickup_log), configuration.host()));
    let cleanup = cleanup_of(&settings, routing, cleanup_log(&configuration, &log));
    Ok(Prepared {
        services,
        pickup: PickupSettings {
            log: pickup_log,
            cleanup: Arc::new(cleanup),
            maildrop,
            size_limit: settings.get(params::message_size_limit).unsigned_abs(),
            origin: settings.get(params::myorigin).to_owned(),
        },
        ids: Mutex::new(IdGenerator::new(tag, settings.get(params::enable_long_queue_ids))),
        anvil: Anvil::new(settings.get(params::anvil_rate_time_unit)),
        resolver,
        log,
    })
}

/// cleanup(8) as the settings of one service have it.
pub(crate) fn cleanup_of(settings: &Settings, routing: Arc<Routing>, log: Log) -> Cleanup {
    let size = |value: i64| usize::try_from(value).unwrap_or(usize::MAX);
    let hostname = settings.get(params::myhostname).to_owned();
    Cleanup {
        log,
        header: Arc::new(HeaderRules {
            routing: Arc::clone(&routing),
            hostname: hostname.clone(),
            drop: config::list::split(settings.get(params::message_drop_headers))
                .into_iter()
                .map(str::to_owned)
                .collect(),
            size_limit: size(settings.get(params::header_size_limit)),
            token_limit: size(settings.get(params::header_address_token_limit)),
            hop_limit: size(settings.get(params::hopcount_limit)),
            always_add_missing: settings.get(params::always_add_missing_headers),
            undisclosed: settings.get(params::undisclosed_recipients_header).to_owned(),
            rewrite_remote: !settings.get(params::remote_header_rewrite_domain).is_empty(),
            obsolete_from: settings.get(params::header_from_format) == "obsolete",
        }),
        envelope: EnvelopeRules {
            duplicate_limit: size(settings.get(params::duplicate_filter_limit)),
            original_recipient: settings.get(params::enable_original_recipient),
        },
        received: Received {
            hostname,
            mail_name: settings.get(params::mail_name).to_owned(),
            tls: settings.get(params::smtpd_tls_received_header),
            sasl: settings.get(params::smtpd_sasl_authenticated_header),
        },
        routing,
    }
}
