//! The registry: every parameter of postconf(5), one file for each area.
//!
//! A handle is named exactly as its parameter: `settings.get(params::message_size_limit)`. Parameters named after
//! a master.cf service (`smtp_destination_recipient_limit`, `policy_time_limit`) are in [`crate::families`].

use std::collections::HashMap;
use std::sync::LazyLock;

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
    paths,
    process,
    bounce,
    rewrite,
    cleanup,
    qmgr,
    smtpd,
    smtpd_tls,
    smtpd_access,
    sasl,
    smtp,
    smtp_tls,
    lmtp,
    lmtp_tls,
    tls,
    tlsproxy,
    postscreen,
    milter,
    local,
    virtual_delivery,
    pipe,
    verify,
    tables,
    logging,
    commands,
    legacy,
}

impl AreaId {
    pub(crate) fn area(self) -> &'static Area {
        AREAS[self as usize]
    }
}

/// Where an entry stands: the number of its area, and its number there.
pub(crate) type Place = (usize, usize);

static PLACES: LazyLock<HashMap<&'static str, Place>> = LazyLock::new(|| {
    let mut places = HashMap::new();
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
