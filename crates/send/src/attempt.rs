//! One delivery: next hop after next hop and server after server, until every recipient has its final word or there is nobody left to
//! ask (smtp(8); postconf(5), smtp_fallback_relay).

use std::time::{Duration, Instant};

use config::params;
use link::message::{Caching, Complaint, Delivery};
use mail::delivery_line::{Delays, delivery_line};
use mail::{Outcome, OutcomeKind, Status};
use maillog::Log;
use tls::policy::{Needs, RequireTls, Unmet};

use crate::connect;
use crate::content::Content;
use crate::next_hop::NextHop;
use crate::servers::{self, Server};
use crate::service::Service;
use crate::session::Connection;
use crate::tlsrpt::{Place, Reporting};
use crate::visit::{self, Refused, Target, Visited};
use crate::wish::Policy;

/// What is told to the queue.
pub(crate) struct Attempted {
    /// One for each recipient.
    pub(crate) outcomes: Vec<Outcome>,
    /// The destination as a whole could not be used.
    pub(crate) site_failure: Option<String>,
    /// This machine is the best exchanger, and best_mx_transport shall have the delivery.
    pub(crate) elsewhere: Option<String>,
    /// Sessions that the postmaster is told of.
    pub(crate) complaints: Vec<Complaint>,
}

/// A delivery under way.
pub(crate) struct Attempt<'a> {
    pub(crate) service: &'a Service,
    pub(crate) delivery: &'a Delivery,
    pub(crate) content: &'a Content,
    pub(crate) log: &'a Log,
    pub(crate) began: Instant,
    pub(crate) open: Open,
    /// Whether connections are kept, for the next hop that is tried.
    pub(crate) caching: Caching,
    /// Mail for the next hop comes back to this machine.
    loops: bool,
}

/// A next hop with its servers.
struct Site<'a> {
    text: &'a str,
    next_hop: NextHop,
    policy: Policy,
    /// Who wants to hear how TLS ended.
    reporting: Option<Reporting>,
    servers: Vec<Server>,
    /// Nobody else is tried afterwards.
    is_last: bool,
}

/// Delivers, and logs a line for each recipient.
pub(crate) async fn deliver(service: &Service, delivery: &Delivery, content: Content) -> Attempted {
    let log = service.log.session();
    let mut attempt = Attempt {
        service,
        delivery,
        content: &content,
        log: &log,
        began: Instant::now(),
        open: Open::new(service, delivery),
        caching: Caching::default(),
        loops: false,
    };
    attempt.try_next_hops().await;
    let best_mx = service.settings.get(params::best_mx_transport);
    if attempt.loops && !best_mx.is_empty() {
        let elsewhere = Some(best_mx.to_owned());
        return Attempted { outcomes: Vec::new(), site_failure: None, elsewhere, complaints: Vec::new() };
    }
    attempt.finish().await
}

