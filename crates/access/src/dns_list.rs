//! DNS lists (RFC 5782): clients and domains that are blocked or welcome there, and what the blocked ones hear.

use std::net::IpAddr;

use dns::{Family, HostLookup};
use mail::{Address, Detail, Reply};
use tables::{Key, Lookup};

use crate::evaluation::{Evaluation, Outcome, split_status};
use crate::ip_match::IpMatch;
use crate::restriction::{Argument, Deciding};
use crate::{is_hostname, relay};

/// `domain[=d.d.d.d]`, the argument of these restrictions.
#[derive(Clone, Debug)]
pub(crate) struct DnsList {
    /// As it is written, which is also the key in rbl_reply_maps.
    text: String,
    domain: String,
    /// Which answers count; all when there is no filter.
    filter: Option<IpMatch>,
}

/// What is looked up in a list of domains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    Client,
    ReverseClient,
    Helo,
    Sender,
    Recipient,
}

/// What a list says.
enum Said {
    Listed,
    NotListed,
    /// Nobody knows.
    Unknown(String),
}

impl DnsList {
    /// Reads an argument. The error is for the log.
    pub(crate) fn parse(text: &str) -> Result<DnsList, String> {
        let (domain, filter) = match text.split_once('=') {
            None => (text, None),
            Some((domain, pattern)) => {
                let parsed = IpMatch::parse(pattern);
                (domain, Some(parsed.map_err(|why| format!("bad DNS list filter: {why} in \"{text}\""))?))
            }
        };
        if !is_hostname(domain) {
            return Err(format!("bad DNS list domain \"{domain}\" in \"{text}\""));
        }
        Ok(DnsList { text: text.to_owned(), domain: domain.to_owned(), filter })
    }

    async fn ask(&self, evaluation: &mut Evaluation<'_>, query: &str) -> Said {
        let resolver = &evaluation.access.resolver;
        match resolver.addresses(query, Family::V4, HostLookup::Dns, false).await {
            Ok(answer) => {
                let counts = |address: &IpAddr| match (address, &self.filter) {
                    (IpAddr::V4(address), Some(filter)) => filter.matches(*address),
                    (IpAddr::V4(_), None) => true,
                    (IpAddr::V6(_), _) => false,
                };
                if answer.records.iter().any(counts) { Said::Listed } else { Said::NotListed }
            }
            Err(failure) if failure.is_absence() => Said::NotListed,
            Err(failure) => {
                let why = failure.sentence(query, "A");
                evaluation.warn(format!("{query}: RBL lookup error: {why}"));
                Said::Unknown(why)
            }
        }
    }

