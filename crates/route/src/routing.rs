//! The settings and tables that decide where mail goes, opened once and shared by all sessions of a service.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use config::{HostFacts, Settings, params};
use mail::Address;
use tables::address_search::{self, Found, Order};
use tables::domain_search::ParentStyle;
use tables::{Flags, Maps, MatchList, MatchStyle, Tables, Warn};

use crate::canonical::Canonical;
use crate::masquerade::Masquerade;
use crate::rewrite::Rewriter;
use crate::ways::Ways;

/// A table could not be asked: try again later. The reason goes to the log only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// Names the table and what went wrong.
    pub reason: String,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for Failed {}

impl From<String> for Failed {
    fn from(reason: String) -> Self {
        Failed { reason }
    }
}

/// Everything that the questions of this crate are answered from.
pub struct Routing {
    pub(crate) warn: Warn,
    pub(crate) rewriter: Rewriter,
    pub(crate) myhostname: String,
    pub(crate) empty_address_recipient: String,
    pub(crate) double_bounce_sender: String,
    pub(crate) recipient_delimiter: String,
    pub(crate) propagate: Vec<String>,
    pub(crate) own_addresses: Vec<IpAddr>,

    pub(crate) mydestination: MatchList,
    pub(crate) virtual_alias_domains: MatchList,
    pub(crate) virtual_mailbox_domains: MatchList,
    pub(crate) relay_domains: MatchList,
    pub(crate) helpful_warnings: bool,

    pub(crate) canonical: Canonical,
    pub(crate) masquerade: Masquerade,
    pub(crate) virtual_alias_maps: Maps,
    pub(crate) virtual_limits: VirtualLimits,
    pub(crate) always_bcc: String,
    pub(crate) sender_bcc_maps: Maps,
    pub(crate) recipient_bcc_maps: Maps,
    pub(crate) generic_maps: Maps,

    pub(crate) resolve_null_domain: bool,
    pub(crate) resolve_numeric_domain: bool,
    pub(crate) resolve_dequoted_address: bool,
    pub(crate) allow_min_user: bool,
    /// For mail, and for probes.
    pub(crate) ways: Arc<Ways>,
    pub(crate) probe_ways: Arc<Ways>,
    pub(crate) null_relayhost_key: String,
    pub(crate) null_default_transport_key: String,
    pub(crate) relocated_maps: Maps,
    pub(crate) relocated_prefix: bool,

    pub(crate) local_recipient_maps: Maps,
    pub(crate) virtual_mailbox_maps: Maps,
    pub(crate) relay_recipient_maps: Maps,
    pub(crate) show_table_name: bool,
    pub(crate) reject_codes: RejectCodes,
}

/// Bounds of virtual alias expansion.
#[derive(Clone, Copy)]
pub(crate) struct VirtualLimits {
    pub(crate) recursion: usize,
    pub(crate) expansion: usize,
    pub(crate) address_length: usize,
}

/// Reply codes for unknown recipients, by class.
#[derive(Clone, Copy)]
pub(crate) struct RejectCodes {
    pub(crate) local: u16,
    pub(crate) virtual_alias: u16,
    pub(crate) virtual_mailbox: u16,
    pub(crate) relay: u16,
}

