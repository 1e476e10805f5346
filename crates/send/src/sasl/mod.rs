//! Credentials for servers that want them (RFC 4954; SASL_README, smtp_sasl_auth_enable).
//!
//! - `mechanism.rs`: the mechanisms, which of them may be used, and what each says. `failures.rs`: refused logins, remembered.
//!
//! A password leaves this folder towards the server only, and never reaches a log line.

mod failures;
mod mechanism;

pub(crate) use failures::Failures;
pub(crate) use mechanism::Exchange;

use config::{Settings, params};
use mail::tls_facts::Trust;
use mail::{Outcome, Status, TlsFacts};
use tables::{Flags, Key, Lookup, Maps, MatchList, MatchStyle, Tables};

use self::mechanism::Mechanism;
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

/// The settings of a service that logs in.
pub(crate) struct Sasl {
    passwords: Maps,
    by_sender: bool,
    /// smtp_sasl_password_result_delimiter
    delimiter: String,
    /// smtp_sasl_mechanism_filter; empty for none.
    filter: MatchList,
    /// send_cyrus_sasl_authzid
    sends_authzid: bool,
    /// smtp_sasl_auth_soft_bounce: a wrong password here is no reason to return other people's mail.
    pub(crate) soft: bool,
    /// smtp_sasl_auth_cache_name
    pub(crate) failures: Option<Failures>,
}

/// Why a server is not logged in to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoMechanism {
    /// None of those that it offers may be used at all (smtp_sasl_mechanism_filter).
    Filtered,
    /// None may be used over this connection (smtp_sasl_security_options and its relatives).
    Unworthy,
}

impl Sasl {
    /// The settings, when smtp_sasl_auth_enable is set.
    pub(crate) fn open(settings: &Settings, tables: &Tables) -> Option<Sasl> {
        settings.client(params::smtp_sasl_auth_enable).then(|| {
            let passwords = settings.client(params::smtp_sasl_password_maps);
            let filter = settings.client(params::smtp_sasl_mechanism_filter);
            let remembers = !settings.client(params::smtp_sasl_auth_cache_name).is_empty();
            Sasl {
                passwords: Maps::open(tables, "smtp_sasl_password_maps", passwords, Flags::secret()),
                by_sender: settings.client(params::smtp_sender_dependent_authentication),
                delimiter: settings.client(params::smtp_sasl_password_result_delimiter).to_owned(),
                filter: MatchList::open(tables, "smtp_sasl_mechanism_filter", filter, MatchStyle::Strings),
                sends_authzid: settings.get(params::send_cyrus_sasl_authzid),
                soft: settings.client(params::smtp_sasl_auth_soft_bounce),
                failures: remembers
                    .then(|| Failures::new(settings.client(params::smtp_sasl_auth_cache_time))),
            }
        })
    }

    /// `user:password`; the password may hold the delimiter, and may be missing.
    fn read(&self, value: &str) -> Credentials {
        let (user, password) = value.split_once(&*self.delimiter).unwrap_or((value, ""));
        Credentials::new(user, password)
    }

    /// The offered mechanisms that the filter leaves. A filter that can not be asked leaves none.
    async fn allowed(&self, service: &Service, offered: &[String]) -> Vec<String> {
        let mut allowed = Vec::new();
        for name in offered {
            let fits = match self.filter.is_empty() {
                true => Ok(true),
                false => self.filter.matches(name).await,
            };
            match fits {
                Ok(true) => allowed.push(name.clone()),
                Ok(false) => {}
                Err(why) => maillog::warning!(service.log, "smtp_sasl_mechanism_filter: {why}"),
            }
        }
        allowed
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
    let Some(sasl) = &service.sasl else { return Ok(None) };
    let by_sender = sasl.by_sender && !sender.is_empty();
    let keys = by_sender.then_some(sender).into_iter().chain([destination, host]);
    for key in keys {
        match sasl.passwords.find(&key.to_ascii_lowercase(), Key::Full).await {
            Lookup::Found(value) => return Ok(Some(sasl.read(&value)).filter(|found| !found.user.is_empty())),
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

/// Chooses a mechanism that the server offers and that is allowed over this connection, and begins.
pub(crate) async fn choose(
    service: &Service,
    credentials: Credentials,
    offered: &[String],
    tls: Option<&TlsFacts>,
) -> Result<Exchange, NoMechanism> {
    let Some(sasl) = &service.sasl else { return Err(NoMechanism::Filtered) };
    let settings = &service.settings;
    let options = match tls.map(|facts| facts.trust) {
        None => settings.client(params::smtp_sasl_security_options),
        Some(Trust::Verified) => settings.client(params::smtp_sasl_tls_verified_security_options),
        Some(_) => settings.client(params::smtp_sasl_tls_security_options),
    };
    let allowed = sasl.allowed(service, offered).await;
    if allowed.is_empty() {
        return Err(NoMechanism::Filtered);
    }
    let mechanism = Mechanism::pick(options, &allowed, !sasl.filter.is_empty(), tls.is_some());
    let mechanism = mechanism.ok_or(NoMechanism::Unworthy)?;
    Exchange::begin(mechanism, credentials, sasl.sends_authzid).ok_or(NoMechanism::Unworthy)
}
