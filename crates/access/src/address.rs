//! Restrictions about sender and recipient addresses: their form, their domains, and whether we know them.

use dns::{Failure, Family, HostLookup};
use mail::{Address, Detail, Reply};
use route::{Class, Context, Role};

use crate::evaluation::{Evaluation, Outcome};
use crate::hostname::is_fully_qualified;
use crate::restriction::{Argument, Deciding};

/// The address that a restriction is about, as the client gave it.
pub(crate) fn address_of(evaluation: &Evaluation<'_>, role: Role) -> Option<Address> {
    let asked = evaluation.asked;
    match role {
        Role::Sender => asked.sender.cloned(),
        Role::Recipient => asked.recipient.cloned(),
    }
    .filter(|address| !address.is_null())
}

pub(crate) fn rejected(role: Role, address: &Address, why: &str) -> String {
    let class = match role {
        Role::Sender => "Sender",
        Role::Recipient => "Recipient",
    };
    format!("<{}>: {class} address rejected: {why}", address.as_str())
}

// ---- reject_non_fqdn_...

pub(crate) fn reject_non_fqdn_sender<'a>(
    evaluation: &'a mut Evaluation<'_>,
    _: &'a Argument,
) -> Deciding<'a> {
    Box::pin(async move { reject_non_fqdn(evaluation, Role::Sender) })
}

pub(crate) fn reject_non_fqdn_recipient<'a>(
    evaluation: &'a mut Evaluation<'_>,
    _: &'a Argument,
) -> Deciding<'a> {
    Box::pin(async move { reject_non_fqdn(evaluation, Role::Recipient) })
}

fn reject_non_fqdn(evaluation: &mut Evaluation<'_>, role: Role) -> Outcome {
    let Some(address) = address_of(evaluation, role) else { return Outcome::Dunno };
    // RFC 5321 section 4.5.1: postmaster needs no domain.
    if role == Role::Recipient && address.as_str().eq_ignore_ascii_case("postmaster") {
        return Outcome::Dunno;
    }
    let complete = address.domain().is_some_and(|domain| {
        // What ends in a bracket is an address literal, for others to judge.
        domain.starts_with('[') || !domain.is_ascii() || is_fully_qualified(domain)
    });
    if complete {
        return Outcome::Dunno;
    }
    let code = evaluation.access.codes.non_fqdn;
    evaluation.refuse(code, Detail(5, 2), rejected(role, &address, "need fully-qualified address"))
}

// ---- reject_unknown_..._domain

pub(crate) fn reject_unknown_sender_domain<'a>(
    evaluation: &'a mut Evaluation<'_>,
    _: &'a Argument,
) -> Deciding<'a> {
    Box::pin(reject_unknown_domain(evaluation, Role::Sender))
}

pub(crate) fn reject_unknown_recipient_domain<'a>(
    evaluation: &'a mut Evaluation<'_>,
    _: &'a Argument,
) -> Deciding<'a> {
    Box::pin(reject_unknown_domain(evaluation, Role::Recipient))
}

