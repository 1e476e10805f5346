//! The lists of one service: opened once, asked at each stage of a session.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;

use config::{HostFacts, Settings, params};
use dns::Resolver;
use mail::Address;
use route::{Context, Role, Routing};
use tables::domain_search::ParentStyle;
use tables::{Flags, Maps, MatchList, MatchStyle, Tables};

use crate::address;
use crate::asked::{Asked, Decision, Deferrals};
use crate::certificate::Certificates;
use crate::configured::Lists;
use crate::evaluation::{Evaluation, Outcome};
use crate::list::{List, Step};
use crate::verify::{Verification, Verifier};

/// Restriction lists and what they are evaluated with.
pub struct Access {
    lists: Lists,
    delay_reject: bool,
    relay_first: bool,
    /// `soft_bounce`.
    pub(crate) soft_bounce: bool,
    unlisted_recipient: bool,
    unlisted_sender: bool,
    pub(crate) routing: Arc<Routing>,
    pub(crate) resolver: Arc<Resolver>,
    pub(crate) mynetworks: MatchList,
    pub(crate) mx_backup_networks: MatchList,
    pub(crate) own_addresses: Vec<IpAddr>,
    pub(crate) certificates: Certificates,
    pub(crate) parent_style: ParentStyle,
    pub(crate) null_key: String,
    pub(crate) allow_untrusted_routing: bool,
    pub(crate) codes: Codes,
    pub(crate) verification: Verification,
    /// smtpd_sender_login_maps.
    pub(crate) login_maps: Maps,
    /// maps_rbl_domains, for reject_maps_rbl of old.
    pub(crate) maps_rbl_domains: Vec<String>,
    pub(crate) rbl_reply_maps: Maps,
    pub(crate) default_rbl_reply: String,
    /// smtpd_expansion_filter: bytes that may come out of `$name` in a reply.
    pub(crate) expansion_filter: Vec<u8>,
    /// smtpd_log_access_permit_actions.
    pub(crate) permit_log: MatchList,
    /// `myhostname`.
    pub(crate) hostname: String,
    /// `stress`, for policy services.
    pub(crate) stress: String,
    pub(crate) compatibility_level: String,
    pub(crate) mail_version: String,
    /// unknown_address_tempfail_action is defer_if_permit, not defer.
    pub(crate) unknown_address_waits: bool,
    /// The same of unknown_helo_hostname_tempfail_action.
    pub(crate) unknown_helo_waits: bool,
}

/// Reply codes, by the parameters that set them.
#[derive(Clone, Copy)]
pub(crate) struct Codes {
    pub(crate) reject: u16,
    pub(crate) defer: u16,
    pub(crate) map_reject: u16,
    pub(crate) map_defer: u16,
    pub(crate) plaintext: u16,
    pub(crate) unknown_client: u16,
    pub(crate) invalid_hostname: u16,
    pub(crate) non_fqdn: u16,
    pub(crate) unknown_hostname: u16,
    pub(crate) unknown_address: u16,
    pub(crate) relay_domains: u16,
    pub(crate) maps_rbl: u16,
    pub(crate) multi_recipient_bounce: u16,
}

