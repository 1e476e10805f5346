//! `environ:`: the process environment, as dict_env(3) offers it.

use crate::lookup::Lookup;
use crate::map::{Entries, Opened, Opening, Table};

struct Environ;

pub(crate) fn open(_opening: &Opening<'_>) -> Result<Opened, String> {
    Ok(Opened::Local(Box::new(Environ)))
}

impl Table for Environ {
    fn lookup(&self, key: &str) -> Lookup {
        // The standard library refuses these by panic on some systems; they can not be names.
        if key.is_empty() || key.contains(['=', '\0']) {
            return Lookup::Absent;
        }
        std::env::var(key).ok().into()
    }

    fn entries(&self) -> Option<Result<Entries, String>> {
        let both = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Some(Ok(std::env::vars_os().filter_map(both).collect()))
    }
}
