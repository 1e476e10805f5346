//! The one decision about outgoing TLS (postconf(5), smtp_tls_security_level): what was wished, what the server offers, what is
//! done. Nothing outside this file changes a level.

use crate::level::ClientLevel;

/// What the administrator wishes for a destination, gathered before any connection is made.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Wish {
    /// The level.
    pub level: ClientLevel,
    /// Certificate names that satisfy `verify` and `secure`; a leading dot stands for all names below.
    pub names: Vec<String>,
    /// Fingerprints that satisfy `fingerprint`.
    pub fingerprints: Vec<String>,
    /// The handshake comes before the greeting (smtp_tls_wrappermode).
    pub wrapper: bool,
    /// SNI to send, if any.
    pub server_name: Option<String>,
}

/// What is known of the connection when the decision is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// STARTTLS stood in the EHLO reply.
    pub starttls: bool,
    /// The connection is a UNIX-domain socket.
    pub local_socket: bool,
}

/// What is done.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Plan {
    /// Mail goes in the clear, and the wish allows it.
    Plaintext,
    /// STARTTLS, or a handshake at once in wrapper mode.
    Tls,
}

/// Why mail can not go. Each is a deferral; the text is Postfix's where it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unmet {
    /// 4.7.4: TLS is required, but was not offered.
    NotOffered,
    /// 4.7.5: smtp_tls_wrappermode needs level encrypt or stronger.
    WrapperNeedsEncrypt,
    /// 4.7.5: the level asks for something that is not built yet; mail waits rather than go with less.
    NotBuilt,
    /// 4.7.5: the certificate does not satisfy the level.
    NotVerified,
}

/// The decision, before or after the first EHLO. It looks nothing up.
pub fn decide(wish: &Wish, offer: Offer) -> Result<Plan, Unmet> {
    if matches!(wish.level, ClientLevel::Dane | ClientLevel::DaneOnly) {
        return Err(Unmet::NotBuilt);
    }
    if wish.wrapper {
        return match wish.level.is_mandatory() {
            true => Ok(Plan::Tls),
            false => Err(Unmet::WrapperNeedsEncrypt),
        };
    }
    match wish.level {
        ClientLevel::None => Ok(Plan::Plaintext),
        // Opportunistic TLS over a UNIX-domain socket makes no sense: Postfix drops the level to none.
        ClientLevel::May if offer.local_socket || !offer.starttls => Ok(Plan::Plaintext),
        _ if !offer.starttls => Err(Unmet::NotOffered),
        _ => Ok(Plan::Tls),
    }
}

/// The proof that a connection satisfies a wish. `MAIL FROM` needs one; only [`admit_plaintext`] and
/// [`admit_tls`] make it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// The delivery line's `tls=` field: level, or `may:none` when it went in the clear.
    feature: String,
    /// What was proved; `None` in the clear.
    facts: Option<mail::TlsFacts>,
}

impl Admitted {
    /// The `tls=` field of the delivery line.
    pub fn feature(&self) -> &str {
        &self.feature
    }

    /// Was this proof given for a connection with these facts?
    pub fn covers(&self, facts: Option<&mail::TlsFacts>) -> bool {
        self.facts.as_ref() == facts
    }
}

/// Admits a connection in the clear, when the decision was for it, or when the server refused STARTTLS and the wish is
/// opportunistic.
pub fn admit_plaintext(wish: &Wish) -> Result<Admitted, Unmet> {
    match wish.level {
        ClientLevel::None => Ok(Admitted { feature: "none".into(), facts: None }),
        ClientLevel::May => Ok(Admitted { feature: "may:none".into(), facts: None }),
        _ => Err(Unmet::NotOffered),
    }
}

/// Admits a connection after a handshake, or refuses the certificate. Gives the facts back with the trust that the wish
/// confirms.
pub fn admit_tls(wish: &Wish, mut facts: mail::TlsFacts) -> (mail::TlsFacts, Result<Admitted, Unmet>) {
    use mail::tls_facts::Trust;
    let satisfied = match wish.level {
        ClientLevel::None | ClientLevel::May | ClientLevel::Encrypt => true,
        ClientLevel::Fingerprint => facts.peer.as_ref().is_some_and(|peer| {
            wish.fingerprints.iter().any(|wanted| {
                crate::fingerprint::equal(wanted, &peer.fingerprint)
                    || crate::fingerprint::equal(wanted, &peer.pubkey_fingerprint)
            })
        }),
        // The names are part of the library's verification; without a name to match nothing is verified.
        ClientLevel::Verify | ClientLevel::Secure => facts.trust == Trust::Trusted && !wish.names.is_empty(),
        ClientLevel::Dane | ClientLevel::DaneOnly => false,
    };
    if !satisfied {
        return (facts, Err(Unmet::NotVerified));
    }
    if wish.level.must_authenticate() {
        facts.trust = Trust::Verified;
    }
    let admitted = Admitted { feature: wish.level.name().into(), facts: Some(facts.clone()) };
    (facts, Ok(admitted))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(level: ClientLevel, wrapper: bool) -> Wish {
        Wish { level, names: vec!["mx.test".into()], fingerprints: Vec::new(), wrapper, server_name: None }
    }

    #[test]
    fn every_level_against_every_offer() {
        use ClientLevel::*;
        let (tls, clear) = (Ok(Plan::Tls), Ok(Plan::Plaintext));
        for (level, wrapper, starttls, expected) in [
            (None, false, true, clear.clone()),
            (None, false, false, clear.clone()),
            (None, true, false, Err(Unmet::WrapperNeedsEncrypt)),
            (May, false, true, tls.clone()),
            (May, false, false, clear.clone()),
            (May, true, true, Err(Unmet::WrapperNeedsEncrypt)),
            (Encrypt, false, true, tls.clone()),
            (Encrypt, false, false, Err(Unmet::NotOffered)),
            (Encrypt, true, false, tls.clone()),
            (Fingerprint, false, false, Err(Unmet::NotOffered)),
            (Verify, false, true, tls.clone()),
            (Secure, false, false, Err(Unmet::NotOffered)),
            (Dane, false, true, Err(Unmet::NotBuilt)),
            (DaneOnly, false, true, Err(Unmet::NotBuilt)),
        ] {
            let offer = Offer { starttls, local_socket: false };
            assert_eq!(decide(&wish(level, wrapper), offer), expected, "{level:?} {wrapper} {starttls}");
        }
        let socket = Offer { starttls: true, local_socket: true };
        assert_eq!(decide(&wish(May, false), socket), clear);
        assert_eq!(decide(&wish(Encrypt, false), socket), tls);
    }

    #[test]
    fn nothing_mandatory_is_ever_admitted_in_the_clear() {
        use ClientLevel::*;
        for level in [Encrypt, Fingerprint, Dane, DaneOnly, Verify, Secure] {
            assert!(admit_plaintext(&wish(level, false)).is_err());
        }
        assert_eq!(admit_plaintext(&wish(May, false)).unwrap().feature(), "may:none");
        assert_eq!(admit_plaintext(&wish(None, false)).unwrap().feature(), "none");
    }
}
