//! The servers to try for a next hop, in order: mail exchangers by preference, their addresses, or the host's own (RFC 5321
//! section 5, RFC 7505; smtp(8)).

use std::hash::{BuildHasher, Hasher};
use std::net::{IpAddr, SocketAddr};

use dns::{Answer, Failure, HostLookup, Mx};
use mail::{Outcome, Status};

use smtp::client::Peer;

mod srv;

use crate::next_hop::NextHop;
use crate::service::{DnsSupport, Service};

/// One address to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Server {
    /// The name it was found under; what an alias leads to with smtp_cname_overrides_servername.
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

impl Server {
    /// As the session and the log name it.
    pub(crate) fn peer(&self) -> Peer {
        Peer {
            host: self.host.trim_end_matches('.').to_owned(),
            address: self.address.ip().to_string(),
            port: Some(self.address.port()),
        }
    }
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

/// How the order of servers is chosen (postconf(5)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Choice {
    /// smtp_mx_address_limit
    pub(crate) address_limit: usize,
    /// smtp_randomize_addresses
    pub(crate) randomizes: bool,
    /// smtp_balance_inet_protocols
    pub(crate) balances: bool,
    /// smtp_address_preference, when it names one: true for IPv6.
    pub(crate) prefers_v6: Option<bool>,
    /// ignore_mx_lookup_error
    pub(crate) ignores_mx_failure: bool,
    /// smtp_defer_if_no_mx_address_found
    pub(crate) waits_for_mx_address: bool,
    /// smtp_cname_overrides_servername
    pub(crate) names_alias_target: bool,
    /// smtp_dns_resolver_options: res_defnames and res_dnsrch.
    pub(crate) default_names: bool,
    pub(crate) search_names: bool,
    /// use_srv_lookup
    pub(crate) srv_services: Vec<String>,
    /// ignore_srv_lookup_error
    pub(crate) ignores_srv_failure: bool,
    /// allow_srv_lookup_fallback
    pub(crate) srv_fallback: bool,
}

/// Finds the servers.
pub(crate) async fn find(service: &Service, next_hop: &NextHop) -> Result<Found, NoServer> {
    let NextHop::Host { name, port, .. } = next_hop else {
        return Err(Outcome::deferred(Status::new(4, 3, 5), "none", "a socket has no servers").into());
    };
    let wanted = port.as_deref().unwrap_or(&service.default_port);
    if uses_srv(service, next_hop)
        && let Some(found) = srv::find(service, name, wanted).await?
    {
        return Ok(found);
    }
    let port = config::ports::number(&service.known_ports, wanted).ok_or_else(|| {
        let text = format!("unknown service: {wanted}");
        Outcome::deferred(Status::new(4, 3, 5), "none", text)
    })?;
    match uses_mx(service, next_hop) {
        true => of_domain(service, name, port).await,
        false => {
            let servers = of_host(service, name, port, tls::policy::Mx::None).await?;
            Ok(Found { servers, is_mx: false })
        }
    }
}

