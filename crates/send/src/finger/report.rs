//! What was found, in words and for programs.

use mail::TlsFacts;
use serde_json::{Value, json};
use smtp::client::Peer;
use tls::client::{Connection, Digest, ShownCertificate};
use tls::policy::{Plan, StsPlan, Unmet};

use crate::mta_sts::Failure;
use crate::service::Service;
use crate::wish::Policy;

/// How mail would travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It would not.
    None,
    /// In the clear.
    Plaintext,
    /// In TLS.
    Tls,
}

/// The findings about a destination.
pub struct Report {
    /// As it was asked for.
    pub destination: String,
    /// How mail would travel.
    pub mode: Mode,
    /// Whether STARTTLS stood in the reply to EHLO; `None` when it did not come to that.
    pub offers_starttls: Option<bool>,
    /// The certificates that the server sent, its own first.
    pub chain: Vec<ShownCertificate>,
    /// What the handshake proved.
    pub facts: Option<TlsFacts>,
    /// The certificate satisfies the level.
    pub verified: bool,
    /// Why mail would wait, or why the certificate is not accepted.
    pub why: Option<String>,
    pub(super) server_name: Option<String>,
    policy: Value,
    sts: Value,
    server: Option<Peer>,
    plan: Option<Plan>,
}

impl Report {
    pub(super) fn new(destination: &str) -> Report {
        Report {
            destination: destination.to_owned(),
            mode: Mode::None,
            offers_starttls: None,
            chain: Vec::new(),
            facts: None,
            verified: false,
            why: None,
            server_name: None,
            policy: Value::Null,
            sts: Value::Null,
            server: None,
            plan: None,
        }
    }

    /// What the server calls itself.
    pub fn server_name(&self) -> Option<&str> {
        self.server_name.as_deref()
    }

    pub(super) fn without_server(mut self, why: &str) -> Report {
        self.problem(why);
        self
    }

    pub(super) fn problem(&mut self, why: &str) {
        self.why.get_or_insert_with(|| why.to_owned());
    }

    pub(super) fn policy(&mut self, service: &Service, policy: &Policy) {
        self.policy = json!({ "level": policy.level_name(), "source": policy.source(service) });
        let failure = policy.sts.failure.as_ref().map(|failure| match failure {
            Failure::Fetch(why) | Failure::Invalid(why) | Failure::WebPki(why) => why,
        });
        self.sts = match (&policy.sts.policy, failure) {
            (None, None) => Value::Null,
            (None, Some(why)) => json!({ "failure": why }),
            (Some(found), failure) => json!({
                "mode": found.lines.iter().find_map(|line| line.strip_prefix("mode:")).map(str::trim),
                "mx": found.mx,
                "failure": failure,
            }),
        };
    }

    pub(super) fn decision(&mut self, peer: &Peer, plan: &Result<Plan, Unmet>) {
        self.server = Some(peer.clone());
        self.why = None;
        match plan {
            Ok(plan) => self.plan = Some(plan.clone()),
            Err(unmet) => {
                self.plan = None;
                let text = unmet.text(&peer.to_string());
                self.problem(unmet.warning().unwrap_or(&text));
            }
        }
    }

    pub(super) fn handshake<S>(&mut self, plan: &Plan, connection: &Connection<S>, digest: Digest) {
        self.verified = connection.verdict.is_ok() && plan.level().must_authenticate();
        self.mode = if connection.verdict.is_ok() { Mode::Tls } else { Mode::None };
        self.chain = connection.chain(digest);
        self.facts = Some(connection.facts.clone());
        if let Some(why) = &connection.explanation {
            self.problem(why);
        }
    }

    /// All of it, for programs.
    pub fn to_json(&self) -> Value {
        let server = self.server.as_ref().map(|peer| {
            json!({ "host": peer.host, "address": peer.address, "port": peer.port, "name": self.server_name })
        });
        let tls = self.facts.as_ref().map(|facts| {
            json!({
                "protocol": facts.protocol,
                "cipher": facts.cipher,
                "bits": facts.used_bits,
                "group": facts.key_exchange,
                "signature": facts.server_signature.as_ref().map(|signature| &signature.algorithm),
                "resumed": facts.resumed,
                "trust": facts.trust.to_string(),
                "reason": facts.untrusted_reason.as_ref().map(|reason| reason.replace(" for PEER", "")),
            })
        });
        let chain: Vec<Value> = self.chain.iter().map(certificate).collect();
        json!({
            "destination": self.destination,
            "server": server,
            "policy": self.policy,
            "level": self.plan.as_ref().map(|plan| plan.level().name()),
            "names": self.plan.as_ref().map(Plan::names),
            "starttls": self.offers_starttls,
            "tls": tls,
            "chain": chain,
            "verified": self.verified,
            "dane": self.plan.as_ref().and_then(|plan| plan.tlsa()).map(|tlsa| json!({
                "base": tlsa.base,
                "records": tlsa.records.iter().map(ToString::to_string).collect::<Vec<_>>(),
            })),
            "mta_sts": self.mta_sts(),
            "delivery": match self.mode {
                Mode::None => json!({ "result": "deferred", "reason": self.why }),
                Mode::Plaintext => json!({ "result": "sent", "encrypted": false }),
                Mode::Tls => json!({ "result": "sent", "encrypted": true, "authenticated": self.verified }),
            },
        })
    }

    /// The domain's policy, and whether this server is one that it names.
    fn mta_sts(&self) -> Value {
        let mut value = self.sts.clone();
        if let (Some(map), Some(plan)) = (value.as_object_mut(), &self.plan) {
            let applies = match plan.sts() {
                Some(StsPlan::Enforced) => "enforced",
                Some(StsPlan::Testing { .. }) => "tested",
                None => "no",
            };
            map.insert("applies".into(), json!(applies));
        }
        value
    }
}

fn certificate(shown: &ShownCertificate) -> Value {
    json!({
        "subject": shown.subject,
        "issuer": shown.issuer,
        "not_before": shown.not_before,
        "not_after": shown.not_after,
        "names": shown.names,
        "fingerprint": shown.fingerprint,
        "key_fingerprint": shown.key_fingerprint,
    })
}
