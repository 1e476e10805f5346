//! The one table of everything that can stand in a restriction list by name (SMTPD_ACCESS_README, postconf(5)).
//!
//! A name without a function is known and not built yet: the service answers 451 where it would have to decide, never
//! with a silent permit. To build one, write its function in the file of its subject and enter it here.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tables::Maps;

use crate::certificate::CertificateTable;
use crate::dns_list::{self, DnsList, Whose};
use crate::evaluation::{Evaluation, Outcome};
use crate::policy::{self, PolicyService};
use crate::server_access::{self, Servers};
use crate::{address, certificate, client, evaluation, helo, login, relay, search};

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
    /// What it does; `None`: not built yet.
    pub(crate) run: Option<Run>,
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
    /// Another restriction.
    Restriction,
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

const fn entry(name: &'static str, takes: Takes, needs: Needs, run: Option<Run>) -> Restriction {
    Restriction { name, takes, needs, run }
}

use Needs as N;
use Takes as T;

/// By subject, in the order of postconf(5).
static RESTRICTIONS: &[Restriction] = &[
    // Any list.
    entry("permit", T::Nothing, N::Nothing, Some(evaluation::permit)),
    entry("reject", T::Nothing, N::Nothing, Some(evaluation::reject)),
    entry("defer", T::Nothing, N::Nothing, Some(evaluation::defer)),
    entry("defer_if_permit", T::Nothing, N::Nothing, Some(evaluation::defer_if_permit)),
    entry("defer_if_reject", T::Nothing, N::Nothing, Some(evaluation::defer_if_reject)),
    entry(WARN_IF_REJECT, T::Restriction, N::Nothing, None),
    entry("sleep", T::Seconds, N::Nothing, Some(evaluation::sleep)),
    entry("reject_plaintext_session", T::Nothing, N::Nothing, Some(client::reject_plaintext_session)),
    entry("reject_unauth_pipelining", T::Nothing, N::Nothing, Some(client::reject_unauth_pipelining)),
    entry("check_policy_service", T::Policy, N::Nothing, Some(policy::check_policy_service)),
    // The client.
    entry("permit_inet_interfaces", T::Nothing, N::Nothing, Some(client::permit_inet_interfaces)),
    entry("permit_mynetworks", T::Nothing, N::Nothing, Some(client::permit_mynetworks)),
    entry("permit_sasl_authenticated", T::Nothing, N::Nothing, Some(client::permit_sasl_authenticated)),
    entry("permit_tls_clientcerts", T::Nothing, N::Nothing, Some(certificate::permit_tls_clientcerts)),
    entry(
        "permit_tls_all_clientcerts",
        T::Nothing,
        N::Nothing,
        Some(certificate::permit_tls_all_clientcerts),
    ),
    entry("check_client_access", T::Table, N::Nothing, Some(search::check_client_access)),
    entry("check_address_map", T::Table, N::Nothing, Some(search::check_address_map)),
    entry(
        "check_client_a_access",
        T::Table,
        N::Nothing,
        Some(|e, a| Box::pin(server_access::check(e, a, Whose::Client, Servers::Itself))),
    ),
    entry(
        "check_client_mx_access",
        T::Table,
        N::Nothing,
        Some(|e, a| Box::pin(server_access::check(e, a, Whose::Client, Servers::Mx))),
    ),
    entry(
        "check_client_ns_access",
        T::Table,
        N::Nothing,
        Some(|e, a| Box::pin(server_access::check(e, a, Whose::Client, Servers::Ns))),
    ),
    entry(
        "check_reverse_client_hostname_access",
        T::Table,
        N::Nothing,
        Some(search::check_reverse_client_hostname_access),
    ),
    entry(
        "check_reverse_client_hostname_a_access",
        T::Table,
        N::Nothing,
        Some(|e, a| Box::pin(server_access::check(e, a, Whose::ReverseClient, Servers::Itself))),
    ),
    entry(
        "check_reverse_client_hostname_mx_access",
        T::Table,
        N::Nothing,
        Some(|e, a| Box::pin(server_access::check(e, a, Whose::ReverseClient, Servers::Mx))),
    ),
    entry(
        "check_reverse_client_hostname_ns_access",
        T::Table,
        N::Nothing,
        Some(|e, a| Box::pin(server_access::check(e, a, Whose::ReverseClient, Servers::Ns))),
    ),
    entry("check_ccert_access", T::CertificateTable, N::Nothing, Some(certificate::check_ccert_access)),
    entry("check_sasl_access", T::Table, N::Nothing, Some(search::check_sasl_access)),
    entry(
        "reject_unknown_client_hostname",
        T::Nothing,
        N::Nothing,
        Some(client::reject_unknown_client_hostname),
    ),
    // Its name before Postfix 2.3.
    entry("reject_unknown_client", T::Nothing, N::Nothing, Some(client::reject_unknown_client_hostname)),
    entry(
        "reject_unknown_reverse_client_hostname",
        T::Nothing,
        N::Nothing,
        Some(client::reject_unknown_reverse_client_hostname),
    ),
    entry("reject_unknown_forward_client_hostname", T::Nothing, N::Nothing, None),
    entry("reject_rbl_client", T::DnsList, N::Nothing, Some(dns_list::reject_rbl_client)),
    entry("permit_dnswl_client", T::DnsList, N::Nothing, Some(dns_list::permit_dnswl_client)),
    entry(
        "reject_rhsbl_client",
        T::DnsList,
        N::Nothing,
        Some(|e, a| Box::pin(dns_list::reject_rhsbl(e, a, Whose::Client))),
    ),
    entry(
        "reject_rhsbl_reverse_client",
        T::DnsList,
        N::Nothing,
        Some(|e, a| Box::pin(dns_list::reject_rhsbl(e, a, Whose::ReverseClient))),
    ),
    entry("permit_rhswl_client", T::DnsList, N::Nothing, Some(dns_list::permit_rhswl_client)),
    // HELO.
    entry("check_helo_access", T::Table, N::Helo, Some(search::check_helo_access)),
    entry(
        "check_helo_a_access",
        T::Table,
        N::Helo,
        Some(|e, a| Box::pin(server_access::check(e, a, Whose::Helo, Servers::Itself))),
    ),
    entry(
        "check_helo_mx_access",
        T::Table,
        N::Helo,
        Some(|e, a| Box::pin(server_access::check(e, a, Whose::Helo, Servers::Mx))),
    ),
    entry(
        "check_helo_ns_access",
        T::Table,
        N::Helo,
        Some(|e, a| Box::pin(server_access::check(e, a, Whose::Helo, Servers::Ns))),
    ),
    entry("reject_invalid_helo_hostname", T::Nothing, N::Helo, Some(helo::reject_invalid_helo_hostname)),
    entry("reject_invalid_hostname", T::Nothing, N::Helo, Some(helo::reject_invalid_helo_hostname)),
    entry("reject_non_fqdn_helo_hostname", T::Nothing, N::Helo, Some(helo::reject_non_fqdn_helo_hostname)),
    entry("reject_non_fqdn_hostname", T::Nothing, N::Helo, Some(helo::reject_non_fqdn_helo_hostname)),
    entry("reject_unknown_helo_hostname", T::Nothing, N::Helo, Some(helo::reject_unknown_helo_hostname)),
    entry("reject_unknown_hostname", T::Nothing, N::Helo, Some(helo::reject_unknown_helo_hostname)),
    entry(
        "reject_rhsbl_helo",
        T::DnsList,
        N::Helo,
        Some(|e, a| Box::pin(dns_list::reject_rhsbl(e, a, Whose::Helo))),
    ),
    // The sender.
    entry("check_sender_access", T::Table, N::Sender, Some(search::check_sender_access)),
    entry(
        "check_sender_a_access",
        T::Table,
        N::Sender,
        Some(|e, a| Box::pin(server_access::check(e, a, Whose::Sender, Servers::Itself))),
    ),
    entry(
        "check_sender_mx_access",
        T::Table,
        N::Sender,
        Some(|e, a| Box::pin(server_access::check(e, a, Whose::Sender, Servers::Mx))),
    ),
    entry(
        "check_sender_ns_access",
        T::Table,
        N::Sender,
        Some(|e, a| Box::pin(server_access::check(e, a, Whose::Sender, Servers::Ns))),
    ),
    entry("reject_non_fqdn_sender", T::Nothing, N::Sender, Some(address::reject_non_fqdn_sender)),
    entry("reject_unknown_sender_domain", T::Nothing, N::Sender, Some(address::reject_unknown_sender_domain)),
    entry("reject_unlisted_sender", T::Nothing, N::Sender, Some(address::reject_unlisted_sender)),
    entry("reject_unverified_sender", T::Nothing, N::Sender, None),
    entry(
        "reject_rhsbl_sender",
        T::DnsList,
        N::Sender,
        Some(|e, a| Box::pin(dns_list::reject_rhsbl(e, a, Whose::Sender))),
    ),
    entry("reject_sender_login_mismatch", T::Nothing, N::Sender, Some(login::reject_sender_login_mismatch)),
    entry(
        "reject_authenticated_sender_login_mismatch",
        T::Nothing,
        N::Sender,
        Some(login::reject_authenticated_sender_login_mismatch),
    ),
    entry(
        "reject_known_sender_login_mismatch",
        T::Nothing,
        N::Sender,
        Some(login::reject_known_sender_login_mismatch),
    ),
    entry(
        "reject_unauthenticated_sender_login_mismatch",
        T::Nothing,
        N::Sender,
        Some(login::reject_unauthenticated_sender_login_mismatch),
    ),
    // The recipient.
    entry("check_recipient_access", T::Table, N::Recipient, Some(search::check_recipient_access)),
    entry(
        "check_recipient_a_access",
        T::Table,
        N::Recipient,
        Some(|e, a| Box::pin(server_access::check(e, a, Whose::Recipient, Servers::Itself))),
    ),
    entry(
        "check_recipient_mx_access",
        T::Table,
        N::Recipient,
        Some(|e, a| Box::pin(server_access::check(e, a, Whose::Recipient, Servers::Mx))),
    ),
    entry(
        "check_recipient_ns_access",
        T::Table,
        N::Recipient,
        Some(|e, a| Box::pin(server_access::check(e, a, Whose::Recipient, Servers::Ns))),
    ),
    entry("permit_auth_destination", T::Nothing, N::Recipient, Some(relay::permit_auth_destination)),
    entry("permit_mx_backup", T::Nothing, N::Recipient, None),
    entry("reject_unauth_destination", T::Nothing, N::Recipient, Some(relay::reject_unauth_destination)),
    entry("check_relay_domains", T::Nothing, N::Recipient, Some(relay::reject_unauth_destination)),
    entry("defer_unauth_destination", T::Nothing, N::Recipient, Some(relay::defer_unauth_destination)),
    entry("reject_non_fqdn_recipient", T::Nothing, N::Recipient, Some(address::reject_non_fqdn_recipient)),
    entry(
        "reject_unknown_recipient_domain",
        T::Nothing,
        N::Recipient,
        Some(address::reject_unknown_recipient_domain),
    ),
    entry("reject_unlisted_recipient", T::Nothing, N::Recipient, Some(address::reject_unlisted_recipient)),
    entry("check_recipient_maps", T::Nothing, N::Recipient, Some(address::reject_unlisted_recipient)),
    entry("reject_unverified_recipient", T::Nothing, N::Recipient, None),
    entry(
        "reject_rhsbl_recipient",
        T::DnsList,
        N::Recipient,
        Some(|e, a| Box::pin(dns_list::reject_rhsbl(e, a, Whose::Recipient))),
    ),
    // DATA, ETRN.
    entry(
        "reject_multi_recipient_bounce",
        T::Nothing,
        N::Nothing,
        Some(address::reject_multi_recipient_bounce),
    ),
    entry("check_etrn_access", T::Table, N::Etrn, Some(search::check_etrn_access)),
];
