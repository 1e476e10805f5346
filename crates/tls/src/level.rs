//! Security levels (postconf(5), smtpd_tls_security_level and smtp_tls_security_level).

use config::{Settings, params};

use crate::Notice;

/// What a server demands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerLevel {
    /// STARTTLS is neither offered nor understood.
    None,
    /// Offered.
    May,
    /// Demanded before mail or credentials.
    Encrypt,
    /// The handshake comes before the greeting (smtpd_tls_wrappermode).
    Wrapper,
}

impl ServerLevel {
    /// Is any TLS possible?
    pub fn is_on(self) -> bool {
        self != ServerLevel::None
    }

    /// Must a session be encrypted before mail flows? Chooses the mandatory protocols and ciphers, and implies
    /// smtpd_tls_auth_only.
    pub fn is_mandatory(self) -> bool {
        matches!(self, ServerLevel::Encrypt | ServerLevel::Wrapper)
    }

    /// The level of a service. The error is fatal for the service.
    pub fn of(settings: &Settings) -> Result<(ServerLevel, Vec<Notice>), String> {
        if settings.get(params::smtpd_tls_wrappermode) {
            return Ok((ServerLevel::Wrapper, Vec::new()));
        }
        let text = settings.get(params::smtpd_tls_security_level);
        let level = match text.to_ascii_lowercase().as_str() {
            "" if settings.get(params::smtpd_enforce_tls) => ServerLevel::Encrypt,
            "" if settings.get(params::smtpd_use_tls) => ServerLevel::May,
            "" | "none" => ServerLevel::None,
            "may" => ServerLevel::May,
            "encrypt" => ServerLevel::Encrypt,
            "fingerprint" | "verify" | "secure" => {
                let notice =
                    format!("smtpd_tls_security_level: unsupported TLS level \"{text}\", using \"encrypt\"");
                return Ok((ServerLevel::Encrypt, vec![Notice(notice)]));
            }
            _ => {
                return Err(format!(
                    "Invalid TLS level \"{text}\": smtpd_tls_security_level knows none, may and encrypt"
                ));
            }
        };
        Ok((level, Vec::new()))
    }
}

/// What a client demands, weak to strong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ClientLevel {
    /// Never TLS.
    None,
    /// TLS if offered; nobody is authenticated.
    May,
    /// TLS or no delivery; nobody is authenticated.
    Encrypt,
    /// The certificate or key is one of those listed.
    Fingerprint,
    /// DANE for a mail exchanger that was found without DNSSEC: it is proved which server this is, not that it is the right one. No
    /// configuration names it; a decision leads to it.
    HalfDane,
    /// DANE, or opportunistic where there are no TLSA records.
    Dane,
    /// DANE, or no delivery.
    DaneOnly,
    /// Certificate chain and the server's name.
    Verify,
    /// Certificate chain and the next hop's name.
    Secure,
}

impl ClientLevel {
    /// The level of that name, in any case.
    pub fn from_name(name: &str) -> Option<ClientLevel> {
        Some(match name.to_ascii_lowercase().as_str() {
            "none" => ClientLevel::None,
            "may" => ClientLevel::May,
            "encrypt" => ClientLevel::Encrypt,
            "fingerprint" => ClientLevel::Fingerprint,
            "dane" => ClientLevel::Dane,
            "dane-only" => ClientLevel::DaneOnly,
            "verify" => ClientLevel::Verify,
            "secure" => ClientLevel::Secure,
            _ => return None,
        })
    }

    /// The name, as policies and the `tls=` field spell it.
    pub fn name(self) -> &'static str {
        match self {
            ClientLevel::None => "none",
            ClientLevel::May => "may",
            ClientLevel::Encrypt => "encrypt",
            ClientLevel::Fingerprint => "fingerprint",
            ClientLevel::HalfDane => "halfdane",
            ClientLevel::Dane => "dane",
            ClientLevel::DaneOnly => "dane-only",
            ClientLevel::Verify => "verify",
            ClientLevel::Secure => "secure",
        }
    }

    /// Is delivery in the clear out of the question?
    pub fn is_mandatory(self) -> bool {
        self >= ClientLevel::Encrypt
    }

    /// Does the level ask for TLSA records?
    pub fn is_dane(self) -> bool {
        matches!(self, ClientLevel::Dane | ClientLevel::DaneOnly)
    }

    /// Must the server prove who it is?
    pub fn must_authenticate(self) -> bool {
        self >= ClientLevel::Fingerprint
    }

    /// The level that main.cf sets for a client service, before any policy for a destination. The error is fatal for the
    /// service.
    pub fn of(settings: &Settings) -> Result<ClientLevel, String> {
        let text = settings.client(params::smtp_tls_security_level);
        if !text.is_empty() {
            return ClientLevel::from_name(text).ok_or_else(|| {
                format!(
                    "Invalid TLS level \"{text}\": smtp_tls_security_level knows none, may, encrypt, fingerprint, dane, \
                     dane-only, verify and secure"
                )
            });
        }
        Ok(if settings.client(params::smtp_enforce_tls) {
            match settings.client(params::smtp_tls_enforce_peername) {
                true => ClientLevel::Verify,
                false => ClientLevel::Encrypt,
            }
        } else if settings.client(params::smtp_use_tls) {
            ClientLevel::May
        } else {
            ClientLevel::None
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_ordered_from_weak_to_strong() {
        let names = ["none", "may", "encrypt", "fingerprint", "dane", "dane-only", "verify", "secure"];
        let levels: Vec<_> = names.iter().map(|name| ClientLevel::from_name(name).unwrap()).collect();
        assert!(levels.is_sorted());
        for (level, name) in levels.iter().zip(names) {
            assert_eq!(level.name(), name);
        }
        assert_eq!(ClientLevel::from_name("ENCRYPT"), Some(ClientLevel::Encrypt));
        assert_eq!(ClientLevel::from_name("highest"), None);
        assert_eq!(ClientLevel::from_name("halfdane"), None);
        assert!(
            ClientLevel::Fingerprint < ClientLevel::HalfDane && ClientLevel::HalfDane < ClientLevel::Dane
        );
        assert!(!ClientLevel::May.is_mandatory() && ClientLevel::Encrypt.is_mandatory());
    }
}
