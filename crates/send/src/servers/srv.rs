//! Servers by SRV records (RFC 2782; postconf(5), use_srv_lookup): `example.com:submission` is what stands at
//! `_submission._tcp.example.com`.

use std::hash::{BuildHasher, Hasher};

use dns::{Failure, Srv};
use mail::{Outcome, Status};

use super::{Found, NoServer, Server, addresses, lookup_failed, note_security, servers_of};
use crate::service::{DnsSupport, Service};

/// The servers of a service at a domain; nothing where other records shall be asked instead.
pub(super) async fn find(service: &Service, domain: &str, name: &str) -> Result<Option<Found>, NoServer> {
    let choice = &service.choice;
    let query = format!("_{name}._tcp.{domain}");
    let dnssec = service.dns_support == DnsSupport::Dnssec;
    let answer = match service.resolver.srv(&query, dnssec).await {
        Ok(answer) => answer,
        Err(failure) if gives_way(&failure, choice.ignores_srv_failure, choice.srv_fallback) => {
            return Ok(None);
        }
        Err(failure) => return Err(lookup_failed(service, &query, "SRV", &failure).into()),
    };
    note_security(service, answer.secure).await;
    if answer.records.iter().any(|srv| srv.host.is_empty()) {
        let text = format!("Service {name} is not available at {domain} (null SRV)");
        return Err(Outcome::bounced(Status::new(5, 1, 0), "none", text).into());
    }
    let found_by = tls::policy::Mx::Found { secure: answer.secure, name: answer.name.clone() };
    let mut servers: Vec<Server> = Vec::new();
    let mut last_failure = None;
    let best = answer.records.iter().map(|srv| srv.priority).min().unwrap_or(0);
    for srv in in_order(answer.records, random) {
        match addresses(service, &srv.host).await {
            Ok(found) => servers.extend(
                servers_of(service, &srv.host, &found, srv.port, &found_by)
                    .map(|server| Server { best: srv.priority == best, ..server }),
            ),
            Err(failure) => last_failure = Some((srv.host, failure)),
        }
    }
    servers.truncate(choice.address_limit);
    match (servers.is_empty(), last_failure) {
        (true, Some((host, failure))) => {
            maillog::warning!(service.log, "no SRV host for {query} has a valid address record");
            Err(lookup_failed(service, &host, "A", &failure).into())
        }
        _ => Ok(Some(Found { servers, is_mx: false })),
    }
}

/// Are MX or address records asked for instead?
fn gives_way(failure: &Failure, ignores: bool, falls_back: bool) -> bool {
    falls_back || (ignores && !failure.is_absence())
}

/// RFC 2782: by priority, and among equals at random, those with more weight more often first.
fn in_order(mut records: Vec<Srv>, mut below: impl FnMut(u32) -> u32) -> Vec<Srv> {
    // Those without weight stand first, so that they have a small chance.
    records.sort_by_key(|srv| (srv.priority, srv.weight));
    let mut ordered = Vec::with_capacity(records.len());
    while let Some(priority) = records.first().map(|srv| srv.priority) {
        let equals = records.iter().take_while(|srv| srv.priority == priority);
        let total: u32 = equals.clone().map(|srv| u32::from(srv.weight)).sum();
        let drawn = below(total + 1);
        let mut sum = 0;
        let at = equals.clone().position(|srv| {
            sum += u32::from(srv.weight);
            sum >= drawn
        });
        ordered.push(records.remove(at.unwrap_or(0)));
    }
    ordered
}

/// A number below a bound; nothing secret depends on it.
fn random(bound: u32) -> u32 {
    let hasher = std::collections::hash_map::RandomState::new().build_hasher();
    (hasher.finish() % u64::from(bound.max(1))) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn priority_and_weight() {
        let record = |priority, weight, host: &str| Srv { priority, weight, port: 1, host: host.into() };
        let records = || {
            vec![
                record(20, 0, "last"),
                record(10, 60, "often"),
                record(10, 0, "never"),
                record(10, 40, "some"),
            ]
        };
        for (draws, expected) in [
            (&[0, 0, 0, 0][..], "never some often last"),
            (&[100, 40, 0, 0], "often some never last"),
            (&[40, 60, 0, 0], "some often never last"),
        ] {
            let mut draws = draws.iter();
            let found = in_order(records(), |_| *draws.next().unwrap());
            let names: Vec<&str> = found.iter().map(|srv| &*srv.host).collect();
            assert_eq!(names.join(" "), expected);
        }
    }

    #[test]
    fn when_other_records_are_asked() {
        for (failure, ignores, falls_back, expected) in [
            (Failure::NotFound { secure: false }, false, false, false),
            (Failure::NotFound { secure: false }, true, false, false),
            (Failure::NotFound { secure: false }, false, true, true),
            (Failure::TryAgain, false, false, false),
            (Failure::TryAgain, true, false, true),
            (Failure::TryAgain, false, true, true),
        ] {
            assert_eq!(
                gives_way(&failure, ignores, falls_back),
                expected,
                "{failure} {ignores} {falls_back}"
            );
        }
    }
}
