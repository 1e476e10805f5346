//! The client's name (smtpd_peername_lookup): the reverse name, believed only when it leads back to the address.

use std::net::IpAddr;

use dns::{Family, HostLookup, Resolver};
use mail::ClientFacts;
use maillog::Log;

/// Fills in name and reverse name. Failures leave `unknown`, and say whether they are for the moment only.
pub(crate) async fn look_up(resolver: &Resolver, client: &mut ClientFacts, log: &Log) {
    let Some(address) = client.address else { return };
    let name = match resolver.ptr(address).await {
        Ok(answer) => match answer.records.into_iter().next() {
            Some(name) if is_hostname(&name) => name,
            Some(name) => {
                maillog::warning!(
                    log,
                    "malformed domain name in resource data of address {address}: {name:.100}"
                );
                return;
            }
            None => return,
        },
        Err(failure) => {
            client.name_lookup_failed = !failure.is_absence();
            return;
        }
    };
    client.reverse_name = name.clone();
    let family = if address.is_ipv4() { Family::V4 } else { Family::V6 };
    match resolver.addresses(&name, family, HostLookup::Native, false).await {
        Ok(answer) if answer.records.contains(&address) => client.name = name,
        Ok(_) => {
            maillog::warning!(log, "hostname {name} does not resolve to address {address}");
        }
        Err(failure) => {
            client.name_lookup_failed = !failure.is_absence();
            maillog::warning!(log, "hostname {name} does not resolve to address {address}: {failure}");
        }
    }
}

/// Names from reverse zones are whatever their owner wrote; only host names get into headers and logs. One that looks like
/// an address would fool those who read these.
fn is_hostname(name: &str) -> bool {
    access::is_hostname(name) && name.parse::<IpAddr>().is_err()
}
