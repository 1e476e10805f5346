//! One smtpd service of master.cf: everything that its sessions share.

use std::future::Future;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Duration;

use access::Access;
use config::escape::unescape;
use config::{Configuration, Settings, params};
use dns::Resolver;
use mail::LogForm;
use maillog::Log;
use route::Routing;
use smtp::decode::BareNewline;
use smtp::server::{CommandFilter, CommandList, EhloKeywords, Options, TlsOffer, Verp};
use tables::domain_search::ParentStyle;
use tables::{Flags, Key, Maps, MatchList, MatchStyle, Tables, reply_filter};
use tls::ServerLevel;
use tls::log_level::LogLevels;
use tls::server::{Opening, Server};
use tokio::sync::Semaphore;

use crate::cleanup::Cleanup;
use crate::cleanup::received::Received;
use crate::cleanup::services::{CleanupServices, Overrides};
use crate::footer::Footer;
use crate::milter::Milters;
use crate::smtpd::history::NoticeSettings;
use crate::smtpd::proxy_filter::ProxySettings;
use crate::smtpd::sasl::Sasl;
use crate::sni_maps::SniMaps;
use crate::tls_engines::TlsEngines;
use crate::tls_log::TlsLog;
use crate::verify::Verify;

/// A service, ready for sessions.
pub(crate) struct Service {
    /// Its line in master.cf, which names it to master.
    pub(crate) line: u32,
    /// Its name in master.cf.
    pub(crate) name: String,
    /// Lines of smtpd.
    pub(crate) log: Log,
    /// `myhostname`.
    pub(crate) hostname: String,
    /// For clients whose bare line feeds are told apart, and for those in smtpd_forbid_bare_newline_exclusions.
    options: [Arc<Options>; 2],
    bare_newline_exclusions: MatchList,
    xclient_hosts: MatchList,
    xforward_hosts: MatchList,
    verp_clients: MatchList,
    verp: Verp,
    /// smtpd_discard_ehlo_keyword_address_maps: stronger than smtpd_discard_ehlo_keywords.
    discard_maps: Maps,
    /// The handshake comes before the greeting.
    pub(crate) wrapper: bool,
    /// `None`: TLS is off, or can not be used; the reason was logged.
    pub(crate) tls: Option<Arc<Server>>,
    pub(crate) tls_log: TlsLog,
    /// With `tls_fast_shutdown_enable = no`: how long a client's own farewell is waited for.
    pub(crate) slow_shutdown: Option<Duration>,
    pub(crate) access: Access,
    /// `None`: nobody can log in.
    pub(crate) sasl: Option<Sasl>,
    pub(crate) cleanup: Arc<Cleanup>,
    pub(crate) milters: Milters,
    /// `None`: mail goes into the queue.
    pub(crate) proxy_filter: Option<ProxySettings>,
    pub(crate) received: Received,
    /// `None`: the postmaster is told of no session.
    pub(crate) notices: Option<NoticeSettings>,
    /// `requiretls_esmtp_header`
    pub(crate) require_tls_header: bool,
    pub(crate) overrides: Overrides,
    /// `smtpd_client_port_logging`.
    pub(crate) port_logging: bool,
    /// smtpd_client_ipv4_prefix_length, smtpd_client_ipv6_prefix_length: who counts as one client.
    prefix_lengths: (u32, u32),
    /// `smtpd_delay_open_until_valid_rcpt`.
    pub(crate) opens_with_recipient: bool,
    /// `smtpd_per_request_deadline`: `smtpd_min_data_rate` in bytes per second.
    pub(crate) deadline_rate: Option<u64>,
    /// smtpd_reject_filter_maps.
    pub(crate) reject_filter: Maps,
    /// `None`: refusals stay as they are.
    pub(crate) footer: Option<Footer>,
    /// `smtpd_timeout`.
    pub(crate) timeout: Duration,
    /// `smtpd_error_sleep_time`.
    pub(crate) error_sleep: Duration,
    /// `smtpd_peername_lookup`.
    pub(crate) peername_lookup: bool,
    /// smtpd_upstream_proxy_timeout, where a proxy tells who the client is.
    pub(crate) proxy: Option<Duration>,
    pub(crate) limits: ClientLimits,
    pub(crate) room: Room,
    fast_flush_domains: MatchList,
    /// `-v` in master.cf: the dialogue of every session is logged.
    is_verbose: bool,
    debug_peers: MatchList,
    /// `maxproc`: one permit for each session.
    pub(crate) sessions: Arc<Semaphore>,
}

