//! TLSRPT (RFC 8460): the results of TLS with the servers of a domain, for domains that want to know (a record at `_smtp._tls.DOMAIN`).
//!
//! - `event.rs`: one result. It goes to the log, to a collector's socket as Postfix's does (smtp_tlsrpt_socket_name), and, where
//!   `tlsrpt_reports` asks for it, to our own counts.
//! - `record.rs`: the record. `day.rs`: the results of a day, in files. `report.rs`: the report about a domain and a day.
//! - `sender.rs`: sends it.
//!
//! One result for each connection, the first failure or success; none where TLS is not asked for, or a message says that it need not be.

mod day;
mod event;
mod record;
mod report;
mod sender;

use std::net::IpAddr;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use config::{Settings, params};
use maillog::Log;
use smtp::client::Peer;
use tls::ClientLevel;
use tls::client::Shortcoming;
use tls::policy::{self, Plan, StsPlan, Unmet};

pub use self::day::{Day, Days};
pub use self::report::{Report, Reporter, count};
pub(crate) use self::sender::Sender;

use self::event::{Event, Failure, FailureKind, Policy, PolicyKind};
use crate::mta_sts;
use crate::next_hop::NextHop;
use crate::servers;
use crate::service::Service;
use crate::wish;

/// Where results go, for one service.
pub(crate) struct Results {
    socket: Option<PathBuf>,
    days: Option<Days>,
    skips_resumed: bool,
}

impl Results {
    /// `None` when nobody wants them. What is set without effect is told.
    pub(crate) fn new(settings: &Settings, log: &Log) -> Option<Results> {
        let enabled = settings.client(params::smtp_tlsrpt_enable);
        if settings.process_name() == "lmtp" {
            if enabled {
                maillog::warning!(log, "TLSRPT support is not implemented for LMTP");
            }
            return None;
        }
        let name = settings.get(params::smtp_tlsrpt_socket_name);
        if enabled && name.is_empty() {
            maillog::warning!(
                log,
                "TLSRPT support: parameter smtp_tlsrpt_socket_name has empty value -- TLSRPT support will be disabled"
            );
        }
        let socket = (enabled && !name.is_empty())
            .then(|| PathBuf::from(settings.get(params::queue_directory)).join(name));
        let days =
            settings.get(params::tlsrpt_reports).then(|| Days::new(settings.get(params::data_directory)));
        (socket.is_some() || days.is_some()).then(|| Results {
            socket,
            days,
            skips_resumed: settings.get(params::smtp_tlsrpt_skip_reused_handshakes),
        })
    }

    fn take(&self, event: &Event, log: &Log) {
        let json = event.to_json();
        if let Some(path) = &self.socket {
            let sent = UnixDatagram::unbound().and_then(|socket| {
                socket.set_nonblocking(true)?;
                socket.send_to(json.as_bytes(), path)
            });
            if let Err(error) = sent {
                maillog::warning!(
                    log,
                    "Could not report TLS handshake result to tlsrpt library: {}: {error}",
                    path.display()
                );
            }
        }
        if let Some(days) = &self.days
            && let Err(error) = days.add(Day::of(SystemTime::now()), event)
        {
            maillog::warning!(log, "TLSRPT: a result is not counted: {error}");
        }
    }
}

impl Reporter {
    /// As main.cf says.
    pub fn new(settings: &Settings) -> Reporter {
        Reporter {
            hostname: settings.get(params::myhostname).to_owned(),
            organization: settings.get(params::tlsrpt_organization_name).to_owned(),
            from: settings.get(params::tlsrpt_from).to_owned(),
        }
    }
}

/// How TLS ended on one connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It did not come to that.
    #[default]
    None,
    /// The server does not offer it.
    NotOffered,
    /// It offers and refuses it; what it said.
    Refused(String),
    /// No handshake; why.
    Failed(String),
    /// The certificate is not accepted.
    NotVerified(Shortcoming),
    /// A session.
    Secured {
        /// Of an earlier one.
        resumed: bool,
        /// What a policy that is tested would object to.
        shortcoming: Option<Shortcoming>,
    },
}

/// The reporting about one delivery.
pub(crate) struct Reporting {
    results: Arc<Results>,
    domain: String,
    record: String,
    sts: mta_sts::Finding,
    plugin: Option<policy::Sts>,
    log: Log,
}

/// One server, as reports name it.
pub(crate) struct Place<'a> {
    pub(crate) peer: &'a Peer,
    /// What it calls itself.
    pub(crate) helo: Option<&'a str>,
    /// Our address of the connection.
    pub(crate) own: Option<IpAddr>,
}

impl Reporting {
    /// `None` when nobody wants to hear about this destination.
    pub(crate) async fn begin(
        service: &Service,
        next_hop: &NextHop,
        wish: &wish::Policy,
        log: &Log,
    ) -> Option<Reporting> {
        let results = Arc::clone(service.results.as_ref().filter(|_| !wish.is_relaxed())?);
        let domain = servers::publisher(service, next_hop)?;
        let record = match service.resolver.unfiltered().txt(&format!("_smtp._tls.{domain}")).await {
            Ok(answer) => record::find(&answer.records),
            Err(failure) if failure.is_absence() => Ok(None),
            Err(failure) => Err(format!("policy lookup failed: {}", failure.sentence(&domain, "TXT"))),
        };
        let record = record.unwrap_or_else(|why| {
            maillog::warning!(log, "TLSRPT support: {domain}: {why}");
            None
        })?;
        let plugin = wish.plugin().cloned();
        Some(Reporting { results, domain, record, sts: wish.sts.clone(), plugin, log: log.clone() })
    }

