//! Nobody relays who was not permitted to. Every list of up to two restrictions, in both places of RCPT TO, is asked about every kind
//! of client and recipient, and compared with a rule that is written down here a second time, in a few lines.

use mail::client::SaslFacts;
use mail::tls_facts::{PeerCertificate, TlsFacts, Trust};
use mail::{Address, ClientFacts};

use crate::tests::{open, stranger};
use crate::{Access, Asked};

/// Restrictions, with what each comes to.
const RESTRICTIONS: [(&str, Says); 10] = [
    ("permit", Says::Permit),
    ("permit_mynetworks", Says::PermitIf(|client| client.in_mynetworks)),
    ("permit_sasl_authenticated", Says::PermitIf(|client| client.has_login)),
    ("permit_tls_clientcerts", Says::PermitIf(|client| client.certificate == Certificate::Listed)),
    ("permit_tls_all_clientcerts", Says::PermitIf(|client| client.certificate >= Certificate::Trusted)),
    ("permit_auth_destination", Says::PermitOurs),
    ("check_recipient_access static:OK", Says::Permit),
    ("check_recipient_access static:DUNNO", Says::Nothing),
    ("reject_unauth_destination", Says::RefuseOthers),
    ("defer_unauth_destination", Says::RefuseOthers),
];

#[derive(Clone, Copy)]
enum Says {
    Nothing,
    Permit,
    PermitIf(fn(&Client) -> bool),
    /// The recipient is ours.
    PermitOurs,
    /// The recipient is not.
    RefuseOthers,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Certificate {
    None,
    /// Anybody's.
    Untrusted,
    /// Somebody vouches for it.
    Trusted,
    /// The same, and relay_clientcerts has it.
    Listed,
}

struct Client {
    in_mynetworks: bool,
    has_login: bool,
    certificate: Certificate,
}

/// Recipients, and whether mail for them stays with us and those that we relay for.
const RECIPIENTS: [(&str, bool); 17] = [
    ("user@example.test", true),
    ("user@EXAMPLE.test", true),
    ("user@alias.test", true),
    ("user@box.test", true),
    ("user@relay.test", true),
    ("user@sub.relay.test", true),
    ("user", true),
    ("other.test!user", false),
    ("user@other.test", false),
    ("user@example.test.other.test", false),
    ("user@notrelay.test", false),
    ("user%other.test@example.test", false),
    ("user@other.test@example.test", false),
    ("other.test!user@example.test", false),
    ("user%other.test@relay.test", false),
    ("user@other.test@relay.test", false),
    ("user@[192.0.2.99]", false),
];

const BASE: &str = "virtual_alias_domains = alias.test\nvirtual_alias_maps = inline:{user@alias.test=user}\n\
    virtual_mailbox_domains = box.test\nvirtual_mailbox_maps = inline:{user@box.test=x}\n\
    relay_clientcerts = inline:{AA:BB=x}\nsmtpd_tls_fingerprint_digest = md5\n\
    smtpd_client_restrictions = permit\nsmtpd_helo_restrictions = check_helo_access static:OK\n\
    smtpd_sender_restrictions = check_sender_access static:OK\nsmtpd_reject_unlisted_recipient = no\n";

#[tokio::test]
async fn nobody_relays_who_was_not_permitted_to() {
    let mut asked = 0;
    let mut relayed = 0;
    for relay in lists() {
        // Nothing, a permit, a table that says OK, and what the lists of old days held.
        for recipient in [vec![], vec![0], vec![6], vec![1, 8]] {
            let main_cf = format!(
                "{BASE}smtpd_relay_restrictions = {}\nsmtpd_recipient_restrictions = {}",
                text(&relay),
                text(&recipient)
            );
            let opened = open(&main_cf);
            let prevents =
                |list: &[usize]| list.iter().any(|at| RESTRICTIONS[*at].0.contains("unauth_destination"));
            assert_eq!(opened.is_ok(), prevents(&relay) || prevents(&recipient), "{main_cf}");
            let Ok((access, _)) = opened else { continue };
            for client in clients() {
                for (address, is_ours) in RECIPIENTS {
                    let accepted = takes(&access, &client, address).await;
                    let expected =
                        [&relay, &recipient].iter().all(|list| lets_through(list, &client, is_ours));
                    assert_eq!(accepted, expected, "{address}\n{main_cf}");
                    asked += 1;
                    relayed += usize::from(accepted && !is_ours);
                }
            }
        }
    }
    // The rule is no rule when nothing gets through, or everything.
    assert!(asked > 25_000 && relayed > asked / 100 && relayed < asked / 2, "{relayed} of {asked}");
}

/// The rule: the first word of a list counts, and a list without one lets through.
fn lets_through(list: &[usize], client: &Client, is_ours: bool) -> bool {
    for at in list {
        match RESTRICTIONS[*at].1 {
            Says::Permit => return true,
            Says::PermitIf(condition) if condition(client) => return true,
            Says::PermitOurs if is_ours => return true,
            Says::RefuseOthers if !is_ours => return false,
            _ => {}
        }
    }
    true
}

/// All lists of none, one and two restrictions.
fn lists() -> Vec<Vec<usize>> {
    let all = 0..RESTRICTIONS.len();
    let mut lists = vec![Vec::new()];
    lists.extend(all.clone().map(|one| vec![one]));
    lists.extend(all.clone().flat_map(|one| all.clone().map(move |other| vec![one, other])));
    lists
}

fn text(list: &[usize]) -> String {
    list.iter().map(|at| RESTRICTIONS[*at].0).collect::<Vec<_>>().join(", ")
}

/// Nobody, one credential at a time, and all of them.
fn clients() -> Vec<Client> {
    use Certificate::{Listed, None, Trusted, Untrusted};
    let client = |(in_mynetworks, has_login, certificate)| Client { in_mynetworks, has_login, certificate };
    [
        (false, false, None),
        (true, false, None),
        (false, true, None),
        (false, false, Untrusted),
        (false, false, Trusted),
        (false, false, Listed),
        (true, true, Listed),
    ]
    .map(client)
    .into()
}

async fn takes(access: &Access, client: &Client, recipient: &str) -> bool {
    let mut facts = stranger();
    if client.in_mynetworks {
        facts.address = Some("192.0.2.7".parse().unwrap());
    }
    let login = SaslFacts { method: "PLAIN".into(), username: "user".into(), sender: None };
    facts.sasl = client.has_login.then_some(login);
    facts.tls = (client.certificate > Certificate::None).then(|| tls(client.certificate));
    let sender = Address::internal("s@x.test").unwrap();
    let recipient = Address::internal(recipient).unwrap();
    let client: &ClientFacts = &facts;
    let asked =
        Asked { sender: Some(&sender), recipient: Some(&recipient), stage: "RCPT", ..Asked::of(client) };
    access.rcpt(&asked).await.refusal.is_none()
}

fn tls(certificate: Certificate) -> TlsFacts {
    let fingerprint = if certificate == Certificate::Listed { "AA:BB" } else { "EE:FF" };
    TlsFacts {
        protocol: "TLSv1.3".into(),
        cipher: "X".into(),
        used_bits: 256,
        algorithm_bits: 256,
        key_exchange: None,
        server_signature: None,
        client_signature: None,
        trust: if certificate == Certificate::Untrusted { Trust::Untrusted } else { Trust::Trusted },
        peer: Some(PeerCertificate {
            subject_cn: "c".into(),
            issuer_cn: "i".into(),
            fingerprint: fingerprint.into(),
            pubkey_fingerprint: "CC:DD".into(),
        }),
        untrusted_reason: None,
        asked_ccert: true,
        sni: None,
        resumed: false,
    }
}
