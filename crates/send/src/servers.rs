//! The servers to try for a next hop, in order: mail exchangers by preference, their addresses, or the host's own (RFC 5321
//! section 5, RFC 7505; smtp(8)).

use std::net::{IpAddr, SocketAddr};

use dns::{Failure, Mx};
use mail::{Outcome, Status};

use crate::next_hop::NextHop;
use crate::service::{DnsSupport, Service};

/// One address to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Server {
    /// The name it was found under.
    pub(crate) host: String,
    pub(crate) address: SocketAddr,
    /// It is among the most preferred mail exchangers.
    pub(crate) best: bool,
    /// How it was found.
    pub(crate) mx: tls::policy::Mx,
    /// Its addresses were vouched for (DNSSEC).
    pub(crate) secure: bool,
    /// The name that has the addresses; differs from `host` behind an alias.
    pub(crate) name: String,
}

/// The servers of a next hop.
pub(crate) struct Found {
    /// In the order in which they are tried; never empty.
    pub(crate) servers: Vec<Server>,
    /// This machine is one of the domain's mail exchangers.
    pub(crate) is_mx: bool,
}

/// Why there are none.
pub(crate) struct NoServer {
    /// For all recipients.
    pub(crate) outcome: Outcome,
    /// Mail would come back to this machine.
    pub(crate) loops: bool,
}

impl From<Outcome> for NoServer {
    fn from(outcome: Outcome) -> Self {
        NoServer { outcome, loops: false }
    }
}

/// Finds the servers.
pub(crate) async fn find(service: &Service, next_hop: &NextHop) -> Result<Found, NoServer> {
    let NextHop::Host { name, literal, port } = next_hop else {
        return Err(Outcome::deferred(Status::new(4, 3, 5), "none", "a socket has no servers").into());
    };
    let port = port_number(port.as_deref().unwrap_or(&service.default_port)).ok_or_else(|| {
        let text = format!("unknown service: {}", port.as_deref().unwrap_or(&service.default_port));
        Outcome::deferred(Status::new(4, 3, 5), "none", text)
    })?;
    let uses_mx = !literal
        && !service.is_lmtp()
        && service.dns_support != DnsSupport::Disabled
        && dns::address_literal(name).is_none();
    let (exchangers, found_by) = match uses_mx {
        true => exchangers(service, name).await?,
        false => (vec![Mx { preference: 0, host: name.clone() }], tls::policy::Mx::None),
    };
    let best = exchangers.iter().map(|mx| mx.preference).min().unwrap_or(0);
    let own_preference = match uses_mx {
        true => own_preference(service, &exchangers, port).await,
        false => None,
    };
    let mut servers = Vec::new();
    let mut last_failure = None;
    for mx in &exchangers {
        // RFC 5321 section 5.1: a relay drops itself and whoever is not preferred to it.
        if own_preference.is_some_and(|own| mx.preference >= own) {
            continue;
        }
        let dnssec = service.dns_support == DnsSupport::Dnssec;
        match service.resolver.addresses(&mx.host, service.family, service.host_lookup, dnssec).await {
            Ok(answer) => servers.extend(answer.records.iter().map(|address| Server {
                host: mx.host.trim_end_matches('.').to_owned(),
                address: SocketAddr::new(*address, port),
                best: mx.preference == best,
                mx: found_by.clone(),
                secure: answer.secure,
                name: answer.name.clone(),
            })),
            Err(failure) => last_failure = Some((mx.host.clone(), failure)),
        }
    }
    servers.truncate(service.address_limit);
    if !servers.is_empty() {
        return Ok(Found { servers, is_mx: own_preference.is_some() });
    }
    Err(match last_failure {
        Some((host, failure)) => lookup_failed(&host, "A", &failure).into(),
        None => {
            let text = format!("mail for {name} loops back to myself");
            NoServer { outcome: Outcome::bounced(Status::new(5, 4, 6), "none", text), loops: true }
        }
    })
}

/// The mail exchangers by preference; the domain itself where it has none.
async fn exchangers(service: &Service, domain: &str) -> Result<(Vec<Mx>, tls::policy::Mx), Outcome> {
    match service.resolver.mx(domain, service.dns_support == DnsSupport::Dnssec).await {
        Ok(answer) => {
            let mut found = answer.records;
            if found.iter().any(Mx::is_null) {
                let text = format!("Domain {domain} does not accept mail (nullMX)");
                return Err(Outcome::bounced(Status::new(5, 1, 0), "none", text));
            }
            // Equal preferences in an order that differs from delivery to delivery spreads the load.
            found.sort_by_key(|mx| mx.preference);
            Ok((found, tls::policy::Mx::Found { secure: answer.secure, name: answer.name }))
        }
        // RFC 5321 section 5.1: the domain is its own exchanger. That there is no other must be vouched for as well.
        Err(Failure::NoData { secure }) => {
            let found_by = match secure {
                true => tls::policy::Mx::None,
                false => tls::policy::Mx::Found { secure, name: domain.to_owned() },
            };
            Ok((vec![Mx { preference: 0, host: domain.to_owned() }], found_by))
        }
        Err(failure) => Err(lookup_failed(domain, "MX", &failure)),
    }
}

fn lookup_failed(name: &str, kind: &str, failure: &Failure) -> Outcome {
    let text = failure.sentence(name, kind);
    match failure.is_absence() {
        true => Outcome::bounced(Status::new(5, 4, 4), "none", text),
        false => Outcome::deferred(Status::new(4, 4, 3), "none", text),
    }
}

/// The preference of the exchanger that is this machine, on the standard port.
async fn own_preference(service: &Service, exchangers: &[Mx], port: u16) -> Option<u16> {
    if port != 25 {
        return None;
    }
    for mx in exchangers {
        let own_name = mx.host.trim_end_matches('.').eq_ignore_ascii_case(&service.hostname);
        let addresses =
            service.resolver.addresses(&mx.host, service.family, service.host_lookup, false).await;
        let own_address = addresses.is_ok_and(|found| found.records.iter().any(|a| is_own(service, *a)));
        if own_name || own_address {
            return Some(mx.preference);
        }
    }
    None
}

fn is_own(service: &Service, address: IpAddr) -> bool {
    service.own_addresses.contains(&address)
}

/// A number, or a name of this trade.
fn port_number(name: &str) -> Option<u16> {
    match name {
        "smtp" => Some(25),
        "lmtp" => Some(24),
        "submission" => Some(587),
        "smtps" | "submissions" => Some(465),
        other => other.parse().ok(),
    }
}
