//! check_policy_service (SMTPD_POLICY_README): another program is asked, and answers with an action of access(5).
//!
//! `request.rs` writes the question, `service.rs` keeps connections and reads the answer.

mod request;
mod service;

use crate::evaluation::{Evaluation, Outcome};
use crate::restriction::{Argument, Deciding};

pub(crate) use service::{Defaults, PolicyService};

/// The service is asked; what it can not say, its default action says.
pub(crate) fn check_policy_service<'a>(
    evaluation: &'a mut Evaluation<'_>,
    argument: &'a Argument,
) -> Deciding<'a> {
    Box::pin(async move {
        let Argument::Policy(service) = argument else { return Outcome::Dunno };
        let request = request::write(evaluation, service.context());
        let name = service.to_string();
        let (answer, troubles) = service.ask(&request).await;
        for trouble in troubles {
            evaluation.warn(trouble);
        }
        let action = answer.as_deref().unwrap_or(service.default_action());
        // The action is about what the list is about, not about a table's key.
        evaluation.act(&name, "", action).await
    })
}
