//! AUTH at the server (SASL_README, RFC 4954): which mechanisms a client is offered, and who it is.
//!
//! Passwords pass through here in base64 on their way to the SASL server, and are neither decoded nor logged; only `own.rs`, which
//! needs no other server, looks at them.

mod dovecot;
mod mechanism;
pub(crate) mod own;

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use access::Endpoint;
use config::{Settings, params};
use dns::Resolver;
use mail::client::{ClientFacts, SaslFacts};
use mail::{Detail, Reply};
use smtp::server::{Auth, AuthEvent, AuthVerdict, Pending, Step};
use tables::domain_search::ParentStyle;
use tables::{Flags, Maps, MatchList, MatchStyle, Tables};

use super::Driver;
use super::connection::Connection;
use crate::anvil::Event;
use dovecot::{About, Answer, Dovecot};
pub(crate) use own::PLUS;
use own::{Channel, Tokens, Users};

/// Who knows users: `smtpd_sasl_type`.
enum Backend {
    Dovecot(Dovecot),
    Own(Box<Users>),
}

/// An exchange in progress.
pub(super) enum Exchange {
    Dovecot(dovecot::Exchange),
    Own(own::Exchange),
}

/// Authentication for one service.
pub(crate) struct Sasl {
    backend: Backend,
    /// smtpd_sasl_service.
    service: String,
    /// smtpd_sasl_security_options.
    options: String,
    /// smtpd_sasl_tls_security_options.
    tls_options: String,
    /// smtpd_sasl_mechanism_filter.
    filter: MatchList,
    /// smtpd_sasl_exceptions_networks.
    exceptions: MatchList,
    /// smtpd_tls_auth_only.
    tls_only: bool,
    /// broken_sasl_auth_clients.
    broken_clients: bool,
    /// smtpd_sasl_response_limit.
    response_limit: usize,
}

impl Sasl {
    /// Reads the settings; `None` while smtpd_sasl_auth_enable is off, or asks for what is not there. The error is fatal for the
    /// service.
    pub(crate) fn open(
        settings: &Settings,
        tables: &Tables,
        resolver: &Arc<Resolver>,
    ) -> Result<Option<Sasl>, String> {
        if !settings.get(params::smtpd_sasl_auth_enable) {
            return Ok(None);
        }
        let (kind, issuer) =
            (settings.get(params::smtpd_sasl_type), settings.get(params::smtpd_sasl_oauth_issuer));
        if kind != "mailclad" && !issuer.is_empty() {
            tables.warn(&format!(
                "smtpd_sasl_oauth_issuer = {issuer} has no effect with smtpd_sasl_type = {kind}: tokens are judged by the server that \
                 smtpd_sasl_path names"
            ));
        }
        let backend = match kind {
            "dovecot" => Backend::Dovecot(dovecot(settings)?),
            "mailclad" => Backend::Own(Box::new(users(settings, tables, resolver)?)),
            kind => {
                // Whoever logged in before can not now; who only delivers is not to suffer for it.
                tables.warn(&format!(
                    "smtpd_sasl_type = {kind} is not supported, so nobody can log in: AUTH is not offered; set smtpd_sasl_type = dovecot, \
                     and smtpd_sasl_path to the socket of Dovecot's auth service (private/auth, or inet:host:port), or smtpd_sasl_type \
                     = mailclad, and smtpd_sasl_path to a table of users whose entries mailclad passwd makes"
                ));
                return Ok(None);
            }
        };
        let parents = settings.get(params::parent_domain_matches_subdomains);
        let exceptions = params::smtpd_sasl_exceptions_networks;
        let filter = params::smtpd_sasl_mechanism_filter;
        Ok(Some(Sasl {
            backend,
            service: settings.get(params::smtpd_sasl_service).to_owned(),
            options: settings.get(params::smtpd_sasl_security_options).to_owned(),
            tls_options: settings.get(params::smtpd_sasl_tls_security_options).to_owned(),
            filter: MatchList::open(tables, filter.name(), settings.get(filter), MatchStyle::Strings),
            exceptions: MatchList::open(
                tables,
                exceptions.name(),
                settings.get(exceptions),
                MatchStyle::HostsAndAddresses(ParentStyle::of(exceptions.name(), parents)),
            ),
            tls_only: settings.get(params::smtpd_tls_auth_only),
            broken_clients: settings.get(params::broken_sasl_auth_clients),
            response_limit: usize::try_from(settings.get(params::smtpd_sasl_response_limit))
                .unwrap_or(12_288),
        }))
    }

