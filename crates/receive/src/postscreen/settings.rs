//! One postscreen service of master.cf: everything that its sessions share.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use config::escape::unescape;
use config::master_cf::ServiceKind;
use config::param::{Param, kind};
use config::{Settings, params};
use mail::LogForm;
use maillog::Log;
use smtp::server::EhloKeywords;
use tables::domain_search::ParentStyle;
use tables::{Flags, Maps, MatchList, MatchStyle, Tables};
use tls::server::Server;

use super::access_list::AccessList;
use super::clients::Clients;
use super::dnsbl::{Dnsbl, DnsblSettings};
use super::dnsbl_score::sites;
use super::engine::Options;
use super::screening::{Action, Policy, Rule};
use super::stamps::Stamps;
use super::tls::Tls;
use crate::footer::Footer;
use crate::journal::Journal;
use crate::service::{Service, Shared, command_list, tables};
use crate::tls_log::TlsLog;

/// A service, ready for sessions.
pub(crate) struct Screen {
    /// Its line in master.cf, which names it to master.
    pub(crate) line: u32,
    /// Lines of postscreen.
    pub(super) log: Log,
    /// Lines of tlsproxy, which is part of this process.
    pub(super) tls_log: Log,
    pub(super) policy: Policy,
    /// `delay_logging_resolution_limit`.
    pub(super) decimals: usize,
    /// `postscreen_greet_banner`: the line before the greeting, as a bait.
    pub(super) teaser: String,
    pub(super) greet_wait: Stressed,
    pub(super) command_time_limit: Stressed,
    pub(super) access_list: AccessList,
    pub(super) allowlist_interfaces: MatchList,
    /// `respectful_logging`.
    pub(super) respectful: bool,
    pub(super) dnsbl: Dnsbl,
    pub(super) engine: Arc<Options>,
    pub(super) discard: EhloKeywords,
    pub(super) discard_maps: Maps,
    pub(super) command_filter: Maps,
    pub(super) footer: Footer,
    /// `myhostname`.
    pub(super) hostname: String,
    /// `None`: TLS is off, or can not be used; the reason was logged.
    pub(super) tls: Option<Arc<Server>>,
    /// `postscreen_tls_loglevel` and `postscreen_tls_loglevel_maps`.
    pub(super) tls_levels: TlsLog,
    /// `postscreen_upstream_proxy_timeout`, if there is a proxy.
    pub(super) proxy: Option<Duration>,
    /// `postscreen_client_connection_count_limit`; 0 is none.
    pub(super) connection_limit: usize,
    /// `postscreen_post_queue_limit`; 0 is none.
    pub(super) post_queue_limit: usize,
    pub(super) clients: Arc<Clients>,
    /// `None` when `postscreen_cache_map` is empty.
    pub(super) cache: Option<Arc<Cache>>,
    /// `postscreen_cache_map`, for log lines.
    pub(super) cache_name: String,
    /// `postscreen_cache_cleanup_interval`; zero is never.
    pub(super) cleanup_interval: Duration,
    /// `postscreen_cache_retention_time`.
    pub(super) retention: Duration,
    /// The service that those who pass are handed to.
    pub(super) smtpd: Arc<Service>,
}

/// A time that is shorter under stress.
#[derive(Clone, Copy)]
pub(super) struct Stressed {
    normal: Duration,
    stressed: Duration,
}

impl Stressed {
    pub(super) fn under(self, stress: bool) -> Duration {
        if stress { self.stressed } else { self.normal }
    }
}

/// Opens all postscreen services. `services` are those of smtpd. One that can not work is logged and left out.
pub(crate) fn open_all(
    shared: &Shared<'_>,
    services: &HashMap<u32, Arc<Service>>,
) -> HashMap<u32, Arc<Screen>> {
    let mut caches = HashMap::new();
    let mut screens = HashMap::new();
    for service in shared.configuration.services() {
        if service.program != "postscreen" || service.kind != ServiceKind::Inet {
            continue;
        }
        match open(shared, service, services, &mut caches) {
            Ok(screen) => {
                screens.insert(screen.line, Arc::new(screen));
            }
            Err(why) => {
                let settings = shared.configuration.settings("postscreen");
                let name = settings.as_ref().map_or("postfix", |settings| settings.get(params::syslog_name));
                maillog::fatal!(
                    shared.log.service(name, "postscreen"),
                    "{}, line {}: service {} is not started: {why}",
                    service.file,
                    service.line,
                    service.name
                );
            }
        }
    }
    screens
}