/// What a client may use that others may not.
pub(crate) struct Trusted {
    pub(crate) xclient: bool,
    pub(crate) xforward: bool,
    pub(crate) verp: Option<Verp>,
}

/// Limits of one client over its sessions; 0 is none.
pub(crate) struct ClientLimits {
    pub(crate) connections: u32,
    pub(crate) connection_rate: u32,
    pub(crate) message_rate: u32,
    pub(crate) recipient_rate: u32,
    pub(crate) new_tls_rate: u32,
    pub(crate) auth_rate: u32,
    exceptions: MatchList,
}

/// How much room the queue's file system must have.
pub(crate) struct Room {
    directory: PathBuf,
    /// `queue_minfree`, or one and a half of the largest message where that is more; in bytes.
    least: u64,
}

/// What all services share.
pub(crate) struct Shared<'a> {
    pub(crate) cleanups: &'a CleanupServices,
    pub(crate) configuration: &'a Configuration,
    pub(crate) log: &'a Log,
    pub(crate) resolver: &'a Arc<Resolver>,
    /// Who knows whether addresses are deliverable.
    pub(crate) verify: &'a Verify,
    /// Where its TLS is entered.
    pub(crate) tls: &'a TlsEngines,
}

impl Service {
    /// Reads settings, keys and tables. The error is fatal for this service only.
    pub(crate) fn open(shared: &Shared<'_>, service: &config::master_cf::Service) -> Result<Service, String> {
        let configuration = shared.configuration;
        let settings = configuration.settings_of(service).map_err(|errors| errors.to_string())?;
        let syslog_name = settings.get(params::syslog_name);
        let log = shared.log.service(syslog_name, "smtpd");
        let log = log.showing(LogForm::of(settings.get(params::info_log_address_format)));
        let tables = tables(&log).within(&settings);
        let (level, notices) = ServerLevel::of(&settings)?;
        for tls::Notice(text) in notices {
            maillog::warning!(log, "{text}");
        }
        let (tls, tls_levels) = open_tls(shared, &settings, &tables, level, &service.name, &log);
        let routing = Arc::new(Routing::new(&settings, &tables, configuration.host()));
        let (access, warnings) = Access::open(
            &settings,
            &tables,
            configuration.host(),
            routing,
            filtered(shared.resolver, &settings, &tables, &log),
            Arc::new(shared.verify.clone()),
        )?;
        for text in warnings {
            maillog::warning!(log, "{text}");
        }
        let sasl = Sasl::open(&settings, &tables, shared.resolver)?;
        let cleanup = shared.cleanups.for_settings(configuration, &settings, shared.log)?;
        let parents = settings.get(params::parent_domain_matches_subdomains);
        let hosts = |parameter: config::param::Param<config::param::kind::Text>| {
            let style = MatchStyle::HostsAndAddresses(ParentStyle::of(parameter.name(), parents));
            MatchList::open(&tables, parameter.name(), settings.get(parameter), style)
        };
        let strict =
            options(&settings, level, tls.as_ref().is_some_and(|server| server.is_available()), &tables);
        let lenient = Options { bare_newline: BareNewline::No, ..strict.clone() };
        let limit = |value: i64| u32::try_from(value).unwrap_or(0);
        let maxproc = service.maxproc.unwrap_or_else(|| limit(settings.get(params::default_process_limit)));
        let sessions = if maxproc == 0 { Semaphore::MAX_PERMITS } else { maxproc as usize };
        let opened = Service {
            line: u32::try_from(service.line).unwrap_or(u32::MAX),
            name: service.name.clone(),
            hostname: settings.get(params::myhostname).to_owned(),
            options: [Arc::new(strict), Arc::new(lenient)],
            discard_maps: Maps::open(
                &tables,
                params::smtpd_discard_ehlo_keyword_address_maps.name(),
                settings.get(params::smtpd_discard_ehlo_keyword_address_maps),
                Flags::default(),
            ),
            bare_newline_exclusions: hosts(params::smtpd_forbid_bare_newline_exclusions),
            xclient_hosts: hosts(params::smtpd_authorized_xclient_hosts),
            xforward_hosts: hosts(params::smtpd_authorized_xforward_hosts),
            verp_clients: hosts(params::smtpd_authorized_verp_clients),
            verp: Verp {
                default_delimiters: settings.get(params::default_verp_delimiters).to_owned(),
                delimiter_filter: settings.get(params::verp_delimiter_filter).to_owned(),
            },
            wrapper: level == ServerLevel::Wrapper,
            tls,
            slow_shutdown: (!settings.get(params::tls_fast_shutdown_enable))
                .then(|| settings.get(params::smtpd_starttls_timeout)),
            tls_log: TlsLog::open(
                tls_levels,
                &tables,
                "smtpd_tls_loglevel_maps",
                settings.get(params::smtpd_tls_loglevel_maps),
            ),
            access,
            sasl,
            cleanup,
            milters: Milters::of_smtpd(&settings, &tables)?,
            proxy_filter: ProxySettings::read(&settings)?,
            received: Received::read(&settings),
            notices: NoticeSettings::read(&settings),
            require_tls_header: settings.get(params::requiretls_esmtp_header),
            overrides: Overrides::read(&settings, "smtpd"),
            port_logging: settings.get(params::smtpd_client_port_logging),
            prefix_lengths: (
                limit(settings.get(params::smtpd_client_ipv4_prefix_length)),
                limit(settings.get(params::smtpd_client_ipv6_prefix_length)),
            ),
            opens_with_recipient: settings.get(params::smtpd_delay_open_until_valid_rcpt),
            deadline_rate: settings
                .get(params::smtpd_per_request_deadline)
                .then(|| settings.get(params::smtpd_min_data_rate).unsigned_abs().max(1)),
            reject_filter: Maps::open(
                &tables,
                params::smtpd_reject_filter_maps.name(),
                settings.get(params::smtpd_reject_filter_maps),
                Flags::default(),
            ),
            footer: Some(footer(&settings, &tables)).filter(|footer| !footer.is_empty()),
            timeout: settings.get(params::smtpd_timeout),
            error_sleep: settings.get(params::smtpd_error_sleep_time),
            peername_lookup: settings.get(params::smtpd_peername_lookup),
            proxy: (settings.get(params::smtpd_upstream_proxy_protocol) == "haproxy")
                .then(|| settings.get(params::smtpd_upstream_proxy_timeout)),
            limits: ClientLimits {
                connections: limit(settings.get(params::smtpd_client_connection_count_limit)),
                connection_rate: limit(settings.get(params::smtpd_client_connection_rate_limit)),
                message_rate: limit(settings.get(params::smtpd_client_message_rate_limit)),
                recipient_rate: limit(settings.get(params::smtpd_client_recipient_rate_limit)),
                new_tls_rate: limit(settings.get(params::smtpd_client_new_tls_session_rate_limit)),
                auth_rate: limit(settings.get(params::smtpd_client_auth_rate_limit)),
                exceptions: hosts(params::smtpd_client_event_limit_exceptions),
            },
            room: Room::read(&settings),
            is_verbose: service.verbose > 0,
            debug_peers: hosts(params::debug_peer_list),
            fast_flush_domains: MatchList::open(
                &tables,
                "fast_flush_domains",
                settings.get(params::fast_flush_domains),
                MatchStyle::Domains(ParentStyle::of("fast_flush_domains", parents)),
            ),
            sessions: Arc::new(Semaphore::new(sessions)),
            log,
        };
        tables.must_be_open()?;
        Ok(opened)
    }

