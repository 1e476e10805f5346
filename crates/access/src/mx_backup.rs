//! permit_mx_backup: mail for domains whose mail exchangers we are among.

use dns::{Answer, Failure, Family, HostLookup, Mx};
use mail::{Address, Detail, Reply};
use route::{Class, Context};

use crate::evaluation::{Evaluation, Outcome};
use crate::restriction::{Argument, Deciding};

/// Hosts of one domain that are looked at; somebody else wrote that list.
const MAX_HOSTS: usize = 100;

pub(crate) fn permit_mx_backup<'a>(evaluation: &'a mut Evaluation<'_>, _: &'a Argument) -> Deciding<'a> {
    Box::pin(async move {
        match is_backup_for_recipient(evaluation).await {
            Ok(true) => Outcome::Permit,
            Ok(false) => Outcome::Dunno,
            Err(Trouble::Table(why)) => evaluation.lookup_failed(why),
            // Whoever refuses the recipient now may not know that it is ours.
            Err(Trouble::Dns(text)) => {
                let (name, class) = evaluation.subject();
                let text = format!("<{name}>: {class} rejected: {text}");
                evaluation.defer_if_rejected(Reply::new(450, Detail(4, 4), text))
            }
        }
    })
}

enum Trouble {
    Table(String),
    Dns(String),
}

async fn is_backup_for_recipient(evaluation: &Evaluation<'_>) -> Result<bool, Trouble> {
    let access = evaluation.access;
    let Some(recipient) = evaluation.asked.recipient else { return Ok(false) };
    let sender = evaluation.asked.sender.cloned().unwrap_or_else(Address::null);
    let standard = access.routing.rewrite(Context::Local, recipient);
    let resolved = access.routing.resolve(&sender, &standard).await;
    let resolved = resolved.map_err(|failed| Trouble::Table(failed.reason))?;
    if resolved.routed && !access.allow_untrusted_routing {
        return Ok(false);
    }
    if matches!(resolved.class, Class::Local | Class::VirtualAlias | Class::VirtualMailbox) {
        return Ok(true);
    }
    let Some(domain) = resolved.recipient.domain().filter(|domain| !domain.starts_with('[')) else {
        return Ok(false);
    };
    let exchangers = match access.resolver.mx(domain, false).await {
        Ok(Answer { records, .. }) => records,
        Err(Failure::NotFound { .. } | Failure::NoData { .. }) => return Ok(false),
        Err(failure) => {
            let text = format!("Unable to look up mail exchanger information: {}", failure.reason());
            return Err(Trouble::Dns(text));
        }
    };
    let exchangers = &exchangers[..exchangers.len().min(MAX_HOSTS)];
    if !is_one_of(evaluation, exchangers).await? {
        return Ok(false);
    }
    if access.mx_backup_networks.is_empty() {
        return Ok(true);
    }
    best_are_in_networks(evaluation, exchangers).await
}

/// Is one of the exchangers this machine, by name or by address?
async fn is_one_of(evaluation: &Evaluation<'_>, exchangers: &[Mx]) -> Result<bool, Trouble> {
    let access = evaluation.access;
    for mx in exchangers {
        let local = access.routing.is_local_domain(&mx.host).await;
        if local.map_err(|failed| Trouble::Table(failed.reason))? {
            return Ok(true);
        }
    }
    for mx in exchangers {
        let Some(addresses) = addresses(evaluation, mx).await? else { continue };
        if addresses.iter().any(|address| access.own_addresses.contains(address)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// permit_mx_backup_networks: do all hosts that mail goes to first have addresses there?
async fn best_are_in_networks(evaluation: &Evaluation<'_>, exchangers: &[Mx]) -> Result<bool, Trouble> {
    let best = exchangers.iter().map(|mx| mx.preference).min();
    for mx in exchangers.iter().filter(|mx| Some(mx.preference) == best) {
        let Some(addresses) = addresses(evaluation, mx).await? else { return Ok(false) };
        for address in addresses {
            let networks = &evaluation.access.mx_backup_networks;
            let inside = networks.matches_host(&mx.host, Some(address)).await;
            if !inside.map_err(Trouble::Table)? {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// `None`: there are none.
async fn addresses(evaluation: &Evaluation<'_>, mx: &Mx) -> Result<Option<Vec<std::net::IpAddr>>, Trouble> {
    let resolver = &evaluation.access.resolver;
    match resolver.addresses(&mx.host, Family::PreferV4, HostLookup::Native, false).await {
        Ok(answer) => Ok(Some(answer.records)),
        Err(failure) if failure.is_absence() => Ok(None),
        Err(_) => Err(Trouble::Dns("Unable to look up mail exchanger host".to_owned())),
    }
}