    /// What one client is offered. The error, for the log, says that nobody knows any mechanism.
    pub(crate) async fn offer(&self, name: &str, address: IpAddr) -> Result<Auth, String> {
        let mut offered = Vec::new();
        let mechanisms = match &self.backend {
            Backend::Dovecot(dovecot) => dovecot.mechanisms().await?,
            Backend::Own(users) => users.mechanisms(),
        };
        for mechanism in mechanisms {
            if self.filter.matches(&mechanism.name).await? {
                offered.push(mechanism);
            }
        }
        let admitted = |options: &str, in_tls: bool| {
            let names: Vec<&str> = offered
                .iter()
                .filter(|mechanism| (in_tls || !mechanism.needs_tls) && mechanism.is_admitted(options))
                .map(|mechanism| mechanism.name.as_str())
                .collect();
            names.join(" ")
        };
        Ok(Auth {
            mechanisms: admitted(&self.options, false),
            mechanisms_in_tls: admitted(&self.tls_options, true),
            tls_only: self.tls_only,
            broken_clients: self.broken_clients,
            // A list that can not be asked hides nothing: to know of AUTH harms nobody.
            announce: !self.exceptions.matches_host(name, Some(address)).await.unwrap_or(false),
            response_limit: self.response_limit,
        })
    }

    async fn begin(
        &self,
        mechanism: &str,
        client: &ClientFacts,
        channel: Channel,
        initial: Option<&str>,
    ) -> Moved {
        match &self.backend {
            Backend::Dovecot(dovecot) => {
                let (answer, exchange) = dovecot.begin(mechanism, &self.about(client), initial).await?;
                Ok((answer, exchange.map(Exchange::Dovecot)))
            }
            Backend::Own(users) => {
                let (answer, exchange) = users.begin(mechanism, channel, initial).await?;
                Ok((answer, exchange.map(Exchange::Own)))
            }
        }
    }

    async fn respond(&self, exchange: Exchange, response: &str) -> Moved {
        match (&self.backend, exchange) {
            (Backend::Dovecot(dovecot), Exchange::Dovecot(exchange)) => {
                let (answer, exchange) = dovecot.respond(exchange, response).await?;
                Ok((answer, exchange.map(Exchange::Dovecot)))
            }
            (Backend::Own(users), Exchange::Own(exchange)) => {
                let (answer, exchange) = users.respond(exchange, response).await?;
                Ok((answer, exchange.map(Exchange::Own)))
            }
            _ => Err("the exchange began with another server".into()),
        }
    }

    fn about(&self, client: &ClientFacts) -> About {
        About {
            service: self.service.clone(),
            remote: client.address.map(|address| (address.to_string(), client.port)),
            local: client.server.map(|(address, port)| (address.to_string(), port)),
            secured: client.tls.is_some(),
        }
    }
}

/// What comes of one move. The error is a temporary trouble.
type Moved = Result<(Answer, Option<Exchange>), String>;

fn dovecot(settings: &Settings) -> Result<Dovecot, String> {
    let path = settings.get(params::smtpd_sasl_path);
    let queue_directory = Path::new(settings.get(params::queue_directory));
    let endpoint = match path.starts_with("inet:") || path.starts_with("unix:") {
        true => Endpoint::parse(path, queue_directory),
        false => Endpoint::parse(&format!("unix:{path}"), queue_directory),
    };
    let endpoint = endpoint
        .ok_or_else(|| format!("smtpd_sasl_path = {path} is neither a pathname nor inet:host:port"))?;
    Ok(Dovecot::new(endpoint))
}

fn users(settings: &Settings, tables: &Tables, resolver: &Arc<Resolver>) -> Result<Users, String> {
    let (name, path) = (params::smtpd_sasl_path.name(), settings.get(params::smtpd_sasl_path));
    let tokens = Tokens::open(settings, resolver)?;
    // Nobody has a password where the parameter was left as it is.
    if tokens.is_some() && !settings.is_set(params::smtpd_sasl_path) {
        return Users::new(None, tokens);
    }
    if !path.contains(':') {
        return Err(format!(
            "{name} = {path}: with smtpd_sasl_type = mailclad it names the table of users, as in texthash:/etc/postfix/users"
        ));
    }
    // No part of a user's name gets into a secret.
    let flags = Flags { secret: true, ..Flags::without_substitution() };
    Users::new(Some(Maps::open(tables, name, path, flags)), tokens)
}