impl Access {
    /// Reads the lists. The texts are warnings for the log; the error is fatal for the service.
    pub fn open(
        settings: &Settings,
        tables: &Tables,
        host: &HostFacts,
        routing: Arc<Routing>,
        resolver: Arc<Resolver>,
        verifier: Arc<dyn Verifier>,
    ) -> Result<(Access, Vec<String>), String> {
        let maps = |parameter: config::param::Param<config::param::kind::Text>| {
            Maps::open(tables, parameter.name(), settings.get(parameter), Flags::default())
        };
        let mut warnings = Vec::new();
        let lists = Lists::read(settings, tables, &mut warnings)?;
        let code = |value: i64| u16::try_from(value).unwrap_or(550);
        let parents = settings.get(params::parent_domain_matches_subdomains);
        let own = host
            .own_addresses(settings.get(params::inet_interfaces), settings.get(params::inet_protocols))
            .into_iter()
            .map(|(address, _)| address);
        let access = Access {
            lists,
            delay_reject: settings.get(params::smtpd_delay_reject),
            relay_first: settings.get(params::smtpd_relay_before_recipient_restrictions),
            soft_bounce: settings.get(params::soft_bounce),
            unlisted_recipient: settings.get(params::smtpd_reject_unlisted_recipient)
                && !config::list::split(settings.get(params::receive_override_options))
                    .contains(&"no_unknown_recipient_checks"),
            unlisted_sender: settings.get(params::smtpd_reject_unlisted_sender),
            routing,
            resolver,
            mynetworks: MatchList::open(
                tables,
                "mynetworks",
                settings.get(params::mynetworks),
                MatchStyle::HostsAndAddresses(ParentStyle::of("mynetworks", parents)),
            ),
            mx_backup_networks: MatchList::open(
                tables,
                "permit_mx_backup_networks",
                settings.get(params::permit_mx_backup_networks),
                MatchStyle::HostsAndAddresses(ParentStyle::of("permit_mx_backup_networks", parents)),
            ),
            own_addresses: own.collect(),
            certificates: Certificates::open(settings, tables, &mut warnings),
            parent_style: ParentStyle::of("smtpd_access_maps", parents),
            null_key: settings.get(params::smtpd_null_access_lookup_key).to_owned(),
            allow_untrusted_routing: settings.get(params::allow_untrusted_routing),
            codes: Codes {
                reject: code(settings.get(params::reject_code)),
                defer: code(settings.get(params::defer_code)),
                map_reject: code(settings.get(params::access_map_reject_code)),
                map_defer: code(settings.get(params::access_map_defer_code)),
                plaintext: code(settings.get(params::plaintext_reject_code)),
                unknown_client: code(settings.get(params::unknown_client_reject_code)),
                invalid_hostname: code(settings.get(params::invalid_hostname_reject_code)),
                non_fqdn: code(settings.get(params::non_fqdn_reject_code)),
                unknown_hostname: code(settings.get(params::unknown_hostname_reject_code)),
                unknown_address: code(settings.get(params::unknown_address_reject_code)),
                relay_domains: code(settings.get(params::relay_domains_reject_code)),
                maps_rbl: code(settings.get(params::maps_rbl_reject_code)),
                multi_recipient_bounce: code(settings.get(params::multi_recipient_bounce_reject_code)),
            },
            verification: Verification::open(settings, verifier),
            login_maps: maps(params::smtpd_sender_login_maps),
            maps_rbl_domains: config::list::split(settings.get(params::maps_rbl_domains))
                .into_iter()
                .map(str::to_owned)
                .collect(),
            rbl_reply_maps: maps(params::rbl_reply_maps),
            default_rbl_reply: settings.get(params::default_rbl_reply).to_owned(),
            expansion_filter: config::escape::unescape(settings.get(params::smtpd_expansion_filter)),
            permit_log: MatchList::open(
                tables,
                "smtpd_log_access_permit_actions",
                settings.get(params::smtpd_log_access_permit_actions),
                MatchStyle::Strings,
            ),
            hostname: settings.get(params::myhostname).to_owned(),
            stress: settings.text_of("stress").unwrap_or_default().to_owned(),
            compatibility_level: settings.text_of("compatibility_level").unwrap_or_default().to_owned(),
            mail_version: settings.text_of("mail_version").unwrap_or_default().to_owned(),
            unknown_address_waits: settings.get(params::unknown_address_tempfail_action) == "defer_if_permit",
            unknown_helo_waits: settings.get(params::unknown_helo_hostname_tempfail_action)
                == "defer_if_permit",
        };
        Ok((access, warnings))
    }

    pub(crate) fn steps(&self, list: List) -> &[Step] {
        self.lists.steps(list)
    }

    pub(crate) fn class(&self, name: &str) -> &[Step] {
        self.lists.class(name)
    }

    pub(crate) fn class_names(&self) -> &HashSet<String> {
        self.lists.class_names()
    }

    /// Is the address none that mail could be sent to, whatever the lists say? Where a table can not be asked, they will.
    pub async fn is_bad_syntax(&self, address: &Address) -> bool {
        let standard = self.routing.rewrite(Context::Local, address);
        let resolved = self.routing.resolve(&Address::null(), &standard).await;
        resolved.is_ok_and(|resolved| resolved.bad_syntax)
    }

    // ---- the stages

    /// Before the greeting.
    pub async fn connect(&self, asked: &Asked<'_>) -> Decision {
        if self.delay_reject { Decision::default() } else { self.ask_early(asked, List::Client).await }
    }

    /// At HELO and EHLO; the client's facts hold the name already.
    pub async fn helo(&self, asked: &Asked<'_>) -> Decision {
        if self.delay_reject { Decision::default() } else { self.ask_early(asked, List::Helo).await }
    }

    /// At MAIL FROM.
    pub async fn mail(&self, asked: &Asked<'_>) -> Decision {
        if self.delay_reject {
            return Decision::default();
        }
        let mut evaluation = Evaluation::early(self, asked);
        let mut refusal = run_all(&mut evaluation, &[List::Sender]).await;
        if refusal.is_none() {
            refusal = self.refuse_unlisted_sender(&mut evaluation).await;
        }
        evaluation.decide_early(refusal)
    }

