//! Restrictions about the client: its address, names and authentication, and whether TLS is on.

use mail::Detail;

use crate::evaluation::{Evaluation, Outcome};
use crate::restriction::{Argument, Deciding};

fn permit_if(condition: bool) -> Outcome {
    if condition { Outcome::Permit } else { Outcome::Dunno }
}

pub(crate) fn permit_inet_interfaces<'a>(
    evaluation: &'a mut Evaluation<'_>,
    _: &'a Argument,
) -> Deciding<'a> {
    Box::pin(async move {
        let own = &evaluation.access.own_addresses;
        permit_if(
            evaluation.asked.client.address.is_some_and(|address| own.contains(&address.to_canonical())),
        )
    })
}

pub(crate) fn permit_mynetworks<'a>(evaluation: &'a mut Evaluation<'_>, _: &'a Argument) -> Deciding<'a> {
    Box::pin(async move {
        let client = evaluation.asked.client;
        match evaluation.access.mynetworks.matches_host(&client.name, client.address).await {
            Ok(matches) => permit_if(matches),
            Err(why) => evaluation.lookup_failed(why),
        }
    })
}

pub(crate) fn permit_sasl_authenticated<'a>(
    evaluation: &'a mut Evaluation<'_>,
    _: &'a Argument,
) -> Deciding<'a> {
    Box::pin(async move { permit_if(evaluation.asked.client.sasl.is_some()) })
}

pub(crate) fn reject_unauth_pipelining<'a>(
    evaluation: &'a mut Evaluation<'_>,
    _: &'a Argument,
) -> Deciding<'a> {
    Box::pin(async move {
        if !evaluation.asked.pipelined {
            return Outcome::Dunno;
        }
        evaluation.refuse_subject(503, Detail(5, 0), "Improper use of SMTP command pipelining")
    })
}

pub(crate) fn reject_plaintext_session<'a>(
    evaluation: &'a mut Evaluation<'_>,
    _: &'a Argument,
) -> Deciding<'a> {
    Box::pin(async move {
        if evaluation.asked.client.tls.is_some() {
            return Outcome::Dunno;
        }
        let code = evaluation.access.codes.plaintext;
        evaluation.refuse(code, Detail(7, 1), "Session encryption is required".into())
    })
}

pub(crate) fn reject_unknown_client_hostname<'a>(
    evaluation: &'a mut Evaluation<'_>,
    _: &'a Argument,
) -> Deciding<'a> {
    Box::pin(async move {
        let client = evaluation.asked.client;
        if client.name != "unknown" {
            return Outcome::Dunno;
        }
        // A name server that did not answer is not the client's fault.
        let code = if client.name_lookup_failed { 450 } else { evaluation.access.codes.unknown_client };
        let address = client.address.map(|address| address.to_string()).unwrap_or("unknown".into());
        let text = format!("Client host rejected: cannot find your hostname, [{address}]");
        evaluation.refuse(code, Detail(7, 25), text)
    })
}

pub(crate) fn reject_unknown_reverse_client_hostname<'a>(
    evaluation: &'a mut Evaluation<'_>,
    _: &'a Argument,
) -> Deciding<'a> {
    Box::pin(async move {
        let client = evaluation.asked.client;
        if client.reverse_name != "unknown" {
            return Outcome::Dunno;
        }
        let code = if client.name_lookup_failed { 450 } else { evaluation.access.codes.unknown_client };
        let address = client.address.map(|address| address.to_string()).unwrap_or("unknown".into());
        let text = format!("Client host rejected: cannot find your reverse hostname, [{address}]");
        evaluation.refuse(code, Detail(7, 1), text)
    })
}
