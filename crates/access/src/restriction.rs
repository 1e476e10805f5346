//! The one table of everything that can stand in a restriction list by name (SMTPD_ACCESS_README, postconf(5)).
//!
//! To build another, write its function in the file of its subject and enter it here.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tables::Maps;

use crate::certificate::CertificateTable;
use crate::dns_list::{self, DnsList, Whose};
use crate::evaluation::{Evaluation, Outcome};
use crate::policy::{self, PolicyService};
use crate::server_access::{self, Servers};
use crate::{address, certificate, client, evaluation, helo, login, mx_backup, relay, search, verify};

/// What a restriction decides, when it has to wait for tables or the DNS.
pub(crate) type Deciding<'a> = Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;

/// A restriction's function.
pub(crate) type Run = for<'a, 'b> fn(&'a mut Evaluation<'b>, &'a Argument) -> Deciding<'a>;

/// One entry of the table.
pub(crate) struct Restriction {
    /// As it is written; upper case is allowed too.
    pub(crate) name: &'static str,
    /// What follows it.
    pub(crate) takes: Takes,
    /// What has to be known; without it the restriction says nothing.
    pub(crate) needs: Needs,
    /// What it does.
    pub(crate) run: Run,
}

/// What follows a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Takes {
    Nothing,
    Table,
    /// A table, or one with the order in which it is searched, in braces.
    CertificateTable,
    /// A number of seconds.
    Seconds,
    /// A DNS list, with the answers that count.
    DnsList,
    /// A policy service.
    Policy,
}

/// What a restriction is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    Nothing,
    Helo,
    Sender,
    Recipient,
    Etrn,
}

/// What was given.
#[derive(Clone)]
pub(crate) enum Argument {
    Nothing,
    Table(Arc<Maps>),
    Certificates(CertificateTable),
    Seconds(u64),
    DnsList(Arc<DnsList>),
    Policy(Arc<PolicyService>),
}

/// `warn_if_reject`: a word in front of another restriction.
pub(crate) const WARN_IF_REJECT: &str = "warn_if_reject";

/// Finds a name, in upper or lower case.
pub(crate) fn find(name: &str) -> Option<&'static Restriction> {
    RESTRICTIONS.iter().find(|restriction| restriction.name.eq_ignore_ascii_case(name))
}

const fn entry(name: &'static str, takes: Takes, needs: Needs, run: Run) -> Restriction {
    Restriction { name, takes, needs, run }
}

use Needs as N;
use Takes as T;

/// A search among the servers of a name: which name, which of its servers.
macro_rules! servers {
    ($whose:ident, $servers:ident) => {
        |e, a| Box::pin(server_access::check(e, a, Whose::$whose, Servers::$servers))
    };
}

/// A search for a name in a block list of domains.
macro_rules! rhsbl {
    ($whose:ident) => {
        |e, a| Box::pin(dns_list::reject_rhsbl(e, a, Whose::$whose))
    };
}

