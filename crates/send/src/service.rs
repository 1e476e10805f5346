//! A delivery service of master.cf (`smtp`, `relay`, `lmtp`): its settings, read once and shared by its deliveries.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use config::master_cf::Service as Entry;
use config::{Configuration, HostFacts, Settings, params};
use dns::{Family, HostLookup, Resolver};
use link::message::Caching;
use mail::{Address, LogForm, Problems};
use maillog::Log;
use smtp::client::{Options, Peer, Protocol, Stage};
use smtp::server::EhloKeywords;
use tables::domain_search::ParentStyle;
use tables::{Flags, Maps, MatchList, MatchStyle, StatusFilter, Tables, reply_filter};
use tls::client::Client;
use tls::files::Files;
use tls::level::ClientLevel;

use crate::changes::Changes;
use crate::connect::Bind;
use crate::connections::{Connections, Limits};
use crate::dnssec_probe::DnssecProbe;
use crate::mta_sts::MtaSts;
use crate::next_hop::NextHop;
use crate::pix::Pix;
use crate::require_tls::RequireTlsPolicy;
use crate::sasl::Sasl;
use crate::servers::Choice;
use crate::tls_log::TlsLog;
use crate::tlsrpt::Results;

/// Whether and how the DNS is asked (smtp_dns_support_level).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DnsSupport {
    Disabled,
    Enabled,
    Dnssec,
}

/// One service.
pub(crate) struct Service {
    pub(crate) log: Log,
    pub(crate) settings: Settings,
    pub(crate) options: Arc<Options>,
    pub(crate) resolver: Arc<Resolver>,
    pub(crate) dns_support: DnsSupport,
    pub(crate) host_lookup: HostLookup,
    pub(crate) family: Family,
    pub(crate) hostname: String,
    pub(crate) own_addresses: Vec<IpAddr>,
    pub(crate) default_port: String,
    pub(crate) dnssec_probe: DnssecProbe,
    /// How servers are put in order.
    pub(crate) choice: Choice,
    /// smtp_discard_ehlo_keyword_address_maps
    pub(crate) discard_maps: Maps,
    pub(crate) pix: Pix,
    pub(crate) changes: Changes,
    pub(crate) bind: Bind,
    /// smtp_delivery_status_filter
    pub(crate) status_filter: StatusFilter,
    /// smtp_reply_filter
    pub(crate) reply_filter: Maps,
    /// smtp_per_request_deadline: limits are for a whole request, and grow with smtp_min_data_rate bytes a second.
    pub(crate) deadlines: Option<u32>,
    /// lmtp_assume_final: a server that does not know DSN delivers, and does not relay.
    pub(crate) assumes_final: bool,
    /// tls_fast_shutdown_enable
    pub(crate) fast_shutdown: bool,
    /// smtp_mx_session_limit
    pub(crate) session_limit: usize,
    pub(crate) connect_timeout: Duration,
    /// minimal_backoff_time: a message that waited less is not sent in the clear after a failed handshake.
    pub(crate) plaintext_age: Duration,
    pub(crate) level: ClientLevel,
    /// smtp_tls_loglevel
    pub(crate) tls_log: TlsLog,
    /// smtp_log_tls_feature_status
    pub(crate) tells_tls: bool,
    /// Those of `notify_classes` that the postmaster is told of.
    pub(crate) problems: Problems,
    /// `error_notice_recipient`
    pub(crate) error_recipient: Address,
    pub(crate) policy_maps: Option<Maps>,
    /// smtp_tls_per_site, where there are no policy maps.
    pub(crate) per_site: Option<Maps>,
    /// smtp_requiretls_policy, where requiretls_enable lets requests count.
    pub(crate) require_tls: Option<RequireTlsPolicy>,
    /// Where results of TLS are reported to (TLSRPT).
    pub(crate) results: Option<Arc<Results>>,
    /// Where smtp_tls_mta_sts asks for it.
    pub(crate) mta_sts: Option<MtaSts>,
    /// When smtp_sasl_auth_enable is set.
    pub(crate) sasl: Option<Sasl>,
    pub(crate) queue_directory: String,
    /// delay_logging_resolution_limit
    pub(crate) delay_decimals: usize,
    /// For a server without 8BITMIME, 8-bit parts become quoted-printable (disable_mime_output_conversion).
    pub(crate) converts: bool,
    /// known_tcp_ports
    pub(crate) known_ports: String,
    /// tcp_windowsize in bytes; 0 for the system's own.
    pub(crate) window: u32,
    /// What a message's own header says of its content counts (detect_8bit_encoding_header).
    pub(crate) detects_eight_bit: bool,
    pub(crate) mime: mail::mime::Limits,
    /// smtp_fallback_relay
    pub(crate) fallback_relays: Vec<String>,
    pub(crate) connections: Arc<Connections>,
    /// smtp_connection_cache_destinations
    cached_destinations: MatchList,
    /// smtp_connection_cache_on_demand
    caches_on_demand: bool,
    /// `-v` in master.cf: the dialogue with every server is logged.
    is_verbose: bool,
    debug_peers: MatchList,
    /// The TLS engine, or why there is none.
    pub(crate) client: Result<Client, String>,
}