impl Attempt<'_> {
    /// The next hop, and then the relays that stand in for it.
    async fn try_next_hops(&mut self) {
        let fallback = &self.service.fallback_relays;
        let next_hops: Vec<&str> =
            std::iter::once(&*self.delivery.next_hop).chain(fallback.iter().map(String::as_str)).collect();
        for (index, text) in next_hops.iter().enumerate() {
            if !self.open.has_open() {
                return;
            }
            let is_last = index + 1 == next_hops.len();
            let is_final = self.try_next_hop(text, is_last).await;
            if is_last || is_final {
                self.soften(text, index > 0);
                return;
            }
        }
    }

    /// True: nobody else may be tried, because mail would come back to this machine.
    async fn try_next_hop(&mut self, text: &str, is_last: bool) -> bool {
        let next_hop = match NextHop::parse(text) {
            Ok(next_hop) => next_hop,
            Err(why) => {
                self.open.fail(Outcome::deferred(Status::new(4, 3, 5), "none", why));
                return false;
            }
        };
        self.caching = self.service.caching(self.delivery.caching, &next_hop).await;
        let needs = match self.needs(&next_hop, text).await {
            Ok(needs) => needs,
            Err(unmet) => {
                let refused = visit::no_plan(self.log, text, &self.service.hostname, &unmet);
                self.open.fail(refused.outcome);
                return false;
            }
        };
        let policy = Policy::find(self.service, text, &next_hop, needs, self.log).await;
        if let NextHop::Socket(path) = &next_hop {
            self.over_socket(text, &next_hop, policy, path, is_last).await;
            return false;
        }
        let found = match servers::find(self.service, &next_hop).await {
            Ok(found) => found,
            Err(failure) => {
                self.open.fail(failure.outcome);
                self.loops = failure.loops && self.open.is_untouched();
                return failure.loops;
            }
        };
        let is_mx = found.is_mx;
        let reporting = Reporting::begin(self.service, &next_hop, &policy, self.log).await;
        let is_last = is_last || is_mx;
        let site = Site { text, next_hop, policy, reporting, servers: found.servers, is_last };
        self.try_servers(&site).await;
        is_mx
    }

    /// Connections that were kept first, then new ones in the order of preference.
    async fn try_servers(&mut self, site: &Site<'_>) {
        let mut targets: Vec<Option<Result<Target, Refused>>> = site.servers.iter().map(|_| None).collect();
        let mut visited = vec![false; site.servers.len()];
        let mut sessions = 0;
        if self.caching.load {
            for (index, server) in site.servers.iter().enumerate().take_while(|(_, server)| server.best) {
                let target = self.target(site, server).await;
                if let Ok(target) = &target
                    && self.open.has_open()
                    && self.visit_again(target, false).await
                {
                    visited[index] = true;
                    sessions += 1;
                }
                targets[index] = Some(target);
            }
        }
        for (index, server) in site.servers.iter().enumerate().filter(|(index, _)| !visited[*index]) {
            if sessions >= self.service.session_limit || !self.open.has_open() {
                return;
            }
            let target = match targets[index].take() {
                Some(target) => target,
                None => self.target(site, server).await,
            };
            let is_final = site.is_last
                && (index + 1 == site.servers.len() || sessions + 1 >= self.service.session_limit);
            let target = match target {
                Ok(target) => target,
                Err(refused) => {
                    if let (Some(reporting), Some(unmet)) = (&site.reporting, &refused.unmet) {
                        reporting.unmet(&Place { peer: &server.peer(), helo: None, own: None }, unmet);
                    }
                    self.open.fail(refused.outcome(is_final));
                    continue;
                }
            };
            if self.visit_server(site, &target, server, is_final).await {
                sessions += 1;
            }
        }
    }

    /// Over a new connection; once more in the clear where that is allowed. True: there was a transaction.
    async fn visit_server(
        &mut self,
        site: &Site<'_>,
        target: &Target,
        server: &Server,
        is_final: bool,
    ) -> bool {
        let (stream, own) = match connect::to_server(self.service, server).await {
            Ok(connected) => connected,
            Err(outcome) => {
                maillog::info!(self.log, "{}", outcome.text);
                self.open.fail(outcome);
                return false;
            }
        };
        let visited = self.visit(target, Connection::New(stream), is_final).await;
        if let Some(reporting) = &site.reporting {
            let place = Place { peer: &target.peer, helo: visited.helo.as_deref(), own };
            reporting.session(&place, &target.plan, &visited.tls);
        }
        if let Some(clear) = self.in_the_clear(target, &visited)
            && let Ok((stream, _)) = connect::to_server(self.service, server).await
        {
            let id = &self.delivery.message.id;
            if is_final {
                maillog::info!(self.log, "{id}: {}", visited.reason);
            }
            maillog::warning!(
                self.log,
                "{id}: sending to {} WITHOUT TLS after a failed session with TLS, as level may allows; set level encrypt to wait instead",
                target.peer.relay()
            );
            return self.visit(&clear, Connection::New(stream), is_final).await.spoken;
        }
        visited.spoken
    }

    /// A message that has waited is sent in the clear rather than not at all, when the level allows that.
    fn in_the_clear(&self, target: &Target, visited: &Visited) -> Option<Target> {
        let is_question = self.delivery.message.envelope.purpose != mail::Purpose::Delivery;
        let has_waited = self.delivery.waited.0 >= self.service.plaintext_age || is_question;
        let failed = visited.handshake_failed || (visited.lost_in_tls && self.open.has_open());
        if !failed || !has_waited || target.credentials.is_some() {
            return None;
        }
        target.plan.in_the_clear().map(|plan| Target { plan, keeps: false, ..target.clone() })
    }

    /// Over a connection that was kept, if there is one. False: there was none, or it was dead.
    async fn visit_again(&mut self, target: &Target, is_final: bool) -> bool {
        while let Some(mut idle) = self.service.connections.take(&target.key, Instant::now()) {
            if !idle.is_quiet().await {
                continue;
            }
            let visited = self.visit(target, Connection::Kept(idle), is_final).await;
            if !visited.stale {
                return true;
            }
        }
        false
    }

    /// A UNIX-domain socket has one server.
    async fn over_socket(
        &mut self,
        text: &str,
        next_hop: &NextHop,
        policy: Policy,
        path: &str,
        is_last: bool,
    ) {
        let target = match self.target_of(text, next_hop, &policy, None, path).await {
            Ok(target) => target,
            Err(refused) => return self.open.fail(refused.outcome(is_last)),
        };
        if self.caching.load && self.visit_again(&target, is_last).await {
            return;
        }
        match connect::to_socket(self.service, path).await {
            Ok(stream) => {
                self.visit(&target, Connection::New(stream), is_last).await;
            }
            Err(outcome) => self.open.fail(outcome),
        }
    }

    async fn target(&self, site: &Site<'_>, server: &Server) -> Result<Target, Refused> {
        self.target_of(site.text, &site.next_hop, &site.policy, Some(server), "").await
    }

    /// What the message asks of TLS, and what that means at this destination.
    async fn needs(&self, next_hop: &NextHop, text: &str) -> Result<Needs, Unmet> {
        let envelope = &self.delivery.message.envelope;
        let require_tls = match &self.service.require_tls {
            Some(policy) if envelope.require_tls => {
                let name = next_hop.ascii_domain();
                policy.find(name.as_deref().unwrap_or(text)).await.map_err(Unmet::RequireTlsPolicy)?
            }
            _ => RequireTls::No,
        };
        let counts = self.service.settings.get(params::tls_required_enable);
        Ok(Needs { require_tls, tls_optional: envelope.tls_optional && counts })
    }

    /// A relay that an administrator named and that can not be found is a mistake to be repaired, not a reason to return mail.
    fn soften(&mut self, next_hop: &str, is_fallback: bool) {
        let relayhost = self.service.settings.get(params::relayhost);
        let parameter = match is_fallback {
            true => "smtp_fallback_relay",
            false if !relayhost.is_empty() && next_hop.eq_ignore_ascii_case(relayhost) => "relayhost",
            false => return,
        };
        if let Some(last) = &mut self.open.last
            && last.kind == OutcomeKind::Bounced
        {
            maillog::warning!(self.log, "{parameter} configuration problem");
            *last = Outcome { kind: OutcomeKind::Deferred, status: Status::new(4, 3, 5), ..last.clone() };
        }
    }

    /// The outcomes as they are now, each with its line in the log.
    async fn finish(self) -> Attempted {
        let Attempt { service, delivery, log, began, open, .. } = self;
        let setup = began.elapsed();
        let purpose = delivery.message.envelope.purpose;
        let unused = || {
            let text = "server unavailable or unable to receive mail";
            Outcome::deferred(Status::new(4, 3, 0), "none", text)
        };
        let mut outcomes = Vec::with_capacity(open.rows.len());
        for (mut row, recipient) in open.rows.into_iter().zip(&delivery.message.envelope.recipients) {
            if row.is_open()
                && let Some(last) = &open.last
            {
                row.outcome = Some(last.clone());
                row.delays.setup = setup;
            }
            let outcome = row.outcome.unwrap_or_else(unused);
            let outcome = service.status_filter.apply(outcome, |why| maillog::warning!(log, "{why}")).await;
            let shown = outcome.clone().for_purpose(purpose);
            let line =
                delivery_line(log.form(), &delivery.message.id, recipient, &shown, &row.delays, row.uses);
            maillog::info!(log, "{line}");
            outcomes.push(outcome);
        }
        let all_deferred = outcomes.iter().all(|outcome| outcome.kind == OutcomeKind::Deferred);
        let site_failure = (!open.spoken && all_deferred)
            .then(|| outcomes.first().map(|outcome| outcome.text.clone()))
            .flatten();
        let outcomes = outcomes.into_iter().map(|outcome| outcome.for_purpose(purpose)).collect();
        Attempted { outcomes, site_failure, elsewhere: None, complaints: open.complaints }
    }
}

