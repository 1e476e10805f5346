//! What was decided for one server, and the proof that a connection satisfies it.

use mail::TlsFacts;
use mail::tls_facts::Trust;

use super::{RequireTls, Terms, TlsaRecord, Unmet};
use crate::level::ClientLevel;

/// What is done. Connections and sessions are used again only under an equal plan, so whatever TLS depends on stands here.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Plan {
    pub(super) wished: ClientLevel,
    pub(super) level: ClientLevel,
    pub(super) names: Vec<String>,
    pub(super) fingerprints: Vec<String>,
    pub(super) tlsa: Option<TlsaSet>,
    pub(super) server_name: Option<String>,
    pub(super) terms: Terms,
    pub(super) anchors: Vec<String>,
    pub(super) sts: Option<StsPlan>,
    pub(super) require_tls: RequireTls,
    pub(super) wrapper: bool,
    pub(super) reuse: bool,
}

/// TLSA records that must match; usable ones only, and at least one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TlsaSet {
    /// The TLSA base domain.
    pub base: String,
    /// The records.
    pub records: Vec<TlsaRecord>,
}

/// The part of a domain's MTA-STS policy in a plan.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum StsPlan {
    /// The level is due to it.
    Enforced,
    /// Nothing depends on it: it is tried, for a report, what would happen.
    Testing {
        /// The name that the certificate must have.
        host: String,
        /// The policy names this server.
        allowed: bool,
    },
}

/// What is known of a connection when the server has said what it offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// STARTTLS stood in the EHLO reply.
    pub starttls: bool,
    /// The connection is a UNIX-domain socket.
    pub local_socket: bool,
}

/// How a connection goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Mail goes in the clear, and the plan allows it.
    Plaintext,
    /// STARTTLS.
    Tls,
}

impl Plan {
    /// The level that is enforced.
    pub fn level(&self) -> ClientLevel {
        self.level
    }

    /// The level that was asked for.
    pub fn wished(&self) -> ClientLevel {
        self.wished
    }

    /// Certificate names that satisfy it; a leading dot stands for all names below.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Fingerprints that satisfy it.
    pub fn fingerprints(&self) -> &[String] {
        &self.fingerprints
    }

    /// TLSA records, one of which must match.
    pub fn tlsa(&self) -> Option<&TlsaSet> {
        self.tlsa.as_ref()
    }

    /// SNI to send.
    pub fn server_name(&self) -> Option<&str> {
        self.server_name.as_deref()
    }

    /// Protocols and ciphers.
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// Files of the only authorities that are trusted; empty for those of the settings.
    pub fn anchors(&self) -> &[String] {
        &self.anchors
    }

    /// What of it is due to the domain's MTA-STS policy. The authorities of the Web decide then (`https_CAfile`).
    pub fn sts(&self) -> Option<&StsPlan> {
        self.sts.as_ref()
    }

    /// How far REQUIRETLS is enforced.
    pub fn require_tls(&self) -> RequireTls {
        self.require_tls
    }

    /// Does the handshake come before the greeting?
    pub fn is_wrapper(&self) -> bool {
        self.wrapper
    }

    /// May a TLS connection serve more than one delivery?
    pub fn allows_reuse(&self) -> bool {
        self.reuse
    }

    /// The way on, after the first EHLO.
    pub fn way(&self, offer: Offer) -> Result<Way, Unmet> {
        match self.level {
            ClientLevel::None => Ok(Way::Plaintext),
            // Opportunistic TLS over a UNIX-domain socket makes no sense: Postfix drops the level to none.
            ClientLevel::May if offer.local_socket || !offer.starttls => Ok(Way::Plaintext),
            _ if !offer.starttls => Err(Unmet::NotOffered),
            _ => Ok(Way::Tls),
        }
    }

