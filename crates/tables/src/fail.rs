//! `fail:name`: fails every lookup, so that what depends on a table can be tried with a broken one.

use crate::lookup::Lookup;
use crate::map::{Entries, Opened, Opening, Table};

struct Fail(String);

pub(crate) fn open(opening: &Opening<'_>) -> Result<Opened, String> {
    Ok(Opened::Local(Box::new(Fail(format!("fail:{}: lookup error", opening.name)))))
}

impl Table for Fail {
    fn lookup(&self, _key: &str) -> Lookup {
        Lookup::Failed(self.0.clone())
    }

    fn entries(&self) -> Option<Result<Entries, String>> {
        Some(Err(self.0.clone()))
    }
}
