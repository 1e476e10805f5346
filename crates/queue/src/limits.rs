//! The parameters of qmgr(8) and its transports, read once for all.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use config::master_cf::ServiceKind;
use config::{Configuration, Settings, params};
use link::Role;
use mail::delivery_line::Delays;

use crate::active::Active;
use crate::backoff::Backoff;
use crate::schedule::{Law, SlotLimits, TransportLimits, WindowLimits};
use crate::template::Templates;

/// What the queue role reads from the configuration, besides routing.
pub(crate) struct Limits {
    pub(crate) backoff: Backoff,
    /// qmgr_message_active_limit
    pub(crate) active: usize,
    /// How long a site that does not answer is left alone (minimal_backoff_time, as in Postfix).
    pub(crate) site_pause: Duration,
    /// How long a transport that fails is left alone (transport_retry_time).
    pub(crate) transport_retry: Duration,
    /// line_length_limit
    pub(crate) line_length: usize,
    /// bounce_size_limit
    pub(crate) bounce_size: u64,
    /// requiretls_redact_dsn: a notice about a message under REQUIRETLS returns no content, and travels without it.
    pub(crate) redact_dsn: bool,
    /// myhostname
    pub(crate) hostname: String,
    /// myorigin
    pub(crate) origin: String,
    /// syslog_name
    pub(crate) syslog_name: String,
    /// mail_name
    pub(crate) mail_name: String,
    /// double_bounce_sender, with a domain
    pub(crate) double_bounce: String,
    /// `notify_classes` with its recipients: bounce, 2bounce, delay...
    pub(crate) notify: HashMap<String, String>,
    /// `internal_mail_filter_classes` has bounce: cleanup looks at notices to senders.
    pub(crate) filters_bounces: bool,
    /// It has notify: cleanup looks at mail about sessions.
    pub(crate) filters_complaints: bool,
    /// smtputf8_enable
    pub(crate) smtputf8_enable: bool,
    /// delay_logging_resolution_limit
    delay_decimals: usize,
    /// bounce_template_file
    pub(crate) templates: Templates,
    /// enable_threaded_bounces
    pub(crate) threaded_bounces: bool,
    /// confirm_delay_cleared
    pub(crate) confirms_delay_cleared: bool,
    /// disable_verp_bounces
    pub(crate) verp_bounces: bool,
    /// qmgr_message_recipient_limit
    pub(crate) recipients: usize,
    /// qmgr_clog_warn_time; zero is off.
    pub(crate) clog_warning: Duration,
    /// default_filter_nexthop
    pub(crate) filter_next_hop: String,
    /// Parameters whose values make no sense and count as their defaults, in words.
    pub(crate) mistakes: Vec<String>,
    /// defer_transports
    pub(crate) deferred_transports: Vec<String>,
    transports: HashMap<String, Transport>,
    /// For a transport that master.cf does not know.
    unknown: TransportLimits,
}

/// A delivery service of master.cf.
pub(crate) struct Transport {
    /// The program behind it.
    pub(crate) program: String,
    pub(crate) limits: TransportLimits,
    /// `_destination_recipient_limit`; 0 is no limit.
    pub(crate) recipients: usize,
}