fn open(
    shared: &Shared<'_>,
    service: &config::master_cf::Service,
    services: &HashMap<u32, Arc<Service>>,
    caches: &mut HashMap<PathBuf, Arc<Cache>>,
) -> Result<Screen, String> {
    let configuration = shared.configuration;
    let settings = configuration.settings_of(service).map_err(|errors| errors.to_string())?;
    let syslog_name = settings.get(params::syslog_name);
    let log = shared.log.service(syslog_name, "postscreen");
    let tables = tables(&log).within(&settings);
    let with = |name: &str, value: &str| {
        let mut changed = service.clone();
        changed.overrides.push((name.to_owned(), value.to_owned()));
        configuration.settings_of(&changed).map_err(|errors| errors.to_string())
    };
    let (calm, stressed) = (with("stress", "")?, with("stress", "yes")?);
    let time = |parameter: Param<kind::Time>| Stressed {
        normal: calm.get(parameter),
        stressed: stressed.get(parameter),
    };
    let tls = Tls::open(shared, service, &settings, &tables, &log)?;
    let policy = policy(&settings)?;
    let map = |parameter: Param<kind::Text>| {
        Maps::open(&tables, parameter.name(), settings.get(parameter), Flags::default())
    };
    let (cache, cache_name) = cache(&settings, &log, caches);
    let footer = Footer::new(
        "postscreen_reject_footer",
        &once_expanded(&settings, settings.get(params::postscreen_reject_footer)),
        map(params::postscreen_reject_footer_maps),
        unescape(&once_expanded(&settings, settings.get(params::postscreen_expansion_filter))),
    );
    let screen = Screen {
        line: u32::try_from(service.line).unwrap_or(u32::MAX),
        policy,
        decimals: count(settings.get(params::delay_logging_resolution_limit)),
        teaser: settings.get(params::postscreen_greet_banner).to_owned(),
        greet_wait: time(params::postscreen_greet_wait),
        command_time_limit: time(params::postscreen_command_time_limit),
        access_list: AccessList::open(
            &tables,
            settings.get(params::postscreen_access_list),
            settings.get(params::mynetworks),
        ),
        allowlist_interfaces: MatchList::open(
            &tables,
            "postscreen_allowlist_interfaces",
            settings.get(params::postscreen_allowlist_interfaces),
            MatchStyle::HostsAndAddresses(ParentStyle::DotParent),
        ),
        respectful: settings.get(params::respectful_logging),
        dnsbl: dnsbl(shared, &settings, &tables)?,
        engine: Arc::new(engine_options(&settings, &tls, &tables)),
        discard: EhloKeywords::parse(settings.get(params::postscreen_discard_ehlo_keywords)),
        discard_maps: map(params::postscreen_discard_ehlo_keyword_address_maps),
        command_filter: map(params::postscreen_command_filter),
        footer,
        hostname: settings.get(params::myhostname).to_owned(),
        tls: tls.server,
        tls_levels: TlsLog::open(
            tls.levels,
            &tables,
            "postscreen_tls_loglevel_maps",
            settings.get(params::postscreen_tls_loglevel_maps),
        ),
        proxy: proxy(&settings)?,
        connection_limit: count(settings.get(params::postscreen_client_connection_count_limit)),
        post_queue_limit: count(settings.get(params::postscreen_post_queue_limit)),
        clients: Clients::new(count(settings.get(params::postscreen_pre_queue_limit))),
        cache,
        cache_name,
        cleanup_interval: settings.get(params::postscreen_cache_cleanup_interval),
        retention: settings.get(params::postscreen_cache_retention_time),
        smtpd: smtpd(shared, &settings, services)?,
        tls_log: shared.log.service(syslog_name, "tlsproxy"),
        log,
    };
    tables.must_be_open()?;
    Ok(screen)
}

fn count(value: i64) -> usize {
    usize::try_from(value).unwrap_or(0)
}

/// A text of which `$name` is expanded only when it is used, but whose default is the name of another parameter.
fn once_expanded(settings: &Settings, text: &str) -> String {
    let name = text
        .strip_prefix('$')
        .map(|name| name.strip_prefix('{').and_then(|name| name.strip_suffix('}')).unwrap_or(name));
    name.and_then(|name| settings.text_of(name)).unwrap_or(text).to_owned()
}

/// The pass service of smtpd_service_name.
fn smtpd(
    shared: &Shared<'_>,
    settings: &Settings,
    services: &HashMap<u32, Arc<Service>>,
) -> Result<Arc<Service>, String> {
    let name = settings.get(params::smtpd_service_name);
    let named = shared.configuration.services().iter().find(|service| {
        service.name == name && service.kind == ServiceKind::Pass && service.program == "smtpd"
    });
    let Some(named) = named else {
        return Err(format!(
            "there is nobody to hand clients to: add \"{name} pass - - y - - smtpd\" to master.cf (smtpd_service_name)"
        ));
    };
    let line = u32::try_from(named.line).unwrap_or(u32::MAX);
    services.get(&line).map(Arc::clone).ok_or_else(|| {
        format!("the service that clients are handed to ({name}, line {line}) could not be started")
    })
}

fn proxy(settings: &Settings) -> Result<Option<Duration>, String> {
    match settings.get(params::postscreen_upstream_proxy_protocol) {
        "" => Ok(None),
        "haproxy" => Ok(Some(settings.get(params::postscreen_upstream_proxy_timeout))),
        other => {
            Err(format!("unsupported postscreen_upstream_proxy_protocol value: {other} (allowed: haproxy)"))
        }
    }
}