impl Routing {
    /// Opens the tables that the settings name. Tables that can not be used answer [`Failed`] later on.
    pub fn new(settings: &Settings, tables: &Tables, host: &HostFacts) -> Self {
        let text = |param| settings.get(param);
        let maps = |name: &str, value: &str| Maps::open(tables, name, value, Flags::default());
        let strict = |name: &str, value: &str| Maps::open(tables, name, value, Flags::without_substitution());
        let strings = |name: &str, value: &str| MatchList::open(tables, name, value, MatchStyle::Strings);
        let parents = text(params::parent_domain_matches_subdomains);
        let number = |value: i64| usize::try_from(value).unwrap_or(usize::MAX);
        let code = |value: i64| u16::try_from(value).unwrap_or(550);

        let mut own_addresses: Vec<IpAddr> = host
            .own_addresses(text(params::inet_interfaces), text(params::inet_protocols))
            .into_iter()
            .map(|(address, _)| address)
            .collect();
        // Addresses only: a name in proxy_interfaces would need the DNS, which this crate does not know.
        let proxies = config::list::split(text(params::proxy_interfaces));
        own_addresses
            .extend(proxies.iter().filter_map(|a| a.trim_matches(['[', ']']).parse::<IpAddr>().ok()));

        let aliases = config::list::split(text(params::alias_maps));
        let (ways, probe_ways) = Ways::open(settings, tables);
        Routing {
            warn: tables.warning_sink(),
            rewriter: Rewriter {
                myorigin: text(params::myorigin).to_owned(),
                mydomain: text(params::mydomain).to_owned(),
                remote_domain: text(params::remote_header_rewrite_domain).to_owned(),
                append_at_myorigin: settings.get(params::append_at_myorigin),
                append_dot_mydomain: settings.get(params::append_dot_mydomain),
                allow_percent_hack: settings.get(params::allow_percent_hack),
                swap_bangpath: settings.get(params::swap_bangpath),
            },
            myhostname: text(params::myhostname).to_owned(),
            empty_address_recipient: text(params::empty_address_recipient).to_owned(),
            double_bounce_sender: text(params::double_bounce_sender).to_owned(),
            recipient_delimiter: text(params::recipient_delimiter).to_owned(),
            propagate: words(text(params::propagate_unmatched_extensions)),
            own_addresses,

            mydestination: strings("mydestination", text(params::mydestination)),
            virtual_alias_domains: strings("virtual_alias_domains", text(params::virtual_alias_domains)),
            virtual_mailbox_domains: strings(
                "virtual_mailbox_domains",
                text(params::virtual_mailbox_domains),
            ),
            relay_domains: MatchList::open(
                tables,
                "relay_domains",
                text(params::relay_domains),
                MatchStyle::Domains(ParentStyle::of("relay_domains", parents)),
            ),
            helpful_warnings: settings.get(params::helpful_warnings),

            canonical: Canonical {
                sender_maps: maps("sender_canonical_maps", text(params::sender_canonical_maps)),
                sender_classes: words(text(params::sender_canonical_classes)),
                recipient_maps: maps("recipient_canonical_maps", text(params::recipient_canonical_maps)),
                recipient_classes: words(text(params::recipient_canonical_classes)),
                maps: maps("canonical_maps", text(params::canonical_maps)),
                classes: words(text(params::canonical_classes)),
            },
            masquerade: Masquerade {
                domains: words(&text(params::masquerade_domains).to_lowercase()),
                exceptions: strings("masquerade_exceptions", text(params::masquerade_exceptions)),
                classes: words(text(params::masquerade_classes)),
            },
            virtual_alias_maps: maps("virtual_alias_maps", text(params::virtual_alias_maps)),
            virtual_limits: VirtualLimits {
                recursion: number(settings.get(params::virtual_alias_recursion_limit)),
                expansion: number(settings.get(params::virtual_alias_expansion_limit)),
                address_length: number(settings.get(params::virtual_alias_address_length_limit)),
            },
            always_bcc: text(params::always_bcc).to_owned(),
            sender_bcc_maps: maps("sender_bcc_maps", text(params::sender_bcc_maps)),
            recipient_bcc_maps: maps("recipient_bcc_maps", text(params::recipient_bcc_maps)),
            generic_maps: maps("smtp_generic_maps", settings.client(params::smtp_generic_maps)),

            resolve_null_domain: settings.get(params::resolve_null_domain),
            resolve_numeric_domain: settings.get(params::resolve_numeric_domain),
            resolve_dequoted_address: settings.get(params::resolve_dequoted_address),
            allow_min_user: settings.get(params::allow_min_user),
            ways,
            probe_ways,
            null_relayhost_key: text(params::empty_address_relayhost_maps_lookup_key).to_owned(),
            null_default_transport_key: text(params::empty_address_default_transport_maps_lookup_key)
                .to_owned(),
            relocated_maps: maps("relocated_maps", text(params::relocated_maps)),
            relocated_prefix: settings.get(params::relocated_prefix_enable),

            // Names of aliases(5) among them: if such an index is missing, its source has the other format.
            local_recipient_maps: Maps::open_each(
                tables,
                "local_recipient_maps",
                text(params::local_recipient_maps),
                |spec| if aliases.contains(&spec) { Flags::alias() } else { Flags::default() },
            ),
            virtual_mailbox_maps: strict("virtual_mailbox_maps", text(params::virtual_mailbox_maps)),
            relay_recipient_maps: maps("relay_recipient_maps", text(params::relay_recipient_maps)),
            show_table_name: settings.get(params::show_user_unknown_table_name),
            reject_codes: RejectCodes {
                local: code(settings.get(params::unknown_local_recipient_reject_code)),
                virtual_alias: code(settings.get(params::unknown_virtual_alias_reject_code)),
                virtual_mailbox: code(settings.get(params::unknown_virtual_mailbox_reject_code)),
                relay: code(settings.get(params::unknown_relay_recipient_reject_code)),
            },
        }
    }

