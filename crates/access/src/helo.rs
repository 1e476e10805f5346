//! Restrictions about the name in HELO and EHLO.

use dns::{Failure, Family, HostLookup};
use mail::{Detail, Reply};

use crate::evaluation::{Evaluation, Outcome};
use crate::hostname::{is_fully_qualified, is_hostname};
use crate::restriction::{Argument, Deciding};

/// The name, when there is something to say about it by its letters: `Err` says it.
fn literal_or_name(evaluation: &Evaluation<'_>) -> Option<Result<String, &'static str>> {
    let helo = evaluation.asked.client.helo.clone()?;
    if helo.starts_with('[') {
        let valid = helo.ends_with(']') && dns::address_literal(&helo).is_some();
        return if valid { None } else { Some(Err("invalid ip address")) };
    }
    Some(Ok(helo))
}

fn refuse(evaluation: &mut Evaluation<'_>, code: u16, detail: Detail, text: &str) -> Outcome {
    let helo = evaluation.asked.client.helo.clone().unwrap_or_default();
    evaluation.refuse(code, detail, format!("<{helo}>: Helo command rejected: {text}"))
}

pub(crate) fn reject_invalid_helo_hostname<'a>(
    evaluation: &'a mut Evaluation<'_>,
    _: &'a Argument,
) -> Deciding<'a> {
    Box::pin(async move {
        let code = evaluation.access.codes.invalid_hostname;
        match literal_or_name(evaluation) {
            None => Outcome::Dunno,
            Some(Err(why)) => refuse(evaluation, code, Detail(5, 2), why),
            Some(Ok(name)) if is_hostname(&name) || dns::address_literal(&name).is_some() => Outcome::Dunno,
            Some(Ok(_)) => refuse(evaluation, code, Detail(5, 2), "Invalid name"),
        }
    })
}

pub(crate) fn reject_non_fqdn_helo_hostname<'a>(
    evaluation: &'a mut Evaluation<'_>,
    _: &'a Argument,
) -> Deciding<'a> {
    Box::pin(async move {
        let code = evaluation.access.codes.non_fqdn;
        match literal_or_name(evaluation) {
            None => Outcome::Dunno,
            Some(Err(why)) => refuse(evaluation, evaluation.access.codes.invalid_hostname, Detail(5, 2), why),
            Some(Ok(name)) if is_fully_qualified(&name) => Outcome::Dunno,
            Some(Ok(_)) => refuse(evaluation, code, Detail(5, 2), "need fully-qualified hostname"),
        }
    })
}

/// The name must have an address or a mail exchanger.
pub(crate) fn reject_unknown_helo_hostname<'a>(
    evaluation: &'a mut Evaluation<'_>,
    _: &'a Argument,
) -> Deciding<'a> {
    Box::pin(async move {
        let code = evaluation.access.codes.unknown_hostname;
        let name = match literal_or_name(evaluation) {
            None => return Outcome::Dunno,
            Some(Err(why)) => {
                return refuse(evaluation, evaluation.access.codes.invalid_hostname, Detail(5, 2), why);
            }
            Some(Ok(name)) => name,
        };
        let resolver = &evaluation.access.resolver;
        let failure = match resolver.addresses(&name, Family::PreferV4, HostLookup::Dns, false).await {
            Ok(_) => return Outcome::Dunno,
            Err(failure) => failure,
        };
        let mx = match failure {
            Failure::Filtered => Err(Failure::Filtered),
            _ => resolver.mx(&name, false).await,
        };
        match mx {
            Ok(_) => Outcome::Dunno,
            // There is something, and it is not to be looked at.
            Err(mx @ Failure::Filtered) => {
                evaluation.warn(format!("{name}: address or MX lookup error: {mx}"));
                Outcome::Dunno
            }
            Err(mx) if mx.is_absence() && failure.is_absence() => {
                refuse(evaluation, code, Detail(7, 1), "Host not found")
            }
            Err(_) => {
                let text = format!("<{name}>: Helo command rejected: Host not found");
                match evaluation.access.unknown_helo_waits {
                    true => evaluation.defer_if_permitted(Reply::new(450, Detail(7, 1), text)),
                    false => evaluation.refuse(450, Detail(7, 1), text),
                }
            }
        }
    })
}