    /// The session's settings for one client.
    pub(crate) async fn options_for(&self, name: &str, address: IpAddr) -> Arc<Options> {
        let [strict, lenient] = &self.options;
        let options = match strict.bare_newline.detects() {
            false => strict,
            true => match self.bare_newline_exclusions.matches_host(name, Some(address)).await {
                Ok(true) => lenient,
                Ok(false) => strict,
                Err(why) => {
                    maillog::warning!(self.log, "{why}");
                    strict
                }
            },
        };
        // A certificate that was missing at the start may be there by now.
        match self.tls.as_ref().is_some_and(|server| server.is_available()) {
            available if available == options.tls_available => Arc::clone(options),
            tls_available => Arc::new(Options { tls_available, ..(**options).clone() }),
        }
    }

    /// The network that counts as one client for limits.
    pub(crate) fn counted(&self, address: IpAddr) -> IpAddr {
        let (v4, v6) = self.prefix_lengths;
        match address {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(32_u32.saturating_sub(v4)).unwrap_or(0);
                IpAddr::V4((address.to_bits() & mask).into())
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(128_u32.saturating_sub(v6)).unwrap_or(0);
                IpAddr::V6((address.to_bits() & mask).into())
            }
        }
    }

    /// What the client may say of others; `None` for nothing. Who can not be looked up is not trusted.
    pub(crate) async fn trusted(&self, name: &str, address: IpAddr) -> Option<Trusted> {
        let lists = [&self.xclient_hosts, &self.xforward_hosts, &self.verp_clients];
        let mut found = [false; 3];
        for (found, list) in found.iter_mut().zip(lists) {
            *found = match list.matches_host(name, Some(address)).await {
                Ok(found) => found,
                Err(why) => {
                    maillog::warning!(self.log, "{why}");
                    false
                }
            };
        }
        let [xclient, xforward, verp] = found;
        let trusted = Trusted { xclient, xforward, verp: verp.then(|| self.verp.clone()) };
        (xclient || xforward || verp).then_some(trusted)
    }

    /// Shall the log have the dialogue with this client (debug_peer_list, `-v` in master.cf)?
    pub(crate) async fn shows_dialogue(&self, name: &str, address: IpAddr) -> bool {
        if self.is_verbose || self.debug_peers.is_empty() {
            return self.is_verbose;
        }
        self.debug_peers.matches_host(name, Some(address)).await.unwrap_or_else(|why| {
            maillog::warning!(self.log, "{why}");
            false
        })
    }

    /// EHLO keywords that this client is not to hear; `None`: what the options say. The error is for the log.
    pub(crate) async fn discards_for(&self, address: IpAddr) -> Result<Option<EhloKeywords>, String> {
        let found = self.discard_maps.find(&address.to_string(), Key::Full).await.into_result()?;
        Ok(found.map(|words| EhloKeywords::parse(&words)))
    }

    /// May ETRN be used for the domain? The error is for the log.
    pub(crate) async fn flushes(&self, domain: &str) -> Result<bool, String> {
        self.fast_flush_domains.matches(domain).await
    }
}