/// smtp_dns_reply_filter: the resolver that deliveries ask. What MTA-STS and TLSRPT look up is not shown to it.
fn filtered(resolver: Arc<Resolver>, settings: &Settings, tables: &Tables, log: &Log) -> Arc<Resolver> {
    let name = match settings.process_name() {
        "lmtp" => "lmtp_dns_reply_filter",
        _ => "smtp_dns_reply_filter",
    };
    let value = settings.client(params::smtp_dns_reply_filter);
    let log = log.clone();
    let tell = Arc::new(move |text: &str| maillog::info!(log, "{text}"));
    match reply_filter::open(tables, name, value, tell) {
        Some(filter) => Arc::new(resolver.filtered(filter)),
        None => resolver,
    }
}

/// What the TLS engine shares with others and leaves behind.
pub(crate) enum Keeping<'a> {
    /// It belongs to this service of master.cf: its files are shared, its sessions survive a restart.
    Service { name: &'a str, files: &'a Arc<Files> },
    /// It serves one command.
    Nothing,
}

impl Service {
    /// Reads the settings of an entry; with the rights of whoever starts the role, because of the client's keys.
    pub(crate) fn new(
        configuration: &Configuration,
        entry: &Entry,
        log: &Log,
        resolver: Arc<Resolver>,
        files: &Arc<Files>,
    ) -> Result<Service, String> {
        let settings = configuration.settings_of(entry).map_err(|errors| errors.to_string())?;
        let log = log.service(settings.get(params::syslog_name), &entry.program);
        let log = log.showing(LogForm::of(settings.get(params::info_log_address_format)));
        let interfaces = settings.get(params::inet_interfaces);
        let protocols = settings.get(params::inet_protocols);
        let own_addresses =
            configuration.host().own_addresses(interfaces, protocols).into_iter().map(|(a, _)| a).collect();
        let keeping = Keeping::Service { name: &entry.name, files };
        let warnings = log.clone();
        let tables = Tables::new(Arc::new(move |text: &str| warnings.table_trouble(text))).within(&settings);
        let resolver = filtered(resolver, &settings, &tables, &log);
        let service =
            Service::of(settings, own_addresses, configuration.host(), log, resolver, &tables, keeping)?;
        tables.must_be_open()?;
        Ok(Service { is_verbose: entry.verbose > 0, ..service })
    }

