//! The delivery agents that live in this role because they deliver nothing: error(8), retry, discard(8), and transports
//! that are switched off or missing.

use mail::{Address, Outcome, Status};
use route::Resolved;

use crate::limits::Limits;
use crate::schedule::Site;

/// `content_filter`, or a FILTER action: `transport:next_hop` in the place of what routing said. Without a next hop the
/// `default_filter_nexthop` counts, and without that the recipient's domain.
pub(crate) fn redirect(resolved: &mut Resolved, filter: &str, default_next_hop: &str, recipient: &Address) {
    let (transport, next_hop) = filter.split_once(':').unwrap_or((filter, ""));
    resolved.transport = transport.to_owned();
    let candidates = [next_hop, default_next_hop, recipient.domain().unwrap_or_default()];
    if let Some(next_hop) = candidates.into_iter().find(|candidate| !candidate.is_empty()) {
        resolved.next_hop = next_hop.to_owned();
    }
}

/// The outcome of the agents that live in this role: error, retry, discard; and of transports that are switched off.
pub(crate) fn own_outcome(limits: &Limits, site: &Site) -> Option<Outcome> {
    if limits.deferred_transports.contains(&site.transport) {
        return Some(Outcome::deferred(Status::new(4, 3, 2), "none", "deferred transport"));
    }
    let program = match (limits.transport(&site.transport), site.transport.as_str()) {
        (Some(transport), _) => transport.program.as_str(),
        // Routing itself uses these names, whether master.cf has them or not.
        (None, "error" | "retry") => "error",
        (None, "discard") => "discard",
        (None, name) => {
            let text =
                format!("mail transport unavailable: master.cf has no service \"{name}\" of type unix");
            return Some(Outcome::deferred(Status::new(4, 3, 0), "none", text));
        }
    };
    let split = |default: Status, fallback: &str| match Status::split_from(&site.next_hop) {
        Some((status, text)) => (status, text.to_owned()),
        None if site.next_hop.is_empty() => (default, fallback.to_owned()),
        None => (default, site.next_hop.clone()),
    };
    match program {
        // One program serves both names; which of them decides what becomes of the recipient.
        "error" if site.transport == "retry" => {
            let (status, text) = split(Status::new(4, 0, 0), "mail is retried later");
            Some(Outcome::deferred(status, "none", text))
        }
        "error" => {
            let (status, text) = split(Status::new(5, 0, 0), "mail to this destination is refused");
            Some(match status.class {
                4 => Outcome::deferred(status, "none", text),
                _ => Outcome::bounced(status, "none", text),
            })
        }
        "discard" => {
            let (status, text) = split(Status::new(2, 0, 0), "discarded");
            let mut outcome = Outcome::sent("none", text);
            outcome.status = status.with_class(2);
            Some(outcome)
        }
        _ => None,
    }
}
