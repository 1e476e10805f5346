//! The one decision about outgoing TLS (postconf(5), smtp_tls_security_level): what was wished, what is known of a server before it is
//! connected to, what the message needs; and out of that what is done. Nothing outside this folder changes a level.
//!
//! - `wish.rs`, `destination.rs`, `tlsa.rs`: the wish, the tables that change it, and which TLSA records count.
//! - `plan.rs`: what was decided, and the proof that a connection fits it.

mod destination;
mod plan;
mod tlsa;
mod wish;

pub use destination::parse as destination_policy;
pub use plan::{Admitted, Offer, Plan, StsPlan, TlsaSet, Way};
pub use tlsa::{Digests, TlsaRecord};
pub(crate) use tlsa::{END_ENTITY, TRUST_ANCHOR};
pub use wish::{InsecureMx, Sts, Terms, Wish, per_site};

use std::sync::Arc;

use mail::Status;

use crate::level::ClientLevel;
use crate::sts;

/// What is known of one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The domain that mail is for, without brackets and port; `myhostname` for UNIX-domain sockets.
    pub next_hop: String,
    /// The name of the server.
    pub host: String,
    /// How the server was found.
    pub mx: Mx,
    /// What the DNS says of its keys; [`Tlsa::NotAsked`] below level dane.
    pub tlsa: Tlsa,
    /// The policy that the domain publishes for MTA-STS, where `smtp_tls_mta_sts` asks for it.
    pub sts: Option<Arc<sts::Policy>>,
}

/// How a server was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mx {
    /// The next hop is the server.
    None,
    /// It is a mail exchanger.
    Found {
        /// The answer was vouched for.
        secure: bool,
        /// The name that has the MX records, when it is not the next hop but what a CNAME there leads to.
        name: String,
    },
}

/// What is known of a server's TLSA records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tlsa {
    /// Nobody wanted to know.
    NotAsked,
    /// The settings do not allow DANE; says which and what to do.
    Impossible(String),
    /// They could not be asked for: nothing is known. Names what was asked for.
    Failed(String),
    /// It is certain that there are none that were vouched for.
    Absent,
    /// There are some, and the answer was vouched for.
    Found {
        /// The TLSA base domain (RFC 7672 section 2.2.3).
        base: String,
        /// All of them, also the unusable ones.
        records: Vec<TlsaRecord>,
    },
}

/// What the message wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// REQUIRETLS (RFC 8689), and how far it is enforced here.
    pub require_tls: RequireTls,
    /// `TLS-Required: no` (RFC 8689 section 5): it shall rather go without authentication than not at all.
    pub tls_optional: bool,
}

/// What a request for REQUIRETLS means at a destination (postconf(5), smtp_requiretls_policy), weak to strong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RequireTls {
    /// It was not requested, or does not count.
    #[default]
    No,
    /// The server is asked for it, where it knows it; the level is not changed.
    Opportunistic,
    /// As before, but never in the clear.
    OpportunisticStartTls,
    /// An authenticated server that promises the same, or no delivery.
    Enforce,
}

/// Why mail can not go. Each is a deferral; the text is Postfix's where it has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unmet {
    /// 4.7.4: TLS is required, but was not offered.
    NotOffered,
    /// 4.7.5: smtp_tls_wrappermode needs level encrypt or stronger.
    WrapperNeedsEncrypt,
    /// 4.7.5: the certificate does not satisfy the level.
    NotVerified,
    /// 4.7.5: DANE was asked for, and there is no ground for it.
    Dane(String),
    /// 4.7.5: the mail exchanger is none of those that MTA-STS allows.
    Sts(String),
    /// 5.7.10 after the last server: REQUIRETLS is to be enforced, and the level authenticates nobody.
    RequireTls(ClientLevel),
    /// 4.7.10: it can not be found out what REQUIRETLS means here; says why.
    RequireTlsPolicy(String),
    /// 4.7.5: a setting is wrong; says which.
    Configuration(String),
}