/// The mail exchangers of a domain; its own addresses where it has none.
async fn of_domain(service: &Service, domain: &str, port: u16) -> Result<Found, NoServer> {
    let choice = &service.choice;
    let answer = match exchangers(service, domain).await {
        Ok(answer) => answer,
        // RFC 5321 section 5.1: the domain is its own exchanger. That there is no other must be vouched for as well.
        Err(failure)
            if failure.is_absence() || (choice.ignores_mx_failure && failure != Failure::Filtered) =>
        {
            let found_by = match failure.is_secure() {
                true => tls::policy::Mx::None,
                false => tls::policy::Mx::Found { secure: false, name: domain.to_owned() },
            };
            let servers = of_host(service, domain, port, found_by).await?;
            return Ok(Found { servers, is_mx: false });
        }
        Err(failure) => return Err(lookup_failed(service, domain, "MX", &failure).into()),
    };
    note_security(service, answer.secure).await;
    if answer.records.iter().any(Mx::is_null) {
        let text = format!("Domain {domain} does not accept mail (nullMX)");
        return Err(Outcome::bounced(Status::new(5, 1, 0), "none", text).into());
    }
    let best = answer.records.iter().map(|mx| mx.preference).min().unwrap_or(0);
    let found_by = tls::policy::Mx::Found { secure: answer.secure, name: answer.name };
    let mut found = Vec::new();
    let mut last_failure = None;
    for mx in &answer.records {
        match addresses(service, &mx.host).await {
            Ok(of_host) => found.extend(
                servers_of(service, &mx.host, &of_host, port, &found_by)
                    .map(|server| (mx.preference, server)),
            ),
            Err(failure) => last_failure = Some((mx.host.clone(), failure)),
        }
    }
    if let (true, Some((host, failure))) = (found.is_empty(), last_failure) {
        maillog::warning!(service.log, "no MX host for {domain} has a valid address record");
        let outcome = lookup_failed(service, &host, "A", &failure);
        return Err(match choice.waits_for_mx_address {
            true => Outcome::deferred(outcome.status, "none", outcome.text).into(),
            false => outcome.into(),
        });
    }
    let best_found = found.iter().map(|(preference, _)| *preference).min().unwrap_or(best);
    // RFC 5321 section 5.1: a relay drops itself and whoever is not preferred to it.
    let own =
        found.iter().find(|(_, server)| port == 25 && service.own_addresses.contains(&server.address.ip()));
    let own = own.map(|(preference, _)| *preference);
    found.retain(|(preference, _)| own.is_none_or(|own| *preference < own));
    if found.is_empty() {
        return Err(nobody_else(domain, best == best_found));
    }
    for (preference, server) in &mut found {
        server.best = *preference == best_found;
    }
    Ok(Found { servers: in_order(found, choice), is_mx: own.is_some() })
}

fn nobody_else(domain: &str, loops: bool) -> NoServer {
    match loops {
        true => {
            let text = format!("mail for {domain} loops back to myself");
            NoServer { outcome: Outcome::bounced(Status::new(5, 4, 6), "none", text), loops }
        }
        false => {
            let text = format!("unable to find primary relay for {domain}");
            Outcome::deferred(Status::new(4, 4, 4), "none", text).into()
        }
    }
}

/// A host's own addresses.
async fn of_host(
    service: &Service,
    host: &str,
    port: u16,
    found_by: tls::policy::Mx,
) -> Result<Vec<Server>, Outcome> {
    let answer =
        addresses(service, host).await.map_err(|failure| lookup_failed(service, host, "A", &failure))?;
    note_security(service, answer.secure).await;
    let servers = servers_of(service, host, &answer, port, &found_by).map(|server| (0, server)).collect();
    Ok(in_order(servers, &service.choice))
}

/// Where answers shall be vouched for and none is, the log says so once.
async fn note_security(service: &Service, secure: bool) {
    if service.dns_support == DnsSupport::Dnssec {
        service.dnssec_probe.saw(secure, &service.resolver, &service.log).await;
    }
}

/// What a name may stand for (smtp_dns_resolver_options).
fn meanings(service: &Service, name: &str) -> Vec<String> {
    let Choice { default_names, search_names, .. } = service.choice;
    match (default_names || search_names) && dns::address_literal(name).is_none() {
        true => service.resolver.meanings(name, default_names, search_names),
        false => vec![name.to_owned()],
    }
}

/// The mail exchangers of the first name that has any, or the first failure.
async fn exchangers(service: &Service, domain: &str) -> Result<Answer<Mx>, Failure> {
    let dnssec = service.dns_support == DnsSupport::Dnssec;
    let mut absence = None;
    for name in meanings(service, domain) {
        match service.resolver.mx(&name, dnssec).await {
            Err(failure) if failure.is_absence() => _ = absence.get_or_insert(failure),
            other => return other,
        }
    }
    Err(absence.unwrap_or(Failure::BadName))
}