    /// Searches maps for an address in the order of virtual(5) and canonical(5).
    pub(crate) async fn search(&self, maps: &Maps, address: &Address) -> Result<Option<Found>, Failed> {
        self.search_in_order(maps, address, Order::DEFAULT).await
    }

    pub(crate) async fn search_in_order(
        &self,
        maps: &Maps,
        address: &Address,
        order: Order,
    ) -> Result<Option<Found>, Failed> {
        if maps.is_empty() {
            return Ok(None);
        }
        let domain_is_local = match address.domain() {
            Some(domain) if order.local_part_if_local => {
                domain.eq_ignore_ascii_case(&self.rewriter.myorigin) || self.is_local_domain(domain).await?
            }
            _ => false,
        };
        let context = address_search::Context { delimiters: &self.recipient_delimiter, domain_is_local };
        Ok(address_search::find(maps, address, order, context).await?)
    }

    /// Does propagate_unmatched_extensions name this use (`canonical`, `virtual`, `generic`, `alias`, `forward`,
    /// `include`)?
    pub fn propagates(&self, usage: &str) -> bool {
        self.propagate.iter().any(|word| word == usage)
    }

    /// recipient_delimiter: the characters that may begin an address extension.
    pub fn recipient_delimiter(&self) -> &str {
        &self.recipient_delimiter
    }

    pub(crate) fn warn(&self, text: &str) {
        (self.warn)(text);
    }
}

/// The words of a list, owned.
fn words(text: &str) -> Vec<String> {
    config::list::split(text).into_iter().map(str::to_owned).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use std::future::Future;
    use std::sync::{Arc, Mutex};
    use std::task::{Context, Poll, Waker};

    use config::MainCf;

    use super::*;

    /// The value of a future that never waits.
    pub(crate) fn now<T>(future: impl Future<Output = T>) -> T {
        let mut future = std::pin::pin!(future);
        match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => value,
            Poll::Pending => panic!("a local table had to wait"),
        }
    }

    /// What every test's main.cf begins with.
    const BASE: &str = "myhostname = host.example.test\nmydomain = example.test\nmyorigin = example.test\n\
        mydestination = $myhostname, localhost.$mydomain, localhost, example.test\n\
        recipient_delimiter = +\ncompatibility_level = 3.6\nlocal_recipient_maps =\n\
        inet_interfaces = all\n";

    /// Routing by a main.cf, and what it warns of.
    pub(crate) fn listening(main_cf: &str) -> (Routing, Arc<Mutex<Vec<String>>>) {
        let main = MainCf::parse("main.cf", format!("{BASE}{main_cf}").as_bytes()).unwrap();
        let host = HostFacts {
            interfaces: vec![("192.0.2.1".parse().unwrap(), 24), ("2001:db8::1".parse().unwrap(), 64)],
            ..HostFacts::default()
        };
        let settings = Settings::load(&main, &[], &host).unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&heard);
        let tables = Tables::new(Arc::new(move |text: &str| sink.lock().unwrap().push(text.to_owned())));
        (Routing::new(&settings, &tables, &host), heard)
    }

    /// Routing by a main.cf.
    pub(crate) fn routing(main_cf: &str) -> Routing {
        listening(main_cf).0
    }

    /// An address in internal form.
    pub(crate) fn address(text: &str) -> Address {
        Address::internal(text).unwrap()
    }
}
