//! One server: connecting to it, what is decided for it, and a session with it for the recipients that are still open.

use std::sync::Arc;
use std::time::Instant;

use config::params;
use mail::{Outcome, OutcomeKind, Status};
use maillog::Log;
use smtp::client::{LoopDetection, Message, Peer};
use smtp::server::EhloKeywords;
use tables::{Key, Lookup};
use tls::policy::{Plan, RequireTls, Unmet};

use crate::attempt::Attempt;
use crate::changes::Failed;
use crate::connections::ReuseKey;
use crate::next_hop::NextHop;
use crate::sasl::{self, Credentials};
use crate::servers::Server;
use crate::session::{self, Connection, Job};
use crate::tlsrpt::Verdict;
use crate::wish::Policy;
use crate::xforward;

/// A server, and all that was decided for it before connecting.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) peer: Peer,
    pub(crate) plan: Plan,
    pub(crate) credentials: Option<Credentials>,
    pub(crate) loops: Option<LoopDetection>,
    /// Under which a connection is kept.
    pub(crate) key: ReuseKey,
    pub(crate) keeps: bool,
}

/// What a visit came to.
pub(crate) struct Visited {
    pub(crate) spoken: bool,
    pub(crate) handshake_failed: bool,
    pub(crate) lost_in_tls: bool,
    /// The kept connection was dead: nothing was done.
    pub(crate) stale: bool,
    /// Why recipients are still open.
    pub(crate) reason: String,
    /// How TLS ended, and what the server calls itself.
    pub(crate) tls: Verdict,
    pub(crate) helo: Option<String>,
}

/// Why there is no [`Target`].
#[derive(Clone)]
pub(crate) struct Refused {
    /// For those whom no other server helps.
    pub(crate) outcome: Outcome,
    /// What the policy says, if it is that.
    pub(crate) unmet: Option<Unmet>,
}

impl From<Outcome> for Refused {
    fn from(outcome: Outcome) -> Refused {
        Refused { outcome, unmet: None }
    }
}

impl Refused {
    /// What the sender has forbidden is returned after the last server.
    pub(crate) fn outcome(self, is_final: bool) -> Outcome {
        match self.unmet {
            Some(Unmet::RequireTls(_)) if is_final => {
                Outcome::bounced(Status::new(5, 7, 10), "none", self.outcome.text)
            }
            _ => self.outcome,
        }
    }
}