    /// The same without TLS, after a handshake that failed: for opportunistic levels only.
    pub fn in_the_clear(&self) -> Option<Plan> {
        (self.level == ClientLevel::May && !self.wrapper)
            .then(|| Plan { level: ClientLevel::None, ..self.clone() })
    }

    /// Admits a connection in the clear, when the way was that, or when the server refused STARTTLS and the level is opportunistic.
    pub fn admit_plaintext(&self) -> Result<Admitted, Unmet> {
        if self.level.is_mandatory() || self.wrapper {
            return Err(Unmet::NotOffered);
        }
        let feature = match self.wished {
            ClientLevel::None => "none".to_owned(),
            wished => format!("{}:none", wished.name()),
        };
        Ok(Admitted { feature, facts: None })
    }

    /// Admits a connection after a handshake, or refuses the certificate. Gives the facts back with the trust that the plan confirms.
    pub fn admit(&self, mut facts: TlsFacts) -> (TlsFacts, Result<Admitted, Unmet>) {
        let satisfied = match self.level {
            ClientLevel::None | ClientLevel::May | ClientLevel::Encrypt => true,
            ClientLevel::Fingerprint => facts.peer.as_ref().is_some_and(|peer| {
                self.fingerprints.iter().any(|wanted| {
                    crate::fingerprint::equal(wanted, &peer.fingerprint)
                        || crate::fingerprint::equal(wanted, &peer.pubkey_fingerprint)
                })
            }),
            // The names are part of the library's verification; without a name to match nothing is verified.
            ClientLevel::Verify | ClientLevel::Secure => {
                facts.trust == Trust::Trusted && !self.names.is_empty()
            }
            // So are the records.
            ClientLevel::HalfDane | ClientLevel::Dane | ClientLevel::DaneOnly => {
                facts.trust == Trust::Trusted && self.tlsa.is_some()
            }
        };
        if self.level == ClientLevel::Fingerprint {
            // Who vouches for the certificate is nobody's business at this level, for good or bad.
            facts.trust = facts.trust.min(Trust::Untrusted);
            facts.untrusted_reason = match satisfied {
                true => None,
                false => Some(
                    "certificate verification failed for PEER: not trusted by local or TLSA policy".into(),
                ),
            };
        }
        if !satisfied {
            return (facts, Err(Unmet::NotVerified));
        }
        // Half of DANE proves which server this is, not that it is the domain's.
        if self.level.must_authenticate() && self.level != ClientLevel::HalfDane {
            facts.trust = Trust::Verified;
        }
        let admitted = Admitted { feature: self.feature(), facts: Some(facts.clone()) };
        (facts, Ok(admitted))
    }

    /// The delivery line's `tls=` field while nothing has gone wrong: the level, or what became of it.
    pub fn feature(&self) -> String {
        match self.level == self.wished {
            true => self.level.name().to_owned(),
            false => format!("{}:{}", self.wished.name(), self.level.name()),
        }
    }

    /// The `tls=` field when the plan was not met, or, at an opportunistic level, a handshake failed.
    pub fn violated(&self) -> String {
        let mark = if self.level.is_mandatory() { "!" } else { "" };
        format!("{mark}{}", self.wished.name())
    }

    /// The `tls=` field before anything is known.
    pub fn undecided(&self) -> String {
        format!("{}?", self.wished.name())
    }
}

/// The proof that a connection satisfies a plan. `MAIL FROM` needs one; only [`Plan::admit_plaintext`] and [`Plan::admit`] make it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// The delivery line's `tls=` field.
    feature: String,
    /// What was proved; `None` in the clear.
    facts: Option<TlsFacts>,
}

impl Admitted {
    /// The `tls=` field of the delivery line: a level, or `may:none` when it went in the clear.
    pub fn feature(&self) -> &str {
        &self.feature
    }

    /// Was this proof given for a connection with these facts?
    pub fn covers(&self, facts: Option<&TlsFacts>) -> bool {
        self.facts.as_ref() == facts
    }
}