impl ClientLimits {
    /// Is the client free of limits? Who can not be looked up is not.
    pub(crate) async fn excepts(&self, name: &str, address: IpAddr) -> bool {
        self.exceptions.matches_host(name, Some(address)).await.unwrap_or(false)
    }
}

impl Room {
    fn read(settings: &Settings) -> Room {
        let minfree = settings.get(params::queue_minfree).unsigned_abs();
        let largest = settings.get(params::message_size_limit).unsigned_abs();
        Room { directory: settings.get(params::queue_directory).into(), least: minfree.max(largest / 2 * 3) }
    }

    /// Is there room for another message? A file system that can not be asked is left to the queue's own judgement.
    pub(crate) fn is_there(&self) -> bool {
        match rustix::fs::statvfs(&self.directory) {
            Ok(system) => system.f_bavail.saturating_mul(system.f_frsize) > self.least,
            Err(_) => true,
        }
    }
}

/// Tables whose trouble goes to the log.
/// smtpd_dns_reply_filter: the resolver that restrictions ask.
fn filtered(resolver: &Arc<Resolver>, settings: &Settings, tables: &Tables, log: &Log) -> Arc<Resolver> {
    let parameter = params::smtpd_dns_reply_filter;
    let log = log.clone();
    let tell = Arc::new(move |text: &str| maillog::info!(log, "{text}"));
    match reply_filter::open(tables, parameter.name(), settings.get(parameter), tell) {
        Some(filter) => Arc::new(resolver.filtered(filter)),
        None => Arc::clone(resolver),
    }
}

pub(crate) fn tables(log: &Log) -> Tables {
    let log = log.clone();
    Tables::new(Arc::new(move |text: &str| log.table_trouble(text)))
}

/// TLS of a service, and what it logs. Trouble goes to the log; without a server there is no TLS.
pub(crate) fn open_tls(
    shared: &Shared<'_>,
    settings: &Settings,
    tables: &Tables,
    level: ServerLevel,
    service: &str,
    log: &Log,
) -> (Option<Arc<Server>>, LogLevels) {
    if !level.is_on() {
        return (None, LogLevels::default());
    }
    let mut notices = Vec::new();
    let text = settings.get(params::smtpd_tls_loglevel);
    let levels = LogLevels::parse("smtpd_tls_loglevel", text, &mut notices);
    if levels.contains(LogLevels::VERBOSE) {
        maillog::info!(log, "initializing the server-side TLS engine");
    }
    let files = &shared.tls.files;
    let names = SniMaps::open(settings, tables, files);
    let opening = Opening { settings, level, service, files, names };
    let opened = Server::open(opening, &mut notices);
    for tls::Notice(text) in notices {
        maillog::warning!(log, "{text}");
    }
    match opened {
        Ok(server) => {
            let server = Arc::new(server);
            shared.tls.enter(service, &server);
            (Some(server), levels)
        }
        Err(unavailable) => {
            maillog::warning!(log, "{}", unavailable.0);
            (None, levels)
        }
    }
}