    /// From settings; `own_addresses` are those of this machine, where mail for others must not go. Without any, it may go anywhere.
    pub(crate) fn of(
        settings: Settings,
        own_addresses: Vec<IpAddr>,
        host: &HostFacts,
        log: Log,
        resolver: Arc<Resolver>,
        tables: &Tables,
        keeping: Keeping<'_>,
    ) -> Result<Service, String> {
        let level = ClientLevel::of(&settings)?;
        let policy_text = settings.client(params::smtp_tls_policy_maps);
        let policy_maps = (!policy_text.is_empty())
            .then(|| Maps::open(tables, "smtp_tls_policy_maps", policy_text, Flags::default()));
        let sites = settings.client(params::smtp_tls_per_site);
        if !sites.is_empty() && policy_maps.is_some() {
            maillog::warning!(log, "smtp_tls_per_site ignored when smtp_tls_policy_maps is not empty.");
        }
        let per_site = (!sites.is_empty() && policy_maps.is_none())
            .then(|| Maps::open(tables, "smtp_tls_per_site", sites, Flags::default()));
        let protocols = settings.get(params::inet_protocols);
        let family = family(protocols, settings.client(params::smtp_address_preference));
        let mta_sts = match settings.get(params::smtp_tls_mta_sts) && settings.process_name() != "lmtp" {
            true => Some(MtaSts::new(&settings, family, &log)?),
            false => None,
        };
        let is_used = level != ClientLevel::None || policy_maps.is_some() || per_site.is_some();
        let client = engine(&settings, keeping, is_used, &log);
        let tls_log = TlsLog::open(&settings, tables, &log);
        if is_used && tls_log.is_verbose() {
            maillog::info!(log, "initializing the client-side TLS engine");
        }
        let is_lmtp = settings.process_name() == "lmtp";
        let helo = settings.client(params::smtp_helo_name);
        let hostname = settings.get(params::myhostname).to_owned();
        let options = Options {
            protocol: if is_lmtp { Protocol::Lmtp } else { Protocol::Smtp },
            helo_name: if helo.is_empty() { hostname.clone() } else { helo.to_owned() },
            always_send_ehlo: settings.client(params::smtp_always_send_ehlo),
            never_send_ehlo: settings.client(params::smtp_never_send_ehlo),
            skip_5xx_greeting: settings.client(params::smtp_skip_5xx_greeting),
            skip_quit_response: settings.client(params::smtp_skip_quit_response),
            line_length_limit: usize::try_from(settings.get(params::line_length_limit))
                .unwrap_or(2048)
                .max(512),
            content_line_limit: usize::try_from(settings.client(params::smtp_line_length_limit))
                .unwrap_or(998),
            send_dummy_mail_auth: settings.client(params::smtp_send_dummy_mail_auth),
            discard: EhloKeywords::parse(settings.client(params::smtp_discard_ehlo_keywords)),
            probes_data: settings.client(params::smtp_address_verify_target) == "data",
            quote_envelope: settings.client(params::smtp_quote_rfc821_envelope),
            block_early_mail_reply: settings.client(params::smtp_tls_block_early_mail_reply),
            ..Options::default()
        };
        let bind = Bind::of(&settings, &own_addresses)?;
        Ok(Service {
            options: Arc::new(options),
            bind,
            resolver,
            dns_support: dns_support(&settings),
            host_lookup: match dns_support(&settings) {
                // Names without the DNS are the system's.
                DnsSupport::Disabled => HostLookup::Native,
                _ => host_lookup(settings.client(params::smtp_host_lookup)),
            },
            family,
            own_addresses,
            default_port: if is_lmtp {
                settings.get(params::lmtp_tcp_port).to_owned()
            } else {
                settings.get(params::smtp_tcp_port).to_owned()
            },
            choice: choice(&settings),
            dnssec_probe: DnssecProbe::new(settings.get(params::dnssec_probe)),
            discard_maps: Maps::open(
                tables,
                "smtp_discard_ehlo_keyword_address_maps",
                settings.client(params::smtp_discard_ehlo_keyword_address_maps),
                Flags::default(),
            ),
            pix: Pix::open(&settings, tables),
            status_filter: StatusFilter::open(
                tables,
                "smtp_delivery_status_filter",
                settings.client(params::smtp_delivery_status_filter),
            ),
            reply_filter: Maps::open(
                tables,
                "smtp_reply_filter",
                settings.client(params::smtp_reply_filter),
                Flags::default(),
            ),
            deadlines: settings
                .client(params::smtp_per_request_deadline)
                .then(|| u32::try_from(settings.client(params::smtp_min_data_rate)).unwrap_or(u32::MAX)),
            assumes_final: is_lmtp && settings.get(params::lmtp_assume_final),
            fast_shutdown: settings.get(params::tls_fast_shutdown_enable),
            changes: Changes::open(host, &settings, tables, mime_limits(&settings)),
            session_limit: limit(settings.client(params::smtp_mx_session_limit)),
            connect_timeout: settings.client(params::smtp_connect_timeout),
            plaintext_age: settings.get(params::minimal_backoff_time),
            level,
            tls_log,
            problems: Problems::named(&config::list::split(settings.get(params::notify_classes))),
            error_recipient: Address::internal(settings.get(params::error_notice_recipient))
                .unwrap_or_default(),
            tells_tls: settings.client(params::smtp_log_tls_feature_status),
            policy_maps,
            per_site,
            require_tls: settings.get(params::requiretls_enable).then(|| {
                let value = settings.client(params::smtp_requiretls_policy);
                RequireTlsPolicy::open(tables, "smtp_requiretls_policy", value)
            }),
            results: Results::new(&settings, &log).map(Arc::new),
            mta_sts,
            sasl: Sasl::open(&settings, tables),
            queue_directory: settings.get(params::queue_directory).to_owned(),
            delay_decimals: usize::try_from(settings.get(params::delay_logging_resolution_limit))
                .unwrap_or(2),
            converts: !settings.get(params::disable_mime_output_conversion),
            known_ports: settings.get(params::known_tcp_ports).to_owned(),
            window: u32::try_from(settings.get(params::tcp_windowsize)).unwrap_or(0),
            detects_eight_bit: settings.get(params::detect_8bit_encoding_header),
            mime: mime_limits(&settings),
            fallback_relays: config::list::split(settings.client(params::smtp_fallback_relay))
                .into_iter()
                .map(str::to_owned)
                .collect(),
            connections: Connections::new(Limits {
                idle: settings
                    .client(params::smtp_connection_cache_time_limit)
                    .min(settings.get(params::connection_cache_ttl_limit)),
                age: settings.client(params::smtp_connection_reuse_time_limit),
                reuses: u32::try_from(settings.client(params::smtp_connection_reuse_count_limit))
                    .unwrap_or(0),
            }),
            cached_destinations: MatchList::open(
                tables,
                "smtp_connection_cache_destinations",
                settings.client(params::smtp_connection_cache_destinations),
                MatchStyle::Strings,
            ),
            caches_on_demand: settings.client(params::smtp_connection_cache_on_demand),
            is_verbose: false,
            debug_peers: MatchList::open(
                tables,
                params::debug_peer_list.name(),
                settings.get(params::debug_peer_list),
                MatchStyle::HostsAndAddresses(ParentStyle::of(
                    params::debug_peer_list.name(),
                    settings.get(params::parent_domain_matches_subdomains),
                )),
            ),
            client,
            hostname,
            log,
            settings,
        })
    }

