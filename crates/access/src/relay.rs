//! Restrictions about relaying: mail for others is taken from nobody who was not permitted before.

use mail::{Address, Detail};
use route::{Class, Context};

use crate::evaluation::{Evaluation, Outcome};
use crate::restriction::{Argument, Deciding};

/// Is the recipient ours or a domain that we relay for? An address that another server may take for a route
/// (`user@elsewhere@here`) is not.
pub(crate) async fn is_authorized(evaluation: &Evaluation<'_>) -> Result<bool, String> {
    let asked = evaluation.asked;
    let Some(recipient) = asked.recipient else { return Ok(true) };
    let routing = &evaluation.access.routing;
    let standard = routing.rewrite(Context::Local, recipient);
    let sender = asked.sender.cloned().unwrap_or_else(Address::null);
    let resolved = routing.resolve(&sender, &standard).await.map_err(|failed| failed.reason)?;
    Ok(resolved.class != Class::Default && (!resolved.routed || evaluation.access.allow_untrusted_routing))
}

pub(crate) fn permit_auth_destination<'a>(
    evaluation: &'a mut Evaluation<'_>,
    _: &'a Argument,
) -> Deciding<'a> {
    Box::pin(async move {
        match is_authorized(evaluation).await {
            Ok(true) => Outcome::Permit,
            Ok(false) => Outcome::Dunno,
            Err(why) => evaluation.lookup_failed(why),
        }
    })
}

pub(crate) fn reject_unauth_destination<'a>(
    evaluation: &'a mut Evaluation<'_>,
    _: &'a Argument,
) -> Deciding<'a> {
    let code = evaluation.access.codes.relay_domains;
    Box::pin(unauthorized(evaluation, code))
}

pub(crate) fn defer_unauth_destination<'a>(
    evaluation: &'a mut Evaluation<'_>,
    _: &'a Argument,
) -> Deciding<'a> {
    let code = evaluation.access.codes.relay_domains;
    // 454 by default: the same refusal, but for now.
    Box::pin(unauthorized(evaluation, 400 + code % 100))
}

async fn unauthorized(evaluation: &mut Evaluation<'_>, code: u16) -> Outcome {
    match is_authorized(evaluation).await {
        Ok(true) => Outcome::Dunno,
        Ok(false) => {
            let recipient = evaluation.asked.recipient.map(Address::as_str).unwrap_or_default();
            evaluation.refuse(code, Detail(7, 1), format!("<{recipient}>: Relay access denied"))
        }
        Err(why) => evaluation.lookup_failed(why),
    }
}
