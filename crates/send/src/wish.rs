//! What is asked of TLS for a destination: the service's level, or what smtp_tls_policy_maps says about it. Everything is gathered
//! before a connection is made; `tls::policy` decides.

use config::{list, params};
use mail::{Outcome, Status};
use tables::{Key, Lookup};
use tls::level::ClientLevel;
use tls::policy::Wish;

use crate::next_hop::NextHop;
use crate::service::Service;

/// The wish for a destination, without what depends on the server (the names of `hostname`).
pub(crate) struct Policy {
    level: ClientLevel,
    /// `match=` of the policy, else the parameter of the level.
    matching: Vec<String>,
    server_name: Option<String>,
}

impl Policy {
    /// Looks the destination up. An error defers it: a policy that is not understood is never ignored.
    pub(crate) async fn find(service: &Service, next_hop_text: &str) -> Result<Policy, Outcome> {
        let Some(maps) = &service.policy_maps else { return Ok(Policy::of_level(service, service.level)) };
        for (index, key) in keys(next_hop_text).into_iter().enumerate() {
            let kind = if index == 0 { Key::Full } else { Key::Partial };
            match maps.find(&key, kind).await {
                Lookup::Found(value) => {
                    return Policy::parse(service, &value).map_err(|why| {
                        maillog::warning!(service.log, "smtp_tls_policy_maps: {key}: {why}");
                        refused()
                    });
                }
                Lookup::Absent => {}
                Lookup::Failed(why) => {
                    maillog::warning!(service.log, "smtp_tls_policy_maps: {key}: {why}");
                    return Err(refused());
                }
            }
        }
        Ok(Policy::of_level(service, service.level))
    }

    fn of_level(service: &Service, level: ClientLevel) -> Policy {
        let matching = match level {
            ClientLevel::Verify => list::split(service.settings.client(params::smtp_tls_verify_cert_match)),
            ClientLevel::Secure => list::split(service.settings.client(params::smtp_tls_secure_cert_match)),
            ClientLevel::Fingerprint => {
                list::split(service.settings.client(params::smtp_tls_fingerprint_cert_match))
            }
            _ => Vec::new(),
        };
        let server_name = service.settings.client(params::smtp_tls_servername);
        Policy {
            level,
            matching: matching.into_iter().map(str::to_owned).collect(),
            server_name: (!server_name.is_empty()).then(|| server_name.to_owned()),
        }
    }

    /// `level attribute=value ...`. Attributes that are not built yet are errors, since dropping one could weaken the rest.
    fn parse(service: &Service, text: &str) -> Result<Policy, String> {
        let words = list::split(text);
        let Some((first, attributes)) = words.split_first() else { return Err("empty policy".into()) };
        let level =
            ClientLevel::from_name(first).ok_or_else(|| format!("invalid security level \"{first}\""))?;
        let mut policy = Policy::of_level(service, level);
        let mut matched = Vec::new();
        for attribute in attributes {
            let (name, value) = attribute
                .split_once('=')
                .ok_or_else(|| format!("malformed attribute/value pair \"{attribute}\""))?;
            match (name, level) {
                ("match", ClientLevel::Verify | ClientLevel::Secure) => {
                    matched.extend(value.split(':').map(str::to_owned))
                }
                ("match", ClientLevel::Fingerprint) => matched.extend(value.split('|').map(str::to_owned)),
                ("servername", _) => policy.server_name = Some(value.to_owned()),
                _ => return Err(format!("attribute \"{name}\" is not supported at level {}", level.name())),
            }
        }
        if !matched.is_empty() {
            policy.matching = matched;
        }
        Ok(policy)
    }

    /// The wish for one server.
    pub(crate) fn wish(&self, service: &Service, next_hop: &NextHop, host: &str) -> Wish {
        let domain = next_hop.domain().unwrap_or(&service.hostname);
        let word = |text: &String| match text.as_str() {
            "hostname" => host.to_owned(),
            "nexthop" => domain.to_owned(),
            "dot-nexthop" => format!(".{domain}"),
            other => other.to_owned(),
        };
        let words: Vec<String> = self.matching.iter().map(word).collect();
        let (names, fingerprints) = match self.level {
            ClientLevel::Fingerprint => (Vec::new(), words),
            _ => (words, Vec::new()),
        };
        Wish {
            level: self.level,
            names,
            fingerprints,
            wrapper: service.wrapper,
            server_name: self.server_name.as_ref().map(word),
        }
    }
}

/// The whole next hop as it is written; for a plain domain its parents with a leading dot as well.
fn keys(next_hop: &str) -> Vec<String> {
    let next_hop = next_hop.to_ascii_lowercase();
    let plain = !next_hop.contains(['[', ':']) && next_hop.parse::<std::net::IpAddr>().is_err();
    let mut keys = vec![next_hop.clone()];
    if plain {
        let parents =
            next_hop.char_indices().filter(|(_, c)| *c == '.').map(|(at, _)| next_hop[at..].to_owned());
        keys.extend(parents);
    }
    keys
}

fn refused() -> Outcome {
    Outcome::deferred(Status::new(4, 7, 5), "none", "client TLS configuration problem")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_are_looked_up_for_plain_domains_only() {
        assert_eq!(keys("Mail.Example.com"), ["mail.example.com", ".example.com", ".com"]);
        assert_eq!(keys("[mx.example.com]:587"), ["[mx.example.com]:587"]);
        assert_eq!(keys("192.0.2.1"), ["192.0.2.1"]);
    }
}