/// The addresses of the first name that has any, or the first failure.
async fn addresses(service: &Service, host: &str) -> Result<Answer<IpAddr>, Failure> {
    let dnssec = service.dns_support == DnsSupport::Dnssec;
    let (family, lookup) = (service.family, service.host_lookup);
    let mut absence = None;
    for name in meanings(service, host) {
        match service.resolver.addresses(&name, family, lookup, dnssec).await {
            Err(failure) if failure.is_absence() => _ = absence.get_or_insert(failure),
            other => return other,
        }
    }
    Err(absence.unwrap_or(Failure::BadName))
}

fn servers_of<'a>(
    service: &'a Service,
    host: &'a str,
    answer: &'a Answer<IpAddr>,
    port: u16,
    found_by: &'a tls::policy::Mx,
) -> impl Iterator<Item = Server> + 'a {
    let host = if service.choice.names_alias_target { &answer.name } else { host };
    answer.records.iter().map(move |address| Server {
        host: host.trim_end_matches('.').to_owned(),
        address: SocketAddr::new(*address, port),
        best: true,
        mx: found_by.clone(),
        secure: answer.secure,
        name: answer.name.clone(),
    })
}

/// Has the next hop mail exchangers?
fn uses_mx(service: &Service, next_hop: &NextHop) -> bool {
    next_hop.mx_domain().is_some() && !service.is_lmtp() && service.dns_support != DnsSupport::Disabled
}

/// The domain whose published wishes count (MTA-STS, TLSRPT), as the DNS spells it: they are about its mail exchangers.
pub(crate) fn publisher(service: &Service, next_hop: &NextHop) -> Option<String> {
    let domain =
        next_hop.mx_domain().filter(|_| uses_mx(service, next_hop) && !uses_srv(service, next_hop))?;
    dns::ascii_name(domain).ok()
}

/// Are SRV records asked before anything else (use_srv_lookup)?
fn uses_srv(service: &Service, next_hop: &NextHop) -> bool {
    let port = match next_hop {
        NextHop::Host { port, .. } => port.as_deref().unwrap_or(&service.default_port),
        NextHop::Socket(_) => return false,
    };
    next_hop.mx_domain().is_some()
        && service.choice.srv_services.iter().any(|one| one.eq_ignore_ascii_case(port))
}

/// By preference, equal ones in random order, the preferred family first; not more than the limit, of both families.
fn in_order(mut servers: Vec<(u16, Server)>, choice: &Choice) -> Vec<Server> {
    if choice.randomizes {
        shuffle(&mut servers);
    }
    servers.sort_by_key(|(preference, server)| {
        let other_family = choice.prefers_v6.map(|v6| server.address.is_ipv6() != v6);
        (*preference, other_family.unwrap_or(false))
    });
    let mut servers: Vec<Server> = servers.into_iter().map(|(_, server)| server).collect();
    if choice.balances {
        balance(&mut servers, choice.address_limit);
    }
    servers.truncate(choice.address_limit);
    servers
}

/// Neither family crowds the other out: each keeps at least half of the room, as far as it needs that.
fn balance(servers: &mut Vec<Server>, limit: usize) {
    let v6 = servers.iter().filter(|server| server.address.is_ipv6()).count();
    let v4 = servers.len() - v6;
    if v4 == 0 || v6 == 0 || servers.len() <= limit {
        return;
    }
    let v6_first = servers.first().is_some_and(|server| server.address.is_ipv6());
    let v6_room = match (v6 <= limit / 2, v4 <= limit / 2) {
        (true, _) => v6,
        (false, true) => limit - v4,
        (false, false) => limit / 2 + if v6_first { limit % 2 } else { 0 },
    };
    let (mut v6_left, mut v4_left) = (v6_room, limit - v6_room);
    servers.retain(|server| {
        let left = if server.address.is_ipv6() { &mut v6_left } else { &mut v4_left };
        let stays = *left > 0;
        *left = left.saturating_sub(1);
        stays
    });
}

/// Random enough to spread load over equal servers; nothing secret depends on it.
fn shuffle<T>(items: &mut [T]) {
    let mut hasher = std::collections::hash_map::RandomState::new().build_hasher();
    for last in (1..items.len()).rev() {
        hasher.write_usize(last);
        items.swap(last, hasher.finish() as usize % (last + 1));
    }
}

