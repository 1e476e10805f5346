//! Restrictions about the client: its address, names, authentication and TLS.

use mail::Detail;
use mail::tls_facts::Trust;
use tables::{Key, Lookup};

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

pub(crate) fn permit_tls_all_clientcerts<'a>(
    evaluation: &'a mut Evaluation<'_>,
    _: &'a Argument,
) -> Deciding<'a> {
    Box::pin(async move {
        permit_if(evaluation.asked.client.tls.as_ref().is_some_and(|tls| tls.trust >= Trust::Trusted))
    })
}

/// By fingerprint of certificate or key; who signed it does not matter.
pub(crate) fn permit_tls_clientcerts<'a>(
    evaluation: &'a mut Evaluation<'_>,
    _: &'a Argument,
) -> Deciding<'a> {
    Box::pin(async move {
        let peer = evaluation.asked.client.tls.as_ref().and_then(|tls| tls.peer.as_ref());
        for key in peer.iter().flat_map(|peer| [&peer.fingerprint, &peer.pubkey_fingerprint]) {
            match evaluation.access.relay_clientcerts.find(key, Key::Full).await {
                Lookup::Found(_) => return Outcome::Permit,
                Lookup::Absent => {}
                Lookup::Failed(why) => return evaluation.lookup_failed(why),
            }
        }
        Outcome::Dunno
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
        evaluation.refuse_subject(code, Detail(7, 1), "Session encryption is required")
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