    pub(crate) fn is_lmtp(&self) -> bool {
        self.options.protocol == Protocol::Lmtp
    }

    /// Whether connections are kept for a next hop: always, or as the queue sees more mail for it coming. A list that can not be
    /// asked keeps none.
    pub(crate) async fn caching(&self, demand: Caching, next_hop: &NextHop) -> Caching {
        let name = match next_hop {
            NextHop::Socket(path) => path,
            NextHop::Host { name, .. } => name,
        };
        if !self.cached_destinations.is_empty() {
            match self.cached_destinations.matches(name).await {
                Ok(true) => return Caching { load: true, store: true },
                Ok(false) => {}
                Err(why) => maillog::warning!(self.log, "smtp_connection_cache_destinations: {why}"),
            }
        }
        if self.caches_on_demand { demand } else { Caching::default() }
    }

    /// Shall the log have the dialogue with this server (debug_peer_list, `-v` in master.cf)?
    pub(crate) async fn shows_dialogue(&self, peer: &Peer) -> bool {
        if self.is_verbose || self.debug_peers.is_empty() {
            return self.is_verbose;
        }
        self.debug_peers.matches_host(&peer.host, peer.address.parse().ok()).await.unwrap_or_else(|why| {
            maillog::warning!(self.log, "{why}");
            false
        })
    }

    /// The time limit of a stage.
    pub(crate) fn time_limit(&self, stage: Stage) -> Duration {
        let settings = &self.settings;
        match stage {
            Stage::Greeting | Stage::Ehlo | Stage::Helo | Stage::Auth => {
                settings.client(params::smtp_helo_timeout)
            }
            Stage::Lhlo => settings.get(params::lmtp_lhlo_timeout),
            Stage::StartTls => settings.client(params::smtp_starttls_timeout),
            Stage::Xforward => settings.client(params::smtp_xforward_timeout),
            Stage::MailFrom => settings.client(params::smtp_mail_timeout),
            Stage::RcptTo => settings.client(params::smtp_rcpt_timeout),
            Stage::Data => settings.client(params::smtp_data_init_timeout),
            Stage::Body => settings.client(params::smtp_data_xfer_timeout),
            Stage::EndOfData => settings.client(params::smtp_data_done_timeout),
            Stage::Reset | Stage::Probe => settings.client(params::smtp_rset_timeout),
            Stage::Quit => settings.client(params::smtp_quit_timeout),
        }
    }
}

