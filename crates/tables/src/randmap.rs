//! `randmap:{value, value}`: one of the values, whatever the key. For spreading load; not a source of secrets.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::lookup::Lookup;
use crate::map::{Opened, Opening, Table};

struct RandMap {
    values: Vec<String>,
    state: AtomicU64,
}

pub(crate) fn open(opening: &Opening<'_>) -> Result<Opened, String> {
    let values: Vec<String> = config::list::braced(opening.name)
        .map(config::list::split)
        .unwrap_or_default()
        .into_iter()
        .map(|value| config::list::braced(value).unwrap_or(value).to_owned())
        .collect();
    if values.is_empty() {
        return Err(format!("bad syntax: \"randmap:{}\"; need \"randmap:{{value...}}\"", opening.name));
    }
    use std::hash::{BuildHasher, RandomState};
    let state = AtomicU64::new(RandomState::new().hash_one(opening.name));
    Ok(Opened::Local(Box::new(RandMap { values, state })))
}

impl Table for RandMap {
    fn lookup(&self, _key: &str) -> Lookup {
        // SplitMix64: a counter through a mixer, so that threads need no lock.
        let mut z = self.state.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        Lookup::Found(self.values[(z % self.values.len() as u64) as usize].clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::map::Flags;
    use crate::map::tests::{listening, now};

    #[test]
    fn every_value_comes_up() {
        let (tables, _) = listening();
        let map = tables.map("randmap:{a,b,{c d}}", Flags::default());
        let mut seen: Vec<_> = (0..300).map(|_| now(map.lookup("x"))).collect();
        seen.sort_by_key(|found| format!("{found:?}"));
        seen.dedup();
        assert_eq!(seen, ["a", "b", "c d"].map(|v| Lookup::Found(v.into())));
    }
}