async fn reject_unknown_domain(evaluation: &mut Evaluation<'_>, role: Role) -> Outcome {
    let access = evaluation.access;
    let Some(address) = address_of(evaluation, role) else { return Outcome::Dunno };
    let standard = access.routing.rewrite(Context::Local, &address);
    let Some(domain) = standard.domain() else { return Outcome::Dunno };
    if domain.starts_with('[') {
        return Outcome::Dunno;
    }
    // Our own domains need no DNS.
    match access.routing.classify(domain).await {
        Ok(Class::Default) => {}
        Ok(_) => return Outcome::Dunno,
        Err(failed) => return evaluation.lookup_failed(failed.reason),
    }
    let detail = match role {
        Role::Sender => Detail(1, 8),
        Role::Recipient => Detail(1, 2),
    };
    let mx = match access.resolver.mx(domain, false).await {
        // RFC 7505: the null MX says that there is no mail at all.
        Ok(answer) if answer.records.iter().all(dns::Mx::is_null) => {
            let text = rejected(role, &address, &format!("Domain {domain} does not accept mail (nullMX)"));
            let (code, detail) = match role {
                Role::Sender => (550, Detail(7, 27)),
                Role::Recipient => (556, Detail(1, 10)),
            };
            return evaluation.refuse(code, detail, text);
        }
        Ok(_) => return Outcome::Dunno,
        Err(failure) => failure,
    };
    let host = match mx {
        Failure::Filtered => Err(Failure::Filtered),
        _ => access.resolver.addresses(domain, Family::PreferV4, HostLookup::Dns, false).await,
    };
    let text = rejected(role, &address, "Domain not found");
    match host {
        Ok(_) => Outcome::Dunno,
        // There is something, and it is not to be looked at.
        Err(host @ Failure::Filtered) => {
            evaluation.warn(format!("{domain}: MX or address lookup error: {host}"));
            Outcome::Dunno
        }
        Err(host) if host.is_absence() && mx.is_absence() => {
            evaluation.refuse(access.codes.unknown_address, detail, text)
        }
        Err(_) if access.unknown_address_waits => {
            evaluation.defer_if_permitted(Reply::new(450, detail, text))
        }
        Err(_) => evaluation.refuse(450, detail, text),
    }
}

// ---- reject_multi_recipient_bounce

pub(crate) fn reject_multi_recipient_bounce<'a>(
    evaluation: &'a mut Evaluation<'_>,
    _: &'a Argument,
) -> Deciding<'a> {
    Box::pin(async move {
        let asked = evaluation.asked;
        // At RCPT TO the recipient in question comes on top of those before.
        let recipients = asked.recipient_count + usize::from(matches!(asked.stage, "RCPT" | "VRFY"));
        if recipients < 2 || !asked.sender.is_some_and(Address::is_null) {
            return Outcome::Dunno;
        }
        let code = evaluation.access.codes.multi_recipient_bounce;
        evaluation.refuse_subject(code, Detail(5, 3), "Multi-recipient bounce")
    })
}

// ---- reject_unlisted_...

pub(crate) fn reject_unlisted_sender<'a>(
    evaluation: &'a mut Evaluation<'_>,
    _: &'a Argument,
) -> Deciding<'a> {
    Box::pin(reject_unlisted(evaluation, Role::Sender))
}

pub(crate) fn reject_unlisted_recipient<'a>(
    evaluation: &'a mut Evaluation<'_>,
    _: &'a Argument,
) -> Deciding<'a> {
    Box::pin(async move {
        evaluation.recipient_looked_up |= !evaluation.only_warns();
        reject_unlisted(evaluation, Role::Recipient).await
    })
}

pub(crate) async fn reject_unlisted(evaluation: &mut Evaluation<'_>, role: Role) -> Outcome {
    let routing = &evaluation.access.routing;
    let Some(address) = address_of(evaluation, role) else { return Outcome::Dunno };
    let standard = routing.rewrite(Context::Local, &address);
    // Who writes matters only for what is sent to others.
    let other_end = match role {
        Role::Recipient => evaluation.asked.sender.cloned().unwrap_or_default(),
        Role::Sender => Address::null(),
    };
    match routing.unlisted(role, &other_end, &standard).await {
        Ok(None) => Outcome::Dunno,
        Ok(Some(unlisted)) => {
            let text = rejected(role, &address, &unlisted.text);
            let class = match role {
                Role::Sender => "Sender address",
                Role::Recipient => "Recipient address",
            };
            let detail = evaluation.fitting(class, unlisted.status);
            evaluation.refuse(unlisted.code, detail, text)
        }
        Err(failed) => {
            evaluation.warn(failed.reason);
            let text = format!("<{}>: Temporary lookup failure", address.as_str());
            evaluation.refuse(451, Detail(3, 0), text)
        }
    }
}
