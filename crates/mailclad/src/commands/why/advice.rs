//! What would have to change so that a message can go: one sentence for the kinds of failure that administrators meet.

use link::message::Attempt;

/// A sign in the words of a failure, and what helps against it.
struct Sign {
    part: &'static str,
    advice: &'static str,
}

/// The first that fits counts, so the particular stands before the general.
const SIGNS: &[Sign] = &[
    Sign {
        part: "was not offered by host",
        advice: "the server offers no STARTTLS. Its administrator must switch it on; where the clear is acceptable for this \
                 destination, give it level may in smtp_tls_policy_maps",
    },
    Sign {
        part: "refused to start TLS",
        advice: "the server offers STARTTLS and then refuses it, mostly because it can not read its certificate or key. Its \
                 administrator must mend that",
    },
    Sign {
        part: "Server certificate not verified",
        advice: "the certificate does not prove what the level asks for; the line behind \"is not who level\" in the mail log says \
                 what is wrong with it. A missing authority belongs into smtp_tls_CAfile, another name into match= of \
                 smtp_tls_policy_maps; an expired certificate must be renewed on the other side",
    },
    Sign {
        part: "Cannot start TLS: handshake failure",
        advice: "both sides do not agree on how to do TLS; \"handshake with ... failed\" in the mail log says why. mailclad probe HOST \
                 tries it without mail",
    },
    Sign {
        part: "TLSA",
        advice: "the destination publishes DANE records that can not be used now. mailclad probe and a look at the TLSA records of its \
                 servers tell whose mistake it is; mail waits rather than go unprotected",
    },
    Sign {
        part: "client TLS configuration problem",
        advice: "a TLS setting of this system is wrong; mailclad check and the warning in the mail log name it",
    },
    Sign {
        part: "Connection refused",
        advice: "a machine is there, and nothing listens on that port: the mail server is down, or the port or next hop is wrong \
                 (transport_maps, relayhost)",
    },
    Sign {
        part: "Connection timed out",
        advice: "nobody answers: the machine is down, or a firewall on the way drops the packets. Many providers block outgoing port \
                 25: a relayhost on port 587 or 465 is the way out then",
    },
    Sign {
        part: "No route to host",
        advice: "the network knows no way there: check routes, and inet_protocols when it is an IPv6 address and this machine has no IPv6",
    },
    Sign {
        part: "Network is unreachable",
        advice: "this machine has no network of that kind: with an IPv6 address and no IPv6 here, set inet_protocols = ipv4",
    },
    Sign {
        part: "type=MX: Host not found, try again",
        advice: "the name servers of the destination, or those of this machine (/etc/resolv.conf), do not answer",
    },
    Sign {
        part: "Host or domain name not found",
        advice: "there is no such name: the recipient's domain is misspelled or gone, or the resolver in /etc/resolv.conf is at fault",
    },
    Sign {
        part: "loops back to myself",
        advice: "the MX of the domain is this machine, which does not take mail for it: list the domain in mydestination, \
                 virtual_mailbox_domains or relay_domains, or correct its MX",
    },
    Sign {
        part: "refused to talk to me",
        advice: "the server does not take connections from here: its words above say why, often a block list or too many connections",
    },
    Sign {
        part: "SASL authentication failed",
        advice: "the server does not accept the login: check smtp_sasl_password_maps for this next hop, and the mechanisms and \
                 smtp_sasl_tls_security_options",
    },
    Sign {
        part: "delivery temporarily suspended",
        advice: "the destination failed several times in a row and is left alone for minimal_backoff_time. The reason behind the words \
                 is what has to be mended; postqueue -f tries again at once",
    },
    Sign {
        part: "mail transport unavailable",
        advice: "the service of master.cf that shall deliver is missing or can not start; the mail log has its error",
    },
    Sign {
        part: "deferred transport",
        advice: "defer_transports holds this transport back: take it off the list and reload, or flush with sendmail -q",
    },
    Sign {
        part: "temporary lookup failure",
        advice: "a lookup table can not be asked: the mail log names it",
    },
    Sign {
        part: "address resolver failure",
        advice: "a lookup table for routing can not be asked: the mail log names it",
    },
    Sign {
        part: "Greylist",
        advice: "nothing: the server wants to see a second attempt, which comes by itself",
    },
    Sign {
        part: "greylist",
        advice: "nothing: the server wants to see a second attempt, which comes by itself",
    },
    Sign {
        part: "not owned by recipient",
        advice: "the mailbox belongs to somebody else: change its owner, or have the mail delivered elsewhere by an alias",
    },
    Sign {
        part: "Permission denied",
        advice: "a directory or file that delivery needs may not be used by the recipient's user: check owner and mode of what is named above",
    },
    Sign {
        part: "timed out while",
        advice: "the server stopped answering in the middle of the dialogue: it is overloaded, or something on the way cuts large packets \
                 (path MTU)",
    },
    Sign {
        part: "lost connection with",
        advice: "the server, or something on the way, ended the connection in the middle of the dialogue: its log knows more",
    },
];

