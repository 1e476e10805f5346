//! What is asked of TLS for a destination: main.cf's level, or what smtp_tls_policy_maps or smtp_tls_per_site say about it; and what the
//! DNS knows of a server. Everything is gathered before a connection is made; `tls::policy` decides.

use config::params;
use dns::Failure;
use tables::{Key, Lookup, Maps};
use tls::ClientLevel;
use tls::policy::{self, Facts, Mx, Needs, Plan, Tlsa, TlsaRecord, Unmet, Wish};

use crate::mta_sts::Finding;
use crate::next_hop::NextHop;
use crate::servers::{self, Server};
use crate::service::{DnsSupport, Service};

/// What is wished for a destination, before its servers are known.
pub(crate) struct Policy {
    wish: Result<Wish, Unmet>,
    /// The value of smtp_tls_per_site for the next hop; one for the server may follow.
    per_site: Option<Option<String>>,
    next_hop: String,
    needs: Needs,
    /// A table of smtp_tls_policy_maps names the destination.
    by_table: bool,
    /// What the domain publishes for MTA-STS.
    pub(crate) sts: Finding,
}

impl Policy {
    /// Looks the destination up. A policy that is not understood is never ignored: it stands for all servers.
    pub(crate) async fn find(
        service: &Service,
        next_hop_text: &str,
        next_hop: &NextHop,
        needs: Needs,
        log: &maillog::Log,
    ) -> Policy {
        // Who does not insist on TLS does not insist on what others say of it (RFC 8689 section 5).
        let mut policy = Policy { needs, ..Policy::plain(service, next_hop_text) };
        if needs.is_relaxed() {
            return policy;
        }
        if let Some(maps) = &service.policy_maps
            && let Some(wish) = from_maps(service, maps, next_hop_text).await.transpose()
        {
            (policy.wish, policy.by_table) = (wish, true);
        }
        policy.sts = published(service, next_hop, &policy.wish, log).await;
        if let Some(maps) = &service.per_site {
            match site(maps, next_hop_text, "next-hop destination").await {
                Ok(value) => policy.per_site = Some(value),
                Err(why) => policy.wish = Err(why),
            }
        }
        policy
    }

    /// What the settings say, whatever tables and domains do.
    pub(crate) fn plain(service: &Service, next_hop: &str) -> Policy {
        let wish = Wish::of(&service.settings, service.level).map_err(Unmet::Configuration);
        Policy {
            wish,
            per_site: None,
            next_hop: next_hop.to_ascii_lowercase(),
            needs: Needs::default(),
            by_table: false,
            sts: Finding::default(),
        }
    }

    /// The same with level secure, for who looks at a server whose keys the DNS does not know.
    pub(crate) fn secure_instead(&self, service: &Service) -> Result<Policy, Unmet> {
        let wish = Wish::of(&service.settings, ClientLevel::Secure).map_err(Unmet::Configuration)?;
        Ok(Policy { wish: Ok(wish), needs: self.needs, ..Policy::plain(service, &self.next_hop) })
    }

    /// The level that is wished, and who wishes it: for commands.
    pub(crate) fn level_name(&self) -> Option<&'static str> {
        self.wish.as_ref().ok().map(|wish| wish.level.name())
    }

    /// See [`Policy::level_name`].
    pub(crate) fn source(&self, service: &Service) -> &'static str {
        match (&service.policy_maps, &self.per_site) {
            _ if self.sts.policy.is_some() => "main.cf and MTA-STS",
            (Some(_), _) if self.by_table => "smtp_tls_policy_maps",
            (_, Some(Some(_))) => "smtp_tls_per_site",
            _ => "main.cf",
        }
    }

    /// The message says that TLS need not be (RFC 8689 section 5).
    pub(crate) fn is_relaxed(&self) -> bool {
        self.needs.is_relaxed()
    }

    /// What a plugin for MTA-STS says of the destination.
    pub(crate) fn plugin(&self) -> Option<&policy::Sts> {
        self.wish.as_ref().ok()?.sts.as_ref()
    }

    /// The decision for one server.
    pub(crate) async fn plan(
        &self,
        service: &Service,
        next_hop: &NextHop,
        server: Option<&Server>,
    ) -> Result<Plan, Unmet> {
        let needs = self.needs;
        let host = server.map_or(&service.hostname, |server| &server.host);
        let mut wish = self.wish.clone()?;
        if let (Some(value), Some(maps)) = (&self.per_site, &service.per_site) {
            let other = match self.next_hop.eq_ignore_ascii_case(host) {
                true => None,
                false => site(maps, host, "server hostname").await?,
            };
            let values = value.iter().chain(&other).map(String::as_str);
            let level = policy::per_site(values, service.level)
                .map_err(|why| Unmet::Configuration(format!("{}: {host}: {why}", maps.parameter())))?;
            wish = Wish::of(&service.settings, level).map_err(Unmet::Configuration)?;
        }
        let facts = Facts {
            next_hop: next_hop.ascii_domain().unwrap_or_else(|| service.hostname.clone()),
            host: host.clone(),
            mx: server.map_or(Mx::None, |server| server.mx.clone()),
            tlsa: if wish.level.is_dane() && !needs.tls_optional {
                tlsa(service, server).await
            } else {
                Tlsa::NotAsked
            },
            sts: self.sts.policy.clone(),
        };
        policy::decide(&wish, &facts, needs)
    }
}