impl Unmet {
    /// The enhanced status.
    pub fn status(&self) -> Status {
        match self {
            Unmet::NotOffered => Status::new(4, 7, 4),
            Unmet::RequireTls(_) | Unmet::RequireTlsPolicy(_) => Status::new(4, 7, 10),
            _ => Status::new(4, 7, 5),
        }
    }

    /// What the delivery line says. `peer` is `HOST[ADDR]`.
    pub fn text(&self, peer: &str) -> String {
        match self {
            Unmet::NotOffered => format!("TLS is required, but was not offered by host {peer}"),
            Unmet::NotVerified => "Server certificate not verified".into(),
            Unmet::Dane(why) | Unmet::Sts(why) => why.clone(),
            Unmet::RequireTls(level) => format!(
                "Sender requested REQUIRETLS, but my configured TLS security level '{}' does not authenticate servers",
                level.name()
            ),
            Unmet::RequireTlsPolicy(_) => {
                "Sender requested REQUIRETLS, but my REQUIRETLS policy has an error".into()
            }
            Unmet::WrapperNeedsEncrypt | Unmet::Configuration(_) => "client TLS configuration problem".into(),
        }
    }

    /// What the log says besides, for those who can change it.
    pub fn warning(&self) -> Option<&str> {
        match self {
            Unmet::WrapperNeedsEncrypt => {
                Some("smtp_tls_wrappermode requires \"smtp_tls_security_level = encrypt\" (or stronger)")
            }
            Unmet::Configuration(why) | Unmet::RequireTlsPolicy(why) => Some(why),
            _ => None,
        }
    }
}

/// How [`Unmet::Dane`] begins when the records can not be asked for, or are bogus.
pub const TLSA_LOOKUP_ERROR: &str = "TLSA lookup error for";
/// [`Unmet::Dane`] when there are records and none is of use.
pub const TLSA_UNUSABLE: &str = "TLSA records unusable";

impl Needs {
    /// Does the message ask for less than the destination's policy? Who wants both is taken at the stronger word (RFC 8689 section 5).
    pub fn is_relaxed(&self) -> bool {
        self.tls_optional && self.require_tls == RequireTls::No
    }
}

/// The decision. It looks nothing up.
pub fn decide(wish: &Wish, facts: &Facts, needs: Needs) -> Result<Plan, Unmet> {
    let relaxed = needs.is_relaxed();
    let (level, tlsa) = match wish.level {
        level if relaxed => {
            let least = if wish.wrapper { ClientLevel::Encrypt } else { ClientLevel::May };
            (level.min(least), None)
        }
        level if level.is_dane() => dane(wish, facts)?,
        level => (level, None),
    };
    let level = match needs.require_tls {
        RequireTls::OpportunisticStartTls => level.max(ClientLevel::Encrypt),
        _ => level,
    };
    if wish.wrapper && !level.is_mandatory() {
        return Err(Unmet::WrapperNeedsEncrypt);
    }
    let mut sts = None;
    if !relaxed {
        allowed_by_plugin(wish, facts)?;
        sts = mta_sts(wish, facts, level)?;
    }
    // What was proved without DNSSEC for the way there is less than what the domain asks for.
    let (level, tlsa) = match sts {
        Some(StsPlan::Enforced) => (ClientLevel::Secure, None),
        _ => (level, tlsa),
    };
    // Half of DANE does not say that this is the domain's server (RFC 8689 section 4.2.1).
    let authenticates = level.must_authenticate() && level != ClientLevel::HalfDane;
    if needs.require_tls == RequireTls::Enforce && !authenticates {
        return Err(Unmet::RequireTls(level));
    }
    let names = match (level, &tlsa) {
        _ if sts == Some(StsPlan::Enforced) => vec![facts.host.clone()],
        (ClientLevel::Verify | ClientLevel::Secure, _) => names(&wish.names, facts),
        (_, Some(_)) => names_beside_tlsa(facts),
        _ => Vec::new(),
    };
    let fingerprints = if level == ClientLevel::Fingerprint { wish.fingerprints.clone() } else { Vec::new() };
    match level {
        ClientLevel::Fingerprint if fingerprints.is_empty() => {
            return Err(Unmet::Configuration(format!(
                "{}: level fingerprint has no fingerprints to match: set smtp_tls_fingerprint_cert_match, or match= in the policy",
                facts.next_hop
            )));
        }
        ClientLevel::Verify | ClientLevel::Secure if names.is_empty() => {
            return Err(Unmet::Configuration(format!(
                "{}: level {} has no name to match: set smtp_tls_{}_cert_match, or match= in the policy",
                facts.next_hop,
                level.name(),
                level.name()
            )));
        }
        _ => {}
    }
    let server_name = match &tlsa {
        // The base domain is sent, whatever else is configured (RFC 7672 section 8.1).
        Some(tlsa) => Some(tlsa.base.clone()),
        // RFC 8461 section 4.1: the name that is to be verified is sent.
        None => server_name(wish, facts, level)?
            .or_else(|| (sts.is_some() && is_hostname(&facts.host)).then(|| facts.host.clone())),
    };
    Ok(Plan {
        wished: wish.level,
        level,
        names,
        fingerprints,
        tlsa,
        server_name,
        terms: if level.is_mandatory() { wish.mandatory.clone() } else { wish.opportunistic.clone() },
        anchors: match level {
            ClientLevel::Verify | ClientLevel::Secure if sts.is_none() => wish.anchors.clone(),
            _ => Vec::new(),
        },
        sts,
        require_tls: needs.require_tls,
        wrapper: wish.wrapper,
        reuse: wish.reuse,
    })
}