impl Limits {
    /// Reads them. The error is fatal for the role.
    pub(crate) fn read(configuration: &Configuration, settings: &Settings) -> Limits {
        let hostname = settings.get(params::myhostname).to_owned();
        let default_process_limit = settings.get(params::default_process_limit).max(1) as u32;
        let (mut transports, mut mistakes) = (HashMap::new(), Vec::new());
        for service in configuration.services() {
            if service.kind != ServiceKind::Unix {
                continue;
            }
            let processes = match service.maxproc {
                None => default_process_limit as usize,
                Some(0) => usize::MAX,
                Some(n) => n as usize,
            };
            for suffix in [POSITIVE, NEGATIVE] {
                let text = settings.text_for_transport(suffix, &service.name);
                if Law::parse(&text).is_none() {
                    let mistake = format!(
                        "{}{suffix} = {text}: ignored; use a number from 0 to 1, or number/number, number/concurrency, \
                         number/sqrt_concurrency",
                        service.name
                    );
                    mistakes.push(mistake);
                }
            }
            transports.insert(
                service.name.clone(),
                Transport {
                    program: service.program.clone(),
                    limits: transport_limits(settings, &service.name, processes),
                    recipients: number(settings, "_destination_recipient_limit", &service.name),
                },
            );
        }
        let classes = config::list::split(settings.get(params::notify_classes));
        let notify = [
            ("bounce", settings.get(params::bounce_notice_recipient)),
            ("2bounce", settings.get(params::_2bounce_notice_recipient)),
            ("delay", settings.get(params::delay_notice_recipient)),
        ]
        .into_iter()
        .filter(|(class, _)| classes.contains(class))
        .map(|(class, recipient)| (class.to_owned(), recipient.to_owned()))
        .collect();
        let filtered = config::list::split(settings.get(params::internal_mail_filter_classes));
        let filters = |class: &str| filtered.iter().any(|word| word.eq_ignore_ascii_case(class));
        let (templates, wrong) = Templates::read(settings);
        mistakes.extend(wrong);
        Limits {
            templates,
            threaded_bounces: settings.get(params::enable_threaded_bounces),
            confirms_delay_cleared: settings.get(params::confirm_delay_cleared),
            verp_bounces: !settings.get(params::disable_verp_bounces),
            backoff: Backoff::read(settings),
            active: settings.get(params::qmgr_message_active_limit).max(1) as usize,
            recipients: settings.get(params::qmgr_message_recipient_limit).max(1) as usize,
            clog_warning: settings.get(params::qmgr_clog_warn_time),
            filter_next_hop: settings.get(params::default_filter_nexthop).to_owned(),
            mistakes,
            site_pause: settings.get(params::minimal_backoff_time),
            transport_retry: settings.get(params::transport_retry_time),
            line_length: usize::try_from(settings.get(params::line_length_limit)).unwrap_or(usize::MAX),
            bounce_size: settings.get(params::bounce_size_limit).max(0) as u64,
            redact_dsn: settings.get(params::requiretls_redact_dsn),
            origin: settings.get(params::myorigin).to_owned(),
            syslog_name: settings.get(params::syslog_name).to_owned(),
            mail_name: settings.get(params::mail_name).to_owned(),
            double_bounce: with_domain(
                settings.get(params::double_bounce_sender),
                settings.get(params::myhostname),
            ),
            notify,
            filters_bounces: filters("bounce"),
            filters_complaints: filters("notify"),
            smtputf8_enable: settings.get(params::smtputf8_enable),
            delay_decimals: usize::try_from(settings.get(params::delay_logging_resolution_limit))
                .unwrap_or(2),
            deferred_transports: config::list::split(settings.get(params::defer_transports))
                .into_iter()
                .map(str::to_owned)
                .collect(),
            transports,
            unknown: transport_limits(settings, "smtp", default_process_limit as usize),
            hostname,
        }
    }

    /// The service of that name, if master.cf has it.
    pub(crate) fn transport(&self, name: &str) -> Option<&Transport> {
        self.transports.get(name)
    }

    /// How long a message has waited: the first two parts of `delays=`.
    pub(crate) fn delays_so_far(&self, active: &Active, now: Instant) -> Delays {
        Delays {
            before_queue: active.activated.duration_since(active.message.arrival).unwrap_or_default(),
            in_queue: now.saturating_duration_since(active.activated_at),
            decimals: self.delay_decimals,
            ..Delays::default()
        }
    }

    /// Which role delivers for a transport.
    pub(crate) fn role_of(&self, transport: &str) -> Role {
        match self.transport(transport).map(|transport| transport.program.as_str()) {
            Some("smtp" | "lmtp") => Role::Send,
            _ => Role::Local,
        }
    }

    /// Limits for a transport, whether master.cf has it or not.
    pub(crate) fn of(&self, transport: &str) -> TransportLimits {
        self.transport(transport).map_or(self.unknown, |transport| transport.limits)
    }
}

fn transport_limits(settings: &Settings, name: &str, processes: usize) -> TransportLimits {
    let slot = |suffix| settings.for_transport(suffix, name);
    TransportLimits {
        processes,
        window: WindowLimits {
            initial: settings.for_transport("_initial_destination_concurrency", name).max(1) as usize,
            most: number(settings, "_destination_concurrency_limit", name),
            failed_cohorts: number(settings, "_destination_concurrency_failed_cohort_limit", name),
            positive: law(settings, POSITIVE, name),
            negative: law(settings, NEGATIVE, name),
        },
        rate_delay: settings.time_for_transport("_destination_rate_delay", name),
        transport_rate_delay: settings.time_for_transport("_transport_rate_delay", name),
        slots: SlotLimits {
            cost: slot("_delivery_slot_cost"),
            loan: slot("_delivery_slot_loan"),
            discount: slot("_delivery_slot_discount"),
            minimum: slot("_minimum_delivery_slots"),
        },
    }
}

const POSITIVE: &str = "_destination_concurrency_positive_feedback";
const NEGATIVE: &str = "_destination_concurrency_negative_feedback";

/// What makes no sense counts as 1, as in Postfix; [`Limits::read`] says so.
fn law(settings: &Settings, suffix: &str, name: &str) -> Law {
    Law::parse(&settings.text_for_transport(suffix, name)).unwrap_or(Law::WHOLE)
}

fn number(settings: &Settings, suffix: &str, name: &str) -> usize {
    usize::try_from(settings.for_transport(suffix, name)).unwrap_or(0)
}

fn with_domain(address: &str, domain: &str) -> String {
    if address.contains('@') { address.to_owned() } else { format!("{address}@{domain}") }
}
