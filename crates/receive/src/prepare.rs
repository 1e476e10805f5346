//! What is done before the privileges of the start are given up: settings, keys and tables of every service.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use config::master_cf::ServiceKind;
use config::{Configuration, params};
use dns::Resolver;
use mail::{IdGenerator, LogForm};
use maillog::Log;

use crate::anvil::Anvil;
use crate::cleanup::Cleanup;
use crate::cleanup::received::Received;
use crate::cleanup::services::{CleanupServices, Overrides};
use crate::postscreen::{self, Screen};
use crate::qmqpd::Qmqpd;
use crate::queue_link::QueueLink;
use crate::service::{Service, Shared, tables};
use crate::submitter::Submitters;
use crate::tls_engines::TlsEngines;
use crate::verify::Verify;

/// The role, ready to serve.
pub struct Prepared {
    pub(crate) log: Log,
    /// By line in master.cf.
    pub(crate) services: HashMap<u32, Arc<Service>>,
    /// By line in master.cf, too.
    pub(crate) screens: HashMap<u32, Arc<Screen>>,
    /// By line in master.cf, too.
    pub(crate) qmqpd: HashMap<u32, Arc<Qmqpd>>,
    pub(crate) pickup: PickupSettings,
    pub(crate) ids: Arc<Mutex<IdGenerator>>,
    /// The way to the queue, once master has made it.
    pub(crate) queue: Arc<QueueLink>,
    pub(crate) verify: Verify,
    pub(crate) resolver: Arc<Resolver>,
    pub(crate) anvil: Anvil,
    pub(crate) anvil_log: Log,
    /// `anvil_status_update_time`.
    pub(crate) anvil_interval: Duration,
    pub(crate) tls: TlsEngines,
}

/// What pickup goes by.
pub(crate) struct PickupSettings {
    pub(crate) log: Log,
    pub(crate) cleanup: Arc<Cleanup>,
    pub(crate) received: Received,
    pub(crate) overrides: Overrides,
    /// Messages that sendmail left while nobody listened.
    pub(crate) maildrop: PathBuf,
    /// `message_size_limit` in bytes; 0 is no limit.
    pub(crate) size_limit: u64,
    pub(crate) submitters: Submitters,
    /// `myorigin`, for senders who are users here.
    pub(crate) origin: String,
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
    let tls = TlsEngines::default();
    let cleanups = CleanupServices::default();
    let queue = Arc::new(QueueLink::new());
    let ids = IdGenerator::new(tag, main.get(params::enable_long_queue_ids));
    let ids = Arc::new(Mutex::new(ids));
    let verify = Verify::open(&configuration, &log, &cleanups, Arc::clone(&queue), Arc::clone(&ids))?;
    let shared = Shared {
        configuration: &configuration,
        log: &log,
        resolver: &resolver,
        tls: &tls,
        cleanups: &cleanups,
        verify: &verify,
    };
    let (mut services, mut qmqpd) = (HashMap::new(), HashMap::new());
    for service in configuration.services() {
        if !matches!(service.kind, ServiceKind::Inet | ServiceKind::Pass) {
            continue;
        }
        let opened = match service.program.as_str() {
            "smtpd" => Service::open(&shared, service)
                .map(|opened| _ = services.insert(opened.line, Arc::new(opened))),
            "qmqpd" => {
                let line = u32::try_from(service.line).unwrap_or(u32::MAX);
                Qmqpd::open(&shared, service).map(|opened| _ = qmqpd.insert(line, Arc::new(opened)))
            }
            _ => continue,
        };
        if let Err(why) = opened {
            let program = log.service(main.get(params::syslog_name), &service.program);
            maillog::fatal!(
                program,
                "{}, line {}: service {} is not started: {why}",
                service.file,
                service.line,
                service.name
            );
        }
    }
    let anvil = match configuration.service_of_program("anvil") {
        Some(service) => configuration.settings_of(service).map_err(|errors| errors.to_string())?,
        None => configuration.settings("anvil").map_err(|errors| errors.to_string())?,
    };
    let service_names = services.iter().map(|(line, service)| (*line, service.name.clone())).collect();
    let screens = postscreen::open_all(&shared, &services);
    let settings = match configuration.service_of_program("pickup") {
        Some(service) => configuration.settings_of(service).map_err(|errors| errors.to_string())?,
        None => main,
    };
    let syslog_name = settings.get(params::syslog_name);
    let pickup_log = log.service(syslog_name, "pickup");
    let pickup_log = pickup_log.showing(LogForm::of(settings.get(params::info_log_address_format)));
    let cleanup = cleanups.for_settings(&configuration, &settings, &log)?;
    let pickup_tables = tables(&pickup_log).within(&settings);
    let submitters = Submitters::open(&settings, &pickup_tables);
    pickup_tables.must_be_open()?;
    Ok(Prepared {
        services,
        qmqpd,
        screens,
        pickup: PickupSettings {
            submitters,
            log: pickup_log,
            cleanup,
            received: Received::read(&settings),
            overrides: Overrides::read(&settings, "sendmail"),
            maildrop,
            size_limit: settings.get(params::message_size_limit).unsigned_abs(),
            origin: settings.get(params::myorigin).to_owned(),
        },
        ids,
        queue,
        verify,
        anvil: Anvil::new(anvil.get(params::anvil_rate_time_unit), service_names),
        anvil_log: log.service(anvil.get(params::syslog_name), "anvil"),
        anvil_interval: anvil.get(params::anvil_status_update_time),
        resolver,
        tls,
        log,
    })
}
