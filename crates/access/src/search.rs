//! Restrictions that look something up in a table of access(5), and the order of keys.

use std::net::IpAddr;

use mail::Address;
use route::Context;
use tables::address_search::{self, Order};
use tables::{Key, Lookup, Maps, domain_search};

use crate::evaluation::{Evaluation, Outcome, Subject};
use crate::restriction::{Argument, Deciding};

/// What was found: the key and the table's word, or the reason of a failure.
pub(crate) type Found = Result<Option<String>, String>;

/// A host name and its parents.
pub(crate) async fn find_domain(evaluation: &Evaluation<'_>, maps: &Maps, name: &str) -> Found {
    let name = name.to_lowercase();
    for (at, key) in domain_search::keys(&name, evaluation.access.parent_style).enumerate() {
        let kind = if at == 0 { Key::Full } else { Key::Partial };
        if let Some(value) = maps.find(key, kind).await.into_result()? {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

/// An address and the networks that it is in, by cutting off its last part: `192.0.2.1`, `192.0.2`, `192.0`, `192`.
pub(crate) async fn find_address(maps: &Maps, address: IpAddr) -> Found {
    let text = address.to_canonical().to_string();
    let separator = if text.contains(':') { ':' } else { '.' };
    let mut key = text.as_str();
    let mut kind = Key::Full;
    loop {
        if let Some(value) = maps.find(key, kind).await.into_result()? {
            return Ok(Some(value));
        }
        kind = Key::Partial;
        match key.rfind(separator) {
            Some(end) if end > 0 => key = &key[..end],
            _ => return Ok(None),
        }
    }
}

/// Carries out what was found. Replies are about what the table was asked for, whichever list it stands in.
pub(crate) async fn apply(
    evaluation: &mut Evaluation<'_>,
    maps: &Maps,
    found: Found,
    subject: Subject,
) -> Outcome {
    let asked = subject.0.clone();
    apply_to(evaluation, maps, found, subject, &asked).await
}

/// The same where replies name something else than what was `asked` for.
async fn apply_to(
    evaluation: &mut Evaluation<'_>,
    maps: &Maps,
    found: Found,
    subject: Subject,
    asked: &str,
) -> Outcome {
    let outer = evaluation.replace_subject(Some(subject));
    let outcome = match found {
        Ok(None) => Outcome::Dunno,
        Ok(Some(value)) => {
            let table = maps.iter().next().map(|map| map.spec().to_owned()).unwrap_or_default();
            evaluation.act(&table, asked, &value).await
        }
        Err(why) => evaluation.table_failed(why),
    };
    evaluation.replace_subject(outer);
    outcome
}

fn table(argument: &Argument) -> Option<&Maps> {
    match argument {
        Argument::Table(maps) => Some(maps),
        _ => None,
    }
}

pub(crate) fn check_client_access<'a>(
    evaluation: &'a mut Evaluation<'_>,
    argument: &'a Argument,
) -> Deciding<'a> {
    Box::pin(async move {
        let Some(maps) = table(argument) else { return Outcome::Dunno };
        let client = evaluation.asked.client;
        let mut asked = client.name.clone();
        let mut found = find_domain(evaluation, maps, &client.name).await;
        if found == Ok(None)
            && let Some(address) = client.address
        {
            asked = address.to_string();
            found = find_address(maps, address).await;
        }
        apply_to(evaluation, maps, found, (client.name_address(), "Client host"), &asked).await
    })
}

/// For `local_header_rewrite_clients`: the address is in the table, whatever the table says of it.
pub(crate) fn check_address_map<'a>(
    evaluation: &'a mut Evaluation<'_>,
    argument: &'a Argument,
) -> Deciding<'a> {
    Box::pin(async move {
        let (Some(maps), Some(address)) = (table(argument), evaluation.asked.client.address) else {
            return Outcome::Dunno;
        };
        match maps.find(&address.to_string(), Key::Full).await {
            Lookup::Found(_) => Outcome::Permit,
            Lookup::Absent => Outcome::Dunno,
            Lookup::Failed(why) => evaluation.lookup_failed(why),
        }
    })
}

