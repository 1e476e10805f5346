//! Credentials for servers that want them (RFC 4954; postconf(5), smtp_sasl_auth_enable): PLAIN and LOGIN.
//!
//! A password leaves this file in base64 towards the server only, and never reaches a log line. Whether a mechanism that shows
//! the password may be used depends on what the connection proved.

use config::{list, params};
use mail::tls_facts::Trust;
use mail::{Outcome, Status, TlsFacts};
use tables::{Key, Lookup, base64};

use crate::service::Service;

/// A name and a password.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Credentials {
    user: String,
    password: String,
}

impl Credentials {
    pub(crate) fn new(user: &str, password: &str) -> Credentials {
        Credentials { user: user.to_owned(), password: password.to_owned() }
    }
}

/// One exchange.
pub(crate) struct Exchange {
    credentials: Credentials,
    mechanism: Mechanism,
    asked: u8,
}

/// In the order of preference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mechanism {
    Plain,
    Login,
}

impl Mechanism {
    fn name(self) -> &'static str {
        match self {
            Mechanism::Plain => "PLAIN",
            Mechanism::Login => "LOGIN",
        }
    }
}

/// Looks the credentials up: for the sender where main.cf says so, for the destination as it is written, for the server. A
/// table that can not be asked defers.
pub(crate) async fn find(
    service: &Service,
    sender: &str,
    destination: &str,
    host: &str,
) -> Result<Option<Credentials>, Outcome> {
    let Some(maps) = &service.password_maps else { return Ok(None) };
    let by_sender =
        service.settings.client(params::smtp_sender_dependent_authentication) && !sender.is_empty();
    let keys = by_sender.then_some(sender).into_iter().chain([destination, host]);
    for key in keys {
        match maps.find(&key.to_ascii_lowercase(), Key::Full).await {
            // `user:password`; a password may hold colons. Without a colon there is no password, and no authentication.
            Lookup::Found(value) => {
                return Ok(value.split_once(':').map(|(user, password)| Credentials::new(user, password)));
            }
            Lookup::Absent => {}
            Lookup::Failed(why) => {
                maillog::warning!(service.log, "smtp_sasl_password_maps: {why}");
                let text = "SASL authentication failed; the password table can not be asked";
                return Err(Outcome::deferred(Status::new(4, 7, 0), "none", text));
            }
        }
    }
    Ok(None)
}

impl Exchange {
    /// Chooses a mechanism that the server offers and that is allowed over this connection.
    pub(crate) fn choose(
        service: &Service,
        credentials: Credentials,
        offered: &[String],
        tls: Option<&TlsFacts>,
    ) -> Option<Exchange> {
        let settings = &service.settings;
        let options = match tls.map(|facts| facts.trust) {
            None => settings.client(params::smtp_sasl_security_options),
            Some(Trust::Verified) => settings.client(params::smtp_sasl_tls_verified_security_options),
            Some(_) => settings.client(params::smtp_sasl_tls_security_options),
        };
        let filter = list::split(settings.client(params::smtp_sasl_mechanism_filter));
        let mechanism = pick(options, &filter, offered)?;
        Some(Exchange { credentials, mechanism, asked: 0 })
    }

    /// The mechanism and the initial response, for AUTH.
    pub(crate) fn begin(&self) -> (&'static str, Option<String>) {
        let Credentials { user, password } = &self.credentials;
        let initial = match self.mechanism {
            Mechanism::Plain => Some(base64::encode(format!("\0{user}\0{password}").as_bytes())),
            Mechanism::Login => None,
        };
        (self.mechanism.name(), initial)
    }

    /// The answer to a challenge; `*` gives up.
    pub(crate) fn respond(&mut self) -> String {
        self.asked += 1;
        match (self.mechanism, self.asked) {
            (Mechanism::Login, 1) => base64::encode(self.credentials.user.as_bytes()),
            (Mechanism::Login, 2) => base64::encode(self.credentials.password.as_bytes()),
            _ => "*".into(),
        }
    }
}

fn pick(options: &str, filter: &[&str], offered: &[String]) -> Option<Mechanism> {
    let forbidden = list::split(options).iter().any(|word| {
        ["noplaintext", "nodictionary", "forward_secrecy", "mutual_auth"]
            .iter()
            .any(|no| no.eq_ignore_ascii_case(word))
    });
    let fits = |mechanism: &Mechanism| {
        let name = mechanism.name();
        offered.iter().any(|word| word.eq_ignore_ascii_case(name))
            && (filter.is_empty() || filter.iter().any(|word| word.eq_ignore_ascii_case(name)))
    };
    [Mechanism::Plain, Mechanism::Login].into_iter().find(|mechanism| !forbidden && fits(mechanism))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_shown_only_where_that_is_allowed() {
        let offered: Vec<String> = ["LOGIN", "plain", "CRAM-MD5"].map(String::from).to_vec();
        for (options, filter, offered, expected) in [
            ("noanonymous", &[][..], &offered[..], Some(Mechanism::Plain)),
            ("noplaintext, noanonymous", &[], &offered, None),
            ("noanonymous", &["login"], &offered, Some(Mechanism::Login)),
            ("", &[], &offered[2..], None),
        ] {
            assert_eq!(pick(options, filter, offered), expected, "{options} {filter:?}");
        }
    }

    #[test]
    fn what_goes_to_the_server() {
        let credentials = Credentials { user: "me".into(), password: "a:b".into() };
        let plain = Exchange { credentials: credentials.clone(), mechanism: Mechanism::Plain, asked: 0 };
        assert_eq!(plain.begin(), ("PLAIN", Some("AG1lAGE6Yg==".into())));
        let mut login = Exchange { credentials, mechanism: Mechanism::Login, asked: 0 };
        assert_eq!(login.begin(), ("LOGIN", None));
        assert_eq!([login.respond(), login.respond(), login.respond()], ["bWU=", "YTpi", "*"]);
    }
}