    /// Refuses in the words of rbl_reply_maps or default_rbl_reply.
    async fn refuse(&self, evaluation: &mut Evaluation<'_>, query: &str, what: &str, class: &str) -> Outcome {
        let access = evaluation.access;
        let reason = match access.resolver.txt(query).await {
            Ok(answer) => answer.records.first().map(|text| String::from_utf8_lossy(text).into_owned()),
            Err(failure) if failure.is_absence() => None,
            Err(failure) => {
                evaluation.warn(format!("{query}: TXT lookup error: {failure}"));
                None
            }
        };
        let reason = reason.unwrap_or_default();
        let template = match access.rbl_reply_maps.find(&self.text, Key::Full).await {
            Lookup::Found(template) => Some(template),
            Lookup::Absent => None,
            Lookup::Failed(why) => {
                // The client is refused in any case; only the words are missing.
                evaluation.warn(format!("rbl_reply_maps: {why}"));
                None
            }
        };
        let template = template.as_deref().unwrap_or(&access.default_rbl_reply);
        let asked = evaluation.asked;
        let scope = |name: &str| {
            let client = asked.client;
            let address = |address: Option<&Address>| address.map(ToString::to_string).unwrap_or_default();
            let value = match name {
                "rbl_code" => access.codes.maps_rbl.to_string(),
                "rbl_domain" => self.domain.clone(),
                "rbl_reason" | "rbl_txt" => reason.clone(),
                "rbl_what" => what.to_owned(),
                "rbl_class" => class.to_owned(),
                "client" => client.name_address(),
                "client_name" => client.name.clone(),
                "client_address" => client.address.map(|address| address.to_string()).unwrap_or_default(),
                "reverse_client_name" => client.reverse_name.clone(),
                "helo_name" => client.helo.clone().unwrap_or_default(),
                "sender" => address(asked.sender),
                "recipient" => address(asked.recipient),
                "server_name" => access.hostname.clone(),
                _ => return None,
            };
            // What others wrote is not expanded again, and does not begin a line of the reply.
            let admitted = |c: char| {
                !c.is_control() && u8::try_from(c).is_ok_and(|byte| access.expansion_filter.contains(&byte))
            };
            let printable: String = value.chars().map(|c| if admitted(c) { c } else { '_' }).collect();
            Some(printable.replace('$', "$$"))
        };
        let text = match config::expand::expand(template, &scope) {
            Ok(text) => text,
            Err(why) => {
                evaluation.warn(format!("{}: bad rbl reply template: {why}", self.text));
                return evaluation.misconfigured("default_rbl_reply, rbl_reply_maps: see the warning above");
            }
        };
        let (code, rest) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
        match code.parse() {
            Ok(code @ 400..=599) => {
                let (status, rest) = split_status(rest.trim_start(), code, Detail(7, 1));
                evaluation.refuse(code, status.detail, rest.to_owned())
            }
            _ => evaluation.misconfigured(&format!("rbl response code configuration error: {text}")),
        }
    }
}

/// `2.0.0.127.list.example` (RFC 5782 sections 2.1 and 2.4).
fn query_of(address: IpAddr, list: &str) -> String {
    let parts: Vec<String> = match address.to_canonical() {
        IpAddr::V4(address) => address.octets().iter().rev().map(u8::to_string).collect(),
        IpAddr::V6(address) => address
            .octets()
            .iter()
            .rev()
            .flat_map(|octet| [format!("{:x}", octet & 15), format!("{:x}", octet >> 4)])
            .collect(),
    };
    format!("{}.{list}", parts.join("."))
}

/// The domain, what replies call it, and its class; `None` when there is nothing to ask about.
fn domain_of(evaluation: &Evaluation<'_>, whose: Whose) -> Option<(String, String, &'static str)> {
    let asked = evaluation.asked;
    let name = |name: &String| (name != "unknown").then(|| (name.clone(), name.clone()));
    let address = |address: Option<&Address>| {
        let address = address?;
        Some((address.domain()?.to_owned(), address.to_string()))
    };
    let ((domain, what), class) = match whose {
        Whose::Client => (name(&asked.client.name)?, "Client host"),
        Whose::ReverseClient => (name(&asked.client.reverse_name)?, "Unverified Client host"),
        Whose::Helo => (name(asked.client.helo.as_ref()?)?, "Helo command"),
        Whose::Sender => (address(asked.sender)?, "Sender address"),
        Whose::Recipient => (address(asked.recipient)?, "Recipient address"),
    };
    // Address literals are for lists of clients.
    is_hostname(&domain).then_some((domain, what, class))
}

fn list(argument: &Argument) -> Option<&DnsList> {
    match argument {
        Argument::DnsList(list) => Some(list),
        _ => None,
    }
}

pub(crate) fn reject_rbl_client<'a>(
    evaluation: &'a mut Evaluation<'_>,
    argument: &'a Argument,
) -> Deciding<'a> {
    Box::pin(async move {
        match list(argument) {
            Some(list) => reject_client(evaluation, list).await,
            None => Outcome::Dunno,
        }
    })
}