/// RFC 7672 section 2.2: what the DNS knows decides between authentication, encryption and opportunistic TLS.
fn dane(wish: &Wish, facts: &Facts) -> Result<(ClientLevel, Option<TlsaSet>), Unmet> {
    let only = wish.level == ClientLevel::DaneOnly;
    let instead = |level, why: &str| match only {
        true => Err(Unmet::Dane(why.to_owned())),
        false => Ok((level, None)),
    };
    let insecure = matches!(facts.mx, Mx::Found { secure: false, .. });
    let (base, records) = match &facts.tlsa {
        Tlsa::Impossible(why) => {
            return Err(Unmet::Configuration(format!("{}: {} {why}", facts.next_hop, wish.level.name())));
        }
        _ if insecure && (only || wish.insecure_mx == InsecureMx::May) => {
            return instead(ClientLevel::May, "non DNSSEC destination");
        }
        Tlsa::NotAsked => return Err(Unmet::Dane("TLSA records were not asked for".into())),
        Tlsa::Failed(name) => return Err(Unmet::Dane(format!("{TLSA_LOOKUP_ERROR} {name}"))),
        Tlsa::Absent => return instead(ClientLevel::May, "no TLSA records found"),
        Tlsa::Found { base, records } => (base, records),
    };
    let usable = wish.digests.usable(records);
    if usable.is_empty() {
        return instead(ClientLevel::Encrypt, TLSA_UNUSABLE);
    }
    let tlsa = TlsaSet { base: base.clone(), records: usable };
    Ok(match (insecure, wish.insecure_mx) {
        (true, InsecureMx::Encrypt) => (ClientLevel::Encrypt, None),
        (true, _) => (ClientLevel::HalfDane, Some(tlsa)),
        (false, _) => (wish.level, Some(tlsa)),
    })
}

/// RFC 7672 section 3.2.2: beside the base domain a certificate may be for the next hop, under both its names.
fn names_beside_tlsa(facts: &Facts) -> Vec<String> {
    let Mx::Found { name, .. } = &facts.mx else { return Vec::new() };
    let mut names = vec![in_ascii(&facts.next_hop)];
    if !name.eq_ignore_ascii_case(&facts.next_hop) {
        names.push(in_ascii(name));
    }
    names
}

/// A name as certificates have it: in A-labels (RFC 5280 section 7.2, RFC 5890). What has no such form stays, and matches nothing.
fn in_ascii(name: &str) -> String {
    let (dot, bare) = match name.strip_prefix('.') {
        Some(bare) => (".", bare),
        None => ("", name),
    };
    match name.is_ascii() {
        true => name.to_owned(),
        false => {
            idna::domain_to_ascii(bare).map_or_else(|_| name.to_owned(), |ascii| format!("{dot}{ascii}"))
        }
    }
}

