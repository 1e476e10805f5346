//! Parameters that are named after a service of master.cf (postconf(5), "transport_..."): the queue manager's
//! settings for each transport (`smtp_destination_recipient_limit`), the time limit of each pipe(8) and spawn(8)
//! service (`policy_time_limit`), and settings of each policy client.
//!
//! They are no entries of the registry, because their number depends on master.cf: a family is a suffix, and
//! the parameter that stands in for the ones that nobody sets.

use crate::param::{Form, Kind, Rule};

/// Parameters with the same suffix.
#[derive(Debug, Clone, Copy)]
pub struct Family {
    /// What follows the name of the service: `_destination_recipient_limit`.
    pub suffix: &'static str,
    /// The parameter whose value counts otherwise.
    pub default: &'static str,
    /// How the text is read.
    pub rule: Rule,
    /// Which services have it.
    pub of: Members,
}

/// The services that have the parameters of a family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Members {
    /// Services whose program delivers mail: smtp, lmtp, local, virtual, pipe, error, retry, discard.
    Transports,
    /// Services of spawn(8).
    Spawn,
    /// Services of pipe(8).
    Pipe,
}

const fn family(
    suffix: &'static str,
    default: &'static str,
    kind: Kind,
    min: i64,
    max: i64,
    of: Members,
) -> Family {
    Family { suffix, default, rule: Rule { kind, min, max, unit: 's', form: Form::Any }, of }
}

/// All families.
pub static FAMILIES: &[Family] = &[
    family("_delivery_slot_cost", "default_delivery_slot_cost", Kind::Int, 0, 0, Members::Transports),
    family(
        "_delivery_slot_discount",
        "default_delivery_slot_discount",
        Kind::Int,
        0,
        100,
        Members::Transports,
    ),
    family("_delivery_slot_loan", "default_delivery_slot_loan", Kind::Int, 0, 0, Members::Transports),
    family(
        "_destination_concurrency_failed_cohort_limit",
        "default_destination_concurrency_failed_cohort_limit",
        Kind::Int,
        0,
        0,
        Members::Transports,
    ),
    family(
        "_destination_concurrency_limit",
        "default_destination_concurrency_limit",
        Kind::Int,
        0,
        0,
        Members::Transports,
    ),
    family(
        "_destination_concurrency_negative_feedback",
        "default_destination_concurrency_negative_feedback",
        Kind::Text,
        1,
        0,
        Members::Transports,
    ),
    family(
        "_destination_concurrency_positive_feedback",
        "default_destination_concurrency_positive_feedback",
        Kind::Text,
        1,
        0,
        Members::Transports,
    ),
    family(
        "_destination_rate_delay",
        "default_destination_rate_delay",
        Kind::Time,
        0,
        0,
        Members::Transports,
    ),
    family(
        "_destination_recipient_limit",
        "default_destination_recipient_limit",
        Kind::Int,
        0,
        0,
        Members::Transports,
    ),
    family("_extra_recipient_limit", "default_extra_recipient_limit", Kind::Int, 0, 0, Members::Transports),
    family(
        "_initial_destination_concurrency",
        "initial_destination_concurrency",
        Kind::Int,
        1,
        0,
        Members::Transports,
    ),
    family("_minimum_delivery_slots", "default_minimum_delivery_slots", Kind::Int, 0, 0, Members::Transports),
    family("_recipient_limit", "default_recipient_limit", Kind::Int, 0, 0, Members::Transports),
    family(
        "_recipient_refill_delay",
        "default_recipient_refill_delay",
        Kind::Time,
        1,
        0,
        Members::Transports,
    ),
    family("_recipient_refill_limit", "default_recipient_refill_limit", Kind::Int, 1, 0, Members::Transports),
    family("_transport_rate_delay", "default_transport_rate_delay", Kind::Time, 0, 0, Members::Transports),
    family("_time_limit", "command_time_limit", Kind::Time, 1, 0, Members::Spawn),
    family("_time_limit", "command_time_limit", Kind::Time, 1, 0, Members::Pipe),
];

/// The family of this suffix.
pub fn family_of(suffix: &str) -> Option<&'static Family> {
    FAMILIES.iter().find(|family| family.suffix == suffix)
}

/// The service and the family that a parameter's name is made of. The longest suffix counts:
/// `smtp_destination_recipient_limit` is not the `_recipient_limit` of a service `smtp_destination`.
pub fn split(name: &str) -> Option<(&str, &'static Family)> {
    FAMILIES
        .iter()
        .filter_map(|family| Some((name.strip_suffix(family.suffix)?, family)))
        .filter(|(service, _)| !service.is_empty())
        .max_by_key(|(_, family)| family.suffix.len())
}

impl Members {
    /// Whether a service that runs this program has the parameters.
    pub fn has(self, program: &str) -> bool {
        match self {
            Members::Transports => {
                matches!(
                    program,
                    "local" | "pipe" | "virtual" | "error" | "retry" | "discard" | "smtp" | "lmtp"
                )
            }
            Members::Spawn => program == "spawn",
            Members::Pipe => program == "pipe",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params;

    #[test]
    fn every_default_is_in_the_registry() {
        for family in FAMILIES {
            let default = params::find(family.default).expect(family.default);
            let (ours, theirs) = (family.rule, default.rule);
            assert_eq!(
                (ours.kind, ours.min, ours.max),
                (theirs.kind, theirs.min, theirs.max),
                "{}",
                family.suffix
            );
        }
    }

    #[test]
    fn names_are_split_at_the_longest_suffix() {
        for (name, expected) in [
            ("smtp_destination_recipient_limit", Some(("smtp", "_destination_recipient_limit"))),
            ("smtp_recipient_limit", Some(("smtp", "_recipient_limit"))),
            ("a_b_time_limit", Some(("a_b", "_time_limit"))),
            ("_time_limit", None),
            ("message_size_limit", None),
        ] {
            assert_eq!(split(name).map(|(service, family)| (service, family.suffix)), expected, "{name}");
        }
    }
}