/// What reject_rbl_client was before it had an argument: all lists of maps_rbl_domains.
pub(crate) fn reject_maps_rbl<'a>(evaluation: &'a mut Evaluation<'_>, _: &'a Argument) -> Deciding<'a> {
    Box::pin(async move {
        let access = evaluation.access;
        for domain in &access.maps_rbl_domains {
            let outcome = match DnsList::parse(domain) {
                Ok(list) => reject_client(evaluation, &list).await,
                Err(why) => evaluation.misconfigured(&format!("maps_rbl_domains: {why}")),
            };
            if outcome != Outcome::Dunno {
                return outcome;
            }
        }
        Outcome::Dunno
    })
}

async fn reject_client(evaluation: &mut Evaluation<'_>, list: &DnsList) -> Outcome {
    let Some(address) = evaluation.asked.client.address else { return Outcome::Dunno };
    let query = query_of(address, &list.domain);
    match list.ask(evaluation, &query).await {
        Said::Listed => list.refuse(evaluation, &query, &address.to_string(), "Client host").await,
        // A list that does not answer blocks nobody, as in Postfix.
        Said::NotListed | Said::Unknown(_) => Outcome::Dunno,
    }
}

/// reject_rhsbl_client and its relatives.
pub(crate) async fn reject_rhsbl(
    evaluation: &mut Evaluation<'_>,
    argument: &Argument,
    whose: Whose,
) -> Outcome {
    let (Some(list), Some((domain, what, class))) = (list(argument), domain_of(evaluation, whose)) else {
        return Outcome::Dunno;
    };
    let query = format!("{domain}.{}", list.domain);
    match list.ask(evaluation, &query).await {
        Said::Listed => list.refuse(evaluation, &query, &what, class).await,
        Said::NotListed | Said::Unknown(_) => Outcome::Dunno,
    }
}

pub(crate) fn permit_dnswl_client<'a>(
    evaluation: &'a mut Evaluation<'_>,
    argument: &'a Argument,
) -> Deciding<'a> {
    Box::pin(async move {
        let (Some(list), Some(address)) = (list(argument), evaluation.asked.client.address) else {
            return Outcome::Dunno;
        };
        let query = query_of(address, &list.domain);
        permit(evaluation, list, &query).await
    })
}

pub(crate) fn permit_rhswl_client<'a>(
    evaluation: &'a mut Evaluation<'_>,
    argument: &'a Argument,
) -> Deciding<'a> {
    Box::pin(async move {
        let (Some(list), Some((domain, ..))) = (list(argument), domain_of(evaluation, Whose::Client)) else {
            return Outcome::Dunno;
        };
        let query = format!("{domain}.{}", list.domain);
        permit(evaluation, list, &query).await
    })
}

/// To be welcome is not to be allowed to relay: a list of others does not override reject_unauth_destination. One that does not answer
/// turns a later refusal into a temporary one.
async fn permit(evaluation: &mut Evaluation<'_>, list: &DnsList, query: &str) -> Outcome {
    match list.ask(evaluation, query).await {
        Said::NotListed => Outcome::Dunno,
        Said::Listed => match relay::is_authorized(evaluation).await {
            Ok(true) => Outcome::Permit,
            Ok(false) => Outcome::Dunno,
            Err(why) => evaluation.lookup_failed(why),
        },
        Said::Unknown(why) => {
            let (name, class) = evaluation.subject();
            let text = format!("<{name}>: {class} rejected: {why}");
            evaluation.defer_if_rejected(Reply::new(450, Detail(7, 1), text))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries() {
        for (address, expected) in [
            ("127.0.0.2", "2.0.0.127.l.test"),
            ("::ffff:192.0.2.1", "1.2.0.192.l.test"),
            ("2001:db8::1", "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.l.test"),
        ] {
            assert_eq!(query_of(address.parse().unwrap(), "l.test"), expected);
        }
    }

    #[test]
    fn arguments() {
        assert!(DnsList::parse("l.test=127.0.0.[2..11;20]").is_ok());
        for bad in ["", "-l.test", "l.test=127", "127.0.0.1"] {
            assert!(DnsList::parse(bad).is_err(), "{bad}");
        }
    }
}
