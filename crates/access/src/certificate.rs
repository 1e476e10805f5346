//! Restrictions about the client's TLS certificate: by its fingerprint, by that of its key, or by who signed it (TLS_README,
//! "Server access control").

use std::sync::Arc;

use config::{Settings, params};
use mail::tls_facts::{PeerCertificate, Trust};
use tables::{Flags, Key, Lookup, Maps, Tables};

use crate::evaluation::{Evaluation, Outcome};
use crate::restriction::{Argument, Deciding};
use crate::search;

/// What a table of certificates is searched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SearchKey {
    /// The digest of the certificate.
    CertFingerprint,
    /// The digest of its public key.
    PubkeyFingerprint,
}

impl SearchKey {
    fn of(self, certificate: &PeerCertificate) -> &str {
        match self {
            SearchKey::CertFingerprint => &certificate.fingerprint,
            SearchKey::PubkeyFingerprint => &certificate.pubkey_fingerprint,
        }
    }
}

/// The argument of check_ccert_access: a table, and in what order it is searched.
#[derive(Clone)]
pub(crate) struct CertificateTable {
    maps: Arc<Maps>,
    order: Vec<SearchKey>,
}

impl CertificateTable {
    /// Reads `type:table`, or `{ type:table, { search_order = cert_fingerprint, pubkey_fingerprint } }`. The error is for the log.
    pub(crate) fn read(argument: &str, tables: &Tables) -> Result<CertificateTable, String> {
        let mut order = vec![SearchKey::CertFingerprint, SearchKey::PubkeyFingerprint];
        let mut table = argument;
        if argument.starts_with('{') {
            let inner = config::list::braced(argument)
                .ok_or_else(|| format!("check_ccert_access: missing '}}' in '{argument}'"))?;
            let mut items = config::list::split(inner).into_iter();
            table = items.next().unwrap_or_default();
            for item in items {
                order =
                    search_order(item).map_err(|why| format!("check_ccert_access: {why} in '{argument}'"))?;
            }
        }
        if !table.contains(':') {
            return Err(format!("check_ccert_access requires a type:table argument, not \"{table}\""));
        }
        let maps = Maps::open(tables, "check_ccert_access", table, Flags::default());
        Ok(CertificateTable { maps: Arc::new(maps), order })
    }
}

/// `{ search_order = a, b }`.
fn search_order(item: &str) -> Result<Vec<SearchKey>, String> {
    let wrong = || format!("unexpected text '{item}'");
    let (name, value) = config::list::braced(item).ok_or_else(wrong)?.split_once('=').ok_or_else(wrong)?;
    if name.trim() != "search_order" {
        return Err(format!("unexpected attribute '{}'", name.trim()));
    }
    let order: Vec<_> = config::list::split(value)
        .into_iter()
        .map(|word| match word {
            "cert_fingerprint" => Ok(SearchKey::CertFingerprint),
            "pubkey_fingerprint" => Ok(SearchKey::PubkeyFingerprint),
            // issuer_cn and subject_cn are reserved: anybody can write any name into a certificate.
            other => Err(format!("unexpected action '{other}'")),
        })
        .collect::<Result<_, _>>()?;
    if order.is_empty() { Err("empty search_order".into()) } else { Ok(order) }
}

/// What the restrictions go by, besides the client.
pub(crate) struct Certificates {
    /// `relay_clientcerts`.
    relay: Maps,
    /// Clients are asked for a certificate.
    asked: bool,
    /// The digest is a default that Postfix 3.6 gave up.
    old_digest: bool,
}

impl Certificates {
    pub(crate) fn open(settings: &Settings, tables: &Tables, warnings: &mut Vec<String>) -> Certificates {
        let value = settings.get(params::relay_clientcerts);
        let relay = Maps::open(tables, "relay_clientcerts", value, Flags::default());
        let digest = settings.get(params::smtpd_tls_fingerprint_digest);
        warnings.extend(other_digest(&relay, digest));
        Certificates {
            relay,
            asked: settings.get(params::smtpd_tls_ask_ccert) || settings.get(params::smtpd_tls_req_ccert),
            old_digest: digest == "md5" && !settings.is_set(params::smtpd_tls_fingerprint_digest),
        }
    }
}

/// Fingerprints of another digest never match, and nobody would know why.
fn other_digest(relay: &Maps, digest: &str) -> Option<String> {
    let length = |name: &str| match name.to_ascii_lowercase().as_str() {
        "md5" => Some(16),
        "sha1" => Some(20),
        "sha224" => Some(28),
        "sha256" => Some(32),
        "sha384" => Some(48),
        "sha512" => Some(64),
        _ => None,
    };
    let expected = length(digest)?;
    let is_fingerprint =
        |key: &str| key.split(':').all(|byte| byte.len() == 2 && u8::from_str_radix(byte, 16).is_ok());
    let entries = relay.iter().filter_map(|map| map.entries()?.ok()).flatten();
    let other =
        entries.map(|(key, _)| key).find(|key| is_fingerprint(key) && key.split(':').count() != expected)?;
    let bytes = other.split(':').count();
    let named = ["md5", "sha1", "sha224", "sha256", "sha384", "sha512"]
        .into_iter()
        .find(|name| length(name) == Some(bytes));
    Some(format!(
        "relay_clientcerts: \"{other:.60}\" has {bytes} bytes{} and can not match: smtpd_tls_fingerprint_digest = {digest} \
         gives {expected}",
        named.map(|name| format!(", as {name} gives,")).unwrap_or_default()
    ))
}