fn footer(settings: &Settings, tables: &Tables) -> Footer {
    let maps = params::smtpd_reject_footer_maps;
    Footer::new(
        "smtpd_reject_footer",
        settings.get(params::smtpd_reject_footer),
        Maps::open(tables, maps.name(), settings.get(maps), Flags::default()),
        unescape(settings.get(params::smtpd_expansion_filter)),
    )
}

fn options(settings: &Settings, level: ServerLevel, tls_available: bool, tables: &Tables) -> Options {
    let size = |value: i64| usize::try_from(value).unwrap_or(usize::MAX);
    let count = |value: i64| u32::try_from(value).unwrap_or(u32::MAX);
    let commands = |parameter: config::param::Param<config::param::kind::Text>| {
        command_list(tables, parameter.name(), settings.get(parameter))
    };
    Options {
        hostname: settings.get(params::myhostname).to_owned(),
        banner: settings.get(params::smtpd_banner).to_owned(),
        helo_required: settings.get(params::smtpd_helo_required),
        tls: match level {
            ServerLevel::None => TlsOffer::None,
            ServerLevel::May => TlsOffer::Offered,
            ServerLevel::Encrypt | ServerLevel::Wrapper => TlsOffer::Required,
        },
        tls_available,
        auth: None,
        message_size_limit: settings.get(params::message_size_limit).unsigned_abs(),
        line_length_limit: size(settings.get(params::line_length_limit)),
        recipient_limit: size(settings.get(params::smtpd_recipient_limit)),
        recipient_overshoot_limit: count(settings.get(params::smtpd_recipient_overshoot_limit)),
        soft_error_limit: count(settings.get(params::smtpd_soft_error_limit)),
        hard_error_limit: count(settings.get(params::smtpd_hard_error_limit)),
        junk_command_limit: count(settings.get(params::smtpd_junk_command_limit)),
        disable_vrfy: settings.get(params::disable_vrfy_command),
        strict_rfc821_envelopes: settings.get(params::strict_rfc821_envelopes),
        smtputf8: settings.get(params::smtputf8_enable),
        strict_smtputf8: settings.get(params::strict_smtputf8),
        requiretls: settings.get(params::requiretls_enable),
        discard: EhloKeywords::parse(settings.get(params::smtpd_discard_ehlo_keywords)),
        forbid_unauth_pipelining: settings.get(params::smtpd_forbid_unauth_pipelining),
        bare_newline: match settings.get(params::smtpd_forbid_bare_newline) {
            "no" => BareNewline::No,
            "note" => BareNewline::Note,
            "reject" => BareNewline::Reject,
            _ => BareNewline::Normalize,
        },
        bare_newline_reject_code: u16::try_from(settings.get(params::smtpd_forbid_bare_newline_reject_code))
            .unwrap_or(550),
        soft_bounce: settings.get(params::soft_bounce),
        forbidden_commands: commands(params::smtpd_forbidden_commands),
        command_filter: command_filter(tables, settings.get(params::smtpd_command_filter)),
        noop_commands: commands(params::smtpd_noop_commands),
        verp: None,
        xclient: false,
        xforward: false,
        stand_alone: false,
        log_form: LogForm::of(settings.get(params::info_log_address_format)),
        tells_commands: false,
    }
}

/// Names and tables of commands, asked between two lines of a dialogue: tables that would have to wait know nothing.
/// A table that has its answer at once, as those with patterns have.
fn command_filter(tables: &Tables, value: &str) -> CommandFilter {
    if value.trim().is_empty() {
        return CommandFilter::default();
    }
    let maps = Maps::open(tables, params::smtpd_command_filter.name(), value, Flags::default());
    CommandFilter::new(move |line| {
        let asked = std::pin::pin!(maps.find(line, Key::Full));
        match asked.poll(&mut TaskContext::from_waker(Waker::noop())) {
            Poll::Ready(answer) => answer.into_result(),
            Poll::Pending => Err("the table is not one that answers at once".into()),
        }
    })
}

/// A list that has its answer at once.
pub(crate) fn command_list(tables: &Tables, parameter: &str, value: &str) -> CommandList {
    if value.trim().is_empty() {
        return CommandList::default();
    }
    let list = MatchList::open(tables, parameter, value, MatchStyle::Strings);
    CommandList::new(move |word| {
        let asked = std::pin::pin!(list.matches(word));
        matches!(asked.poll(&mut TaskContext::from_waker(Waker::noop())), Poll::Ready(Ok(true)))
    })
}