    /// There was nothing that may be done with a server.
    pub(crate) fn unmet(&self, place: &Place<'_>, unmet: &Unmet) {
        let (policy, kind, reason) = match unmet {
            Unmet::Dane(why) => {
                let kind = match why.as_str() {
                    policy::TLSA_UNUSABLE => FailureKind::TlsaInvalid,
                    why if why.starts_with(policy::TLSA_LOOKUP_ERROR) => FailureKind::DnssecInvalid,
                    _ => FailureKind::DaneRequired,
                };
                (Policy { kind: PolicyKind::Tlsa, ..Policy::none() }, kind, why)
            }
            Unmet::Sts(why) => (self.sts_policy(), FailureKind::ValidationFailure, why),
            _ => return,
        };
        self.fail(place, policy, kind, None, Some(reason.clone()));
    }

    /// A connection is over.
    pub(crate) fn session(&self, place: &Place<'_>, plan: &Plan, verdict: &Verdict) {
        if plan.level() == ClientLevel::None || *verdict == Verdict::None {
            return;
        }
        if matches!(verdict, Verdict::Secured { resumed: true, .. }) && self.results.skips_resumed {
            return;
        }
        // What could not be found out about the domain's wishes comes before what was found out about its server.
        if let Some((kind, why)) = self.policy_failure() {
            return self.fail(place, self.sts_policy(), kind, None, why);
        }
        let policy = self.policy(plan);
        let (kind, reason) = match verdict {
            Verdict::None => return,
            Verdict::NotOffered => (FailureKind::StarttlsNotSupported, None),
            Verdict::Refused(said) => (FailureKind::StarttlsNotSupported, Some(said.clone())),
            Verdict::Failed(why) => (FailureKind::ValidationFailure, Some(why.clone())),
            Verdict::NotVerified(shortcoming) => kind(shortcoming),
            Verdict::Secured { shortcoming: Some(shortcoming), .. } => kind(shortcoming),
            Verdict::Secured { shortcoming: None, .. } => match plan.sts() {
                Some(StsPlan::Testing { host, allowed: false }) => (
                    FailureKind::ValidationFailure,
                    Some(format!("MX name '{host}' does not match STS MX pattern")),
                ),
                _ => return self.succeed(place, policy),
            },
        };
        self.fail(place, policy, kind, None, reason);
    }

    fn policy_failure(&self) -> Option<(FailureKind, Option<String>)> {
        if let Some(name) = self.plugin.as_ref().and_then(|plugin| plugin.failure.as_deref()) {
            return Some((FailureKind::from_name(name)?, None));
        }
        Some(match self.sts.failure.as_ref()? {
            mta_sts::Failure::Fetch(why) => (FailureKind::StsPolicyFetchError, Some(why.clone())),
            mta_sts::Failure::Invalid(why) => (FailureKind::StsPolicyInvalid, Some(why.clone())),
            mta_sts::Failure::WebPki(why) => (FailureKind::StsWebpkiInvalid, Some(why.clone())),
        })
    }

    fn policy(&self, plan: &Plan) -> Policy {
        match plan.tlsa() {
            Some(tlsa) => Policy {
                kind: PolicyKind::Tlsa,
                domain: Some(tlsa.base.clone()),
                strings: tlsa.records.iter().map(ToString::to_string).collect(),
                mx: Vec::new(),
            },
            None if plan.sts().is_some() || self.plugin.is_some() => self.sts_policy(),
            None => Policy::none(),
        }
    }

    fn sts_policy(&self) -> Policy {
        let own =
            self.sts.policy.as_deref().map(|policy| (&self.domain, policy.lines.clone(), policy.mx.clone()));
        let (domain, strings, mx) = match &self.plugin {
            Some(plugin) => {
                let domain = if plugin.domain.is_empty() { &self.domain } else { &plugin.domain };
                (domain, plugin.strings.clone(), plugin.mx_host_patterns.clone())
            }
            None => own.unwrap_or((&self.domain, Vec::new(), Vec::new())),
        };
        Policy { kind: PolicyKind::Sts, domain: Some(domain.clone()), strings, mx }
    }

    fn succeed(&self, place: &Place<'_>, policy: Policy) {
        let Peer { host, address, .. } = place.peer;
        maillog::info!(
            self.log,
            "TLSRPT: status=success, domain={}, receiving_mx={host}[{address}]",
            self.domain
        );
        self.results.take(&Event::new(&self.domain, &self.record, policy, None), &self.log);
    }

    fn fail(
        &self,
        place: &Place<'_>,
        policy: Policy,
        kind: FailureKind,
        information: Option<String>,
        reason: Option<String>,
    ) {
        let Peer { host, address, .. } = place.peer;
        let shown = reason.as_ref().map_or_else(String::new, |reason| format!(", failure_reason={reason}"));
        maillog::info!(
            self.log,
            "TLSRPT: status=failure, domain={}, receiving_mx={host}[{address}], failure_type={}{shown}",
            self.domain,
            kind.name().replace('-', "_")
        );
        let failure = Failure {
            kind,
            sending_ip: place.own.map(|own| own.to_string()),
            mx_name: Some(host.clone()),
            mx_helo: place.helo.map(str::to_owned),
            mx_ip: Some(address.clone()),
            information,
            reason,
        };
        self.results.take(&Event::new(&self.domain, &self.record, policy, Some(failure)), &self.log);
    }
}

fn kind(shortcoming: &Shortcoming) -> (FailureKind, Option<String>) {
    match shortcoming {
        Shortcoming::HostMismatch => (FailureKind::CertificateHostMismatch, None),
        Shortcoming::NotTrusted => (FailureKind::CertificateNotTrusted, None),
        Shortcoming::Expired => (FailureKind::CertificateExpired, None),
        Shortcoming::Other(why) => (FailureKind::ValidationFailure, Some(why.clone())),
    }
}

#[cfg(test)]
mod tests;