impl Attempt<'_> {
    /// Decides about a server.
    pub(crate) async fn target_of(
        &self,
        next_hop_text: &str,
        next_hop: &NextHop,
        policy: &Policy,
        server: Option<&Server>,
        path: &str,
    ) -> Result<Target, Refused> {
        let service = self.service;
        let peer = match server {
            Some(server) => server.peer(),
            None => Peer { host: service.hostname.clone(), address: path.to_owned(), port: None },
        };
        let plan = policy
            .plan(service, next_hop, server)
            .await
            .map_err(|unmet| no_plan(self.log, next_hop_text, &peer.host, &unmet))?;
        let envelope = &self.delivery.message.envelope;
        if let Ok(engine) = &service.client
            && let Err(why) = engine.check_anchors(&plan)
        {
            let unmet = Unmet::Configuration(why);
            return Err(no_plan(self.log, next_hop_text, &peer.host, &unmet));
        }
        let credentials = sasl::find(service, envelope.sender.as_str(), next_hop_text, &peer.host).await?;
        // On another port than SMTP's our own name is no loop: content filters and test servers live there.
        let loops = server.filter(|server| server.address.port() == 25).map(|server| LoopDetection {
            hostname: service.hostname.clone(),
            next_hop: next_hop_text.to_owned(),
            best_mx: server.best,
        });
        let key = ReuseKey {
            peer: peer.clone(),
            plan: plan.clone(),
            credentials: credentials.clone(),
            smtputf8: self.needs_smtputf8(),
            require_tls: envelope.require_tls,
        };
        Ok(Target { peer, plan, credentials, loops, key, keeps: self.caching.store })
    }

    fn needs_smtputf8(&self) -> bool {
        let envelope = &self.delivery.message.envelope;
        envelope.smtputf8
            && (envelope.sender.needs_smtputf8()
                || envelope.recipients.iter().any(|recipient| recipient.address.needs_smtputf8()))
    }

    /// The service's options, with what is special to a server.
    async fn options(&self, target: &Target) -> smtp::client::Options {
        let service = self.service;
        let mut options = (*service.options).clone();
        options.loop_detection.clone_from(&target.loops);
        let address = &target.peer.address;
        let age = self.delivery.waited.0 + self.delivery.waited.1;
        options.pix = service.pix.for_server(address, age, self.log).await;
        if !service.discard_maps.is_empty() {
            match service.discard_maps.find(address, Key::Full).await {
                Lookup::Found(words) => options.discard = EhloKeywords::parse(&words),
                Lookup::Absent => {}
                Lookup::Failed(why) => maillog::warning!(self.log, "{why}"),
            }
        }
        options.tells_replies = service.shows_dialogue(&target.peer).await;
        options
    }

    /// smtp_generic_maps can not be asked: no other server helps.
    fn can_not_map(&mut self, why: &str) -> Visited {
        let id = &self.delivery.message.id;
        maillog::warning!(self.log, "{id}: smtp_generic_maps: {why}");
        let text = "address mapping failure: smtp_generic_maps can not be asked";
        self.open.fail(Outcome::deferred(Status::new(4, 3, 0), "none", text));
        Visited {
            spoken: false,
            handshake_failed: false,
            lost_in_tls: false,
            stale: false,
            reason: text.to_owned(),
            tls: Verdict::None,
            helo: None,
        }
    }

    /// One connection, for the recipients that are still open. Unless the server is the final one, the log says why it was of no
    /// help.
    pub(crate) async fn visit(&mut self, target: &Target, connection: Connection, is_final: bool) -> Visited {
        let indexes = self.open.indexes();
        let all = &self.delivery.message.envelope;
        let open = indexes.iter().map(|index| all.recipients[*index].clone());
        let mut envelope = all.for_recipients(open.collect());
        if target.plan.require_tls() == RequireTls::No {
            envelope.require_tls = false;
        }
        let envelope = match self.service.changes.envelope(envelope).await {
            Ok(envelope) => envelope,
            Err(Failed(why)) => return self.can_not_map(&why),
        };
        let options = self.options(target).await;
        let job = Job {
            service: self.service,
            options: Arc::new(options),
            log: self.log,
            id: self.delivery.message.id.as_str(),
            local_socket: target.peer.port.is_none(),
            peer: target.peer.clone(),
            plan: target.plan.clone(),
            credentials: target.credentials.clone(),
            message: Message {
                envelope,
                size: Some(self.delivery.message.data_size),
                may_change: false,
                xforward: match self.service.settings.client(params::smtp_send_xforward_command) {
                    true => xforward::attributes(&self.delivery.message),
                    false => Vec::new(),
                },
                needs_smtputf8: self.needs_smtputf8(),
            },
            content: self.content.clone(),
            keeps: target.keeps,
            is_final,
        };
        let result = session::run(job, connection, self.began).await;
        if let Some(idle) = result.kept {
            self.service.connections.keep(target.key.clone(), idle, Instant::now());
        }
        if self.open.complaints.len() < MOST_COMPLAINTS {
            self.open.complaints.extend(result.complaint);
        }
        let mut visited = Visited {
            spoken: result.spoken,
            handshake_failed: result.handshake_failed,
            lost_in_tls: result.lost_in_tls,
            stale: result.stale,
            reason: String::new(),
            tls: result.tls,
            helo: result.helo,
        };
        if result.stale {
            return visited;
        }
        self.open.spoken |= result.spoken && !result.lost;
        let transmission = self.began.elapsed().saturating_sub(result.setup);
        for (index, outcome) in indexes.into_iter().zip(result.outcomes) {
            if outcome.kind == OutcomeKind::Deferred {
                if !is_final && visited.reason != outcome.text {
                    maillog::info!(self.log, "{}: {}", self.delivery.message.id, outcome.text);
                }
                visited.reason.clone_from(&outcome.text);
            }
            self.open.take(index, outcome, (result.setup, transmission), result.uses);
        }
        visited
    }
}

/// Sessions of one delivery that the postmaster is told of.
const MOST_COMPLAINTS: usize = 5;

/// There is nothing that may be done with a server: the log says why, and the mail waits.
pub(crate) fn no_plan(log: &Log, next_hop: &str, host: &str, unmet: &Unmet) -> Refused {
    if let Some(warning) = unmet.warning() {
        maillog::warning!(log, "{warning}");
    }
    let text = unmet.text(host);
    maillog::warning!(log, "TLS policy lookup for {next_hop}/{host}: {text}");
    Refused { outcome: Outcome::deferred(unmet.status(), "none", text), unmet: Some(unmet.clone()) }
}
