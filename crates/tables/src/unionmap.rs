//! `unionmap:{type:name, type:name}`: the results of all tables that have one, joined by commas.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::lookup::Lookup;
use crate::map::{Map, Opened, Opening, WaitingTable};
use crate::pipemap::members;

struct UnionMap(Vec<Arc<Map>>);

pub(crate) fn open(opening: &Opening<'_>) -> Result<Opened, String> {
    Ok(Opened::Waiting(Box::new(UnionMap(members(opening)?))))
}

impl WaitingTable for UnionMap {
    fn lookup<'a>(&'a self, key: &'a str) -> Pin<Box<dyn Future<Output = Lookup> + Send + 'a>> {
        Box::pin(async move {
            let mut results = Vec::new();
            for map in &self.0 {
                match map.lookup(key).await {
                    Lookup::Found(result) => results.push(result),
                    Lookup::Absent => {}
                    // A part of the answer would be a wrong answer.
                    failed => return failed,
                }
            }
            (!results.is_empty()).then(|| results.join(",")).into()
        })
    }

    /// One table of fixed strings is enough to make partial keys worth asking (union of both in dict_union(3)).
    fn is_pattern(&self) -> bool {
        self.0.iter().all(|map| map.is_pattern())
    }
}

#[cfg(test)]
mod tests {
    use crate::map::Flags;
    use crate::map::tests::{listening, now};

    #[test]
    fn results_are_joined() {
        for (spec, expected) in [
            ("unionmap:{static:one,inline:{a=two},inline:{x=three}}", Ok(Some("one,two"))),
            ("unionmap:{inline:{x=y}}", Ok(None)),
            ("unionmap:{static:one,fail:f}", Err("fail:f: lookup error")),
        ] {
            let (tables, _) = listening();
            let found = now(tables.map(spec, Flags::default()).lookup("a")).into_result();
            assert_eq!(found.as_ref().map(Option::as_deref).map_err(String::as_str), expected, "{spec}");
        }
    }
}