fn policy(settings: &Settings) -> Result<Policy, String> {
    let action = |parameter: Param<kind::Text>| {
        let text = settings.get(parameter);
        Action::parse(text)
            .ok_or_else(|| format!("bad {} value: {text} (allowed: ignore, enforce, drop)", parameter.name()))
    };
    let rule = |enabled, parameter, ttl: Param<kind::Time>| {
        Ok::<_, String>(Rule { enabled, action: action(parameter)?, ttl: settings.get(ttl).as_secs() })
    };
    let number = |value: i64| i32::try_from(value).unwrap_or(i32::MAX);
    Ok(Policy {
        rules: [
            rule(
                !settings.get(params::postscreen_greet_banner).is_empty(),
                params::postscreen_greet_action,
                params::postscreen_greet_ttl,
            )?,
            rule(
                !settings.get(params::postscreen_dnsbl_sites).trim().is_empty(),
                params::postscreen_dnsbl_action,
                params::postscreen_dnsbl_min_ttl,
            )?,
            rule(
                settings.get(params::postscreen_pipelining_enable),
                params::postscreen_pipelining_action,
                params::postscreen_pipelining_ttl,
            )?,
            rule(
                settings.get(params::postscreen_non_smtp_command_enable),
                params::postscreen_non_smtp_command_action,
                params::postscreen_non_smtp_command_ttl,
            )?,
            rule(
                settings.get(params::postscreen_bare_newline_enable),
                params::postscreen_bare_newline_action,
                params::postscreen_bare_newline_ttl,
            )?,
        ],
        denylist: action(params::postscreen_denylist_action)?,
        dnsbl_threshold: number(settings.get(params::postscreen_dnsbl_threshold)),
        allowlist_threshold: number(settings.get(params::postscreen_dnsbl_allowlist_threshold)),
    })
}

fn dnsbl(shared: &Shared<'_>, settings: &Settings, tables: &Tables) -> Result<Dnsbl, String> {
    let reply_map = settings.get(params::postscreen_dnsbl_reply_map);
    // dnsblog has settings of its own, if it is in master.cf.
    let own = shared.configuration.service_of_program("dnsblog");
    let own = own.and_then(|service| shared.configuration.settings_of(service).ok());
    let own = own.as_ref().unwrap_or(settings);
    let dnsbl = DnsblSettings {
        sites: sites(settings.get(params::postscreen_dnsbl_sites))
            .map_err(|why| format!("postscreen_dnsbl_sites: {why}"))?
            .into(),
        timeout: settings.get(params::postscreen_dnsbl_timeout),
        least_ttl: settings.get(params::postscreen_dnsbl_min_ttl),
        most_ttl: settings.get(params::postscreen_dnsbl_max_ttl),
        reply_delay: own.get(params::dnsblog_reply_delay),
        reply_map: (!reply_map.is_empty()).then(|| tables.map(reply_map, Flags::default())),
    };
    let log = shared.log.service(own.get(params::syslog_name), "dnsblog");
    Ok(Dnsbl::new(dnsbl, Arc::clone(shared.resolver), log))
}

fn engine_options(settings: &Settings, tls: &Tls, tables: &Tables) -> Options {
    Options {
        hostname: settings.get(params::myhostname).to_owned(),
        banner: settings.get(params::smtpd_banner).to_owned(),
        message_size_limit: settings.get(params::message_size_limit).unsigned_abs(),
        hide_vrfy: settings.get(params::disable_vrfy_command),
        disable_vrfy: settings.get(params::postscreen_disable_vrfy_command),
        helo_required: settings.get(params::postscreen_helo_required),
        tls: tls.offer,
        has_certificates: tls.has_certificates,
        smtputf8: settings.get(params::smtputf8_enable),
        forbidden: command_list(
            tables,
            "postscreen_forbidden_commands",
            settings.get(params::postscreen_forbidden_commands),
        ),
        line_length_limit: count(settings.get(params::line_length_limit)),
        command_count_limit: u32::try_from(settings.get(params::postscreen_command_count_limit))
            .unwrap_or(u32::MAX),
        soft_bounce: settings.get(params::soft_bounce),
        log_form: LogForm::of(settings.get(params::info_log_address_format)),
    }
}

/// The temporary allowlist: what tests a client has passed, and until when.
pub(super) type Cache = Journal<IpAddr, Stamps>;

/// The temporary allowlist of a service: services with the same map share it. It is always kept in our own file in
/// data_directory, named after the map.
fn cache(
    settings: &Settings,
    log: &Log,
    caches: &mut HashMap<PathBuf, Arc<Cache>>,
) -> (Option<Arc<Cache>>, String) {
    let name = settings.get(params::postscreen_cache_map).trim().to_owned();
    let Some(path) = Cache::path_of(&name, settings.get(params::data_directory), "postscreen_cache") else {
        return (None, name);
    };
    let cache = caches.entry(path).or_insert_with_key(|path| {
        let (cache, read) = Cache::open(path);
        if let Err(why) = read {
            maillog::warning!(log, "postscreen_cache_map: {why}: clients are tested again");
        }
        Arc::new(cache)
    });
    (Some(Arc::clone(cache)), name)
}
