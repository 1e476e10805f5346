//! Why a server's certificate does not satisfy a plan, in one sentence that an administrator can act on.

use mail::TlsFacts;
use openssl::ssl::SslRef;
use openssl::x509::X509Ref;

use crate::policy::Plan;
use crate::trust::one_line;

/// Most names of a certificate that are told.
const MAX_NAMES: usize = 10;

/// The sentence. `has_anchors`: somebody is trusted at all.
pub(super) fn explain(ssl: &SslRef, plan: &Plan, facts: &TlsFacts, has_anchors: bool) -> String {
    let Some(certificate) = ssl.peer_certificate() else { return "the server showed no certificate".into() };
    let expected = match (plan.tlsa(), plan.fingerprints()) {
        (Some(tlsa), _) => {
            let records: Vec<String> = tlsa.records.iter().take(MAX_NAMES).map(ToString::to_string).collect();
            let beside = match tlsa.records.iter().any(|record| record.usage == crate::policy::TRUST_ANCHOR) {
                true => format!(" with one of the names {}", listed(plan.names().iter().chain([&tlsa.base]))),
                false => String::new(),
            };
            format!("expected by TLSA for {}: {}{beside}", tlsa.base, records.join(", "))
        }
        (None, []) => format!("expected one of the names {}", listed(plan.names())),
        (None, fingerprints) => format!("expected one of the fingerprints {}", listed(fingerprints)),
    };
    let shown = facts.peer.as_ref().map_or_else(String::new, |peer| {
        format!(", fingerprint {}, key fingerprint {}", peer.fingerprint, peer.pubkey_fingerprint)
    });
    let prints = if plan.names().is_empty() { shown } else { String::new() };
    let by_authority = plan.tlsa().is_none() && plan.fingerprints().is_empty();
    let nobody = match by_authority && !has_anchors {
        true => "; no authority is trusted: set smtp_tls_CAfile or smtp_tls_CApath",
        false => "",
    };
    format!("the certificate is {}{prints}; {expected}{nobody}", described(&certificate))
}

fn described(certificate: &X509Ref) -> String {
    let names = alternative_names(certificate);
    format!(
        "{}, issued by {}, valid from {} to {}, for {}",
        one_line(certificate.subject_name()),
        one_line(certificate.issuer_name()),
        certificate.not_before(),
        certificate.not_after(),
        if names.is_empty() { "no alternative name".to_owned() } else { listed(&names) }
    )
}

/// DNS names and addresses.
pub(super) fn alternative_names(certificate: &X509Ref) -> Vec<String> {
    let alternatives = certificate.subject_alt_names();
    alternatives
        .iter()
        .flatten()
        .filter_map(|name| {
            let address = name.ipaddress().and_then(|bytes| match bytes.len() {
                4 => <[u8; 4]>::try_from(bytes).ok().map(|octets| std::net::IpAddr::from(octets).to_string()),
                _ => {
                    <[u8; 16]>::try_from(bytes).ok().map(|octets| std::net::IpAddr::from(octets).to_string())
                }
            });
            name.dnsname().map(str::to_owned).or(address)
        })
        .collect()
}

/// Names come from strangers: control characters become `?`.
fn listed<'a>(names: impl IntoIterator<Item = &'a String>) -> String {
    let names: Vec<&String> = names.into_iter().collect();
    let clean = |name: &&String| {
        name.chars().take(255).map(|c| if c.is_control() { '?' } else { c }).collect::<String>()
    };
    let mut text = names.iter().take(MAX_NAMES).map(clean).collect::<Vec<_>>().join(", ");
    if names.len() > MAX_NAMES {
        text.push_str(&format!(" and {} more", names.len() - MAX_NAMES));
    }
    text
}