/// What helps against a failure; for one that is not known, what its status says of whose turn it is.
pub(super) fn advice(attempt: &Attempt) -> &'static str {
    if let Some(sign) = SIGNS.iter().find(|sign| attempt.text.contains(sign.part)) {
        return sign.advice;
    }
    match (attempt.remote.is_some(), attempt.status.detail.0) {
        // RFC 3463 section 3: the second number tells what the trouble is about.
        (true, 2) => {
            "the recipient's mailbox can not take mail now, says its server: full, or switched off for a while"
        }
        (true, 7) => {
            "the server has a rule against this mail: its words above tell which, and its administrator can change it"
        }
        (true, _) => {
            "the server's words above are all that it tells; its administrator can find this attempt by time and address"
        }
        (false, 4) => "the way to the destination is disturbed; attempts go on by themselves",
        (false, _) => "the mail log of that time has more about this attempt",
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use mail::{Address, Recipient, Status};

    use super::*;

    fn attempt(text: &str, status: Status, remote: bool) -> Attempt {
        Attempt {
            recipient: Recipient::new(Address::internal("r@x").unwrap()),
            at: SystemTime::UNIX_EPOCH,
            status,
            text: text.into(),
            relay: "none".into(),
            remote: remote.then(|| ("mx.x".to_owned(), text.to_owned())),
            tls: String::new(),
        }
    }

    #[test]
    fn what_is_known_has_its_advice_and_the_rest_goes_by_status() {
        for (text, status, remote, part) in [
            (
                "TLS is required, but was not offered by host mx.x[192.0.2.1]",
                Status::new(4, 7, 4),
                false,
                "no STARTTLS",
            ),
            (
                "connect to mx.x[192.0.2.1]:25: Connection refused",
                Status::new(4, 4, 1),
                false,
                "nothing listens",
            ),
            (
                "delivery temporarily suspended: connect to mx.x[192.0.2.1]:25: No route to host",
                Status::new(4, 4, 1),
                false,
                "the network knows no way",
            ),
            ("host mx.x[192.0.2.1] said: 452 4.2.2 full", Status::new(4, 2, 2), true, "mailbox"),
            ("host mx.x[192.0.2.1] said: 450 4.7.1 no", Status::new(4, 7, 1), true, "a rule"),
            ("something new", Status::new(4, 4, 9), false, "disturbed"),
        ] {
            let told = advice(&attempt(text, status, remote));
            assert!(told.contains(part), "{text}: {told}");
        }
    }

    #[test]
    fn every_sign_can_be_reached() {
        for (index, sign) in SIGNS.iter().enumerate() {
            let first = SIGNS.iter().position(|other| sign.part.contains(other.part));
            assert_eq!(first, Some(index), "{} is covered by an earlier sign", sign.part);
        }
    }
}