pub(crate) fn permit_tls_all_clientcerts<'a>(
    evaluation: &'a mut Evaluation<'_>,
    _: &'a Argument,
) -> Deciding<'a> {
    Box::pin(async move {
        match &evaluation.asked.client.tls {
            Some(tls) if tls.trust >= Trust::Trusted => Outcome::Permit,
            _ => permit_listed(evaluation, "permit_tls_all_clientcerts").await,
        }
    })
}

pub(crate) fn permit_tls_clientcerts<'a>(
    evaluation: &'a mut Evaluation<'_>,
    _: &'a Argument,
) -> Deciding<'a> {
    Box::pin(permit_listed(evaluation, "permit_tls_clientcerts"))
}

/// By fingerprint in relay_clientcerts; who signed the certificate does not matter.
async fn permit_listed(evaluation: &mut Evaluation<'_>, restriction: &str) -> Outcome {
    let Some(tls) = &evaluation.asked.client.tls else { return Outcome::Dunno };
    let certificates = &evaluation.access.certificates;
    let Some(peer) = &tls.peer else {
        if !certificates.asked {
            evaluation.warn(format!("{restriction} is requested, but \"smtpd_tls_ask_ccert = no\""));
        }
        return Outcome::Dunno;
    };
    tell_old_digest(evaluation);
    for key in [SearchKey::PubkeyFingerprint, SearchKey::CertFingerprint] {
        match certificates.relay.find(key.of(peer), Key::Full).await {
            Lookup::Found(_) => return Outcome::Permit,
            Lookup::Absent => {}
            Lookup::Failed(why) => return evaluation.lookup_failed(why),
        }
    }
    Outcome::Dunno
}

pub(crate) fn check_ccert_access<'a>(
    evaluation: &'a mut Evaluation<'_>,
    argument: &'a Argument,
) -> Deciding<'a> {
    Box::pin(async move {
        let Argument::Certificates(CertificateTable { maps, order }) = argument else {
            return Outcome::Dunno;
        };
        let peer = evaluation.asked.client.tls.as_ref().and_then(|tls| tls.peer.as_ref());
        let Some(peer) = peer else { return Outcome::Dunno };
        tell_old_digest(evaluation);
        for key in order {
            let found = maps.find(key.of(peer), Key::Full).await.into_result();
            let subject = (peer.subject_cn.clone(), "Client certificate");
            match search::apply(evaluation, maps, found, subject).await {
                Outcome::Dunno => {}
                outcome => return outcome,
            }
        }
        Outcome::Dunno
    })
}

fn tell_old_digest(evaluation: &mut Evaluation<'_>) {
    if evaluation.access.certificates.old_digest {
        evaluation.inform(
            "using backwards-compatible default setting smtpd_tls_fingerprint_digest=md5 to compute certificate \
             fingerprints"
                .into(),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_the_table_is_searched() {
        use SearchKey::*;
        for (argument, expected) in [
            ("inline:{a=b}", Ok(vec![CertFingerprint, PubkeyFingerprint])),
            ("{ inline:{a=b} }", Ok(vec![CertFingerprint, PubkeyFingerprint])),
            ("{ inline:{a=b}, { search_order = pubkey_fingerprint } }", Ok(vec![PubkeyFingerprint])),
            (
                "{ inline:{a=b}, { search_order = pubkey_fingerprint, cert_fingerprint } }",
                Ok(vec![PubkeyFingerprint, CertFingerprint]),
            ),
            (
                "{ inline:{a=b}, { search_order = subject_cn } }",
                Err("unexpected action 'subject_cn' in '{ inline"),
            ),
            ("{ inline:{a=b}, { order = cert_fingerprint } }", Err("unexpected attribute 'order'")),
            ("{ inline:{a=b}, { search_order = } }", Err("empty search_order")),
            ("{ inline:{a=b}, x }", Err("unexpected text 'x'")),
            ("{ nothing }", Err("requires a type:table argument")),
            ("nothing", Err("requires a type:table argument")),
        ] {
            match (CertificateTable::read(argument, &Tables::silent()), expected) {
                (Ok(table), Ok(order)) => assert_eq!(table.order, order, "{argument}"),
                (Err(why), Err(part)) => assert!(why.contains(part), "{argument}: {why}"),
                (result, _) => panic!("{argument}: {:?}", result.err()),
            }
        }
    }

    #[test]
    fn fingerprints_of_another_digest_are_noticed() {
        let md5 = "D7:04:2F:A7:0B:8C:A5:21:FA:31:77:E1:41:8A:EE:80";
        for (key, digest, warns) in [(md5, "sha256", true), (md5, "md5", false), ("user", "sha256", false)] {
            let value = format!("inline:{{ {{ {key} = x }} }}");
            let maps = Maps::open(&Tables::silent(), "relay_clientcerts", &value, Flags::default());
            let warning = other_digest(&maps, digest);
            assert_eq!(warning.is_some(), warns, "{key} {digest}");
            assert!(warning.is_none_or(|text| text.contains("16 bytes, as md5 gives, and can not match")));
        }
    }
}
