//! check_..._a_access, check_..._mx_access and check_..._ns_access: tables that are asked for the hosts behind a name, by their names
//! and addresses.

use dns::{Family, HostLookup};
use mail::Address;
use tables::Maps;

use crate::dns_list::Whose;
use crate::evaluation::{Evaluation, Outcome};
use crate::restriction::Argument;
use crate::search;

/// Hosts of one name that are looked at; somebody else wrote that list.
const MAX_HOSTS: usize = 100;

/// Which hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Servers {
    /// The name itself.
    Itself,
    /// Its mail exchangers; itself when there are none.
    Mx,
    /// The name servers of its domain.
    Ns,
}

impl Servers {
    fn record_type(self) -> &'static str {
        match self {
            Servers::Itself => "A",
            Servers::Mx => "MX",
            Servers::Ns => "NS",
        }
    }
}

/// Asks the table for each host until it says something. OK is no answer here: whoever runs a zone could make the name that is
/// listed his own.
pub(crate) async fn check(
    evaluation: &mut Evaluation<'_>,
    argument: &Argument,
    whose: Whose,
    servers: Servers,
) -> Outcome {
    let (Argument::Table(maps), Some((name, subject))) = (argument, name_of(evaluation, whose)) else {
        return Outcome::Dunno;
    };
    let hosts = match hosts(evaluation, &name, servers).await {
        Ok(hosts) => hosts,
        Err(why) => {
            evaluation.warn(format!("Unable to look up {} host for {name}: {why}", servers.record_type()));
            return Outcome::Dunno;
        }
    };
    for host in hosts.iter().take(MAX_HOSTS) {
        match check_host(evaluation, maps, host, &subject).await {
            Outcome::Dunno => {}
            Outcome::Permit if servers != Servers::Itself => {
                evaluation.warn(format!(
                    "{}: restriction returns OK for {host}: this is not allowed for security reasons; use DUNNO instead of OK to \
                     make an exception",
                    servers.record_type()
                ));
                return evaluation.misconfigured("a table about MX or NS hosts returned OK");
            }
            outcome => return outcome,
        }
    }
    Outcome::Dunno
}

async fn check_host(
    evaluation: &mut Evaluation<'_>,
    maps: &Maps,
    host: &str,
    subject: &(String, &'static str),
) -> Outcome {
    let found = search::find_domain(evaluation, maps, host).await;
    let outcome = search::apply(evaluation, maps, found, subject.clone()).await;
    if outcome != Outcome::Dunno {
        return outcome;
    }
    let resolver = &evaluation.access.resolver;
    let addresses = match resolver.addresses(host, Family::PreferV4, HostLookup::Native, false).await {
        Ok(answer) => answer.records,
        Err(failure) => {
            if !failure.is_absence() {
                evaluation.warn(format!("Unable to look up host {host}: {failure}"));
            }
            return Outcome::Dunno;
        }
    };
    for address in addresses.into_iter().take(MAX_HOSTS) {
        let found = search::find_address(maps, address).await;
        let outcome = search::apply(evaluation, maps, found, subject.clone()).await;
        if outcome != Outcome::Dunno {
            return outcome;
        }
    }
    Outcome::Dunno
}

async fn hosts(evaluation: &Evaluation<'_>, name: &str, servers: Servers) -> Result<Vec<String>, String> {
    let resolver = &evaluation.access.resolver;
    // An address literal is its own host.
    if servers == Servers::Itself || dns::address_literal(name).is_some() {
        return Ok(vec![name.to_owned()]);
    }
    if servers == Servers::Mx {
        return match resolver.mx(name, false).await {
            Ok(answer) => {
                Ok(answer.records.into_iter().filter(|mx| !mx.is_null()).map(|mx| mx.host).collect())
            }
            Err(failure) if failure.is_absence() => Ok(vec![name.to_owned()]),
            Err(failure) => Err(failure.reason()),
        };
    }
    // The zone can begin above the name.
    let mut domain = name;
    loop {
        match resolver.ns(domain).await {
            Ok(answer) => return Ok(answer.records),
            Err(failure) if !failure.is_absence() => return Err(failure.reason()),
            Err(failure) => match domain.split_once('.') {
                Some((_, parent)) if parent.contains('.') => domain = parent,
                _ => return Err(failure.reason()),
            },
        }
    }
}

/// The name to look at, and what replies are about.
fn name_of(evaluation: &Evaluation<'_>, whose: Whose) -> Option<(String, (String, &'static str))> {
    let asked = evaluation.asked;
    let client = asked.client;
    let address = |address: Option<&Address>, class| {
        let address = address?;
        Some((address.domain()?.to_owned(), (address.to_string(), class)))
    };
    match whose {
        Whose::Client => Some((client.name.clone(), (client.name_address(), "Client host"))),
        Whose::ReverseClient => {
            Some((client.reverse_name.clone(), (client.reverse_name.clone(), "Unverified Client host")))
        }
        Whose::Helo => client.helo.clone().map(|helo| (helo.clone(), (helo, "Helo command"))),
        Whose::Sender => address(asked.sender, "Sender address"),
        Whose::Recipient => address(asked.recipient, "Recipient address"),
    }
    .filter(|(name, _)| name != "unknown" && !name.is_empty())
}