/// What a domain publishes for MTA-STS, where it is asked for and could add anything: for domains whose mail exchangers are used, and
/// where no table has said more.
async fn published(
    service: &Service,
    next_hop: &NextHop,
    wish: &Result<Wish, Unmet>,
    log: &maillog::Log,
) -> Finding {
    let opportunistic = |wish: &Wish| {
        wish.sts.is_none()
            && matches!(wish.level, ClientLevel::May | ClientLevel::Encrypt | ClientLevel::Dane)
    };
    match (&service.mta_sts, servers::publisher(service, next_hop), wish) {
        (Some(mta_sts), Some(domain), Ok(wish)) if opportunistic(wish) => {
            mta_sts.find(&service.resolver.unfiltered(), &domain, log).await
        }
        _ => Finding::default(),
    }
}

/// smtp_tls_policy_maps; what they do not name goes by main.cf.
async fn from_maps(service: &Service, maps: &Maps, next_hop: &str) -> Result<Option<Wish>, Unmet> {
    let wrong = |key: &str, why: String| {
        Unmet::Configuration(format!("{}, next-hop destination \"{key}\": {why}", maps.parameter()))
    };
    for (index, key) in keys(next_hop).into_iter().enumerate() {
        let kind = if index == 0 { Key::Full } else { Key::Partial };
        match maps.find(&key, kind).await {
            Lookup::Found(value) => {
                let mut notices = Vec::new();
                let wish = policy::destination_policy(&service.settings, &value, &mut notices);
                for tls::Notice(text) in notices {
                    maillog::warning!(
                        service.log,
                        "{}, next-hop destination \"{key}\": {text}",
                        maps.parameter()
                    );
                }
                return wish.map(Some).map_err(|why| wrong(&key, why));
            }
            Lookup::Absent => {}
            Lookup::Failed(why) => return Err(wrong(&key, why)),
        }
    }
    Ok(None)
}

async fn site(maps: &Maps, name: &str, class: &str) -> Result<Option<String>, Unmet> {
    maps.find(&name.to_ascii_lowercase(), Key::Full)
        .await
        .into_result()
        .map_err(|why| Unmet::Configuration(format!("{}, {class} \"{name}\": {why}", maps.parameter())))
}

/// RFC 7672 section 2.2: the TLSA records of a server, where its addresses were vouched for.
async fn tlsa(service: &Service, server: Option<&Server>) -> Tlsa {
    let settings = &service.settings;
    let Some(server) = server else {
        return Tlsa::Impossible(
            "is not for UNIX-domain sockets: set another level for this destination".into(),
        );
    };
    let by_dns = config::list::split(settings.client(params::smtp_host_lookup)).contains(&"dns");
    if service.dns_support != DnsSupport::Dnssec || !by_dns {
        return Tlsa::Impossible(
            "configured with dnssec lookups disabled: set smtp_dns_support_level = dnssec and smtp_host_lookup = dns".into(),
        );
    }
    if settings.get(params::ignore_mx_lookup_error) {
        return Tlsa::Impossible(
            "configured with MX lookup errors ignored: set ignore_mx_lookup_error = no".into(),
        );
    }
    if !settings.client(params::smtp_dns_resolver_options).is_empty() {
        return Tlsa::Impossible("does not go with smtp_dns_resolver_options: leave it empty".into());
    }
    let forced = settings.client(params::smtp_tls_force_insecure_host_tlsa_lookup);
    if !server.secure && !forced {
        return Tlsa::Absent;
    }
    let port = server.address.port();
    // The name behind an alias first, then the alias itself; the latter alone where nobody vouches for the way.
    let mut bases = vec![server.host.as_str()];
    if server.secure && !server.name.eq_ignore_ascii_case(&server.host) {
        bases.insert(0, &server.name);
    }
    for base in bases {
        let base = base.trim_end_matches('.');
        let name = format!("_{port}._tcp.{base}");
        match service.resolver.tlsa(&name).await {
            Ok(answer) if answer.secure => {
                let records = answer.records.into_iter().map(|record| TlsaRecord {
                    usage: record.usage,
                    selector: record.selector,
                    matching_type: record.matching_type,
                    data: record.data,
                });
                return Tlsa::Found { base: base.to_owned(), records: records.collect() };
            }
            Ok(_) | Err(Failure::NotFound { .. } | Failure::NoData { .. } | Failure::BadName) => {}
            Err(
                failure @ (Failure::TryAgain | Failure::BadReply | Failure::Filtered | Failure::BadFilter),
            ) => {
                if matches!(failure, Failure::Filtered | Failure::BadFilter) {
                    let why = failure.sentence(&name, "TLSA");
                    maillog::warning!(service.log, "DANE TLSA lookup problem: {why}");
                }
                return Tlsa::Failed(format!("{}:{port}", server.host));
            }
        }
    }
    Tlsa::Absent
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