/// Postfix's words. Without the DNS they are those of getaddrinfo(3).
fn lookup_failed(service: &Service, name: &str, kind: &str, failure: &Failure) -> Outcome {
    if service.host_lookup == HostLookup::Native && kind == "A" {
        let (status, words) = match failure {
            Failure::NotFound { .. } | Failure::BadName => {
                (Status::new(5, 4, 4), "Name or service not known")
            }
            Failure::NoData { .. } => (Status::new(5, 3, 0), "No address associated with hostname"),
            // There is no filter in the system's own way.
            Failure::TryAgain | Failure::BadReply | Failure::Filtered | Failure::BadFilter => {
                (Status::new(4, 4, 3), "Temporary failure in name resolution")
            }
        };
        let text = format!("unable to look up host {name}: {words}");
        return match failure.is_absence() {
            true => Outcome::bounced(status, "none", text),
            false => Outcome::deferred(status, "none", text),
        };
    }
    let text = failure.sentence(name, kind);
    match failure {
        failure if failure.is_absence() => Outcome::bounced(Status::new(5, 4, 4), "none", text),
        Failure::Filtered => Outcome::deferred(Status::new(4, 7, 0), "none", text),
        _ => Outcome::deferred(Status::new(4, 4, 3), "none", text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHOICE: Choice = Choice {
        default_names: false,
        search_names: false,
        srv_services: Vec::new(),
        ignores_srv_failure: false,
        srv_fallback: false,
        address_limit: 4,
        randomizes: false,
        balances: true,
        prefers_v6: None,
        ignores_mx_failure: false,
        waits_for_mx_address: false,
        names_alias_target: false,
    };

    /// `10 a4 b6`: preference, then servers with their families.
    fn servers(text: &str) -> Vec<(u16, Server)> {
        let mut preference = 0;
        let mut servers = Vec::new();
        for word in text.split(' ') {
            match word.parse() {
                Ok(number) => preference = number,
                Err(_) => {
                    let address = if word.ends_with('6') { "[2001:db8::1]:25" } else { "192.0.2.1:25" };
                    servers.push((
                        preference,
                        Server {
                            host: word.into(),
                            address: address.parse().unwrap(),
                            best: true,
                            mx: tls::policy::Mx::None,
                            secure: false,
                            name: word.into(),
                        },
                    ));
                }
            }
        }
        servers
    }

    fn names(servers: Vec<Server>) -> String {
        servers.into_iter().map(|server| server.host).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn order_and_balance() {
        let v6_first = Choice { prefers_v6: Some(true), ..CHOICE };
        let unbalanced = Choice { balances: false, ..CHOICE };
        for (text, choice, expected) in [
            ("20 c4 10 a4 b4", CHOICE, "a4 b4 c4"),
            ("10 a4 b6 20 c4 d6", v6_first, "b6 a4 d6 c4"),
            ("10 a4 b4 c4 d4 e4 f6", CHOICE, "a4 b4 c4 f6"),
            ("10 a4 b4 c4 d4 e4 f6", unbalanced, "a4 b4 c4 d4"),
            ("10 a6 b6 c6 d6 e4", CHOICE, "a6 b6 c6 e4"),
            ("10 a6 b6 c6 d4 e4 f4", CHOICE, "a6 b6 d4 e4"),
            ("10 a6 b6 c6 d4 e4 f4", Choice { address_limit: 3, ..CHOICE }, "a6 b6 d4"),
            ("10 a4 b4 c4 d4 e4", CHOICE, "a4 b4 c4 d4"),
        ] {
            assert_eq!(names(in_order(servers(text), &choice)), expected, "{text}");
        }
    }

    #[test]
    fn equal_servers_take_turns() {
        let choice = Choice { randomizes: true, address_limit: usize::MAX, ..CHOICE };
        let mut first = std::collections::HashSet::new();
        for _ in 0..200 {
            let order = names(in_order(servers("10 a4 b4 c4 20 d4"), &choice));
            assert!(order.ends_with(" d4"), "{order}");
            first.insert(order);
        }
        assert_eq!(first.len(), 6, "{first:?}");
    }
}