pub(crate) fn check_reverse_client_hostname_access<'a>(
    evaluation: &'a mut Evaluation<'_>,
    argument: &'a Argument,
) -> Deciding<'a> {
    Box::pin(async move {
        let Some(maps) = table(argument) else { return Outcome::Dunno };
        let client = evaluation.asked.client;
        let mut found = find_domain(evaluation, maps, &client.reverse_name).await;
        if found == Ok(None)
            && let Some(address) = client.address
        {
            found = find_address(maps, address).await;
        }
        let subject = (client.reverse_name.clone(), "Unverified Client host");
        apply(evaluation, maps, found, subject).await
    })
}

pub(crate) fn check_sasl_access<'a>(
    evaluation: &'a mut Evaluation<'_>,
    argument: &'a Argument,
) -> Deciding<'a> {
    Box::pin(async move {
        let (Some(maps), Some(sasl)) = (table(argument), &evaluation.asked.client.sasl) else {
            return Outcome::Dunno;
        };
        let found = maps.find(&sasl.username, Key::Full).await.into_result();
        apply(evaluation, maps, found, (sasl.username.clone(), "SASL login name")).await
    })
}

pub(crate) fn check_helo_access<'a>(
    evaluation: &'a mut Evaluation<'_>,
    argument: &'a Argument,
) -> Deciding<'a> {
    Box::pin(async move {
        let (Some(maps), Some(helo)) = (table(argument), &evaluation.asked.client.helo) else {
            return Outcome::Dunno;
        };
        let found = find_domain(evaluation, maps, helo).await;
        apply(evaluation, maps, found, (helo.clone(), "Helo command")).await
    })
}

pub(crate) fn check_etrn_access<'a>(
    evaluation: &'a mut Evaluation<'_>,
    argument: &'a Argument,
) -> Deciding<'a> {
    Box::pin(async move {
        let (Some(maps), Some(domain)) = (table(argument), evaluation.asked.etrn_domain) else {
            return Outcome::Dunno;
        };
        let found = find_domain(evaluation, maps, domain).await;
        apply(evaluation, maps, found, (domain.to_owned(), "Etrn command")).await
    })
}

pub(crate) fn check_sender_access<'a>(
    evaluation: &'a mut Evaluation<'_>,
    argument: &'a Argument,
) -> Deciding<'a> {
    Box::pin(check_mail_access(evaluation, argument, evaluation_sender, "Sender address"))
}

pub(crate) fn check_recipient_access<'a>(
    evaluation: &'a mut Evaluation<'_>,
    argument: &'a Argument,
) -> Deciding<'a> {
    Box::pin(check_mail_access(evaluation, argument, evaluation_recipient, "Recipient address"))
}

fn evaluation_sender(evaluation: &Evaluation<'_>) -> Option<Address> {
    evaluation.asked.sender.cloned()
}

fn evaluation_recipient(evaluation: &Evaluation<'_>) -> Option<Address> {
    evaluation.asked.recipient.cloned()
}

async fn check_mail_access(
    evaluation: &mut Evaluation<'_>,
    argument: &Argument,
    address: fn(&Evaluation<'_>) -> Option<Address>,
    class: &'static str,
) -> Outcome {
    let (Some(maps), Some(address)) = (table(argument), address(evaluation)) else { return Outcome::Dunno };
    let subject = (address.as_str().to_owned(), class);
    let access = evaluation.access;
    let found = if address.is_null() {
        maps.find(&access.null_key, Key::Full).await.into_result()
    } else {
        let standard = access.routing.rewrite(Context::Local, &address);
        let context = address_search::Context {
            delimiters: access.routing.recipient_delimiter(),
            domain_is_local: false,
        };
        let order = Order::access(access.parent_style);
        address_search::find(maps, &standard, order, context)
            .await
            .map(|found| found.map(|found| found.value))
    };
    apply(evaluation, maps, found, subject).await
}
