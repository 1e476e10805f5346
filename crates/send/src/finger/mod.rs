//! What a delivery to a destination would find, without a message: posttls-finger(1) and `mailclad probe`. Servers, policy, decision,
//! handshake and session are those of deliveries; what is said and heard is handed to the caller line by line.

mod report;
mod talk;

use std::sync::Arc;

use config::Settings;
use dns::Resolver;
use maillog::{Log, Sink};
use smtp::client::Peer;
use tables::Tables;
use tls::policy::{Needs, Plan, Unmet};

pub use self::report::{Mode, Report};

use crate::connect;
use crate::next_hop::NextHop;
use crate::servers::{self, Server};
use crate::service::{Keeping, Service};
use crate::session::Stream;
use crate::wish::Policy;

/// Takes lines as they come, warnings without a word before them.
pub type Say = Arc<dyn Fn(&str) + Send + Sync>;

/// How to ask.
#[derive(Clone)]
pub struct Wanted {
    /// The lines of the dialogue and about connections are said.
    pub chat: bool,
    /// Go by the tables of main.cf and by what the domain publishes, as a delivery does; otherwise by the settings alone.
    pub as_delivery: bool,
    /// Level `secure` where `dane` finds no usable records, as posttls-finger has it.
    pub secure_without_dane: bool,
    /// Where to find out what TLS lines are wanted: a value of smtp_tls_loglevel.
    pub log_levels: String,
}

/// A client that only looks.
pub struct Finger {
    service: Service,
    wanted: Wanted,
    say: Say,
}

impl Finger {
    /// With the settings of an smtp or lmtp client. The error says which setting is wrong.
    pub fn new(settings: Settings, resolver: Resolver, wanted: Wanted, say: Say) -> Result<Finger, String> {
        let log = Log::new(Arc::new(Sink::discard()), "postfix", settings.process_name());
        let warn = Arc::clone(&say);
        let tables = Tables::new(Arc::new(move |text: &str| warn(&format!("warning: {text}"))));
        // Who asks about this very machine wants an answer: nothing is its own.
        let host = config::HostFacts::default();
        let resolver = Arc::new(resolver);
        let service = Service::of(settings, Vec::new(), &host, log, resolver, &tables, Keeping::Nothing)?;
        if let Err(why) = &service.client {
            return Err(why.clone());
        }
        Ok(Finger { service, wanted, say })
    }

    /// From now on it is only of interest whether sessions are resumed.
    pub fn watch_the_cache(&mut self) {
        self.wanted.log_levels = "summary,cache".into();
    }

    /// Asks one destination: its first server that can be reached.
    pub async fn ask(&self, destination: &str) -> Report {
        let mut report = Report::new(destination);
        let next_hop = match NextHop::parse(destination) {
            Ok(next_hop) => next_hop,
            Err(why) => return report.without_server(&why),
        };
        let needs = Needs::default();
        let policy = match self.wanted.as_delivery {
            true => Policy::find(&self.service, destination, &next_hop, needs, &self.service.log).await,
            false => Policy::plain(&self.service, destination),
        };
        report.policy(&self.service, &policy);
        if let NextHop::Socket(path) = &next_hop {
            return self.ask_socket(report, destination, &next_hop, &policy, path).await;
        }
        let servers = match servers::find(&self.service, &next_hop).await {
            Ok(found) => found.servers,
            Err(none) => {
                (self.say)(&format!("Destination address lookup failed: {}", none.outcome.text));
                return report.without_server(&none.outcome.text);
            }
        };
        let mut last = String::new();
        for server in &servers {
            let peer = server.peer();
            let plan = self.plan(&policy, &next_hop, Some(server)).await;
            report.decision(&peer, &plan);
            let plan = match plan {
                Ok(plan) => plan,
                Err(unmet) => {
                    last = self.tell_unmet(&peer, &unmet);
                    continue;
                }
            };
            match connect::to_server(&self.service, server).await {
                Ok((stream, _)) => return self.talk(report, peer, plan, stream).await,
                Err(outcome) => {
                    last = outcome.text;
                    let host = &peer.host;
                    (self.say)(&format!("Failed to establish session to {destination} via {host}: {last}"));
                }
            }
        }
        report.without_server(&last)
    }

    async fn ask_socket(
        &self,
        mut report: Report,
        destination: &str,
        next_hop: &NextHop,
        policy: &Policy,
        path: &str,
    ) -> Report {
        let peer = Peer { host: self.service.hostname.clone(), address: path.to_owned(), port: None };
        let plan = self.plan(policy, next_hop, None).await;
        report.decision(&peer, &plan);
        let plan = match plan {
            Ok(plan) => plan,
            Err(unmet) => {
                let why = self.tell_unmet(&peer, &unmet);
                return report.without_server(&why);
            }
        };
        match connect::to_socket(&self.service, path).await {
            Ok(stream) => self.talk(report, peer, plan, stream).await,
            Err(outcome) => {
                (self.say)(&format!("Failed to establish session to {destination}: {}", outcome.text));
                report.without_server(&outcome.text)
            }
        }
    }

    async fn plan(
        &self,
        policy: &Policy,
        next_hop: &NextHop,
        server: Option<&Server>,
    ) -> Result<Plan, Unmet> {
        let plan = policy.plan(&self.service, next_hop, server).await;
        let no_records = |plan: &Plan| plan.tlsa().is_none() && plan.wished().is_dane();
        match &plan {
            Ok(plan) if !(self.wanted.secure_without_dane && no_records(plan)) => {}
            Err(unmet) if !(self.wanted.secure_without_dane && matches!(unmet, Unmet::Dane(_))) => {}
            _ => return policy.secure_instead(&self.service)?.plan(&self.service, next_hop, server).await,
        }
        plan
    }

    fn tell_unmet(&self, peer: &Peer, unmet: &Unmet) -> String {
        let text = unmet.text(&peer.to_string());
        let why = unmet.warning().unwrap_or(&text);
        (self.say)(&format!("warning: {peer}: {why}"));
        why.to_owned()
    }

    async fn talk(&self, mut report: Report, peer: Peer, plan: Plan, stream: Box<dyn Stream>) -> Report {
        if self.wanted.chat {
            (self.say)(&match peer.port {
                Some(port) => format!("Connected to {}[{}]:{port}", peer.host, peer.address),
                None => format!("Connected to {}[{}]", peer.host, peer.address),
            });
        }
        talk::run(self, &mut report, peer, plan, stream).await;
        report
    }
}
