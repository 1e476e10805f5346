//! The registry: every parameter of postconf(5), one file for each area.
//!
//! A handle is named exactly as its parameter: `settings.get(params::message_size_limit)`. Parameters named after
//! a master.cf service (`smtp_destination_recipient_limit`, `policy_time_limit`) are in [`crate::families`].

use std::sync::LazyLock;

use crate::name_hash::ByName;
use crate::param::{Area, Entry};

macro_rules! areas {
    ($($area:ident,)*) => {
        $(
            mod $area;
            pub use $area::*;
        )*

        /// The files of the registry.
        #[allow(non_camel_case_types)]
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum AreaId { $($area),* }

        /// The registry, in the order of [`AreaId`].
        pub static AREAS: &[&Area] = &[$(&$area::AREA),*];
    };
}

areas! {
    global,
    domains,
    paths,
    process,
    logging,
    locks,
    tables,
    smtpd,
    smtpd_limits,
    smtpd_tls,
    smtpd_access,
    policy,
    postscreen,
    qmqpd,
    milter,
    sasl,
    tls,
    tlsproxy,
    cleanup,
    rewrite,
    verify,
    qmgr,
    bounce,
    smtp,
    smtp_tls,
    lmtp,
    lmtp_tls,
    local,
    virtual_delivery,
    pipe,
    commands,
    mailclad,
    legacy,
}

impl AreaId {
    pub(crate) fn area(self) -> &'static Area {
        AREAS[self as usize]
    }
}

/// Where an entry stands: the number of its area, and its number there.
pub(crate) type Place = (usize, usize);

static PLACES: LazyLock<ByName<&'static str, Place>> = LazyLock::new(|| {
    let mut places = ByName::default();
    for (area_number, area) in AREAS.iter().enumerate() {
        for (number, entry) in area.entries.iter().enumerate() {
            places.insert(entry.name, (area_number, number));
        }
    }
    places
});

/// Where the parameter of this name stands.
pub(crate) fn place(name: &str) -> Option<Place> {
    PLACES.get(name).copied()
}

/// The parameter of this name; `None` for a name of the administrator's own, and for those of [`crate::families`].
pub fn find(name: &str) -> Option<&'static Entry> {
    place(name).map(|(area, number)| &AREAS[area].entries[number])
}

/// Every entry, area by area.
pub fn all() -> impl Iterator<Item = &'static Entry> {
    AREAS.iter().flat_map(|area| area.entries)
}

/// Whether postconf(1) leaves the area out of its lists: names that only stand in for newer ones, and those that Postfix does not have.
pub(crate) fn is_unlisted(area: &Area) -> bool {
    [AreaId::legacy, AreaId::mailclad].iter().any(|id| std::ptr::eq(area, id.area()))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::families::{FAMILIES, Members};
    use crate::param::{Default, Form, Kind, State};

    /// The services of Postfix's own master.cf whose transports have parameters of their own.
    const TRANSPORTS: &[&str] = &["smtp", "relay", "error", "retry", "local", "virtual", "lmtp"];

    #[test]
    fn complete() {
        let listed: usize =
            AREAS.iter().filter(|area| !is_unlisted(area)).map(|area| area.entries.len()).sum();
        let families = FAMILIES.iter().filter(|family| family.of == Members::Transports);
        let names =
            families.flat_map(|family| TRANSPORTS.iter().map(|name| format!("{name}{}", family.suffix)));
        let of_services = names.filter(|name| find(name).is_none()).count();
        assert_eq!(listed + of_services, 1019, "what postconf -d of Postfix 3.12 shows");
    }

    #[test]
    fn every_name_stands_once_and_in_order() {
        let mut seen = HashSet::new();
        for area in AREAS {
            assert!(area.entries.is_sorted_by_key(|entry| entry.name), "{}", area.title);
            for entry in area.entries {
                assert!(seen.insert(entry.name), "{}", entry.name);
            }
        }
    }

    #[test]
    fn entries_are_whole() {
        for entry in all() {
            let Entry { name, meaning, rule, default, state } = *entry;
            assert!(meaning.ends_with('.') && meaning.len() > 10, "{name}: {meaning}");
            if let State::Accepted(why) | State::Refused(why) = state {
                assert!(!why.is_empty() && !why.ends_with('.'), "{name}: {why}");
            }
            assert!(matches!(rule.kind, Kind::Text) || rule.form == Form::Any, "{name}");
            assert!("smhdw".contains(rule.unit), "{name}");
            if let (Kind::Time, Default::Text(text)) = (rule.kind, default)
                && !text.starts_with("$s")
            {
                assert!(text.ends_with(rule.unit), "{name}: the unit is that of the default");
            }
        }
    }

    #[test]
    fn handles_and_entries_agree() {
        assert_eq!(smtpd_recipient_limit.name(), "smtpd_recipient_limit");
        assert_eq!(_2bounce_notice_recipient.name(), "2bounce_notice_recipient");
        assert_eq!(place("virtual_maps"), Some((virtual_maps.area as usize, virtual_maps.index)));
    }
}
