//! Restrictions about who may use which sender address (smtpd_sender_login_maps).

use mail::Detail;
use route::Context;
use tables::address_search::{self, Order};

use crate::evaluation::{Evaluation, Outcome};
use crate::restriction::{Argument, Deciding};

/// What a client that logged in may do with an address that nobody owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unowned {
    Refused,
    Allowed,
}

pub(crate) fn reject_sender_login_mismatch<'a>(
    evaluation: &'a mut Evaluation<'_>,
    _: &'a Argument,
) -> Deciding<'a> {
    Box::pin(async move {
        match evaluation.asked.client.sasl {
            Some(_) => reject_authenticated(evaluation, Unowned::Refused).await,
            None => reject_unauthenticated(evaluation).await,
        }
    })
}

pub(crate) fn reject_known_sender_login_mismatch<'a>(
    evaluation: &'a mut Evaluation<'_>,
    _: &'a Argument,
) -> Deciding<'a> {
    Box::pin(async move {
        match evaluation.asked.client.sasl {
            Some(_) => reject_authenticated(evaluation, Unowned::Allowed).await,
            None => reject_unauthenticated(evaluation).await,
        }
    })
}

pub(crate) fn reject_authenticated_sender_login_mismatch<'a>(
    evaluation: &'a mut Evaluation<'_>,
    _: &'a Argument,
) -> Deciding<'a> {
    Box::pin(reject_authenticated(evaluation, Unowned::Refused))
}

pub(crate) fn reject_unauthenticated_sender_login_mismatch<'a>(
    evaluation: &'a mut Evaluation<'_>,
    _: &'a Argument,
) -> Deciding<'a> {
    Box::pin(reject_unauthenticated(evaluation))
}

async fn reject_authenticated(evaluation: &mut Evaluation<'_>, unowned: Unowned) -> Outcome {
    let Some(sasl) = &evaluation.asked.client.sasl else { return Outcome::Dunno };
    let owners = match owners(evaluation).await {
        Ok(owners) => owners,
        Err(why) => return evaluation.lookup_failed(why),
    };
    let fits = match &owners {
        Owners::NoSender => true,
        Owners::Nobody => unowned == Unowned::Allowed,
        Owners::Users(text) => {
            config::list::split(text).iter().any(|user| user.to_lowercase() == sasl.username.to_lowercase())
        }
    };
    if fits {
        return Outcome::Dunno;
    }
    let text = format!("not owned by user {}", sasl.username);
    refuse(evaluation, &text)
}

async fn reject_unauthenticated(evaluation: &mut Evaluation<'_>) -> Outcome {
    if evaluation.asked.client.sasl.is_some() {
        return Outcome::Dunno;
    }
    match owners(evaluation).await {
        Ok(Owners::Users(_)) => refuse(evaluation, "not logged in"),
        Ok(Owners::NoSender | Owners::Nobody) => Outcome::Dunno,
        Err(why) => evaluation.lookup_failed(why),
    }
}

fn refuse(evaluation: &mut Evaluation<'_>, why: &str) -> Outcome {
    let sender = evaluation.asked.sender.map(ToString::to_string).unwrap_or_default();
    evaluation.refuse(553, Detail(7, 1), format!("<{sender}>: Sender address rejected: {why}"))
}

/// Who may use the sender's address.
enum Owners {
    /// Anybody may send from `<>`.
    NoSender,
    Nobody,
    /// Login names as they stand in the table.
    Users(String),
}

async fn owners(evaluation: &Evaluation<'_>) -> Result<Owners, String> {
    let access = evaluation.access;
    let Some(sender) = evaluation.asked.sender.filter(|sender| !sender.is_null()) else {
        return Ok(Owners::NoSender);
    };
    let standard = access.routing.rewrite(Context::Local, sender);
    let local = match standard.domain() {
        Some(domain) => {
            let class = access.routing.classify(domain).await.map_err(|failed| failed.reason)?;
            class == route::Class::Local
        }
        None => true,
    };
    let context =
        address_search::Context { delimiters: access.routing.recipient_delimiter(), domain_is_local: local };
    let found = address_search::find(&access.login_maps, &standard, Order::DEFAULT, context).await?;
    Ok(found.map_or(Owners::Nobody, |found| Owners::Users(found.value)))
}
