//! What the administrator wishes for a destination: main.cf, or what a table says of it (smtp_tls_policy_maps, smtp_tls_per_site).

use config::{Settings, list, params};

use super::tlsa::Digests;
use crate::level::ClientLevel;

/// The wish, gathered before any connection is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// The level.
    pub level: ClientLevel,
    /// Certificate names that satisfy `verify` and `secure`: `hostname`, `nexthop`, `dot-nexthop`, names, and names with a leading dot
    /// for all below.
    pub names: Vec<String>,
    /// Fingerprints that satisfy `fingerprint`.
    pub fingerprints: Vec<String>,
    /// SNI to send, if any: a name, `hostname` or `nexthop`.
    pub server_name: Option<String>,
    /// How TLS is spoken where it is not required.
    pub opportunistic: Terms,
    /// How TLS is spoken where it is required.
    pub mandatory: Terms,
    /// Files of certificates and keys that alone are trusted at `verify` and `secure` (smtp_tls_trust_anchor_file).
    pub anchors: Vec<String>,
    /// The handshake comes before the greeting (smtp_tls_wrappermode).
    pub wrapper: bool,
    /// A TLS connection may serve more than one delivery (smtp_tls_connection_reuse).
    pub reuse: bool,
    /// smtp_tls_dane_insecure_mx_policy
    pub insecure_mx: InsecureMx,
    /// tls_dane_digests
    pub digests: Digests,
    /// What a plugin for MTA-STS (RFC 8461) says.
    pub sts: Option<Sts>,
}

/// Protocols and ciphers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Terms {
    /// A protocol list.
    pub protocols: String,
    /// A cipher grade.
    pub ciphers: String,
    /// Lists of excluded ciphers.
    pub exclude: Vec<String>,
}

/// What TLSA records are worth that a mail exchanger has which was found without DNSSEC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InsecureMx {
    /// Nothing.
    May,
    /// TLS without authentication.
    Encrypt,
    /// They must match.
    Dane,
}

/// A policy of MTA-STS as a plugin gives it: `policy_type=sts`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sts {
    /// Its domain, for messages.
    pub domain: String,
    /// Patterns for the names of mail exchangers.
    pub mx_host_patterns: Vec<String>,
    /// smtp_tls_enforce_sts_mx_patterns
    pub enforced: bool,
    /// The lines of the policy, for reports.
    pub strings: Vec<String>,
    /// Why the plugin has no policy although the domain announces one: a kind of failure of RFC 8460.
    pub failure: Option<String>,
}

impl Wish {
    /// What the settings of a service say at a level. The error names the parameter.
    pub fn of(settings: &Settings, level: ClientLevel) -> Result<Wish, String> {
        let names = match level {
            ClientLevel::Verify => settings.client(params::smtp_tls_verify_cert_match),
            ClientLevel::Secure => settings.client(params::smtp_tls_secure_cert_match),
            _ => "",
        };
        let fingerprints = match level {
            ClientLevel::Fingerprint => settings.client(params::smtp_tls_fingerprint_cert_match),
            _ => "",
        };
        let server_name = settings.client(params::smtp_tls_servername);
        let owned = |words: Vec<&str>| words.into_iter().map(str::to_owned).collect();
        let exclude = settings.client(params::smtp_tls_exclude_ciphers).to_owned();
        Ok(Wish {
            level,
            names: names
                .split(SEPARATORS_OF_NAMES)
                .filter(|name| !name.is_empty())
                .map(str::to_owned)
                .collect(),
            fingerprints: owned(list::split(fingerprints)),
            server_name: (!server_name.is_empty()).then(|| server_name.to_owned()),
            opportunistic: Terms {
                protocols: settings.client(params::smtp_tls_protocols).to_owned(),
                ciphers: settings.client(params::smtp_tls_ciphers).to_owned(),
                exclude: vec![exclude.clone()],
            },
            mandatory: Terms {
                protocols: settings.client(params::smtp_tls_mandatory_protocols).to_owned(),
                ciphers: settings.client(params::smtp_tls_mandatory_ciphers).to_owned(),
                exclude: vec![
                    exclude,
                    settings.client(params::smtp_tls_mandatory_exclude_ciphers).to_owned(),
                ],
            },
            anchors: owned(list::split(settings.client(params::smtp_tls_trust_anchor_file))),
            wrapper: settings.client(params::smtp_tls_wrappermode),
            reuse: settings.client(params::smtp_tls_connection_reuse),
            insecure_mx: match settings.client(params::smtp_tls_dane_insecure_mx_policy) {
                "may" => InsecureMx::May,
                "encrypt" => InsecureMx::Encrypt,
                _ => InsecureMx::Dane,
            },
            digests: Digests::parse(settings.get(params::tls_dane_digests))?,
            sts: None,
        })
    }
}

const SEPARATORS_OF_NAMES: [char; 6] = [',', ':', ' ', '\t', '\r', '\n'];

/// What the tables of smtp_tls_per_site say, next hop first and then the server; unknown values are errors. `global` is the level
/// where they are silent.
pub fn per_site<'a>(
    values: impl IntoIterator<Item = &'a str>,
    global: ClientLevel,
) -> Result<ClientLevel, String> {
    let mut site = None;
    for value in values {
        site = match value.to_ascii_lowercase().as_str() {
            "none" if site <= Some(ClientLevel::May) => Some(ClientLevel::None),
            "may" => site.or(Some(ClientLevel::May)),
            "must_nopeermatch" => site.max(Some(ClientLevel::Encrypt)),
            "must" => site.max(Some(ClientLevel::Verify)),
            "none" => site,
            _ => {
                return Err(format!(
                    "unknown TLS policy '{value}': values are NONE, MAY, MUST_NOPEERMATCH and MUST"
                ));
            }
        };
    }
    Ok(match site {
        None => global,
        Some(ClientLevel::May) => global.max(ClientLevel::May),
        Some(level) => level,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_for_sites() {
        use ClientLevel::*;
        for (values, global, expected) in [
            (&[][..], May, Ok(May)),
            (&["NONE"], Encrypt, Ok(None)),
            (&["may"], Encrypt, Ok(Encrypt)),
            (&["MAY"], None, Ok(May)),
            (&["MUST"], None, Ok(Verify)),
            (&["MUST_NOPEERMATCH"], Verify, Ok(Encrypt)),
            (&["MAY", "NONE"], May, Ok(None)),
            (&["NONE", "MAY"], May, Ok(None)),
            (&["NONE", "MUST"], May, Ok(Verify)),
            (&["MUST", "NONE"], May, Ok(Verify)),
            (&["MUST_NOPEERMATCH", "MUST"], May, Ok(Verify)),
            (&["encrypt"], May, Err(())),
        ] {
            assert_eq!(
                per_site(values.iter().copied(), global).map_err(|_| ()),
                expected,
                "{values:?} {global:?}"
            );
        }
    }
}