    /// smtpd_reject_unlisted_sender, behind the sender's list.
    async fn refuse_unlisted_sender(&self, evaluation: &mut Evaluation<'_>) -> Option<mail::Reply> {
        if !self.unlisted_sender || evaluation.discards() {
            return None;
        }
        refused(address::reject_unlisted(evaluation, Role::Sender).await)
    }

    /// At RCPT TO, and for VRFY.
    pub async fn rcpt(&self, asked: &Asked<'_>) -> Decision {
        // RFC 5321 section 4.5.1: postmaster without a domain is always taken. And who answers a probe is not asked again.
        let is_exempt = |recipient: &Address| {
            recipient.as_str().eq_ignore_ascii_case("postmaster")
                || self.verification.sends_probes_as(recipient)
        };
        if asked.recipient.is_some_and(is_exempt) {
            return Decision::default();
        }
        let (relay, recipient) = (List::Relay, List::Recipient);
        let last = if self.relay_first { [relay, recipient] } else { [recipient, relay] };
        let mut evaluation = Evaluation::new(self, asked);
        let mut refusal = run_all(&mut evaluation, &self.delayed(asked)).await;
        if refusal.is_none() && self.delay_reject {
            refusal = self.refuse_unlisted_sender(&mut evaluation).await;
        }
        if refusal.is_none() && !evaluation.discards() {
            refusal = run_all(&mut evaluation, &last).await.or_else(|| evaluation.deferral());
        }
        if refusal.is_none()
            && self.unlisted_recipient
            && !evaluation.recipient_looked_up
            && !evaluation.discards()
        {
            refusal = refused(address::reject_unlisted(&mut evaluation, Role::Recipient).await);
        }
        evaluation.decide(refusal)
    }

    /// At DATA and the first BDAT.
    pub async fn data(&self, asked: &Asked<'_>) -> Decision {
        self.ask(&Asked { deferrals: None, ..*asked }, &[List::Data]).await
    }

    /// Behind the content.
    pub async fn end_of_data(&self, asked: &Asked<'_>) -> Decision {
        self.ask(&Asked { deferrals: None, ..*asked }, &[List::EndOfData]).await
    }

    /// At ETRN.
    pub async fn etrn(&self, asked: &Asked<'_>) -> Decision {
        let mut lists: Vec<List> = self.delayed(asked);
        lists.retain(|list| *list != List::Sender);
        lists.push(List::Etrn);
        // A message is no concern of ETRN's.
        let deferrals = asked.deferrals.map(|deferrals| Deferrals { sender: None, ..deferrals.clone() });
        self.ask(&Asked { deferrals: deferrals.as_ref(), ..*asked }, &lists).await
    }

    /// Are the client's headers rewritten like our own (`local_header_rewrite_clients`)? Lines for the log when that can
    /// not be known; then they are not.
    pub async fn rewrites_headers_of(&self, asked: &Asked<'_>) -> (bool, Decision) {
        let mut evaluation = Evaluation::new(self, asked);
        let permitted = evaluation.run_list(List::HeaderRewrite).await == Ok(true);
        (permitted, evaluation.decide(None))
    }

    /// The lists that smtpd_delay_reject has kept for later.
    fn delayed(&self, asked: &Asked<'_>) -> Vec<List> {
        let mut lists = Vec::new();
        if self.delay_reject {
            lists.push(List::Client);
            if asked.client.helo.is_some() {
                lists.push(List::Helo);
            }
            if asked.sender.is_some() {
                lists.push(List::Sender);
            }
        }
        lists
    }

    async fn ask_early(&self, asked: &Asked<'_>, list: List) -> Decision {
        let mut evaluation = Evaluation::early(self, asked);
        let refusal = run_all(&mut evaluation, &[list]).await;
        evaluation.decide_early(refusal)
    }

    async fn ask(&self, asked: &Asked<'_>, lists: &[List]) -> Decision {
        let mut evaluation = Evaluation::new(self, asked);
        let refusal = run_all(&mut evaluation, lists).await;
        evaluation.decide(refusal)
    }
}

async fn run_all(evaluation: &mut Evaluation<'_>, lists: &[List]) -> Option<mail::Reply> {
    for list in lists {
        if let Err(reply) = evaluation.run_list(*list).await {
            return Some(reply);
        }
        // Nobody gets the message: whether somebody could matters no more.
        if evaluation.discards() {
            return None;
        }
    }
    None
}

fn refused(outcome: Outcome) -> Option<mail::Reply> {
    match outcome {
        Outcome::Refuse(reply) => Some(reply),
        Outcome::Dunno | Outcome::Permit => None,
    }
}