/// The words of a match list as names. An address has no sub-domains.
fn names(patterns: &[String], facts: &Facts) -> Vec<String> {
    let is_address = facts.next_hop.parse::<std::net::IpAddr>().is_ok();
    let mut found: Vec<String> = Vec::new();
    for pattern in patterns {
        let name = match pattern.to_ascii_lowercase().as_str() {
            "hostname" => facts.host.clone(),
            "nexthop" => facts.next_hop.clone(),
            "dot-nexthop" if is_address => continue,
            "dot-nexthop" => format!(".{}", facts.next_hop),
            _ => pattern.clone(),
        };
        let name = in_ascii(&name);
        if !found.contains(&name) {
            found.push(name);
        }
    }
    found
}

/// smtp_tls_servername. An address is no name for SNI (RFC 6066 section 3).
fn server_name(wish: &Wish, facts: &Facts, level: ClientLevel) -> Result<Option<String>, Unmet> {
    let Some(word) = wish.server_name.as_deref().filter(|_| level != ClientLevel::None) else {
        return Ok(None);
    };
    let name = match word.to_ascii_lowercase().as_str() {
        "hostname" => &facts.host,
        "nexthop" => &facts.next_hop,
        _ => word,
    };
    if name.parse::<std::net::IpAddr>().is_ok() && name != word {
        return Ok(None);
    }
    let name = in_ascii(name);
    match is_hostname(&name) {
        true => Ok(Some(name)),
        false => Err(Unmet::Configuration(format!(
            "\"smtp_tls_servername = {word}\" specifies an invalid hostname"
        ))),
    }
}

/// Letters, digits, hyphens and underscores between dots; 63 to a label, 253 in all; no address.
pub(crate) fn is_hostname(name: &str) -> bool {
    let fits = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    name.len() <= 253 && name.split('.').all(fits) && name.parse::<std::net::IpAddr>().is_err()
}

/// A plugin's policy (RFC 8461 section 4.1): a mail exchanger must match a pattern.
fn allowed_by_plugin(wish: &Wish, facts: &Facts) -> Result<(), Unmet> {
    let Some(sts) = wish.sts.as_ref().filter(|sts| sts.enforced && !sts.mx_host_patterns.is_empty()) else {
        return Ok(());
    };
    match sts.mx_host_patterns.iter().any(|pattern| sts::matches(pattern, &facts.host)) {
        true => Ok(()),
        false => Err(not_among(facts, if sts.domain.is_empty() { &facts.next_hop } else { &sts.domain })),
    }
}

/// What the domain's own policy adds. DANE goes before it (RFC 8461 section 2), and so does what the administrator has said about whom
/// to trust at this destination: a level that authenticates by itself, TLS switched off, or a plugin's word.
fn mta_sts(wish: &Wish, facts: &Facts, level: ClientLevel) -> Result<Option<StsPlan>, Unmet> {
    let settled = match level {
        ClientLevel::May | ClientLevel::Encrypt | ClientLevel::HalfDane => wish.sts.is_some(),
        _ => true,
    };
    let Some(policy) = facts.sts.as_ref().filter(|_| !settled) else { return Ok(None) };
    let allowed = policy.allows(&facts.host);
    match policy.mode {
        sts::Mode::None => Ok(None),
        sts::Mode::Enforce if allowed => Ok(Some(StsPlan::Enforced)),
        sts::Mode::Enforce => Err(not_among(facts, &facts.next_hop)),
        // The records that half of DANE goes by leave no room for a rehearsal.
        sts::Mode::Testing if level == ClientLevel::HalfDane => Ok(None),
        sts::Mode::Testing => Ok(Some(StsPlan::Testing { host: facts.host.clone(), allowed })),
    }
}

fn not_among(facts: &Facts, domain: &str) -> Unmet {
    Unmet::Sts(format!("MX name '{}' does not match STS MX pattern for '{domain}'", facts.host))
}

#[cfg(test)]
mod tests;