impl Driver<'_> {
    /// One move of an AUTH exchange.
    pub(super) async fn authenticate(
        &mut self,
        question: Pending<AuthEvent>,
        connection: &Connection,
    ) -> Step {
        let service = self.service;
        let Some(sasl) = &service.sasl else {
            return question.answer(AuthVerdict::Refuse(smtp::server::reply::AUTH_OFF));
        };
        let mechanism = question.mechanism().to_ascii_uppercase();
        let exchange = self.exchange.take();
        let moved = match (&question.about, exchange) {
            (AuthEvent::Start { initial_response, .. }, _) => {
                if self.exceeds_rate(Event::Auth, service.limits.auth_rate, "AUTH command rate") {
                    let text = format!("Error: too many AUTH commands from {}", self.address);
                    return question.answer(AuthVerdict::Refuse(Reply::new(450, Detail(7, 1), text)));
                }
                if !is_offered(question.session(), &mechanism) {
                    let refusal =
                        self.refuse_login(&mechanism, false, "Invalid authentication mechanism", None);
                    return question.answer(refusal);
                }
                let initial = initial_response.as_deref().map(as_base64);
                let channel = Channel {
                    bindings: connection.bindings(),
                    offers_plus: is_offered(question.session(), PLUS),
                };
                sasl.begin(&mechanism, question.session().client(), channel, initial).await
            }
            (AuthEvent::Response(response), Some(exchange)) => {
                sasl.respond(exchange, as_base64(response)).await
            }
            (AuthEvent::Response(_), None) => Err("no exchange in progress".to_owned()),
        };
        question.answer(match moved {
            Ok((Answer::Continue(challenge), Some(exchange))) => {
                if let Exchange::Own(own) = &exchange
                    && let Some((reason, user)) = own.refusal()
                {
                    self.log_refusal(&mechanism, reason, user);
                }
                self.exchange = Some(exchange);
                AuthVerdict::Challenge(challenge)
            }
            Ok((Answer::Ok(username), _)) => {
                AuthVerdict::Accept(SaslFacts { method: mechanism, username, sender: None })
            }
            Ok((Answer::Fail { temporary, reason, user }, _)) => {
                let reason = reason.filter(|reason| !reason.is_empty());
                let reason = reason.as_deref().unwrap_or("(reason unavailable)");
                self.refuse_login(&mechanism, temporary, reason, user.as_deref())
            }
            Ok((Answer::Logged { reason }, _)) => refusal(false, &reason),
            Ok((Answer::Continue(_), None)) => {
                self.refuse_login(&mechanism, true, "SASL: Protocol error", None)
            }
            Err(why) => self.refuse_login(&mechanism, true, &why, None),
        })
    }

    fn refuse_login(
        &self,
        mechanism: &str,
        temporary: bool,
        reason: &str,
        user: Option<&str>,
    ) -> AuthVerdict {
        self.log_refusal(mechanism, reason, user);
        refusal(temporary, reason)
    }

    fn log_refusal(&self, mechanism: &str, reason: &str, user: Option<&str>) {
        maillog::warning!(
            self.log,
            "{}: SASL {mechanism:.100} authentication failed: {}, sasl_username={:.100}",
            self.name,
            printable(reason),
            user.filter(|user| !user.is_empty()).unwrap_or("(unavailable)")
        );
    }
}

fn refusal(temporary: bool, reason: &str) -> AuthVerdict {
    let reason = printable(reason);
    AuthVerdict::Refuse(match temporary {
        true => Reply::new(454, Detail(7, 0), format!("Temporary authentication failure: {reason}")),
        false => Reply::new(535, Detail(7, 8), format!("Error: authentication failed: {reason}")),
    })
}

fn printable(reason: &str) -> String {
    reason.chars().map(|c| if c.is_control() { '?' } else { c }).take(500).collect()
}

/// Is the mechanism among those of this session?
fn is_offered(session: &smtp::server::Session, mechanism: &str) -> bool {
    let in_tls = session.client().tls.is_some();
    session.options().auth.as_ref().is_some_and(|auth| {
        let offered = if in_tls { &auth.mechanisms_in_tls } else { &auth.mechanisms };
        offered.split(' ').any(|name| name == mechanism)
    })
}

/// What a client sent is one word of the protocol between here and the server, and no more: a tab or a line end in it would be the
/// client talking to the server. What is no base64 is sent as something that is none.
fn as_base64(text: &str) -> &str {
    match text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=')) {
        true => text,
        false => "!",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_do_not_talk_to_the_server() {
        for (text, expected) in [
            ("AG1lAHg=", "AG1lAHg="),
            ("=", "="),
            ("", ""),
            ("<a\tlip=x>", "!"),
            ("a\nOK", "!"),
            ("a b", "!"),
        ] {
            assert_eq!(as_base64(text), expected);
        }
    }
}