/// The recipients, and what is known of each.
pub(crate) struct Open {
    rows: Vec<Row>,
    /// A failure behind the last visit: it stands for all whose word may still change.
    last: Option<Outcome>,
    /// A server took part in a transaction: the site as a whole is alive.
    pub(crate) spoken: bool,
    /// Sessions that the postmaster is told of.
    pub(crate) complaints: Vec<Complaint>,
}

struct Row {
    outcome: Option<Outcome>,
    delays: Delays,
    /// Deliveries on its connection so far.
    uses: u32,
}

impl Row {
    /// Not tried, or deferred.
    fn is_open(&self) -> bool {
        self.outcome.as_ref().is_none_or(|outcome| outcome.kind == OutcomeKind::Deferred)
    }
}

impl Open {
    fn new(service: &Service, delivery: &Delivery) -> Open {
        let delays = Delays {
            before_queue: delivery.waited.0,
            in_queue: delivery.waited.1,
            decimals: service.delay_decimals,
            ..Delays::default()
        };
        let row = |_| Row { outcome: None, delays, uses: 1 };
        let rows = delivery.message.envelope.recipients.iter().map(row).collect();
        Open { rows, last: None, spoken: false, complaints: Vec::new() }
    }

    /// Recipients without a final word.
    pub(crate) fn indexes(&self) -> Vec<usize> {
        (0..self.rows.len()).filter(|index| self.rows[*index].is_open()).collect()
    }

    /// No server was asked.
    fn is_untouched(&self) -> bool {
        self.rows.iter().all(|row| row.outcome.is_none())
    }

    pub(crate) fn has_open(&self) -> bool {
        self.rows.iter().any(Row::is_open)
    }

    /// A failure that no server has spoken of.
    pub(crate) fn fail(&mut self, outcome: Outcome) {
        self.last = Some(outcome);
    }

    /// What a visit brought for one recipient.
    pub(crate) fn take(&mut self, index: usize, outcome: Outcome, times: (Duration, Duration), uses: u32) {
        self.last = None;
        if let Some(row) = self.rows.get_mut(index) {
            row.outcome = Some(outcome);
            (row.delays.setup, row.delays.transmission) = times;
            row.uses = uses;
        }
    }
}
