//! The parameters that choose transport and next hop, once for mail and once for the probes of verify(8)
//! (ADDRESS_VERIFICATION_README, "Controlling the routing of address verification probes").

use std::sync::Arc;

use config::param::{Param, kind::Text};
use config::{Settings, params};
use tables::domain_search::ParentStyle;
use tables::{Flags, Maps, Tables};

use crate::transport::TransportMaps;

/// One set of transports.
pub(crate) struct Ways {
    pub(crate) local_transport: String,
    pub(crate) virtual_transport: String,
    pub(crate) relay_transport: String,
    pub(crate) default_transport: String,
    pub(crate) relayhost: String,
    pub(crate) transport_maps: TransportMaps,
    pub(crate) sender_dependent_relayhost_maps: Maps,
    pub(crate) sender_dependent_default_transport_maps: Maps,
}

/// The parameters of one set, in the order of [`Ways`].
type Parameters = [Param<Text>; 8];

const OF_MAIL: Parameters = [
    params::local_transport,
    params::virtual_transport,
    params::relay_transport,
    params::default_transport,
    params::relayhost,
    params::transport_maps,
    params::sender_dependent_relayhost_maps,
    params::sender_dependent_default_transport_maps,
];

const OF_PROBES: Parameters = [
    params::address_verify_local_transport,
    params::address_verify_virtual_transport,
    params::address_verify_relay_transport,
    params::address_verify_default_transport,
    params::address_verify_relayhost,
    params::address_verify_transport_maps,
    params::address_verify_sender_dependent_relayhost_maps,
    params::address_verify_sender_dependent_default_transport_maps,
];

impl Ways {
    /// The ways of mail and those of probes, which are mostly the same and then opened once.
    pub(crate) fn open(settings: &Settings, tables: &Tables) -> (Arc<Ways>, Arc<Ways>) {
        let of_mail = Arc::new(Ways::of(&OF_MAIL, settings, tables));
        let same =
            OF_MAIL.iter().zip(&OF_PROBES).all(|(mail, probe)| settings.get(*mail) == settings.get(*probe));
        let of_probes = match same {
            true => Arc::clone(&of_mail),
            false => Arc::new(Ways::of(&OF_PROBES, settings, tables)),
        };
        (of_mail, of_probes)
    }

    fn of(parameters: &Parameters, settings: &Settings, tables: &Tables) -> Ways {
        let [local, virtual_, relay, default, relayhost, transports, relayhosts, defaults] = *parameters;
        let text = |parameter: Param<Text>| settings.get(parameter).to_owned();
        let maps = |parameter: Param<Text>| {
            Maps::open(tables, parameter.name(), settings.get(parameter), Flags::without_substitution())
        };
        // Probes are matched as mail is: parent_domain_matches_subdomains knows the one name only.
        let style = ParentStyle::of("transport_maps", settings.get(params::parent_domain_matches_subdomains));
        Ways {
            local_transport: text(local),
            virtual_transport: text(virtual_),
            relay_transport: text(relay),
            default_transport: text(default),
            relayhost: text(relayhost),
            transport_maps: TransportMaps::new(maps(transports), style),
            sender_dependent_relayhost_maps: maps(relayhosts),
            sender_dependent_default_transport_maps: maps(defaults),
        }
    }
}
