//! `static:value` and `static:{ text }`: one value for every key.

use crate::lookup::Lookup;
use crate::map::{Opened, Opening, Table};

struct Static(String);

pub(crate) fn open(opening: &Opening<'_>) -> Result<Opened, String> {
    let value = match opening.name.starts_with('{') {
        true => config::list::braced(opening.name)
            .ok_or_else(|| format!("bad static:name syntax: unbalanced braces in \"{}\"", opening.name))?,
        false => opening.name,
    };
    Ok(Opened::Local(Box::new(Static(value.to_owned()))))
}

impl Table for Static {
    fn lookup(&self, _key: &str) -> Lookup {
        Lookup::Found(self.0.clone())
    }
}
