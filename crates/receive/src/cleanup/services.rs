//! The cleanup services of master.cf. A service that receives mail names the one that its mail goes through
//! (cleanup_service_name), and may ask it to leave something out (receive_override_options).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use config::master_cf::ServiceKind;
use config::{Configuration, Settings, params};
use mail::LogForm;
use maillog::Log;
use route::Routing;

use super::Cleanup;
use super::characters::Characters;
use super::checks::Checks;
use super::envelope::EnvelopeRules;
use super::header::{HeaderRules, MissingEnd};
use super::strict::Strictness;
use crate::milter::Milters;
use crate::service::tables;

/// Those that were asked for, each opened once.
#[derive(Default)]
pub(crate) struct CleanupServices {
    opened: Mutex<HashMap<String, Arc<Cleanup>>>,
}

/// What the service that receives a message has to say about its way through cleanup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Overrides {
    /// False with `no_header_body_checks`.
    pub(crate) checks: bool,
    /// False with `no_address_mappings`: no canonical address, no virtual alias, no automatic BCC recipient.
    pub(crate) mappings: bool,
    /// False with `no_milters`.
    pub(crate) milters: bool,
    /// `content_filter`: `transport:destination`, or empty.
    pub(crate) content_filter: String,
    /// `smtputf8_autodetect_classes` names this class of mail: characters beyond ASCII in envelope or header ask for SMTPUTF8.
    pub(crate) detects_utf8: bool,
}

impl Overrides {
    /// From the settings of the service that receives mail of this class (`sendmail`, `smtpd`, `qmqpd`).
    pub(crate) fn read(settings: &Settings, class: &str) -> Overrides {
        let words = config::list::split(settings.get(params::receive_override_options));
        Overrides {
            checks: !words.contains(&"no_header_body_checks"),
            mappings: !words.contains(&"no_address_mappings"),
            milters: !words.contains(&"no_milters"),
            content_filter: settings.get(params::content_filter).to_owned(),
            detects_utf8: settings.get(params::smtputf8_enable)
                && config::list::split(settings.get(params::smtputf8_autodetect_classes))
                    .iter()
                    .any(|word| word.eq_ignore_ascii_case(class) || word.eq_ignore_ascii_case("all")),
        }
    }

    /// For mail of our own: looked at when `internal_mail_filter_classes` asks for it.
    pub(crate) fn of_internal(is_filtered: bool, mappings: bool) -> Overrides {
        Overrides {
            checks: is_filtered,
            mappings,
            milters: is_filtered,
            content_filter: String::new(),
            detects_utf8: false,
        }
    }
}

impl CleanupServices {
    /// The service that the settings of one that receives name. The error is fatal for the latter: without the rewriting and
    /// the checks that were asked for, mail is not taken.
    pub(crate) fn for_settings(
        &self,
        configuration: &Configuration,
        settings: &Settings,
        log: &Log,
    ) -> Result<Arc<Cleanup>, String> {
        let name = settings.get(params::cleanup_service_name);
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cleanup) = opened.get(name) {
            return Ok(Arc::clone(cleanup));
        }
        let entry = configuration.services().iter().find(|service| {
            service.kind == ServiceKind::Unix && service.name == name && service.program == "cleanup"
        });
        let own = match entry {
            Some(entry) => configuration.settings_of(entry).map_err(|errors| errors.to_string())?,
            // A master.cf without the stock line: the parameters of main.cf.
            None if name == "cleanup" => {
                configuration.settings("cleanup").map_err(|errors| errors.to_string())?
            }
            None => {
                return Err(format!(
                    "cleanup_service_name = {name}: master.cf has no service of that name and type unix that runs cleanup"
                ));
            }
        };
        let cleanup = Arc::new(open(&own, configuration, log)?);
        opened.insert(name.to_owned(), Arc::clone(&cleanup));
        Ok(cleanup)
    }
}

fn open(settings: &Settings, configuration: &Configuration, log: &Log) -> Result<Cleanup, String> {
    let size = |value: i64| usize::try_from(value).unwrap_or(usize::MAX);
    let log = log.service(settings.get(params::syslog_name), "cleanup");
    let log = log.showing(LogForm::of(settings.get(params::info_log_address_format)));
    let tables = tables(&log).within(settings);
    let routing = Arc::new(Routing::new(settings, &tables, configuration.host()));
    let drop = config::list::split(settings.get(params::message_drop_headers));
    let checks = Checks::open(settings, &tables);
    let cleanup = Cleanup {
        strictness: Strictness::read(settings, checks.mime_limits),
        converts: settings.get(params::force_mime_input_conversion)
            && !settings.get(params::disable_mime_input_processing),
        milters: Milters::of_others(settings)?,
        characters: Characters::read(settings)?,
        header: Arc::new(HeaderRules {
            routing: Arc::clone(&routing),
            log: log.clone(),
            checks,
            hostname: settings.get(params::myhostname).to_owned(),
            mail_name: settings.get(params::mail_name).to_owned(),
            drop: drop.into_iter().map(str::to_owned).collect(),
            size_limit: size(settings.get(params::header_size_limit)),
            token_limit: size(settings.get(params::header_address_token_limit)),
            hop_limit: size(settings.get(params::hopcount_limit)),
            always_add_missing: settings.get(params::always_add_missing_headers),
            undisclosed: settings.get(params::undisclosed_recipients_header).to_owned(),
            rewrite_remote: !settings.get(params::remote_header_rewrite_domain).is_empty(),
            full_name_charset: settings.get(params::full_name_encoding_charset).to_owned(),
            tls_required: settings.get(params::tls_required_enable),
            require_tls_header: settings.get(params::requiretls_enable)
                && settings.get(params::requiretls_esmtp_header),
            detects_eight_bit: settings.get(params::detect_8bit_encoding_header),
            missing_end: match settings.get(params::non_empty_end_of_header_action) {
                "add_header" => MissingEnd::AddHeader,
                "reject" => MissingEnd::Reject,
                _ => MissingEnd::FixQuietly,
            },
            obsolete_from: settings.get(params::header_from_format) == "obsolete",
        }),
        envelope: EnvelopeRules {
            duplicate_limit: size(settings.get(params::duplicate_filter_limit)),
            original_recipient: settings.get(params::enable_original_recipient),
        },
        size_limit: settings.get(params::message_size_limit).unsigned_abs(),
        line_length: size(settings.get(params::line_length_limit)),
        routing,
        log,
    };
    tables.must_be_open()?;
    Ok(cleanup)
}