/// The TLS engine. What is wrong with it is told at start where TLS may be used; mail that wants TLS waits.
fn engine(settings: &Settings, keeping: Keeping<'_>, is_used: bool, log: &Log) -> Result<Client, String> {
    let mut notices = Vec::new();
    let client = match keeping {
        Keeping::Service { name, files } => {
            Client::of_service(name, settings, Arc::clone(files), &mut notices)
        }
        Keeping::Nothing => Client::new(settings, &mut notices),
    };
    notices.dedup();
    if is_used {
        for notice in notices {
            maillog::warning!(log, "{}", notice.0);
        }
        let trouble = client.as_ref().map_or_else(|why| Some(why.clone()), Client::trouble);
        if let Some(why) = trouble {
            maillog::warning!(log, "{why}: mail that may use TLS is deferred");
        }
    }
    client
}

fn mime_limits(settings: &Settings) -> mail::mime::Limits {
    mail::mime::Limits {
        header_size: limit(settings.get(params::header_size_limit)),
        nesting: limit(settings.get(params::mime_nesting_limit)),
        boundary_length: limit(settings.get(params::mime_boundary_length_limit)),
    }
}

fn choice(settings: &Settings) -> Choice {
    let resolver = config::list::split(settings.client(params::smtp_dns_resolver_options));
    let asks_for = |option: &str| resolver.iter().any(|word| word.eq_ignore_ascii_case(option));
    Choice {
        default_names: asks_for("res_defnames"),
        search_names: asks_for("res_dnsrch"),
        address_limit: limit(settings.client(params::smtp_mx_address_limit)),
        randomizes: settings.client(params::smtp_randomize_addresses),
        balances: settings.client(params::smtp_balance_inet_protocols),
        prefers_v6: match settings.client(params::smtp_address_preference) {
            "ipv6" => Some(true),
            "ipv4" => Some(false),
            _ => None,
        },
        ignores_mx_failure: settings.get(params::ignore_mx_lookup_error),
        waits_for_mx_address: settings.client(params::smtp_defer_if_no_mx_address_found),
        srv_services: config::list::split(settings.get(params::use_srv_lookup))
            .into_iter()
            .map(str::to_owned)
            .collect(),
        ignores_srv_failure: settings.get(params::ignore_srv_lookup_error),
        srv_fallback: settings.get(params::allow_srv_lookup_fallback),
        names_alias_target: settings.client(params::smtp_cname_overrides_servername),
    }
}

fn dns_support(settings: &Settings) -> DnsSupport {
    match settings.client(params::smtp_dns_support_level) {
        "disabled" => DnsSupport::Disabled,
        "dnssec" => DnsSupport::Dnssec,
        "" if settings.get(params::disable_dns_lookups) => DnsSupport::Disabled,
        _ => DnsSupport::Enabled,
    }
}

fn host_lookup(text: &str) -> HostLookup {
    let words = config::list::split(text);
    match (words.contains(&"dns"), words.contains(&"native")) {
        (true, true) if words.first() == Some(&"native") => HostLookup::Native,
        (true, true) => HostLookup::DnsThenNative,
        (false, true) => HostLookup::Native,
        _ => HostLookup::Dns,
    }
}

pub(crate) fn family(protocols: &str, preference: &str) -> Family {
    let words = config::list::split(protocols);
    let (v4, v6) = match words.contains(&"all") {
        true => (true, true),
        false => (words.contains(&"ipv4"), words.contains(&"ipv6")),
    };
    match (v4, v6, preference) {
        (true, false, _) => Family::V4,
        (false, true, _) => Family::V6,
        (_, _, "ipv6") => Family::PreferV6,
        _ => Family::PreferV4,
    }
}

/// 0 is no limit.
fn limit(value: i64) -> usize {
    match usize::try_from(value) {
        Ok(0) | Err(_) => usize::MAX,
        Ok(n) => n,
    }
}