/// By subject, in the order of postconf(5).
static RESTRICTIONS: &[Restriction] = &[
    // Any list.
    entry("permit", T::Nothing, N::Nothing, evaluation::permit),
    entry("reject", T::Nothing, N::Nothing, evaluation::reject),
    entry("defer", T::Nothing, N::Nothing, evaluation::defer),
    entry("defer_if_permit", T::Nothing, N::Nothing, evaluation::defer_if_permit),
    entry("defer_if_reject", T::Nothing, N::Nothing, evaluation::defer_if_reject),
    entry("sleep", T::Seconds, N::Nothing, evaluation::sleep),
    entry("reject_plaintext_session", T::Nothing, N::Nothing, client::reject_plaintext_session),
    entry("reject_unauth_pipelining", T::Nothing, N::Nothing, client::reject_unauth_pipelining),
    entry("check_policy_service", T::Policy, N::Nothing, policy::check_policy_service),
    // The client.
    entry("permit_inet_interfaces", T::Nothing, N::Nothing, client::permit_inet_interfaces),
    entry("permit_mynetworks", T::Nothing, N::Nothing, client::permit_mynetworks),
    entry("permit_sasl_authenticated", T::Nothing, N::Nothing, client::permit_sasl_authenticated),
    entry("permit_tls_clientcerts", T::Nothing, N::Nothing, certificate::permit_tls_clientcerts),
    entry("permit_tls_all_clientcerts", T::Nothing, N::Nothing, certificate::permit_tls_all_clientcerts),
    entry("check_client_access", T::Table, N::Nothing, search::check_client_access),
    entry("check_address_map", T::Table, N::Nothing, search::check_address_map),
    entry("check_client_a_access", T::Table, N::Nothing, servers!(Client, Itself)),
    entry("check_client_mx_access", T::Table, N::Nothing, servers!(Client, Mx)),
    entry("check_client_ns_access", T::Table, N::Nothing, servers!(Client, Ns)),
    entry(
        "check_reverse_client_hostname_access",
        T::Table,
        N::Nothing,
        search::check_reverse_client_hostname_access,
    ),
    entry("check_reverse_client_hostname_a_access", T::Table, N::Nothing, servers!(ReverseClient, Itself)),
    entry("check_reverse_client_hostname_mx_access", T::Table, N::Nothing, servers!(ReverseClient, Mx)),
    entry("check_reverse_client_hostname_ns_access", T::Table, N::Nothing, servers!(ReverseClient, Ns)),
    entry("check_ccert_access", T::CertificateTable, N::Nothing, certificate::check_ccert_access),
    entry("check_sasl_access", T::Table, N::Nothing, search::check_sasl_access),
    entry("reject_unknown_client_hostname", T::Nothing, N::Nothing, client::reject_unknown_client_hostname),
    // Its name before Postfix 2.3.
    entry("reject_unknown_client", T::Nothing, N::Nothing, client::reject_unknown_client_hostname),
    entry(
        "reject_unknown_reverse_client_hostname",
        T::Nothing,
        N::Nothing,
        client::reject_unknown_reverse_client_hostname,
    ),
    entry("reject_rbl_client", T::DnsList, N::Nothing, dns_list::reject_rbl_client),
    entry("permit_dnswl_client", T::DnsList, N::Nothing, dns_list::permit_dnswl_client),
    entry("reject_rhsbl_client", T::DnsList, N::Nothing, rhsbl!(Client)),
    entry("reject_rhsbl_reverse_client", T::DnsList, N::Nothing, rhsbl!(ReverseClient)),
    entry("permit_rhswl_client", T::DnsList, N::Nothing, dns_list::permit_rhswl_client),
    // HELO.
    entry("check_helo_access", T::Table, N::Helo, search::check_helo_access),
    entry("check_helo_a_access", T::Table, N::Helo, servers!(Helo, Itself)),
    entry("check_helo_mx_access", T::Table, N::Helo, servers!(Helo, Mx)),
    entry("check_helo_ns_access", T::Table, N::Helo, servers!(Helo, Ns)),
    entry("reject_invalid_helo_hostname", T::Nothing, N::Helo, helo::reject_invalid_helo_hostname),
    entry("reject_invalid_hostname", T::Nothing, N::Helo, helo::reject_invalid_helo_hostname),
    entry("reject_non_fqdn_helo_hostname", T::Nothing, N::Helo, helo::reject_non_fqdn_helo_hostname),
    entry("reject_non_fqdn_hostname", T::Nothing, N::Helo, helo::reject_non_fqdn_helo_hostname),
    entry("reject_unknown_helo_hostname", T::Nothing, N::Helo, helo::reject_unknown_helo_hostname),
    entry("reject_unknown_hostname", T::Nothing, N::Helo, helo::reject_unknown_helo_hostname),
    entry("reject_rhsbl_helo", T::DnsList, N::Helo, rhsbl!(Helo)),
    // The sender.
    entry("check_sender_access", T::Table, N::Sender, search::check_sender_access),
    entry("check_sender_a_access", T::Table, N::Sender, servers!(Sender, Itself)),
    entry("check_sender_mx_access", T::Table, N::Sender, servers!(Sender, Mx)),
    entry("check_sender_ns_access", T::Table, N::Sender, servers!(Sender, Ns)),
    entry("reject_non_fqdn_sender", T::Nothing, N::Sender, address::reject_non_fqdn_sender),
    entry("reject_unknown_sender_domain", T::Nothing, N::Sender, address::reject_unknown_sender_domain),
    entry("reject_unlisted_sender", T::Nothing, N::Sender, address::reject_unlisted_sender),
    entry("reject_unverified_sender", T::Nothing, N::Sender, verify::reject_unverified_sender),
    entry("reject_rhsbl_sender", T::DnsList, N::Sender, rhsbl!(Sender)),
    entry("reject_sender_login_mismatch", T::Nothing, N::Sender, login::reject_sender_login_mismatch),
    entry(
        "reject_authenticated_sender_login_mismatch",
        T::Nothing,
        N::Sender,
        login::reject_authenticated_sender_login_mismatch,
    ),
    entry(
        "reject_known_sender_login_mismatch",
        T::Nothing,
        N::Sender,
        login::reject_known_sender_login_mismatch,
    ),
    entry(
        "reject_unauthenticated_sender_login_mismatch",
        T::Nothing,
        N::Sender,
        login::reject_unauthenticated_sender_login_mismatch,
    ),
    // The recipient.
    entry("check_recipient_access", T::Table, N::Recipient, search::check_recipient_access),
    entry("check_recipient_a_access", T::Table, N::Recipient, servers!(Recipient, Itself)),
    entry("check_recipient_mx_access", T::Table, N::Recipient, servers!(Recipient, Mx)),
    entry("check_recipient_ns_access", T::Table, N::Recipient, servers!(Recipient, Ns)),
    entry("permit_auth_destination", T::Nothing, N::Recipient, relay::permit_auth_destination),
    entry("reject_maps_rbl", T::Nothing, N::Nothing, dns_list::reject_maps_rbl),
    entry("permit_mx_backup", T::Nothing, N::Recipient, mx_backup::permit_mx_backup),
    entry("reject_unauth_destination", T::Nothing, N::Recipient, relay::reject_unauth_destination),
    entry("check_relay_domains", T::Nothing, N::Recipient, relay::reject_unauth_destination),
    entry("defer_unauth_destination", T::Nothing, N::Recipient, relay::defer_unauth_destination),
    entry("reject_non_fqdn_recipient", T::Nothing, N::Recipient, address::reject_non_fqdn_recipient),
    entry(
        "reject_unknown_recipient_domain",
        T::Nothing,
        N::Recipient,
        address::reject_unknown_recipient_domain,
    ),
    entry("reject_unlisted_recipient", T::Nothing, N::Recipient, address::reject_unlisted_recipient),
    entry("check_recipient_maps", T::Nothing, N::Recipient, address::reject_unlisted_recipient),
    entry("reject_unverified_recipient", T::Nothing, N::Recipient, verify::reject_unverified_recipient),
    entry("reject_rhsbl_recipient", T::DnsList, N::Recipient, rhsbl!(Recipient)),
    // DATA, ETRN.
    entry("reject_multi_recipient_bounce", T::Nothing, N::Nothing, address::reject_multi_recipient_bounce),
    entry("check_etrn_access", T::Table, N::Etrn, search::check_etrn_access),
];
